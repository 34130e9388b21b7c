// Goal: a consumer gets what the record has of a range, each tick once and in its order, while
// packets go on; what cannot be answered is said. Method: a log written by the test, its reader, a
// real publisher and subscriber over loopback; held against a query of the same log.
#include "gateway/ticks/tick_publisher.h"
#include "gateway/ticks/tick_subscriber.h"
#include "persist/ticks/tick_query.h"
#include "tests/covers.h"
#include "tests/ops/temp_dir.h"
#include "tools/ticks/history_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>

namespace millrace {
namespace {

using test::covered;

Text<16> name(const std::string& s) {
    Text<16> t;
    std::copy(s.begin(), s.end(), t.bytes);
    return t;
}

constexpr std::int64_t kStart = 1'760'000'000'000'000'000;
constexpr std::int64_t kMs = 1'000'000;

class TickHistoryByTcp : public ::testing::Test {
protected:
    /// Two accounts' ticks of S by turns, and others'; twenty-one of each have one time, so that
    /// pages end among them.
    void record(std::int64_t n) {
        ticklog::TickFileWriter file;
        ASSERT_TRUE(file.begin(dir.path(), Nanos{kStart}).ok());
        ticklog::BlockWriter block;
        std::vector<std::byte> bytes;
        for (std::int64_t i = 0; i < n; ++i) {
            const Nanos time{kStart + i / 21 * kMs};
            for (const auto& [feed, symbol] :
                 {std::pair{1, "S"}, std::pair{2, "S"}, std::pair{1, "OTHER"}}) {
                block.tick({static_cast<std::uint64_t>(feed), name(symbol)},
                           {static_cast<std::uint64_t>(i + 1), time, Price{1'000 * feed + i},
                            Price{2'000 * feed + i}},
                           false);
            }
            if (block.bytes() > 20'000 || i + 1 == n) {
                bytes.clear();
                block.take(bytes);
                ASSERT_TRUE(file.append(bytes).ok());
            }
        }
    }
    void open(bool with_record = true) {
        if (with_record) {
            reader = std::make_unique<HistoryReader>(dir.path());
        }
        TickPublisherOptions o;
        o.consumers = {{"desk", std::vector<std::byte>(32, std::byte{1})}};
        o.history = reader.get();
        std::string message;
        auto opened = TickPublisher::open(std::move(o), message);
        ASSERT_TRUE(opened.ok()) << message;
        publisher = std::move(opened).value();
    }
    void connect(std::uint32_t page) {
        TickSubscriberOptions o;
        o.port = publisher->port();
        o.name = "desk";
        o.key = std::vector<std::byte>(32, std::byte{1});
        o.history_page = page;
        TickCallbacks c;
        c.on_tick = [this](const ReceivedTick& t) { live.push_back(t.tick.bid); };
        c.on_lost = [this](std::uint64_t, std::uint64_t) { ++losses; };
        c.on_recorded = [this](const tick_wire::TickEntry& t) { told.push_back(t); };
        c.on_recorded_end = [this](HistoryEnd how) { ended = how; };
        subscriber.emplace(std::move(o), std::move(c));
        ASSERT_TRUE(until([&] { return subscriber->up(); }));
    }
    bool until(const std::function<bool()>& done) {
        for (int i = 0; i < 100'000 && !done(); ++i) {
            turn();
        }
        return done();
    }
    void turn() {
        clock = clock + millis(1);
        publisher->step(clock);
        subscriber->poll(clock, 1);
    }
    /// @return how it ended; nothing if it never did.
    std::optional<HistoryEnd> ask(const HistoryRange& range) {
        told.clear();
        ended.reset();
        EXPECT_TRUE(subscriber->ask_history(range));
        EXPECT_FALSE(subscriber->ask_history(range)) << "one at a time";
        static_cast<void>(until([&] { return ended.has_value(); }));
        covered("recorded ticks", told.size());
        return ended;
    }
    /// Is what was told what `millrace ticks dump` shows of it?
    void expect_as_dumped(const HistoryRange& range) {
        std::vector<std::string> bad;
        const auto all = ticklog::query_ticks(
            dir.path(),
            {.symbol = range.symbol, .feed = range.feed, .range = {range.from, range.to}}, bad);
        ASSERT_EQ(told.size(), std::min<std::uint64_t>(all.size(), range.limit));
        for (std::size_t i = 0; i < told.size(); ++i) {
            const ticklog::LogTick got{told[i].seq, Nanos{told[i].time_ns}, Price{told[i].bid},
                                       Price{told[i].ask}};
            ASSERT_EQ(got, all[i].tick) << i;
        }
    }

    test::TempDir dir;
    Nanos clock = seconds(1'000);
    std::unique_ptr<HistoryReader> reader;
    std::unique_ptr<TickPublisher> publisher;
    std::optional<TickSubscriber> subscriber;
    std::vector<std::int64_t> live;
    std::vector<tick_wire::TickEntry> told;
    std::optional<HistoryEnd> ended;
    int losses = 0;
};

TEST_F(TickHistoryByTcp, IsWhatTheRecordHasOfTheRangePageByPage) {
    record(3'000);
    open();
    connect(101);
    const HistoryRange all{"S", Nanos{kStart}, Nanos{kStart + seconds(3'600).value}};
    ASSERT_EQ(ask(all), HistoryEnd::Whole);
    ASSERT_EQ(told.size(), 6'000U);
    expect_as_dumped(all);
    EXPECT_GE(publisher->stats().histories, 60U);
    HistoryRange part = all;
    part.feed = 2;
    part.from = Nanos{kStart + 10 * kMs};
    part.to = Nanos{kStart + 20 * kMs};
    ASSERT_EQ(ask(part), HistoryEnd::Whole);
    EXPECT_EQ(told.size(), 11U * 21U);
    expect_as_dumped(part);
    part.limit = 150;
    ASSERT_EQ(ask(part), HistoryEnd::Whole);
    EXPECT_EQ(told.size(), 150U);
    expect_as_dumped(part);
    part.symbol = "NOBODYS";
    ASSERT_EQ(ask(part), HistoryEnd::Whole);
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(subscriber->stats().sessions, 1U) << subscriber->last_error();
}

TEST_F(TickHistoryByTcp, HoldsUpNoPacket) {
    record(20'000);
    open();
    connect(100'000);
    const HistoryRange all{"S", Nanos{kStart}, Nanos{INT64_MAX}};
    ASSERT_TRUE(subscriber->ask_history(all));
    std::int64_t n = 0;
    while (!ended && n < 100'000) {
        publisher->publish(0, name("S"), {0, 0, 1, ++n, n, n});
        turn();
    }
    ASSERT_EQ(ended, HistoryEnd::Whole);
    expect_as_dumped(all);
    ASSERT_TRUE(until([&] { return !live.empty() && live.back() == n; }));
    EXPECT_EQ(losses, 0);
    covered("packets meanwhile", static_cast<std::uint64_t>(n));
}

TEST_F(TickHistoryByTcp, IsRefusedWhereThereIsNoRecordAndBrokenWithTheConnection) {
    open(false);
    connect(1'000);
    const HistoryRange range{"S", Nanos{kStart}, Nanos{INT64_MAX}};
    EXPECT_EQ(ask(range), HistoryEnd::Refused);
    EXPECT_FALSE(subscriber->ask_history({"", range.from, range.to}));
    EXPECT_FALSE(subscriber->ask_history({"S", range.to, range.from}));
    subscriber.reset();
    record(20'000);
    open();
    connect(1'000);
    ended.reset();
    ASSERT_TRUE(subscriber->ask_history(range));
    ASSERT_TRUE(until([&] { return !told.empty(); }));
    publisher.reset();
    for (int i = 0; i < 10'000 && !ended; ++i) {
        clock = clock + millis(1);
        subscriber->poll(clock, 1);
    }
    EXPECT_EQ(ended, HistoryEnd::Broken);
    EXPECT_FALSE(subscriber->ask_history(range)) << "not connected";
}

TEST_F(TickHistoryByTcp, SaysThatAFileOfTheRecordEndsEarly) {
    record(3'000);
    for (const auto& entry : std::filesystem::directory_iterator{dir.path()}) {
        std::filesystem::resize_file(entry.path(), entry.file_size() - 10);
    }
    open();
    connect(1'000);
    const HistoryRange all{"S", Nanos{kStart}, Nanos{INT64_MAX}};
    EXPECT_EQ(ask(all), HistoryEnd::Torn);
    EXPECT_GT(told.size(), 0U);
    EXPECT_LT(told.size(), 6'000U);
    expect_as_dumped(all);
}

}  // namespace
}  // namespace millrace
