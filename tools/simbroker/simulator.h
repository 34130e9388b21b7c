// The whole simulated broker: trade server, terminals, market, faults, in one thread.
#pragma once

#include "tools/simbroker/config.h"
#include "tools/simbroker/fix/fix_acceptor.h"
#include "tools/simbroker/market_feed.h"
#include "tools/simbroker/terminal.h"
#include "tools/simbroker/tick_streams.h"

#include <nlohmann/json.hpp>

#include <map>
#include <memory>
#include <string>

namespace millrace::sim {

struct SimOptions {
    SimConfig config;
    std::string books_path;
    std::string journal_dir;     // one file an account; created
    sockaddr_in connect{};       // broker stage
    sockaddr_in fix_listen{};    // FIX clients; family 0 = none, port 0 = any
    bool intent_journal = true;  // false: memory alone, repeats are executed
    bool verbose = false;
    std::uint64_t seed = 1;
    std::uint32_t absent_after_ms = 2'000;
    FeedOptions feed;
    TickStreamOptions tick_streams;
    std::unique_ptr<market::TickSource> ticks;  // null: quotes by control line alone
};

/// Threads: one.
class Simulator {
public:
    Simulator(EventLoop& loop, SimOptions options);

    /// Loads books and journals, starts terminals and market. @return the first error, and `what`
    /// with the name of the file it is about.
    [[nodiscard]] Status start(std::string& about);

    /// Executes one control object and answers it: {"ok": true, ...} or {"ok": false, "error": ..}.
    /// Commands (`cmd`): fault, clear_faults, busy, disconnect, lose_journal, permission, market,
    /// tick, tick_link, manual_trade, manual_close (`unseen`: its terminal never hears of it),
    /// holdings (told each `ms`), stats, positions, stop. Those that act on terminals (`login`, or
    /// all) answer with how many of them had a session: "up".
    [[nodiscard]] nlohmann::json control(const nlohmann::json& command);

    /// Where FIX clients are listened for; 0 = nowhere.
    [[nodiscard]] std::uint16_t fix_port() const noexcept { return fix_port_; }

    /// Orderly end: sends what can be sent, closes all sessions.
    void finish();

private:
    using Handler = nlohmann::json (Simulator::*)(const nlohmann::json&);
    [[nodiscard]] nlohmann::json do_fault(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_clear(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_busy(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_disconnect(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_lose_journal(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_permission(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_market(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_tick(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_tick_link(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_manual_trade(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_manual_close(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_holdings(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_stats(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_positions(const nlohmann::json& command);
    [[nodiscard]] nlohmann::json do_stop(const nlohmann::json& command);

    [[nodiscard]] Status open_server(std::vector<BookRecord>& missed);
    void add_terminal(const AccountEntry& entry);
    void add_fix_session(const AccountEntry& entry);
    [[nodiscard]] Status listen_for_fix(std::string& about);
    void send_quote(const market::Tick& tick);
    void revalue_soon();
    /// Calls `act` for the account named by "login", or for all without it. @return "up": how many
    /// of them had a session before.
    nlohmann::json for_terminals(const nlohmann::json& command,
                                 const std::function<void(AccountLink&)>& act);

    EventLoop& loop_;
    SimOptions options_;
    Faults faults_;
    std::unique_ptr<TradeServer> server_;
    std::map<std::uint64_t, std::unique_ptr<AccountLink>> terminals_;  // FIX sessions among them
    std::vector<FixSession*> fix_sessions_;
    std::unique_ptr<FixAcceptor> fix_acceptor_;
    std::uint16_t fix_port_ = 0;
    bool unseen_ = false;  // what happens now is told to no terminal
    std::unique_ptr<MarketFeed> feed_;
    std::unique_ptr<TickStreams> tick_streams_;
    std::uint64_t carrier_login_ = 0;  // whose session carries the ticks
    std::uint64_t carrier_session_ = 0;
};

}  // namespace millrace::sim
