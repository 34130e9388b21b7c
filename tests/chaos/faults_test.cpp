// Goal: whatever fails between us and the broker, and in whatever company, no intent is executed
// twice, nothing that the broker did stays unknown to us, and nothing stays in doubt. Method: the
// pipeline as processes under load; faults drawn from a seed, many in flight at once: engine,
// broker stage, terminals and links killed, answers lost before and after the execution, requests
// and answers late past every timeout, terminals that forget. Each is counted when it has struck.
// Then everything is held against the broker's own books.
//
// MILLRACE_CHAOS_FAULTS says how many (500; with MILLRACE_LONG 10,000), MILLRACE_CHAOS_SEED which.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "shm/clock.h"
#include "tests/chaos/storm.h"
#include "tests/not_proven.h"

namespace millrace::chaos {
namespace {

constexpr std::uint64_t kFaults = 500;
constexpr std::uint64_t kFaultsLong = 10'000;
constexpr std::uint64_t kForEachHarm = 500;  // so many leave none of them out
// On a loaded machine it takes as long as it takes, but it has to go on: some four a second strike
// at a load of 17 on two cores, here not even one.
constexpr std::uint64_t kStep = 100;
constexpr Nanos kStepMax = seconds(240);

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

unsigned long ul(std::uint64_t n) {
    return static_cast<unsigned long>(n);
}

/// Until `faults` have struck, or a step of them takes too long.
void rage(Storm& storm, std::uint64_t faults) {
    std::uint64_t next = kStep;
    std::int64_t step_end = monotonic_ns() + kStepMax.value;
    while (storm.struck() < faults && storm.failure().empty() && monotonic_ns() < step_end) {
        storm.turn();
        if (storm.struck() >= next) {
            next = storm.struck() + kStep;
            step_end = monotonic_ns() + kStepMax.value;
        }
    }
}

WorldOptions options_of(std::uint64_t seed) {
    WorldOptions options;
    options.accounts = 16;
    options.seed = seed;
    options.ttl_ms = 4'000;  // shorter than what is late is late
    options.edits = {
        {"\"accounts_max\"", "\"risk\": {\"answer_timeout_ms\": 1000},\n  \"accounts_max\""}};
    return options;
}

TEST(ChaosFaults, LeaveOneExecutionAnIntentNoneUnknownAndNoneInDoubt) {
    const bool is_long = std::getenv("MILLRACE_LONG") != nullptr;
    const std::uint64_t faults =
        number_from("MILLRACE_CHAOS_FAULTS", is_long ? kFaultsLong : kFaults);
    const std::uint64_t seed =
        number_from("MILLRACE_CHAOS_SEED", static_cast<std::uint64_t>(wall_ns()) % 1'000'000);
    SCOPED_TRACE("MILLRACE_CHAOS_SEED=" + std::to_string(seed));
    World world{options_of(seed)};
    ASSERT_EQ(world.start(), "") << world.log();
    Storm storm{world, seed + 1};
    const std::int64_t begin = monotonic_ns();
    rage(storm, faults);
    const double took = static_cast<double>(monotonic_ns() - begin) / 1e9;
    storm.calm();
    const Judgement judgement = world.finish();
    const demo::KnownOrders& known = judgement.known;
    std::printf(
        "%lu faults in %.1f s, seed %lu:\n%s"
        "signals %lu, accepted %lu, account orders held against the books %lu; intents executed "
        "%lu, positions open at the end %lu; in doubt at once %lu; "
        "doubled %lu, unknown to the source %lu, lost %lu, other than in the store %zu\n",
        ul(storm.struck()), took, ul(seed), storm.table().c_str(), ul(world.source().counts().sent),
        ul(world.source().counts().accepted), ul(judgement.verdict.checked_orders),
        ul(known.executed), ul(known.positions), ul(storm.in_doubt_most()),
        ul(judgement.verdict.count(demo::Wrong::Doubled)),
        ul(judgement.verdict.count(demo::Wrong::Unknown)),
        ul(judgement.verdict.count(demo::Wrong::Lost)), known.problems.size());
    EXPECT_EQ(storm.failure(), "");
    EXPECT_GIVEN(storm.struck() >= faults)
        << "less than " << kStep << " in the last " << kStepMax.value / 1'000'000'000 << " s";
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GIVEN(known.executed > 0) << "nothing was traded";
    EXPECT_GIVEN(storm.in_doubt_most() > 0) << "nothing was ever in doubt";
    for (std::size_t i = 0; faults >= kForEachHarm && i < kHarms; ++i) {
        EXPECT_GIVEN(storm.struck(static_cast<Harm>(i)) > 0) << to_string(static_cast<Harm>(i));
    }
}

}  // namespace
}  // namespace millrace::chaos
