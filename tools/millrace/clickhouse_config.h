// The "clickhouse" object of the configuration.
#pragma once

#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>

namespace millrace {

struct ClickHouseConfig {
    bool enabled = false;  // true once the object is there, unless it says false
    std::string url;       // http://HOST:PORT or https://HOST:PORT
    std::string user;
    std::string password;  // from password_file
    std::string ca_file;
    std::string database;  // empty = millrace_<name>
    bool compress = true;
    std::uint32_t timeout_ms = 10'000;
    std::uint32_t batch_ms = 500;
    std::uint32_t batch_rows = 50;
    std::uint32_t batch_rows_max = 20'000;
    std::uint32_t verify_s = 3600;
};

/// Reads the object. @param folder that paths in it are relative to.
/// @param there the configuration has it; without it ClickHouse is off and nothing is amiss.
void read_clickhouse(ObjectReader& o, const std::string& folder, bool there, ClickHouseConfig& c);

}  // namespace millrace
