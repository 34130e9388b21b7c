// Goal: a list of what an account holds is handed on whole or not at all, and only as of the last
// event that was told; it disturbs nothing else. Method: terminals that tell what the test says.
#include "broker_world.h"
#include "core/crc32c.h"

#include <gtest/gtest.h>

#include <cstring>

namespace millrace::test {
namespace {

bridge::Holding position(std::uint32_t index) {
    bridge::Holding h{};
    h.kind = static_cast<std::uint8_t>(HoldingKind::Position);
    h.index = index;
    h.ticket = 100 + index;
    h.magic = Magic::make(kTag, 1, 0).value;
    h.volume = kScale / 10;
    h.stop_loss = 109'000'000;
    std::memcpy(h.symbol, "EURUSDm", 7);
    return h;
}

class BrokerHoldings : public testing::Test {
protected:
    void SetUp() override {
        world.define_symbol(3, "EURUSD");
        terminal = &world.connect(kFirstLogin);
        taken = RingConsumer<Holding>::attach(
                    world.segment.ring<Holding>(std::string_view{kHoldingsRing}))
                    .value();
    }
    void row(const bridge::Holding& h) {
        crc = crc32c_more(crc, std::as_bytes(std::span{&h, 1}));
        terminal->send(bridge::FrameType::Holding, 0, h);
    }
    /// Ends the list, and waits until the stage has seen that. @return true if it was handed on.
    bool end(std::uint32_t count, std::uint64_t event_seq = 0, std::uint32_t spoilt = 0) {
        const BrokerStats& stats = world.stage->stats();
        const std::uint64_t before = stats.holdings + stats.holdings_lost;
        const std::uint64_t whole = stats.holdings;
        terminal->send(bridge::FrameType::HoldingsEnd, 0,
                       bridge::HoldingsEnd{count, ~crc ^ spoilt, event_seq});
        EXPECT_TRUE(world.until([&] { return stats.holdings + stats.holdings_lost > before; }));
        crc = kCrc32cInit;
        return stats.holdings > whole;
    }
    /// What the replica finds.
    std::vector<Holding> take() {
        std::vector<Holding> all;
        while (const Holding* h = taken.take()) {
            all.push_back(*h);
        }
        taken.release();
        return all;
    }

    World world{{.suffix = "m"}};
    Terminal* terminal = nullptr;
    RingConsumer<Holding> taken;
    std::uint32_t crc = kCrc32cInit;
};

TEST_F(BrokerHoldings, AreHandedOnWithOurNumbersAndOfWhichMomentTheyAre) {
    terminal->send_event(filled(world.order(0)));
    ASSERT_TRUE(world.until([&] { return world.count(ReportType::Outcome) == 1; }));
    row(position(0));
    row(position(1));
    ASSERT_TRUE(end(2, 1));
    const std::vector<Holding> rows = take();
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[1].index, 1U);
    EXPECT_EQ(rows[1].ticket, 101U);
    EXPECT_EQ(rows[1].account.value, 0U);
    EXPECT_EQ(rows[1].symbol.value, 3U) << "without the account's suffix";
    EXPECT_EQ(rows[1].stop_loss.value, 109'000'000);
    EXPECT_EQ(rows[2].kind, HoldingKind::End);
    EXPECT_EQ(rows[2].index, 2U);
    EXPECT_EQ(rows[2].event_seq, 1U);
    EXPECT_EQ(rows[2].journal_id, terminal->journal_id);
    EXPECT_TRUE(end(0, 1)) << "nothing at all is a list, too";
    EXPECT_EQ(take().size(), 1U);
}

TEST_F(BrokerHoldings, WithoutOneOfTheirRowsOrWithAnotherByteAreNoList) {
    row(position(1));  // the first is missing
    EXPECT_FALSE(end(1));
    row(position(0));
    row(position(2));
    EXPECT_FALSE(end(2)) << "the one between is missing";
    row(position(0));
    EXPECT_FALSE(end(2)) << "the last is missing";
    row(position(0));
    EXPECT_FALSE(end(1, 0, 1)) << "another checksum";
    row(position(0));
    EXPECT_FALSE(end(1, 7)) << "as of an event that was not told";
    EXPECT_FALSE(end(1)) << "an end alone";
    row(position(0));
    EXPECT_TRUE(end(1));
    for (const Holding& h : take()) {
        EXPECT_TRUE(h.kind != HoldingKind::End || h.index == 1U);
    }
    EXPECT_TRUE(terminal->connected());
}

TEST_F(BrokerHoldings, ThatNobodyTakesAreLostAndHoldUpNobody) {
    std::uint64_t lists = 0;
    do {
        for (std::uint32_t i = 0; i < 512; ++i) {
            row(position(i));
        }
        ++lists;
    } while (end(512) && lists < kHoldingsSlots);
    EXPECT_EQ(lists, kHoldingsSlots / 513 + 1) << "the ring was full then";
    const Magic magic = world.order(0);
    ASSERT_TRUE(world.until([&] { return !terminal->commands.empty(); }));
    EXPECT_EQ(terminal->commands.back().command.magic, magic.value);
    for (std::uint32_t i = 0; i < 512; ++i) {
        row(position(i));
    }
    bridge::Tick behind{};  // most of them have no place; then there is room again
    std::memcpy(behind.symbol, "EURUSDm", 7);
    behind.bid = behind.ask = 110'000'000;
    terminal->send(bridge::FrameType::Tick, 0, behind);
    ASSERT_TRUE(world.until([&] { return world.stage->stats().ticks == 1; }));
    ASSERT_EQ(take().size(), kHoldingsSlots);
    EXPECT_FALSE(end(512));
    row(position(0));
    EXPECT_TRUE(end(1)) << "and the next is told again";
}

TEST_F(BrokerHoldings, OfNonsenseAreDroppedToldOnceAndTheAccountTradesOn) {
    bridge::Holding none = position(0);
    none.volume = 0;
    bridge::Holding odd = position(1);
    odd.kind = 9;
    for (int i = 0; i < 2; ++i) {
        row(none);
        EXPECT_FALSE(end(1));
        row(position(0));
        row(odd);
        EXPECT_FALSE(end(2));
    }
    for (const Holding& h : take()) {
        EXPECT_TRUE(h.kind == HoldingKind::Position);
    }
    EXPECT_EQ(world.errors("account 0: HOLDING: "), 1U);
    EXPECT_TRUE(terminal->connected());
    world.order(0);
    EXPECT_TRUE(world.until([&] { return !terminal->commands.empty(); }));
    row(position(0));
    EXPECT_TRUE(end(1)) << "and the next is a list";
}

TEST_F(BrokerHoldings, AFrameOfAnotherSizeEndsTheSession) {
    terminal->send(bridge::FrameType::Holding, 0, bridge::Heartbeat{});
    EXPECT_TRUE(world.until([&] { return !terminal->denied.empty(); }));
}

}  // namespace
}  // namespace millrace::test
