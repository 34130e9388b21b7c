// Goal: a journal directory that an older build made is gone on with: its positions, its ledger,
// its operator's word, its store. Method: logicN.tar.gz is what a build of logic version N left
// behind a clean stop (`millrace down`): 7, with snapshot images of format 2, the build of the
// commit before "core: keep places for closes"; 9, with images of format 3, the one before "core:
// stop entries after a fill"; 10, with images of format 4, the one before limits in money; 11, with
// images of format 5, the one before closes that are executed late are booked. Its simulated broker
// had sold 0.10 lots three times on account a1, which was then paused. logic9-held.tar.gz is of the
// same build, with accounts a1 and a2: a2 was then made reduce-only, its terminal ended, and the
// first signal closed, which a1 did and a2 holds. Not made by any code of this tree.
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "core/engine.h"
#include "persist/snapshot_file.h"
#include "persist/sqlite_db.h"
#include "tests/ops/pipeline_fixture.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

#define EXPECT_SAYS(finished, text) \
    EXPECT_NE((finished).output.find(text), std::string::npos) << (finished).output

class OldDirectory : public testing::Test {
protected:
    /// tests/ops/NAME.tar.gz
    void unpack(const std::string& name) {
        fs::create_directories(p.journal_dir());
        const std::string command =
            "tar -xzf '" MILLRACE_OLD_JOURNALS "/" + name + ".tar.gz' -C '" + p.journal_dir() + "'";
        ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }
    /// Of the SQLite store.
    std::int64_t stored(const std::string& sql) {
        SqliteDb db;
        EXPECT_TRUE(db.open(p.journal_dir() + "/millrace.db", 5'000, SqliteOpen::ReadOnly).ok());
        const auto found = db.number(sql);
        EXPECT_TRUE(found.ok()) << sql << ": " << db.message();
        return found ? found.value() : -1;
    }
    /// The state of the newest snapshot.
    Engine state() {
        std::vector<std::string> bad;
        auto newest = load_snapshot(p.journal_dir(), Sequence{UINT64_MAX}, bad);
        EXPECT_TRUE(newest.ok() && bad.empty()) << (bad.empty() ? "none" : bad.front());
        const auto& image = newest.value().image;
        EXPECT_EQ(newest.value().logic_version, kLogicVersion);
        Engine engine{image_capacity(image.data(), image.size())};
        EXPECT_TRUE(engine.load(image.data(), image.size()).ok());
        return engine;
    }
    Pipeline p;
};

class OldJournal : public OldDirectory, public testing::WithParamInterface<std::uint32_t> {
protected:
    void SetUp() override { unpack("logic" + made_by()); }
    static std::string made_by() { return std::to_string(GetParam()); }
    static void expect_what_was(const Engine& engine) {
        constexpr AccountId kAccount{0};
        EXPECT_EQ(engine.globals().open_positions, 3U);
        EXPECT_EQ(engine.globals().in_doubt, 0U);
        EXPECT_EQ(engine.account(kAccount).open_positions, 3U);
        EXPECT_EQ(engine.account(kAccount).wanted, AccountState::Inactive);
        EXPECT_EQ(engine.ledger().live(), 3U) << "a signal that is sent again would be new";
        for (std::uint32_t i = 0; i < engine.orders().used(); ++i) {
            const Order& o = engine.orders()[i];
            EXPECT_TRUE(engine.orders().is_live(i));
            EXPECT_EQ(o.side, Side::Sell);
            EXPECT_EQ(o.open_volume, Lots{kScale / 10});
            EXPECT_LT(o.intent, engine.globals().next_intent);
        }
        // What formats 2 to 5 did not have, counted of what they had.
        EXPECT_EQ(engine.account_risk(kAccount).positions, 3U);
        EXPECT_EQ(engine.account_risk(kAccount).volume, Lots{3 * kScale / 10});
        EXPECT_EQ(engine.group_risk(GroupId{0}).positions, 3U);
        EXPECT_EQ(engine.account_risk(kAccount).halt, Halt::None);
        EXPECT_EQ(engine.symbol_risk(SymbolId{0}).sold, Lots{3 * kScale / 10});
        EXPECT_EQ(engine.symbol_risk(SymbolId{0}).bought, Lots{});
        EXPECT_EQ(engine.group_guard(GroupId{0}).sold_volume, Lots{3 * kScale / 10});
        EXPECT_EQ(engine.account_guard(kAccount).notional, 0) << "no currency is configured";
    }
};
INSTANTIATE_TEST_SUITE_P(OfLogicVersion, OldJournal, testing::Values(7U, 9U, 10U, 11U),
                         [](const auto& version) { return std::to_string(version.param); });

TEST_P(OldJournal, IsUpgradedAndGoneOnWith) {
    const Finished refused = p.run({"up"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_SAYS(refused, "was made by logic version " + made_by());
    EXPECT_SAYS(refused, "millrace upgrade");
    const Finished upgraded = p.run({"upgrade"});
    ASSERT_EQ(upgraded.status, 0) << upgraded.output;
    EXPECT_SAYS(upgraded, "logic version " + made_by());
    EXPECT_SAYS(upgraded, "a new epoch of logic version " + std::to_string(kLogicVersion));
    const Engine first = state();
    expect_what_was(first);

    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    EXPECT_TRUE(eventually([&] {
        return p.run({"account", "list"}).output.find("INACTIVE") != std::string::npos;
    })) << p.run({"account", "list"}).output;
    ::kill(p.supervisor(), SIGTERM);
    ASSERT_EQ(p.wait_supervisor(), 0) << p.log();
    const Engine second = state();
    expect_what_was(second);
    EXPECT_GT(second.globals().next_intent, first.globals().next_intent)
        << "ids that the old build had reserved are jumped over";
    EXPECT_SAYS(p.run({"upgrade"}), "nothing to do");
    EXPECT_EQ(stored("SELECT whole FROM cursor"), 1) << "`recover` would refuse it";
    EXPECT_EQ(stored("SELECT count(*) FROM positions WHERE volume = 10000000"), 3);
}

/// What somebody sees who waits at a terminal.
std::string shown_on_a_terminal(std::vector<std::string> arguments) {
    std::vector<char*> argv;
    for (std::string& a : arguments) {
        argv.push_back(a.data());
    }
    argv.push_back(nullptr);
    int fd = -1;
    const int pid = ::forkpty(&fd, nullptr, nullptr, nullptr);
    if (pid == 0) {
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    std::string shown;
    char bytes[4096];
    for (ssize_t n = ::read(fd, bytes, sizeof bytes); n > 0; n = ::read(fd, bytes, sizeof bytes)) {
        shown.append(bytes, static_cast<std::size_t>(n));
    }
    ::close(fd);
    ::waitpid(pid, nullptr, 0);
    return shown;
}

TEST_P(OldJournal, TellsItsStepsToSomebodyWhoWaits) {
    const std::string shown =
        shown_on_a_terminal({MILLRACE_EXECUTABLE, "upgrade", "-c", p.config()});
    EXPECT_NE(shown.find("verifying the snapshot of record "), std::string::npos) << shown;
    EXPECT_NE(shown.find("comparing both ways to record "), std::string::npos) << shown;
    EXPECT_EQ(p.run({"upgrade"}).output.find("verifying"), std::string::npos) << "no terminal";
}

TEST_P(OldJournal, IsLeftAsItIsByADryRun) {
    const auto files = [&] {
        std::vector<std::string> names;
        for (const auto& file : fs::directory_iterator{p.journal_dir()}) {
            names.push_back(file.path().filename());
        }
        std::sort(names.begin(), names.end());
        return names;
    };
    const auto before = files();
    const Finished dry = p.run({"upgrade", "--dry-run"});
    EXPECT_EQ(dry.status, 0) << dry.output;
    EXPECT_SAYS(dry, "nothing was changed");
    EXPECT_EQ(files(), before);
    EXPECT_EQ(p.run({"up"}).status, 1);
}

TEST_F(OldDirectory, KeepsItsPositionsAHeldCloseAndWhatWasStoppedWhileItsLinkWasDown) {
    ASSERT_NO_FATAL_FAILURE(unpack("logic9-held"));
    std::string text = p.config_text();
    const auto put_behind = [&text](const std::string& place, const std::string& more) {
        text.insert(text.find(place) + place.size(), more);
    };
    put_behind(R"({"account": "a1"})", R"(, {"account": "a2"})");
    put_behind(R"("accounts": [)", R"({"name": "a2", "login": 1002,
 "key": "00112233445566778899aabbccddeeff"}, )");
    (void)p.dir().write("c.json", text);
    EXPECT_SAYS(p.run({"up"}), "was made by logic version 9");
    EXPECT_EQ(stored("SELECT count(*) FROM v_orders WHERE status = 'HELD'"), 1);
    const Finished upgraded = p.run({"upgrade"});
    ASSERT_EQ(upgraded.status, 0) << upgraded.output;
    constexpr AccountId kStopped{1};
    const Engine first = state();
    EXPECT_EQ(first.globals().open_positions, 5U);
    EXPECT_EQ(first.account(AccountId{0}).open_positions, 2U);
    EXPECT_EQ(first.account(AccountId{0}).wanted, AccountState::Trading);
    EXPECT_EQ(first.account(kStopped).open_positions, 3U);
    EXPECT_EQ(first.account(kStopped).wanted, AccountState::ReduceOnly);
    EXPECT_EQ(first.ledger().live(), 4U) << "a signal that is sent again would be new";
    EXPECT_EQ(first.globals().live_orders, 0U) << "the close's time was over long ago";

    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment segment = p.attach();
    const CoreCells& core = segment.core();
    EXPECT_TRUE(eventually([&] {
        return core.completed.load() == core.durable.load() &&
               core.sqlite_seq.load() >= core.jump_seq.load();
    })) << p.log();
    ::kill(p.supervisor(), SIGTERM);
    ASSERT_EQ(p.wait_supervisor(), 0) << p.log();
    const Engine second = state();
    EXPECT_EQ(second.globals().open_positions, 5U);
    EXPECT_EQ(second.account(kStopped).wanted, AccountState::ReduceOnly);
    EXPECT_EQ(stored("SELECT whole FROM cursor"), 1);
    EXPECT_EQ(stored("SELECT count(*) FROM positions WHERE volume = 10000000"), 5);
    EXPECT_EQ(stored("SELECT count(*) FROM v_orders WHERE status = 'EXPIRED'"), 1);
    // What the account is once its link is up, which `recover` goes by.
    EXPECT_EQ(stored("SELECT permissions >> 1 & 7 FROM accounts WHERE account = 1"), 2);
}

}  // namespace
}  // namespace millrace::test
