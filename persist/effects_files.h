// What the writer and the reader of the effects log share: names, headers, listing.
#pragma once

#include "persist/effects_log.h"

#include <string>
#include <vector>

namespace millrace::effects {

/// `directory`/effects-<n>.mre
[[nodiscard]] std::string path_of(const std::string& directory, std::uint64_t number);
/// Numbers of the files in `directory`, ascending.
[[nodiscard]] Result<std::vector<std::uint64_t>> list(const std::string& directory);
/// Reads exactly as much as there is, up to `out`. @return bytes, or -1 with errno.
[[nodiscard]] std::int64_t read_at(int fd, std::uint64_t offset, std::span<std::byte> out) noexcept;
/// The header of `fd`. BadMagic (also too short), BadChecksum, BadVersion, BadLayout.
[[nodiscard]] Result<EffectsHeader> read_header(int fd, std::uint64_t number) noexcept;
[[nodiscard]] std::uint64_t hash_of(const EffectsHeader& header) noexcept;
/// errno as an Error.
[[nodiscard]] Error failed(const char* what) noexcept;

}  // namespace millrace::effects
