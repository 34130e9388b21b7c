// A stand-in for a MetaTrader 5 terminal that runs the Expert Advisor's own source: the account as
// a terminal shows it (orders, deals, positions, history that may come late), the calls of the MQL5
// API, and the asynchrony that the reference describes, each kind on demand. Behind it stands the
// simulated broker's trade server with its books.
//
// One process, one account, one thread, as in a terminal. Every call of the API is counted and is a
// place where the process can be made to die.
#pragma once

#include "tests/mt5/mql5.h"
#include "tools/simbroker/faults.h"
#include "tools/simbroker/trade_server.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace millrace::mt5 {

/// What can be switched; 0 = as a well-behaved terminal and broker do it.
struct Knobs {
    std::int64_t history_delay_ms = 0;  // deals and orders appear in history that much later
    std::int64_t incomplete_ms = 0;     // after a connect, only the older half of history is there
    std::int64_t lists_empty_ms = 0;    // after a connect, positions and orders are not there yet
    std::int64_t flicker = 0;           // each reading of a position shows another stop loss
    std::int64_t shuffle = 0;           // transactions of one request in any order
    std::int64_t lose_events_ppm = 0;   // transactions that never arrive
    std::int64_t result_form = 0;       // 1: DONE without a deal; 2: PLACED without a deal
    std::int64_t late_ms = 0;           // the next request is answered 10012 and executed later
    std::int64_t twice = 0;             // the server executes the next request twice
    std::int64_t async_ms = 0;          // OrderSendAsync executes that much later
    std::int64_t disconnected = 0;      // the terminal has no connection to the broker
    std::int64_t terminal_denied = 0;   // the Algo Trading button is off
    std::int64_t program_denied = 0;    // the program may not trade
    std::int64_t expert_denied = 0;     // the server allows no programs
    std::int64_t account_denied = 0;    // read-only login
    std::int64_t fill_flags = 3;        // SYMBOL_FILLING_MODE
    std::int64_t fill_accepted = 7;     // bit per filling mode that the server really takes
    std::int64_t execution = 2;         // SYMBOL_TRADE_EXEMODE
    std::int64_t unwatched = 0;         // no symbol is in the market watch
    std::int64_t server_magic = 0;      // 1: server-made deals carry the position's magic
    std::int64_t no_history = 0;        // HistorySelect fails
    std::int64_t deals_each = 1;        // the server executes in so many deals
    std::int64_t late_position = 0;     // deals do not name their position
    std::int64_t hidden_list = 0;       // open positions are in no list
    std::int64_t hidden_position = 0;   // whose deals no history shows
    std::int64_t file_full = 0;         // files cannot be written
    std::int64_t drop_read = 0;         // the next command read is lost with the connection
    std::int64_t drop_send = 0;         // the connection breaks at the next send after an execution
    std::int64_t crash_send = 0;        // die at the next request: 1 before, 2 after its execution
    std::int64_t busy_ms = 0;           // OrderSend takes that long
    std::int64_t timeout_error = 0;     // a read that times out sets 5273
    std::int64_t flush_lies = 0;        // FileFlush writes nothing and says nothing
    std::int64_t other_account = 0;     // logged in: 1 to another login, 2 at another server
    std::int64_t server_ahead_s = 0;    // the trade server's clock jumps ahead
    std::int64_t logged_out = 0;        // the terminal runs, and is not logged in yet
    std::int64_t switch_in_send = 0;    // other_account becomes that during the next OrderSend
    std::int64_t break_in_send = 0;     // the connection is new after the next OrderSend: 10012
    std::int64_t check_lies = 0;        // OrderCheck lets every filling mode pass
    std::int64_t refused_in_history = 0;  // a request refused with 10030 leaves an order there
    std::int64_t drop_stops = 0;          // orders are filled without them; 2: nor can they be set
    std::int64_t trade_mode = 4;          // SYMBOL_TRADE_MODE; 4 = full
    std::int64_t order_mode = 127;        // SYMBOL_ORDER_MODE
    std::int64_t expirations = 15;        // SYMBOL_EXPIRATION_MODE: pendings of others are refused
    std::int64_t volume_limit = 0;        // SYMBOL_VOLUME_LIMIT, in hundredths of a lot
    std::int64_t limit_orders = 0;        // ACCOUNT_LIMIT_ORDERS
    std::int64_t fifo_close = 0;          // ACCOUNT_FIFO_CLOSE; the newest position comes first
    std::int64_t real_account = 0;        // ACCOUNT_TRADE_MODE
    std::int64_t in_euros = 0;            // ACCOUNT_CURRENCY; else dollars
    std::int64_t contract_size = 0;       // SYMBOL_TRADE_CONTRACT_SIZE; 0 = as configured
    std::int64_t booted_at_ms = 0;        // when the computer was started (wall); 0 = as it was
    std::int64_t tick_cache = 4'096;      // ticks of a symbol that CopyTicks has; 0 = it fails
    std::int64_t copy_ticks_ms = 0;       // CopyTicks takes that long
    std::int64_t no_tick_history = 0;     // and has the latest ones alone
    std::int64_t send_buffer = 0;         // bytes that a new socket holds; 0 = as the kernel likes
    /// @return nullptr if there is none of that name.
    std::int64_t* find(const std::string& name);
};

struct ViewOrder {
    ulong ticket = 0;
    ulong magic = 0;
    int type = 0;
    int state = 0;
    int reason = 0;
    double initial = 0;
    double current = 0;
    double price = 0;
    double sl = 0;
    double tp = 0;
    long setup_msc = 0;  // server time
    long done_msc = 0;
    ulong position = 0;
    int type_time = 0;
    long expiration = 0;
    std::string symbol;
    bool active = false;
    std::int64_t visible_ns = 0;  // in history from then on
};
struct ViewDeal {
    ulong ticket = 0;
    ulong order = 0;
    ulong position = 0;
    ulong magic = 0;
    int type = 0;
    int entry = 0;
    int reason = 0;
    double volume = 0;
    double price = 0;
    long time_msc = 0;
    std::string symbol;
    std::int64_t visible_ns = 0;
};
struct Transaction {
    MqlTradeTransaction transaction;
    MqlTradeRequest request;
    MqlTradeResult result;
};

struct HostOptions {
    std::uint64_t login = 0;
    MarginMode margin_mode{};
    std::string files_dir;  // MQL5/Files; the common folder is files_dir + "/common"
    std::string books_path;
    std::uint64_t kill_at = 0;  // die at this call of the API; 0 = never
    std::uint64_t seed = 1;
    bool verbose = false;
};

class Host {
public:
    explicit Host(HostOptions options) : options_{std::move(options)}, faults_{options_.seed} {}

    [[nodiscard]] Status start(std::vector<market::SymbolInfo> symbols, sim::AccountConfig account);
    /// Counts a call of the API; dies here if it is the one.
    void call(const char* name);
    [[noreturn]] static void die_now();
    /// Executes what was asynchronous or late and is due; drops nothing.
    void run_due();
    /// The next transaction for the program. @return false if there is none.
    [[nodiscard]] bool next_transaction(Transaction& out);
    void reconnect();  // the terminal's connection to the broker is new
    /// The server closes every position by a deal and opens it again by another, under the same
    /// identifier; between the two it is in no list. @param out, in which of the two. @param factor
    /// of the new lots. @param reason DEAL_REASON_ of the deals.
    void roll_over(bool out, bool in, double factor, int reason);
    /// The server takes the stops of every position away.
    void drop_stops();
    /// When a position was opened, server time in ms.
    [[nodiscard]] long opened_msc(ulong position) const;
    /// A quote reaches the terminal. @param apart no two of a symbol in the same millisecond.
    void on_quote(const std::string& symbol, Price bid, Price ask, bool apart = false);
    [[nodiscard]] std::uint64_t calls() const { return calls_; }

    // -- api_trade.cpp
    uint send(const MqlTradeRequest& request, MqlTradeResult& result);
    void send_later(const MqlTradeRequest& request, uint request_id);
    [[nodiscard]] uint check(const MqlTradeRequest& request) const;
    [[nodiscard]] bool connected() const { return knobs.disconnected == 0; }
    [[nodiscard]] bool is_visible(std::int64_t visible_ns) const;
    [[nodiscard]] bool lists_hidden() const;
    [[nodiscard]] const sim::Account& account() const;

    Knobs knobs;
    bool between_halves = false;    // of a rollover
    std::vector<ViewOrder> orders;  // in the order of their tickets
    std::vector<ViewDeal> deals;
    int last_error = 0;
    bool break_on_send = false;  // the connection breaks with the next bytes sent
    bool stopped = false;        // ExpertRemove
    int timer_ms = 0;
    uint next_request = 1;
    std::uint64_t selections = 0;                       // of history, by the program
    std::uint64_t sends = 0;                            // requests, by the program
    std::uint64_t timers = 0;                           // timer events that it has had
    std::uint64_t history_reads = 0;                    // of ticks by their time
    std::map<std::string, std::vector<MqlTick>> ticks;  // of each symbol, oldest first

    [[nodiscard]] sim::TradeServer& server() { return *server_; }
    [[nodiscard]] sim::Faults& faults() { return faults_; }
    [[nodiscard]] const HostOptions& options() const { return options_; }
    [[nodiscard]] const market::SymbolInfo* symbol(const std::string& name) const;

private:
    struct Late {  // a request that the server executes after the terminal gave up on it
        std::int64_t due_ns = 0;  // wall clock: it happens whether the terminal lives or not
        uint request_id = 0;
        MqlTradeRequest request;
    };
    void show(const sim::BookRecord& record);
    void show_order(const sim::BookRecord& record);
    void show_deal(const sim::BookRecord& record);
    void show_end(const sim::BookRecord& record);
    void push(ENUM_TRADE_TRANSACTION_TYPE type, ulong order, ulong deal);
    void push_result(const MqlTradeRequest& request, const MqlTradeResult& result);
    uint execute(const MqlTradeRequest& request, MqlTradeResult& result);
    void drop_stops_of_new(const std::set<std::uint64_t>& before);
    [[nodiscard]] std::set<std::uint64_t> position_ids() const;
    [[nodiscard]] ViewOrder* find_order(ulong ticket);
    void show_refused(const MqlTradeRequest& request);
    void keep_late(const Late& late);
    void load_late();

    HostOptions options_;
    std::uint64_t calls_ = 0;
    sim::Faults faults_;
    std::unique_ptr<sim::TradeServer> server_;
    std::vector<market::SymbolInfo> symbols_;
    std::deque<Transaction> transactions_;
    std::vector<Late> late_;
    std::int64_t connected_ns_ = 0;
    ulong refused_ = 0;
    ulong technical_ = 1'000'000;  // tickets of deals that the server makes for its own books
    bool loading_ = true;
};

/// The one of this process.
Host& host();
void set_host(Host& host);
/// Inputs of the program by name. @return false if there is no such input or the value is not one.
bool set_input(const std::string& name, const std::string& value);
/// Server time minus UTC, ms.
inline constexpr std::int64_t kServerOffsetMs = 2 * 3'600'000;

}  // namespace millrace::mt5
