// LogFloor: the record that a log must not end below: one that is known to have been durable.
#pragma once

#include "core/types.h"

#include <string>

namespace millrace {

/// What shows that a record was durable.
struct LogFloor {
    Sequence seq;    // 0: nothing is known
    std::string by;  // the snapshot that is of it; empty: whoever asks knows it otherwise
};

/// By the newest snapshot in `directory` whose header is whole: they are written from durable
/// records alone. Nothing if there is none, or it cannot be listed.
[[nodiscard]] LogFloor snapshot_floor(const std::string& directory);

/// Why a log that ends at `end` must not be gone on with; empty if it may.
/// @param where names the log.
[[nodiscard]] std::string ends_below(const std::string& where, Sequence end, const LogFloor& floor);

}  // namespace millrace
