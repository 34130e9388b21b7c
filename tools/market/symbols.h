// What a broker knows about a symbol: digits, steps, contract. A small built-in table for the
// symbols of the recorded data, inference from the ticks' decimals for the rest.
#pragma once

#include "core/types.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::market {

struct SymbolInfo {
    std::string name;       // canonical, at most 16 bytes
    unsigned digits = 5;    // 0..8
    Price tick_size{1000};  // > 0
    Lots volume_min{kScale / 100};
    Lots volume_max{100 * kScale};
    Lots volume_step{kScale / 100};
    std::int64_t contract_size = 100'000 * kScale;  // units per lot, 1e-8
    std::string base;                               // "EUR"; for CFDs the thing itself: "XAU"
    std::string quote;                              // profit currency
    Price typical_price{kScale};                    // where the generator starts
    Price typical_spread{10'000};                   // what the generator quotes at quiet times
};

/// The built-in table.
[[nodiscard]] const std::vector<SymbolInfo>& known_symbols();

/// From the table; nothing if the symbol is not in it.
[[nodiscard]] std::optional<SymbolInfo> find_symbol(std::string_view name);

/// From the table, else a sensible guess: six letters are an FX pair, anything else a CFD with one
/// unit per lot. @param digits decimals seen in the ticks, 0 = none seen. More digits than the
/// table has win: a venue that quotes 3-digit gold cannot be held to 2.
[[nodiscard]] SymbolInfo infer_symbol(std::string_view name, unsigned digits);

/// `value` rounded to the nearest multiple of `step` (half away from zero). @param step > 0.
[[nodiscard]] std::int64_t round_to_step(std::int64_t value, std::int64_t step) noexcept;

}  // namespace millrace::market
