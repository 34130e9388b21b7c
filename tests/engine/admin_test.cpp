// Goal: accounts and groups can be paused and removed while the engine runs, and nothing is lost
// with them; ends of resting orders reach their source without a place promised to them.
// Method: a rig that checks every counter after every record; each story is replayed whole, and
// from a snapshot taken at every one of its records.
#include <gtest/gtest.h>

#include "rig.h"

namespace millrace::test {
namespace {

AdminAnswer remove_account(Rig& rig, std::uint32_t id) {
    rig.admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{id}, 0});
    return rig.engine.globals().admin_answer;
}

AdminAnswer remove_group(Rig& rig, std::uint32_t id) {
    rig.admin(AdminOp::RemoveGroup, GroupRemoval{GroupId{id}, 0});
    return rig.engine.globals().admin_answer;
}

AdminAnswer set_group(Rig& rig, GroupState state) {
    rig.admin(AdminOp::SetGroup, GroupCommand{GroupId{0}, state, {}});
    rig.settle();
    return rig.engine.globals().admin_answer;
}

/// The whole log again, and from a snapshot after each of its records.
void expect_replays(Rig& rig) {
    const std::uint64_t hash = rig.engine.state_hash();
    EXPECT_EQ(rig.replayed_hash(), hash);
    for (std::size_t cut = 0; cut < rig.log.size(); ++cut) {
        Rig before;
        for (std::size_t i = 0; i < cut; ++i) {
            before.engine.apply(rig.log[i], before);
        }
        std::vector<std::byte> image;
        before.engine.save(image);
        Rig after;
        ASSERT_TRUE(after.engine.load(image.data(), image.size()).ok());
        for (std::size_t i = cut; i < rig.log.size(); ++i) {
            after.engine.apply(rig.log[i], after);
        }
        ASSERT_EQ(after.engine.state_hash(), hash) << "snapshot after record " << cut;
        ASSERT_EQ(after.engine.output_hash(), rig.engine.output_hash());
    }
}

TEST(Removal, NamesWhatStandsInTheWayOfAnAccount) {
    Rig rig;
    rig.world(2);
    rig.signal(rig.open(1));
    const auto orders = rig.take_orders();
    ASSERT_EQ(orders.size(), 2U);
    EXPECT_EQ(remove_account(rig, 0), AdminAnswer::OrdersLive);
    EXPECT_EQ(rig.engine.globals().admin_detail.orders, 1U);
    rig.session_down(0);
    EXPECT_EQ(remove_account(rig, 0), AdminAnswer::OrdersInDoubt);
    EXPECT_EQ(rig.engine.globals().admin_detail.orders, 1U);
    rig.session_up(0);
    rig.fill(orders[0]);
    EXPECT_EQ(remove_account(rig, 0), AdminAnswer::PositionsOpen);
    EXPECT_EQ(rig.engine.globals().admin_detail.positions, 1U);
    EXPECT_TRUE(rig.engine.account(AccountId{0}).defined);
    EXPECT_EQ(remove_account(rig, 5), AdminAnswer::UnknownAccount);
    EXPECT_EQ(remove_account(rig, 5000), AdminAnswer::UnknownAccount);
    expect_replays(rig);
}

TEST(Removal, NeverUsesTheIdOfARemovedAccountAgain) {
    Rig rig;
    rig.world(2);
    EXPECT_EQ(remove_account(rig, 0), AdminAnswer::Ok);
    EXPECT_EQ(remove_account(rig, 0), AdminAnswer::Ok) << "a repeat changes nothing";
    rig.admin(AdminOp::DefineAccount, Rig::account_spec(0));
    EXPECT_EQ(rig.engine.globals().admin_answer, AdminAnswer::AccountRemoved);
    rig.admin(AdminOp::DefineMember, Rig::member_spec(0, 0));
    EXPECT_EQ(rig.engine.globals().admin_answer, AdminAnswer::AccountRemoved);
    rig.admin(AdminOp::SetAccount, AccountCommand{AccountId{0}, AccountState::Trading, {}});
    EXPECT_EQ(rig.engine.globals().admin_answer, AdminAnswer::AccountRemoved);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Removed);
    EXPECT_FALSE(rig.engine.account(AccountId{0}).defined);
    rig.signal(rig.open(1));
    EXPECT_EQ(rig.only_order().account, AccountId{1}) << "the others trade on";
    expect_replays(rig);
}

TEST(Removal, GivesTheMembersPlacesBack) {
    Rig rig;
    rig.world(2);
    for (std::uint32_t g = 1; g < 16; ++g) {  // all 32 places of the table
        rig.admin(AdminOp::DefineGroup, GroupSpec{GroupId{g}, 0, text<16>("more")});
        rig.admin(AdminOp::DefineMember, Rig::member_spec(g, 0));
        rig.admin(AdminOp::DefineMember, Rig::member_spec(g, 1));
    }
    rig.admin(AdminOp::DefineAccount, Rig::account_spec(2));
    rig.admin(AdminOp::DefineMember, Rig::member_spec(0, 2));
    EXPECT_EQ(rig.engine.globals().admin_answer, AdminAnswer::TableFull);
    EXPECT_EQ(remove_account(rig, 1), AdminAnswer::Ok);
    EXPECT_EQ(remove_group(rig, 15), AdminAnswer::Ok);
    EXPECT_EQ(rig.engine.group(GroupId{0}).members, 1U);
    EXPECT_EQ(rig.engine.group(GroupId{15}).members, 0U);
    for (std::uint32_t g = 0; g < 15; ++g) {
        rig.admin(AdminOp::DefineMember, Rig::member_spec(g, 2));
        ASSERT_EQ(rig.engine.globals().admin_answer, AdminAnswer::Ok);
    }
    rig.session_up(2);
    rig.signal(rig.open(1));
    EXPECT_EQ(rig.take_orders().size(), 2U) << "accounts 0 and 2";
    expect_replays(rig);
}

TEST(Removal, WaitsForAFanOutUnderWay) {
    Rig rig;
    rig.world(3);
    rig.budget = 1;
    rig.input(InputType::Signal, rig.open(1));
    ASSERT_TRUE(rig.engine.has_work());
    EXPECT_EQ(remove_account(rig, 2), AdminAnswer::FanOutRuns);
    EXPECT_EQ(remove_group(rig, 0), AdminAnswer::FanOutRuns);
    rig.budget = 1000;
    rig.settle();
    const auto orders = rig.take_orders();
    EXPECT_EQ(orders.size(), 3U);
    for (const OrderCommand& c : orders) {
        rig.report(rig.outcome(c, retcode::kReject));
    }
    EXPECT_EQ(remove_account(rig, 2), AdminAnswer::Ok);
    EXPECT_EQ(remove_group(rig, 0), AdminAnswer::Ok);
    expect_replays(rig);
}

TEST(Removal, AcknowledgesWhatTheTerminalOfARemovedAccountStillTells) {
    Rig rig;
    rig.world();
    ASSERT_EQ(remove_account(rig, 0), AdminAnswer::Ok);
    rig.effects.clear();
    Report r = rig.from(0, ReportType::Exec);
    r.exec_kind = ExecKind::Foreign;
    r.volume = centi(10);
    r.deal_ticket = 5;
    rig.report(r);
    EXPECT_EQ(rig.alerts(AlertCode::UnknownReport), 1U) << "a deal is told to people";
    EXPECT_GT(rig.engine.account(AccountId{0}).last_event, 0U);
    rig.number_events = false;
    r.event_seq = rig.engine.account(AccountId{0}).last_event;
    rig.report(r);
    EXPECT_EQ(rig.alerts(AlertCode::UnknownReport), 1U) << "once";
    rig.session_up(0);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Removed);
    expect_replays(rig);
}

TEST(Removal, TellsTheStores) {
    Rig rig;
    rig.world();
    rig.effects.clear();
    ASSERT_EQ(remove_account(rig, 0), AdminAnswer::Ok);
    ASSERT_EQ(set_group(rig, GroupState::Paused), AdminAnswer::Ok);
    ASSERT_EQ(remove_group(rig, 0), AdminAnswer::Ok);
    std::vector<std::string> told;
    for (const Effect& e : rig.effects) {
        if (e.kind == EffectKind::Definition) {
            const auto row = e.as<DefinitionRow>();
            told.push_back(row.kind + std::string{" "} +
                           std::string{to_string(static_cast<GroupState>(row.state))});
        } else if (e.kind == EffectKind::Account) {
            told.emplace_back(to_string(e.as<AccountRow>().state));
        }
    }
    EXPECT_EQ(told, (std::vector<std::string>{"A REMOVED", "REMOVED", "G PAUSED", "G REMOVED"}));
}

TEST(PausedGroup, StaysPausedWhenItsConfigurationIsSentAgain) {
    Rig rig;
    rig.world();
    ASSERT_EQ(set_group(rig, GroupState::Paused), AdminAnswer::Ok);
    rig.admin(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, text<16>("grp")});
    EXPECT_EQ(rig.engine.group(GroupId{0}).state, GroupState::Paused);
    rig.signal(rig.open(1));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::GroupPaused});
    EXPECT_EQ(set_group(rig, GroupState::Removed), AdminAnswer::BadState);
    expect_replays(rig);
}

TEST(PausedGroup, LetsPendingsBeCancelledAndModified) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(100'000)));
    const OrderCommand c = rig.only_order();
    rig.report(rig.outcome(c, retcode::kPlaced));
    ASSERT_EQ(set_group(rig, GroupState::Paused), AdminAnswer::Ok);
    EXPECT_EQ(remove_group(rig, 0), AdminAnswer::OrdersLive);
    rig.signal(rig.change(2, SignalAction::Modify, 1));
    rig.report(rig.outcome(rig.only_order(), retcode::kDone));
    rig.signal(rig.change(3, SignalAction::Cancel, 1));
    rig.report(rig.outcome(rig.only_order(), retcode::kDone));
    EXPECT_EQ(rig.engine.globals().live_orders, 0U);
    EXPECT_EQ(remove_group(rig, 0), AdminAnswer::Ok);
    expect_replays(rig);
}

TEST(RestingOrders, HoldNoSlotsHoweverManyThereAre) {
    Rig rig;
    rig.world();
    std::vector<OrderCommand> resting;
    for (std::uint64_t n = 1; n <= 40; ++n) {
        rig.signal(rig.pending(n, PriceKind::Limit, points(100'000)));
        resting.push_back(rig.only_order());
        rig.report(rig.outcome(resting.back(), retcode::kPlaced));
        ASSERT_EQ(rig.engine.results_reserved_total(), 0U) << n;
    }
    rig.results_room = 0;  // the source does not read
    rig.take_results();
    for (const OrderCommand& c : resting) {
        rig.report(rig.exec(c, ExecKind::PendingCanceled, Lots{}));
    }
    EXPECT_TRUE(rig.results.empty());
    EXPECT_TRUE(rig.engine.owes_results());
    EXPECT_EQ(rig.engine.globals().live_orders, 0U);
    rig.results_room = 5;
    rig.settle();
    EXPECT_FALSE(rig.engine.owes_results());
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 40U);
    EXPECT_EQ(rig.count(ResultKind::SignalDone), 40U);
    EXPECT_EQ(rig.engine.orders().live(), 0U);
    expect_replays(rig);
}

TEST(RestingOrders, ShareTheirSignalsEndWithOrdersThatDoNotRest) {
    Rig rig;
    rig.world(3);
    rig.signal(rig.pending(1, PriceKind::Stop, points(120'000)));
    const auto c = rig.take_orders();
    ASSERT_EQ(c.size(), 3U);
    rig.report(rig.outcome(c[0], retcode::kPlaced));
    EXPECT_EQ(rig.engine.results_reserved_total(), 5U);
    rig.results_room = 0;
    rig.report(rig.exec(c[0], ExecKind::PendingCanceled, Lots{}));
    rig.report(rig.outcome(c[1], retcode::kReject));
    EXPECT_EQ(rig.engine.results_reserved_total(), 3U);
    rig.report(rig.outcome(c[2], retcode::kPlaced));
    EXPECT_EQ(rig.engine.results_reserved_total(), 0U) << "only resting ones are left";
    rig.results_room = 1;  // enough for the first end, which is not the signal's
    rig.settle();
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 2U);
    EXPECT_EQ(rig.count(ResultKind::SignalDone), 0U);
    rig.report(rig.exec(c[2], ExecKind::PendingFilled, c[2].volume));
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 2U) << "needs two places, there is one";
    rig.results_room = 2;
    rig.settle();
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 3U);
    ASSERT_EQ(rig.count(ResultKind::SignalDone), 1U);
    EXPECT_EQ(rig.results.back().accounts, 3U);
    EXPECT_EQ(rig.results.back().filled, 1U);
    EXPECT_EQ(rig.results.back().rejected, 2U);
    expect_replays(rig);
}

TEST(RestingOrders, KeepTheirSlotWhenDoubtCameBeforeTheAnswer) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(100'000)));
    const OrderCommand c = rig.only_order();
    rig.advance(seconds(6));  // no answer: IN_DOUBT, the one intermediate word
    EXPECT_EQ(rig.count(ResultKind::OrderInDoubt), 1U);
    rig.report(rig.outcome(c, retcode::kPlaced));
    EXPECT_EQ(rig.count(ResultKind::OrderWorking), 0U);
    EXPECT_EQ(rig.engine.results_reserved_total(), 0U);
    rig.report(rig.exec(c, ExecKind::PendingFilled, c.volume));
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 1U);
    EXPECT_EQ(rig.count(ResultKind::SignalDone), 1U);
    expect_replays(rig);
}

}  // namespace
}  // namespace millrace::test
