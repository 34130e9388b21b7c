// Keys of accounts and sources: hex text in the configuration, or a file of their own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// Bounds of a key. Shorter ones can be guessed; longer ones add nothing to HMAC-SHA256.
inline constexpr std::size_t kKeyBytesMin = 16;
inline constexpr std::size_t kKeyBytesMax = 64;

/// Reads hex digits. @return empty and a reason in `why` if it is no key.
[[nodiscard]] std::vector<std::byte> parse_key(std::string_view hex, std::string& why);

/// Reads a file that holds one key as hex. It must be a regular file that nobody but its owner may
/// read (0600 or 0400). @return empty and a reason in `why` otherwise.
[[nodiscard]] std::vector<std::byte> read_key_file(const std::string& path, std::string& why);

}  // namespace millrace
