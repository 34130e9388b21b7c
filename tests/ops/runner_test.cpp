// Goal: a stage's thread wakes for rings and for sockets at once, keeps its table entry true, and
// ends when told to or when the stage fails. Method: a counting stage in a real segment.
#include <gtest/gtest.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "shm/doorbell.h"
#include "shm/role.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/runner.h"

namespace millrace {
namespace {

using test::TempDir;

/// Work arrives as a number that anybody may raise.
class CountingStage : public Stage {
public:
    explicit CountingStage(int fd = -1) : fd_{fd} {}
    int step(Nanos) noexcept override {
        // Acquire: pairs with give().
        const int given = given_.load(std::memory_order_acquire);
        std::uint64_t ready = 0;
        const int from_fd = fd_ >= 0 && ::read(fd_, &ready, sizeof ready) > 0 ? 1 : 0;
        const int n = given - done_.load(std::memory_order_relaxed) + from_fd;
        if (n > 0) {
            done_.store(given, std::memory_order_relaxed);
            woke_ns.store(monotonic_ns(), std::memory_order_release);
        }
        return n;
    }
    [[nodiscard]] bool idle() const noexcept override {
        return given_.load(std::memory_order_acquire) == done_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] Nanos park_limit(Nanos) const noexcept override { return seconds(10); }
    [[nodiscard]] int wake_fd() const noexcept override { return fd_; }
    [[nodiscard]] bool healthy() const noexcept override { return !sick.load(); }
    [[nodiscard]] const char* failure() const noexcept override { return "the disk is gone"; }

    void give() { given_.fetch_add(1, std::memory_order_release); }
    std::atomic<std::int64_t> woke_ns{0};
    std::atomic<bool> sick{false};

private:
    int fd_;
    std::atomic<int> given_{0};
    std::atomic<int> done_{0};
};

class RunnerTest : public ::testing::Test {
protected:
    RunnerTest() {
        doorbell_setup();
        SegmentPlan plan;
        plan.path = dir_ / "segment";
        plan.journal_dir = dir_.path();
        plan.sessions = 1;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        EXPECT_TRUE(made.ok()) << message;
        segment_ = std::make_unique<Segment>(std::move(made).value());
    }
    Runner& start(std::vector<StageSlot> slots, RunnerOptions options = {}) {
        runner_ = std::make_unique<Runner>(*segment_, options, std::move(slots));
        thread_ = std::thread{[this] { end_ = runner_->run(); }};
        return *runner_;
    }
    void stop() {
        runner_->request_stop();
        ring(segment_->doorbell(StageId::Broker));
        ring(segment_->doorbell(StageId::Journal));
        ring(segment_->doorbell(StageId::Engine));
        thread_.join();
    }
    /// Polls a condition with a deadline.
    template <class Condition>
    bool eventually(Condition&& c) {
        const std::int64_t deadline = monotonic_ns() + 10'000'000'000;
        while (!c() && monotonic_ns() < deadline) {
            std::this_thread::sleep_for(std::chrono::microseconds{200});
        }
        return c();
    }
    StageEntry& entry(StageId id) { return segment_->stage(id); }

    /// Median time from ring() to the stage's step, in microseconds.
    std::int64_t wake_us(CountingStage& stage, StageId id, int fd = -1) {
        std::vector<std::int64_t> times;
        for (int i = 0; i < 50; ++i) {
            eventually([&] { return segment_->doorbell(id).armed.load() != 0; });
            std::this_thread::sleep_for(std::chrono::microseconds{300});  // let it fall asleep
            stage.woke_ns.store(0);
            const std::int64_t begin = monotonic_ns();
            if (fd < 0) {
                stage.give();
                ring(segment_->doorbell(id));
            } else {
                const std::uint64_t one = 1;
                EXPECT_EQ(::write(fd, &one, sizeof one), ssize_t{sizeof one});
            }
            EXPECT_TRUE(eventually([&] { return stage.woke_ns.load() != 0; }));
            times.push_back((stage.woke_ns.load() - begin) / 1000);
        }
        std::sort(times.begin(), times.end());
        return times[times.size() / 2];
    }

    TempDir dir_;
    std::unique_ptr<Segment> segment_;
    std::unique_ptr<Runner> runner_;
    std::thread thread_;
    RunEnd end_;
};

StageSlot slot_of(std::unique_ptr<Stage> stage, StageId id) {
    StageSlot slot;
    slot.stage = std::move(stage);
    slot.id = id;
    return slot;
}

std::vector<StageSlot> one(std::unique_ptr<Stage> stage, StageId id) {
    std::vector<StageSlot> slots;
    slots.push_back(slot_of(std::move(stage), id));
    return slots;
}

TEST_F(RunnerTest, WakesParkedStageByItsDoorbell) {
    auto stage = std::make_unique<CountingStage>();
    CountingStage& s = *stage;
    start(one(std::move(stage), StageId::Broker));
    const std::int64_t us = wake_us(s, StageId::Broker);
    RecordProperty("wake_us", static_cast<int>(us));
    std::printf("doorbell -> step: %ld us\n", static_cast<long>(us));
    EXPECT_LT(us, 500'000);  // a second is the longest park: near it a wake-up was lost
    stop();
    EXPECT_FALSE(end_.failed());
    EXPECT_EQ(entry(StageId::Broker).state.load(), static_cast<std::uint32_t>(StageState::Stopped));
}

TEST_F(RunnerTest, WakesStageWithSocketsByDoorbellAndBySocket) {
    const int fd = ::eventfd(0, EFD_NONBLOCK);
    auto stage = std::make_unique<CountingStage>(fd);
    CountingStage& s = *stage;
    start(one(std::move(stage), StageId::Broker));
    const std::int64_t by_bell = wake_us(s, StageId::Broker);
    const std::int64_t by_socket = wake_us(s, StageId::Broker, fd);
    std::printf("doorbell -> bridge -> step: %ld us, socket -> step: %ld us\n",
                static_cast<long>(by_bell), static_cast<long>(by_socket));
    EXPECT_LT(by_bell, 500'000);  // as above: near a second a wake-up was lost
    EXPECT_LT(by_socket, 500'000);
    stop();
    ::close(fd);
}

TEST_F(RunnerTest, ServesEveryStageOfASharedThread) {
    auto first = std::make_unique<CountingStage>();
    auto second = std::make_unique<CountingStage>();
    CountingStage& a = *first;
    CountingStage& b = *second;
    std::vector<StageSlot> slots = one(std::move(first), StageId::Broker);
    slots.push_back(slot_of(std::move(second), StageId::Journal));
    start(std::move(slots));
    EXPECT_LT(wake_us(a, StageId::Broker), 500'000);
    EXPECT_LT(wake_us(b, StageId::Journal), 500'000);
    stop();
    EXPECT_EQ(entry(StageId::Broker).work.load(), 50U);
    EXPECT_EQ(entry(StageId::Journal).work.load(), 50U);
}

TEST_F(RunnerTest, KeepsTableEntryTrue) {
    auto stage = std::make_unique<CountingStage>();
    CountingStage& s = *stage;
    RunnerOptions options;
    options.started_ns = 77;
    start(one(std::move(stage), StageId::Broker), options);
    StageEntry& e = entry(StageId::Broker);
    ASSERT_TRUE(eventually([&] { return e.running_ns.load() != 0; }));
    EXPECT_EQ(e.first_work_ns.load(), 0);
    s.give();
    ring(segment_->doorbell(StageId::Broker));
    ASSERT_TRUE(eventually([&] { return e.first_work_ns.load() != 0; }));
    EXPECT_EQ(e.pid.load(), static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(e.start_time.load(), process_start_time(::getpid()));
    EXPECT_EQ(e.generation.load(), 1U);
    EXPECT_EQ(e.started_ns.load(), 77);
    EXPECT_EQ(e.work.load(), 1U);
    EXPECT_EQ(e.cpu.load(), kNoId);
    stop();
}

TEST_F(RunnerTest, EndsWithTheReasonWhenStageFails) {
    auto stage = std::make_unique<CountingStage>();
    CountingStage& s = *stage;
    start(one(std::move(stage), StageId::Journal));
    s.sick.store(true);
    s.give();
    ring(segment_->doorbell(StageId::Journal));
    thread_.join();
    EXPECT_EQ(end_.reason, "the disk is gone");
}

/// A duty cycle that lasts as long as the test wants, as if the process were stopped inside.
class PausedStage final : public CountingStage {
public:
    int step(Nanos now) noexcept override {
        steps.fetch_add(1);
        while (paused.load()) {
            std::this_thread::yield();
        }
        return CountingStage::step(now);
    }
    std::atomic<bool> paused{true};
    std::atomic<int> steps{0};
};

/// Looks for work at the beginning of its duty cycle and believes that at the end, as a store does
/// that commits in between.
class LookingStage final : public CountingStage {
public:
    int step(Nanos now) noexcept override {
        const int n = CountingStage::step(now);
        looked.store(true);
        while (paused.load()) {
            std::this_thread::yield();
        }
        quiet_ = n == 0;
        total.fetch_add(n);
        return n;
    }
    [[nodiscard]] bool drained() const noexcept override { return quiet_; }
    std::atomic<bool> paused{true};
    std::atomic<bool> looked{false};
    std::atomic<int> total{0};

private:
    bool quiet_ = false;
};

TEST_F(RunnerTest, DrainsWhatCameWhileTheStepLastedInWhichItWasAskedToStop) {
    auto stage = std::make_unique<LookingStage>();
    LookingStage& s = *stage;
    Runner& runner = start(one(std::move(stage), StageId::Sqlite));
    ASSERT_TRUE(eventually([&] { return s.looked.load(); }));
    s.give();  // by one that stops before it
    runner.request_stop();
    s.paused.store(false);
    thread_.join();
    EXPECT_EQ(s.total.load(), 1);
    EXPECT_FALSE(end_.failed());
}

TEST_F(RunnerTest, FencesAnOwnerThatWakesAfterItsPlaceWasTaken) {
    auto stage = std::make_unique<PausedStage>();
    PausedStage& s = *stage;
    start(one(std::move(stage), StageId::Journal));
    ASSERT_TRUE(eventually([&] { return s.steps.load() == 1; }));
    // While it is paused another owner takes the place, as Runner::adopt_role does.
    StageEntry& e = entry(StageId::Journal);
    e.pid.store(4711);
    e.generation.fetch_add(1);
    s.give();
    s.paused.store(false);
    thread_.join();
    EXPECT_EQ(s.steps.load(), 1) << "only the duty cycle that it was paused in";
    EXPECT_EQ(end_.reason, "fenced: journal generation 1 was replaced by generation 2 (pid 4711)");
    EXPECT_EQ(e.pid.load(), 4711U) << "the new owner's entry is not written by the old one";
    EXPECT_NE(e.state.load(), static_cast<std::uint32_t>(StageState::Stopped));
}

TEST_F(RunnerTest, FindsWorkWithoutBeingRungForWhenItYields) {
    auto stage = std::make_unique<CountingStage>();
    CountingStage& s = *stage;
    RunnerOptions options;
    options.idle = IdleStrategy::Yield;
    start(one(std::move(stage), StageId::Broker), options);
    for (std::uint64_t n = 1; n <= 100; ++n) {
        s.give();
        ASSERT_TRUE(eventually([&] { return entry(StageId::Broker).work.load() == n; }));
        EXPECT_EQ(segment_->doorbell(StageId::Broker).armed.load(), 0U) << "it never sleeps";
    }
    stop();
    EXPECT_EQ(segment_->doorbell(StageId::Broker).rings.load(), 0U) << "no call for a ringer";
}

TEST_F(RunnerTest, ShowsAStageAsRecoveringUntilItSaysThatItsStateIsThere) {
    auto stage = std::make_unique<PausedStage>();
    PausedStage& s = *stage;
    auto slots = one(std::move(stage), StageId::Sqlite);
    slots[0].recovering = [&s] { return s.paused.load(); };  // as a sink in its first duty cycle
    start(std::move(slots));
    const auto state = [&] { return entry(StageId::Sqlite).state.load(); };
    ASSERT_TRUE(eventually([&] { return s.steps.load() == 1; }));
    EXPECT_EQ(state(), static_cast<std::uint32_t>(StageState::Recovering));
    EXPECT_EQ(entry(StageId::Sqlite).running_ns.load(), 0);
    s.paused.store(false);
    EXPECT_TRUE(eventually([&] {
        ring(segment_->doorbell(StageId::Sqlite));
        return state() == static_cast<std::uint32_t>(StageState::Running);
    }));
    runner_->request_stop();
    ring(segment_->doorbell(StageId::Sqlite));
    thread_.join();
}

TEST_F(RunnerTest, GivesHotSpareTheEntryOfTheRoleItTookOver) {
    auto stage = std::make_unique<CountingStage>();
    CountingStage& s = *stage;
    std::atomic<StageId> role{StageId::Replica};
    std::vector<StageSlot> slots;
    slots.push_back(slot_of(std::move(stage), StageId::Replica));
    slots[0].role = [&role] { return role.load(); };
    start(std::move(slots));
    ASSERT_TRUE(eventually([&] { return entry(StageId::Replica).pid.load() != 0; }));
    role.store(StageId::Engine);
    ASSERT_TRUE(eventually([&] {
        s.give();
        ring(segment_->doorbell(StageId::Replica));
        ring(segment_->doorbell(StageId::Engine));
        return entry(StageId::Engine).first_work_ns.load() != 0;
    }));
    EXPECT_EQ(entry(StageId::Engine).generation.load(), 1U);
    stop();
}

TEST_F(RunnerTest, SaysThatItRunsWhenItWasTakenForItsDeadPredecessor) {
    auto stage = std::make_unique<CountingStage>();
    CountingStage& counting = *stage;
    start(one(std::move(stage), StageId::Broker));
    const auto is = [&](StageState state) {
        return entry(StageId::Broker).state.load() == static_cast<std::uint32_t>(state);
    };
    ASSERT_TRUE(eventually([&] { return is(StageState::Running); }));
    // What a supervisor does that was put aside between its look at the pid and its store.
    entry(StageId::Broker).state.store(static_cast<std::uint32_t>(StageState::Dead));
    EXPECT_TRUE(eventually([&] {
        counting.give();
        ring(segment_->doorbell(StageId::Broker));
        return is(StageState::Running);
    }));
    stop();
    EXPECT_TRUE(is(StageState::Stopped));
}

TEST(Placement, ParksSpinnersThatOutnumberTheCpusAndSaysSo) {
    Config c;
    c.placement[0].idle = IdleStrategy::Spin;
    c.placement[1].idle = IdleStrategy::Spin;
    c.placement[2].idle = IdleStrategy::Spin;
    std::string message;
    EXPECT_EQ(idle_for(c, StageId::Engine, 3, message), IdleStrategy::Spin);
    EXPECT_EQ(message, "");
    EXPECT_EQ(idle_for(c, StageId::Engine, 2, message), IdleStrategy::Park);
    EXPECT_NE(message.find("3 threads are to spin on 2 cpus; they park instead"),
              std::string::npos);
    c.placement[1].thread = c.placement[2].thread = "hot";  // one thread: two spinners in all
    EXPECT_EQ(idle_for(c, StageId::Engine, 2, message), IdleStrategy::Spin);
    // Whoever yields leaves the CPU to the others: as many as you like.
    c.placement[0].idle = c.placement[1].idle = c.placement[2].idle = IdleStrategy::Yield;
    c.placement[1].thread = c.placement[2].thread = "";
    EXPECT_EQ(idle_for(c, StageId::Engine, 1, message), IdleStrategy::Yield);
}

TEST(Placement, SaysWhyItCannotPin) {
    std::string message;
    EXPECT_FALSE(pin_to_cpu(4000, message));
    EXPECT_NE(message.find("cannot pin to cpu 4000"), std::string::npos);
}

}  // namespace
}  // namespace millrace
