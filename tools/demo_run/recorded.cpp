#include "tools/demo_run/recorded.h"

#include "tools/market/text.h"

namespace millrace::demo {
namespace {

SignalAction action_of(market::TradeAction action) {
    switch (action) {
        case market::TradeAction::Open:
        case market::TradeAction::PlacePending: return SignalAction::Open;
        case market::TradeAction::Modify: return SignalAction::Modify;
        case market::TradeAction::ClosePart:
        case market::TradeAction::CloseAll: return SignalAction::Close;
        case market::TradeAction::CancelPending: return SignalAction::Cancel;
    }
    return SignalAction::Open;
}

}  // namespace

RecordedScript::RecordedScript(RecordedOptions options)
    : options_{std::move(options)}, random_{options_.seed} {}

std::optional<Planned> RecordedScript::next(Nanos elapsed) {
    if (finished()) {
        return std::nullopt;
    }
    const market::TradeEvent& event = options_.events[at_];
    const double recorded = static_cast<double>(event.time.value - options_.origin.value);
    const auto due = static_cast<std::int64_t>(recorded / options_.speed);
    if (elapsed.value + options_.started_ns < due) {
        return std::nullopt;
    }
    ++at_;
    return planned(event);
}

Planned RecordedScript::planned(const market::TradeEvent& event) {
    SignalRequest r = request_of(event);
    switch (event.action) {
        case market::TradeAction::PlacePending: pendings_[event.key] = r; [[fallthrough]];
        case market::TradeAction::Open: opened_[event.key] = r.id; break;
        default:
            r.target = opened_[event.key];
            if (event.action != market::TradeAction::Modify) {
                pendings_.erase(event.key);
            }
            break;
    }
    return Planned{r};
}

SignalRequest RecordedScript::request_of(const market::TradeEvent& event) {
    SignalRequest r;
    r.id = random_id(random_);
    r.group = options_.group;
    r.symbol = std::string{market::view_of(event.symbol)};
    r.action = action_of(event.action);
    r.side = event.side;
    const bool opens = r.action == SignalAction::Open;
    r.price_kind = event.price_kind;
    if (event.action == market::TradeAction::Open) {
        r.price_kind = PriceKind::Market;  // its price is what the source got: history
    } else if (opens || r.action == SignalAction::Modify) {
        r.price = event.price;
    }
    if (opens || event.action == market::TradeAction::ClosePart) {
        r.volume = event.volume;
    }
    if (opens || r.action == SignalAction::Modify) {
        r.stop_loss = event.stop_loss;
        r.take_profit = event.take_profit;
    }
    return r;
}

std::vector<Planned> RecordedScript::tidy_up() {
    std::vector<Planned> list;
    for (const auto& [key, placed] : pendings_) {
        SignalRequest r;
        r.id = random_id(random_);
        r.target = placed.id;
        r.group = placed.group;
        r.symbol = placed.symbol;
        r.side = placed.side;
        r.action = SignalAction::Cancel;
        list.push_back(Planned{r});
    }
    pendings_.clear();
    return list;
}

}  // namespace millrace::demo
