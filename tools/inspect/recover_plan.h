// What a start of the pipeline would do with what it finds, rung by rung. Nothing is done.
#pragma once

#include "tools/inspect/found_segment.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::inspect {

struct Rung {
    std::string name;     // segment, journal, redis, sqlite, clickhouse
    bool taken = false;   // a start would resume from here
    std::string verdict;  // why, or why not
};

struct InDoubt {
    std::uint32_t account = 0;
    std::uint64_t number = 0;  // in the account's queue
    std::uint64_t magic = 0;
    std::string type;
};

struct RecoverPlan {
    std::vector<Rung> rungs;
    std::vector<std::string> steps;  // what the start does then, in order
    std::vector<std::string> alive;  // roles that living processes hold
    std::string refusal;             // non-empty: a start would be refused, and why
    std::uint64_t snapshot_seq = 0;  // 0 = none: from the beginning
    std::uint64_t replay_from = 0;   // 0 = nothing to replay
    std::uint64_t replay_to = 0;
    std::string replay_file;      // the file that replay_from lies in; empty = the ring
    std::uint64_t log_end = 0;    // the last record in files, which a new segment goes on behind
    std::uint64_t jump_to = 0;    // first sequence of a new segment; 0 = the segment goes on
    std::string set_aside;        // new name of a segment that is given up; empty = none is
    std::uint64_t lost_from = 0;  // records that only the journal ring of a segment that is given
    std::uint64_t lost_to = 0;    // up holds: no file has them; 0 = none
    std::uint64_t in_doubt_orders = 0;
    bool in_doubt_known = false;    // a new segment: known only if the state could be replayed
    std::vector<InDoubt> in_doubt;  // the same segment: what may be at executors, unconfirmed
};

/// @param found what a start would find; its code decides what the start does with it.
[[nodiscard]] RecoverPlan plan_recovery(const FoundSegment& found, const std::string& journal_dir);

}  // namespace millrace::inspect
