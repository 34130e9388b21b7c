// Goal: what a terminal says of old ticks, of names, or too late does not become a fresh price or a
// whole record that is none. Method: real TickServer and TickFeeds over loopback; the server's
// clock is the test's.
#include "gateway/ticks/tick_feed.h"
#include "gateway/ticks/tick_server.h"
#include "persist/ticks/tick_query.h"
#include "tests/ops/temp_dir.h"
#include "tests/ticks/raw_end.h"
#include "tools/ticks/recorder_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

namespace millrace {
namespace {

using test::TempDir;

class Seen final : public TickSink {
public:
    void on_feed(std::uint64_t, bool) override {}
    void on_symbol(const FeedSymbol&) override { ++symbols; }
    void on_tick(const FeedTick& t) override { ticks.push_back(t); }
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t, const FeedTick&) override {}
    void on_history_end(std::uint64_t, std::uint64_t, bool, bool start) override {
        ends.push_back(start);
    }
    void on_refused(std::uint64_t, std::string_view name) override { refused.emplace_back(name); }

    int symbols = 0;
    std::vector<FeedTick> ticks;
    std::vector<bool> ends;
    std::vector<std::string> refused;
};

class TickSource : public ::testing::Test {
protected:
    TickSource() { open(seen); }
    void open(TickSink& sink) {
        server.reset();
        TickServerOptions o;
        o.listen.port = 0;
        o.table_path = dir / "table";
        o.symbols_max = 2'000;
        o.accounts = {{1, test::tick_key(1), "", ""}, {2, test::tick_key(2), "m.", ""}};
        std::string message;
        auto opened = TickServer::open(std::move(o), sink, message);
        ASSERT_TRUE(opened.ok()) << message;
        server = std::move(opened).value();
        reader = TickTableReader{TickTableMap::attach(dir / "table").value()};
    }
    TickFeed feed(int login) {
        TickFeedOptions o;
        o.port = server->port();
        o.login = static_cast<std::uint64_t>(login);
        o.key = test::tick_key(login);
        o.reconnect = millis(1);
        return TickFeed{std::move(o)};
    }
    bool until(std::vector<TickFeed*> feeds, const std::function<bool()>& done) {
        for (std::int64_t end = monotonic_ns() + seconds(180).value; monotonic_ns() < end;) {
            for (TickFeed* f : feeds) {
                f->step(Nanos{monotonic_ns()});
            }
            server->step(clock);
            if (done()) {
                return true;
            }
        }
        return false;
    }
    [[nodiscard]] Quote latest(std::string_view symbol) const {
        const auto row = reader.find(symbol);
        return row ? reader.latest(*row) : Quote{};
    }
    static void push(TickFeed& f, std::string_view symbol, Nanos time, std::int64_t price) {
        f.push(symbol, time, Price{price}, Price{price + 1});
    }

    TempDir dir;
    Seen seen;
    Nanos clock = seconds(1'000'000);
    std::unique_ptr<TickServer> server;
    TickTableReader reader;
};

TEST_F(TickSource, AnOldTickIsAsOldAsItsSourceSaysAndALiveOneIsNew) {
    TickFeed f = feed(1);
    const Nanos friday = clock - seconds(200'000);
    push(f, "S", friday, 10);  // before the connection: sent again as the latest
    ASSERT_TRUE(until({&f}, [&] { return latest("S").bid.value == 10; }));
    EXPECT_EQ(latest("S").time, friday);
    clock = clock + millis(1);
    push(f, "S", friday + seconds(1), 11);
    ASSERT_TRUE(until({&f}, [&] { return latest("S").bid.value == 11; }));
    EXPECT_EQ(latest("S").time, clock) << "whatever the source's clock says of a live one";
    // Another terminal has an older one: not newer because it connects later.
    TickFeed g = feed(2);
    push(g, "m.S", friday - seconds(5), 9);
    f.cut(Nanos{monotonic_ns()});
    f.set_stalled(true);
    ASSERT_TRUE(until({&g}, [&] { return seen.ticks.back().bid.value == 9; }));
    EXPECT_EQ(latest("S").bid.value, 11);
}

TEST_F(TickSource, NoQuoteIsCrossedOrOfOneSideButAllAreRecorded) {
    TickFeed f = feed(1);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    push(f, "S", seconds(1), 10);
    f.push("S", seconds(2), Price{20}, Price{19});
    f.push("S", seconds(3), Price{0}, Price{30});
    ASSERT_TRUE(until({&f}, [&] { return seen.ticks.size() == 3; }));
    EXPECT_EQ(latest("S").bid.value, 10);
    EXPECT_EQ(seen.ticks[2].ask.value, 30);
}

TEST_F(TickSource, ASecondSymbolOfOneNameIsRefusedByName) {
    TickFeed f = feed(2);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    push(f, "m.EURUSD", seconds(1), 10);
    push(f, "EURUSD", seconds(1), 90);
    push(f, "EURUSD", seconds(2), 91);
    push(f, "m.EURUSD", seconds(2), 11);
    push(f, "m.ABCDEFGHIJKLMNO", seconds(2), 12);  // 17 letters: not cut to another's name
    ASSERT_TRUE(until({&f}, [&] { return latest("EURUSD").bid.value == 11; }));
    EXPECT_EQ(seen.refused, std::vector<std::string>{"EURUSD"});
    EXPECT_EQ(seen.ticks.size(), 2U) << "one series has one numbering";
    EXPECT_EQ(server->stats().refused, 1U);
    EXPECT_EQ(f.stats().refused, 1U);
    EXPECT_FALSE(reader.find("EURUSD-and-more-than-fits"));
}

TEST_F(TickSource, OfBeforeItsFirstTickATerminalDoesNotSayThatItHasAll) {
    TickFeed f = feed(1);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    push(f, "S", seconds(10), 10);
    push(f, "S", seconds(11), 11);
    ASSERT_TRUE(until({&f}, [&] { return latest("S").bid.value == 11; }));
    for (const Nanos from : {seconds(5), seconds(10), seconds(11)}) {
        ASSERT_TRUE(server->ask({1, 1, test::tick_name("S"), from, seconds(12), 100}));
        const std::size_t n = seen.ends.size();
        ASSERT_TRUE(until({&f}, [&] { return seen.ends.size() > n; }));
    }
    EXPECT_EQ(seen.ends, (std::vector<bool>{false, false, true}));
}

TEST_F(TickSource, OurOwnPauseIsNobodysSilence) {
    TickFeed a = feed(1);
    TickFeed b = feed(2);
    ASSERT_TRUE(until({&a, &b}, [&] { return a.up() && b.up(); }));
    push(a, "S", seconds(1), 10);
    ASSERT_TRUE(until({&a, &b}, [&] { return latest("S").bid.value == 10; }));
    push(b, "m.S", seconds(1), 20);
    ASSERT_TRUE(until({&a, &b}, [&] { return seen.ticks.size() == 2; }));
    // The second one's tick lies in front of the first one's.
    push(b, "m.S", seconds(2), 21);
    b.step(Nanos{monotonic_ns()});
    push(a, "S", seconds(2), 11);
    a.step(Nanos{monotonic_ns()});
    clock = clock + seconds(10);
    ASSERT_TRUE(until({}, [&] { return seen.ticks.size() == 4; }));
    EXPECT_EQ(server->stats().takeovers, 0U);
    EXPECT_EQ(latest("S").bid.value, 11);
    EXPECT_TRUE(until({&a, &b}, [&] { return a.up() && b.up(); }));
    EXPECT_EQ(a.stats().sessions + b.stats().sessions, 2U);
}

TEST_F(TickSource, ASilenceIsLookedAtOnce) {
    TickFeed f = feed(1);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    for (int i = 0; i < 100; ++i) {
        clock = clock + millis(20);
        server->step(clock);
    }
    EXPECT_EQ(server->stats().silences, 1U);
}

TEST_F(TickSource, AServerThatIsGoneWithoutAWordIsLeft) {
    TickFeed f = feed(1);
    ASSERT_TRUE(until({&f}, [&] { return f.up(); }));
    const Nanos later{monotonic_ns() + seconds(4).value};
    f.step(later);
    f.step(later + seconds(4));
    EXPECT_FALSE(f.up());
    EXPECT_EQ(f.last_error(), "the server was silent for too long");
}

/// The recorder's disk stands still, and all links come anew meanwhile, more than the ring holds.
TEST_F(TickSource, AStalledDiskEndsNobodyAndWhatDidNotFitIsToldAgain) {
    std::mutex mutex;
    std::condition_variable goes_on;
    bool stalled = true;
    bool in_told = false;
    std::vector<std::string> odd;
    ticklog::RecorderOptions o;
    o.directory = dir / "log";
    o.file_s = 1;
    o.flush_ms = 0;
    auto recorder = ticklog::Recorder::open(o, Nanos{wall_ns()}, odd);
    ASSERT_TRUE(recorder.ok());
    std::filesystem::rename(dir / "log", dir / "away");
    std::atomic<int> fatal{0};
    RecorderThread thread{std::move(recorder).value(),
                          [&](const std::string&) {
                              std::unique_lock lock{mutex};
                              in_told = true;
                              goes_on.notify_all();
                              goes_on.wait(lock, [&] { return !stalled; });
                          },
                          [&] { ++fatal; }, 16'384};
    {
        std::unique_lock lock{mutex};
        goes_on.wait(lock, [&] { return in_told; });
    }
    open(thread);
    TickFeed f = feed(1);
    std::int64_t n = 1'000;
    const auto round = [&] {
        for (int i = 0; i < 1'500; ++i) {
            ++n;
            push(f, "S" + std::to_string(i), millis(n), n);
        }
    };
    round();
    for (int link = 0; link < 12; ++link) {
        ASSERT_TRUE(until({&f}, [&] {
            thread.ask_next(*server);
            return f.up() && latest("S1499").bid.value == n;
        }));
        round();
        ASSERT_TRUE(until({&f}, [&] { return latest("S1499").bid.value == n; }));
        f.cut(Nanos{monotonic_ns()});
    }
    EXPECT_EQ(fatal.load(), 0) << "its stall is not the others' death";
    EXPECT_GT(thread.passed_over(), 0U);
    std::filesystem::rename(dir / "away", dir / "log");
    {
        const std::lock_guard lock{mutex};
        stalled = false;
    }
    goes_on.notify_all();
    // The record begins when the series were first told; from there on it is whole.
    std::vector<ticklog::FoundTick> got;
    round();
    const std::int64_t last = n;
    Nanos looked;
    ASSERT_TRUE(until({&f}, [&] {
        thread.ask_next(*server);
        if (Nanos{monotonic_ns()} - looked > millis(500)) {
            std::vector<std::string> bad;
            ticklog::QueryOptions q;
            q.symbol = "S7";
            got = ticklog::query_ticks(dir / "log", q, bad);
            looked = Nanos{monotonic_ns()};
        }
        return !got.empty() && got.back().tick.bid.value == last - 1'500 + 8;
    }));
    for (std::size_t i = 1; i < got.size(); ++i) {
        EXPECT_EQ(got[i].tick.bid.value - got[i - 1].tick.bid.value, 1'500) << i;
    }
}

}  // namespace
}  // namespace millrace
