// Goal: whatever is killed comes back, nothing runs twice, a stop is orderly, and an operator gets
// through. Method: the real executable as child processes, hit with signals.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>

#include "shm/layout.h"
#include "shm/role.h"
#include "tests/ops/pipeline_fixture.h"

namespace millrace {
namespace {

using test::eventually;
using test::Finished;
using test::pid_of;
using test::Pipeline;
using test::runs;

constexpr StageId kKillable[] = {StageId::Ingress, StageId::Broker, StageId::Journal,
                                 StageId::Replica, StageId::Sqlite, StageId::Engine};

std::uint64_t generation(const Segment& s, StageId id) {
    return s.stage(id).generation.load(std::memory_order_relaxed);
}

TEST(Supervisor, StartsEveryStageAndStopsCleanOnSigterm) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    {
        // What `inspect` shows as its recovery: from its exec, before the segment was made, until
        // it watches the stages.
        const Segment s = p.attach();
        const StageEntry& self = s.stage(StageId::Supervisor);
        EXPECT_TRUE(eventually([&] { return self.running_ns.load() > s.header().created_ns; }));
        EXPECT_LT(self.started_ns.load(), s.header().created_ns);
    }
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
    EXPECT_NE(p.log().find("stopped clean"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(p.segment_path()));
    for (const StageId id : kKillable) {
        EXPECT_EQ(RoleLock::holder_pid(p.journal_dir(), stage_name(id)), 0) << stage_name(id);
    }
}

TEST(Supervisor, BringsBackEveryStageThatIsKilled) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    for (const StageId id : kKillable) {
        const std::uint64_t before = generation(s, id);
        const int victim = pid_of(s, id);
        ::kill(victim, SIGKILL);
        ASSERT_TRUE(eventually([&] {
            return generation(s, id) > before && runs(s, id) && pid_of(s, id) != victim;
        })) << stage_name(id);
    }
    ASSERT_TRUE(p.wait_running());
    EXPECT_EQ(p.run({"account", "pause", "a1"}).status, 0);
}

TEST(Supervisor, GivesTheEngineToTheSpareWhenItDies) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    const int spare = pid_of(s, StageId::Replica);
    ::kill(pid_of(s, StageId::Engine), SIGKILL);
    ASSERT_TRUE(eventually([&] { return pid_of(s, StageId::Engine) == spare; }));
    EXPECT_TRUE(eventually(
        [&] { return runs(s, StageId::Replica) && pid_of(s, StageId::Replica) != spare; }));
}

TEST(Supervisor, AdoptsRunningStagesAfterItsOwnDeath) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    std::vector<int> before;
    for (const StageId id : kKillable) {
        before.push_back(pid_of(s, id));
    }
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    p.up("second.log");
    ASSERT_TRUE(
        eventually([&] { return p.log("second.log").find("terminals on") != std::string::npos; }));
    std::vector<int> after;
    for (const StageId id : kKillable) {
        after.push_back(pid_of(s, id));
    }
    EXPECT_EQ(before, after);
    // And it watches them: an adopted one that dies comes back too.
    ::kill(pid_of(s, StageId::Broker), SIGKILL);
    EXPECT_TRUE(eventually(
        [&] { return runs(s, StageId::Broker) && pid_of(s, StageId::Broker) != before[1]; }));
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
    EXPECT_NE(p.log("second.log").find("stopped clean"), std::string::npos) << p.log("second.log");
}

TEST(Supervisor, RefusesASecondUpAndNamesTheFirst) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Finished second = p.run({"up"});
    EXPECT_EQ(second.status, 3);
    EXPECT_NE(
        second.output.find("another `millrace up` (pid " + std::to_string(p.supervisor()) + ")"),
        std::string::npos)
        << second.output;
}

TEST(Supervisor, RefusesASecondOwnerOfEachRoleByThePidOfTheFirst) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    const int broker = pid_of(s, StageId::Broker);
    ::kill(broker, SIGSTOP);  // paused, not dead: the role is still its own
    for (const StageId id :
         {StageId::Broker, StageId::Journal, StageId::Ingress, StageId::Sqlite}) {
        const Finished second = p.run({"stage", stage_name(id)});
        EXPECT_EQ(second.status, 3) << second.output;
        EXPECT_NE(second.output.find("(pid " + std::to_string(pid_of(s, id)) + ")"),
                  std::string::npos)
            << second.output;
    }
    ::kill(broker, SIGCONT);
    EXPECT_EQ(pid_of(s, StageId::Broker), broker);
}

TEST(Supervisor, GoesOnFromTheJournalWhenTheSegmentIsLost) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    ASSERT_EQ(p.run({"account", "pause", "a1"}).status, 0);
    ::unlink(p.segment_path().c_str());
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    const Finished refused = p.run({"up"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.output.find("stages of this journal are alive: engine (pid"),
              std::string::npos)
        << refused.output;
    const Finished down = p.run({"down"});
    EXPECT_EQ(down.status, 5) << "killed is not drained: " << down.output;
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_TRUE(eventually(
        [&] { return p.run({"account", "list"}).output.find("INACTIVE") != std::string::npos; }));
}

/// The version field lies right behind the magic; both headers carry it.
void overwrite(const std::string& path, std::uint64_t at, std::uint32_t value) {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(static_cast<std::streamoff>(at));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

TEST(Supervisor, RefusesASegmentOfAnotherBuildAndLeavesIt) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    p.kill_all();
    overwrite(p.segment_path(), offsetof(SegmentHeader, layout_version), kLayoutVersion + 1);
    const auto bytes = std::filesystem::file_size(p.segment_path());
    const Finished up = p.run({"up"});
    EXPECT_EQ(up.status, 1);
    EXPECT_NE(up.output.find("was made by another build"), std::string::npos) << up.output;
    EXPECT_EQ(std::filesystem::file_size(p.segment_path()), bytes);
}

TEST(Supervisor, PutsADamagedSegmentAsideAndGoesOnFromTheJournal) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    ASSERT_EQ(p.run({"account", "pause", "a1"}).status, 0);
    p.kill_all();
    overwrite(p.segment_path(), offsetof(SegmentHeader, total_bytes), 7);
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_TRUE(std::filesystem::exists(p.segment_path() + ".unusable"));
    EXPECT_TRUE(eventually(
        [&] { return p.run({"account", "list"}).output.find("INACTIVE") != std::string::npos; }));
    std::filesystem::remove(p.segment_path() + ".unusable");
}

TEST(Supervisor, GoesOnInASegmentWhereOneAccountsQueueIsDamagedAndStopsThatAccount) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    s.ring_control(s.find_ring("session.0")).read_cursor.store(1'000'000);
    const int broker = pid_of(s, StageId::Broker);
    ::kill(broker, SIGKILL);
    ASSERT_TRUE(eventually(
        [&] { return runs(s, StageId::Broker) && pid_of(s, StageId::Broker) != broker; }));
    const std::string told =
        "ALERT account 0 (login 1001) is stopped until a clean stop: ring session.0: ";
    EXPECT_TRUE(eventually([&] { return p.log().find(told) != std::string::npos; })) << p.log();
    p.kill_all();
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_FALSE(std::filesystem::exists(p.segment_path() + ".unusable"));
    const Finished errors = p.run({"inspect", "errors", p.segment_path()}, false);
    EXPECT_NE(errors.output.find(told), std::string::npos) << errors.output;
    EXPECT_EQ(p.run({"account", "pause", "a1"}).status, 0) << "the rest goes on";
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
    EXPECT_NE(p.log("second.log").find("stopped clean"), std::string::npos);
    p.up("third.log");
    ASSERT_TRUE(p.wait_running());
    EXPECT_EQ(p.run({"inspect", "errors", p.segment_path()}, false).output.find(told),
              std::string::npos)
        << "the next segment is a new one";
}

TEST(Supervisor, SaysWhyTheJournalDirectoryCannotBeUsed) {
    Pipeline p;
    p.dir().write("j", "a file where a folder should be");
    const Finished up = p.run({"up"});
    EXPECT_EQ(up.status, 1);
    EXPECT_NE(up.output.find("cannot make journal directory " + p.journal_dir()), std::string::npos)
        << up.output;
}

TEST(Supervisor, AnswersAConfigWithATypoByFileAndLine) {
    Pipeline p;
    p.write_config(",\n \"acounts\": []");
    const Finished up = p.run({"up"});
    EXPECT_EQ(up.status, 2);
    EXPECT_NE(up.output.find("acounts: is no known key; did you mean \"accounts\"?"),
              std::string::npos)
        << up.output;
}

TEST(Supervisor, StopsTheStagesOfADeadSupervisorByDown) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    const Finished down = p.run({"down"});
    EXPECT_EQ(down.status, 0);
    EXPECT_NE(down.output.find("stopped clean"), std::string::npos) << down.output;
    EXPECT_FALSE(std::filesystem::exists(p.segment_path()));
}

TEST(Supervisor, RunsAllStagesAsThreadsOfOneProcess) {
    Pipeline p;
    p.up("up.log", {"--threads"});
    ASSERT_TRUE(p.wait_running()) << p.log();
    {
        const Segment s = p.attach();
        EXPECT_EQ(pid_of(s, StageId::Journal), p.supervisor());
    }
    EXPECT_EQ(p.run({"account", "pause", "a1"}).status, 0);
    ::kill(p.supervisor(), SIGINT);
    EXPECT_EQ(p.wait_supervisor(), 0);
    EXPECT_NE(p.log().find("stopped clean"), std::string::npos);
}

TEST(Operator, AddsAccountAndMemberToARunningPipeline) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const std::string file = p.dir().write(
        "late.json", R"({"name": "late", "login": 9, "key": "00112233445566778899aabbccddeeff"})");
    const Finished add = p.run({"account", "add", file});
    EXPECT_EQ(add.status, 0) << add.output;
    const Finished member = p.run({"group", "member", "g", "late", "--value", "0.07"});
    EXPECT_EQ(member.status, 0) << member.output;
    EXPECT_NE(p.run({"account", "list"}).output.find("late"), std::string::npos);
    const Finished again = p.run({"account", "add", file});
    EXPECT_EQ(again.status, 1);
    EXPECT_NE(again.output.find("was added before"), std::string::npos) << again.output;
    EXPECT_EQ(p.run({"config", "check", p.config()}, false).status, 0);
}

TEST(Operator, LeavesNothingBehindWhenAnAddedAccountIsWrong) {
    Pipeline p;
    const std::string file = p.dir().write(
        "twin.json",
        R"({"name": "twin", "login": 1001, "key": "00112233445566778899aabbccddeeff"})");
    const Finished add = p.run({"account", "add", file});
    EXPECT_EQ(add.status, 2);
    EXPECT_NE(add.output.find("both have login 1001"), std::string::npos) << add.output;
    EXPECT_EQ(p.run({"config", "check", p.config()}, false).status, 0);
}

TEST(Operator, KillsGetThroughAndUnknownNamesAreAnswered) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Finished kill = p.run({"kill", "--group", "g", "--cancel", "--flatten"});
    EXPECT_EQ(kill.status, 0);
    EXPECT_NE(kill.output.find("broker stage told"), std::string::npos) << kill.output;
    EXPECT_NE(kill.output.find("engine told, "), std::string::npos) << kill.output;
    EXPECT_EQ(p.run({"unkill", "--group", "g"}).status, 0);
    const Finished typo = p.run({"kill", "--account", "a9"});
    EXPECT_EQ(typo.status, 1);
    EXPECT_NE(typo.output.find("no account is called \"a9\"; known: a1"), std::string::npos);
    EXPECT_NE(p.run({"kill"}).output.find("say exactly one of --all"), std::string::npos);
}

/// Leaves a record in the journal ring as an engine does that dies while it applies it.
/// @return its number.
std::uint64_t leave_in_flight(const Segment& s, const AdminRecord& admin) {
    auto ring = RingProducer<JournalRecord>::attach(s.ring<JournalRecord>("journal"));
    EXPECT_TRUE(ring.ok());
    JournalRecord record;
    record.seq = Sequence{ring.value().last()->seq.value + 1};
    record.time = s.clock().now();
    record.set_body(InputType::Admin, admin);
    EXPECT_TRUE(ring.value().try_publish(record).ok());
    return record.seq.value;
}

/// Kills engine and spare, and whichever of them took over meanwhile. @return nobody is left.
bool kill_core(const Pipeline& p, const Segment& s) {
    for (int i = 0; i < 2; ++i) {
        ::kill(pid_of(s, StageId::Replica), SIGKILL);
        ::kill(pid_of(s, StageId::Engine), SIGKILL);
    }
    return eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "engine") == 0; });
}

AdminRecord disable_first_account() {
    AccountCommand disable;
    disable.account = AccountId{0};
    disable.state = AccountState::Disabled;
    return AdminRecord::make(AdminOp::SetAccount, disable);
}

TEST(Operator, LiftsAHaltOnlyForTheRecordThatCausedItAndSkipsIt) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    // What a supervisor leaves after two deaths at one record: no core, the record, and the mark.
    ASSERT_TRUE(kill_core(p, s));
    const std::uint64_t at = leave_in_flight(s, disable_first_account());
    s.stage(StageId::Engine).state.store(static_cast<std::uint32_t>(StageState::Halted));
    p.up("second.log");
    ASSERT_TRUE(
        eventually([&] { return p.log("second.log").find("terminals on") != std::string::npos; }));
    EXPECT_EQ(RoleLock::holder_pid(p.journal_dir(), "engine"), 0) << "started a halted engine";
    EXPECT_NE(
        p.run({"recover", "--skip", std::to_string(at + 5)}).output.find("only the record that"),
        std::string::npos);
    const int broker = pid_of(s, StageId::Broker);
    const Finished dry = p.run({"recover", "--skip", std::to_string(at), "--dry-run"});
    EXPECT_NE(dry.output.find("record " + std::to_string(at) + " would be skipped"),
              std::string::npos)
        << dry.output;
    EXPECT_FALSE(std::filesystem::exists(p.journal_dir() + "/skip"));
    const Finished lifted = p.run({"recover", "--skip", std::to_string(at)});
    EXPECT_EQ(lifted.status, 0) << lifted.output;
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_NE(pid_of(s, StageId::Broker), broker);
    EXPECT_TRUE(eventually([&] { return s.core().replica_applied.load() > at; }));
    const std::string accounts = p.run({"account", "list"}).output;
    EXPECT_EQ(accounts.find("DISABLED"), std::string::npos) << accounts;
    EXPECT_NE(accounts.find("RECONCILING"), std::string::npos) << accounts;
    EXPECT_EQ(s.core().replica_hash_mismatch.load(), 0U);
}

TEST(Operator, FindsARecordThatWasLeftInFlightAppliedAfterAnOrdinaryDeath) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    ASSERT_TRUE(kill_core(p, s));
    (void)leave_in_flight(s, disable_first_account());
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_NE(p.run({"account", "list"}).output.find("DISABLED"), std::string::npos);
}

}  // namespace
}  // namespace millrace
