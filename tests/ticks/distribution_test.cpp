// Goal: consumers get every packet or are told which they lost; UDP that is blocked is replaced by
// TCP within 100 ms; a server that is gone is tried every 2 s, with an alert after ten. Method: a
// real publisher and subscribers over loopback, stepped by the test on a clock of its own where
// times count.
#include "gateway/ticks/tick_publisher.h"
#include "gateway/ticks/tick_subscriber.h"
#include "shm/clock.h"

#include <gtest/gtest.h>

#include <functional>

namespace millrace {
namespace {

std::vector<std::byte> key(int n) {
    return std::vector<std::byte>(32, static_cast<std::byte>(n));
}
Text<16> name(const std::string& s) {
    Text<16> t;
    std::copy(s.begin(), s.end(), t.bytes);
    return t;
}

class TickDistribution : public ::testing::Test {
protected:
    TickDistribution() { open(0); }
    void open(std::uint16_t port, std::size_t kept = 8'192) {
        publisher.reset();
        TickPublisherOptions o;
        o.listen.port = port;
        o.consumers = {{"desk", key(1)}};
        o.packets_kept = kept;
        std::string message;
        auto opened = TickPublisher::open(std::move(o), message);
        ASSERT_TRUE(opened.ok()) << message;
        publisher = std::move(opened).value();
    }
    TickSubscriberOptions options() {
        TickSubscriberOptions o;
        o.port = publisher->port();
        o.name = "desk";
        o.key = key(1);
        return o;
    }
    TickCallbacks callbacks() {
        TickCallbacks c;
        c.on_tick = [this](const ReceivedTick& t) {
            ++times[t.tick.bid];
            late += t.late ? 1 : 0;
            if (!t.late) {
                latest[std::string{t.symbol}] = t.tick.bid;
            }
        };
        c.on_lost = [this](std::uint64_t from, std::uint64_t to) { lost += to - from + 1; };
        c.on_alert = [this](std::string_view) { ++alerts; };
        return c;
    }
    void publish(std::int64_t n, const std::string& symbol = "S", std::uint32_t row = 0) {
        publisher->publish(row, name(symbol), {row, 0, static_cast<std::uint64_t>(n), n, n, n + 1});
        publisher->step(Nanos{clock});
    }
    /// Steps both, `advance` a round, until `done`; 100,000 rounds at most.
    bool until(TickSubscriber& s, const std::function<bool()>& done, Nanos advance = millis(1)) {
        for (int i = 0; i < 100'000 && !done(); ++i) {
            clock = clock + advance;
            publisher->step(clock);
            s.poll(clock, 0);
        }
        return done();
    }

    Nanos clock = seconds(1'000);
    std::unique_ptr<TickPublisher> publisher;
    std::map<std::int64_t, int> times;  // each bid is told
    std::map<std::string, std::int64_t> latest;
    std::uint64_t late = 0;
    std::uint64_t lost = 0;
    int alerts = 0;
};

TEST_F(TickDistribution, TellsTheLatestAtTheBeginningThenEveryQuoteByUdp) {
    publish(1, "A", 0);
    publish(2, "B", 1);
    TickSubscriber s{options(), callbacks()};
    ASSERT_TRUE(until(s, [&] { return latest["A"] == 1 && latest["B"] == 2; }));
    for (std::int64_t n = 10; n < 510; ++n) {
        publish(n, n % 2 == 0 ? "A" : "C", n % 2 == 0 ? 0 : 2);
        if (n % 50 == 0) {
            s.poll(clock, 0);
        }
    }
    ASSERT_TRUE(until(s, [&] { return latest["C"] == 509 && times.size() == 502; }));
    for (std::int64_t n = 10; n < 510; ++n) {
        ASSERT_EQ(times[n], 1) << n;
    }
    EXPECT_FALSE(s.by_tcp());
    EXPECT_GE(publisher->stats().datagrams, 500U);
    EXPECT_EQ(publisher->stats().again, 0U);
}

TEST_F(TickDistribution, RefusesAStrangerByName) {
    auto o = options();
    o.key = key(2);
    TickSubscriber s{std::move(o), callbacks()};
    ASSERT_TRUE(until(s, [&] { return s.stats().failed_connects == 1; }));
    EXPECT_EQ(s.last_error(), "denied: no consumer of this name and key is configured");
    EXPECT_FALSE(s.up());
}

TEST_F(TickDistribution, FillsEveryPacketThatUdpLost) {
    TickSubscriber s{options(), callbacks()};
    publish(1);
    ASSERT_TRUE(until(s, [&] { return latest["S"] == 1; }));
    s.set_loss(7);
    for (std::int64_t n = 2; n <= 2'000; ++n) {
        publish(n);
        s.poll(clock, 0);
    }
    ASSERT_TRUE(until(s, [&] { return times.size() == 2'000 && s.missing() == 0; }));
    for (std::int64_t n = 1; n <= 2'000; ++n) {
        ASSERT_EQ(times[n], 1) << n;
    }
    EXPECT_GT(late, 100U);
    EXPECT_EQ(lost, 0U);
    std::printf("covers: 2,000 packets, each 7th datagram lost, %llu filled by TCP\n",
                static_cast<unsigned long long>(late));
}

TEST_F(TickDistribution, FallsBackToTcpWithin100MillisecondsAndReturns) {
    TickSubscriber s{options(), callbacks()};
    publish(1);
    ASSERT_TRUE(until(s, [&] { return latest["S"] == 1; }));
    s.set_deaf(true);
    const Nanos cut = clock;
    Nanos back;
    // A quote each 5 ms, by the clock of both ends, which the test holds.
    std::int64_t n = 2;
    for (; back.value == 0 && n < 1'000; ++n) {
        publish(n);
        ASSERT_TRUE(until(s, [&, rounds = 0]() mutable { return ++rounds > 5; }));
        back = times.contains(n) ? clock : Nanos{};
        // The answer is on the wire at once, but for the time that loopback takes: give it.
        for (int i = 0; s.by_tcp() && back.value == 0 && i < 100'000; ++i) {
            publisher->step(clock);
            s.poll(clock, 1);
            back = times.contains(n) ? clock : Nanos{};
        }
    }
    ASSERT_NE(back.value, 0);
    EXPECT_TRUE(s.by_tcp());
    EXPECT_LE(back - cut, millis(100));
    EXPECT_EQ(publisher->stats().to_tcp, 1U);
    for (std::int64_t i = 1; i < n; ++i) {
        EXPECT_EQ(times[i], 1) << "what was on its way is there too: " << i;
    }
    s.set_deaf(false);
    ASSERT_TRUE(until(s, [&] { return !s.by_tcp(); }));
    publish(n);
    ASSERT_TRUE(until(s, [&] { return times.contains(n); }));
    EXPECT_EQ(s.stats().fallbacks, 1U);
    EXPECT_EQ(s.stats().returns, 1U);
    EXPECT_EQ(lost, 0U);
    std::printf("covers: UDP blocked to data by TCP, %.0f ms\n",
                static_cast<double>((back - cut).value) / 1e6);
}

TEST_F(TickDistribution, TellsWhatIsNoLongerKeptAndShowsTheLatest) {
    open(0, 64);
    TickSubscriber s{options(), callbacks()};
    publish(1);
    ASSERT_TRUE(until(s, [&] { return latest["S"] == 1; }));
    s.set_deaf(true);
    for (std::int64_t n = 2; n <= 1'000; ++n) {
        publish(n);
    }
    ASSERT_TRUE(until(s, [&] { return latest["S"] == 1'000 && lost != 0; }));
    EXPECT_EQ(lost, 1'000U - 64U - 1U);
    EXPECT_EQ(s.missing(), 0U);
}

TEST_F(TickDistribution, TriesAgainEveryTwoSecondsAndAlertsAfterTen) {
    TickSubscriber s{options(), callbacks()};
    publish(1);
    ASSERT_TRUE(until(s, [&] { return s.up() && latest["S"] == 1; }));
    const std::uint16_t port = publisher->port();
    publisher.reset();  // the server is gone
    const auto wait = [&](const std::function<bool()>& done) {
        for (int i = 0; i < 100'000 && !done(); ++i) {
            clock = clock + millis(20);
            s.poll(clock, 0);
        }
        return done();
    };
    ASSERT_TRUE(wait([&] { return s.stats().failed_connects == 1; }));
    const Nanos first = clock;
    ASSERT_TRUE(wait([&] { return s.stats().failed_connects == 9; }));
    EXPECT_EQ(alerts, 0);
    ASSERT_TRUE(wait([&] { return alerts == 1; }));
    EXPECT_GE(clock - first, seconds(18));
    EXPECT_LE(clock - first, seconds(22));
    open(port);
    publish(7);
    ASSERT_TRUE(until(s, [&] { return latest["S"] == 7; }, millis(20))) << "and goes on";
    EXPECT_EQ(s.stats().sessions, 2U);
}

}  // namespace
}  // namespace millrace
