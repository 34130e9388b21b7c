#include "persist/ticks/recorder.h"

#include <algorithm>
#include <filesystem>

namespace millrace::ticklog {
namespace {

namespace fs = std::filesystem;

/// Memory for ticks that the disk does not take; beyond it they are refused, which is a gap.
constexpr std::size_t kWaitingMax = 16U << 20U;

}  // namespace

/// Replays a file: how far each series is, which gaps are open.
class Recorder::Learner final : public EntryVisitor {
public:
    explicit Learner(Recorder& r) : r_{r} {}

    void on_tick(const SeriesKey& key, const LogTick& tick, bool filled) override {
        if (filled) {
            return;
        }
        Series& s = r_.series_[key];
        s.count = s.time == tick.time ? s.count + 1 : 1;
        s.time = tick.time;
        s.seq = tick.seq;
    }
    void on_mark(const SeriesKey& key, const Mark& m) override {
        r_.next_gap_ = std::max(r_.next_gap_, m.gap + 1);
        switch (m.type) {
            case MarkType::State: r_.series_[key] = {m.stream, m.seq, m.time, m.count}; break;
            case MarkType::GapOpened: r_.gaps_[m.gap] = {key, m, 0, {}}; break;
            case MarkType::GapMoved:
                if (const auto gap = r_.gaps_.find(m.gap); gap != r_.gaps_.end()) {
                    gap->second.at = m;
                }
                break;
            case MarkType::GapClosed: r_.gaps_.erase(m.gap); break;
        }
    }

private:
    Recorder& r_;
};

Result<std::unique_ptr<Recorder>> Recorder::open(RecorderOptions options, Nanos wall,
                                                 std::vector<std::string>& told) {
    if (options.keep_h < 24) {
        return {Errc::BadInput, "keep_h: at least 24 hours of ticks are kept"};
    }
    std::error_code error;
    fs::create_directories(options.directory, error);
    if (error) {
        return {Errc::IoError, "cannot make the folder of the tick log", error.value()};
    }
    std::unique_ptr<Recorder> r{new Recorder{std::move(options)}};
    r->learn(told);
    r->next_gap_ = std::max(r->next_gap_, static_cast<std::uint64_t>(wall.value));
    if (const Status begun = r->rotate(wall); !begun) {
        return begun.error();
    }
    return r;
}

/// Every file begins with the state of all series and all open gaps, so the newest one that has a
/// whole block is enough. One that was begun and never written to says nothing.
void Recorder::learn(std::vector<std::string>& told) {
    const auto files = list_tick_files(options_.directory);
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
        Learner learner{*this};
        const Status read = visit_tick_file(file->path, {}, true, learner, told);
        if (!read) {
            told.push_back(file->path + " " + read.error().what + "; passed over");
        }
        if (!series_.empty()) {
            return;
        }
    }
}

void Recorder::write_state(const SeriesKey& key, const Series& s) {
    block_.mark(key, {.type = MarkType::State,
                      .stream = s.stream,
                      .seq = s.seq,
                      .time = s.time,
                      .count = s.count});
}

/// What a new file begins with.
void Recorder::restart_file() {
    block_.reset();
    for (const auto& [key, s] : series_) {
        write_state(key, s);
    }
    for (const auto& [id, gap] : gaps_) {
        Mark m = gap.at;
        m.type = MarkType::GapOpened;
        block_.mark(gap.key, m);
    }
}

void Recorder::feed_up(std::uint64_t feed) {
    up_.insert(feed);
    asked_.erase(feed);
}

void Recorder::feed_down(std::uint64_t feed) {
    up_.erase(feed);
    asked_.erase(feed);
    for (auto& [id, gap] : gaps_) {
        if (gap.key.feed == feed) {
            gap.answer.clear();
        }
    }
}

void Recorder::open_gap(const SeriesKey& key, const Series& s, const GapEnd& until) {
    const std::uint64_t id = next_gap_++;
    const Mark m{.type = MarkType::GapOpened,
                 .stream = s.stream,
                 .seq = until.count,
                 .time = s.time,
                 .count = s.count,
                 .gap = id,
                 .to = until.time,
                 .missing = until.missing};
    block_.mark(key, m);
    gaps_[id] = {key, m, 0, {}};
    ++stats_.gaps;
    // The excluded: what is older than is kept. (A clock that went back gives no range either.)
    const Nanos oldest{until.time.value - seconds(std::int64_t{options_.keep_h} * 3600).value};
    if (until.time < s.time) {
        close_gap(id, GapResult::Lost);
    } else if (s.time < oldest) {
        Gap& gap = gaps_[id];
        gap.at.time = oldest;
        gap.at.count = 0;
        gap.at.missing = 0;
    }
}

void Recorder::close_gap(std::uint64_t id, GapResult result) {
    const auto gap = gaps_.find(id);
    ASSERT(gap != gaps_.end());
    block_.mark(
        gap->second.key,
        {.type = MarkType::GapClosed, .result = result, .gap = id, .missing = gap->second.filled});
    if (const auto asked = asked_.find(gap->second.key.feed);
        asked != asked_.end() && asked->second.gap == id) {
        asked_.erase(asked);
    }
    gaps_.erase(gap);
    ++stats_.closed;
    stats_.lost_gaps += result == GapResult::Filled ? 0 : 1;
}

void Recorder::announce(const SeriesKey& key, const Announcement& a) {
    Series& s = series_[key];
    // Of a series that was never recorded nothing is missing: the record begins here.
    const bool is_new = s.stream == 0;
    const bool same = s.stream == a.stream;
    if (same && a.seq <= s.seq) {
        return;
    }
    const bool later = a.time > s.time || (a.time == s.time && a.count > s.count);
    if (!is_new && (same || later)) {
        open_gap(key, s, {a.time, same ? a.seq - s.seq : 0, a.count});
    }
    s.stream = a.stream;
    s.seq = a.seq;
    if (later) {
        s.time = a.time;
        s.count = a.count;
    }
    write_state(key, s);
}

void Recorder::tick(const SeriesKey& key, const LogTick& t, std::uint64_t same) {
    Series& s = series_[key];
    if (t.seq <= s.seq) {
        ++stats_.repeats;
        return;
    }
    if (waiting_.size() + block_.bytes() > kWaitingMax) {
        ++stats_.refused;  // its number is missed by the next one that is taken
        return;
    }
    if (block_.bytes() >= kBlockBytes) {
        block_.take(waiting_);
    }
    if (t.seq != s.seq + 1) {
        // Up to this one: of its time only those before it.
        open_gap(key, s, {Nanos{t.time.value - (same == 0 ? 1 : 0)}, t.seq - s.seq - 1, same});
    }
    const std::uint64_t seems = s.time == t.time ? s.count + 1 : 1;
    s.count = same + 1;
    s.time = t.time;
    s.seq = t.seq;
    block_.tick(key, t, false);
    ++stats_.ticks;
    if (seems != s.count) {
        write_state(key, s);  // what a reader of the ticks alone would get wrong
    }
}

std::optional<BackfillRequest> Recorder::next_request(std::uint64_t feed, Nanos wall) {
    if (!up_.contains(feed)) {
        return std::nullopt;
    }
    if (const auto asked = asked_.find(feed); asked != asked_.end()) {
        if (wall - asked->second.when < seconds(options_.ask_again_s)) {
            return std::nullopt;
        }
        asked_.erase(asked);
    }
    for (auto& [id, gap] : gaps_) {
        if (gap.key.feed != feed) {
            continue;
        }
        gap.answer.clear();
        asked_[feed] = {id, wall};
        const std::uint64_t limit = gap.at.count + kAnswerTicks;
        return BackfillRequest{id, gap.key, gap.at.time, gap.at.to,
                               static_cast<std::uint32_t>(limit)};
    }
    return std::nullopt;
}

void Recorder::answer(std::uint64_t id, std::span<const LogTick> ticks) {
    const auto found = gaps_.find(id);
    if (found == gaps_.end() || found->second.answer.size() > 4U * kAnswerTicks) {
        return;  // asked twice and answered twice; or no answer to what was asked
    }
    auto& all = found->second.answer;
    all.insert(all.end(), ticks.begin(), ticks.end());
}

void Recorder::answer_end(std::uint64_t id, bool more, bool from_start) {
    const auto found = gaps_.find(id);
    if (found == gaps_.end()) {
        return;
    }
    Gap& gap = found->second;
    Mark& at = gap.at;
    std::vector<LogTick> fill;
    Nanos time = at.time;
    std::uint64_t skip = at.count;
    std::uint64_t count = at.count;
    for (const LogTick& t : gap.answer) {
        if (t.time < at.time || t.time > at.to) {
            continue;
        }
        if (t.time == at.time && skip > 0) {
            --skip;
            continue;
        }
        const bool all_known = at.missing != 0 && fill.size() == at.missing;
        const bool all_of_end = at.seq != 0 && t.time == at.to && t.time == time && count == at.seq;
        if (all_known || all_of_end) {
            break;
        }
        count = t.time == time ? count + 1 : 1;
        time = t.time;
        fill.push_back(t);
    }
    gap.answer.clear();
    if (!fill.empty()) {
        const std::uint64_t left = at.missing - std::min<std::uint64_t>(at.missing, fill.size());
        const bool exact = at.missing != 0;
        at.type = MarkType::GapMoved;
        at.time = time;
        at.count = count;
        at.missing = left;
        // One block has both: a recorder killed between them would fill twice.
        block_.mark(gap.key, at);
        for (LogTick t : fill) {
            t.seq = 0;
            block_.tick(gap.key, t, true);
        }
        gap.filled += fill.size();
        stats_.filled += fill.size();
        if (exact && left == 0) {
            return close_gap(id, GapResult::Filled);
        }
        if (more) {
            asked_.erase(gap.key.feed);
            return;
        }
        close_gap(id, exact || !from_start ? GapResult::Lost : GapResult::Filled);
        return;
    }
    close_gap(id, at.missing != 0 || !from_start ? GapResult::Lost : GapResult::Filled);
}

Status Recorder::write_out(Nanos wall) {
    block_.take(waiting_);
    flushed_ = wall;
    if (waiting_.empty()) {
        return ok_status();
    }
    if (!file_.is_open()) {
        return {Errc::Poisoned, "a failed write to the tick log could not be cut off again"};
    }
    if (const Status written = file_.append(waiting_); !written) {
        ++stats_.blocks_failed;
        return written;
    }
    stats_.bytes += waiting_.size();
    waiting_.clear();
    return ok_status();
}

Status Recorder::rotate(Nanos wall) {
    if (const Status begun = file_.begin(options_.directory, wall); !begun) {
        return begun;
    }
    restart_file();
    remove_old(wall);
    return write_out(wall);
}

void Recorder::remove_old(Nanos wall) const {
    const Nanos keep = seconds(std::int64_t{options_.keep_h} * 3600);
    const auto files = list_tick_files(options_.directory);
    for (std::size_t i = 0; i + 1 < files.size(); ++i) {
        // A file ends where the next begins: only then all of it is that old.
        if (files[i + 1].created_ns < (wall - keep).value) {
            std::error_code none;  // tried again with the next file
            fs::remove(files[i].path, none);
        }
    }
}

Status Recorder::step(Nanos wall) {
    const bool due = wall - flushed_ >= millis(options_.flush_ms) || wall < flushed_;
    if (block_.bytes() < kBlockBytes && !due) {
        return ok_status();
    }
    if (const Status written = write_out(wall); !written) {
        return written;
    }
    const std::int64_t age = wall.value - file_.created_ns();
    return age >= seconds(options_.file_s).value ? rotate(wall) : ok_status();
}

Status Recorder::flush(Nanos wall) {
    return write_out(wall);
}

}  // namespace millrace::ticklog
