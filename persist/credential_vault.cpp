#include "persist/credential_vault.h"

#include "shm/clock.h"

namespace millrace {
namespace {

SealedFor owner_of(const CredentialRow& row) {
    return {row.account, row.login, row.sealed_version};
}

}  // namespace

Status CredentialVault::failed(Errc code, const std::string& what) {
    message_ = what;
    return {code, "credential"};
}

Result<CredentialRow> CredentialVault::row(const std::string& account) {
    auto found = store_.find(account);
    if (!found) {
        return failed(found.code(), store_.message()).error();
    }
    if (!found.value() || found.value()->state == CredentialState::Erased) {
        return failed(Errc::NotFound, account + " has no credentials").error();
    }
    return std::move(*found.value());
}

Status CredentialVault::change(CredentialRow row, const std::string& event) {
    const std::uint64_t expected = row.version++;
    row.changed_ns = wall_ns();
    if (auto stored = store_.put(row, expected, event); !stored) {
        return failed(stored.code(), row.account + ": " + store_.message());
    }
    return ok_status();
}

Status CredentialVault::seal_into(CredentialRow& row, const Secret& secret) {
    if (secret.empty() || secret.bytes().size() > kSecretBytesMax) {
        return failed(Errc::BadInput, "a secret has 1 to 4096 bytes");
    }
    row.sealed_version = row.version + 1;
    row.sealed = key_.seal(secret, owner_of(row));
    return ok_status();
}

Status CredentialVault::add(const std::string& account, const std::string& login,
                            const Secret& secret) {
    auto found = store_.find(account);
    if (!found) {
        return failed(found.code(), store_.message());
    }
    const bool erased = found.value() && found.value()->state == CredentialState::Erased;
    if (found.value() && !erased) {
        return failed(Errc::Busy, account + " has credentials already; rotate or erase them");
    }
    CredentialRow made = erased ? *found.value() : CredentialRow{};
    made.account = account;
    made.login = login;
    made.state = CredentialState::Active;
    made.reason.clear();
    made.created_ns = wall_ns();
    const Status sealed = seal_into(made, secret);
    return sealed ? change(std::move(made), "added") : sealed;
}

Status CredentialVault::rotate(const std::string& account, const Secret& secret) {
    auto found = row(account);
    if (!found) {
        return found.error();
    }
    const Status sealed = seal_into(found.value(), secret);
    return sealed ? change(std::move(found).value(), "rotated") : sealed;
}

Status CredentialVault::lock(const std::string& account, const std::string& why) {
    auto found = row(account);
    if (!found) {
        return found.error();
    }
    if (found.value().state == CredentialState::Locked) {
        return ok_status();  // the first reason is the one to keep
    }
    found.value().state = CredentialState::Locked;
    found.value().reason = why;
    return change(std::move(found).value(), "locked: " + why);
}

Status CredentialVault::unlock(const std::string& account) {
    auto found = row(account);
    if (!found) {
        return found.error();
    }
    if (found.value().state == CredentialState::Active) {
        return ok_status();
    }
    found.value().state = CredentialState::Active;
    found.value().reason.clear();
    return change(std::move(found).value(), "unlocked");
}

Status CredentialVault::erase(const std::string& account, const std::string& why) {
    auto found = row(account);
    if (!found) {
        return found.error();
    }
    found.value().state = CredentialState::Erased;
    found.value().sealed.clear();
    found.value().reason = why;
    if (auto done = change(std::move(found).value(), "erased: " + why); !done) {
        return done;
    }
    if (auto done = store_.scrub(); !done) {
        return failed(done.code(),
                      "erased, but the space was not overwritten: " + store_.message());
    }
    return ok_status();
}

Result<Secret> CredentialVault::open(const std::string& account) {
    auto found = row(account);
    if (!found) {
        return found.error();
    }
    if (found.value().state == CredentialState::Locked) {
        return failed(Errc::NotOwner, account + " is LOCKED: " + found.value().reason).error();
    }
    auto secret = key_.open(found.value().sealed, owner_of(found.value()));
    if (!secret) {
        return failed(secret.code(), account + ": " + secret.error().what).error();
    }
    return secret;
}

Result<std::vector<CredentialRow>> CredentialVault::list() {
    auto rows = store_.all();
    if (!rows) {
        return failed(rows.code(), store_.message()).error();
    }
    return rows;
}

}  // namespace millrace
