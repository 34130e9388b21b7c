// Chaos: kills each stage once with SIGKILL while everything works, and measures how it comes back.
#pragma once

#include "tools/demo_run/outages.h"
#include "tools/demo_run/pipeline.h"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace millrace::demo {

/// One kill and what followed, in ns after the kill; -1 = did not happen while we watched.
struct Kill {
    std::string stage;
    int pid = 0;
    Nanos at;                       // segment clock
    std::int64_t noticed_ns = -1;   // its death was known, or somebody else had its role
    std::int64_t running_ns = -1;   // the role is filled again and runs
    std::int64_t first_ns = -1;     // first new message went through it
    std::int64_t all_back_ns = -1;  // every session is up and every account trades
};

/// What is killed, in this order: the stages as processes; with threads, the one process they live
/// in. The supervisor and the broker last, and those two the demo itself starts again.
[[nodiscard]] std::vector<std::string> chaos_targets(bool threads);

/// Those of chaos_targets() that are not among `kills`, in that order.
[[nodiscard]] std::vector<std::string> not_killed(const std::vector<Kill>& kills, bool threads);

/// Outages by these kills. Of the store's sink, the replica and the supervisor none: whoever trades
/// must not feel that they are gone, so their kills excuse nothing.
[[nodiscard]] Outages outages_of(const std::vector<Kill>& kills);

/// Session generations by account: a session that was replaced has a higher one.
using Generations = std::map<std::uint32_t, std::uint64_t>;

/// One thread of its own, which looks at the segment every 100 us after a kill. It has the
/// pipeline's processes while it runs.
class Chaos {
public:
    /// Spreads the kills over `run`, the first after an eighth of it.
    Chaos(Pipeline& pipeline, Nanos run);
    ~Chaos();
    Chaos(const Chaos&) = delete;
    Chaos& operator=(const Chaos&) = delete;

    void start();
    /// Waits until the kill at work has been measured; later ones are not done any more.
    void finish();
    /// Threads: any. Every kill has been done and measured.
    [[nodiscard]] bool over() const noexcept { return over_.load(std::memory_order_relaxed); }

    /// Threads: any.
    [[nodiscard]] std::vector<Kill> kills() const;
    /// Why a process could not be started again; empty = none.
    [[nodiscard]] std::string failure() const;

private:
    void run();
    [[nodiscard]] bool sleep_until(Nanos when) const;
    void kill_one(const std::string& target);
    void watch_stage(Kill& kill, StageId id);
    void watch_supervisor(Kill& kill);
    void watch_broker(Kill& kill, const Generations& sessions);
    void wait_all_back(Kill& kill, const Generations& before);
    void publish(const Kill& kill);
    void fail(const std::string& why);

    Pipeline& pipeline_;
    Nanos run_;
    std::vector<std::string> targets_;
    std::thread thread_;
    std::atomic<bool> stop_{false};  // relaxed: only noticed
    std::atomic<bool> over_{false};  // relaxed: as that
    mutable std::mutex mutex_;       // of the two below
    std::vector<Kill> kills_;
    std::string failure_;
};

}  // namespace millrace::demo
