// Operator commands that end things: `down` and `recover --skip`.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

#include "tools/millrace/backlog.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/log.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/startup.h"
#include "tools/millrace/stop_sequence.h"

namespace millrace {
namespace {

constexpr Nanos kSupervisorStops = seconds(90);  // seven stages, each with its bound

int complain(const std::string& text) {
    std::fprintf(stderr, "millrace: %s\n", text.c_str());
    return kExitError;
}

int ask_supervisor(int pid) {
    auto watch = ProcessWatch::open({pid, process_start_time(pid)});
    if (!watch) {
        return complain("supervisor pid " + std::to_string(pid) + ": " + watch.error().what);
    }
    std::printf("asking supervisor (pid %d) to drain and stop\n", pid);
    watch.value().send(SIGTERM);
    if (!watch.value().wait_dead(kSupervisorStops)) {
        return complain("supervisor has not ended within 90 s; see its log");
    }
    std::printf("stopped\n");
    return kExitOk;
}

/// Without a supervisor: the stages are adopted here and stopped in the same order.
int stop_stages(Segment& segment, const std::string& path) {
    std::vector<std::unique_ptr<ProcessWorker>> adopted;
    std::vector<Worker*> workers;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        const auto id = static_cast<StageId>(i);
        const StageEntry& e = segment.stage(id);
        const ProcessId process{static_cast<int>(e.pid.load(std::memory_order_relaxed)),
                                e.start_time.load(std::memory_order_relaxed)};
        auto worker =
            std::make_unique<ProcessWorker>(std::vector<StageName>{{stage_name(id), id}}, "", "");
        if (id != StageId::Supervisor && process.alive() && worker->adopt(process)) {
            workers.push_back(worker.get());
            adopted.push_back(std::move(worker));
        }
    }
    std::printf("no supervisor; stopping %zu stages\n", workers.size());
    if (!stop_in_order(segment, workers)) {
        std::printf("stopped, not clean: %s is kept\n", path.c_str());
        return kExitOk;
    }
    ::unlink(path.c_str());
    std::printf("stopped clean; removed %s\n", path.c_str());
    return kExitOk;
}

/// The segment is lost: nothing can be handed on any more, only ended. The journal has the rest.
int end_orphans(const std::string& journal_dir) {
    for (const char* role : {"ingress", "rtss", "engine", "broker", "journal", "replica", "sqlite",
                             "redis", "engine"}) {
        const int pid = RoleLock::holder_pid(journal_dir, role);
        auto watch = ProcessWatch::open({pid, process_start_time(pid)});
        if (pid == 0 || !watch) {
            continue;
        }
        std::printf("%s (pid %d) has no segment any more: killed\n", role, pid);
        watch.value().send(SIGKILL);
        if (!watch.value().wait_dead(kStopBound)) {
            return complain(std::string{role} + " does not die; is its disk stuck?");
        }
    }
    std::printf("stopped; `millrace up` recovers from the journal\n");
    return kExitOk;
}

/// What the skipped record would have changed is unknown: with their sessions gone, all accounts
/// start in RECONCILING. The supervisor starts the stage again.
void restart_broker(const Segment& segment) {
    const StageEntry& e = segment.stage(StageId::Broker);
    const ProcessId process{static_cast<int>(e.pid.load(std::memory_order_relaxed)),
                            e.start_time.load(std::memory_order_relaxed)};
    auto watch = ProcessWatch::open(process);
    if (process.alive() && watch) {
        watch.value().send(SIGKILL);
        (void)watch.value().wait_dead(kStopBound);
        std::printf("broker stage (pid %d) restarts: every account reconciles\n", process.pid);
    }
}

}  // namespace

int stop_pipeline(const Target& target) {
    std::string message;
    auto segment = attach_target(target, message);
    std::string journal_dir;
    if (segment) {
        journal_dir = segment.value().header().journal_dir;
    } else if (!target.config.empty()) {
        std::vector<Mistake> mistakes;
        journal_dir = read_config(target.config, mistakes).journal.dir;
    }
    if (journal_dir.empty()) {
        return complain(message);
    }
    if (const int pid = RoleLock::holder_pid(journal_dir, "supervisor"); pid != 0) {
        return ask_supervisor(pid);
    }
    if (segment) {
        return stop_stages(segment.value(), locate_segment(target, message).value());
    }
    if (living_roles(journal_dir).empty()) {
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
