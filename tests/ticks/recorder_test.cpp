// Goal: nothing that a source told is missing in the record without the record knowing it, and what
// is known to be missing is filled from the source, exactly once, in its place; over kills too.
// Method: a source that keeps everything, a recorder that loses drawn parts of it.
#include "persist/ticks/recorder.h"
#include "persist/ticks/tick_query.h"
#include "tests/ops/temp_dir.h"
#include "tests/seed.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <random>

namespace millrace::ticklog {
namespace {

using test::TempDir;

constexpr std::uint64_t kFeed = 1001;

Text<16> name(std::string_view s) {
    Text<16> t;
    std::copy(s.begin(), s.end(), t.bytes);
    return t;
}
const SeriesKey kEur{kFeed, name("EURUSD")};

/// One symbol at its source. Several ticks share a millisecond, as they do.
struct Source {
    std::uint64_t stream = 1;
    std::uint64_t seq = 0;
    std::vector<LogTick> all;

    void make(std::int64_t ms) {
        const auto n = static_cast<std::int64_t>(all.size());
        all.push_back(
            {++seq, millis(ms), Price{100'000'000 + n * 1'000}, Price{100'010'000 + n * 1'000}});
    }
    /// How many before the `i`-th have its time.
    [[nodiscard]] std::uint64_t same(std::size_t i) const {
        std::uint64_t n = 0;
        while (n < i && all[i - n - 1].time == all[i].time) {
            ++n;
        }
        return n;
    }
    void tell(Recorder& r, std::size_t i) const { r.tick(kEur, all[i], same(i)); }
    void tell_last(Recorder& r) const { tell(r, all.size() - 1); }
    [[nodiscard]] Announcement announcement() const {
        Announcement a{stream, seq, Nanos{}, 0};
        if (!all.empty()) {
            a.time = all.back().time;
            for (auto t = all.rbegin(); t != all.rend() && t->time == a.time; ++t) {
                ++a.count;
            }
        }
        return a;
    }
    /// Answers as a terminal does: by time alone.
    void answer(Recorder& r, const BackfillRequest& q, std::size_t forgot = 0) const {
        std::uint32_t sent = 0;
        bool more = false;
        for (std::size_t i = forgot; i < all.size(); ++i) {
            LogTick t = all[i];
            if (t.time < q.from || t.time > q.to) {
                continue;
            }
            if (sent == q.limit) {
                more = true;
                break;
            }
            ++sent;
            t.seq = 0;
            r.answer(kEur, q.request, {&t, 1});
        }
        r.answer_end(kFeed, q.request, more, forgot == 0);
    }
    /// Asks and answers until nothing is wanted. @return requests.
    int serve(Recorder& r, Nanos wall, std::size_t forgot = 0) const {
        int n = 0;
        while (const auto q = r.next_request(kFeed, wall)) {
            answer(r, *q, forgot);
            ++n;
        }
        return n;
    }
};

constexpr Nanos hours(std::int64_t h) {
    return seconds(h * 3600);
}

std::unique_ptr<Recorder> open(const TempDir& dir, Nanos wall = seconds(1)) {
    std::vector<std::string> told;
    RecorderOptions options;
    options.directory = dir.path();
    auto r = Recorder::open(options, wall, told);
    EXPECT_TRUE(r.ok());
    return std::move(r).value();
}

/// The record has what the source told from its `first` tick on, each once, in order.
void expect_whole(const TempDir& dir, const Source& source, std::size_t first = 0) {
    std::vector<std::string> bad;
    const auto got = query_ticks(dir.path(), {}, bad);
    ASSERT_EQ(got.size(), source.all.size() - first);
    for (std::size_t i = 0; i < got.size(); ++i) {
        const LogTick& t = got[i].tick;
        const LogTick& wanted = source.all[first + i];
        ASSERT_TRUE(t.time == wanted.time && t.bid == wanted.bid && t.ask == wanted.ask)
            << "tick " << i << " of " << got.size();
    }
}

TEST(TickRecorder, FillsAJumpInTheNumbersExactly) {
    const TempDir dir;
    Source source;
    const auto r = open(dir);
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    for (int i = 0; i < 9; ++i) {
        source.make(1000 + i / 3);  // three a millisecond
    }
    // From the second of a millisecond to the first of another.
    for (const std::size_t i : {0U, 1U, 6U, 7U, 8U}) {
        source.tell(*r, i);
    }
    EXPECT_EQ(r->open_gaps(), 1U);
    EXPECT_EQ(source.serve(*r, seconds(1)), 1);
    EXPECT_EQ(r->stats().filled, 4U);
    EXPECT_EQ(r->stats().lost_gaps, 0U);
    ASSERT_TRUE(r->flush(seconds(2)));
    expect_whole(dir, source);
    std::vector<std::string> bad;
    const auto gaps = query_gaps(dir.path(), {}, bad);
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].result, GapResult::Filled);
    EXPECT_EQ(gaps[0].missing, 4U);
    EXPECT_EQ(gaps[0].filled, 4U);
}

TEST(TickRecorder, FillsWhatWasToldWhileItWasDead) {
    const TempDir dir;
    Source source;
    auto r = open(dir);
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    for (int i = 0; i < 100; ++i) {
        source.make(1000 + i / 2);
        source.tell_last(*r);
        if (i == 60) {
            ASSERT_TRUE(r->flush(seconds(1)));
        }
    }
    r.reset();  // as a kill: what was not flushed is gone
    for (int i = 100; i < 150; ++i) {
        source.make(1000 + i / 2);
    }
    r = open(dir, seconds(3));
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());  // the same stream: the terminal lived on
    EXPECT_EQ(r->open_gaps(), 1U);
    source.make(1080);
    source.tell_last(*r);
    source.serve(*r, seconds(3));
    EXPECT_EQ(r->stats().filled, 150U - 61U);
    ASSERT_TRUE(r->flush(seconds(4)));
    expect_whole(dir, source);
}

TEST(TickRecorder, FillsUpToTheBeginningOfANewStream) {
    const TempDir dir;
    Source source;
    auto r = open(dir);
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    for (int i = 0; i < 10; ++i) {
        source.make(1000 + i);
        source.tell_last(*r);
    }
    r->feed_down(kFeed);
    for (int i = 10; i < 20; ++i) {
        source.make(1000 + i / 2 * 2);  // the terminal is restarted, its history goes on
    }
    source.stream = 2;
    source.seq = 0;
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    // Live ticks of the same millisecond as the last before the stream.
    source.make(1018);
    source.tell_last(*r);
    source.make(1018);
    source.tell_last(*r);
    source.make(1030);
    source.tell_last(*r);
    EXPECT_EQ(source.serve(*r, seconds(1)), 1);
    EXPECT_EQ(r->stats().filled, 10U);
    ASSERT_TRUE(r->flush(seconds(2)));
    expect_whole(dir, source);
}

TEST(TickRecorder, SaysWhatTheSourceHasNotGotAnyMore) {
    const TempDir dir;
    Source source;
    const auto r = open(dir);
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    for (int i = 0; i < 10; ++i) {
        source.make(1000 + i);
    }
    source.tell(*r, 0);
    source.tell(*r, 9);
    source.serve(*r, seconds(1), 5);
    EXPECT_EQ(r->stats().filled, 4U);
    EXPECT_EQ(r->stats().lost_gaps, 1U);
    ASSERT_TRUE(r->flush(seconds(2)));
    std::vector<std::string> bad;
    const auto gaps = query_gaps(dir.path(), {}, bad);
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].result, GapResult::Lost);
}

TEST(TickRecorder, AsksInPagesAndAgainAfterAnAnswerThatNeverCame) {
    const TempDir dir;
    Source source;
    const auto r = open(dir);
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    for (int i = 0; i < 7'000; ++i) {
        source.make(1000 + i / 4);
    }
    source.tell(*r, 0);
    source.tell_last(*r);
    ASSERT_TRUE(r->next_request(kFeed, seconds(10)));
    EXPECT_FALSE(r->next_request(kFeed, seconds(11))) << "one at a time of a gap";
    const auto again = r->next_request(kFeed, seconds(50));
    ASSERT_TRUE(again);
    source.answer(*r, *again);
    EXPECT_EQ(source.serve(*r, seconds(50)), 3);
    ASSERT_TRUE(r->flush(seconds(51)));
    expect_whole(dir, source);
}

TEST(TickRecorder, RemovesOnlyWhatIsOlderThanItKeeps) {
    const TempDir dir;
    Source source;
    auto r = open(dir, hours(1000));
    r->feed_up(kFeed);
    r->announce(kEur, source.announcement());
    for (std::int64_t h = 1000; h < 1100; ++h) {
        source.make(h * 3'600'000);
        source.tell_last(*r);
        ASSERT_TRUE(r->step(hours(h)));
    }
    const auto files = list_tick_files(dir.path());
    EXPECT_LT(files.size(), 30U);
    EXPECT_LE(files.front().created_ns, hours(1099 - 26).value);
    std::vector<std::string> bad;
    QueryOptions last_day;
    last_day.range.from = hours(1099 - 24);
    EXPECT_EQ(query_ticks(dir.path(), last_day, bad).size(), 25U);
    std::vector<std::string> told;
    for (const std::uint32_t keep : {23U, Recorder::kKeepHoursMax + 1}) {
        EXPECT_EQ(Recorder::open({.directory = dir.path(), .keep_h = keep}, hours(1), told).code(),
                  Errc::BadInput);
    }
}

/// Everything at once: ticks are passed over, links cut, answers lost half-way, the recorder killed
/// with a torn block, files rotated, the terminal restarted. In the end nothing is missing.
TEST(TickRecorder, LosesNothingWhateverIsLostWhenever) {
    std::mt19937_64 rng{test::first_seed()};
    int kills = 0;
    int cuts = 0;
    std::uint64_t filled = 0;
    std::uint64_t strays = 0;
    for (int round = 0; round < 20; ++round) {
        const TempDir dir;
        Source source;
        Nanos wall = seconds(1'000);
        auto r = open(dir, wall);
        r->feed_up(kFeed);
        r->announce(kEur, source.announcement());
        std::int64_t ms = 1'000'000;
        std::optional<BackfillRequest> late;  // its answer comes when another one is out
        for (int i = 0; i < 3'000; ++i) {
            ms += static_cast<std::int64_t>(rng() % 3);
            wall = wall + millis(50);
            source.make(ms);
            if (rng() % 10 != 0) {
                source.tell_last(*r);
            }
            // The record begins with the first tick that is on disk.
            ASSERT_TRUE(i == 10 ? r->flush(wall) : r->step(wall));
            const auto dice = i > 10 ? rng() % 300 : 299;
            if (dice < 30) {
                if (const auto q = r->next_request(kFeed, wall)) {
                    if (late) {
                        source.answer(*r, *late);
                    }
                    const bool twice = rng() % 3 == 0;
                    source.answer(*r, *q);
                    if (twice) {
                        source.answer(*r, *q);
                    }
                    late = q;
                }
            } else if (dice == 30) {  // cut, within an answer
                ++cuts;
                if (const auto q = r->next_request(kFeed, wall)) {
                    const LogTick first{0, q->from, Price{1}, Price{2}};
                    r->answer(kEur, q->request, {&first, 1});
                    late = q;
                }
                r->feed_down(kFeed);
                if (rng() % 3 == 0) {
                    source.stream += 1;
                    source.seq = 0;
                }
                r->feed_up(kFeed);
                r->announce(kEur, source.announcement());
            } else if (dice == 31) {
                ++kills;
                filled += r->stats().filled;
                strays += r->stats().strays;
                r.reset();
                const auto files = list_tick_files(dir.path());
                const std::string newest = files.back().path;
                // A write that was cut short, or what a power cut took of the newest file; not of
                // the first one, with which the record begins.
                if (files.size() > 1 && rng() % 2 == 0) {
                    const auto size = std::filesystem::file_size(newest);
                    std::filesystem::resize_file(newest,
                                                 size - rng() % std::min<std::size_t>(size, 300));
                }
                std::ofstream{newest, std::ios::app | std::ios::binary} << "TBLK\1\2\3 torn";
                r = open(dir, wall);
                r->feed_up(kFeed);
                r->announce(kEur, source.announcement());
            }
        }
        r->feed_down(kFeed);
        r->feed_up(kFeed);
        r->announce(kEur, source.announcement());
        source.serve(*r, wall);
        ASSERT_EQ(r->open_gaps(), 0U) << "round " << round;
        ASSERT_TRUE(r->flush(wall));
        filled += r->stats().filled;
        strays += r->stats().strays;
        expect_whole(dir, source);
        ASSERT_FALSE(HasFatalFailure()) << "round " << round;
    }
    std::printf(
        "covers: 60,000 ticks, %d kills with a torn block, %d cuts, %llu back-filled, %llu "
        "parts of answers that nobody waited for\n",
        kills, cuts, static_cast<unsigned long long>(filled),
        static_cast<unsigned long long>(strays));
}

}  // namespace
}  // namespace millrace::ticklog
