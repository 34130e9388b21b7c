// How a plan becomes offsets, and how offsets are checked again on attach. Internal to shm/.
#pragma once

#include "shm/segment.h"

namespace millrace {

struct SegmentShape {
    SegmentHeader header;  // offsets and counts only
    std::vector<RingEntry> rings;
    std::uint64_t total_bytes = 0;
};

/// Lays the segment out. Pure. (An out parameter: the header holds an atomic and cannot move.)
void shape_of(const SegmentPlan& plan, SegmentShape& shape);

/// Sets every offset of a header whose counts are set. @return where the tables end. Pure.
std::uint64_t place_tables(SegmentHeader& header) noexcept;
/// Sets the offsets of a ring that lies at `at`. @return where it ends. Pure.
std::uint64_t place_ring(RingEntry& entry, std::uint64_t at) noexcept;
/// Length of a file whose last table or ring ends at `end`.
std::uint64_t file_bytes(std::uint64_t end, std::uint32_t page_bytes) noexcept;
/// 0 for a kind that there is not.
std::uint32_t slot_bytes_of(RingKind kind) noexcept;

void write_header(SegmentHeader& header, const SegmentPlan& plan, const SegmentShape& shape);
void write_rings(std::byte* base, const SegmentShape& shape);
/// Writes the header's copy and, last of all, the magic.
void publish_header(SegmentHeader& header);

/// Checks everything that a mapping process will index by: header, directory, the tables that
/// never change. Errc::Ok or what is wrong.
Error validate(const SegmentHeader& header, std::uint64_t mapped_bytes, std::string& message);

/// Checks a ring's cursor and the number in each of its slots. Traffic may flow meanwhile.
/// @param base of a segment that validate() found good.
Error check_numbers(const RingEntry& entry, const std::byte* base, std::string& message);

/// Hash of the size of every shared struct and the place of every field (segment_schema.h): two
/// builds that disagree cannot share.
std::uint64_t schema_hash() noexcept;

}  // namespace millrace
