#include "bench/recovery/watch.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "tools/inspect/rings.h"

namespace millrace::bench {
namespace {

constexpr std::chrono::microseconds kLookEvery{20};

template <class T>
T get(const std::atomic<T>& cell) {
    return cell.load(std::memory_order_relaxed);  // a picture; nothing is read on its strength
}

StageState state_of(const StageEntry& entry) {
    return static_cast<StageState>(get(entry.state));
}

/// How far a producer has come, and its consumer.
struct Backlog {
    std::function<std::uint64_t()> written;
    std::function<std::uint64_t()> read;
};

template <class Slot>
Backlog ring_backlog(const Segment& segment, const char* name) {
    const auto view = segment.ring<Slot>(name);
    return {[view] {
                // Both ends may move while we look, which the producer's own look is not made for.
                const auto at = inspect::read_cursors(view);
                return at ? at.value().written : get(view.control->write_hint);
            },
            [view] { return get(view.control->read_cursor); }};
}

std::vector<Backlog> backlogs_of(const Segment& s, StageId victim) {
    const CoreCells& core = s.core();
    switch (victim) {
        case StageId::Engine:
            return {ring_backlog<SignalSlot>(s, "signals.ingress"),
                    ring_backlog<ReportSlot>(s, "reports")};
        case StageId::Broker: return {ring_backlog<OrderSlot>(s, "orders")};
        case StageId::Journal: return {ring_backlog<JournalRecord>(s, "journal")};
        case StageId::Ingress: return {ring_backlog<ResultSlot>(s, "results.ingress")};
        case StageId::Sqlite:
            return {{[&core] { return get(core.replica_applied); },
                     [&core] { return get(core.sqlite_seq); }}};
        default:
            return {{[&core] { return get(core.durable); },
                     [&core] { return get(core.replica_applied); }}};
    }
}

}  // namespace

bool works(const Segment& segment, StageId id) {
    const StageEntry& e = segment.stage(id);
    const bool up = state_of(e) == StageState::Running || state_of(e) == StageState::Standby;
    return up && get(e.first_work_ns) != 0;
}

std::uint64_t generation_of(const Segment& segment, StageId id) {
    return get(segment.stage(id).generation);
}

Recovery watch(const Segment& segment, StageId victim, std::uint64_t generation, Nanos killed) {
    Recovery r;
    const StageEntry& entry = segment.stage(victim);
    const std::vector<Backlog> backlogs = backlogs_of(segment, victim);
    std::vector<std::uint64_t> waiting;
    for (std::int64_t now = 0; !r.complete() && now <= kPatience.value;) {
        now = (segment.clock().now() - killed).value;
        const bool is_new = get(entry.generation) > generation;
        if (r.detected < 0 && (is_new || state_of(entry) == StageState::Dead)) {
            r.detected = now;
        }
        if (r.attached < 0 && is_new) {
            r.attached = now;
            for (const Backlog& b : backlogs) {
                waiting.push_back(b.written());
            }
        }
        if (r.attached >= 0) {
            // Until the new owner has cleared it, it is the dead one's, and from before the kill.
            const std::int64_t first = get(entry.first_work_ns) - killed.value;
            r.first = r.first < 0 && first > 0 ? first : r.first;
            bool drained = true;
            for (std::size_t i = 0; i < backlogs.size(); ++i) {
                drained = drained && backlogs[i].read() >= waiting[i];
            }
            r.drained = r.drained < 0 && drained ? now : r.drained;
        }
        std::this_thread::sleep_for(kLookEvery);
    }
    return r;
}

}  // namespace millrace::bench
