// Of Scenario: operators, time, restarts, simulated worlds.
#include "tests/scenarios/scenario.h"

#include <gtest/gtest.h>

namespace millrace::test {

void Scenario::wait(Words& words) {
    rig().advance(Nanos{decimal(take(words)) * 10});
}

void Scenario::price(Words& words) {
    rig().bid = Price{decimal(take(words))};
    rig().ask = Price{decimal(take(words))};
}

/// quotes on|off|none: ticks come, have ended just now, or never came.
void Scenario::quotes(Words& words) {
    const std::string what = take(words);
    ASSERT_TRUE(what == "on" || what == "off" || what == "none") << what;
    rig().tick_time.reset();
    if (what != "on") {
        rig().tick_time = what == "off" ? rig().now : Nanos{};
    }
}

/// kill stop|flatten|clear [account|group|symbol|source]; without a scope: everything.
void Scenario::kill(Words& words) {
    static const std::map<std::string, KillScope> scopes = {{"all", KillScope::All},
                                                            {"account", KillScope::Account},
                                                            {"group", KillScope::Group},
                                                            {"symbol", KillScope::Symbol},
                                                            {"source", KillScope::Source}};
    const std::string what = take(words);
    KillCommand c;
    c.actions = what == "flatten" ? kKillStop | kKillCancel | kKillFlatten : kKillStop;
    c.scope = words.empty() ? KillScope::All : scopes.at(take(words));
    c.scope_id = 0;
    rig().admin(what == "clear" ? AdminOp::ClearKill : AdminOp::Kill, c);
    rig().settle();
}

/// standby PRIMARY STANDBY SECONDS: the second one is a member no more, and takes what is for the
/// first while that one is out.
void Scenario::group_standby(Words& words) {
    MemberSpec primary = Rig::member_spec(0, account_of(words));
    MemberSpec standby = Rig::member_spec(0, account_of(words));
    primary.standby = standby.account.value + 1;
    primary.standby_after_s = static_cast<std::uint16_t>(std::stoul(take(words)));
    standby.enabled = 0;
    rig().admin(AdminOp::DefineMember, primary);
    rig().admin(AdminOp::DefineMember, standby);
}

void Scenario::group(Words& words) {
    static const std::map<std::string, PartialAction> partial = {{"accept", PartialAction::Accept},
                                                                 {"refill", PartialAction::Refill},
                                                                 {"close", PartialAction::Close}};
    const std::string what = take(words);
    if (what == "remove") {
        rig().admin(AdminOp::RemoveGroup, GroupRemoval{GroupId{0}, 0});
    } else if (what == "on_partial") {
        GroupSpec spec = rig().engine.group(GroupId{0}).spec;
        spec.on_partial = static_cast<std::uint32_t>(partial.at(take(words)));
        rig().admin(AdminOp::DefineGroup, spec);
    } else if (what == "standby") {
        group_standby(words);
    } else {
        const GroupState state = what == "pause" ? GroupState::Paused : GroupState::Active;
        rig().admin(AdminOp::SetGroup, GroupCommand{GroupId{0}, state, {}});
    }
    rig().settle();
}

/// In the source's results ring, beyond what is promised.
void Scenario::room(Words& words) {
    rig().results_room = static_cast<std::uint32_t>(std::stoul(take(words)));
    rig().settle();
}

/// Of the symbol with that number.
void Scenario::limit_symbol(Words& words) {
    SymbolLimitSpec l;
    l.id = SymbolId{static_cast<std::uint32_t>(std::stoul(take(words)))};
    while (!words.empty()) {
        const std::string key = take(words);
        const std::string value = take(words);
        if (key == "max_positions") {
            l.max_positions = static_cast<std::uint32_t>(std::stoul(value));
        } else {
            ASSERT_TRUE(key == "max_volume" || key == "max_net_volume") << key;
            (key == "max_volume" ? l.max_volume : l.max_net_volume).value = decimal(value);
        }
    }
    rig().admin(AdminOp::DefineSymbolLimits, l);
}

/// limit account|group|symbol ID [KEY VALUE]...: in the place of those before; keys as in the
/// configuration.
void Scenario::limit(Words& words) {
    if (words.front() == "symbol") {
        take(words);
        limit_symbol(words);
        return;
    }
    LimitSpec l;
    const std::map<std::string, std::uint32_t*> counts = {
        {"max_positions", &l.max_positions},
        {"max_symbol_positions", &l.max_symbol_positions},
        {"day_start_s", &l.day_start_s}};
    const std::map<std::string, std::int64_t*> amounts = {
        {"max_volume", &l.max_volume.value},
        {"max_symbol_volume", &l.max_symbol_volume.value},
        {"daily_loss", &l.max_daily_loss.value},
        {"daily_loss_share", &l.max_daily_loss_share.value},
        {"drawdown", &l.max_drawdown.value},
        {"drawdown_share", &l.max_drawdown_share.value}};
    const LimitScope scope = take(words) == "group" ? LimitScope::Group : LimitScope::Account;
    const auto id = static_cast<std::uint32_t>(std::stoul(take(words)));
    while (!words.empty()) {
        const std::string key = take(words);
        const std::string value = take(words);
        if (key == "on_loss") {
            l.action = value == "suspend" ? LossAction::Suspend : LossAction::ReduceOnly;
        } else if (key == "on_slippage") {
            l.on_slippage = value == "suspend" ? SlippageAction::Suspend
                            : value == "alert" ? SlippageAction::Alert
                            : value == "close" ? SlippageAction::Close
                                               : SlippageAction::ReduceOnly;
        } else if (key == "max_slippage") {
            l.max_slippage = static_cast<std::uint32_t>(decimal(value));
        } else if (const auto count = counts.find(key); count != counts.end()) {
            *count->second = static_cast<std::uint32_t>(std::stoul(value));
        } else {
            *amounts.at(key) = decimal(value);
        }
    }
    rig().limit(l, id, scope);
}

void Scenario::account(Words& words) {
    static const std::map<std::string, AccountState> states = {{"trade", AccountState::Trading},
                                                               {"reduce", AccountState::ReduceOnly},
                                                               {"suspend", AccountState::Suspended},
                                                               {"disable", AccountState::Disabled},
                                                               {"stop", AccountState::Inactive}};
    const std::string what = take(words);
    if (what == "remove") {
        rig().admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{account_of(words)}, 0});
        return;
    }
    if (what == "on_duplicate_execution") {
        AccountSpec spec = rig().engine.account(AccountId{0}).spec;
        spec.on_double = take(words) == "alert" ? DoubleAction::Alert : DoubleAction::Close;
        rig().admin(AdminOp::DefineAccount, spec);
        return;
    }
    AccountCommand c;
    c.state = states.at(what);
    c.account = AccountId{account_of(words)};
    rig().admin(AdminOp::SetAccount, c);
    rig().settle();
}

/// resolve #1 filled|canceled|rejected [VOLUME]: what an operator found.
void Scenario::resolve(Words& words) {
    static const std::map<std::string, OrdStatus> found = {{"filled", OrdStatus::Filled},
                                                           {"canceled", OrdStatus::Canceled},
                                                           {"rejected", OrdStatus::Rejected}};
    const OrderCommand c = order(take(words));
    ResolveCommand r;
    r.magic = c.magic;
    r.status = found.at(take(words));
    r.volume = words.empty() ? Lots{} : Lots{decimal(take(words))};
    r.price = rig().ask;
    r.position_id = 1'000'000 + c.magic.intent();
    if (!words.empty()) {
        ASSERT_EQ(take(words), "position");
        r.position_id = std::stoull(take(words));
    }
    rig().admin(AdminOp::Resolve, r);
    rig().settle();
}

/// restart snapshot|log: the engine dies; the next one has its state from there, bit by bit.
void Scenario::restart(Words& words) {
    struct Nowhere : OutputPort {
        void order(const OrderCommand&) noexcept override {}
        void result(const SignalResult&) noexcept override {}
    } nowhere;
    ++covered_.restarts;
    const std::string from = take(words);
    Engine next{capacity_};
    if (from == "snapshot") {
        std::vector<std::byte> image;
        rig().engine.save(image);
        ASSERT_TRUE(next.load(image.data(), image.size()).ok());
    } else {
        ASSERT_EQ(from, "log");
        for (const JournalRecord& r : rig().log) {
            next.apply(r, nowhere);
        }
    }
    EXPECT_EQ(next.state_hash(), rig().engine.state_hash()) << "another state than the dead one's";
    EXPECT_EQ(next.output_hash(), rig().engine.output_hash()) << "other outputs";
    rig().engine = std::move(next);
    rig().input(InputType::Start, StartInput{});
    rig().settle();
}

/// The host went down and took the segment with it.
void Scenario::reboot(Words&) {
    ++covered_.restarts;
    rig().input(InputType::Jump, JumpInput{rig().engine.globals().next_intent + 1000});
    StartInput start;
    start.new_segment = 1;
    rig().input(InputType::Start, start);
    rig().settle();
}

/// simulate FIRST COUNT SIGNALS {FAULT PER_MILLE}: seeded worlds with these faults and no others.
void Scenario::simulate(Words& words) {
    static const std::map<std::string, std::uint32_t sim::Faults::*> faults = {
        {"refuse", &sim::Faults::refuse},
        {"unknown_code", &sim::Faults::unknown_code},
        {"partial", &sim::Faults::partial},
        {"placed_first", &sim::Faults::placed_first},
        {"latency", &sim::Faults::latency},
        {"terminal_crash", &sim::Faults::terminal_crash},
        {"journal_loss", &sim::Faults::journal_loss},
        {"cut", &sim::Faults::cut},
        {"stale", &sim::Faults::stale},
        {"broker_moves", &sim::Faults::broker_moves},
        {"engine_crash", &sim::Faults::engine_crash},
        {"host_crash", &sim::Faults::host_crash},
        {"slow_reader", &sim::Faults::slow_reader},
        {"resend", &sim::Faults::resend},
        {"kill", &sim::Faults::kill},
        {"losses", &sim::Faults::losses},
        {"away", &sim::Faults::away}};
    sim::Options options;
    options.seed = std::stoull(take(words));
    const std::uint64_t count = std::stoull(take(words));
    options.signals = static_cast<std::uint32_t>(std::stoul(take(words)));
    sim::Faults chosen;
    while (!words.empty()) {
        const std::string fault = take(words);
        chosen.*faults.at(fault) = static_cast<std::uint32_t>(std::stoul(take(words)));
    }
    options.faults = &chosen;
    for (std::uint64_t n = 0; n < count; ++n, ++options.seed) {
        ++covered_.seeds;
        const sim::Summary s = sim::World{options}.run();  // throws what is violated
        simulated_.orders += s.orders;
        simulated_.executions += s.executions;
        simulated_.in_doubt += s.in_doubt;
        simulated_.engine_crashes += s.engine_crashes;
        simulated_.host_crashes += s.host_crashes;
        simulated_.doubled_signals += s.doubled_signals;
        covered_.signals += options.signals;
    }
}

}  // namespace millrace::test
