// What a start of the pipeline would do with what it finds, rung by rung. Nothing is done.
#pragma once

#include "shm/segment.h"

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
    std::string replay_file;    // the file that replay_from lies in; empty = the ring
    std::uint64_t jump_to = 0;  // first sequence of a new segment; 0 = the segment goes on
    std::uint64_t in_doubt_orders = 0;
    bool in_doubt_known = false;    // a new segment: known only if the state could be replayed
    std::vector<InDoubt> in_doubt;  // the same segment: what may be at executors, unconfirmed
};

/// @param segment the one that a start would find; nullptr = none that it would use.
/// @param why     then: why not.
[[nodiscard]] RecoverPlan plan_recovery(const Segment* segment, const std::string& why,
                                        const std::string& journal_dir);

}  // namespace millrace::inspect
