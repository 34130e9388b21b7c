// The files around a store: a database is up to three of them, and a rebuilt one takes the old
// one's place by renames.
#pragma once

#include "core/result.h"

#include <string>

namespace millrace {

/// True if there is a file at `path`.
[[nodiscard]] bool sqlite_file_exists(const std::string& path) noexcept;

/// Removes `path` with its write-ahead log and index. Missing files are fine.
[[nodiscard]] Status sqlite_remove(const std::string& path) noexcept;

/// Puts the closed and checkpointed `fresh` in the place of `path`, whose files, if there are any,
/// are kept as path.stale-<n>.
/// @param kept the name it was kept under; empty if there was none.
/// Crash: `fresh` still exists until its rename, the last step; calling again finishes the job.
[[nodiscard]] Status sqlite_replace(const std::string& path, const std::string& fresh,
                                    std::string& kept) noexcept;

/// What is added to a store's name while it is made anew, and, before that, while the backup it is
/// made of is unpacked.
inline constexpr const char* kRebuildSuffix = ".rebuild";
inline constexpr const char* kRestoringSuffix = ".rebuild.restoring";

/// Removes what a rebuild of the store `path` has come to: the next start does not go on with it.
[[nodiscard]] Status remove_sqlite_rebuild(const std::string& path) noexcept;

}  // namespace millrace
