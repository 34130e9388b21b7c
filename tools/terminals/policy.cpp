#include "tools/terminals/policy.h"

#include <algorithm>
#include <utility>

namespace millrace::terminals {
namespace {

constexpr Nanos kLookMax = seconds(1);
constexpr Nanos kKillEvery = seconds(1);  // one that waits in the kernel does not die of the first

}  // namespace

std::string_view to_string(State s) noexcept {
    switch (s) {
        case State::Stopped: return "STOPPED";
        case State::Queued: return "QUEUED";
        case State::Starting: return "STARTING";
        case State::Ready: return "READY";
        case State::Silent: return "SILENT";
        case State::Ending: return "ENDING";
        case State::Failed: return "FAILED";
    }
    return "?";
}

bool Policy::running() const noexcept {
    return state_ == State::Starting || state_ == State::Ready || state_ == State::Silent;
}

void Policy::queue(Nanos due, bool again) noexcept {
    state_ = State::Queued;
    due_ = due;
    again_ = again;
}

void Policy::start(Nanos now) noexcept {
    restarts_ = setbacks_ = 0;
    alert_ = false;
    if (state_ == State::Ending) {
        why_ = Why::Restart;
    } else if (!running()) {
        queue(now, false);
    }
}

void Policy::stop(Nanos now) noexcept {
    restarts_ = 0;
    alert_ = false;
    if (state_ == State::Ending) {
        why_ = Why::Stop;
    } else if (running()) {
        end(Why::Stop, now);
    } else {
        state_ = State::Stopped;
    }
}

void Policy::restart(Nanos now) noexcept {
    if (running()) {
        restarts_ = 0;
        end(Why::Restart, now);
    } else {
        start(now);
    }
}

void Policy::end(Why why, Nanos now) noexcept {
    state_ = State::Ending;
    why_ = why;
    asked_ = why == Why::Silence;  // who does not speak is not asked
    kill_at_ = asked_ ? now : now + limits_.end_patience;
}

bool Policy::wants_start(Nanos now) const noexcept {
    return state_ == State::Queued && now >= due_;
}

void Policy::started(Nanos now) noexcept {
    state_ = State::Starting;
    last_ = now;
    silent_ = healthy_ = Nanos{0};
}

bool Policy::take_alert() noexcept {
    return std::exchange(alert_, false);
}

void Policy::on_death(Nanos now) noexcept {
    if (restarts_ >= limits_.restarts_max) {
        state_ = State::Failed;
        failed_ = now;
        alert_ = true;
        return;
    }
    setbacks_ = 0;
    // The first at once. The others not quite: a command that cannot be run at all fails at once
    // too, and its three restarts would be over in no time.
    queue(restarts_ == 0 ? now : now + limits_.pause, true);
    ++restarts_;
}

void Policy::not_started(Nanos now) noexcept {
    Nanos pause = limits_.pause;
    for (std::uint32_t i = 0; i < setbacks_ && pause < limits_.setback_max; ++i) {
        pause = pause + pause;
    }
    queue(now + std::min(pause, limits_.setback_max), again_);
    ++setbacks_;
}

void Policy::was_given_up(Nanos now) noexcept {
    state_ = State::Failed;
    failed_ = now;
    restarts_ = limits_.restarts_max;
}

void Policy::on_end(Nanos now) noexcept {
    if (state_ != State::Ending || why_ == Why::Silence) {
        on_death(now);
    } else if (why_ == Why::Restart) {
        queue(now, true);
    } else {
        state_ = State::Stopped;
    }
}

Act Policy::watch(Nanos now, Nanos passed, Sight sight) noexcept {
    if (!sight.seen) {
        return Act::None;  // nobody can tell: that is no fault of the terminal
    }
    if (sight.session) {
        state_ = State::Ready;
        setbacks_ = 0;
        silent_ = Nanos{0};
        healthy_ = healthy_ + passed;
        if (healthy_ >= limits_.healthy_after) {
            restarts_ = 0;
        }
        return Act::None;
    }
    if (state_ == State::Ready) {
        state_ = State::Silent;
    }
    healthy_ = Nanos{0};
    silent_ = silent_ + passed;
    if (silent_ < limits_.silent_max) {
        return Act::None;
    }
    end(Why::Silence, now);
    kill_at_ = now + kKillEvery;
    return Act::Kill;
}

Act Policy::turn(Nanos now, Sight sight) noexcept {
    const Nanos passed = std::clamp(now - last_, Nanos{0}, kLookMax);
    last_ = now;
    if (state_ == State::Failed && limits_.retry.value > 0 && now - failed_ >= limits_.retry) {
        queue(now, true);  // restarts_ stays: this one start, and no other
    }
    if (!running() && state_ != State::Ending) {
        return Act::None;
    }
    if (!sight.runs) {
        running() && sight.never_began ? not_started(now) : on_end(now);
        return Act::None;
    }
    if (running()) {
        return watch(now, passed, sight);
    }
    if (!asked_) {
        asked_ = true;
        return Act::AskToEnd;
    }
    if (now < kill_at_) {
        return Act::None;
    }
    kill_at_ = now + kKillEvery;
    return Act::Kill;
}

std::vector<std::size_t> next_starts(const std::vector<Candidate>& all, std::size_t places) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].due) {
            order.push_back(i);
        }
    }
    const auto rank = [&all](std::size_t i) { return all[i].needed ? 0 : all[i].again ? 1 : 2; };
    std::stable_sort(order.begin(), order.end(),
                     [&rank](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    order.resize(std::min(order.size(), places));
    return order;
}

}  // namespace millrace::terminals
