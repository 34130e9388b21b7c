// Goal: a consumer believes nobody but its server, never takes an old quote for the newest, is told
// which packets it lost, and asks no more than it must. Method: a server that the test plays, frame
// by frame; time is the test's.
#include "gateway/ticks/tick_subscriber.h"
#include "tests/ticks/raw_end.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using tick_wire::TickEntry;

TickEntry quote(std::uint32_t row, std::int64_t bid) {
    return {row, 0, 1, bid, bid, bid + 1};
}

class Subscriber : public ::testing::Test {
protected:
    Subscriber() {
        TickSubscriberOptions o;
        o.port = server.listener.port();
        o.name = "desk";
        o.key = test::tick_key(1);
        TickCallbacks c;
        c.on_tick = [this](const ReceivedTick& t) {
            told.push_back(t.tick.bid);
            late += t.late ? 1 : 0;
            if (!t.late) {
                latest[t.row] = t.tick.bid;
            }
        };
        c.on_lost = [this](std::uint64_t from, std::uint64_t to) { lost.push_back({from, to}); };
        subscriber = std::make_unique<TickSubscriber>(std::move(o), std::move(c));
    }
    bool until(const std::function<bool()>& done) {
        for (int i = 0; i < 20'000 && !done(); ++i) {
            server.step();
            subscriber->poll(clock, 1);
        }
        return done();
    }
    /// Logged in, and in step at packet `seq`.
    void begin(std::uint64_t seq) {
        ASSERT_TRUE(until([&] { return subscriber->up() && server.logged_in; }));
        const std::size_t before = told.size();
        server.snapshot(seq, {quote(0, 10)});
        ASSERT_TRUE(until([&] { return told.size() > before; }));
    }
    using Rows = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

    Nanos clock = seconds(1'000);
    test::FakeTickServer server;
    std::unique_ptr<TickSubscriber> subscriber;
    std::vector<std::int64_t> told;
    std::map<std::uint32_t, std::int64_t> latest;
    std::uint64_t late = 0;
    Rows lost;
};

TEST_F(Subscriber, BelievesNoDatagramWithoutTheSealOfItsConnection) {
    begin(10);
    wire::Mac former{};
    std::copy_n(server.session, sizeof former, former);
    server.cut();
    begin(10);
    server.datagram(test::FakeTickServer::packet(11, {quote(0, 666)}));
    server.by_udp_sealed(former, 11, {quote(0, 667)});
    server.by_udp_sealed(former, std::uint64_t{1} << 63U, {});
    std::vector<std::byte> cut = test::FakeTickServer::packet(11, {quote(0, 668)});
    cut.resize(20);
    server.datagram(cut);
    ASSERT_TRUE(until([&] { return subscriber->stats().forged == 4; }));
    EXPECT_EQ(latest[0], 10);
    EXPECT_EQ(subscriber->missing(), 0U);
    server.by_udp(11, {quote(0, 11)});
    ASSERT_TRUE(until([&] { return latest[0] == 11; }));
}

TEST_F(Subscriber, NeverTakesAnOlderQuoteForTheNewest) {
    begin(5);
    server.by_udp(6, {quote(1, 61)});
    ASSERT_TRUE(until([&] { return latest[1] == 61; }));
    server.snapshot(5, {quote(1, 51), quote(2, 52)});
    ASSERT_TRUE(until([&] { return latest[2] == 52; }));
    EXPECT_EQ(latest[1], 61) << "the rest of the snapshot is older than that packet";
    server.by_udp(8, {quote(0, 80)});
    ASSERT_TRUE(until([&] { return latest[0] == 80; }));
    server.by_tcp(7, {quote(0, 70), quote(2, 72)});
    ASSERT_TRUE(until([&] { return told.back() == 72; }));
    EXPECT_EQ(latest[0], 80);
    EXPECT_EQ(latest[2], 72) << "asked for, and the newest of its symbol all the same";
    EXPECT_EQ(late, 1U);
}

TEST_F(Subscriber, IsToldWhatAJumpAndANewConnectionLost) {
    begin(10);
    const std::uint64_t far = 11 + TickSubscriber::kMissingMax + 100;
    server.by_udp(far, {quote(0, 20)});
    ASSERT_TRUE(until([&] { return latest[0] == 20; }));
    EXPECT_EQ(lost, (Rows{{11, 110}}));
    EXPECT_EQ(subscriber->missing(), TickSubscriber::kMissingMax);
    ASSERT_TRUE(until([&] {
        return std::any_of(server.asks.begin(), server.asks.end(), [](const tick_wire::Ask& a) {
            return (a.flags & tick_wire::kAskSnapshot) != 0;
        });
    })) << "a snapshot takes their place";
    lost.clear();
    server.cut();
    begin(far + 50);
    EXPECT_EQ(lost, (Rows{{111, far - 1}, {far + 1, far + 50}})) << "nobody sends those again";
    lost.clear();
    server.cut();
    begin(3);
    EXPECT_EQ(lost, (Rows{{far + 51, UINT64_MAX}})) << "the server began anew";
}

TEST_F(Subscriber, AsksAgainOnlyWhenAnAnswerCouldHaveCome) {
    begin(10);
    const auto wait = [&](Nanos time) {
        for (const Nanos end = clock + time; clock < end;) {
            clock = clock + millis(10);
            // Nothing by UDP would be the other path.
            server.by_udp(0, {});
            ASSERT_TRUE(until([&, n = 0]() mutable { return ++n > 3; }));
        }
    };
    server.by_udp(12, {quote(0, 12)});
    ASSERT_TRUE(until([&] { return server.asks.size() == 1; })) << "at once";
    wait(millis(400));
    server.by_tcp(11, {quote(0, 11)});
    ASSERT_TRUE(until([&] { return subscriber->missing() == 0; }));
    server.asks.clear();
    server.by_udp(14, {quote(0, 14)});
    ASSERT_TRUE(until([&] { return server.asks.size() == 1; }));
    wait(millis(700));
    EXPECT_EQ(server.asks.size(), 1U) << "answers take 400 ms here";
    wait(millis(200));
    EXPECT_EQ(server.asks.size(), 2U);
}

}  // namespace
}  // namespace millrace
