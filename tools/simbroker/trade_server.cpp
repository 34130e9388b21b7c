// Executing requests. What a deal does to a position is in trade_deals.cpp, what quotes set off in
// trade_triggers.cpp, validation and money in trade_checks.cpp.
#include "tools/simbroker/trade_server.h"

#include "core/assert.h"
#include "tools/market/text.h"

#include <algorithm>
#include <array>

namespace millrace::sim {
namespace {

// The share of a market order that a partial fill executes.
Lots share_of(Lots volume, Ratio share, const market::SymbolInfo& info) {
    if (share.value >= kScale) {
        return volume;
    }
    const auto part =
        static_cast<std::int64_t>(static_cast<__int128>(volume.value) * share.value / kScale);
    const std::int64_t stepped = part / info.volume_step.value * info.volume_step.value;
    return Lots{std::min(volume.value, std::max(stepped, info.volume_min.value))};
}

}  // namespace

Result<TradeServer> TradeServer::open(const std::string& books_path,
                                      std::vector<market::SymbolInfo> symbols,
                                      std::vector<AccountConfig> accounts, Hooks hooks) {
    TradeServer server;
    server.hooks_ = std::move(hooks);
    auto books = Books::open(books_path, [&server](const BookRecord& record) {
        server.state_.apply(record);
        if (server.hooks_.on_loaded) {
            server.hooks_.on_loaded(record);
        }
    });
    if (!books) {
        return books.error();
    }
    server.books_ = std::move(books).value();
    server.next_order_ = server.state_.next_order();
    server.next_deal_ = server.state_.next_deal();
    for (market::SymbolInfo& info : symbols) {
        server.symbols_[market::to_text<16>(info.name)].info = std::move(info);
    }
    for (const AccountConfig& config : accounts) {
        server.live_[config.login].config = config;
        if (server.state_.find(config.login) != nullptr) {
            continue;
        }
        BookRecord record = server.record_of(BookKind::Account, config.login, {});
        record.balance = config.balance.value;
        record.price_kind = static_cast<PriceKind>(config.margin_mode);
        server.commit({&record, 1});
    }
    return server;
}

BookRecord TradeServer::record_of(BookKind kind, std::uint64_t login,
                                  const TradeRequest& request) const {
    BookRecord record;
    record.kind = kind;
    record.login = login;
    record.time_ns = hooks_.now ? hooks_.now().value : 0;
    record.magic = request.magic.value;
    record.reason = request.reason;
    record.command = request.type;
    record.side = request.side;
    record.price_kind = request.price_kind;
    record.volume = request.volume.value;
    record.price = request.price.value;
    record.stop_loss = request.stop_loss.value;
    record.take_profit = request.take_profit.value;
    record.symbol = request.symbol;
    record.comment = request.comment;
    if (const Account* account = state_.find(login)) {
        record.balance = account->balance.value;
    }
    return record;
}

void TradeServer::commit(std::span<BookRecord> records) {
    if (const auto written = books_.append(records); !written) {
        hooks_.on_fatal(written.error());
        return;
    }
    for (const BookRecord& record : records) {
        const Worth before = worth_of(record.login, record.position);
        state_.apply(record);
        if (record.kind == BookKind::Deal) {
            // By difference: a flatten of 10,000 positions must not sum them up 10,000 times.
            const Worth after = worth_of(record.login, record.position);
            Live& live = live_[record.login];
            live.floating = Money{live.floating.value + after.floating - before.floating};
            live.margin = Money{live.margin.value + after.margin - before.margin};
        }
    }
    for (const BookRecord& record : records) {
        if (hooks_.on_record) {
            hooks_.on_record(record);
        }
    }
}

TradeResult TradeServer::refuse(std::uint64_t login, const TradeRequest& request,
                                std::uint32_t code) {
    BookRecord record = record_of(BookKind::Refused, login, request);
    record.retcode = code;
    commit({&record, 1});
    const auto [bid, ask] = quote(request.symbol);
    TradeResult result;
    result.retcode = code;
    result.side = request.side;
    result.requested = request.volume;
    result.bid = bid;
    result.ask = ask;
    return result;
}

void TradeServer::note_repeat(std::uint64_t login, const TradeRequest& request, std::uint64_t seq) {
    BookRecord record = record_of(BookKind::Repeated, login, request);
    record.position_ticket = seq;
    commit({&record, 1});
}

TradeResult TradeServer::execute(std::uint64_t login, const TradeRequest& request,
                                 Ratio fill_share) {
    TradeResult result = run(login, request, fill_share);
    return retcode::is_success(result.retcode) ? result : refuse(login, request, result.retcode);
}

TradeResult TradeServer::run(std::uint64_t login, const TradeRequest& request, Ratio fill_share) {
    const Account* account = state_.find(login);
    const auto refused = [](std::uint32_t code) {
        TradeResult result;
        result.retcode = code;
        return result;
    };
    if (account == nullptr) {
        return refused(retcode::kInvalid);
    }
    if (!trade_allowed(login)) {
        return refused(retcode::kTradeDisabled);
    }
    switch (request.type) {
        case CommandType::Open: {
            Symbol* symbol = symbol_of(request.symbol);
            if (symbol == nullptr) {
                return refused(retcode::kInvalid);
            }
            if (const std::uint32_t code = check_open(*account, *symbol, request); code != 0) {
                return refused(code);
            }
            return request.price_kind == PriceKind::Market
                       ? open_market(*account, *symbol, request, fill_share)
                       : open_pending(*account, *symbol, request);
        }
        case CommandType::Close: return close(*account, request, fill_share);
        case CommandType::Modify:
            // Once a pending is filled its order ticket is history: the position is meant.
            return request.position_ticket != 0 ? modify_position(*account, request)
                                                : modify_order(*account, request);
        case CommandType::Cancel: return cancel(*account, request);
        case CommandType::Query:
        case CommandType::Resolve: break;
    }
    return refused(retcode::kInvalid);
}

TradeResult TradeServer::result_of(const BookRecord& deal, Lots requested) const {
    TradeResult result;
    const bool whole = deal.volume == requested.value;
    result.retcode = whole ? retcode::kDone : retcode::kDonePartial;
    result.status = whole ? OrdStatus::Filled : OrdStatus::Canceled;
    result.side = deal.side;
    result.order = deal.order;
    result.deal = deal.deal;
    result.position = deal.position;
    result.volume = Lots{deal.volume};
    result.requested = requested;
    result.price = Price{deal.price};
    std::tie(result.bid, result.ask) = quote(deal.symbol);
    return result;
}

TradeResult TradeServer::open_market(const Account& account, Symbol& symbol,
                                     const TradeRequest& request, Ratio fill_share) {
    const Lots volume = share_of(request.volume, fill_share, symbol.info);
    const Price price = request.side == Side::Buy ? symbol.ask : symbol.bid;
    BookRecord order = record_of(BookKind::Order, account.login, request);
    order.order = next_order_++;
    order.price = price.value;
    BookRecord deal = deal_in(account, symbol, request, volume, price, order.order);
    order.position = deal.position;
    std::vector<BookRecord> records{order, deal};
    if (volume != request.volume) {
        BookRecord rest = record_of(BookKind::OrderCanceled, account.login, request);
        rest.order = order.order;
        rest.volume = (request.volume - volume).value;
        rest.balance = deal.balance;
        records.push_back(rest);
    }
    commit(records);
    return result_of(deal, request.volume);
}

TradeResult TradeServer::open_pending(const Account& account, Symbol& symbol,
                                      const TradeRequest& request) {
    BookRecord order = record_of(BookKind::Order, account.login, request);
    order.order = next_order_++;
    commit({&order, 1});
    TradeResult result;
    result.retcode = retcode::kPlaced;
    result.status = OrdStatus::New;
    result.side = request.side;
    result.order = order.order;
    result.requested = request.volume;
    result.price = request.price;
    result.bid = symbol.bid;
    result.ask = symbol.ask;
    return result;
}

TradeResult TradeServer::close(const Account& account, const TradeRequest& request,
                               Ratio fill_share) {
    TradeResult result;
    const Position* found =
        request.position_ticket != 0 ? account.find_position(request.position_ticket) : nullptr;
    if (found == nullptr && request.position_ticket == 0 &&
        account.margin_mode == MarginMode::Netting) {
        found = account.find_position(request.symbol);
    }
    if (found == nullptr) {
        result.retcode = retcode::kPositionClosed;
        return result;
    }
    const Position position = *found;  // commit() changes the account
    Symbol* symbol = symbol_of(position.symbol);
    if (offsets(account, position, request) && symbol != nullptr) {
        if (const std::uint32_t refusal = check_open(account, *symbol, request); refusal != 0) {
            result.retcode = refusal;
            return result;
        }
        return open_market(account, *symbol, request, fill_share);
    }
    const Lots wanted = request.volume.value == 0 ? position.lots() : request.volume;
    const auto code = [&]() -> std::uint32_t {
        if (symbol == nullptr || symbol->bid.value == 0) {
            return retcode::kPriceOff;
        }
        if (!symbol->open) {
            return retcode::kMarketClosed;
        }
        if (wanted.value < 0 || wanted > position.lots()) {
            return retcode::kInvalidCloseVolume;
        }
        const bool part = wanted != position.lots();
        const bool off_step = wanted.value % symbol->info.volume_step.value != 0;
        if (part && (off_step || wanted < symbol->info.volume_min)) {
            return retcode::kInvalidVolume;
        }
        return 0;
    }();
    if (code != 0) {
        result.retcode = code;
        return result;
    }
    const Lots volume = share_of(wanted, fill_share, symbol->info);
    const Price price = position.volume > 0 ? symbol->bid : symbol->ask;
    BookRecord order = record_of(BookKind::Order, account.login, request);
    order.order = next_order_++;
    order.side = opposite(position.side());
    order.price_kind = PriceKind::Market;
    order.volume = wanted.value;
    order.price = price.value;
    order.position = position.id;
    order.symbol = position.symbol;
    BookRecord deal =
        deal_out(account, position, *symbol, volume, price, order.order, request.magic.value);
    deal.comment = request.comment;
    std::vector<BookRecord> records{order, deal};
    if (volume != wanted) {
        BookRecord rest = record_of(BookKind::OrderCanceled, account.login, request);
        rest.order = order.order;
        rest.volume = (wanted - volume).value;
        rest.balance = deal.balance;
        records.push_back(rest);
    }
    commit(records);
    return result_of(deal, wanted);
}

TradeResult TradeServer::modify_position(const Account& account, const TradeRequest& request) {
    TradeResult result;
    const Position* position = account.find_position(request.position_ticket);
    if (position == nullptr) {
        result.retcode = retcode::kPositionClosed;
        return result;
    }
    const Symbol* symbol = symbol_of(position->symbol);
    if (symbol == nullptr || symbol->bid.value == 0) {
        result.retcode = retcode::kPriceOff;
        return result;
    }
    const Price closing = position->volume > 0 ? symbol->bid : symbol->ask;
    if (!stops_fit(*symbol, position->side(), closing, closing, request.stop_loss,
                   request.take_profit)) {
        result.retcode = retcode::kInvalidStops;
        return result;
    }
    result.side = position->side();
    result.position = position->id;
    result.status = OrdStatus::Filled;
    const bool same =
        position->stop_loss == request.stop_loss && position->take_profit == request.take_profit;
    result.retcode = same ? retcode::kNoChanges : retcode::kDone;
    BookRecord record = record_of(BookKind::PositionModified, account.login, request);
    record.retcode = same ? retcode::kNoChanges : 0;
    record.position = position->id;
    record.position_ticket = position->ticket;
    record.symbol = position->symbol;
    record.side = position->side();
    commit({&record, 1});
    return result;
}

TradeResult TradeServer::modify_order(const Account& account, const TradeRequest& request) {
    TradeResult result;
    const auto it = account.orders.find(request.order_ticket);
    if (it == account.orders.end()) {
        result.retcode = retcode::kInvalid;
        return result;
    }
    TradeRequest changed = request_of(it->second);
    changed.magic = request.magic;
    changed.type = CommandType::Modify;
    changed.price = request.price.value != 0 ? request.price : it->second.price;
    changed.stop_loss = request.stop_loss;
    changed.take_profit = request.take_profit;
    const Symbol* symbol = symbol_of(it->second.symbol);
    if (symbol == nullptr || symbol->bid.value == 0) {
        result.retcode = retcode::kPriceOff;
        return result;
    }
    if (const std::uint32_t code = check_pending_price(*symbol, changed); code != 0) {
        result.retcode = code;
        return result;
    }
    result.order = it->first;
    result.side = changed.side;
    result.status = OrdStatus::Filled;
    const WorkingOrder& now = it->second;
    const bool same = now.price == changed.price && now.stop_loss == changed.stop_loss &&
                      now.take_profit == changed.take_profit;
    result.retcode = same ? retcode::kNoChanges : retcode::kDone;
    BookRecord record = record_of(BookKind::OrderModified, account.login, changed);
    record.order = it->first;
    record.retcode = same ? retcode::kNoChanges : 0;
    commit({&record, 1});
    return result;
}

TradeResult TradeServer::cancel(const Account& account, const TradeRequest& request) {
    TradeResult result;
    const auto it = account.orders.find(request.order_ticket);
    if (it == account.orders.end()) {
        result.retcode = retcode::kInvalid;
        return result;
    }
    TradeRequest canceled = request_of(it->second);
    canceled.magic = request.magic;
    canceled.type = CommandType::Cancel;
    BookRecord record = record_of(BookKind::OrderCanceled, account.login, canceled);
    record.order = it->first;
    result.order = it->first;
    result.side = canceled.side;
    result.requested = canceled.volume;
    commit({&record, 1});
    result.retcode = retcode::kDone;
    result.status = OrdStatus::Filled;
    return result;
}

}  // namespace millrace::sim
