// Pool: a fixed-capacity table with stable indexes. Allocates at construction only.
#pragma once

#include "core/assert.h"
#include "core/types.h"

#include <cstdint>
#include <memory>

namespace millrace {

/// Items 0 .. used()-1 were handed out at least once. Freed ones are re-used last in, first out:
/// the order depends on the inputs alone, so a replay gives the same indexes.
template <class T>
class Pool {
public:
    explicit Pool(std::uint32_t capacity)
        : items_{std::make_unique<T[]>(capacity)},
          next_free_{std::make_unique<std::uint32_t[]>(capacity)},
          capacity_{capacity} {}

    /// Index of a fresh, value-initialised item; kNoId if the table is full.
    [[nodiscard]] std::uint32_t allocate() noexcept {
        std::uint32_t i = first_free_;
        if (i != kNoId) {
            first_free_ = next_free_[i];
        } else if (used_ < capacity_) {
            i = used_++;
        } else {
            return kNoId;
        }
        items_[i] = T{};
        next_free_[i] = kLive;
        ++live_;
        return i;
    }
    void release(std::uint32_t i) noexcept {
        ASSERT(is_live(i));
        next_free_[i] = first_free_;
        first_free_ = i;
        --live_;
    }

    [[nodiscard]] bool is_live(std::uint32_t i) const noexcept {
        return i < used_ && next_free_[i] == kLive;
    }
    [[nodiscard]] T& operator[](std::uint32_t i) noexcept {
        ASSERT(i < used_);
        return items_[i];
    }
    [[nodiscard]] const T& operator[](std::uint32_t i) const noexcept {
        ASSERT(i < used_);
        return items_[i];
    }
    /// Of an item of this table.
    [[nodiscard]] std::uint32_t index_of(const T& item) const noexcept {
        return static_cast<std::uint32_t>(&item - items_.get());
    }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::uint32_t used() const noexcept { return used_; }
    [[nodiscard]] std::uint32_t live() const noexcept { return live_; }
    [[nodiscard]] bool full() const noexcept { return live_ == capacity_; }

    /// Hands the table's content to `visit(void*, bytes)` in a fixed order, for snapshots: counters
    /// first, so that a reader has set used_ before the items come.
    template <class Visitor>
    void visit(Visitor&& visitor) {
        visitor(&used_, sizeof used_);
        visitor(&live_, sizeof live_);
        visitor(&first_free_, sizeof first_free_);
        ASSERT(used_ <= capacity_);
        visitor(items_.get(), std::size_t{used_} * sizeof(T));
        visitor(next_free_.get(), std::size_t{used_} * sizeof(std::uint32_t));
    }

private:
    static constexpr std::uint32_t kLive = 0xFFFF'FFFEU;

    std::unique_ptr<T[]> items_;
    std::unique_ptr<std::uint32_t[]> next_free_;
    std::uint32_t capacity_ = 0;
    std::uint32_t used_ = 0;
    std::uint32_t live_ = 0;
    std::uint32_t first_free_ = kNoId;
};

}  // namespace millrace
