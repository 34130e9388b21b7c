// Goal: a snapshot is whole or not there, and a damaged one is stepped over by name. Method: real
// files, damaged byte by byte; the write made to fail by a file-size limit.
#include "journal_fakes.h"
#include "persist/snapshot_file.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <fstream>

namespace millrace::testing {
namespace {

std::vector<std::byte> image_of(std::uint64_t seq) {
    std::vector<std::byte> image(200'000);
    for (std::size_t i = 0; i < image.size(); ++i) {
        image[i] = static_cast<std::byte>(i % 251 < 200 ? seq : i * seq);
    }
    return image;
}

void write(const TempDir& dir, std::uint64_t seq) {
    std::string message;
    ASSERT_TRUE(
        write_snapshot(dir.path(), {3, Sequence{seq}, seq * 7}, image_of(seq), message).ok())
        << message;
}

std::filesystem::path path_of(const TempDir& dir, std::uint64_t seq) {
    char name[64];
    std::snprintf(name, sizeof(name), "snapshot-%020llu.mrs", static_cast<unsigned long long>(seq));
    return std::filesystem::path{dir.path()} / name;
}

TEST(Snapshot, LoadsTheNewestAtOrBelowTheLimit) {
    const TempDir dir;
    write(dir, 100);
    write(dir, 200);
    write(dir, 300);
    std::vector<std::string> bad;
    const auto s = load_snapshot(dir.path(), Sequence{250}, bad);
    ASSERT_TRUE(s.ok());
    EXPECT_EQ(s.value().at.seq.value, 200U);
    EXPECT_EQ(s.value().at.chain, 1400U);
    EXPECT_EQ(s.value().at.epoch, 3U);
    EXPECT_EQ(s.value().image, image_of(200));
    EXPECT_TRUE(bad.empty());
    EXPECT_EQ(load_snapshot(dir.path(), Sequence{99}, bad).code(), Errc::NotFound);
}

TEST(Snapshot, SaysWhereTheEffectsLogEndedWithoutItsImageBeingRead) {
    const TempDir dir;
    std::string message;
    write(dir, 100);
    const EffectsMark mark{Sequence{190}, 77};
    ASSERT_TRUE(
        write_snapshot(dir.path(), {3, Sequence{200}, 9}, image_of(200), message, mark).ok());
    EXPECT_EQ(snapshot_header(dir.path(), Sequence{100}).value().effects.seq.value, 0U);
    const auto header = snapshot_header(dir.path(), Sequence{200});
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header.value().effects.seq, mark.seq);
    EXPECT_EQ(header.value().effects.chain, mark.chain);
    std::vector<std::string> bad;
    EXPECT_TRUE(load_snapshot(dir.path(), Sequence{200}, bad).ok());
    std::filesystem::resize_file(path_of(dir, 200), 50);
    EXPECT_EQ(snapshot_header(dir.path(), Sequence{200}).code(), Errc::BadLayout);
    EXPECT_EQ(snapshot_header(dir.path(), Sequence{300}).code(), Errc::IoError);
}

TEST(Snapshot, KeepsTheLastTen) {
    const TempDir dir;
    for (std::uint64_t seq = 1; seq <= 14; ++seq) {
        write(dir, seq * 10);
    }
    const auto seqs = list_snapshots(dir.path());
    ASSERT_TRUE(seqs.ok());
    EXPECT_EQ(seqs.value().size(), kSnapshotsKept);
    EXPECT_EQ(seqs.value().front().value, 50U);
    EXPECT_EQ(seqs.value().back().value, 140U);
}

TEST(Snapshot, FallsBackPastDamageAnywhereAndNamesTheFile) {
    const TempDir dir;
    write(dir, 100);
    write(dir, 200);
    const auto path = path_of(dir, 200);
    const auto size = std::filesystem::file_size(path);
    for (std::uint64_t at = 0; at < size; at += at < 104 ? 1 : 997) {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(static_cast<std::streamoff>(at));
        const char was = static_cast<char>(file.get());
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(was ^ 0x20));
        file.flush();
        std::vector<std::string> bad;
        const auto s = load_snapshot(dir.path(), Sequence{1000}, bad);
        ASSERT_TRUE(s.ok()) << "byte " << at;
        EXPECT_EQ(s.value().at.seq.value, 100U) << "byte " << at;
        ASSERT_EQ(bad.size(), 1U);
        EXPECT_NE(bad[0].find(path.filename().string()), std::string::npos) << bad[0];
        file.seekp(static_cast<std::streamoff>(at));
        file.put(was);
    }
}

TEST(Snapshot, FallsBackPastEveryTruncation) {
    const TempDir dir;
    write(dir, 100);
    write(dir, 200);
    const auto path = path_of(dir, 200);
    for (std::uint64_t size = std::filesystem::file_size(path); size > 0;
         size -= size > 120 ? 311 : 1) {
        std::filesystem::resize_file(path, std::min(size - 1, std::filesystem::file_size(path)));
        std::vector<std::string> bad;
        const auto s = load_snapshot(dir.path(), Sequence{1000}, bad);
        ASSERT_TRUE(s.ok());
        EXPECT_EQ(s.value().at.seq.value, 100U);
        if (size <= 311 && size > 120) {
            break;
        }
    }
}

TEST(Snapshot, IgnoresAHalfWrittenOneOfADeadWriter) {
    const TempDir dir;
    write(dir, 100);
    std::ofstream{std::filesystem::path{dir.path()} / "snapshot.tmp"} << "half";
    std::vector<std::string> bad;
    EXPECT_EQ(load_snapshot(dir.path(), Sequence{1000}, bad).value().at.seq.value, 100U);
    EXPECT_TRUE(bad.empty());
}

// In a child: the limit is for the whole process.
TEST(Snapshot, LeavesTheOlderOnesWhenTheDiskRefusesANewOne) {
    const TempDir dir;
    write(dir, 100);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        std::string message;
        std::vector<std::byte> noise(100'000);
        for (std::size_t i = 0; i < noise.size(); ++i) {
            noise[i] = static_cast<std::byte>(i * i * 2654435761U >> 13U);
        }
        const auto s = write_snapshot(dir.path(), {1, Sequence{200}, 1}, noise, message);
        std::_Exit(s.code() == Errc::NoSpace && !message.empty() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(list_snapshots(dir.path()).value().size(), 1U);
    EXPECT_FALSE(std::filesystem::exists(std::filesystem::path{dir.path()} / "snapshot.tmp"));
}

}  // namespace
}  // namespace millrace::testing
