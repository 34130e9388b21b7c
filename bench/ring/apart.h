// The design that is left to try beside ring/adr/0001: the slots' numbers in an array of their own,
// so that a payload of 64 bytes fills its line and moves one line and a fraction of another one.
// Every message is visible at once, by a release store of its own number.
#pragma once

#include "bench/ring/hints.h"
#include "bench/ring/queues.h"

namespace millrace::bench {

/// What a variant of the numbers apart changes; as it stands, nothing.
struct ApartPlain {
    using Number = std::uint64_t;               // 8 a line; narrower ones wrap, which an heir of
                                                // the producer would have to live with
    static constexpr std::uint64_t kLag = 32;   // records between two releases, as take() has
    static constexpr std::uint64_t kAhead = 0;  // slots ahead that the producer asks for to write,
                                                // such as are known to be given back
    static constexpr std::uint64_t kLook = 0;   // slots ahead that the consumer asks for to read,
                                                // such as have been published
};

/// @tparam Change derived from ApartPlain.
template <std::size_t W, class Change>
struct NumbersApart {
    static constexpr bool kProcesses = true;
    using Number = typename Change::Number;
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> read{0};
    alignas(kCacheLineBytes) std::atomic<Number> numbers[kCapacity] = {};
    alignas(kCacheLineBytes) Message<W> slots[kCapacity];

    const Message<W>& slot(std::uint64_t index) const noexcept { return slots[index % kCapacity]; }

    struct Near {
        explicit Near(NumbersApart& queue) : q{queue} {}

        bool push(std::uint64_t n, std::uint64_t stamp) noexcept {
            if (written == free_until) {
                free_until = q.read.load(std::memory_order_acquire) + kCapacity;  // with release()
                if (written == free_until) {
                    return false;
                }
            }
            if (Change::kAhead != 0 && written + Change::kAhead < free_until) {
                ask_to_write(q.slot(written + Change::kAhead));
            }
            write_words(q.slots[written % kCapacity].words, 0, n, stamp);
            auto& number = q.numbers[written % kCapacity];
            ++written;
            number.store(static_cast<Number>(written), std::memory_order_release);  // with pop()
            return true;
        }

        NumbersApart& q;
        std::uint64_t written = 0;
        std::uint64_t free_until = kCapacity;
    };

    struct Far {
        explicit Far(NumbersApart& queue) : q{queue} {}

        Got pop() noexcept {
            if (q.numbers[next % kCapacity].load(std::memory_order_acquire) !=
                static_cast<Number>(next + 1)) {  // pairs with push()
                if (released != next) {
                    release();
                }
                return {};
            }
            if (next - released >= Change::kLag) {
                release();
            }
            if constexpr (Change::kLook != 0) {
                // Relaxed: it decides of a hint only.
                const std::uint64_t ahead = next + Change::kLook;
                if (q.numbers[ahead % kCapacity].load(std::memory_order_relaxed) ==
                    static_cast<Number>(ahead + 1)) {
                    ask_to_read(q.slot(ahead));
                }
            }
            return q.slot(next++).got();
        }
        void release() noexcept {
            q.read.store(next, std::memory_order_release);  // pairs with push()
            released = next;
        }

        NumbersApart& q;
        std::uint64_t next = 0;
        std::uint64_t released = 0;
    };
};

}  // namespace millrace::bench
