// CredentialVault: what may be done with the credentials of broker accounts.
//
//     ACTIVE --lock--> LOCKED --unlock--> ACTIVE      ACTIVE, LOCKED --erase--> ERASED --add-->
//     ACTIVE
//
// LOCKED is what an account gets that the broker disabled: unusable, but still sealed, because a
// flag may have been misread. Erasing is a command of its own, and cannot be undone here.
#pragma once

#include "persist/credential_secret.h"
#include "persist/credential_store.h"

#include <string>
#include <vector>

namespace millrace {

class CredentialVault {
public:
    /// Both outlive it. The store is open.
    CredentialVault(CredentialStore& store, const CredentialKey& key) noexcept
        : store_{store}, key_{key} {}

    /// @return Busy: the account has credentials (rotate them); as CredentialStore::put().
    [[nodiscard]] Status add(const std::string& account, const std::string& login,
                             const Secret& secret);
    /// Puts another secret in the place of the one there; a LOCKED account stays locked.
    /// @return NotFound: there is none, or it was erased.
    [[nodiscard]] Status rotate(const std::string& account, const Secret& secret);
    /// Locking what is locked changes nothing and is no failure.
    [[nodiscard]] Status lock(const std::string& account, const std::string& why);
    [[nodiscard]] Status unlock(const std::string& account);
    /// Takes the sealed bytes out of the store for good. Backups keep theirs.
    [[nodiscard]] Status erase(const std::string& account, const std::string& why);

    /// The secret. @return NotFound; NotOwner: LOCKED; BadVersion, BadAuth: as CredentialKey.
    [[nodiscard]] Result<Secret> open(const std::string& account);
    [[nodiscard]] Result<std::vector<CredentialRow>> list();

    /// Why the last call failed. Never contains a secret.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    [[nodiscard]] Result<CredentialRow> row(const std::string& account);
    [[nodiscard]] Status change(CredentialRow row, const std::string& event);
    [[nodiscard]] Status seal_into(CredentialRow& row, const Secret& secret);
    [[nodiscard]] Status failed(Errc code, const std::string& what);

    CredentialStore& store_;
    const CredentialKey& key_;
    std::string message_;
};

}  // namespace millrace
