// RedisDump: a small hash as the bytes that RESTORE takes (and DUMP gives): for the server one
// copy, where HSET looks for each field among those before it. Formats of Redis 7.0 and later.
#pragma once

#include "persist/redis_rows.h"

#include <array>
#include <cstddef>
#include <string_view>

namespace millrace {

//     +------+--------+----------------------------------------------------+---------+-------+
//     | type | length | listpack: bytes, entries | name, value, ... | 0xFF | version | crc64 |
//     +------+--------+----------------------------------------------------+---------+-------+
//
// RDB type 16 (a hash in a listpack), version 10. Values are written as the server itself writes
// them: what reads as a 64-bit integer is one, so the hash takes the memory that HSET would take,
// and is the same in every reply.
class RedisDump {
public:
    /// The payload for a hash of `fields`, at least one, in their order; names differ.
    /// @return bytes that stay until the next call. Pure; any thread, one at a time.
    [[nodiscard]] std::string_view of(const RedisFields& fields) noexcept;

private:
    // Heads and ends of 64 entries, 32 names of 63 bytes at most, and RedisFields' values.
    std::array<char, 4096> bytes_;
};

}  // namespace millrace
