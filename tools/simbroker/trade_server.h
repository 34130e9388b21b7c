// The broker's trade server: validates as MT5 does, executes against the current quote, watches
// pending orders, stops and margin, and writes its books before anyone hears of it.
//
// It executes whatever it is asked, repeats included: keeping repeats away is the terminals' job,
// and a double must be visible here.
#pragma once

#include "core/order_command.h"
#include "tools/market/symbols.h"
#include "tools/simbroker/book_state.h"

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace millrace::sim {

/// TRADE_RETCODE_* that the server gives by itself (any other can be injected).
namespace retcode {
inline constexpr std::uint32_t kRequote = 10004;
inline constexpr std::uint32_t kPlaced = 10008;
inline constexpr std::uint32_t kDone = 10009;
inline constexpr std::uint32_t kDonePartial = 10010;
inline constexpr std::uint32_t kTimeout = 10012;
inline constexpr std::uint32_t kInvalid = 10013;
inline constexpr std::uint32_t kInvalidVolume = 10014;
inline constexpr std::uint32_t kInvalidPrice = 10015;
inline constexpr std::uint32_t kInvalidStops = 10016;
inline constexpr std::uint32_t kTradeDisabled = 10017;
inline constexpr std::uint32_t kMarketClosed = 10018;
inline constexpr std::uint32_t kNoMoney = 10019;
inline constexpr std::uint32_t kPriceOff = 10021;
inline constexpr std::uint32_t kNoChanges = 10025;
inline constexpr std::uint32_t kServerDisablesAt = 10026;
inline constexpr std::uint32_t kConnection = 10031;
inline constexpr std::uint32_t kPositionClosed = 10036;
inline constexpr std::uint32_t kInvalidCloseVolume = 10038;
inline constexpr std::uint32_t kRejectCancel = 10041;
[[nodiscard]] constexpr bool is_success(std::uint32_t code) noexcept {
    return code == kPlaced || code == kDone || code == kDonePartial || code == kNoChanges;
}
}  // namespace retcode

/// What a terminal asks of the server (MqlTradeRequest).
struct TradeRequest {
    CommandType type{};  // all but Query
    Side side{};
    PriceKind price_kind{};
    std::uint32_t deviation_points = 0;  // only with a price on a market order
    Magic magic;
    Text<16> symbol;  // canonical name
    Lots volume;      // Close: 0 = all of the position
    Price price;
    Price stop_loss;
    Price take_profit;
    std::uint64_t position_ticket = 0;
    std::uint64_t order_ticket = 0;
    Text<16> comment;
    ExecKind reason{};  // None: by the account's terminal; Foreign: somebody else
};

/// What the server answers (MqlTradeResult).
struct TradeResult {
    std::uint32_t retcode = 0;
    OrdStatus status = OrdStatus::Rejected;
    Side side{};
    std::uint64_t order = 0;
    std::uint64_t deal = 0;
    std::uint64_t position = 0;
    Lots volume;  // executed
    Lots requested;
    Price price;
    Price bid;
    Price ask;
};

/// The request that `order` stands for.
[[nodiscard]] TradeRequest request_of(const WorkingOrder& order);

struct AccountConfig {
    std::uint64_t login = 0;
    MarginMode margin_mode{};
    Money balance{10'000 * kScale};
    std::string currency = "USD";
    std::uint32_t leverage = 100;
    std::uint32_t stop_out_percent = 50;  // margin level; 0 = never
};

/// Live money of an account, deposit currency.
struct AccountMoney {
    Money balance;
    Money equity;
    Money margin;
    std::uint32_t leverage = 0;
    /// What is left for more positions; never below 0.
    [[nodiscard]] Money free() const noexcept {
        return Money{equity.value > margin.value ? equity.value - margin.value : 0};
    }
};

class TradeServer {
public:
    struct Hooks {
        std::function<Nanos()> now;                        // wall clock of the broker
        std::function<void(const BookRecord&)> on_record;  // after it is in the books
        std::function<void(const BookRecord&)> on_loaded;  // while the books are reloaded
        std::function<void(const Error&)> on_fatal;        // the books cannot be written
    };

    /// Loads the books; accounts that are not in them are opened.
    /// @return errors of Books::open().
    [[nodiscard]] static Result<TradeServer> open(const std::string& books_path,
                                                  std::vector<market::SymbolInfo> symbols,
                                                  std::vector<AccountConfig> accounts, Hooks hooks);

    /// Executes or refuses, after writing it down. A request is executed as often as it is sent.
    /// @param fill_share 1e-8; below kScale fills only that share of a market order (rounded down
    ///        to the volume step, at least one minimum lot) and cancels the rest.
    [[nodiscard]] TradeResult execute(std::uint64_t login, const TradeRequest& request,
                                      Ratio fill_share = Ratio{kScale});

    /// Refuses without looking: an injected return code. Written to the books as Refused.
    TradeResult refuse(std::uint64_t login, const TradeRequest& request, std::uint32_t code);

    /// Notes that the account's terminal was sent `request` again, which its intent journal keeps
    /// from being executed: the books are where doubles are looked for, and a terminal that only
    /// drops a repeat would hide that we sent it. Changes nothing else.
    /// @param seq the number under which it came again.
    void note_repeat(std::uint64_t login, const TradeRequest& request, std::uint64_t seq);

    /// A new quote: triggers pendings, stop losses and take profits. Unknown symbols and prices
    /// <= 0 are ignored (they are not quotes).
    void on_quote(const Text<16>& symbol, Price bid, Price ask);

    /// Updates floating profit of all accounts and stops out those below their margin level.
    void revalue();

    /// Closes `position` (identifier) at the market, `volume` 0 = all. @return executed volume;
    /// 0 if there is none, or no quote, or the market is closed.
    Lots close_by_server(std::uint64_t login, std::uint64_t position, Lots volume, ExecKind why);
    /// Removes a working order. @return false if there is none.
    bool cancel_by_server(std::uint64_t login, std::uint64_t order, ExecKind why,
                          std::uint32_t code);

    void set_market_open(const Text<16>& symbol, bool open);
    void set_trade_allowed(std::uint64_t login, bool allowed);
    [[nodiscard]] bool trade_allowed(std::uint64_t login) const;
    [[nodiscard]] AccountMoney money(std::uint64_t login) const;
    [[nodiscard]] const BookState& state() const noexcept { return state_; }
    [[nodiscard]] std::uint64_t last_number() const noexcept { return books_.last_number(); }
    /// What `magic` became in the account's history; nullptr = the account never saw it.
    [[nodiscard]] const OrderSummary* find_magic(std::uint64_t login, Magic magic) const;
    /// Last quote; zero prices = none.
    [[nodiscard]] std::pair<Price, Price> quote(const Text<16>& symbol) const;

private:
    struct Symbol {
        market::SymbolInfo info;
        Price bid;
        Price ask;
        bool open = true;
    };
    struct Live {  // what the books do not hold
        AccountConfig config;
        bool trade_allowed = true;
        bool stale = true;  // money never computed since the start
        Money floating;
        Money margin;
    };

    TradeResult open_market(const Account&, Symbol&, const TradeRequest&, Ratio fill_share);
    TradeResult open_pending(const Account&, Symbol&, const TradeRequest&);
    [[nodiscard]] static bool offsets(const Account&, const Position&,
                                      const TradeRequest&) noexcept;
    TradeResult close(const Account&, const TradeRequest&, Ratio fill_share);
    TradeResult modify_position(const Account&, const TradeRequest&);
    TradeResult modify_order(const Account&, const TradeRequest&);
    TradeResult cancel(const Account&, const TradeRequest&);
    TradeResult run(std::uint64_t login, const TradeRequest& request, Ratio fill_share);

    [[nodiscard]] std::uint32_t check_open(const Account&, const Symbol&,
                                           const TradeRequest&) const;
    [[nodiscard]] std::uint32_t check_pending_price(const Symbol&, const TradeRequest&) const;
    [[nodiscard]] bool stops_fit(const Symbol&, Side, Price reference_low, Price reference_high,
                                 Price stop_loss, Price take_profit) const;
    [[nodiscard]] bool has_money_for(const Account&, const Symbol&, Side, Lots) const;

    /// The deal that brings `volume` more on `side` into an account's positions.
    [[nodiscard]] BookRecord deal_in(const Account&, const Symbol&, const TradeRequest&,
                                     Lots volume, Price price, std::uint64_t order);
    [[nodiscard]] BookRecord deal_out(const Account&, const Position&, const Symbol&, Lots volume,
                                      Price price, std::uint64_t order, std::uint64_t magic);
    [[nodiscard]] BookRecord net(const Account&, const Position&, const Symbol&,
                                 const TradeRequest&, BookRecord deal) const;
    [[nodiscard]] BookRecord record_of(BookKind, std::uint64_t login, const TradeRequest&) const;
    [[nodiscard]] TradeResult result_of(const BookRecord& deal, Lots requested) const;
    void commit(std::span<BookRecord> records);
    void trigger(const Trigger& trigger);
    void fill_pending(const Account&, const WorkingOrder&);
    [[nodiscard]] const Live* fresh_live(std::uint64_t login) const;
    /// Floating profit and margin of one position at the current quote.
    struct Worth {
        std::int64_t floating = 0;
        std::int64_t margin = 0;
    };
    [[nodiscard]] Worth worth_of(const Account& account, const Position& position) const;
    [[nodiscard]] Worth worth_of(std::uint64_t login, std::uint64_t position) const;
    void compute_money(const Account& account, Live& live) const;
    void stop_out(std::uint64_t login);

    [[nodiscard]] Symbol* symbol_of(const Text<16>& name);
    [[nodiscard]] const Symbol* symbol_of(const Text<16>& name) const;
    [[nodiscard]] std::int64_t profit_of(const Account&, const Symbol&, std::int64_t signed_volume,
                                         Price from, Price to) const;
    [[nodiscard]] std::int64_t to_deposit(const Account&, const std::string& currency,
                                          std::int64_t amount) const;

    Books books_;
    BookState state_;
    Hooks hooks_;
    std::map<Text<16>, Symbol> symbols_;
    // Mutable: money is computed when somebody first asks.
    mutable std::unordered_map<std::uint64_t, Live> live_;
    std::uint64_t next_order_ = 1;
    std::uint64_t next_deal_ = 1;
};

}  // namespace millrace::sim
