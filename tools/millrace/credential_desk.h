// What everything that touches broker credentials opens first: key, store, vault and backups, as
// the configuration says.
#pragma once

#include "persist/credential_backup.h"
#include "persist/credential_vault.h"
#include "tools/millrace/config.h"

#include <memory>
#include <string>

namespace millrace {

struct CredentialDesk {
    bool no_store = false;  // there is none; the rest is usable, `store` can be made by its open()
    std::unique_ptr<CredentialKey> key;
    std::unique_ptr<CredentialStore> store;
    std::unique_ptr<CredentialVault> vault;
    std::unique_ptr<CredentialBackups> backups;
};

/// Where the key lies: a file, or a systemd credential.
[[nodiscard]] std::string credential_key_path(const CredentialConfig& credentials);

/// Store and folder of the backups, with what the configuration leaves out filled in.
[[nodiscard]] CredentialBackupOptions credential_backup_options(const Config& config);

/// Opens all of it. A store that is not there is not made: an empty one in the place of one that
/// was lost would look like the truth.
/// @return false and why in `message`, without a secret; with `desk.no_store` set if it is that.
[[nodiscard]] bool open_desk(const Config& config, CredentialDesk& desk, std::string& message);
/// The key and the backups only: for looking at them without touching the store.
[[nodiscard]] bool open_backups(const Config& config, CredentialDesk& desk, std::string& message);

}  // namespace millrace
