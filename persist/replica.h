// Replica: the same engine over the durable log. Writes the effects log that the sinks follow and
// the snapshots, compares its output hash with the live engine's, and is ready to take over.
//
// It never goes beyond `completed`: what the engine has journalled but not finished is for the next
// engine to publish, so the outputs of everything the replica has applied are known to be out.
#pragma once

#include "core/engine.h"
#include "persist/book_check.h"
#include "persist/core_stage.h"
#include "persist/effects_log.h"
#include "persist/journal_reader.h"
#include "persist/skip_list.h"

#include <future>
#include <memory>
#include <optional>
#include <string>

namespace millrace {

class Replica {
public:
    Replica(Segment& segment, const CoreOptions& options);
    ~Replica();

    /// One duty cycle: takes role "replica" if it is free, rebuilds its state, follows the log.
    int step(Nanos now) noexcept;
    [[nodiscard]] bool idle() const noexcept;
    /// For an orderly stop: true when it has followed the log to its end and a snapshot stands
    /// there, from which another logic version may go on. The first call asks for that snapshot.
    /// One that cannot be written is reported and not waited for (but one that was under way when
    /// the stop came is tried again); none is taken from the first record on at which the live
    /// engine's outputs differed.
    [[nodiscard]] bool drained() const noexcept;
    /// Empty, or why it cannot go on.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

    /// Its engine, for the take-over; nullptr if it had not caught up to any state yet. The
    /// replica is finished afterwards.
    [[nodiscard]] std::unique_ptr<Engine> hand_over() noexcept;

private:
    /// Effects go to the log; orders and results were published by the live engine.
    class Port final : public OutputPort {
    public:
        explicit Port(Replica& replica) : replica_{&replica} {}
        void order(const OrderCommand&) noexcept override {}
        void result(const SignalResult&) noexcept override {}
        void effect(const Effect& effect) noexcept override;
        [[nodiscard]] bool effects_wanted() const noexcept override { return true; }

    private:
        Replica* replica_;
    };

    [[nodiscard]] bool begin() noexcept;
    [[nodiscard]] bool begin_effects_anew(const LogCursor& mark) noexcept;
    [[nodiscard]] Sequence limit() const noexcept;
    void apply(const JournalRecord& record) noexcept;
    void compare_hash() noexcept;
    void maybe_snapshot(Nanos now) noexcept;
    [[nodiscard]] bool differs() const noexcept;
    [[nodiscard]] Nanos first_snapshot_wait() const;
    void fail(std::string why) noexcept;

    Segment* segment_;
    CoreOptions options_;
    RoleLock lock_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<LogSource> source_;
    std::optional<JournalReader> reader_;
    SkipList skips_;
    std::optional<EffectsWriter> effects_;
    std::optional<BookCheck> books_;  // against what brokers have
    Port port_;
    Nanos next_snapshot_;
    Sequence snapshot_seq_;
    std::future<Status> snapshot_;   // compressed and written beside the duty cycle
    mutable bool stops_ = false;     // drained() was asked: a snapshot is due at the log's end
    bool snapshot_at_stop_ = false;  // the latest one was begun after that
    mutable bool snapshot_failed_ = false;  // and could not be written
    std::string failure_;
};

}  // namespace millrace
