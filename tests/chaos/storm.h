// Storm: faults drawn from a seed for a pipeline under load and for its broker, many in flight at
// once, each counted when it has struck.
#pragma once

#include "tests/chaos/world.h"
#include "tools/market/generator.h"

#include <array>
#include <string>
#include <string_view>

namespace millrace::chaos {

/// What can befall it. Those of the broker's side are knobs of the simulated broker.
enum class Harm : std::uint8_t {
    EngineKilled,
    BrokerStageKilled,
    KilledOnReceive,    // all terminals and their broker, SIGKILL: the command is journalled
    KilledBeforeBooks,  // journalled as being sent
    KilledAfterBooks,   // executed, not answered
    KilledAfterAnswer,  // the answer is journalled, not sent
    LinkCut,            // of one account, seldom of all
    CutBeforeTaken,     // the command is lost with the link
    CutAfterDone,       // executed, the answer is lost with the link
    Silent,             // beyond the link's timeout, unannounced
    Busy,               // announced
    LostBefore,         // not executed, and the answer leaves that open
    LostAfter,          // executed, and the answer leaves that open
    EventLost,
    EventTwice,
    AckLost,
    RequestLate,  // executed late: past the answer's, the link's, the signal's time
    AnswerLate,   // executed at once, told late
    JournalLost,  // the terminal forgets what it did
};
inline constexpr std::size_t kHarms = 19;
[[nodiscard]] std::string_view to_string(Harm harm) noexcept;

/// Threads: one.
class Storm {
public:
    Storm(World& world, std::uint64_t seed) : world_{world}, random_{seed} {}

    /// One round of the source; counts what has struck, draws what is due, starts the broker again
    /// a while after its death.
    void turn();
    /// Takes back what has not struck, and waits until the broker is there.
    void calm();

    [[nodiscard]] std::uint64_t struck() const noexcept;
    [[nodiscard]] std::uint64_t struck(Harm harm) const noexcept {
        return counts_[static_cast<std::size_t>(harm)];
    }
    /// The most orders that were in doubt at one look.
    [[nodiscard]] std::uint64_t in_doubt_most() const noexcept { return in_doubt_most_; }
    /// What should not have happened, as that the broker died by itself; empty = nothing.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
    /// How often each has struck, one line a harm.
    [[nodiscard]] std::string table() const;

private:
    void draw();
    [[nodiscard]] bool strike(Harm harm);
    [[nodiscard]] bool arm(Harm harm);
    [[nodiscard]] bool hit_terminals(nlohmann::json line);
    void look();
    void watch_broker();
    void prepare_broker();
    [[nodiscard]] std::uint64_t some_login();
    void count(Harm harm, std::uint64_t times = 1) noexcept {
        counts_[static_cast<std::size_t>(harm)] += times;
    }

    World& world_;
    market::Random random_;
    std::array<std::uint64_t, kHarms> counts_{};
    std::array<std::uint64_t, kHarms> told_{};  // by this life of the broker
    std::uint64_t armed_ = 0;                   // knobs that have not struck, at the last look
    std::uint64_t in_doubt_most_ = 0;
    std::optional<Harm> deadly_;   // the one that may kill the broker now
    std::int64_t draw_at_ns_ = 0;  // monotonic, as the next two
    std::int64_t look_at_ns_ = 0;
    std::int64_t restart_at_ns_ = 0;  // 0 = the broker is not known to be dead
    bool is_prepared_ = false;        // this life of the broker
    std::string failure_;
};

}  // namespace millrace::chaos
