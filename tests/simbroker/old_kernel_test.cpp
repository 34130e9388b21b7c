// Goal: the broker works where the kernel, or a filter of system calls, does not know
// epoll_pwait2(). Method: the real process under such a filter, which stays for good: this test
// wants a process of its own, as ctest gives it.
#include "tests/shm/seccomp.h"
#include "tests/simbroker/terminal_fixture.h"

#include <gtest/gtest.h>

namespace millrace::sim::test {
namespace {

TEST_F(Terminal, WorksWithoutAWaitInNanoseconds) {
    if (!millrace::test::take_filter({
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, millrace::test::kNumberAt),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        })) {
        GTEST_SKIP() << "no seccomp filter may be set here";
    }
    SimProcess sim{dir, stage.port()};
    sim.quote("1.10000", "1.10010");
    stage.open({});
    stage.send_command(1, open_command(1));
    const auto event = stage.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->second.retcode, 10009U);
    EXPECT_EQ(sim.stop(), 0);
    EXPECT_EQ(executions(dir, 1), 1U);
}

}  // namespace
}  // namespace millrace::sim::test
