// What the store still knows where the logs have been removed: how things ended, not why.
#pragma once

#include "tools/explain/story.h"

#include <string>

namespace millrace::explain {

/// @return false: `message` says why not (no store, nothing of it there either).
[[nodiscard]] bool tell_from_store(const Subject& subject, const Where& where, bool json,
                                   std::string& out, std::string& message);

}  // namespace millrace::explain
