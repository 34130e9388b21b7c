// Goal: a role has one living owner, whatever happens to processes and pids.
// Method: forked children that hold, die, stop, and inherit.
#include "shm/role.h"

#include "tests/shm/children.h"
#include "tests/shm/temp_dir.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace millrace {
namespace {

using test::TempDir;

/// In a child: a session of its own, since the kernel hangs up a process group that gets orphaned
/// while one of its members is stopped; and dead with the test, whatever ends that.
void stand_alone() {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/// Forks a child that takes `role`, says so through a pipe and then waits to be killed.
pid_t fork_holder(const std::string& dir, const char* role) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        stand_alone();
        std::string holder;
        auto lock = RoleLock::try_acquire(dir, role, holder);
        const char answer = lock.ok() ? 'y' : 'n';
        (void)!::write(ready[1], &answer, 1);
        for (;;) {
            ::pause();
        }
    }
    char answer = 0;
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
    return pid;
}

TEST(RoleLock, SecondOwnerIsRefusedByThePidOfTheFirst) {
    const TempDir dir;
    const pid_t pid = fork_holder(dir.str(), "engine");
    std::string holder;
    EXPECT_EQ(RoleLock::try_acquire(dir.str(), "engine", holder).code(), Errc::NotOwner);
    EXPECT_EQ(holder, "pid " + std::to_string(pid));
    EXPECT_EQ(RoleLock::holder_pid(dir.str(), "engine"), pid);
    EXPECT_TRUE(RoleLock::try_acquire(dir.str(), "journal", holder).ok()) << "another role is free";
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

TEST(RoleLock, IsFreeTheMomentItsOwnerIsKilledEvenUnreaped) {
    const TempDir dir;
    const pid_t pid = fork_holder(dir.str(), "engine");
    ::kill(pid, SIGKILL);
    siginfo_t info{};
    // The child is dead but stays a zombie: kill(pid, 0) would still call it alive.
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(::kill(pid, 0), 0);
    EXPECT_EQ(process_start_time(pid), 0U) << "a zombie is not alive";
    std::string holder;
    EXPECT_TRUE(RoleLock::try_acquire(dir.str(), "engine", holder).ok()) << holder;
    ::waitpid(pid, nullptr, 0);
}

TEST(RoleLock, AStoppedOwnerKeepsIt) {
    const TempDir dir;
    const pid_t pid = fork_holder(dir.str(), "engine");
    ASSERT_EQ(::kill(pid, SIGSTOP), 0) << std::strerror(errno);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid) << std::strerror(errno);
    ASSERT_TRUE(WIFSTOPPED(status)) << "wait status " << status;
    std::string holder;
    const auto second = RoleLock::try_acquire(dir.str(), "engine", holder);
    EXPECT_EQ(second.code(), Errc::NotOwner);
    EXPECT_EQ(holder, "pid " + std::to_string(pid));
    siginfo_t info{};
    ASSERT_EQ(
        ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WCONTINUED | WNOHANG | WNOWAIT),
        0);
    EXPECT_EQ(info.si_pid, 0) << "it died or went on: code " << info.si_code << ", status "
                              << info.si_status;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

TEST(RoleLock, AForkedChildWithTheDescriptorDoesNotKeepItAlive) {
    const TempDir dir;
    int pipe_fd[2];
    ASSERT_EQ(::pipe(pipe_fd), 0);
    const pid_t owner = ::fork();
    if (owner == 0) {
        stand_alone();
        std::string holder;
        auto lock = RoleLock::try_acquire(dir.str(), "engine", holder);
        const pid_t grandchild = ::fork();
        if (grandchild == 0) {
            ::setsid();  // not PDEATHSIG: it has to outlive the owner
            for (;;) {
                ::pause();
            }
        }
        (void)!::write(pipe_fd[1], &grandchild, sizeof grandchild);
        for (;;) {
            ::pause();
        }
    }
    pid_t grandchild = 0;
    ASSERT_EQ(::read(pipe_fd[0], &grandchild, sizeof grandchild),
              static_cast<ssize_t>(sizeof grandchild));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    std::string holder;
    EXPECT_TRUE(RoleLock::try_acquire(dir.str(), "engine", holder).ok()) << holder;
    ::kill(grandchild, SIGKILL);
}

TEST(RoleLock, AnOwnerOutsideThisPidNamespaceIsHeldAndSaidToBeOutOfSight) {
    const TempDir dir;
    const pid_t owner = fork_holder(dir.str(), "engine");
    const pid_t looker = test::run_child([&] {
        return test::in_own_pid_namespace([&] {
            std::string holder;
            const bool held =
                RoleLock::holder_pid(dir.str(), "engine") == kPidOutOfSight &&
                RoleLock::try_acquire(dir.str(), "engine", holder).code() == Errc::NotOwner &&
                holder == "in another pid namespace";
            const bool other_is_free = RoleLock::holder_pid(dir.str(), "journal") == 0 &&
                                       RoleLock::try_acquire(dir.str(), "journal", holder).ok();
            return held && other_is_free ? 0 : 1;
        });
    });
    const int answer = test::end_of(looker);
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    if (answer == test::kSkipped) {
        GTEST_SKIP() << "SKIPPED: no pid namespace may be had here";
    }
    EXPECT_EQ(answer, 0);
}

TEST(RoleLock, AnOwnerInAPidNamespaceIsSeenFromOutsideAndItsDeathIsProven) {
    const TempDir dir;
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t container = test::run_child([&] {
        const int end = test::in_own_pid_namespace([&] {
            std::string holder;
            auto lock = RoleLock::try_acquire(dir.str(), "engine", holder);
            (void)!::write(ready[1], lock.ok() ? "y" : "n", 1);
            for (;;) {
                ::pause();
            }
            return 1;
        });
        (void)!::write(ready[1], "s", 1);
        return end;
    });
    char answer = 0;
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    ::close(ready[0]);
    if (answer == 's') {
        test::end_of(container);
        GTEST_SKIP() << "SKIPPED: no pid namespace may be had here";
    }
    EXPECT_EQ(answer, 'y');
    const int pid = RoleLock::holder_pid(dir.str(), "engine");
    EXPECT_GT(pid, 1) << "1 is what it calls itself";
    EXPECT_NE(pid, kPidOutOfSight);
    EXPECT_NE(process_start_time(pid), 0U);
    ::kill(container, SIGKILL);
    test::end_of(container);
    // The kernel ends the namespace's first process after its parent, in its own time.
    while (RoleLock::holder_pid(dir.str(), "engine") != 0) {
        ::sched_yield();
    }
    std::string holder;
    EXPECT_TRUE(RoleLock::try_acquire(dir.str(), "engine", holder).ok()) << holder;
}

TEST(RoleLock, UnwritableDirectoryIsAnErrorNotAnOwner) {
    std::string holder;
    EXPECT_EQ(RoleLock::try_acquire("/proc/nowhere", "engine", holder).code(), Errc::IoError);
}

/// One file system twice: `disk`, and `view` for reading only, as one is that has met an error.
struct DiskAndView {
    DiskAndView() {
        ::mkdir(disk.c_str(), 0700);
        ::mkdir(view.c_str(), 0700);
        ready =
            ::unshare(CLONE_NEWNS) == 0 &&
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
            ::mount("none", disk.c_str(), "tmpfs", 0, "size=1m") == 0 &&
            ::mount(disk.c_str(), view.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
            ::mount("none", view.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
    }
    ~DiskAndView() {
        ::umount2(view.c_str(), MNT_DETACH);
        ::umount2(disk.c_str(), MNT_DETACH);
    }
    DiskAndView(const DiskAndView&) = delete;
    DiskAndView& operator=(const DiskAndView&) = delete;

    TempDir dir;
    std::string disk = dir.file("disk");
    std::string view = dir.file("view");
    bool ready = false;  // false: this process may not mount
};

TEST(RoleLock, IsSeenToBeHeldOnADiskThatHasGoneReadOnly) {
    const DiskAndView there;
    if (!there.ready) {
        GTEST_SKIP() << "SKIPPED: nothing may be mounted here";
    }
    const pid_t pid = fork_holder(there.disk, "admin");
    EXPECT_EQ(RoleLock::holder_pid(there.view, "admin"), pid);
    std::string holder;
    EXPECT_EQ(RoleLock::try_acquire(there.view, "admin", holder).error().sys_errno, EROFS);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    EXPECT_EQ(RoleLock::holder_pid(there.view, "admin"), 0);
}

TEST(ProcessStartTime, TellsThisProcessAndNoOther) {
    EXPECT_GT(process_start_time(::getpid()), 0U);
    EXPECT_EQ(process_start_time(4'194'305), 0U);  // beyond pid_max
}

}  // namespace
}  // namespace millrace
