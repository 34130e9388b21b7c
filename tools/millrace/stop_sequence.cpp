#include "tools/millrace/stop_sequence.h"

#include <poll.h>

#include <algorithm>

#include "tools/millrace/log.h"

namespace millrace {
namespace {

constexpr StageId kStopOrder[] = {StageId::Ingress, StageId::Rtss,    StageId::Engine,
                                  StageId::Broker,  StageId::Journal, StageId::Replica,
                                  StageId::Sqlite,  StageId::Redis};

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
    if (!worker.is_core() || worker.stages().size() > 1 || worker.stages()[0].name[0] != 'c') {
        return std::any_of(worker.stages().begin(), worker.stages().end(),
                           [place](const StageName& s) { return s.id == place; });
    }
    // core-0 and core-1: the table says which is which.
    const auto pid = segment.stage(place).pid.load(std::memory_order_relaxed);
    return static_cast<int>(pid) == worker.process().pid;
}

bool stop_worker(Worker& worker) {
    worker.ask_to_stop();
    bool clean = wait_end(worker, kStopBound);
    if (!clean) {
        log_error(worker.name() + ": not drained within " +
                  std::to_string(kStopBound.value / 1'000'000'000) +
                  " s: killed. What it had not handed on stays in the segment");
        worker.kill();
        (void)wait_end(worker, kStopBound);
    }
    const WorkerEnd end = worker.reap();
    log_info(worker.name() + ": " + end.text);
    return clean && end.status == 0;
}

bool journal_complete(const Segment& segment) {
    const CoreCells& core = segment.core();
    // Acquire: pairs with the journal stage's release of `durable`.
    const std::uint64_t durable = core.durable.load(std::memory_order_acquire);
    const std::uint64_t journalled = core.journal_seq.load(std::memory_order_relaxed);
    if (durable < journalled) {
        log_error("records " + std::to_string(durable + 1) + " to " + std::to_string(journalled) +
                  " are not on disk; they are in the segment");
    }
    return durable >= journalled;
}

}  // namespace

bool stop_in_order(Segment& segment, std::vector<Worker*> workers) {
    // Relaxed: a request; each stage is told by a signal besides.
    segment.core().stop_requested.store(1, std::memory_order_relaxed);
    bool clean = true;
    for (const StageId place : kStopOrder) {
        for (Worker* worker : workers) {
            if (worker->running() && is_at(segment, *worker, place)) {
                clean = stop_worker(*worker) && clean;
            }
        }
    }
    for (Worker* worker : workers) {  // a core that had not taken a place yet
        if (worker->running()) {
            clean = stop_worker(*worker) && clean;
        }
    }
    return journal_complete(segment) && clean;
}

}  // namespace millrace
