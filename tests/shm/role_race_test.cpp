// Goal: whoever races for a role, one wins; and neither pids that come back nor clocks that jump
// make two owners or none. Method: processes released by one barrier, 10,000 times; the very pid
// of the dead owner given to another process; a clock that is an hour off in one of two processes.
#include <gtest/gtest.h>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/sched.h>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <vector>

#include "shm/clock.h"
#include "shm/role.h"
#include "tests/shm/children.h"
#include "tests/shm/temp_dir.h"

namespace millrace {
namespace {

using test::end_of;
using test::kSkipped;
using test::run_child;
using test::TempDir;

constexpr unsigned kRacers = 4;
constexpr unsigned kTrials = 10'000;
constexpr std::int64_t kAlmostAnHourNs = 3'500'000'000'000;

struct Race {
    Race() {
        pthread_barrierattr_t between_processes;
        ::pthread_barrierattr_init(&between_processes);
        ::pthread_barrierattr_setpshared(&between_processes, PTHREAD_PROCESS_SHARED);
        ::pthread_barrier_init(&start, &between_processes, kRacers);
        ::pthread_barrier_init(&tried, &between_processes, kRacers);
    }
    pthread_barrier_t start;
    pthread_barrier_t tried;
    std::atomic<unsigned> winners{0};
    std::atomic<int> winner_pid{0};
    std::atomic<unsigned> wrong_holder{0};  // losers that were told another pid than the winner's
};

template <class T>
T* shared() {
    void* memory =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return new (memory) T;
}

/// One racer: each trial begins together; the role is held until all have tried.
int race(Race& r, const std::string& dir) {
    for (unsigned trial = 1; trial <= kTrials; ++trial) {
        std::string holder;
        ::pthread_barrier_wait(&r.start);
        auto lock = RoleLock::try_acquire(dir, "engine", holder);
        if (lock.ok()) {
            r.winners.fetch_add(1);
            r.winner_pid.store(::getpid());
        }
        ::pthread_barrier_wait(&r.tried);
        if (!lock.ok() && holder != "pid " + std::to_string(r.winner_pid.load())) {
            r.wrong_holder.fetch_add(1);
        }
        if (r.winners.load() != trial) {
            ::abort();  // the others would wait for us
        }
    }
    return 0;
}

TEST(RoleRace, ExactlyOneOfTheRacingStartersWinsAndTheOthersAreToldWho) {
    const TempDir dir;
    Race* r = shared<Race>();
    std::vector<pid_t> racers;
    for (unsigned i = 0; i < kRacers; ++i) {
        racers.push_back(run_child([&] { return race(*r, dir.str()); }));
    }
    for (const pid_t racer : racers) {
        EXPECT_EQ(end_of(racer), 0);
    }
    EXPECT_EQ(r->winners.load(), kTrials);
    EXPECT_EQ(r->wrong_holder.load(), 0U);
    std::printf("%u trials of %u processes, %u winners\n", kTrials, kRacers, r->winners.load());
    ::munmap(r, sizeof(Race));
}

/// Forks a child with just this pid. @return it; -1 where the kernel does not let us choose.
pid_t fork_as(pid_t pid) {
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<std::uint64_t>(&pid);
    args.set_tid_size = 1;
    return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

TEST(RoleRace, APidThatCameBackIsNotTheOldOwner) {
    const TempDir dir;
    const pid_t owner = run_child([&] {
        std::string holder;
        auto lock = RoleLock::try_acquire(dir.str(), "engine", holder);
        return lock.ok() ? (::pause(), 0) : 1;
    });
    while (RoleLock::holder_pid(dir.str(), "engine") != owner) {
        ::sched_yield();
    }
    const std::uint64_t started = process_start_time(owner);
    // Start times are counted in ticks of 10 ms: the next process must begin in another one.
    const auto begin = process_start_time(::getpid());
    ASSERT_GT(begin, 0U);
    ::kill(owner, SIGKILL);
    EXPECT_EQ(end_of(owner), 128 + SIGKILL);
    timespec tick{0, 30'000'000};
    ::nanosleep(&tick, nullptr);
    const pid_t again = fork_as(owner);
    if (again == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        for (;;) {
            ::pause();
        }
    }
    if (again < 0) {
        GTEST_SKIP() << "SKIPPED: this user may not choose a pid: " << std::strerror(errno);
    }
    ASSERT_EQ(again, owner) << "the very pid of the dead owner";
    EXPECT_EQ(::kill(owner, 0), 0) << "by its pid it seems alive";
    EXPECT_NE(process_start_time(owner), started) << "by its start time it is another";
    EXPECT_EQ(RoleLock::holder_pid(dir.str(), "engine"), 0) << "and it holds nothing";
    std::string holder;
    EXPECT_TRUE(RoleLock::try_acquire(dir.str(), "engine", holder).ok()) << holder;
    ::kill(again, SIGKILL);
    EXPECT_EQ(end_of(again), 128 + SIGKILL);
}

TEST(RoleRace, AClockThatIsAnHourOffMovesNoRole) {
    const TempDir dir;
    // A time namespace shifts CLOCK_MONOTONIC and CLOCK_BOOTTIME of its children.
    for (const char* offset : {"3600", "-3600"}) {
        const int status = end_of(run_child([&] {
            if (::unshare(CLONE_NEWTIME) != 0) {
                return kSkipped;
            }
            std::ofstream shift{"/proc/self/timens_offsets"};
            shift << "monotonic " << offset << " 0\nboottime " << offset << " 0\n";
            if (!shift.flush()) {
                return kSkipped;  // the host has been up for less than that hour
            }
            const std::int64_t here_ns = monotonic_ns();
            const pid_t owner = run_child([&] {
                if (std::llabs(monotonic_ns() - here_ns) < kAlmostAnHourNs) {
                    std::abort();  // the clock was not shifted: nothing would be shown
                }
                std::string holder;
                auto lock = RoleLock::try_acquire(dir.str(), "engine", holder);
                return lock.ok() ? (::pause(), 0) : 1;
            });
            while (RoleLock::holder_pid(dir.str(), "engine") == 0) {
                if (::waitpid(owner, nullptr, WNOHANG) == owner) {
                    return 1;
                }
                ::sched_yield();
            }
            std::string holder;
            const bool refused =
                RoleLock::try_acquire(dir.str(), "engine", holder).code() == Errc::NotOwner;
            const bool named = holder == "pid " + std::to_string(owner);
            ::kill(owner, SIGKILL);
            end_of(owner);
            const bool free_now = RoleLock::try_acquire(dir.str(), "engine", holder).ok();
            return refused && named && free_now ? 0 : 1;
        }));
        if (status == kSkipped) {
            GTEST_SKIP() << "SKIPPED: no time namespace with " << offset << " s; NOT TESTED HERE";
        }
        EXPECT_EQ(status, 0) << offset;
    }
}

}  // namespace
}  // namespace millrace
