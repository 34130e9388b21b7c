// Goal: where kernel or container refuse io_uring or O_DIRECT, everything works all the same, and
// the fall-back is said. Method: the whole pipeline under load in a process that may not call
// io_uring_setup() or open with O_DIRECT (seccomp, which its children inherit), its journal stage
// killed; the books tell. A filter stays for good: each of these tests wants a process of its own,
// as ctest gives it.
#include <gtest/gtest.h>

#include <fcntl.h>

#include "tests/chaos/world.h"
#include "tests/shm/seccomp.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kSlowMachine = seconds(180);

struct Refusal {
    const char* name;
    int uring_errno;  // 0: allowed
    bool direct;      // O_DIRECT is refused
    const char* said;
};

/// Else ctest's names hold the addresses of its strings.
void PrintTo(const Refusal& refusal, std::ostream* out) {
    *out << refusal.name;
}

bool refuse_uring(int with) {
    return test::take_filter({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, test::kNumberAt),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(with)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    });
}

bool refuse_direct() {
    return test::take_filter({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, test::kNumberAt),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, test::argument_at(2)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    });
}

bool uses_uring(JournalBackend backend) {
    return backend == JournalBackend::UringDirect || backend == JournalBackend::UringBuffered;
}
bool uses_direct(JournalBackend backend) {
    return backend == JournalBackend::UringDirect || backend == JournalBackend::PwriteDirect;
}

std::uint64_t fills_of_all(World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

class ChaosRefused : public ::testing::TestWithParam<Refusal> {};

TEST_P(ChaosRefused, WorksWithoutItSaysSoAndLosesNothingWhenTheJournalIsKilled) {
    const Refusal& r = GetParam();
    if ((r.uring_errno != 0 && !refuse_uring(r.uring_errno)) || (r.direct && !refuse_direct())) {
        GTEST_SKIP() << "SKIPPED: no seccomp filter may be set here; NOT TESTED HERE";
    }
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    const auto trades = [&] {
        const std::uint64_t before = fills_of_all(world);
        return world.turn_until([&] { return fills_of_all(world) > before + 30; }, kSlowMachine);
    };
    EXPECT_TRUE(trades());
    const auto backend = static_cast<JournalBackend>(world.segment().core().journal_backend.load());
    EXPECT_NE(backend, JournalBackend::None);
    EXPECT_FALSE(r.uring_errno != 0 && uses_uring(backend)) << "it was not refused";
    EXPECT_FALSE(r.direct && uses_direct(backend)) << "it was not refused";
    EXPECT_NE(world.log().find(r.said), std::string::npos) << world.log();
    const StageEntry& journal = world.segment().stage(StageId::Journal);
    const std::uint64_t generation = journal.generation.load();
    ASSERT_TRUE(world.kill_stage(StageId::Journal));
    EXPECT_TRUE(
        world.turn_until([&] { return journal.generation.load() > generation; }, kSlowMachine));
    EXPECT_TRUE(trades()) << "no trading after the kill";
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GT(judgement.book_executions, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    , ChaosRefused,
    ::testing::Values(
        Refusal{"UringIsUnknown", ENOSYS, false,
                "fall-back: journal: io_uring is refused by kernel or container (Function not "
                "implemented), using pwritev2"},
        Refusal{"UringIsForbiddenAndODirectRefused", EPERM, true,
                "(Operation not permitted), using pwritev2 and, as the file system refuses "
                "O_DIRECT, buffered writes"},
        Refusal{"ODirectIsRefused", 0, true, "refuses O_DIRECT"}),
    [](const auto& refusal) { return std::string{refusal.param.name}; });

}  // namespace
}  // namespace millrace::chaos
