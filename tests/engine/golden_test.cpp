// Goal: the bytes of every journalled or shared record stay what they are.
// Method: each field gets its own number; the bytes are compared with committed ones. A mismatch
// means: bump kRecordVersion, write the migration, run with MILLRACE_GOLDEN_PRINT=1 and commit.
#include "tests/engine/golden.h"
#include "core/actor.h"
#include "core/effect.h"
#include "core/journal_record.h"
#include "tests/engine/golden_guards.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace millrace {
namespace {

Signal signal() {
    Signal r{};
    std::uint8_t next = 1;
    set(r.id, next);
    set(r.target, next);
    set(r.source, next);
    set(r.group, next);
    set(r.symbol, next);
    set(r.action, next);
    set(r.side, next);
    set(r.price_kind, next);
    set(r.flags, next);
    set(r.volume, next);
    set(r.price, next);
    set(r.stop_loss, next);
    set(r.take_profit, next);
    set(r.reference_price, next);
    set(r.send_time, next);
    set(r.ttl_ms, next);
    set(r.reserved, next);
    set(r.edge_time, next);
    return r;
}
SignalResult signal_result() {
    SignalResult r{};
    std::uint8_t next = 1;
    set(r.seq, next);
    set(r.k, next);
    set(r.kind, next);
    set(r.ord_status, next);
    set(r.reason, next);
    set(r.signal, next);
    set(r.source, next);
    set(r.account, next);
    set(r.cum_volume, next);
    set(r.avg_price, next);
    set(r.retcode, next);
    set(r.accounts, next);
    set(r.filled, next);
    set(r.rejected, next);
    set(r.original, next);
    set(r.time, next);
    set(r.magic, next);
    set(r.edge_time, next);
    return r;
}
OrderCommand order_command() {
    OrderCommand r{};
    std::uint8_t next = 1;
    set(r.seq, next);
    set(r.k, next);
    set(r.account, next);
    set(r.magic, next);
    set(r.type, next);
    set(r.side, next);
    set(r.price_kind, next);
    set(r.flags, next);
    set(r.deviation_points, next);
    set(r.symbol, next);
    set(r.volume, next);
    set(r.price, next);
    set(r.stop_loss, next);
    set(r.take_profit, next);
    set(r.position_ticket, next);
    set(r.order_ticket, next);
    set(r.deadline, next);
    set(r.signal_time, next);
    set(r.edge_time, next);
    set(r.engine_time, next);
    set(r.comment, next);
    return r;
}
Report report() {
    Report r{};
    std::uint8_t next = 1;
    set(r.time, next);
    set(r.account, next);
    set(r.type, next);
    set(r.exec_kind, next);
    set(r.reason, next);
    set(r.event_seq, next);
    set(r.session_generation, next);
    set(r.magic, next);
    set(r.retcode, next);
    set(r.ord_status, next);
    set(r.side, next);
    set(r.permissions, next);
    set(r.flags, next);
    set(r.order_ticket, next);
    set(r.deal_ticket, next);
    set(r.position_id, next);
    set(r.volume, next);
    set(r.requested, next);
    set(r.price, next);
    set(r.bid, next);
    set(r.ask, next);
    set(r.equity, next);
    set(r.balance, next);
    set(r.journal_id, next);
    set(r.journal_tail, next);
    set(r.broker_time, next);
    set(r.symbol, next);
    set(r.reserved, next);
    return r;
}
SymbolSpec symbol_spec() {
    SymbolSpec r{};
    std::uint8_t next = 1;
    set(r.id, next);
    set(r.digits, next);
    set(r.name, next);
    set(r.tick_size, next);
    set(r.volume_min, next);
    set(r.volume_max, next);
    set(r.volume_step, next);
    set(r.contract_size, next);
    set(r.collar, next);
    return r;
}
SourceSpec source_spec() {
    return all_set(&SourceSpec::id, &SourceSpec::reserved, &SourceSpec::name);
}
GroupSpec group_spec() {
    return all_set(&GroupSpec::id, &GroupSpec::on_partial, &GroupSpec::name);
}
AccountSpec account_spec() {
    AccountSpec r{};
    std::uint8_t next = 1;
    set(r.id, next);
    set(r.margin_mode, next);
    set(r.leaves_early, next);
    set(r.on_duplicate, next);
    set(r.on_double, next);
    set(r.name, next);
    set(r.login, next);
    set(r.symbol_prefix, next);
    set(r.symbol_suffix, next);
    set(r.max_lots, next);
    set(r.max_open_orders, next);
    set(r.rate_per_second, next);
    set(r.rate_burst, next);
    set(r.deviation_points, next);
    set(r.duplicate_window_ms, next);
    set(r.reserved2, next);
    return r;
}
MemberSpec member_spec() {
    MemberSpec r{};
    std::uint8_t next = 1;
    set(r.group, next);
    set(r.account, next);
    set(r.sizing, next);
    set(r.enabled, next);
    set(r.standby_after_s, next);
    set(r.standby, next);
    set(r.value, next);
    fill(r.symbols, next);
    return r;
}
RiskSpec risk_spec() {
    return all_set(&RiskSpec::collar, &RiskSpec::ledger_window_ns, &RiskSpec::answer_timeout_ns,
                   &RiskSpec::magic_tag, &RiskSpec::tick_age_max_ns);
}
ConfigCommit config_commit() {
    return all_set(&ConfigCommit::config_hash);
}
AccountCommand account_command() {
    AccountCommand r{};
    std::uint8_t next = 1;
    set(r.account, next);
    set(r.state, next);
    fill(r.reserved, next);
    return r;
}
KillCommand kill_command() {
    KillCommand r{};
    std::uint8_t next = 1;
    set(r.kill_id, next);
    set(r.scope, next);
    set(r.actions, next);
    fill(r.reserved, next);
    set(r.scope_id, next);
    set(r.symbol, next);
    return r;
}
ResolveCommand resolve_command() {
    ResolveCommand r{};
    std::uint8_t next = 1;
    set(r.magic, next);
    set(r.status, next);
    fill(r.reserved, next);
    set(r.executor_of, next);
    set(r.volume, next);
    set(r.price, next);
    set(r.position_id, next);
    return r;
}
AdminRecord admin_record() {
    AdminRecord r{};
    std::uint8_t next = 1;
    set(r.op, next);
    fill(r.reserved, next);
    fill(r.body, next);
    return r;
}
AdminRecord signed_record() {
    AdminRecord r{};
    set_actor(r, all_set(&Actor::uid, &Actor::user, &Actor::host));
    return r;
}
StartInput start_input() {
    return all_set(&StartInput::epoch, &StartInput::logic_version, &StartInput::new_segment);
}
JumpInput jump_input() {
    return all_set(&JumpInput::intent_floor);
}
TimerInput timer_input() {
    return all_set(&TimerInput::deadline);
}
DeliverInput deliver_input() {
    return all_set(&DeliverInput::source, &DeliverInput::slots);
}
GroupCommand group_command() {
    GroupCommand r{};
    std::uint8_t next = 1;
    set(r.group, next);
    set(r.state, next);
    fill(r.reserved, next);
    return r;
}
AccountRemoval account_removal() {
    return all_set(&AccountRemoval::account, &AccountRemoval::reserved);
}
GroupRemoval group_removal() {
    return all_set(&GroupRemoval::group, &GroupRemoval::reserved);
}
LimitSpec limit_spec() {
    LimitSpec r{};
    std::uint8_t next = 1;
    set(r.scope, next);
    set(r.action, next);
    set(r.on_slippage, next);
    set(r.reserved, next);
    set(r.id, next);
    set(r.max_positions, next);
    set(r.max_symbol_positions, next);
    set(r.max_volume, next);
    set(r.max_symbol_volume, next);
    set(r.max_daily_loss, next);
    set(r.max_daily_loss_share, next);
    set(r.max_drawdown, next);
    set(r.max_drawdown_share, next);
    set(r.day_start_s, next);
    set(r.max_slippage, next);
    return r;
}
JournalRecord journal_record() {
    JournalRecord r{};
    std::uint8_t next = 1;
    set(r.seq, next);
    set(r.time, next);
    set(r.source_cursor, next);
    set(r.bid, next);
    set(r.ask, next);
    set(r.tick_time, next);
    set(r.budget, next);
    set(r.source_ring, next);
    set(r.type, next);
    set(r.version, next);
    fill(r.body, next);
    return r;
}
DefinitionRow definition_row() {
    DefinitionRow r{};
    std::uint8_t next = 1;
    set(r.kind, next);
    set(r.state, next);
    fill(r.reserved, next);
    set(r.id, next);
    set(r.name, next);
    return r;
}
SignalRow signal_row() {
    SignalRow r{};
    std::uint8_t next = 1;
    set(r.id, next);
    set(r.target, next);
    set(r.source, next);
    set(r.group, next);
    set(r.symbol, next);
    set(r.action, next);
    set(r.side, next);
    set(r.price_kind, next);
    set(r.done, next);
    set(r.reason, next);
    set(r.reserved, next);
    set(r.accounts, next);
    set(r.filled, next);
    set(r.rejected, next);
    set(r.volume, next);
    set(r.price, next);
    set(r.stop_loss, next);
    set(r.take_profit, next);
    set(r.send_time, next);
    set(r.accepted_time, next);
    return r;
}
OrderRow order_row() {
    OrderRow r{};
    std::uint8_t next = 1;
    set(r.magic, next);
    set(r.signal, next);
    set(r.account, next);
    set(r.symbol, next);
    set(r.type, next);
    set(r.side, next);
    set(r.price_kind, next);
    set(r.status, next);
    set(r.reason, next);
    set(r.attempts, next);
    set(r.retcode, next);
    set(r.reserved, next);
    set(r.volume, next);
    set(r.cum_volume, next);
    set(r.price, next);
    set(r.avg_price, next);
    set(r.stop_loss, next);
    set(r.take_profit, next);
    set(r.order_ticket, next);
    set(r.position_id, next);
    set(r.created, next);
    set(r.deadline, next);
    return r;
}
ExecutionRow execution_row() {
    ExecutionRow r{};
    std::uint8_t next = 1;
    set(r.deal_ticket, next);
    set(r.magic, next);
    set(r.account, next);
    set(r.symbol, next);
    set(r.side, next);
    set(r.exec_kind, next);
    set(r.entry, next);
    fill(r.reserved, next);
    set(r.volume, next);
    set(r.price, next);
    set(r.order_ticket, next);
    set(r.position_id, next);
    set(r.broker_time, next);
    return r;
}
PositionRow position_row() {
    PositionRow r{};
    std::uint8_t next = 1;
    set(r.account, next);
    set(r.symbol, next);
    set(r.position_id, next);
    set(r.magic, next);
    set(r.signal, next);
    set(r.side, next);
    fill(r.reserved, next);
    set(r.volume, next);
    set(r.open_price, next);
    set(r.stop_loss, next);
    set(r.take_profit, next);
    return r;
}
AccountRow account_row() {
    AccountRow r{};
    std::uint8_t next = 1;
    set(r.account, next);
    set(r.state, next);
    set(r.link, next);
    set(r.permissions, next);
    set(r.reserved, next);
    set(r.equity, next);
    set(r.balance, next);
    set(r.live_orders, next);
    set(r.open_positions, next);
    return r;
}
AlertRow alert_row() {
    AlertRow r{};
    std::uint8_t next = 1;
    set(r.code, next);
    set(r.account, next);
    set(r.magic, next);
    set(r.signal, next);
    set(r.detail, next);
    return r;
}
Effect effect() {
    Effect r{};
    std::uint8_t next = 1;
    set(r.seq, next);
    set(r.k, next);
    set(r.kind, next);
    fill(r.reserved, next);
    set(r.time, next);
    fill(r.body, next);
    return r;
}

const std::map<std::string, std::string> kGolden = {
#include "tests/engine/golden_records.inc"
};

TEST(Golden, RecordsKeepTheirBytesOrTheVersionIsBumped) {
    const std::vector<std::pair<std::string, std::string>> now = {
        {"Signal", hex(signal())},
        {"SignalResult", hex(signal_result())},
        {"OrderCommand", hex(order_command())},
        {"Report", hex(report())},
        {"SymbolSpec", hex(symbol_spec())},
        {"SourceSpec", hex(source_spec())},
        {"GroupSpec", hex(group_spec())},
        {"AccountSpec", hex(account_spec())},
        {"MemberSpec", hex(member_spec())},
        {"RiskSpec", hex(risk_spec())},
        {"ConfigCommit", hex(config_commit())},
        {"AccountCommand", hex(account_command())},
        {"KillCommand", hex(kill_command())},
        {"ResolveCommand", hex(resolve_command())},
        {"AdminRecord", hex(admin_record())},
        {"Actor in AdminRecord", hex(signed_record())},
        {"StartInput", hex(start_input())},
        {"JumpInput", hex(jump_input())},
        {"TimerInput", hex(timer_input())},
        {"SkipInput", hex(skip_input())},
        {"DeliverInput", hex(deliver_input())},
        {"GroupCommand", hex(group_command())},
        {"AccountRemoval", hex(account_removal())},
        {"GroupRemoval", hex(group_removal())},
        {"LimitSpec", hex(limit_spec())},
        {"SymbolLimitSpec", hex(symbol_limit_spec())},
        {"CurrencySpec", hex(currency_spec())},
        {"MoneyLimitSpec", hex(money_limit_spec())},
        {"HoursSpec", hex(hours_spec())},
        {"SymbolGuardSpec", hex(symbol_guard_spec())},
        {"RateInput", hex(rate_input())},
        {"JournalRecord", hex(journal_record())},
        {"DefinitionRow", hex(definition_row())},
        {"SignalRow", hex(signal_row())},
        {"OrderRow", hex(order_row())},
        {"ExecutionRow", hex(execution_row())},
        {"PositionRow", hex(position_row())},
        {"AccountRow", hex(account_row())},
        {"AlertRow", hex(alert_row())},
        {"Effect", hex(effect())},
    };
    if (std::getenv("MILLRACE_GOLDEN_PRINT") != nullptr) {
        for (const auto& [name, bytes] : now) {
            std::printf("{\"%s\", \"%s\"},\n", name.c_str(), bytes.c_str());
        }
    }
    EXPECT_EQ(now.size(), kGolden.size());
    EXPECT_EQ(kRecordVersion, 2) << "commit new golden bytes together with the new version";
    for (const auto& [name, bytes] : now) {
        const auto it = kGolden.find(name);
        ASSERT_NE(it, kGolden.end()) << name << " has no golden bytes";
        EXPECT_EQ(bytes, it->second) << name << " changed its layout: bump kRecordVersion";
    }
}

TEST(Golden, BodiesOnDiskKeepTheirLengths) {
    EXPECT_EQ(JournalRecord::kHeaderBytes, 56U);
    const std::pair<InputType, std::size_t> lengths[] = {
        {InputType::Start, 16},   {InputType::Jump, 8},    {InputType::Signal, 112},
        {InputType::Report, 160}, {InputType::Admin, 128}, {InputType::Timer, 8},
        {InputType::Continue, 8}, {InputType::Skip, 8},    {InputType::Deliver, 8},
        {InputType::Rate, 8}};
    for (const auto& [type, bytes] : lengths) {
        EXPECT_EQ(body_bytes(type), bytes) << "bump kRecordVersion";
    }
}

}  // namespace
}  // namespace millrace
