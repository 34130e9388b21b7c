// What the operator's commands share: the pipeline they are about, its names, and how they
// complain.
#pragma once

#include "core/admin.h"
#include "shm/segment.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/json_doc.h"
#include "tools/millrace/locate.h"

#include <functional>
#include <string>
#include <vector>

namespace millrace {

/// "millrace: TEXT" on standard error. @return kExitError.
int complain(const std::string& text);
/// The same for each mistake in a configuration. @return kExitBadConfig.
int complain(const std::vector<Mistake>& mistakes);

/// The pipeline and its names, as every command needs them.
struct OperatorSession {
    Segment segment;
    IdBook ids;
};
/// @return NotFound, BadVersion, BadInput: `message` names the segment or the book, and the mend.
[[nodiscard]] Result<OperatorSession> open_session(const Target& target, std::string& message);

/// `no WHAT is called "NAME"; known: ...`
[[nodiscard]] std::string unknown_name(const IdBook& ids, NameKind kind, const char* what,
                                       const std::string& name);

/// "applied, not yet durable: WHY" on standard output, unless record `seq` is on disk within the
/// bound of not_durable().
void tell_if_not_durable(const Segment& segment, Sequence seq);

/// "now TRADING, link UP, 2 live orders": how an account stands, for who would change it.
[[nodiscard]] std::string account_now(const Segment& segment, std::uint32_t account);

/// Sends what `record` makes of each one's id, after all of `names` were found, and prints
/// "NAME: WORD" for each that was done; at last whether that is on disk.
/// A dry run says what it would do.
/// @return the exit status; stops at the first refusal.
[[nodiscard]] int send_for_each(const Target& target, NameKind kind, const char* what,
                                const std::vector<std::string>& names, const char* word,
                                const std::function<AdminRecord(std::uint32_t)>& record);

}  // namespace millrace
