// Goal: no file can shut the way out: kill switch and `down` work while the configuration is half
// written, and the kill switch and the restart of a stage without ids.json. Method: the real
// executable, with the files broken under it.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "shm/role.h"
#include "tests/ops/pipeline_fixture.h"

namespace millrace {
namespace {

using test::eventually;
using test::Finished;
using test::pid_of;
using test::Pipeline;
using test::runs;

namespace fs = std::filesystem;

bool says(const Finished& f, const std::string& text) {
    return f.output.find(text) != std::string::npos;
}

class BrokenFile : public ::testing::Test {
protected:
    void SetUp() override {
        p_.up();
        ASSERT_TRUE(p_.wait_running()) << p_.log();
    }
    /// The command reaches broker stage and engine. @return what it printed.
    std::string passes(std::vector<std::string> words) {
        const Finished f = p_.run(std::move(words));
        EXPECT_EQ(f.status, 0) << f.output;
        EXPECT_TRUE(says(f, "engine told")) << f.output;
        return f.output;
    }
    bool in_force(unsigned actions) {
        const Segment s = p_.attach();
        return eventually([&] {
            return s.session(AccountId{0}).killed.load(std::memory_order_acquire) == actions;
        });
    }
    Pipeline p_;
};

TEST_F(BrokenFile, OfTheConfigurationStopsNeitherKillNorDown) {
    ASSERT_TRUE(eventually([&] { return fs::exists(p_.config() + ".backup-1"); })) << p_.log();
    std::ofstream{p_.config()} << "{\"name\": \"half a fi";
    EXPECT_NE(passes({"kill", "--all"}).find("says which pipeline is meant"), std::string::npos);
    EXPECT_TRUE(in_force(kKillStop));
    p_.write_config(", \"nmae\": 1");
    (void)passes({"unkill", "--all"});
    EXPECT_TRUE(in_force(0));
    p_.write_config();
    fs::create_directories(p_.journal_dir() + "/accounts.d");
    std::ofstream{p_.journal_dir() + "/accounts.d/b.json"} << "{";
    (void)passes({"kill", "--account", "a1", "--flatten"});
    EXPECT_TRUE(in_force(kKillStop | kKillFlatten));
    std::ofstream{p_.config()} << "{\"name\": \"half a fi";
    const Finished down = p_.run({"down"});
    EXPECT_EQ(down.status, 0) << down.output;
    EXPECT_TRUE(says(down, "stopped clean")) << down.output;
    EXPECT_EQ(p_.wait_supervisor(), 0);
}

TEST_F(BrokenFile, ThatSaysNothingIsNotTakenForAnyPipeline) {
    const std::string other = p_.dir() / "other.json";
    std::ofstream{other} << "{\"name\": \"half a fi";
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"down"}, {"unkill", "--all"}, {"account", "pause", "a1"}}) {
        std::vector<std::string> all = words;
        all.insert(all.end(), {"-c", other});
        const Finished f = p_.run(all, false);
        EXPECT_NE(f.status, 0) << words.front();
        EXPECT_TRUE(says(f, other)) << f.output;
        EXPECT_TRUE(says(f, "--segment")) << f.output;
    }
    EXPECT_EQ(::kill(p_.supervisor(), 0), 0);
    EXPECT_EQ(p_.run({"account", "pause", "a1"}).status, 0) << "it is there and listens";
}

TEST_F(BrokenFile, OfTheIdsStopsNeitherKillNorTheRestartOfAStage) {
    fs::rename(p_.journal_dir() + "/ids.json", p_.dir() / "aside");
    EXPECT_NE(passes({"kill", "--all"}).find("put back a copy"), std::string::npos);
    EXPECT_TRUE(in_force(kKillStop));
    (void)passes({"kill", "--account", "a1", "--cancel"});
    EXPECT_TRUE(in_force(kKillStop | kKillCancel));
    (void)passes({"kill", "--symbol", "EURUSD"});
    (void)passes({"kill", "--source", "src"});
    const Finished group = p_.run({"kill", "--group", "g"});
    EXPECT_NE(group.status, 0);
    EXPECT_TRUE(says(group, "say --account or --all")) << group.output;
    const Finished unknown = p_.run({"kill", "--account", "a9"});
    EXPECT_TRUE(says(unknown, "known: a1")) << unknown.output;
    const Segment s = p_.attach();
    for (const StageId id : {StageId::Broker, StageId::Ingress}) {
        const int victim = pid_of(s, id);
        ::kill(victim, SIGKILL);
        EXPECT_TRUE(eventually([&] { return runs(s, id) && pid_of(s, id) != victim; })) << p_.log();
    }
}

}  // namespace
}  // namespace millrace
