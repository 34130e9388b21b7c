#include "persist/ticks/tick_query.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace millrace::ticklog {
namespace {

bool is_asked(const QueryOptions& o, const SeriesKey& key) noexcept {
    const std::string_view name{key.symbol.bytes, ::strnlen(key.symbol.bytes, 16)};
    return (o.symbol.empty() || o.symbol == name) && (o.feed == 0 || o.feed == key.feed);
}

/// Ticks with the place at which they belong among those of the same time: a back-filled one's is
/// where its gap was found.
class TickCollector final : public EntryVisitor {
public:
    struct Placed {
        FoundTick found;
        std::uint64_t place = 0;
        std::uint64_t order = 0;  // as they were found: those of one gap have one place
        friend bool operator<(const Placed& a, const Placed& b) noexcept {
            return std::tuple{a.found.tick.time.value, a.place, a.order} <
                   std::tuple{b.found.tick.time.value, b.place, b.order};
        }
    };
    explicit TickCollector(const QueryOptions& o)
        : options_{o}, kept_{o.ticks_max < SIZE_MAX / 4 ? o.skip + o.ticks_max : SIZE_MAX / 4} {}

    void on_tick(const SeriesKey& key, const LogTick& tick, bool filled) override {
        const bool in_range = tick.time >= options_.range.from && tick.time <= options_.range.to;
        if (in_range && is_asked(options_, key)) {
            const auto gap = filling_.find(key);
            const bool placed = filled && gap != filling_.end();
            found.push_back({{key, tick}, placed ? gap->second : ++arrived_, ++order_});
            if (found.size() >= 2 * kept_ + kSlack) {
                keep_oldest();
            }
        }
    }
    void on_mark(const SeriesKey& key, const Mark& m) override {
        if (m.type == MarkType::GapOpened) {
            opened_.try_emplace(m.gap, ++arrived_);
        } else if (m.type == MarkType::GapMoved) {
            filling_[key] = opened_.try_emplace(m.gap, ++arrived_).first->second;
        }
    }

    /// The ticks asked for, in their order.
    [[nodiscard]] std::vector<FoundTick> take() {
        keep_oldest();
        std::sort(found.begin(), found.end());
        std::vector<FoundTick> ticks;
        ticks.reserve(found.size() - std::min(options_.skip, found.size()));
        for (std::size_t i = options_.skip; i < found.size(); ++i) {
            ticks.push_back(found[i].found);
        }
        return ticks;
    }

    std::vector<Placed> found;

private:
    static constexpr std::size_t kSlack = 1'024;  // a small limit is not looked after at each tick

    void keep_oldest() {
        if (found.size() > kept_) {
            const auto end = found.begin() + static_cast<std::ptrdiff_t>(kept_);
            std::nth_element(found.begin(), end, found.end());
            found.erase(end, found.end());
        }
    }

    const QueryOptions& options_;
    const std::size_t kept_;
    std::uint64_t arrived_ = 0;
    std::uint64_t order_ = 0;
    std::map<std::uint64_t, std::uint64_t> opened_;  // gap -> place
    std::map<SeriesKey, std::uint64_t> filling_;     // place of the gap being filled
};

class GapCollector final : public EntryVisitor {
public:
    explicit GapCollector(const QueryOptions& o) : options_{o} {}

    void on_tick(const SeriesKey& key, const LogTick&, bool filled) override {
        const auto gap = filling_.find(key);
        if (filled && gap != filling_.end()) {
            ++gaps[gap->second].filled;
        }
    }
    void on_mark(const SeriesKey& key, const Mark& m) override {
        if (!is_asked(options_, key) || m.gap == 0) {
            return;
        }
        FoundGap& gap = gaps[m.gap];
        if (m.type == MarkType::GapOpened && gap.id == 0) {
            gap = {key, m.gap, m.time, m.to, m.missing, 0, GapResult::Open};
        } else if (m.type == MarkType::GapMoved) {
            filling_[key] = m.gap;
        } else if (m.type == MarkType::GapClosed) {
            gap.result = m.result;
        }
    }

    std::map<std::uint64_t, FoundGap> gaps;

private:
    const QueryOptions& options_;
    std::map<SeriesKey, std::uint64_t> filling_;  // the gap that Filled ticks are of
};

void visit_all(const std::string& directory, const QueryOptions& options, bool all_marks,
               EntryVisitor& visitor, std::vector<std::string>& bad) {
    for (const TickFile& file : list_tick_files(directory)) {
        const Status read = visit_tick_file(file.path, options.range, all_marks, visitor, bad);
        if (!read) {
            bad.push_back(file.path + " " + read.error().what);
        }
    }
}

}  // namespace

std::vector<FoundTick> query_ticks(const std::string& directory, const QueryOptions& options,
                                   std::vector<std::string>& bad) {
    TickCollector collector{options};
    visit_all(directory, options, false, collector, bad);
    return collector.take();
}

std::vector<FoundGap> query_gaps(const std::string& directory, const QueryOptions& options,
                                 std::vector<std::string>& bad) {
    GapCollector collector{options};
    visit_all(directory, options, true, collector, bad);
    std::vector<FoundGap> gaps;
    for (const auto& [id, gap] : collector.gaps) {
        // One whose beginning went with an old file is told of by its end alone.
        const bool known = gap.id != 0;
        if (known && gap.to >= options.range.from && gap.from <= options.range.to) {
            gaps.push_back(gap);
        }
    }
    std::sort(gaps.begin(), gaps.end(),
              [](const FoundGap& a, const FoundGap& b) { return a.from < b.from; });
    return gaps;
}

}  // namespace millrace::ticklog
