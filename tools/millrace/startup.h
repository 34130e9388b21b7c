// What `millrace up` does before the first stage: the journal directory, the segment, the ids.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/config_records.h"
#include "tools/millrace/start_check.h"

#include <string>

namespace millrace {

/// Makes the journal directory if it is missing and proves that it can be used.
/// @param goes_on there is a segment, so stages may live: then too little space is a warning.
/// @param key by which the configuration names it, for `message`.
/// @return IoError, NoSpace: `message` names the directory and the mend (read-only, full, not
/// ours).
[[nodiscard]] Status prepare_journal_dir(const JournalConfig& journal, bool goes_on,
                                         std::string& message, const char* key = "journal.dir");

/// Ids for every name, saved before anything uses them, and the records made of them.
[[nodiscard]] Result<ConfigRecords> prepare_records(const Config& config, IdBook& ids,
                                                    std::string& message);

/// Takes a name that was removed for good out of the book of ids; its id is never assigned again.
/// @return NotOwner, IoError, NoSpace, BadInput: `message` names the book and the mend.
[[nodiscard]] Status retire_name(const std::string& journal_dir, NameKind kind,
                                 const std::string& name, std::string& message);

/// Attaches to the pipeline's segment, or creates it: when there is none, or it is of another
/// boot or damaged and no living process holds a role in the journal directory.
/// @param created says which.
/// @return NotOwner: roles are held by living processes that do not use this segment (named);
/// BadInput: the segment is another journal's; NoSpace, IoError from its creation.
[[nodiscard]] Result<Segment> prepare_segment(const Config& config, const IdBook& ids,
                                              bool& created, std::string& message);

/// "engine (pid 12), journal (pid 13)": who holds the roles of stages; empty if nobody does.
[[nodiscard]] std::string living_roles(const std::string& journal_dir);

/// What of the configuration must not change in a segment that was there, and does, with the mend;
/// empty if nothing: the tag that terminals were told, and the logins that they were let in by. An
/// order under another one would be out of the kill switch's reach, or on another's account. Where
/// nobody lives and nothing was open, nobody goes by the old ones: empty then too.
/// @param log as read just now: it knows of every order, or something was open.
[[nodiscard]] std::string changed_under_terminals(const Config& config, const IdBook& ids,
                                                  const Segment& segment, const LogCheck& log);

/// What of the configuration takes effect only in a new segment, and differs; empty if nothing.
[[nodiscard]] std::string needs_new_segment(const Config& config, const Segment& segment);

}  // namespace millrace
