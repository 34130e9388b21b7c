#include "tests/chaos/killer.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>

namespace millrace::chaos {
namespace {

constexpr std::uint64_t kRestartAfterMsMax = 400;

constexpr StageId kStageOf[] = {StageId::Engine,    StageId::Replica, StageId::Broker,
                                StageId::Journal,   StageId::Ingress, StageId::Sqlite,
                                StageId::Supervisor};

StageId stage_of(Target target) {
    return kStageOf[static_cast<std::size_t>(target)];
}

/// Grows with each login of a terminal: the first message that a broker's terminals send.
std::uint64_t logins(const Segment& segment) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        // Relaxed: a counter.
        sum += segment.session(AccountId{i}).generation.load(std::memory_order_relaxed);
    }
    return sum;
}

bool is_ours(Target target) {
    return target == Target::Supervisor || target == Target::Simbroker;
}

double ms(std::int64_t ns) {
    return static_cast<double>(ns) / 1e6;
}

}  // namespace

const char* to_string(Target target) noexcept {
    return target == Target::Simbroker ? "simbroker" : stage_name(stage_of(target));
}

void Killer::strike() {
    int left = random_.below(5) == 0 ? 2 : 1;
    const std::uint64_t first = random_.below(kTargets);
    for (std::size_t i = 0; i < kTargets && left > 0; ++i) {
        // Odd steps visit all of them, so that pairs are not always neighbours.
        left -= strike(static_cast<Target>((first + 3 * i) % kTargets)) ? 1 : 0;
    }
}

bool Killer::strike(Target target) {
    look(target);  // what it has done since must not be lost with it
    Wound& w = wound(target);
    const std::uint64_t mark = mark_of(target);
    const std::int64_t at = now();
    if (!hit(target)) {
        return false;
    }
    ++w.kills;
    if (w.at_ns == 0) {  // killed again before it worked: the time runs from the first blow
        w.at_ns = at;
        w.mark = mark;
    }
    w.is_started = !is_ours(target);
    w.restart_at_ns =
        at + millis(static_cast<std::int64_t>(random_.below(kRestartAfterMsMax))).value;
    return true;
}

bool Killer::hit(Target target) {
    if (!is_ours(target)) {
        return world_.kill_stage(stage_of(target));
    }
    demo::Pipeline& p = world_.pipeline();
    demo::Child& child = target == Target::Supervisor ? p.supervisor() : p.broker();
    if (!child.running()) {
        return false;
    }
    child.signal(SIGKILL);
    return true;
}

std::uint64_t Killer::mark_of(Target target) const {
    if (target == Target::Simbroker) {
        return logins(world_.segment());
    }
    // Relaxed: compared with a later look.
    return world_.segment().stage(stage_of(target)).generation.load(std::memory_order_relaxed);
}

void Killer::watch() {
    for (std::size_t i = 0; i < kTargets; ++i) {
        const auto target = static_cast<Target>(i);
        if (wound(target).at_ns != 0) {
            look(target);
            restart(target);
        }
    }
}

void Killer::restart(Target target) {
    Wound& w = wound(target);
    demo::Pipeline& p = world_.pipeline();
    demo::Child& child = target == Target::Supervisor ? p.supervisor() : p.broker();
    if (w.is_started || now() < w.restart_at_ns || child.running()) {
        return;
    }
    w.is_started = true;
    w.mark = mark_of(target);  // what its last life still had on the way does not count
    failure_ += target == Target::Supervisor ? p.start_supervisor() : p.start_broker();
}

/// Did it work again? A stage says when in its entry; the supervisor beats ten times a second; for
/// the broker's first login the time of this look counts.
void Killer::look(Target target) {
    Wound& w = wound(target);
    if (w.at_ns == 0 || !w.is_started || mark_of(target) <= w.mark) {
        return;
    }
    std::int64_t first = now();
    if (target != Target::Simbroker) {
        const StageEntry& e = world_.segment().stage(stage_of(target));
        // Relaxed: a time; if it is of before, the next look finds the new one.
        const auto& cell = target == Target::Supervisor ? e.heartbeat_ns : e.first_work_ns;
        first = cell.load(std::memory_order_relaxed);
    }
    if (first > w.at_ns) {
        w.back_ns.push_back(first - w.at_ns);
        w.at_ns = 0;
    }
}

bool Killer::all_back() const noexcept {
    return std::all_of(wounds_.begin(), wounds_.end(), [](const Wound& w) { return w.at_ns == 0; });
}

std::uint64_t Killer::kills() const noexcept {
    std::uint64_t sum = 0;
    for (const Wound& w : wounds_) {
        sum += w.kills;
    }
    return sum;
}

std::string Killer::table() const {
    char line[160];
    std::snprintf(line, sizeof line, "%-12s %6s %6s %10s %10s %10s %10s\n", "killed", "times",
                  "back", "p50 ms", "p90 ms", "p99 ms", "max ms");
    std::string text = line;
    for (std::size_t i = 0; i < kTargets; ++i) {
        std::vector<std::int64_t> t = wounds_[i].back_ns;
        std::sort(t.begin(), t.end());
        const auto at = [&t](std::size_t percent) {
            return t.empty() ? 0.0 : ms(t[std::min(t.size() - 1, t.size() * percent / 100)]);
        };
        std::snprintf(line, sizeof line, "%-12s %6lu %6zu %10.1f %10.1f %10.1f %10.1f\n",
                      to_string(static_cast<Target>(i)),
                      static_cast<unsigned long>(wounds_[i].kills), t.size(), at(50), at(90),
                      at(99), t.empty() ? 0.0 : ms(t.back()));
        text += line;
    }
    return text;
}

}  // namespace millrace::chaos
