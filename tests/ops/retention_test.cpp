// Goal: the disk never fills, and nothing that a start or a store needs is ever removed. Method:
// files that have a header and a size, and nothing else.
#include <gtest/gtest.h>

#include <filesystem>

#include "persist/effects_log.h"
#include "persist/journal_format.h"
#include "persist/snapshot_file.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/retention.h"

namespace millrace {
namespace {

using test::TempDir;
constexpr std::uint64_t kBytes = 10'000;

template <class Header>
void write_log_file(const TempDir& dir, const std::string& name, std::uint64_t first_seq) {
    Header header;
    header.first_seq = first_seq;
    std::string bytes(kBytes, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    dir.write(name, bytes);
}
void journal_file(const TempDir& dir, std::uint32_t epoch, std::uint32_t index,
                  std::uint64_t first) {
    write_log_file<JournalFileHeader>(dir, JournalFileName{epoch, index}.text().data(), first);
}
void effects_file(const TempDir& dir, int number, std::uint64_t first) {
    write_log_file<EffectsHeader>(dir, "effects-000000000" + std::to_string(number) + ".mre",
                                  first);
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
    const Retained done = prune(dir.path(), {kBytes, Sequence{}});
    EXPECT_EQ(done.trouble, "");
    EXPECT_EQ(done.journal_files, 2U);
    EXPECT_FALSE(has(dir, journal_name(1, 1)));
    EXPECT_TRUE(has(dir, journal_name(2, 0))) << "records 251 to 299 lie in it";
}

TEST(Retention, KeepsEverythingWithoutASnapshotOrBelowTheCap) {
    const TempDir dir;
    journal_file(dir, 1, 0, 1);
    journal_file(dir, 1, 1, 100);
    EXPECT_EQ(prune(dir.path(), {1, Sequence{}}).journal_files, 0U);
    snapshot(dir, 150);
    EXPECT_EQ(prune(dir.path(), {2 * kBytes, Sequence{}}).journal_files, 0U);
    EXPECT_EQ(prune(dir.path(), {1, Sequence{}}).journal_files, 1U);
}

TEST(Retention, StopsAtAFileThatIsPreparedAndNotBegun) {
    const TempDir dir;
    journal_file(dir, 1, 0, 1);
    dir.write(journal_name(1, 1), std::string(kBytes, '\0'));
    snapshot(dir, 150);
    EXPECT_EQ(prune(dir.path(), {1, Sequence{}}).journal_files, 0U);
    EXPECT_TRUE(has(dir, journal_name(1, 0)));
}

TEST(Retention, KeepsEffectsThatTheStoreLacksUntilTwiceTheCap) {
    const TempDir dir;
    snapshot(dir, 1000);
    for (int i = 1; i <= 4; ++i) {
        effects_file(dir, i, static_cast<std::uint64_t>(i) * 100);
    }
    Retained done = prune(dir.path(), {2 * kBytes, Sequence{250}});
    EXPECT_EQ(done.effects_files, 1U);
    EXPECT_FALSE(done.store_cut_off);
    done = prune(dir.path(), {kBytes, Sequence{250}});
    EXPECT_EQ(done.effects_files, 1U);
    EXPECT_TRUE(done.store_cut_off);
    EXPECT_TRUE(has(dir, "effects-0000000004.mre"));
}

}  // namespace
}  // namespace millrace
