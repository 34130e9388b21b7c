// Goal: the pool gives out files that nothing else uses, and a journal over re-used files holds
// what it should. Method: the real pool and the real stage on a real directory.
#include "persist/spare_files.h"
#include "core/crash_point.h"
#include "journal_fakes.h"
#include "persist/pwrite_disk.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace millrace::testing {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kFileBytes = 64 * 1024;
constexpr FileMode kMode{false, false};
constexpr SparePolicy kTwo{2, kFileBytes};

void make_file(const TempDir& dir, const std::string& name, std::uint64_t bytes = kFileBytes) {
    std::ofstream out{dir.path() + "/" + name, std::ios::binary};
    out << std::string(bytes, 'x');
}
std::string journal_file(const TempDir& dir, std::uint32_t index) {
    const std::string name = JournalFileName{1, index}.text().data();
    make_file(dir, name);
    return name;
}

TEST(SpareFiles, ARetiredFileComesBackUnderANewNameWithAClearedFirstBlock) {
    const TempDir dir;
    const std::string old = journal_file(dir, 0);
    ASSERT_EQ(retire_file(dir.path(), {1, 0}, true, kTwo).value(), Retired::Pooled);
    EXPECT_FALSE(fs::exists(dir.path() + "/" + old));
    const auto taken = take_spare(dir.path(), {7, 3}, kFileBytes, kMode);
    ASSERT_TRUE(taken.ok());
    EXPECT_TRUE(taken.value().reused);
    ::close(taken.value().fd);
    DirectorySource log{dir.path()};
    std::vector<std::byte> block(kBlockBytes + 1);
    ASSERT_EQ(log.read({7, 3}, 0, block).value(), block.size());
    EXPECT_EQ(std::count(block.begin(), block.end() - 1, std::byte{0}), 4096);
    EXPECT_EQ(block.back(), std::byte{'x'});
    EXPECT_EQ(list_log(log).value().front().use, LogFileUse::Unused);
    EXPECT_EQ(take_spare(dir.path(), {7, 4}, kFileBytes, kMode).code(), Errc::NotFound);
}

TEST(SpareFiles, IsASpareStillIfTheTakerDiesBetweenClearingAndRenamingIt) {
    const TempDir dir;
    const std::string old = journal_file(dir, 0);
    ASSERT_EQ(retire_file(dir.path(), {1, 0}, true, kTwo).value(), Retired::Pooled);
    const pid_t child = ::fork();
    if (child == 0) {
        arm_crash_point("journal.spare_cleared");
        (void)take_spare(dir.path(), {7, 3}, kFileBytes, kMode);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it did not come to the crash point";
    DirectorySource log{dir.path()};
    EXPECT_TRUE(list_log(log).value().empty()) << "neither under its old name nor its new one";
    ASSERT_EQ(list_spares(dir.path()).size(), 1U);
    const auto taken = take_spare(dir.path(), {7, 3}, kFileBytes, kMode);
    ASSERT_TRUE(taken.ok());
    EXPECT_TRUE(taken.value().reused);
    ::close(taken.value().fd);
    EXPECT_EQ(list_log(log).value().front().use, LogFileUse::Unused);
    EXPECT_TRUE(list_spares(dir.path()).empty());
}

TEST(SpareFiles, RemovesWhatMustNotBeWrittenOverAgain) {
    const TempDir dir;
    journal_file(dir, 0);
    EXPECT_EQ(retire_file(dir.path(), {1, 0}, false, kTwo).value(), Retired::Removed)
        << "the last file of an epoch may have a late write coming";
    journal_file(dir, 1);
    fs::create_hard_link(dir.path() + "/" + JournalFileName{1, 1}.text().data(),
                         dir.path() + "/backup");
    EXPECT_EQ(retire_file(dir.path(), {1, 1}, true, kTwo).value(), Retired::Removed)
        << "a hard link is somebody's backup";
    EXPECT_EQ(fs::file_size(dir.path() + "/backup"), kFileBytes);
    make_file(dir, JournalFileName{1, 2}.text().data(), kFileBytes / 2);
    EXPECT_EQ(retire_file(dir.path(), {1, 2}, true, kTwo).value(), Retired::Removed)
        << "of another size";
    for (std::uint32_t i = 3; i < 6; ++i) {
        journal_file(dir, i);
        EXPECT_EQ(retire_file(dir.path(), {1, i}, true, kTwo).value(),
                  i < 5 ? Retired::Pooled : Retired::Removed);
    }
    EXPECT_EQ(list_spares(dir.path()).size(), 2U);
}

TEST(SpareFiles, PassesOverAFileThatAReaderStillHasOpen) {
    const TempDir dir;
    const std::string old = journal_file(dir, 0);
    const int reader = ::open((dir.path() + "/" + old).c_str(), O_RDONLY);
    ASSERT_EQ(retire_file(dir.path(), {1, 0}, true, kTwo).value(), Retired::Pooled);
    auto taken = take_spare(dir.path(), {7, 3}, kFileBytes, kMode);
    if (taken.ok()) {
        ::close(taken.value().fd);
        ::close(reader);
        GTEST_SKIP() << "this file system has no leases";
    }
    ::close(reader);
    taken = take_spare(dir.path(), {7, 3}, kFileBytes, kMode);
    ASSERT_TRUE(taken.ok());
    ::close(taken.value().fd);
}

TEST(SpareFiles, FillerMakesTheWantedNumberAndTrimsWhatIsOfAnotherSize) {
    const TempDir dir;
    make_file(dir, "spare-used-0000000001-000001.mrp", kFileBytes / 2);
    FilePreparer preparer{dir.path(), kMode};
    preparer.keep_spares(3, kFileBytes);
    // The filler stands back for a file that is asked for, and goes on behind it.
    for (std::uint32_t i = 0; i < 4; ++i) {
        ASSERT_TRUE(preparer.start({1, i}, kFileBytes).ok());
        ASSERT_EQ(preparer.wait(), Prepared::Ready);
        const auto taken = preparer.take();
        EXPECT_EQ(taken.file.bytes, kFileBytes);
        EXPECT_FALSE(taken.file.reused);
        ::close(taken.fd);
    }
    const std::int64_t deadline = monotonic_ns() + 20'000'000'000;
    while (list_spares(dir.path()).size() < 3 && monotonic_ns() < deadline) {
        ::sched_yield();
    }
    EXPECT_EQ(list_spares(dir.path()).size(), 3U);
    for (const SpareFile& spare : list_spares(dir.path())) {
        EXPECT_EQ(spare.bytes, kFileBytes);
        EXPECT_FALSE(spare.reused);
    }
}

// Retention runs beside the writer; the log over re-used files reads like any other.
TEST(SpareFiles, AJournalOverReusedFilesHoldsEveryRecordOverRestarts) {
    const TempDir dir;
    HeapRing ring{512};
    auto cells = std::make_unique<CoreCells>();
    std::string message;
    std::uint64_t next = 1;
    std::uint64_t oldest = 0;
    std::uint32_t reused_files = 0;
    for (int epoch = 1; epoch <= 3; ++epoch) {
        JournalStageOptions options;
        options.directory = dir.path();
        options.same_segment = epoch > 1;
        options.segment_bytes = options.first_file_bytes = kFileBytes;
        options.spare_files = 3;
        auto stage = JournalStage::open(options, ring.view(), *cells, message);
        ASSERT_TRUE(stage.ok()) << message;
        const std::uint64_t end = next + 4000;
        while (cells->durable.load() + 1 < end) {
            ASSERT_FALSE(stage.value()->poisoned()) << stage.value()->error().what;
            while (next < end && ring.publish(make_record(next))) {
                ++next;
            }
            if (stage.value()->step(Nanos{1}) == 0) {
                stage.value()->wait_io(millis(1));
            }
            DirectorySource log{dir.path()};
            auto files = list_log(log).value();
            std::erase_if(files, [](const LogFile& f) { return f.use != LogFileUse::Used; });
            for (std::size_t i = 0; i + 3 < files.size(); ++i) {
                const bool followed = files[i + 1].name.epoch == files[i].name.epoch;
                ASSERT_TRUE(retire_file(dir.path(), files[i].name, followed, {3, kFileBytes}).ok());
                reused_files += reused(files[i].header) ? 1U : 0U;
                oldest = files[i + 1].header.first_seq - 1;
            }
        }
    }
    DirectorySource log{dir.path()};
    const Scan s = scan(log, oldest);
    EXPECT_EQ(s.status, ReadStatus::End) << s.place.what;
    EXPECT_EQ(s.last, 12'000U);
    EXPECT_EQ(s.place.code, Errc::Ok) << s.place.what;
    EXPECT_GT(reused_files, 5U) << "nothing was re-used";
}

}  // namespace
}  // namespace millrace::testing
