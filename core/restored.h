// What an engine is told of its past by a store, when the log itself is lost: the last rungs of the
// recovery ladder (`millrace recover --from ...`). A store is a follower: what the log took in
// after the store's cursor is unknown, so nothing of that time may be done again.
#pragma once

#include "core/effect.h"

#include <span>

namespace millrace {

/// An order that is not final, or whose position is open, or that such a one acts on.
struct RestoredOrder {
    OrderRow row;
    Lots open_volume;             // of its position; 0 = none is open
    Lots close_shares;            // of its signal's volume, by closes that live or executed
    std::uint64_t deals[4] = {};  // of entries and exits, newest first
};

struct Restored {
    Sequence at;                            // beyond every record that the lost log may have had
    std::uint32_t from_s = 0;               // Unix time, beyond every time in it
    std::uint64_t next_intent = 0;          // beyond every id that may have been handed out
    std::span<const SignalRow> signals;     // accepted ones, oldest first; those of `orders` too
    std::span<const RestoredOrder> orders;  // by intent: what one acts on comes before it
};

}  // namespace millrace
