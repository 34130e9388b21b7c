// Goal: a strategy in shared memory learns what became of each of its signals, killed with a full
// results ring, in the same segment and when what lay in the ring is gone with the segment.
// Method: the real engine and journal as processes, a strategy as a process that never reads and is
// killed, and another in this process; the orders that the broker executed are the oracle.
#include "gateway/client/millrace_client.hpp"
#include "tests/recovery/pipeline.h"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <set>

namespace millrace::test {
namespace {

constexpr std::uint32_t kStrategySignals = 40;
constexpr std::uint32_t kResultSlots = 64;
// Six results a signal; one is taken while ten slots are free.
constexpr std::size_t kTakenUnread = 10;

/// What a strategy writes down before it submits: enough to submit the very same again.
client::Signal written_down(std::uint64_t n, std::int64_t send_time_ns) {
    client::Signal s{};
    s.id = {77, n};
    s.action = MR_OPEN;
    s.volume = client::fixed("0.10");
    s.ttl_ms = 3'600'000;
    s.send_time_ns = send_time_ns;
    return s;
}

class StrategyResults : public testing::Test {
protected:
    void SetUp() override {
        p.strategies = {{"s1", SourceId{3}}};
        start(1);
        stamp_ = p.segment().clock().now().value;
    }
    void start(std::uint64_t generation) {
        p.create_segment(1024, kResultSlots);
        journal_ = p.fork_journal(nullptr);
        core_ = p.fork_core(nullptr);
        p.send_config();
        p.connect_accounts(generation);
        ASSERT_TRUE(p.play_until([&] {
            return p.segment().names().groups[0].ready.load() != 0 &&
                   p.segment().names().symbols[0].ready.load() != 0;
        }));
    }
    /// Kills a strategy that has submitted and reads nothing, when its results ring is full.
    void kill_one_in_the_middle() {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            run_until_killed();
        }
        const bool full = p.play_until([&] {
            return p.executed.size() == kTakenUnread * kAccounts &&
                   p.segment().core().orders_filled.load() == p.executed.size();
        });
        Pipeline::kill_and_reap(child);
        ASSERT_TRUE(full) << p.executed.size();
    }
    [[noreturn]] void run_until_killed() const {
        client::Strategy s;
        if (s.open(p.segment_path(), "s1") != MR_OK) {
            _exit(1);
        }
        for (std::uint64_t n = 1; n <= kStrategySignals / 2; ++n) {
            if (s.submit(written_down(n, stamp_)) != MR_OK) {
                _exit(2);
            }
        }
        while (true) {
            ::pause();
        }
    }
    void lose_segment() {
        ASSERT_TRUE(p.play_until([&] {
            const CoreCells& core = p.segment().core();
            return core.durable.load() == core.journal_seq.load();
        }));
        Pipeline::kill_and_reap(core_);
        Pipeline::kill_and_reap(journal_);
        start(1U << 20);
    }
    /// As the header says: opens, submits again what is written down and not over, until all is.
    void learn() {
        client::Strategy s;
        ASSERT_EQ(s.open(p.segment_path(), "s1"), MR_OK) << client::Strategy::error();
        poll(s);
        for (std::uint64_t n = 1; n <= kStrategySignals; ++n) {
            if (over_.count(n) == 0) {
                ASSERT_EQ(s.submit(written_down(n, stamp_)), MR_OK) << client::Strategy::error();
            }
        }
        EXPECT_TRUE(p.play_until([&] {
            poll(s);
            return over_.size() == kStrategySignals;
        })) << over_.size();
    }
    void poll(client::Strategy& s) {
        ASSERT_GE(s.poll([&](const client::Result& r) {
            const auto place = std::pair{r.seq, r.k};
            EXPECT_GT(place, last_) << "(seq, k) of what arrives only grows";
            last_ = place;
            if (r.kind == MR_ORDER_DONE && r.cum_volume > 0) {
                told_.insert(r.magic);
            } else if (r.kind == MR_SIGNAL_DONE) {
                over_[r.signal.lo] = r.filled;
                repeated_ += r.original_seq != 0 ? 1U : 0U;
            } else if (r.kind == MR_DUPLICATE) {
                EXPECT_NE(r.original_seq, 0U);
                ++duplicates_;
            } else {
                EXPECT_NE(r.kind, MR_REFUSED) << mr_reason_text(r.reason);
            }
        }),
                  0)
            << client::Strategy::error();
    }
    void expect_all_known() const {
        ASSERT_EQ(p.executed.size(), std::size_t{kStrategySignals} * kAccounts);
        for (const auto& [magic, times] : p.executed) {
            EXPECT_EQ(times, 1) << "magic " << magic << " was executed twice";
        }
        ASSERT_EQ(over_.size(), kStrategySignals);
        for (const auto& [signal, filled] : over_) {
            EXPECT_EQ(filled, kAccounts) << "signal " << signal;
        }
    }

    Pipeline p;
    std::set<std::uint64_t> told_;                 // magics of executions
    std::map<std::uint64_t, std::uint32_t> over_;  // signal -> filled
    std::uint64_t repeated_ = 0;                   // ends that were told again
    std::uint64_t duplicates_ = 0;

private:
    std::int64_t stamp_ = 0;
    pid_t journal_ = 0;
    pid_t core_ = 0;
    std::pair<std::uint64_t, std::uint32_t> last_;
};

TEST_F(StrategyResults, WaitInTheirFullRingForTheStrategyThatWasKilled) {
    kill_one_in_the_middle();
    learn();
    expect_all_known();
    EXPECT_EQ(told_.size(), p.executed.size()) << "not one was missed";
}

TEST_F(StrategyResults, OfEachSignalAreAskedForWhenTheirRingWentWithTheSegment) {
    kill_one_in_the_middle();
    lose_segment();
    learn();
    expect_all_known();
    EXPECT_EQ(duplicates_, kTakenUnread);
    EXPECT_EQ(repeated_, kTakenUnread);
}

}  // namespace
}  // namespace millrace::test
