// Goal: the executor of a FIX account keeps the promises of the bridge protocol: at most one
// execution of a magic, every outcome told in the end, no proof claimed that there is not. Method:
// the real process between a venue in Python and a scripted broker stage.
#include "tests/fix/desk.h"

#include <sys/wait.h>

#include <filesystem>

namespace millrace::fix::test {
namespace {

TEST_F(FixExecutor, ExecutesAnOrderAndTellsItsOutcomeOnce) {
    start();
    const auto command = open_command(7);
    const Event event = answer_to(command);
    EXPECT_TRUE(is(event, ReportType::Outcome));
    EXPECT_EQ(event.retcode, retcode::kDone);
    EXPECT_EQ(event.volume, kScale / 10);
    ASSERT_EQ(venue.executions().size(), 1U);
    EXPECT_EQ(venue.executions()[0].cl_ord_id, id_of(command));
    EXPECT_EQ(venue.executions()[0].quantity, 10'000);
    send(command);  // the same magic again: the stored answer
    EXPECT_EQ(next(command.magic).deal_ticket, event.deal_ticket);
    send(query_command(command.magic));
    EXPECT_TRUE(is(next(command.magic), ReportType::QueryFound));
    EXPECT_EQ(venue.executions().size(), 1U);
}

TEST_F(FixExecutor, TellsRejectsAndPartsAsTheyAre) {
    start();
    venue.control(R"("cmd": "next", "do": "reject")");
    EXPECT_EQ(answer_to(open_command(1)).retcode, 10034U);
    venue.control(R"("cmd": "next", "do": "partial")");
    const Event part = answer_to(open_command(2));
    EXPECT_EQ(part.retcode, retcode::kDonePartial);
    EXPECT_EQ(part.volume, kScale / 20);
}

TEST_F(FixExecutor, RefusesWhileTheVenueIsAwayAndSendsNothingLater) {
    start_venue();
    venue.control(R"("cmd": "logon", "do": "silent")");
    start_executor();
    open_session();
    const Event event = answer_to(open_command(1));
    EXPECT_EQ(classify(event.retcode), RetcodeClass::Backoff) << event.retcode;
    venue.control(R"("cmd": "logon", "do": "take")");
    venue.control(R"("cmd": "drop")");
    wait_trading();
    const Event second = answer_to(open_command(1, 1));
    EXPECT_EQ(second.retcode, retcode::kDone);
    EXPECT_EQ(venue.executions().size(), 1U);
}

TEST_F(FixExecutor, FollowsAPendingOrderThroughReplaceFillsAndCancel) {
    start();
    const auto order = limit_command(1);
    EXPECT_EQ(answer_to(order).retcode, retcode::kPlaced);
    bridge::Command modify = limit_command(2);
    modify.type = static_cast<std::uint8_t>(CommandType::Modify);
    modify.order_ticket = order.magic;
    modify.price = 104'000'000;
    EXPECT_EQ(answer_to(modify).retcode, retcode::kDone);
    venue.control(R"("cmd": "fill", "qty": 4000, "id": ")" + id_of(modify) + "\"");
    const Event fill = next(order.magic);
    EXPECT_EQ(fill.exec_kind, static_cast<std::uint8_t>(ExecKind::PendingFilled));
    EXPECT_EQ(fill.volume, kScale / 25);
    bridge::Command cancel = open_command(3);
    cancel.type = static_cast<std::uint8_t>(CommandType::Cancel);
    cancel.order_ticket = order.magic;
    EXPECT_EQ(answer_to(cancel).retcode, retcode::kDone);
}

TEST_F(FixExecutor, FindsAReplaceAndACancelThatWereDoneAndNeverTold) {
    start();
    const auto order = limit_command(1);
    EXPECT_EQ(answer_to(order).retcode, retcode::kPlaced);
    venue.control(R"("cmd": "change", "do": "silent")");
    bridge::Command modify = limit_command(2);
    modify.type = static_cast<std::uint8_t>(CommandType::Modify);
    modify.order_ticket = order.magic;
    modify.price = 104'000'000;
    send(modify);
    send(query_command(modify.magic));  // as the engine does when an answer is overdue
    EXPECT_EQ(next(modify.magic).retcode, retcode::kDone);
    bridge::Command cancel = open_command(3);
    cancel.type = static_cast<std::uint8_t>(CommandType::Cancel);
    cancel.order_ticket = order.magic;
    send(cancel);
    send(query_command(cancel.magic));
    EXPECT_EQ(next(cancel.magic).retcode, retcode::kDone);
    EXPECT_EQ(text("log").find("ALERT"), std::string::npos) << text("log");
}

TEST_F(FixExecutor, FindsAfterItsDeathWhatTheVenueExecutedAndNeverTold) {
    start();
    venue.control(R"("cmd": "next", "do": "silent")");
    const auto command = open_command(1);
    send(command);
    ASSERT_TRUE(eventually([&] { return venue.executions().size() == 1; }));
    executor.kill9();
    stage.close();
    start_executor();
    const auto hello = open_session();
    EXPECT_EQ(hello.command_seq, next_command - 1);
    const Event doubt = next(command.magic);
    EXPECT_EQ(doubt.retcode, retcode::kConnection);
    const Event found = next(command.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
    EXPECT_EQ(venue.executions().size(), 1U);
}

TEST_F(FixExecutor, FindsWhatWasExecutedWhenTheConnectionBrokeBeforeTheReport) {
    start();
    venue.control(R"("cmd": "next", "do": "lost")");
    const auto command = open_command(1);
    EXPECT_EQ(answer_to(command).retcode, retcode::kConnection);
    EXPECT_TRUE(is(next(command.magic), ReportType::QueryFound));
    EXPECT_EQ(venue.executions().size(), 1U);
}

TEST_F(FixExecutor, TakesADenialForNoProofOfAnOrderThatTheVenueMayHaveFilled) {
    denial_is_proof = false;
    start();
    venue.control(R"("cmd": "status", "do": "unknown")");
    venue.control(R"("cmd": "next", "do": "lost")");  // executed, and not told
    const auto command = open_command(1);
    EXPECT_EQ(answer_to(command).retcode, retcode::kConnection);
    ASSERT_TRUE(eventually([&] { return venue.stat("status") >= 8; }));  // twice the settling time
    send(query_command(command.magic));
    const Event still = next(command.magic, true);
    EXPECT_TRUE(is(still, ReportType::QueryUnknown)) << int{still.type};
    EXPECT_EQ(venue.executions().size(), 1U);
    EXPECT_NE(text("log").find("which may mean that it was filled"), std::string::npos);
    // The venue comes to know it: that is an answer.
    venue.control(R"("cmd": "status", "do": "answer")");
    EXPECT_TRUE(is(next(command.magic), ReportType::QueryFound));
}

TEST_F(FixExecutor, AKillFlattensPastAnOrderThatTheVenueDenies) {
    denial_is_proof = false;
    start();
    const Event open = answer_to(open_command(1));
    ASSERT_EQ(open.ord_status, static_cast<std::uint8_t>(OrdStatus::Filled));
    venue.control(R"("cmd": "next", "do": "unread")");
    const auto lost = open_command(2);
    EXPECT_EQ(answer_to(lost).retcode, retcode::kConnection);
    ASSERT_TRUE(eventually([&] {
        return text("log").find("which may mean that it was filled") != std::string::npos;
    }));
    bridge::Kill kill{};
    kill.kill_id = 1;
    kill.actions = kKillStop | kKillFlatten;
    stage.send_kill(kill);
    ASSERT_TRUE(eventually([&] { return venue.executions().size() == 2; })) << text("log");
    EXPECT_EQ(venue.executions().back().side, '2') << "what was bought is sold";
}

TEST_F(FixExecutor, AKillDoesNotCloseAgainWhatTheVenueOnlyDoesNotKnow) {
    denial_is_proof = false;
    start();
    ASSERT_EQ(answer_to(open_command(1)).ord_status, static_cast<std::uint8_t>(OrdStatus::Filled));
    venue.control(R"("cmd": "status", "do": "unknown")");
    venue.control(R"("cmd": "next", "do": "lost")");  // executed, and not told
    kill(kKillStop | kKillFlatten);
    ASSERT_TRUE(eventually([&] {
        return text("log").find("which may mean that it was filled") != std::string::npos;
    })) << text("log");
    wait_venue();
    kill_and_wait(kKillStop | kKillFlatten);  // it looks at once
    EXPECT_EQ(sent('D'), 2U) << "a third one would open the other side";
    EXPECT_EQ(venue.executions().size(), 2U);
}

TEST_F(FixExecutor, ProvesAbsenceOnlyAfterTheVenueHasDeniedTheOrderForTheSettlingTime) {
    start();
    venue.control(R"("cmd": "next", "do": "unread")");
    const auto command = open_command(1);
    EXPECT_EQ(answer_to(command).retcode, retcode::kConnection);
    const Event absent = next(command.magic);
    EXPECT_TRUE(is(absent, ReportType::QueryAbsent));
    EXPECT_GE(venue.stat("status"), 4);
    EXPECT_EQ(venue.stat("possdup"), 0);
    EXPECT_EQ(venue.stat("orders"), 0);
    send(query_command(command.magic));
    EXPECT_TRUE(is(next(command.magic), ReportType::QueryAbsent));
}

TEST_F(FixExecutor, LeavesInDoubtWhatTheVenueSaysNothingAbout) {
    start();
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "next", "do": "lost")");
    const auto command = open_command(1);
    EXPECT_EQ(answer_to(command).retcode, retcode::kConnection);
    ASSERT_TRUE(eventually([&] { return venue.stat("status") >= 5; }));
    send(query_command(command.magic));
    EXPECT_TRUE(is(next(command.magic, true), ReportType::QueryUnknown));
    EXPECT_NE(text("log").find("ALERT in doubt"), std::string::npos);
    venue.control(R"("cmd": "status", "do": "answer")");
    EXPECT_TRUE(is(next(command.magic), ReportType::QueryFound));
}

TEST_F(FixExecutor, AnswersForMagicsThatItHasNeverSeen) {
    start();
    send(query_command(open_command(98).magic));
    // Its files may have been lost with the journal that the engine's orders were recovered from.
    EXPECT_TRUE(is(next(open_command(98).magic, true), ReportType::QueryUnknown));
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    send(query_command(open_command(99).magic));
    EXPECT_TRUE(is(next(open_command(99).magic), ReportType::QueryAbsent));
}

TEST_F(FixExecutor, RefusesCommandsOfAnOlderOwner) {
    start();
    bridge::Command command = open_command(1);
    command.generation = session.generation - 1;
    stage.send_command(next_command++, command);
    const Event event = next(command.magic);
    EXPECT_TRUE(is(event, ReportType::Unsent));
    EXPECT_EQ(event.retcode, bridge::kStaleGeneration);
    EXPECT_TRUE(venue.executions().empty());
}

TEST_F(FixExecutor, RefusesCommandsOfAnotherTag) {
    start();
    bridge::Command command = open_command(1);
    command.magic = Magic::make(kTag + 1, 1, 0).value;
    const Event event = answer_to(command);
    EXPECT_TRUE(is(event, ReportType::Unsent));
    EXPECT_EQ(event.retcode, bridge::kOtherTag);
    EXPECT_TRUE(venue.executions().empty());
}

TEST_F(FixExecutor, StopsEntriesCancelsPendingsAndFlattensOnKill) {
    start();
    const auto order = limit_command(1);
    EXPECT_EQ(answer_to(order).retcode, retcode::kPlaced);
    EXPECT_EQ(answer_to(open_command(2)).retcode, retcode::kDone);
    bridge::Kill kill{};
    kill.kill_id = 1;
    kill.actions = kKillStop | kKillCancel | kKillFlatten;
    stage.send_kill(kill);
    bool canceled = false;
    bool closed = false;
    while (!canceled || !closed) {
        const auto event = stage.next_event(180'000);
        ASSERT_TRUE(event.has_value()) << text("log") << text("j/fix/venue/messages.log");
        const auto kind = static_cast<ExecKind>(event->second.exec_kind);
        canceled |= kind == ExecKind::PendingCanceled && event->second.magic == order.magic;
        closed |= kind == ExecKind::ClosedByKill && event->second.volume == kScale / 10 &&
                  event->second.side == static_cast<std::uint8_t>(Side::Sell);
    }
    EXPECT_TRUE(is(answer_to(open_command(3)), ReportType::Unsent));
    EXPECT_EQ(venue.executions().size(), 2U);
}

TEST_F(FixExecutor, HandsOnTheVenuesQuotes) {
    start();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);  // so it has subscribed
    venue.control(R"("cmd": "quote", "symbol": "EURUSD", "bid": "1.10000", "ask": "1.10010")");
    EXPECT_TRUE(stage.wait_tick(110'000'000, 110'010'000));
}

TEST_F(FixExecutor, TellsWhatTheVenueSaysTheAccountIsWorthAndThatItDoesNotSay) {
    more_fix = R"( "collateral_s": 1, "account": "A1",)";
    start();
    const auto tells = [](std::int64_t equity, std::int64_t balance) {
        return [=](const Event& info) {
            return info.equity == equity * kScale && info.balance == balance * kScale;
        };
    };
    ASSERT_TRUE(eventually([&] { return venue.stat("inquiries") >= 2; }));
    venue.control(R"("cmd": "worth", "fields": [[900, "900"], [901, "1000"]])");
    ASSERT_TRUE(wait_info(tells(900, 1000))) << text("log");
    ASSERT_TRUE(wait_info(tells(900, 1000))) << "a limit wants several readings";
    venue.control(R"("cmd": "worth", "fields": [[900, "800"], [901, "1000"]])");
    ASSERT_TRUE(wait_info(tells(800, 1000)));
    venue.control(R"("cmd": "worth", "fields": [[901, "1000"]])");
    ASSERT_TRUE(eventually(
        [&] { return text("log").find("field TotalNetValue(900)") != std::string::npos; }));
    executor.kill9();
    stage.close();
    start_executor();
    const std::uint64_t seq = open_session().event_seq;
    EXPECT_GT(seq, 0U);
    ASSERT_TRUE(wait_info(tells(0, 0))) << "nothing is known yet, and nothing is said";
}

TEST_F(FixExecutor, LetsNoSecondProcessNearTheSameFiles) {
    start();
    Child second;
    second.start({MILLRACE_FIX, "-c", folder / "c.json", "-a", "venue"}, folder / "second");
    const int status = second.wait_end();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status << text("second");
}

TEST_F(FixExecutor, ClosesOnTheSideThatTheCommandNames) {
    start();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    const Event closed = answer_to(close_command(2));
    EXPECT_EQ(closed.retcode, retcode::kDone);
    EXPECT_EQ(closed.volume, kScale / 10);
    ASSERT_EQ(venue.executions().size(), 2U);
    EXPECT_EQ(venue.executions()[1].side, '2');
}

TEST_F(FixExecutor, ServesNoOtherJournalDirectoryThanTheFirst) {
    session.epoch = bridge::wire_epoch(5, 1);
    start();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    stage.close();
    const bridge::Hello hello = stage.accept_hello();
    EXPECT_EQ(hello.epoch, session.epoch);
    session.generation += 1;
    session.epoch = bridge::wire_epoch(6, 9);
    stage.welcome(session);
    EXPECT_TRUE(stage.wait_closed());
    stage.close();
    session.epoch = bridge::wire_epoch(5, 2);
    open_session();
    EXPECT_EQ(answer_to(open_command(2)).retcode, retcode::kDone);
}

TEST_F(FixExecutor, ClosesTheConnectionOfAnOlderOwnerOfTheSession) {
    session.generation = 7;
    start();
    stage.close();
    EXPECT_EQ(stage.accept_hello().generation, session.generation);
    sim::test::Stage::Session older = session;
    older.generation -= 1;
    stage.welcome(older);
    EXPECT_TRUE(stage.wait_closed());
    stage.close();
    open_session();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
}

TEST_F(FixExecutor, SendsNothingAgainThatALostIntentJournalMayHaveSent) {
    start();
    const auto command = open_command(5);
    EXPECT_EQ(answer_to(command).retcode, retcode::kDone);
    executor.kill9();
    stage.close();
    std::filesystem::remove(folder / "j/fix/venue/intents");
    session.command_epoch += 1;  // so that the number is new to it
    start_executor();
    open_session();
    wait_trading();
    bridge::Command again = command;
    again.flags = bridge::kCommandResent;
    again.generation = session.generation;
    stage.send_command(next_command++, again);
    EXPECT_EQ(next(command.magic).retcode, retcode::kConnection);
    const Event found = next(command.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
    // One that nobody here knows: no proof, neither now nor when later ones have been new.
    send(query_command(open_command(8).magic));
    EXPECT_TRUE(is(next(open_command(8).magic, true), ReportType::QueryUnknown));
    EXPECT_EQ(answer_to(open_command(7)).retcode, retcode::kDone);
    send(query_command(open_command(8).magic));
    EXPECT_TRUE(is(next(open_command(8).magic, true), ReportType::QueryUnknown));
    EXPECT_EQ(venue.executions().size(), 2U);
}

// At gate level `process` an order may leave before its intent is on disk: after a power cut the
// engine has it as not sent, and sends it under the same number, in a segment that numbers anew.
TEST_F(FixExecutor, AnswersFromItsJournalWhatAnEngineThatForgotItSendsAgain) {
    start();
    const auto done = open_command(1);
    const Event first = answer_to(done);
    EXPECT_EQ(first.retcode, retcode::kDone);
    venue.control(R"("cmd": "next", "do": "silent")");
    venue.control(R"("cmd": "status", "do": "silent")");
    const auto untold = open_command(2);
    send(untold);
    ASSERT_TRUE(eventually([&] { return venue.executions().size() == 2; }));
    executor.kill9();
    stage.close();
    session.command_epoch += 1;
    next_command = 1;
    start_executor();
    open_session();
    EXPECT_EQ(next(untold.magic).retcode, retcode::kConnection);
    wait_trading();
    EXPECT_EQ(answer_to(done).deal_ticket, first.deal_ticket);
    EXPECT_EQ(answer_to(untold).retcode, retcode::kConnection) << "in doubt, as it was";
    venue.control(R"("cmd": "status", "do": "answer")");
    const Event found = next(untold.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
    EXPECT_EQ(answer_to(untold).deal_ticket, found.deal_ticket);
    EXPECT_EQ(venue.executions().size(), 2U);
    EXPECT_EQ(venue.stat("orders"), 2);
}

TEST_F(FixExecutor, ProvesNothingAbsentAfterAllOfItsFilesWereLost) {
    start();
    const auto command = open_command(5);
    EXPECT_EQ(answer_to(command).retcode, retcode::kDone);
    executor.kill9();
    stage.close();
    for (const char* file : {"intents", "orders", "numbers"}) {
        std::filesystem::remove(folder / ("j/fix/venue/" + std::string{file}));
    }
    session.command_epoch += 1;  // so that the number is new to it
    start_executor();
    open_session();
    wait_trading();
    send(query_command(command.magic));
    Event told = next(command.magic, true);
    while (is(told, ReportType::Exec)) {  // the venue tells its fill again, to an empty number file
        told = next(command.magic, true);
    }
    EXPECT_TRUE(is(told, ReportType::QueryUnknown)) << static_cast<int>(told.type);
}

TEST_F(FixExecutor, FlattensAfterItsDeathWhatItBoughtBefore) {
    start();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    executor.kill9();
    stage.close();
    start_executor();
    open_session();
    bridge::Kill kill{};
    kill.kill_id = 1;
    kill.actions = kKillFlatten;
    stage.send_kill(kill);
    ASSERT_TRUE(eventually([&] { return venue.executions().size() == 2; })) << text("log");
    EXPECT_EQ(venue.executions()[1].side, '2');
    EXPECT_EQ(venue.executions()[1].quantity, 10'000);
}

}  // namespace
}  // namespace millrace::fix::test
