// TimerHeap: the earliest deadline first; at most one timer per order. Fixed capacity.
#pragma once

#include "core/assert.h"
#include "core/types.h"

#include <cstdint>
#include <memory>

namespace millrace {

/// Binary heap of (deadline, order) with each order's place kept, so that a timer can be moved or
/// cancelled in O(log n). Ties go to the lower index: a replay fires in the same order.
class TimerHeap {
public:
    explicit TimerHeap(std::uint32_t orders_max)
        : heap_{std::make_unique<Entry[]>(orders_max)},
          place_{std::make_unique<std::uint32_t[]>(orders_max)},
          capacity_{orders_max} {
        for (std::uint32_t i = 0; i < orders_max; ++i) {
            place_[i] = kNoId;
        }
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] Nanos earliest() const noexcept { return heap_[0].deadline; }
    [[nodiscard]] std::uint32_t earliest_order() const noexcept { return heap_[0].order; }

    /// Sets or moves `order`'s timer.
    void set(std::uint32_t order, Nanos deadline) noexcept {
        ASSERT(order < capacity_);
        if (place_[order] == kNoId) {
            place_[order] = size_;
            heap_[size_] = {deadline, order};
            ++size_;
        } else {
            heap_[place_[order]].deadline = deadline;
        }
        sift_down(sift_up(place_[order]));
    }

    void cancel(std::uint32_t order) noexcept {
        ASSERT(order < capacity_);
        const std::uint32_t at = place_[order];
        if (at == kNoId) {
            return;
        }
        place_[order] = kNoId;
        --size_;
        if (at != size_) {
            put(at, heap_[size_]);
            sift_down(sift_up(at));
        }
    }

    [[nodiscard]] bool is_set(std::uint32_t order) const noexcept { return place_[order] != kNoId; }

    template <class Visitor>
    void visit(Visitor&& visitor) {
        visitor(&size_, sizeof size_);
        ASSERT(size_ <= capacity_);
        visitor(heap_.get(), std::size_t{size_} * sizeof(Entry));
    }
    /// After a load: finds each order's place again.
    void rebuild_places() noexcept {
        for (std::uint32_t i = 0; i < capacity_; ++i) {
            place_[i] = kNoId;
        }
        for (std::uint32_t i = 0; i < size_; ++i) {
            place_[heap_[i].order] = i;
        }
    }

private:
    struct Entry {
        Nanos deadline;
        std::uint32_t order = kNoId;
        std::uint32_t reserved = 0;
    };
    static bool before(const Entry& a, const Entry& b) noexcept {
        return a.deadline < b.deadline || (a.deadline == b.deadline && a.order < b.order);
    }
    void put(std::uint32_t at, const Entry& e) noexcept {
        heap_[at] = e;
        place_[e.order] = at;
    }
    std::uint32_t sift_up(std::uint32_t at) noexcept {
        const Entry e = heap_[at];
        while (at > 0 && before(e, heap_[(at - 1) / 2])) {
            put(at, heap_[(at - 1) / 2]);
            at = (at - 1) / 2;
        }
        put(at, e);
        return at;
    }
    void sift_down(std::uint32_t at) noexcept {
        const Entry e = heap_[at];
        for (;;) {
            std::uint32_t child = 2 * at + 1;
            if (child >= size_) {
                break;
            }
            if (child + 1 < size_ && before(heap_[child + 1], heap_[child])) {
                ++child;
            }
            if (!before(heap_[child], e)) {
                break;
            }
            put(at, heap_[child]);
            at = child;
        }
        put(at, e);
    }

    std::unique_ptr<Entry[]> heap_;
    std::unique_ptr<std::uint32_t[]> place_;
    std::uint32_t capacity_ = 0;
    std::uint32_t size_ = 0;
};

}  // namespace millrace
