// Whether a start would begin with nothing, or with an older copy of the log, although a store says
// that there was more: the directory was lost, is not mounted, or was put back from a backup.
#pragma once

#include "core/types.h"
#include "tools/millrace/config.h"

#include <string>

namespace millrace {

/// So long a start waits for Redis and ClickHouse, both at once, before it goes on without their
/// word. It asks them only where there is no segment to go on in.
inline constexpr Nanos kStoresAnswerMax = seconds(3);

struct StoresPatience {
    Nanos answer = kStoresAnswerMax;  // for one answer
    /// Where nothing was ever begun: for one that cannot be asked yet, as a server that starts with
    /// the host reads its data first. 0: asked once.
    Nanos wait{};
};

/// For `up`, before it makes anything: why it must not begin here; empty if it may: there is a
/// segment that it goes on in or is refused over, the directory has a journal, or no configured
/// store has followed one. A server that cannot be asked (no answer, refused, loading) is a reason
/// where the directory holds nothing at all, not even ids; else the log says that it was not asked.
/// A SQLite file that is there and cannot be read is one, as are its backups, and what was shipped
/// beside them, where it is gone. Ends its waiting at a SIGTERM or SIGINT that is blocked.
/// Threads: any. One that waits for a silent server may outlive the call: who then ends the process
/// does it without destructors.
[[nodiscard]] std::string journal_may_be_lost(const Config& config, const StoresPatience& patience);

/// For a start in a new segment: why the log, which ends at `end`, must not be gone on with: a
/// store has followed this very directory's log further, so this is an older copy of it. Empty if
/// it may. Stores have durable records alone, so no power cut gives that. Threads: as above.
[[nodiscard]] std::string journal_is_older_copy(const Config& config, Sequence end,
                                                Nanos patience = kStoresAnswerMax);

}  // namespace millrace
