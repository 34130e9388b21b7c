// Goal: each fault found by reading the engine against its rules stays mended.
// Method: the shortest sequence of records that showed it.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

TEST(Close, TakesTheTargetsSymbolAndRefusesAnother) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    Signal close = rig.change(2, SignalAction::Close, 1);
    close.symbol = SymbolId{1};
    rig.take_results();
    rig.signal(close);
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::BadSignal});
}

TEST(Close, SendsNothingWhenTheStopLossWasFasterThanTheRetry) {
    Rig rig;
    rig.world(1, MarginMode::Netting);
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.fill(entry);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    const OrderCommand close = rig.only_order();
    // The position goes before the refusal of the close arrives: a second close without a position
    // would open the other side.
    Report stop = rig.exec(entry, ExecKind::ClosedByStopLoss, centi(10));
    rig.report(stop);
    rig.report(rig.outcome(close, retcode::kRequote));
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone).back(), Reason::NothingToDo);
    EXPECT_EQ(rig.open_volume(), Lots{});
}

TEST(Close, ShrinksWithThePositionWhileItWaits) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.fill(entry);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    const OrderCommand close = rig.only_order();
    rig.report(rig.exec(entry, ExecKind::ClosedManually, centi(4)));
    rig.report(rig.outcome(close, retcode::kRequote));
    EXPECT_EQ(rig.only_order().volume, centi(6));
}

TEST(Close, CountsOnlyClosesThatHappenedTowardsTheWholeSignal) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    rig.signal(rig.change(2, SignalAction::Close, 1, centi(5)));
    rig.report(rig.outcome(rig.only_order(), 10013));  // refused: half is still to close
    rig.signal(rig.change(3, SignalAction::Close, 1, centi(5)));
    EXPECT_EQ(rig.only_order().volume, centi(5));
}

TEST(Close, CancelsAPendingThatWasNotAnsweredYet) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand entry = rig.only_order();
    rig.signal(rig.change(2, SignalAction::Close, 1));
    EXPECT_TRUE(rig.orders.empty());
    rig.report(rig.outcome(entry, retcode::kPlaced));
    const OrderCommand cancel = rig.only_order();
    EXPECT_EQ(cancel.type, CommandType::Cancel);
    rig.report(rig.outcome(cancel, retcode::kDone));
    EXPECT_EQ(rig.engine.globals().live_orders, 0U);
}

TEST(Close, WaitsForTheDealWhenItWasOnlyPlaced) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    rig.signal(rig.change(2, SignalAction::Close, 1));
    const OrderCommand close = rig.only_order();
    rig.report(rig.outcome(close, retcode::kPlaced));
    EXPECT_EQ(rig.find(close.magic)->status, OrdStatus::PendingNew);
    rig.report(rig.outcome(close, retcode::kDone, centi(10)));
    EXPECT_EQ(rig.engine.globals().open_positions, 0U);
    EXPECT_EQ(rig.engine.globals().duplicate_executions, 0U);
}

TEST(Close, OfAPartlyFilledPendingFitsTheTableOrIsRefused) {
    Rig rig{Capacity{8, 32, 2, 64}};
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand entry = rig.only_order();
    rig.report(rig.outcome(entry, retcode::kPlaced));
    rig.report(rig.exec(entry, ExecKind::PendingFilled, centi(4)));
    rig.signal(rig.change(2, SignalAction::Close, 1));  // a close and a cancel: one slot is free
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::TableFull});
}

TEST(Budget, HoldsBackACloseAndCancelThatDoNotBothFit) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand entry = rig.only_order();
    rig.report(rig.outcome(entry, retcode::kPlaced));
    rig.report(rig.exec(entry, ExecKind::PendingFilled, centi(4)));
    rig.budget = 1;
    rig.input(InputType::Signal, rig.change(2, SignalAction::Close, 1));
    EXPECT_TRUE(rig.orders.empty());
    rig.budget = kBudgetMin;
    rig.settle();
    EXPECT_EQ(rig.take_orders().size(), 2U);
}

TEST(Ttl, RunsFromReceiptAtTheEdgeWhenTheSourceGaveNoStamp) {
    Rig rig;
    rig.world();
    Signal s = rig.open(1);
    s.send_time = Nanos{0};
    s.edge_time = rig.now - seconds(20);  // lay in the ring while the engine was down
    rig.signal(s);
    EXPECT_EQ(rig.only_order().deadline, s.edge_time + seconds(30));
}

TEST(Attempts, IgnoreALateRefusalOfAnEarlierOne) {
    Rig rig;
    rig.world();
    rig.number_events = false;
    rig.signal(rig.open(1));
    const OrderCommand first = rig.only_order();
    rig.report(rig.outcome(first, retcode::kRequote));
    const OrderCommand second = rig.only_order();
    ASSERT_EQ(second.magic.attempt(), 1U);
    rig.report(rig.outcome(first, retcode::kReject));
    EXPECT_EQ(rig.find(second.magic)->status, OrdStatus::PendingNew);
    Report unsent = rig.from(0, ReportType::Unsent);
    unsent.magic = first.magic;
    unsent.reason = static_cast<std::uint16_t>(Reason::Killed);
    rig.report(unsent);
    EXPECT_EQ(rig.find(second.magic)->status, OrdStatus::PendingNew);
    rig.fill(second);
    EXPECT_EQ(rig.engine.globals().duplicate_executions, 0U);
}

TEST(Netting, LaysADealAtTheDoorOfTheSymbolThatTheReportNames) {
    Rig rig;
    rig.world(1, MarginMode::Netting);
    rig.signal(rig.open(1));
    const OrderCommand eurusd = rig.only_order();
    Signal other = rig.open(2);
    other.symbol = SymbolId{1};
    rig.signal(other);
    const OrderCommand gbpusd = rig.only_order();
    // Position and magic are unknown here: only the symbol tells which unanswered entry it cut.
    Report cut = rig.exec(gbpusd, ExecKind::ClosedManually, centi(4));
    cut.magic = Magic{};
    cut.position_id = 555;
    rig.report(cut);
    rig.fill(eurusd);
    EXPECT_EQ(rig.open_volume(), centi(10));
    rig.fill(gbpusd);
    EXPECT_EQ(rig.open_volume(), centi(16));
}

TEST(Netting, PassesADealOnFromAPendingThatTurnsOutToWaitStill) {
    Rig rig;
    rig.world(1, MarginMode::Netting);
    rig.signal(rig.pending(1, PriceKind::Stop, points(111'000)));
    const OrderCommand pending = rig.only_order();
    rig.signal(rig.open(2));
    const OrderCommand market = rig.only_order();
    // Neither is answered: the deal is laid at the older one's door, and it was the other's.
    Report cut = rig.exec(market, ExecKind::ClosedByStopOut, centi(4));
    cut.position_id = 555;
    rig.report(cut);
    rig.report(rig.outcome(pending, retcode::kPlaced));
    rig.fill(market);
    EXPECT_EQ(rig.open_volume(), centi(6));
}

TEST(InDoubt, IsNotLeftWhenTheLookUpItselfWasRefused) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(6));
    const OrderCommand query = rig.only_order();
    ASSERT_EQ(query.type, CommandType::Query);
    for (const Reason why : {Reason::None, Reason::QueueFull, Reason::TableFull}) {
        Report refused = rig.from(0, ReportType::QueryUnknown);
        refused.magic = query.magic;
        refused.reason = static_cast<std::uint16_t>(why);
        rig.report(refused);
        EXPECT_EQ(rig.find(entry.magic)->status, OrdStatus::InDoubt);
        EXPECT_FALSE(rig.find(entry.magic)->query_open);
    }
    EXPECT_TRUE(rig.orders.empty()) << "a second attempt beside one that may have executed";
}

TEST(InDoubt, EndsWhenTheOrderTurnsOutNeverToHaveLeft) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(6));
    ASSERT_EQ(rig.only_order().type, CommandType::Query);
    Report stale = rig.from(0, ReportType::Unsent);
    stale.magic = entry.magic;
    rig.report(stale);
    const OrderCommand again = rig.only_order();
    EXPECT_EQ(again.type, CommandType::Open);
    EXPECT_EQ(again.magic.attempt(), 1U);
}

TEST(InDoubt, CountsThePartThatWasDoneBeforeTheCancel) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(6));
    rig.report(rig.query_answer(entry, ReportType::QueryFound, OrdStatus::Canceled, centi(4)));
    EXPECT_EQ(rig.open_volume(), centi(4));
    EXPECT_EQ(rig.results.back().kind, ResultKind::SignalDone);
    EXPECT_EQ(rig.results.back().filled, 1U);
}

TEST(InDoubt, PositionClosedBeforeWeKnewOfItStaysClosed) {
    for (const MarginMode mode : {MarginMode::Hedging, MarginMode::Netting}) {
        Rig rig;
        rig.world(1, mode);
        rig.signal(rig.open(1));
        const OrderCommand entry = rig.only_order();
        rig.advance(seconds(6));
        rig.report(rig.exec(entry, ExecKind::ClosedByStopLoss, centi(10)));
        rig.report(rig.query_answer(entry, ReportType::QueryFound, OrdStatus::Filled, centi(10)));
        EXPECT_EQ(rig.open_volume(), Lots{});
        EXPECT_EQ(rig.engine.orders().live(), 0U);
    }
}

TEST(InDoubt, KilledInTheExecutorsQueueDoesNotSuspendTheAccount) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(6));
    Report found = rig.query_answer(entry, ReportType::QueryFound, OrdStatus::Rejected);
    found.retcode = 10026;
    found.reason = static_cast<std::uint16_t>(Reason::Killed);
    rig.report(found);
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::Killed});
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Trading);
}

TEST(Session, IsReadyAlthoughTheOldOnesLookUpWasNeverAnswered) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand entry = rig.only_order();
    rig.session_down(0);
    rig.link_up(0);
    EXPECT_EQ(rig.only_order().type, CommandType::Query);
    rig.report(rig.outcome(entry, retcode::kPlaced));  // the answer itself comes; the look-up's not
    rig.session_down(0);
    rig.session_up(0);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Trading);
}

TEST(Session, IgnoresTheEndOfAnOlderOne) {
    Rig rig;
    rig.world();
    rig.session_up(0);
    Report down = rig.from(0, ReportType::SessionDown);
    down.session_generation = 1;
    rig.input(InputType::Report, down);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Trading);
}

TEST(Session, AsksAboutWorkingOrdersWhenTheExecutorLostItsJournal) {
    Rig rig;
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand entry = rig.only_order();
    rig.report(rig.outcome(entry, retcode::kPlaced));
    rig.session_down(0);
    rig.number_events = false;
    rig.link_up(0, 78);
    const OrderCommand query = rig.only_order();
    EXPECT_EQ(query.type, CommandType::Query);
    rig.report(rig.query_answer(entry, ReportType::QueryFound, OrdStatus::Filled, centi(10)));
    EXPECT_EQ(rig.open_volume(), centi(10));
}

TEST(Release, ComesBackForAnEntryItHadToPass) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand doubtful = rig.only_order();
    rig.advance(seconds(6));
    rig.take_orders();
    rig.signal(rig.open(2));
    rig.signal(rig.open(3));
    EXPECT_TRUE(rig.orders.empty()) << "the symbol is in doubt";
    rig.report(rig.outcome(doubtful, retcode::kDone, centi(10)));
    EXPECT_EQ(rig.take_orders().size(), 2U);
}

TEST(Release, OfTheNextAccountWaitsForARecordWithItsPrice) {
    Rig rig;
    rig.world(2);
    rig.session_down(0);
    rig.session_down(1);
    rig.signal(rig.open(1));
    EXPECT_TRUE(rig.orders.empty()) << "both are held";
    for (const std::uint32_t account : {0U, 1U}) {
        rig.link_up(account);
    }
    for (const std::uint32_t account : {0U, 1U}) {
        Report done = rig.from(account, ReportType::SyncDone);
        done.session_generation = rig.engine.account(AccountId{account}).generation;
        rig.input(InputType::Report, done);  // both releases are queued before either runs
    }
    rig.settle();
    EXPECT_EQ(rig.take_orders().size(), 2U);
    EXPECT_EQ(rig.count(ResultKind::OrderDone), 0U) << "none refused for want of a price";
}

TEST(FanOut, LeavesOutAnAccountThatJoinedWhileItRan) {
    Rig rig;
    rig.world(2);
    rig.budget = 1;
    rig.input(InputType::Signal, rig.open(1));
    rig.admin(AdminOp::DefineAccount, Rig::account_spec(2));
    rig.admin(AdminOp::DefineMember, Rig::member_spec(0, 2));
    rig.settle();
    EXPECT_EQ(rig.take_orders().size(), 2U);
}

TEST(Kill, EndsEntriesThatWaitSoThatClearingItFreesNone) {
    Rig rig;
    rig.world();
    rig.session_down(0);
    rig.signal(rig.open(1));
    KillCommand kill;
    rig.admin(AdminOp::Kill, kill);
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::Killed});
    rig.admin(AdminOp::ClearKill, kill);
    rig.session_up(0);
    EXPECT_TRUE(rig.orders.empty());
}

TEST(Netting, StopLossOfAPositionCutsTheSideThatOutweighs) {
    Rig rig;
    rig.world(1, MarginMode::Netting);
    rig.signal(rig.open(1, Side::Sell, centi(4)));
    OrderCommand sell = rig.only_order();
    Report sold = rig.outcome(sell, retcode::kDone, centi(4));
    sold.position_id = 500;
    rig.report(sold);
    rig.signal(rig.open(2, Side::Buy, centi(10)));
    const OrderCommand buy = rig.only_order();
    Report bought = rig.outcome(buy, retcode::kDone, centi(10));
    bought.position_id = 500;
    rig.report(bought);
    ASSERT_EQ(rig.open_volume(), centi(6));
    Report stop = rig.exec(buy, ExecKind::ClosedByStopLoss, centi(6));
    stop.position_id = 500;
    rig.report(stop);
    EXPECT_EQ(rig.open_volume(), Lots{});
}

TEST(Positions, TwoOrdersWithOneIdSurviveASnapshot) {
    Rig rig;
    rig.world();
    OrderCommand entries[2];
    for (std::uint64_t n = 0; n < 2; ++n) {
        rig.signal(rig.open(n + 1));
        entries[n] = rig.only_order();
        Report filled = rig.outcome(entries[n], retcode::kDone, centi(10));
        filled.position_id = 500;  // a netting account that is configured as hedging
        rig.report(filled);
    }
    std::vector<std::byte> image;
    rig.engine.save(image);
    Rig other;
    ASSERT_TRUE(other.engine.load(image.data(), image.size()).ok());
    for (std::uint64_t n = 0; n < 2; ++n) {
        JournalRecord r = rig.next();
        Report stop = rig.exec(entries[0], ExecKind::ClosedByStopLoss, centi(10), 800 + n);
        stop.position_id = 500;
        stop.event_seq = 100 + n;
        r.set_body(InputType::Report, stop);
        rig.engine.apply(r, rig);
        other.engine.apply(r, other);
        EXPECT_EQ(rig.engine.state_hash(), other.engine.state_hash());
    }
    EXPECT_EQ(rig.engine.globals().open_positions, 0U);
}

TEST(Rate, RecoversAfterTheBrokerAskedForLess) {
    Rig rig;
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.rate_per_second = 2;
    spec.rate_burst = 1;
    rig.admin(AdminOp::DefineAccount, spec);
    rig.signal(rig.open(1));
    rig.report(rig.outcome(rig.only_order(), retcode::kTooManyRequests));
    EXPECT_EQ(rig.engine.account_risk(AccountId{0}).rate_milli, 1000U) << "half of 2 a second";
    rig.advance(seconds(1));
    rig.fill(rig.only_order());
    rig.advance(seconds(100));
    rig.signal(rig.open(2));
    EXPECT_EQ(rig.engine.account_risk(AccountId{0}).rate_milli, 0U) << "as configured";
}

TEST(Resolve, NeedsAVolumeForAFillAndTheAttemptItIsAbout) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(6));
    ResolveCommand filled;
    filled.magic = entry.magic;
    filled.status = OrdStatus::Filled;
    rig.admin(AdminOp::Resolve, filled);
    EXPECT_EQ(rig.engine.globals().in_doubt, 1U) << "a fill of nothing";
    filled.volume = centi(10);
    filled.price = rig.ask;
    filled.magic.value += 1;
    rig.admin(AdminOp::Resolve, filled);
    EXPECT_EQ(rig.engine.globals().in_doubt, 1U) << "another attempt";
    filled.magic = entry.magic;
    rig.admin(AdminOp::Resolve, filled);
    EXPECT_EQ(rig.open_volume(), centi(10));
}

TEST(Modify, OfAPositionThatIsGoneEndsAsNothingToDo) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    Signal modify = rig.change(2, SignalAction::Modify, 1);
    modify.stop_loss = points(109'000);
    rig.signal(modify);
    rig.report(rig.outcome(rig.only_order(), retcode::kPositionClosed));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone).back(), Reason::NothingToDo);
}

TEST(Signal, OfASourceBeyondTheTableIsRefused) {
    Rig rig;
    rig.world();
    Signal s = rig.open(1);
    s.source = SourceId{kSourcesMax};
    rig.signal(s);
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::BadSignal});
}

TEST(Collar, ComparesEveryAccountWithThePriceAtAcceptance) {
    Rig rig;
    rig.world(2);
    rig.budget = 1;
    rig.input(InputType::Signal, rig.open(1));
    rig.ask = points(111'000);  // nearly 1 % away when the second account's turn comes
    rig.settle();
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::PriceCollar});
}

TEST(Snapshot, ThatIsRefusedLeavesANewEngine) {
    Rig rig;
    rig.world();
    std::vector<std::byte> image;
    rig.engine.save(image);
    Rig fresh;
    const std::uint64_t empty = fresh.engine.state_hash();
    EXPECT_FALSE(fresh.engine.load(image.data(), image.size() - 1).ok());
    EXPECT_EQ(fresh.engine.state_hash(), empty);
    EXPECT_FALSE(fresh.engine.load(image.data(), 3).ok());
    ASSERT_TRUE(fresh.engine.load(image.data(), image.size()).ok());
    EXPECT_EQ(fresh.engine.state_hash(), rig.engine.state_hash());
}

}  // namespace
}  // namespace millrace::test
