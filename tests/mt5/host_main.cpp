// mt5_host: a terminal's process for one account. Takes the simulated broker's command line, so
// that the tests of its terminals run against the Expert Advisor too; plus
//     --kill-at N        die at the N-th call of the MQL5 API
//     --input NAME=VALUE an input of the program
//     --knob NAME=VALUE  a kind of asynchrony (tests/mt5/host.h)
// Control line: as the simulated broker's (tick, fault, market, permission, manual_trade,
// manual_close, stats), plus knob, reinit (the chart changes), reconnect, lose_journal, disconnect.
#include "tests/mt5/entry_points.h"
#include "tests/mt5/host.h"
#include "tools/market/decimal.h"
#include "tools/market/text.h"
#include "tools/simbroker/config.h"
#include "tools/simbroker/control.h"

#include <CLI/CLI.hpp>

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <filesystem>

namespace {

using namespace millrace;
using mt5::host;
using nlohmann::json;

struct Arguments {
    std::string config, connect, books, journal_dir, control, quote, absent_after_ms = "60000";
    std::vector<std::string> inputs, knobs;
    std::uint64_t kill_at = 0;
    std::uint64_t seed = 1;
    bool manual_quotes = false, verbose = false;
};

constexpr std::uint64_t kSelectionsWhenReady = 8;
constexpr Nanos kReadyMax = millis(150);
constexpr std::int64_t kPoint = kScale / 100'000;

json done() {
    return {{"ok", true}};
}
json failed(const std::string& why) {
    return {{"ok", false}, {"error", why}};
}

std::int64_t decimal(const json& value) {
    const auto parsed =
        market::parse_decimal(value.is_string() ? value.get<std::string>() : value.dump());
    return parsed.ok() ? parsed.value() : 0;
}

bool split(const std::string& text, std::string& name, std::string& value) {
    const auto at = text.find('=');
    name = text.substr(0, at);
    value = at == std::string::npos ? "" : text.substr(at + 1);
    return at != std::string::npos;
}

// SYMBOL=BID/ASK; nothing if it is empty.
void set_quote(const std::string& text) {
    std::string symbol;
    std::string prices;
    if (const auto slash = text.find('/');
        slash != std::string::npos && split(text, symbol, prices)) {
        const auto middle = prices.find('/');
        host().on_quote(symbol, Price{decimal(prices.substr(0, middle))},
                        Price{decimal(prices.substr(middle + 1))});
    }
}

bool set_knob(const std::string& name, std::int64_t value) {
    std::int64_t* knob = host().knobs.find(name);
    if (knob != nullptr) {
        *knob = value;
    }
    return knob != nullptr;
}

// Named as the simulated broker's faults: what they are in a terminal.
bool set_fault_knob(const std::string& kind) {
    if (kind == "disconnect_before") {
        return set_knob("drop_read", 1);
    }
    if (kind == "disconnect_after") {
        return set_knob("drop_send", 1);
    }
    if (kind == "crash_before_books") {
        return set_knob("crash_send", 1);
    }
    return kind == "crash_after_books" && set_knob("crash_send", 2);
}

void lose_journal() {
    ea_deinit(1);
    std::filesystem::remove_all(host().options().files_dir);
    ea_init();
}

json trade(const json& command, const std::string& cmd) {
    sim::TradeServer& server = host().server();
    const std::uint64_t login = host().options().login;
    if (cmd == "manual_trade") {
        sim::TradeRequest request;
        request.type = CommandType::Open;
        request.reason = ExecKind::Foreign;
        request.side = command.value("side", "buy") == "sell" ? Side::Sell : Side::Buy;
        request.symbol = market::to_text<16>(command.value("symbol", ""));
        request.volume = Lots{decimal(command.at("volume"))};
        const auto result = server.execute(login, request);
        return {{"ok", sim::retcode::is_success(result.retcode)}, {"position", result.position}};
    }
    const auto& positions = host().account().positions;
    if (cmd == "manual_stop") {
        sim::TradeRequest request;
        request.type = CommandType::Modify;
        request.position_ticket = positions.empty() ? 0 : positions.begin()->second.ticket;
        request.stop_loss = Price{decimal(command.at("price"))};
        return {{"ok", sim::retcode::is_success(server.execute(login, request).retcode)}};
    }
    std::uint64_t id = command.value("position", std::uint64_t{0});
    id = id == 0 && !positions.empty() ? positions.begin()->first : id;
    const Lots volume{command.contains("volume") ? decimal(command.at("volume")) : 0};
    const Lots closed = server.close_by_server(login, id, volume, ExecKind::ClosedManually);
    return closed.value > 0 ? done() : failed("nothing closed");
}

/// Open positions that have one.
std::size_t count_of(Price sim::Position::* stop) {
    std::size_t count = 0;
    for (const auto& [id, position] : host().account().positions) {
        count += (position.*stop).value != 0 ? 1U : 0U;
    }
    return count;
}

/// Of the first position; 0 = none.
std::int64_t first_stop_loss() {
    const auto& positions = host().account().positions;
    return positions.empty() ? 0 : positions.begin()->second.stop_loss.value;
}

json act(const json& command) {
    const std::string cmd = command.value("cmd", "");
    if (cmd == "tick") {
        // `count` of them, each a point higher, before the program looks.
        const bool apart = command.value("apart", false);
        const std::int64_t bid = decimal(command.at("bid"));
        const std::int64_t ask = decimal(command.at("ask"));
        for (std::int64_t i = 0; i < command.value("count", std::int64_t{1}); ++i) {
            host().on_quote(command.at("symbol").get<std::string>(), Price{bid + i * kPoint},
                            Price{ask + i * kPoint}, apart);
        }
        ea_tick();
    } else if (cmd == "fault") {
        if (set_fault_knob(command.value("kind", ""))) {
            return done();
        }
        const auto parsed = sim::parse_fault(command);
        if (const auto* error = std::get_if<sim::ConfigError>(&parsed)) {
            return failed(error->message);
        }
        host().faults().add(std::get<sim::Fault>(parsed));
    } else if (cmd == "knob") {
        return set_knob(command.value("name", ""), command.value("value", std::int64_t{0}))
                   ? done()
                   : failed("no such knob");
    } else if (cmd == "market") {
        host().server().set_market_open(market::to_text<16>(command.value("symbol", "")),
                                        command.value("open", true));
    } else if (cmd == "permission") {
        host().server().set_trade_allowed(host().options().login, command.value("allowed", true));
    } else if (cmd == "reinit") {
        ea_deinit(3);
        return ea_init() == INIT_SUCCEEDED ? done() : failed("OnInit failed");
    } else if (cmd == "rollover") {
        if (command.value("drop_stops", false)) {  // in one go with it, for the program
            host().drop_stops();
        }
        host().roll_over(command.value("out", true), command.value("in", true),
                         command.value("factor", 1.0),
                         command.value("split", false) ? DEAL_REASON_SPLIT : DEAL_REASON_ROLLOVER);
    } else if (cmd == "reconnect") {
        host().knobs.disconnected = 0;
        host().reconnect();
    } else if (cmd == "lose_journal") {
        lose_journal();
    } else if (cmd == "stats") {
        return {{"ok", true},
                {"calls", host().calls()},
                {"sends", host().sends},
                {"timers", host().timers},
                {"history_reads", host().history_reads},
                {"stopped", host().stopped},
                {"positions", host().account().positions.size()},
                {"stop_losses", count_of(&sim::Position::stop_loss)},
                {"take_profits", count_of(&sim::Position::take_profit)},
                {"first_stop_loss", first_stop_loss()},
                {"orders", host().account().orders.size()},
                {"book_records", host().server().last_number()}};
    } else if (cmd == "manual_trade" || cmd == "manual_close" || cmd == "manual_stop") {
        return trade(command, cmd);
    } else {
        return failed("unknown cmd " + cmd);
    }
    return done();
}

int run(const Arguments& args) {
    auto parsed = sim::load_config(args.config);
    if (const auto* error = std::get_if<sim::ConfigError>(&parsed)) {
        std::fprintf(stderr, "mt5_host: %s\n", error->message.c_str());
        return 2;
    }
    const auto& config = std::get<sim::SimConfig>(parsed);
    const sim::AccountEntry& entry = config.accounts.front();
    mt5::HostOptions options;
    options.login = entry.account.login;
    options.margin_mode = entry.account.margin_mode;
    options.files_dir = args.journal_dir;
    options.books_path = args.books;
    options.kill_at = args.kill_at;
    options.seed = args.seed;
    options.verbose = args.verbose;
    mt5::Host terminal{options};
    mt5::set_host(terminal);
    std::string key;
    for (const std::byte byte : entry.key) {
        char hex[3];
        std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(byte));
        key += hex;
    }
    const auto colon = args.connect.rfind(':');
    std::vector<std::string> inputs{"InpHost=" + args.connect.substr(0, colon),
                                    "InpPort=" + args.connect.substr(colon + 1),
                                    "InpKey=" + key,
                                    "InpLogin=" + std::to_string(options.login),
                                    "InpSettleMs=" + args.absent_after_ms,
                                    "InpReadyMs=50",
                                    "InpTimerMs=2"};
    inputs.insert(inputs.end(), args.inputs.begin(), args.inputs.end());
    std::string name;
    std::string value;
    for (const std::string& input : inputs) {
        if (!split(input, name, value) || !mt5::set_input(name, value)) {
            std::fprintf(stderr, "mt5_host: --input %s: no such input\n", input.c_str());
            return 2;
        }
    }
    for (const std::string& knob : args.knobs) {
        if (!split(knob, name, value) || !set_knob(name, std::stoll(value))) {
            std::fprintf(stderr, "mt5_host: --knob %s: no such knob\n", knob.c_str());
            return 2;
        }
    }
    if (const auto started = terminal.start(config.symbols, entry.account); !started) {
        std::fprintf(stderr, "mt5_host: %s: %s\n", args.books.c_str(), started.error().what);
        return 1;
    }
    set_quote(args.quote);
    terminal.reconnect();
    sim::EventLoop loop;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    bool running = true;
    const int fd = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    loop.watch(fd, EPOLLIN, [&running](std::uint32_t) { running = false; });
    sim::ControlServer control{loop, [](const std::string& line) {
                                   try {
                                       return act(json::parse(line)).dump();
                                   } catch (const std::exception& error) {
                                       return failed(error.what()).dump();
                                   }
                               }};
    if (!control.listen(args.control)) {
        return 1;
    }
    if (ea_init() != INIT_SUCCEEDED) {
        return 3;
    }
    mt5::Transaction transaction;
    const Nanos begin = sim::EventLoop::now();
    bool announced = false;
    while (running) {
        // A terminal that has been up for a while: the program has read the account (or cannot).
        const bool settled = terminal.selections >= kSelectionsWhenReady ||
                             sim::EventLoop::now() - begin > kReadyMax;
        if (settled && !announced) {
            announced = true;
            std::printf("ready control=0\n");
            std::fflush(stdout);
        }
        loop.step(terminal.timer_ms > 0 ? millis(terminal.timer_ms) : millis(50));
        terminal.run_due();
        while (!terminal.stopped && terminal.next_transaction(transaction)) {
            ea_transaction(transaction.transaction, transaction.request, transaction.result);
        }
        if (terminal.timer_ms > 0 && !terminal.stopped) {
            ++terminal.timers;
            ea_timer();
        }
    }
    ea_deinit(9);
    std::fprintf(stderr, "mt5_host: %lu calls of the API\n", terminal.calls());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    CLI::App app{
        "A terminal that runs the Expert Advisor's own source against the simulated broker"};
    Arguments args;
    app.add_option("-c,--config", args.config, "accounts, symbols")->required();
    app.add_option("--connect", args.connect, "broker stage, HOST:PORT")->required();
    app.add_option("--books", args.books, "the broker's own books")->required();
    app.add_option("--journal-dir", args.journal_dir, "MQL5/Files")->required();
    app.add_option("--control", args.control, "control line")->required();
    app.add_option("--absent-after-ms", args.absent_after_ms, "InpSettleMs");
    app.add_option("--quote", args.quote, "first quote, SYMBOL=BID/ASK");
    app.add_option("--input", args.inputs, "NAME=VALUE");
    app.add_option("--knob", args.knobs, "NAME=VALUE");
    app.add_option("--kill-at", args.kill_at, "die at this call of the API");
    app.add_option("--seed", args.seed, "of what is random");
    app.add_flag("--manual-quotes", args.manual_quotes, "as the simulated broker; always so here");
    app.add_flag("-v,--verbose", args.verbose, "the program's prints");
    CLI11_PARSE(app, argc, argv);
    return run(args);
}
