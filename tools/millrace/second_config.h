// "journal.second_directory" of a configuration, and how long its disks may take to answer. Read
// apart from Config, as terminals are: one stage and the start want this.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>

namespace millrace {

/// Where the journal goes on when the disk of journal.dir fails (persist/second_directory.h).
struct SecondDirectoryConfig {
    std::string path;                // absolute; "" = none
    std::uint32_t answer_ms = 3000;  // a write may take so long
};

/// Reads its keys of the object "journal", for the mistakes in them.
/// @param file of the configuration, beside which relative paths are.
/// @param dir journal.dir, absolute: the second one may not lie in it or hold it.
void read_second_directory(ObjectReader& journal, const std::string& file, const std::string& dir,
                           SecondDirectoryConfig& out);

/// That of a configuration that was read without a mistake.
[[nodiscard]] SecondDirectoryConfig configured_second(const Config& config);

}  // namespace millrace
