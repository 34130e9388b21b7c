// EngineDriver: carries the engine's rings to and fro. The engine decides, the driver moves.
//
// For each input, rule 2 of the design, in this order and with a crash point between any two:
//     (a) publish the record to the journal ring        = the commit point
//     (b) apply it
//     (c) publish its outputs, each with (seq, k)
//     (d) completed = seq
//     (e) advance the input ring's cursor
//
//     engine_driver.cpp         taking over, with what a predecessor left
//     engine_driver_poll.cpp    inputs, one after the other: the hot path
//     engine_driver_cells.cpp   what others read of it
#pragma once

#include "core/engine.h"
#include "persist/engine_outputs.h"
#include "ring/spsc_ring.h"
#include "shm/segment.h"

#include <string>
#include <vector>

namespace millrace {

class EngineDriver {
public:
    /// Attaches to the rings as the engine. The caller owns role "engine" and has brought `engine`
    /// to some record at or below `completed` (or to the end of the log, in a new segment).
    /// @return BadCursor if a ring contradicts itself; `message` names it.
    static Result<EngineDriver> attach(Segment& segment, std::string& message);

    /// Same segment: applies what the journal ring holds beyond the engine's state, publishes the
    /// outputs above `completed` that are missing, moves the input cursors, journals a Start.
    /// @param files_applied the engine has every record of the journal files below
    /// oldest_in_ring(). Without that, a Jump follows nothing: how many records of the segment
    /// before stand in front of it, the ring does not know.
    /// @return NotFound if the ring no longer holds the record after engine.seq(): bring the engine
    /// further with the journal files first (oldest_in_ring()).
    [[nodiscard]] Status resume(Engine& engine, std::uint64_t epoch, bool files_applied = false);

    /// New segment: jumps past every id that may have left the host, marks what was in flight
    /// IN_DOUBT. The journal stage must be running. `engine` is at the end of the log.
    void begin(Engine& engine, std::uint64_t epoch);

    /// True if no record was ever published to this segment's journal ring, or only the Jump.
    [[nodiscard]] bool is_new_segment() const noexcept;
    /// Sequence of the oldest record that the journal ring held whole at attach(), and holds until
    /// this engine writes; 0 if it was empty.
    [[nodiscard]] std::uint64_t oldest_in_ring() const noexcept;

    /// Takes at most `limit` inputs. Order: admin, reports, results owed, deadlines, deferred work,
    /// signals.
    /// @return inputs taken. No allocation, no syscall but doorbells.
    int poll(Engine& engine, Nanos now, int limit) noexcept;

    /// True if poll() would find nothing at `now`.
    [[nodiscard]] bool idle(const Engine& engine, Nanos now) const noexcept;

    /// True while the record that it begins with finds no room, for the journal stands: until there
    /// is some, nothing else can be taken either. No bell tells of it.
    [[nodiscard]] bool waits_for_room() const noexcept { return owes_start_; }

    /// Copies what inspectors, the broker stage and ingress want to know into the segment.
    void publish_cells(Engine& engine) noexcept;

private:
    template <class Slot>
    struct Input {
        RingConsumer<Slot> ring;
        std::uint32_t index = kNoId;    // in the ring directory
        std::uint32_t results = kNoId;  // signals: index into outputs_' result rings
    };

    explicit EngineDriver(Segment& segment) : segment_{&segment} {}
    [[nodiscard]] Status attach_rings(std::string& message);
    [[nodiscard]] bool journal_free(const Engine& engine, Nanos now) noexcept;
    [[nodiscard]] bool can_take(const Engine& engine) noexcept;
    [[nodiscard]] bool take_admin(Engine& engine, Nanos now) noexcept;
    [[nodiscard]] bool take_report(Engine& engine, Nanos now) noexcept;
    [[nodiscard]] bool take_owed(Engine& engine, Nanos now) noexcept;
    [[nodiscard]] std::uint32_t room_for_owed(const Engine& engine, SourceId source) noexcept;
    void owe_start(Engine& engine, std::uint64_t epoch, std::uint32_t new_segment);
    void pay_start(Engine& engine, Nanos now) noexcept;
    void answer_admin(const Engine& engine) noexcept;
    [[nodiscard]] bool take_rate(Engine& engine, Nanos now) noexcept;
    [[nodiscard]] bool take_deferred(Engine& engine, Nanos now) noexcept;
    [[nodiscard]] bool take_signal(Engine& engine, Nanos now) noexcept;
    [[nodiscard]] bool has_credit(const Engine& engine, const Input<SignalSlot>& in,
                                  const Signal& signal) noexcept;
    JournalRecord& begin_record(const Engine& engine, Nanos now, SymbolId symbol,
                                std::uint32_t ring, std::uint64_t cursor,
                                std::uint64_t budget = kBudgetMin) noexcept;
    void commit_record(Engine& engine, const JournalRecord& record) noexcept;
    void release_input(std::uint32_t ring, std::uint64_t cursor) noexcept;
    void note_hash(Engine& engine) noexcept;
    void note_account(const Engine& engine, AccountId account) noexcept;
    void note_accounts(const Engine& engine) noexcept;

    Segment* segment_;
    RingProducer<JournalRecord> journal_;
    RingRoom<JournalRecord> journal_room_;
    std::uint64_t first_whole_ = 1;  // ring number of the oldest record that a predecessor left
    Input<AdminSlot> admin_;
    Input<ReportSlot> reports_;
    std::vector<Input<SignalSlot>> signals_;
    std::size_t next_signal_ = 0;
    // What the journal stage was seen to have reserved. It only grows, and it stands on a line that
    // is written with each commit to disk: looked at when these no longer suffice.
    std::uint64_t reserved_seq_ = 0;
    std::uint64_t reserved_intent_ = 0;
    // The record that an engine begins with: written at once, or, where the ring of a journal that
    // stands is full, as soon as there is room.
    bool owes_start_ = false;
    StartInput start_;
    bool told_too_many_ = false;  // of a signal whose results no ring of its source can take
    EngineOutputs outputs_;
};

}  // namespace millrace
