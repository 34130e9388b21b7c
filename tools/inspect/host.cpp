#include "tools/inspect/host.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "shm/role.h"

namespace millrace::inspect {
namespace {

int resident_percent_of(const void* address, std::uint64_t bytes) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((bytes + page - 1) / page);
    if (pages.empty() || ::mincore(const_cast<void*>(address), bytes, pages.data()) != 0) {
        return -1;
    }
    const auto in = static_cast<std::uint64_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1U) != 0; }));
    return static_cast<int>(in * 100 / pages.size());
}

int numa_node_of(const void* address) {
    constexpr unsigned long kNodeOfAddress = 3;  // MPOL_F_NODE | MPOL_F_ADDR
    int node = -1;
    const long rc = ::syscall(SYS_get_mempolicy, &node, nullptr, 0UL, address, kNodeOfAddress);
    return rc == 0 ? node : -1;
}

}  // namespace

MemoryFacts memory_facts(const void* address, std::uint64_t bytes) {
    return {resident_percent_of(address, bytes), numa_node_of(address)};
}

int last_cpu(std::uint32_t pid, std::uint32_t tid) {
    std::ifstream in{"/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/stat"};
    std::string text;
    std::getline(in, text);
    // The command name is in parentheses and may hold spaces: fields count behind the last one.
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos) {
        return -1;
    }
    std::istringstream fields{text.substr(end + 1)};
    std::string field;
    for (int number = 3; number <= 39; ++number) {  // 39: processor
        if (!(fields >> field)) {
            return -1;
        }
    }
    return std::atoi(field.c_str());
}

int lock_holder(const std::string& journal_dir, const std::string& role) {
    struct stat file{};
    if (::stat((journal_dir + "/locks/" + role + ".lock").c_str(), &file) != 0) {
        return journal_dir.empty() || ::stat(journal_dir.c_str(), &file) != 0 ? -1 : 0;
    }
    std::ifstream locks{"/proc/locks"};
    if (!locks) {
        return -1;
    }
    // 1: POSIX  ADVISORY  WRITE 1234 fe:01:567890 0 EOF
    for (std::string line; std::getline(locks, line);) {
        int pid = 0;
        unsigned major_number = 0;
        unsigned minor_number = 0;
        unsigned long inode = 0;
        const int got = std::sscanf(line.c_str(), "%*d: POSIX %*s WRITE %d %x:%x:%lu", &pid,
                                    &major_number, &minor_number, &inode);
        if (got == 4 && inode == file.st_ino && major_number == major(file.st_dev) &&
            minor_number == minor(file.st_dev)) {
            return pid;
        }
    }
    return RoleLock::holder_pid(journal_dir, role) == kPidOutOfSight ? kPidOutOfSight : 0;
}

bool lives_in_another_namespace(int pid) {
    if (pid == kPidOutOfSight) {
        return true;
    }
    const auto name_of = [](const std::string& process) {
        std::error_code refused;
        return std::filesystem::read_symlink("/proc/" + process + "/ns/pid", refused);
    };
    const auto theirs = name_of(std::to_string(pid));
    return !theirs.empty() && theirs != name_of("self");
}

}  // namespace millrace::inspect
