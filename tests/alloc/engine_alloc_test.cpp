// Goal: after warm-up a signal's way through engine, rings and journal allocates nothing.
// Method: operator new aborts while the duty cycles run, over a real segment and a real journal.
#include "bench/pipeline/rig.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

namespace {

bool g_trap = false;
std::size_t g_allocations = 0;

void* allocate(std::size_t bytes) {
    ++g_allocations;
    if (g_trap) {
        g_trap = false;  // printing may allocate
        std::fprintf(stderr, "allocation of %zu bytes on the hot path\n", bytes);
        std::abort();
    }
    void* memory = std::malloc(bytes);
    if (memory == nullptr) {
        std::abort();
    }
    return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

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
    const auto dir = std::filesystem::temp_directory_path() /
                     ("millrace-alloc-" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir);
    {
        Rig rig{dir.string(), 8};
        trade(rig, 50);
        ASSERT_GT(g_allocations, 0U) << "the trap is not in place";
        g_trap = true;
        trade(rig, 500);
        g_trap = false;
        EXPECT_EQ(rig.engine().globals().orders_filled, 550U * 8U);
    }
    std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace millrace::bench
