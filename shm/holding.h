// Holding: a position or pending order that an account has at its broker, as its executor told it;
// and the end of such a list. The ring `holdings` carries them from the broker stage to the
// replica, which has the books to hold them against. What does not fit into the ring is not told:
// the next list is.
#pragma once

#include "core/order_command.h"
#include "ring/spsc_ring.h"

namespace millrace {

enum class HoldingKind : std::uint8_t {
    Position = 1,
    Order = 2,  // works at the broker
    End = 3,    // of an account's list: `index` is the number of rows
};

struct Holding {
    Nanos time;  // receipt at the broker stage
    AccountId account{kNoId};
    std::uint32_t index = 0;   // in its list, from 0 on
    std::uint64_t ticket = 0;  // position: POSITION_IDENTIFIER
    Magic magic;               // as the broker shows it; any value
    Lots volume;               // above 0: open, or not yet filled
    Price price;               // of an order; 0 of a position
    Price stop_loss;           // 0 = none
    Price take_profit;
    SymbolId symbol{kNoId};  // kNoId = none of ours
    HoldingKind kind{};
    Side side{};
    PriceKind price_kind{};
    std::uint8_t reserved = 0;
    std::uint64_t journal_id = 0;  // End: which intent journal counts `event_seq`
    std::uint64_t event_seq = 0;   // End: the books are to have applied this event, and no later
    Text<16> name;                 // the account's own name of the symbol
    std::uint64_t generation = 0;  // of the session
    std::uint64_t reserved2 = 0;
};
static_assert(std::is_trivially_copyable_v<Holding> && sizeof(Holding) == 120);
static_assert(kRingPayload<Holding>);

inline constexpr const char* kHoldingsRing = "holdings";
/// Slots of the ring: four lists of the longest kind.
inline constexpr std::uint32_t kHoldingsSlots = 4096;

}  // namespace millrace
