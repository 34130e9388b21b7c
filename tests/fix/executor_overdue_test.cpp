// Goal: an order or cancel that the venue took and forgot, or that our own gap fill passed over,
// does not stay unknown for ever, and none leaves later than its ttl allows. Method: the executor
// as a process, a venue in Python that forgets on demand, a scripted broker stage.
#include "tests/fix/desk.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>

namespace millrace::fix::test {
namespace {

bridge::Command cancel_command(std::uint64_t intent, const bridge::Command& order) {
    bridge::Command command = open_command(intent);
    command.type = static_cast<std::uint8_t>(CommandType::Cancel);
    command.order_ticket = order.magic;
    return command;
}

// Each side may miss numbers of the other at a logon. What we send before we hear of it has too
// high a number for the venue, and the gap fill that it then asks for counts it as said.
TEST_F(FixExecutor, GivesUpAnOrderThatAGapFillPassedOver) {
    start();
    venue.control(R"("cmd": "numbers", "in": 1)");
    const auto command = open_command(1);
    send(command);
    send(query_command(command.magic));  // as the engine does when an answer is overdue
    EXPECT_TRUE(is(next(command.magic), ReportType::QueryAbsent));
    EXPECT_EQ(venue.stat("orders"), 0);
    EXPECT_EQ(answer_to(open_command(1, 1)).retcode, retcode::kDone);
    EXPECT_EQ(venue.executions().size(), 1U);
}

TEST_F(FixExecutor, SubscribesAgainWhenAGapFillPassedOverTheFirstRequest) {
    start();
    venue.control(R"("cmd": "numbers", "in": 1)");
    venue.control(R"("cmd": "logon", "do": "late")");
    venue.control(R"("cmd": "drop")");
    ASSERT_TRUE(eventually([&] { return venue.stat("logons") == 2; })) << text("log");
    venue.control(R"("cmd": "quote", "symbol": "EURUSD", "bid": "1.2", "ask": "1.3")");
    EXPECT_TRUE(stage.wait_tick(120'000'000, 130'000'000)) << text("j/fix/venue/messages.log");
}

TEST_F(FixExecutor, GivesUpACancelThatTheVenueForgot) {
    start();
    const auto order = limit_command(1);
    EXPECT_EQ(answer_to(order).retcode, retcode::kPlaced);
    venue.control(R"("cmd": "change", "do": "ignore")");
    const auto cancel = cancel_command(2, order);
    send(cancel);
    send(query_command(cancel.magic));
    EXPECT_TRUE(is(next(cancel.magic), ReportType::QueryAbsent));
    venue.control(R"("cmd": "change", "do": "take")");
    EXPECT_EQ(answer_to(cancel_command(2, order)).retcode, 0U) << "sent again under its old name";
    EXPECT_EQ(answer_to(cancel_command(3, order)).retcode, retcode::kDone);
}

// The journal says that it came to nothing, the order file not yet: a death between the two.
TEST_F(FixExecutor, TakesNoOrderForWorkingThatItsJournalHasGivenUp) {
    start();
    venue.control(R"("cmd": "next", "do": "unread")");
    const auto lost = open_command(1);
    EXPECT_EQ(answer_to(lost).retcode, retcode::kConnection);
    const std::string orders = folder / "j/fix/venue/orders";
    std::filesystem::copy_file(orders, folder / "orders before");
    EXPECT_TRUE(is(next(lost.magic), ReportType::QueryAbsent));
    executor.kill9();
    stage.close();
    std::filesystem::copy_file(folder / "orders before", orders,
                               std::filesystem::copy_options::overwrite_existing);
    const std::size_t at = text("j/fix/venue/messages.log").size();
    start_executor();
    open_session();
    wait_trading();
    // As long as it works, it is asked for at each logon.
    const int asked = venue.stat("status");
    const auto pending = limit_command(2);
    EXPECT_EQ(answer_to(pending).retcode, retcode::kPlaced);
    venue.control(R"("cmd": "drop")");
    ASSERT_TRUE(eventually([&] { return venue.stat("status") > asked; })) << "the pending one";
    wait_trading();
    std::istringstream said{text("j/fix/venue/messages.log").substr(at)};
    for (std::string line; std::getline(said, line);) {
        const bool ours = line.find(" > ") != std::string::npos;
        EXPECT_FALSE(ours && line.find("11=" + id_of(lost)) != std::string::npos) << line;
    }
    EXPECT_EQ(text("log").find("does not know an order"), std::string::npos) << text("log");
}

// Nobody asks for the executor's own orders. One that is overdue must not bar the flattening.
TEST_F(FixExecutor, FlattensAgainWhenTheVenueForgotTheFirstTime) {
    start();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "next", "do": "ignore")");
    bridge::Kill kill{};
    kill.kill_id = 1;
    kill.actions = kKillFlatten;
    stage.send_kill(kill);
    ASSERT_TRUE(eventually([&] { return venue.executions().size() == 2; })) << text("log");
    EXPECT_EQ(venue.executions()[1].side, '2');
}

// Executed and not told: while it is open what became of it, the position is not known.
TEST_F(FixExecutor, FlattensOnceWhereTheVenueDoesNotTell) {
    start();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "next", "do": "silent")");
    bridge::Kill kill{};
    kill.kill_id = 1;
    kill.actions = kKillFlatten;
    stage.send_kill(kill);
    // By then the kill has looked twice whether something is left to be closed.
    ASSERT_TRUE(
        eventually([&] { return text("log").find("ALERT in doubt") != std::string::npos; }));
    EXPECT_EQ(venue.executions().size(), 2U);
    venue.control(R"("cmd": "status", "do": "answer")");
    for (bool closed = false; !closed;) {
        const auto event = stage.next_event(180'000);
        ASSERT_TRUE(event.has_value()) << text("log") << text("j/fix/venue/messages.log");
        closed = static_cast<ExecKind>(event->second.exec_kind) == ExecKind::ClosedByKill;
    }
    EXPECT_EQ(venue.executions().size(), 2U);
}

TEST_F(FixExecutor, TakesTheWordOfAMassStatusWhereSingleRequestsAreNotAnswered) {
    start();
    venue.control(R"("cmd": "status", "do": "mass")");
    venue.control(R"("cmd": "next", "do": "quiet")");
    const auto order = limit_command(1);
    send(order);
    ASSERT_TRUE(eventually([&] { return venue.stat("orders") == 1; }));
    venue.control(R"("cmd": "drop")");
    EXPECT_EQ(next(order.magic).retcode, retcode::kConnection);
    const Event found = next(order.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.ord_status, static_cast<std::uint8_t>(OrdStatus::New));
}

// A reset of sequence numbers takes the report's number with it: nothing asks for it again.
TEST_F(FixExecutor, FindsWhatWasExecutedAlthoughTheVenuesNumbersBeganAnew) {
    start();
    // Far ahead, so that the old number is not reached by counting refused logons.
    venue.control(R"("cmd": "numbers", "out": 1000)");
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    venue.control(R"("cmd": "next", "do": "silent")");
    const auto command = open_command(2);
    send(command);
    ASSERT_TRUE(eventually([&] { return venue.executions().size() == 2; }));
    venue.control(R"("cmd": "numbers", "out": 1)");
    venue.control(R"("cmd": "drop")");
    EXPECT_EQ(next(command.magic).retcode, retcode::kConnection);
    const Event found = next(command.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
    EXPECT_NE(text("log").find("went back"), std::string::npos) << text("log");
    EXPECT_EQ(venue.executions().size(), 2U);
}

// The answer of the first life is in the journal, the order itself no longer on disk.
TEST_F(FixExecutor, AsksForWhatOnlyTheIntentJournalKnows) {
    start();
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "next", "do": "lost")");
    const auto command = open_command(1);
    EXPECT_EQ(answer_to(command).retcode, retcode::kConnection);
    executor.kill9();
    stage.close();
    std::filesystem::remove(folder / "j/fix/venue/orders");
    venue.control(R"("cmd": "status", "do": "answer")");
    start_executor();
    open_session();
    const Event found = next(command.magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
}

// A command waits in the socket as long as the process stands still: its ttl goes on.
TEST_F(FixExecutor, SendsNothingThatExpiredWhileItWasPaused) {
    start();
    executor.pause();
    bridge::Command command = open_command(1);
    command.ttl_ms = 700;
    send(command);
    std::this_thread::sleep_for(std::chrono::milliseconds{1'500});  // the ttl has to pass
    executor.go_on();
    const Event event = next(command.magic);
    EXPECT_TRUE(is(event, ReportType::Unsent));
    EXPECT_EQ(event.ord_status, static_cast<std::uint8_t>(OrdStatus::Expired));
    EXPECT_EQ(venue.stat("orders"), 0);
    command = open_command(2);
    command.ttl_ms = 600'000;
    wait_trading();  // the venue may have given it up meanwhile
    EXPECT_EQ(answer_to(command).retcode, retcode::kDone);
}

/// The executor tells in which order it writes, flushes and sends.
class FixExecutorDisk : public FixExecutor {
protected:
    void start_watched() {
        start_venue();
        ::setenv("LD_PRELOAD", MILLRACE_DISK_ORDER_LIBRARY, 1);
        ::setenv("MILLRACE_DISK_ORDER", (folder / "steps").c_str(), 1);
        ::setenv("MILLRACE_DISK_HOLD", (folder / "hold").c_str(), 1);
        start_executor();
        ::unsetenv("LD_PRELOAD");
        ::unsetenv("MILLRACE_DISK_ORDER");
        ::unsetenv("MILLRACE_DISK_HOLD");
        open_session();
        wait_trading();
    }
    /// What had been written and not flushed when the first order was sent.
    std::set<std::string> unflushed() const {
        std::set<std::string> dirty;
        std::ifstream file{folder / "steps"};
        for (std::string what, name; file >> what >> name && what != "send";) {
            if (what == "write") {
                dirty.insert(name);
            } else {
                dirty.erase(name);
            }
        }
        return dirty;
    }
};

TEST_F(FixExecutorDisk, HasIntentOrderAndNumberOnDiskBeforeTheOrderLeaves) {
    start_watched();
    EXPECT_EQ(answer_to(open_command(1)).retcode, retcode::kDone);
    const std::string steps = text("steps");
    ASSERT_NE(steps.find("send order"), std::string::npos);
    for (const char* file : {"write intents", "write orders", "write numbers"}) {
        EXPECT_LT(steps.find(file), steps.find("send order")) << file;
    }
    EXPECT_EQ(unflushed(), std::set<std::string>{}) << steps;
}

TEST_F(FixExecutorDisk, SendsNothingThatExpiredWhileTheDiskWasSlow) {
    start_watched();
    std::ofstream{folder / "hold"};
    bridge::Command command = open_command(1);
    command.ttl_ms = 3'000;  // a stall of that length would end it before the disk does
    send(command);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(folder / "hold.waits"); }));
    std::this_thread::sleep_for(std::chrono::milliseconds{3'100});  // the ttl has to pass
    std::filesystem::remove(folder / "hold");
    const Event event = next(command.magic);
    EXPECT_TRUE(is(event, ReportType::Unsent));
    EXPECT_EQ(event.ord_status, static_cast<std::uint8_t>(OrdStatus::Expired));
    EXPECT_EQ(venue.stat("orders"), 0);
}

}  // namespace
}  // namespace millrace::fix::test
