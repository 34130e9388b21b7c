// Killer: kills what a pipeline consists of at random, and measures how it comes back.
#pragma once

#include "tests/chaos/world.h"
#include "tools/market/generator.h"

#include <array>
#include <string>
#include <vector>

namespace millrace::chaos {

/// Stages as in the stage table, and the simulated broker.
enum class Target : std::uint8_t {
    Engine,
    Replica,
    Broker,
    Journal,
    Ingress,
    Sqlite,
    Supervisor,
    Simbroker
};
inline constexpr std::size_t kTargets = 8;
[[nodiscard]] const char* to_string(Target target) noexcept;

/// Threads: one.
class Killer {
public:
    Killer(World& world, std::uint64_t seed) : world_{world}, random_{seed} {}

    /// Kills one that lives, in one of five times two at once. One that is still dead from the
    /// last time is passed over for another.
    void strike();
    /// Looks how the killed ones come back, and starts the supervisor and the broker again a while
    /// after their deaths. To be called often: how late it is is the uncertainty for the broker.
    void watch();
    /// All that were hit work again.
    [[nodiscard]] bool all_back() const noexcept;

    [[nodiscard]] std::uint64_t kills() const noexcept;
    [[nodiscard]] std::uint64_t kills_of(Target target) const noexcept {
        return wounds_[static_cast<std::size_t>(target)].kills;
    }
    /// Why one could not be started again; empty = none.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
    /// Kills, and kill -> first new message, one line a target.
    [[nodiscard]] std::string table() const;

private:
    /// One target: the blow that it has not come back from, and all times of before.
    struct Wound {
        std::int64_t at_ns = 0;          // segment clock; 0 = it works
        std::int64_t restart_at_ns = 0;  // when we start it again
        bool is_started = true;          // not one of ours, or we have started it again
        std::uint64_t mark = 0;          // generation at the blow, or when we started it
        std::uint64_t kills = 0;
        std::vector<std::int64_t> back_ns;
    };

    [[nodiscard]] bool strike(Target target);
    [[nodiscard]] bool hit(Target target);
    void restart(Target target);
    void look(Target target);
    [[nodiscard]] std::uint64_t mark_of(Target target) const;
    [[nodiscard]] std::int64_t now() const { return world_.segment().clock().now().value; }
    [[nodiscard]] Wound& wound(Target t) { return wounds_[static_cast<std::size_t>(t)]; }

    World& world_;
    market::Random random_;
    std::array<Wound, kTargets> wounds_;
    std::string failure_;
};

}  // namespace millrace::chaos
