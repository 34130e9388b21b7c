// SessionQueue: one account's commands, in a ring of the segment whose both ends are the broker
// stage. The state of each command lies beside it in its slot, so a new stage knows exactly what
// a killed one had done.
//
//     Queued ──before the write──▶ Claimed ──RX_ACK, or in doubt──▶ Settled ─▶ slot free
//       │ ▲                           │
//       │ └──proven not received──────┘        (the executor's journal says so, after a reconnect)
//       └──answered Unsent──▶ Answered ─▶ slot free
//
// A command's number in this ring is its sequence on the wire. Numbers sent to an executor only
// grow, with gaps where a command was answered here.
//
// Whoever attaches to the segment leaves this ring's numbers unjudged: damage here is one
// account's. So all that is read from it is looked at first (defect_of()).
#pragma once

#include "core/order_command.h"
#include "shm/segment.h"

namespace millrace {

enum class SlotState : std::uint32_t {
    Queued = 0,    // certainly not at the executor
    Claimed = 1,   // about to be written, or written: may be at the executor
    Settled = 2,   // in the executor's intent journal, or given up to the engine as in doubt
    Answered = 3,  // reported Unsent: must never leave any more
};

/// What lies in a session ring's slot; takes the place of Padded<OrderCommand>.
struct SessionSlot {
    OrderCommand command;
    std::uint32_t state = 0;  // SlotState
    std::uint32_t reserved = 0;
    std::uint64_t journal_id = 0;  // Claimed: intent journal of the executor it was written to
    Nanos seen;                    // when the broker stage took it from `orders`
    std::uint64_t reserved2[2] = {};
};
static_assert(sizeof(SessionSlot) == sizeof(OrderSlot) && kRingPayload<SessionSlot>);

/// Identity of a command among the engine's outputs.
struct OutputId {
    std::uint64_t seq = 0;
    std::uint32_t k = 0;
    friend constexpr auto operator<=>(const OutputId&, const OutputId&) = default;
};
[[nodiscard]] inline OutputId output_id(const OrderCommand& c) noexcept {
    return {c.seq.value, c.k};
}

/// Threads: the broker stage. Crash: every member function changes shared memory by one release
/// store at most, after everything that store stands for.
class SessionQueue {
public:
    SessionQueue() = default;

    /// Continues where the last broker stage was killed. The caller has judged the ring's numbers
    /// (Segment::check_ring).
    /// @return BadCursor, and what contradicts itself.
    [[nodiscard]] static Result<SessionQueue> attach(RingView<SessionSlot> view,
                                                     AccountId account) noexcept {
        auto producer = RingProducer<SessionSlot>::attach(view);
        if (!producer) {
            return producer.error();
        }
        SessionQueue q;
        q.view_ = view;
        q.mask_ = view.capacity() - 1;
        q.account_ = account;
        q.producer_ = producer.value();
        // Relaxed: this thread is the only consumer.
        q.released_ = view.control->read_cursor.load(std::memory_order_relaxed);
        if (const SessionSlot* newest = q.producer_.last(); newest != nullptr) {
            if (const char* defect = q.defect_of(q.last()); defect != nullptr) {
                return {Errc::BadCursor, defect};
            }
            q.newest_ = output_id(newest->command);
        }
        if (const char* defect = q.defect_anywhere(); defect != nullptr) {
            return {Errc::BadCursor, defect};
        }
        return q;
    }

    /// What is wrong with slot `n`; nullptr if nothing is. @param n first() .. last(), or the
    /// newest of an empty queue.
    [[nodiscard]] const char* defect_of(std::uint64_t n) const noexcept {
        const auto& slot = slot_of(n);
        // Relaxed: this thread is the only producer.
        if (slot.sequence.load(std::memory_order_relaxed) != n) {
            return "queue: a slot holds another number than the one that was written";
        }
        if (slot.payload.state > static_cast<std::uint32_t>(SlotState::Answered)) {
            return "queue: the state of a command is none that there is";
        }
        if (slot.payload.command.account != account_) {
            return "queue: a command is another account's";
        }
        return nullptr;
    }
    /// The same of every slot that holds a command, of their order, and of the cursor.
    [[nodiscard]] const char* defect_anywhere() const noexcept {
        OutputId before{};
        for (std::uint64_t n = first(); n <= last(); ++n) {
            if (const char* defect = defect_of(n); defect != nullptr) {
                return defect;
            }
            const OutputId id = output_id(at(n).command);
            if (id <= before) {
                return "queue: its commands are not in the engine's order";
            }
            before = id;
        }
        return front_defect();
    }
    /// The same of the cursor, the capacity and the oldest command alone, which every command
    /// becomes in time: cheap enough for every duty cycle.
    [[nodiscard]] const char* front_defect() const noexcept {
        // Relaxed, both: nobody writes the one, this thread alone the other.
        if (std::atomic_ref<std::uint32_t>{view_.control->capacity}.load(
                std::memory_order_relaxed) != mask_ + 1) {
            return "queue: its capacity was changed";
        }
        if (view_.control->read_cursor.load(std::memory_order_relaxed) != released_) {
            return "queue: its read cursor was changed";
        }
        return released_ == last() ? nullptr : defect_of(first());
    }

    /// Puts the capacity back that the directory of rings names, for whoever attaches next: they
    /// refuse a segment whose rings contradict it. No change if it is right.
    void mend_capacity() const noexcept {
        if (view_.control != nullptr) {
            // Relaxed: nobody takes anything from this word but that it is right.
            std::atomic_ref<std::uint32_t>{view_.control->capacity}.store(
                static_cast<std::uint32_t>(mask_ + 1), std::memory_order_relaxed);
        }
    }

    /// Appends a command and tells inspectors how full the queue is and, if it is full, for how
    /// long. @param seen the stage's clock. @return RingFull; nothing changed.
    [[nodiscard]] Result<std::uint64_t> push(const OrderCommand& command, Nanos seen) noexcept {
        SessionSlot slot;
        slot.command = command;
        slot.seen = seen;
        auto number = producer_.try_publish(slot);
        // Here, not with release_settled(): a queue is deepest before its commands are settled.
        producer_.publish_stats(seen.value);
        if (number) {
            newest_ = output_id(command);
        }
        return number;
    }

    /// True if what is free is kept for closes, modifies and cancels: an eighth. Entries that wait
    /// for the disk or a slow executor must not shut the way out.
    [[nodiscard]] bool is_full_for_entries() const noexcept {
        const std::uint64_t slots = mask_ + 1;
        return producer_.written() - released_ >= slots - slots / 8;
    }

    /// Numbers that hold a command: first() .. last(), empty if first() > last().
    [[nodiscard]] std::uint64_t first() const noexcept { return released_ + 1; }
    [[nodiscard]] std::uint64_t last() const noexcept { return producer_.written(); }

    /// @param n first() .. last().
    [[nodiscard]] SessionSlot& at(std::uint64_t n) const noexcept {
        ASSERT(n > released_);
        ASSERT(n <= last());
        return slot_of(n).payload;
    }
    [[nodiscard]] SlotState state(std::uint64_t n) const noexcept {
        return static_cast<SlotState>(at(n).state);
    }
    void set_state(std::uint64_t n, SlotState state) noexcept {
        // Release: what the new state stands for (a report published, a journal id noted) is in
        // memory before it; a successor after a SIGKILL reads both.
        std::atomic_ref<std::uint32_t>{at(n).state}.store(static_cast<std::uint32_t>(state),
                                                          std::memory_order_release);
    }

    /// The latest command that was pushed; {0, 0} if there was none. The front of `orders` is it,
    /// if the stage was killed between pushing and releasing, or comes after it.
    [[nodiscard]] OutputId newest() const noexcept { return newest_; }

    /// Frees the slots at the front that nobody needs any more. @return slots freed.
    std::uint64_t release_settled() noexcept {
        std::uint64_t n = released_;
        while (n < last() && is_over(n + 1)) {
            ++n;
        }
        const std::uint64_t freed = n - released_;
        if (freed > 0) {
            released_ = n;
            // Release: pairs with the acquire in RingProducer::claim(); our reads are done.
            view_.control->read_cursor.store(n, std::memory_order_release);
        }
        return freed;
    }

private:
    /// By our own copy of the capacity: a damaged one leads nowhere before it is noticed.
    [[nodiscard]] RingSlot<SessionSlot>& slot_of(std::uint64_t n) const noexcept {
        ASSERT(n != 0);
        return view_.slots[(n - 1) & mask_];
    }
    [[nodiscard]] bool is_over(std::uint64_t n) const noexcept {
        return state(n) == SlotState::Settled || state(n) == SlotState::Answered;
    }

    RingView<SessionSlot> view_{};
    std::uint64_t mask_ = 0;  // capacity - 1, as it was judged when the segment was attached
    RingProducer<SessionSlot> producer_{};
    AccountId account_{kNoId};
    OutputId newest_;
    std::uint64_t released_ = 0;
};

}  // namespace millrace
