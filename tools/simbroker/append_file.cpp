#include "tools/simbroker/append_file.h"

#include "core/assert.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace millrace::sim {
namespace {

Result<std::vector<std::byte>> read_from_start(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
        return {Errc::IoError, "fstat", errno};
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
    std::size_t have = 0;
    while (have < bytes.size()) {
        const ssize_t n =
            ::pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return {Errc::IoError, "pread", errno};
        }
        if (n == 0) {
            break;  // shrank under us; what is there is what counts
        }
        have += static_cast<std::size_t>(n);
    }
    bytes.resize(have);
    return bytes;
}

}  // namespace

AppendFile::AppendFile(AppendFile&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)},
      size_{other.size_},
      poisoned_{other.poisoned_},
      synced_{other.synced_} {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        size_ = other.size_;
        poisoned_ = other.poisoned_;
        synced_ = other.synced_;
    }
    return *this;
}

AppendFile::~AppendFile() {
    close();
}

void AppendFile::close() noexcept {
    if (fd_ >= 0) {
        ::close(fd_);
        fd_ = -1;
    }
}

Result<AppendFile> AppendFile::open(const std::string& path) {
    AppendFile file;
    file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file.fd_ < 0) {
        return {Errc::IoError, "cannot open or create the file", errno};
    }
    // Two writers of one file would hand out the same numbers twice.
    if (::flock(file.fd_, LOCK_EX | LOCK_NB) != 0) {
        return {Errc::NotOwner, "another process has this file open; stop it first", errno};
    }
    struct stat info{};
    struct stat named{};
    if (::fstat(file.fd_, &info) != 0 || ::stat(path.c_str(), &named) != 0) {
        return {Errc::IoError, "fstat", errno};
    }
    if (info.st_ino != named.st_ino || info.st_dev != named.st_dev) {
        // Its owner rewrote it (replace()) between our open and our lock: what we hold is past.
        return {Errc::NotOwner, "another process has this file open; stop it first"};
    }
    file.size_ = static_cast<std::uint64_t>(info.st_size);
    return file;
}

Status AppendFile::append(std::span<const std::byte> bytes) noexcept {
    ASSERT(fd_ >= 0);
    if (poisoned_) {
        return {Errc::Poisoned, "an earlier write to this file failed"};
    }
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            poisoned_ = true;
            return {Errc::IoError, "write", errno};
        }
        synced_ = false;
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        size_ += static_cast<std::uint64_t>(n);
    }
    return ok_status();
}

Status AppendFile::sync() noexcept {
    ASSERT(fd_ >= 0);
    if (poisoned_) {
        return {Errc::Poisoned, "an earlier write to this file failed"};
    }
    if (synced_) {
        return ok_status();
    }
    if (::fdatasync(fd_) != 0) {
        poisoned_ = true;
        return {Errc::IoError, "fdatasync", errno};
    }
    synced_ = true;
    return ok_status();
}

Status AppendFile::replace(const std::string& from, const std::string& path) noexcept {
    if (const auto s = sync(); !s) {
        return s;
    }
    if (std::rename(from.c_str(), path.c_str()) != 0) {
        return {Errc::IoError, "rename", errno};
    }
    return sync_folder(path.substr(0, path.rfind('/') + 1));
}

Status sync_folder(const std::string& path) noexcept {
    const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return {Errc::IoError, "cannot open the folder", errno};
    }
    const int result = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    return result == 0 ? ok_status() : Status{Errc::IoError, "fsync of the folder", error};
}

Result<std::vector<std::byte>> AppendFile::read_all() const {
    ASSERT(fd_ >= 0);
    return read_from_start(fd_);
}

Status AppendFile::cut_to(std::uint64_t bytes) noexcept {
    ASSERT(bytes <= size_);
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) {
        return {Errc::IoError, "ftruncate", errno};
    }
    size_ = bytes;
    synced_ = false;
    return ok_status();
}

Result<std::vector<std::byte>> read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return {Errc::IoError, "cannot open the file", errno};
    }
    auto bytes = read_from_start(fd);
    ::close(fd);
    return bytes;
}

}  // namespace millrace::sim
