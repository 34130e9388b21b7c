// What the supervisor remembers of each worker. For supervisor*.cpp only.
#pragma once

#include "tools/millrace/supervisor.h"

#include <algorithm>

namespace millrace {

/// Reads a cell of the stage table. Relaxed: a recent picture is enough everywhere here.
template <class T>
[[nodiscard]] T get(const std::atomic<T>& cell) noexcept {
    return cell.load(std::memory_order_relaxed);
}

[[nodiscard]] inline StageState state_of(const StageEntry& e) noexcept {
    return static_cast<StageState>(get(e.state));
}

[[nodiscard]] inline bool writes_journal(const Worker& worker) {
    const auto& stages = worker.stages();
    return std::any_of(stages.begin(), stages.end(),
                       [](const StageName& s) { return s.id == StageId::Journal; });
}

/// Where a worker was last seen and whether it had done any work there since it took that place.
/// Its entry in the stage table says the same until another one takes the place: the hot spare does
/// so within milliseconds, often before the supervisor has noticed the death.
struct LastSeen {
    bool placed = false;  // it has taken a place
    StageId place{};      // a core: Engine or Replica, the one that it took last
    bool worked = false;
};

/// A worker and its history.
struct Supervisor::Kept {
    Kept(std::unique_ptr<Worker> u, const RestartConfig& restart)
        : worker{std::move(u)}, policy{restart} {}

    std::unique_ptr<Worker> worker;
    RestartPolicy policy;
    LastSeen seen;                   // of the process that runs, or ran last
    std::int64_t restart_at_ns = 0;  // not running: when to start it
    std::int64_t died_ns = 0;        // last death; 0 = its recovery has been reported
    std::uint64_t work = 0;          // progress when last looked at
    std::int64_t moved_ns = 0;       // when that changed
    std::int64_t disk_ns = 0;        // when it was last seen waiting for a disk; 0 = not since
    bool reported_still = false;     // that it does not move
    bool reported_waiting = false;   // and that work waits for it
    bool killed_by_us = false;
    bool killed_as_spare = false;  // and the engine was alive then: it cannot have taken over
};

}  // namespace millrace
