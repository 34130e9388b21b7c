// Goal: whoever disables an account, its credentials are locked, once; a broker, after a grace; a
// store that fails or hangs is told of and tried again, and holds up nothing. Method: cells and a
// clock that the test moves, small shells in the place of `millrace account lock-disabled`.
#include "tools/millrace/disabled_lock.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/bridge_wire.h"
#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

class DisabledLockTest : public ::testing::Test {
protected:
    DisabledLockTest() {
        SegmentPlan plan;
        plan.path = dir_.path() + "/segment";
        plan.journal_dir = dir_.path();
        plan.sessions = 3;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        segment_ = Segment::create(plan, message).value();
        for (std::uint32_t i = 0; i < 3; ++i) {
            segment_.session(AccountId{i}).login = 101 + i;
            set(i, AccountState::Trading);
            AccountConfig account;
            account.name = "a" + std::to_string(i);
            account.login = 101 + i;
            config_.accounts.push_back(account);
        }
    }
    void forbid(std::uint32_t account, bool forbidden = true) {
        segment_.session(AccountId{account}).permissions =
            forbidden ? bridge::kInfoBrokerForbids : bridge::kInfoMayTrade;
    }
    void set(std::uint32_t account, AccountState state) {
        segment_.session(AccountId{account}).account_state = static_cast<std::uint32_t>(state);
    }
    /// @param script takes the place of the command; the accounts' names are "$@".
    DisabledLock lock(const std::string& script) {
        DisabledLockOptions o;
        o.command = {"/bin/sh", "-c", "echo \"$@\" >>'" + (dir_ / "ran") + "';" + script, "sh"};
        o.broker_grace = seconds(broker_grace_s_);
        return DisabledLock{segment_, config_, o};
    }
    /// Turns each second for so long, and each time until the child has ended.
    DisabledLock::Told run(DisabledLock& lock, int seconds) {
        DisabledLock::Told all;
        for (int i = 0; i < seconds; ++i) {
            now_ += kSecond;
            do {
                const auto told = lock.turn(now_);
                all.info += told.info;
                all.alert += told.alert;
            } while (lock.busy());
        }
        return all;
    }
    [[nodiscard]] std::string ran() const {
        std::stringstream text;
        text << std::ifstream{dir_ / "ran"}.rdbuf();
        return text.str();
    }

    test::TempDir dir_;
    Segment segment_;
    Config config_;
    std::int64_t now_ = 1'000 * kSecond;
    std::int64_t broker_grace_s_ = 300;
};

TEST_F(DisabledLockTest, LocksEachAccountThatIsDisabledOnceAndAgainAfterItTraded) {
    DisabledLock l = lock("");
    EXPECT_EQ(run(l, 10).info, "");
    set(1, AccountState::Disabled);
    EXPECT_EQ(run(l, 5).info, "") << "the command that disables locks by itself";
    EXPECT_EQ(run(l, 1).info, "credentials of a1 are locked: disabled");
    set(0, AccountState::Disabled);
    set(2, AccountState::Suspended);  // by a loss limit, or by one refusal: it may trade again
    EXPECT_EQ(run(l, 1'000).info, "credentials of a0 are locked: disabled");
    EXPECT_EQ(ran(), "a1\na0\n");
    set(1, AccountState::Trading);
    EXPECT_EQ(run(l, 10).info, "");
    set(1, AccountState::Disabled);
    EXPECT_EQ(run(l, 10).info, "credentials of a1 are locked: disabled");
}

TEST_F(DisabledLockTest, LocksWhomTheBrokerLetsNotTradeOnceThatHasLasted) {
    DisabledLock l = lock("");
    forbid(1);
    EXPECT_EQ(run(l, 290).alert, "");
    forbid(1, false);
    EXPECT_EQ(run(l, 1).alert, "");
    forbid(1);
    EXPECT_EQ(run(l, 300).alert, "") << "it came back in between";
    EXPECT_EQ(run(l, 1).alert,
              "credentials of a1 are LOCKED: the broker lets the account not trade");
    EXPECT_EQ(run(l, 1'000).alert, "") << "once";
    EXPECT_EQ(ran(), "a1\n");
    forbid(1, false);
    EXPECT_NE(run(l, 1).alert.find("the broker lets a1 trade again, and they are LOCKED still"),
              std::string::npos);
    EXPECT_EQ(run(l, 10).alert, "");
}

TEST_F(DisabledLockTest, LocksAtOnceWhomAnOperatorDisablesWhileTheBrokerForbids) {
    DisabledLock l = lock("");
    forbid(0);
    EXPECT_EQ(run(l, 100).alert, "");
    set(0, AccountState::Disabled);
    EXPECT_EQ(run(l, 6).info, "credentials of a0 are locked: disabled");
    set(0, AccountState::Trading);
    EXPECT_EQ(run(l, 1'000).alert, "") << "they are locked, whoever it was";
    EXPECT_EQ(ran(), "a0\n");
}

TEST_F(DisabledLockTest, WhereItIsSwitchedOffABrokersWordLocksNothing) {
    broker_grace_s_ = 0;
    DisabledLock l = lock("");
    forbid(0);
    EXPECT_EQ(run(l, 1'000).alert, "");
    EXPECT_EQ(ran(), "");
}

TEST_F(DisabledLockTest, KnowsAccountsThatWereAddedSinceItBegan) {
    DisabledLock l = lock("");
    config_.journal.dir = dir_.path();
    segment_.session(AccountId{1}).login = 777;
    set(1, AccountState::Disabled);
    EXPECT_EQ(run(l, 10).info, "") << "nobody knows whose login that is";
    std::filesystem::create_directories(accounts_folder(dir_.path()));
    dir_.write("accounts.d/late.json",
               R"({"name": "late", "login": 777, "key": "00112233445566778899aabbccddeeff"})");
    EXPECT_EQ(run(l, 10).info, "credentials of late are locked: disabled");
}

TEST_F(DisabledLockTest, WhoComesBackWhileItLocksIsTold) {
    DisabledLock l = lock("while [ ! -e '" + (dir_ / "go") + "' ]; do sleep 0.01; done");
    set(0, AccountState::Disabled);
    set(1, AccountState::Disabled);
    (void)l.turn(now_);
    now_ += 5 * kSecond;
    (void)l.turn(now_);
    ASSERT_TRUE(l.busy());
    set(1, AccountState::Trading);
    dir_.write("go", "");
    const auto told = run(l, 1);
    EXPECT_EQ(told.info, "credentials of a0 are locked: disabled");
    EXPECT_EQ(told.alert.find("credentials: a1 came back"), 0U) << told.alert;
}

TEST_F(DisabledLockTest, ThatFailsIsToldAndTriedAgain) {
    DisabledLock l = lock("exit 1");
    set(0, AccountState::Disabled);
    set(2, AccountState::Disabled);
    const std::string alert = run(l, 60).alert;
    EXPECT_NE(alert.find("a0, a2 disabled, and not locked"), std::string::npos) << alert;
    EXPECT_NE(alert.find("exit status 1"), std::string::npos) << alert;
    EXPECT_EQ(ran(), "a0 a2\n") << "not each second";
    EXPECT_EQ(run(l, 600).alert, alert);
    EXPECT_EQ(ran(), "a0 a2\na0 a2\n");
}

TEST_F(DisabledLockTest, ThatHangsHoldsUpNothingAndIsKilled) {
    DisabledLock l = lock("exec sleep 1000");
    set(0, AccountState::Disabled);
    (void)l.turn(now_);
    now_ += 5 * kSecond;
    EXPECT_EQ(l.turn(now_).alert, "");
    EXPECT_TRUE(l.busy());
    now_ += 299 * kSecond;
    EXPECT_EQ(l.turn(now_).alert, "");
    now_ += kSecond;
    EXPECT_NE(l.turn(now_).alert.find("was killed"), std::string::npos);
    while (l.busy()) {
        EXPECT_EQ(l.turn(now_).alert, "") << "it was told";
    }
}

/// Of a child that waits in the kernel for a disk that is gone: no kill ends it.
pid_t never_ends(pid_t, int*, int options) {
    EXPECT_EQ(options, WNOHANG) << "it would stand here for as long as the disk does";
    return 0;
}

TEST_F(DisabledLockTest, ThatCannotEvenBeKilledHoldsUpNothing) {
    DisabledLockOptions o;
    o.command = {"/bin/sh", "-c", "exec sleep 1000", "sh"};
    o.reap = &never_ends;
    {
        DisabledLock l{segment_, config_, o};
        set(0, AccountState::Disabled);
        (void)l.turn(now_);
        now_ += 5 * kSecond;
        EXPECT_EQ(l.turn(now_).alert, "");
        now_ += 300 * kSecond;
        const std::string alert = l.turn(now_).alert;
        EXPECT_NE(alert.find("was killed"), std::string::npos);
        EXPECT_EQ(l.turn(now_).alert, "");
        now_ += 600 * kSecond;
        EXPECT_EQ(l.turn(now_).alert, alert) << "while it stays";
    }
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0) << "killed, and left to whoever reaps";
}

TEST_F(DisabledLockTest, ThatCannotBeStartedIsTold) {
    DisabledLockOptions o;
    o.command = {dir_ / "no-such-program"};
    DisabledLock l{segment_, config_, o};
    set(0, AccountState::Disabled);
    EXPECT_NE(run(l, 10).alert.find("cannot start"), std::string::npos);
}

TEST_F(DisabledLockTest, WithoutCredentialsDoesNothing) {
    DisabledLock l{segment_, config_, disabled_lock_options(config_)};
    set(0, AccountState::Disabled);
    const auto told = run(l, 100);
    EXPECT_EQ(told.alert + told.info, "");
}

}  // namespace
}  // namespace millrace
