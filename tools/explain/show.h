// A story as text for people and as JSON for programs (explain.schema.json).
#pragma once

#include "tools/explain/story.h"

#include <string>

namespace millrace::explain {

/// The whole text, ending with a newline.
[[nodiscard]] std::string story_text(const Story& story, const Book& book);
/// One JSON object, indented, ending with a newline. Records and rows as `inspect dump` has them.
[[nodiscard]] std::string story_json(const Story& story, const Book& book);

/// `records 12 to 90, 2026-11-22T09:30:00.000000Z to 2026-...`; "nothing" if it is empty.
[[nodiscard]] std::string range_text(const LogRange& range);
/// 0189f2a4-0000-7000-8000-000000000001
[[nodiscard]] std::string id_text(const SignalId& id);

}  // namespace millrace::explain
