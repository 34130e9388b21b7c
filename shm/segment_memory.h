// Where a segment's memory comes from: reserved, on huge pages, on one NUMA node, locked.
// Internal to shm/, except MemoryPlan.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace {

/// How much a quality of memory is wanted.
enum class MemoryWish : std::uint8_t {
    Off,      // not even tried
    Try,      // if the host gives it; what was refused is said
    Require,  // refused = no segment
};

struct MemoryPlan {
    MemoryWish huge_pages = MemoryWish::Try;
    MemoryWish lock = MemoryWish::Try;
    std::uint32_t numa_node = kNoId;  // kNoId = wherever the kernel likes
};

/// What was had.
struct MemoryFacts {
    std::uint64_t huge_bytes = 0;
    std::uint32_t numa_node = kNoId;
    bool locked = false;
};

/// Page size of the file system that `path` lies (or would lie) on.
[[nodiscard]] std::uint32_t page_bytes_at(const std::string& path) noexcept;

/// Gives the file `fd`, mapped shared and writable at `base`, all its memory: after this no access
/// to it can fail. Every page is there and in this process's page table.
/// @param bytes length of file and mapping.
/// @param notes gets a sentence for each wish of MemoryWish::Try that was refused.
/// @return NoSpace: names file, bytes needed and available, and the mend. Unsupported, NoSpace:
/// a required quality was refused. BadInput: there is no such NUMA node.
[[nodiscard]] Result<MemoryFacts> furnish(int fd, const std::string& path, std::byte* base,
                                          std::uint64_t bytes, const MemoryPlan& plan,
                                          std::string& notes);

/// Enters every page of a writable mapping into this process's page table, so that none faults
/// later. Changes no byte. Where the kernel has no MADV_POPULATE_WRITE (before 5.14) it reads a
/// byte of each page instead.
void populate(std::byte* base, std::uint64_t bytes) noexcept;

/// mlock. @return NoSpace if RLIMIT_MEMLOCK is too small; `message` names limit, need and mend.
[[nodiscard]] Status lock_pages(const std::byte* base, std::uint64_t bytes, std::string& message);

/// "segment PATH needs ... available ...; mend": for a file system that gives no more.
[[nodiscard]] std::string no_space_text(const std::string& path, std::uint64_t bytes, int error);

}  // namespace millrace
