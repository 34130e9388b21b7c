// Goal: what a person has found out about an order in doubt (`millrace resolve`) reaches the
// executor of a FIX account and counts there once: the venue is no longer asked, the position is
// what was found, and a kill that waited goes on. Method: the executor as a process, a venue in
// Python that executes without a word, a scripted broker stage.
#include "tests/fix/desk.h"

#include <filesystem>

namespace millrace::fix::test {
namespace {

bridge::Command finding(std::uint64_t magic, std::int64_t volume) {
    bridge::Command command = query_command(magic);
    command.type = static_cast<std::uint8_t>(CommandType::Resolve);
    command.flags = volume > 0 ? bridge::kCommandDone : std::uint8_t{0};
    command.volume = volume;
    command.price = volume > 0 ? 110'000'000 : 0;
    return command;
}

class FixResolve : public FixExecutor {
protected:
    FixResolve() { denial_is_proof = false; }

    /// An order that the venue treats as `mode` says, and of which it then denies all knowledge.
    bridge::Command denied(std::uint64_t intent, const std::string& mode) {
        venue.control(R"("cmd": "status", "do": "unknown")");
        venue.control(R"("cmd": "next", "do": ")" + mode + "\"");
        const bridge::Command command = open_command(intent);
        EXPECT_EQ(answer_to(command).retcode, retcode::kConnection);
        wait_log("magic " + std::to_string(command.magic));
        wait_venue();
        return command;
    }
    void wait_log(const std::string& part) {
        ASSERT_TRUE(eventually([&] { return text("log").find(part) != std::string::npos; }))
            << part << "\n"
            << text("log");
    }
    /// The next event of an execution that is no answer to a command.
    Event next_exec() {
        for (;;) {
            const auto event = stage.next_event();
            if (!event) {
                ADD_FAILURE() << "no event\n" << text("log");
                return {};
            }
            last_event = event->first;
            if (is(event->second, ReportType::Exec)) {
                return event->second;
            }
        }
    }
    double net_at_venue() const {
        double net = 0;
        for (const Executed& e : venue.executions()) {
            net += e.side == '1' ? e.quantity : -e.quantity;
        }
        return net;
    }
};

TEST_F(FixResolve, CountsWhatAPersonFoundSoThatAKillClosesIt) {
    start();
    const auto command = denied(1, "lost");  // executed, and not told
    send(finding(command.magic, kScale / 10));
    const Event found = next(command.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
    EXPECT_EQ(found.ord_status, static_cast<std::uint8_t>(OrdStatus::Filled));
    send(finding(command.magic, kScale / 10));  // said twice
    wait_log("not in question here");
    const std::size_t asked = sent('H', id_of(command));
    kill(kKillStop | kKillFlatten);
    const Event closed = next_exec();
    EXPECT_EQ(closed.exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(closed.volume, kScale / 10);
    EXPECT_EQ(net_at_venue(), 0);
    EXPECT_EQ(sent('H', id_of(command)), asked) << "a person has answered that";
    send(query_command(command.magic));  // of an engine whose records were lost
    EXPECT_EQ(next(command.magic).volume, kScale / 10);
}

// Before: the kill looked for ever at a doubt that nobody but the venue could end.
TEST_F(FixResolve, LetsAKillGoOnThatWaitedForAnOrderInDoubt) {
    start();
    ASSERT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "next", "do": "unread")");  // the venue never got it
    const auto command = open_command(2);
    ASSERT_EQ(answer_to(command).retcode, retcode::kConnection);
    wait_log("does not answer OrderStatusRequest");
    wait_venue();
    kill(kKillStop | kKillFlatten);
    const auto waits = [](const Event& info) {
        return (info.permissions & bridge::kInfoKillWaits) != 0;
    };
    ASSERT_TRUE(wait_info(waits)) << "nobody is told that the kill waits";
    ASSERT_EQ(venue.executions().size(), 1U) << "the position is not known yet";
    send(finding(command.magic, 0));
    const Event closed = next_exec();
    EXPECT_EQ(closed.exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(venue.executions().size(), 2U);
    EXPECT_EQ(net_at_venue(), 0);
    EXPECT_TRUE(wait_info([&](const Event& info) { return !waits(info); }));
}

TEST_F(FixResolve, IsCountedOnceWhateverDiesWhen) {
    start();
    const auto command = denied(1, "lost");
    const std::uint64_t number = next_command;
    send(finding(command.magic, kScale / 10));
    executor.kill9();  // before, in or after it
    for (int lives = 0; lives < 2; ++lives) {
        stage.close();
        start_executor();
        const bridge::Hello hello = open_session();
        if (hello.command_seq < number) {  // as the broker stage does
            bridge::Command again = finding(command.magic, kScale / 10);
            again.flags |= bridge::kCommandResent;
            again.generation = session.generation;
            again.epoch = session.epoch;
            stage.send_command(number, again);
            ASSERT_TRUE(stage.wait_rx_ack(number));
        }
        if (lives == 0) {
            executor.kill9();
        }
    }
    wait_venue();
    kill(kKillStop | kKillFlatten);
    EXPECT_EQ(next_exec().volume, kScale / 10);
    EXPECT_EQ(net_at_venue(), 0);
}

TEST_F(FixResolve, TellsAnExecutionThatComesAfterAll) {
    start();
    const auto command = denied(1, "lost");
    send(finding(command.magic, 0));
    EXPECT_EQ(next(command.magic).ord_status, static_cast<std::uint8_t>(OrdStatus::Canceled));
    venue.control(R"("cmd": "say", "kind": "8", "fields": [[37, "O1"], [11, ")" + id_of(command) +
                  R"("], [17, "E1"], [150, "F"], [39, "2"], [55, "EURUSD"], [54, "1"],)" +
                  R"( [38, "10000"], [151, "0"], [14, "10000"], [6, "1.1"], [32, "10000"],)" +
                  R"( [31, "1.1"]])");
    const Event late = next_exec();
    EXPECT_EQ(late.magic, command.magic);
    EXPECT_EQ(late.volume, kScale / 10);
    EXPECT_NE(text("log").find("ALERT Late"), std::string::npos) << text("log");
    kill(kKillFlatten);
    EXPECT_EQ(next_exec().exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(net_at_venue(), 0);
}

// A slip of the finger: what cannot be counted ends nothing, and is said again.
TEST_F(FixResolve, LeavesInQuestionWhatItCannotCount) {
    more_fix = R"( "symbols": [{"name": "EURUSD", "units_per_lot": 0.5}],)";
    start();
    const auto command = denied(1, "lost");
    send(finding(command.magic, 1));  // half of the smallest unit that can be said
    wait_log("still in question");
    send(finding(command.magic, kScale / 10));
    EXPECT_EQ(next(command.magic).volume, kScale / 10);
    kill(kKillStop | kKillFlatten);
    EXPECT_EQ(next_exec().volume, kScale / 10);
    EXPECT_EQ(net_at_venue(), 0);
}

// Confirmed between a person's look and the word's arrival: a kill still has to find it.
TEST_F(FixResolve, KeepsAPendingOrderThatTheVenueHasConfirmed) {
    start();
    const auto order = limit_command(1);
    ASSERT_EQ(answer_to(order).retcode, retcode::kPlaced);
    send(finding(order.magic, 0));
    wait_log("has told that it works");
    EXPECT_EQ(next(order.magic).ord_status, static_cast<std::uint8_t>(OrdStatus::New));
    kill_and_wait(kKillCancel);
    EXPECT_EQ(sent('F', id_of(order)), 1U);
}

TEST_F(FixResolve, EndsAPendingOrderOfWhichTheVenueSaysNothingMoreIfToldAgain) {
    start();
    const auto order = limit_command(1);
    ASSERT_EQ(answer_to(order).retcode, retcode::kPlaced);
    venue.control(R"("cmd": "status", "do": "silent")");
    send(finding(order.magic, 0));
    wait_log("has told that it works");
    send(finding(order.magic, 0));
    EXPECT_EQ(next(order.magic).ord_status, static_cast<std::uint8_t>(OrdStatus::Canceled));
    kill_and_wait(kKillCancel);
    EXPECT_EQ(sent('F'), 0U);
}

// The order file is lost, and what the symbol's units are now cannot say the order in doubt.
TEST_F(FixResolve, HoldsAKillForADoubtThatHasNoPlaceInTheBook) {
    start();
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "next", "do": "unread")");
    bridge::Command odd = open_command(1);
    odd.volume = kScale / 10 + 1;
    ASSERT_EQ(answer_to(odd).retcode, retcode::kConnection);
    executor.kill9();
    stage.close();
    std::filesystem::remove(folder / "j/fix/venue/orders");
    more_fix = R"( "symbols": [{"name": "EURUSD", "units_per_lot": 0.5}],)";
    start_executor();
    open_session();
    wait_log("cannot be asked for it");
    wait_trading();
    ASSERT_EQ(answer_to(open_command(2)).retcode, retcode::kDone);
    const std::size_t orders = sent('D');
    kill_and_wait(kKillStop | kKillFlatten);
    EXPECT_EQ(sent('D'), orders) << "what the order in doubt did to the position is not known";
    send(finding(odd.magic, 0));
    EXPECT_EQ(next_exec().exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(net_at_venue(), 0);
}

// The engine has never heard of a kill's own orders: they are named by their account.
TEST_F(FixResolve, EndsADoubtAboutTheKillsOwnClose) {
    start();
    ASSERT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "status", "do": "unknown")");
    venue.control(R"("cmd": "next", "do": "lost")");  // executed, and not told
    kill(kKillStop | kKillFlatten);
    wait_log("--account venue");
    ASSERT_EQ(venue.executions().size(), 2U);
    const auto own = magic_of(venue.executions()[1].cl_ord_id);
    ASSERT_TRUE(own.has_value());
    EXPECT_NE(text("log").find("magic " + std::to_string(own->value)), std::string::npos);
    send(finding(own->value, kScale / 10));
    const Event closed = next_exec();
    EXPECT_EQ(closed.exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(closed.volume, kScale / 10);
    wait_venue();
    kill_and_wait(kKillStop | kKillFlatten);
    EXPECT_EQ(sent('D'), 2U) << "nothing is left to be closed";
    EXPECT_EQ(net_at_venue(), 0);
}

// The same to us: a close that never reached the venue. A person's word is the way on.
TEST_F(FixResolve, LetsAKillCloseAgainWhatItsOwnCloseHasNotClosed) {
    start();
    ASSERT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "status", "do": "unknown")");
    venue.control(R"("cmd": "next", "do": "unread")");
    kill(kKillStop | kKillFlatten);
    wait_log("--account venue");
    const std::string log = text("log");
    const std::string word = ", magic ";
    const std::uint64_t own = std::stoull(log.substr(log.rfind(word) + word.size()));
    wait_venue();
    kill_and_wait(kKillStop | kKillFlatten);
    EXPECT_EQ(sent('D'), 2U) << "it may have been closed already";
    send(finding(own, 0));
    EXPECT_EQ(next_exec().exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(net_at_venue(), 0);
}

// The journal keeps some thousand intents, and forgets the oldest that have an answer: "in doubt"
// is one. Here it is lost, which is as much.
TEST_F(FixResolve, KnowsADoubtThatTheIntentJournalHasForgotten) {
    start();
    ASSERT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "status", "do": "unknown")");
    venue.control(R"("cmd": "next", "do": "lost")");  // executed, and not told
    kill(kKillStop | kKillFlatten);
    wait_log("--account venue");
    const auto own = magic_of(venue.executions().at(1).cl_ord_id);
    ASSERT_TRUE(own.has_value());
    executor.kill9();
    stage.close();
    std::filesystem::remove(folder / "j/fix/venue/intents");
    std::filesystem::rename(folder / "log", folder / "log.before");
    session.command_epoch += 1;
    start_executor();
    open_session();
    wait_log("--account venue");  // it has asked again, and was denied again
    kill_and_wait(kKillStop | kKillFlatten);
    EXPECT_EQ(sent('D'), 2U) << "closed twice, the venue is on the other side";
    send(finding(own->value, kScale / 10));
    EXPECT_EQ(next_exec().exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    kill_and_wait(kKillStop | kKillFlatten);
    EXPECT_EQ(sent('D'), 2U);
    EXPECT_EQ(net_at_venue(), 0);
}

// A close that a kill leaves out, for it may have been done: once a person has seen that it was
// not, the position goes.
TEST_F(FixResolve, ClosesWhatADeniedCloseHasNotClosed) {
    start();
    ASSERT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "status", "do": "unknown")");
    venue.control(R"("cmd": "next", "do": "unread")");
    const auto close = close_command(2);
    ASSERT_EQ(answer_to(close).retcode, retcode::kConnection);
    wait_log("magic " + std::to_string(close.magic));
    wait_venue();
    kill_and_wait(kKillStop | kKillFlatten);
    EXPECT_EQ(sent('D'), 2U) << "it may have been closed already";
    send(finding(close.magic, 0));
    EXPECT_EQ(next_exec().exec_kind, static_cast<std::uint8_t>(ExecKind::ClosedByKill));
    EXPECT_EQ(net_at_venue(), 0);
}

// A cancel in doubt of which a person has seen that it was done ends the pending order here, too.
TEST_F(FixResolve, EndsAPendingOrderWhoseCancelWasDone) {
    start();
    const auto order = limit_command(1);
    ASSERT_EQ(answer_to(order).retcode, retcode::kPlaced);
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "change", "do": "silent")");  // done, and not told
    bridge::Command cancel = open_command(2);
    cancel.type = static_cast<std::uint8_t>(CommandType::Cancel);
    cancel.order_ticket = order.magic;
    send(cancel);
    send(query_command(cancel.magic));
    wait_log("does not answer OrderStatusRequest");
    send(finding(cancel.magic, kScale / 10));
    EXPECT_EQ(next(cancel.magic).retcode, retcode::kDone);
    kill_and_wait(kKillCancel);
    EXPECT_EQ(sent('F'), 1U) << "it is cancelled already";
}

}  // namespace
}  // namespace millrace::fix::test
