// Goal: a real disk that is full or fails ends this epoch's acknowledgements for good, and the next
// epoch loses nothing and goes on in a new file once there is room. Method: children in mount
// namespaces of their own, with a small tmpfs, and ext4 on a loop device over one; EIO comes from a
// loop device that becomes shorter under its file system. What cannot be set up here is said, never
// skipped in silence.
#include "journal_fakes.h"
#include "shm/clock.h"
#include "tests/journal/loop_device.h"
#include "tests/journal/own_disk.h"

#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

namespace millrace::testing {
namespace {

constexpr std::int64_t kDeadlineNs = 60'000'000'000;

// One ring and its cells over the epochs of several stages.
struct Pipeline {
    HeapRing ring{1024};
    std::unique_ptr<CoreCells> cells = std::make_unique<CoreCells>();
    std::unique_ptr<JournalStage> stage;
    std::uint64_t next = 1;
    std::string message;

    Errc open(const std::string& directory, bool same_segment) {
        JournalStageOptions options;
        options.directory = directory;
        options.same_segment = same_segment;
        options.segment_bytes = 1 << 20;
        options.first_file_bytes = 256 * 1024;
        stage.reset();
        auto opened = JournalStage::open(options, ring.view(), *cells, message);
        if (opened) {
            stage = std::move(opened).value();
        }
        return opened.code();
    }
    [[nodiscard]] std::uint64_t durable() const { return cells->durable.load(); }
    [[nodiscard]] JournalState state() const {
        return static_cast<JournalState>(cells->journal_state.load());
    }
    // Until `to` records are durable or the journal has failed.
    void work(std::uint64_t to) {
        const std::int64_t deadline = monotonic_ns() + kDeadlineNs;
        while (!stage->poisoned() && durable() < to && monotonic_ns() < deadline) {
            while (ring.publish(make_record(next))) {
                ++next;
            }
            if (stage->step(Nanos{monotonic_ns()}) == 0) {
                stage->wait_io(millis(1));
            }
        }
    }
    // A failed stage acknowledges nothing more and releases no slot, however long it is stepped.
    [[nodiscard]] bool stays_silent() {
        const std::uint64_t told = durable();
        const std::uint64_t released = ring.released();
        for (int i = 0; i < 200; ++i) {
            (void)stage->step(Nanos{monotonic_ns()});
            stage->wait_io(Nanos{1000});
        }
        return durable() == told && ring.released() == released;
    }
};

#define REQUIRE(condition)                                                       \
    if (!(condition)) {                                                          \
        std::cerr << "line " << __LINE__ << ": " #condition << " " << p.message; \
        return 1;                                                                \
    }

int goes_on_when_there_is_room(const std::string& directory) {
    if (!private_mounts() || ::mount("none", directory.c_str(), "tmpfs", 0, "size=8m") != 0) {
        return kNotPossibleHere;
    }
    const std::string ballast = directory + "/ballast";
    Pipeline p;
    if (!run("dd if=/dev/zero of=" + ballast + " bs=1M count=5")) {
        return kNotPossibleHere;
    }
    REQUIRE(p.open(directory, false) == Errc::Ok);
    p.work(1'000'000);
    REQUIRE(p.state() == JournalState::Full);
    REQUIRE(p.durable() > 1000);
    REQUIRE(p.stays_silent());
    const std::uint64_t acked = p.durable();
    // While it is full the next epoch says what to do, and nothing is lost by trying.
    (void)run("dd if=/dev/zero of=" + directory + "/more bs=4k");
    REQUIRE(p.open(directory, true) == Errc::NoSpace);
    REQUIRE(p.message.find("free space") != std::string::npos);
    REQUIRE(p.durable() == acked);
    REQUIRE(::unlink(ballast.c_str()) == 0);
    REQUIRE(p.open(directory, true) == Errc::Ok);
    REQUIRE(p.state() == JournalState::Running);
    p.work(acked + 3000);
    REQUIRE(p.durable() >= acked + 3000);
    p.stage.reset();
    DirectorySource log{directory};
    const Scan s = scan(log);
    p.message += s.place.what;
    REQUIRE(s.status == ReadStatus::End);
    REQUIRE(s.last >= acked + 3000);
    REQUIRE(s.count == s.last);
    return 0;
}

TEST(DiskFull, StopsAcknowledgingAndANewEpochGoesOnWhenThereIsRoom) {
    const TempDir dir;
    const int status = in_child([&dir] { return goes_on_when_there_is_room(dir.path()); });
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "mounting a tmpfs needs root";
    }
    EXPECT_EQ(status, 0);
}

// A write of which the device takes only a part is a failed write for the file above it: EIO.
int poisoned_by_a_failing_device(const std::string& directory) {
    const std::string backing = directory + "/backing";
    const std::string mounted = directory + "/mounted";
    const std::string image = backing + "/image";
    for (const auto& made : {backing, mounted}) {
        std::filesystem::create_directories(made);
    }
    Pipeline p;
    const bool ready =
        private_mounts() && ::mount("none", backing.c_str(), "tmpfs", 0, "size=24m") == 0 &&
        run("truncate -s 64m " + image) &&
        run("mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1,nodiscard " + image) &&
        run("mount -o loop " + image + " " + mounted);
    if (!ready) {
        return kNotPossibleHere;
    }
    REQUIRE(p.open(mounted, false) == Errc::Ok);
    p.work(1000);
    REQUIRE(p.state() == JournalState::Running);
    // The pages go from under the file system; a few are left, so that a write is cut short.
    (void)run("fallocate -p -o 1m -l 63m " + image);
    (void)run("dd if=/dev/zero of=" + backing + "/ballast bs=4k");
    (void)run("truncate -s -12k " + backing + "/ballast");
    p.work(1'000'000);
    std::cerr << "failing device: state " << static_cast<int>(p.state()) << ", "
              << std::strerror(p.stage->error().sys_errno) << ", durable " << p.durable() << "\n";
    REQUIRE(p.state() == JournalState::Poisoned || p.state() == JournalState::Full);
    REQUIRE(p.stage->error().sys_errno == EIO || p.stage->error().sys_errno == ENOSPC);
    REQUIRE(p.stays_silent());
    p.stage.reset();
    (void)run("umount -l " + mounted);
    return p.durable() >= 1000 ? 0 : 1;
}

TEST(DiskFull, ADeviceThatTakesOnlyAPartOfAWritePoisonsTheJournal) {
    const TempDir dir;
    const int status = in_child([&dir] { return poisoned_by_a_failing_device(dir.path()); });
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "needs root, loop devices and mkfs.ext4";
    }
    EXPECT_EQ(status, 0);
}

int poisoned_by_real_eio(const std::string& directory) {
    const std::string backing = directory + "/backing";
    const std::string mounted = directory + "/mounted";
    const std::string image = backing + "/image";
    for (const auto& made : {backing, mounted}) {
        std::filesystem::create_directories(made);
    }
    Pipeline p;
    if (!private_mounts() || ::mount("none", backing.c_str(), "tmpfs", 0, "size=80m") != 0 ||
        !run("truncate -s 64m " + image) || !run("mkfs.ext4 -q -O ^has_journal " + image)) {
        return kNotPossibleHere;
    }
    const LoopDevice device{image};
    if (!device.ready() ||
        ::mount(device.path().c_str(), mounted.c_str(), "ext4", 0, nullptr) != 0) {
        return kNotPossibleHere;
    }
    REQUIRE(p.open(mounted, false) == Errc::Ok);
    p.work(1000);
    REQUIRE(p.state() == JournalState::Running);
    REQUIRE(device.limit(1 << 20));
    p.work(1'000'000);
    const std::uint64_t acked = p.durable();
    std::cerr << "shortened device: state " << static_cast<int>(p.state()) << ", "
              << std::strerror(p.stage->error().sys_errno) << ", durable " << acked << "\n";
    REQUIRE(p.state() == JournalState::Poisoned);
    REQUIRE(p.stage->error().sys_errno == EIO);
    REQUIRE(acked >= 1000);
    REQUIRE(p.stays_silent());
    // As long as the device fails, so does every new epoch, and says where.
    REQUIRE(p.open(mounted, true) != Errc::Ok);
    REQUIRE(p.message.find(mounted) != std::string::npos);
    REQUIRE(p.durable() == acked);
    REQUIRE(device.limit(0));
    p.message.clear();
    REQUIRE(p.open(mounted, true) == Errc::Ok);
    p.work(acked + 3000);
    REQUIRE(p.durable() >= acked + 3000);
    p.stage.reset();
    DirectorySource log{mounted};
    const Scan s = scan(log);
    p.message += s.place.what;
    REQUIRE(s.status == ReadStatus::End);
    REQUIRE(s.last >= acked + 3000);
    REQUIRE(s.count == s.last);
    (void)::umount2(mounted.c_str(), MNT_DETACH);
    return 0;
}

TEST(DiskFull, RealEioPoisonsTheJournalAndANewEpochGoesOnWhenTheDeviceIsBack) {
    const TempDir dir;
    const int status = in_child([&dir] { return poisoned_by_real_eio(dir.path()); });
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "needs root, loop devices and mkfs.ext4";
    }
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace millrace::testing
