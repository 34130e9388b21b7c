#include "persist/reservation.h"

#include "core/crash_point.h"
#include "core/crc32c.h"
#include "persist/file_preparer.h"
#include "persist/journal_format.h"
#include "persist/log_version.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace millrace {
namespace {

constexpr const char* kFileName = "reservation";

Error failed(const char* what) noexcept {
    const int e = errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, e, what};
}

std::uint32_t crc_of(const ReservationBlock& block) noexcept {
    const auto bytes = std::as_bytes(std::span{&block, 1});
    const auto head = bytes.first(offsetof(ReservationBlock, crc32c));
    if (block.version == 1) {
        return crc32c(head);
    }
    const auto tail = bytes.subspan(offsetof(ReservationBlock, instance));
    return ~crc32c_more(crc32c_more(kCrc32cInit, head), tail);
}

std::optional<ReservationBlock> read_block(int fd, std::uint64_t slot) noexcept {
    ReservationBlock block;
    const auto at = static_cast<off_t>(slot * kBlockBytes);
    if (::pread(fd, &block, sizeof(block), at) != static_cast<ssize_t>(sizeof(block))) {
        return std::nullopt;
    }
    const bool ours =
        block.magic == kReservationMagic && (block.version == 1 || block.version == 2);
    if (!ours || crc_of(block) != block.crc32c || block.generation % 2 != slot) {
        return std::nullopt;
    }
    if (block.version == 1) {
        block.instance = 0;
        block.epoch = 0;
    }
    return block;
}

Reserved reserved_by(const ReservationBlock& block) noexcept {
    return {block.reserved_seq, block.reserved_intent, block.instance, block.epoch};
}

/// What a new directory begins with.
Result<Reserved> draw_first() noexcept {
    struct {
        std::uint64_t intent;
        std::uint32_t instance;
    } drawn{};
    while (drawn.instance == 0) {
        if (::getentropy(&drawn, sizeof drawn) != 0) {
            return failed("reservation: the kernel gives no random numbers");
        }
    }
    return Reserved{0, 1 + drawn.intent % (kFirstIntentMax - 1), drawn.instance, 0};
}

}  // namespace

Reservation::~Reservation() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
    std::free(block_);
}

Reservation::Reservation(Reservation&& other) noexcept {
    *this = std::move(other);
}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(block_, other.block_);
    generation_ = other.generation_;
    current_ = other.current_;
    failed_ = other.failed_;
    return *this;
}

Status Reservation::make(const std::string& directory, const Reserved& first,
                         std::string& message) {
    const std::string path = directory + "/" + kFileName;
    if (block_ == nullptr) {
        block_ = static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kBlockBytes));
        ASSERT(block_ != nullptr);
    }
    // Made under another name: a crash in between leaves no half reservation.
    const std::string fresh = std::string{kFileName} + ".new";
    auto made = make_zeroed_file(directory, fresh.c_str(), 2 * kBlockBytes, {false, false});
    if (!made) {
        message = path + ": cannot be created (" + std::strerror(made.error().sys_errno) + ")";
        return made.error();
    }
    ::close(made.value());
    fd_ = ::open((directory + "/" + fresh).c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0) {
        return failed("reservation: cannot open the new file");
    }
    current_ = first;
    if (auto wrote = reserve(current_); !wrote) {
        message = path + ": cannot be written";
        return wrote;
    }
    if (::rename((directory + "/" + fresh).c_str(), path.c_str()) != 0) {
        return failed("reservation: cannot rename the new file");
    }
    return sync_directory(directory);
}

Status Reservation::succeed(const std::string& directory, Reserved first, std::string& message) {
    if (first.instance == 0) {
        const auto drawn = draw_first();
        if (!drawn) {
            message = directory + ": " + drawn.error().what;
            return drawn.error();
        }
        first.instance = drawn.value().instance;
    }
    Reservation r;
    return r.make(directory, first, message);
}

Result<Reservation> Reservation::open(const std::string& directory, bool may_create,
                                      std::string& message) {
    const std::string path = directory + "/" + kFileName;
    Reservation r;
    r.block_ = static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kBlockBytes));
    ASSERT(r.block_ != nullptr);
    r.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (r.fd_ < 0 && errno == ENOENT && may_create) {
        const auto first = draw_first();
        if (!first) {
            message = path + ": " + first.error().what;
            return first.error();
        }
        if (auto made = r.make(directory, first.value(), message); !made) {
            return made.error();
        }
        return r;
    }
    if (r.fd_ < 0 && errno == ENOENT) {
        message = path +
                  " is missing although the journal has records: numbers could be used "
                  "twice. Restore it, or " +
                  kBeginAnew;
        return {Errc::NotFound, "reservation file is missing", ENOENT};
    }
    if (r.fd_ < 0) {
        message = path + ": cannot be opened (" + std::strerror(errno) + ")";
        return failed("reservation: cannot open the file");
    }
    // What a failed flush left in the page cache must not be believed.
    if (::fsync(r.fd_) != 0) {
        return failed("reservation: cannot flush the file");
    }
    (void)::posix_fadvise(r.fd_, 0, 0, POSIX_FADV_DONTNEED);
    const auto a = read_block(r.fd_, 0);
    const auto b = read_block(r.fd_, 1);
    if (!a && !b) {
        message = path + ": neither of its two blocks is valid. Restore it, or " + kBeginAnew;
        return {Errc::BadChecksum, "reservation file is damaged"};
    }
    const ReservationBlock& newest = !b || (a && a->generation > b->generation) ? *a : *b;
    r.generation_ = newest.generation;
    r.current_ = reserved_by(newest);
    return r;
}

Result<Reserved> Reservation::read(const std::string& directory, std::string& message) {
    const std::string path = directory + "/" + kFileName;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const int why = errno;
        message = path + ": cannot be opened (" + std::strerror(why) + ")";
        return {why == ENOENT ? Errc::NotFound : Errc::IoError, "reservation: no file", why};
    }
    const auto a = read_block(fd, 0);
    const auto b = read_block(fd, 1);
    ::close(fd);
    if (!a && !b) {
        message = path + ": neither of its two blocks is valid";
        return {Errc::BadChecksum, "reservation file is damaged"};
    }
    const ReservationBlock& newest = !b || (a && a->generation > b->generation) ? *a : *b;
    return reserved_by(newest);
}

Status Reservation::reserve(const Reserved& to) noexcept {
    ASSERT(fd_ >= 0);
    if (failed_) {
        return {Errc::Poisoned, "reservation: an earlier write failed"};
    }
    ReservationBlock block;
    block.generation = generation_ + 1;
    block.reserved_seq = std::max(to.seq, current_.seq);
    block.reserved_intent = std::max(to.intent, current_.intent);
    block.instance = current_.instance;
    block.epoch = std::max(to.epoch, current_.epoch);
    block.crc32c = crc_of(block);
    std::memset(block_, 0, kBlockBytes);
    std::memcpy(block_, &block, sizeof(block));
    const iovec part{block_, kBlockBytes};
    const auto at = static_cast<off_t>(block.generation % 2 * kBlockBytes);
    MILLRACE_CRASH_POINT("journal.before_reserve");
    ssize_t put = -1;
    do {
        put = ::pwritev2(fd_, &part, 1, at, RWF_DSYNC);
    } while (put < 0 && errno == EINTR);
    if (put != static_cast<ssize_t>(kBlockBytes)) {
        failed_ = true;
        errno = put < 0 ? errno : ENOSPC;
        return failed("reservation: a write failed");
    }
    MILLRACE_CRASH_POINT("journal.after_reserve");
    generation_ = block.generation;
    current_ = reserved_by(block);
    return ok_status();
}

}  // namespace millrace
