// Goal: the simulated broker's terminal streams its market to a TickServer, comes back after a cut,
// and has what was missed. Method: a real millrace-simbroker process.
#include "gateway/ticks/tick_server.h"
#include "shm/clock.h"
#include "tests/simbroker/harness.h"

#include <gtest/gtest.h>

#include <functional>

namespace millrace {
namespace {

class Counts final : public TickSink {
public:
    void on_feed(std::uint64_t, bool up) override { ups += up ? 1 : 0; }
    void on_symbol(const FeedSymbol& s) override { announced = s.seq; }
    void on_tick(const FeedTick& t) override { last = t; }
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t, const FeedTick& t) override { filled.push_back(t.bid.value); }
    void on_history_end(std::uint64_t, std::uint64_t, bool, bool) override { ended = true; }

    int ups = 0;
    bool ended = false;
    std::uint64_t announced = 0;
    FeedTick last;
    std::vector<std::int64_t> filled;
};

TEST(TickSimulator, StreamsItsMarketAndHasWhatACutMissed) {
    const sim::test::TempDir dir;
    Counts seen;
    TickServerOptions o;
    o.table_path = dir.path("table");
    o.accounts = {{sim::test::kLogin, {}, "", ""}};
    const std::string hex = MILLRACE_HARNESS_KEY;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        o.accounts[0].key.push_back(
            static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    std::string message;
    auto opened = TickServer::open(std::move(o), seen, message);
    ASSERT_TRUE(opened.ok()) << message;
    TickServer& server = *opened.value();
    const auto until = [&](const std::function<bool()>& done) {
        const std::int64_t end = monotonic_ns() + seconds(180).value;
        while (!done() && monotonic_ns() < end) {
            server.step(Nanos{monotonic_ns()});
        }
        return done();
    };
    sim::test::Stage bridge;  // it connects there too, and is left waiting
    sim::test::SimProcess broker{
        dir,
        bridge.port(),
        {.arguments = {"--ticks-to", "127.0.0.1:" + std::to_string(server.port())}}};
    ASSERT_TRUE(until([&] { return seen.ups == 1; }));
    broker.quote("1.10000", "1.10010");
    ASSERT_TRUE(until([&] { return seen.last.ask.value == 110'010'000; }));
    const Nanos first = seen.last.time;
    broker.control({{"cmd", "tick_link"}, {"do", "cut"}});
    broker.quote("1.20000", "1.20010");
    broker.quote("1.30000", "1.30010");
    ASSERT_TRUE(until([&] { return seen.ups == 2 && seen.last.bid.value == 130'000'000; }));
    EXPECT_EQ(seen.announced, 3U) << "the stream went on without us";
    ASSERT_TRUE(server.ask({sim::test::kLogin, 5, seen.last.symbol, first, seen.last.time, 100}));
    ASSERT_TRUE(until([&] { return seen.ended; }));
    EXPECT_EQ(seen.filled, (std::vector<std::int64_t>{110'000'000, 120'000'000, 130'000'000}));
}

}  // namespace
}  // namespace millrace
