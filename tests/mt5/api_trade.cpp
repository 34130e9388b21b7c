// MQL5 API of the host: account, symbols, orders, positions, history. What HistorySelect selects
// stays selected until the next selection, as in a terminal, however much the account changes
// meanwhile.
#include "tests/mt5/host.h"
#include "tools/market/text.h"

#include <time.h>

#include <algorithm>
#include <set>

using millrace::mt5::host;
using millrace::mt5::ViewDeal;
using millrace::mt5::ViewOrder;

namespace {

double unscaled(std::int64_t v) {
    return static_cast<double>(v) / static_cast<double>(millrace::kScale);
}

ViewOrder selected_order;
millrace::sim::Position selected_position;
std::vector<ViewOrder> history_orders;
std::vector<ViewDeal> history_deals;
std::set<std::string> watched;
std::int64_t looks_at_stops = 0;  // at stop losses of positions

std::vector<ViewOrder> active_orders() {
    std::vector<ViewOrder> out;
    if (!host().connected() || host().lists_hidden()) {
        return out;
    }
    for (const ViewOrder& order : host().orders) {
        if (order.active) {
            out.push_back(order);
        }
    }
    return out;
}

std::vector<millrace::sim::Position> open_positions() {
    std::vector<millrace::sim::Position> out;
    if (!host().connected() || host().lists_hidden() || host().between_halves ||
        host().knobs.hidden_list != 0) {
        return out;
    }
    for (const auto& [id, position] : host().account().positions) {
        out.push_back(position);
    }
    if (host().knobs.fifo_close != 0) {  // no order of a list is promised
        std::reverse(out.begin(), out.end());
    }
    return out;
}

long integer_of(const ViewOrder& order, int property) {
    switch (property) {
        case ORDER_TICKET: return static_cast<long>(order.ticket);
        case ORDER_MAGIC: return static_cast<long>(order.magic);
        case ORDER_TYPE: return order.type;
        case ORDER_STATE: return order.state;
        case ORDER_REASON: return order.reason;
        case ORDER_TYPE_TIME: return order.type_time;
        case ORDER_TIME_EXPIRATION: return order.expiration;
        case ORDER_TIME_SETUP_MSC: return order.setup_msc;
        case ORDER_TIME_DONE_MSC: return order.done_msc;
    }
    mql_halt("an integer property of orders that the host does not know");
}

double double_of(const ViewOrder& order, int property) {
    switch (property) {
        case ORDER_VOLUME_INITIAL: return order.initial;
        case ORDER_VOLUME_CURRENT: return order.current;
        case ORDER_PRICE_OPEN: return order.price;
        case ORDER_SL: return order.sl;
        case ORDER_TP: return order.tp;
    }
    mql_halt("a double property of orders that the host does not know");
}

const ViewOrder* find(const std::vector<ViewOrder>& orders, ulong ticket) {
    const auto it = std::find_if(orders.begin(), orders.end(), [ticket](const ViewOrder& order) {
        return order.ticket == ticket;
    });
    return it == orders.end() ? nullptr : &*it;
}

const ViewDeal& deal_of(ulong ticket) {
    const auto it = std::find_if(history_deals.begin(), history_deals.end(),
                                 [ticket](const ViewDeal& deal) { return deal.ticket == ticket; });
    if (it == history_deals.end()) {
        mql_halt("a deal was read that is not in the selected history");
    }
    return *it;
}

const ViewOrder& history_order_of(ulong ticket) {
    const ViewOrder* order = find(history_orders, ticket);
    if (order == nullptr) {
        mql_halt("an order was read that is not in the selected history");
    }
    return *order;
}

template <class Wanted>
bool select_history(const Wanted& wanted) {
    if (!host().connected() || host().knobs.no_history != 0) {
        return false;
    }
    history_orders.clear();
    history_deals.clear();
    for (const ViewOrder& order : host().orders) {
        if (!order.active && host().is_visible(order.visible_ns) &&
            wanted(order.done_msc, order.position)) {
            history_orders.push_back(order);
        }
    }
    for (const ViewDeal& deal : host().deals) {
        const auto unseen = static_cast<ulong>(host().knobs.hidden_position);
        const bool hidden = unseen != 0 && deal.position == unseen;
        if (!hidden && host().is_visible(deal.visible_ns) && wanted(deal.time_msc, deal.position)) {
            history_deals.push_back(deal);
        }
    }
    return true;
}

}  // namespace

// -- account, symbols ----------------------------------------------------------------------------

long AccountInfoInteger(int property) {
    switch (property) {
        case ACCOUNT_LOGIN:
            if (host().knobs.logged_out != 0) {
                return 0;
            }
            return static_cast<long>(host().options().login) +
                   (host().knobs.other_account == 1 ? 1 : 0);
        case ACCOUNT_TRADE_ALLOWED:
            return host().knobs.account_denied == 0 && host().connected() &&
                           host().server().trade_allowed(host().options().login)
                       ? 1
                       : 0;
        case ACCOUNT_TRADE_EXPERT: return host().knobs.expert_denied == 0 ? 1 : 0;
        case ACCOUNT_MARGIN_MODE:
            return host().knobs.logged_out == 0 &&
                           host().options().margin_mode == millrace::MarginMode::Hedging
                       ? ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
                       : ACCOUNT_MARGIN_MODE_RETAIL_NETTING;
        case ACCOUNT_LIMIT_ORDERS: return host().knobs.limit_orders;
        case ACCOUNT_TRADE_MODE: return host().knobs.real_account != 0 ? 2 : 0;
        case ACCOUNT_FIFO_CLOSE: return host().knobs.fifo_close;
        case ACCOUNT_HEDGE_ALLOWED: return 1;
        case ACCOUNT_LEVERAGE:
            return static_cast<long>(host().server().money(host().options().login).leverage);
    }
    mql_halt("AccountInfoInteger: a property that the host does not know");
}
double AccountInfoDouble(int property) {
    const auto money = host().server().money(host().options().login);
    if (property == ACCOUNT_MARGIN_FREE) {  // may be below 0, as a terminal's
        return unscaled(money.equity.value - money.margin.value);
    }
    return unscaled(property == ACCOUNT_EQUITY ? money.equity.value : money.balance.value);
}
string AccountInfoString(int property) {
    if (host().knobs.logged_out != 0) {
        return "";
    }
    if (property == ACCOUNT_CURRENCY) {
        return host().knobs.in_euros != 0 ? "EUR" : "USD";
    }
    if (property != ACCOUNT_SERVER) {
        mql_halt("AccountInfoString: a property that the host does not know");
    }
    return host().knobs.other_account == 2 ? "Other-Live" : "Sim-Demo";
}
bool SymbolSelect(const string& symbol, bool) {
    host().call("SymbolSelect");
    const bool known = host().symbol(symbol.str()) != nullptr;
    if (known) {
        watched.insert(symbol.str());
    }
    return known;
}
long SymbolInfoInteger(const string& symbol, int property) {
    const auto* info = host().symbol(symbol.str());
    switch (property) {
        case SYMBOL_SELECT:
            return info != nullptr &&
                           (host().knobs.unwatched == 0 || watched.contains(symbol.str()))
                       ? 1
                       : 0;
        case SYMBOL_DIGITS: return info != nullptr ? info->digits : 0;
        case SYMBOL_FILLING_MODE: return host().knobs.fill_flags;
        case SYMBOL_TRADE_EXEMODE: return host().knobs.execution;
        case SYMBOL_TRADE_MODE: return host().knobs.trade_mode;
        case SYMBOL_ORDER_MODE: return host().knobs.order_mode;
        case SYMBOL_EXPIRATION_MODE: return host().knobs.expirations;
        case SYMBOL_TRADE_STOPS_LEVEL:
        case SYMBOL_TRADE_FREEZE_LEVEL: return 0;
    }
    mql_halt("SymbolInfoInteger: a property that the host does not know");
}
double SymbolInfoDouble(const string& symbol, int property) {
    const auto* info = host().symbol(symbol.str());
    if (info == nullptr) {
        return 0.0;
    }
    switch (property) {
        case SYMBOL_POINT: return std::pow(10.0, -static_cast<double>(info->digits));
        case SYMBOL_TRADE_CONTRACT_SIZE:
            return host().knobs.contract_size != 0 ? static_cast<double>(host().knobs.contract_size)
                                                   : unscaled(info->contract_size);
        case SYMBOL_TRADE_TICK_SIZE: return unscaled(info->tick_size.value);
        case SYMBOL_VOLUME_LIMIT: return static_cast<double>(host().knobs.volume_limit) / 100.0;
        case SYMBOL_VOLUME_MIN: return unscaled(info->volume_min.value);
        case SYMBOL_VOLUME_MAX: return unscaled(info->volume_max.value);
        case SYMBOL_VOLUME_STEP: return unscaled(info->volume_step.value);
    }
    mql_halt("SymbolInfoDouble: a property that the host does not know");
}
string SymbolInfoString(const string& symbol, int property) {
    if (property != SYMBOL_CURRENCY_PROFIT) {
        mql_halt("SymbolInfoString: a property that the host does not know");
    }
    const auto* info = host().symbol(symbol.str());
    return info != nullptr ? string{info->quote.c_str()} : string{};
}
// -- requests ------------------------------------------------------------------------------------

bool OrderCheck(const MqlTradeRequest& request, MqlTradeCheckResult& result) {
    host().call("OrderCheck");
    result.retcode = host().knobs.check_lies != 0 ? 0 : host().check(request);
    return result.retcode == 0;
}
bool OrderSend(const MqlTradeRequest& request, MqlTradeResult& result) {
    host().call("OrderSend");
    ++host().sends;
    if (host().knobs.busy_ms > 0) {
        const timespec wait{host().knobs.busy_ms / 1'000, host().knobs.busy_ms % 1'000 * 1'000'000};
        ::nanosleep(&wait, nullptr);
    }
    const uint code = host().send(request, result);
    return millrace::sim::retcode::is_success(code);
}
bool OrderSendAsync(const MqlTradeRequest& request, MqlTradeResult& result) {
    host().call("OrderSendAsync");
    ++host().sends;
    if (host().knobs.terminal_denied != 0 || host().knobs.program_denied != 0) {
        host().last_error = 4752;
        return false;
    }
    result.retcode = TRADE_RETCODE_PLACED;  // sent, no more
    result.request_id = host().next_request++;
    host().send_later(request, result.request_id);
    return true;
}

// -- active orders, positions --------------------------------------------------------------------

int OrdersTotal() {
    return static_cast<int>(active_orders().size());
}
ulong OrderGetTicket(int index) {
    const auto orders = active_orders();
    if (index < 0 || index >= static_cast<int>(orders.size())) {
        return 0;
    }
    selected_order = orders[static_cast<std::size_t>(index)];
    return selected_order.ticket;
}
bool OrderSelect(ulong ticket) {
    host().call("OrderSelect");
    const auto orders = active_orders();
    const ViewOrder* order = find(orders, ticket);
    if (order != nullptr) {
        selected_order = *order;
    }
    return order != nullptr;
}
long OrderGetInteger(int property) {
    return integer_of(selected_order, property);
}
double OrderGetDouble(int property) {
    return double_of(selected_order, property);
}
string OrderGetString(int) {
    return string{selected_order.symbol};
}

int PositionsTotal() {
    host().call("PositionsTotal");
    return static_cast<int>(open_positions().size());
}
ulong PositionGetTicket(int index) {
    const auto positions = open_positions();
    if (index < 0 || index >= static_cast<int>(positions.size())) {
        return 0;
    }
    selected_position = positions[static_cast<std::size_t>(index)];
    return selected_position.ticket;
}
bool PositionSelectByTicket(ulong ticket) {
    for (const auto& position : open_positions()) {
        if (position.ticket == ticket) {
            selected_position = position;
            return true;
        }
    }
    return false;
}
long PositionGetInteger(int property) {
    switch (property) {
        case POSITION_TICKET: return static_cast<long>(selected_position.ticket);
        case POSITION_IDENTIFIER: return static_cast<long>(selected_position.id);
        case POSITION_MAGIC: return static_cast<long>(selected_position.magic);
        case POSITION_TYPE:
            return selected_position.volume > 0 ? POSITION_TYPE_BUY : POSITION_TYPE_SELL;
        case POSITION_TIME_MSC: return host().opened_msc(selected_position.id);
    }
    mql_halt("PositionGetInteger: a property that the host does not know");
}
double PositionGetDouble(int property) {
    switch (property) {
        case POSITION_VOLUME: return unscaled(selected_position.lots().value);
        case POSITION_SL:
            looks_at_stops += host().knobs.flicker;
            return unscaled(selected_position.stop_loss.value +
                            looks_at_stops * host().knobs.flicker);
        case POSITION_TP: return unscaled(selected_position.take_profit.value);
    }
    mql_halt("PositionGetDouble: a property that the host does not know");
}
string PositionGetString(int) {
    return string{std::string{millrace::market::view_of(selected_position.symbol)}};
}

// -- history -------------------------------------------------------------------------------------

bool HistorySelect(datetime from, datetime to) {
    host().call("HistorySelect");
    ++host().selections;
    return select_history(
        [from, to](long msc, ulong) { return msc >= from * 1'000 && msc <= to * 1'000; });
}
bool HistorySelectByPosition(long position_id) {
    host().call("HistorySelectByPosition");
    return select_history([position_id](long, ulong position) {
        return position != 0 && position == static_cast<ulong>(position_id);
    });
}
bool HistoryOrderSelect(ulong ticket) {
    host().call("HistoryOrderSelect");
    const ViewOrder* order = find(host().orders, ticket);
    const bool visible = order != nullptr && !order->active &&
                         host().is_visible(order->visible_ns) && host().connected() &&
                         host().knobs.no_history == 0;
    if (visible) {
        history_orders = {*order};
        history_deals.clear();
    }
    return visible;
}
bool HistoryDealSelect(ulong ticket) {
    host().call("HistoryDealSelect");
    const auto it = std::find_if(host().deals.begin(), host().deals.end(),
                                 [ticket](const ViewDeal& deal) { return deal.ticket == ticket; });
    const bool visible = it != host().deals.end() && host().is_visible(it->visible_ns) &&
                         host().connected() && host().knobs.no_history == 0;
    if (visible) {
        history_orders.clear();
        history_deals = {*it};
    }
    return visible;
}
int HistoryOrdersTotal() {
    return static_cast<int>(history_orders.size());
}
ulong HistoryOrderGetTicket(int index) {
    return index < HistoryOrdersTotal() ? history_orders[static_cast<std::size_t>(index)].ticket
                                        : 0;
}
long HistoryOrderGetInteger(ulong ticket, int property) {
    return integer_of(history_order_of(ticket), property);
}
double HistoryOrderGetDouble(ulong ticket, int property) {
    return double_of(history_order_of(ticket), property);
}
string HistoryOrderGetString(ulong ticket, int) {
    return string{history_order_of(ticket).symbol};
}
int HistoryDealsTotal() {
    return static_cast<int>(history_deals.size());
}
ulong HistoryDealGetTicket(int index) {
    return index < HistoryDealsTotal() ? history_deals[static_cast<std::size_t>(index)].ticket : 0;
}
long HistoryDealGetInteger(ulong ticket, int property) {
    const ViewDeal& deal = deal_of(ticket);
    switch (property) {
        case DEAL_TICKET: return static_cast<long>(deal.ticket);
        case DEAL_ORDER: return static_cast<long>(deal.order);
        case DEAL_POSITION_ID: return static_cast<long>(deal.position);
        case DEAL_MAGIC: return static_cast<long>(deal.magic);
        case DEAL_TYPE: return deal.type;
        case DEAL_ENTRY: return deal.entry;
        case DEAL_REASON: return deal.reason;
        case DEAL_TIME_MSC: return deal.time_msc;
    }
    mql_halt("HistoryDealGetInteger: a property that the host does not know");
}
double HistoryDealGetDouble(ulong ticket, int property) {
    const ViewDeal& deal = deal_of(ticket);
    return property == DEAL_VOLUME ? deal.volume : deal.price;
}
string HistoryDealGetString(ulong ticket, int) {
    return string{deal_of(ticket).symbol};
}
