// Records of rings as named fields, and what the slots of a ring hold.
#pragma once

#include "shm/segment.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace millrace::inspect {

/// One slot that holds a visible record.
struct DecodedRecord {
    std::uint64_t number = 0;       // in its ring, 1-based
    bool released = false;          // the consumer is done with it
    nlohmann::ordered_json fields;  // names, words and decimals for people
    std::vector<std::byte> bytes;   // the payload as it lies there
};

/// The last `last` records of ring `index`, oldest first, released ones too while their slot has
/// not been written again. Records that change while they are read are left out.
/// @return BadCursor if the ring contradicts itself.
[[nodiscard]] Result<std::vector<DecodedRecord>> decode_ring(const Segment& segment,
                                                             std::uint32_t index,
                                                             std::uint64_t last);

/// Records `from` .. `from + count - 1`, as far as the slots still have or already have them.
[[nodiscard]] Result<std::vector<DecodedRecord>> decode_range(const Segment& segment,
                                                              std::uint32_t index,
                                                              std::uint64_t from,
                                                              std::uint64_t count);

/// Number of the last visible record of ring `index`. BadCursor as above.
[[nodiscard]] Result<std::uint64_t> last_number(const Segment& segment, std::uint32_t index);

/// `name=value name=value ...` of a flat or nested record.
[[nodiscard]] std::string flat_text(const nlohmann::ordered_json& fields);

/// A 1e-8 integer as an exact decimal: 123456000000 -> "1234.56".
[[nodiscard]] std::string decimal(std::int64_t scaled);

/// Lines of 16 bytes: offset, hex, ASCII.
[[nodiscard]] std::string hex_text(const std::vector<std::byte>& bytes);

}  // namespace millrace::inspect
