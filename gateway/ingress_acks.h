// Acks that wait for the disk: a bounded FIFO, emptied as the journal's `durable` mark moves.
#pragma once

#include "core/assert.h"
#include "core/signal.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace {

/// Results leave the engine in journal order, so the oldest ack is always the first whose level
/// holds; no search, no heap. A Duplicate waits for its original, which is older still: behind a
/// younger ack it is at most one group commit late.
/// Threads: one. Memory is taken at construction. Crash: what is parked here is lost with the
/// process; the source resends the signals whose ack it has not seen.
class ParkedAcks {
public:
    explicit ParkedAcks(std::size_t capacity) : slots_(capacity) { ASSERT(capacity > 0); }

    /// The journal record that must be durable before the source may be told.
    [[nodiscard]] static Sequence needs(const SignalResult& r) noexcept {
        return r.kind == ResultKind::Duplicate && r.original.value != 0 ? r.original : r.seq;
    }

    [[nodiscard]] bool full() const noexcept { return count_ == slots_.size(); }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }

    /// @pre !full()
    void push(const SignalResult& r) noexcept {
        ASSERT(!full());
        slots_[(first_ + count_) % slots_.size()] = r;
        ++count_;
    }
    /// The oldest ack if its level holds at `durable`, else nullptr. Valid until pop().
    [[nodiscard]] const SignalResult* ready(Sequence durable) const noexcept {
        if (empty() || needs(slots_[first_]) > durable) {
            return nullptr;
        }
        return &slots_[first_];
    }
    /// @pre !empty()
    void pop() noexcept {
        ASSERT(!empty());
        first_ = (first_ + 1) % slots_.size();
        --count_;
    }

private:
    std::vector<SignalResult> slots_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
};

}  // namespace millrace
