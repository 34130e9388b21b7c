// Which segment is meant, and what else there is.
#pragma once

#include "shm/segment.h"

#include <string>
#include <vector>

namespace millrace::inspect {

/// A file that is a segment, or would like to be one.
struct Candidate {
    std::string path;
    std::string fault;  // why it cannot be read; empty = `view`-able
    std::uint64_t bytes = 0;
    std::int64_t created_ns = 0;  // wall clock
    std::string journal_dir;
    bool same_boot = false;
    std::uint32_t stages_alive = 0;
    std::uint32_t stages_known = 0;  // stages that some process has owned
};

/// Every file in `dir` that starts with a segment's magic or is called millrace*. Sorted by path.
[[nodiscard]] std::vector<Candidate> list_segments(const std::string& dir);

/// The path that `name` stands for: a path if it has a slash, else `dir`/millrace-NAME or
/// `dir`/NAME; empty = the one segment in `dir`,
/// or the one that stages live in, if there are leftovers beside it.
/// @return NotFound or BadInput with a message that lists what there is.
[[nodiscard]] Result<std::string> resolve(const std::string& name, const std::string& dir,
                                          std::string& message);

/// Account names by id as the command line keeps them beside the journal (ids.json); empty where
/// that file is not there or not readable.
[[nodiscard]] std::vector<std::string> account_names(const std::string& journal_dir);

}  // namespace millrace::inspect
