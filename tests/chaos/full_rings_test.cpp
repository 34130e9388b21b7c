// Goal: with every ring as small as it may be, and full by turns, nothing deadlocks: the kill
// switch gets through, trading goes on afterwards, nothing is lost or doubled. Method: the whole
// pipeline under load; each stage that empties a ring stopped in turn until the one before it has
// found no room; an account's queue filled by a terminal that does not answer; by the broker's
// books.
#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "shm/clock.h"
#include "tests/chaos/beside.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kSlowMachine = seconds(180);
constexpr Nanos kBusy = millis(4'000);

/// The results of one close of the largest group have to find room: 32 slots at least.
constexpr const char* kSmallest =
    R"("journal": 16, "orders": 16, "reports": 16, "signals": 16, "results": 32, "session": 16)";
/// As many orders are on their way as have room for their reports and results: here that is no
/// limit.
constexpr const char* kManyReports =
    R"("journal": 16, "orders": 16, "reports": 512, "signals": 16, "results": 512, "session": 16)";

class ChaosFullRings : public ::testing::Test {
protected:
    void start(const std::string& rings) {
        WorldOptions options;
        options.rate = 120;
        // Its own doing: an account's queue that is full, and nobody who empties it.
        options.exits_excused = {Reason::QueueFull};
        // Nobody is replaced: who is stopped goes on.
        options.edits = {Beside::configured(),
                         {"\"accounts_max\"", "\"rings\": {\"admin\": 16, " + rings +
                                                  "}, \"restart\": {\"stuck_ms\": 600000}, "
                                                  "\"accounts_max\""}};
        world_ = std::make_unique<World>(options);
        ASSERT_EQ(world_->start(), "") << world_->log();
    }
    [[nodiscard]] const RingControl<>& ring(const char* name) const {
        const Segment& s = world_->segment();
        return s.ring_control(s.find_ring(name));
    }
    /// So often somebody had something for this ring and found no room in it.
    [[nodiscard]] std::uint64_t stalls(const char* name) const {
        // Relaxed: a count to wait for.
        return ring(name).full_stalls.load(std::memory_order_relaxed);
    }
    [[nodiscard]] bool all_killed() const {
        const auto logins = world_->pipeline().logins();
        return std::all_of(logins.begin(), logins.end(), [&](const auto& account) {
            // Acquire: pairs with the broker stage's release, once it has told the terminals.
            const auto& killed = world_->segment().session(AccountId{account.first}).killed;
            return killed.load(std::memory_order_acquire) != 0;
        });
    }
    /// Stops a stage until `full`; the kill switch gets through, and then it goes on.
    void stop_until(StageId stage, const std::function<bool()>& full) {
        SCOPED_TRACE(stage_name(stage));
        ASSERT_TRUE(world_->kill_stage(stage, SIGSTOP));
        EXPECT_GIVEN(world_->turn_until(full, kSlowMachine)) << "not full";
        std::string message;
        auto kill = world_->spawn({"kill", "--all"}, message);
        ASSERT_TRUE(kill) << message;
        if (stage != StageId::Broker) {
            EXPECT_TRUE(world_->turn_until([&] { return all_killed(); }, kSlowMachine))
                << "the kill switch does not get through";
        }
        ASSERT_TRUE(world_->kill_stage(stage, SIGCONT));
        ASSERT_TRUE(world_->turn_until([&] { return !kill.value().running(); }, kSlowMachine));
        expect_goes_on();
    }
    void expect_goes_on() {
        std::string output;
        EXPECT_EQ(world_->command({"unkill", "--all"}, kSlowMachine, &output), 0) << output;
        EXPECT_TRUE(world_->each_account_fills(kSlowMachine)) << "it does not go on";
    }
    void expect_good_end() {
        const Judgement judgement = world_->finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
    }
    [[nodiscard]] bool any_refused_for(Reason reason) const {
        const auto& lives = world_->source().lives().all();
        return std::any_of(lives.begin(), lives.end(), [&](const auto& life) {
            const auto& shares = life.second.shares;
            return std::any_of(shares.begin(), shares.end(),
                               [&](const auto& s) { return s.second.reason == reason; });
        });
    }

    std::unique_ptr<World> world_;
};

TEST_F(ChaosFullRings, HoldUpNobodyForGoodWhereAllAreAsSmallAsTheyMayBe) {
    start(kSmallest);
    for (const char* name : {"journal", "signals.ingress"}) {
        const std::uint64_t before = stalls(name);
        stop_until(StageId::Journal, [&] { return stalls(name) > before; });
    }
    stop_until(StageId::Engine, [&] {
        // Relaxed: a count to wait for.
        return ring("reports").high_water.load(std::memory_order_relaxed) == 16;
    });
    expect_good_end();
}

TEST_F(ChaosFullRings, HoldUpTheirOwnSourceOrAccountAlone) {
    start(kManyReports);
    // Where the rest of a fan-out finds no room the engine stands, and its sources wait.
    const std::uint64_t before = stalls("signals.ingress");
    stop_until(StageId::Broker, [&] { return stalls("signals.ingress") > before; });
    // An account whose terminal does not answer: its queue refuses.
    const std::uint64_t login = world_->pipeline().plan().accounts.front().login;
    std::int64_t busy_until = 0;  // a source that stands still for so long fills nothing: again
    EXPECT_GIVEN(world_->turn_until(
        [&] {
            if (monotonic_ns() > busy_until) {
                busy_until = monotonic_ns() + kBusy.value;
                EXPECT_TRUE(
                    world_
                        ->control(
                            {{"cmd", "busy"}, {"login", login}, {"ms", kBusy.value / 1'000'000}})
                        .at("ok"));
            }
            return any_refused_for(Reason::QueueFull);
        },
        kSlowMachine))
        << "not full";
    // A strategy that does not read its results: no more of its signals are taken.
    Beside deaf{*world_};
    std::vector<SignalId> sent;
    EXPECT_TRUE(world_->turn_until([&] { return !deaf.submit_one(sent); }, kSlowMachine));
    expect_goes_on();
    EXPECT_TRUE(world_->turn_until(
        [&] {
            deaf.poll();
            return std::all_of(sent.begin(), sent.end(),
                               [&](const SignalId& id) { return deaf.told(id).over; });
        },
        kSlowMachine))
        << "what it had sent has no end";
    expect_good_end();
}

}  // namespace
}  // namespace millrace::chaos
