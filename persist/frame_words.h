// Writes a frame and checksums it in one pass, for frames of some hundred bytes. By itself isa-l's
// crc32_iscsi reads 64 bytes at a time what was stored in smaller pieces a moment ago, and waits
// for each: that took half of the time of packing a record.
#pragma once

#include "core/crc32c.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace millrace::detail {

/// The 16 bytes before a payload; the low half of the first word, the checksum's place, is not
/// looked at and left free.
using FrameHeadWords = std::array<std::uint64_t, 2>;

/// Writes head, payload and zeros to `at`, `bytes` long: at least 16 and the payload, a multiple of
/// 8, and fewer than 16 of it zeros.
/// @return the CRC-32C of bytes 4 to `bytes`.
inline std::uint32_t put_words_plain(std::byte* at, std::size_t bytes, const FrameHeadWords& head,
                                     std::span<const std::byte> payload) noexcept {
    std::memcpy(at, head.data(), sizeof(head));
    if (!payload.empty()) {  // an empty one may have no address, which memcpy must not be given
        std::memcpy(at + sizeof(head), payload.data(), payload.size());
    }
    const std::size_t used = sizeof(head) + payload.size();
    std::memset(at + used, 0, bytes - used);
    return crc32c(std::span{at + 4, bytes - 4});
}

#if defined(__x86_64__)
/// Copies `words` times 8 bytes. @return the CRC-32C state behind them.
__attribute__((target("sse4.2"))) inline std::uint64_t copy_words(std::uint64_t state,
                                                                  std::byte* to,
                                                                  const std::byte* from,
                                                                  std::size_t words) noexcept {
    for (std::size_t i = 0; i < words; ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, from + 8 * i, sizeof(word));
        std::memcpy(to + 8 * i, &word, sizeof(word));
        state = __builtin_ia32_crc32di(state, word);
    }
    return state;
}

/// put_words_plain() with the processor's own instruction.
__attribute__((target("sse4.2"))) inline std::uint32_t put_words_sse42(
    std::byte* at, std::size_t bytes, const FrameHeadWords& head,
    std::span<const std::byte> payload) noexcept {
    std::memcpy(at, head.data(), sizeof(head));
    std::uint64_t state =
        __builtin_ia32_crc32si(kCrc32cInit, static_cast<std::uint32_t>(head[0] >> 32U));
    state = __builtin_ia32_crc32di(state, head[1]);
    const std::size_t whole = payload.size() / 8;
    state = copy_words(state, at + sizeof(head), payload.data(), whole);
    std::array<std::byte, 16> rest{};  // what is left of the payload, and the zeros
    if (const std::size_t left = payload.size() % 8; left != 0) {
        std::memcpy(rest.data(), payload.data() + 8 * whole, left);
    }
    const std::size_t rest_words = bytes / 8 - head.size() - whole;
    state = copy_words(state, at + sizeof(head) + 8 * whole, rest.data(), rest_words);
    return ~static_cast<std::uint32_t>(state);
}
#endif

/// put_words_plain() by the best means of this processor.
inline std::uint32_t put_words(std::byte* at, std::size_t bytes, const FrameHeadWords& head,
                               std::span<const std::byte> payload) noexcept {
#if defined(__x86_64__)
    static const bool has_crc = __builtin_cpu_supports("sse4.2") != 0;
    if (has_crc) [[likely]] {
        return put_words_sse42(at, bytes, head, payload);
    }
#endif
    return put_words_plain(at, bytes, head, payload);
}

}  // namespace millrace::detail
