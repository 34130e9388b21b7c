// What `millrace up` makes of "journal.second_directory" before it reads the log: the configuration
// and the two directories must say the same (persist/second_directory.h).
#pragma once

#include "tools/millrace/config.h"

#include <string>

namespace millrace {

/// Makes a second directory that is new, pairs it with a log that has begun (the journal stage
/// pairs one that has not), parts one that is configured no more and holds nothing. Warns where
/// both lie on one file system.
/// @param goes_on there is a segment, so stages may live: then what is wrong with the second one is
/// a warning, but for one that the configuration no longer names.
/// @return NotFound, BadLayout, BadInput, Busy, IoError, NoSpace: `message` names the directories
/// and the mend; nothing of the log was changed.
/// @param second "" = none is configured.
[[nodiscard]] Status prepare_second_directory(const JournalConfig& journal,
                                              const std::string& second, bool goes_on,
                                              std::string& message);

/// Why a directory in the place of a lost one may not be made while this second directory is
/// configured: it holds files of the lost log. Empty if it may.
[[nodiscard]] std::string second_holds_lost_log(const std::string& second);

}  // namespace millrace
