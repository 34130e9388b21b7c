// When a terminal is started, given up, killed and started again. Pure: time and what is seen of
// the terminal are given to it.
//
//     Queued ──▶ Starting ──▶ Ready ◀──▶ Silent        a process runs in these three and in Ending
//       ▲            └──── its death, or killed ─┐
//       └── at most three times in a row ◀───────┤
//                                  Failed ◀──────┘     until an operator (or "retry_s") says start
#pragma once

#include "core/types.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace millrace::terminals {

enum class State : std::uint8_t {
    Stopped,   // an operator wants it so
    Queued,    // to be started
    Starting,  // it runs and has had no session with the broker stage yet
    Ready,     // its session is up
    Silent,    // it runs, its session is gone
    Ending,    // asked to end, or killed
    Failed,    // does not stay up: an operator has to look
};
[[nodiscard]] std::string_view to_string(State s) noexcept;

struct Limits {
    Nanos silent_max = seconds(30);     // without a session, at its start or later: killed
    Nanos healthy_after = seconds(60);  // with one for so long: earlier restarts do not count
    Nanos pause = millis(200);          // before the second restart in a row and the third
    Nanos end_patience = seconds(10);   // between asking it to end and killing it
    Nanos retry{0};                     // Failed for so long: one more start; 0 = never
    Nanos setback_max = seconds(30);    // the longest pause after a start that did not come about
    std::uint32_t restarts_max = 3;     // in a row
};

/// What is seen of a terminal.
struct Sight {
    bool runs = false;         // its process, or anything that it left behind
    bool seen = false;         // the broker stage works, so that `session` says something
    bool session = false;      // up, and in step with the terminal's journal
    bool never_began = false;  // `runs` is over, and the command was not come to: a full disk, say
};

enum class Act : std::uint8_t { None, AskToEnd, Kill };

/// One terminal. Threads: one.
class Policy {
public:
    explicit Policy(const Limits& limits) noexcept : limits_{limits} {}

    /// What an operator says. start() of one that runs changes nothing, and forgets what restarts
    /// there were; stop() holds until start() or restart().
    void start(Nanos now) noexcept;
    void stop(Nanos now) noexcept;
    void restart(Nanos now) noexcept;

    /// Looks at it: as often as its owner likes, at least ten times a second to be prompt. Between
    /// two looks at most a second counts as passed: a terminal is not to blame for a pause of ours.
    /// @return what to do to its process now.
    [[nodiscard]] Act turn(Nanos now, Sight sight) noexcept;

    [[nodiscard]] bool wants_start(Nanos now) const noexcept;
    /// Its process runs: just started, or found running.
    void started(Nanos now) noexcept;
    /// Nothing could be started, by no fault of the terminal's: tried again after a pause that
    /// grows to `setback_max`, for ever; no restart is counted.
    void not_started(Nanos now) noexcept;
    /// An earlier life of ours gave it up: Failed, without another alert.
    void was_given_up(Nanos now) noexcept;

    [[nodiscard]] State state() const noexcept { return state_; }
    /// Restarts without 60 s of health since.
    [[nodiscard]] std::uint32_t restarts() const noexcept { return restarts_; }
    /// It ran before and is to be started again, not for the first time.
    [[nodiscard]] bool again() const noexcept { return again_; }
    /// Starts in a row that did not come about.
    [[nodiscard]] std::uint32_t setbacks() const noexcept { return setbacks_; }
    /// Once after it has Failed: the alert is due.
    [[nodiscard]] bool take_alert() noexcept;

private:
    enum class Why : std::uint8_t { Stop, Restart, Silence };  // it is Ending

    void queue(Nanos due, bool again) noexcept;
    void end(Why why, Nanos now) noexcept;
    void on_end(Nanos now) noexcept;
    void on_death(Nanos now) noexcept;
    [[nodiscard]] Act watch(Nanos now, Nanos passed, Sight sight) noexcept;
    [[nodiscard]] bool running() const noexcept;

    Limits limits_;
    State state_ = State::Queued;
    Why why_ = Why::Stop;
    bool asked_ = false;  // Ending: the request has been given out
    bool again_ = false;
    bool alert_ = false;
    std::uint32_t restarts_ = 0;
    std::uint32_t setbacks_ = 0;
    Nanos last_;     // look
    Nanos due_;      // Queued: not before
    Nanos kill_at_;  // Ending
    Nanos failed_;   // since
    Nanos silent_;   // how long without a session, as far as it could be seen
    Nanos healthy_;  // how long with one
};

/// What the order of starts goes by.
struct Candidate {
    bool due = false;     // Policy::wants_start()
    bool needed = false;  // its account has orders in doubt, or positions
    bool again = false;
};
/// Who is started now, in this order: accounts in doubt or with positions first, then those that
/// ran and died, then the others; among equals as they stand.
/// @param places how many may be started; with none, nobody is.
[[nodiscard]] std::vector<std::size_t> next_starts(const std::vector<Candidate>& all,
                                                   std::size_t places);

}  // namespace millrace::terminals
