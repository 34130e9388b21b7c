// The tables that only a full report has room for.
#pragma once

#include "tools/inspect/page.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {

/// Pages, residency, node; where threads run and who holds the locks; per ring what its slots say;
/// sinks. Empty parts are left out. Shows what look_closer() has filled.
void add_details(Page& page, const PipelineView& view, const RenderOptions& options);

/// 2026-01-31 12:34:56Z of ns since 1970.
[[nodiscard]] std::string wall_text(std::int64_t ns);

}  // namespace millrace::inspect
