// Goal: what would make the record say that it is whole when it is not: answers that come late or
// twice, terminals that forgot, clocks that are wrong, files that are not on the disk, too many
// series. Method: a recorder, answered by hand.
#include "persist/ticks/recorder.h"
#include "persist/ticks/tick_query.h"
#include "tests/ops/temp_dir.h"

#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

namespace {

/// What fdatasync() was called for, and how many files there were then.
struct Flushed {
    std::string path;
    std::size_t files = 0;
};
std::vector<Flushed> g_flushed;
int g_fail = 0;  // this errno instead

}  // namespace

extern "C" int fdatasync(int fd) {
    namespace fs = std::filesystem;
    std::error_code none;
    const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), none);
    if (path.extension() == ".mrt") {
        const auto all = fs::directory_iterator{path.parent_path(), none};
        g_flushed.push_back({path, static_cast<std::size_t>(std::distance(begin(all), end(all)))});
    }
    if (g_fail != 0) {
        errno = g_fail;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace millrace::ticklog {
namespace {

using test::TempDir;

constexpr std::uint64_t kFeed = 1001;

SeriesKey key(const std::string& symbol) {
    SeriesKey k{kFeed, {}};
    std::copy(symbol.begin(), symbol.end(), k.symbol.bytes);
    return k;
}
const SeriesKey kEur = key("EURUSD");

constexpr Nanos hours(std::int64_t h) {
    return seconds(h * 3600);
}
LogTick tick_of(std::uint64_t seq, std::int64_t ms) {
    return {seq, millis(ms), Price{100'000 + ms}, Price{100'010 + ms}};
}
std::unique_ptr<Recorder> open(const TempDir& dir, Nanos now, std::uint32_t file_s = 3600) {
    std::vector<std::string> told;
    auto r = Recorder::open({.directory = dir.path(), .file_s = file_s}, now, told);
    EXPECT_TRUE(r.ok());
    return std::move(r).value();
}
void answer(Recorder& r, const BackfillRequest& q, std::int64_t from_ms, std::int64_t to_ms) {
    for (std::int64_t ms = from_ms; ms <= to_ms; ++ms) {
        const LogTick t = tick_of(0, ms);
        r.answer(q.series, q.request, {&t, 1});
    }
}
std::vector<FoundGap> gaps_in(const TempDir& dir) {
    std::vector<std::string> bad;
    return query_gaps(dir.path(), {}, bad);
}

/// A series with a tick a millisecond from 1000 on, 1010..1029 of which were not recorded.
class WithAGap : public ::testing::Test {
protected:
    WithAGap() {
        recorder->feed_up(kFeed);
        recorder->announce(kEur, {1, 0, Nanos{}, 0});
        for (std::uint64_t n = 0; n < 40; ++n) {
            if (n < 10 || n >= 30) {
                recorder->tick(kEur, tick_of(n + 1, 1'000 + static_cast<std::int64_t>(n)), 0);
            }
        }
    }
    void expect_whole() {
        ASSERT_TRUE(recorder->flush(seconds(100)));
        std::vector<std::string> bad;
        const auto got = query_ticks(dir.path(), {}, bad);
        ASSERT_EQ(got.size(), 40U);
        for (std::size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].tick.time, millis(1'000 + static_cast<std::int64_t>(i)));
        }
        const auto gaps = gaps_in(dir);
        ASSERT_EQ(gaps.size(), 1U);
        EXPECT_EQ(gaps[0].result, GapResult::Filled);
        EXPECT_EQ(gaps[0].filled, 20U);
    }

    TempDir dir;
    std::unique_ptr<Recorder> recorder = open(dir, seconds(1));
};

TEST_F(WithAGap, TakesOnlyTheAnswerToTheTryThatIsOut) {
    const auto first = recorder->next_request(kFeed, seconds(10));
    ASSERT_TRUE(first);
    answer(*recorder, *first, 1'009, 1'015);
    const auto second = recorder->next_request(kFeed, seconds(50));
    ASSERT_TRUE(second);
    EXPECT_NE(first->request, second->request);
    // The rest of the first answer, which would be taken for all of the second.
    answer(*recorder, *first, 1'016, 1'029);
    recorder->answer_end(kFeed, first->request, false, true);
    EXPECT_EQ(recorder->open_gaps(), 1U);
    answer(*recorder, *second, 1'009, 1'029);
    recorder->answer_end(kFeed, second->request, false, true);
    EXPECT_EQ(recorder->open_gaps(), 0U);
    EXPECT_EQ(recorder->stats().lost_gaps, 0U);
    EXPECT_EQ(recorder->stats().strays, 15U);
    expect_whole();
}

TEST_F(WithAGap, TakesAPageThatComesTwiceOnce) {
    const auto first = recorder->next_request(kFeed, seconds(10));
    ASSERT_TRUE(first);
    answer(*recorder, *first, 1'009, 1'015);
    recorder->answer_end(kFeed, first->request, true, true);
    answer(*recorder, *first, 1'009, 1'015);
    recorder->answer_end(kFeed, first->request, true, true);
    const auto second = recorder->next_request(kFeed, seconds(10));
    ASSERT_TRUE(second);
    // Again what the first one brought, and more to come: neither whole nor a reason to hurry.
    answer(*recorder, *second, 1'009, 1'015);
    recorder->answer_end(kFeed, second->request, true, true);
    EXPECT_EQ(recorder->open_gaps(), 1U);
    EXPECT_FALSE(recorder->next_request(kFeed, seconds(11)));
    const auto third = recorder->next_request(kFeed, seconds(60));
    ASSERT_TRUE(third);
    answer(*recorder, *third, 1'015, 1'029);
    recorder->answer_end(kFeed, third->request, false, true);
    expect_whole();
}

TEST_F(WithAGap, CountsWhatWasFilledOverARestartInTheMiddle) {
    const auto first = recorder->next_request(kFeed, seconds(10));
    answer(*recorder, *first, 1'009, 1'015);
    recorder->answer_end(kFeed, first->request, true, true);
    ASSERT_TRUE(recorder->flush(seconds(11)));
    recorder = open(dir, seconds(20));
    recorder->feed_up(kFeed);
    const auto second = recorder->next_request(kFeed, seconds(20));
    ASSERT_TRUE(second);
    EXPECT_EQ(second->from, millis(1'015));
    answer(*recorder, *second, 1'015, 1'029);
    recorder->answer_end(kFeed, second->request, false, true);
    expect_whole();
}

TEST(RecordFaults, FinishesGapsWhileOthersAreNeverAnswered) {
    const TempDir dir;
    const auto r = open(dir, seconds(1));
    r->feed_up(kFeed);
    for (std::size_t i = 0; i <= Recorder::kAsksMax; ++i) {
        const SeriesKey k = key("S" + std::to_string(i));
        r->announce(k, {1, 0, Nanos{}, 0});
        r->tick(k, tick_of(1, 1'000), 0);
        r->tick(k, tick_of(3, 1'002), 0);
    }
    std::vector<BackfillRequest> dead;
    for (auto q = r->next_request(kFeed, seconds(10)); q; q = r->next_request(kFeed, seconds(10))) {
        dead.push_back(*q);
    }
    ASSERT_EQ(dead.size(), Recorder::kAsksMax);
    const auto other = r->next_request(kFeed, seconds(41));
    ASSERT_TRUE(other);
    EXPECT_EQ(other->series, key("S" + std::to_string(Recorder::kAsksMax)));
    answer(*r, *other, 1'000, 1'002);
    r->answer_end(kFeed, other->request, false, true);
    EXPECT_EQ(r->open_gaps(), Recorder::kAsksMax);
    const auto again = r->next_request(kFeed, seconds(42));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->series, dead[0].series);
    EXPECT_NE(again->request, dead[0].request);
}

TEST(RecordFaults, ATerminalThatForgotItsPastIsAGapUpToItsFirstTick) {
    const TempDir dir;
    auto r = open(dir, seconds(1));
    r->feed_up(kFeed);
    r->announce(kEur, {1, 0, Nanos{}, 0});
    r->tick(kEur, tick_of(1, 1'000), 0);
    ASSERT_TRUE(r->flush(seconds(2)));
    // Another stream, which does not know what was before it; and the recorder dies too.
    r->announce(kEur, {2, 0, Nanos{}, 0});
    ASSERT_TRUE(r->flush(seconds(3)));
    r = open(dir, seconds(4));
    r->feed_up(kFeed);
    r->announce(kEur, {2, 0, Nanos{}, 0});
    EXPECT_EQ(r->open_gaps(), 0U) << "nobody knows yet until when";
    r->tick(kEur, tick_of(1, 1'050), 0);
    r->tick(kEur, tick_of(2, 1'051), 0);
    ASSERT_EQ(r->open_gaps(), 1U);
    const auto q = r->next_request(kFeed, seconds(5));
    ASSERT_TRUE(q);
    EXPECT_EQ(q->from, millis(1'000));
    EXPECT_LT(q->to, millis(1'050));
    r->answer_end(kFeed, q->request, false, false);
    ASSERT_TRUE(r->flush(seconds(6)));
    const auto gaps = gaps_in(dir);
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].result, GapResult::Lost);
    std::vector<std::string> bad;
    EXPECT_EQ(query_ticks(dir.path(), {}, bad).size(), 3U);
    // The same, but what it tells is older than what we have.
    r->announce(kEur, {3, 0, millis(1'040), 1});
    r->tick(kEur, tick_of(1, 1'060), 0);
    EXPECT_EQ(r->open_gaps(), 1U);
}

TEST(RecordFaults, AGapWhoseOldestPartIsGivenUpIsNeverFilled) {
    const TempDir dir;
    const auto r = open(dir, hours(1'000));
    r->feed_up(kFeed);
    r->announce(kEur, {1, 0, Nanos{}, 0});
    r->tick(kEur, {1, hours(900), Price{1}, Price{2}}, 0);
    r->tick(kEur, {4, hours(1'000), Price{1}, Price{2}}, 0);
    const auto q = r->next_request(kFeed, hours(1'000));
    ASSERT_TRUE(q);
    EXPECT_EQ(q->from, hours(1'000 - 26) - Nanos{1}) << "older ones are not kept anyway";
    r->answer_end(kFeed, q->request, false, true);
    EXPECT_EQ(r->stats().lost_gaps, 1U);
}

TEST(RecordFaults, KnowsItsSeriesHoweverManyAndOverAHeadThatWasCutShort) {
    constexpr int kSeries = 150'000;
    const TempDir dir;
    auto r = open(dir, seconds(1));
    r->feed_up(kFeed);
    for (int i = 0; i < kSeries; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        r->announce(key("S" + std::to_string(i)), {0xFEDCBA9876543210 + n, 7, seconds(n), 1});
    }
    r->announce(key("S5"), {0xFEDCBA9876543210 + 5, 9, seconds(9), 1});
    EXPECT_EQ(r->open_gaps(), 1U);
    ASSERT_TRUE(r->flush(seconds(2)));
    r = open(dir, seconds(3));
    r.reset();
    // The newest file has only part of what it begins with.
    const std::string newest = list_tick_files(dir.path()).back().path;
    std::filesystem::resize_file(newest, std::filesystem::file_size(newest) / 2);
    r = open(dir, seconds(4));
    EXPECT_EQ(r->open_gaps(), 1U);
    for (int i = 0; i < kSeries; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        r->announce(key("S" + std::to_string(i)), {0xFEDCBA9876543210 + n, 7, seconds(n), 1});
    }
    EXPECT_EQ(r->stats().gaps, 0U) << "all of them were known";
}

TEST(RecordFaults, FlushesAFileBeforeTheNextOneBegins) {
    const TempDir dir;
    auto r = open(dir, seconds(1), 10);
    const std::string first = list_tick_files(dir.path())[0].path;
    r->feed_up(kFeed);
    r->announce(kEur, {1, 0, Nanos{}, 0});
    r->tick(kEur, tick_of(1, 1'000), 0);
    g_flushed.clear();
    ASSERT_TRUE(r->step(seconds(12)));
    ASSERT_EQ(list_tick_files(dir.path()).size(), 2U);
    ASSERT_EQ(g_flushed.size(), 1U);
    EXPECT_EQ(g_flushed[0].path, first);
    EXPECT_EQ(g_flushed[0].files, 1U);
    // That of a process that was killed, too.
    r.reset();
    g_flushed.clear();
    r = open(dir, seconds(13), 10);
    ASSERT_EQ(g_flushed.size(), 1U);
    EXPECT_EQ(g_flushed[0].path, list_tick_files(dir.path())[1].path);
    // A flush that failed is not tried again: nobody knows what is on the disk.
    g_fail = EIO;
    EXPECT_EQ(r->step(seconds(30)).code(), Errc::Poisoned);
    g_fail = 0;
    EXPECT_EQ(r->step(seconds(31)).code(), Errc::Poisoned);
}

TEST(RecordFaults, LeavesTheLastRoomOfItsDiskToOthersAndGoesOnOnceThereIsMore) {
    const TempDir dir;
    std::vector<std::string> told;
    const auto with_floor = [&](std::uint64_t bytes) {
        return Recorder::open({.directory = dir.path(), .free_floor_bytes = bytes}, seconds(1),
                              told);
    };
    constexpr std::uint64_t kMoreThanThereIs = std::uint64_t{1} << 62U;
    EXPECT_EQ(with_floor(kMoreThanThereIs).code(), Errc::NoSpace);
    EXPECT_TRUE(list_tick_files(dir.path()).empty()) << "a file for each try";
    ASSERT_TRUE(with_floor(1).ok());
    // Room is looked for in the folder that is named: here one that is there, with little left.
    auto r = with_floor(1);
    r.value()->set_free_floor(kMoreThanThereIs);
    r.value()->feed_up(kFeed);
    r.value()->announce(kEur, {1, 0, Nanos{}, 0});
    r.value()->tick(kEur, tick_of(1, 1'000), 0);
    const auto bytes = r.value()->stats().bytes;
    EXPECT_EQ(r.value()->step(seconds(10)).code(), Errc::NoSpace);
    EXPECT_EQ(r.value()->step(seconds(10) + millis(2)).code(), Errc::NoSpace)
        << "between two tries it is as before: else it would be told as over";
    EXPECT_EQ(r.value()->stats().bytes, bytes);
    r.value()->set_free_floor(1);
    EXPECT_TRUE(r.value()->step(seconds(20)));
    EXPECT_GT(r.value()->stats().bytes, bytes) << "what waited in memory";
}

TEST(RecordFaults, AWrongClockRemovesNothingAndHoldsNothingUp) {
    const TempDir dir;
    auto r = open(dir, hours(1'000));
    r->feed_up(kFeed);
    r->announce(kEur, {1, 0, Nanos{}, 0});
    std::uint64_t seq = 0;
    const auto hour = [&](std::int64_t ticks_h, std::int64_t clock_h) {
        ++seq;
        r->tick(kEur, {seq, hours(ticks_h), Price{1}, Price{2}}, 0);
        ASSERT_TRUE(r->step(hours(clock_h)));
    };
    for (std::int64_t h = 1'000; h < 1'010; ++h) {
        hour(h, h);
    }
    const std::size_t files = list_tick_files(dir.path()).size();
    ASSERT_GE(files, 10U);
    // Ten years ahead: nothing of these hours may go.
    r = open(dir, hours(1'010 + 87'600));
    r->feed_up(kFeed);
    hour(1'011, 1'011 + 87'600);
    EXPECT_EQ(list_tick_files(dir.path()).size(), files + 2);
    // Right again, with a file of the future there: files are begun each hour all the same.
    r = open(dir, hours(1'011));
    for (std::int64_t h = 1'012; h < 1'016; ++h) {
        hour(h, h);
    }
    EXPECT_EQ(list_tick_files(dir.path()).size(), files + 3 + 4);
}

}  // namespace
}  // namespace millrace::ticklog
