// Goal: thousands of positions are flattened at one word, and the accounts beside them trade on,
// while the flatten cannot end and while it rushes through. Method: the whole pipeline; the
// broker's market is shut until the others have traded on, then opened; by the broker's own books.
//
// MILLRACE_CHAOS_POSITIONS says how many positions there are (10,000).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tools/simbroker/append_file.h"
#include "tools/simbroker/books.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kCommandMax = seconds(180);
constexpr Nanos kSlowMachine = seconds(180);
constexpr std::size_t kPositions = 10'000;
constexpr std::uint64_t kTurnsBeside = 50;  // of its source, a millisecond each at the most

demo::Planned market_order(market::Random& random, const char* group, const char* symbol,
                           bool buy) {
    demo::Planned p;
    p.request.id = demo::random_id(random);
    p.request.group = group;
    p.request.symbol = symbol;
    p.request.side = buy ? Side::Buy : Side::Sell;
    p.request.volume = Lots{kScale / 10};
    return p;
}

constexpr const char* kFlattened = "EURUSD";
constexpr const char* kGoesOn = "GBPUSD";
constexpr std::size_t kUnknown = SIZE_MAX;  // the broker has not answered: neither many nor none

std::size_t positions_of(World& world, std::uint64_t login) {
    const nlohmann::json answer = world.control({{"cmd", "positions"}, {"login", login}});
    return answer.at("ok").get<bool>() ? answer.at("positions").size() : kUnknown;
}

/// Accounts on which each order is a position of its own, or (false) the others.
std::vector<std::uint64_t> logins_of(World& world, bool hedging) {
    std::vector<std::uint64_t> logins;
    for (const demo::AccountPlan& a : world.pipeline().plan().accounts) {
        if ((a.margin_mode == MarginMode::Hedging) == hedging) {
            logins.push_back(a.login);
        }
    }
    return logins;
}

std::size_t hedging_positions(World& world) {
    std::size_t sum = 0;
    for (const std::uint64_t login : logins_of(world, true)) {
        const std::size_t open = positions_of(world, login);
        if (open == kUnknown) {
            return kUnknown;
        }
        sum += open;
    }
    return sum;
}

/// Market orders on the hedging accounts until there are `count` positions: one that is refused or
/// out of time on a slow machine is made up for. @return how many there are.
std::size_t open_positions(World& world, std::size_t count) {
    market::Random random{77};
    const std::size_t accounts = logins_of(world, true).size();
    const std::int64_t until = monotonic_ns() + seconds(420).value;
    std::size_t open = 0;
    while (open < count && monotonic_ns() < until) {
        const std::size_t signals = (count - open + accounts - 1) / accounts;
        std::size_t sent = 0;
        const bool done = world.turn_until(
            [&] {
                // A window: the quotes stay fresh and no queue overflows.
                for (; sent < signals && world.source().lives().open_count() < 40; ++sent) {
                    if (!world.source().send(
                            market_order(random, "hedging", kFlattened, sent % 2 == 0))) {
                        break;
                    }
                }
                world.source().ask_again();
                return sent == signals && world.source().settled();
            },
            seconds(420));
        EXPECT_TRUE(done) << sent << " of " << signals << " sent, "
                          << world.source().lives().open_count() << " open";
        const std::size_t now = hedging_positions(world);
        open = now == kUnknown ? open : now;
    }
    return open;
}

/// Accounts on which everything goes on while others are flattened: a few orders at a time.
class TradesBeside {
public:
    explicit TradesBeside(World& world) : world_{world} {
        const auto rest = logins_of(world, false);
        for (const auto& [account, login] : world.pipeline().logins()) {
            if (std::count(rest.begin(), rest.end(), login) > 0) {
                accounts_.push_back(account);
            }
        }
    }
    void turn() {
        if (world_.source().lives().open_count() < kAtATime) {
            (void)world_.source().send(market_order(random_, "netting", kGoesOn, ++sent_ % 2 == 0));
        }
    }
    /// All that it was told of there.
    [[nodiscard]] std::uint64_t fills() const {
        const auto all = world_.fills();
        std::uint64_t sum = 0;
        for (const std::uint32_t account : accounts_) {
            sum += all.contains(account) ? all.at(account) : 0;
        }
        return sum;
    }
    /// Trades until it was told of `count` fills more.
    [[nodiscard]] bool fills_more(std::uint64_t count) {
        const std::uint64_t before = fills();
        return world_.turn_until([&] { return turn(), fills() >= before + count; }, kSlowMachine);
    }

private:
    static constexpr std::size_t kAtATime = 4;
    World& world_;
    market::Random random_{78};
    std::vector<std::uint32_t> accounts_;
    std::uint64_t sent_ = 0;
};

/// The broker's own order of things: the others' deals between the first and the last position that
/// the kill has closed.
std::uint64_t deals_within_the_flatten(World& world) {
    std::uint64_t since_the_last = 0;
    std::uint64_t within = 0;
    bool began = false;
    const auto bytes = sim::read_file(world.pipeline().books_path());
    EXPECT_TRUE(bytes);
    EXPECT_TRUE(sim::scan_books(bytes.value(), [&](const sim::BookRecord& r) {
        if (r.kind != sim::BookKind::Deal) {
            return;
        }
        const bool of_flatten = r.reason == ExecKind::ClosedByKill;
        began = began || of_flatten;
        within += of_flatten ? since_the_last : 0;
        since_the_last = !began || of_flatten ? 0 : since_the_last + 1;
    }));
    return within;
}

/// For all accounts of the broker.
void open_market(World& world, bool open) {
    EXPECT_TRUE(
        world.control({{"cmd", "market"}, {"symbol", kFlattened}, {"open", open}}).at("ok"));
}

TEST(ChaosPressure, FlattensThousandsOfPositionsAtOneWordWhileTheRestTradesOn) {
    const char* given = std::getenv("MILLRACE_CHAOS_POSITIONS");
    const std::size_t wanted = given == nullptr ? kPositions : std::strtoull(given, nullptr, 10);
    WorldOptions options;
    options.accounts = 8;
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.hush(true);
    const std::int64_t began = monotonic_ns();
    const std::size_t open = open_positions(world, wanted);
    EXPECT_GE(open, wanted);
    TradesBeside rest{world};
    EXPECT_TRUE(rest.fills_more(10));
    const std::int64_t word = monotonic_ns();
    // The market is shut: the flatten is in force and cannot end before it opens.
    open_market(world, false);
    std::string output;
    EXPECT_EQ(world.command({"kill", "--group", "hedging", "--flatten"}, kCommandMax, &output,
                            [&] { return rest.turn(), false; }),
              0)
        << output;
    const std::int64_t told = monotonic_ns();
    EXPECT_TRUE(rest.fills_more(40)) << "the rest waits for the flatten";
    EXPECT_GIVEN(hedging_positions(world) == open) << "it did not last";
    const std::int64_t opened = monotonic_ns();
    open_market(world, true);
    // Relaxed: a count to wait for. What is open then is the rest's: one a fill at most.
    const auto& count = world.segment().core().open_positions;
    const std::uint64_t before = rest.fills();
    std::uint64_t turns = 0;  // until it was flat
    std::uint64_t meanwhile = 0;
    EXPECT_TRUE(world.turn_until(
        [&] {
            rest.turn();
            const std::uint64_t fills = rest.fills();
            const bool flat = count.load(std::memory_order_relaxed) <= fills;
            meanwhile = flat ? meanwhile : fills - before;
            turns += flat ? 0 : 1;
            return flat;
        },
        kSlowMachine))
        << "the engine still counts " << count.load(std::memory_order_relaxed);
    const std::int64_t flat = monotonic_ns();
    EXPECT_EQ(hedging_positions(world), 0U);
    const std::uint64_t within = deals_within_the_flatten(world);
    const auto s = [](std::int64_t from, std::int64_t to) {
        return static_cast<double>(to - from) / 1e9;
    };
    std::printf(
        "%zu positions opened in %.1f s; kill --group --flatten: told after %.2f s; from the "
        "market's opening on flat in %.2f s; meanwhile %lu deals of the rest in the broker's books "
        "and %lu of its fills told\n",
        open, s(began, word), s(word, told), s(opened, flat), static_cast<unsigned long>(within),
        static_cast<unsigned long>(meanwhile));
    // Either will do: the simulated broker may close thousands between two deals of the rest, and
    // who stands still hears of fills later. A source that stood still has sent nothing.
    EXPECT_TRUE(within + meanwhile > 0 || turns < kTurnsBeside)
        << "the rest waited for the flatten";
    EXPECT_GIVEN(within + meanwhile > 0) << "the source had " << turns << " turns";
    EXPECT_TRUE(rest.fills_more(40)) << "the rest stands still";
    EXPECT_EQ(world.command({"unkill", "--group", "hedging"}, kCommandMax, &output), 0) << output;
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
}

}  // namespace
}  // namespace millrace::chaos
