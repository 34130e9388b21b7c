// Goal: the Expert Advisor and the real broker stage understand each other: log in, orders, deaths
// of the terminal, kill. Method: the stage in a segment of its own, stepped by the test; the other
// ends of its rings stand in for the engine.
#include "tests/broker/broker_world.h"
#include "tests/mt5/desk.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace millrace::mt5::test {
namespace {

constexpr std::uint32_t kAccount = kLogin - millrace::test::kFirstLogin;

std::string hex_key() {
    std::string text;
    for (const std::byte byte : millrace::test::key_of(kLogin)) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
        text += digits;
    }
    return text;
}

class WithTheRealStage : public testing::Test {
protected:
    void SetUp() override {
        world.define_symbol(1, "EURUSD");
        host.start();
        ASSERT_TRUE(world.until([&] { return world.is_up(kAccount) && is_allowed(); }));
    }
    [[nodiscard]] bool is_allowed() const {
        bool allowed = false;
        for (const Report& report : world.reports) {
            const bool info = report.type == ReportType::AccountInfo;
            allowed = info ? (report.permissions & 1) != 0 : allowed;
        }
        return allowed;
    }
    const Report* report_of(ReportType type, Magic magic) {
        const Report* found = nullptr;
        EXPECT_TRUE(world.until([&] {
            for (const Report& report : world.reports) {
                found = report.type == type && report.magic == magic ? &report : found;
            }
            return found != nullptr;
        }));
        return found;
    }

    /// Of a micro account, which the terminal's is not.
    static bool configured(const Text<16>& name, SymbolSpec& found) {
        found.name = name;
        found.contract_size = 1000 * kScale;
        return true;
    }

    millrace::test::World world{{.find_symbol = configured}};
    TempDir dir;
    HostProcess host{dir,
                     world.stage->port(),
                     {.inputs = {"InpReadyMs=20", "InpTickSymbols=EURUSD"}, .key = hex_key()}};
};

TEST_F(WithTheRealStage, LogsInTakesAnOrderAndTellsItsExecution) {
    const Magic magic = world.order(kAccount);
    const Report* outcome = report_of(ReportType::Outcome, magic);
    ASSERT_NE(outcome, nullptr);
    EXPECT_EQ(outcome->retcode, 10009U);
    EXPECT_EQ(outcome->volume.value, kScale / 10);
    EXPECT_EQ(booked(dir, magic.intent()).executions, 1U);
}

TEST_F(WithTheRealStage, ADeathOfTheTerminalBetweenOrdersLosesNothingAndDoublesNothing) {
    std::vector<Magic> magics;
    for (int i = 0; i < 5; ++i) {
        magics.push_back(world.order(kAccount));
    }
    world.steps(3);
    host.kill9();
    host.start();
    for (const Magic magic : magics) {
        const Report* outcome = report_of(ReportType::Outcome, magic);
        ASSERT_NE(outcome, nullptr);
        EXPECT_LE(booked(dir, magic.intent()).executions, 1U);
        EXPECT_EQ(booked(dir, magic.intent()).executions, outcome->retcode == 10009U ? 1U : 0U);
    }
}

TEST_F(WithTheRealStage, WhatTheBrokerSaysOfASymbolIsHeldAgainstTheConfiguration) {
    ASSERT_TRUE(world.until([&] { return world.stage->stats().symbols > 0; }));
    EXPECT_EQ(world.errors("ALERT EURUSD, account 1: the broker's contract size is 100000, "
                           "configured 1000"),
              1U);
}

TEST(TheRealStage, TakesNoEntriesForAnAccountThatIsKeptInAnotherCurrency) {
    millrace::test::World world{{.facts = {.currency = make_text<8>("EUR")}}};
    world.define_symbol(1, "EURUSD");
    TempDir dir;
    HostProcess host{dir, world.stage->port(), {.inputs = {"InpReadyMs=20"}, .key = hex_key()}};
    const Magic waited = world.order(kAccount);
    host.start();
    ASSERT_TRUE(world.until([&] { return world.unsent(waited) != nullptr; }));
    EXPECT_EQ(world.unsent(waited)->reason, static_cast<std::uint16_t>(Reason::AccountNotTrading));
    EXPECT_EQ(world.errors("ALERT account 1 is kept in USD, configured in EUR"), 1U);
    EXPECT_EQ(host.stat("sends"), 0U);
}

TEST_F(WithTheRealStage, AKillFlattensTheAccount) {
    const Magic magic = world.order(kAccount);
    ASSERT_NE(report_of(ReportType::Outcome, magic), nullptr);
    world.kill(
        KillCommand{9, KillScope::Account, kKillStop | kKillFlatten, {}, kAccount, Text<16>{}});
    const Report* closed = report_of(ReportType::Exec, magic);
    ASSERT_NE(closed, nullptr);
    EXPECT_EQ(closed->exec_kind, ExecKind::ClosedByKill);
    EXPECT_EQ(host.stat("positions"), 0U);
}

}  // namespace
}  // namespace millrace::mt5::test
