// Goal: the disk never fills, and nothing that a start or a store needs is ever removed. Method:
// files that have a header and a size, and nothing else.
#include <gtest/gtest.h>

#include <filesystem>

#include "persist/effects_log.h"
#include "persist/journal_format.h"
#include "persist/second_directory.h"
#include "persist/snapshot_file.h"
#include "persist/space_watch.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/retention.h"

namespace millrace {
namespace {

using test::TempDir;
constexpr std::uint64_t kBytes = 10'000;

void journal_file(const TempDir& dir, std::uint32_t epoch, std::uint32_t index, std::uint64_t first,
                  std::int64_t begun_ns = 0) {
    JournalFileHeader header;
    header.created_ns = begun_ns;
    header.first_seq = first;
    std::string bytes(kBytes, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    dir.write(JournalFileName{epoch, index}.text().data(), bytes);
}
void effects_file(const TempDir& dir, int number, std::uint64_t first) {
    EffectsHeader header;
    header.first_seq = first;
    header.mark.seq = Sequence{first - 1};
    std::string bytes(kBytes, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    dir.write("effects-000000000" + std::to_string(number) + ".mre", bytes);
}
void snapshot(const TempDir& dir, std::uint64_t seq) {
    std::string message;
    LogCursor at;
    at.seq = Sequence{seq};
    const std::byte image[64] = {};
    ASSERT_TRUE(write_snapshot(dir.path(), at, image, message).ok()) << message;
}
bool has(const TempDir& dir, const std::string& name) {
    return std::filesystem::exists(dir / name);
}
std::string journal_name(std::uint32_t epoch, std::uint32_t index) {
    return JournalFileName{epoch, index}.text().data();
}

TEST(Retention, RemovesOldestJournalFilesUpToTheOldestSnapshot) {
    const TempDir dir;
    journal_file(dir, 1, 0, 1);
    journal_file(dir, 1, 1, 100);
    journal_file(dir, 2, 0, 200);
    journal_file(dir, 2, 1, 300);
    snapshot(dir, 250);
    snapshot(dir, 320);
    const Retained done = Retention{dir.path()}.prune({2 * kBytes, {}});
    EXPECT_EQ(done.trouble, "");
    EXPECT_EQ(done.journal_files, 2U);
    EXPECT_FALSE(has(dir, journal_name(1, 1)));
    EXPECT_TRUE(has(dir, journal_name(2, 0))) << "records 251 to 299 lie in it";
}

TEST(Retention, KeepsEverythingWithoutASnapshotOrBelowTheCap) {
    const TempDir dir;
    journal_file(dir, 1, 0, 1);
    journal_file(dir, 1, 1, 100);
    EXPECT_EQ(Retention{dir.path()}.prune({1, {}}).journal_files, 0U);
    snapshot(dir, 150);
    EXPECT_EQ(Retention{dir.path()}.prune({2 * kBytes, {}}).journal_files, 0U);
    EXPECT_EQ(Retention{dir.path()}.prune({1, {}}).journal_files, 1U);
}

TEST(Retention, StopsAtAFileThatIsPreparedAndNotBegun) {
    const TempDir dir;
    journal_file(dir, 1, 0, 1);
    dir.write(journal_name(1, 1), std::string(kBytes, '\0'));
    snapshot(dir, 150);
    EXPECT_EQ(Retention{dir.path()}.prune({1, {}}).journal_files, 0U);
    EXPECT_TRUE(has(dir, journal_name(1, 0)));
}

/// Six effects files; number i holds the records from 100 * i on.
void six_effects_files(const TempDir& dir) {
    snapshot(dir, 1000);
    for (int i = 1; i <= 6; ++i) {
        effects_file(dir, i, static_cast<std::uint64_t>(i) * 100);
    }
}
bool has_effects(const TempDir& dir, int number) {
    return has(dir, "effects-000000000" + std::to_string(number) + ".mre");
}

TEST(Retention, KeepsEffectsOfTheSlowestSinkAndTheFileBeforeThem) {
    const TempDir dir;
    six_effects_files(dir);
    const RetentionLimits limits{4 * kBytes, {{"redis", Sequence{900}}, {"sqlite", Sequence{350}}}};
    const Retained done = Retention{dir.path()}.prune(limits);
    EXPECT_EQ(done.effects_files, 1U) << done.trouble;
    EXPECT_TRUE(has_effects(dir, 2)) << "a power cut may take sqlite back to before record 300";
    EXPECT_TRUE(done.detached.empty());
}

TEST(Retention, DetachesASinkAtTwiceTheCapAndIsNotHeldBackByItAnyMore) {
    const TempDir dir;
    six_effects_files(dir);
    RetentionLimits limits{2 * kBytes, {{"redis", Sequence{900}}, {"sqlite", Sequence{150}}}};
    Retention retention{dir.path()};
    Retained done = retention.prune(limits);
    EXPECT_EQ(done.effects_files, 2U) << "down to twice the cap, not to the cap";
    ASSERT_EQ(done.detached.size(), 1U) << "only the one that lacks what went";
    EXPECT_EQ(done.detached.front(), "sqlite");
    done = retention.prune(limits);
    EXPECT_EQ(done.effects_files, 2U) << "redis has them, and sqlite counts no more";
    EXPECT_EQ(done.detached.size(), 1U);
    EXPECT_TRUE(has_effects(dir, 5));
    limits.sinks[1].stored = Sequence{950};
    EXPECT_TRUE(retention.prune(limits).detached.empty());
}

TEST(Retention, TakesASinkThatHasNotSpokenForOneThatNeedsEverything) {
    const TempDir dir;
    six_effects_files(dir);
    const std::vector<SinkAt> sinks = {{"redis", Sequence{900}}, {"clickhouse", Sequence{}}};
    EXPECT_EQ(Retention{dir.path()}.prune({3 * kBytes, sinks}).effects_files, 0U);
    const Retained done = Retention{dir.path()}.prune({kBytes, sinks});
    EXPECT_EQ(done.effects_files, 4U) << "but for the disk's sake";
    ASSERT_EQ(done.detached.size(), 1U);
    EXPECT_EQ(done.detached.front(), "clickhouse");
}

TEST(Retention, KeepsWhatTheBackupsOfTheStoreGoOnFrom) {
    const TempDir dir;
    six_effects_files(dir);
    RetentionLimits limits{100 * kBytes, {{"sqlite", Sequence{900}}}};
    limits.age_max = Nanos{1};
    limits.wall_now = Nanos{INT64_MAX};
    limits.backups = {Sequence{350}, Sequence{450}};
    EXPECT_EQ(Retention{dir.path()}.prune(limits).effects_files, 1U) << "by age: the oldest backup";
    limits.bytes_max = 4 * kBytes;
    EXPECT_EQ(Retention{dir.path()}.prune(limits).effects_files, 1U) << "by size: the newest one";
    EXPECT_TRUE(has_effects(dir, 3));
}

TEST(Retention, RemovesFilesThatEndedBeforeTheAgeAndKeepsYoungerOnes) {
    const TempDir dir;
    snapshot(dir, 1000);
    const std::int64_t hour = 3'600'000'000'000;
    for (std::uint32_t i = 0; i < 4; ++i) {
        journal_file(dir, 1, i, 1 + i * 100, (i + 1) * hour);
    }
    RetentionLimits limits{100 * kBytes, {}};
    limits.age_max = Nanos{2 * hour};
    limits.wall_now = Nanos{5 * hour + 1};
    EXPECT_EQ(Retention{dir.path()}.prune(limits).journal_files, 2U);
    EXPECT_TRUE(has(dir, journal_name(1, 2))) << "it ended at hour 4, less than 2 hours ago";
}

TEST(Retention, KeepsOldFilesThatAnySnapshotNeedsAsLongAsThereIsRoom) {
    const TempDir dir;
    snapshot(dir, 150);
    snapshot(dir, 1000);
    for (std::uint32_t i = 0; i < 4; ++i) {
        journal_file(dir, 1, i, 1 + i * 100, 1);
    }
    RetentionLimits limits{100 * kBytes, {}};
    limits.age_max = Nanos{1};
    limits.wall_now = Nanos{INT64_MAX};
    EXPECT_EQ(Retention{dir.path()}.prune(limits).journal_files, 1U);
    EXPECT_TRUE(has(dir, journal_name(1, 1))) << "records 151 to 200 lie in it";
}

TEST(Retention, BelowTheFreeFloorKeepsOnlyWhatTheNewestReadableSnapshotNeeds) {
    const TempDir dir;
    snapshot(dir, 150);
    snapshot(dir, 350);
    for (std::uint32_t i = 0; i < 4; ++i) {
        journal_file(dir, 1, i, 1 + i * 100);
    }
    RetentionLimits limits{100 * kBytes, {}};
    limits.free_floor = 10 * kBytes;
    limits.free_bytes = 0;
    limits.spares = {4, kBytes};
    const Retained done = Retention{dir.path()}.prune(limits);
    EXPECT_EQ(done.journal_files, 3U) << done.trouble;
    EXPECT_EQ(done.reusable, 0U) << "a spare gives no space back";
    EXPECT_TRUE(has(dir, journal_name(1, 3)));
}

/// Seven files of a log in two directories, by turns: the second one has epochs 2 and 4.
void in_two_directories(const TempDir& first, const TempDir& second) {
    std::string message;
    ASSERT_TRUE(Reservation::succeed(first.path(), {1, 1, 7}, message).ok()) << message;
    ASSERT_TRUE(pair_directories(first.path(), second.path(), message).ok()) << message;
    snapshot(first, 1000);
    journal_file(first, 1, 0, 1);
    journal_file(second, 2, 0, 100);
    journal_file(second, 2, 1, 200);
    journal_file(first, 3, 0, 300);
    journal_file(first, 3, 1, 400);
    journal_file(second, 4, 0, 500);
    journal_file(second, 4, 1, 600);
}

TEST(Retention, BelowAFloorTakesFilesOfThatDiskAndOnlyWhatIsOlderOfTheOther) {
    const TempDir first;
    const TempDir second;
    in_two_directories(first, second);
    Retention retention{first.path()};
    RetentionLimits limits{100 * kBytes, {}};
    limits.free_floor = 10 * kBytes;
    limits.free_bytes = limits.free_floor - 1;
    limits.second_free_bytes = limits.free_floor;
    EXPECT_EQ(retention.prune(limits).journal_files, 1U);
    EXPECT_FALSE(has(first, journal_name(1, 0)));
    EXPECT_EQ(retention.prune(limits).journal_files, 3U) << "its next one, and two before it";
    EXPECT_FALSE(has(first, journal_name(3, 0)));
    limits.free_bytes = 0;
    EXPECT_EQ(retention.prune(limits).journal_files, 1U) << "more would give it no byte";
    EXPECT_TRUE(has(second, journal_name(4, 0)));
    limits.free_bytes = limits.free_floor;
    limits.second_free_bytes = 0;
    EXPECT_EQ(retention.prune(limits).journal_files, 1U) << "it has a floor of its own";
    EXPECT_FALSE(has(second, journal_name(4, 0)));
    EXPECT_TRUE(has(second, journal_name(4, 1)));
}

TEST(Retention, OnOneFileSystemFilesOfBothDirectoriesGoForItsFloor) {
    const TempDir first;
    const TempDir second;
    in_two_directories(first, second);
    RetentionLimits limits{100 * kBytes, {}};
    limits.free_floor = 10 * kBytes;
    limits.free_bytes = limits.free_floor - 2 * kBytes;
    limits.spares = {4, kBytes};
    const Retained done = Retention{first.path()}.prune(limits);
    EXPECT_EQ(done.journal_files, 2U) << done.trouble;
    EXPECT_EQ(done.reusable, 0U);
    EXPECT_FALSE(has(second, journal_name(2, 0)));
}

TEST(Retention, GoesNoFurtherThanASnapshotThatCanBeReadBack) {
    const TempDir dir;
    snapshot(dir, 150);
    snapshot(dir, 350);
    for (const auto& entry : std::filesystem::directory_iterator{dir.path()}) {
        if (entry.path().string().find("350") != std::string::npos) {
            std::filesystem::resize_file(entry.path(), entry.file_size() - 1);
        }
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
        journal_file(dir, 1, i, 1 + i * 100);
    }
    const Retained done = Retention{dir.path()}.prune({1, {}});
    EXPECT_EQ(done.journal_files, 1U);
    EXPECT_NE(done.trouble, "") << "a snapshot that cannot be read is told";
    EXPECT_TRUE(has(dir, journal_name(1, 1))) << "records 151 to 200 lie in it";
}

TEST(Retention, KeepsOldFilesOfTheRightSizeForTheJournalToWriteOver) {
    const TempDir dir;
    snapshot(dir, 1000);
    journal_file(dir, 1, 0, 1);
    journal_file(dir, 1, 1, 100);
    journal_file(dir, 2, 0, 200);
    journal_file(dir, 2, 1, 300);
    RetentionLimits limits{kBytes, {}};
    limits.spares = {4, kBytes};
    const Retained done = Retention{dir.path()}.prune(limits);
    EXPECT_EQ(done.journal_files, 3U);
    EXPECT_EQ(done.reusable, 2U) << "the last file of an epoch is never re-used";
    EXPECT_EQ(list_spares(dir.path()).size(), 2U);
}

TEST(SpaceWatch, TellsEachLevelOnceUntilTheUseHasFallen) {
    SpaceWatch watch;
    EXPECT_EQ(watch.look(69), 0U);
    EXPECT_EQ(watch.look(70), 70U);
    EXPECT_EQ(watch.look(72), 0U);
    EXPECT_EQ(watch.look(69), 0U);
    EXPECT_EQ(watch.look(70), 0U) << "it has not fallen far enough to be told again";
    EXPECT_EQ(watch.look(91), 85U);
    EXPECT_EQ(watch.look(60), 0U);
    EXPECT_EQ(watch.look(86), 85U);
}

}  // namespace
}  // namespace millrace
