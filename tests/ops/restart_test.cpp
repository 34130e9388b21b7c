// Goal: a death is counted, and the next start delayed, by what the dead stage did, also if the
// hot spare had taken the engine's place before the supervisor looked. Method: the real executable;
// the supervisor is stopped by a signal while the engine dies and the spare takes over.
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "shm/clock.h"
#include "shm/role.h"
#include "tests/ops/pipeline_fixture.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/poison.h"

namespace millrace {
namespace {

using test::eventually;
using test::pid_of;
using test::Pipeline;
using test::runs;

std::uint32_t restarts(const Segment& s, StageId id) {
    return s.stage(id).restarts.load(std::memory_order_relaxed);
}

bool both_cores_run(const Segment& s) {
    return runs(s, StageId::Engine) && runs(s, StageId::Replica) &&
           pid_of(s, StageId::Engine) != pid_of(s, StageId::Replica);
}

/// Waits until the supervisor has looked at all stages once more. Two heartbeats: what it saw
/// before the first one may have been seen before this call.
bool supervisor_has_looked(const Segment& s) {
    const auto& heartbeat = s.stage(StageId::Supervisor).heartbeat_ns;
    for (int beats = 0; beats < 2; ++beats) {
        const std::int64_t before = heartbeat.load(std::memory_order_relaxed);
        if (!eventually([&] { return heartbeat.load(std::memory_order_relaxed) != before; })) {
            return false;
        }
    }
    return true;
}

/// The engine dies and the spare takes over while the supervisor sees nothing of it.
void kill_engine_unnoticed(const Pipeline& p, const Segment& s) {
    ::kill(p.supervisor(), SIGSTOP);
    const int spare = pid_of(s, StageId::Replica);
    ::kill(pid_of(s, StageId::Engine), SIGKILL);
    EXPECT_TRUE(eventually([&] { return pid_of(s, StageId::Engine) == spare; }));
    ::kill(p.supervisor(), SIGCONT);
}

TEST(Restart, OfTheEngineIsCountedThoughTheSpareHadItsPlaceBeforeItWasNoticed) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ASSERT_TRUE(supervisor_has_looked(s));
    for (std::uint32_t round = 1; round <= 2; ++round) {
        kill_engine_unnoticed(p, s);
        ASSERT_TRUE(eventually([&] { return restarts(s, StageId::Engine) == round; })) << p.log();
        ASSERT_TRUE(eventually([&] { return both_cores_run(s); }));
        ASSERT_TRUE(supervisor_has_looked(s));
    }
    EXPECT_EQ(restarts(s, StageId::Replica), 0U);
}

TEST(Restart, FollowsAtOnceOnDeathsOfAnEngineThatWorkedWhoeverHasItsPlace) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    for (std::uint32_t round = 1; round <= 4; ++round) {
        ASSERT_EQ(p.run({"account", round % 2 == 0 ? "resume" : "pause", "a1"}).status, 0);
        ASSERT_TRUE(supervisor_has_looked(s));
        kill_engine_unnoticed(p, s);
        ASSERT_TRUE(eventually([&] { return both_cores_run(s); })) << p.log();
    }
    EXPECT_EQ(p.log().find("starts again in 200 ms"), std::string::npos) << p.log();
}

TEST(Restart, WaitsLongerAndLongerForAnEngineThatDiesWithoutWorkUnderASpare) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    // Nothing is sent: whoever becomes the engine only takes the place. The two cores die in turn,
    // so each of them needs a death more until its wait grows.
    for (std::uint32_t round = 1; round <= 7; ++round) {
        ASSERT_TRUE(eventually([&] { return both_cores_run(s); })) << p.log();
        ASSERT_TRUE(supervisor_has_looked(s));
        ::kill(pid_of(s, StageId::Engine), SIGKILL);
        ASSERT_TRUE(eventually([&] { return restarts(s, StageId::Engine) == round; }));
    }
    for (const char* wait : {"starts again in 200 ms", "starts again in 400 ms"}) {
        EXPECT_NE(p.log().find(wait), std::string::npos) << wait;
    }
}

/// Leaves a record in the journal ring as an engine does that dies while it applies it.
/// @param poisoned every engine dies of it: its time is before that of the record before it.
Sequence leave_in_flight(const Segment& s, bool poisoned) {
    auto ring = RingProducer<JournalRecord>::attach(s.ring<JournalRecord>("journal"));
    EXPECT_TRUE(ring.ok());
    JournalRecord record;
    record.seq = Sequence{ring.value().last()->seq.value + 1};
    record.time = poisoned ? Nanos{1} : s.clock().now();
    record.type = InputType::Continue;
    EXPECT_TRUE(ring.value().try_publish(record).ok());
    return record.seq;
}

bool is_halted(const Segment& s) {
    return s.stage(StageId::Engine).state.load() == static_cast<std::uint32_t>(StageState::Halted);
}

/// Makes the second of the two cores the engine, whose end the supervisor then looks at last.
void let_core_1_be_the_engine(const Pipeline& p, const Segment& s) {
    const auto is_it = [&] {
        const std::string pid = std::to_string(pid_of(s, StageId::Engine));
        return p.log().find("core-1: started, pid " + pid + "\n") != std::string::npos;
    };
    if (!is_it()) {
        ::kill(pid_of(s, StageId::Engine), SIGKILL);
        ASSERT_TRUE(eventually([&] { return both_cores_run(s) && is_it(); })) << p.log();
    }
}

std::string death_alert(Sequence seq) {
    return "ALERT the engine died twice at record " + std::to_string(seq.value);
}

TEST(Restart, IsGivenUpWhenEngineAndSpareDieOfOneRecord) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    const int engine = pid_of(s, StageId::Engine);
    const int spare = pid_of(s, StageId::Replica);
    ::kill(p.supervisor(), SIGSTOP);
    ::kill(engine, SIGSTOP);
    ::kill(spare, SIGSTOP);
    // A record that is in flight when both of them crash by themselves.
    const Sequence at = leave_in_flight(s, false);
    for (const int pid : {engine, spare}) {
        ::kill(pid, SIGSEGV);
        ::kill(pid, SIGCONT);
    }
    ASSERT_TRUE(eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "engine") == 0; }));
    ::kill(p.supervisor(), SIGCONT);
    EXPECT_TRUE(eventually([&] { return p.log().find(death_alert(at)) != std::string::npos; }))
        << p.log();
    EXPECT_TRUE(is_halted(s));
    const std::string second = "; not started again: the engine is halted, see the ALERT";
    EXPECT_TRUE(eventually([&] { return p.log().find(second) != std::string::npos; })) << p.log();
    EXPECT_EQ(p.log().find("starts again", p.log().find(death_alert(at))), std::string::npos)
        << p.log();
}

TEST(Restart, GoesOnWhenEngineAndSpareHungAndWereKilledAtOnce) {
    constexpr std::int64_t kStuckMs = 2'000;
    Pipeline p{kStuckMs};
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ASSERT_TRUE(supervisor_has_looked(s));
    const int engine = pid_of(s, StageId::Engine);
    const int spare = pid_of(s, StageId::Replica);
    ::kill(engine, SIGSTOP);
    ::kill(spare, SIGSTOP);
    const std::int64_t stopped_ns = monotonic_ns();
    ASSERT_TRUE(supervisor_has_looked(s));  // they stand still, and no work waits
    ::kill(p.supervisor(), SIGSTOP);
    const Sequence at = leave_in_flight(s, false);
    // Whether it has its answer in time, after all this, is not what is asked here.
    std::thread operation{[&] { (void)p.run({"account", "pause", "a1"}); }};
    const std::int64_t both_hang_ns = stopped_ns + 2 * kStuckMs * 1'000'000;
    EXPECT_TRUE(eventually([&] {
        return has_backlog(s, s.stage(StageId::Engine)) &&
               has_backlog(s, s.stage(StageId::Replica)) && monotonic_ns() > both_hang_ns;
    }));
    ASSERT_EQ(record_in_flight(s), at);
    ::kill(p.supervisor(), SIGCONT);
    EXPECT_TRUE(eventually([&] {
        return both_cores_run(s) && pid_of(s, StageId::Engine) != engine &&
               pid_of(s, StageId::Replica) != spare;
    })) << p.log();
    operation.join();
    EXPECT_EQ(engine_deaths(s, at), 1U);
    EXPECT_EQ(p.log().find(death_alert(at)), std::string::npos) << p.log();
    EXPECT_NE(p.log().find("starts again at once"), std::string::npos) << p.log();
}

TEST(Restart, IsGivenUpForTheDeathsThatWereCountedBeforeTheSupervisorLooked) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    let_core_1_be_the_engine(p, s);
    const int engine = pid_of(s, StageId::Engine);
    const int spare = pid_of(s, StageId::Replica);
    for (const int pid : {p.supervisor(), engine, spare}) {
        ::kill(pid, SIGSTOP);
    }
    const Sequence at = leave_in_flight(s, false);
    note_engine_death(s, at);  // of an engine before these
    ::kill(spare, SIGKILL);    // nobody's fault
    ::kill(engine, SIGSEGV);
    ::kill(engine, SIGCONT);
    ASSERT_TRUE(eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "engine") == 0; }));
    EXPECT_EQ(engine_deaths(s, at), 2U);
    ::kill(p.supervisor(), SIGCONT);
    EXPECT_TRUE(eventually([&] { return p.log().find(death_alert(at)) != std::string::npos; }))
        << p.log();
    const std::string last = "core-1 (pid " + std::to_string(engine) + ") killed by signal";
    ASSERT_TRUE(eventually([&] { return p.log().find(last) != std::string::npos; })) << p.log();
    ASSERT_TRUE(supervisor_has_looked(s));
    EXPECT_TRUE(is_halted(s)) << "lifted by the end of the other core";
}

TEST(Restart, IsNotTriedByANewSupervisorAfterTwoDeathsThatNobodySaw) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    const int engine = pid_of(s, StageId::Engine);
    const int spare = pid_of(s, StageId::Replica);
    ::kill(engine, SIGSTOP);
    ::kill(spare, SIGSTOP);
    const Sequence at = leave_in_flight(s, true);
    ::kill(engine, SIGKILL);  // nobody's fault: not counted
    ::kill(spare, SIGCONT);
    ASSERT_TRUE(eventually([&] { return engine_deaths(s, at) == 1; }));
    ASSERT_TRUE(eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "engine") == 0; }));
    EXPECT_EQ(p.run({"stage", "core-0"}).status, 128 + SIGABRT);
    EXPECT_EQ(engine_deaths(s, at), 2U);
    p.up("second.log");
    ASSERT_TRUE(
        eventually([&] { return p.log("second.log").find("terminals on") != std::string::npos; }));
    EXPECT_NE(p.log("second.log").find(death_alert(at)), std::string::npos) << p.log("second.log");
    EXPECT_TRUE(is_halted(s));
    EXPECT_EQ(engine_deaths(s, at), 2U) << "a third engine was tried";
    // Taken out of the log, it stops nobody any more.
    ASSERT_EQ(p.run({"recover", "--skip", std::to_string(at.value)}).status, 0);
    EXPECT_FALSE(is_poison(s, at));
}

TEST(Restart, CountsNoDeathOfASpareAtTheRecordThatTheEngineWorksOn) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    const int spare = pid_of(s, StageId::Replica);
    ::kill(pid_of(s, StageId::Engine), SIGSTOP);
    const Sequence at = leave_in_flight(s, false);
    const ProcessId process{spare, process_start_time(spare)};
    ::kill(spare, SIGSEGV);
    ASSERT_TRUE(eventually([&] { return !process.alive(); }));
    EXPECT_EQ(s.stage(StageId::Replica).last_exit.load(), static_cast<std::uint32_t>(SIGSEGV));
    EXPECT_EQ(engine_deaths(s, at), 0U);
}

TEST(Restart, CountsDeathsByRecord) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    note_engine_death(s, Sequence{17});
    note_engine_death(s, Sequence{171});
    note_engine_death(s, Sequence{171});
    EXPECT_EQ(engine_deaths(s, Sequence{17}), 1U);
    EXPECT_EQ(engine_deaths(s, Sequence{171}), 2U);
    EXPECT_EQ(engine_deaths(s, Sequence{1}), 0U);
    EXPECT_FALSE(is_poison(s, Sequence{17}));
    EXPECT_TRUE(is_poison(s, Sequence{171}));
    EXPECT_FALSE(is_poison(s, Sequence{}));
}

TEST(Alerts, OfTheTimeWithoutASupervisorAreToldByTheNextAndThoseOfBeforeAreNot) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    s.report_error("engine", "ALERT before");
    ASSERT_TRUE(eventually([&] { return p.log().find("ALERT before") != std::string::npos; }));
    ASSERT_TRUE(supervisor_has_looked(s));
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    s.report_error("engine", "ALERT meanwhile");
    p.up("second.log");
    EXPECT_TRUE(eventually([&] {
        return p.log("second.log").find("ALERT meanwhile") != std::string::npos;
    })) << p.log("second.log");
    EXPECT_EQ(p.log("second.log").find("ALERT before"), std::string::npos);
}

}  // namespace
}  // namespace millrace
