// Goal: who gets the places of the table of orders when they are few: entries leave an eighth to
// what closes, or as many as a close of the largest group takes; modifies leave half of that, and a
// group that fills the whole table trades on without. Method: small tables, filled to the last
// place.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

constexpr Capacity kTable{8, 32, 64, 256};
constexpr std::uint32_t kKept = places_kept(kTable.orders);
static_assert(kKept == 8);

/// The signals 1 to `count`, each of them a position of one account.
void open_positions(Rig& rig, std::uint32_t count) {
    for (std::uint64_t n = 1; n <= count; ++n) {
        rig.signal(rig.open(n));
        rig.fill(rig.only_order());
    }
    rig.take_results();
    ASSERT_EQ(rig.engine.orders().live(), count);
}

/// Signal `n`, a modify of signal `target`.
Signal modify(const Rig& rig, std::uint64_t n, std::uint64_t target) {
    Signal s = rig.change(n, SignalAction::Modify, target);
    s.stop_loss = points(100'000);
    return s;
}

TEST(PlacesOfChanges, EightModifiesOfAnOrderAndSixteenChangesInAll) {
    Rig rig{kTable};
    rig.world();
    open_positions(rig, 1);
    std::uint64_t n = 100;
    for (std::uint32_t i = 0; i < kChangesPerOrder / 2; ++i) {
        rig.signal(modify(rig, n++, 1));
        ASSERT_EQ(rig.only_order().type, CommandType::Modify);
    }
    rig.signal(modify(rig, n++, 1));
    EXPECT_TRUE(rig.orders.empty()) << "the ninth that is not answered";
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::TooManyChanges});
    rig.take_results();
    for (std::uint32_t i = 0; i < kChangesPerOrder / 2; ++i) {
        rig.signal(rig.change(n++, SignalAction::Close, 1));
    }
    EXPECT_EQ(rig.only_order().type, CommandType::Close) << "the others wait for it";
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 0U) << "modifies took places of the closes";
    rig.signal(rig.change(n++, SignalAction::Close, 1));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::TooManyChanges});
}

TEST(PlacesOfChanges, AModifyThatIsAnsweredGivesItsPlaceBack) {
    Rig rig{kTable};
    rig.world();
    open_positions(rig, 1);
    std::vector<OrderCommand> sent;
    for (std::uint64_t n = 100; n < 100 + kChangesPerOrder / 2; ++n) {
        rig.signal(modify(rig, n, 1));
        sent.push_back(rig.only_order());
    }
    rig.report(rig.outcome(sent.front(), retcode::kDone));
    rig.signal(modify(rig, 200, 1));
    EXPECT_EQ(rig.only_order().type, CommandType::Modify);
}

TEST(PlacesOfTheTable, EntriesLeaveAnEighthAndModifiesHalfOfThatToCloses) {
    Rig rig{kTable};
    rig.world();
    open_positions(rig, kTable.orders - kKept);
    rig.signal(rig.open(99));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::TableFull});
    rig.take_results();
    std::uint64_t n = 100;
    for (std::uint64_t target = 1; target <= kKept / 2; ++target) {
        rig.signal(modify(rig, n++, target));
        ASSERT_EQ(rig.only_order().type, CommandType::Modify) << target;
    }
    rig.signal(modify(rig, n++, kKept));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::TableFull})
        << "the other half is for closes";
    rig.take_results();
    for (std::uint64_t target = 1; target <= kKept / 2; ++target) {
        rig.signal(rig.change(n++, SignalAction::Close, target));
        ASSERT_EQ(rig.only_order().type, CommandType::Close) << target;
    }
    EXPECT_TRUE(rig.engine.orders().full());
    EXPECT_EQ(rig.count(ResultKind::Refused), 0U);
    rig.signal(rig.change(n++, SignalAction::Close, kKept));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::TableFull});
    EXPECT_EQ(rig.replayed_hash(kTable), rig.engine.state_hash());
}

TEST(PlacesOfTheTable, ALargeGroupFindsPlacesForACloseOfItsPendings) {
    Rig rig{kTable};
    rig.world(8);  // of 64 places an eighth would be too few for 16 orders
    std::uint64_t n = 1;
    while (rig.count(ResultKind::Refused) == 0) {
        rig.signal(rig.pending(n++, PriceKind::Limit, points(109'000)));
    }
    EXPECT_EQ(rig.take_orders().size(), kTable.orders - kChildrenPerTarget * 8U);
    rig.take_results();
    std::vector<std::byte> image;
    rig.engine.save(image);
    Engine heir{kTable};
    ASSERT_TRUE(heir.load(image.data(), image.size()).ok());
    rig.engine = std::move(heir);
    rig.signal(rig.open(98));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::TableFull})
        << "known again from the image";
    rig.take_results();
    rig.signal(rig.change(99, SignalAction::Close, 1));  // nobody has answered yet: both for each
    EXPECT_EQ(rig.count(ResultKind::Refused), 0U);
    EXPECT_TRUE(rig.engine.orders().full());
    EXPECT_EQ(rig.replayed_hash(kTable), rig.engine.state_hash());
}

TEST(PlacesOfTheTable, AGroupTooLargeForThatLeavesAnEighthLikeAnyOther) {
    constexpr Capacity kWide{32, 64, 64, 256};
    Rig rig{kWide};
    rig.number_events = false;
    rig.world(24);  // an entry and its closes would take 72
    rig.admin(AdminOp::DefineGroup, GroupSpec{GroupId{1}, 0, text<16>("one")});
    rig.admin(AdminOp::DefineMember, Rig::member_spec(1, 0));
    rig.signal(rig.open(1));
    rig.signal(modify(rig, 2, 1));
    EXPECT_EQ(rig.count(ResultKind::Refused), 0U) << "a trailing stop";
    ASSERT_EQ(rig.engine.orders().live(), 48U);
    std::uint64_t n = 10;
    while (rig.count(ResultKind::Refused) == 0) {
        Signal s = rig.open(n++);
        s.group = GroupId{1};
        rig.signal(s);
    }
    EXPECT_EQ(kWide.orders - rig.engine.orders().live(), kKept);
    rig.take_results();
    rig.signal(rig.change(99, SignalAction::Close, 10));
    EXPECT_EQ(rig.count(ResultKind::Refused), 0U);
}

TEST(PlacesOfTheTable, OfAGroupThatIsSmallerNowAreFewer) {
    Rig rig{kTable};
    rig.world(8);
    for (std::uint32_t a = 1; a < 8; ++a) {
        rig.admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{a}, 0});
    }
    open_positions(rig, kTable.orders - kKept);
    rig.signal(rig.open(99));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::TableFull});
}

/// A table for one entry of its group: nothing is left of it for closes.
class GroupThatFillsTheTable : public testing::Test {
protected:
    static constexpr Capacity kTight{8, 32, 8, 64};
    static_assert(kTight.accounts + places_kept(kTight.orders) > kTight.orders);

    void SetUp() override {
        rig.world(kTight.accounts);
        rig.signal(rig.open(1));
        entries = rig.take_orders();
        ASSERT_EQ(entries.size(), kTight.accounts) << "its entries would never be taken";
        for (const OrderCommand& c : entries) {
            rig.fill(c);
        }
        ASSERT_TRUE(rig.engine.orders().full());
        rig.take_results();
    }
    void stopped_out(std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            rig.report(rig.exec(entries[i], ExecKind::ClosedByStopLoss, entries[i].volume));
        }
    }
    Rig rig{kTight};
    std::vector<OrderCommand> entries;
};

TEST_F(GroupThatFillsTheTable, IsTakenAndNothingElseThenUntilPlacesAreFree) {
    rig.signal(rig.open(2));
    rig.signal(rig.change(3, SignalAction::Close, 1));
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.reasons(ResultKind::Refused),
              (std::vector{Reason::TableFull, Reason::TableFull}));
    EXPECT_EQ(rig.alerts(AlertCode::TableFull), 2U) << "somebody has to close by hand, or kill";
    stopped_out(0, 3);
    rig.signal(rig.change(4, SignalAction::Close, 1));  // five positions, three places
    EXPECT_TRUE(rig.orders.empty()) << "all of them or none";
    stopped_out(3, 4);
    rig.take_results();
    rig.signal(rig.change(5, SignalAction::Close, 1));
    const auto closes = rig.take_orders();
    ASSERT_EQ(closes.size(), 4U);
    EXPECT_TRUE(rig.engine.orders().full());
    for (const OrderCommand& c : closes) {
        rig.fill(c);
    }
    EXPECT_EQ(rig.engine.orders().live(), 0U);
    EXPECT_EQ(rig.count(ResultKind::Refused), 0U);
    rig.signal(rig.open(6));
    EXPECT_EQ(rig.take_orders().size(), kTight.accounts);
    EXPECT_EQ(rig.replayed_hash(kTight), rig.engine.state_hash());
}

TEST_F(GroupThatFillsTheTable, GoesOnFromASnapshotOfTheFullTable) {
    std::vector<std::byte> image;
    rig.engine.save(image);
    Engine heir{kTight};
    ASSERT_TRUE(heir.load(image.data(), image.size()).ok());
    EXPECT_TRUE(heir.orders().full());
    EXPECT_EQ(heir.state_hash(), rig.engine.state_hash());
}

TEST(PlacesOfTheTable, OfACloseUnderWayAreNotTakenByWhatTheEngineClosesItself) {
    constexpr Capacity kFull{8, 32, 16, 64};
    Rig rig{kFull};
    rig.world(8);
    rig.signal(rig.open(1));
    const std::vector<OrderCommand> entries = rig.take_orders();
    for (const OrderCommand& entry : entries) {
        rig.fill(entry);
    }
    rig.take_results();
    rig.budget = 4;
    rig.input(InputType::Signal, rig.change(2, SignalAction::Close, 1));
    ASSERT_EQ(rig.take_orders().size(), 3U) << "the rest of the places are promised";
    Report twice = rig.outcome(entries.back(), retcode::kDone, entries.back().volume);
    twice.deal_ticket = 4711;
    twice.position_id = 4712;
    rig.input(InputType::Report, twice);
    EXPECT_EQ(rig.alerts(AlertCode::OwnCloseFailed), 1U) << "somebody is told instead";
    rig.settle();
    EXPECT_EQ(rig.take_orders().size(), 5U);
    EXPECT_TRUE(rig.engine.orders().full());
    EXPECT_EQ(rig.replayed_hash(kFull), rig.engine.state_hash());
}

}  // namespace
}  // namespace millrace::test
