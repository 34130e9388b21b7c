// AES-256-GCM over one message (OpenSSL). Internal to credential backups.
#pragma once

#include "core/result.h"

#include <cstddef>
#include <span>
#include <vector>

namespace millrace {

inline constexpr std::size_t kGcmNonceBytes = 12;
inline constexpr std::size_t kGcmTagBytes = 16;

/// @param key 32 bytes. @param nonce never used twice with that key.
/// @param header authenticated, not encrypted.
/// @return ciphertext and tag.
[[nodiscard]] std::vector<std::byte> gcm_seal(std::span<const std::byte> key,
                                              std::span<const std::byte> nonce,
                                              std::span<const std::byte> header,
                                              std::span<const std::byte> plain);
/// @return BadAuth: another key, or a byte was changed.
[[nodiscard]] Result<std::vector<std::byte>> gcm_open(std::span<const std::byte> key,
                                                      std::span<const std::byte> nonce,
                                                      std::span<const std::byte> header,
                                                      std::span<const std::byte> sealed);

}  // namespace millrace
