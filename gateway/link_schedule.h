// When a link to a broker is tried next, and at which of its access points. A state machine without
// a clock or a socket: whoever dials tells it what happened.
//
//     up ──lost──▶ at once, then each `period` with jitter
//                     5 failed: a person is told, the other access point's turn
//                    10 failed: told again; then slowly for ever, the access points by turns
//     credentials refused: not the network's fault. A minute, doubling; after five nothing more,
//              because brokers lock accounts
//     closed: it takes nobody now, or answers nothing. The other access point after `period`; each
//              has been tried: a minute, doubling to five, for ever
//
// C++14: the FIX session, which compiles with QuickFIX's headers, has it too.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace millrace {

struct LinkRules {
    std::chrono::milliseconds period{3000};  // between attempts
    unsigned jitter_percent = 20;  // of each pause, so that many accounts do not dial as one
    unsigned tell_after = 5;       // failures; the other access point from there on
    unsigned suspend_after = 10;   // failures; slow from there on
    std::chrono::milliseconds slow_first{30000};
    std::chrono::milliseconds slow_max{300000};
    std::chrono::milliseconds stable{5000};          // up for so long, it has been a success
    std::chrono::milliseconds refused_first{60000};  // doubles with each refusal
    unsigned refusals_max = 5;                       // then it stops; 0 = never
    unsigned access_points = 1;                      // 1 or 2
};

/// What a person has to be told.
enum class LinkMilestone : std::uint8_t {
    None,
    Failing,    // `tell_after` attempts in a row failed
    Suspended,  // `suspend_after` of them
    Stopped,    // `refusals_max` refusals in a row: nothing more is tried
};

/// Threads: one. Memory: none.
class LinkSchedule {
public:
    using Time = std::chrono::nanoseconds;  // since any fixed point; never goes back

    /// @param seed of the jitter.
    LinkSchedule(const LinkRules& rules, std::uint64_t seed) : rules_(rules), random_(seed | 1U) {}

    /// The first attempt is due at once.
    bool is_due(Time now) const { return !up_ && !stopped_ && now >= next_; }
    Time next() const { return next_; }
    bool is_stopped() const { return stopped_; }
    /// Which access point the next attempt is for: 0 or 1.
    unsigned access_point() const { return access_point_; }
    unsigned failures() const { return failures_; }
    unsigned refusals() const { return refusals_; }

    /// Logged on.
    void on_up(Time now) {
        up_ = true;
        up_since_ = now;
        refusals_ = closed_ = 0;
    }
    /// It was up and is not any more. A success makes the next attempt due at once; what broke
    /// before it was one is a failure like others.
    LinkMilestone on_lost(Time now) {
        up_ = false;
        if (now - up_since_ < rules_.stable) {
            return on_failure(now);
        }
        failures_ = 0;
        next_ = now;
        return LinkMilestone::None;
    }
    /// An attempt led to nothing: no connection, or no answer.
    LinkMilestone on_failure(Time now) {
        up_ = false;
        ++failures_;
        const bool slow = failures_ >= rules_.suspend_after;
        next_ = now + (slow ? slow_pause() : with_jitter(rules_.period));
        if (slow || failures_ == rules_.tell_after) {
            access_point_ = (access_point_ + 1) % std::max(rules_.access_points, 1U);
        }
        return failures_ == rules_.tell_after      ? LinkMilestone::Failing
               : failures_ == rules_.suspend_after ? LinkMilestone::Suspended
                                                   : LinkMilestone::None;
    }
    /// An attempt led to something that has been mended: the next one after the usual pause.
    void on_mended(Time now) {
        up_ = false;
        next_ = now + with_jitter(rules_.period);
    }
    /// The other side does not believe that we are who we say.
    LinkMilestone on_refusal(Time now) {
        up_ = false;
        ++refusals_;
        // Sixteen times as long at most, where it never stops.
        next_ = now + with_jitter(rules_.refused_first * (1U << std::min(refusals_ - 1, 4U)));
        stopped_ = rules_.refusals_max != 0 && refusals_ >= rules_.refusals_max;
        return stopped_ ? LinkMilestone::Stopped : LinkMilestone::None;
    }
    /// The other side does not let us in for another reason, or says nothing to a logon. That is of
    /// one access point: half dead or under repair it may be, and the other one well.
    void on_closed(Time now) {
        up_ = false;
        const unsigned points = std::max(rules_.access_points, 1U);
        const unsigned rounds = ++closed_ / points;
        const auto longest = std::max(rules_.slow_max, rules_.refused_first);
        const bool all_tried = closed_ % points == 0;
        next_ = now + with_jitter(all_tried ? std::min(rules_.refused_first *
                                                           (1U << std::min(rounds - 1, 16U)),
                                                       longest)
                                            : rules_.period);
        access_point_ = (access_point_ + 1) % points;
    }

private:
    Time slow_pause() {
        const unsigned doublings = std::min(failures_ - rules_.suspend_after, 16U);
        return with_jitter(std::min(rules_.slow_first * (1U << doublings), rules_.slow_max));
    }
    Time with_jitter(std::chrono::milliseconds pause) {
        // xorshift64*: it need only differ between accounts.
        random_ ^= random_ >> 12U;
        random_ ^= random_ << 25U;
        random_ ^= random_ >> 27U;
        const std::uint64_t drawn = (random_ * 0x2545F4914F6CDD1DULL) >> 32U;  // below 2^32
        const std::int64_t jitter = std::int64_t{rules_.jitter_percent} * 10;
        const std::int64_t permille =
            1000 - jitter +
            2 * jitter * static_cast<std::int64_t>(drawn) / (std::int64_t{1} << 32U);
        return Time(pause) * permille / 1000;
    }

    LinkRules rules_;
    std::uint64_t random_;
    unsigned access_point_ = 0;
    unsigned failures_ = 0;  // in a row
    unsigned refusals_ = 0;  // in a row
    unsigned closed_ = 0;    // in a row
    bool up_ = false;
    bool stopped_ = false;
    Time up_since_{0};
    Time next_{0};
};

}  // namespace millrace
