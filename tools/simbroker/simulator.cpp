#include "tools/simbroker/simulator.h"

#include "tools/market/decimal.h"
#include "tools/market/text.h"

#include <cstdlib>
#include <filesystem>
#include <set>

namespace millrace::sim {
namespace {

constexpr Nanos kRevalueEvery = millis(100);

using nlohmann::json;

json failed(const std::string& why) {
    return {{"ok", false}, {"error", why}};
}
json done() {
    return {{"ok", true}};
}

std::int64_t decimal_or(const json& object, const char* key, std::int64_t fallback) {
    if (!object.contains(key)) {
        return fallback;
    }
    const json& value = object.at(key);
    const auto parsed =
        market::parse_decimal(value.is_string() ? value.get<std::string>() : value.dump());
    return parsed.ok() ? parsed.value() : fallback;
}

}  // namespace

Simulator::Simulator(EventLoop& loop, SimOptions options)
    : loop_{loop}, options_{std::move(options)}, faults_{options_.seed} {}

Status Simulator::open_server(std::vector<BookRecord>& missed) {
    TradeServer::Hooks hooks;
    hooks.now = [] { return EventLoop::wall_now(); };
    std::set<std::uint64_t> fix_logins;
    for (const AccountEntry& entry : options_.config.accounts) {
        if (entry.is_fix()) {
            fix_logins.insert(entry.account.login);
        }
    }
    hooks.on_loaded = [&missed, fix_logins](const BookRecord& record) {
        if (record.reason != ExecKind::None || fix_logins.contains(record.login)) {
            missed.push_back(record);
        }
    };
    hooks.on_record = [this](const BookRecord& record) {
        const auto it = terminals_.find(record.login);
        if (it != terminals_.end() && !unseen_) {
            it->second->on_record(record);
        }
    };
    hooks.on_fatal = [this](const Error& error) {
        // An unwritten trade must not be answered: the broker stops here, nothing was executed.
        std::fprintf(stderr, "simbroker: books %s: %s (errno %d); free space or fix the path\n",
                     options_.books_path.c_str(), error.what, error.sys_errno);
        std::_Exit(1);
    };
    std::vector<AccountConfig> accounts;
    accounts.reserve(options_.config.accounts.size());
    for (const AccountEntry& entry : options_.config.accounts) {
        accounts.push_back(entry.account);
    }
    auto server =
        TradeServer::open(options_.books_path, options_.config.symbols, std::move(accounts), hooks);
    if (!server) {
        return server.error();
    }
    server_ = std::make_unique<TradeServer>(std::move(server).value());
    return ok_status();
}

void Simulator::add_terminal(const AccountEntry& entry) {
    TerminalOptions options;
    options.login = entry.account.login;
    options.key = entry.key;
    options.margin_mode = entry.account.margin_mode;
    options.symbol_prefix = entry.symbol_prefix;
    options.symbol_suffix = entry.symbol_suffix;
    options.server = options_.connect;
    options.dedupe = options_.intent_journal;
    options.absent_after_ms = options_.absent_after_ms;
    options.quiet = !options_.verbose;
    if (options_.intent_journal) {
        options.journal_path =
            options_.journal_dir + "/" + std::to_string(options.login) + ".intents";
    }
    const auto login = options.login;  // the right side of an assignment moves `options` first
    terminals_[login] = std::make_unique<Terminal>(loop_, *server_, faults_, std::move(options));
}

void Simulator::add_fix_session(const AccountEntry& entry) {
    FixSessionOptions options;
    options.login = entry.account.login;
    options.fix = entry.fix;
    options.quiet = !options_.verbose;
    if (options_.intent_journal) {
        options.store_path = options_.journal_dir + "/" + std::to_string(options.login) + ".fix";
    }
    for (const market::SymbolInfo& info : options_.config.symbols) {
        fix::Instrument instrument{info.name, info.name, info.contract_size,
                                   static_cast<std::uint8_t>(info.digits)};
        options.instruments.emplace(market::to_text<16>(info.name), instrument);
    }
    auto session = std::make_unique<FixSession>(loop_, *server_, faults_, std::move(options));
    fix_sessions_.push_back(session.get());
    terminals_[entry.account.login] = std::move(session);
}

Status Simulator::listen_for_fix(std::string& about) {
    if (fix_sessions_.empty()) {
        return ok_status();
    }
    about = "--fix-listen";
    if (options_.fix_listen.sin_family == 0) {
        return {Errc::BadInput, "is needed: the configuration has accounts with \"fix\""};
    }
    fix_acceptor_ = std::make_unique<FixAcceptor>(loop_);
    for (FixSession* session : fix_sessions_) {
        fix_acceptor_->add(*session);
    }
    const auto port = fix_acceptor_->listen(options_.fix_listen);
    if (!port) {
        return port.error();
    }
    fix_port_ = port.value();
    return ok_status();
}

Status Simulator::start(std::string& about) {
    std::error_code error;
    about = options_.journal_dir;
    if (options_.intent_journal) {
        std::filesystem::create_directories(options_.journal_dir, error);
        if (error) {
            return {Errc::IoError, "cannot create the journal directory", error.value()};
        }
    }
    about = options_.books_path;
    std::vector<BookRecord> missed;
    if (const auto opened = open_server(missed); !opened) {
        return opened;
    }
    for (const Fault& fault : options_.config.faults) {
        faults_.add(fault);
    }
    tick_streams_ =
        std::make_unique<TickStreams>(loop_, options_.tick_streams, options_.config.accounts);
    feed_ = std::make_unique<MarketFeed>(
        loop_, std::move(options_.ticks), options_.feed,
        [this](const market::Tick& tick) {
            server_->on_quote(tick.symbol, tick.bid, tick.ask);
            tick_streams_->push(tick);
        },
        [this](const market::Tick& tick) { send_quote(tick); });
    for (const AccountEntry& entry : options_.config.accounts) {
        entry.is_fix() ? add_fix_session(entry) : add_terminal(entry);
    }
    for (const auto& [login, terminal] : terminals_) {
        about = options_.journal_dir + "/" + std::to_string(login) + ".intents";
        if (const auto started = terminal->start(missed); !started) {
            return started;
        }
    }
    if (const auto listening = listen_for_fix(about); !listening) {
        return listening;
    }
    feed_->start();
    revalue_soon();
    return ok_status();
}

void Simulator::revalue_soon() {
    server_->revalue();
    // A terminal that came up in the meantime is told every price it has missed.
    std::uint64_t login = 0;
    std::uint64_t session = 0;
    for (const auto& [candidate, terminal] : terminals_) {
        if (terminal->is_up() && terminal->may_carry_quotes()) {
            login = candidate;
            session = terminal->counters().sessions;
            break;
        }
    }
    if (login != carrier_login_ || session != carrier_session_) {
        carrier_login_ = login;
        carrier_session_ = session;
        feed_->resend_all();
    }
    loop_.after(kRevalueEvery, [this] { revalue_soon(); });
}

void Simulator::send_quote(const market::Tick& tick) {
    const auto carrier = terminals_.find(carrier_login_);
    if (carrier != terminals_.end()) {
        carrier->second->send_tick(tick.symbol, tick.bid, tick.ask, EventLoop::wall_now());
    }
    for (FixSession* session : fix_sessions_) {
        session->send_tick(tick.symbol, tick.bid, tick.ask, tick.time);
    }
}

void Simulator::finish() {
    for (const auto& [login, terminal] : terminals_) {
        terminal->finish();
    }
}

json Simulator::for_terminals(const json& command, const std::function<void(AccountLink&)>& act) {
    const std::uint64_t login = command.value("login", std::uint64_t{0});
    if (login != 0 && !terminals_.contains(login)) {
        return failed("no account " + std::to_string(login));
    }
    std::uint64_t up = 0;
    for (const auto& [candidate, terminal] : terminals_) {
        if (login == 0 || login == candidate) {
            up += terminal->is_up() ? 1U : 0U;
            act(*terminal);
        }
    }
    json answer = done();
    answer["up"] = up;
    return answer;
}

json Simulator::control(const json& command) {
    static const std::map<std::string, Handler> handlers{
        {"fault", &Simulator::do_fault},
        {"clear_faults", &Simulator::do_clear},
        {"busy", &Simulator::do_busy},
        {"disconnect", &Simulator::do_disconnect},
        {"lose_journal", &Simulator::do_lose_journal},
        {"permission", &Simulator::do_permission},
        {"market", &Simulator::do_market},
        {"tick", &Simulator::do_tick},
        {"tick_link", &Simulator::do_tick_link},
        {"manual_trade", &Simulator::do_manual_trade},
        {"manual_close", &Simulator::do_manual_close},
        {"holdings", &Simulator::do_holdings},
        {"stats", &Simulator::do_stats},
        {"positions", &Simulator::do_positions},
        {"stop", &Simulator::do_stop},
    };
    // The JSON library throws on a value of another type: a slip of the tester, answered as such.
    try {
        const auto handler = handlers.find(command.value("cmd", ""));
        if (handler != handlers.end()) {
            return (this->*handler->second)(command);
        }
        std::string known = "unknown cmd; allowed:";
        for (const auto& [name, function] : handlers) {
            known += " " + name;
        }
        return failed(known);
    } catch (const std::exception& error) {
        return failed(error.what());
    }
}

json Simulator::do_fault(const json& command) {
    const auto parsed = parse_fault(command);
    if (const auto* error = std::get_if<ConfigError>(&parsed)) {
        return failed(error->message);
    }
    faults_.add(std::get<Fault>(parsed));
    return done();
}

json Simulator::do_clear(const json&) {
    faults_.clear();
    return done();
}

json Simulator::do_busy(const json& command) {
    const auto ms = command.value("ms", std::uint32_t{1'000});
    const bool announced = command.value("announced", true);
    return for_terminals(command,
                         [ms, announced](AccountLink& terminal) { terminal.busy(ms, announced); });
}

json Simulator::do_disconnect(const json& command) {
    return for_terminals(
        command, [](AccountLink& terminal) { terminal.drop_connection("fault: disconnect"); });
}

json Simulator::do_lose_journal(const json& command) {
    json answer = done();
    const json result = for_terminals(command, [&answer](AccountLink& terminal) {
        if (const auto lost = terminal.lose_journal(); !lost) {
            answer = failed(lost.error().what);
        }
    });
    return result.at("ok").get<bool>() ? answer : result;
}

json Simulator::do_permission(const json& command) {
    const bool allowed = command.value("allowed", true);
    return for_terminals(command, [this, allowed](AccountLink& terminal) {
        server_->set_trade_allowed(terminal.login(), allowed);
    });
}

json Simulator::do_market(const json& command) {
    server_->set_market_open(market::to_text<16>(command.value("symbol", "")),
                             command.value("open", true));
    return done();
}

json Simulator::do_tick(const json& command) {
    market::Tick tick;
    tick.time = EventLoop::wall_now();
    tick.symbol = market::to_text<16>(command.value("symbol", ""));
    tick.bid = Price{decimal_or(command, "bid", 0)};
    tick.ask = Price{decimal_or(command, "ask", 0)};
    if (tick.bid.value <= 0 || tick.ask.value <= 0) {
        return failed("bid and ask must be prices above 0");
    }
    feed_->inject(tick);
    return done();
}

json Simulator::do_tick_link(const json& command) {
    const std::string what = command.value("do", "");
    return tick_streams_->disturb(what, command.value("login", std::uint64_t{0}))
               ? done()
               : failed("\"do\" must be cut, stall or resume");
}

json Simulator::do_manual_trade(const json& command) {
    TradeRequest request;
    request.type = CommandType::Open;
    request.reason = ExecKind::Foreign;
    request.side = command.value("side", "buy") == "sell" ? Side::Sell : Side::Buy;
    request.symbol = market::to_text<16>(command.value("symbol", ""));
    request.volume = Lots{decimal_or(command, "volume", 0)};
    const TradeResult result = server_->execute(command.value("login", std::uint64_t{0}), request);
    json answer = done();
    answer["ok"] = retcode::is_success(result.retcode);
    answer["retcode"] = result.retcode;
    answer["position"] = result.position;
    return answer;
}

json Simulator::do_manual_close(const json& command) {
    const std::uint64_t login = command.value("login", std::uint64_t{0});
    const Account* account = server_->state().find(login);
    std::uint64_t position = command.value("position", std::uint64_t{0});
    if (position == 0 && account != nullptr && !account->positions.empty()) {
        position = account->positions.begin()->first;  // the oldest
    }
    unseen_ = command.value("unseen", false);
    const Lots closed = server_->close_by_server(
        login, position, Lots{decimal_or(command, "volume", 0)}, ExecKind::ClosedManually);
    unseen_ = false;
    if (closed.value == 0) {
        return failed("no such position, or no quote, or the market is closed");
    }
    json answer = done();
    answer["closed"] = market::format_decimal(closed.value);
    return answer;
}

json Simulator::do_holdings(const json& command) {
    for (const auto& [login, terminal] : terminals_) {
        terminal->tell_holdings_each(command.value("ms", std::uint32_t{60'000}));
    }
    return done();
}

json Simulator::do_stats(const json&) {
    json answer = done();
    LinkCounters sum;
    std::uint64_t up = 0;
    std::uint64_t unacknowledged = 0;
    for (const auto& [login, terminal] : terminals_) {
        const LinkCounters& one = terminal->counters();
        sum.commands += one.commands;
        sum.repeats += one.repeats;
        sum.stale += one.stale;
        sum.sessions += one.sessions;
        sum.connects += one.connects;
        sum.bad_frames += one.bad_frames;
        up += terminal->is_up() ? 1U : 0U;
        unacknowledged += terminal->unacknowledged();
    }
    answer["accounts"] = terminals_.size();
    answer["up"] = up;
    answer["commands"] = sum.commands;
    answer["repeats"] = sum.repeats;
    answer["stale"] = sum.stale;
    answer["sessions"] = sum.sessions;
    answer["connects"] = sum.connects;
    answer["bad_frames"] = sum.bad_frames;
    answer["unacknowledged"] = unacknowledged;
    answer["book_records"] = server_->last_number();
    answer["ticks"] = feed_->played();
    const TickFeedStats ticks = tick_streams_->stats();
    answer["ticks_streamed"] = ticks.sent;
    answer["ticks_passed_over"] = ticks.passed_over;
    answer["ticks_filled"] = ticks.answered;
    answer["feed_ended"] = feed_->ended();
    answer["faults"] = faults_.size();
    answer["struck"] = faults_.struck();
    return answer;
}

json Simulator::do_positions(const json& command) {
    const Account* account = server_->state().find(command.value("login", std::uint64_t{0}));
    if (account == nullptr) {
        return failed("no such account");
    }
    json answer = done();
    answer["balance"] = market::format_decimal(account->balance.value);
    answer["positions"] = json::array();
    for (const auto& [id, position] : account->positions) {
        answer["positions"].push_back(
            {{"id", id},
             {"magic", position.magic},
             {"symbol", std::string{market::view_of(position.symbol)}},
             {"volume", market::format_decimal(position.volume)},
             {"open_price", market::format_decimal(position.open_price.value)},
             {"stop_loss", market::format_decimal(position.stop_loss.value)},
             {"take_profit", market::format_decimal(position.take_profit.value)}});
    }
    answer["orders"] = account->orders.size();
    return answer;
}

json Simulator::do_stop(const json&) {
    loop_.stop();
    return done();
}

}  // namespace millrace::sim
