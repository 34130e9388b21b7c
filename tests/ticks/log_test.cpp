// Goal: the tick log gives back what was recorded, whatever the numbers, up to a torn last block,
// and is compact. Method: round trips with drawn and recorded ticks, every cut, flipped bytes.
#include "persist/ticks/tick_query.h"
#include "tests/ops/temp_dir.h"
#include "tests/seed.h"
#include "tools/market/tick_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

namespace millrace::ticklog {
namespace {

using test::TempDir;

Text<16> name(std::string_view s) {
    Text<16> t;
    std::copy(s.begin(), s.end(), t.bytes);
    return t;
}

class Collected final : public EntryVisitor {
public:
    void on_tick(const SeriesKey& key, const LogTick& tick, bool filled) override {
        ticks.push_back({key, tick});
        fills += filled ? 1 : 0;
    }
    void on_mark(const SeriesKey& key, const Mark& m) override { marks.push_back({key, m}); }

    std::vector<FoundTick> ticks;
    std::vector<std::pair<SeriesKey, Mark>> marks;
    std::size_t fills = 0;
};

std::vector<FoundTick> drawn_ticks(std::mt19937_64& rng, std::size_t n) {
    std::vector<FoundTick> ticks;
    const SeriesKey keys[] = {{1001, name("EURUSD")}, {1001, name("XAUUSD")}, {7, name("S")}};
    LogTick last[3];
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t k = rng() % 3;
        LogTick& t = last[k];
        const bool wild = rng() % 50 == 0;
        t.seq += wild ? 1 + rng() % 1000 : 1;
        // Any unit, back in time, any price, crossed: nothing may be assumed of a source.
        const std::int64_t unit = rng() % 3 == 0 ? 1 : 1'000'000;
        t.time.value = wild ? static_cast<std::int64_t>(rng() >> 2U)
                            : t.time.value + unit * static_cast<std::int64_t>(rng() % 5'000);
        t.bid.value = wild ? 1 + static_cast<std::int64_t>(rng() >> 2U)
                           : (1 + static_cast<std::int64_t>(rng() % 2'000)) * 1'000;
        t.ask.value = wild ? 1 : t.bid.value + static_cast<std::int64_t>(rng() % 10) * 1'000;
        ticks.push_back({keys[k], t});
    }
    return ticks;
}

void write_file(const TempDir& dir, const std::vector<FoundTick>& ticks, std::size_t per_block) {
    TickFileWriter file;
    ASSERT_TRUE(file.begin(dir.path(), Nanos{1'000}));
    BlockWriter block;
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < ticks.size(); ++i) {
        block.tick(ticks[i].key, ticks[i].tick, false);
        if ((i + 1) % per_block == 0 || i + 1 == ticks.size()) {
            bytes.clear();
            block.take(bytes);
            ASSERT_TRUE(file.append(bytes));
        }
    }
}

void expect_same(const std::vector<FoundTick>& got, const std::vector<FoundTick>& wanted,
                 std::size_t n) {
    ASSERT_EQ(got.size(), n);
    for (std::size_t i = 0; i < n; ++i) {
        ASSERT_TRUE(got[i].key == wanted[i].key && got[i].tick == wanted[i].tick) << "tick " << i;
    }
}

TEST(TickLog, GivesBackEveryTickWhateverItsNumbers) {
    std::mt19937_64 rng{test::first_seed()};
    for (const std::size_t per_block : {1U, 7U, 500U, 20'000U}) {
        const TempDir dir;
        const auto ticks = drawn_ticks(rng, per_block == 1 ? 300 : 20'000);
        write_file(dir, ticks, per_block);
        Collected got;
        std::vector<std::string> bad;
        ASSERT_TRUE(visit_tick_file(list_tick_files(dir.path())[0].path, {}, true, got, bad));
        EXPECT_TRUE(bad.empty()) << bad[0];
        expect_same(got.ticks, ticks, ticks.size());
    }
    std::printf("covers: 60,300 drawn ticks, blocks of 1 to 20,000\n");
}

TEST(TickLog, StopsAtATornLastBlockAndGivesAllBefore) {
    std::mt19937_64 rng{test::first_seed()};
    const TempDir dir;
    const auto ticks = drawn_ticks(rng, 60);
    write_file(dir, ticks, 20);
    const std::string path = list_tick_files(dir.path())[0].path;
    const auto size = std::filesystem::file_size(path);
    std::size_t cuts = 0;
    std::size_t whole = ticks.size();
    for (auto at = size - 1; at > sizeof(TickFileHeader); --at, ++cuts) {
        std::filesystem::resize_file(path, at);
        Collected got;
        std::vector<std::string> bad;
        ASSERT_TRUE(visit_tick_file(path, {}, true, got, bad));
        ASSERT_LE(got.ticks.size(), whole);
        ASSERT_EQ(got.ticks.size() % 20, 0U) << "part of a block was given";
        whole = got.ticks.size();
        expect_same(got.ticks, ticks, whole);
    }
    EXPECT_EQ(whole, 0U);
    std::printf("covers: a file cut at each of %zu places\n", cuts);
}

TEST(TickLog, NeverGivesATickOfADamagedBlock) {
    std::mt19937_64 rng{test::first_seed()};
    const TempDir dir;
    const auto ticks = drawn_ticks(rng, 60);
    write_file(dir, ticks, 20);
    const std::string path = list_tick_files(dir.path())[0].path;
    const auto size = std::filesystem::file_size(path);
    for (std::size_t at = sizeof(TickFileHeader); at < size; ++at) {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        const auto flip = [&] {
            file.seekg(static_cast<std::streamoff>(at));
            const auto c = static_cast<char>(file.get() ^ 0x10);
            file.seekp(static_cast<std::streamoff>(at));
            file.put(c);
            file.flush();
        };
        flip();
        Collected got;
        std::vector<std::string> bad;
        ASSERT_TRUE(visit_tick_file(path, {}, true, got, bad));
        ASSERT_EQ(bad.size(), 1U) << "byte " << at;
        ASSERT_LT(got.ticks.size(), ticks.size());
        expect_same(got.ticks, ticks, got.ticks.size());
        flip();
    }
    std::printf("covers: each of %zu bytes flipped\n", static_cast<std::size_t>(size));
}

TEST(TickLog, RefusesFilesThatAreNotItsOwn) {
    const TempDir dir;
    std::vector<std::string> bad;
    Collected got;
    const auto code = [&](const std::string& text) {
        return visit_tick_file(dir.write("f", text), {}, true, got, bad).code();
    };
    EXPECT_EQ(code(""), Errc::IoError);
    EXPECT_EQ(code(std::string(100, 'x')), Errc::BadMagic);
    TickFileHeader other;
    other.version = 99;
    EXPECT_EQ(code({reinterpret_cast<const char*>(&other), sizeof other}), Errc::BadVersion);
}

/// A day of ticks must fit: bytes a tick, written once a second as the recorder does.
void expect_compact(std::vector<FoundTick> ticks, double bytes_max, const char* what) {
    const TempDir dir;
    TickFileWriter file;
    ASSERT_TRUE(file.begin(dir.path(), Nanos{1}));
    BlockWriter block;
    std::vector<std::byte> bytes;
    std::int64_t second = 0;
    for (const FoundTick& t : ticks) {
        if (t.tick.time.value / 1'000'000'000 != second && block.bytes() != 0) {
            block.take(bytes);
            ASSERT_TRUE(file.append(bytes));
            bytes.clear();
        }
        second = t.tick.time.value / 1'000'000'000;
        block.tick(t.key, t.tick, false);
    }
    block.take(bytes);
    ASSERT_TRUE(file.append(bytes));
    const double each = static_cast<double>(file.bytes()) / static_cast<double>(ticks.size());
    EXPECT_LT(each, bytes_max) << what;
    std::printf("covers: %s, %zu ticks at %.1f bytes each\n", what, ticks.size(), each);
}

TEST(TickLog, IsCompactWithManySymbols) {
    std::vector<FoundTick> ticks;
    std::mt19937_64 rng{test::first_seed()};
    std::int64_t bid[100];
    std::fill(std::begin(bid), std::end(bid), 110'000);
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        const std::size_t s = rng() % 100;
        bid[s] += static_cast<std::int64_t>(rng() % 11) - 5;
        const std::int64_t ms = 1'700'000'000'000 + static_cast<std::int64_t>(i / 2);
        ticks.push_back({{1001, name("SYM" + std::to_string(s))},
                         {i + 1, Nanos{ms * 1'000'000}, Price{bid[s] * 1'000},
                          Price{(bid[s] + 8 + static_cast<std::int64_t>(rng() % 3)) * 1'000}}});
    }
    expect_compact(std::move(ticks), 12, "100 symbols, 2,000 ticks a second");
}

TEST(TickLog, IsCompactWithRecordedTicks) {
    const std::string path =
        std::string{MILLRACE_TICK_DATA} + "/eurusd_dukascopy_2025-10-10.csv.gz";
    if (!std::filesystem::exists(path)) {
        GTEST_SKIP() << "no recorded ticks at " << path;
    }
    auto reader = market::TickReader::open(path);
    ASSERT_TRUE(reader);
    std::vector<FoundTick> ticks;
    while (const auto t = reader.value()->next()) {
        ticks.push_back({{1001, t->symbol}, {ticks.size() + 1, t->time, t->bid, t->ask}});
    }
    expect_compact(ticks, 40, "one recorded symbol, a block a second");
}

}  // namespace
}  // namespace millrace::ticklog
