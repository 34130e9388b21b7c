// A file that only grows, one owner at a time, written with write(2) so that every appended byte
// survives the death of the process; that of the host only after sync().
#pragma once

#include "core/result.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace millrace::sim {

/// Threads: one.
class AppendFile {
public:
    AppendFile() = default;
    AppendFile(AppendFile&& other) noexcept;
    AppendFile& operator=(AppendFile&& other) noexcept;
    ~AppendFile();

    /// Opens or creates (mode 0600) and locks the file.
    /// @return Errc::NotOwner if another process holds it, Errc::IoError with errno.
    [[nodiscard]] static Result<AppendFile> open(const std::string& path);

    /// Appends all of `bytes` or nothing that a reader would accept.
    /// @return Errc::IoError with errno; the file is then poisoned and refuses everything after.
    [[nodiscard]] Status append(std::span<const std::byte> bytes) noexcept;

    /// Waits until everything appended is on disk. @return as append().
    [[nodiscard]] Status sync() noexcept;

    /// This file, written under `from`, takes the place of `path`: on disk under that name when it
    /// returns Ok; a death before leaves the old one whole. @return Errc::IoError with errno.
    [[nodiscard]] Status replace(const std::string& from, const std::string& path) noexcept;

    /// Everything in the file, from its beginning.
    [[nodiscard]] Result<std::vector<std::byte>> read_all() const;

    /// Cuts a torn tail off. @param bytes at most size().
    [[nodiscard]] Status cut_to(std::uint64_t bytes) noexcept;

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    void close() noexcept;

private:
    int fd_ = -1;
    std::uint64_t size_ = 0;
    bool poisoned_ = false;
    bool synced_ = false;  // nothing was written since the last sync()
};

/// Waits until the names in a folder are on disk: a file that was made is not before.
/// @return Errc::IoError with errno.
[[nodiscard]] Status sync_folder(const std::string& path) noexcept;

/// A whole file, without locking it: for the verifier.
[[nodiscard]] Result<std::vector<std::byte>> read_file(const std::string& path);

}  // namespace millrace::sim
