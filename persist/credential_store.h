// CredentialStore: where sealed credentials lie. PostgreSQL, or a SQLite file of its own.
//
// A store sees sealed bytes only. Rows change by compare-and-set on their version, so that two
// writers cannot undo each other, and each change leaves an event.
#pragma once

#include "core/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

enum class CredentialState : std::uint8_t { Active = 1, Locked = 2, Erased = 3 };
[[nodiscard]] std::string_view to_string(CredentialState state) noexcept;

struct CredentialRow {
    std::string account;
    std::string login;
    CredentialState state = CredentialState::Active;
    std::uint64_t version = 0;         // grows with each change; 0: not stored yet
    std::uint64_t sealed_version = 0;  // that the bytes are sealed for
    std::vector<std::byte> sealed;     // empty once erased
    std::string reason;                // why it is locked or erased
    std::int64_t created_ns = 0;       // wall clock
    std::int64_t changed_ns = 0;
};

enum class CredentialOpen : std::uint8_t {
    Existing,  // it must be there: who only looks must not leave an empty one where one was lost
    Create,    // made, empty, if it is not there
};

class CredentialStore {
public:
    virtual ~CredentialStore() = default;

    /// Connects, again if it was open.
    /// @return NotFound: there is none, and `how` is Existing; IoError, Timeout, BadAuth, BadMagic
    /// (tables of somebody else).
    [[nodiscard]] virtual Status open(CredentialOpen how) = 0;
    /// @return the row, or nothing if there is none; as open().
    [[nodiscard]] virtual Result<std::optional<CredentialRow>> find(const std::string& account) = 0;
    [[nodiscard]] virtual Result<std::vector<CredentialRow>> all() = 0;
    /// Stores `row`, whose version must be above `expected`, over version `expected` (0: it must
    /// not be there) and notes `event`, durably and in one transaction.
    /// @return Busy: it has another version by now; else as open().
    [[nodiscard]] virtual Status put(const CredentialRow& row, std::uint64_t expected,
                                     const std::string& event) = 0;
    /// Overwrites or gives back the space of what was replaced, as far as the store can.
    [[nodiscard]] virtual Status scrub() = 0;
    /// The last failure in the store's words. Never contains a secret.
    [[nodiscard]] virtual const std::string& message() const = 0;
};

/// A file of mode 0600.
[[nodiscard]] std::unique_ptr<CredentialStore> make_sqlite_credentials(std::string path);

struct PostgresPlace {
    std::string url;       // postgresql://USER@HOST:PORT/DATABASE?sslmode=...
    std::string password;  // in no message
};
[[nodiscard]] std::unique_ptr<CredentialStore> make_postgres_credentials(PostgresPlace place);

}  // namespace millrace
