// What an OrderBook knows about one order, cancel or replace, as it is kept on disk.
#pragma once

#include "gateway/bridge_wire.h"

#include <array>
#include <cstddef>
#include <type_traits>

namespace millrace::fix {

/// Of what stands at the venue. Quantities in the venue's units, 1e-8.
struct OrderState {
    bridge::Command command{};
    std::uint64_t current = 0;  // magic whose ClOrdID the venue has it under
    std::uint64_t child = 0;    // newest cancel or replace of it that is not answered; 0 = none
    std::int64_t quantity = 0;  // ordered
    std::int64_t seen = 0;      // CumQty of the newest report
    std::int64_t booked = 0;    // highest CumQty: what the engine has been told
    std::uint64_t notional_low = 0;
    std::int64_t notional_high = 0;
    std::int64_t avg_px = 0;
    std::array<std::uint64_t, 8> exec_ids{};
    char order_id[32] = {};
    std::uint8_t order_id_bytes = 0;
    std::uint8_t exec_ids_next = 0;
    std::uint8_t answered = 0;
    std::uint8_t asked = 0;
    std::uint8_t over = 0;
    std::uint8_t reserved[3] = {};
};
static_assert(std::is_trivially_copyable_v<OrderState> && sizeof(OrderState) == 288);
static_assert(offsetof(OrderState, current) == 120 && offsetof(OrderState, order_id) == 248);

}  // namespace millrace::fix
