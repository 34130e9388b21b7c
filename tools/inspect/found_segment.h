// What a start would find where its segment lies, judged as the start's own attaching judges it.
#pragma once

#include "shm/segment.h"

#include <optional>
#include <string>
#include <vector>

namespace millrace::inspect {

struct FoundSegment {
    std::optional<Segment> segment;    // mapped read-only; none = not even that is possible
    std::string path;                  // empty = none was asked for
    Errc code = Errc::NotFound;        // Ok = a start goes on in it
    std::string why;                   // else: what a start would say of it
    std::vector<std::string> cut_off;  // damaged rings of one source or account, which alone stops
};

/// Attaches read-only and then checks what attaching to go on in it checks beyond: boot, numbers
/// of all rings between our stages, and that it belongs to `journal_dir` (empty = to its own).
/// Changes nothing. Threads: any, while traffic flows.
[[nodiscard]] FoundSegment find_segment(const std::string& path, const std::string& journal_dir);

}  // namespace millrace::inspect
