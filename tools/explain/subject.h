// What a person asks about, from the words of the command line; and what to say if it is not there.
#pragma once

#include "tools/explain/story.h"

#include <optional>
#include <string>

namespace millrace::explain {

/// @param text a signal's UUID; an order's number or magic number; an account's name, number or
/// login.
/// @return nothing: `message` says what is expected, or which accounts there are.
[[nodiscard]] std::optional<Subject> parse_subject(Subject::What what, const std::string& text,
                                                   const Where& where, std::string& message);

/// `no signal ... in the logs of DIR`, what they cover, and what the store said.
[[nodiscard]] std::string not_found(const Story& story, const Where& where,
                                    const std::string& store_said);

}  // namespace millrace::explain
