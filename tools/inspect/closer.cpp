// What a single look at the cells cannot tell: the kernel's word, and every slot.
#include <algorithm>

#include "shm/role.h"
#include "tools/inspect/host.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

/// Name of the lock of a stage's role; the core processes hold "engine" or "replica".
std::string role_of(const StageStat& s) {
    return s.name;
}

bool has_role(const StageStat& s) {
    return s.name != "supervisor" && s.name != "metrics";
}

}  // namespace

void look_closer(const Segment& segment, PipelineView& view) {
    const MemoryFacts memory = memory_facts(&segment.shared_header(), view.header.total_bytes);
    view.header.resident_percent = memory.resident_percent;
    view.header.numa_node = memory.numa_node;
    view.looked_closer = true;
    for (StageStat& s : view.stages) {
        if (s.liveness == Liveness::Alive) {
            s.cpu_now = last_cpu(s.pid, s.tid);
        }
        s.lock_pid = view.header.same_boot && has_role(s)
                         ? lock_holder(view.header.journal_dir, role_of(s))
                         : -1;
        if (s.lock_pid == kPidOutOfSight) {
            s.lock_pid = -1;  // somebody does, and has no pid here
        }
    }
    const Nanos now = segment.clock().now();
    for (std::size_t i = 0; i < view.rings.size(); ++i) {
        RingStat& r = view.rings[i];
        if (r.unused) {
            continue;
        }
        r.slots = count_slots(segment, static_cast<std::uint32_t>(i));
        r.slots_known = true;
        const bool dated = view.header.same_boot && r.slots.oldest_ns > 0;
        r.oldest_age_ns = dated ? std::max<std::int64_t>(0, now.value - r.slots.oldest_ns) : -1;
    }
}

}  // namespace millrace::inspect
