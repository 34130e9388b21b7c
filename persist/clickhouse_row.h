// The one row of ClickHouse's one table, and the one list of its columns: for who writes it
// (clickhouse_rows.cpp) and who reads it back (clickhouse_import.cpp).
#pragma once

#include "core/effect.h"
#include "persist/clickhouse_rows.h"

#include <cstdint>
#include <string_view>

namespace millrace::clickhouse {

[[nodiscard]] constexpr unsigned bit(EffectKind kind) noexcept {
    return 1U << static_cast<unsigned>(kind);
}
inline constexpr unsigned kD = bit(EffectKind::Definition);
inline constexpr unsigned kS = bit(EffectKind::Signal);
inline constexpr unsigned kO = bit(EffectKind::Order);
inline constexpr unsigned kE = bit(EffectKind::Execution);
inline constexpr unsigned kP = bit(EffectKind::Position);
inline constexpr unsigned kA = bit(EffectKind::Account);
inline constexpr unsigned kL = bit(EffectKind::Alert);

/// One row of the table, whatever its kind.
struct Row {
    std::uint64_t history = 0;
    std::uint8_t kind = 0;
    std::uint64_t seq = 0;
    std::uint32_t k = 0;
    std::int64_t time_ns = 0;
    std::uint64_t epoch = 0, chain = 0;  // marks only, as are the next two
    std::uint32_t instance = 0;
    std::uint8_t whole = 0;
    std::uint32_t account = 0, symbol = 0, source = 0, grp = 0;
    std::uint64_t intent = 0, magic = 0;
    SignalId signal, target;
    std::uint8_t type = 0, side = 0, price_kind = 0, done = 0, status = 0;
    std::uint16_t reason = 0, attempts = 0;
    std::uint32_t retcode = 0, accounts = 0, filled = 0, rejected = 0;
    std::int64_t volume = 0, cum_volume = 0, price = 0, avg_price = 0;
    std::int64_t stop_loss = 0, take_profit = 0;
    std::uint64_t order_ticket = 0, position_id = 0, deal_ticket = 0;
    std::uint8_t exec_kind = 0, entry = 0;
    std::int64_t created_ns = 0, deadline_ns = 0, send_ns = 0, accepted_ns = 0, broker_ns = 0;
    std::uint8_t state = 0, link = 0, permissions = 0;
    std::int64_t equity = 0, balance = 0;
    std::uint32_t live_orders = 0, open_positions = 0, code = 0;
    std::uint64_t detail = 0;
    std::uint32_t def_id = 0;
    std::uint8_t def_state = 0;
    std::string_view def_kind, name;
};

/// The one list of columns: calls f(name, field, kinds) for each, in the order of the table.
template <class R, class F>
constexpr void each_column(R& r, F f) {
    f("history", r.history, 0U);
    f("kind", r.kind, 0U);
    f("seq", r.seq, 0U);
    f("k", r.k, 0U);
    f("time_ns", r.time_ns, 0U);
    f("epoch", r.epoch, 1U << kClickHouseMark);
    f("chain", r.chain, 1U << kClickHouseMark);
    f("account", r.account, kO | kE | kP | kA | kL);
    f("symbol", r.symbol, kS | kO | kE | kP);
    f("source", r.source, kS);
    f("grp", r.grp, kS);
    f("intent", r.intent, kO);
    f("magic", r.magic, kO | kE | kP | kL);
    f("signal", r.signal, kS | kO | kP | kL);
    f("target", r.target, kS);
    f("type", r.type, kS | kO);
    f("side", r.side, kS | kO | kE | kP);
    f("price_kind", r.price_kind, kS | kO);
    f("done", r.done, kS);
    f("status", r.status, kO);
    f("reason", r.reason, kS | kO);
    f("attempts", r.attempts, kO);
    f("retcode", r.retcode, kO);
    f("accounts", r.accounts, kS);
    f("filled", r.filled, kS);
    f("rejected", r.rejected, kS);
    f("volume", r.volume, kS | kO | kE | kP);
    f("cum_volume", r.cum_volume, kO);
    f("price", r.price, kS | kO | kE | kP);
    f("avg_price", r.avg_price, kO);
    f("stop_loss", r.stop_loss, kS | kO | kP);
    f("take_profit", r.take_profit, kS | kO | kP);
    f("order_ticket", r.order_ticket, kO | kE);
    f("position_id", r.position_id, kO | kE | kP);
    f("deal_ticket", r.deal_ticket, kE);
    f("exec_kind", r.exec_kind, kE);
    f("entry", r.entry, kE);
    f("created_ns", r.created_ns, kO);
    f("deadline_ns", r.deadline_ns, kO);
    f("send_ns", r.send_ns, kS);
    f("accepted_ns", r.accepted_ns, kS);
    f("broker_ns", r.broker_ns, kE);
    f("state", r.state, kA);
    f("link", r.link, kA);
    f("permissions", r.permissions, kA);
    f("equity", r.equity, kA);
    f("balance", r.balance, kA);
    f("live_orders", r.live_orders, kA);
    f("open_positions", r.open_positions, kA);
    f("code", r.code, kL);
    f("detail", r.detail, kL);
    f("def_kind", r.def_kind, kD);
    f("def_id", r.def_id, kD);
    f("def_state", r.def_state, kD);
    f("name", r.name, kD);
    // Later ones at the end: a table of an older build gets them there.
    f("instance", r.instance, 1U << kClickHouseMark);
    f("whole", r.whole, 1U << kClickHouseMark);
}

}  // namespace millrace::clickhouse
