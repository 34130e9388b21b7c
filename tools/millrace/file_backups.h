// The copies of configuration and preferences, by hand: `millrace backup` makes them too, and
// `millrace restore --from FILE.backup-<n>` puts one back. A running pipeline makes them by itself
// (config_backup.h, preference_keeper.h).
#pragma once

#include "tools/millrace/config.h"

#include <string>

namespace millrace {

/// Copies the configuration file and the preferences beside it, each if it has changed since its
/// newest copy and has no mistake, and prints what copies there are.
/// @param config of that file, read without a mistake.
/// @param dry_run says what would be copied, and copies nothing.
/// @return exit status; what is wrong stands on standard error.
[[nodiscard]] int back_up_files(const Config& config, bool dry_run);

/// Whether `from` is by its name a copy of `config_file` or of the preferences beside it.
[[nodiscard]] bool is_file_backup(const std::string& config_file, const std::string& from);

/// Puts the copy `from` in the place of its file, once it was found valid; the file as it is, be it
/// broken, is kept as another copy. A pipeline that runs goes by a configuration at its next start,
/// and by preferences within a second.
/// @param dry_run checks and says what would be done, and changes nothing.
/// @return exit status: kExitBadConfig if the copy has mistakes, each of which is told.
/// Crash: the file is the old or the new one, whole.
[[nodiscard]] int restore_file(const std::string& config_file, const std::string& from,
                               bool dry_run);

}  // namespace millrace
