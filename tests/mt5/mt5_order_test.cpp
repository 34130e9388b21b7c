// Goal: what the Expert Advisor does with each kind of command, return code, permission and symbol.
// Method: its own source in the stand-in terminal, a desk that speaks the bridge protocol, the
// broker's books as the truth.
#include "tests/mt5/mt5_world.h"

#include <cmath>

namespace millrace::mt5::test {
namespace {

class Orders : public World {};

TEST_F(Orders, EveryReturnCodeIsPassedOnAndWhatItMayHaveExecutedStaysOpen) {
    begin();
    std::uint64_t intent = 1;
    std::uint64_t covered = 0;
    for (std::uint32_t code = 10004; code <= 10047; ++code) {
        const bool success = code >= 10008 && code <= 10010;
        if (success || code == 10025 || code == 10030) {
            continue;  // a refusal with a success code is none; 10030 has a test of its own
        }
        host->fault(R"("kind":"retcode","code":)" + std::to_string(code));
        const bridge::Event& event = answer_to(open(intent));
        EXPECT_TRUE(is(event, ReportType::Outcome));
        EXPECT_EQ(event.retcode, code);
        const bool listed = code != 10005 && code != 10037 && code != 10039 && code != 10047;
        const bool open_ended = !listed || code == 10011 || code == 10012 || code == 10031;
        EXPECT_EQ(has_status(event, OrdStatus::InDoubt), open_ended) << code;
        EXPECT_EQ(booked(dir, intent).executions, 0U);
        ++intent;
        ++covered;
    }
    std::printf("covers: %lu return codes, 10005, 10037 and an unlisted one among them\n", covered);
}

TEST_F(Orders, ARefusedFillingModeIsFollowedByTheNextOneAndExecutedOnce) {
    begin({.knobs = {"fill_accepted=1"}});  // flags say FOK and IOC, the server takes FOK alone
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(Orders, FillingModesFollowTheSymbolsFlagsAndExecution) {
    begin({.knobs = {"fill_flags=0", "fill_accepted=4", "execution=3"}});  // exchange, RETURN
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->knob("fill_flags", 3);
    host->knob("fill_accepted", 1);
    host->knob("execution", 1);  // instant: FOK
    EXPECT_EQ(answer_to(open(2)).retcode, kDone);
}

TEST_F(Orders, APartOfAMarketOrderIsToldAsPartAndTheRestAsGone) {
    begin();
    host->fault(R"("kind":"partial_fill","share":0.5)");
    const bridge::Event& event = answer_to(open(1));
    EXPECT_EQ(event.retcode, 10010U);
    EXPECT_TRUE(has_status(event, OrdStatus::Canceled));
    EXPECT_EQ(event.volume, kScale / 20);
    EXPECT_EQ(event.requested, kScale / 10);
}

TEST_F(Orders, APriceBeyondTheDeviationIsARequoteThatNeverReachesTheServer) {
    begin();
    const std::uint64_t before = number("book_records");
    bridge::Command command = open(1);
    command.price = 109'900'000;
    command.deviation_points = 20;
    const bridge::Event& event = answer_to(command);
    EXPECT_EQ(event.retcode, 10004U);
    EXPECT_EQ(event.ask, 110'010'000);
    EXPECT_EQ(number("book_records"), before);
    command = open(2);
    command.price = 110'000'000;
    command.deviation_points = 20;
    EXPECT_EQ(answer_to(command).retcode, kDone);
}

TEST_F(Orders, AClosedMarketAnUnknownSymbolAndAMissingQuoteAreDefiniteRefusals) {
    begin();
    host->control(R"("cmd":"market","open":false)");
    EXPECT_EQ(answer_to(open(1)).retcode, 10018U);
    host->control(R"("cmd":"market","open":true)");
    bridge::Command command = open(2);
    std::memcpy(command.symbol, "NOSUCH", 6);
    EXPECT_EQ(answer_to(command).retcode, 10013U);
    command = open(3);
    std::memcpy(command.symbol, "GBPUSD", 6);  // known, never quoted
    EXPECT_EQ(answer_to(command).retcode, 10021U);
}

TEST_F(Orders, ASymbolThatIsNotInTheMarketWatchIsPutThere) {
    begin({.knobs = {"unwatched=1"}});
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
}

TEST_F(Orders, EachMissingPermissionIsReportedAndRefusesByItsOwnCode) {
    begin();
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == 1; }));
    struct Switch {
        const char* knob;
        std::uint32_t code;
        std::uint8_t told;  // whose word it is: the broker's, or this terminal's
    };
    const Switch switches[] = {{"terminal_denied", 10027, 0},
                               {"program_denied", 10027, 0},
                               {"expert_denied", 10026, bridge::kInfoBrokerForbids},
                               {"account_denied", 10017, bridge::kInfoBrokerForbids}};
    std::uint64_t intent = 1;
    for (const auto& [knob, code, told] : switches) {
        host->knob(knob, 1);
        EXPECT_TRUE(desk.until([&, told = told] { return desk.info.permissions == told; })) << knob;
        EXPECT_EQ(answer_to(open(intent++)).retcode, code) << knob;
        host->knob(knob, 0);
        EXPECT_TRUE(desk.until([&] { return desk.info.permissions == 1; })) << knob;
    }
    EXPECT_EQ(answer_to(open(intent)).retcode, kDone);
}

TEST_F(Orders, WithoutAConnectionACommandWaitsForItAndItsTtlEndsTheWait) {
    begin();
    host->knob("disconnected", 1);
    bridge::Command command = open(1);
    command.ttl_ms = 100;
    const bridge::Event& expired = answer_to(command);
    EXPECT_TRUE(is(expired, ReportType::Unsent));
    EXPECT_TRUE(has_status(expired, OrdStatus::Expired));
    const std::uint64_t waiting = desk.submit(open(2));
    desk.query(waiting);
    ASSERT_TRUE(desk.until([&] { return desk.told[waiting].query.has_value(); }));
    EXPECT_TRUE(is(*desk.told[waiting].query, ReportType::QueryUnknown));
    EXPECT_TRUE(has_status(*desk.told[waiting].query, OrdStatus::PendingNew));
    host->control(R"("cmd":"reconnect")");
    ASSERT_TRUE(desk.until_answered(waiting));
    EXPECT_EQ(desk.told[waiting].outcomes.back().retcode, kDone);
    EXPECT_EQ(booked(dir, 1).executions, 0U);
    EXPECT_EQ(booked(dir, 2).executions, 1U);
}

TEST_F(Orders, PendingsArePlacedMovedFilledAndCancelled) {
    begin();
    const bridge::Event placed = answer_to(pending(1, PriceKind::Limit, 1.09));
    EXPECT_EQ(placed.retcode, 10008U);
    EXPECT_TRUE(has_status(placed, OrdStatus::New));
    bridge::Command move = cancel_of(2, placed.order_ticket);
    move.type = static_cast<std::uint8_t>(CommandType::Modify);
    move.price = 109'500'000;
    EXPECT_EQ(answer_to(move).retcode, kDone);
    host->quote("1.09480", "1.09490");
    const bridge::Event* filled = exec_of(ExecKind::PendingFilled);
    ASSERT_NE(filled, nullptr);
    EXPECT_EQ(filled->magic, placed.magic);
    EXPECT_EQ(filled->price, 109'490'000);
    const bridge::Event other = answer_to(pending(3, PriceKind::Stop, 1.2));
    EXPECT_EQ(answer_to(cancel_of(4, other.order_ticket)).retcode, kDone);
    EXPECT_EQ(answer_to(cancel_of(5, other.order_ticket)).retcode, 10013U) << "it is gone";
    desk.serve(100);
    EXPECT_EQ(exec_of(ExecKind::PendingCanceled, 100), nullptr) << "its own answer has told it";
}

/// On a symbol of two digits whose prices are 0.25 apart.
bridge::Command in_quarters(bridge::Command command, std::int64_t stop_loss) {
    std::memcpy(command.symbol, "QUARTERS", 8);
    command.volume = kScale;
    command.stop_loss = stop_loss;
    return command;
}

TEST_F(Orders, PricesAreRoundedToTheSymbolsTickNotToItsPoint) {
    begin();
    host->control(R"("cmd":"tick","symbol":"QUARTERS","bid":"101.00","ask":"101.25")");
    constexpr std::int64_t kCent = kScale / 100;
    const bridge::Event placed =
        answer_to(in_quarters(pending(1, PriceKind::Limit, 100.10), 9'010 * kCent));
    EXPECT_EQ(placed.retcode, 10008U);
    EXPECT_EQ(placed.price, 10'000 * kCent) << "what it waits at";
    EXPECT_EQ(answer_to(cancel_of(2, placed.order_ticket)).retcode, kDone);
    const bridge::Event opened = answer_to(in_quarters(open(3), 9'010 * kCent));
    EXPECT_EQ(opened.retcode, kDone);
    EXPECT_EQ(number("first_stop_loss"), 9'000U * kCent);
    EXPECT_EQ(answer_to(modify_of(4, opened.position_id, 95.20)).retcode, kDone);
    EXPECT_EQ(number("first_stop_loss"), 9'525U * kCent);
}

// Nobody tells what became of it: it is seen in the account, where it stands rounded.
TEST_F(Orders, AChangeThatWasRoundedIsFoundInTheAccount) {
    begin();
    host->control(R"("cmd":"tick","symbol":"QUARTERS","bid":"101.00","ask":"101.25")");
    const bridge::Event opened = answer_to(in_quarters(open(1), 0));
    host->knob("crash_send", 2);
    desk.submit(modify_of(2, opened.position_id, 95.20));
    ASSERT_TRUE(desk.until([&] { return host->died(); }));
    host->start();
    ASSERT_TRUE(desk.until_answered(modify_of(2, 0, 0).magic));
    EXPECT_EQ(desk.told[modify_of(2, 0, 0).magic].outcomes.back().retcode, kDone);
}

TEST_F(Orders, AStopIsSetOnceAndSettingItAgainNeedsNoChange) {
    begin();
    const bridge::Event opened = answer_to(open(1));
    EXPECT_EQ(answer_to(modify_of(2, opened.position_id, 1.05)).retcode, kDone);
    EXPECT_EQ(answer_to(modify_of(3, opened.position_id, 1.05)).retcode, 10025U);
    EXPECT_EQ(answer_to(modify_of(4, opened.position_id, 1.2)).retcode, 10016U);
}

/// Open with a stop loss; the position must be a hedging one.
bridge::Command guarded(std::uint64_t intent) {
    bridge::Command command = open(intent);
    command.stop_loss = 105 * kScale / 100;
    return command;
}

TEST_F(Orders, StopsThatAServerDropsAtTheFillAreSetOnce) {
    begin({.knobs = {"drop_stops=1"}});
    EXPECT_EQ(answer_to(guarded(1)).retcode, kDone);
    ASSERT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
    let_it_run();
    EXPECT_EQ(number("sends"), 2U);
    EXPECT_EQ(desk.info.permissions, bridge::kInfoMayTrade);
}

TEST_F(Orders, StopsThatAreThereAreLeftAsTheyAreAndTakenAwayOnRequest) {
    begin();
    const bridge::Event opened = answer_to(guarded(1));
    EXPECT_EQ(number("stop_losses"), 1U);
    EXPECT_EQ(answer_to(modify_of(2, opened.position_id, 0.0)).retcode, kDone);
    let_it_run();
    EXPECT_EQ(number("stop_losses"), 0U) << "whoever takes them away means it";
    EXPECT_EQ(number("sends"), 2U);
}

TEST_F(Orders, StopsThatAServerRefusesThreeTimesAreToldUntilTheEngineTakesOver) {
    begin({.knobs = {"drop_stops=2"}});
    const bridge::Event opened = answer_to(guarded(1));
    ASSERT_TRUE(desk.until([&] {
        return desk.info.permissions == (bridge::kInfoMayTrade | bridge::kInfoStopsMissing);
    }));
    EXPECT_EQ(number("sends"), 4U) << "three times";
    let_it_run(600);  // over a second: more than one further look, each after half of one
    EXPECT_EQ(number("sends"), 4U) << "not for ever";
    host->knob("drop_stops", 0);
    EXPECT_EQ(answer_to(modify_of(2, opened.position_id, 1.06)).retcode, kDone);
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == bridge::kInfoMayTrade; }));
    EXPECT_EQ(number("stop_losses"), 1U);
}

TEST_F(Orders, BothStopsThatAServerDropsAreSetAtOnceAndATakeProfitAlone) {
    begin({.knobs = {"drop_stops=1"}});
    bridge::Command both = guarded(1);
    both.take_profit = 12 * kScale / 10;
    EXPECT_EQ(answer_to(both).retcode, kDone);
    ASSERT_TRUE(desk.until([&] { return number("take_profits") == 1; }));
    EXPECT_EQ(number("stop_losses"), 1U);
    EXPECT_EQ(number("sends"), 2U);
    bridge::Command profit = open(2);
    profit.take_profit = 12 * kScale / 10;
    EXPECT_EQ(answer_to(profit).retcode, kDone);
    ASSERT_TRUE(desk.until([&] { return number("take_profits") == 2; }));
    EXPECT_EQ(number("stop_losses"), 1U);
}

/// A position whose stops the server has refused to set once.
class OnceRefused : public Orders {
protected:
    void refuse_once(bridge::Command command) {
        begin({.knobs = {"drop_stops=2"}});
        EXPECT_EQ(answer_to(command).retcode, kDone);
        ASSERT_TRUE(desk.until([&] { return number("sends") == 2; }));
    }
    /// Beyond the time of its next attempt.
    void let_the_next_one_come() { let_it_run(1'000); }
};

TEST_F(OnceRefused, KeepsTheStopThatSomebodySetMeanwhile) {
    bridge::Command command = guarded(1);
    command.take_profit = 12 * kScale / 10;
    ASSERT_NO_FATAL_FAILURE(refuse_once(command));
    host->control(R"("cmd":"manual_stop","price":"1.06")");
    host->knob("drop_stops", 0);
    ASSERT_TRUE(desk.until([&] { return number("take_profits") == 1; }));
    EXPECT_EQ(number("first_stop_loss"), 106U * kScale / 100);
}

TEST_F(OnceRefused, WaitsForItsListsBeforeItTakesThePositionForGone) {
    ASSERT_NO_FATAL_FAILURE(refuse_once(guarded(1)));
    host->knob("disconnected", 1);
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoServerAway) != 0; }));
    let_the_next_one_come();
    host->knob("drop_stops", 0);
    host->control(R"("cmd":"reconnect")");
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

// An operator would be called for nothing, hours into the night.
TEST_F(OnceRefused, StopsThatTheThirdAttemptSetsAreNotToldAsMissing) {
    ASSERT_NO_FATAL_FAILURE(refuse_once(guarded(1)));
    ASSERT_TRUE(desk.until([&] { return number("sends") == 3; }));
    host->knob("drop_stops", 0);
    ASSERT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
    EXPECT_EQ(number("sends"), 4U);
    host->knob("expert_denied", 1);  // so that it has to say how it stands
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoMayTrade) == 0; }));
    EXPECT_EQ(desk.info.permissions, bridge::kInfoBrokerForbids);
}

TEST_F(OnceRefused, SendsNothingWhileItMayNotTradeAndCountsNoAttempt) {
    ASSERT_NO_FATAL_FAILURE(refuse_once(guarded(1)));
    host->knob("expert_denied", 1);
    host->knob("drop_stops", 0);
    const std::uint64_t sends = number("sends");
    let_the_next_one_come();
    EXPECT_EQ(number("sends"), sends);
    EXPECT_EQ(number("stop_losses"), 0U);
    host->knob("expert_denied", 0);
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

TEST_F(OnceRefused, StopsAreNotMissedAnyMoreWhenTheEngineWantsNone) {
    ASSERT_NO_FATAL_FAILURE(refuse_once(guarded(1)));
    const auto missing = [&] { return (desk.info.permissions & bridge::kInfoStopsMissing) != 0; };
    ASSERT_TRUE(desk.until(missing));
    host->knob("drop_stops", 0);
    const std::uint64_t position = desk.told[guarded(1).magic].outcomes.back().position_id;
    (void)answer_to(modify_of(2, position, 0.0));
    EXPECT_TRUE(desk.until([&] { return !missing(); }));
    EXPECT_EQ(number("stop_losses"), 0U);
}

TEST_F(Orders, StopsOfANettingPositionThatTurnedAreNotSetOnTheOtherSide) {
    begin({.margin_mode = "netting", .knobs = {"drop_stops=2"}});
    EXPECT_EQ(answer_to(guarded(1)).retcode, kDone);
    const auto missing = [&] { return (desk.info.permissions & bridge::kInfoStopsMissing) != 0; };
    ASSERT_TRUE(desk.until(missing));
    EXPECT_EQ(answer_to(open(2, 0.5, Side::Sell)).retcode, kDone);
    EXPECT_TRUE(desk.until([&] { return !missing(); }));
    EXPECT_EQ(number("sends"), 5U);
}

/// As `guarded`, waiting below the market.
bridge::Command guarded_pending(std::uint64_t intent) {
    bridge::Command command = pending(intent, PriceKind::Limit, 1.09);
    command.stop_loss = 105 * kScale / 100;
    return command;
}

TEST_F(Orders, StopsThatAServerDropsWhenAPendingIsFilledAreSetAsThePendingHadThemLast) {
    begin({.knobs = {"drop_stops=1"}});
    const bridge::Event placed = answer_to(guarded_pending(1));
    bridge::Command change = cancel_of(2, placed.order_ticket);
    change.type = static_cast<std::uint8_t>(CommandType::Modify);
    change.stop_loss = 106 * kScale / 100;
    EXPECT_EQ(answer_to(change).retcode, kDone);
    host->quote("1.08980", "1.08990");
    ASSERT_NE(exec_of(ExecKind::PendingFilled), nullptr);
    ASSERT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
    EXPECT_EQ(number("first_stop_loss"), 106U * kScale / 100);
}

/// The program dies where a test says so, and is started again.
class StopsOverARestart : public Orders {
protected:
    void start_again() {
        desk.info = {};
        desk.synced = false;
        host->start();
        ASSERT_TRUE(desk.until(
            [&] { return desk.synced && desk.info.permissions == bridge::kInfoMayTrade; }));
    }
    void kill_and_start_again() {
        host->kill9();
        start_again();
    }
};

TEST_F(StopsOverARestart, ThatWereRefusedBeforeItAreSetAfterIt) {
    begin();
    host->knob("drop_stops", 2);
    EXPECT_EQ(answer_to(guarded(1)).retcode, kDone);
    ASSERT_TRUE(desk.until([&] { return number("sends") == 2; })) << "one attempt, in vain";
    ASSERT_NO_FATAL_FAILURE(kill_and_start_again());
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

TEST_F(StopsOverARestart, OfAFilledPendingThatWereRefusedBeforeItAreSetAfterIt) {
    begin();
    host->knob("drop_stops", 2);
    EXPECT_EQ(answer_to(guarded_pending(1)).retcode, 10008U);
    host->quote("1.08980", "1.08990");
    ASSERT_NE(exec_of(ExecKind::PendingFilled), nullptr);
    ASSERT_TRUE(desk.until([&] { return number("sends") == 2; })) << "one attempt, in vain";
    ASSERT_NO_FATAL_FAILURE(kill_and_start_again());
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

TEST_F(StopsOverARestart, OfARequestThatItDiedInAreSetAfterIt) {
    begin();
    host->knob("drop_stops", 1);
    host->knob("crash_send", 2);
    desk.submit(guarded(1));
    ASSERT_TRUE(desk.until([&] { return host->died(); }));
    ASSERT_NO_FATAL_FAILURE(start_again());
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

TEST_F(StopsOverARestart, ThatAPersonTookAwayBeforeItStayAway) {
    begin();
    EXPECT_EQ(answer_to(guarded(1)).retcode, kDone);
    let_it_run();  // it sees them there
    host->control(R"("cmd":"manual_stop","price":"0")");
    ASSERT_EQ(number("stop_losses"), 0U);
    ASSERT_NO_FATAL_FAILURE(kill_and_start_again());
    let_it_run();
    EXPECT_EQ(number("sends"), 0U);
    EXPECT_EQ(number("stop_losses"), 0U);
}

TEST_F(StopsOverARestart, ThatTheEngineTookAwayBeforeItStayAway) {
    begin();
    host->knob("drop_stops", 2);
    const bridge::Event opened = answer_to(guarded(1));
    ASSERT_TRUE(desk.until([&] { return number("sends") == 2; }));
    host->knob("drop_stops", 0);
    (void)answer_to(modify_of(2, opened.position_id, 0.0));
    ASSERT_NO_FATAL_FAILURE(kill_and_start_again());
    let_it_run();
    EXPECT_EQ(number("stop_losses"), 0U);
}

TEST_F(Orders, StopsOfAnOrderThatWasExecutedWithoutAnAnswerAreSetToo) {
    begin({.inputs = {"InpAnswerMs=100"}, .knobs = {"drop_stops=1"}});
    host->fault(R"("kind":"retcode","code":10012,"executed":true)");
    EXPECT_TRUE(has_status(answer_to(guarded(1)), OrdStatus::InDoubt));
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

TEST_F(Orders, AHedgingCloseClosesItsPositionAndASecondOneFindsItClosed) {
    begin();
    const bridge::Event opened = answer_to(open(1));
    const bridge::Event second = answer_to(open(2, 0.2));
    EXPECT_EQ(answer_to(close_of(3, opened.position_id)).retcode, kDone);
    EXPECT_EQ(number("positions"), 1U);
    EXPECT_EQ(answer_to(close_of(4, opened.position_id)).retcode, 10036U);
    bridge::Command part = close_of(5, second.position_id);
    part.volume = kScale / 20;
    EXPECT_EQ(answer_to(part).volume, kScale / 20);
    EXPECT_EQ(number("positions"), 1U);
}

TEST_F(Orders, ANettingAccountAddsUpReducesAndTurnsOnePosition) {
    begin({.margin_mode = "netting"});
    EXPECT_EQ(desk.hello.margin_mode, 1U);
    const bridge::Event first = answer_to(open(1));
    const bridge::Event second = answer_to(open(2, 0.2));
    EXPECT_EQ(first.position_id, second.position_id);
    bridge::Command close = close_of(3, first.position_id);
    close.volume = kScale / 10;
    EXPECT_EQ(answer_to(close).retcode, kDone);
    EXPECT_EQ(number("positions"), 1U);
    EXPECT_EQ(answer_to(open(4, 0.5, Side::Sell)).retcode, kDone);  // 0.20 long becomes 0.30 short
    EXPECT_EQ(number("positions"), 1U);
    EXPECT_EQ(answer_to(close_of(5, first.position_id)).volume, 3 * kScale / 10);
    EXPECT_EQ(number("positions"), 0U);
}

TEST_F(Orders, BusyIsAnnouncedBeforeACallThatBlocksForLong) {
    begin({.knobs = {"busy_ms=400"}});
    const std::uint64_t magic = desk.submit(open(1));
    ASSERT_TRUE(desk.until_answered(magic));
    // By the order of the frames: both may have been read at once.
    ASSERT_EQ(desk.answers_at_busy.size(), 1U);
    EXPECT_EQ(desk.answers_at_busy[0], 0U) << "announced before, not after";
    EXPECT_EQ(desk.sessions, 1U);
}

TEST_F(Orders, QuotesOfTheNamedSymbolsAreSentWhenTheyChange) {
    begin({.inputs = {"InpTickSymbols=EURUSD,GBPUSD"}});
    ASSERT_TRUE(desk.until([&] { return desk.ticks == 1; }));
    host->quote("1.10020", "1.10030");
    ASSERT_TRUE(desk.until([&] { return desk.ticks == 2; }));
}

}  // namespace
}  // namespace millrace::mt5::test
