// Goal: after warm-up a signal's way through engine, rings and journal allocates nothing.
// Method: operator new aborts while the duty cycles run, over a real segment and a real journal.
#include "bench/pipeline/rig.h"
#include "tests/alloc/trapping_new.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

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

TEST(HotPath, AllocatesNothingFromSignalToResultAfterWarmUp) {
    const auto dir =
        std::filesystem::temp_directory_path() / ("millrace-alloc-" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir);
    {
        Rig rig{dir.string(), 8};
        trade(rig, 50);
        ASSERT_GT(test::allocations, 0U) << "the trap is not in place";
        test::trap_allocations = true;
        trade(rig, 500);
        test::trap_allocations = false;
        EXPECT_EQ(rig.engine().globals().orders_filled, 550U * 8U);
    }
    std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace millrace::bench
