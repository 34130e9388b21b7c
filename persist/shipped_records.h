// What was shipped of a lost effects log (persist/log_shipper.h), for whoever makes a store of a
// backup: it goes on where the backup ends.
#pragma once

#include "persist/effect_source.h"

#include <cstdint>
#include <string>

namespace millrace {

struct ShippedRecords {
    EffectCursor upto;          // where the store stands then
    std::uint64_t records = 0;  // that came to it; of those with effects
    /// Why it ends there, for people: what is behind is torn, damaged, or of another log; empty if
    /// there was nothing more.
    std::string end;
};

/// Adds to the store at `path`, an unpacked backup that nobody else uses, what lies in `folder`
/// behind its cursor, up to the first byte that is not valid, and moves all into the one file.
/// Reads `folder` only; that it is not there is no error.
/// @return of the store: as SqliteStore; then it stands at some record on the way.
[[nodiscard]] Result<ShippedRecords> add_shipped_records(const std::string& folder,
                                                         const std::string& path,
                                                         std::string& message);

/// The last record that was shipped to `folder`; 0 if none was, or it cannot be read.
[[nodiscard]] Sequence shipped_upto(const std::string& folder);

}  // namespace millrace
