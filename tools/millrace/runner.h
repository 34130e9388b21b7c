// Runner: gives stages a thread. Pins it, calls their duty cycles, idles as configured and keeps
// their entries of the stage table up to date.
#pragma once

#include "shm/idle.h"
#include "shm/role.h"
#include "shm/segment.h"
#include "shm/stage.h"
#include "tools/millrace/config.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// A stage as the runner holds it.
struct StageSlot {
    RoleLock lock{};  // given up after the stage is gone
    std::unique_ptr<Stage> stage{};
    StageId id{};                     // its place in the stage table and its doorbell
    std::function<StageId()> role{};  // if the place can change while it runs (the hot spare, which
                                      // then has its thread to itself)
    std::function<bool()> recovering{};         // true while its state is being rebuilt
    std::function<bool()> owns_engine{};        // of a core: true if it has the engine's role
    std::function<std::string()> last_words{};  // after the last step, for the log; "" = none

    [[nodiscard]] StageId place() const { return role ? role() : id; }
};

struct RunnerOptions {
    std::uint32_t cpu = kNoId;  // kNoId = not pinned
    IdleStrategy idle = IdleStrategy::Park;
    std::int64_t started_ns = 0;  // segment clock: when this process was executed
    /// Placement of a role that is taken over; empty: cpu and idle stay as they are.
    std::function<RunnerOptions(StageId)> of_role{};
};

/// How a run ended: by request (reason empty) or because a stage could not go on.
struct RunEnd {
    std::string reason;
    [[nodiscard]] bool failed() const noexcept { return !reason.empty(); }
};

class Runner {
public:
    Runner(const Segment& segment, const RunnerOptions& options, std::vector<StageSlot> slots);
    ~Runner();

    /// Runs the stages on the calling thread until stop was requested and all have drained (by a
    /// step that began after the request), or one of them is no longer healthy. Sets their state to
    /// Running or Standby, then Draining, then Stopped (left as it is after a failure: the
    /// supervisor marks the death).
    /// Before each duty cycle it looks whether the stage's entry still has the generation that it
    /// gave it: one that was paused and wakes after its place was taken ends instead of working.
    RunEnd run();

    /// Threads and signal handlers: any. The stages drain and run() returns.
    void request_stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
    /// Threads and signal handlers: any. run() returns after the current duty cycle, undrained.
    void abandon() noexcept { abandon_.store(true, std::memory_order_relaxed); }

private:
    struct Track;  // one stage's counters

    int step_all(Nanos now);
    void keep_time(Nanos now);
    void adopt_role(Track& track, Nanos now);
    void take_over(Track& track, Nanos now);
    void note_running(Track& track, Nanos now);
    void contradict_death(Track& track);
    void pin();
    void idle(Nanos now);
    [[nodiscard]] bool finish(Nanos now);
    [[nodiscard]] const char* failure() const;
    [[nodiscard]] std::string fenced() const;

    const Segment& segment_;
    RunnerOptions options_;
    std::vector<StageSlot> slots_;
    std::vector<Track> tracks_;
    std::unique_ptr<class Parker> parker_;
    // Relaxed, both: a request orders nothing, it is only noticed.
    std::atomic<bool> stop_{false};
    std::atomic<bool> abandon_{false};
    Idler idler_;
    Nanos kept_at_;
    bool draining_ = false;
};

/// Pins the calling thread. @return false with `message` naming cpu and reason if refused.
bool pin_to_cpu(std::uint32_t cpu, std::string& message);

/// CPUs that this process may use.
[[nodiscard]] std::uint32_t usable_cpus() noexcept;

/// The idle strategy that a stage really gets: with more spinning threads than CPUs all of them
/// park. @param message then says so.
[[nodiscard]] IdleStrategy idle_for(const Config& config, StageId id, std::uint32_t cpus,
                                    std::string& message);

}  // namespace millrace
