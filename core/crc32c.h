// CRC-32C (Castagnoli, iSCSI) over bytes, by isa-l.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <isa-l/crc.h>

#include "core/assert.h"

namespace millrace {

namespace detail {
#if defined(__x86_64__) || defined(__i386__)
// isa-l's AVX-512 code leaves the upper halves of the vector registers dirty. From then on every
// switch between our SSE code and its AVX code costs tens of nanoseconds, until somebody clears
// them: one padded group commit made each later record of the journal four times as dear (100 to
// 400 ns, bench_journal).
__attribute__((target("avx"))) inline void clear_upper_halves() noexcept {
    __builtin_ia32_vzeroupper();
}
inline void leave_vector_code() noexcept {
    static const bool has_avx = __builtin_cpu_supports("avx") != 0;
    if (has_avx) {
        clear_upper_halves();
    }
}
#else
inline void leave_vector_code() noexcept {}
#endif
}  // namespace detail

/// State of a CRC-32C before its first byte. The checksum is the complement of the last state.
inline constexpr std::uint32_t kCrc32cInit = 0xFFFF'FFFFU;

/// The state behind `bytes` (fewer than 2^31). Pure; any thread.
[[nodiscard]] inline std::uint32_t crc32c_more(std::uint32_t state,
                                               std::span<const std::byte> bytes) noexcept {
    ASSERT(bytes.size() < (std::size_t{1} << 31U));
    // isa-l takes a mutable pointer and writes nothing.
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    const std::uint32_t after = crc32_iscsi(data, static_cast<int>(bytes.size()), state);
    detail::leave_vector_code();
    return after;
}

/// Checksum of `bytes` (fewer than 2^31). Pure; any thread.
[[nodiscard]] inline std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept {
    return ~crc32c_more(kCrc32cInit, bytes);
}

}  // namespace millrace
