// How a database file becomes a backup file and back: LZ4 frames, hashes of both sides. Internal to
// sqlite_backup.cpp.
#pragma once

#include "persist/sqlite_backup.h"
#include "persist/sqlite_db.h"

namespace millrace {

/// Packs `from` into the new file `to`, completes `header` (sizes and hashes) and flushes.
/// @return NoSpace, IoError; Timeout: given up.
[[nodiscard]] Status pack_file(const std::string& from, const std::string& to, BackupHeader& header,
                               const SqliteBackupOptions& options);

/// Unpacks the backup `from` into the new file `to` and flushes that. What is read comes from the
/// disk, not from what is left of its writing in memory.
/// @return BadChecksum: not the bytes that were packed; NoSpace, IoError.
[[nodiscard]] Status unpack_file(const std::string& from, const std::string& to,
                                 const BackupHeader& header, const SqliteBackupOptions& options);

/// SQLite's full integrity check of `path`, and that its cursor is the header's. Its tables are
/// what they were when it was made (make_sqlite_backup()): the checksums of the backup say so.
[[nodiscard]] Status check_restored(const std::string& path, const BackupHeader& header,
                                    const SqliteBackupOptions& options);

}  // namespace millrace
