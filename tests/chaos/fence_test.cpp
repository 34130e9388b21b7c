// Goal: an owner that was paused and wakes after its role was taken publishes nothing more.
// Method: a real pipeline; a stage is stopped while it has nothing to do, the lock file that keeps
// others out is removed (what no program of ours does), a second owner takes the role and works;
// then the first goes on. Judged from outside, by the broker's books and the source's own log.
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "tests/chaos/world.h"
#include "tools/millrace/process.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kLong = seconds(180);

WorldOptions only_reported() {
    WorldOptions options;
    options.edits = {{"\"accounts_max\"",
                      "\"restart\": {\"stuck_ms\": 1000, \"stalled\": \"report\"}, "
                      "\"accounts_max\""}};
    return options;
}

class ChaosFence : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(world_.start(), "") << world_.log();
        world_.turn_for(seconds(2));
    }
    const StageEntry& entry(StageId id) const { return world_.segment().stage(id); }
    ProcessId owner(StageId id) const {
        return {static_cast<int>(entry(id).pid.load()), entry(id).start_time.load()};
    }

    /// Stops the owner of a role while nothing goes on, so that it stands between two duty cycles
    /// (one that is stopped inside finishes that one: ring/README.md), and lets others at the role.
    ProcessWatch stop_and_unlock(StageId id) {
        EXPECT_TRUE(world_.rest(kLong));
        auto watch = ProcessWatch::open(owner(id));
        EXPECT_TRUE(watch.ok());
        watch.value().send(SIGSTOP);
        EXPECT_TRUE(world_.turn_until([&] { return watch.value().id().stopped(); }, kLong));
        stopped_ns_ = world_.segment().clock().now().value;
        const auto lock = std::filesystem::path{world_.workspace().path("journal")} / "locks" /
                          (std::string{stage_name(id)} + ".lock");
        EXPECT_TRUE(std::filesystem::remove(lock)) << lock;
        return std::move(watch).value();
    }
    /// The role has another owner, which has worked. That is the last it notes of itself: what
    /// stood there before may still be of the first while it takes the place.
    bool taken_from(const ProcessWatch& old, StageId id) {
        const bool worked =
            world_.turn_until([&] { return entry(id).first_work_ns.load() > stopped_ns_; }, kLong);
        return worked && owner(id) != old.id();
    }
    /// Wakes the first owner under load, and holds it to its end.
    void wake_and_watch(const ProcessWatch& old, StageId id) {
        const ProcessId second = owner(id);
        const std::uint64_t generation = entry(id).generation.load();
        world_.turn_for(seconds(1));
        ASSERT_TRUE(old.id().stopped()) << "it was woken or killed by somebody else";
        const std::uint64_t cycles = entry(id).duty_cycles.load();
        old.send(SIGCONT);
        ASSERT_TRUE(world_.turn_until([&] { return old.dead(); }, kLong)) << world_.log();
        const std::string said = "fenced: " + std::string{stage_name(id)} + " generation " +
                                 std::to_string(generation - 1) + " was replaced by generation " +
                                 std::to_string(generation) + " (pid " +
                                 std::to_string(second.pid) + ")";
        EXPECT_NE(world_.log().find(said), std::string::npos) << said << "\n" << world_.log();
        // The second one goes on undisturbed; the supervisor keeps it as its own from now on.
        EXPECT_TRUE(
            world_.turn_until([&] { return entry(id).duty_cycles.load() > cycles + 100; }, kLong));
        EXPECT_EQ(owner(id), second);
        EXPECT_EQ(entry(id).generation.load(), generation);
    }
    void judge() {
        std::string said;
        EXPECT_EQ(world_.command({"account", "list"}, kLong, &said), 0) << said;
        const Judgement judgement = world_.finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, world_);
        EXPECT_GT(judgement.book_executions, 0U);
    }

    World world_{only_reported()};
    std::int64_t stopped_ns_ = 0;  // segment clock
};

TEST_F(ChaosFence, AJournalThatWakesAfterAnotherTookItsRoleWritesNothing) {
    const ProcessWatch old = stop_and_unlock(StageId::Journal);
    const auto tools = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    std::string message;
    auto second = demo::Child::spawn({(tools / "millrace/millrace").string(), "stage", "journal",
                                      "--config", world_.workspace().path("millrace.json")},
                                     world_.workspace().path("second.log"), message);
    ASSERT_TRUE(second.ok()) << message;
    world_.hush(false);
    ASSERT_TRUE(taken_from(old, StageId::Journal))
        << demo::tail_of(world_.workspace().path("second.log"), 20);
    EXPECT_EQ(owner(StageId::Journal).pid, second.value().pid());
    wake_and_watch(old, StageId::Journal);
    const std::string adopted = "journal: adopted pid " + std::to_string(second.value().pid());
    EXPECT_TRUE(
        world_.turn_until([&] { return world_.log().find(adopted) != std::string::npos; }, kLong))
        << world_.log();
    judge();
}

TEST_F(ChaosFence, AnEngineThatWakesAfterItsSpareTookOverPublishesNothing) {
    const ProcessWatch old = stop_and_unlock(StageId::Engine);
    world_.hush(false);
    ASSERT_TRUE(taken_from(old, StageId::Engine)) << world_.log();
    wake_and_watch(old, StageId::Engine);
    judge();
}

TEST_F(ChaosFence, AStoppedOwnerWhoseLockStandsKeepsItsRoleAgainstASecond) {
    const auto tools = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    for (const StageId id : {StageId::Broker, StageId::Journal, StageId::Sqlite}) {
        SCOPED_TRACE(stage_name(id));
        const ProcessId first = owner(id);
        const auto watch = ProcessWatch::open(first);
        ASSERT_TRUE(watch.ok());
        watch.value().send(SIGSTOP);
        std::string message;
        const std::string log = world_.workspace().path("second.log");
        auto second =
            demo::Child::spawn({(tools / "millrace/millrace").string(), "stage", stage_name(id),
                                "--config", world_.workspace().path("millrace.json")},
                               log, message);
        ASSERT_TRUE(second.ok()) << message;
        EXPECT_TRUE(world_.turn_until([&] { return !second.value().running(); }, kLong));
        EXPECT_NE(second.value().status(), 0);
        EXPECT_NE(demo::tail_of(log, 5).find("pid " + std::to_string(first.pid)), std::string::npos)
            << "refused by the name of the owner: " << demo::tail_of(log, 5);
        watch.value().send(SIGCONT);
        world_.turn_for(millis(300));
        EXPECT_EQ(owner(id), first);
    }
    ASSERT_TRUE(world_.turn_until([&] { return world_.pipeline().accounts_ready(); }, kLong));
    judge();
}

}  // namespace
}  // namespace millrace::chaos
