// Copies of the configuration file: what a start falls back to when somebody has broken the file,
// or a crash has cut it short. A running pipeline keeps the text that it was started with, and each
// valid edit within five minutes.
//
//     FILE.backup-<n>   beside it, so that relative paths in it mean the same; n counts up
//
// Not the same as checked_config_path(): that is what the running pipeline goes by, one text in the
// journal directory, replaced at each `up`, so that a stage that is restarted while an operator
// edits reads what its neighbours read. These are what the next `up` may go back to, hours or
// versions later, and must outlive the text that replaced them.
#pragma once

#include "tools/millrace/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

inline constexpr std::size_t kConfigBackups = 5;

/// Backups of `file`, oldest first, by name alone.
[[nodiscard]] std::vector<std::string> list_config_backups(const std::string& file);

/// Copies the text that a pipeline was started with beside its file, if it differs from the newest
/// backup; keeps kConfigBackups. A file that is itself a backup is left alone: a pipeline that runs
/// from it needs it.
/// @return the new backup's path, empty if none was due. `message`: why one that was due could not
/// be made; empty if all is well.
/// Crash: a backup is there whole or not at all.
[[nodiscard]] std::string back_up_config(const Config& started, std::string& message);

/// The same of any file's text, which the caller found valid: numbered copies beside `file`.
/// @param keep a text whose newest copy stays, however many newer ones there are.
[[nodiscard]] std::string back_up_text(const std::string& file, const std::string& text,
                                       std::string& message, const std::string& keep = {});

/// Copies the file as it is now, if that differs from the newest backup and has no mistake. What a
/// pipeline was started with stays among the copies: a journal may refuse what nobody has started.
/// @param broken gets what is wrong with the file; empty if a start would take it.
/// @return as back_up_config().
[[nodiscard]] std::string back_up_edited_config(const Config& started, std::string& message,
                                                std::string& broken);

/// As read_config(); but where that finds mistakes, and a backup has none, the newest such backup.
/// @param mistakes of `file`, also if a backup stands in for it.
/// @param notice empty, or that a backup stands in and which: to be told loudly.
/// @return a configuration that may be used if there are no mistakes, or there is a notice.
[[nodiscard]] Config read_config_or_backup(const std::string& file, std::vector<Mistake>& mistakes,
                                           std::string& notice);

}  // namespace millrace
