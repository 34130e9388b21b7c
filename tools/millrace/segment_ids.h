// Ids of names as a running pipeline itself knows them: when ids.json is lost or damaged, neither
// the kill switch nor the restart of a stage may hang on that file.
#pragma once

#include "shm/segment.h"
#include "tools/millrace/config.h"
#include "tools/millrace/id_book.h"

namespace millrace {

/// Symbols, groups and sources by the segment's tables, accounts of `config` by their logins there.
/// Good for finding only: it knows nothing of names that were removed nor of memberships, so no id
/// may be assigned by it, and it is never saved.
[[nodiscard]] IdBook ids_of_segment(const Segment& segment, const Config& config);

}  // namespace millrace
