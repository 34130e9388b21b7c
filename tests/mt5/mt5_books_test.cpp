// Goal: what the account really holds is held against the books: what the history does not tell, a
// stop that a hand has moved and positions of nobody are named, and a list that could not be read
// is never taken for an empty one. Method: the Expert Advisor's own source, the real broker stage,
// an engine that gets every report of it, and the replica's check beside that.
#include "persist/book_check.h"
#include "tests/broker/broker_world.h"
#include "tests/engine/rig.h"
#include "tests/mt5/desk.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

namespace millrace::mt5::test {
namespace {

constexpr std::uint32_t kAccount = kLogin - millrace::test::kFirstLogin;
/// That so many lists have come in which something would have been told.
constexpr std::uint64_t kLists = 2;

std::string hex_key() {
    std::string text;
    for (const std::byte byte : millrace::test::key_of(kLogin)) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
        text += digits;
    }
    return text;
}

class BooksAgainstTheBroker : public testing::Test {
protected:
    void SetUp() override {
        world.define_symbol(0, "EURUSD");
        rig.now = world.now();
        rig.world(kAccount + 1);
        host.start();
        ASSERT_TRUE(until([&] {
            return world.is_up(kAccount) && rig.engine.account(AccountId{kAccount}).ready;
        }));
        ASSERT_TRUE(until([&] { return world.stage->stats().holdings > 0; }));
    }
    /// What the stage reports goes to the engine, and what the engine orders to the stage.
    void pass_on() {
        rig.now = std::max(rig.now, world.now());
        for (; passed_ < world.reports.size(); ++passed_) {
            rig.input(InputType::Report, world.reports[passed_]);
            check.on_record(rig.engine);
            rig.settle();
        }
        for (const OrderCommand& command : rig.take_orders()) {
            if (command.account.value == kAccount) {
                world.publish(command);
            }
        }
        check.collect(rig.engine);
        // All of it is on disk: what is told is acknowledged, so that the next is.
        world.durable_upto(world.segment.core().completed.load());
    }
    bool until(const std::function<bool()>& condition) {
        return world.until([&] {
            pass_on();
            return condition();
        });
    }
    /// Lists come, and nothing else happens.
    void let_lists_come() {
        const std::uint64_t before = world.stage->stats().holdings;
        ASSERT_TRUE(until([&] { return world.stage->stats().holdings >= before + kLists; }));
    }
    /// Time in which two would come, one each second, and a terminal that runs.
    void let_lists_be_due() {
        const Nanos from = world.now();
        const std::uint64_t timers = host.stat("timers");
        ASSERT_TRUE(until([&] {
            return world.now().value > from.value + 2'500'000'000 &&
                   host.stat("timers") > timers + 100;
        }));
    }
    /// A position of 0.10 of signal `n`.
    void open(std::uint64_t n, Price stop_loss = Price{}) {
        Signal s = rig.open(n);
        s.stop_loss = stop_loss;
        const Lots before = rig.open_volume(kAccount);
        rig.signal(s);
        ASSERT_TRUE(until([&] { return rig.open_volume(kAccount) > before; }));
    }
    [[nodiscard]] bool is_told(const char* part) { return world.errors(part) > 0; }

    millrace::test::World world;
    millrace::test::Rig rig;
    TempDir dir;
    HostProcess host{dir,
                     world.stage->port(),
                     {.inputs = {"InpReadyMs=20", "InpHoldingsSeconds=1", "InpTickSymbols=EURUSD"},
                      .key = hex_key()}};
    BookCheck check{world.segment, world.dir.path().string(), millis(500)};

private:
    std::size_t passed_ = 0;
};

TEST_F(BooksAgainstTheBroker, SayNothingWhereBothAgree) {
    open(1, Price{109'000'000});
    open(2);
    ASSERT_NO_FATAL_FAILURE(let_lists_come());
    EXPECT_EQ(check.standing(), 0U);
    EXPECT_EQ(world.errors("account 1: EURUSD"), 0U);
}

TEST_F(BooksAgainstTheBroker, ACloseThatNobodyCanTellAnyMoreIsNamedWithBothNumbers) {
    open(1);
    host.knob("no_history", 1);  // nobody can look what has happened
    host.control(R"("cmd":"manual_close")");
    host.control(R"("cmd":"lose_journal")");
    host.knob("no_history", 0);
    ASSERT_TRUE(until([&] { return check.standing() == 1; }));
    EXPECT_TRUE(is_told("the books have BUY 0.1, the broker nothing"));
    const auto file = read_differences(world.dir.path().string());
    ASSERT_EQ(file.size(), 1U);
    EXPECT_EQ(file[0].account.value, kAccount);
    EXPECT_EQ(world.segment.core().book_differences.load(), 1U);
}

TEST_F(BooksAgainstTheBroker, AStopThatAHandHasMovedIsNamedUntilItIsBack) {
    open(1, Price{109'000'000});
    ASSERT_TRUE(until([&] { return host.stat("first_stop_loss") == 109'000'000; }));
    host.control(R"("cmd":"manual_stop","price":"1.06")");
    ASSERT_TRUE(until([&] { return check.standing() == 1; }));
    EXPECT_TRUE(is_told("SL/TP 1.06/0 at the broker, 1.09/0 in the books"));
    ASSERT_NO_FATAL_FAILURE(let_lists_come());
    EXPECT_EQ(world.errors("SL/TP 1.06/0"), 1U) << "once";
    host.control(R"("cmd":"manual_stop","price":"1.09")");
    ASSERT_TRUE(until([&] { return check.standing() == 0; }));
    EXPECT_TRUE(is_told("is over"));
    EXPECT_TRUE(read_differences(world.dir.path().string()).empty());
}

TEST_F(BooksAgainstTheBroker, WhatIsOursAndUnknownToThemIsNamed) {
    world.order(kAccount);  // of an engine that is not ours to ask
    ASSERT_TRUE(until([&] { return check.standing() == 1; }));
    EXPECT_TRUE(is_told("is ours: the broker has BUY 0.1, the books nothing"));
}

TEST_F(BooksAgainstTheBroker, APositionOfSomebodyElseIsNamedOnceAndIsNoDifference) {
    host.control(R"("cmd":"manual_trade","symbol":"EURUSD","volume":"0.3")");
    ASSERT_TRUE(until([&] { return is_told("(BUY 0.3) is not ours"); }));
    ASSERT_NO_FATAL_FAILURE(let_lists_come());
    EXPECT_EQ(world.errors("is not ours"), 1U);
    EXPECT_EQ(check.standing(), 0U);
    const auto file = read_differences(world.dir.path().string());
    ASSERT_EQ(file.size(), 1U);
    EXPECT_TRUE(file[0].foreign);
}

TEST_F(BooksAgainstTheBroker, AListThatCouldNotBeReadIsNeverFlat) {
    open(1);
    ASSERT_NO_FATAL_FAILURE(let_lists_come());
    host.knob("disconnected", 1);  // the terminal shows nothing now
    ASSERT_TRUE(until([&] { return rig.engine.account(AccountId{kAccount}).away; }));
    const std::uint64_t before = world.stage->stats().holdings;
    ASSERT_NO_FATAL_FAILURE(let_lists_be_due());
    EXPECT_EQ(world.stage->stats().holdings, before) << "not one list while nobody can know";
    // Connected, and for a while its lists come back without what is in them.
    host.knob("lists_empty_ms", 10);
    host.control(R"("cmd":"reconnect")");
    ASSERT_NO_FATAL_FAILURE(let_lists_come());
    EXPECT_EQ(check.standing(), 0U);
    EXPECT_EQ(world.errors("the broker nothing"), 0U);
}

TEST_F(BooksAgainstTheBroker, TwoReadingsThatDifferAreNoList) {
    open(1);
    host.knob("flicker", 1);
    const std::uint64_t before = world.stage->stats().holdings;
    ASSERT_NO_FATAL_FAILURE(let_lists_be_due());
    EXPECT_LE(world.stage->stats().holdings, before + 1) << "one was on its way";
    host.knob("flicker", 0);
    ASSERT_NO_FATAL_FAILURE(let_lists_come());
    EXPECT_EQ(check.standing(), 0U);
}

}  // namespace
}  // namespace millrace::mt5::test
