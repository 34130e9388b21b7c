// The "credentials" object of the configuration.
#pragma once

#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>

namespace millrace {

struct CredentialConfig {
    bool enabled = false;  // true once the object is there
    bool postgres = false;
    std::uint32_t lock_after_s = 300;  // a broker's refusal lasts so long; 0 = it locks nothing
    std::string path;                  // SQLite; empty = credentials.db in journal.dir
    std::string key_file;              // or, if empty:
    std::string key_credential;        // name of a systemd credential
    std::string postgres_url;          // without a password
    std::string postgres_password;     // from postgres_password_file
    std::string backup_dir;            // empty = credential-backups in journal.dir
    std::uint32_t backups_keep = 30;
};

/// Reads the object. @param folder that paths in it are relative to.
/// @param there the configuration has it; without it nothing is amiss.
void read_credentials(ObjectReader& o, const std::string& folder, bool there, CredentialConfig& c);

}  // namespace millrace
