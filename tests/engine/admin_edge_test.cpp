// Goal: what pausing and removing leave behind is right in the corners too: orders that wait, the
// count of members, positions still open, a new journal, a group defined again.
// Method: one short story each, told by what came out of the engine; the log is replayed at the
// end and must give the same state.
#include <gtest/gtest.h>

#include "rig.h"

namespace millrace::test {
namespace {

AdminAnswer answer(const Rig& rig) {
    return rig.engine.globals().admin_answer;
}

void set_group(Rig& rig, GroupState state) {
    rig.admin(AdminOp::SetGroup, GroupCommand{GroupId{0}, state, {}});
    rig.settle();
    ASSERT_EQ(answer(rig), AdminAnswer::Ok);
}

void remove_account(Rig& rig, std::uint32_t id) {
    rig.admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{id}, 0});
    ASSERT_EQ(answer(rig), AdminAnswer::Ok);
}

void expect_replays(Rig& rig) {
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

/// States of group 0 as the stores were told them.
std::vector<GroupState> told_states(const Rig& rig) {
    std::vector<GroupState> states;
    for (const Effect& e : rig.effects) {
        if (e.kind == EffectKind::Definition && e.as<DefinitionRow>().kind == 'G') {
            states.push_back(static_cast<GroupState>(e.as<DefinitionRow>().state));
        }
    }
    return states;
}

TEST(AdminEdge, PauseEndsWhatWaitsSoThatResumingDoesNotLetItGo) {
    Rig rig;
    rig.world();
    rig.session_down(0);
    rig.link_up(0);  // reconciling: entries are held back until the terminal has told everything
    rig.signal(rig.open(1));
    ASSERT_EQ(rig.count(ResultKind::Accepted), 1U);
    ASSERT_EQ(rig.engine.globals().live_orders, 1U);
    set_group(rig, GroupState::Paused);
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::GroupPaused});
    EXPECT_EQ(rig.count(ResultKind::SignalDone), 1U);
    set_group(rig, GroupState::Active);
    rig.sync_done(0);
    ASSERT_TRUE(rig.orders.empty()) << "what waited before the pause reaches no broker after it";
    rig.signal(rig.open(2));
    EXPECT_EQ(rig.only_order().account, AccountId{0}) << "what comes after it does";
    expect_replays(rig);
}

TEST(AdminEdge, AcceptedCountsOnlyTheMembersThatAreLeft) {
    Rig rig;
    rig.world(4);
    MemberSpec disabled = Rig::member_spec(0, 3);
    disabled.enabled = 0;
    rig.admin(AdminOp::DefineMember, disabled);
    remove_account(rig, 1);
    remove_account(rig, 3);  // was not counted: takes nothing off
    rig.signal(rig.open(1));
    ASSERT_EQ(rig.count(ResultKind::Accepted), 1U);
    EXPECT_EQ(rig.results.front().accounts, 2U);
    EXPECT_EQ(rig.take_orders().size(), 2U);
    expect_replays(rig);
}

TEST(AdminEdge, GroupWithAnOpenPositionIsNotRemoved) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    ASSERT_EQ(rig.engine.globals().live_orders, 0U) << "the position alone is in the way";
    rig.admin(AdminOp::RemoveGroup, GroupRemoval{GroupId{0}, 0});
    ASSERT_EQ(answer(rig), AdminAnswer::PositionsOpen);
    EXPECT_EQ(rig.engine.globals().admin_detail.positions, 1U);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    rig.fill(rig.only_order());
    EXPECT_EQ(rig.open_volume(), Lots{}) << "the group still trades: its position can be closed";
    rig.admin(AdminOp::RemoveGroup, GroupRemoval{GroupId{0}, 0});
    EXPECT_EQ(answer(rig), AdminAnswer::Ok);
    expect_replays(rig);
}

TEST(AdminEdge, NewJournalOfARemovedAccountIsHeardFromItsFirstEvent) {
    Rig rig;
    rig.world();
    remove_account(rig, 0);
    rig.effects.clear();
    Report deal = rig.from(0, ReportType::Exec);
    deal.exec_kind = ExecKind::Foreign;
    deal.volume = centi(10);
    deal.event_seq = 5;
    rig.report(deal);
    ASSERT_EQ(rig.alerts(AlertCode::UnknownReport), 1U);
    rig.link_up(0, 77);  // the same journal: what it sends again was told
    deal.event_seq = 1;
    rig.report(deal);
    EXPECT_EQ(rig.alerts(AlertCode::UnknownReport), 1U);
    rig.link_up(0, 78);  // its disk was lost: events are numbered from 1 again
    rig.report(deal);
    EXPECT_EQ(rig.alerts(AlertCode::UnknownReport), 2U) << "a deal is told to people";
    EXPECT_EQ(rig.engine.account(AccountId{0}).last_event, 1U);
    expect_replays(rig);
}

TEST(AdminEdge, StoresAreToldThatAGroupDefinedAgainIsStillPaused) {
    Rig rig;
    rig.world();
    set_group(rig, GroupState::Paused);
    rig.effects.clear();
    rig.admin(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, text<16>("renamed")});
    EXPECT_EQ(told_states(rig), std::vector{GroupState::Paused});
    set_group(rig, GroupState::Active);
    rig.admin(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, text<16>("grp")});
    EXPECT_EQ(told_states(rig).back(), GroupState::Active);
    expect_replays(rig);
}

// An executor at a venue that says nothing is in doubt itself, and a kill there waits for it.
TEST(Resolve, IsToldOnToTheExecutor) {
    for (const bool done : {true, false}) {
        Rig rig;
        rig.world();
        rig.signal(rig.open(1));
        const OrderCommand entry = rig.only_order();
        rig.report(rig.outcome(entry, retcode::kTimeout));
        rig.take_orders();  // the look-up
        ResolveCommand found;
        found.magic = entry.magic;
        found.status = done ? OrdStatus::Filled : OrdStatus::Rejected;
        found.volume = done ? centi(10) : Lots{};
        found.price = done ? rig.ask : Price{};
        rig.admin(AdminOp::Resolve, found);
        const OrderCommand told = rig.only_order();
        EXPECT_EQ(told.type, CommandType::Resolve);
        EXPECT_EQ(told.magic, entry.magic);
        EXPECT_EQ(told.account, entry.account);
        EXPECT_EQ(told.flags, done ? kResolvedAsDone : 0);
        EXPECT_EQ(told.volume, found.volume);
        EXPECT_EQ(told.price, found.price);
        EXPECT_EQ(told.deadline.value, 0) << "it does not grow old";
        rig.admin(AdminOp::Resolve, found);
        EXPECT_TRUE(rig.take_orders().empty()) << "it is over";
        expect_replays(rig);
    }
}

TEST(Resolve, OfAnOrderThatOnlyTheExecutorKnowsIsToldOnWhereItsAccountIsNamed) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    ResolveCommand found;
    found.magic = Magic::make(entry.magic.tag(), (std::uint64_t{1} << 44U) + 99, 0);
    found.status = OrdStatus::Filled;
    found.volume = centi(10);
    rig.admin(AdminOp::Resolve, found);
    EXPECT_TRUE(rig.take_orders().empty()) << "nobody knows whose it is";
    found.executor_of = 1 + entry.account.value;
    rig.admin(AdminOp::Resolve, found);
    const OrderCommand told = rig.only_order();
    EXPECT_EQ(told.type, CommandType::Resolve);
    EXPECT_EQ(told.magic, found.magic);
    EXPECT_EQ(told.account, entry.account);
    found.executor_of = 1 + 63;
    rig.admin(AdminOp::Resolve, found);
    EXPECT_TRUE(rig.take_orders().empty()) << "no such account";
    found.executor_of = 1 + entry.account.value;
    found.magic = entry.magic;
    rig.admin(AdminOp::Resolve, found);
    EXPECT_TRUE(rig.take_orders().empty()) << "it lives and is not in doubt";
    EXPECT_EQ(rig.open_volume(), Lots{});
    expect_replays(rig);
}

}  // namespace
}  // namespace millrace::test
