// Goal: a death is counted, and the next start delayed, by what the dead stage did, also if the
// hot spare had taken the engine's place before the supervisor looked. Method: the real executable;
// the supervisor is stopped by a signal while the engine dies and the spare takes over.
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <string>

#include "shm/role.h"
#include "tests/ops/pipeline_fixture.h"

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
    auto ring = RingProducer<JournalRecord>::attach(s.ring<JournalRecord>("journal"));
    ASSERT_TRUE(ring.ok());
    JournalRecord record;
    record.seq = Sequence{ring.value().last()->seq.value + 1};
    record.time = s.clock().now();
    record.type = InputType::Continue;
    ASSERT_TRUE(ring.value().try_publish(record).ok());
    for (const int pid : {engine, spare}) {
        ::kill(pid, SIGSEGV);
        ::kill(pid, SIGCONT);
    }
    ASSERT_TRUE(eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "engine") == 0; }));
    ::kill(p.supervisor(), SIGCONT);
    const std::string at = std::to_string(record.seq.value);
    EXPECT_TRUE(eventually([&] {
        return p.log().find("ALERT the engine died twice at record " + at) != std::string::npos;
    })) << p.log();
    EXPECT_EQ(s.stage(StageId::Engine).state.load(),
              static_cast<std::uint32_t>(StageState::Halted));
}

}  // namespace
}  // namespace millrace
