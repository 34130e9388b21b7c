// What the books add up to: accounts, open positions, working orders, who is triggered at which
// price. The trade server decides and writes records; this applies them, live and on reload alike.
#pragma once

#include "core/admin.h"
#include "core/order_status.h"
#include "tools/simbroker/books.h"

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace millrace::sim {

struct Position {
    std::uint64_t id = 0;      // identifier
    std::uint64_t ticket = 0;  // changes on a netting reversal
    std::uint64_t magic = 0;   // of the order that opened it
    std::int64_t volume = 0;   // signed: > 0 long, < 0 short; 1e-8 lots; never 0
    Price open_price;
    Price stop_loss;
    Price take_profit;
    Text<16> symbol;
    Text<16> comment;
    [[nodiscard]] Side side() const noexcept { return volume > 0 ? Side::Buy : Side::Sell; }
    [[nodiscard]] Lots lots() const noexcept { return Lots{volume > 0 ? volume : -volume}; }
};

struct WorkingOrder {
    std::uint64_t ticket = 0;
    std::uint64_t magic = 0;
    Side side{};
    PriceKind price_kind{};
    Lots volume;
    Price price;
    Price stop_loss;
    Price take_profit;
    Text<16> symbol;
    Text<16> comment;
};

/// What became of one magic: what a look-up in the account's history finds.
struct OrderSummary {
    CommandType command{};
    OrdStatus status = OrdStatus::New;
    Side side{};
    std::uint32_t retcode = 0;
    std::uint64_t order = 0;
    std::uint64_t deal = 0;  // last one
    std::uint64_t position = 0;
    Lots requested;
    Lots executed;
    Price average;  // volume-weighted
    std::int64_t time_ns = 0;
    Text<16> symbol;
};

struct Account {
    std::uint64_t login = 0;
    MarginMode margin_mode{};
    Money balance;
    std::map<std::uint64_t, Position> positions;   // by identifier; order = age
    std::map<std::uint64_t, WorkingOrder> orders;  // by ticket
    std::unordered_map<std::uint64_t, OrderSummary> by_magic;

    /// By identifier or, where they differ, by ticket. nullptr = none.
    [[nodiscard]] const Position* find_position(std::uint64_t ticket) const noexcept;
    /// The netting position of a symbol. nullptr = none.
    [[nodiscard]] const Position* find_position(const Text<16>& symbol) const noexcept;
};

enum class TriggerKind : std::uint8_t { StopLoss = 0, TakeProfit = 1, Order = 2 };
struct Trigger {
    std::int64_t price = 0;
    std::uint64_t login = 0;
    std::uint64_t id = 0;  // position identifier or order ticket
    TriggerKind kind{};
    friend constexpr auto operator<=>(const Trigger&, const Trigger&) = default;
};

/// Price levels of one symbol, by the side of the quote and the direction that sets them off.
struct TriggerBook {
    std::set<Trigger> bid_falls_to, bid_rises_to, ask_falls_to, ask_rises_to;
    /// Everything that this quote sets off, stop losses before take profits at one price.
    [[nodiscard]] std::vector<Trigger> hit_by(Price bid, Price ask) const;
};

class BookState {
public:
    void apply(const BookRecord& record);

    [[nodiscard]] Account* find(std::uint64_t login) noexcept;
    [[nodiscard]] const Account* find(std::uint64_t login) const noexcept;
    [[nodiscard]] const std::map<std::uint64_t, Account>& accounts() const noexcept {
        return accounts_;
    }
    [[nodiscard]] const TriggerBook& triggers(const Text<16>& symbol) { return triggers_[symbol]; }
    /// One past the highest ticket of orders and deals.
    [[nodiscard]] std::uint64_t next_order() const noexcept { return next_order_; }
    [[nodiscard]] std::uint64_t next_deal() const noexcept { return next_deal_; }

private:
    void apply_order(Account& account, const BookRecord& record);
    void apply_deal(Account& account, const BookRecord& record);
    void apply_order_change(Account& account, const BookRecord& record);
    void apply_position_change(Account& account, const BookRecord& record);
    void note_done(Account& account, const BookRecord& record, OrdStatus status);
    void arm(const Account& account, const Position& position, bool on);
    void arm(const Account& account, const WorkingOrder& order, bool on);

    std::map<std::uint64_t, Account> accounts_;
    std::map<Text<16>, TriggerBook> triggers_;
    std::uint64_t next_order_ = 1;
    std::uint64_t next_deal_ = 1;
};

}  // namespace millrace::sim
