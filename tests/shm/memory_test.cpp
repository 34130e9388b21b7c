// Goal: a segment either has all its memory when it is made, or there is no segment and a sentence
// that says why; afterwards no access faults. Method: file systems and limits that are too small,
// in namespaces and processes of their own; the kernel's fault counters over a million messages.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "shm/segment.h"
#include "tests/shm/children.h"
#include "tests/shm/temp_dir.h"

namespace millrace {
namespace {

using test::end_of;
using test::kSkipped;
using test::mount_private;
using test::run_child;
using test::TempDir;

SegmentPlan plan_at(const std::string& path, std::uint32_t slots) {
    SegmentPlan plan;
    plan.path = path;
    plan.journal_dir = "/nowhere";
    plan.sessions = 1;
    plan.session_slots = 4;
    plan.journal_slots = plan.results_slots = plan.admin_slots = plan.holdings_slots = 8;
    plan.orders_slots = slots;
    plan.reports_slots = plan.signals_slots = 8;
    plan.memory.lock = MemoryWish::Off;
    return plan;
}

#define SKIP_IF_NO_NAMESPACE(status)                                                    \
    if ((status) == kSkipped) {                                                         \
        GTEST_SKIP() << "SKIPPED: this host gives no mount namespace; NOT TESTED HERE"; \
    }

/// In a child: `message` must hold every one of `words`.
int holds(const std::string& message, std::initializer_list<const char*> words) {
    std::printf("    \"%s\"\n", message.c_str());
    for (const char* word : words) {
        if (message.find(word) == std::string::npos) {
            std::printf("    lacks \"%s\"\n", word);
            return 1;
        }
    }
    return 0;
}

TEST(SegmentMemory, TooSmallDevShmIsAnErrorThatNamesNeedAndRoomAndNeverASigbus) {
    const TempDir dir;
    for (const MemoryWish huge : {MemoryWish::Off, MemoryWish::Try}) {
        for (const char* options : {"size=1m", "size=1m,huge=advise", "size=1m,nr_inodes=9"}) {
            const pid_t child = run_child([&] {
                if (!mount_private(dir.str(), "tmpfs", options)) {
                    return kSkipped;
                }
                std::string message;
                SegmentPlan plan = plan_at(dir.file("segment"), 1U << 16);
                plan.memory.huge_pages = huge;
                if (Segment::create(plan, message).code() != Errc::NoSpace) {
                    return 1;
                }
                if (std::filesystem::exists(plan.path)) {
                    return 2;
                }
                const std::string room = dir.str() + " has 1024 KiB available";
                return holds(message,
                             {plan.path.c_str(), "needs", room.c_str(), "mount -o remount"});
            });
            const int status = end_of(child);
            SKIP_IF_NO_NAMESPACE(status)
            EXPECT_EQ(status, 0) << options;
        }
    }
}

TEST(SegmentMemory, SpaceThatRunsOutWhileItIsReservedIsTheSameError) {
    const TempDir dir;
    const pid_t child = run_child([&] {
        if (!mount_private(dir.str(), "tmpfs", "size=2m")) {
            return kSkipped;
        }
        std::string message;
        std::uint64_t made = 0;
        for (; made < 64; ++made) {
            auto segment = Segment::create(plan_at(dir.file(std::to_string(made)), 8), message);
            if (!segment) {
                return made > 0 && segment.code() == Errc::NoSpace
                           ? holds(message, {"needs", "available"})
                           : 1;
            }
            // Every byte of those that were made can be written: nothing was overcommitted.
            std::memset(static_cast<void*>(&segment.value().hop(Hop::Gate)), 0, sizeof(Histogram));
        }
        return 3;
    });
    const int status = end_of(child);
    SKIP_IF_NO_NAMESPACE(status)
    EXPECT_EQ(status, 0);
}

/// Makes a segment of 12 MiB and writes every byte of it. @return 0 if it was made, 10 if it was
/// refused as it should be.
int make_and_fill(const std::string& path) {
    std::string message;
    auto made = Segment::create(plan_at(path, 1U << 16), message);
    if (!made) {
        const bool clean = made.code() == Errc::NoSpace && !std::filesystem::exists(path);
        return clean && message.find("needs") != std::string::npos ? 10 : 1;
    }
    const auto bytes = static_cast<std::size_t>(made.value().header().total_bytes);
    auto* base = reinterpret_cast<std::byte*>(&made.value().core());
    const auto head = static_cast<std::size_t>(made.value().header().core_offset);
    std::memset(base, 1, bytes - head);
    std::filesystem::remove(path);
    return 0;
}

TEST(SegmentMemory, CreatorsThatRaceForTheSameSpaceGetAllOfTheirsOrAnErrorAndNeverASigbus) {
    const TempDir dir;
    const int status = end_of(run_child([&] {
        if (!mount_private(dir.str(), "tmpfs", "size=16m")) {
            return kSkipped;
        }
        int made = 0;
        for (int round = 0; round < 12; ++round) {
            // Reserving takes milliseconds: each finds room enough when it looks.
            pid_t racers[3];
            for (int i = 0; i < 3; ++i) {
                racers[i] = run_child([&] { return make_and_fill(dir.file(std::to_string(i))); });
            }
            for (const pid_t racer : racers) {
                const int end = end_of(racer);
                if (end != 0 && end != 10) {
                    std::printf("    round %d: a creator ended with %d\n", round, end);
                    return 1;
                }
                made += end == 0 ? 1 : 0;
            }
        }
        std::printf("    %d of 36 were made\n", made);
        return made > 0 ? 0 : 2;
    }));
    SKIP_IF_NO_NAMESPACE(status)
    EXPECT_EQ(status, 0);
}

TEST(SegmentMemory, TooSmallMemlockIsAnErrorOrASaidFallBackAsWished) {
    const TempDir dir;
    const auto create = [&](MemoryWish wish) {
        return end_of(run_child([&, wish] {
            const rlimit none{4096, 4096};
            ::setrlimit(RLIMIT_MEMLOCK, &none);
            if (::geteuid() == 0 && ::seteuid(65534) != 0) {  // root's capability lifts the limit
                return kSkipped;
            }
            std::string message;
            SegmentPlan plan =
                plan_at("/dev/shm/millrace-memlock-" + std::to_string(::getpid()), 8);
            plan.memory.lock = wish;
            auto made = Segment::create(plan, message);
            const bool exists = std::filesystem::exists(plan.path);
            std::filesystem::remove(plan.path);
            if (wish == MemoryWish::Require) {
                return made.code() == Errc::NoSpace && !exists
                           ? holds(message,
                                   {"RLIMIT_MEMLOCK is 4 KiB", "LimitMEMLOCK", "memory.lock"})
                           : 1;
            }
            if (!made.ok() || made.value().locked() || made.value().header().locked != 0) {
                return 1;
            }
            return wish == MemoryWish::Try ? holds(message, {"RLIMIT_MEMLOCK is 4 KiB"})
                                           : (message.empty() ? 0 : 1);
        }));
    };
    EXPECT_EQ(create(MemoryWish::Require), 0);
    EXPECT_EQ(create(MemoryWish::Try), 0);
    EXPECT_EQ(create(MemoryWish::Off), 0);
}

TEST(SegmentMemory, IsLockedByCreatorAndByWhoAttachesToWriteIfThatIsAllowed) {
    const TempDir dir;
    std::string message;
    SegmentPlan plan = plan_at(dir.file("segment"), 8);
    plan.memory.lock = MemoryWish::Try;
    auto made = Segment::create(plan, message);
    ASSERT_TRUE(made.ok()) << message;
    if (!made.value().locked()) {
        GTEST_SKIP() << "SKIPPED: " << message;
    }
    EXPECT_EQ(made.value().header().locked, 1U);
    auto second = Segment::attach(plan.path, Segment::Mode::ReadWrite, message);
    ASSERT_TRUE(second.ok()) << message;
    EXPECT_TRUE(second.value().locked());
    auto reader = Segment::attach(plan.path, Segment::Mode::ReadOnly, message);
    ASSERT_TRUE(reader.ok()) << message;
    EXPECT_FALSE(reader.value().locked()) << "an inspector takes nothing";
    plan.path = dir.file("unlocked");
    plan.memory.lock = MemoryWish::Off;
    ASSERT_TRUE(Segment::create(plan, message).ok()) << message;
    auto third = Segment::attach(plan.path, Segment::Mode::ReadWrite, message);
    ASSERT_TRUE(third.ok()) << message;
    EXPECT_FALSE(third.value().locked()) << "nobody wished it";
}

TEST(SegmentMemory, LiesOnHugePagesWhereTheMountAllowsIt) {
    const TempDir dir;
    const auto create = [&](const char* options, MemoryWish wish, bool expected) {
        return end_of(run_child([&, options, wish, expected] {
            if (!mount_private(dir.str(), "tmpfs", options)) {
                return kSkipped;
            }
            std::string message;
            SegmentPlan plan = plan_at(dir.file("segment"), 1U << 15);
            plan.memory.huge_pages = wish;
            auto made = Segment::create(plan, message);
            if (!made) {
                return wish == MemoryWish::Require && !expected && made.code() == Errc::Unsupported
                           ? holds(message, {"huge=advise", "memory.hugetlbfs"})
                           : 1;
            }
            if (!expected && wish == MemoryWish::Require) {
                return 2;
            }
            if (!expected && wish == MemoryWish::Try &&
                message.find("huge=advise") == std::string::npos) {
                return 3;  // a fall-back is said
            }
            const SegmentHeader& h = made.value().header();
            std::printf("    %s: %llu of %llu KiB on huge pages\n", options,
                        static_cast<unsigned long long>(h.huge_bytes >> 10U),
                        static_cast<unsigned long long>(h.total_bytes >> 10U));
            return (h.huge_bytes >= 2U << 20U) == expected && (h.huge_pages == 1) == expected ? 0
                                                                                              : 1;
        }));
    };
    const int first = create("size=64m,huge=advise", MemoryWish::Require, true);
    SKIP_IF_NO_NAMESPACE(first)
    EXPECT_EQ(first, 0);
    EXPECT_EQ(create("size=64m,huge=never", MemoryWish::Require, false), 0);
    EXPECT_EQ(create("size=64m,huge=never", MemoryWish::Try, false), 0);
    EXPECT_EQ(create("size=64m,huge=advise", MemoryWish::Off, false), 0);
}

TEST(SegmentMemory, WithoutReservedHugePagesHugetlbfsIsAnErrorWithTheMend) {
    const TempDir dir;
    const int status = end_of(run_child([&] {
        if (!mount_private(dir.str(), "hugetlbfs", "size=2m")) {
            return kSkipped;
        }
        std::string message;
        auto made = Segment::create(plan_at(dir.file("segment"), 1U << 15), message);
        return made.code() == Errc::NoSpace && !std::filesystem::exists(dir.file("segment"))
                   ? holds(message, {"needs", "vm.nr_hugepages"})
                   : 1;
    }));
    SKIP_IF_NO_NAMESPACE(status)
    EXPECT_EQ(status, 0);
}

TEST(SegmentMemory, LiesOnReservedHugePagesInHugetlbfsAndIsAttachedThere) {
    const TempDir dir;
    int free_pages = 0;
    std::ifstream{"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"} >> free_pages;
    if (free_pages < 8) {
        GTEST_SKIP() << "SKIPPED: fewer than 8 huge pages are free (sysctl vm.nr_hugepages=16)";
    }
    const int status = end_of(run_child([&] {
        if (!mount_private(dir.str(), "hugetlbfs", "pagesize=2M")) {
            return kSkipped;
        }
        std::string message;
        auto made = Segment::create(plan_at(dir.file("segment"), 1U << 15), message);
        if (!made || !message.empty()) {
            return holds(message, {"-"});
        }
        const SegmentHeader& h = made.value().header();
        const bool huge = h.page_bytes == 2U << 20U && h.huge_bytes == h.total_bytes;
        for (const auto mode : {Segment::Mode::ReadOnly, Segment::Mode::ReadWrite}) {
            if (!Segment::attach(dir.file("segment"), mode, message)) {
                return holds(message, {"-"});
            }
        }
        return huge ? 0 : 1;
    }));
    SKIP_IF_NO_NAMESPACE(status)
    EXPECT_EQ(status, 0);
}

/// The policy of the mapping of `file` as the kernel tells it ("default", "prefer:0"); "" if it
/// does not.
std::string numa_policy_of(const std::string& file) {
    std::ifstream maps{"/proc/self/numa_maps"};
    for (std::string line; std::getline(maps, line);) {
        if (line.find("file=" + file + " ") != std::string::npos) {
            const std::size_t at = line.find(' ') + 1;
            return line.substr(at, line.find(' ', at) - at);
        }
    }
    return {};
}

TEST(SegmentMemory, LiesOnTheChosenNumaNodeAndAMissingOneIsRefusedByName) {
    const TempDir dir;
    std::string message;
    SegmentPlan plan = plan_at("/dev/shm/millrace-numa-" + std::to_string(::getpid()), 8);
    plan.memory.numa_node = 511;
    EXPECT_EQ(Segment::create(plan, message).code(), Errc::BadInput);
    EXPECT_NE(message.find("numa_node is 511; this host has node(s) "), std::string::npos)
        << message;
    EXPECT_FALSE(std::filesystem::exists(plan.path));
    plan.memory.numa_node = 0;
    auto made = Segment::create(plan, message);
    if (!made.ok() && made.code() == Errc::Unsupported) {
        GTEST_SKIP() << "SKIPPED: " << message;
    }
    ASSERT_TRUE(made.ok()) << message;
    EXPECT_EQ(made.value().header().numa_node, 0U);
    // On a host of one node the pages would lie there anyway: the policy tells who saw to it.
    const std::string wished = numa_policy_of(plan.path);
    std::filesystem::remove(plan.path);
    plan.memory.numa_node = kNoId;
    auto anywhere = Segment::create(plan, message);
    ASSERT_TRUE(anywhere.ok()) << message;
    const std::string not_wished = numa_policy_of(plan.path);
    std::filesystem::remove(plan.path);
    if (wished.empty()) {
        GTEST_SKIP() << "SKIPPED: this kernel tells no policy in /proc/self/numa_maps";
    }
    EXPECT_EQ(wished, "prefer:0");
    EXPECT_EQ(not_wished, "default");
}

struct Faults {
    long minor = 0;
    long major = 0;
};
Faults faults() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return {usage.ru_minflt, usage.ru_majflt};
}

/// Faults of reading one byte of every page.
long faults_of_a_walk(const Segment& segment) {
    const auto* base = reinterpret_cast<const volatile char*>(&segment.shared_header());
    const std::uint64_t bytes = segment.header().total_bytes;
    (void)faults();
    const long before = faults().minor;
    for (std::uint64_t at = 0; at < bytes; at += 4096) {
        (void)base[at];
    }
    return faults().minor - before;
}

TEST(SegmentMemory, EveryPageIsEnteredWhenItIsMadeAndWhenItIsAttached) {
    const std::string path = "/dev/shm/millrace-walk-" + std::to_string(::getpid());
    const int status = end_of(run_child([&] {
        std::string message;
        auto made = Segment::create(plan_at(path, 1U << 12), message);
        if (!made) {
            return holds(message, {"-"});
        }
        const long by_creator = faults_of_a_walk(made.value());
        auto attached = Segment::attach(path, Segment::Mode::ReadWrite, message);
        const long by_attacher = attached ? faults_of_a_walk(attached.value()) : -1;
        std::printf("    faults: creator %ld, attacher %ld\n", by_creator, by_attacher);
        return by_creator == 0 && by_attacher == 0 ? 0 : 1;
    }));
    std::filesystem::remove(path);
    EXPECT_EQ(status, 0);
}

constexpr std::uint64_t kWarmUp = 1000;  // less than a lap: what was not entered faults after it
constexpr std::uint64_t kMessages = 1'000'000;

/// One end of the ring in a process of its own. @return 0 if no page faulted after the warm-up.
template <class Step>
int count_faults(const char* who, Step&& step) {
    // Code faults too when it runs for the first time; the first calls are part of the warm-up.
    ::sched_yield();
    (void)faults();
    for (std::uint64_t n = 1; n <= kWarmUp; ++n) {
        step(n);
    }
    const Faults before = faults();
    for (std::uint64_t n = kWarmUp + 1; n <= kWarmUp + kMessages; ++n) {
        step(n);
    }
    const Faults after = faults();
    std::printf("    %s: %ld minor and %ld major faults over %llu messages\n", who,
                after.minor - before.minor, after.major - before.major,
                static_cast<unsigned long long>(kMessages));
    return after.minor == before.minor && after.major == before.major ? 0 : 1;
}

TEST(SegmentMemory, NoPageFaultsAfterWarmUpInAMillionMessages) {
    const std::string path = "/dev/shm/millrace-faults-" + std::to_string(::getpid());
    for (const MemoryWish lock : {MemoryWish::Try, MemoryWish::Off}) {
        std::string message;
        SegmentPlan plan = plan_at(path, 1U << 15);  // 8 MiB: 2,000 pages
        plan.memory.lock = lock;
        ASSERT_TRUE(Segment::create(plan, message).ok()) << message;
        const pid_t producer = run_child([&] {
            auto segment = Segment::attach(path, Segment::Mode::ReadWrite, message);
            auto out = RingProducer<OrderSlot>::attach(segment.value().ring<OrderSlot>("orders"));
            OrderSlot record{};
            return count_faults("producer", [&](std::uint64_t) {
                while (!out.value().try_publish(record)) {
                    ::sched_yield();
                }
            });
        });
        const pid_t consumer = run_child([&] {
            auto segment = Segment::attach(path, Segment::Mode::ReadWrite, message);
            auto in = RingConsumer<OrderSlot>::attach(segment.value().ring<OrderSlot>("orders"));
            return count_faults("consumer", [&](std::uint64_t n) {
                while (in.value().peek() == nullptr) {
                    ::sched_yield();
                }
                in.value().advance();
                in.value().release(n);
            });
        });
        EXPECT_EQ(end_of(producer), 0);
        EXPECT_EQ(end_of(consumer), 0);
        std::filesystem::remove(path);
    }
}

}  // namespace
}  // namespace millrace
