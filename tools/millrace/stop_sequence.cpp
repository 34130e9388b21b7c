#include "tools/millrace/stop_sequence.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "shm/role.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/log.h"

namespace millrace {
namespace {

constexpr StageId kStopOrder[] = {StageId::Ingress, StageId::Rtss,    StageId::Engine,
                                  StageId::Broker,  StageId::Journal, StageId::Replica,
                                  StageId::Sqlite,  StageId::Redis,   StageId::ClickHouse};

bool wait_end(const Worker& worker, Nanos limit) {
    pollfd p{worker.end_fd(), POLLIN, 0};
    const std::int64_t deadline = monotonic_ns() + limit.value;
    int n = 0;
    do {
        const std::int64_t left = std::max<std::int64_t>(deadline - monotonic_ns(), 0);
        n = ::poll(&p, 1, static_cast<int>(left / 1'000'000));
    } while (n < 0 && monotonic_ns() < deadline);
    return n > 0;
}

bool is_at(const Segment& segment, const Worker& worker, StageId place) {
    // As threads the two cannot change places, and to ask for a role of one's own process gives it
    // away (RoleLock).
    const bool may_change = worker.is_core() && worker.stages().size() == 1 &&
                            worker.process().pid != static_cast<int>(::getpid());
    if (!may_change) {
        return std::any_of(worker.stages().begin(), worker.stages().end(),
                           [place](const StageName& s) { return s.id == place; });
    }
    if (place == StageId::Replica) {
        return true;  // the engine's turn is over: a spare, also one that has taken no place yet
    }
    if (place != StageId::Engine) {
        return false;
    }
    // The table says which core is the engine; and the kernel, of one that has taken the role and
    // is not through with its recovery. To end the journal before it would leave what it begins
    // with on no disk.
    const int pid = worker.process().pid;
    return static_cast<int>(segment.stage(place).pid.load(std::memory_order_relaxed)) == pid ||
           RoleLock::holder_pid(segment.header().journal_dir, "engine") == pid;
}

/// True if whoever is `process` has told the stage table, in each of its places, that it stopped.
bool says_stopped(const Segment& segment, const ProcessId& process) {
    bool found = false;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        // Relaxed: it has ended, and its end was waited for through the kernel.
        const StageEntry& e = segment.stage(static_cast<StageId>(i));
        if (static_cast<int>(e.pid.load(std::memory_order_relaxed)) != process.pid ||
            e.start_time.load(std::memory_order_relaxed) != process.start_time) {
            continue;
        }
        found = true;
        // A spare that took over has left its old place as it was.
        const bool left = i == static_cast<std::uint32_t>(StageId::Replica) &&
                          segment.stage(StageId::Engine).pid.load(std::memory_order_relaxed) ==
                              e.pid.load(std::memory_order_relaxed);
        const auto state = static_cast<StageState>(e.state.load(std::memory_order_relaxed));
        if (state != StageState::Stopped && !left) {
            return false;
        }
    }
    return found;
}

std::string in_ms(Nanos time) {
    return std::to_string(time.value / 1'000'000) + " ms";
}

/// @param bounds shortened once a disk of the log is seen not to answer.
/// @return the directories that do not, ", " between them.
std::string look_at_disks(const StopDisks& disks, StopBounds& bounds) {
    const std::string log = disks.silent(disks.log, kProbeMax);
    const std::string stores = disks.silent(disks.stores, kProbeMax);
    if (!log.empty()) {
        bounds.drain = std::min(bounds.drain, bounds.beside_dead_disk);
    }
    return log + (log.empty() || stores.empty() ? "" : ", ") + stores;
}

/// @param bounds see look_at_disks(). @return what was not clean about it; empty = nothing.
std::string stop_worker(const Segment& segment, Worker& worker, StopBounds& bounds,
                        const StopDisks& disks) {
    worker.ask_to_stop();
    const ProcessId process = worker.process();
    const bool by_itself = wait_end(worker, bounds.drain);
    if (!by_itself) {
        worker.kill();
        if (!wait_end(worker, bounds.end)) {
            const Nanos drain = bounds.drain;
            const std::string silent = look_at_disks(disks, bounds);
            // Not reaped: that would wait for as long as its disk does not answer.
            return worker.name() + " (pid " + std::to_string(process.pid) +
                   ") had not drained within " + in_ms(drain) + ", was killed and is still there " +
                   in_ms(bounds.end) +
                   " later: it waits in the kernel, as for a disk, and ends when that answers" +
                   (silent.empty() ? "" : "; no answer from " + silent);
        }
    }
    const WorkerEnd end = worker.reap();
    log_info(worker.name() + ": " + end.text);
    if (!by_itself) {
        return worker.name() + " had not drained within " + in_ms(bounds.drain) + " and was killed";
    }
    if (end.known && end.status != 0) {
        return worker.name() + " did not drain: " + end.text;
    }
    if (!end.known && !says_stopped(segment, process)) {
        return worker.name() + " ended without having drained";
    }
    return "";
}

/// @return what of the log is not on disk; empty = nothing.
std::string missing_in_journal(const Segment& segment) {
    const CoreCells& core = segment.core();
    // Acquire: pairs with the journal stage's release of `durable`.
    const std::uint64_t durable = core.durable.load(std::memory_order_acquire);
    const std::uint64_t journalled = core.journal_seq.load(std::memory_order_relaxed);
    if (durable >= journalled) {
        return "";
    }
    return "records " + std::to_string(durable + 1) + " to " + std::to_string(journalled) +
           " are not on disk, only in the segment";
}

/// @return what an engine has left half done that nobody took over from; empty = nothing.
std::string left_in_flight(const Segment& segment) {
    const Sequence seq = record_in_flight(segment);
    return seq == Sequence{} ? ""
                             : "record " + std::to_string(seq.value) +
                                   " is journalled and no engine has finished it: what follows "
                                   "from it stays in the segment";
}

}  // namespace

std::vector<std::string> stop_in_order(Segment& segment, const std::vector<Worker*>& workers,
                                       const StopBounds& bounds, const StopDisks& disks) {
    std::vector<std::string> unclean;
    StopBounds left = bounds;
    const auto note = [&unclean](std::string what) {
        if (!what.empty()) {
            log_error("not clean: " + what);
            unclean.push_back(std::move(what));
        }
    };
    // Relaxed: a request; each stage is told by a signal besides.
    segment.core().stop_requested.store(1, std::memory_order_relaxed);
    for (const Worker* worker : workers) {
        if (!worker->running()) {
            note(worker->name() + " did not run: what waits for it stays in the segment");
        }
    }
    std::vector<const Worker*> asked;  // one that cannot be ended still runs: not once more
    const auto stop = [&](Worker& worker) {
        if (worker.running() && std::find(asked.begin(), asked.end(), &worker) == asked.end()) {
            asked.push_back(&worker);
            note(stop_worker(segment, worker, left, disks));
        }
    };
    for (const StageId place : kStopOrder) {
        for (Worker* worker : workers) {
            if (worker->running() && is_at(segment, *worker, place)) {
                stop(*worker);
            }
        }
    }
    for (Worker* worker : workers) {  // a core that had not taken a place yet
        stop(*worker);
    }
    note(missing_in_journal(segment));
    note(left_in_flight(segment));
    return unclean;
}

}  // namespace millrace
