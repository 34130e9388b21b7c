// Goal: a follower can be left at any time, however busy the ring is, and goes on with the segment
// that replaces the one it reads. Method: the real command line against a thread that publishes or
// puts another file in place.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"

namespace millrace::inspect {
namespace {

using namespace std::chrono_literals;

class Follow : public SegmentFixture {
protected:
    /// Keeps the journal ring moving until `stop`, or for much longer than any test takes.
    std::thread traffic(std::atomic<bool>& stop, std::atomic<bool>& gave_up) {
        return std::thread{[this, &stop, &gave_up] {
            auto producer = RingProducer<JournalRecord>::attach(ring());
            auto consumer = RingConsumer<JournalRecord>::attach(ring());
            const auto end = std::chrono::steady_clock::now() + 30s;
            JournalRecord r{};
            r.type = InputType::Continue;
            while (!stop.load() && !gave_up.load()) {
                r.seq = Sequence{producer.value().written() + 1};
                (void)producer.value().try_publish(r);
                consumer.value().poll(1, [](const JournalRecord&) {});
                std::this_thread::yield();
                gave_up.store(std::chrono::steady_clock::now() > end);
            }
        }};
    }
    RingView<JournalRecord> ring() { return segment_->ring<JournalRecord>("journal"); }
    /// How often `path` is mapped by this process.
    static int mappings(const std::string& path) {
        std::ifstream maps{"/proc/self/maps"};
        int count = 0;
        for (std::string line; std::getline(maps, line);) {
            count += line.ends_with(path) ? 1 : 0;
        }
        return count;
    }
};

TEST_F(Follow, EndsAtItsTimeoutWhileRecordsKeepComing) {
    std::atomic<bool> stop{false};
    std::atomic<bool> gave_up{false};
    std::thread busy = traffic(stop, gave_up);
    const Ran r = run_cli({"follow", "journal", path_, "--timeout", "200ms"});
    EXPECT_FALSE(gave_up.load());
    stop.store(true);
    busy.join();
    EXPECT_EQ(r.status, 0) << r.err;
}

TEST_F(Follow, EndsAtASignalWhileRecordsThatAreNotWantedKeepComing) {
    std::atomic<bool> stop{false};
    std::atomic<bool> gave_up{false};
    // Inherited by the thread: the signal stays with the process until the follower reads it.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
    std::thread busy = traffic(stop, gave_up);
    ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
    const Ran r = run_cli({"follow", "journal", path_, "--type", "SIGNAL"});
    EXPECT_FALSE(gave_up.load());
    stop.store(true);
    busy.join();
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.out, "");
}

TEST_F(Follow, GoesOnWithTheSegmentThatReplacesTheOneItReads) {
    publish("orders", OrderSlot{});
    const std::string next = (dir_ / "next").string();
    std::filesystem::copy_file(path_, next);
    const int mapped = mappings(path_);
    std::thread successor{[&] {
        while (mappings(path_) <= mapped) {
            std::this_thread::yield();
        }
        std::filesystem::rename(next, path_);
    }};
    const Ran r =
        run_cli({"follow", "orders", path_, "--from", "1", "--count", "2", "--timeout", "20s"});
    successor.join();
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 2) << r.out;
    EXPECT_NE(r.err.find("replaced"), std::string::npos) << r.err;
}

}  // namespace
}  // namespace millrace::inspect
