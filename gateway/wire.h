// Frame header and primitives shared by the bridge protocol (terminals) and the signal protocol
// (sources). All integers little-endian, structs packed by construction (no implicit padding).
#pragma once

#include "core/types.h"

#include <cstddef>
#include <cstdint>

namespace millrace::wire {

/// Every frame begins with this header; `bytes` counts header and body.
///
///     0       4      5      6        8         12        16        24
///     | bytes | type | ver  | flags  | crc32c  | reserved| seq     | body ...
///
/// `crc32c` is over the whole frame with this field taken as zero. `seq` numbers the frames of one
/// direction that must not be lost (1, 2, 3 …; see each protocol); 0 on all others.
struct FrameHeader {
    std::uint32_t bytes = 0;
    std::uint8_t type = 0;
    std::uint8_t version = 0;
    std::uint16_t flags = 0;
    std::uint32_t crc32c = 0;
    std::uint32_t reserved = 0;
    std::uint64_t seq = 0;
};
static_assert(sizeof(FrameHeader) == 24 && offsetof(FrameHeader, seq) == 16);

/// No frame of either protocol is longer; a longer length field is malformed.
inline constexpr std::uint32_t kFrameBytesMax = 1024;

/// Challenge of the HMAC-SHA256 handshake, and the answer to it.
using Nonce = std::uint8_t[32];
using Mac = std::uint8_t[32];

}  // namespace millrace::wire
