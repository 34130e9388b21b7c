// Goal: a file that says nothing stands for the only pipeline of the host in a kill, and for
// nothing else. Method: a folder with none, one and two segments in it.
#include "tools/millrace/locate.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "shm/role.h"
#include "shm/segment.h"
#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

/// Another process that holds a role for as long as this lives.
class Holder {
public:
    Holder(const std::string& journal_dir, const char* role) {
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            std::string holder;
            const auto lock = RoleLock::try_acquire(journal_dir, role, holder);
            ::raise(lock ? SIGSTOP : SIGKILL);
            ::_exit(1);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(pid_, &status, WUNTRACED), pid_);
        EXPECT_TRUE(WIFSTOPPED(status));
    }
    ~Holder() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

private:
    pid_t pid_ = -1;
};

TEST(Locate, AFileThatSaysNothingStandsForTheOnlyPipelineInAKillAlone) {
    const test::TempDir dir;
    const Target target{dir.write("notes.txt", "half a fi"), ""};
    const auto located = [&](Doubt doubt) {
        std::string message;
        const auto path = locate_segment(target, message, doubt, dir / "shm");
        return path ? path.value() : "";
    };
    dir.write("shm/of-another-program", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), "") << "there is none";
    const std::string only = dir.write("shm/millrace-production", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), only);
    EXPECT_EQ(located(Doubt::Refuse), "");
    dir.write("shm/millrace-staging", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), "") << "which of the two nobody can say";
}

TEST(Locate, WhatAStartPutAsideIsNobodysPipeline) {
    const test::TempDir dir;
    const std::string only = dir.write("shm/millrace-production", "");
    dir.write("shm/millrace-production.unusable", "");
    std::string message;
    const auto path = locate_segment({}, message, Doubt::Refuse, dir / "shm");
    ASSERT_TRUE(path) << message;
    EXPECT_EQ(path.value(), only);
}

TEST(Locate, OfSeveralTheOnlyOneThatLivesIsMeantIfNobodyNamesOne) {
    const test::TempDir dir;
    std::vector<std::string> journals;
    for (const char* name : {"production", "staging"}) {
        journals.push_back(dir / name);
        std::filesystem::create_directories(dir / "shm");
        std::filesystem::create_directories(journals.back());
        SegmentPlan plan;
        plan.path = dir / ("shm/millrace-" + std::string{name});
        plan.journal_dir = journals.back();
        plan.sessions = 1;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        ASSERT_TRUE(Segment::create(plan, message)) << message;
    }
    const auto meant = [&] {
        std::string message;
        const auto path = locate_segment({}, message, Doubt::Refuse, dir / "shm");
        return path ? path.value() : message;
    };
    EXPECT_NE(meant().find("say which"), std::string::npos) << "none lives";
    const Holder broker{journals[0], "broker"};
    EXPECT_EQ(meant(), dir / "shm/millrace-production");
    const Holder engine{journals[1], "engine"};
    EXPECT_NE(meant().find("say which"), std::string::npos) << "both live";
}

TEST(Locate, APathWhereNoFileIsStandsForNothing) {
    const test::TempDir dir;
    dir.write("shm/millrace-production", "");
    std::string message;
    EXPECT_FALSE(
        locate_segment({dir / "misspelt", ""}, message, Doubt::TakeTheOnlyOne, dir / "shm"));
}

}  // namespace
}  // namespace millrace
