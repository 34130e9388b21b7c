#include "tools/market/price_index.h"

#include "tools/market/text.h"

#include <algorithm>
#include <tuple>

namespace millrace::market {
namespace {

constexpr Nanos kSample = seconds(1);

}  // namespace

Result<PriceIndex> PriceIndex::read(const std::vector<std::string>& paths, std::string& about) {
    PriceIndex index;
    for (const std::string& path : paths) {
        about = path;
        auto reader = TickReader::open(path);
        if (!reader) {
            return reader.error();
        }
        while (const auto tick = reader.value()->next()) {
            index.add(*tick);
        }
        for (const auto& [symbol, digits] : reader.value()->decimals()) {
            index.decimals_[symbol] = std::max(index.decimals_[symbol], digits);
        }
        index.defects_.emplace_back(path, reader.value()->defects());
    }
    // Files of one symbol may come in any order.
    for (auto& [symbol, samples] : index.samples_) {
        std::sort(samples.begin(), samples.end(), [](const QuoteAt& a, const QuoteAt& b) {
            return std::tie(a.time, a.bid, a.ask) < std::tie(b.time, b.bid, b.ask);
        });
    }
    return index;
}

void PriceIndex::add(const Tick& tick) {
    begin_ = begin_.value == 0 ? tick.time : std::min(begin_, tick.time);
    end_ = std::max(end_, tick.time);
    auto& samples = samples_[tick.symbol];
    if (samples.empty()) {
        order_.push_back(tick.symbol);
    } else if (tick.time >= samples.back().time && tick.time - samples.back().time < kSample) {
        return;
    }
    samples.push_back({tick.time, tick.bid, tick.ask});
}

std::optional<QuoteAt> PriceIndex::at(const Text<16>& symbol, Nanos time) const {
    const auto it = samples_.find(symbol);
    if (it == samples_.end()) {
        return std::nullopt;
    }
    const auto& samples = it->second;
    const auto after = std::upper_bound(samples.begin(), samples.end(), time,
                                        [](Nanos t, const QuoteAt& q) { return t < q.time; });
    return after == samples.begin() ? samples.front() : *std::prev(after);
}

SymbolInfo PriceIndex::info(const Text<16>& symbol) const {
    const auto digits = decimals_.find(symbol);
    SymbolInfo info = infer_symbol(view_of(symbol), digits == decimals_.end() ? 0 : digits->second);
    if (const auto first = at(symbol, begin_)) {
        info.typical_price = first->bid;
    }
    return info;
}

std::pair<Nanos, Nanos> PriceIndex::span(const Text<16>& symbol) const {
    const auto it = samples_.find(symbol);
    return it == samples_.end() ? std::pair<Nanos, Nanos>{}
                                : std::pair{it->second.front().time, it->second.back().time};
}

}  // namespace millrace::market
