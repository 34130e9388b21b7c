// Which folder backups go to, so that they go nowhere else: where its disk is not mounted, a folder
// of the same name may lie below it, on the very disk that the backups are to survive.
//
//     BACKUPS/place          | "millrace backups " 32 hex digits \n |           made at the first
//     use STORE.backup-place     | that line | path of BACKUPS \n |       the note: what was seen
//     there
//
// A name in the folder itself, as device numbers change with each boot.
#pragma once

#include "core/result.h"

#include <string>

namespace millrace {

/// The note for a store's backups: beside the store; "" where they lie beside it themselves, in
/// STORE.backups, and so on its disk.
[[nodiscard]] std::string backup_note(const std::string& store, const std::string& backups);

/// Whether `backups` is the folder that `note` names. Changes nothing.
/// @param note "": any folder will do.
/// @return Ok also while there is no note of this path: nobody has used it yet; IoError: the folder
/// is not the one that was noted, or one of the two files cannot be read; `message` says which, and
/// what mends it.
[[nodiscard]] Status check_backup_place(const std::string& backups, const std::string& note,
                                        std::string& message);

/// The same; a folder that nobody has used yet is made (mode 0700), named and noted.
/// Threads, processes: any; of several at once one names it. Crash: it is named before it is noted,
/// so the next one notes the same name.
[[nodiscard]] Status claim_backup_place(const std::string& backups, const std::string& note,
                                        std::string& message);

}  // namespace millrace
