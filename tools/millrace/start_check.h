// What of a configuration the journal's state does not allow: asked before any stage runs, because
// the broker stage reads the same file and would go by it while the engine goes by the log.
#pragma once

#include "core/engine.h"
#include "tools/millrace/config.h"
#include "tools/millrace/config_records.h"

#include <string>

namespace millrace {

/// Sizes of the engine's tables. @param accounts "accounts_max", or the segment's.
[[nodiscard]] Capacity capacity_of(const Config& config, std::uint32_t accounts);

/// Why no pipeline can start with this configuration from what stands in the journal directory,
/// with the mend; empty if it can, or if the log cannot be read (its stages name that). Asks an
/// engine of its own: newest snapshot, the files behind it, then `records`.
/// @param engine_has hash of the configuration that the segment's engine has, 0 in a new one. With
/// these very records only the sizes of the tables are looked at.
[[nodiscard]] std::string unfit_for_journal(const Config& config, const ConfigRecords& records,
                                            std::uint64_t engine_has);

}  // namespace millrace
