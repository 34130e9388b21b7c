#include "tools/inspect/describe.h"

#include <fmt/core.h>

#include "core/actor.h"
#include "tools/inspect/decode.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

template <std::size_t N>
const char* word(const char* const (&words)[N], unsigned i) {
    return i < N ? words[i] : "?";
}
constexpr const char* kSides[] = {"BUY", "SELL"};
constexpr const char* kActions[] = {"?", "OPEN", "CLOSE", "MODIFY", "CANCEL"};
constexpr const char* kPriceKinds[] = {"MARKET", "LIMIT", "STOP"};
constexpr const char* kResults[] = {"?",          "ACCEPTED",       "REFUSED",     "DUPLICATE",
                                    "ORDER_DONE", "ORDER_IN_DOUBT", "SIGNAL_DONE", "ORDER_WORKING"};
constexpr const char* kCommands[] = {"?", "OPEN", "CLOSE", "MODIFY", "CANCEL", "QUERY"};
constexpr const char* kReports[] = {"?",
                                    "OUTCOME",
                                    "EXEC",
                                    "UNSENT",
                                    "QUERY_FOUND",
                                    "QUERY_ABSENT",
                                    "QUERY_UNKNOWN",
                                    "SESSION_UP",
                                    "SESSION_DOWN",
                                    "ACCOUNT_INFO",
                                    "KILL_APPLIED",
                                    "SYNC_DONE"};
constexpr const char* kExecs[] = {"NONE",      "PENDING_FILLED", "PENDING_CANCELED",
                                  "STOP_LOSS", "TAKE_PROFIT",    "STOP_OUT",
                                  "MANUAL",    "KILL",           "FOREIGN"};
constexpr const char* kInputs[] = {"?",     "START",    "JUMP", "SIGNAL",  "REPORT", "ADMIN",
                                   "TIMER", "CONTINUE", "SKIP", "DELIVER", "RATE"};
constexpr const char* kAdminOps[] = {"?",
                                     "DEFINE_SYMBOL",
                                     "DEFINE_SOURCE",
                                     "DEFINE_GROUP",
                                     "DEFINE_ACCOUNT",
                                     "DEFINE_MEMBER",
                                     "CONFIG_COMMIT",
                                     "SET_ACCOUNT",
                                     "KILL",
                                     "CLEAR_KILL",
                                     "RESOLVE",
                                     "RISK_LIMITS",
                                     "SET_GROUP",
                                     "REMOVE_ACCOUNT",
                                     "REMOVE_GROUP",
                                     "DEFINE_LIMITS",
                                     "DEFINE_SYMBOL_LIMITS",
                                     "DEFINE_CURRENCY",
                                     "DEFINE_MONEY_LIMITS",
                                     "DEFINE_HOURS",
                                     "DEFINE_SYMBOL_GUARD"};
constexpr const char* kScopes[] = {"ALL", "GROUP", "ACCOUNT", "SYMBOL", "SOURCE"};

template <class E>
unsigned num(E e) {
    return static_cast<unsigned>(e);
}

ordered_json id_or_null(std::uint32_t id) {
    return id == kNoId ? ordered_json(nullptr) : ordered_json(id);
}

/// 0 stands for "not given" in prices and volumes.
ordered_json given(std::int64_t scaled) {
    return scaled == 0 ? ordered_json(nullptr) : ordered_json(decimal(scaled));
}

}  // namespace

std::string uuid_text(const SignalId& id) {
    if (id.is_none()) {
        return "-";
    }
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", id.hi >> 32, (id.hi >> 16) & 0xFFFF,
                       id.hi & 0xFFFF, id.lo >> 48, id.lo & 0xFFFF'FFFF'FFFFULL);
}

ordered_json describe(const Signal& s, const Names& n) {
    return {
        {"id", uuid_text(s.id)},
        {"target", s.target.is_none() ? ordered_json(nullptr) : ordered_json(uuid_text(s.target))},
        {"source", n.source(s.source)},
        {"group", n.group(s.group)},
        {"symbol", n.symbol(s.symbol)},
        {"action", word(kActions, num(s.action))},
        {"side", word(kSides, num(s.side))},
        {"price_kind", word(kPriceKinds, num(s.price_kind))},
        {"hold_until_open", (s.flags & kHoldUntilOpen) != 0},
        {"volume", given(s.volume.value)},
        {"price", given(s.price.value)},
        {"stop_loss", given(s.stop_loss.value)},
        {"take_profit", given(s.take_profit.value)},
        {"reference_price", given(s.reference_price.value)},
        {"send_time_ns", s.send_time.value},
        {"ttl_ms", s.ttl_ms},
        {"edge_time_ns", s.edge_time.value}};
}

ordered_json describe(const SignalResult& r, const Names& n) {
    return {{"seq", r.seq.value},
            {"k", r.k},
            {"kind", word(kResults, num(r.kind))},
            {"signal", uuid_text(r.signal)},
            {"source", n.source(r.source)},
            {"account", id_or_null(r.account.value)},
            {"status", r.ord_status == 0 ? ordered_json(nullptr)
                                         : ordered_json(to_string(OrdStatus{r.ord_status}))},
            {"reason", to_string(Reason{r.reason})},
            {"retcode", r.retcode},
            {"cum_volume", given(r.cum_volume.value)},
            {"avg_price", given(r.avg_price.value)},
            {"accounts", r.accounts},
            {"filled", r.filled},
            {"rejected", r.rejected},
            {"original", r.original.value},
            {"magic", r.magic},
            {"time_ns", r.time.value},
            {"edge_time_ns", r.edge_time.value}};
}

ordered_json describe(const OrderCommand& c, const Names&) {
    return {{"seq", c.seq.value},
            {"k", c.k},
            {"account", id_or_null(c.account.value)},
            {"magic", c.magic.value},
            {"intent", c.magic.intent()},
            {"attempt", c.magic.attempt()},
            {"type", word(kCommands, num(c.type))},
            {"side", word(kSides, num(c.side))},
            {"price_kind", word(kPriceKinds, num(c.price_kind))},
            {"symbol", std::string{view(c.symbol)}},
            {"volume", given(c.volume.value)},
            {"price", given(c.price.value)},
            {"stop_loss", given(c.stop_loss.value)},
            {"take_profit", given(c.take_profit.value)},
            {"position_ticket", c.position_ticket},
            {"order_ticket", c.order_ticket},
            {"deadline_ns", c.deadline.value},
            {"engine_time_ns", c.engine_time.value},
            {"comment", std::string{view(c.comment)}}};
}

ordered_json describe(const Report& r, const Names& n) {
    return {{"account", id_or_null(r.account.value)},
            {"type", word(kReports, num(r.type))},
            {"exec_kind", word(kExecs, num(r.exec_kind))},
            {"reason", to_string(Reason{r.reason})},
            {"event_seq", r.event_seq},
            {"generation", r.session_generation},
            {"magic", r.magic.value},
            {"intent", r.magic.intent()},
            {"retcode", r.retcode},
            {"status", r.ord_status == 0 ? ordered_json(nullptr)
                                         : ordered_json(to_string(OrdStatus{r.ord_status}))},
            {"side", word(kSides, num(r.side))},
            {"symbol", n.symbol(r.symbol)},
            {"order_ticket", r.order_ticket},
            {"deal_ticket", r.deal_ticket},
            {"position_id", r.position_id},
            {"volume", given(r.volume.value)},
            {"price", given(r.price.value)},
            {"equity", given(r.equity.value)},
            {"balance", given(r.balance.value)},
            {"time_ns", r.time.value},
            {"broker_time_ns", r.broker_time.value}};
}

ordered_json describe(const Holding& h, const Names& n) {
    if (h.kind == HoldingKind::End) {
        return {{"account", id_or_null(h.account.value)},
                {"type", "END"},
                {"rows", h.index},
                {"event_seq", h.event_seq},
                {"generation", h.generation},
                {"time_ns", h.time.value}};
    }
    return {{"account", id_or_null(h.account.value)},
            {"type", h.kind == HoldingKind::Order ? "ORDER" : "POSITION"},
            {"index", h.index},
            {"symbol", n.symbol(h.symbol)},
            {"name", std::string{view(h.name)}},
            {"side", word(kSides, num(h.side))},
            {"volume", given(h.volume.value)},
            {"price", given(h.price.value)},
            {"stop_loss", given(h.stop_loss.value)},
            {"take_profit", given(h.take_profit.value)},
            {"ticket", h.ticket},
            {"magic", h.magic.value},
            {"generation", h.generation},
            {"time_ns", h.time.value}};
}

namespace {

/// What is no limit is left out.
/// What is not 0.
void put_amount(ordered_json& j, const char* key, std::int64_t value) {
    if (value > 0) {
        j[key] = decimal(value);
    }
}

ordered_json describe_money(const MoneyLimitSpec& l, const Names& n) {
    const bool group = l.scope == LimitScope::Group;
    ordered_json j{{group ? "group" : "account",
                    group ? ordered_json(n.group(GroupId{l.id})) : id_or_null(l.id)},
                   {"currency", l.currency}};
    put_amount(j, "max_order_notional", l.max_order_notional.value);
    put_amount(j, "max_notional", l.max_notional.value);
    put_amount(j, "max_order_leverage", l.max_order_leverage.value);
    put_amount(j, "max_leverage", l.max_leverage.value);
    put_amount(j, "max_net_notional", l.max_net_notional.value);
    put_amount(j, "max_net_volume", l.max_net_volume.value);
    j["margin_check"] = l.margin_check != 0;
    j["changes_per_minute"] = l.changes_per_minute;
    return j;
}

ordered_json describe_hours(const HoursSpec& h, const Names& n) {
    ordered_json windows = ordered_json::array();
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(h.count, kWindowsMax); ++i) {
        windows.push_back({h.windows[i].from, h.windows[i].to});
    }
    const bool symbol = h.scope == HoursScope::Symbol;
    return {{symbol ? "symbol" : "account",
             symbol ? ordered_json(n.symbol(SymbolId{h.id})) : id_or_null(h.id)},
            {"windows", windows},
            {"flat_before_min", h.flat_before_min},
            {"week_closes", h.week_closes},
            {"week_opens", h.week_opens}};
}

ordered_json describe_guard(const AdminRecord& a, const Names& n) {
    if (a.op == AdminOp::DefineMoneyLimits) {
        return describe_money(a.as<MoneyLimitSpec>(), n);
    }
    if (a.op == AdminOp::DefineHours) {
        return describe_hours(a.as<HoursSpec>(), n);
    }
    if (a.op == AdminOp::DefineCurrency) {
        const auto c = a.as<CurrencySpec>();
        ordered_json j{{"index", c.index}, {"name", std::string{view(c.name)}}};
        if (c.cross.value != kNoId) {
            j["symbol"] = n.symbol(c.cross);
            j["inverse"] = c.inverse != 0;
        }
        put_amount(j, "rate", c.rate.value);
        return j;
    }
    const auto s = a.as<SymbolGuardSpec>();
    ordered_json j{
        {"symbol", n.symbol(s.id)}, {"currency", s.currency}, {"collar_points", s.collar_points}};
    put_amount(j, "collar_spreads", s.collar_spreads.value);
    return j;
}

ordered_json describe_limits(const LimitSpec& l, const Names& n) {
    const bool group = l.scope == LimitScope::Group;
    ordered_json j{{group ? "group" : "account",
                    group ? ordered_json(n.group(GroupId{l.id})) : id_or_null(l.id)}};
    const auto count = [&j](const char* key, std::uint32_t value) {
        if (value > 0) {
            j[key] = value;
        }
    };
    const auto amount = [&j](const char* key, std::int64_t value) {
        if (value > 0) {
            j[key] = decimal(value);
        }
    };
    count("max_positions", l.max_positions);
    count("max_symbol_positions", l.max_symbol_positions);
    amount("max_volume", l.max_volume.value);
    amount("max_symbol_volume", l.max_symbol_volume.value);
    amount("daily_loss", l.max_daily_loss.value);
    amount("daily_loss_share", l.max_daily_loss_share.value);
    amount("drawdown", l.max_drawdown.value);
    amount("drawdown_share", l.max_drawdown_share.value);
    if (l.daily() || l.drawdown()) {
        j["on_loss"] = l.action == LossAction::Suspend ? "SUSPEND" : "REDUCE_ONLY";
        j["day_start_s"] = l.day_start_s;
    }
    if (l.max_slippage > 0) {
        amount("max_slippage", l.max_slippage);
        j["on_slippage"] = l.on_slippage == SlippageAction::Suspend ? "SUSPEND"
                           : l.on_slippage == SlippageAction::Alert ? "ALERT"
                           : l.on_slippage == SlippageAction::Close ? "CLOSE"
                                                                    : "REDUCE_ONLY";
    }
    return j;
}

}  // namespace

ordered_json describe(const KillCommand& k, const Names&) {
    return {{"kill_id", k.kill_id},
            {"scope", word(kScopes, num(k.scope))},
            {"scope_id", id_or_null(k.scope_id)},
            {"symbol", std::string{view(k.symbol)}},
            {"stop", (k.actions & kKillStop) != 0},
            {"cancel", (k.actions & kKillCancel) != 0},
            {"flatten", (k.actions & kKillFlatten) != 0}};
}

/// What an admin record is about; keys and secrets never travel in one.
ordered_json describe(const AdminRecord& a, const Names& n) {
    ordered_json j{{"op", word(kAdminOps, num(a.op))}};
    if (const Actor who = actor_of(a); who.known()) {
        j["uid"] = who.uid;
        j["user"] = std::string{view(who.user)};
        j["host"] = std::string{view(who.host)};
    }
    const auto named = [&](std::uint32_t id, const Text<16>& name) {
        j["id"] = id_or_null(id);
        j["name"] = std::string{view(name)};
    };
    switch (a.op) {
        case AdminOp::DefineSymbol:
            named(a.as<SymbolSpec>().id.value, a.as<SymbolSpec>().name);
            break;
        case AdminOp::DefineSource:
            named(a.as<SourceSpec>().id.value, a.as<SourceSpec>().name);
            break;
        case AdminOp::DefineGroup:
            named(a.as<GroupSpec>().id.value, a.as<GroupSpec>().name);
            j["on_partial"] = a.as<GroupSpec>().on_partial == 1   ? "REFILL"
                              : a.as<GroupSpec>().on_partial == 2 ? "CLOSE"
                                                                  : "ACCEPT";
            break;
        case AdminOp::DefineAccount:
            named(a.as<AccountSpec>().id.value, a.as<AccountSpec>().name);
            j["login"] = a.as<AccountSpec>().login;
            j["leaves_early"] = a.as<AccountSpec>().leaves_early != 0;
            j["on_duplicate"] =
                a.as<AccountSpec>().on_duplicate == DuplicateAction::Alert ? "ALERT" : "REFUSE";
            j["on_duplicate_execution"] =
                a.as<AccountSpec>().on_double == DoubleAction::Alert ? "ALERT" : "CLOSE";
            break;
        case AdminOp::DefineMember:
            j["group"] = n.group(a.as<MemberSpec>().group);
            j["account"] = id_or_null(a.as<MemberSpec>().account.value);
            j["enabled"] = a.as<MemberSpec>().enabled != 0;
            if (const auto m = a.as<MemberSpec>(); m.standby != 0) {
                j["standby"] = m.standby - 1;
                j["standby_after_s"] = m.standby_after_s;
            }
            j["value"] = decimal(a.as<MemberSpec>().value);
            break;
        case AdminOp::ConfigCommit:
            j["config_hash"] = hex_hash(a.as<ConfigCommit>().config_hash);
            break;
        case AdminOp::SetAccount:
            j["account"] = id_or_null(a.as<AccountCommand>().account.value);
            j["state"] = to_string(a.as<AccountCommand>().state);
            break;
        case AdminOp::Kill:
        case AdminOp::ClearKill: j.update(describe(a.as<KillCommand>(), n)); break;
        case AdminOp::Resolve:
            j["magic"] = a.as<ResolveCommand>().magic.value;
            j["status"] = to_string(a.as<ResolveCommand>().status);
            j["volume"] = given(a.as<ResolveCommand>().volume.value);
            j["price"] = given(a.as<ResolveCommand>().price.value);
            if (a.as<ResolveCommand>().executor_of != 0) {
                j["account"] = a.as<ResolveCommand>().executor_of - 1;
            }
            break;
        case AdminOp::RiskLimits: j["collar"] = decimal(a.as<RiskSpec>().collar.value); break;
        case AdminOp::SetGroup:
            j["group"] = n.group(a.as<GroupCommand>().group);
            j["state"] = to_string(a.as<GroupCommand>().state);
            break;
        case AdminOp::RemoveAccount:
            j["account"] = id_or_null(a.as<AccountRemoval>().account.value);
            break;
        case AdminOp::RemoveGroup: j["group"] = n.group(a.as<GroupRemoval>().group); break;
        case AdminOp::DefineLimits: j.update(describe_limits(a.as<LimitSpec>(), n)); break;
        case AdminOp::DefineSymbolLimits: {
            const auto l = a.as<SymbolLimitSpec>();
            j["symbol"] = n.symbol(l.id);
            j["max_positions"] = l.max_positions;
            j["max_volume"] = decimal(l.max_volume.value);
            j["max_net_volume"] = decimal(l.max_net_volume.value);
            break;
        }
        case AdminOp::DefineCurrency:
        case AdminOp::DefineMoneyLimits:
        case AdminOp::DefineHours:
        case AdminOp::DefineSymbolGuard: j.update(describe_guard(a, n)); break;
    }
    return j;
}

namespace {

ordered_json describe_body(const JournalRecord& r, const Names& n) {
    switch (r.type) {
        case InputType::Start:
            return {{"epoch", r.as<StartInput>().epoch},
                    {"logic_version", r.as<StartInput>().logic_version},
                    {"new_segment", r.as<StartInput>().new_segment != 0}};
        case InputType::Jump: return {{"intent_floor", r.as<JumpInput>().intent_floor}};
        case InputType::Signal: return describe(r.as<Signal>(), n);
        case InputType::Report: return describe(r.as<Report>(), n);
        case InputType::Admin: return describe(r.as<AdminRecord>(), n);
        case InputType::Timer: return {{"deadline", r.as<TimerInput>().deadline}};
        case InputType::Continue: break;
        case InputType::Skip: return {{"skipped_seq", r.as<SkipInput>().seq}};
        case InputType::Deliver:
            return {{"source", id_or_null(r.as<DeliverInput>().source.value)},
                    {"slots", r.as<DeliverInput>().slots}};
        case InputType::Rate: return {{"symbol", n.symbol(r.as<RateInput>().symbol)}};
    }
    return ordered_json::object();
}

}  // namespace

ordered_json describe(const JournalRecord& r, const Names& n) {
    return {{"seq", r.seq.value},
            {"type", word(kInputs, num(r.type))},
            {"time_ns", r.time.value},
            {"source_ring",
             r.source_ring == kNoRing ? ordered_json(nullptr) : ordered_json(r.source_ring)},
            {"source_cursor", r.source_cursor},
            {"bid", given(r.bid.value)},
            {"ask", given(r.ask.value)},
            {"budget", r.budget},
            {"version", r.version},
            {"body", describe_body(r, n)}};
}

}  // namespace millrace::inspect
