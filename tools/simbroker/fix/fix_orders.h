// The orders of one account as a FIX venue knows them: by ClOrdID, with what became of each. It
// follows from the books alone, so that a restart knows what was known before.
#pragma once

#include "core/order_status.h"
#include "tools/simbroker/books.h"

#include <deque>
#include <string>
#include <unordered_map>

namespace millrace::sim {

struct FixOrder {
    Magic name;                // ClOrdID: of the order, or of the newest replace
    std::uint64_t ticket = 0;  // OrderID; 0 = refused
    Side side{};
    PriceKind price_kind{};
    OrdStatus status = OrdStatus::New;
    std::uint32_t retcode = 0;  // why it was refused
    Lots requested;
    Lots executed;
    Price price;    // of a pending
    Price average;  // volume-weighted
    Text<16> symbol;
    [[nodiscard]] bool works() const noexcept { return status == OrdStatus::New; }
};

/// Threads: one.
class FixOrders {
public:
    /// Takes in a record of this account. Each once, in the books' order.
    /// @return the order that it changed, as it is now; nullptr = it is about none of ours.
    const FixOrder* apply(const BookRecord& record);

    /// By its ClOrdID of now; nullptr = unknown, or replaced since.
    [[nodiscard]] const FixOrder* find(Magic name) const;
    /// By its OrderID; nullptr = none of ours.
    [[nodiscard]] const FixOrder* by_ticket(std::uint64_t ticket) const;
    /// Was there ever an order under this ClOrdID?
    [[nodiscard]] bool knows(Magic name) const { return by_name_.contains(name.value); }
    /// In the order they came.
    [[nodiscard]] const std::deque<FixOrder>& all() const noexcept { return orders_; }

private:
    FixOrder& make(const BookRecord& record);
    const FixOrder* refused(const BookRecord& record);
    [[nodiscard]] FixOrder* find_ticket(std::uint64_t ticket);

    std::deque<FixOrder> orders_;
    std::unordered_map<std::uint64_t, std::size_t> by_name_;  // the newest of that name
    std::unordered_map<std::uint64_t, std::size_t> by_ticket_;
};

/// OrdRejReason(103) and Text(58) of a return code of the trade server.
[[nodiscard]] int ord_rej_reason(std::uint32_t retcode) noexcept;
[[nodiscard]] std::string refusal_text(std::uint32_t retcode);

/// Answers that leave open whether the order was executed: towards a FIX client, none at all.
[[nodiscard]] bool says_nothing(std::uint32_t retcode) noexcept;

}  // namespace millrace::sim
