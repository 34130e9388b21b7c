// Goal: stops that a server drops long after the fill are set again; what a person or the engine
// took away or moved stays as it is; a position that stays bare is closed if that is wanted.
// Method: as mt5_order_test; the program looks at stops as often as it runs.
#include "tests/mt5/mt5_world.h"

namespace millrace::mt5::test {
namespace {

constexpr std::int64_t kStop = 105 * kScale / 100;
constexpr std::int64_t kProfit = 12 * kScale / 10;

class StopsLater : public World {
protected:
    /// A position with both, which the program has looked at.
    void open_guarded(HostSetup setup = {}, double lots = 0.10) {
        setup.inputs.push_back("InpStopsMs=1");
        begin(std::move(setup));
        bridge::Command command = open(1, lots);
        command.stop_loss = kStop;
        command.take_profit = kProfit;
        const bridge::Event& event = answer_to(command);
        ASSERT_EQ(event.retcode, kDone);
        position = event.position_id;
        let_it_run();
        ASSERT_EQ(number("sends"), 1U);
    }
    [[nodiscard]] bool has_both() {
        return number("stop_losses") == 1 && number("take_profits") == 1;
    }
    std::uint64_t position = 0;
};

TEST_F(StopsLater, ThatARolloverTookAwayAreSetAgainOnce) {
    ASSERT_NO_FATAL_FAILURE(open_guarded());
    host->control(R"("cmd":"rollover","drop_stops":true)");
    ASSERT_TRUE(desk.until([&] { return has_both(); }));
    EXPECT_EQ(number("first_stop_loss"), static_cast<std::uint64_t>(kStop));
    let_it_run();
    EXPECT_EQ(number("sends"), 2U);
    host->control(R"("cmd":"rollover","drop_stops":true)");
    EXPECT_TRUE(desk.until([&] { return has_both(); })) << "and the next night";
}

TEST_F(StopsLater, AreSetAgainWhereTheHistoryTellsOfTheRolloverLater) {
    ASSERT_NO_FATAL_FAILURE(open_guarded({.inputs = {"InpAnswerMs=600000"}}));
    host->knob("no_history", 1);
    host->control(R"("cmd":"rollover","drop_stops":true)");
    let_it_run();
    EXPECT_EQ(number("sends"), 1U) << "nobody knows yet who it was";
    host->knob("no_history", 0);
    EXPECT_TRUE(desk.until([&] { return has_both(); }));
}

TEST_F(StopsLater, ThatAPersonTakesAwayOrMovesStayAsTheyAre) {
    ASSERT_NO_FATAL_FAILURE(open_guarded());
    host->control(R"("cmd":"manual_stop","price":"1.06")");  // the take profit is taken away
    let_it_run();
    EXPECT_EQ(number("first_stop_loss"), 106U * kScale / 100);
    EXPECT_EQ(number("take_profits"), 0U);
    host->control(R"("cmd":"manual_stop","price":"0")");
    let_it_run();
    EXPECT_EQ(number("stop_losses"), 0U);
    EXPECT_EQ(number("sends"), 1U);
}

TEST_F(StopsLater, ThatWereMovedAreSetAgainAsTheyWereLast) {
    ASSERT_NO_FATAL_FAILURE(open_guarded());
    host->control(R"("cmd":"manual_stop","price":"1.06")");
    let_it_run();
    host->control(R"("cmd":"rollover","drop_stops":true)");
    ASSERT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
    EXPECT_EQ(number("first_stop_loss"), 106U * kScale / 100);
}

TEST_F(StopsLater, ThatTheEngineTakesAwayStayAway) {
    ASSERT_NO_FATAL_FAILURE(open_guarded());
    EXPECT_EQ(answer_to(modify_of(2, position, 0.0)).retcode, kDone);
    host->control(R"("cmd":"rollover")");  // with nothing to drop
    let_it_run();
    EXPECT_EQ(number("stop_losses"), 0U);
    EXPECT_EQ(number("sends"), 2U);
}

TEST_F(StopsLater, ThatThreeAttemptsDoNotSetAreTold) {
    ASSERT_NO_FATAL_FAILURE(open_guarded());
    host->knob("drop_stops", 2);
    host->control(R"("cmd":"rollover","drop_stops":true)");
    ASSERT_TRUE(
        desk.until([&] { return (desk.info.permissions & bridge::kInfoStopsMissing) != 0; }));
    EXPECT_EQ(number("sends"), 4U);
    EXPECT_EQ(number("positions"), 1U) << "told, no more";
}

// A rollover comes when the market is shut: that is not the time to give up, nor to close.
TEST_F(StopsLater, AreSetWhenTheMarketOpensAgain) {
    ASSERT_NO_FATAL_FAILURE(open_guarded({.inputs = {"InpStopsAction=1"}}));
    host->fault(R"("kind":"retcode","code":10018,"command":"modify","count":3)");
    host->control(R"("cmd":"rollover","drop_stops":true)");
    ASSERT_TRUE(desk.until([&] { return has_both() || number("positions") == 0; }));
    EXPECT_EQ(number("positions"), 1U);
    EXPECT_EQ(number("sends"), 5U);
    EXPECT_TRUE(
        desk.until([&] { return (desk.info.permissions & bridge::kInfoStopsMissing) == 0; }));
}

// What is right at a tenth of the price is for a person to say.
TEST_F(StopsLater, ThatASplitTookAwayAreToldAndLeftToAPerson) {
    ASSERT_NO_FATAL_FAILURE(open_guarded({.inputs = {"InpStopsAction=1"}}));
    host->control(R"("cmd":"rollover","split":true,"factor":10,"drop_stops":true)");
    ASSERT_TRUE(
        desk.until([&] { return (desk.info.permissions & bridge::kInfoStopsMissing) != 0; }));
    let_it_run(200);
    EXPECT_EQ(number("sends"), 1U) << "nothing is set, nothing is closed";
    EXPECT_EQ(number("positions"), 1U);
}

TEST_F(StopsLater, APositionThatStaysWithoutThemIsClosedIfThatIsWanted) {
    ASSERT_NO_FATAL_FAILURE(open_guarded({.inputs = {"InpStopsAction=1"}}));
    host->control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    host->knob("drop_stops", 2);
    // Refused for longer than a kill may take before that is told: no kill is in force here.
    host->fault(R"("kind":"retcode","code":10006,"command":"close","count":5)");
    host->control(R"("cmd":"rollover","drop_stops":true)");
    bool waits = false;
    ASSERT_TRUE(desk.until([&] {
        waits = waits || (desk.info.permissions & bridge::kInfoKillWaits) != 0;
        return number("positions") == 1;
    }));
    EXPECT_FALSE(waits);
    const bridge::Event* closed = exec_of(ExecKind::ClosedByKill);
    ASSERT_NE(closed, nullptr);
    EXPECT_EQ(closed->position_id, position);
    EXPECT_EQ(number("positions"), 1U) << "the hand's own";
    EXPECT_TRUE(
        desk.until([&] { return (desk.info.permissions & bridge::kInfoStopsMissing) == 0; }));
}

}  // namespace
}  // namespace millrace::mt5::test
