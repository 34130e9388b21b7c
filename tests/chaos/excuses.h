// Excuses: why an opening may come to nothing while processes die around it. Any other reason is a
// fault: a pipeline that refuses all there is loses and doubles nothing either.
#pragma once

#include "tools/demo_run/lives.h"

#include <string>
#include <vector>

namespace millrace::chaos {

/// @return a sentence for each way in which openings ended that has no excuse, with how often.
[[nodiscard]] std::vector<std::string> without_excuse(const demo::Lives& lives);

}  // namespace millrace::chaos
