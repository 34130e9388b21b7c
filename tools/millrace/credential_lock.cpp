#include "tools/millrace/credential_lock.h"

#include "tools/millrace/credential_desk.h"

namespace millrace {
namespace {

/// @return NotFound: it has none, here or in a backup; else why it is not locked.
Status lock_disabled(CredentialDesk& desk, const HeldCredentials& held, const std::string& account,
                     const std::string& why, std::string& message) {
    const Status locked = desk.vault->lock(account, why);
    message = desk.vault->message();
    if (locked.code() != Errc::NotFound || !held.contains(account)) {
        return locked;
    }
    const auto row = desk.store->find(account);
    if (row && row.value()) {
        return locked;  // erased
    }
    message = account + " is not in the store, but in " + held.at(account) +
              ": it would come back unlocked; `millrace credential restore` first";
    return {Errc::BadVersion, "credential"};
}

/// Locked by this call, or by one whose backup failed.
bool needs_backup(CredentialDesk& desk, const std::string& account) {
    const auto row = desk.store->find(account);
    return !row || !row.value() || row.value()->changed_ns >= desk.backups->newest_ns();
}

}  // namespace

bool lock_credentials(const Config& config, const std::vector<std::string>& accounts,
                      const std::string& why, std::string& message) {
    if (!config.credentials.enabled) {
        return true;
    }
    CredentialDesk desk;
    if (!open_desk(config, desk, message)) {
        return false;
    }
    const HeldCredentials held = desk.backups->held();
    bool any = false;
    std::string failed;
    for (const std::string& account : accounts) {  // one that fails keeps no other from its lock
        const Status locked = lock_disabled(desk, held, account, why, message);
        any = any || (locked.ok() && needs_backup(desk, account));
        failed += locked.ok() || locked.code() == Errc::NotFound ? "" : message + "; ";
    }
    if (any && !desk.backups->make()) {
        failed += "locked, but not backed up: " + desk.backups->message() + "; ";
    }
    message = failed.substr(0, failed.size() - (failed.empty() ? 0 : 2));
    return failed.empty();
}

bool unlock_credentials(const Config& config, const std::vector<std::string>& accounts,
                        std::vector<std::string>& unlocked, std::string& message) {
    CredentialDesk desk;
    if (!config.credentials.enabled) {
        return true;
    }
    if (!open_desk(config, desk, message)) {
        return desk.no_store;  // nothing that could be locked
    }
    std::string failed;
    for (const std::string& account : accounts) {
        const auto row = desk.store->find(account);
        if (!row) {
            failed += desk.store->message() + "; ";
            continue;
        }
        const bool ours =
            row.value() && row.value()->state == CredentialState::Locked &&
            (row.value()->reason == kLockedDisabled || row.value()->reason == kLockedByBroker);
        if (!ours) {
            continue;
        }
        if (desk.vault->unlock(account)) {
            unlocked.push_back(account);
        } else {
            failed += desk.vault->message() + "; ";
        }
    }
    if (!unlocked.empty() && !desk.backups->make()) {
        failed += "unlocked, but not backed up: " + desk.backups->message() + "; ";
    }
    message = failed.substr(0, failed.size() - (failed.empty() ? 0 : 2));
    return failed.empty();
}

}  // namespace millrace
