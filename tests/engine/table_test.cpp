// Goal: the fixed tables behave as the standard containers they replace, for ever.
// Method: random operations side by side with std::map and std::set (RapidCheck prints the case).
#include "core/index_map.h"
#include "core/pool.h"
#include "core/timer_heap.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <vector>

namespace millrace {
namespace {

TEST(Pool, HandsOutEveryItemOnceAndRefusesWhenFull) {
    Pool<std::uint64_t> pool{3};
    std::set<std::uint32_t> seen{pool.allocate(), pool.allocate(), pool.allocate()};
    EXPECT_EQ(seen, (std::set<std::uint32_t>{0, 1, 2}));
    EXPECT_EQ(pool.allocate(), kNoId);
    EXPECT_TRUE(pool.full());
}

TEST(Pool, GivesAFreedItemBackValueInitialised) {
    Pool<std::uint64_t> pool{2};
    const std::uint32_t i = pool.allocate();
    pool[i] = 7;
    pool.release(i);
    EXPECT_FALSE(pool.is_live(i));
    EXPECT_EQ(pool.allocate(), i);
    EXPECT_EQ(pool[i], 0U);
}

TEST(PoolDeathTest, StopsAtADoubleRelease) {
    Pool<std::uint64_t> pool{2};
    const std::uint32_t i = pool.allocate();
    pool.release(i);
    EXPECT_DEATH(pool.release(i), "ASSERT failed");
}

// Few keys in a small table: long runs that wrap around its end.
template <class Map>
void answers_like_a_map() {
    Map map{16};
    std::map<std::uint64_t, std::uint32_t> oracle;
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint64_t, bool>>>(
        rc::gen::pair(rc::gen::inRange<std::uint64_t>(0, 24), rc::gen::arbitrary<bool>()));
    std::uint32_t n = 0;
    for (const auto& [number, inserts] : steps) {
        const Key128 key{number % 3, number};
        if (inserts && (oracle.size() < 16 || oracle.contains(number))) {
            map.insert(key, ++n);
            oracle[number] = n;
        } else if (!inserts) {
            map.erase(key);
            oracle.erase(number);
        }
        for (std::uint64_t k = 0; k < 24; ++k) {
            const auto it = oracle.find(k);
            RC_ASSERT(map.find({k % 3, k}) == (it == oracle.end() ? kNoId : it->second));
        }
    }
}

RC_GTEST_PROP(IndexMap, AnswersLikeAMapThroughInsertionsAndDeletions, ()) {
    answers_like_a_map<IndexMap>();
    answers_like_a_map<RunIndexMap>();
}

TEST(IndexMap, KeepsTheZeroKeyApartFromEmptySlots) {
    IndexMap map{8};
    EXPECT_EQ(map.find({}), kNoId);
    map.erase({});
    map.insert({}, 5);
    EXPECT_EQ(map.find({}), 5U);
    map.erase({});
    EXPECT_EQ(map.find({}), kNoId);
}

RC_GTEST_PROP(TimerHeap, FiresInTheOrderOfASortedSet, ()) {
    TimerHeap heap{12};
    std::map<std::uint32_t, std::int64_t> set_at;
    const auto steps =
        *rc::gen::container<std::vector<std::pair<std::uint32_t, std::int64_t>>>(rc::gen::pair(
            rc::gen::inRange<std::uint32_t>(0, 12), rc::gen::inRange<std::int64_t>(-3, 20)));
    for (const auto& [order, at] : steps) {
        if (at < 0) {
            heap.cancel(order);
            set_at.erase(order);
        } else {
            heap.set(order, Nanos{at});
            set_at[order] = at;
        }
        std::set<std::pair<std::int64_t, std::uint32_t>> sorted;
        for (const auto& [o, t] : set_at) {
            sorted.insert({t, o});
        }
        RC_ASSERT(heap.empty() == sorted.empty());
        if (!sorted.empty()) {
            RC_ASSERT(heap.earliest().value == sorted.begin()->first);
            RC_ASSERT(heap.earliest_order() == sorted.begin()->second);
        }
    }
}

}  // namespace
}  // namespace millrace
