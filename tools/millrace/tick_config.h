// The object "ticks" of a configuration: where terminals stream their ticks, where they are kept.
// Read apart from Config: only millrace-ticks and those who start and ask it want this.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

struct TickConsumerConfig {
    std::string name;
    std::vector<std::byte> key;
};
struct TickConfig {
    bool enabled = false;  // there is such an object
    Endpoint listen{"127.0.0.1", 7403};
    std::uint32_t symbols_max = 1024;  // rows of the latest-tick table
    bool record = true;
    std::string dir;            // of the record; "" in the file = <journal dir>/ticks
    std::uint32_t keep_h = 26;  // at least so many hours stay
    bool distribute = false;    // there is such an object
    Endpoint distribution{"127.0.0.1", 7404};  // TCP, and the source of the UDP packets
    std::vector<TickConsumerConfig> consumers;
};

/// Reads the document's "ticks", for the mistakes in it. @param folder that paths in it are
/// relative to.
void check_tick_keys(ObjectReader& document, const std::string& folder);
/// "ticks" of a configuration that was read without a mistake.
[[nodiscard]] TickConfig ticks_of(const Config& config);

/// Folder of millrace-ticks' own files: its pid file (pid_file.h).
[[nodiscard]] inline std::string ticks_folder(const std::string& journal_dir) {
    return journal_dir + "/ticks";
}

}  // namespace millrace
