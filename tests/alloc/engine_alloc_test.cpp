// Goal: after warm-up a signal's way through engine, rings and journal allocates nothing, nor does
// the replica's after it. Method: operator new aborts while the duty cycles run, over a real
// segment and a real journal; and while the engine alone is given everything that there is.
#include "bench/pipeline/rig.h"
#include "persist/replica.h"
#include "tests/alloc/trapping_new.h"
#include "tests/engine/replay_stream.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace millrace::bench {
namespace {

/// Signals through all accounts, answered, closed at the broker, until every word is said.
void trade(Rig& rig, int signals) {
    for (int n = 0; n < signals; ++n) {
        rig.publish_signal();
        const std::uint64_t filled = rig.engine().globals().orders_filled;
        while (rig.engine().globals().orders_filled < filled + 8 ||
               rig.engine().globals().open_positions > 0) {
            rig.step();
            rig.answer_orders();
            rig.drop_results();
        }
    }
}

/// A folder of its own, gone at the end.
struct Folder {
    Folder() {
        char path[] = "/tmp/millrace-alloc-XXXXXX";
        name = ::mkdtemp(path);
    }
    ~Folder() { std::filesystem::remove_all(name); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string name;
};

TEST(HotPath, AllocatesNothingFromSignalToResultAfterWarmUp) {
    const Folder dir;
    Rig rig{dir.name, 8};
    trade(rig, 50);
    ASSERT_GT(test::allocations, 0U) << "the trap is not in place";
    test::trap_allocations = true;
    trade(rig, 500);
    test::trap_allocations = false;
    EXPECT_EQ(rig.engine().globals().orders_filled, 550U * 8U);
}

/// Everything that an engine can be given: closes, modifies, cancels, pendings, doubts, look-ups,
/// refusals, limits, kills, lost segments.
TEST(HotPath, AllocatesNothingInTheEngineWhateverItIsGiven) {
    constexpr std::uint64_t kWarmUp = 2'000;
    constexpr std::uint64_t kRecords = 40'000;
    Engine engine{test::kStreamCapacity};
    test::Generator stream;
    stream.out().room(kRecords * 8);
    for (std::uint64_t n = 0; n < kRecords; ++n) {
        const JournalRecord r = stream.next(engine);
        test::trap_allocations = n >= kWarmUp;
        engine.apply(r, stream.out());
        test::trap_allocations = false;
    }
    EXPECT_GT(engine.globals().orders_filled, 500U);
    EXPECT_GT(engine.globals().orders_rejected, 100U);
}

/// Lets the replica follow the log to its end. @return what it failed of; empty = nothing.
std::string follow(Rig& rig, Replica& replica, bool trapped) {
    const auto& core = rig.segment().core();
    while (core.replica_applied.load() < core.completed.load() && replica.failure().empty()) {
        rig.step_journal();
        test::trap_allocations = trapped;
        replica.step(Nanos{1});  // its time stands still: no snapshot is due
        test::trap_allocations = false;
    }
    return replica.failure();
}

TEST(HotPath, AllocatesNothingInTheReplicaAfterWarmUp) {
    const Folder dir;
    Rig rig{dir.name, 8};
    CoreOptions options;
    options.journal_dir = dir.name;
    options.capacity = rig.capacity();
    Replica replica{rig.segment(), options};
    trade(rig, 50);
    ASSERT_EQ(follow(rig, replica, false), "");
    ASSERT_GT(test::allocations, 0U) << "the trap is not in place";
    const std::uint64_t before = rig.segment().core().replica_applied.load();
    for (int round = 0; round < 20; ++round) {
        trade(rig, 25);
        ASSERT_EQ(follow(rig, replica, true), "");
    }
    EXPECT_GT(rig.segment().core().replica_applied.load(), before + 500 * 8);
}

}  // namespace
}  // namespace millrace::bench
