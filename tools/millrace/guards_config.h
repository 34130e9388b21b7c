// Money, hours and collars in the configuration: "money" of the file, "currency" and "hours" of
// symbols and accounts, and those of their "limits" that are in money or time.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/config_reader.h"

#include <functional>
#include <string>
#include <vector>

namespace millrace {

/// The file's "money". @param present it is there.
void read_money(ObjectReader& o, bool present, MoneyConfig& m);

/// What an account is at its broker, as its terminal has to tell: "currency", "leverage",
/// "trade_mode".
void read_account_facts(ObjectReader& account, AccountConfig& a);
/// "limits" of an account and of a group, as far as they are in money; ids come with the records.
void read_account_money(ObjectReader& limits, MoneyLimitSpec& l);
void read_group_money(ObjectReader& limits, MoneyLimitSpec& l);

/// "hours" of a symbol or account: "Mon-Fri 08:00-17:00" or "Sun 22:05-Fri 21:55", UTC.
void read_hours(ObjectReader& o, HoursSpec& h);
/// "hold_over_weekend" and what goes with it, of an account's "limits".
void read_week(ObjectReader& limits, HoursSpec& h);

/// "currency" and collars of a symbol.
void read_symbol_guard(ObjectReader& o, SymbolConfig& s);

/// The currency of a symbol's prices: as it says, else the last three letters of a name of six, if
/// that is one of the file's; "" = not known.
[[nodiscard]] std::string currency_of(const Config& c, const SymbolConfig& s);
/// The place of a currency in the file, 1 = the common one; kNoCurrency for "" and others. What
/// accounts and symbols go by is its number (config_records.cpp), which it keeps.
[[nodiscard]] std::uint8_t currency_number(const Config& c, const std::string& name);
/// The common currency and the others, `index` by their places. @param symbol_id by name.
[[nodiscard]] std::vector<CurrencySpec> currency_specs(
    const Config& c, const std::function<SymbolId(const std::string&)>& symbol_id);

/// What in the file does not go together.
void check_money(const Config& c, std::vector<Mistake>& mistakes);

}  // namespace millrace
