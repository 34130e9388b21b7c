// Goal: whom "operators" does not permit a command gets it refused by name before anything is done,
// the refusal is on record, and looking and the kill switch are his all the same.
// Method: the real pipeline, its journal directory given to another user after the start: then the
// user who runs this test is one as the list says. That takes root.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "tests/ops/pipeline_fixture.h"
#include "tools/millrace/actor.h"

namespace millrace::test {
namespace {

constexpr uid_t kSomebodyElse = 65'534;
constexpr int kNotPermitted = 6;

bool says(const Finished& f, const std::string& text) {
    return f.output.find(text) != std::string::npos;
}

bool error_log_has(const Segment& segment, std::string_view text) {
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment.error(i);
        const std::string_view said{e.text, ::strnlen(e.text, sizeof e.text)};
        if (e.last_ns.load(std::memory_order_relaxed) != 0 &&
            said.find(text) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

TEST(RoleCli, RefusesByNameWhatTheListDoesNotPermit) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can give a directory to another user";
    }
    const std::string me = this_login().name;
    Pipeline p;
    p.write_config(R"(, "operators": [{"user": ")" + me +
                   R"(", "role": "viewer"}, {"user": "alice", "role": "admin"}])");
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    EXPECT_EQ(p.run({"account", "pause", "a1"}).status, 0) << "the directory's own user";
    EXPECT_EQ(p.run({"account", "resume", "a1"}).status, 0);
    ASSERT_EQ(::chown(p.journal_dir().c_str(), kSomebodyElse, kSomebodyElse), 0);

    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"account", "pause", "a1"},
          {"group", "pause", "g"},
          {"unkill", "--all"},
          {"down"}}) {
        const Finished refused = p.run(words);
        EXPECT_EQ(refused.status, kNotPermitted) << refused.output;
        EXPECT_TRUE(says(refused, me + " is viewer")) << refused.output;
        EXPECT_TRUE(says(refused, "alice")) << "who may: " << refused.output;
    }
    EXPECT_TRUE(error_log_has(p.attach(), "refused: `millrace down` needs the role admin"));
    const Finished list = p.run({"account", "list"});
    EXPECT_EQ(list.status, 0) << list.output;
    EXPECT_TRUE(says(list, "TRADING") || says(list, "RECONCILING")) << "not paused\n"
                                                                    << list.output;
    EXPECT_EQ(p.run({"kill", "--account", "a1"}).status, 0) << "a red button asks nobody";

    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0) << p.log();
}

}  // namespace
}  // namespace millrace::test
