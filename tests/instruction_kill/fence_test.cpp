// Goal: while nobody sleeps, a hand-over makes nobody wait: no fence, no locked instruction, no
// system call in publishing and ringing, in an empty poll and in a round of spinning. Method: each
// is stepped through in a child, one machine instruction after the other, as the compiler wrote
// them, and every instruction is looked at.
#include "ring/spsc_ring.h"
#include "shm/doorbell.h"
#include "shm/idle.h"
#include "tests/instruction_kill/stepper.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace millrace {
namespace {

struct Message {
    std::array<std::uint64_t, 15> words;
};

class InstructionFence : public ::testing::Test {
protected:
    InstructionFence() {
        control_.capacity = 4;
        control_.slot_bytes = sizeof(RingSlot<Message>);
        control_.magic = kRingMagic;
        const RingView<Message> view{&control_, slots_.data()};
        producer_ = RingProducer<Message>::attach(view).value();
        consumer_ = RingConsumer<Message>::attach(view).value();
    }

    /// Every instruction of `body` that waits or leaves, by name, in order.
    std::vector<std::string> found_in(const char* what, const std::function<void()>& body) {
        std::vector<std::string> found;
        const auto prepare = [] { doorbell_setup(); };
        const Stepped all = step(prepare, body, kToTheEnd, [&](auto code) {
            if (const char* name = waits_or_leaves(code); name != nullptr) {
                found.emplace_back(name);
            }
        });
        refused_ = all.refused;
        EXPECT_TRUE(all.refused || all.reached_end);
        std::printf("  %-44s %4llu instructions, %zu of them wait or leave\n", what,
                    static_cast<unsigned long long>(all.instructions), found.size());
        return found;
    }

    /// As in kill_test.cpp: a proof that was not made is no pass.
    [[nodiscard]] static bool may_skip() {
#if defined(__x86_64__)
        return std::getenv("MILLRACE_NO_PTRACE") != nullptr;
#else
        return true;
#endif
    }

    void publish_and_ring() {
        (void)producer_.try_publish(Message{});
        ring(bell_);
    }

    RingControl<> control_{};
    std::array<RingSlot<Message>, 4> slots_{};
    RingProducer<Message> producer_;
    RingConsumer<Message> consumer_;
    Doorbell bell_{};
    Idler spin_{IdleStrategy::Spin};
    bool refused_ = false;
};

using Names = std::vector<std::string>;

TEST_F(InstructionFence, NobodyWaitsForAnybodyWhileNobodySleeps) {
    const Names published =
        found_in("publish, ring a bell that nobody armed", [this] { publish_and_ring(); });
    if (refused_) {
        ASSERT_TRUE(may_skip())
            << "no single steps here (ptrace): NOT TESTED. MILLRACE_NO_PTRACE=1 "
               "skips this knowingly.";
        GTEST_SKIP() << "SKIPPED: no single steps here";
    }
    if (!doorbell_setup()) {
        GTEST_SKIP() << "SKIPPED: the kernel refuses membarrier: producers fence here, by design";
    }
    EXPECT_EQ(published, Names{});
    EXPECT_EQ(found_in("look at an empty ring, spin once",
                       [this] {
                           (void)consumer_.peek();
                           (void)spin_.wait();
                       }),
              Names{});
    ASSERT_TRUE(producer_.try_publish(Message{}).ok());
    EXPECT_EQ(found_in("take a record", [this] { (void)consumer_.take(); }), Names{});
    EXPECT_EQ(found_in("find the ring empty, release",
                       [this] {
                           (void)consumer_.take();
                           (void)consumer_.take();
                       }),
              Names{});
}

TEST_F(InstructionFence, WouldBeSeen) {
    const Names fence =
        found_in("a seq_cst fence", [] { std::atomic_thread_fence(std::memory_order_seq_cst); });
    if (refused_ || !doorbell_setup()) {
        GTEST_SKIP() << "SKIPPED: see the other test";
    }
    EXPECT_EQ(fence.size(), 1U);
    EXPECT_EQ(found_in("a seq_cst store", [this] { bell_.rings.store(1); }).size(), 1U);
    bell_.armed = 1;
    EXPECT_EQ(found_in("ring a bell that was armed", [this] { ring(bell_); }),
              (Names{"lock", "syscall", "lock"}))
        << "counts, wakes, takes the ticket away";
}

}  // namespace
}  // namespace millrace
