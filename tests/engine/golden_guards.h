// Of golden_test: records of limits and rates, each field with its own number.
#pragma once

#include "core/journal_record.h"
#include "tests/engine/golden.h"

namespace millrace {

inline SymbolLimitSpec symbol_limit_spec() {
    return all_set(&SymbolLimitSpec::id, &SymbolLimitSpec::max_positions,
                   &SymbolLimitSpec::max_volume, &SymbolLimitSpec::max_net_volume);
}
inline SkipInput skip_input() {
    return all_set(&SkipInput::seq);
}
inline CurrencySpec currency_spec() {
    return all_set(&CurrencySpec::index, &CurrencySpec::age_max_ms, &CurrencySpec::name,
                   &CurrencySpec::rate, &CurrencySpec::cross, &CurrencySpec::inverse,
                   &CurrencySpec::reserved);
}
inline MoneyLimitSpec money_limit_spec() {
    using L = MoneyLimitSpec;
    return all_set(&L::scope, &L::currency, &L::margin_check, &L::reserved, &L::id,
                   &L::max_order_notional, &L::max_notional, &L::max_order_leverage,
                   &L::max_leverage, &L::max_net_notional, &L::max_net_volume,
                   &L::changes_per_minute, &L::reserved2);
}
inline HoursSpec hours_spec() {
    using H = HoursSpec;
    return all_set(&H::scope, &H::count, &H::reserved, &H::id, &H::week_closes, &H::week_opens,
                   &H::flat_before_min, &H::reserved2, &H::windows);
}
inline SymbolGuardSpec symbol_guard_spec() {
    using G = SymbolGuardSpec;
    return all_set(&G::id, &G::currency, &G::reserved, &G::collar_points, &G::reserved2,
                   &G::collar_spreads);
}
inline RateInput rate_input() {
    return all_set(&RateInput::symbol, &RateInput::reserved);
}

}  // namespace millrace
