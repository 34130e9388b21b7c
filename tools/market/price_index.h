// The market price at a time, from recorded ticks: one sample a second a symbol.
#pragma once

#include "tools/market/symbols.h"
#include "tools/market/tick_reader.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::market {

struct QuoteAt {
    Nanos time;
    Price bid;
    Price ask;
};

/// Threads: one to build, any to ask.
class PriceIndex {
public:
    /// Reads every file, gathering samples, decimals and defects.
    /// @return the first error of TickReader::open(), `about` naming the file.
    [[nodiscard]] static Result<PriceIndex> read(const std::vector<std::string>& paths,
                                                 std::string& about);
    void add(const Tick& tick);

    /// Last quote of `symbol` at or before `time`, or its first one; nothing for an unknown symbol.
    [[nodiscard]] std::optional<QuoteAt> at(const Text<16>& symbol, Nanos time) const;
    [[nodiscard]] bool has(const Text<16>& symbol) const { return samples_.contains(symbol); }
    /// Symbols in the order they first appeared.
    [[nodiscard]] const std::vector<Text<16>>& symbols() const noexcept { return order_; }
    /// Facts of `symbol`, from the table and the decimals seen.
    [[nodiscard]] SymbolInfo info(const Text<16>& symbol) const;
    /// First and last tick of one symbol.
    [[nodiscard]] std::pair<Nanos, Nanos> span(const Text<16>& symbol) const;
    [[nodiscard]] Nanos begin() const noexcept { return begin_; }
    [[nodiscard]] Nanos end() const noexcept { return end_; }
    [[nodiscard]] const std::vector<std::pair<std::string, TickDefects>>& defects() const noexcept {
        return defects_;
    }

private:
    std::map<Text<16>, std::vector<QuoteAt>> samples_;
    std::map<Text<16>, unsigned> decimals_;
    std::vector<Text<16>> order_;
    std::vector<std::pair<std::string, TickDefects>> defects_;
    Nanos begin_;
    Nanos end_;
};

}  // namespace millrace::market
