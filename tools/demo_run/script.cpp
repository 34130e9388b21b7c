#include "tools/demo_run/script.h"

#include <algorithm>

namespace millrace::demo {
namespace {

constexpr Nanos kRipeAfter = seconds(1);
constexpr std::size_t kPositionsMax = 40;  // then closes outweigh opens
constexpr std::size_t kPendingsMax = 12;
constexpr std::size_t kRecentMax = 64;
constexpr int kOpenTries = 8;

std::int64_t share_of(Price price, std::int64_t per_mille, const market::SymbolInfo& info) {
    return market::round_to_step(price.value / 1000 * per_mille, info.tick_size.value);
}

}  // namespace

SignalId random_id(market::Random& random) noexcept {
    const std::uint64_t hi = random.next();
    const std::uint64_t lo = random.next();
    return {(hi & ~std::uint64_t{0xF000}) | 0x4000,
            (lo & ~(std::uint64_t{3} << 62)) | std::uint64_t{2} << 62};
}

GeneratedScript::GeneratedScript(GeneratedOptions options, const Lives& lives, QuoteOf quote_of)
    : options_{std::move(options)},
      lives_{lives},
      quote_of_{std::move(quote_of)},
      random_{options_.seed} {
    ASSERT(!options_.groups.empty());
    ASSERT(!options_.symbols.empty());
}

std::optional<Planned> GeneratedScript::next(Nanos elapsed) {
    if (elapsed.value < next_ns_) {
        return std::nullopt;
    }
    // Gaps between half and one and a half of the mean.
    const std::uint64_t mean = 1'000'000'000 / options_.rate;
    next_ns_ = std::max(next_ns_, elapsed.value - seconds(1).value) +
               static_cast<std::int64_t>(mean / 2 + random_.below(mean + 1));
    return make(elapsed);
}

std::optional<Planned> GeneratedScript::make(Nanos elapsed) {
    const std::uint64_t dice = random_.below(1000);
    std::optional<Planned> made;
    const bool many = positions_.size() >= kPositionsMax;
    if (dice < 10) {
        return wrong();
    }
    if (dice < 35) {
        made = repeat();
    } else if (dice < 85) {
        made = place(elapsed);
    } else if (dice < 110) {
        made = modify_pending(elapsed);
    } else if (dice < 145) {
        made = cancel(elapsed);
    } else if (dice < 205) {
        made = modify(elapsed);
    } else if (dice < 285) {
        made = close(elapsed, true);
    } else if (dice < (many ? 800U : 560U)) {
        made = close(elapsed, false);
    }
    for (int tries = 0; !made && tries < kOpenTries; ++tries) {
        made = open(elapsed);  // nothing as long as its symbol has no quote
    }
    return made;
}

std::optional<Planned> GeneratedScript::open(Nanos elapsed) {
    SignalRequest r = blank(SignalAction::Open);
    const auto quote = quote_of_(r.symbol);
    if (!quote) {
        return std::nullopt;
    }
    r.volume = Lots{static_cast<std::int64_t>(1 + random_.below(4)) * 2 * kScale / 10};
    if (random_.below(3) == 0) {
        set_stops(r, *quote);
    }
    positions_.push_back({r, elapsed});
    return Planned{r};
}

std::optional<Planned> GeneratedScript::place(Nanos elapsed) {
    if (pendings_.size() >= kPendingsMax) {
        return cancel(elapsed);
    }
    SignalRequest r = blank(SignalAction::Open);
    const auto quote = quote_of_(r.symbol);
    if (!quote) {
        return std::nullopt;
    }
    r.volume = Lots{static_cast<std::int64_t>(1 + random_.below(4)) * 2 * kScale / 10};
    r.price_kind = random_.below(2) == 0 ? PriceKind::Limit : PriceKind::Stop;
    // A buy limit lies below the market, a buy stop above; half of them near enough to be reached.
    const market::SymbolInfo& info = info_of(r.symbol);
    const std::int64_t away =
        random_.below(2) == 0 ? share_of(quote->bid, 8, info) : 3 * info.typical_spread.value;
    const bool above = (r.side == Side::Buy) == (r.price_kind == PriceKind::Stop);
    r.price = Price{above ? quote->ask.value + away : quote->bid.value - away};
    pendings_.push_back({r, elapsed});
    return Planned{r};
}

std::optional<Planned> GeneratedScript::close(Nanos elapsed, bool part) {
    const auto at = ripe(positions_, elapsed);
    if (at == positions_.end() || (part && at->halved)) {
        return std::nullopt;
    }
    SignalRequest r = about(at->request, SignalAction::Close);
    if (part) {
        r.volume = Lots{at->request.volume.value / 2};
        at->halved = true;
    } else {
        positions_.erase(at);
    }
    return Planned{r};
}

std::optional<Planned> GeneratedScript::modify(Nanos elapsed) {
    const auto at = ripe(positions_, elapsed);
    if (at == positions_.end()) {
        return std::nullopt;
    }
    SignalRequest r = about(at->request, SignalAction::Modify);
    const auto quote = quote_of_(r.symbol);
    if (!quote) {
        return std::nullopt;
    }
    set_stops(r, *quote);
    return Planned{r};
}

std::optional<Planned> GeneratedScript::modify_pending(Nanos elapsed) {
    const auto at = ripe(pendings_, elapsed);
    if (at == pendings_.end()) {
        return std::nullopt;
    }
    SignalRequest r = about(at->request, SignalAction::Modify);
    const auto quote = quote_of_(r.symbol);
    if (!quote) {
        return std::nullopt;
    }
    const market::SymbolInfo& info = info_of(r.symbol);
    const std::int64_t away = share_of(quote->bid, 9, info);
    r.price_kind = at->request.price_kind;
    const bool above = (r.side == Side::Buy) == (r.price_kind == PriceKind::Stop);
    r.price = Price{above ? quote->ask.value + away : quote->bid.value - away};
    return Planned{r};
}

std::optional<Planned> GeneratedScript::cancel(Nanos elapsed) {
    const auto at = ripe(pendings_, elapsed);
    if (at == pendings_.end()) {
        return std::nullopt;
    }
    const SignalRequest r = about(at->request, SignalAction::Cancel);
    pendings_.erase(at);
    return Planned{r};
}

std::optional<Planned> GeneratedScript::repeat() {
    for (int tries = 0; tries < 4 && !recent_.empty(); ++tries) {
        const Life* life = lives_.find(recent_[random_.below(recent_.size())]);
        if (life != nullptr && life->answer == Answer::Accepted) {
            return Planned{life->request, Purpose::Trade, true};
        }
    }
    return std::nullopt;
}

Planned GeneratedScript::wrong() {
    Planned p;
    p.purpose = Purpose::RefusedOnPurpose;
    p.request = blank(SignalAction::Open);
    p.request.volume = Lots{kScale / 10};
    switch (random_.below(5)) {
        case 0: p.request.group = "nobody"; break;
        case 1: p.request.symbol = "NOSUCH"; break;
        case 2: p.request.volume = Lots{0}; break;
        case 3: p.request.price_kind = PriceKind::Limit; break;  // without a price
        default:
            p.request.action = SignalAction::Close;
            p.request.target = random_id(random_);  // of no signal
            break;
    }
    return p;
}

SignalRequest GeneratedScript::blank(SignalAction action) {
    SignalRequest r;
    r.id = random_id(random_);
    r.action = action;
    const std::uint64_t pick = random_.below(10);
    r.group = options_.groups[pick < 6 ? 0 : pick % options_.groups.size()];
    const std::size_t symbol = random_.below(options_.symbols.size());
    r.symbol = options_.symbols[symbol].name;
    r.side = random_.below(2) == 0 ? Side::Buy : Side::Sell;
    if (r.group != "hedging") {
        // Where netting accounts take part a symbol trades one way: of two sides there is only one
        // position left, and stops meant for the other are refused (10016).
        r.side = symbol % 2 == 0 ? Side::Buy : Side::Sell;
    }
    recent_.push_back(r.id);
    if (recent_.size() > kRecentMax) {
        recent_.erase(recent_.begin());
    }
    return r;
}

SignalRequest GeneratedScript::about(const SignalRequest& opened, SignalAction action) {
    SignalRequest r;
    r.id = random_id(random_);
    r.target = opened.id;
    r.group = opened.group;
    r.symbol = opened.symbol;
    r.side = opened.side;
    r.action = action;
    return r;
}

/// One per cent away from the market: far enough to stand for the length of a demo.
void GeneratedScript::set_stops(SignalRequest& r, const QuoteNow& quote) {
    const market::SymbolInfo& info = info_of(r.symbol);
    const std::int64_t away =
        share_of(quote.bid, static_cast<std::int64_t>(8 + random_.below(8)), info);
    const bool buy = r.side == Side::Buy;
    r.stop_loss = Price{buy ? quote.bid.value - away : quote.ask.value + away};
    r.take_profit = Price{buy ? quote.ask.value + away : quote.bid.value - away};
}

const market::SymbolInfo& GeneratedScript::info_of(const std::string& symbol) const {
    const auto at = std::find_if(options_.symbols.begin(), options_.symbols.end(),
                                 [&](const market::SymbolInfo& s) { return s.name == symbol; });
    ASSERT(at != options_.symbols.end());
    return *at;
}

std::deque<GeneratedScript::Open>::iterator GeneratedScript::ripe(std::deque<Open>& list,
                                                                  Nanos elapsed) {
    if (list.empty()) {
        return list.end();
    }
    const auto at = list.begin() + static_cast<std::ptrdiff_t>(random_.below(list.size()));
    const Life* life = lives_.find(at->request.id);
    if (life == nullptr || life->answer == Answer::Refused) {
        list.erase(at);
        return list.end();
    }
    const bool old = at->at + kRipeAfter <= elapsed;
    return old && life->answer == Answer::Accepted ? at : list.end();
}

std::vector<Planned> GeneratedScript::tidy_up() {
    std::vector<Planned> list;
    list.reserve(pendings_.size());
    for (const Open& p : pendings_) {
        list.push_back({about(p.request, SignalAction::Cancel)});
    }
    pendings_.clear();
    return list;
}

}  // namespace millrace::demo
