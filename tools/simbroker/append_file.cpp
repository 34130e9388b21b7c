#include "tools/simbroker/append_file.h"

#include "core/assert.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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
    : fd_{std::exchange(other.fd_, -1)}, size_{other.size_}, poisoned_{other.poisoned_} {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        size_ = other.size_;
        poisoned_ = other.poisoned_;
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
    if (::fstat(file.fd_, &info) != 0) {
        return {Errc::IoError, "fstat", errno};
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
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        size_ += static_cast<std::uint64_t>(n);
    }
    return ok_status();
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
