// What the server does by itself: quotes set off pendings and stops; closes by hand, kill,
// stop-out.
#include "core/assert.h"
#include "tools/simbroker/trade_server.h"

namespace millrace::sim {

TradeRequest request_of(const WorkingOrder& order) {
    TradeRequest request;
    request.type = CommandType::Open;
    request.side = order.side;
    request.price_kind = order.price_kind;
    request.magic = Magic{order.magic};
    request.symbol = order.symbol;
    request.volume = order.volume;
    request.price = order.price;
    request.stop_loss = order.stop_loss;
    request.take_profit = order.take_profit;
    request.comment = order.comment;
    return request;
}

void TradeServer::on_quote(const Text<16>& name, Price bid, Price ask) {
    Symbol* symbol = symbol_of(name);
    if (symbol == nullptr || bid.value <= 0 || ask.value <= 0) {
        return;
    }
    symbol->bid = bid;
    symbol->ask = ask;
    if (!symbol->open) {
        return;
    }
    for (const Trigger& hit : state_.triggers(name).hit_by(bid, ask)) {
        trigger(hit);
    }
}

void TradeServer::trigger(const Trigger& hit) {
    const Account* account = state_.find(hit.login);
    ASSERT(account != nullptr);
    if (hit.kind == TriggerKind::Order) {
        if (const auto it = account->orders.find(hit.id); it != account->orders.end()) {
            fill_pending(*account, WorkingOrder{it->second});
        }
        return;
    }
    const auto it = account->positions.find(hit.id);
    if (it == account->positions.end()) {
        return;  // closed by an earlier trigger of the same quote
    }
    close_by_server(hit.login, hit.id, Lots{},
                    hit.kind == TriggerKind::StopLoss ? ExecKind::ClosedByStopLoss
                                                      : ExecKind::ClosedByTakeProfit);
}

void TradeServer::fill_pending(const Account& account, const WorkingOrder& order) {
    Symbol* symbol = symbol_of(order.symbol);
    ASSERT(symbol != nullptr);
    const TradeRequest request = request_of(order);
    if (!has_money_for(account, *symbol, order.side, order.volume)) {
        cancel_by_server(account.login, order.ticket, ExecKind::PendingCanceled,
                         retcode::kRejectCancel);
        return;
    }
    // A limit fills at the market, which is its price or better; a stop at the market, which in a
    // gap is worse than its price.
    const Price price = order.side == Side::Buy ? symbol->ask : symbol->bid;
    BookRecord deal = deal_in(account, *symbol, request, order.volume, price, order.ticket);
    deal.reason = ExecKind::PendingFilled;
    commit({&deal, 1});
}

Lots TradeServer::close_by_server(std::uint64_t login, std::uint64_t position_id, Lots volume,
                                  ExecKind why) {
    const Account* account = state_.find(login);
    const Position* found = account == nullptr ? nullptr : account->find_position(position_id);
    if (found == nullptr) {
        return Lots{};
    }
    const Position position = *found;
    const Symbol* symbol = symbol_of(position.symbol);
    if (symbol == nullptr || symbol->bid.value == 0 || !symbol->open) {
        return Lots{};
    }
    const Lots all = position.lots();
    const Lots closing = volume.value <= 0 || volume > all ? all : volume;
    const Price price = position.volume > 0 ? symbol->bid : symbol->ask;
    BookRecord deal =
        deal_out(*account, position, *symbol, closing, price, next_order_++, position.magic);
    deal.reason = why;
    commit({&deal, 1});
    return closing;
}

bool TradeServer::cancel_by_server(std::uint64_t login, std::uint64_t order, ExecKind why,
                                   std::uint32_t code) {
    const Account* account = state_.find(login);
    if (account == nullptr) {
        return false;
    }
    const auto it = account->orders.find(order);
    if (it == account->orders.end()) {
        return false;
    }
    BookRecord record = record_of(BookKind::OrderCanceled, login, request_of(it->second));
    record.order = order;
    record.reason = why;
    record.retcode = code;
    commit({&record, 1});
    return true;
}

}  // namespace millrace::sim
