#include "shm/segment_memory.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace millrace {
namespace {

constexpr std::uint32_t kSmallPage = 4096;
constexpr std::uint64_t kHugePage = 2U << 20U;
constexpr std::uint32_t kNodesMax = 1024;
constexpr long kHugetlbfsMagic = 0x958458F6;
// Newer than Debian 12's headers know, or only just.
constexpr int kMadvPopulateWrite = 23;
constexpr int kMadvCollapse = 25;

Error fail(std::string& message, std::string text, Errc code, int sys_errno = 0) {
    message = std::move(text);
    return {code, sys_errno, "segment"};
}

std::string kib(std::uint64_t bytes) {
    return std::to_string(bytes >> 10U) + " KiB";
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string first_line(const std::string& file) {
    std::ifstream in{file};
    std::string line;
    std::getline(in, line);
    return line;
}

/// Bytes of our mapping at `base` that one page-table entry of 2 MiB or more stands for.
std::uint64_t huge_bytes_of(const std::byte* base) {
    std::ifstream in{"/proc/self/smaps"};
    const auto address = reinterpret_cast<std::uintptr_t>(base);
    bool ours = false;
    std::uint64_t kernel_page_kib = 0;
    std::uint64_t size_kib = 0;
    std::uint64_t huge_kib = 0;
    for (std::string line; std::getline(in, line);) {
        std::uintptr_t from = 0;
        std::uintptr_t to = 0;
        if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
            if (ours) {
                break;
            }
            ours = from == address;
        } else if (ours) {
            std::sscanf(line.c_str(), "Size: %" SCNu64, &size_kib);
            std::sscanf(line.c_str(), "KernelPageSize: %" SCNu64, &kernel_page_kib);
            std::sscanf(line.c_str(), "ShmemPmdMapped: %" SCNu64, &huge_kib);
        }
    }
    return (kernel_page_kib > 4 ? size_kib : huge_kib) << 10U;
}

/// True if the file system says that it has less than that. (hugetlbfs says nothing useful.)
bool lacks(const std::string& path, std::uint64_t bytes) {
    struct statfs fs{};
    return ::statfs(parent_of(path).c_str(), &fs) == 0 && fs.f_type != kHugetlbfsMagic &&
           static_cast<std::uint64_t>(fs.f_bavail) < bytes / static_cast<std::uint64_t>(fs.f_bsize);
}

std::uint64_t whole_huge_pages(const std::byte* base, std::uint64_t bytes) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(base);
    const std::uint64_t begin = (address + kHugePage - 1) / kHugePage;
    const std::uint64_t end = (address + bytes) / kHugePage;
    return end > begin ? (end - begin) * kHugePage : 0;
}

/// Binds the file's pages to `node`, before the first of them is there.
Status bind_to_node(std::byte* base, std::uint64_t bytes, std::uint32_t node,
                    std::string& message) {
    const std::string online = first_line("/sys/devices/system/node/online");
    const std::string folder = "/sys/devices/system/node/node" + std::to_string(node);
    if (node >= kNodesMax || ::access(folder.c_str(), F_OK) != 0) {
        return fail(message,
                    "memory.numa_node is " + std::to_string(node) + "; this host has node(s) " +
                        (online.empty() ? "0" : online),
                    Errc::BadInput);
    }
    unsigned long mask[kNodesMax / (8 * sizeof(unsigned long))] = {};
    mask[node / (8 * sizeof(unsigned long))] |= 1UL << (node % (8 * sizeof(unsigned long)));
    // Preferred, not bound: a full node under MPOL_BIND wakes the OOM killer. node_of() checks.
    if (::syscall(SYS_mbind, base, bytes, MPOL_PREFERRED, mask, kNodesMax + 1, 0) != 0) {
        return fail(
            message,
            "the kernel refuses NUMA node " + std::to_string(node) + ": " + std::strerror(errno),
            Errc::Unsupported, errno);
    }
    return ok_status();
}

/// Bytes of the mapping that do not lie on `node`, of up to 4,096 pages looked at.
std::uint64_t pages_off_node(const std::byte* base, std::uint64_t bytes, std::uint32_t node) {
    const std::uint64_t pages = bytes / kSmallPage;
    const std::uint64_t stride = pages / 4096 + 1;
    std::uint64_t off = 0;
    for (std::uint64_t i = 0; i < pages; i += stride) {
        int at = -1;
        if (::syscall(SYS_get_mempolicy, &at, nullptr, 0, base + i * kSmallPage,
                      MPOL_F_NODE | MPOL_F_ADDR) != 0 ||
            at != static_cast<int>(node)) {
            ++off;
        }
    }
    return off;
}

/// A refused wish: an error if it was required, else a note.
Status refused(MemoryWish wish, Errc code, std::string text, std::string& notes) {
    if (wish == MemoryWish::Require) {
        return fail(notes, std::move(text), code);
    }
    notes += (notes.empty() ? "" : "; ") + text;
    return ok_status();
}

std::string no_huge_text(const std::string& path, std::uint64_t got, std::uint64_t wanted) {
    return "segment " + path + " has " + kib(got) + " of " + kib(wanted) +
           " on huge pages; allow them with `mount -o remount,huge=advise /dev/shm`, or reserve "
           "some (sysctl vm.nr_hugepages) and set \"memory.hugetlbfs\"";
}

Status place_huge(const std::string& path, std::byte* base, std::uint64_t bytes, MemoryWish wish,
                  MemoryFacts& facts, std::string& notes) {
    facts.huge_bytes = huge_bytes_of(base);
    const std::uint64_t wanted = whole_huge_pages(base, bytes);
    if (wish == MemoryWish::Off || facts.huge_bytes >= wanted) {
        return ok_status();
    }
    // The pages came as small ones; the kernel (6.1) may put them together now.
    if (::madvise(base, bytes, kMadvCollapse) == 0) {
        populate(base, bytes);
        facts.huge_bytes = huge_bytes_of(base);
    }
    if (facts.huge_bytes >= wanted) {
        return ok_status();
    }
    return refused(wish, Errc::Unsupported, no_huge_text(path, facts.huge_bytes, wanted), notes);
}

Status place_locked(const std::byte* base, std::uint64_t bytes, MemoryWish wish, MemoryFacts& facts,
                    std::string& notes) {
    if (wish == MemoryWish::Off) {
        return ok_status();
    }
    std::string why;
    const Status locked = lock_pages(base, bytes, why);
    facts.locked = locked.ok();
    return facts.locked ? ok_status() : refused(wish, locked.code(), std::move(why), notes);
}

}  // namespace

std::uint32_t page_bytes_at(const std::string& path) noexcept {
    struct statfs fs{};
    const bool huge = ::statfs(parent_of(path).c_str(), &fs) == 0 && fs.f_type == kHugetlbfsMagic;
    return huge ? static_cast<std::uint32_t>(fs.f_bsize) : kSmallPage;
}

std::string no_space_text(const std::string& path, std::uint64_t bytes, int error) {
    const std::string dir = parent_of(path);
    struct statfs fs{};
    const bool known = ::statfs(dir.c_str(), &fs) == 0;
    const std::uint64_t available =
        known ? static_cast<std::uint64_t>(fs.f_bavail) * static_cast<std::uint64_t>(fs.f_bsize)
              : 0;
    const bool huge = known && fs.f_type == kHugetlbfsMagic;
    const std::string mend =
        huge ? "reserve more huge pages (sysctl vm.nr_hugepages) or unset \"memory.hugetlbfs\""
             : "make it larger (mount -o remount,size=... " + dir +
                   "; docker run --shm-size) or lower \"rings\" and \"accounts_max\"";
    return "segment " + path + " needs " + kib(bytes) + " and " + dir + " has " +
           (known ? kib(available) : "an unknown number of bytes") +
           " available: " + std::strerror(error) + "; " + mend;
}

Status lock_pages(const std::byte* base, std::uint64_t bytes, std::string& message) {
    if (::mlock(base, bytes) == 0) {
        return ok_status();
    }
    const int why = errno;
    rlimit limit{};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    return fail(message,
                "cannot lock " + kib(bytes) + " of the segment in memory: " + std::strerror(why) +
                    "; RLIMIT_MEMLOCK is " +
                    (limit.rlim_cur == RLIM_INFINITY ? "unlimited" : kib(limit.rlim_cur)) +
                    ": raise it (LimitMEMLOCK=infinity, ulimit -l) or set "
                    "\"memory.lock\" to \"off\"",
                Errc::NoSpace, why);
}

void populate(std::byte* base, std::uint64_t bytes) noexcept {
    if (::madvise(base, bytes, kMadvPopulateWrite) == 0) {
        return;
    }
    for (std::uint64_t at = 0; at < bytes; at += kSmallPage) {
        (void)*static_cast<volatile std::byte*>(base + at);
    }
}

Result<MemoryFacts> furnish(int fd, const std::string& path, std::byte* base, std::uint64_t bytes,
                            const MemoryPlan& plan, std::string& notes) {
    notes.clear();
    MemoryFacts facts;
    if (lacks(path, bytes)) {
        return fail(notes, no_space_text(path, bytes, ENOSPC), Errc::NoSpace, ENOSPC);
    }
    if (plan.numa_node != kNoId) {
        if (auto bound = bind_to_node(base, bytes, plan.numa_node, notes); !bound) {
            return bound.error();
        }
    }
    if (plan.huge_pages != MemoryWish::Off) {
        // Huge pages come by fault where the mount says "advise", and by fallocate only where it
        // says "always". Unlike a touch, this call fails instead of raising SIGBUS.
        ::madvise(base, bytes, MADV_HUGEPAGE);
        ::madvise(base, bytes, kMadvPopulateWrite);
    }
    if (const int rc = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)); rc != 0) {
        return fail(notes, no_space_text(path, bytes, rc), Errc::NoSpace, rc);
    }
    populate(base, bytes);
    if (auto huge = place_huge(path, base, bytes, plan.huge_pages, facts, notes); !huge) {
        return huge.error();
    }
    if (auto locked = place_locked(base, bytes, plan.lock, facts, notes); !locked) {
        return locked.error();
    }
    if (plan.numa_node != kNoId) {
        facts.numa_node = plan.numa_node;
        if (const auto off = pages_off_node(base, bytes, plan.numa_node); off != 0) {
            notes += (notes.empty() ? "" : "; ") + std::string{"NUMA node "} +
                     std::to_string(plan.numa_node) + " is full: of the pages looked at " +
                     std::to_string(off) + " lie elsewhere";
        }
    }
    return facts;
}

}  // namespace millrace
