// RingRoom: how many slots a producer may write, without asking for one: RingProducer counts a
// refusal each time that it is asked in vain, and operators size rings by that count.
#pragma once

#include "ring/spsc_ring.h"

#include <algorithm>
#include <cstdint>

namespace millrace {

/// Belongs beside one RingProducer, of the same ring and thread.
template <class T>
class RingRoom {
public:
    RingRoom() = default;
    explicit RingRoom(RingView<T> view) noexcept : view_{view} {}

    /// Free slots, at most `enough` and less than the capacity, as claim_batch() would give them.
    /// The consumer's line is read only if what was free at the last look does not do: it is
    /// another core's, and a miss costs a hop.
    /// @param written what the producer has published, RingProducer::written().
    [[nodiscard]] std::uint64_t free(std::uint64_t written, std::uint64_t enough) noexcept {
        enough = std::min(enough, view_.capacity() - 1);
        // Beyond a whole lap the last look says nothing: an heir has not looked yet, and results
        // are published without a look between.
        const std::uint64_t unread = written - read_;
        if (unread > view_.capacity() || view_.capacity() - unread < enough) {
            // Relaxed: nothing is written on its strength; claim() looks again with acquire.
            read_ = view_.control->read_cursor.load(std::memory_order_relaxed);
        }
        return std::min(view_.capacity() - (written - read_), enough);
    }

    /// The slot that claim() would give, nullptr if the ring is full.
    [[nodiscard]] const T* next(std::uint64_t written) noexcept {
        return free(written, 1) == 0 ? nullptr : &view_.slot(written + 1).payload;
    }

private:
    RingView<T> view_{};
    std::uint64_t read_ = 0;  // read cursor at the last look; it never goes back
};

}  // namespace millrace
