// What the kernel knows about a segment and its stages. Nothing is opened that somebody locks.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::inspect {

struct MemoryFacts {
    int resident_percent = -1;  // pages in memory; -1 = not known
    int numa_node = -1;         // of the first page; -1 = not known (or no permission to ask)
};
/// @param address of a mapping of this process, `bytes` long.
[[nodiscard]] MemoryFacts memory_facts(const void* address, std::uint64_t bytes);

/// Whether `pid` is a process of another pid namespace than this one's. false if it cannot be told.
[[nodiscard]] bool lives_in_another_namespace(int pid);

/// The CPU that a thread ran on last; -1 if there is no such thread.
[[nodiscard]] int last_cpu(std::uint32_t pid, std::uint32_t tid);

/// The pid that holds role `role`'s lock in `journal_dir`, as /proc/locks has it; 0 = nobody, -1 =
/// not known, kPidOutOfSight = a process that has no pid here. /proc/locks leaves that one out, so
/// the kernel is asked by the file where the list names nobody. (Not before: to close a file drops
/// this very process's locks on it, and if it held one, the list would say so.)
[[nodiscard]] int lock_holder(const std::string& journal_dir, const std::string& role);

}  // namespace millrace::inspect
