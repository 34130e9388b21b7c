// Goal: errors of a real kernel, not of our fakes. Method: a child process under a file-size
// limit, on a full tmpfs, and on ext4 on a loop device whose backing store runs dry under writes
// to blocks that were already allocated. What could not be set up here is said, never skipped
// in silence.
#include "journal_fakes.h"
#include "shm/clock.h"
#include "tests/journal/own_disk.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <iostream>

namespace millrace::testing {
namespace {

struct Outcome {
    JournalState state{};
    Errc code{};
    int sys_errno = 0;
    std::uint64_t durable = 0;
};

// Publishes until the journal is poisoned (or 64,000 records are durable); `midway` is called
// once, behind the first thousand.
Outcome run_until_poisoned(const std::string& directory, const std::function<void()>& midway,
                           std::string& message) {
    HeapRing ring{1024};
    auto cells = std::make_unique<CoreCells>();
    JournalStageOptions options;
    options.directory = directory;
    options.segment_bytes = 1 << 20;
    options.first_file_bytes = 256 * 1024;
    auto stage = JournalStage::open(options, ring.view(), *cells, message);
    if (!stage) {
        return {JournalState::Down, stage.code(), stage.error().sys_errno, 0};
    }
    std::uint64_t next = 1;
    bool called = false;
    const std::int64_t deadline = monotonic_ns() + 30'000'000'000;
    while (!stage.value()->poisoned() && cells->durable.load() < 64'000 &&
           monotonic_ns() < deadline) {
        while (ring.publish(make_record(next))) {
            ++next;
        }
        if (!called && cells->durable.load() >= 1000) {
            called = true;
            midway();
        }
        if (stage.value()->step(Nanos{monotonic_ns()}) == 0) {
            stage.value()->wait_io(millis(1));
        }
    }
    Outcome o{static_cast<JournalState>(cells->journal_state.load()), stage.value()->error().code,
              stage.value()->error().sys_errno, cells->durable.load()};
    for (int i = 0; i < 100; ++i) {
        (void)stage.value()->step(Nanos{monotonic_ns()});
    }
    if (cells->durable.load() != o.durable) {
        o.state = JournalState::Running;  // acknowledged after poison: reported as not poisoned
    }
    return o;
}

// 0: the journal failed as it should, and everything acknowledged can be read.
int judge(const std::string& directory, const Outcome& o, const char* how) {
    std::cerr << how << ": state " << static_cast<int>(o.state) << ", errno "
              << std::strerror(o.sys_errno) << ", durable " << o.durable << "\n";
    if (o.state != JournalState::Full && o.state != JournalState::Poisoned) {
        return 1;
    }
    if (o.durable < 1000) {
        return 2;
    }
    DirectorySource log{directory};
    const Scan s = scan(log);
    return s.status == ReadStatus::End && s.last >= o.durable ? 0 : 3;
}

TEST(RealFaults, FileSizeLimitMakesTheJournalFullAndKillsNobody) {
    const TempDir dir;
    EXPECT_EQ(in_child([&dir] {
                  const rlimit limit{600 * 1024, 600 * 1024};
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                  std::string message;
                  const Outcome o = run_until_poisoned(dir.path(), [] {}, message);
                  const int judged = judge(dir.path(), o, "RLIMIT_FSIZE");
                  return o.state == JournalState::Full ? judged : 4;
              }),
              0);
}

TEST(RealFaults, FullFileSystemMakesTheJournalFull) {
    const TempDir dir;
    const int status = in_child([&dir] {
        if (!private_mounts() || ::mount("none", dir.path().c_str(), "tmpfs", 0, "size=2m") != 0) {
            return kNotPossibleHere;
        }
        std::string message;
        const Outcome o = run_until_poisoned(dir.path(), [] {}, message);
        const int judged = judge(dir.path(), o, "tmpfs of 2 MiB");
        return o.state == JournalState::Full ? judged : 4;
    });
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "mounting a tmpfs needs root; RLIMIT_FSIZE alone was used";
    }
    EXPECT_EQ(status, 0);
}

TEST(RealFaults, DeviceThatFailsUnderAllocatedBlocksPoisonsTheJournal) {
    const TempDir dir;
    const int status = in_child([&dir] {
        const std::string backing = dir.path() + "/backing";
        const std::string mounted = dir.path() + "/mounted";
        const std::string image = backing + "/image";
        std::filesystem::create_directories(backing);
        std::filesystem::create_directories(mounted);
        const bool ready =
            private_mounts() && ::mount("none", backing.c_str(), "tmpfs", 0, "size=24m") == 0 &&
            run("truncate -s 64m " + image) &&
            run("mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1,nodiscard " + image) &&
            run("mount -o loop " + image + " " + mounted);
        if (!ready) {
            return kNotPossibleHere;
        }
        std::string message;
        // Takes the pages from under the file system and lets nobody have new ones.
        const Outcome o = run_until_poisoned(
            mounted,
            [&] {
                (void)run("fallocate -p -o 1m -l 63m " + image);
                (void)run("dd if=/dev/zero of=" + backing + "/ballast bs=64k");
            },
            message);
        std::cerr << "ext4 on a dry loop device: state " << static_cast<int>(o.state) << ", errno "
                  << std::strerror(o.sys_errno) << ", durable " << o.durable << " " << message
                  << "\n";
        (void)run("umount -l " + mounted);
        const bool failed = o.state == JournalState::Poisoned || o.state == JournalState::Full;
        return failed && o.durable >= 1000 && o.durable < 64'000 ? 0 : 1;
    });
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "needs root, loop devices and mkfs.ext4; RLIMIT_FSIZE alone was used";
    }
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace millrace::testing
