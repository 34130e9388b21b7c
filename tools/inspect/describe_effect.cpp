// Rows of the effects log and commands in account queues as named fields.
#include "tools/inspect/decode.h"
#include "tools/inspect/describe.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

ordered_json id_or_null(std::uint32_t id) {
    return id == kNoId ? ordered_json(nullptr) : ordered_json(id);
}

const char* kind_word(EffectKind kind) {
    switch (kind) {
        case EffectKind::Definition: return "DEFINITION";
        case EffectKind::Signal: return "SIGNAL";
        case EffectKind::Order: return "ORDER";
        case EffectKind::Execution: return "EXECUTION";
        case EffectKind::Position: return "POSITION";
        case EffectKind::Account: return "ACCOUNT";
        case EffectKind::Alert: return "ALERT";
    }
    return "?";
}

const char* side_word(Side side) {
    return side == Side::Buy ? "BUY" : "SELL";
}

ordered_json row(const SignalRow& s, const Names& n) {
    return {{"signal", uuid_text(s.id)},
            {"source", n.source(s.source)},
            {"group", n.group(s.group)},
            {"symbol", n.symbol(s.symbol)},
            {"side", side_word(s.side)},
            {"done", s.done != 0},
            {"reason", to_string(Reason{s.reason})},
            {"accounts", s.accounts},
            {"filled", s.filled},
            {"rejected", s.rejected},
            {"volume", decimal(s.volume.value)}};
}

ordered_json row(const OrderRow& o, const Names& n) {
    return {{"magic", o.magic.value},
            {"intent", o.magic.intent()},
            {"signal", uuid_text(o.signal)},
            {"account", id_or_null(o.account.value)},
            {"symbol", n.symbol(o.symbol)},
            {"side", side_word(o.side)},
            {"status", to_string(o.status)},
            {"reason", to_string(Reason{o.reason})},
            {"attempts", o.attempts},
            {"retcode", o.retcode},
            {"volume", decimal(o.volume.value)},
            {"cum_volume", decimal(o.cum_volume.value)},
            {"avg_price", decimal(o.avg_price.value)},
            {"order_ticket", o.order_ticket},
            {"position_id", o.position_id}};
}

ordered_json row(const ExecutionRow& x, const Names& n) {
    return {{"deal_ticket", x.deal_ticket},         {"magic", x.magic.value},
            {"intent", x.magic.intent()},           {"account", id_or_null(x.account.value)},
            {"symbol", n.symbol(x.symbol)},         {"side", side_word(x.side)},
            {"entry", x.entry == 0 ? "IN" : "OUT"}, {"volume", decimal(x.volume.value)},
            {"price", decimal(x.price.value)},      {"order_ticket", x.order_ticket},
            {"position_id", x.position_id}};
}

ordered_json row(const PositionRow& p, const Names& n) {
    return {{"position_id", p.position_id},
            {"account", id_or_null(p.account.value)},
            {"symbol", n.symbol(p.symbol)},
            {"magic", p.magic.value},
            {"intent", p.magic.intent()},
            {"signal", uuid_text(p.signal)},
            {"side", side_word(p.side)},
            {"volume", decimal(p.volume.value)},
            {"open_price", decimal(p.open_price.value)}};
}

ordered_json row(const AccountRow& a, const Names&) {
    return {{"account", id_or_null(a.account.value)},
            {"state", to_string(a.state)},
            {"link", to_string(a.link)},
            {"equity", decimal(a.equity.value)},
            {"balance", decimal(a.balance.value)},
            {"live_orders", a.live_orders},
            {"open_positions", a.open_positions}};
}

ordered_json row(const AlertRow& a, const Names&) {
    return {{"code", static_cast<std::uint32_t>(a.code)},
            {"account", id_or_null(a.account.value)},
            {"magic", a.magic.value},
            {"intent", a.magic.intent()},
            {"signal", uuid_text(a.signal)},
            {"detail", a.detail}};
}

ordered_json row(const DefinitionRow& d, const Names&) {
    return {{"what", std::string(1, d.kind)},
            {"id", id_or_null(d.id)},
            {"name", std::string{view(d.name)}},
            {"state", to_string(static_cast<GroupState>(d.state))}};
}

ordered_json row_of(const Effect& e, const Names& n) {
    switch (e.kind) {
        case EffectKind::Definition: return row(e.as<DefinitionRow>(), n);
        case EffectKind::Signal: return row(e.as<SignalRow>(), n);
        case EffectKind::Order: return row(e.as<OrderRow>(), n);
        case EffectKind::Execution: return row(e.as<ExecutionRow>(), n);
        case EffectKind::Position: return row(e.as<PositionRow>(), n);
        case EffectKind::Account: return row(e.as<AccountRow>(), n);
        case EffectKind::Alert: return row(e.as<AlertRow>(), n);
    }
    return ordered_json::object();
}

}  // namespace

ordered_json describe(const Effect& e, const Names& n) {
    return {{"seq", e.seq.value},
            {"k", e.k},
            {"type", kind_word(e.kind)},
            {"time_ns", e.time.value},
            {"body", row_of(e, n)}};
}

ordered_json describe(const SessionSlot& s, const Names& n) {
    constexpr const char* kStates[] = {"QUEUED", "CLAIMED", "SETTLED", "ANSWERED"};
    ordered_json j = describe(s.command, n);
    j["slot_state"] = s.state < std::size(kStates) ? kStates[s.state] : "?";
    j["seen_ns"] = s.seen.value;
    return j;
}

}  // namespace millrace::inspect
