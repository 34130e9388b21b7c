// Goal: what a terminal streams is in the table and with the recorder; a socket that is stalled,
// cut or not the terminal's costs nobody else anything; a second terminal steps in for one that is
// silent. Method: a real TickServer and TickFeeds over loopback, stepped by the test.
#include "gateway/ticks/tick_feed.h"
#include "gateway/ticks/tick_server.h"
#include "persist/ticks/tick_query.h"
#include "shm/clock.h"
#include "tests/ops/temp_dir.h"
#include "tools/ticks/recorder_thread.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace millrace {
namespace {

using test::TempDir;

std::vector<std::byte> key(int n) {
    return std::vector<std::byte>(32, static_cast<std::byte>(n));
}

class Seen final : public TickSink {
public:
    void on_feed(std::uint64_t feed, bool up) override { up ? ++ups[feed] : ++downs[feed]; }
    void on_symbol(const FeedSymbol& s) override { symbols.push_back(s); }
    void on_tick(const FeedTick& t) override { ticks.push_back(t); }
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override { ++latest; }
    void on_history(std::uint64_t request, const FeedTick& t) override {
        history[request].push_back(t);
    }
    void on_history_end(std::uint64_t, std::uint64_t request, bool more, bool from_start) override {
        ends[request] = {more, from_start};
    }

    std::map<std::uint64_t, int> ups;
    std::map<std::uint64_t, int> downs;
    std::vector<FeedSymbol> symbols;
    std::vector<FeedTick> ticks;
    std::map<std::uint64_t, std::vector<FeedTick>> history;
    std::map<std::uint64_t, std::pair<bool, bool>> ends;
    std::uint64_t latest = 0;
};

/// A server with accounts 1 and 2 (prefix "m."), feeds, and a clock of the test's own.
class TickLink : public ::testing::Test {
protected:
    TickLink() { open(seen); }

    void open(TickSink& sink) {
        TickServerOptions o;
        o.listen.port = 0;
        o.table_path = dir / "table";
        o.symbols_max = 2'000;
        o.accounts = {{1, key(1), "", ""}, {2, key(2), "m.", ""}};
        std::string message;
        auto opened = TickServer::open(std::move(o), sink, message);
        ASSERT_TRUE(opened.ok()) << message;
        server = std::move(opened).value();
        reader = TickTableReader{TickTableMap::attach(dir / "table").value()};
    }
    TickFeed feed(std::uint64_t login, std::size_t kept = 1U << 20U) {
        TickFeedOptions o;
        o.port = server->port();
        o.login = login;
        o.key = key(static_cast<int>(login));
        o.kept_max = kept;
        o.reconnect = millis(20);
        return TickFeed{std::move(o)};
    }
    /// Steps everybody until `done`, three minutes at most. The server's clock is the real one
    /// unless held.
    bool until(std::vector<TickFeed*> feeds, const std::function<bool()>& done) {
        const std::int64_t end = monotonic_ns() + seconds(180).value;
        while (!done()) {
            if (monotonic_ns() > end) {
                return false;
            }
            for (TickFeed* f : feeds) {
                f->step(Nanos{monotonic_ns()});
            }
            server->step(now());
        }
        return true;
    }
    [[nodiscard]] Nanos now() const { return held.value != 0 ? held : Nanos{monotonic_ns()}; }
    [[nodiscard]] Quote latest(std::string_view symbol) const {
        const auto row = reader.find(symbol);
        return row ? reader.latest(*row) : Quote{};
    }
    void push(TickFeed& f, std::string_view symbol, std::int64_t n) {
        f.push(symbol, millis(1'000 + n), Price{n}, Price{n + 1});
    }

    TempDir dir;
    Seen seen;
    Nanos held;  // the server's clock, if the test holds it
    std::unique_ptr<TickServer> server;
    TickTableReader reader;
};

TEST_F(TickLink, PutsEveryTickIntoTheTableAndOn) {
    TickFeed f = feed(2);
    push(f, "m.EURUSD", 1);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    for (std::int64_t n = 2; n <= 100; ++n) {
        push(f, "m.EURUSD", n);
        push(f, "m.XAUUSD", n * 10);
    }
    ASSERT_TRUE(until({&f}, [&] { return latest("XAUUSD").bid.value == 1000; }));
    EXPECT_EQ(latest("EURUSD").ask.value, 101);
    EXPECT_FALSE(reader.find("m.EURUSD")) << "names are canonical";
    // The first one was before the connection: announced, and sent as the latest.
    ASSERT_FALSE(seen.symbols.empty());
    EXPECT_EQ(seen.symbols[0].seq, 1U);
    std::map<std::string, std::uint64_t> last;
    for (const FeedTick& t : seen.ticks) {
        std::uint64_t& seq = last[std::string{t.symbol.bytes, 6}];
        EXPECT_GT(t.seq, seq);
        seq = t.seq;
    }
    EXPECT_EQ(last["EURUSD"], 100U);
    EXPECT_EQ(last["XAUUSD"], 99U);
}

TEST_F(TickLink, RefusesAStrangerAndAWrongKeyWithTheReason) {
    TickFeed stranger = feed(3);
    ASSERT_TRUE(until({&stranger}, [&] { return !stranger.last_error().empty(); }));
    EXPECT_EQ(stranger.last_error(), "denied: no account of this login is configured");
    TickFeedOptions o;
    o.port = server->port();
    o.login = 1;
    o.key = key(9);
    TickFeed thief{std::move(o)};
    ASSERT_TRUE(until({&thief}, [&] { return !thief.last_error().empty(); }));
    EXPECT_EQ(thief.last_error(), "denied: wrong key for this login");
    EXPECT_EQ(server->stats().denied, 2U);
    EXPECT_TRUE(seen.ups.empty());
}

TEST_F(TickLink, NeverMakesATerminalWaitAndConflatesWhatItCannotSend) {
    TickFeed f = feed(1);
    push(f, "S", 1);
    ASSERT_TRUE(until({&f}, [&] { return latest("S").bid.value == 1; }));
    // Nobody reads: the socket fills up, ticks are passed over, none is waited for.
    std::int64_t n = 1;
    while (f.stats().passed_over < 1'000) {
        push(f, "S", ++n);
        f.step(Nanos{monotonic_ns()});
        ASSERT_LT(n, 10'000'000);
    }
    ASSERT_TRUE(until({&f}, [&] { return latest("S").bid.value == n; }));
    const std::uint64_t jump = static_cast<std::uint64_t>(n) - seen.ticks.size();
    EXPECT_EQ(seen.ticks.size(), f.stats().sent);
    EXPECT_GT(jump, 900U) << "what was passed over shows in the numbers alone";
    std::printf("covers: %lld ticks into a socket that nobody read, %llu passed over\n",
                static_cast<long long>(n), static_cast<unsigned long long>(jump));
}

TEST_F(TickLink, AnswersWithTheTicksOfATimeInOrder) {
    TickFeed f = feed(1, 50);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    for (std::int64_t n = 1; n <= 100; ++n) {
        push(f, "S", n);
    }
    ASSERT_TRUE(until({&f}, [&] { return latest("S").bid.value == 100; }));
    Text<16> symbol;
    symbol.bytes[0] = 'S';
    const auto ask = [&](std::uint64_t id, std::int64_t from, std::int64_t to,
                         std::uint32_t limit) {
        ASSERT_TRUE(server->ask({1, id, symbol, millis(from), millis(to), limit}));
        ASSERT_TRUE(until({&f}, [&] { return seen.ends.contains(id); }));
    };
    ask(7, 1'060, 1'090, 1'000);
    ASSERT_EQ(seen.history[7].size(), 31U);
    EXPECT_EQ(seen.history[7].front().bid.value, 60);
    EXPECT_EQ(seen.history[7].back().bid.value, 90);
    EXPECT_EQ(seen.ends[7], std::make_pair(false, true));
    ask(8, 1'060, 1'090, 30);
    EXPECT_EQ(seen.history[8].size(), 30U);
    EXPECT_EQ(seen.ends[8], std::make_pair(true, true));
    ask(9, 1'020, 1'060, 1'000);
    EXPECT_EQ(seen.history[9].size(), 10U) << "it keeps the last 50";
    EXPECT_EQ(seen.ends[9], std::make_pair(false, false));
    symbol.bytes[0] = 'X';
    EXPECT_FALSE(server->ask({1, 10, symbol, Nanos{}, Nanos{}, 1})) << "not known to it";
    EXPECT_FALSE(server->ask({2, 10, symbol, Nanos{}, Nanos{}, 1})) << "not connected";
}

TEST_F(TickLink, TakesASecondTerminalForOneThatIsCutAtOnce) {
    TickFeed a = feed(1);
    TickFeed b = feed(2);
    push(a, "S", 1);
    ASSERT_TRUE(until({&a}, [&] { return latest("S").bid.value == 1; }));
    push(b, "m.S", 100);
    ASSERT_TRUE(until({&a, &b}, [&] { return seen.ups[2] == 1 && server->stats().ticks >= 2; }));
    EXPECT_EQ(latest("S").bid.value, 1) << "the first one's quotes stand";
    push(b, "m.S", 101);
    ASSERT_TRUE(until({&a, &b}, [&] { return server->stats().ticks >= 3; }));
    EXPECT_EQ(latest("S").bid.value, 1);
    a.cut(Nanos{monotonic_ns()});
    ASSERT_TRUE(until({&b}, [&] { return seen.downs[1] == 1; }));
    EXPECT_EQ(latest("S").bid.value, 101) << "in the very step in which the cut was seen";
    EXPECT_EQ(server->stats().takeovers, 1U);
}

TEST_F(TickLink, TakesASecondTerminalForOneThatIsSilentWithin100Milliseconds) {
    TickFeed a = feed(1);
    TickFeed b = feed(2);
    push(a, "S", 1);
    ASSERT_TRUE(until({&a}, [&] { return latest("S").bid.value == 1; }));
    push(b, "m.S", 100);
    ASSERT_TRUE(until({&a, &b}, [&] { return server->stats().ticks >= 2; }));
    // The path to the first one is lost without a word: nothing comes any more. By the server's own
    // clock, which the test holds: no machine is too slow for it.
    a.set_stalled(true);
    held = now();
    const Nanos cut = held;
    Nanos seen_at;
    for (std::int64_t n = 101; seen_at.value == 0 && held - cut < seconds(10); ++n) {
        held = held + millis(5);
        push(b, "m.S", n);
        ASSERT_TRUE(until({&b}, [&] {
            return server->stats().ticks >= 3 + static_cast<std::uint64_t>(n - 101);
        }));
        seen_at = latest("S").bid.value >= 100 ? latest("S").time : Nanos{};
    }
    ASSERT_NE(seen_at.value, 0);
    EXPECT_GT(seen_at - cut, TickServer::kFeedSilence - millis(5));
    EXPECT_LE(seen_at - cut, millis(100));
    std::printf("covers: silent link to data of the second one, %.1f ms\n",
                static_cast<double>((seen_at - cut).value) / 1e6);
}

TEST_F(TickLink, DropsAStreamThatIsNoneAndNobodyElse) {
    TickFeed good = feed(1);
    push(good, "S", 1);
    ASSERT_TRUE(until({&good}, [&] { return good.up(); }));
    auto fd = net::begin_connect("127.0.0.1", server->port());
    ASSERT_TRUE(fd.ok());
    net::Connection bad{4096};
    bad.open(std::move(fd).value());
    std::array<std::byte, 4096> bytes{};
    bytes.fill(std::byte{0x7E});
    bool closed = false;
    ASSERT_TRUE(bad.send(std::span{bytes}.first(1'000)).ok());
    ASSERT_TRUE(until({&good}, [&] {
        static_cast<void>(bad.flush());
        const auto got = bad.receive(bytes);
        closed = closed || (!got && got.code() != Errc::Busy);
        return closed;
    }));
    EXPECT_GE(server->stats().bad_frames, 1U);
    push(good, "S", 2);
    ASSERT_TRUE(until({&good}, [&] { return latest("S").bid.value == 2; }));
    EXPECT_EQ(seen.downs[1], 0);
}

TEST_F(TickLink, CarriesAThousandSymbols) {
    TickFeed f = feed(1);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    for (std::int64_t round = 1; round <= 3; ++round) {
        for (int i = 0; i < 1'000; ++i) {
            push(f, "SYM" + std::to_string(i), round);
        }
        ASSERT_TRUE(until({&f}, [&] {
            return latest("SYM999").bid.value == round && latest("SYM0").bid.value == round;
        }));
    }
    EXPECT_EQ(reader.rows(), 1'000U);
}

/// The whole way into the record, and back for what was passed over.
TEST_F(TickLink, RecordsEveryTickAlthoughTheLinkIsCutAndStalled) {
    std::vector<std::string> told;
    ticklog::RecorderOptions o;
    o.directory = dir / "log";
    o.flush_ms = 1;
    auto recorder = ticklog::Recorder::open(o, Nanos{wall_ns()}, told);
    ASSERT_TRUE(recorder.ok());
    RecorderThread thread{std::move(recorder).value(), [](const std::string&) {}, [] {}};
    server.reset();
    open(thread);
    TickFeed f = feed(1);
    std::int64_t n = 1;
    const auto go = [&](std::int64_t ticks) {
        for (const std::int64_t end = n + ticks; n < end;) {
            push(f, n % 2 == 0 ? "A" : "B", n);
            ++n;
        }
    };
    const auto both = [&](const std::function<bool()>& done) {
        return until({&f}, [&] {
            thread.ask_next(*server);
            return done();
        });
    };
    // What was before the first connection was before the record.
    f.push("A", millis(1), Price{1}, Price{2});
    f.push("B", millis(1), Price{1}, Price{2});
    ASSERT_TRUE(both([&] { return f.up(); }));
    for (int round = 0; round < 5; ++round) {
        go(2'000);
        ASSERT_TRUE(both([&] { return f.up() && latest("A").bid.value == n - 1; }));
        f.cut(Nanos{monotonic_ns()});
        go(3'000);
    }
    ASSERT_TRUE(both([&] { return f.up(); }));
    std::vector<ticklog::FoundTick> got;
    std::vector<std::string> bad;
    ASSERT_TRUE(both([&] {
        got = ticklog::query_ticks(dir / "log", {}, bad);
        return got.size() >= static_cast<std::size_t>(n - 1);
    })) << got.size();
    std::map<std::int64_t, int> times;
    for (const auto& t : got) {
        ++times[t.tick.bid.value];
    }
    for (std::int64_t i = 1; i < n; ++i) {
        ASSERT_EQ(times[i], 1) << "tick " << i;
    }
    std::printf("covers: %lld ticks, 5 cuts, %llu back-filled\n", static_cast<long long>(n),
                static_cast<unsigned long long>(f.stats().answered));
}

}  // namespace
}  // namespace millrace
