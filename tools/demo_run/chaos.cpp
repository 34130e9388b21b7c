#include "tools/demo_run/chaos.h"

#include "shm/clock.h"

#include <signal.h>

#include <algorithm>
#include <ctime>
#include <optional>

namespace millrace::demo {
namespace {

constexpr Nanos kLook = Nanos{100'000};
constexpr Nanos kWatchMax = seconds(15);
constexpr const char* kSupervisor = "supervisor";
constexpr const char* kSimbroker = "simbroker";
constexpr const char* kWhole = "pipeline";

void nap(Nanos time) noexcept {
    const timespec ts{time.value / 1'000'000'000, time.value % 1'000'000'000};
    ::nanosleep(&ts, nullptr);
}

std::optional<StageId> stage_of(const std::string& name) {
    for (std::uint32_t i = 0; i < kStages; ++i) {
        if (name == stage_name(static_cast<StageId>(i))) {
            return static_cast<StageId>(i);
        }
    }
    return std::nullopt;
}

/// What the stage table says of one role. Relaxed loads: a picture, looked at again and again.
struct Look {
    StageState state{};
    int pid = 0;
    std::uint64_t generation = 0;
    std::uint64_t work = 0;
    std::int64_t running_ns = 0;
    std::int64_t first_work_ns = 0;

    explicit Look(const StageEntry& e)
        : state{static_cast<StageState>(e.state.load(std::memory_order_relaxed))},
          pid{static_cast<int>(e.pid.load(std::memory_order_relaxed))},
          generation{e.generation.load(std::memory_order_relaxed)},
          work{e.work.load(std::memory_order_relaxed)},
          running_ns{e.running_ns.load(std::memory_order_relaxed)},
          first_work_ns{e.first_work_ns.load(std::memory_order_relaxed)} {}

    [[nodiscard]] bool runs() const noexcept {
        return state == StageState::Running || state == StageState::Standby;
    }
};

Generations generations(const Segment& segment) {
    Generations by_account;
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        const SessionEntry& s = segment.session(AccountId{i});
        // Relaxed, both: compared with a later look, nothing is read through them.
        if (s.login.load(std::memory_order_relaxed) != 0) {
            by_account[i] = s.generation.load(std::memory_order_relaxed);
        }
    }
    return by_account;
}

/// Every session is another one than `before`.
bool all_renewed(const Segment& segment, const Generations& before) {
    const Generations now = generations(segment);
    return std::all_of(before.begin(), before.end(), [&now](const auto& old) {
        const auto at = now.find(old.first);
        return at != now.end() && at->second > old.second;
    });
}

std::uint64_t events_received(const Segment& segment) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        // Relaxed: a counter.
        sum += segment.session(AccountId{i}).events_received.load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace

std::vector<std::string> chaos_targets(bool threads) {
    if (threads) {
        return {kWhole, kSimbroker};
    }
    return {"engine", "replica", "broker", "journal", "ingress", "sqlite", kSupervisor, kSimbroker};
}

std::vector<std::string> not_killed(const std::vector<Kill>& kills, bool threads) {
    std::vector<std::string> names = chaos_targets(threads);
    std::erase_if(names, [&kills](const std::string& name) {
        return std::any_of(kills.begin(), kills.end(),
                           [&name](const Kill& kill) { return kill.stage == name; });
    });
    return names;
}

Outages outages_of(const std::vector<Kill>& kills) {
    Outages list;
    for (const Kill& k : kills) {
        if (k.stage == "sqlite" || k.stage == "replica" || k.stage == kSupervisor) {
            continue;
        }
        // Over when the last of it is back; never, if it did not come back.
        const bool back = k.all_back_ns >= 0 && k.running_ns >= 0;
        const std::int64_t last = std::max({k.all_back_ns, k.running_ns, k.first_ns});
        list.add({k.stage, k.at, back ? Nanos{k.at.value + last} : Nanos{}});
    }
    return list;
}

Chaos::Chaos(Pipeline& pipeline, Nanos run)
    : pipeline_{pipeline}, run_{run}, targets_{chaos_targets(pipeline.plan().threads)} {}

Chaos::~Chaos() {
    finish();
}

void Chaos::start() {
    thread_ = std::thread{[this] { run(); }};
}

void Chaos::finish() {
    stop_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Chaos::run() {
    const Nanos begin{monotonic_ns()};
    const std::int64_t first = run_.value / 8;
    const std::int64_t step =
        (run_.value * 7 / 8 - first) / static_cast<std::int64_t>(targets_.size());
    for (std::size_t i = 0; i < targets_.size(); ++i) {
        const Nanos when{begin.value + first + step * static_cast<std::int64_t>(i)};
        if (!sleep_until(when)) {
            return;
        }
        kill_one(targets_[i]);
    }
    over_.store(true, std::memory_order_relaxed);
}

bool Chaos::sleep_until(Nanos when) const {
    while (monotonic_ns() < when.value) {
        if (stop_.load(std::memory_order_relaxed)) {
            return false;
        }
        nap(millis(5));
    }
    return !stop_.load(std::memory_order_relaxed);
}

void Chaos::kill_one(const std::string& target) {
    const Segment& segment = pipeline_.segment();
    Kill kill;
    kill.stage = target;
    const auto id = stage_of(target);
    if (id && target != kSupervisor) {
        kill.pid = Look{segment.stage(*id)}.pid;
    } else {
        kill.pid = target == kSimbroker ? pipeline_.broker().pid() : pipeline_.supervisor().pid();
    }
    if (kill.pid <= 1) {
        fail("no process to kill for stage " + target);
        return;
    }
    kill.at = segment.clock().now();
    publish(kill);  // before the blow: an outage begins with it
    const std::optional<Look> before = id ? std::optional{Look{segment.stage(*id)}} : std::nullopt;
    const Generations sessions = generations(segment);
    ::kill(kill.pid, SIGKILL);
    if (target == kSimbroker) {
        watch_broker(kill, sessions);
    } else if (before && target != kSupervisor) {
        watch_stage(kill, *id);
    } else {
        watch_supervisor(kill);
    }
    wait_all_back(kill, sessions);
    publish(kill);
}

/// A stage that the supervisor starts again, or whose role the hot spare takes.
void Chaos::watch_stage(Kill& kill, StageId id) {
    const Segment& segment = pipeline_.segment();
    const StageEntry& entry = segment.stage(id);
    const std::int64_t until = kill.at.value + kWatchMax.value;
    while (kill.first_ns < 0 && segment.clock().now().value < until) {
        const Look now{entry};
        const std::int64_t passed = segment.clock().now().value - kill.at.value;
        const bool replaced = now.pid != kill.pid;
        if (kill.noticed_ns < 0 && (replaced || now.state == StageState::Dead)) {
            kill.noticed_ns = passed;
        }
        if (kill.running_ns < 0 && replaced && now.runs() && now.running_ns > kill.at.value) {
            kill.running_ns = now.running_ns - kill.at.value;
            // Our look comes after the fact: the spare knew of the death before it ran.
            kill.noticed_ns = std::min(kill.noticed_ns, kill.running_ns);
            publish(kill);
        }
        if (kill.running_ns >= 0 && now.first_work_ns > kill.at.value) {
            kill.first_ns = now.first_work_ns - kill.at.value;
        }
        nap(kLook);
    }
}

/// The supervisor (the stages go on without it) or, with threads, the process they all live in: we
/// are the one that notices and starts it again.
void Chaos::watch_supervisor(Kill& kill) {
    const Segment& segment = pipeline_.segment();
    const bool whole = kill.stage == kWhole;
    const StageEntry& entry = segment.stage(whole ? StageId::Engine : StageId::Supervisor);
    (void)pipeline_.supervisor().wait(kWatchMax);
    kill.noticed_ns = segment.clock().now().value - kill.at.value;
    if (const std::string why = pipeline_.start_supervisor(); !why.empty()) {
        fail(why);
        return;
    }
    const auto fresh = static_cast<std::uint32_t>(pipeline_.supervisor().pid());
    const std::int64_t until = kill.at.value + kWatchMax.value;
    while (segment.clock().now().value < until) {
        const Look now{entry};
        // Relaxed: a pid to compare.
        const bool took_over =
            segment.core().supervisor_pid.load(std::memory_order_relaxed) == fresh;
        const bool runs = whole ? now.runs() && now.running_ns > kill.at.value : took_over;
        if (kill.running_ns < 0 && runs) {
            kill.running_ns = whole ? now.running_ns - kill.at.value
                                    : segment.clock().now().value - kill.at.value;
        }
        if (kill.running_ns >= 0 && (!whole || now.first_work_ns > kill.at.value)) {
            kill.first_ns = whole ? now.first_work_ns - kill.at.value : kill.first_ns;
            return;
        }
        nap(kLook);
    }
}

void Chaos::watch_broker(Kill& kill, const Generations& sessions) {
    const Segment& segment = pipeline_.segment();
    (void)pipeline_.broker().wait(kWatchMax);
    const std::uint64_t events = events_received(segment);
    kill.noticed_ns = segment.clock().now().value - kill.at.value;
    if (const std::string why = pipeline_.start_broker(); !why.empty()) {
        fail(why);
        return;
    }
    const std::int64_t until = kill.at.value + kWatchMax.value;
    while (kill.first_ns < 0 && segment.clock().now().value < until) {
        const std::int64_t passed = segment.clock().now().value - kill.at.value;
        // It runs when its terminals have logged in again; the first message follows.
        if (kill.running_ns < 0 && all_renewed(segment, sessions)) {
            kill.running_ns = passed;
        }
        if (events_received(segment) > events) {
            kill.first_ns = passed;
            kill.running_ns = kill.running_ns < 0 ? passed : kill.running_ns;
        }
        nap(kLook);
    }
}

/// Whoever holds the sessions' ends takes them along when killed: then they count as back once
/// each of them is a new one, because the table still says Up right after the kill.
void Chaos::wait_all_back(Kill& kill, const Generations& before) {
    const Segment& segment = pipeline_.segment();
    const bool renewed = kill.stage == "broker" || kill.stage == kSimbroker || kill.stage == kWhole;
    const std::int64_t until = kill.at.value + kWatchMax.value;
    while (segment.clock().now().value < until) {
        if ((!renewed || all_renewed(segment, before)) && pipeline_.accounts_ready()) {
            kill.all_back_ns = segment.clock().now().value - kill.at.value;
            return;
        }
        nap(millis(1));
    }
}

void Chaos::publish(const Kill& kill) {
    const std::lock_guard hold{mutex_};
    if (!kills_.empty() && kills_.back().stage == kill.stage) {
        kills_.back() = kill;
    } else {
        kills_.push_back(kill);
    }
}

void Chaos::fail(const std::string& why) {
    const std::lock_guard hold{mutex_};
    failure_ += why + "\n";
}

std::vector<Kill> Chaos::kills() const {
    const std::lock_guard hold{mutex_};
    return kills_;
}

std::string Chaos::failure() const {
    const std::lock_guard hold{mutex_};
    return failure_;
}

}  // namespace millrace::demo
