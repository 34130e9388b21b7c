// Every field of what attaching trusts, by name: the header, the ring directory, a ring's control.
// Validation walks these tables, and so does the test that damages every field. Internal to shm/.
#pragma once

#include "shm/layout.h"

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace millrace {

struct FieldPlace {
    const char* name;
    std::uint32_t offset;  // in its struct
    std::uint32_t bytes;
};

#define MILLRACE_FIELD(type, name) {#name, offsetof(type, name), sizeof(type::name)}

inline constexpr FieldPlace kHeaderFields[] = {
    MILLRACE_FIELD(SegmentHeader, magic),
    MILLRACE_FIELD(SegmentHeader, layout_version),
    MILLRACE_FIELD(SegmentHeader, header_bytes),
    MILLRACE_FIELD(SegmentHeader, schema_hash),
    MILLRACE_FIELD(SegmentHeader, total_bytes),
    MILLRACE_FIELD(SegmentHeader, boot_id),
    MILLRACE_FIELD(SegmentHeader, uuid),
    MILLRACE_FIELD(SegmentHeader, creator_pid),
    MILLRACE_FIELD(SegmentHeader, creator_uid),
    MILLRACE_FIELD(SegmentHeader, created_ns),
    MILLRACE_FIELD(SegmentHeader, clock_anchor_ns),
    MILLRACE_FIELD(SegmentHeader, journal_dir),
    MILLRACE_FIELD(SegmentHeader, huge_pages),
    MILLRACE_FIELD(SegmentHeader, locked),
    MILLRACE_FIELD(SegmentHeader, page_bytes),
    MILLRACE_FIELD(SegmentHeader, numa_node),
    MILLRACE_FIELD(SegmentHeader, ring_count),
    MILLRACE_FIELD(SegmentHeader, session_count),
    MILLRACE_FIELD(SegmentHeader, stage_count),
    MILLRACE_FIELD(SegmentHeader, doorbell_count),
    MILLRACE_FIELD(SegmentHeader, huge_bytes),
    MILLRACE_FIELD(SegmentHeader, core_offset),
    MILLRACE_FIELD(SegmentHeader, doorbells_offset),
    MILLRACE_FIELD(SegmentHeader, stages_offset),
    MILLRACE_FIELD(SegmentHeader, sessions_offset),
    MILLRACE_FIELD(SegmentHeader, names_offset),
    MILLRACE_FIELD(SegmentHeader, ticks_offset),
    MILLRACE_FIELD(SegmentHeader, hops_offset),
    MILLRACE_FIELD(SegmentHeader, errors_offset),
    MILLRACE_FIELD(SegmentHeader, hashes_offset),
    MILLRACE_FIELD(SegmentHeader, rings_offset),
    MILLRACE_FIELD(SegmentHeader, data_offset),
};

inline constexpr FieldPlace kEntryFields[] = {
    MILLRACE_FIELD(RingEntry, name),         MILLRACE_FIELD(RingEntry, kind),
    MILLRACE_FIELD(RingEntry, slot_bytes),   MILLRACE_FIELD(RingEntry, capacity),
    MILLRACE_FIELD(RingEntry, doorbell),     MILLRACE_FIELD(RingEntry, owner_id),
    MILLRACE_FIELD(RingEntry, reserved),     MILLRACE_FIELD(RingEntry, control_offset),
    MILLRACE_FIELD(RingEntry, slots_offset),
};

/// The part of a ring's control that never changes; the cursors follow it.
inline constexpr FieldPlace kControlFields[] = {
    MILLRACE_FIELD(RingControl<>, magic),    MILLRACE_FIELD(RingControl<>, slot_bytes),
    MILLRACE_FIELD(RingControl<>, capacity), MILLRACE_FIELD(RingControl<>, payload_kind),
    MILLRACE_FIELD(RingControl<>, reserved),
};
#undef MILLRACE_FIELD

/// True if the fields lie one behind the other without a gap and fill `bytes`: none is forgotten.
template <std::size_t N>
consteval bool covers(const FieldPlace (&fields)[N], std::size_t bytes) {
    std::size_t at = 0;
    for (const FieldPlace& f : fields) {
        if (f.offset != at) {
            return false;
        }
        at += f.bytes;
    }
    return at == bytes;
}
static_assert(covers(kHeaderFields, sizeof(SegmentHeader)), "a header field is missing above");
static_assert(covers(kEntryFields, sizeof(RingEntry)), "a directory field is missing above");
static_assert(covers(kControlFields, 24), "a control field is missing above");

}  // namespace millrace
