// Goal: a consumer or terminal that does not read, trickles, or says what is none costs nobody else
// anything, least of all the process. Method: real servers, connections that the test drives frame
// by frame, a clock that it holds.
#include "gateway/ticks/tick_feed.h"
#include "gateway/ticks/tick_publisher.h"
#include "gateway/ticks/tick_server.h"
#include "gateway/ticks/tick_subscriber.h"
#include "shm/clock.h"
#include "tests/ops/temp_dir.h"
#include "tests/ticks/raw_end.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using test::RawEnd;
using test::TempDir;
using tick_wire::FrameType;

class Nobody final : public TickSink {
public:
    void on_feed(std::uint64_t, bool) override {}
    void on_symbol(const FeedSymbol&) override {}
    void on_tick(const FeedTick&) override {}
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t, const FeedTick&) override {}
    void on_history_end(std::uint64_t, std::uint64_t, bool, bool) override {}
};

class TickConsumers : public ::testing::Test {
protected:
    void open(std::size_t connections = 8) {
        TickPublisherOptions o;
        o.listen.port = 0;
        o.consumers = {{"desk", test::tick_key(1)}};
        o.connections_max = connections;
        std::string message;
        auto opened = TickPublisher::open(std::move(o), message);
        ASSERT_TRUE(opened.ok()) << message;
        publisher = std::move(opened).value();
    }
    void publish(std::int64_t n, std::uint32_t row = 0) {
        publisher->publish(row, test::tick_name("S" + std::to_string(row)),
                           {row, 0, static_cast<std::uint64_t>(n), n, n, n + 1});
    }
    std::unique_ptr<TickSubscriber> subscriber() {
        TickSubscriberOptions o;
        o.port = publisher->port();
        o.name = "desk";
        o.key = test::tick_key(1);
        TickCallbacks c;
        c.on_tick = [this](const ReceivedTick& t) { latest[std::string{t.symbol}] = t.tick.bid; };
        return std::make_unique<TickSubscriber>(std::move(o), std::move(c));
    }
    /// Logs in, and reads up to the end of the snapshot.
    void log_in(RawEnd& end) {
        bool in_step = false;
        ASSERT_TRUE(until([&] {
            end.read([&](const wire::Frame& f) {
                const auto type = static_cast<FrameType>(f.header.type);
                if (type == FrameType::Challenge) {
                    test::answer_challenge(end, f, "desk", test::tick_key(1));
                }
                in_step = in_step || type == FrameType::Snapshot;
            });
            return in_step;
        }));
    }
    bool until(const std::function<bool()>& done) {
        for (int i = 0; i < 200'000 && !done(); ++i) {
            publisher->step(clock);
        }
        return done();
    }

    Nanos clock = seconds(1'000);
    std::unique_ptr<TickPublisher> publisher;
    std::map<std::string, std::int64_t> latest;
};

TEST_F(TickConsumers, AreClosedIfTheyAskAndNeverRead) {
    open();
    for (std::int64_t n = 0; n < 24 * 8'500; ++n) {
        publish(n + 1, static_cast<std::uint32_t>(n % 24));
    }
    publisher->step(clock);
    RawEnd deaf{publisher->port()};
    const int small = 4'096;
    ::setsockopt(deaf.socket.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    log_in(deaf);
    deaf.send(FrameType::Ask, tick_wire::Ask{400, 8'400, 0, 0});
    for (std::uint64_t before = 1, idle = 0; idle < 1'000; ++idle) {
        publisher->step(clock);
        idle = before == publisher->stats().again ? idle : 0;
        before = publisher->stats().again;
    }
    ASSERT_GT(publisher->stats().again, 100U);
    ASSERT_LT(publisher->stats().again, 8'000U) << "all of it fits into the sockets: a larger ask";
    // Not what a consumer sends: it is to be closed, but takes neither the reason nor anything.
    deaf.send(FrameType::Welcome, tick_wire::Welcome{});
    for (int i = 0; i < 8'000; ++i) {  // 256 KB, all the while
        deaf.send(FrameType::Heartbeat, tick_wire::Heartbeat{});
        publisher->step(clock);
    }
    auto other = subscriber();
    publish(77);
    ASSERT_TRUE(until([&] {
        other->poll(clock, 0);
        return latest["S0"] == 77;
    }));
    clock = clock + TickPeer::kClosingMax + millis(1);
    publisher->step(clock);
    ASSERT_TRUE(until([&] {
        deaf.read();
        return deaf.closed;
    }));
}

TEST_F(TickConsumers, TakeThePlaceOfStrangersThoughTheyTrickle) {
    open(3);
    std::vector<std::unique_ptr<RawEnd>> strangers;
    std::vector<std::byte> login(wire::kFrameBytesMax);
    login.resize(wire::encode(login, FrameType::Login, tick_wire::kVersion, 0, tick_wire::Login{}));
    const auto sit_down = [&] {
        strangers.push_back(std::make_unique<RawEnd>(publisher->port()));
        RawEnd& end = *strangers.back();
        bool greeted = false;
        ASSERT_TRUE(until([&] {
            end.read([&](const wire::Frame&) { greeted = true; });
            return greeted;
        }));
    };
    for (int i = 0; i < 3; ++i) {
        clock = clock + millis(1);
        sit_down();
    }
    auto consumer = subscriber();
    ASSERT_TRUE(until([&] {
        consumer->poll(clock, 0);
        return consumer->up();
    })) << "the oldest stranger's place is taken";
    strangers[0]->read();
    EXPECT_TRUE(strangers[0]->closed);
    EXPECT_FALSE(strangers[2]->closed);
    for (std::size_t i = 0; i < 12; ++i) {
        clock = clock + millis(500);
        for (std::size_t s = 1; s < 3; ++s) {
            static_cast<void>(strangers[s]->socket.send(std::span{login}.subspan(i, 1)));
            strangers[s]->read();
        }
        publisher->step(clock);
        consumer->poll(clock, 0);
        publisher->step(clock);
    }
    ASSERT_TRUE(until([&] {
        strangers[1]->read();
        strangers[2]->read();
        return strangers[1]->closed && strangers[2]->closed;
    }));
    EXPECT_TRUE(consumer->up());
}

TEST_F(TickConsumers, AreSentWhatTheyAskForAlone) {
    open();
    for (std::int64_t n = 1; n <= 7'100; ++n) {
        publish(n);
        publisher->step(clock);
    }
    RawEnd end{publisher->port()};
    log_in(end);
    end.send(FrameType::Ask, tick_wire::Ask{5, 5, 0, 0});
    end.send(FrameType::Ask, tick_wire::Ask{7'000, 7'000, 0, 0});
    end.send(FrameType::Ask, tick_wire::Ask{5, 6, 0, 0});
    std::vector<std::uint64_t> got;
    ASSERT_TRUE(until([&] {
        end.read([&](const wire::Frame& f) {
            if (!f.body.empty() && static_cast<FrameType>(f.header.type) == FrameType::Packet) {
                got.push_back(f.header.seq);
            }
        });
        return got.size() >= 3;
    }));
    for (int i = 0; i < 100; ++i) {
        publisher->step(clock);
    }
    EXPECT_LE(publisher->stats().again, 4U) << "5, 6, 7000, and 5 twice at most";
}

TEST_F(TickConsumers, AreNamedAllSymbolsHoweverManyWhenTheyLogIn) {
    open();
    for (std::uint32_t row = 0; row < 20'000; ++row) {
        publish(row + 1, row);
    }
    auto consumer = subscriber();
    for (int i = 0; i < 40'000 && latest.size() < 20'000; ++i) {
        publisher->step(clock);
        consumer->poll(clock, 0);
    }
    EXPECT_EQ(latest.size(), 20'000U);
    EXPECT_EQ(latest["S19999"], 20'000);
    EXPECT_EQ(consumer->stats().sessions, 1U);
}

TEST(TickStrangers, MakeRoomForATerminal) {
    const TempDir dir;
    Nobody nobody;
    TickServerOptions o;
    o.listen.port = 0;
    o.table_path = dir / "table";
    o.accounts = {{1, test::tick_key(1), "", ""}};
    std::string message;
    auto opened = TickServer::open(std::move(o), nobody, message);
    ASSERT_TRUE(opened.ok()) << message;
    TickServer& server = *opened.value();
    Nanos clock{monotonic_ns()};
    std::vector<std::unique_ptr<RawEnd>> strangers;
    for (int i = 0; i < 65; ++i) {
        strangers.push_back(std::make_unique<RawEnd>(server.port()));
        bool greeted = false;
        for (int k = 0; k < 20'000 && !greeted; ++k) {
            server.step(clock);
            strangers.back()->read([&](const wire::Frame&) { greeted = true; });
        }
        ASSERT_TRUE(greeted) << i;
    }
    TickFeedOptions f;
    f.port = server.port();
    f.login = 1;
    f.key = test::tick_key(1);
    TickFeed feed{std::move(f)};
    for (int i = 0; i < 100'000 && !feed.up(); ++i) {
        server.step(clock);
        feed.step(clock);
    }
    ASSERT_TRUE(feed.up()) << feed.last_error();
    strangers[1]->read();
    EXPECT_FALSE(strangers[1]->closed);
    std::vector<std::byte> hello(wire::kFrameBytesMax);
    hello.resize(wire::encode(hello, FrameType::Hello, tick_wire::kVersion, 0, tick_wire::Hello{}));
    for (std::size_t i = 0; i < 12; ++i) {
        clock = clock + millis(500);
        static_cast<void>(strangers[1]->socket.send(std::span{hello}.subspan(i, 1)));
        strangers[1]->read();
        feed.step(clock);
        server.step(clock);
    }
    strangers[1]->read();
    EXPECT_TRUE(strangers[1]->closed) << "a byte now and then is no sign of life";
}

TEST(Connection, QueuesWhateverIsFreeWhereverItIs) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    const int small = 4'608;
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const net::Fd reader{ends[1]};
    net::Connection c{65'536};
    c.open(net::Fd{ends[0]});
    std::vector<std::byte> bytes(65'536);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(i * 7 / 5);
    }
    ASSERT_TRUE(c.send(bytes).ok());
    ASSERT_EQ(c.flush().code(), Errc::Busy);
    ASSERT_GE(c.free_bytes(), 100U);
    ASSERT_LT(c.free_bytes(), bytes.size() / 2) << "less than half is free, and in front";
    const std::size_t free = c.free_bytes();
    EXPECT_TRUE(c.send(std::span{bytes}.first(free)).ok()) << "it is free, so it is to be had";
    EXPECT_EQ(c.free_bytes(), 0U);
    std::vector<std::byte> got(2 * bytes.size());
    std::size_t n = 0;
    while (n < bytes.size() + free) {
        const ssize_t some = ::recv(reader.get(), got.data() + n, got.size() - n, 0);
        ASSERT_GT(some, 0);
        n += static_cast<std::size_t>(some);
        static_cast<void>(c.flush());
    }
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), got.begin()));
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(free),
                           got.begin() + static_cast<std::ptrdiff_t>(bytes.size())));
}

}  // namespace
}  // namespace millrace
