// Goal: a stop that was not clean says so: by its exit status, by what was not clean, and by the
// segment that is kept. Method: stop_in_order() with workers that end in every way; then the real
// executable, with stages that are killed in the drain or cannot run.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include "shm/role.h"
#include "tests/ops/pipeline_fixture.h"
#include "tools/millrace/stop_sequence.h"

namespace millrace {
namespace {

using test::eventually;
using test::Finished;
using test::pid_of;
using test::Pipeline;
using test::TempDir;

constexpr int kNotClean = 5;

/// Ends as it is told to when it is asked to stop.
class FakeWorker final : public Worker {
public:
    FakeWorker(const char* name, StageId id, WorkerEnd end, bool drains = true, bool dies = true)
        : Worker{{{name, id}}}, end_{std::move(end)}, drains_{drains}, dies_{dies} {}
    ~FakeWorker() override {
        if (death_.valid()) {
            death_.wait();
        }
        ::close(fd_);
    }

    bool start(std::string&) override { return true; }
    [[nodiscard]] bool running() const override { return running_; }
    [[nodiscard]] int end_fd() const override { return fd_; }
    [[nodiscard]] WorkerEnd reap() override { return running_ = false, end_; }
    void ask_to_stop() override {
        ++asked_;
        if (order_ != nullptr) {
            order_->push_back(name());
        }
        if (drains_) {
            end();
        }
    }
    void kill() override {
        if (dies_ && dying_.count() == 0) {
            end();
        } else if (dies_) {
            death_ = std::async(std::launch::async, [this] {
                std::this_thread::sleep_for(dying_);
                end();
            });
        }
    }
    [[nodiscard]] int asked() const { return asked_; }
    [[nodiscard]] ProcessId process() const override { return process_; }
    void never_ran() { running_ = false; }
    void is_in(ProcessId process) { process_ = process; }
    void takes_to_die(std::chrono::milliseconds time) { dying_ = time; }
    /// Its name goes there when it is asked to stop.
    void tells(std::vector<std::string>& order) { order_ = &order; }

private:
    void end() const {
        const std::uint64_t one = 1;
        EXPECT_EQ(::write(fd_, &one, sizeof one), ssize_t{sizeof one});
    }

    WorkerEnd end_;
    bool drains_;
    bool dies_;
    bool running_ = true;
    int asked_ = 0;
    ProcessId process_{4711, 17};
    std::chrono::milliseconds dying_{0};
    std::future<void> death_;
    std::vector<std::string>* order_ = nullptr;
    int fd_ = ::eventfd(0, EFD_CLOEXEC);
};

WorkerEnd exited(int status) {
    return {"exit status " + std::to_string(status), false, false,
            static_cast<std::uint32_t>(status) << 8U};
}
WorkerEnd of_another_supervisor() {
    return {"ended", false, false, 0, false};
}

class StopOrder : public ::testing::Test {
protected:
    StopOrder() {
        SegmentPlan plan;
        plan.path = dir_ / "segment";
        plan.journal_dir = dir_.path();
        plan.sessions = 1;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        EXPECT_TRUE(made.ok()) << message;
        segment_ = std::move(made).value();
    }
    std::vector<std::string> stop(FakeWorker& worker) {
        return stop_in_order(segment_, {&worker}, {millis(20), millis(20)});
    }
    void enter(StageId id, StageState state) {
        StageEntry& e = segment_.stage(id);
        e.pid = 4711;
        e.start_time = 17;
        e.state = static_cast<std::uint32_t>(state);
    }
    TempDir dir_;
    Segment segment_;
};

using Sentences = std::vector<std::string>;

std::string if_asked(const std::vector<std::string>& directories, const char* name) {
    return std::find(directories.begin(), directories.end(), name) == directories.end() ? "" : name;
}
std::string log_is_silent(const std::vector<std::string>& directories, Nanos /*limit*/) {
    return if_asked(directories, "log");
}
std::string store_is_silent(const std::vector<std::string>& directories, Nanos /*limit*/) {
    return if_asked(directories, "store");
}

TEST_F(StopOrder, IsCleanIfEveryStageDrainsAndEndsWithoutAFault) {
    FakeWorker worker{"broker", StageId::Broker, exited(0)};
    EXPECT_EQ(stop(worker), Sentences{});
}

TEST_F(StopOrder, NamesAStageThatDiedInTheDrain) {
    FakeWorker worker{"broker", StageId::Broker, {"killed by signal 9", false, false, SIGKILL}};
    EXPECT_EQ(stop(worker), Sentences{"broker did not drain: killed by signal 9"});
}

TEST_F(StopOrder, NamesAStageThatEndedWithAFault) {
    FakeWorker worker{"journal", StageId::Journal, exited(4)};
    EXPECT_EQ(stop(worker), Sentences{"journal did not drain: exit status 4"});
}

TEST_F(StopOrder, NamesAStageWhoseTimeRanOut) {
    FakeWorker worker{"sqlite", StageId::Sqlite, exited(0), false};
    EXPECT_EQ(stop(worker), Sentences{"sqlite had not drained within 20 ms and was killed"});
}

TEST_F(StopOrder, LeavesBehindWhomNothingEndsSaysSoAndStopsTheRest) {
    FakeWorker stuck{"journal", StageId::Journal, exited(0), false, false};
    FakeWorker next{"sqlite", StageId::Sqlite, exited(0)};
    EXPECT_EQ(stop_in_order(segment_, {&stuck, &next}, {millis(20), millis(20)}),
              Sentences{"journal (pid 4711) had not drained within 20 ms, was killed and is still "
                        "there 20 ms later: it waits in the kernel, as for a disk, and ends when "
                        "that answers"});
    EXPECT_TRUE(stuck.running());
    EXPECT_EQ(stuck.asked(), 1);
    EXPECT_FALSE(next.running());
}

TEST_F(StopOrder, GivesTheOthersLessTimeBesideADiskOfTheLogThatDoesNotAnswerAndNotBesideAStores) {
    for (const std::string dead : {"log", "store"}) {
        FakeWorker stuck{"journal", StageId::Journal, exited(0), false, false};
        FakeWorker next{"sqlite", StageId::Sqlite, exited(0), false};
        StopDisks disks{{"log"}, {"store"}};
        disks.silent = dead == "log" ? log_is_silent : store_is_silent;
        const Sentences said =
            stop_in_order(segment_, {&stuck, &next}, {millis(20), millis(20), millis(10)}, disks);
        ASSERT_EQ(said.size(), 2U);
        EXPECT_NE(said[0].find("; no answer from " + dead), std::string::npos) << said[0];
        EXPECT_EQ(said[1], dead == "log" ? "sqlite had not drained within 10 ms and was killed"
                                         : "sqlite had not drained within 20 ms and was killed");
    }
}

TEST_F(StopOrder, GivesAKilledStageTimeToEndHoweverShortTheDrainIs) {
    EXPECT_EQ(StopBounds{millis(1)}.end, kKillBound);
    FakeWorker slow{"journal", StageId::Journal, exited(0), false};
    slow.takes_to_die(std::chrono::milliseconds{100});
    EXPECT_EQ(stop_in_order(segment_, {&slow}, {millis(1), seconds(60)}),
              Sentences{"journal had not drained within 1 ms and was killed"});
    EXPECT_FALSE(slow.running());
}

TEST_F(StopOrder, EndsACoreThatHasTakenTheEnginesRoleBeforeTheJournalThoughItHasNoPlaceYet) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t owner = ::fork();
    if (owner == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        std::string holder;
        const auto lock = RoleLock::try_acquire(dir_.path(), "engine", holder);
        (void)!::write(ready[1], lock.ok() ? "y" : "n", 1);
        for (;;) {
            ::pause();
        }
    }
    char answer = '?';
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    ASSERT_EQ(answer, 'y');
    std::vector<std::string> order;
    FakeWorker ingress{"ingress", StageId::Ingress, exited(0)};
    FakeWorker journal{"journal", StageId::Journal, exited(0)};
    FakeWorker spare{"core-0", StageId::Replica, exited(0)};
    FakeWorker heir{"core-1", StageId::Replica, exited(0)};
    FakeWorker sink{"sqlite", StageId::Sqlite, exited(0)};
    heir.is_in({owner, process_start_time(owner)});
    for (FakeWorker* worker : {&ingress, &journal, &spare, &heir, &sink}) {
        worker->tells(order);
    }
    EXPECT_EQ(stop_in_order(segment_, {&journal, &sink, &spare, &heir, &ingress}), Sentences{});
    // A spare without a place goes before the sinks, which follow what it writes.
    EXPECT_EQ(order,
              (std::vector<std::string>{"ingress", "core-1", "journal", "core-0", "sqlite"}));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_F(StopOrder, NamesARecordThatNoEngineHasFinished) {
    auto journal = RingProducer<JournalRecord>::attach(segment_.ring<JournalRecord>("journal"));
    ASSERT_TRUE(journal.ok());
    JournalRecord record;
    record.seq = Sequence{12};
    ASSERT_TRUE(journal.value().try_publish(record).ok());
    segment_.core().completed = 11;
    segment_.core().durable = 12;
    FakeWorker worker{"journal", StageId::Journal, exited(0)};
    EXPECT_EQ(stop(worker), Sentences{"record 12 is journalled and no engine has finished it: what "
                                      "follows from it stays in the segment"});
    segment_.core().completed = 12;
    FakeWorker again{"journal", StageId::Journal, exited(0)};
    EXPECT_EQ(stop(again), Sentences{});
}

TEST_F(StopOrder, NamesAStageThatDidNotRun) {
    FakeWorker worker{"broker", StageId::Broker, exited(0)};
    worker.never_ran();
    EXPECT_EQ(stop(worker),
              Sentences{"broker did not run: what waits for it stays in the segment"});
}

TEST_F(StopOrder, BelievesAStageWithoutAStatusByItsLastWordInTheStageTable) {
    FakeWorker drained{"broker", StageId::Broker, of_another_supervisor()};
    enter(StageId::Broker, StageState::Stopped);
    EXPECT_EQ(stop(drained), Sentences{});
    FakeWorker killed{"broker", StageId::Broker, of_another_supervisor()};
    enter(StageId::Broker, StageState::Draining);
    EXPECT_EQ(stop(killed), Sentences{"broker ended without having drained"});
    FakeWorker unknown{"journal", StageId::Journal, of_another_supervisor()};
    segment_.stage(StageId::Broker).pid = 0;
    EXPECT_EQ(stop(unknown), Sentences{"journal ended without having drained"});
}

TEST_F(StopOrder, AsksOfASpareThatTookOverOnlyForItsPlaceAsTheEngine) {
    FakeWorker core{"engine", StageId::Engine, of_another_supervisor()};
    enter(StageId::Engine, StageState::Stopped);
    enter(StageId::Replica, StageState::Standby);
    EXPECT_EQ(stop(core), Sentences{});
}

TEST_F(StopOrder, NamesTheRecordsThatAreNotOnDisk) {
    FakeWorker worker{"journal", StageId::Journal, exited(0)};
    segment_.core().journal_seq = 12;
    segment_.core().durable = 9;
    EXPECT_EQ(stop(worker), Sentences{"records 10 to 12 are not on disk, only in the segment"});
}

int exit_status(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
}

/// Kills `stage` once the stop has begun. The store is stopped by a signal since before, or it
/// would be through with its drain first: it has seconds for that.
void kill_in_the_drain(const Segment& s, int stopped, int victim) {
    EXPECT_TRUE(eventually([&] { return s.core().stop_requested.load() != 0; }));
    ::kill(victim, SIGKILL);
    ::kill(stopped, SIGCONT);
}

TEST(UncleanStop, OfAStageKilledInTheDrainIsToldByTheExitStatusAndTheSegmentIsKept) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    const int sqlite = pid_of(s, StageId::Sqlite);
    ::kill(sqlite, SIGSTOP);
    ::kill(p.supervisor(), SIGTERM);
    kill_in_the_drain(s, sqlite, sqlite);
    EXPECT_EQ(exit_status(p.wait_supervisor()), kNotClean);
    EXPECT_NE(p.log().find("sqlite did not drain: killed by signal 9"), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(p.segment_path()));
    p.up("second.log");  // and it goes on from there
    ASSERT_TRUE(p.wait_running());
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(exit_status(p.wait_supervisor()), 0) << p.log("second.log");
    EXPECT_FALSE(std::filesystem::exists(p.segment_path()));
}

TEST(UncleanStop, OfAStageThatCannotRunIsToldByDownToo) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    // The test holds its role: each start ends at once.
    ::kill(p.supervisor(), SIGSTOP);
    ::kill(pid_of(s, StageId::Sqlite), SIGKILL);
    std::string holder;
    Result<RoleLock> role = RoleLock::try_acquire(p.journal_dir(), "sqlite", holder);
    ASSERT_TRUE(eventually([&] {
        if (!role) {
            role = RoleLock::try_acquire(p.journal_dir(), "sqlite", holder);
        }
        return role.ok();
    }));
    ::kill(p.supervisor(), SIGCONT);
    ASSERT_TRUE(eventually([&] { return p.log().find("exit status 3") != std::string::npos; }));
    const Finished down = p.run({"down"});
    EXPECT_EQ(down.status, kNotClean) << down.output;
    EXPECT_NE(down.output.find("not stopped clean: sqlite did not"), std::string::npos)
        << down.output;
    EXPECT_EQ(exit_status(p.wait_supervisor()), kNotClean);
}

TEST(UncleanStop, OfAJournalThatCannotWriteNamesTheRecords) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    // A disk that refuses every write: of the journal stage, and of each that is started after it.
    const rlimit none{0, 0};
    ASSERT_EQ(::prlimit(p.supervisor(), RLIMIT_FSIZE, &none, nullptr), 0);
    ASSERT_EQ(::prlimit(pid_of(s, StageId::Journal), RLIMIT_FSIZE, &none, nullptr), 0);
    EXPECT_EQ(p.run({"account", "pause", "a1"}).status, 0);
    ASSERT_TRUE(eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "journal") == 0; }));
    const Finished down = p.run({"down"});
    EXPECT_EQ(down.status, kNotClean) << down.output;
    EXPECT_NE(down.output.find("are not on disk, only in the segment"), std::string::npos)
        << down.output;
    EXPECT_EQ(exit_status(p.wait_supervisor()), kNotClean);
    EXPECT_TRUE(std::filesystem::exists(p.segment_path()));
}

TEST(UncleanStop, BySupervisorThatDiesInTheDrainIsToldByDown) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    const int sqlite = pid_of(s, StageId::Sqlite);
    ::kill(sqlite, SIGSTOP);
    Finished down;
    std::thread asks{[&] { down = p.run({"down"}); }};
    kill_in_the_drain(s, sqlite, p.supervisor());
    asks.join();
    p.wait_supervisor();
    EXPECT_EQ(down.status, kNotClean) << down.output;
    EXPECT_NE(down.output.find("the supervisor died before"), std::string::npos) << down.output;
    EXPECT_NE(p.run({"down"}).status, 1) << "the rest can be stopped";
}

TEST(Stop, DoesNotWaitForAHousekeeperWhoseDiskDoesNotAnswer) {
    Pipeline p;
    const std::string slow = p.dir() / "slow";
    ::setenv("MILLRACE_SLOW_STATVFS", slow.c_str(), 1);
    ::setenv("LD_PRELOAD", MILLRACE_SLOW_DISK_LIBRARY, 1);
    p.up();
    ::unsetenv("LD_PRELOAD");
    ::unsetenv("MILLRACE_SLOW_STATVFS");
    ASSERT_TRUE(p.wait_running()) << p.log();
    p.dir().write("slow", "");
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(slow + ".waits"); }));
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(exit_status(p.wait_supervisor()), 0) << "the stages had no such disk";
    EXPECT_NE(p.log().find("does not answer the housekeeper: stopping without it"),
              std::string::npos);
    EXPECT_NE(p.log().find("ends when the disk answers its housekeeper"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(p.segment_path()));
}

TEST(UncleanStop, WithoutASupervisorNamesTheStagesThatDidNotRun) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    ::kill(pid_of(s, StageId::Broker), SIGKILL);
    ASSERT_TRUE(eventually([&] { return RoleLock::holder_pid(p.journal_dir(), "broker") == 0; }));
    const Finished down = p.run({"down"});
    EXPECT_EQ(down.status, kNotClean) << down.output;
    EXPECT_NE(down.output.find("broker did not run"), std::string::npos) << down.output;
    EXPECT_TRUE(std::filesystem::exists(p.segment_path()));
}

}  // namespace
}  // namespace millrace
