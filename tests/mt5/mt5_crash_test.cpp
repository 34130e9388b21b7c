// Goal: the Expert Advisor's terminal may die at any call of the MQL5 API; nothing is executed
// twice, and in the end the desk knows of every order what the broker's books say. Method: a run
// counts the calls; then a run for each of them in which the process dies there (kill -9) and is
// started again. By default every seventh call, with MILLRACE_LONG=1 each of them.
#include "tests/mt5/desk.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace millrace::mt5::test {
namespace {

struct Mode {
    const char* name;
    std::vector<std::string> inputs;
    std::vector<std::string> knobs;
};

class Crash : public testing::TestWithParam<Mode> {};

constexpr std::uint64_t kIntents = 6;

std::uint64_t magic_of(std::uint64_t intent) {
    return Magic::make(kTag, intent, 0).value;
}

/// Serves until `done`, starting the terminal again if it has died.
bool serve_through_deaths(Desk& desk, HostProcess& host, const std::function<bool()>& done) {
    return desk.until([&] {
        if (host.died()) {
            host.start();
        }
        return done();
    });
}

/// Sends a command and finds out what became of it, by its answer or by asking.
const Told& settle(Desk& desk, HostProcess& host, const bridge::Command& command) {
    const std::uint64_t magic = desk.submit(command);
    EXPECT_TRUE(
        serve_through_deaths(desk, host, [&] { return !desk.told[magic].outcomes.empty(); }))
        << "no answer about intent " << Magic{magic}.intent();
    while (desk.told[magic].is_open() && !testing::Test::HasFailure()) {
        desk.serve(5);
        desk.query(magic);
        EXPECT_TRUE(
            serve_through_deaths(desk, host, [&] { return desk.told[magic].query.has_value(); }))
            << "no answer to the look-up of intent " << Magic{magic}.intent();
    }
    return desk.told[magic];
}

/// Opens, places, moves a stop, closes, cancels, opens. @return the position of the first order.
void scenario(Desk& desk, HostProcess& host) {
    const Told& first = settle(desk, host, open(1));
    const std::uint64_t position =
        first.query && first.query->position_id != 0
            ? first.query->position_id
            : (first.outcomes.empty() ? 0 : first.outcomes.back().position_id);
    const Told& placed = settle(desk, host, pending(2, PriceKind::Limit, 1.09));
    const std::uint64_t order =
        placed.query && placed.query->order_ticket != 0
            ? placed.query->order_ticket
            : (placed.outcomes.empty() ? 0 : placed.outcomes.back().order_ticket);
    if (position != 0) {
        settle(desk, host, modify_of(3, position, 1.05));
        settle(desk, host, close_of(4, position));
    }
    if (order != 0) {
        settle(desk, host, cancel_of(5, order));
    }
    settle(desk, host, open(6));
}

void expect_books_agree(const TempDir& dir, Desk& desk, std::uint64_t kill_at) {
    for (std::uint64_t intent = 1; intent <= kIntents; ++intent) {
        const Booked truth = booked(dir, intent);
        EXPECT_FALSE(truth.doubled) << "intent " << intent << ", death at call " << kill_at;
        EXPECT_LE(truth.executions, 1U) << "intent " << intent << ", death at call " << kill_at;
        EXPECT_EQ(truth.volume, desk.told[magic_of(intent)].volume())
            << "intent " << intent << ", death at call " << kill_at;
    }
    EXPECT_EQ(desk.gaps, 0U) << "events were lost, death at call " << kill_at;
    EXPECT_EQ(desk.journal_ids.size(), 1U) << "the journal was lost, death at call " << kill_at;
}

std::uint64_t count_calls(const Mode& mode) {
    TempDir dir;
    Desk desk;
    HostProcess host{dir, desk.port(), {.inputs = mode.inputs, .knobs = mode.knobs}};
    host.start();
    scenario(desk, host);
    expect_books_agree(dir, desk, 0);
    return host.stat("calls");
}

TEST_P(Crash, AtEveryCallOfTheApiLeavesNoDoubleAndNothingUnknown) {
    const std::uint64_t calls = count_calls(GetParam());
    ASSERT_GT(calls, 50U);
    const std::uint64_t step = std::getenv("MILLRACE_LONG") != nullptr ? 1 : 7;
    std::uint64_t runs = 0;
    std::uint64_t deaths = 0;
    for (std::uint64_t at = 1; at <= calls && !HasFailure(); at += step) {
        TempDir dir;
        Desk desk;
        HostProcess host{
            dir, desk.port(), {.inputs = GetParam().inputs, .knobs = GetParam().knobs}};
        host.start(at);
        scenario(desk, host);
        expect_books_agree(dir, desk, at);
        ++runs;
        deaths += desk.sessions > 1 || host.died() ? 1U : 0U;
    }
    std::printf("covers: %s: %lu calls of the API, %lu runs, %lu with a death in a session\n",
                GetParam().name, calls, runs, deaths);
}

INSTANTIATE_TEST_SUITE_P(
    Terminal, Crash,
    testing::Values(
        Mode{"sync", {"InpReadyMs=10"}, {}},
        Mode{"async", {"InpReadyMs=10", "InpAsync=true"}, {"async_ms=3"}},
        Mode{"late_history", {"InpReadyMs=10"}, {"history_delay_ms=15", "result_form=2"}}),
    [](const auto& mode) { return std::string{mode.param.name}; });

}  // namespace
}  // namespace millrace::mt5::test
