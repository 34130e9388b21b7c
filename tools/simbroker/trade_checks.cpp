// What the trade server checks before it executes, and its money arithmetic.
#include "core/assert.h"
#include "tools/market/text.h"
#include "tools/simbroker/trade_server.h"

#include <algorithm>

namespace millrace::sim {
namespace {

// Fallback rates into USD, 1e-8, for currencies whose pair is not quoted here: good enough for
// margin and profit of a simulator, and stated as what they are.
struct UsdRate {
    const char* currency;
    std::int64_t rate;
};
constexpr UsdRate kUsdRates[] = {
    {"USD", kScale},      {"USDT", kScale},    {"EUR", 113'000'000},
    {"GBP", 140'000'000}, {"JPY", 830'000},    {"CHF", 105'000'000},
    {"AUD", 72'000'000},  {"NZD", 68'000'000}, {"CAD", 75'000'000},
};

std::int64_t usd_rate(const std::string& currency) {
    for (const UsdRate& row : kUsdRates) {
        if (currency == row.currency) {
            return row.rate;
        }
    }
    return kScale;
}

std::int64_t scale_down(__int128 value) {
    return static_cast<std::int64_t>(value / kScale);
}

}  // namespace

TradeServer::Symbol* TradeServer::symbol_of(const Text<16>& name) {
    const auto it = symbols_.find(name);
    return it == symbols_.end() ? nullptr : &it->second;
}
const TradeServer::Symbol* TradeServer::symbol_of(const Text<16>& name) const {
    const auto it = symbols_.find(name);
    return it == symbols_.end() ? nullptr : &it->second;
}

std::pair<Price, Price> TradeServer::quote(const Text<16>& name) const {
    const Symbol* symbol = symbol_of(name);
    return symbol == nullptr ? std::pair<Price, Price>{} : std::pair{symbol->bid, symbol->ask};
}

std::uint32_t TradeServer::check_open(const Account& account, const Symbol& symbol,
                                      const TradeRequest& request) const {
    const market::SymbolInfo& info = symbol.info;
    if (request.volume < info.volume_min || request.volume > info.volume_max ||
        request.volume.value % info.volume_step.value != 0) {
        return retcode::kInvalidVolume;
    }
    if (!symbol.open) {
        return retcode::kMarketClosed;
    }
    if (symbol.bid.value == 0) {
        return retcode::kPriceOff;
    }
    if (request.price_kind != PriceKind::Market) {
        return check_pending_price(symbol, request);
    }
    const Price fill = request.side == Side::Buy ? symbol.ask : symbol.bid;
    const std::int64_t slip = fill.value - request.price.value;
    const std::int64_t allowed = request.deviation_points * info.tick_size.value;
    // Instant execution: a price with a deviation is a promise; without a price it is the market's.
    if (request.price.value != 0 && std::max(slip, -slip) > allowed) {
        return retcode::kRequote;
    }
    if (!stops_fit(symbol, request.side, symbol.bid, symbol.ask, request.stop_loss,
                   request.take_profit)) {
        return retcode::kInvalidStops;
    }
    return has_money_for(account, symbol, request.side, request.volume) ? 0 : retcode::kNoMoney;
}

std::uint32_t TradeServer::check_pending_price(const Symbol& symbol,
                                               const TradeRequest& request) const {
    const Price price = request.price;
    if (price.value <= 0 || price.value % symbol.info.tick_size.value != 0) {
        return retcode::kInvalidPrice;
    }
    const bool buy = request.side == Side::Buy;
    const bool limit = request.price_kind == PriceKind::Limit;
    const Price now = buy ? symbol.ask : symbol.bid;
    // Buy limits and sell stops wait below the market, sell limits and buy stops above it.
    const bool must_be_below = buy == limit;
    if (must_be_below ? price >= now : price <= now) {
        return retcode::kInvalidPrice;
    }
    return stops_fit(symbol, request.side, price, price, request.stop_loss, request.take_profit)
               ? 0
               : retcode::kInvalidStops;
}

bool TradeServer::stops_fit(const Symbol& symbol, Side side, Price reference_low,
                            Price reference_high, Price stop_loss, Price take_profit) const {
    const std::int64_t tick = symbol.info.tick_size.value;
    if (stop_loss.value < 0 || take_profit.value < 0 || stop_loss.value % tick != 0 ||
        take_profit.value % tick != 0) {
        return false;
    }
    const Price low = std::min(reference_low, reference_high);
    const Price high = std::max(reference_low, reference_high);
    const Price& below = side == Side::Buy ? stop_loss : take_profit;
    const Price& above = side == Side::Buy ? take_profit : stop_loss;
    // A long position closes at the bid, a short one at the ask: levels must lie outside of it.
    const Price floor = side == Side::Buy ? low : high;
    return (below.value == 0 || below < floor) && (above.value == 0 || above > floor);
}

std::int64_t TradeServer::to_deposit(const Account& account, const std::string& currency,
                                     std::int64_t amount) const {
    const auto live = live_.find(account.login);
    const std::string deposit = live == live_.end() ? "USD" : live->second.config.currency;
    if (currency == deposit) {
        return amount;
    }
    const auto [direct, direct_ask] = quote(market::to_text<16>(currency + deposit));
    if (direct.value > 0) {
        return scale_down(static_cast<__int128>(amount) * direct.value);
    }
    const auto [inverse, inverse_ask] = quote(market::to_text<16>(deposit + currency));
    if (inverse.value > 0) {
        return static_cast<std::int64_t>(static_cast<__int128>(amount) * kScale / inverse.value);
    }
    return static_cast<std::int64_t>(static_cast<__int128>(amount) * usd_rate(currency) /
                                     usd_rate(deposit));
}

std::int64_t TradeServer::profit_of(const Account& account, const Symbol& symbol,
                                    std::int64_t signed_volume, Price from, Price to) const {
    const std::int64_t units =
        scale_down(static_cast<__int128>(signed_volume) * symbol.info.contract_size);
    const std::int64_t in_quote =
        scale_down(static_cast<__int128>(units) * (to.value - from.value));
    return to_deposit(account, symbol.info.quote, in_quote);
}

bool TradeServer::has_money_for(const Account& account, const Symbol& symbol, Side side,
                                Lots volume) const {
    const Live* live = fresh_live(account.login);
    if (live == nullptr) {
        return false;
    }
    if (account.margin_mode == MarginMode::Netting) {
        const Position* position = account.find_position(market::to_text<16>(symbol.info.name));
        if (position != nullptr && position->side() != side && volume <= position->lots()) {
            return true;  // only reduces
        }
    }
    const std::int64_t units =
        scale_down(static_cast<__int128>(volume.value) * symbol.info.contract_size);
    const std::int64_t notional = scale_down(static_cast<__int128>(units) * symbol.ask.value);
    const std::int64_t needed =
        to_deposit(account, symbol.info.quote, notional) / std::max(1U, live->config.leverage);
    const std::int64_t equity = account.balance.value + live->floating.value;
    return equity - live->margin.value >= needed;
}

TradeServer::Worth TradeServer::worth_of(const Account& account, const Position& position) const {
    const Symbol* symbol = symbol_of(position.symbol);
    const auto live = live_.find(account.login);
    if (symbol == nullptr || symbol->bid.value == 0 || live == live_.end()) {
        return {};
    }
    const Price closing = position.volume > 0 ? symbol->bid : symbol->ask;
    const std::int64_t units =
        scale_down(static_cast<__int128>(position.lots().value) * symbol->info.contract_size);
    const std::int64_t notional =
        scale_down(static_cast<__int128>(units) * position.open_price.value);
    return {profit_of(account, *symbol, position.volume, position.open_price, closing),
            to_deposit(account, symbol->info.quote, notional) /
                std::max(1U, live->second.config.leverage)};
}

TradeServer::Worth TradeServer::worth_of(std::uint64_t login, std::uint64_t position) const {
    const Account* account = state_.find(login);
    const auto live = live_.find(login);
    if (account == nullptr || live == live_.end() || live->second.stale) {
        return {};  // not summed up yet: there is nothing to correct
    }
    const auto it = account->positions.find(position);
    return it == account->positions.end() ? Worth{} : worth_of(*account, it->second);
}

void TradeServer::compute_money(const Account& account, Live& live) const {
    Worth sum;
    for (const auto& [id, position] : account.positions) {
        const Worth one = worth_of(account, position);
        sum.floating += one.floating;
        sum.margin += one.margin;
    }
    live.floating = Money{sum.floating};
    live.margin = Money{sum.margin};
    live.stale = false;
}

const TradeServer::Live* TradeServer::fresh_live(std::uint64_t login) const {
    const auto live = live_.find(login);
    const Account* account = state_.find(login);
    if (live == live_.end() || account == nullptr) {
        return nullptr;
    }
    if (live->second.stale) {
        compute_money(*account, live->second);
    }
    return &live->second;
}

void TradeServer::revalue() {
    for (const auto& [login, account] : state_.accounts()) {
        if (!account.positions.empty()) {
            live_[login].stale = true;
            stop_out(login);
        }
    }
}

void TradeServer::stop_out(std::uint64_t login) {
    const auto live = live_.find(login);
    if (live == live_.end() || live->second.config.stop_out_percent == 0) {
        return;
    }
    const Account* account = state_.find(login);
    // Bounded by the number of positions: each round closes one, or ends.
    for (std::size_t left = account->positions.size(); left > 0; --left) {
        const AccountMoney now = money(login);
        const __int128 level = static_cast<__int128>(now.equity.value) * 100;
        if (level >=
            static_cast<__int128>(now.margin.value) * live->second.config.stop_out_percent) {
            return;
        }
        std::uint64_t worst = 0;
        std::int64_t worst_profit = 0;
        for (const auto& [id, position] : account->positions) {
            const Symbol* symbol = symbol_of(position.symbol);
            if (symbol == nullptr || symbol->bid.value == 0 || !symbol->open) {
                continue;
            }
            const Price closing = position.volume > 0 ? symbol->bid : symbol->ask;
            const std::int64_t profit =
                profit_of(*account, *symbol, position.volume, position.open_price, closing);
            if (worst == 0 || profit < worst_profit) {
                worst = id;
                worst_profit = profit;
            }
        }
        if (close_by_server(login, worst, Lots{}, ExecKind::ClosedByStopOut).value == 0) {
            return;
        }
    }
}

AccountMoney TradeServer::money(std::uint64_t login) const {
    const Account* account = state_.find(login);
    const Live* live = fresh_live(login);
    if (account == nullptr || live == nullptr) {
        return {};
    }
    return {account->balance, Money{account->balance.value + live->floating.value}, live->margin,
            live->config.leverage};
}

void TradeServer::set_market_open(const Text<16>& name, bool open) {
    for (auto& [symbol_name, symbol] : symbols_) {
        if (name == Text<16>{} || symbol_name == name) {
            symbol.open = open;
        }
    }
}

void TradeServer::set_trade_allowed(std::uint64_t login, bool allowed) {
    if (const auto it = live_.find(login); it != live_.end()) {
        it->second.trade_allowed = allowed;
    }
}

bool TradeServer::trade_allowed(std::uint64_t login) const {
    const auto it = live_.find(login);
    return it != live_.end() && it->second.trade_allowed;
}

const OrderSummary* TradeServer::find_magic(std::uint64_t login, Magic magic) const {
    const Account* account = state_.find(login);
    if (account == nullptr) {
        return nullptr;
    }
    const auto it = account->by_magic.find(magic.value);
    return it == account->by_magic.end() ? nullptr : &it->second;
}

}  // namespace millrace::sim
