// Goal: readers of the latest-tick table get whole quotes, go on over the writer's death, and are
// told by name what is no table. Method: one writer, readers in threads; damaged files.
#include "gateway/client/millrace_ticks.h"
#include "shm/clock.h"
#include "shm/tick_table.h"
#include "tests/ops/temp_dir.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace millrace {
namespace {

using test::TempDir;

Text<16> name(std::string_view s) {
    Text<16> t;
    std::copy(s.begin(), s.end(), t.bytes);
    return t;
}
TickTableWriter writer(const std::string& path, std::uint32_t rows = 8) {
    auto map = TickTableMap::create(path, rows);
    EXPECT_TRUE(map.ok());
    return TickTableWriter{std::move(map).value()};
}
TickTableReader reader(const std::string& path) {
    auto map = TickTableMap::attach(path);
    EXPECT_TRUE(map.ok());
    return TickTableReader{std::move(map).value()};
}

TEST(TickTable, ShowsTheLatestQuoteToReadersThatTakeNoLock) {
    const TempDir dir;
    auto w = writer(dir / "t");
    const auto r = reader(dir / "t");
    EXPECT_FALSE(r.find("EURUSD"));
    const auto row = w.row_of(name("EURUSD"));
    ASSERT_TRUE(row);
    EXPECT_EQ(w.row_of(name("EURUSD")), row);
    ASSERT_EQ(r.find("EURUSD"), row);
    EXPECT_EQ(r.latest(*row).bid.value, 0) << "none yet";
    w.store(*row, Quote{Price{3}, Price{4}, Nanos{5}}, Nanos{6});
    EXPECT_EQ(r.latest(*row).ask.value, 4);
    w.alive(Nanos{77});
    EXPECT_EQ(r.alive().value, 77);
}

TEST(TickTable, TellsItsWritersTimeWhateverTheWallClockDoes) {
    const TempDir dir;
    auto w = writer(dir / "t");
    const auto r = reader(dir / "t");
    EXPECT_LT(std::abs(r.now().value - wall_ns()), seconds(60).value) << "of an older build";
    // The wall clock was set forward by an hour after the writer was started.
    const Clock clock{wall_ns() - seconds(3600).value - monotonic_ns()};
    w.alive(clock.now());
    const std::int64_t silent = (r.now() - r.alive()).value;
    EXPECT_GE(silent, 0);
    EXPECT_LT(silent, seconds(60).value) << "it has just lived";
}

TEST(TickTable, NeverShowsATornQuote) {
    const TempDir dir;
    auto w = writer(dir / "t");
    const auto row = *w.row_of(name("S"));
    const auto r = reader(dir / "t");
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> seen{0};
    std::atomic<std::uint64_t> torn{0};
    std::thread reads{[&] {
        while (!done.load()) {
            const Quote q = r.latest(row);
            const bool whole = q.ask.value == q.bid.value + 1 && q.time.value == q.bid.value * 3;
            torn += q.bid.value == 0 || whole ? 0 : 1;
            ++seen;
        }
    }};
    // On one core too: as many as it takes until the reader has had its turn.
    for (std::int64_t i = 1; i < 300'000 || seen.load() < 1'000; ++i) {
        w.store(row, Quote{Price{i}, Price{i + 1}, Nanos{i * 3}}, Nanos{i});
    }
    done = true;
    reads.join();
    EXPECT_EQ(torn.load(), 0U);
    std::printf("covers: 300,000 quotes written beside %llu reads\n",
                static_cast<unsigned long long>(seen.load()));
}

TEST(TickTable, KeepsItsRowsOverTheDeathOfItsWriter) {
    const TempDir dir;
    auto r = [&] {
        auto w = writer(dir / "t");
        w.store(*w.row_of(name("A")), Quote{Price{1}, Price{2}, Nanos{3}}, Nanos{});
        w.store(*w.row_of(name("B")), Quote{Price{5}, Price{6}, Nanos{7}}, Nanos{});
        return reader(dir / "t");
    }();
    auto heir = writer(dir / "t");
    EXPECT_EQ(heir.row_of(name("B")), 1U);
    EXPECT_EQ(r.latest(1).bid.value, 5);
    heir.store(1, Quote{Price{8}, Price{9}, Nanos{10}}, Nanos{});
    EXPECT_EQ(r.latest(1).bid.value, 8) << "a reader of before sees the heir's";
    // A writer killed inside a store left the version odd: NO_PRICE until the heir's next one.
    heir.map().row(0).cell.version.fetch_add(1);
    EXPECT_EQ(r.latest(0).bid.value, 0);
    heir.store(0, Quote{Price{11}, Price{12}, Nanos{13}}, Nanos{});
    EXPECT_EQ(r.latest(0).bid.value, 11);
}

TEST(TickTable, RefusesByNameWhatIsNoTableAndIsMadeAnewByItsWriter) {
    const TempDir dir;
    ::umask(022);  // what others may write to is refused for that
    EXPECT_EQ(TickTableMap::attach(dir / "none").code(), Errc::NotFound);
    EXPECT_EQ(TickTableMap::attach(dir.write("short", "x")).code(), Errc::BadLayout);
    const std::string path = dir.write("t", std::string(4096 + 8 * 128, 'x'));
    EXPECT_EQ(TickTableMap::attach(path).code(), Errc::BadMagic);
    auto w = writer(path);
    EXPECT_TRUE(TickTableMap::attach(path).ok());
    w.map().header().total_bytes = 1;
    EXPECT_EQ(TickTableMap::attach(path).code(), Errc::BadLayout);
    w.map().header().version = 99;
    EXPECT_EQ(TickTableMap::attach(path).code(), Errc::BadVersion);
    for (const std::uint32_t rows : {0U, kTickRowsMax + 1}) {
        EXPECT_EQ(TickTableMap::create(dir / "u", rows).code(), Errc::BadInput);
    }
}

TEST(TickTable, TrustsNobodyElsesFile) {
    const TempDir dir;
    const std::string path = dir / "t";
    auto w = writer(path);
    ASSERT_TRUE(TickTableMap::attach(path).ok());
    // Whoever may write to it can tell any price.
    ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
    EXPECT_EQ(TickTableMap::attach(path).code(), Errc::NotOwner);
    auto next = writer(path);
    ASSERT_TRUE(TickTableMap::attach(path).ok()) << "made anew, under its writer's own rights";
    EXPECT_EQ(next.row_of(name("A")), 0U);
    ASSERT_EQ(::symlink(path.c_str(), (dir / "link").c_str()), 0);
    EXPECT_FALSE(TickTableMap::attach(dir / "link").ok());
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(path.c_str(), 65'534, 65'534), 0);
        EXPECT_EQ(TickTableMap::attach(path).code(), Errc::NotOwner);
        auto mine = writer(path);
        EXPECT_TRUE(TickTableMap::attach(path).ok());
    }
}

TEST(TickTable, IsReadThroughTheCInterface) {
    const TempDir dir;
    const std::string path = dir / "t";
    mr_ticks* ticks = nullptr;
    EXPECT_EQ(mr_ticks_open(path.c_str(), &ticks), MR_UNKNOWN);
    EXPECT_EQ(mr_ticks_open(dir.write("bad", "x").c_str(), &ticks), MR_BAD_SEGMENT);
    auto w = writer(path);
    ASSERT_EQ(mr_ticks_open(path.c_str(), &ticks), MR_OK);
    std::uint32_t row = 0;
    mr_quote quote{};
    EXPECT_EQ(mr_ticks_find(ticks, "EURUSD", &row), MR_UNKNOWN);
    const auto at = w.row_of(name("EURUSD"));
    ASSERT_EQ(mr_ticks_find(ticks, "EURUSD", &row), MR_OK);
    EXPECT_EQ(row, at);
    EXPECT_EQ(mr_ticks_latest(ticks, row, &quote), MR_NO_PRICE);
    w.store(row, Quote{Price{3}, Price{4}, Nanos{5}}, Nanos{6});
    w.alive(Nanos{9});
    ASSERT_EQ(mr_ticks_latest(ticks, row, &quote), MR_OK);
    EXPECT_TRUE(quote.bid == 3 && quote.ask == 4 && quote.time_ns == 5);
    EXPECT_EQ(mr_ticks_alive(ticks), 9);
    EXPECT_EQ(mr_ticks_latest(ticks, row + 1, &quote), MR_BAD_CALL);
    EXPECT_EQ(mr_ticks_latest(nullptr, row, &quote), MR_BAD_CALL);
    mr_ticks_close(ticks);
    mr_ticks_close(nullptr);
}

TEST(TickTable, SaysWhenItIsFull) {
    const TempDir dir;
    auto w = writer(dir / "t", 2);
    EXPECT_TRUE(w.row_of(name("A")));
    EXPECT_TRUE(w.row_of(name("B")));
    EXPECT_FALSE(w.row_of(name("C")));
    EXPECT_EQ(w.row_of(name("B")), 1U);
}

}  // namespace
}  // namespace millrace
