// Strong scalar types of the domain. They do not convert into each other.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace millrace {

/// Line size that producer and consumer data are kept apart by. 128, not 64: adjacent-line
/// prefetch on x86 and big cores on AArch64 pull pairs of lines.
inline constexpr std::size_t kCacheLineBytes = 128;

/// A scalar with a meaning. Same layout as `Rep`, so it may live in shared and on-disk structs.
template <class Rep, class Tag>
struct Tagged {
    Rep value{};

    Tagged() = default;
    constexpr explicit Tagged(Rep v) noexcept : value{v} {}
    friend constexpr auto operator<=>(const Tagged&, const Tagged&) = default;
};

/// Position in the journal, 1-based; 0 = none. Gaps exist only at a journalled Jump.
using Sequence = Tagged<std::uint64_t, struct SequenceTag>;

/// Nanoseconds since the Unix epoch on the segment's clock (see shm/clock.h): monotonic, anchored
/// to wall time once per boot. As a duration where the name says so (`_ns`).
struct Nanos : Tagged<std::int64_t, struct NanosTag> {
    using Tagged::Tagged;
    friend constexpr Nanos operator+(Nanos a, Nanos b) noexcept { return Nanos{a.value + b.value}; }
    friend constexpr Nanos operator-(Nanos a, Nanos b) noexcept { return Nanos{a.value - b.value}; }
};
constexpr Nanos millis(std::int64_t n) noexcept {
    return Nanos{n * 1'000'000};
}
constexpr Nanos seconds(std::int64_t n) noexcept {
    return Nanos{n * 1'000'000'000};
}

/// Fixed-point scale of prices, volumes, money and ratios: 1e-8. Exact for every MT5 digit count
/// and for 8-digit crypto feeds; int64 reaches 9.2e10.
inline constexpr std::int64_t kScale = 100'000'000;

/// Price in 1e-8 of the quote currency; 0 = not given.
using Price = Tagged<std::int64_t, struct PriceTag>;

/// Volume in 1e-8 lots.
struct Lots : Tagged<std::int64_t, struct LotsTag> {
    using Tagged::Tagged;
    friend constexpr Lots operator+(Lots a, Lots b) noexcept { return Lots{a.value + b.value}; }
    friend constexpr Lots operator-(Lots a, Lots b) noexcept { return Lots{a.value - b.value}; }
};

/// Amount in 1e-8 of the account's deposit currency.
using Money = Tagged<std::int64_t, struct MoneyTag>;

/// Dimensionless factor in 1e-8.
using Ratio = Tagged<std::int64_t, struct RatioTag>;

/// UUID of a signal, given by its source; the key of the dedupe ledger. All zero = none.
struct SignalId {
    std::uint64_t hi = 0;
    std::uint64_t lo = 0;
    friend constexpr auto operator<=>(const SignalId&, const SignalId&) = default;
    [[nodiscard]] constexpr bool is_none() const noexcept { return hi == 0 && lo == 0; }
};

/// MT5 magic number, the client order id on that platform: tag15 | intent45 | attempt3, 63 bits
/// because MT5 gives it back as a signed long. reference: MQL5 ORDER_MAGIC.
struct Magic : Tagged<std::uint64_t, struct MagicTag> {
    using Tagged::Tagged;
    static constexpr unsigned kAttemptBits = 3;
    static constexpr unsigned kIntentBits = 45;
    static constexpr unsigned kTagBits = 15;
    static constexpr Magic make(std::uint64_t tag, std::uint64_t intent,
                                unsigned attempt) noexcept {
        return Magic{(tag << (kIntentBits + kAttemptBits)) | (intent << kAttemptBits) | attempt};
    }
    [[nodiscard]] constexpr std::uint64_t tag() const noexcept {
        return value >> (kIntentBits + kAttemptBits);
    }
    [[nodiscard]] constexpr std::uint64_t intent() const noexcept {
        return (value >> kAttemptBits) & ((std::uint64_t{1} << kIntentBits) - 1);
    }
    [[nodiscard]] constexpr unsigned attempt() const noexcept {
        return static_cast<unsigned>(value & ((1U << kAttemptBits) - 1));
    }
};

/// Dense ids handed out by the configuration, journalled, never re-used; index into the engine's
/// fixed tables. kNoId = none.
using AccountId = Tagged<std::uint32_t, struct AccountIdTag>;
using GroupId = Tagged<std::uint32_t, struct GroupIdTag>;
using SymbolId = Tagged<std::uint32_t, struct SymbolIdTag>;
using SourceId = Tagged<std::uint32_t, struct SourceIdTag>;
inline constexpr std::uint32_t kNoId = 0xFFFF'FFFFU;

/// Fixed-size text in shared and on-disk records: zero padded, not necessarily terminated.
template <std::size_t N>
struct Text {
    char bytes[N] = {};
    friend constexpr auto operator<=>(const Text&, const Text&) = default;
};

static_assert(std::is_trivially_copyable_v<Price> && sizeof(Price) == 8);
static_assert(std::is_trivially_copyable_v<Nanos> && sizeof(Nanos) == 8);
static_assert(sizeof(SignalId) == 16 && sizeof(Text<16>) == 16);

}  // namespace millrace
