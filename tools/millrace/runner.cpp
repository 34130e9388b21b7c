#include "tools/millrace/runner.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "shm/role.h"
#include "tools/millrace/log.h"
#include "tools/millrace/parker.h"

namespace millrace {
namespace {

constexpr Nanos kKeepTimeEvery = millis(1);

// Relaxed: the stage table is for inspectors and the supervisor, which want a recent picture.
// Each field has one writer, so load and store are enough.
template <class T, class V>
void put(std::atomic<T>& field, V value) noexcept {
    field.store(static_cast<T>(value), std::memory_order_relaxed);
}
template <class T>
void add(std::atomic<T>& field, T n) noexcept {
    field.store(field.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace

struct Runner::Track {
    StageSlot* slot = nullptr;
    StageEntry* entry = nullptr;
    StageId place{};
    bool worked = false;           // since it took this place
    bool running = false;          // and is not rebuilding its state any more
    std::uint64_t generation = 0;  // of the place, as we took it
};

Runner::Runner(const Segment& segment, const RunnerOptions& options, std::vector<StageSlot> slots)
    : segment_{segment}, options_{options}, slots_{std::move(slots)}, idler_{options.idle} {
    std::vector<Parker::Sleeper> sleepers;
    for (StageSlot& slot : slots_) {
        tracks_.push_back({&slot, nullptr, slot.place(), false, false, 0});
        sleepers.push_back({slot.stage.get(), &segment.doorbell(slot.place())});
    }
    parker_ = std::make_unique<Parker>(std::move(sleepers));
}

Runner::~Runner() = default;

void Runner::adopt_role(Track& track, Nanos now) {
    track.place = track.slot->place();
    track.entry = &segment_.stage(track.place);
    track.worked = false;
    StageEntry& e = *track.entry;
    put(e.pid, ::getpid());
    put(e.start_time, process_start_time(::getpid()));
    put(e.tid, ::syscall(SYS_gettid));
    put(e.cpu, options_.cpu);
    put(e.last_exit, 0);
    add(e.generation, std::uint64_t{1});
    track.generation = e.generation.load(std::memory_order_relaxed);
    put(e.started_ns, options_.started_ns);
    put(e.first_work_ns, 0);
    put(e.heartbeat_ns, now.value);
    put(e.running_ns, 0);
    put(e.state, StageState::Recovering);
    track.running = false;
    note_running(track, now);
}

void Runner::note_running(Track& t, Nanos now) {
    if (t.running || (t.slot->recovering && t.slot->recovering())) {
        return;
    }
    t.running = true;
    const bool spare = t.slot->role && t.place == StageId::Replica;
    put(t.entry->running_ns, now.value);
    put(t.entry->state, spare ? StageState::Standby : StageState::Running);
}

/// A supervisor that marks our predecessor in this place as dead may be late by a scheduler's slice
/// and hit us, who have taken the place since.
void Runner::contradict_death(Track& t) {
    const auto state = static_cast<StageState>(t.entry->state.load(std::memory_order_relaxed));
    if (state == StageState::Dead && !draining_) {
        t.running = false;
        put(t.entry->state, StageState::Recovering);
        note_running(t, segment_.clock().now());
    }
}

void Runner::take_over(Track& t, Nanos now) {
    log_warn(std::string{stage_name(t.place)} + " takes over as " + stage_name(t.slot->place()));
    if (options_.of_role) {
        const RunnerOptions placed = options_.of_role(t.slot->place());
        options_.cpu = placed.cpu;
        options_.idle = placed.idle;
        idler_ = Idler{placed.idle};
        pin();
    }
    adopt_role(t, now);
    parker_->move_to(segment_.doorbell(t.place));
}

void Runner::pin() {
    if (std::string message; options_.cpu != kNoId && !pin_to_cpu(options_.cpu, message)) {
        log_warn(message);
        options_.cpu = kNoId;
    }
}

int Runner::step_all(Nanos now) {
    int work = 0;
    for (Track& t : tracks_) {
        const int n = t.slot->stage->step(now);
        work += n > 0 ? n : 0;
        const bool moved = t.slot->place() != t.place;
        if (moved) {
            take_over(t, now);
        }
        add(t.entry->duty_cycles, std::uint64_t{1});
        // Taking a place is no work done in it: one that dies of that has made no progress.
        if (n > 0 && !moved) {
            add(t.entry->work, static_cast<std::uint64_t>(n));
            if (!t.worked) {
                t.worked = true;
                put(t.entry->first_work_ns, segment_.clock().now().value);
            }
        } else {
            add(t.entry->idle_cycles, std::uint64_t{1});
        }
    }
    return work;
}

void Runner::keep_time(Nanos now) {
    if (now.value - kept_at_.value < kKeepTimeEvery.value) {
        return;
    }
    kept_at_ = now;
    for (Track& t : tracks_) {
        note_running(t, now);
        contradict_death(t);
        put(t.entry->heartbeat_ns, now.value);
    }
}

void Runner::idle(Nanos now) {
    if (!idler_.wait()) {
        return;
    }
    Nanos limit = seconds(1);
    for (const Track& t : tracks_) {
        limit = std::min(limit, t.slot->stage->park_limit(now));
    }
    if (limit.value > 0) {
        parker_->park(limit);
    }
}

const char* Runner::failure() const {
    for (const Track& t : tracks_) {
        if (!t.slot->stage->healthy()) {
            return t.slot->stage->failure();
        }
    }
    return nullptr;
}

/// The role's lock makes a second owner impossible as long as its file is there. This is for the
/// day that somebody removed it: the place tells the first owner that it is not the owner any more.
std::string Runner::fenced() const {
    for (const Track& t : tracks_) {
        const std::uint64_t now = t.entry->generation.load(std::memory_order_relaxed);
        if (now != t.generation) {
            return "fenced: " + std::string{stage_name(t.place)} + " generation " +
                   std::to_string(t.generation) + " was replaced by generation " +
                   std::to_string(now) + " (pid " +
                   std::to_string(t.entry->pid.load(std::memory_order_relaxed)) + ")";
        }
    }
    return "";
}

bool Runner::finish(Nanos now) {
    if (!draining_) {
        draining_ = true;
        for (const Track& t : tracks_) {
            put(t.entry->state, StageState::Draining);
        }
    }
    const bool done = std::all_of(tracks_.begin(), tracks_.end(),
                                  [](const Track& t) { return t.slot->stage->drained(); });
    if (done) {
        for (const Track& t : tracks_) {
            put(t.entry->heartbeat_ns, now.value);
            put(t.entry->state, StageState::Stopped);
        }
    }
    return done;
}

RunEnd Runner::run() {
    pin();
    for (Track& t : tracks_) {
        adopt_role(t, segment_.clock().now());
    }
    while (true) {
        const Nanos now = segment_.clock().now();
        if (std::string replaced = fenced(); !replaced.empty()) {
            return {std::move(replaced)};
        }
        // Before the step: what the last one saw may be as old as that step. A store's may have
        // ended in a commit of a second, in which those who stop before it wrote the last that
        // there is.
        const bool asked = stop_.load(std::memory_order_relaxed);
        const int work = step_all(now);
        keep_time(now);
        if (const char* reason = failure(); reason != nullptr) {
            return {reason[0] == '\0' ? "the stage cannot go on" : reason};
        }
        if (abandon_.load(std::memory_order_relaxed) || (asked && finish(now))) {
            return {};
        }
        if (work > 0) {
            idler_.worked();
        } else if (asked || !stop_.load(std::memory_order_relaxed)) {
            idle(now);
        }
    }
}

bool pin_to_cpu(std::uint32_t cpu, std::string& message) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < CPU_SETSIZE) {
        CPU_SET(cpu, &set);
    }
    if (cpu >= CPU_SETSIZE || ::sched_setaffinity(0, sizeof set, &set) != 0) {
        message = "cannot pin to cpu " + std::to_string(cpu) + ": " +
                  std::strerror(cpu >= CPU_SETSIZE ? EINVAL : errno) + "; running unpinned (" +
                  std::to_string(usable_cpus()) + " cpus may be used here)";
        return false;
    }
    return true;
}

std::uint32_t usable_cpus() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    return static_cast<std::uint32_t>(CPU_COUNT(&set));
}

IdleStrategy idle_for(const Config& config, StageId id, std::uint32_t cpus, std::string& message) {
    std::set<std::string> spinning;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        const StagePlacement& p = config.placement[i];
        if (p.idle == IdleStrategy::Spin) {
            spinning.insert(p.thread.empty() ? "#" + std::to_string(i) : p.thread);
        }
    }
    const IdleStrategy wanted = config.placed(id).idle;
    if (wanted == IdleStrategy::Spin && spinning.size() > cpus) {
        message = "placement: " + std::to_string(spinning.size()) + " threads are to spin on " +
                  std::to_string(cpus) + " cpus; they park instead";
        return IdleStrategy::Park;
    }
    return wanted;
}

}  // namespace millrace
