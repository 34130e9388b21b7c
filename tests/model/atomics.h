// What explored code uses in the place of std::atomic: every access is the explorer's choice.
#pragma once

#include "tests/model/explorer.h"

#include <concepts>
#include <cstring>

namespace millrace::model {

enum class Kind : std::uint8_t {
    Start,
    Load,
    Store,
    Add,
    Exchange,
    Compare,
    Fence,
    LightFence,
    HeavyFence,
    FutexWait,
    FutexWake,
    PlainRead,
    PlainWrite,
    Finish
};

/// The access a thread is about to make.
struct Access {
    Kind kind = Kind::Start;
    std::uint8_t at = 0;     // location; word for plain accesses; target for HeavyFence
    std::uint8_t taken = 0;  // Compare: 1 if it exchanged
    std::uint8_t unused = 0;
    std::memory_order order = std::memory_order_relaxed;
    std::memory_order fail_order = std::memory_order_relaxed;
    std::uint16_t site = 0;
    std::uint16_t unused2 = 0;
    std::uint64_t value = 0;     // stored, added, expected by a futex wait
    std::uint64_t expected = 0;  // Compare
    std::uint64_t result = 0;    // set by the explorer
};

using Here = std::source_location;

std::uint8_t new_location(std::uint64_t initial);
/// Stops the calling thread until the explorer has made the access; the result is in it.
void perform(Access& access, const Here& here);
void name_location(std::uint8_t at, const char* name);
[[nodiscard]] std::uint64_t newest_value(std::uint8_t at);
/// Number of the plain word at `p`, counted from the start of the shared region.
[[nodiscard]] std::uint8_t word_of(const void* p);

/// std::atomic's shape.
template <std::integral T>
class Atomic {
    using Order = std::memory_order;

public:
    Atomic() : Atomic(T{}) {}
    explicit Atomic(T initial) : at_{new_location(static_cast<std::uint64_t>(initial))} {}

    T load(Order order, Here here = Here::current()) const {
        if (at_ == kSilent) {
            return T{};
        }
        return static_cast<T>(run(Kind::Load, order, 0, here).result);
    }
    void store(T value, Order order, Here here = Here::current()) {
        if (at_ != kSilent) {
            run(Kind::Store, order, bits(value), here);
        }
    }
    T fetch_add(T value, Order order, Here here = Here::current()) {
        return static_cast<T>(run(Kind::Add, order, bits(value), here).result);
    }
    T exchange(T value, Order order, Here here = Here::current()) {
        return static_cast<T>(run(Kind::Exchange, order, bits(value), here).result);
    }
    bool compare_exchange_strong(T& expected, T desired, Order order, Order fail_order,
                                 Here here = Here::current()) {
        Access a = access(Kind::Compare, order, bits(desired));
        a.fail_order = fail_order;
        a.expected = bits(expected);
        perform(a, here);
        expected = static_cast<T>(a.result);
        return a.taken != 0;
    }
    [[nodiscard]] std::uint8_t location() const { return at_; }
    /// For properties only: the last value in modification order. No access.
    [[nodiscard]] T newest() const { return static_cast<T>(newest_value(at_)); }
    /// A counter for inspectors, no part of the protocol: from now on reads 0 and forgets stores.
    /// (It would make every poll in vain a new state.) Before the exploration only.
    void silence() { at_ = kSilent; }
    Atomic& named(const char* name) {
        name_location(at_, name);
        return *this;
    }

private:
    static constexpr std::uint8_t kSilent = 0xFF;

    static std::uint64_t bits(T value) { return static_cast<std::uint64_t>(value); }
    Access access(Kind kind, Order order, std::uint64_t value) const {
        Access a;
        a.kind = kind;
        a.at = at_;
        a.order = order;
        a.value = value;
        return a;
    }
    Access run(Kind kind, Order order, std::uint64_t value, const Here& here) const {
        Access a = access(kind, order, value);
        perform(a, here);
        return a;
    }

    std::uint8_t at_;
    std::uint8_t unused_[7] = {};
};

// Plain words, checked for races; `p` lies in memory of World::make.
inline std::uint64_t plain_read(const std::uint64_t* p, const Here& here = Here::current()) {
    Access a;
    a.kind = Kind::PlainRead;
    a.at = word_of(p);
    perform(a, here);
    return *p;
}
inline void plain_write(std::uint64_t* p, std::uint64_t value, const Here& here = Here::current()) {
    Access a;
    a.kind = Kind::PlainWrite;
    a.at = word_of(p);
    a.value = value;
    perform(a, here);
    *p = value;
}

inline void fence(std::memory_order order, const Here& here = Here::current()) {
    Access a;
    a.kind = Kind::Fence;
    a.order = order;
    perform(a, here);
}
inline void light_fence(const Here& here = Here::current()) {
    Access a;
    a.kind = Kind::LightFence;
    a.order = std::memory_order_seq_cst;
    perform(a, here);
}
/// Interrupts every other thread, one after the other, and is a full fence of the caller.
void heavy_fence(const Here& here = Here::current());

/// futex(FUTEX_WAIT) without a timeout, so that a lost wake is a thread that sleeps for ever.
void futex_wait(std::uint8_t at, std::uint64_t expected, const Here& here = Here::current());
/// futex(FUTEX_WAKE, 1).
void futex_wake(std::uint8_t at, const Here& here = Here::current());

}  // namespace millrace::model
