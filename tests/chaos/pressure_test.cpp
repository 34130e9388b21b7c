// Goal: what is slow, deaf or stopped holds up nothing but itself; the kill switch gets through;
// afterwards everything is accounted for. Method: the whole pipeline under load, one part of it
// stopped or flooded for seconds; the others' fills, the operator's commands and the broker's
// books tell.
// (A flatten of thousands: flatten_test.cpp.)
//
// MILLRACE_LONG: one terminal is busy for three minutes.
#include <gtest/gtest.h>

#include <signal.h>

#include <cstdlib>
#include <cstring>

#include "shm/clock.h"
#include "tests/chaos/beside.h"
#include "tests/chaos/raw_source.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kCommandMax = seconds(180);
constexpr Nanos kSlowMachine = seconds(180);

std::uint64_t sum_of(const std::map<std::uint32_t, std::uint64_t>& fills, std::uint32_t except) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : fills) {
        sum += account == except ? 0 : count;
    }
    return sum;
}

void expect_kill_gets_through(World& world, const std::string& name) {
    std::string output;
    EXPECT_EQ(world.command({"kill", "--account", name}, kCommandMax, &output), 0) << output;
    EXPECT_EQ(world.command({"unkill", "--account", name}, kCommandMax, &output), 0) << output;
}

void expect_good_end(World& world) {
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GIVEN(judgement.book_executions > 0) << "nothing was traded";
}

/// Whether the machine gives this very process, which nearly always sleeps, its turns: where it
/// does not, a pipeline that is slow has no fault of its own.
class OwnTurns {
public:
    /// To be called each turn.
    void count() {
        const Nanos now{monotonic_ns()};
        if (last_.value != 0) {
            const Nanos gap = now - last_;
            all_ = all_ + gap;
            late_ = gap > kTurnMax ? late_ + gap : late_;
        }
        last_ = now;
    }
    /// A quarter of the time went into turns that were late.
    [[nodiscard]] bool were_late() const { return late_.value * 4 > all_.value; }

private:
    static constexpr Nanos kTurnMax = millis(50);  // one waits a millisecond for answers
    Nanos last_;
    Nanos all_;
    Nanos late_;
};

/// One account whose terminal says BUSY for a minute and does not answer. The broker stage believes
/// it for 30 s and then holds its link for down; a minute after its word it comes back.
class BusyMinute {
public:
    enum class Outcome {
        Passed,
        NotShown,    // the machine was too slow for it: nothing was shown
        StoodStill,  // it was not, and the others did not trade
    };

    BusyMinute(World& world, const demo::AccountPlan& busy) : world_{world}, login_{busy.login} {
        const auto logins = world.pipeline().logins();
        const auto at = std::find_if(logins.begin(), logins.end(),
                                     [&](const auto& l) { return l.second == login_; });
        EXPECT_NE(at, logins.end()) << "no account has login " << login_;
        account_ = at == logins.end() ? 0 : at->first;
    }

    /// The others trade in each quarter of the minute, and in its middle an operator kills and
    /// brings back one of them.
    Outcome passes(const std::string& killed) {
        EXPECT_TRUE(
            world_.control({{"cmd", "busy"}, {"login", login_}, {"ms", kMinute.value / 1'000'000}})
                .at("ok"));
        if (!world_.turn_until([&] { return away(); }, kMinute)) {
            return Outcome::NotShown;
        }
        Outcome outcome = Outcome::Passed;
        std::uint64_t deaf = 0;
        for (int quarter = 0; quarter < kQuarters && outcome == Outcome::Passed; ++quarter) {
            outcome = others_trade();
            if (quarter == 1 && outcome == Outcome::Passed) {
                expect_kill_gets_through(world_, killed);
                outcome = away() ? outcome : Outcome::NotShown;
                deaf = world_.fills()[account_];
            }
        }
        const std::uint64_t at_end = world_.fills()[account_];
        outcome = outcome == Outcome::Passed && !away() ? Outcome::NotShown : outcome;
        EXPECT_GIVEN(outcome != Outcome::Passed || at_end == deaf) << "it was not deaf";
        EXPECT_TRUE(world_.turn_until([&] { return !away(); }, kReturnMax))
            << "its terminal did not come back";
        if (outcome == Outcome::StoodStill && !others_trade_with_nobody_away()) {
            return Outcome::NotShown;
        }
        return outcome;
    }

private:
    static constexpr Nanos kMinute = seconds(60);
    static constexpr Nanos kReturnMax = seconds(180);
    static constexpr int kQuarters = 4;
    static constexpr Nanos kQuarter = seconds(13);  // and what it takes to see the last fills
    static constexpr std::uint64_t kFills = 30;     // of some 1,500 that a quarter has

    [[nodiscard]] bool away() const {
        const SessionEntry& s = world_.segment().session(AccountId{account_});
        return s.busy.load(std::memory_order_relaxed) != 0 ||
               s.link.load(std::memory_order_relaxed) != static_cast<std::uint32_t>(LinkState::Up);
    }
    /// Its end is looked at last: fills that were seen before it were made before it.
    Outcome others_trade() {
        OwnTurns turns;
        const std::uint64_t before = sum_of(world_.fills(), account_);
        const auto filled = [&] { return sum_of(world_.fills(), account_) >= before + kFills; };
        (void)world_.turn_until([&] { return turns.count(), false; }, kQuarter);
        (void)world_.turn_until([&] { return turns.count(), !away() || filled(); }, kReturnMax);
        if (filled()) {
            return away() ? Outcome::Passed : Outcome::NotShown;  // the minute had ended
        }
        return turns.were_late() ? Outcome::NotShown : Outcome::StoodStill;
    }
    /// As many, in as long a time: else it is no wonder that they do not with one away.
    bool others_trade_with_nobody_away() {
        const std::uint64_t before = sum_of(world_.fills(), account_);
        return world_.turn_until(
            [&] { return sum_of(world_.fills(), account_) >= before + kFills; }, kQuarter);
    }

    World& world_;
    std::uint64_t login_;
    std::uint32_t account_ = 0;
};

TEST(ChaosPressure, TradesOnWhileOneTerminalIsBusyForAMinute) {
    using Outcome = BusyMinute::Outcome;
    WorldOptions options;
    options.exits_excused = {Reason::QueueFull};  // of the terminal that takes nothing
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    const auto& accounts = world.pipeline().plan().accounts;
    BusyMinute minute{world, accounts.front()};
    constexpr int kSlowMax = 4;  // minutes in which the machine was too slow
    const int wanted = std::getenv("MILLRACE_LONG") != nullptr ? 3 : 1;
    int passed = 0;
    for (int i = 0; i < kSlowMax + wanted && passed < wanted; ++i) {
        const Outcome outcome = minute.passes(accounts.back().name);
        ASSERT_NE(outcome, Outcome::StoodStill) << "the others stand still";
        passed += outcome == Outcome::Passed ? 1 : 0;
    }
    EXPECT_GIVEN(passed == wanted) << "this machine is too slow to show it";
    expect_good_end(world);
}

TEST(ChaosPressure, TradesOnWhileIngressIsDead) {
    WorldOptions options;
    options.edits = {Beside::configured()};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    Beside beside{world};
    world.pipeline().supervisor().signal(SIGKILL);
    ASSERT_TRUE(world.pipeline().supervisor().wait(seconds(180)));
    ASSERT_TRUE(world.kill_stage(StageId::Ingress));
    world.turn_for(seconds(1));
    // Neither supervisor nor ingress are needed for who comes another way, nor for the way out.
    // (A slow machine may have no fresh price now and then: another signal, then.)
    const std::int64_t until = monotonic_ns() + kSlowMachine.value;
    int whole = 0;
    while (whole < 10 && monotonic_ns() < until) {
        whole += beside.trades(kSlowMachine) == 3 ? 1 : 0;
    }
    EXPECT_EQ(whole, 10) << "signals that all accounts of the group carried out";
    expect_kill_gets_through(world, world.pipeline().plan().accounts.back().name);
    EXPECT_GIVEN(!world.source().connected()) << "ingress was there";
    ASSERT_EQ(world.heal(), "");
    ASSERT_TRUE(world.turn_until([&] { return world.source().connected(); }, seconds(180)));
    world.turn_for(seconds(2));
    expect_good_end(world);
}

TEST(ChaosPressure, LetsTheKillSwitchThroughWhileTheDiskIsStopped) {
    WorldOptions options;
    options.edits = {{"\"accounts_max\"", "\"restart\": {\"stuck_ms\": 600000}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    ASSERT_TRUE(world.kill_stage(StageId::Journal, SIGSTOP));
    world.turn_for(seconds(1));
    std::string output;
    EXPECT_EQ(world.command({"kill", "--all", "--cancel"}, kCommandMax, &output), 0) << output;
    for (const auto& [account, login] : world.pipeline().logins()) {
        // Acquire: pairs with the broker stage's release, once it has told the terminals.
        EXPECT_TRUE(world.turn_until(
            [&] {
                return world.segment()
                           .session(AccountId{account})
                           .killed.load(std::memory_order_acquire) != 0;
            },
            seconds(180)))
            << "login " << login;
    }
    world.turn_for(seconds(3));
    ASSERT_TRUE(world.kill_stage(StageId::Journal, SIGCONT));
    EXPECT_EQ(world.command({"unkill", "--all"}, kCommandMax, &output), 0) << output;
    const std::uint64_t before = sum_of(world.fills(), kNoId);
    EXPECT_TRUE(
        world.turn_until([&] { return sum_of(world.fills(), kNoId) > before + 30; }, seconds(180)))
        << "no trading after the heal";
    expect_good_end(world);
}

/// A source that sends closes of signals that nobody knows, which the engine refuses, and never
/// reads what it is told. Whenever it is cut it comes again.
class DeafSource {
public:
    static constexpr const char* kName = "deaf";

    explicit DeafSource(World& world) : world_{world} {}
    void turn() {
        if (source_ == nullptr || source_->is_cut()) {
            source_ = std::make_unique<RawSource>(world_, kName, true);
        }
        signal_wire::Submit s{};
        s.id_hi = 0xDEAF;
        s.target_hi = s.target_lo = 0xDEAD;
        std::memcpy(s.group, "all", 3);
        std::memcpy(s.symbol, "EURUSD", 6);
        s.action = static_cast<std::uint8_t>(SignalAction::Close);
        bool taken = true;
        for (int i = 0; i < 50 && taken; ++i) {
            s.id_lo = sent_ + 1;
            taken = source_->send(signal_wire::FrameType::Submit, s.id_lo, s);
            sent_ += taken ? 1 : 0;
        }
    }
    /// So often ingress has cut it because its buffers were full.
    [[nodiscard]] std::uint64_t cuts() const {
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = world_.segment().error(i);
            // Acquire: pairs with the release in report_error(): the text is whole.
            if (e.count.load(std::memory_order_acquire) != 0 && kCut == e.text) {
                return e.count.load();
            }
        }
        return 0;
    }
    [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

private:
    static constexpr std::string_view kCut =
        "connection of source deaf cut: does not read what it is sent";
    World& world_;
    std::unique_ptr<RawSource> source_;
    std::uint64_t sent_ = 0;
};

TEST(ChaosPressure, TradesOnWhileOneSourceNeverReadsItsResults) {
    WorldOptions options;
    options.edits = {RawSource::configured(DeafSource::kName),
                     {"\"accounts_max\"", "\"rings\": {\"results\": 1024}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    DeafSource deaf{world};
    // It is cut only when the sockets' buffers are full, and what waits in ingress besides.
    ASSERT_GIVEN(world.turn_until([&] { return deaf.turn(), deaf.cuts() > 0; }, kSlowMachine))
        << "after " << deaf.sent() << " signals: none of its buffers was ever full";
    std::printf("the deaf source was cut after %lu signals\n",
                static_cast<unsigned long>(deaf.sent()));
    // And again and again, meanwhile.
    const std::uint64_t before = sum_of(world.fills(), kNoId);
    EXPECT_TRUE(world.turn_until(
        [&] {
            deaf.turn();
            return sum_of(world.fills(), kNoId) > before + 30 && deaf.cuts() >= 3;
        },
        kSlowMachine))
        << "the other source stands still, or the deaf one is not cut: " << deaf.cuts();
    expect_kill_gets_through(world, world.pipeline().plan().accounts.back().name);
    expect_good_end(world);
}

}  // namespace
}  // namespace millrace::chaos
