// Goal: the Expert Advisor streams every tick of the named symbols on a socket of its own, says by
// its numbers what is missing, fills that from its own memory, and makes no command wait. Method:
// its own source in the stand-in terminal, a real TickServer, a desk that sends commands meanwhile.
#include "gateway/ticks/tick_server.h"
#include "tests/mt5/mt5_world.h"
#include "tests/ops/quiet_port.h"
#include "tests/ticks/raw_end.h"
#include "tools/simbroker/event_loop.h"

#include <algorithm>

namespace millrace::mt5::test {
namespace {

class Seen final : public TickSink {
public:
    struct End {
        bool more = false;
        bool from_start = false;
    };
    void on_feed(std::uint64_t, bool) override {}
    void on_symbol(const FeedSymbol& s) override { symbols.push_back(s); }
    void on_tick(const FeedTick& t) override { ticks.push_back(t); }
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t, const FeedTick& t) override { history.push_back(t); }
    void on_history_end(std::uint64_t, std::uint64_t, bool more, bool from_start) override {
        ends.push_back({more, from_start});
    }

    std::vector<FeedSymbol> symbols;
    std::vector<FeedTick> ticks;
    std::vector<FeedTick> history;
    std::vector<End> ends;
};

constexpr std::int64_t kFirstBid = 110'000'000;
constexpr std::int64_t kPoint = 1'000;

class Ticks : public World {
protected:
    void open_server(std::uint8_t first_key_byte = 0x00) {
        TickServerOptions o;
        o.listen.port = port.number();
        o.table_path = dir.path("table");
        std::vector<std::byte> key;  // kKey: 00 11 22 ... ff
        for (unsigned i = 0; i < 16; ++i) {
            key.push_back(static_cast<std::byte>(i == 0 ? first_key_byte : i * 0x11U));
        }
        o.accounts = {{kLogin, key, "", ""}};
        std::string message;
        auto opened = TickServer::open(std::move(o), seen, message);
        ASSERT_TRUE(opened.ok()) << message;
        server = std::move(opened).value();
    }
    void start_streaming(const std::string& symbols = "EURUSD") {
        begin({.inputs = {"InpTickSymbols=" + symbols,
                          "InpTickPort=" + std::to_string(port.number()), "InpTickRetryMs=5"},
               .knobs = {"send_buffer=16384"}});
    }
    /// Both, up to the first tick.
    void begin_stream() {
        open_server();
        start_streaming();
        ASSERT_TRUE(until([&] { return seen.ticks.size() == 1; }));
        EXPECT_EQ(seen.ticks[0].bid.value, kFirstBid);
    }
    bool until(const std::function<bool()>& condition) {
        return desk.until([&] {
            if (server != nullptr) {
                server->step(sim::EventLoop::wall_now());
            }
            return condition();
        });
    }
    /// `count` quotes before the program looks, each a point higher than the one before.
    void burst(std::int64_t first_point, std::int64_t count, const char* symbol = "EURUSD",
               bool apart = false) {
        const auto text = [](std::int64_t scaled) {
            std::string digits = std::to_string(scaled);
            return digits.insert(digits.size() - 8, ".");
        };
        const std::int64_t bid = kFirstBid + first_point * kPoint;
        host->control(std::string{R"("cmd":"tick","symbol":")"} + symbol + R"(","bid":")" +
                      text(bid) + R"(","ask":")" + text(bid + 10 * kPoint) + R"(","apart":)" +
                      (apart ? "true" : "false") + R"(,"count":)" + std::to_string(count));
    }
    /// No two in the same millisecond.
    void burst_apart(std::int64_t first_point, std::int64_t count) {
        burst(first_point, count, "EURUSD", true);
    }
    /// All that the terminal still has from `from` on.
    void ask(Nanos from, std::uint32_t limit = 1'000'000) {
        send_ask(from, limit);
        ASSERT_TRUE(until([&] { return seen.ends.size() == 1; }));
    }
    void send_ask(Nanos from, std::uint32_t limit = 1'000'000) {
        seen.history.clear();
        seen.ends.clear();
        const Nanos to = sim::EventLoop::wall_now() + seconds(60);
        ASSERT_TRUE(
            server->ask({kLogin, ++request, millrace::test::tick_name("EURUSD"), from, to, limit}));
    }
    /// The program comes back with an empty memory, and has told the latest tick.
    void restart_program() {
        server.reset();
        host->control(R"("cmd":"reinit")");
        seen = Seen{};
        open_server();
        ASSERT_TRUE(until([&] { return seen.ticks.size() == 1; }));
    }
    /// Are these the quotes of a burst, whole and in order?
    static void expect_burst(std::span<const FeedTick> ticks, std::int64_t first_point,
                             std::size_t count) {
        ASSERT_EQ(ticks.size(), count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto point = first_point + static_cast<std::int64_t>(i);
            ASSERT_EQ(ticks[i].bid.value, kFirstBid + point * kPoint) << i;
            ASSERT_EQ(ticks[i].ask.value, ticks[i].bid.value + 10 * kPoint) << i;
        }
    }
    [[nodiscard]] bool says_away() const {
        return (desk.info.permissions & bridge::kInfoTicksAway) != 0;
    }

    millrace::test::QuietPort port;
    Seen seen;
    std::unique_ptr<TickServer> server;
    std::uint64_t request = 0;
};

TEST_F(Ticks, EachIsStreamedAlsoThoseBetweenTwoLooksAtTheTerminal) {
    begin_stream();
    burst(1, 1);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 2; }));
    burst(2, 300);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 302; }));
    expect_burst(seen.ticks, 0, 302);
    const Nanos now = sim::EventLoop::wall_now();
    for (std::size_t i = 0; i < seen.ticks.size(); ++i) {
        const FeedTick& t = seen.ticks[i];
        ASSERT_EQ(t.seq, i + 1);
        ASSERT_LT(now - t.time, seconds(1'800)) << "UTC, not the server's time";
        ASSERT_LE(t.time, now);
        const bool again = i > 0 && t.time == seen.ticks[i - 1].time;
        ASSERT_EQ(t.same, again ? seen.ticks[i - 1].same + 1 : 0U) << i;
    }
    const TickTableReader table{TickTableMap::attach(dir.path("table")).value()};
    EXPECT_EQ(table.latest(*table.find("EURUSD")).bid, seen.ticks.back().bid);
}

TEST_F(Ticks, OfASymbolThatIsNotQuotedYetComeUnderItsOwnName) {
    open_server();
    start_streaming("GBPUSD,EURUSD");
    ASSERT_TRUE(until([&] { return seen.symbols.size() == 2 && seen.ticks.size() == 1; }));
    EXPECT_EQ(seen.symbols[0].symbol, millrace::test::tick_name("GBPUSD"));
    EXPECT_EQ(seen.symbols[0].seq, 0U);
    EXPECT_EQ(seen.ticks[0].symbol, millrace::test::tick_name("EURUSD"));
    burst(0, 1, "GBPUSD");
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 2; }));
    EXPECT_EQ(seen.ticks[1].symbol, millrace::test::tick_name("GBPUSD"));
    EXPECT_EQ(seen.ticks[1].seq, 1U);
}

TEST_F(Ticks, ThatCameWhileTheLinkWasCutAreFilledFromTheTerminalsMemory) {
    begin_stream();
    const Nanos after_first = seen.ticks[0].time + Nanos{1};
    const std::uint64_t stream = seen.symbols[0].stream;
    server.reset();
    burst(1, 100);
    seen = Seen{};
    open_server();
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 1; }));
    EXPECT_EQ(seen.symbols[0].stream, stream) << "the numbers go on";
    EXPECT_EQ(seen.symbols[0].seq, 101U);
    EXPECT_EQ(seen.ticks[0].seq, 101U) << "the latest one alone";
    ASSERT_NO_FATAL_FAILURE(ask(after_first));
    expect_burst(seen.history, 1, 100);
    EXPECT_TRUE(seen.ends[0].from_start);
    EXPECT_FALSE(seen.ends[0].more);
    ASSERT_NO_FATAL_FAILURE(ask(after_first, 30));
    expect_burst(seen.history, 1, 30);
    EXPECT_TRUE(seen.ends[0].more);
    ASSERT_NO_FATAL_FAILURE(ask(seconds(1)));
    expect_burst(seen.history, 0, 101);
    EXPECT_FALSE(seen.ends[0].from_start) << "of before its first one it knows nothing";
}

TEST_F(Ticks, OfBeforeTheProgramsStartAreFilledFromTheTerminalsHistory) {
    begin_stream();
    const Nanos first = seen.ticks[0].time;
    burst_apart(1, 100);
    ASSERT_NO_FATAL_FAILURE(restart_program());
    ASSERT_EQ(seen.ticks[0].seq, 1U) << "the numbers begin anew";
    const std::uint64_t busy = desk.busy_frames;
    ASSERT_NO_FATAL_FAILURE(ask(first));
    expect_burst(seen.history, 0, 101);
    EXPECT_TRUE(seen.ends[0].from_start);
    EXPECT_FALSE(seen.ends[0].more);
    EXPECT_TRUE(desk.until([&] { return desk.busy_frames > busy; })) << "the call may block";
    ASSERT_NO_FATAL_FAILURE(ask(first, 30));
    expect_burst(seen.history, 0, 30);
    EXPECT_TRUE(seen.ends[0].more);
    EXPECT_EQ(number("history_reads"), 2U);
}

TEST_F(Ticks, ThatTheTerminalsHistoryHasNotGotAreAnsweredFromMemory) {
    begin_stream();
    const Nanos first = seen.ticks[0].time;
    burst_apart(1, 10);
    ASSERT_NO_FATAL_FAILURE(restart_program());
    host->knob("no_tick_history", 1);
    ASSERT_NO_FATAL_FAILURE(ask(first));
    EXPECT_EQ(seen.history.size(), 1U);
    EXPECT_FALSE(seen.ends[0].from_start);
}

// While it is read nobody is served, a kill neither.
TEST_F(Ticks, AreNotReadFromTheHistoryWhileAPositionIsOpen) {
    begin_stream();
    const Nanos first = seen.ticks[0].time;
    burst_apart(1, 10);
    ASSERT_NO_FATAL_FAILURE(restart_program());
    const bridge::Event opened = answer_to(open(1));
    ASSERT_EQ(opened.retcode, kDone);
    ASSERT_NO_FATAL_FAILURE(send_ask(first));
    const std::uint64_t rounds = number("timers") + 200;
    ASSERT_TRUE(until([&] { return number("timers") > rounds; }));
    EXPECT_TRUE(seen.ends.empty());
    EXPECT_EQ(number("history_reads"), 0U);
    EXPECT_EQ(answer_to(close_of(2, opened.position_id)).retcode, kDone);
    ASSERT_TRUE(until([&] { return seen.ends.size() == 1; }));
    expect_burst(seen.history, 0, 11);
}

TEST_F(Ticks, ThatNobodyReadsMakeNoCommandWaitAndAreConflated) {
    begin_stream();
    const Nanos after_first = seen.ticks[0].time + Nanos{1};
    for (std::int64_t i = 0; i < 10; ++i) {  // 400 kB: more than the sockets hold
        burst(1 + i * 1'000, 1'000);
    }
    EXPECT_EQ(answer_to(open(1)).retcode, kDone) << "the server has not read since";
    ASSERT_TRUE(until([&] { return seen.ticks.back().seq == 10'001; }));
    EXPECT_LT(seen.ticks.size(), 10'001U) << "or nothing had to be passed over";
    EXPECT_EQ(seen.ticks.back().bid.value, kFirstBid + 10'000 * kPoint);
    ASSERT_NO_FATAL_FAILURE(ask(after_first));
    expect_burst(seen.history, 1, 10'000);
    EXPECT_TRUE(seen.ends[0].from_start);
    std::printf("covers: %zu of 10000 ticks passed over and filled\n", 10'001 - seen.ticks.size());
}

TEST_F(Ticks, ThatTheTerminalDoesNotTellAnyMoreAreMissingInTheNumbers) {
    begin_stream();
    const Nanos after_first = seen.ticks[0].time + Nanos{1};
    host->knob("tick_cache", 40);
    burst_apart(1, 100);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 41; }));
    EXPECT_EQ(seen.ticks[1].seq, 3U) << "2 is nobody's";
    expect_burst(std::span{seen.ticks}.subspan(1), 61, 40);
    ASSERT_NO_FATAL_FAILURE(ask(after_first));
    EXPECT_EQ(seen.history.size(), 40U);
    EXPECT_FALSE(seen.ends[0].from_start);
    const Nanos after_hole = seen.ticks.back().time + Nanos{1};
    host->knob("tick_cache", 4'096);
    burst_apart(101, 5);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 46; }));
    EXPECT_EQ(seen.ticks.back().seq, 47U);
    ASSERT_NO_FATAL_FAILURE(ask(after_hole));
    EXPECT_EQ(seen.history.size(), 5U);
    EXPECT_TRUE(seen.ends[0].from_start) << "behind the hole it has all";
    host->knob("tick_cache", 0);
    burst_apart(106, 5);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 47; }));
    EXPECT_EQ(seen.ticks.back().seq, 49U);
    EXPECT_EQ(seen.ticks.back().bid.value, kFirstBid + 110 * kPoint) << "the latest, at least";
}

// All of the cache is of one millisecond: how many of it were read before nobody can tell.
TEST_F(Ticks, OfAMillisecondThatTheCacheDoesNotHoldAreNotToldTwice) {
    begin_stream();
    host->knob("tick_cache", 10);
    burst(1, 50);  // more than one millisecond, maybe
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 11; }));
    host->knob("tick_cache", 4'096);
    burst_apart(51, 5);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 16; }));
    expect_burst(std::span{seen.ticks}.subspan(1), 41, 15);
    const std::uint64_t last = seen.ticks.back().seq;
    EXPECT_TRUE(last == 17 || last == 18) << last << ": a number too many does no harm";
}

// A terminal that waits for its own history would hold up commands with each look.
TEST_F(Ticks, AreTheLatestAloneForAWhileAfterACallThatTookLong) {
    begin_stream();
    host->knob("copy_ticks_ms", 100);
    burst(1, 2);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 3; }));
    burst(3, 2);
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 4; }));
    EXPECT_EQ(seen.ticks.back().bid.value, kFirstBid + 4 * kPoint);
    EXPECT_EQ(seen.ticks.back().seq, 5U) << "and one number, at least, is nobody's";
}

TEST_F(Ticks, ThatNobodyTakesAreComplainedOfUntilSomebodyDoes) {
    start_streaming();
    ASSERT_TRUE(until([&] { return says_away(); }));
    EXPECT_TRUE((desk.info.permissions & bridge::kInfoMayTrade) != 0) << "it trades all the same";
    EXPECT_EQ(answer_to(open(1)).retcode, kDone);
    open_server();
    ASSERT_TRUE(until([&] { return seen.ticks.size() == 1 && !says_away(); }));
}

TEST_F(Ticks, ThatAreDeniedAreComplainedOfToo) {
    open_server(0x01);  // another key
    start_streaming();
    ASSERT_TRUE(until([&] { return says_away(); }));
    EXPECT_GE(server->stats().denied, 10U);
    EXPECT_TRUE(seen.ticks.empty());
}

TEST_F(Ticks, AreNotToldToAStrangerWhoHasNotGotTheKey) {
    std::string message;
    auto listener = net::Listener::open({.port = port.number()}, message);
    ASSERT_TRUE(listener.ok()) << message;
    start_streaming();
    std::unique_ptr<millrace::test::RawEnd> end;
    int hellos = 0;
    int others = 0;
    int closed = 0;
    const auto on_frame = [&](const wire::Frame& frame) {
        if (static_cast<tick_wire::FrameType>(frame.header.type) != tick_wire::FrameType::Hello) {
            ++others;
            return;
        }
        ++hellos;
        end->send(tick_wire::FrameType::Welcome, tick_wire::Welcome{});
    };
    EXPECT_TRUE(until([&] {
        if (auto fd = listener.value().accept(); fd && end == nullptr) {
            end = std::make_unique<millrace::test::RawEnd>(std::move(fd).value());
            end->send(tick_wire::FrameType::Challenge, tick_wire::Challenge{});
        } else if (end != nullptr) {
            end->read(on_frame);
            if (end->closed) {
                end.reset();
                ++closed;
            }
        }
        return closed == 3;
    }));
    EXPECT_EQ(hellos, 3);
    EXPECT_EQ(others, 0);
}

TEST_F(Ticks, GoOnAfterTheirServerWasAway) {
    begin_stream();
    for (int life = 1; life <= 3; ++life) {
        server.reset();
        seen = Seen{};
        open_server();
        burst(life, 1);
        ASSERT_TRUE(until([&] {
            return !seen.ticks.empty() &&
                   seen.ticks.back().seq == static_cast<std::uint64_t>(life) + 1;
        }));
    }
}

}  // namespace
}  // namespace millrace::mt5::test
