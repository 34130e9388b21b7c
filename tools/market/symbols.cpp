#include "tools/market/symbols.h"

#include "core/assert.h"
#include "tools/market/decimal.h"

#include <algorithm>
#include <cctype>

namespace millrace::market {
namespace {

struct Row {
    const char* name;
    unsigned digits;
    std::int64_t contract_units;
    const char* base;
    const char* quote;
    std::int64_t price_e5;  // typical price x 1e5
    std::int64_t spread_points;
};

// Contract sizes and digits: the usual retail ones, as in the broker lists that come with the
// recorded data. Prices are of the recorded years.
constexpr Row kRows[] = {
    {"EURUSD", 5, 100'000, "EUR", "USD", 115'000, 10},
    {"GBPUSD", 5, 100'000, "GBP", "USD", 153'000, 14},
    {"USDJPY", 3, 100'000, "USD", "JPY", 10'400'000, 12},
    {"USDCHF", 5, 100'000, "USD", "CHF", 97'400, 14},
    {"USDCAD", 5, 100'000, "USD", "CAD", 131'600, 14},
    {"AUDUSD", 5, 100'000, "AUD", "USD", 71'000, 12},
    {"NZDUSD", 5, 100'000, "NZD", "USD", 86'000, 16},
    {"EURGBP", 5, 100'000, "EUR", "GBP", 72'000, 14},
    {"EURAUD", 5, 100'000, "EUR", "AUD", 152'000, 22},
    {"EURCAD", 5, 100'000, "EUR", "CAD", 145'000, 24},
    {"EURJPY", 3, 100'000, "EUR", "JPY", 13'300'000, 18},
    {"AUDJPY", 3, 100'000, "AUD", "JPY", 8'700'000, 20},
    {"AUDNZD", 5, 100'000, "AUD", "NZD", 107'000, 26},
    {"GBPAUD", 5, 100'000, "GBP", "AUD", 213'000, 30},
    {"GBPJPY", 3, 100'000, "GBP", "JPY", 18'500'000, 28},
    {"XAUUSD", 3, 100, "XAU", "USD", 205'000'000, 300},
    {"XAGUSD", 3, 5'000, "XAG", "USD", 2'400'000, 25},
    {"XTIUSD", 3, 1'000, "XTI", "USD", 9'500'000, 90},
    {"DAX", 1, 1, "DAX", "EUR", 770'000'000, 10},
    {"BTCUSDT", 2, 1, "BTC", "USDT", 6'180'000'000, 1000},
    {"ETHUSDT", 2, 1, "ETH", "USDT", 268'000'000, 100},
};

SymbolInfo info_of(const Row& row) {
    SymbolInfo info;
    info.name = row.name;
    info.digits = row.digits;
    info.tick_size = Price{power_of_ten(8 - row.digits)};
    info.contract_size = row.contract_units * kScale;
    info.base = row.base;
    info.quote = row.quote;
    info.typical_price = Price{row.price_e5 * 1000};
    info.typical_spread = Price{row.spread_points * info.tick_size.value};
    return info;
}

bool looks_like_fx(std::string_view name) {
    return name.size() == 6 &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isupper(c); });
}

}  // namespace

const std::vector<SymbolInfo>& known_symbols() {
    static const std::vector<SymbolInfo> table = [] {
        std::vector<SymbolInfo> infos;
        for (const Row& row : kRows) {
            infos.push_back(info_of(row));
        }
        return infos;
    }();
    return table;
}

std::optional<SymbolInfo> find_symbol(std::string_view name) {
    for (const SymbolInfo& info : known_symbols()) {
        if (info.name == name) {
            return info;
        }
    }
    return std::nullopt;
}

SymbolInfo infer_symbol(std::string_view name, unsigned digits) {
    SymbolInfo info;
    if (const auto known = find_symbol(name)) {
        info = *known;
    } else {
        info.name = std::string{name.substr(0, 16)};
        info.digits = digits;
        const bool fx = looks_like_fx(name);
        info.contract_size = (fx ? 100'000 : 1) * kScale;
        info.base = fx ? std::string{name.substr(0, 3)} : info.name;
        info.quote = fx ? std::string{name.substr(3, 3)} : std::string{"USD"};
    }
    info.digits = std::min(8U, std::max(info.digits, digits));
    info.tick_size = Price{power_of_ten(8 - info.digits)};
    return info;
}

std::int64_t round_to_step(std::int64_t value, std::int64_t step) noexcept {
    ASSERT(step > 0);
    const std::int64_t half = value < 0 ? -(step / 2) : step / 2;
    return (value + half) / step * step;
}

}  // namespace millrace::market
