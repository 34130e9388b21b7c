// Goal: whatever dies, whenever, in whatever company: no signal is lost, none is executed twice,
// and nothing stays in doubt. Method: the pipeline as processes under load; SIGKILL at random
// moments for every stage, the supervisor and the broker, several a second, without waiting for
// the last one's recovery; then the broker's books against the source's own log. One half of the
// kills meets acks of level `disk`, the other of level `process`; in both the gate of every second
// account is `process`.
//
// MILLRACE_CHAOS_KILLS says how many (300; with MILLRACE_LONG 2,000), MILLRACE_CHAOS_SEED which.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "shm/clock.h"
#include "tests/chaos/killer.h"
#include "tests/not_proven.h"

namespace millrace::chaos {
namespace {

constexpr std::uint64_t kKills = 300;
constexpr std::uint64_t kKillsLong = 2000;
constexpr std::uint64_t kForEachTarget = 100;  // so many kills leave none of them out
constexpr std::uint64_t kGapMsMin = 40;
constexpr std::uint64_t kGapMsSpread = 600;

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

std::uint64_t kills_wanted() {
    const bool is_long = std::getenv("MILLRACE_LONG") != nullptr;
    return number_from("MILLRACE_CHAOS_KILLS", is_long ? kKillsLong : kKills);
}

void play_and_kill(World& world, Killer& killer, std::uint64_t kills, std::uint64_t seed) {
    market::Random random{seed};
    std::int64_t next_ns = monotonic_ns();
    while (killer.kills() < kills && killer.failure().empty()) {
        world.turn();
        killer.watch();
        if (monotonic_ns() >= next_ns) {
            killer.strike();
            const std::uint64_t gap = kGapMsMin + random.below(kGapMsSpread);
            next_ns = monotonic_ns() + millis(static_cast<std::int64_t>(gap)).value;
        }
    }
}

/// Alerts of what is stopped until somebody looks. (Others are true here: the journal is down for a
/// while, the machine's disk may be full.)
std::string halts_in(const std::string& log) {
    std::istringstream lines{log};
    std::string found;
    for (std::string line; std::getline(lines, line);) {
        for (const char* what : {"ALERT the engine", "ALERT account", "ALERT source"}) {
            found += line.find(what) != std::string::npos ? line + "\n" : "";
        }
    }
    return found;
}

/// @param ack what an acknowledgement to the source waits for: "disk" or "process".
std::vector<Edit> levels(const std::string& ack) {
    std::vector<Edit> edits;
    edits.push_back({R"("ack": "disk")", R"("ack": ")" + ack + "\""});
    // Each edit finds what the last one left: the first becomes `process`, the next stays, ...
    for (std::uint32_t i = 0; i < WorldOptions{}.accounts; ++i) {
        edits.push_back({R"("gate": "disk")",
                         R"("gate":  ")" + std::string{i % 2 == 0 ? "process" : "disk"} + "\""});
    }
    return edits;
}

class ChaosRandom : public testing::TestWithParam<const char*> {};

TEST_P(ChaosRandom, LosesAndDoublesNothingWhateverIsKilledWhenever) {
    const std::uint64_t kills = (kills_wanted() + 1) / 2;
    const std::uint64_t seed =
        number_from("MILLRACE_CHAOS_SEED", static_cast<std::uint64_t>(wall_ns()) % 1'000'000);
    SCOPED_TRACE("MILLRACE_CHAOS_SEED=" + std::to_string(seed));
    WorldOptions options;
    options.seed = seed;
    options.edits = levels(GetParam());
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    EXPECT_EQ(world.source().acks_when_durable(), GetParam() == std::string{"disk"});
    Killer killer{world, seed};
    const std::int64_t begin = monotonic_ns();
    play_and_kill(world, killer, kills, seed + 1);
    EXPECT_EQ(killer.failure(), "");
    const double took = static_cast<double>(monotonic_ns() - begin) / 1e9;
    // Signals go on until all have worked again: a stage without work shows no first message.
    EXPECT_TRUE(world.turn_until(
        [&] {
            killer.watch();
            return killer.all_back();
        },
        seconds(180)))
        << killer.table();
    EXPECT_TRUE(world.each_account_fills(seconds(180))) << "one does not trade any more";
    const Judgement judgement = world.finish();
    const demo::SourceCounts& counts = world.source().counts();
    std::printf(
        "ack %s: %lu kills in %.1f s, seed %lu, kill -> first new message:\n%s"
        "signals %lu, accepted %lu, account orders held against the books %lu, "
        "executed %lu; lost %lu, doubled %lu, unknown %lu\n",
        GetParam(), static_cast<unsigned long>(killer.kills()), took,
        static_cast<unsigned long>(seed), killer.table().c_str(),
        static_cast<unsigned long>(counts.sent), static_cast<unsigned long>(counts.accepted),
        static_cast<unsigned long>(judgement.verdict.checked_orders),
        static_cast<unsigned long>(judgement.book_executions),
        static_cast<unsigned long>(judgement.verdict.count(demo::Wrong::Lost)),
        static_cast<unsigned long>(judgement.verdict.count(demo::Wrong::Doubled)),
        static_cast<unsigned long>(judgement.verdict.count(demo::Wrong::Unknown)));
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_EQ(halts_in(world.log()), "") << "kills from outside halt nothing";
    EXPECT_GIVEN(judgement.book_executions > 0) << "nothing was traded";
    for (std::size_t i = 0; kills >= kForEachTarget && i < kTargets; ++i) {
        EXPECT_GIVEN(killer.kills_of(static_cast<Target>(i)) > 0) << killer.table();
    }
}

INSTANTIATE_TEST_SUITE_P(Acks, ChaosRandom, testing::Values("disk", "process"),
                         [](const auto& run) { return std::string{run.param}; });

}  // namespace
}  // namespace millrace::chaos
