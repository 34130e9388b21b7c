// Goal: a wake-up reaches another process, whatever happens to the two.
// Method: forked children on a MAP_SHARED bell: hand-offs to and fro, both ends parking; a sleeper
// killed while the kernel shows it in futex(); what is asked of the kernel watched by seccomp.
#include "shm/doorbell.h"
#include "tests/shm/children.h"
#include "tests/shm/ping_pong.h"
#include "tests/shm/seccomp.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>
#include <limits>
#include <new>
#include <string>

namespace millrace {
namespace {

using test::end_of;
using test::kSkipped;
using test::run_child;

constexpr Nanos kForEver = seconds(3600);  // a nap that only a wake-up ends

class DoorbellProcess : public ::testing::Test {
protected:
    struct Shared {
        test::PingPong game;
        std::atomic<bool> there{false};  // what the sleeper waits for
    };
    DoorbellProcess()
        : shared_{new(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared} {
        doorbell_setup();
    }
    ~DoorbellProcess() override { ::munmap(shared_, sizeof(Shared)); }

    Doorbell& bell() { return shared_->game.bells[0]; }

    /// A child that sleeps on the bell until `there`.
    pid_t start_sleeper() {
        return run_child([this] {
            doorbell_setup();
            while (!shared_->there.load(std::memory_order_acquire)) {
                doorbell_wait(bell(), kForEver,
                              [this] { return !shared_->there.load(std::memory_order_acquire); });
            }
            return 0;
        });
    }
    /// Until `child` has looked for the last time and sleeps: its ticket stands, and the kernel
    /// shows it asleep, which between ticket and waking is only ever in futex().
    void await_futex(pid_t child) {
        const std::string file = "/proc/" + std::to_string(child) + "/stat";
        for (std::string state; state != "S" || bell().armed.load() == 0; ::sched_yield()) {
            std::ifstream in{file};
            in.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // pid (name)
            in >> state;
        }
    }

    Shared* shared_;
};

TEST_F(DoorbellProcess, LosesNoWakeBetweenTwoParkedProcesses) {
    const std::uint64_t parked = test::parked_wanted(200'000);
    const pid_t other = run_child([&] {
        doorbell_setup();
        return shared_->game.play(1, parked) ? 0 : 1;
    });
    EXPECT_TRUE(shared_->game.play(0, parked)) << "a wake was lost";
    EXPECT_EQ(end_of(other), 0) << "a wake was lost";
    shared_->game.expect_parked(parked);
}

TEST_F(DoorbellProcess, ASleeperKilledInTheKernelCostsOneCallAndItsHeirIsWoken) {
    const pid_t dead = start_sleeper();
    await_futex(dead);
    ::kill(dead, SIGKILL);
    ASSERT_EQ(end_of(dead), 128 + SIGKILL);
    EXPECT_NE(bell().armed.load(), 0U) << "its ticket stays";
    ring(bell());
    EXPECT_EQ(bell().armed.load(), 0U) << "one call clears it";
    EXPECT_EQ(bell().rings.load(), 1U);
    ring(bell());
    EXPECT_EQ(bell().rings.load(), 1U) << "nobody sleeps: no call";
    const pid_t heir = start_sleeper();
    await_futex(heir);
    shared_->there.store(true, std::memory_order_release);
    ring(bell());
    EXPECT_EQ(end_of(heir), 0);
}

TEST_F(DoorbellProcess, AnHeirThatIsStillToComeIsNotMissedByARingBeforeIt) {
    const pid_t dead = start_sleeper();
    await_futex(dead);
    ::kill(dead, SIGKILL);
    ASSERT_EQ(end_of(dead), 128 + SIGKILL);
    shared_->there.store(true, std::memory_order_release);
    ring(bell());  // for nobody
    EXPECT_EQ(end_of(start_sleeper()), 0) << "its first look finds it";
}

TEST_F(DoorbellProcess, AsksTheKernelOnlyForWhatReachesOtherProcesses) {
#ifdef MILLRACE_SANITIZED
    GTEST_SKIP() << "SKIPPED: the sanitizer's own futexes are private ones";
#endif
    const pid_t sleeper = run_child([this] {
        if (!test::forbid_private_wakes()) {
            return kSkipped;
        }
        doorbell_setup();
        ring(bell());
        doorbell_wait(bell(), millis(1), [] { return true; });
        detail::arm(bell());
        ring(bell());
        return bell().rings.load() == 1 ? 0 : 1;
    });
    const int status = end_of(sleeper);
    if (status == kSkipped) {
        GTEST_SKIP() << "SKIPPED: no seccomp filter may be set here; NOT TESTED HERE";
    }
    EXPECT_EQ(status, 0) << "128 + SIGSYS: a private futex or barrier";
}

// One process may be refused membarrier while the others have it and ring without a fence: a wake
// can be lost to it, so it must not sleep for long. Nobody rings here at all.
TEST_F(DoorbellProcess, NapsAreShortInAProcessThatIsRefusedMembarrierFromTheStart) {
    const int status = end_of(run_child([this] {
        if (!test::forbid_membarrier()) {
            return kSkipped;
        }
        ::alarm(60);  // instead of the hour
        const bool registered = doorbell_setup();
        doorbell_wait(bell(), kForEver, [] { return true; });
        return registered ? 1 : 0;
    }));
    if (status == kSkipped) {
        GTEST_SKIP() << "SKIPPED: no seccomp filter may be set here; NOT TESTED HERE";
    }
    EXPECT_EQ(status, 0) << "128 + SIGALRM: it slept on";
}

TEST_F(DoorbellProcess, NapsAreShortInAProcessThatIsRefusedMembarrierLater) {
    const int status = end_of(run_child([this] {
        if (!doorbell_setup() || !test::forbid_membarrier()) {
            return kSkipped;
        }
        ::alarm(60);
        doorbell_wait(bell(), kForEver, [] { return true; });
        return 0;
    }));
    if (status == kSkipped) {
        GTEST_SKIP() << "SKIPPED: no membarrier or no seccomp filter here; NOT TESTED HERE";
    }
    EXPECT_EQ(status, 0) << "128 + SIGALRM: it slept on";
}

}  // namespace
}  // namespace millrace
