// ExecType and OrdStatus words, what is asked of a report, and how events are made of it. Inside
// the order book only.
#pragma once

#include "core/order_status.h"
#include "gateway/fix/order_book.h"

namespace millrace::fix {

namespace exec {
constexpr char kRejected = '8';
constexpr char kReplaced = '5';
constexpr char kRestated = 'D';
constexpr char kCorrect = 'G';
constexpr char kBust = 'H';
constexpr char kStatus = 'I';
}  // namespace exec

namespace status {
constexpr char kNew = '0';
constexpr char kPartial = '1';
constexpr char kFilled = '2';
constexpr char kDoneForDay = '3';
constexpr char kCanceled = '4';
constexpr char kReplaced = '5';  // dropped in FIX 4.3; some venues still say it
constexpr char kPendingCancel = '6';
constexpr char kStopped = '7';  // a fill is guaranteed, not done
constexpr char kRejected = '8';
constexpr char kPendingNew = 'A';
constexpr char kCalculated = 'B';
constexpr char kExpired = 'C';
constexpr char kPendingReplace = 'E';
}  // namespace status

[[nodiscard]] inline bool is_trade_change(const Incoming& in) noexcept {
    return in.exec_type == exec::kBust || in.exec_type == exec::kCorrect ||
           in.exec_trans_type == '1' || in.exec_trans_type == '2';
}

[[nodiscard]] inline bool is_bust(const Incoming& in) noexcept {
    return in.exec_type == exec::kBust || in.exec_trans_type == '1';
}

[[nodiscard]] inline bool is_status(const Incoming& in) noexcept {
    return in.exec_type == exec::kStatus || in.exec_trans_type == '3';
}

/// An order in this state has nothing left that could execute. Done for day ends what was to be
/// done at once; a pending order comes back the next day.
[[nodiscard]] inline bool is_end(char ord_status, bool pending) noexcept {
    switch (ord_status) {
        case status::kFilled:
        case status::kCanceled:
        case status::kRejected:
        case status::kExpired: return true;
        case status::kDoneForDay:
        case status::kCalculated: return !pending;
        default: return false;
    }
}

[[nodiscard]] inline std::uint8_t word(OrdStatus s) noexcept {
    return static_cast<std::uint8_t>(s);
}

/// 0 if there is none, or none that is a price.
[[nodiscard]] inline std::int64_t average(__int128 notional, std::int64_t quantity) noexcept {
    const __int128 price = quantity > 0 ? notional / quantity : 0;
    return price > 0 && price <= INT64_MAX ? static_cast<std::int64_t>(price) : 0;
}

/// A deal's number. ExecIDs may begin anew each day and a ClOrdID never does: together they are
/// unique for good. Without an ExecID, CumQty tells the deals of an order apart.
/// @param order its ClOrdID, ours or another's.
[[nodiscard]] inline std::uint64_t deal_of(std::string_view order, const Incoming& in) noexcept {
    const bool unnamed = in.exec_id.empty() || is_status(in);
    return unnamed ? ticket_of(order, decimal_text(in.cum_qty).view(), '#')
                   : ticket_of(order, in.exec_id, '/');
}

inline bridge::Event& push(Answer& answer, const bridge::Event& event) noexcept {
    ASSERT(answer.count < Answer::kEventsMax);
    answer.events[answer.count] = event;
    return answer.events[answer.count++];
}

}  // namespace millrace::fix
