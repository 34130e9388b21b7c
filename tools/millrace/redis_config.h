// The "redis" object of the configuration.
#pragma once

#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

struct RedisConfig {
    bool enabled = false;                // true once the object is there, unless it says false
    std::vector<std::string> servers;    // HOST:PORT; without Sentinel
    std::vector<std::string> sentinels;  // HOST:PORT
    std::string primary = "mymaster";    // name of the primary in the Sentinels' configuration
    std::string user;
    std::string password;           // from password_file
    std::string sentinel_password;  // from sentinel_password_file
    std::string prefix;             // of every key; empty = millrace:<name>:
    std::uint32_t batch_ms = 20;
    std::uint32_t batch_rows = 1000;
    std::uint32_t audit_s = 300;
    std::uint32_t results_keep_s = 3600;
};

/// Reads the object. @param folder that paths in it are relative to.
/// @param there the configuration has it; without it Redis is off and nothing is amiss.
void read_redis(ObjectReader& o, const std::string& folder, bool there, RedisConfig& r);

/// Reads the first line of the file that `key` names (mode 0600). A password never stands in the
/// configuration itself, which is copied into backups and logs.
void read_password(ObjectReader& o, const char* key, const std::string& folder, std::string& out);

/// Host and port of "HOST:PORT". @return false if it is not that.
[[nodiscard]] bool parse_host_port(const std::string& text, std::string& host, std::uint16_t& port);

}  // namespace millrace
