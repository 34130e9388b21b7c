// The records of a run with what the live engine had come to at its end, as a file: written by
// simulate --record, read by replay_hash, which other compilers build.
#pragma once

#include "core/journal_record.h"

#include <cstdint>

namespace millrace::test {

/// Head of the file; `records` raw JournalRecords follow. Of one machine, for minutes: no version.
struct RecordedLog {
    std::uint32_t accounts = 0;  // capacities of the engine's tables
    std::uint32_t members = 0;
    std::uint32_t orders = 0;
    std::uint32_t signals = 0;
    std::uint64_t records = 0;
    std::uint64_t state_hash = 0;
    std::uint64_t output_hash = 0;
};
static_assert(sizeof(RecordedLog) == 40);

}  // namespace millrace::test
