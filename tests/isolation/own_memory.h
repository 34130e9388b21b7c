// What a process holds of its own.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace millrace::isolation {

/// A process may grow by so much over an outage: batches that wait and answers half read. What a
/// sink lacks waits in the effects log, on disk, however long it lasts.
inline constexpr std::uint64_t kGrowthKibMax = 4 * 1024;

/// Memory of process `pid` in KiB, without the segment, which is shared and has its size from the
/// start. @return 0 if there is no such process.
inline std::uint64_t own_kib(std::uint32_t pid) {
    std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
    for (std::string word; status >> word;) {
        std::uint64_t kib = 0;
        if (word == "RssAnon:" && status >> kib) {
            return kib;
        }
    }
    return 0;
}

}  // namespace millrace::isolation
