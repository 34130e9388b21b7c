// Goal: an empty journal directory begins epochs and order ids anew; terminals that remember those
// of the lost one must not answer new orders from that memory. Method: the pipeline trades, then
// directory and segment are removed while the terminals keep their intent journals; what the source
// is told is held against the broker's books, before and after the mend that the alert names.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tools/demo_run/evidence.h"
#include "tools/simbroker/append_file.h"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;
constexpr Nanos kLong = seconds(180);
constexpr Nanos kSendEvery = seconds(10);

std::uint64_t deals_in_books(World& world) {
    demo::Evidence books{RiskSpec{}.magic_tag};
    const auto bytes = sim::read_file(world.pipeline().books_path());
    EXPECT_TRUE(bytes && sim::scan_books(bytes.value(), [&](const auto& r) { books.add(r); }));
    return books.own_deals();
}

std::uint64_t all_fills(const World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

/// Signals of our own. The script's repeats of old ones are new ones to a directory that has lost
/// its ledger of signals.
void send_opens(World& world, int count, market::Random& random) {
    for (int i = 0; i < count; ++i) {
        demo::Planned open;
        open.request.id = demo::random_id(random);
        open.request.group = world.pipeline().plan().groups[0].name;
        open.request.symbol = world.pipeline().plan().symbols[0].name;
        open.request.volume = Lots{kScale / 10};
        EXPECT_TRUE(world.turn_until([&] { return world.source().send(open).ok(); }, kLong));
    }
}

void stop_as_by_a_power_cut(World& world) {
    world.kill_everything();
    EXPECT_EQ(::unlink(world.pipeline().segment_path().c_str()), 0);
}

/// The operator is alerted, and told of every account that its terminal is one of those.
bool every_terminal_is_refused(World& world) {
    std::string message;  // the supervisor makes a new segment, which the world does not know yet
    const auto segment =
        Segment::attach(world.pipeline().segment_path(), Segment::Mode::ReadOnly, message);
    std::size_t refused = 0;
    for (std::uint32_t i = 0; segment && i < segment.value().sessions(); ++i) {
        const std::uint32_t link = segment.value().session(AccountId{i}).link.load();
        refused += link == static_cast<std::uint32_t>(LinkState::AuthRejected) ? 1 : 0;
    }
    return refused == world.pipeline().plan().accounts.size() &&
           world.log().find("ALERT a terminal has served another journal directory") !=
               std::string::npos;
}

TEST(ChaosAnotherDirectory, GetsNoAnswersFromTerminalsThatRememberTheLostOne) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    ASSERT_TRUE(world.turn_until([&] { return all_fills(world) >= 30; }, kLong));
    EXPECT_TRUE(world.rest(kLong));
    // By its store `up` knows that there was a log.
    const CoreCells& core = world.segment().core();
    const std::uint64_t at = core.completed.load();
    ASSERT_TRUE(world.turn_until([&] { return core.sqlite_seq.load() >= at; }, kLong));
    stop_as_by_a_power_cut(world);
    fs::remove_all(world.workspace().path("journal"));
    world.lose_log();
    const std::uint64_t deals = deals_in_books(world);
    const std::uint64_t fills = all_fills(world);
    std::string refused;
    EXPECT_EQ(world.command({"up"}, kLong, &refused), 1) << refused;
    EXPECT_NE(refused.find("has followed one up to record"), std::string::npos) << refused;
    EXPECT_NE(refused.find("recover --dry-run"), std::string::npos) << refused;
    EXPECT_FALSE(fs::exists(world.workspace().path("journal"))) << "something was begun";
    ASSERT_EQ(world.pipeline().start_supervisor({"--begin-anew"}), "");
    ASSERT_EQ(world.heal(), "");
    market::Random random{7};
    send_opens(world, 10, random);
    EXPECT_TRUE(world.turn_until([&] { return every_terminal_is_refused(world); }, kLong))
        << world.log();
    world.turn_for(seconds(1));
    EXPECT_EQ(deals_in_books(world), deals);
    EXPECT_EQ(all_fills(world), fills) << "told to be filled, and not in the broker's books";

    stop_as_by_a_power_cut(world);
    fs::rename(world.workspace().path("broker/intents"), world.workspace().path("broker/moved"));
    ASSERT_EQ(world.start_again(), "") << world.log();
    std::int64_t send_at = 0;  // more, where there was no fresh price for the first ones
    EXPECT_TRUE(world.turn_until(
        [&] {
            if (monotonic_ns() >= send_at) {
                send_at = monotonic_ns() + kSendEvery.value;
                send_opens(world, 10, random);
            }
            return all_fills(world) >= fills + 30;
        },
        kLong));
    const Judgement judgement = world.finish();
    for (const std::string& problem : judgement.problems) {
        EXPECT_TRUE(problem.starts_with("the SQLite store has ")) << problem;  // it was rebuilt
    }
    EXPECT_GT(judgement.book_executions, deals);
}

}  // namespace
}  // namespace millrace::chaos
