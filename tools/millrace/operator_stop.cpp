// Operator commands that end things: `down` and `recover --skip`.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tools/millrace/backlog.h"
#include "tools/millrace/executors.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/log.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/startup.h"
#include "tools/millrace/stop_sequence.h"

namespace millrace {
namespace {

constexpr Nanos kSupervisorStops = seconds(120);  // nine stages, each with its bounds
constexpr Nanos kLastWordToEnd = seconds(3);

int not_clean(const std::string& where) {
    std::fprintf(stderr, "millrace: stopped, not clean: %s\n", where.c_str());
    return kExitNotClean;
}

/// What the supervisor left in the error log since `since`.
void print_reasons(const Segment& segment, std::int64_t since) {
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment.error(i);
        if (e.last_ns.load(std::memory_order_relaxed) >= since &&
            std::string_view{e.stage, ::strnlen(e.stage, sizeof e.stage)} == "supervisor") {
            std::fprintf(stderr, "  %.*s\n", static_cast<int>(::strnlen(e.text, sizeof e.text)),
                         e.text);
        }
    }
}

/// How the supervisor, which has ended, left the pipeline. It is no child of ours: it leaves word
/// in the segment, which we still have in memory when it has removed the file.
int how_it_stopped(const Segment& segment, std::int64_t since, const std::string& path) {
    const StageEntry& e = segment.stage(StageId::Supervisor);
    // Acquire: pairs with the supervisor's release of its last word.
    const auto state = static_cast<StageState>(e.state.load(std::memory_order_acquire));
    if (state != StageState::Stopped) {
        return not_clean("the supervisor died before it had stopped everything; " + path +
                         " is kept; `millrace down` again stops the rest");
    }
    if (e.last_exit.load(std::memory_order_relaxed) != 0) {
        print_reasons(segment, since);
        return not_clean(path + " is kept, the next `millrace up` goes on from it");
    }
    std::printf("stopped clean\n");
    return kExitOk;
}

/// Waits for its end, or for its last word if a disk that does not answer keeps it from ending.
/// @param segment nullptr if it cannot be attached to. @return false if neither came.
bool supervisor_is_through(const ProcessWatch& watch, const Segment* segment) {
    const std::int64_t deadline = monotonic_ns() + kSupervisorStops.value;
    while (monotonic_ns() < deadline) {
        if (watch.wait_dead(millis(200))) {
            return true;
        }
        // Acquire: pairs with the supervisor's release of its last word.
        const bool said =
            segment != nullptr &&
            segment->stage(StageId::Supervisor).state.load(std::memory_order_acquire) ==
                static_cast<std::uint32_t>(StageState::Stopped);
        if (said && !watch.wait_dead(kLastWordToEnd)) {
            std::printf(
                "its process (pid %d) is still there: it waits in the kernel, as for a "
                "disk, and ends when that answers\n",
                watch.id().pid);
        }
        if (said) {
            return true;
        }
    }
    return false;
}

/// @param segment nullptr if it cannot be attached to.
int ask_supervisor(int pid, const Segment* segment, const std::string& path) {
    if (pid == kPidOutOfSight) {
        return complain("the supervisor is in another pid namespace: stop it from there");
    }
    auto watch = ProcessWatch::open({pid, process_start_time(pid)});
    if (!watch) {
        return complain("supervisor pid " + std::to_string(pid) + ": " + watch.error().what);
    }
    std::printf("asking supervisor (pid %d) to drain and stop\n", pid);
    std::fflush(stdout);
    const std::int64_t asked = segment == nullptr ? 0 : segment->clock().now().value;
    watch.value().send(SIGTERM);
    if (!supervisor_is_through(watch.value(), segment)) {
        return complain("supervisor has not ended within 120 s; see its log");
    }
    return segment == nullptr
               ? not_clean("there was no segment to see in how the stages ended; see the log")
               : how_it_stopped(*segment, asked, path);
}

ProcessId process_of(const StageEntry& e) noexcept {
    return {static_cast<int>(e.pid.load(std::memory_order_relaxed)),
            e.start_time.load(std::memory_order_relaxed)};
}

/// Without a supervisor: the stages are adopted here and stopped in the same order.
class Adopted {
public:
    explicit Adopted(const Segment& segment) {
        for (std::uint32_t i = 0; i < kStages; ++i) {
            const auto id = static_cast<StageId>(i);
            if (id != StageId::Supervisor) {
                adopt(segment, id);
            }
        }
    }
    [[nodiscard]] const std::vector<Worker*>& workers() const noexcept { return workers_; }
    [[nodiscard]] const std::vector<std::string>& dead() const noexcept { return dead_; }

private:
    void adopt(const Segment& segment, StageId id) {
        const StageEntry& e = segment.stage(id);
        const auto state = static_cast<StageState>(e.state.load(std::memory_order_relaxed));
        const ProcessId process = process_of(e);
        // A spare that became the engine has left its old place behind: nobody fills that.
        const bool taken = std::any_of(workers_.begin(), workers_.end(),
                                       [&](const Worker* w) { return w->process() == process; });
        auto worker = std::make_unique<ProcessWorker>(std::vector<StageName>{{stage_name(id), id}},
                                                      "", "", "");
        if (!taken && process.alive() && worker->adopt(process)) {
            workers_.push_back(worker.get());
            owned_.push_back(std::move(worker));
        } else if (state != StageState::Empty && state != StageState::Stopped) {
            dead_.push_back(std::string{stage_name(id)} + " did not run");
        }
    }

    std::vector<std::unique_ptr<ProcessWorker>> owned_;
    std::vector<Worker*> workers_;
    std::vector<std::string> dead_;
};

enum class LeftBehind : std::uint8_t { None, Ended, Remain };

/// After the stages, as `millrace up` does it: FIX executors log out, terminals end.
LeftBehind end_executors(const std::string& journal_dir) {
    auto outcome = LeftBehind::None;
    for (const Executors::Left& left : Executors::end_left(journal_dir)) {
        if (left.ended) {
            std::printf("%s ended\n", left.who.c_str());
        } else {
            log_error("not clean: " + left.who + " does not die; is its disk stuck?");
        }
        const bool remain = !left.ended || outcome == LeftBehind::Remain;
        outcome = remain ? LeftBehind::Remain : LeftBehind::Ended;
    }
    return outcome;
}

int stop_stages(Segment& segment, const std::string& path) {
    const Adopted adopted{segment};
    std::printf("no supervisor; stopping %zu stages\n", adopted.workers().size());
    std::fflush(stdout);
    for (const std::string& what : adopted.dead()) {
        log_error("not clean: " + what);
    }
    const std::string journal_dir = segment.header().journal_dir;
    StopDisks disks;
    disks.log.push_back(journal_dir);  // where else they write stands in a file there
    const bool stages = stop_in_order(segment, adopted.workers(), {}, disks).empty();
    const bool executors = end_executors(journal_dir) != LeftBehind::Remain;
    if (!stages || !executors || !adopted.dead().empty()) {
        return not_clean(path + " is kept, the next `millrace up` goes on from it");
    }
    ::unlink(path.c_str());
    std::printf("stopped clean; removed %s\n", path.c_str());
    return kExitOk;
}

/// The segment is lost: nothing can be handed on any more, only ended. The journal has the rest.
int end_orphans(const std::string& journal_dir) {
    for (const char* role : {"ingress", "rtss", "engine", "broker", "journal", "replica", "sqlite",
                             "redis", "clickhouse", "engine"}) {
        const int pid = RoleLock::holder_pid(journal_dir, role);
        if (pid == kPidOutOfSight) {
            return complain(std::string{role} + " is in another pid namespace: end it from there");
        }
        auto watch = ProcessWatch::open({pid, process_start_time(pid)});
        if (pid == 0 || !watch || RoleLock::holder_pid(journal_dir, role) != pid) {
            continue;  // the number may have changed hands before it was held
        }
        std::printf("%s (pid %d) has no segment any more: killed\n", role, pid);
        watch.value().send(SIGKILL);
        if (!watch.value().wait_dead(kStopBound)) {
            return complain(std::string{role} + " does not die; is its disk stuck?");
        }
    }
    (void)end_executors(journal_dir);
    return not_clean("the segment is gone; `millrace up` recovers from the journal");
}

/// What the skipped record would have changed is unknown: with their sessions gone, all accounts
/// start in RECONCILING. The supervisor starts the stage again.
void restart_broker(const Segment& segment) {
    const ProcessId process = process_of(segment.stage(StageId::Broker));
    auto watch = ProcessWatch::open(process);
    if (process.alive() && watch) {
        watch.value().send(SIGKILL);
        (void)watch.value().wait_dead(kStopBound);
        std::printf("broker stage (pid %d) restarts: every account reconciles\n", process.pid);
    }
}

/// A dry run of `down`. @param supervisor 0 = there is none.
int say_stop(const Segment* segment, const std::string& journal_dir, int supervisor) {
    const std::string living = living_roles(journal_dir);
    if (supervisor == 0 && living.empty()) {
        return complain("nothing runs on " + journal_dir);
    }
    std::uint64_t orders = 0;
    for (std::uint32_t i = 0; segment != nullptr && i < segment->sessions(); ++i) {
        // Relaxed: for a person.
        orders += segment->session(AccountId{i}).live_orders.load(std::memory_order_relaxed);
    }
    const std::string how =
        supervisor != 0 ? "would ask supervisor (pid " + std::to_string(supervisor) + ") to drain"
        : segment != nullptr ? "there is no supervisor: would drain"
                             : "the segment is gone: would kill";
    std::printf("%s%s: %s\n", how.c_str(), segment != nullptr ? " and stop" : "", living.c_str());
    std::printf("%llu live orders stay at their brokers; nothing was stopped\n",
                static_cast<unsigned long long>(orders));
    return kExitOk;
}

}  // namespace

int stop_pipeline(const Target& target) {
    std::string message;
    auto segment = attach_target(target, message);
    std::string journal_dir;
    if (segment) {
        journal_dir = segment.value().header().journal_dir;
    } else if (!target.config.empty()) {
        std::string mistake;
        const auto config = config_that_locates(target.config, mistake);
        journal_dir = config ? config.value().journal.dir : "";
    }
    if (journal_dir.empty()) {
        return complain(message);
    }
    const int holder = RoleLock::holder_pid(journal_dir, "supervisor");
    // A disk that is shut down lets nobody read the lock: then the table tells.
    const ProcessId listed =
        segment ? process_of(segment.value().stage(StageId::Supervisor)) : ProcessId{};
    const int pid = holder == 0 && listed.alive() ? listed.pid : holder;
    if (target.dry_run) {
        return say_stop(segment ? &segment.value() : nullptr, journal_dir, pid);
    }
    if (pid != 0) {
        const auto path = locate_segment(target, message);
        return ask_supervisor(pid, segment ? &segment.value() : nullptr,
                              path ? path.value() : std::string{});
    }
    if (segment) {
        return stop_stages(segment.value(), locate_segment(target, message).value());
    }
    const bool none = living_roles(journal_dir).empty();
    if (none && end_executors(journal_dir) == LeftBehind::None) {
        return complain("nothing runs: " + message);
    }
    return end_orphans(journal_dir);
}

int recover_skip(const Target& target, std::uint64_t seq) {
    std::string message;
    auto segment = attach_target(target, message);
    if (!segment) {
        return complain(message);
    }
    StageEntry& engine = segment.value().stage(StageId::Engine);
    const auto halted = static_cast<std::uint32_t>(StageState::Halted);
    const std::uint64_t at = record_in_flight(segment.value()).value;
    if (engine.state.load(std::memory_order_relaxed) != halted || seq != at || at == 0) {
        return complain("the engine is not halted at record " + std::to_string(seq) +
                        "; only the record that halts it may be skipped (" +
                        (at == 0 ? std::string{"now: none"} : "now: " + std::to_string(at)) + ")");
    }
    const std::string path = std::string{segment.value().header().journal_dir} + "/skip";
    std::string text;
    if (std::ifstream in{path}; in) {
        text.assign(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
    }
    if (target.dry_run) {
        std::printf(
            "record %lu would be skipped, by %s; the broker stage (pid %d) would be started again, "
            "so that every account reconciles, and then the engine; nothing was changed\n",
            static_cast<unsigned long>(seq), path.c_str(),
            process_of(segment.value().stage(StageId::Broker)).pid);
        return kExitOk;
    }
    if (!replace_file(path, text + std::to_string(seq) + "\n", 0600, message)) {
        return complain(message);
    }
    restart_broker(segment.value());
    // Release: pairs with the supervisor's look; the file is in place before the halt is lifted.
    engine.state.store(static_cast<std::uint32_t>(StageState::Dead), std::memory_order_release);
    std::printf("record %lu is skipped; the engine starts again\n",
                static_cast<unsigned long>(seq));
    return kExitOk;
}

}  // namespace millrace
