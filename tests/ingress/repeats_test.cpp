// Goal: of the closes that wait for a disk, the table at the edge knows each one that it was told
// of and none that it was told to forget. Method: random insertions and erasures beside a std::set,
// with ids that share a few homes in the table, so that what is erased lies in the way of others.
#include "gateway/ingress_repeats.h"
#include "tests/seed.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>

namespace millrace {
namespace {

using Place = HandedOn::Place;
constexpr std::size_t kMost = 8;
constexpr std::uint32_t kIds = 12;     // of each source
constexpr std::uint32_t kSources = 2;  // that use the same ids

/// The table looks where hi ^ lo says: three homes for all of them.
SignalId id_of(std::uint32_t n) {
    return {n + 1, (n + 1) ^ (0x5EEDU * (n % 3 + 1))};
}

TEST(HandedOn, KnowsWhatItWasToldOfAndForgetsWhatIsErased) {
    const std::uint64_t seed = test::first_seed();
    std::mt19937_64 random{seed};
    HandedOn table{kMost};
    std::set<std::pair<std::uint32_t, std::uint32_t>> known;
    for (int step = 0; step < 20'000; ++step) {
        const auto n = static_cast<std::uint32_t>(random() % kIds);
        const auto source = static_cast<std::uint32_t>(random() % kSources);
        const SignalId id = id_of(n);
        if (table.look(id, SourceId{source}) == Place::New) {
            table.insert(id, SourceId{source});
            known.emplace(n, source);
        } else if (random() % 2 == 0) {  // Known or Full: erasing what is not there changes nothing
            table.erase(id, SourceId{source});
            known.erase({n, source});
        }
        if (random() % 1000 == 0) {
            table.clear();
            known.clear();
        }
        ASSERT_EQ(table.empty(), known.empty()) << "seed " << seed << ", step " << step;
        for (std::uint32_t i = 0; i < kIds * kSources; ++i) {
            const std::pair key{i % kIds, i / kIds};
            const Place place = table.look(id_of(key.first), SourceId{key.second});
            const Place wanted = known.contains(key)     ? Place::Known
                                 : known.size() == kMost ? Place::Full
                                                         : Place::New;
            ASSERT_EQ(place, wanted) << "id " << key.first << " of source " << key.second
                                     << ", seed " << seed << ", step " << step;
        }
    }
}

}  // namespace
}  // namespace millrace
