// Scenario: one .scn file, played line by line against the real engine (the language: README.md).
//
// Orders and results wait in two lines, in the order in which they came out; an expectation takes
// the first of its line. `simulate` plays the broker's side too (tests/sim).
#pragma once

#include "tests/engine/rig.h"
#include "tests/sim/world.h"

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace millrace::test {

using Words = std::deque<std::string>;

/// "1.09" in 1e-8; exact.
[[nodiscard]] std::int64_t decimal(std::string text);
/// The next word. @throw std::runtime_error if there is none.
std::string take(Words& words);

/// What a scenario put in and held against its expectations.
struct Covered {
    std::size_t signals = 0;
    std::size_t reports = 0;
    std::size_t orders = 0;
    std::size_t results = 0;
    std::size_t restarts = 0;
    std::size_t seeds = 0;  // simulated worlds
};

class Scenario {
public:
    explicit Scenario(std::filesystem::path path) : path_{std::move(path)} {}

    /// Plays the file; what does not hold is a failure of the test, with file and line.
    void run();
    [[nodiscard]] const Covered& covered() const { return covered_; }

private:
    using Verb = void (Scenario::*)(Words&);
    [[nodiscard]] static const std::map<std::string, Verb>& verbs();

    // scenario.cpp: what goes in
    void world(Words& words);
    void signal(Words& words);
    void burst(Words& words);
    void answer(Words& words);
    void event(Words& words);
    void query(Words& words);
    void unsent(Words& words);
    void again(Words& words);
    void foreign(Words& words);
    void permit(Words& words);
    void equity(Words& words);
    void session(Words& words);
    // scenario_around.cpp: operators, time, restarts, simulated worlds
    void wait(Words& words);
    void price(Words& words);
    void quotes(Words& words);
    void kill(Words& words);
    void group(Words& words);
    void group_standby(Words& words);
    void room(Words& words);
    void limit(Words& words);
    void limit_symbol(Words& words);
    void account(Words& words);
    void resolve(Words& words);
    void restart(Words& words);
    void reboot(Words& words);
    void simulate(Words& words);
    // scenario_guards.cpp: limits in money, hours, quotes of other symbols, margin
    void currency(Words& words);
    void quoted(Words& words);
    void money(Words& words);
    void hours(Words& words);
    void margin(Words& words);
    void quote(Words& words);
    void configured(Words& words);
    // scenario_expect.cpp: what must come out
    void expect(Words& words);
    void expect_nothing() const;
    void expect_order(Words& words);
    void expect_result(const std::string& what, Words& words);
    [[nodiscard]] bool expect_state(const std::string& what, Words& words);
    [[nodiscard]] std::size_t executions() const;

    void step(Words words);
    void collect();
    Rig& rig();
    void option(Signal& s, Words& words) const;
    [[nodiscard]] const OrderCommand& order(const std::string& name) const;
    void report(const Report& r);
    template <class Tell>
    void each_unanswered(bool queries, const Tell& tell);
    [[nodiscard]] static std::uint32_t account_of(Words& words);

    std::filesystem::path path_;
    int line_ = 0;
    Capacity capacity_ = Rig::kSmall;
    std::unique_ptr<Rig> rig_;
    std::vector<OrderCommand> seen_;
    std::size_t answered_ = 0;  // of seen_, by `answer all`
    std::deque<OrderCommand> orders_;
    std::deque<SignalResult> results_;
    sim::Summary simulated_;
    Covered covered_;
};

}  // namespace millrace::test
