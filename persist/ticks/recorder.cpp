#include "persist/ticks/recorder.h"

#include <algorithm>
#include <filesystem>

namespace millrace::ticklog {
namespace {

namespace fs = std::filesystem;

/// Memory for ticks that the disk does not take; beyond it they are refused, which is a gap.
constexpr std::size_t kWaitingMax = 16U << 20U;
constexpr Nanos kLookForRoom = seconds(5);

}  // namespace

const Error kNoRoom{Errc::NoSpace, 0, "what is free on its disk is left to the journal"};

/// Replays a file: how far each series is, which gaps are open.
class Recorder::Learner final : public EntryVisitor {
public:
    explicit Learner(Recorder& r) : r_{r} {}

    void on_tick(const SeriesKey& key, const LogTick& tick, bool filled) override {
        r_.newest_ = std::max(r_.newest_, tick.time);
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
            case MarkType::State:
                r_.series_[key] = {m.stream, m.seq, m.time, m.count, 0};
                r_.newest_ = std::max(r_.newest_, m.time);
                break;
            case MarkType::GapOpened: r_.gaps_[m.gap] = {key, m, 0, false, {}}; break;
            case MarkType::GapMoved:
                if (const auto gap = r_.gaps_.find(m.gap); gap != r_.gaps_.end()) {
                    gap->second.at = m;
                }
                break;
            case MarkType::GapClosed: r_.gaps_.erase(m.gap); break;
            case MarkType::HeadEnd: is_whole = true; break;
        }
    }

    bool is_whole = false;  // the file's beginning

private:
    Recorder& r_;
};

Result<std::unique_ptr<Recorder>> Recorder::open(RecorderOptions options, Nanos now,
                                                 std::vector<std::string>& told) {
    if (options.keep_h < 24 || options.keep_h > kKeepHoursMax) {
        return {Errc::BadInput, "keep_h: 24 hours to 10 years of ticks are kept"};
    }
    std::error_code error;
    fs::create_directories(options.directory, error);
    if (error) {
        return {Errc::IoError, "cannot make the folder of the tick log", error.value()};
    }
    std::unique_ptr<Recorder> r{new Recorder{std::move(options)}};
    if (!r->has_room(now)) {
        return kNoRoom;
    }
    r->learn(told);
    r->next_gap_ = std::max(r->next_gap_, static_cast<std::uint64_t>(now.value));
    // Another process' numbers must not name this one's requests.
    r->next_request_ = r->next_gap_;
    if (const Status begun = r->rotate(now); !begun) {
        return begun.error();
    }
    return r;
}

/// Every file begins with the state of all series and all open gaps, so the newest one whose
/// beginning is whole is enough; one that was killed in writing that has nothing else.
void Recorder::learn(std::vector<std::string>& told) {
    const auto files = list_tick_files(options_.directory);
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
        series_.clear();
        gaps_.clear();
        Learner learner{*this};
        const Status read = visit_tick_file(file->path, {}, true, learner, told);
        if (!read) {
            told.push_back(file->path + " " + read.error().what + "; passed over");
        }
        if (learner.is_whole) {
            break;
        }
    }
    for (const auto& [id, gap] : gaps_) {
        feeds_[gap.key.feed].gaps.push_back(id);
    }
}

/// Blocks of a size that readers take, however many marks there are.
void Recorder::mark(const SeriesKey& key, const Mark& mark) {
    if (block_.bytes() >= kBlockBytes) {
        block_.take(waiting_);
    }
    block_.mark(key, mark);
}

void Recorder::write_state(const SeriesKey& key, const Series& s) {
    mark(key, {.type = MarkType::State,
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
        mark(gap.key, m);
    }
    mark({}, {.type = MarkType::HeadEnd});
}

void Recorder::feed_up(std::uint64_t feed) {
    Feed& f = feeds_[feed];
    give_back(f);
    f.up = true;
}

void Recorder::feed_down(std::uint64_t feed) {
    Feed& f = feeds_[feed];
    give_back(f);
    f.up = false;
}

/// What is out will not be answered: it is the next to be asked for.
void Recorder::give_back(Feed& feed) {
    for (auto asked = feed.asked.rbegin(); asked != feed.asked.rend(); ++asked) {
        gaps_.at(asked->second.gap).answer.clear();
        feed.gaps.push_front(asked->second.gap);
    }
    feed.asked.clear();
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
    mark(key, m);
    Gap& gap = gaps_[id] = {key, m, 0, false, {}};
    ++stats_.gaps;
    // The excluded: what is older than is kept. (A clock that went back gives no range either.)
    const Nanos oldest{until.time.value - seconds(std::int64_t{options_.keep_h} * 3600).value};
    if (until.time < s.time) {
        return close_gap(id, GapResult::Lost);
    }
    if (s.time < oldest) {
        gap.at.time = oldest;
        gap.at.count = 0;
        gap.at.missing = 0;
        gap.cut = true;
    }
    feeds_[key.feed].gaps.push_back(id);
}

void Recorder::close_gap(std::uint64_t id, GapResult result) {
    const auto gap = gaps_.find(id);
    ASSERT(gap != gaps_.end());
    mark(gap->second.key,
         {.type = MarkType::GapClosed, .result = result, .gap = id, .missing = gap->second.filled});
    gaps_.erase(gap);
    ++stats_.closed;
    stats_.lost_gaps += result == GapResult::Filled ? 0 : 1;
}

void Recorder::announce(const SeriesKey& key, const Announcement& a) {
    Series& s = series_[key];
    // Of a series that was never recorded nothing is missing: the record begins here.
    const bool is_new = s.stream == 0;
    const bool same = s.stream == a.stream;
    const bool later = a.time > s.time || (a.time == s.time && a.count > s.count);
    const bool in_step = a.time == s.time && a.count == s.count && a.time.value != 0;
    s.next_stream = 0;
    if (same && a.seq <= s.seq) {
        return;
    }
    if (!is_new && !same && !later && !in_step) {
        // It does not know what was before it, or knows less than we do.
        s.next_stream = a.stream;
        return;
    }
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

/// The first tick that was heard of a stream that did not know its beginning: all before it may be
/// missing.
void Recorder::begin_stream(const SeriesKey& key, Series& s, const LogTick& first,
                            std::uint64_t same) {
    open_gap(key, s, {Nanos{first.time.value - (same == 0 ? 1 : 0)}, 0, same});
    s.stream = s.next_stream;
    s.next_stream = 0;
    s.seq = first.seq - 1;
    s.time = first.time;
    s.count = same;
    write_state(key, s);
}

void Recorder::tick(const SeriesKey& key, const LogTick& t, std::uint64_t same) {
    Series& s = series_[key];
    if (s.next_stream == 0 && t.seq <= s.seq) {
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
    if (s.next_stream != 0) {
        begin_stream(key, s, t, same);
    } else if (t.seq != s.seq + 1) {
        // Up to this one: of its time only those before it.
        open_gap(key, s, {Nanos{t.time.value - (same == 0 ? 1 : 0)}, t.seq - s.seq - 1, same});
    }
    const std::uint64_t seems = s.time == t.time ? s.count + 1 : 1;
    s.count = same + 1;
    s.time = t.time;
    s.seq = t.seq;
    newest_ = std::max(newest_, t.time);
    block_.tick(key, t, false);
    ++stats_.ticks;
    if (seems != s.count) {
        write_state(key, s);  // what a reader of the ticks alone would get wrong
    }
}

/// Behind the others: one that is never answered must not hold them up.
void Recorder::ask_again(Feed& feed, Nanos now) {
    for (auto asked = feed.asked.begin(); asked != feed.asked.end();) {
        if (now - asked->second.when < seconds(options_.ask_again_s)) {
            return;  // the later ones have been out for less
        }
        gaps_.at(asked->second.gap).answer.clear();
        feed.gaps.push_back(asked->second.gap);
        asked = feed.asked.erase(asked);
    }
}

std::optional<BackfillRequest> Recorder::next_request(std::uint64_t feed, Nanos now) {
    const auto known = feeds_.find(feed);
    if (known == feeds_.end() || !known->second.up) {
        return std::nullopt;
    }
    Feed& f = known->second;
    ask_again(f, now);
    if (f.gaps.empty() || f.asked.size() >= kAsksMax) {
        return std::nullopt;
    }
    const std::uint64_t id = f.gaps.front();
    f.gaps.pop_front();
    const Gap& gap = gaps_.at(id);
    const auto limit = static_cast<std::uint32_t>(gap.at.count + kAnswerTicks);
    f.asked[next_request_] = {id, limit, now};
    return BackfillRequest{next_request_++, gap.key, gap.at.time, gap.at.to, limit};
}

/// Null if the request is not out, or is another feed's.
Recorder::Asked* Recorder::find_asked(std::uint64_t feed, std::uint64_t request) {
    const auto known = feeds_.find(feed);
    if (known == feeds_.end()) {
        return nullptr;
    }
    const auto asked = known->second.asked.find(request);
    return asked == known->second.asked.end() ? nullptr : &asked->second;
}

void Recorder::answer(const SeriesKey& key, std::uint64_t request, std::span<const LogTick> ticks) {
    const Asked* asked = find_asked(key.feed, request);
    Gap* gap = asked != nullptr ? &gaps_.at(asked->gap) : nullptr;
    const bool wanted =
        gap != nullptr && gap->key == key && gap->answer.size() + ticks.size() <= asked->limit;
    if (!wanted) {
        ++stats_.strays;
        return;
    }
    gap->answer.insert(gap->answer.end(), ticks.begin(), ticks.end());
}

/// What an answer has that the record has not, up to the gap's end.
Recorder::Fill Recorder::new_ones(const Gap& gap) {
    const Mark& at = gap.at;
    Fill fill;
    fill.time = at.time;
    fill.count = at.count;
    std::uint64_t skip = at.count;
    for (const LogTick& t : gap.answer) {
        if (t.time < at.time || t.time > at.to) {
            continue;
        }
        if (t.time == at.time && skip > 0) {
            --skip;
            continue;
        }
        const bool all_known = at.missing != 0 && fill.ticks.size() == at.missing;
        const bool all_of_end =
            at.seq != 0 && t.time == at.to && t.time == fill.time && fill.count == at.seq;
        if (all_known || all_of_end) {
            break;
        }
        if (fill.ticks.size() == kAnswerTicks) {
            fill.is_cut = true;
            break;
        }
        fill.count = t.time == fill.time ? fill.count + 1 : 1;
        fill.time = t.time;
        fill.ticks.push_back(t);
    }
    return fill;
}

void Recorder::answer_end(std::uint64_t feed, std::uint64_t request, bool more, bool from_start) {
    const Asked* asked = find_asked(feed, request);
    if (asked == nullptr) {
        ++stats_.strays;
        return;
    }
    const std::uint64_t id = asked->gap;
    Gap& gap = gaps_.at(id);
    const Fill fill = new_ones(gap);
    gap.answer.clear();
    if (fill.ticks.empty() && more) {
        return;  // nothing new and not all: asked again, but not at once
    }
    Feed& f = feeds_[feed];
    f.asked.erase(request);
    const bool exact = gap.at.missing != 0;
    if (!fill.ticks.empty()) {
        write_fill(gap, fill);
    }
    if (exact && gap.at.missing == 0) {
        return close_gap(id, GapResult::Filled);
    }
    if (more || fill.is_cut) {
        return f.gaps.push_front(id);  // the next page
    }
    const bool whole = !exact && from_start && !gap.cut;
    close_gap(id, whole ? GapResult::Filled : GapResult::Lost);
}

/// One block has the ticks and how far the gap is: a recorder killed between them would fill twice.
void Recorder::write_fill(Gap& gap, const Fill& fill) {
    Mark& at = gap.at;
    at.type = MarkType::GapMoved;
    at.time = fill.time;
    at.count = fill.count;
    at.missing -= std::min<std::uint64_t>(at.missing, fill.ticks.size());
    mark(gap.key, at);
    for (LogTick t : fill.ticks) {
        t.seq = 0;
        block_.tick(gap.key, t, true);
    }
    gap.filled += fill.ticks.size();
    stats_.filled += fill.ticks.size();
}

Status Recorder::write_out(Nanos now) {
    block_.take(waiting_);
    flushed_ = now;
    if (waiting_.empty()) {
        return ok_status();
    }
    if (!has_room(now)) {
        return kNoRoom;
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

/// Looked for now and then: a burst fills less than the floor between two looks.
bool Recorder::has_room(Nanos now) {
    if (options_.free_floor_bytes != 0 && now >= looked_) {
        looked_ = now + kLookForRoom;
        std::error_code error;
        const fs::space_info space = fs::space(options_.directory, error);
        has_room_ = error || space.available >= options_.free_floor_bytes;
        if (!has_room_) {
            remove_old(now);  // as no file is begun meanwhile
        }
    }
    return has_room_;
}

Status Recorder::rotate(Nanos now) {
    if (const Status begun = file_.begin(options_.directory, now); !begun) {
        return begun;
    }
    rotated_ = now;
    restart_file();
    remove_old(now);
    return write_out(now);
}

/// Removes what is older than is kept by the clock and by the ticks themselves: a clock that is
/// wrong costs no tick, nor does a source whose clock is. While no tick comes, nothing goes.
void Recorder::remove_old(Nanos now) const {
    const Nanos keep = seconds(std::int64_t{options_.keep_h} * 3600);
    const auto files = list_tick_files(options_.directory);
    for (std::size_t i = 0; i + 1 < files.size(); ++i) {
        // A file ends where the next begins: only then all of it is that old.
        if (files[i + 1].created_ns < (now - keep).value &&
            last_tick_time(files[i].path) < newest_ - keep) {
            std::error_code none;  // tried again with the next file
            fs::remove(files[i].path, none);
        }
    }
}

Status Recorder::step(Nanos now) {
    const bool due = now - flushed_ >= millis(options_.flush_ms);
    if (block_.bytes() < kBlockBytes && !due) {
        return written_;
    }
    written_ = write_out(now);
    if (written_ && now - rotated_ >= seconds(options_.file_s)) {
        written_ = rotate(now);
    }
    return written_;
}

Status Recorder::flush(Nanos now) {
    return write_out(now);
}

}  // namespace millrace::ticklog
