#include "tools/millrace/sink_lags.h"

#include <algorithm>

namespace millrace {

SinkLag::News SinkLag::look(std::uint64_t owed, std::uint64_t stored, Nanos now) noexcept {
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
    if (owed > stored && is_time && count_ < kMarks) {
        marks_[count_++] = {owed, awake_};
    }
    follows = follows || (count_ == 0 && stored >= owed);  // in one leap
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

/// A store's cursor goes from effect to effect, and many a record has none: in a night without
/// trading it stands below the journal's end and lacks nothing. So what it owes is the first record
/// behind the one that the replica had come to when it began to write more effects.
void SinkLags::look_at_effects(const CoreCells& core) noexcept {
    // Acquire: pairs with the replica's release: the effects of all up to here are counted below,
    // so those that are counted later are of later records.
    const std::uint64_t applied = core.replica_applied.load(std::memory_order_acquire);
    const std::uint64_t written = core.effects_written.load(std::memory_order_relaxed);
    if (written > written_) {
        owed_ = std::max(owed_, applied_ + 1);
    }
    applied_ = applied;
    written_ = written;  // less than before: another replica counts
}

SinkLags::Told SinkLags::turn(const CoreCells& core, Nanos now) {
    Told told;
    look_at_effects(core);
    for (Sink& sink : sinks_) {
        if (!sink.enabled) {
            continue;
        }
        // Relaxed: a cursor that only rises; an older value is looked at again.
        const std::uint64_t stored = (core.*sink.stored).load(std::memory_order_relaxed);
        const SinkLag::News news = sink.lag.look(owed_, stored, now);
        if (news == SinkLag::News::Late) {
            // A large store that is being checked, or a first generation that is being filled, may
            // lack nothing, or nothing that anybody could have read.
            const char* what = stored == 0 ? "for 30 s it has not said how far it is: it is being "
                                             "checked or filled, or is out of reach"
                                           : "it lacks what has been in the effects log for 30 s";
            told.alerts.push_back(std::string{sink.name} + " lags: " + what +
                                  ". Trading goes on; that log keeps what it lacks");
            sink.shown = stored;
            sink.shown_at = now;
        } else if (news == SinkLag::News::Follows) {
            told.infos.push_back(std::string{sink.name} + " follows again");
        } else if (sink.lag.is_late() && now - sink.shown_at >= kShowEvery) {
            show(sink, stored, now, told);
        }
    }
    return told;
}

/// Nothing of one that does not move: that it is late was told.
void SinkLags::show(Sink& sink, std::uint64_t stored, Nanos now, Told& told) const {
    sink.shown_at = now;
    if (stored != sink.shown) {
        sink.shown = stored;
        told.infos.push_back(std::string{sink.name} + " has come to record " +
                             std::to_string(stored) + " of " + std::to_string(applied_));
    }
}

}  // namespace millrace
