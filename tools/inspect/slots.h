// A look at every slot of a ring: what its sequence word says, and whether the records in it
// follow each other.
#pragma once

#include "shm/segment.h"

#include <nlohmann/json.hpp>

#include <string>

namespace millrace::inspect {

struct SlotCensus {
    std::uint64_t capacity = 0;
    std::uint64_t read = 0;
    std::uint64_t written = 0;
    std::uint64_t ready = 0;       // visible, not released
    std::uint64_t released = 0;    // read, not written again
    std::uint64_t never = 0;       // never written
    std::uint64_t torn = 0;        // word of no record that could lie there
    std::uint64_t duplicates = 0;  // record that lies in another slot too, or (seq, k) twice
    std::uint64_t gaps = 0;        // record that should lie there and does not, or a missing seq
    std::int64_t oldest_ns = 0;    // time stamp of the oldest unreleased record; 0 = none has one
    std::string where;             // first slot or record that is wrong
    std::string fault;             // the read cursor contradicts the slots: nobody may attach

    [[nodiscard]] bool sound() const noexcept {
        return fault.empty() && torn == 0 && duplicates == 0 && gaps == 0;
    }
};

/// Reads all sequence words and, where records are numbered (journal, orders, results), the
/// numbers. A live ring moves meanwhile: what looks wrong is looked at up to five times.
[[nodiscard]] SlotCensus count_slots(const Segment& segment, std::uint32_t index);

/// Time stamp of the oldest unreleased record of a ring, segment clock; 0 = none, or no stamp.
[[nodiscard]] std::int64_t oldest_time(const Segment& segment, std::uint32_t index);

[[nodiscard]] nlohmann::ordered_json census_json(const SlotCensus& census);
[[nodiscard]] std::string census_text(const SlotCensus& census);

/// A character a slot, 64 a line: . never written, r released, # ready, ! wrong.
[[nodiscard]] std::string slot_map(const Segment& segment, std::uint32_t index);

}  // namespace millrace::inspect
