// From an older build's snapshot image to this build's: one step per change of an entity's layout.
#pragma once

#include "core/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// Brings an engine image of an older format (core/engine.h: kImageFormat) to this build's, step by
/// step. One of this format stays as it is.
/// @return BadVersion if no step leads from its format: `message` names both formats and the mend.
/// `image` may have been changed in part then.
[[nodiscard]] Status migrate_image(std::vector<std::byte>& image, std::string& message);

}  // namespace millrace
