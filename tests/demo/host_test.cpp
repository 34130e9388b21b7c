// Goal: a stranger's small machine is enough for the demo, and one that is too small is told so.
// Method: the real executable in a mount namespace with a /dev/shm as containers have it.
#include "tests/demo/demo_process.h"

namespace millrace::demo {
namespace {

/// Words for a shell: the rest of its line runs with a /dev/shm of its own of this size.
std::string with_shm_of(const std::string& size, const std::string& then) {
    return "exec unshare -m /bin/sh -c 'mount -t tmpfs -o size=" + size + " none /dev/shm && " +
           then + "exec \"$0\" \"$@\"' ";
}

class DemoHost : public ::testing::Test {
protected:
    void SetUp() override {
        if (!folder_.shell(with_shm_of("64m", "") + "true")) {
            GTEST_SKIP() << "SKIPPED: a mount namespace of its own needs root and CAP_SYS_ADMIN; "
                            "NOT TESTED HERE: a small /dev/shm\n"
                         << folder_.text("shell.log");
        }
    }
    DemoFolder folder_;
};

TEST_F(DemoHost, RunsWithA64MegabyteDevShm) {
    const std::string size = folder_.path("size");
    DemoProcess run{folder_, "run", "--no-chaos --seconds 3",
                    with_shm_of("64m", "stat -f -c \"%b %S\" /dev/shm >" + size + " && ")};
    const nlohmann::json report = run.finish_clean();
    std::uint64_t blocks = 0;
    std::uint64_t block_bytes = 0;
    std::istringstream{folder_.text("size")} >> blocks >> block_bytes;
    EXPECT_EQ(blocks * block_bytes, 64U << 20U) << "it had another one: this proves nothing";
    EXPECT_GT(report.at("shm_bytes"), 1U << 20U);
    EXPECT_LT(report.at("shm_bytes"), 64U << 20U);
}

TEST_F(DemoHost, SaysThatADevShmIsTooSmallAndWhatMendsIt) {
    DemoProcess run{folder_, "run", "--no-chaos --seconds 3", with_shm_of("2m", "")};
    EXPECT_FALSE(run.finish().is_object());
    EXPECT_EQ(run.status(), "exit status 2");
    EXPECT_NE(run.said().find("/dev/shm"), std::string::npos) << run.said();
    EXPECT_NE(run.said().find("make it larger"), std::string::npos) << run.said();
}

}  // namespace
}  // namespace millrace::demo
