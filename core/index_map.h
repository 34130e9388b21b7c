// IndexMap: key -> table index, open addressing, fixed capacity. Never iterated: its order is
// nobody's business, so no decision can depend on a hash.
#pragma once

#include "core/assert.h"
#include "core/types.h"

#include <bit>
#include <cstdint>
#include <memory>

namespace millrace {

/// Finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

/// Two 64-bit halves: a SignalId, or (account, number).
struct Key128 {
    std::uint64_t hi = 0;
    std::uint64_t lo = 0;
    friend constexpr bool operator==(const Key128&, const Key128&) = default;
};
[[nodiscard]] constexpr Key128 key_of(const SignalId& id) noexcept {
    return {id.hi, id.lo};
}
[[nodiscard]] constexpr Key128 key_of(AccountId account, std::uint64_t number) noexcept {
    return {account.value + std::uint64_t{1}, number};
}

/// Where a key would like to lie: anywhere.
struct Scattered {
    static constexpr std::uint64_t home(const Key128& k) noexcept {
        return mix64(k.hi ^ mix64(k.lo));
    }
};
/// For numbers that count up, unique by themselves: eight in a row lie side by side, so that a
/// fan-out touches an eighth of the cache lines. Only runs of eight: whole long-lived runs in
/// their natural order would make others probe to their end.
struct RunsOfEight {
    static constexpr std::uint64_t home(const Key128& k) noexcept {
        return mix64(k.lo >> 3U) << 3U | (k.lo & 7U);
    }
};

/// Linear probing at a load of at most one half; deletion shifts back, so there are no tombstones
/// and a lookup ends at the first empty slot.
template <class Homes>
class BasicIndexMap {
public:
    explicit BasicIndexMap(std::uint32_t entries_max)
        : mask_{std::bit_ceil(entries_max < 8 ? 16U : entries_max * 2U) - 1},
          slots_{std::make_unique<Slot[]>(std::size_t{mask_} + 1)} {}

    /// Index stored under `key`, kNoId if none.
    [[nodiscard]] std::uint32_t find(const Key128& key) const noexcept {
        for (std::uint32_t i = home(key);; i = (i + 1) & mask_) {
            if (slots_[i].index == kNoId || slots_[i].key == key) {
                return slots_[i].index;
            }
        }
    }

    /// Brings the slot of `key` near, for a find() or insert() soon.
    void prefetch(const Key128& key) const noexcept { __builtin_prefetch(&slots_[home(key)]); }

    /// Stores or replaces. The caller's table bounds the number of keys.
    void insert(const Key128& key, std::uint32_t index) noexcept {
        std::uint32_t i = home(key);
        while (slots_[i].index != kNoId && !(slots_[i].key == key)) {
            i = (i + 1) & mask_;
        }
        if (slots_[i].index == kNoId) {
            ++size_;
            ASSERT(size_ <= mask_ / 2 + 1);
        }
        slots_[i] = {key, index};
    }

    void erase(const Key128& key) noexcept {
        std::uint32_t hole = home(key);
        while (!(slots_[hole].key == key)) {
            if (slots_[hole].index == kNoId) {
                return;
            }
            hole = (hole + 1) & mask_;
        }
        if (slots_[hole].index == kNoId) {
            return;
        }
        --size_;
        // Move later members of the run into the hole unless that would pass their home slot.
        for (std::uint32_t i = (hole + 1) & mask_; slots_[i].index != kNoId; i = (i + 1) & mask_) {
            if (((i - home(slots_[i].key)) & mask_) >= ((i - hole) & mask_)) {
                slots_[hole] = slots_[i];
                hole = i;
            }
        }
        slots_[hole] = {};
    }

    void clear() noexcept {
        for (std::uint32_t i = 0; i <= mask_; ++i) {
            slots_[i] = {};
        }
        size_ = 0;
    }

private:
    struct Slot {
        Key128 key;
        std::uint32_t index = kNoId;
    };
    [[nodiscard]] std::uint32_t home(const Key128& k) const noexcept {
        return static_cast<std::uint32_t>(Homes::home(k)) & mask_;
    }

    std::uint32_t mask_;
    std::uint32_t size_ = 0;
    std::unique_ptr<Slot[]> slots_;
};
using IndexMap = BasicIndexMap<Scattered>;
using RunIndexMap = BasicIndexMap<RunsOfEight>;

}  // namespace millrace
