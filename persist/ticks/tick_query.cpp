#include "persist/ticks/tick_query.h"

#include <algorithm>
#include <cstring>

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
    };
    explicit TickCollector(const QueryOptions& o) : options_{o} {}

    void on_tick(const SeriesKey& key, const LogTick& tick, bool filled) override {
        const bool in_range = tick.time >= options_.range.from && tick.time <= options_.range.to;
        if (in_range && is_asked(options_, key)) {
            const auto gap = filling_.find(key);
            const bool placed = filled && gap != filling_.end();
            found.push_back({{key, tick}, placed ? gap->second : ++arrived_});
        }
    }
    void on_mark(const SeriesKey& key, const Mark& m) override {
        if (m.type == MarkType::GapOpened) {
            opened_.try_emplace(m.gap, ++arrived_);
        } else if (m.type == MarkType::GapMoved) {
            filling_[key] = opened_.try_emplace(m.gap, ++arrived_).first->second;
        }
    }

    std::vector<Placed> found;

private:
    const QueryOptions& options_;
    std::uint64_t arrived_ = 0;
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
    auto& found = collector.found;
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return a.found.tick.time != b.found.tick.time ? a.found.tick.time < b.found.tick.time
                                                      : a.place < b.place;
    });
    std::vector<FoundTick> ticks;
    ticks.reserve(std::min(found.size(), options.ticks_max));
    for (std::size_t i = 0; i < found.size() && i < options.ticks_max; ++i) {
        ticks.push_back(found[i].found);
    }
    return ticks;
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
