#include "gateway/fix/session/sequence_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace {
namespace fix {
namespace {

constexpr std::size_t kLineBytes = 36;  // "sender=%010u target=%010u\n"
constexpr char kFormat[] = "sender=%010u target=%010u\n";

}  // namespace

SequenceFile::~SequenceFile() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

std::string SequenceFile::open(const std::string& path) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) {
        return path + ": cannot open or create: " + std::strerror(errno);
    }
    char line[128] = {};
    const ssize_t n = ::pread(fd_, line, sizeof(line) - 1, 0);
    if (n < 0) {
        return path + ": cannot read: " + std::strerror(errno);
    }
    if (n == 0) {
        return set_sender(1) ? "" : path + ": cannot write: " + std::strerror(errno);
    }
    unsigned sender = 0;
    unsigned target = 0;
    int used = 0;
    const bool read = std::sscanf(line, "sender=%10u target=%10u%n", &sender, &target, &used) == 2;
    // Hand-written lines may be shorter; more than white space after them is something else.
    const bool rest = read && std::strspn(line + used, " \r\n") + static_cast<std::size_t>(used) ==
                                  static_cast<std::size_t>(n);
    if (!rest || sender == 0 || target == 0) {
        return path +
               ": holds no line \"sender=N target=N\" with numbers from 1; ask the venue "
               "for the numbers it expects and write them there";
    }
    sender_ = sender;
    target_ = target;
    return write() && ::ftruncate(fd_, kLineBytes) == 0
               ? ""
               : path + ": cannot write: " + std::strerror(errno);
}

bool SequenceFile::write() noexcept {
    char line[kLineBytes + 1];
    std::snprintf(line, sizeof(line), kFormat, sender_, target_);
    // One write inside one block: after a kill the old line is there or the new one.
    failed_ = failed_ || ::pwrite(fd_, line, kLineBytes, 0) != static_cast<ssize_t>(kLineBytes);
    return !failed_;
}

bool SequenceFile::set_sender(std::uint32_t next) noexcept {
    sender_ = next;
    failed_ = !write() || ::fdatasync(fd_) != 0;
    return !failed_;
}

bool SequenceFile::set_target(std::uint32_t next) noexcept {
    target_ = next;
    return write();
}

}  // namespace fix
}  // namespace millrace
