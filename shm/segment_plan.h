// How a plan becomes offsets, and how offsets are checked again on attach. Internal to shm/.
#pragma once

#include "shm/segment.h"

namespace millrace {

struct SegmentShape {
    SegmentHeader header;            // offsets and counts only
    std::vector<RingEntry> rings;
    std::uint64_t total_bytes = 0;
};

/// Lays the segment out. Pure. (An out parameter: the header holds an atomic and cannot move.)
void shape_of(const SegmentPlan& plan, SegmentShape& shape);

void write_header(SegmentHeader& header, const SegmentPlan& plan, const SegmentShape& shape);
void write_rings(std::byte* base, const SegmentShape& shape);

/// Checks everything that a mapping process will index by. Errc::Ok or what is wrong.
Error validate(const SegmentHeader& header, std::uint64_t mapped_bytes, std::string& message);

/// Hash of the size and alignment of every shared struct: two builds that disagree cannot share.
std::uint64_t schema_hash() noexcept;

}  // namespace millrace
