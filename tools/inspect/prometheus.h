// The picture in Prometheus' text format 0.0.4: HELP and TYPE for each family, base units, counters
// ending in _total.
#pragma once

#include "tools/inspect/view.h"

#include <string>

namespace millrace::inspect {

/// @param name of the segment: label `segment` of every sample.
[[nodiscard]] std::string prometheus_text(const Segment& segment, const PipelineView& view,
                                          const std::string& name);

}  // namespace millrace::inspect
