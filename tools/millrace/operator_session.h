// What the operator's commands share: the pipeline they are about, its names, and how they
// complain.
#pragma once

#include "shm/segment.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/json_doc.h"
#include "tools/millrace/locate.h"

#include <string>
#include <vector>

namespace millrace {

/// "millrace: TEXT" on standard error. @return kExitError.
int complain(const std::string& text);
/// The same for each mistake in a configuration. @return kExitBadConfig.
int complain(const std::vector<Mistake>& mistakes);

/// The pipeline and its names, as every command needs them.
struct Session {
    Segment segment;
    IdBook ids;
};
/// @return NotFound, BadVersion, BadInput: `message` names the segment or the book, and the mend.
[[nodiscard]] Result<Session> open_session(const Target& target, std::string& message);

/// `no WHAT is called "NAME"; known: ...`
[[nodiscard]] std::string unknown_name(const IdBook& ids, NameKind kind, const char* what,
                                       const std::string& name);

}  // namespace millrace
