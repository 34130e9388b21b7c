#include "tools/millrace/sink_lags.h"

#include <algorithm>

namespace millrace {

SinkLag::News SinkLag::look(std::uint64_t durable, std::uint64_t stored, Nanos now) noexcept {
    awake_ = looked_.value == 0 ? awake_ : awake_ + std::min(now - looked_, kLookMax);
    looked_ = now;
    std::size_t reached = 0;
    bool follows = false;
    for (; reached < count_ && marks_[reached].seq <= stored; ++reached) {
        follows = awake_ - marks_[reached].at < kFollows;
    }
    std::copy(marks_ + reached, marks_ + count_, marks_);
    count_ -= reached;
    const bool is_time = count_ == 0 || awake_ - marks_[count_ - 1].at >= kMarkEvery;
    if (durable > stored && is_time && count_ < kMarks) {
        marks_[count_++] = {durable, awake_};
    }
    if (late_ && follows) {
        late_ = false;
        return News::Follows;
    }
    if (late_ || count_ == 0 || awake_ - marks_[0].at < kLate) {
        return News::None;
    }
    late_ = true;
    return News::Late;
}

SinkLags::SinkLags(const Config& config) noexcept
    : sinks_{{"sqlite", config.sqlite.enabled, &CoreCells::sqlite_seq},
             {"redis", config.redis.enabled, &CoreCells::redis_seq},
             {"clickhouse", config.clickhouse.enabled, &CoreCells::clickhouse_seq}} {}

SinkLags::Told SinkLags::turn(const CoreCells& core, Nanos now) {
    Told told;
    // Relaxed: cursors that only rise; an older value is looked at again.
    const std::uint64_t durable = core.durable.load(std::memory_order_relaxed);
    for (Sink& sink : sinks_) {
        if (!sink.enabled) {
            continue;
        }
        const std::uint64_t stored = (core.*sink.stored).load(std::memory_order_relaxed);
        const SinkLag::News news = sink.lag.look(durable, stored, now);
        if (news == SinkLag::News::Late) {
            told.alerts.push_back(std::string{sink.name} +
                                  " lags: it lacks what has been in the journal for 30 s. Trading "
                                  "goes on; the effects log keeps what it lacks");
            sink.shown = stored;
            sink.shown_at = now;
        } else if (news == SinkLag::News::Follows) {
            told.infos.push_back(std::string{sink.name} + " follows again");
        } else if (sink.lag.is_late() && now - sink.shown_at >= kShowEvery) {
            show(sink, durable, stored, now, told);
        }
    }
    return told;
}

/// Nothing of one that does not move: that it is late was told.
void SinkLags::show(Sink& sink, std::uint64_t durable, std::uint64_t stored, Nanos now,
                    Told& told) {
    sink.shown_at = now;
    if (stored != sink.shown) {
        sink.shown = stored;
        told.infos.push_back(std::string{sink.name} + " has come to record " +
                             std::to_string(stored) + " of " + std::to_string(durable));
    }
}

}  // namespace millrace
