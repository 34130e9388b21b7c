// The modelled memory: C++ acquire/release atomics as a view machine.
//
// Every location keeps its stores in modification order. A thread has a *view*: for each location
// the oldest store it may still read. A load may return every store at or after its view; an
// acquire load that reads a release store takes over the storing thread's view. A store goes
// anywhere after the thread's view, not only at the end. See README.md for the fragment modelled.
//
// Everything here is plain bytes of fixed size, so that the explorer can save, restore and hash it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace::model {

inline constexpr std::size_t kLocationsMax = 32;
inline constexpr std::size_t kThreadsMax = 8;
inline constexpr std::size_t kStoresMax = 24;     // a location's, in one execution
inline constexpr std::size_t kMessagesMax = 160;  // all locations'
inline constexpr std::size_t kWordsMax = 192;     // plain (non-atomic) words

/// What a thread must not read behind (`seen`: rank in each location's modification order) and
/// what happened before it (`clock`: for races on plain words).
struct View {
    std::array<std::uint8_t, kLocationsMax> seen{};
    std::array<std::uint8_t, kThreadsMax> clock{};

    void join(const View& other) noexcept;
    /// Only `seen`: fences order accesses without making one thread's past another's.
    void join_seen(const View& other) noexcept;
};

struct Message {
    std::uint64_t value = 0;
    View view{};            // what an acquire load of it takes over
    std::uint64_t rmw = 0;  // 1: a read-modify-write; nothing may come between it and what it read
};

struct Location {
    std::uint8_t count = 0;
    std::array<std::uint8_t, kStoresMax> order{};  // message numbers in modification order
};

/// Who touched a plain word last: the race detector's memory.
struct PlainWord {
    std::uint8_t writer = 0;
    std::uint8_t write_clock = 0;
    std::array<std::uint8_t, kThreadsMax> read_clock{};
};

/// One thread's share of the memory model.
struct ThreadViews {
    View current;               // happens before its next operation
    View acquirable;            // what relaxed loads saw: an acquire fence takes it over
    View released;              // at its last release fence: what a relaxed store passes on
    View light;                 // at its last light fence: what a heavy fence elsewhere collects
    View heavy;                 // what heavy fences elsewhere left for its next light fence
    std::uint64_t touched = 0;  // 1: plain accesses since its last release
};

class Memory {
public:
    using Order = std::memory_order;

    /// A new location holding `initial`. Before the exploration only.
    std::uint8_t add_location(std::uint64_t initial) noexcept;

    // What a thread may do. Choices are numbered from 0; a number is one legal outcome.

    [[nodiscard]] unsigned load_choices(unsigned thread, std::uint8_t at) const noexcept;
    std::uint64_t load(unsigned thread, std::uint8_t at, Order order, unsigned choice) noexcept;

    /// The value the n-th load choice would give; takes nothing.
    [[nodiscard]] std::uint64_t peek(unsigned thread, std::uint8_t at,
                                     unsigned choice) const noexcept;

    [[nodiscard]] unsigned store_choices(unsigned thread, std::uint8_t at) const noexcept;
    void store(unsigned thread, std::uint8_t at, std::uint64_t value, Order order,
               unsigned choice) noexcept;

    /// True if a read-modify-write may read the n-th load choice (no other one has).
    [[nodiscard]] bool can_modify(unsigned thread, std::uint8_t at, unsigned choice) const noexcept;
    /// Reads the n-th load choice and puts `value` right behind it.
    std::uint64_t modify(unsigned thread, std::uint8_t at, std::uint64_t value, Order order,
                         unsigned choice) noexcept;

    void fence(unsigned thread, Order order) noexcept;
    /// Asymmetric pair (P1202; membarrier): a light fence costs nothing, a heavy one stands in
    /// for it. `heavy_fence_on` is one target's interrupt; the caller does one for each thread.
    void light_fence(unsigned thread) noexcept;
    void heavy_fence_on(unsigned caller, unsigned target) noexcept;
    /// The futex's bucket lock: passes on what its last holder saw.
    [[nodiscard]] unsigned kernel_load_choices(unsigned thread, std::uint8_t at) const noexcept;
    void enter_kernel(unsigned thread) noexcept;
    void leave_kernel(unsigned thread) noexcept;

    /// Plain accesses. @return false: a data race, undefined behaviour in C++.
    bool plain_read(unsigned thread, std::size_t word) noexcept;
    bool plain_write(unsigned thread, std::size_t word) noexcept;

    /// `heir` starts after `dead` was proven dead: everything the dead thread did is before it.
    void inherit(unsigned heir, unsigned dead) noexcept;
    void begin(unsigned thread) noexcept;

    /// The last value in modification order: what the location holds in the end.
    [[nodiscard]] std::uint64_t newest(std::uint8_t at) const noexcept;

    /// True if a location or the messages ran out (a scenario too large); never silently.
    [[nodiscard]] bool overflow() const noexcept { return overflow_ != 0; }

    /// Appends to `out` everything that decides the future, independent of the order in which
    /// independent operations were executed, and without what nobody can read any more.
    /// @param alive bit n: thread n runs. @param waiting bit n: it may start yet.
    void digest(std::vector<std::byte>& out, unsigned alive, unsigned waiting) const;

private:
    void insert(unsigned thread, std::uint8_t at, unsigned rank, std::uint64_t value, View view,
                bool rmw) noexcept;
    void shift_views(std::uint8_t at, unsigned rank) noexcept;
    void acquire(unsigned thread, const Message& message, Order order) noexcept;
    void touch(unsigned thread) noexcept;
    void tick(unsigned thread) noexcept;
    [[nodiscard]] unsigned store_rank(unsigned thread, std::uint8_t at,
                                      unsigned choice) const noexcept;
    [[nodiscard]] bool glued(std::uint8_t at, unsigned rank) const noexcept;

    std::array<ThreadViews, kThreadsMax> threads_{};
    std::array<Location, kLocationsMax> at_{};
    std::array<Message, kMessagesMax> messages_{};
    std::array<PlainWord, kWordsMax> plain_{};
    View sc_{};      // of the last seq_cst fence
    View kernel_{};  // of the last holder of the futex's bucket lock
    std::uint32_t locations_ = 0;
    std::uint32_t words_used_ = 0;  // of plain_
    std::uint32_t message_count_ = 0;
    std::uint64_t overflow_ = 0;
};

}  // namespace millrace::model
