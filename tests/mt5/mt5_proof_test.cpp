// Goal: nothing is called absent, refused or vouched for that the broker may have executed, and a
// command that waited is as old as it is. Method: as mt5_order_test, with the journal taken away,
// put back from an older copy or damaged, and answers that the account shows late or never.
#include "shm/clock.h"
#include "tests/mt5/mt5_world.h"

namespace millrace::mt5::test {
namespace {

namespace fs = std::filesystem;

class Proof : public World {
protected:
    /// One answer to a look-up.
    bridge::Event ask(std::uint64_t magic) {
        desk.query(magic);
        EXPECT_TRUE(desk.until([&] { return desk.told[magic].query.has_value(); }));
        return desk.told[magic].query.value_or(bridge::Event{});
    }
    /// Until the new journal's session is up and the account can be believed.
    void lose_journal() {
        desk.info = {};
        desk.synced = false;
        host->control(R"("cmd":"lose_journal")");
        ASSERT_TRUE(desk.until([&] { return desk.synced && desk.info.permissions == 1; }));
    }
    void keep_copy() {
        fs::remove_all(dir.path("copy"));
        fs::copy(dir.path("files"), dir.path("copy"), fs::copy_options::recursive);
    }
    /// Executed; then the computer dies and takes along what the journal wrote since the copy.
    /// Comes back with `knob`, and the command is sent again.
    void cut_power_after_execution_of(const bridge::Command& command, const char* knob = nullptr) {
        keep_copy();
        host->knob("crash_send", 2);
        desk.submit(command);
        ASSERT_TRUE(desk.until([&] { return host->died(); }));
        ASSERT_EQ(booked(dir, Magic{command.magic}.intent()).executions, 1U);
        put_copy_back();
        host->at_start(booted_now());
        if (knob != nullptr) {
            host->at_start(knob);
        }
        host->start();
        ASSERT_TRUE(desk.until([&] { return desk.sessions == 2; }));
    }
    /// The computer came up a second ago, and stays up over later starts: a moment, not a duration,
    /// which would move with the time between them. (So late that it is a restart also on a
    /// machine that was itself started just before this.)
    static std::string booted_now() {
        const std::int64_t ms = wall_ns() / 1'000'000 - 1'000;
        return "booted_at_ms=" + std::to_string(ms);
    }
    void put_copy_back() {
        fs::remove_all(dir.path("files"));
        fs::copy(dir.path("copy"), dir.path("files"), fs::copy_options::recursive);
    }
};

TEST_F(Proof, ACommandThatWaitedInTheSocketDuringABlockingCallIsAsOldAsThatCall) {
    begin({.knobs = {"busy_ms=700"}});
    std::vector<std::uint64_t> magics;
    for (std::uint64_t intent = 1; intent <= 5; ++intent) {
        bridge::Command command = open(intent);
        command.ttl_ms = 300;
        magics.push_back(desk.submit(command));
    }
    std::size_t expired = 0;
    for (const std::uint64_t magic : magics) {
        ASSERT_TRUE(desk.until_answered(magic));
        expired += has_status(desk.told[magic].outcomes.back(), OrdStatus::Expired) ? 1U : 0U;
    }
    // A slow machine may let the first expire too.
    EXPECT_GE(expired, 4U);
    EXPECT_EQ(number("positions") + expired, magics.size());
}

TEST_F(Proof, ACommandIsAcknowledgedBeforeItsBlockingCallAndAnsweredBeforeTheNextOne) {
    begin({.knobs = {"busy_ms=100"}});
    std::vector<std::uint64_t> magics;
    for (std::uint64_t intent = 1; intent <= 4; ++intent) {
        magics.push_back(desk.submit(open(intent)));
    }
    for (const std::uint64_t magic : magics) {
        ASSERT_TRUE(desk.until_answered(magic));
    }
    ASSERT_EQ(desk.acked_at_busy.size(), magics.size());
    for (std::size_t i = 0; i < magics.size(); ++i) {
        EXPECT_GE(desk.acked_at_busy[i], i + 1) << "unacknowledged while it is at the server";
        EXPECT_GE(desk.answers_at_busy[i], i) << "the answer before waited for the batch";
    }
}

TEST_F(Proof, WhatTheServerCalledDoneIsNeverAbsentHoweverLateTheAccountShowsIt) {
    begin(
        {.inputs = {"InpAnswerMs=100"}, .knobs = {"history_delay_ms=600000"}, .settle_ms = "300"});
    const bridge::Event& done = answer_to(open(1));
    EXPECT_TRUE(has_status(done, OrdStatus::InDoubt));
    EXPECT_NE(done.order_ticket, 0U) << "the ticket that the server gave";
    // The settling time of a later one has passed: so has that of the first.
    host->fault(R"("kind":"retcode","code":10012)");
    EXPECT_EQ(answer_to(open(2)).retcode, 10012U);
    EXPECT_TRUE(is(desk.resolve(open(2).magic), ReportType::QueryAbsent));
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(is(ask(open(1).magic), ReportType::QueryUnknown));
    }
    host->kill9();
    host->start();  // where all of the history is there
    const bridge::Event found = desk.resolve(open(1).magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
}

TEST_F(Proof, AfterAPowerCutThatTookTheNewestRecordsWhatIsSentAgainIsFoundInTheAccountNotExecuted) {
    desk.resends = desk.expects_rollback = true;
    begin({.settle_ms = "600000"});
    cut_power_after_execution_of(open(1));
    EXPECT_EQ(desk.hello.permissions & bridge::kHelloJournalSuspect, bridge::kHelloJournalSuspect);
    ASSERT_TRUE(desk.until_answered(open(1).magic));
    EXPECT_EQ(desk.told[open(1).magic].outcomes.back().retcode, kDone);
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(Proof, AfterAPowerCutWhatTheAccountDoesNotShowYetIsInDoubtNotExecutedAgain) {
    desk.resends = desk.expects_rollback = true;
    begin({.settle_ms = "600000"});
    cut_power_after_execution_of(open(1), "incomplete_ms=600000");
    ASSERT_TRUE(desk.until_answered(open(1).magic));
    EXPECT_TRUE(has_status(desk.told[open(1).magic].outcomes.back(), OrdStatus::InDoubt));
    desk.resends = false;
    EXPECT_TRUE(is(ask(open(1).magic), ReportType::QueryUnknown));
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(Proof, ATailOfZerosIsALossAndItsSilenceProvesNothing) {
    begin({.settle_ms = "600000"});
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == 1; }));
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);  // it vouches now
    const fs::path journal = journal_file(dir, ".a");
    host->knob("crash_send", 2);
    desk.submit(open(2));
    ASSERT_TRUE(desk.until([&] { return desk.rx_acked == 2; })) << "so it is not sent again";
    ASSERT_NE(host->wait_end(), -1);
    constexpr std::uintmax_t kReceivedAndSending = 152 + 16;  // the last two records
    const auto bytes = fs::file_size(journal);
    fs::resize_file(journal, bytes - kReceivedAndSending);
    fs::resize_file(journal, bytes);
    desk.expects_rollback = true;
    desk.synced = false;
    host->at_start("no_history=1");
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
    EXPECT_TRUE(is(ask(open(2).magic), ReportType::QueryUnknown)) << "it is in the books";
    EXPECT_EQ(booked(dir, 2).executions, 1U);
    EXPECT_FALSE(journal_file(dir, ".b").empty()) << "written anew";
    EXPECT_FALSE(journal_file(dir, ".a").empty()) << "and the one before is kept";
}

TEST_F(Proof, ARestartOfTheComputerAfterAnOrderlyEndLeavesTheJournalVouching) {
    begin({.settle_ms = "600000"});
    ASSERT_TRUE(desk.until([&] { return desk.info.permissions == 1; }));
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->stop();
    desk.synced = false;
    host->at_start(booted_now());
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
    EXPECT_EQ(desk.hello.permissions & bridge::kHelloJournalSuspect, 0);
    EXPECT_TRUE(is(ask(open(9).magic), ReportType::QueryAbsent));
}

TEST_F(Proof, ARestartOfTheComputerWithoutAnOrderlyEndMakesItVouchFromTheNextEntryOn) {
    begin({.settle_ms = "600000"});
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->kill9();
    desk.synced = false;
    desk.info = {};
    host->at_start(booted_now());
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.synced && desk.info.permissions == 1; }));
    EXPECT_TRUE(is(ask(open(5).magic), ReportType::QueryUnknown));
    EXPECT_EQ(answer_to(open(7)).retcode, kDone) << "never sent before: no need to look";
    EXPECT_TRUE(is(ask(open(5).magic), ReportType::QueryUnknown));
    EXPECT_TRUE(is(ask(open(8).magic), ReportType::QueryAbsent));
    host->kill9();
    desk.synced = false;
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.synced; }));
    EXPECT_EQ(desk.hello.permissions & bridge::kHelloJournalSuspect, 0) << "told once";
}

TEST_F(Proof, AResentCommandThatAnIntactJournalNeverHadIsExecutedOnce) {
    begin({.settle_ms = "600000"});
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    host->kill9();
    desk.resends = true;
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.sessions == 2; }));
    EXPECT_EQ(answer_to(open(2)).retcode, kDone);
    EXPECT_EQ(booked(dir, 2).executions, 1U);
}

TEST_F(Proof, AnUnlistedCodeIsOpenAndItsLateExecutionIsFound) {
    begin({.inputs = {"InpAnswerMs=100"}, .settle_ms = "600000"});
    host->knob("history_delay_ms", 600'000);
    host->fault(R"("kind":"retcode","code":10005,"executed":true)");
    EXPECT_TRUE(has_status(answer_to(open(1)), OrdStatus::InDoubt));
    EXPECT_TRUE(is(ask(open(1).magic), ReportType::QueryUnknown));
    host->kill9();
    host->start();
    EXPECT_TRUE(is(desk.resolve(open(1).magic), ReportType::QueryFound));
}

TEST_F(Proof, AJournalPutBackFromAnOlderCopyVouchesForNothingEvenAfterAnEarlierLoss) {
    begin({.settle_ms = "600000"});
    EXPECT_EQ(answer_to(open(10)).retcode, kDone);
    lose_journal();
    EXPECT_EQ(answer_to(open(20)).retcode, kDone);  // sets the floor
    host->kill9();
    keep_copy();
    host->start();
    EXPECT_EQ(answer_to(open(21)).retcode, kDone);
    host->kill9();
    put_copy_back();
    desk.expects_rollback = true;
    desk.synced = false;
    host->start();
    ASSERT_TRUE(desk.until([&] { return desk.sessions == 4 && desk.synced; }));
    host->knob("no_history", 1);
    EXPECT_TRUE(is(ask(open(21).magic), ReportType::QueryUnknown)) << "it is in the books";
    EXPECT_EQ(booked(dir, 21).executions, 1U);
}

TEST_F(Proof, AnEntryThatWasHeldBackDoesNotVouchForThoseHandedOutBeforeTheLoss) {
    begin({.settle_ms = "600000"});
    EXPECT_EQ(answer_to(open(50)).retcode, kDone);
    EXPECT_EQ(answer_to(open(52)).retcode, kDone);
    lose_journal();
    EXPECT_EQ(answer_to(open(51)).retcode, kDone);
    host->knob("no_history", 1);
    EXPECT_TRUE(is(ask(open(52).magic), ReportType::QueryUnknown)) << "the account shows it";
    EXPECT_TRUE(is(ask(open(60).magic), ReportType::QueryAbsent)) << "above everything";
}

TEST_F(Proof, WhatIsAskedAboutAfterALossIsNotVouchedForByALowerEntry) {
    begin({.settle_ms = "600000"});
    lose_journal();
    EXPECT_TRUE(is(ask(open(52).magic), ReportType::QueryUnknown));
    EXPECT_EQ(answer_to(open(51)).retcode, kDone);
    EXPECT_TRUE(is(ask(open(52).magic), ReportType::QueryUnknown));
    EXPECT_TRUE(is(ask(open(53).magic), ReportType::QueryAbsent));
}

TEST_F(Proof, AnEmptyAccountDoesNotMakeANewJournalVouch) {
    begin({.settle_ms = "600000"});
    EXPECT_TRUE(is(ask(open(7).magic), ReportType::QueryUnknown));
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    EXPECT_TRUE(is(ask(open(7).magic), ReportType::QueryUnknown)) << "asked about before";
    EXPECT_TRUE(is(ask(open(8).magic), ReportType::QueryAbsent));
}

}  // namespace
}  // namespace millrace::mt5::test
