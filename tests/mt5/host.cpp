// The terminal's side of the trade server: requests in, and the account as a terminal shows it.
#include "tests/mt5/host.h"
#include "tests/mt5/host_units.h"

#include "tools/market/text.h"
#include "tools/simbroker/event_loop.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

namespace millrace::mt5 {
namespace {

using sim::BookKind;
using sim::BookRecord;

Host* the_host = nullptr;

std::int64_t now_ns() {
    return sim::EventLoop::now().value;
}
std::int64_t wall_ns() {
    return sim::EventLoop::wall_now().value;
}
int order_type(Side side, PriceKind kind) {
    const int base = kind == PriceKind::Market ? 0 : kind == PriceKind::Limit ? 2 : 4;
    return base + (side == Side::Buy ? 0 : 1);
}

int reason_of(ExecKind kind) {
    switch (kind) {
        case ExecKind::ClosedByStopLoss: return DEAL_REASON_SL;
        case ExecKind::ClosedByTakeProfit: return DEAL_REASON_TP;
        case ExecKind::ClosedByStopOut: return DEAL_REASON_SO;
        case ExecKind::ClosedManually:
        case ExecKind::Foreign: return DEAL_REASON_CLIENT;
        default: return DEAL_REASON_EXPERT;
    }
}

bool is_by_server(ExecKind kind) {
    return kind == ExecKind::ClosedByStopLoss || kind == ExecKind::ClosedByTakeProfit ||
           kind == ExecKind::ClosedByStopOut || kind == ExecKind::ClosedManually;
}

}  // namespace

Host& host() {
    return *the_host;
}
void set_host(Host& host) {
    the_host = &host;
}

void Host::die_now() {
    ::kill(::getpid(), SIGKILL);
    for (;;) {
        ::pause();
    }
}

void Host::call(const char* name) {
    ++calls_;
    if (options_.kill_at != 0 && calls_ == options_.kill_at) {
        std::fprintf(stderr, "mt5_host: dies at call %lu, %s\n", calls_, name);
        die_now();
    }
}

Status Host::start(std::vector<market::SymbolInfo> symbols, sim::AccountConfig account) {
    symbols_ = symbols;
    sim::TradeServer::Hooks hooks;
    hooks.now = [] { return sim::EventLoop::wall_now(); };
    hooks.on_loaded = [this](const BookRecord& record) { show(record); };
    hooks.on_record = [this](const BookRecord& record) { show(record); };
    hooks.on_fatal = [](const Error& error) {
        std::fprintf(stderr, "mt5_host: books: %s\n", error.what);
        std::_Exit(1);
    };
    auto server = sim::TradeServer::open(options_.books_path, std::move(symbols), {account}, hooks);
    if (!server) {
        return server.error();
    }
    server_ = std::make_unique<sim::TradeServer>(std::move(server).value());
    loading_ = false;
    transactions_.clear();  // nothing is replayed after a restart
    load_late();
    connected_ns_ = now_ns();
    return ok_status();
}

const market::SymbolInfo* Host::symbol(const std::string& name) const {
    const auto it = std::find_if(symbols_.begin(), symbols_.end(),
                                 [&](const auto& info) { return info.name == name; });
    return it == symbols_.end() ? nullptr : &*it;
}

const sim::Account& Host::account() const {
    return *server_->state().find(options_.login);
}

bool Host::is_visible(std::int64_t visible_ns) const {
    return visible_ns <= now_ns();
}

bool Host::lists_hidden() const {
    return now_ns() < connected_ns_ + knobs.lists_empty_ms * 1'000'000;
}

void Host::reconnect() {
    connected_ns_ = now_ns();
    const std::int64_t later = connected_ns_ + knobs.incomplete_ms * 1'000'000;
    for (std::size_t i = orders.size() / 2; i < orders.size(); ++i) {
        orders[i].visible_ns = std::max(orders[i].visible_ns, later);
    }
    for (std::size_t i = deals.size() / 2; i < deals.size(); ++i) {
        deals[i].visible_ns = std::max(deals[i].visible_ns, later);
    }
}

// -- what the terminal shows -------------------------------------------------------------------

ViewOrder* Host::find_order(ulong ticket) {
    const auto it = std::find_if(orders.rbegin(), orders.rend(), [ticket](const ViewOrder& order) {
        return order.ticket == ticket;
    });
    return it == orders.rend() ? nullptr : &*it;
}

void Host::push(ENUM_TRADE_TRANSACTION_TYPE type, ulong order, ulong deal) {
    Transaction t;
    t.transaction.type = type;
    t.transaction.order = order;
    t.transaction.deal = deal;
    transactions_.push_back(std::move(t));
}

void Host::show_order(const BookRecord& record) {
    ViewOrder order;
    order.ticket = record.order;
    order.magic = record.magic;
    order.type = order_type(record.side, record.price_kind);
    order.state = ORDER_STATE_PLACED;
    order.reason = reason_of(record.reason);
    order.initial = order.current = unscaled(record.volume);
    order.price = unscaled(record.price);
    order.sl = unscaled(record.stop_loss);
    order.tp = unscaled(record.take_profit);
    order.setup_msc = server_msc(record.time_ns);
    order.position = record.position;
    order.symbol = std::string{market::view_of(record.symbol)};
    order.active = true;
    orders.push_back(order);
    push(TRADE_TRANSACTION_ORDER_ADD, order.ticket, 0);
}

void Host::show_deal(const BookRecord& record) {
    const std::int64_t visible = loading_ ? 0 : now_ns() + knobs.history_delay_ms * 1'000'000;
    ViewDeal deal;
    deal.ticket = record.deal;
    deal.order = record.order;
    deal.position = knobs.late_position != 0 ? 0 : record.position;
    const bool by_server = is_by_server(record.reason);
    deal.magic = by_server && knobs.server_magic == 0 ? 0 : record.magic;
    deal.type = record.side == Side::Buy ? DEAL_TYPE_BUY : DEAL_TYPE_SELL;
    deal.entry = static_cast<int>(record.entry);
    deal.reason = reason_of(record.reason);
    deal.price = unscaled(record.price);
    deal.time_msc = server_msc(record.time_ns);
    deal.symbol = std::string{market::view_of(record.symbol)};
    deal.visible_ns = visible;
    std::int64_t left = record.volume;
    for (std::int64_t parts = knobs.deals_each; parts > 0; --parts) {  // the last has their ticket
        constexpr ulong kPartTickets = 10'000'000;
        const auto part = static_cast<ulong>(parts - 1);
        deal.ticket = part == 0 ? record.deal : kPartTickets + record.deal * 100 - part;
        deal.volume = unscaled(left / parts);
        left -= left / parts;
        deals.push_back(deal);
        push(TRADE_TRANSACTION_DEAL_ADD, deal.order, deal.ticket);
    }
    ViewOrder* order = find_order(record.order);
    if (order == nullptr) {  // the server's own order
        BookRecord made = record;
        made.price_kind = PriceKind::Market;
        made.magic = deal.magic;
        show_order(made);
        order = &orders.back();
    }
    order->current = unscaled(scaled(order->current) - record.volume);
    if (scaled(order->current) <= 0) {
        order->active = false;
        order->state = ORDER_STATE_FILLED;
        order->done_msc = deal.time_msc;
        order->visible_ns = visible;
        push(TRADE_TRANSACTION_HISTORY_ADD, order->ticket, 0);
    }
}

void Host::roll_over(bool out_half, bool in_half, double factor, int reason) {
    between_halves = !in_half;
    for (const auto& [id, position] : account().positions) {
        for (const bool out : {true, false}) {
            if (out ? !out_half : !in_half) {
                continue;
            }
            ViewDeal deal;
            deal.ticket = technical_++;
            deal.position = id;
            const bool buy = (position.side() == Side::Buy) != out;
            deal.type = buy ? DEAL_TYPE_BUY : DEAL_TYPE_SELL;
            deal.entry = out ? DEAL_ENTRY_OUT : DEAL_ENTRY_IN;
            deal.reason = reason;
            deal.volume = unscaled(position.lots().value) * (out ? 1.0 : factor);
            deal.price = unscaled(position.open_price.value);
            deal.time_msc = server_msc(wall_ns());
            deal.symbol = std::string{market::view_of(position.symbol)};
            deals.push_back(deal);
            push(TRADE_TRANSACTION_DEAL_ADD, 0, deal.ticket);
        }
    }
}

void Host::show_end(const BookRecord& record) {
    ViewOrder* order = find_order(record.order);
    if (order == nullptr) {
        return;
    }
    order->active = false;
    order->state =
        record.retcode == sim::retcode::kRejectCancel ? ORDER_STATE_REJECTED : ORDER_STATE_CANCELED;
    order->done_msc = server_msc(record.time_ns);
    order->visible_ns = loading_ ? 0 : now_ns() + knobs.history_delay_ms * 1'000'000;
    push(TRADE_TRANSACTION_ORDER_DELETE, order->ticket, 0);
    push(TRADE_TRANSACTION_HISTORY_ADD, order->ticket, 0);
}

void Host::show(const BookRecord& record) {
    if (record.login != options_.login) {
        return;
    }
    switch (record.kind) {
        case BookKind::Order: return show_order(record);
        case BookKind::Deal: return show_deal(record);
        case BookKind::OrderCanceled: return show_end(record);
        case BookKind::OrderModified:
            if (ViewOrder* order = find_order(record.order)) {
                order->price = unscaled(record.price);
                order->sl = unscaled(record.stop_loss);
                order->tp = unscaled(record.take_profit);
            }
            return push(TRADE_TRANSACTION_ORDER_UPDATE, record.order, 0);
        case BookKind::PositionModified: return push(TRADE_TRANSACTION_POSITION, 0, 0);
        case BookKind::Account:
        case BookKind::Refused:
        case BookKind::Repeated: return;
    }
}

bool Host::next_transaction(Transaction& out) {
    while (!transactions_.empty()) {
        std::size_t at = 0;
        if (knobs.shuffle != 0) {
            at = faults_.random().below(transactions_.size());
        }
        out = transactions_[at];
        transactions_.erase(transactions_.begin() + static_cast<std::ptrdiff_t>(at));
        if (!faults_.random().chance_ppm(static_cast<std::uint64_t>(knobs.lose_events_ppm))) {
            return true;
        }
    }
    return false;
}

void Host::push_result(const MqlTradeRequest& request, const MqlTradeResult& result) {
    Transaction t;
    t.transaction.type = TRADE_TRANSACTION_REQUEST;
    t.request = request;
    t.result = result;
    transactions_.push_back(std::move(t));
}

// -- requests ------------------------------------------------------------------------------------

uint Host::execute(const MqlTradeRequest& request, MqlTradeResult& result) {
    sim::TradeRequest ask;
    ask.magic = Magic{request.magic};
    ask.symbol = market::to_text<16>(request.symbol.str());
    ask.comment = market::to_text<16>(request.comment.str());
    ask.side = request.type % 2 == 0 ? Side::Buy : Side::Sell;
    ask.volume = Lots{scaled(request.volume)};
    const bool drops = knobs.drop_stops != 0 && request.action == TRADE_ACTION_DEAL;
    ask.stop_loss = Price{scaled(drops ? 0 : request.sl)};
    ask.take_profit = Price{scaled(drops ? 0 : request.tp)};
    ask.position_ticket = request.position;
    ask.order_ticket = request.order;
    switch (request.action) {
        case TRADE_ACTION_DEAL:
            ask.type = request.position != 0 ? CommandType::Close : CommandType::Open;
            if (knobs.execution < 2) {  // Instant and Request hold the price, Market does not
                ask.price = Price{scaled(request.price)};
                ask.deviation_points = static_cast<std::uint32_t>(request.deviation);
            }
            break;
        case TRADE_ACTION_PENDING:
            ask.type = CommandType::Open;
            ask.price_kind =
                request.type <= ORDER_TYPE_SELL_LIMIT ? PriceKind::Limit : PriceKind::Stop;
            ask.price = Price{scaled(request.price)};
            break;
        case TRADE_ACTION_SLTP: ask.type = CommandType::Modify; break;
        case TRADE_ACTION_MODIFY:
            ask.type = CommandType::Modify;
            ask.price = Price{scaled(request.price)};
            break;
        case TRADE_ACTION_REMOVE: ask.type = CommandType::Cancel; break;
    }
    const auto injected = faults_.strike(sim::FaultKind::Retcode, options_.login, ask.type);
    sim::TradeResult done;
    if (knobs.drop_stops == 2 && ask.type == CommandType::Modify) {
        done = server_->refuse(options_.login, ask, 10016);
    } else if (injected && !injected->executed) {
        done = server_->refuse(options_.login, ask, injected->code);
    } else {
        const auto partial = faults_.strike(sim::FaultKind::PartialFill, options_.login, ask.type);
        const Ratio share = partial ? partial->share : Ratio{kScale};
        done = server_->execute(options_.login, ask, share);
        if (std::exchange(knobs.twice, 0) != 0) {
            (void)server_->execute(options_.login, ask, share);
        }
    }
    result.bid = unscaled(done.bid.value);
    result.ask = unscaled(done.ask.value);
    result.retcode = done.retcode;
    if (injected && injected->executed) {
        result.retcode = injected->code;  // done, but nobody says so
        return result.retcode;
    }
    result.order = done.order;
    result.deal = done.deal;
    result.volume = unscaled(done.volume.value);
    result.price = unscaled(done.price.value);
    if (ViewOrder* order = find_order(done.order); order != nullptr) {
        order->type_time = request.type_time;
        order->expiration = request.expiration;
    }
    if (knobs.result_form != 0 && done.deal != 0) {
        result.deal = 0;
        result.retcode = knobs.result_form == 2 ? sim::retcode::kPlaced : done.retcode;
    }
    return result.retcode;
}

/// Some servers put what they refused into the history of orders.
void Host::show_refused(const MqlTradeRequest& request) {
    if (knobs.refused_in_history == 0) {
        return;
    }
    constexpr ulong kRefusedTickets = 1'000'000;  // the server's own are far below
    ViewOrder order;
    order.ticket = kRefusedTickets + ++refused_;
    order.magic = request.magic;
    order.type = request.type;
    order.state = ORDER_STATE_REJECTED;
    order.reason = 3;  // a program's
    order.initial = order.current = request.volume;
    order.setup_msc = order.done_msc = server_msc(wall_ns());
    order.symbol = request.symbol.str();
    // Before those that are filled: a history need not be in the order of tickets.
    orders.insert(orders.begin(), order);
}

uint Host::send(const MqlTradeRequest& request, MqlTradeResult& result) {
    if (knobs.terminal_denied != 0 || knobs.program_denied != 0) {
        last_error = 4752;
        return result.retcode = TRADE_RETCODE_CLIENT_DISABLES_AT;
    }
    if (!connected()) {
        return result.retcode = TRADE_RETCODE_CONNECTION;
    }
    if (const uint refused = check(request); refused != 0) {
        show_refused(request);
        return result.retcode = refused;
    }
    if (std::exchange(knobs.break_in_send, 0) != 0) {
        reconnect();
        return result.retcode = TRADE_RETCODE_TIMEOUT;
    }
    if (knobs.crash_send == 1) {
        die_now();
    }
    if (knobs.late_ms > 0) {
        keep_late({wall_ns() + knobs.late_ms * 1'000'000, 0, request});
        knobs.late_ms = 0;
        return result.retcode = TRADE_RETCODE_TIMEOUT;
    }
    const uint code = execute(request, result);
    if (knobs.crash_send == 2) {
        die_now();
    }
    if (knobs.switch_in_send != 0) {
        knobs.other_account = std::exchange(knobs.switch_in_send, 0);
    }
    result.request_id = next_request++;
    push_result(request, result);
    if (knobs.drop_send != 0) {
        knobs.drop_send = 0;
        break_on_send = true;
    }
    return code;
}

void Host::send_later(const MqlTradeRequest& request, uint request_id) {
    if (knobs.crash_send == 1) {
        die_now();
    }
    keep_late({wall_ns() + knobs.async_ms * 1'000'000, request_id, request});
}

// A request on its way outlives the terminal: it is kept in a file and executed when it is due.
void Host::keep_late(const Late& late) {
    late_.push_back(late);
    std::ofstream out{options_.books_path + ".late", std::ios::app};
    const MqlTradeRequest& r = late.request;
    out << late.due_ns << ' ' << r.magic << ' ' << static_cast<int>(r.action) << ' ' << r.order
        << ' ' << r.position << ' ' << static_cast<int>(r.type) << ' ' << r.volume << ' ' << r.price
        << ' ' << r.sl << ' ' << r.tp << ' ' << (r.symbol == "" ? "-" : r.symbol.c_str()) << '\n';
}

void Host::load_late() {
    std::ifstream in{options_.books_path + ".late"};
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields{line};
        Late late;
        int action = 0;
        int type = 0;
        std::string name;
        MqlTradeRequest& r = late.request;
        fields >> late.due_ns >> r.magic >> action >> r.order >> r.position >> type >> r.volume >>
            r.price >> r.sl >> r.tp >> name;
        r.action = static_cast<ENUM_TRADE_REQUEST_ACTIONS>(action);
        r.type = static_cast<ENUM_ORDER_TYPE>(type);
        r.symbol = name == "-" ? "" : name;
        late_.push_back(late);
    }
}

void Host::run_due() {
    for (std::size_t i = 0; i < late_.size();) {
        if (wall_ns() < late_[i].due_ns) {
            ++i;
            continue;
        }
        const Late late = late_[i];
        late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
        // First forgotten, then executed, by the broker, whose one step this is: the terminal's
        // death comes from inside its own calls alone.
        const std::vector<Late> rest = std::move(late_);
        late_.clear();
        std::ofstream{options_.books_path + ".late", std::ios::trunc};
        for (const Late& other : rest) {
            keep_late(other);
        }
        MqlTradeResult result;
        if (const uint refused = late.request_id != 0 ? check(late.request) : 0U; refused != 0) {
            show_refused(late.request);
            result.retcode = refused;
        } else {
            execute(late.request, result);
        }
        if (knobs.crash_send == 2) {
            die_now();
        }
        result.request_id = late.request_id;
        if (late.request_id != 0) {
            push_result(late.request, result);
        }
        i = 0;
    }
}

}  // namespace millrace::mt5
