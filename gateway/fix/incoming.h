// What a venue says about orders, taken out of its messages and checked.
#pragma once

#include "gateway/fix/message.h"
#include "gateway/fix/values.h"

#include <cstdint>
#include <string_view>

namespace millrace::fix {

enum class IncomingKind : std::uint8_t {
    Other = 0,           // nothing about orders: session messages, market data, news
    Execution = 1,       // 35=8
    CancelReject = 2,    // 35=9, of a cancel or a replace
    BusinessReject = 3,  // 35=j
    SessionReject = 4,   // 35=3
    Logout = 5,          // 35=5
};

/// Texts are views into the message's bytes. Quantities in the venue's units and prices, both 1e-8;
/// 0 = absent. Characters '\0' and numbers -1 = absent.
struct Incoming {
    IncomingKind kind = IncomingKind::Other;
    bool poss_dup = false;
    char exec_type = '\0';        // 150
    char exec_trans_type = '\0';  // 20, a habit from FIX 4.2 that some venues keep
    char ord_status = '\0';       // 39
    char side = '\0';             // 54
    char response_to = '\0';      // 434: '1' cancel, '2' replace
    int reason = -1;              // 103, 102, 380 or 373, by kind
    std::int64_t ref_seq = -1;    // 45: MsgSeqNum of ours that it is about
    std::int64_t order_qty = 0;
    std::int64_t cum_qty = 0;
    std::int64_t last_qty = 0;
    std::int64_t last_px = 0;
    std::int64_t avg_px = 0;
    Nanos transact_time;
    std::string_view cl_ord_id;       // 11; BusinessReject: 379
    std::string_view orig_cl_ord_id;  // 41
    std::string_view order_id;        // 37
    std::string_view exec_id;         // 17; empty if the venue wrote "0": no id
    std::string_view position_id;     // 721 or FXCM's 9041
    std::string_view symbol;          // 55, else 48
    std::string_view text;            // 58
    std::string_view ref_msg_type;    // 372
};

/// Takes a message apart. What it is about must not be in doubt: a decisive field that stands there
/// twice, is malformed or is missing refuses the message as a whole.
/// @return BadInput and the field that is at fault.
[[nodiscard]] Result<Incoming> decode(const Message& message) noexcept;

}  // namespace millrace::fix
