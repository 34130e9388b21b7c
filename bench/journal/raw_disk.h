// What the journal is measured beside: the same disk without a journal.
#pragma once

#include "persist/journal_format.h"
#include "persist/pwrite_disk.h"
#include "persist/uring_disk.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace millrace {

inline constexpr std::uint64_t kFileBytes = 64ULL << 20;
inline constexpr std::uint64_t kThroughputBytes = 128ULL << 20;  // two rolls a round

[[noreturn]] inline void die(const std::string& what) {
    std::fprintf(stderr, "bench_journal: %s\n", what.c_str());
    std::exit(1);
}

inline std::byte* aligned(std::size_t bytes) {
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, bytes));
    if (memory == nullptr) {
        die("no memory");
    }
    std::memset(memory, 0x5A, bytes);
    return memory;
}

/// A preallocated, written file with O_DIRECT, overwritten block after block.
class RawFile {
public:
    explicit RawFile(const std::string& path)
        : fd_{::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0600)},
          block_{aligned(kCommitBytesMax)} {
        if (fd_ < 0) {
            die(path + ": " + std::strerror(errno));
        }
        for (std::uint64_t at = 0; at < kFileBytes; at += kCommitBytesMax) {
            write(at, kCommitBytesMax);
        }
        ::fsync(fd_);
    }
    ~RawFile() {
        ::close(fd_);
        std::free(block_);
    }
    RawFile(const RawFile&) = delete;
    RawFile& operator=(const RawFile&) = delete;

    void write(std::uint64_t at, std::size_t bytes) {
        if (::pwrite(fd_, block_, bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(bytes)) {
            die(std::string{"write: "} + std::strerror(errno));
        }
    }
    void write_fdatasync() {
        write(next(), kBlockBytes);
        ::fdatasync(fd_);
    }
    void write_dsync() {
        const iovec part{block_, kBlockBytes};
        if (::pwritev2(fd_, &part, 1, static_cast<off_t>(next()), RWF_DSYNC) < 0) {
            die(std::string{"pwritev2: "} + std::strerror(errno));
        }
    }
    void sequential() {
        for (std::uint64_t at = 0; at < kThroughputBytes; at += kCommitBytesMax) {
            write(at % kFileBytes, kCommitBytesMax);
        }
    }

private:
    std::uint64_t next() { return at_ = (at_ + kBlockBytes) % kFileBytes; }
    int fd_;
    std::byte* block_;
    std::uint64_t at_ = 0;
};

/// The journal's own disk without the journal: durable io_uring writes, 4 KiB or 256 KiB.
class RawUring {
public:
    explicit RawUring(const std::string& dir) : block_{aligned(kCommitBytesMax)} {
        auto disk = open_uring_disk(dir, true);
        if (!disk) {
            die(disk.error().what);
        }
        disk_ = std::move(disk).value();
        disk_->register_memory({block_, kCommitBytesMax});
        if (!disk_->prepare({9'000'000'000ULL, 0}, kFileBytes) ||
            disk_->wait_prepared() != Prepared::Ready || !disk_->use_prepared()) {
            die("cannot prepare a file");
        }
        keep(4, kCommitBytesMax, kFileBytes);
    }
    ~RawUring() { std::free(block_); }
    RawUring(const RawUring&) = delete;
    RawUring& operator=(const RawUring&) = delete;

    void write_one() { keep(1, kBlockBytes, kBlockBytes); }
    void sequential() { keep(kWritesInFlightMax, kCommitBytesMax, kThroughputBytes); }

private:
    // Writes `total` bytes in pieces of `bytes`, `depth` on their way at a time.
    void keep(std::size_t depth, std::size_t bytes, std::uint64_t total) {
        std::size_t flying = 0;
        std::uint64_t sent = 0;
        while (sent < total || flying > 0) {
            while (flying < depth && sent < total) {
                at_ = at_ + bytes > kFileBytes ? 0 : at_;
                if (!disk_->submit_write(at_, {block_, bytes}, 1)) {
                    die("io_uring refused a write");
                }
                at_ += bytes;
                sent += bytes;
                ++flying;
            }
            DiskCompletion done[kWritesInFlightMax];
            const std::size_t n = disk_->poll(done);
            if (n == 0) {
                disk_->wait(millis(1));
            }
            flying -= n;
        }
    }
    std::unique_ptr<Disk> disk_;
    std::byte* block_;
    std::uint64_t at_ = 0;
};

}  // namespace millrace
