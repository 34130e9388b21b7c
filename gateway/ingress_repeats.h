// Closes on their way to a disk that does not answer: which ones ingress has handed on already.
#pragma once

#include "core/assert.h"
#include "core/signal.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

namespace millrace {

/// A source whose acks wait for the disk sends again what has no ack: each close once every few
/// seconds, for as long as the journal does not write. The ledger would drop each repeat, but each
/// would take one of the journal ring's slots, which nobody frees then, until no new close can go.
/// So the edge drops those itself: the ack of the first one is on its way.
/// Threads: one. Memory is taken at construction. Crash: forgotten, and repeats go to the ledger.
class HandedOn {
public:
    enum class Place : std::uint8_t { New, Known, Full };

    /// @param most ids that it holds, at least 1.
    explicit HandedOn(std::size_t most) : most_{most}, slots_(std::bit_ceil(most * 2)) {
        ASSERT(most > 0);
    }

    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

    /// Where signal `id` of `source` stands; it takes no place yet.
    [[nodiscard]] Place look(const SignalId& id, SourceId source) const noexcept {
        if (slots_[slot_of(id, source)].id == id) {
            return Place::Known;
        }
        return count_ == most_ ? Place::Full : Place::New;
    }
    /// @pre look() says New
    void insert(const SignalId& id, SourceId source) noexcept {
        ASSERT(count_ < most_);
        Slot& slot = slots_[slot_of(id, source)];
        ASSERT(slot.id.is_none());
        slot = {id, source};
        ++count_;
    }
    /// Its ack has gone out: a repeat is the ledger's again. No effect if it is not there.
    void erase(const SignalId& id, SourceId source) noexcept {
        const std::size_t mask = slots_.size() - 1;
        std::size_t hole = slot_of(id, source);
        if (slots_[hole].id.is_none()) {
            return;
        }
        --count_;
        // Those behind it that a look would no longer reach over the hole move up into it.
        for (std::size_t at = (hole + 1) & mask; !slots_[at].id.is_none(); at = (at + 1) & mask) {
            const std::size_t home = home_of(slots_[at].id, slots_[at].source);
            if (((at - home) & mask) >= ((at - hole) & mask)) {
                slots_[hole] = slots_[at];
                hole = at;
            }
        }
        slots_[hole] = Slot{};
    }
    void clear() noexcept {
        std::fill(slots_.begin(), slots_.end(), Slot{});
        count_ = 0;
    }

private:
    struct Slot {
        SignalId id;  // none = free: no signal has that id
        SourceId source{kNoId};
    };

    /// Where a look for it begins.
    [[nodiscard]] std::size_t home_of(const SignalId& id, SourceId source) const noexcept {
        // The product's upper half: the lower one knows of the ids' low bits alone.
        return (((id.hi ^ id.lo) * 0x9E37'79B9'7F4A'7C15ULL >> 32U) + source.value) &
               (slots_.size() - 1);
    }
    /// Its slot, or the free one that it would take: at least half are free.
    [[nodiscard]] std::size_t slot_of(const SignalId& id, SourceId source) const noexcept {
        const std::size_t mask = slots_.size() - 1;
        std::size_t at = home_of(id, source);
        while (!slots_[at].id.is_none() && !(slots_[at].id == id && slots_[at].source == source)) {
            at = (at + 1) & mask;
        }
        return at;
    }

    std::size_t most_;
    std::size_t count_ = 0;
    std::vector<Slot> slots_;
};

}  // namespace millrace
