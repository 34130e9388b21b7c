// Goal: readers never see a torn quote; histograms count what was recorded.
#include "shm/histogram.h"
#include "shm/tick_cell.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace millrace {
namespace {

TEST(TickCell, ReaderNeverSeesATornQuoteWhileTheWriterWorks) {
    auto cell = std::make_unique<TickCell>();
    std::atomic<bool> stop{false};
    std::thread writer{[&] {
        for (std::int64_t n = 1; !stop.load(std::memory_order_relaxed); ++n) {
            cell->store({Price{n}, Price{2 * n}, Nanos{3 * n}});
        }
    }};
    std::uint64_t whole = 0;
    while (whole < 100'000) {
        const Quote q = cell->load();
        if (q.bid.value == 0) {
            std::this_thread::yield();  // not begun, or in the way three times: NO_PRICE
        }
        ASSERT_EQ(q.ask.value, 2 * q.bid.value);
        ASSERT_EQ(q.time.value, 3 * q.bid.value);
        whole += q.bid.value != 0 ? 1 : 0;
    }
    stop.store(true);
    writer.join();
}

TEST(TickCell, AWriterKilledInsideIsNoPriceUntilTheNextOwnerHealsIt) {
    TickCell cell{};
    cell.store({Price{5}, Price{6}, Nanos{7}});
    cell.version.fetch_add(1);  // killed after it made the version odd
    cell.bid.store(9);
    EXPECT_EQ(cell.load().bid.value, 0);
    cell.store({Price{11}, Price{12}, Nanos{13}});
    EXPECT_EQ(cell.load().bid.value, 11);
    EXPECT_EQ(cell.version.load() % 2, 0U);
}

TEST(Histogram, QuantilesAreWithinOneBucketOfTheSortedSamples) {
    std::mt19937_64 random{42};
    for (int round = 0; round < 20; ++round) {
        auto h = std::make_unique<Histogram>();
        std::vector<std::uint64_t> samples;
        for (int i = 0; i < 5000; ++i) {
            samples.push_back(random() >> (random() % 50 + 14));
            h->record(static_cast<std::int64_t>(samples.back()));
        }
        std::sort(samples.begin(), samples.end());
        for (const std::uint64_t p : {1U, 50U, 90U, 99U}) {
            const std::uint64_t exact = samples[(samples.size() * p + 99) / 100 - 1];
            if (Histogram::index_of(exact) + 1 < Histogram::kBuckets) {
                EXPECT_EQ(h->quantile(p, 100), Histogram::upper_of(Histogram::index_of(exact)));
            }
        }
        EXPECT_EQ(h->max.load(), samples.back());
        EXPECT_EQ(h->total.load(), samples.size());
    }
}

}  // namespace
}  // namespace millrace
