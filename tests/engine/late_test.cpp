// Goal: what comes after an end: closes that are executed late, the engine's own closes that came
// to nothing, and the account that stands by. Method: the engine by hand, where a scenario would be
// long: many rounds, a full ring, memberships that no configuration makes.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

TEST(OwnCloses, GoOnEachFiveMinutesAndAreToldOnceAnHourUntilThePositionIsGone) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.fill(entry);
    Report twice = rig.outcome(entry, retcode::kDone, entry.volume);
    twice.deal_ticket = 4711;
    twice.position_id = 4712;
    rig.report(twice);
    OrderCommand close = rig.only_order();
    const Nanos began = rig.now;
    std::size_t closes = 1;
    for (; closes < 600; ++closes) {
        rig.report(rig.outcome(close, retcode::kReject));
        const Nanos before = rig.now;
        const Nanos wait = seconds(closes < 4 ? std::int64_t{30} << closes : 300);
        rig.advance(wait - Nanos{1});
        ASSERT_TRUE(rig.orders.empty()) << "not before its time";
        rig.advance(Nanos{1});
        close = rig.only_order();
        ASSERT_EQ(close.position_ticket, 4712U);
        ASSERT_EQ(close.magic.attempt(), 0U) << "an order of its own";
        ASSERT_GT(rig.now, before);
    }
    const std::int64_t hours = (rig.now - began).value / seconds(3'600).value;
    EXPECT_NEAR(static_cast<double>(rig.alerts(AlertCode::OwnCloseFailed)),
                static_cast<double>(hours), 2.0);
    rig.fill(close);
    rig.advance(seconds(3'600));
    EXPECT_TRUE(rig.take_orders().empty());
    EXPECT_EQ(rig.engine.globals().live_orders, 0U);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

/// A close that was looked up, told to be absent, and refused at its next attempt.
OrderCommand given_up(Rig& rig, std::uint64_t signal, std::uint64_t target) {
    rig.signal(rig.change(signal, SignalAction::Close, target, centi(1)));
    const OrderCommand first = rig.only_order();
    rig.advance(seconds(6));
    rig.report(rig.query_answer(rig.only_order(), ReportType::QueryAbsent));
    rig.report(rig.outcome(rig.only_order(), retcode::kReject));
    rig.take_results();
    return first;
}

TEST(LateCloses, AreForgottenWhenFiveHundredAndTwelveYoungerOnesAreKnown) {
    constexpr Capacity kMany{8, 32, 64, 1024};
    Rig rig{kMany};
    rig.world(1, MarginMode::Netting);
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    const OrderCommand oldest = given_up(rig, 2, 1);
    const OrderCommand second = given_up(rig, 3, 1);
    for (std::uint64_t n = 4; n < 3 + kEndedClosesMax; ++n) {
        (void)given_up(rig, n, 1);
    }
    const auto& orders = rig.engine.orders();
    const auto open = [&orders] { return orders[0].open_volume; };
    ASSERT_EQ(open(), centi(10));
    rig.fill(oldest);
    EXPECT_EQ(open(), centi(10)) << "somebody is told, as of any order that nobody knows";
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateExecution), 1U);
    std::vector<std::byte> image;
    rig.engine.save(image);
    ASSERT_TRUE(rig.engine.load(image.data(), image.size()).ok());
    rig.fill(second);
    EXPECT_EQ(open(), centi(9));
    EXPECT_EQ(rig.alerts(AlertCode::LateClose), 1U);
    EXPECT_EQ(rig.replayed_hash(kMany), rig.engine.state_hash());
}

/// Orders that signal `n` gave, by account.
std::vector<std::uint32_t> takers(Rig& rig, std::uint64_t n) {
    rig.signal(rig.open(n));
    std::vector<std::uint32_t> accounts;
    for (const OrderCommand& c : rig.take_orders()) {
        accounts.push_back(c.account.value);
        rig.fill(c);
    }
    rig.take_results();
    return accounts;
}

TEST(Standby, GetsNoSignalTwiceHoweverItIsNamed) {
    Rig rig;
    rig.world(4);
    const auto stands_by = [&rig](std::uint32_t standby, std::uint32_t primary) {
        MemberSpec m = Rig::member_spec(0, primary);
        m.standby = standby + 1;
        rig.admin(AdminOp::DefineMember, m);
    };
    stands_by(3, 0);  // of two, and a member itself, as no configuration has it
    stands_by(3, 1);
    EXPECT_EQ(takers(rig, 1), (std::vector<std::uint32_t>{0, 1, 2, 3}));
    rig.session_down(0);
    EXPECT_EQ(takers(rig, 2), (std::vector<std::uint32_t>{3, 1, 2})) << "3 has its one order";
    rig.session_down(1);
    EXPECT_EQ(takers(rig, 3), (std::vector<std::uint32_t>{3, 2})) << "that of 1 waits for it";
    rig.session_up(1);
    const std::vector<OrderCommand> held = rig.take_orders();
    ASSERT_EQ(held.size(), 1U);
    EXPECT_EQ(held[0].account, AccountId{1});
    rig.fill(held[0]);
    rig.take_results();
    stands_by(7, 0);  // nobody that is known
    EXPECT_EQ(takers(rig, 4), (std::vector<std::uint32_t>{1, 2, 3}));
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Standby, NamedWhileAnEntryIsHandedOutGetsNoSecondOne) {
    Rig rig;
    rig.world(4);
    rig.admin(AdminOp::SetAccount, AccountCommand{AccountId{3}, AccountState::Suspended, {}});
    rig.budget = 1;
    rig.input(InputType::Signal, rig.open(1));
    ASSERT_EQ(rig.only_order().account, AccountId{0});
    MemberSpec m = Rig::member_spec(0, 3);
    m.standby = 1;  // account 0, the first standby that the group has
    rig.admin(AdminOp::DefineMember, m);
    rig.settle();
    std::vector<std::uint32_t> accounts;
    for (const OrderCommand& c : rig.take_orders()) {
        accounts.push_back(c.account.value);
    }
    EXPECT_EQ(accounts, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(rig.alerts(AlertCode::StandbyTook), 0U);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

}  // namespace
}  // namespace millrace::test
