// Credentials of a backup put back into a store: row by row, each by compare-and-set.
//
// Not the dump over the store: what was locked, rotated or erased since the backup would come
// undone without a word. Here each row is compared first, and one that the store has in a later
// state stops everything until it is forced.
#pragma once

#include "persist/credential_store.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// What a row of the backup meets in the store.
enum class RestoreMeets : std::uint8_t {
    Same,     // nothing to do
    Nothing,  // the store has no such account
    Earlier,  // the store's is older
    Later,    // the store's was changed after the backup, or is another one: needs force
};
[[nodiscard]] std::string_view to_string(RestoreMeets meets) noexcept;

struct RestoreRow {
    CredentialRow row;  // as it is to stand in the store
    RestoreMeets meets = RestoreMeets::Nothing;
    std::uint64_t stored_version = 0;  // what it is written over; 0: there is none
};

/// Compares `rows`, those of a backup, with `stored`, all that the store has. Accounts that only
/// the store has are not in the plan: they stay as they are.
[[nodiscard]] std::vector<RestoreRow> plan_restore(const std::vector<CredentialRow>& stored,
                                                   const std::vector<CredentialRow>& rows);

/// Writes what is not Same, leaves `event` for each, both dated now, and reads all of it back.
/// @param force also over what is Later. Without it such a row is BadVersion and nothing is
/// written.
/// @return Busy: a row was changed meanwhile; BadChecksum: what is read back is not what was
/// written; else as CredentialStore::put().
/// Crash: rows are whole or not there; the same again goes on.
[[nodiscard]] Status restore_rows(CredentialStore& store, const std::vector<RestoreRow>& plan,
                                  const std::string& event, bool force);

}  // namespace millrace
