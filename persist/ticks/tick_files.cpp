#include "persist/ticks/tick_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

namespace millrace::ticklog {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "ticks-";
constexpr std::string_view kSuffix = ".mrt";

Error failed(const char* what) noexcept {
    const int why = errno;
    return {why == ENOSPC || why == EDQUOT ? Errc::NoSpace : Errc::IoError, why, what};
}

std::string name_of(std::int64_t created_ns) {
    char name[40];
    std::snprintf(name, sizeof name, "ticks-%020lld.mrt", static_cast<long long>(created_ns));
    return name;
}

std::optional<std::int64_t> created_of(const std::string& name) {
    std::int64_t value = 0;
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) ||
        name.size() <= kPrefix.size() + kSuffix.size()) {
        return std::nullopt;
    }
    const char* end = name.data() + name.size() - kSuffix.size();
    const auto [at, error] = std::from_chars(name.data() + kPrefix.size(), end, value);
    return error == std::errc{} && at == end ? std::optional{value} : std::nullopt;
}

Status write_all(int fd, std::span<const std::byte> bytes) noexcept {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return failed("cannot write to the tick log");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return ok_status();
}

/// A file, a block at a time: it may be an hour of ticks. Not mapped: the recorder may cut off a
/// failed write. What is appended meanwhile is not seen.
class FileBlocks {
public:
    explicit FileBlocks(const std::string& path) : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {
        struct stat info{};
        size_ = fd_ >= 0 && ::fstat(fd_, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
    }
    ~FileBlocks() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    FileBlocks(const FileBlocks&) = delete;
    FileBlocks& operator=(const FileBlocks&) = delete;

    [[nodiscard]] bool header(TickFileHeader& header) {
        const bool whole = fill(sizeof header) == sizeof header;
        if (whole) {
            std::memcpy(&header, bytes_.data(), sizeof header);
            at_ = sizeof header;
        }
        return whole;
    }
    /// The block that is next, or as much of one as there is; empty at the end.
    [[nodiscard]] std::span<const std::byte> block() {
        std::size_t there = fill(sizeof(BlockHeader));
        BlockHeader h;
        if (there == sizeof h) {
            std::memcpy(&h, bytes_.data(), sizeof h);
            // Of a size that cannot be, the header alone: check() names it.
            const bool can_be = h.magic == kBlockMagic && h.packed_bytes <= 32 * kBlockBytes;
            there = can_be ? fill(sizeof h + h.packed_bytes) : there;
        }
        return {bytes_.data(), there};
    }
    void pass(std::size_t bytes) noexcept { at_ += bytes; }
    [[nodiscard]] std::size_t at() const noexcept { return at_; }

private:
    /// Reads `wanted` bytes from at() on. @return how many there are.
    std::size_t fill(std::size_t wanted) {
        wanted = std::min(wanted, size_ - std::min(at_, size_));
        bytes_.resize(std::max(bytes_.size(), wanted));
        std::size_t got = 0;
        while (got < wanted) {
            const ssize_t n =
                ::pread(fd_, bytes_.data() + got, wanted - got, static_cast<off_t>(at_ + got));
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n <= 0) {
                break;
            }
            got += static_cast<std::size_t>(n);
        }
        return got;
    }

    int fd_;
    std::size_t size_ = 0;
    std::size_t at_ = 0;
    std::vector<std::byte> bytes_;
};

bool flush_folder(const std::string& directory) noexcept {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool flushed = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) {
        const int why = errno;
        ::close(fd);
        errno = why;
    }
    return flushed;
}

bool is_wanted(const BlockHeader& h, const TimeRange& range, bool all_marks) noexcept {
    if (h.kind == BlockKind::Dictionary || h.first_time_ns > h.last_time_ns || all_marks) {
        return true;
    }
    return h.last_time_ns >= range.from.value && h.first_time_ns <= range.to.value;
}

}  // namespace

std::vector<TickFile> list_tick_files(const std::string& directory) {
    std::vector<TickFile> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{directory, none}) {
        if (const auto created = created_of(entry.path().filename().string())) {
            files.push_back({entry.path().string(), *created});
        }
    }
    std::sort(files.begin(), files.end(),
              [](const TickFile& a, const TickFile& b) { return a.created_ns < b.created_ns; });
    return files;
}

Nanos last_tick_time(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::int64_t last = INT64_MIN;
    off_t at = sizeof(TickFileHeader);
    BlockHeader h;
    while (fd >= 0 && ::pread(fd, &h, sizeof h, at) == static_cast<ssize_t>(sizeof h) &&
           h.magic == kBlockMagic) {
        if (h.kind == BlockKind::Data && h.first_time_ns <= h.last_time_ns) {
            last = std::max(last, h.last_time_ns);
        }
        at += static_cast<off_t>(sizeof h + h.packed_bytes);
    }
    if (fd >= 0) {
        ::close(fd);
    }
    return Nanos{last};
}

/// The file that is written, or that of the process before, which may have been killed.
Status TickFileWriter::flush_newest(const std::vector<TickFile>& files) noexcept {
    const int other =
        is_open() || files.empty() ? -1 : ::open(files.back().path.c_str(), O_RDONLY | O_CLOEXEC);
    const int fd = is_open() ? fd_ : other;
    const bool failed_now = fd >= 0 && ::fdatasync(fd) != 0;
    const int why = errno;
    if (other >= 0) {
        ::close(other);
    }
    if (!failed_now) {
        return ok_status();
    }
    // A flush that is tried again and succeeds says nothing about what the first one lost.
    close();
    is_poisoned_ = true;
    return {Errc::Poisoned, "a file of the tick log could not be flushed to the disk", why};
}

Status TickFileWriter::begin(const std::string& directory, Nanos wall) {
    if (is_poisoned_) {
        return {Errc::Poisoned, "a file of the tick log could not be flushed to the disk"};
    }
    TickFileHeader header;
    // A clock that went back must not hide the newest file behind an older one.
    const auto files = list_tick_files(directory);
    const std::int64_t newest = files.empty() ? 0 : files.back().created_ns;
    header.created_ns = std::max(wall.value, newest + 1);
    if (const Status flushed = flush_newest(files); !flushed) {
        return flushed;
    }
    const std::string path = directory + "/" + name_of(header.created_ns);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed("cannot create a file of the tick log");
    }
    if (const Status written = write_all(fd, std::as_bytes(std::span{&header, 1})); !written) {
        ::close(fd);
        ::unlink(path.c_str());
        return written;
    }
    if (!flush_folder(directory)) {
        const Error why = failed("cannot flush the folder of the tick log to the disk");
        ::close(fd);
        ::unlink(path.c_str());
        return why;
    }
    close();
    fd_ = fd;
    bytes_ = sizeof header;
    created_ns_ = header.created_ns;
    return ok_status();
}

Status TickFileWriter::append(std::span<const std::byte> blocks) {
    ASSERT(is_open());
    const Status written = write_all(fd_, blocks);
    if (!written) {
        // If even this fails, the next block would follow a torn one, which readers stop at.
        if (::ftruncate(fd_, static_cast<off_t>(bytes_)) != 0) {
            close();
        }
        return written;
    }
    bytes_ += blocks.size();
    return ok_status();
}

void TickFileWriter::close() noexcept {
    if (fd_ >= 0) {
        ::close(fd_);
    }
    fd_ = -1;
}

Status visit_tick_file(const std::string& path, const TimeRange& range, bool all_marks,
                       EntryVisitor& visitor, std::vector<std::string>& bad) {
    FileBlocks file{path};
    TickFileHeader header;
    if (!file.header(header)) {
        return {Errc::IoError, "is shorter than a header, or cannot be read"};
    }
    if (header.magic != kTickFileMagic) {
        return {Errc::BadMagic, "is no file of the tick log"};
    }
    if (header.version != kTickFileVersion) {
        return {Errc::BadVersion, "is of another version of the tick log"};
    }
    BlockReader reader;
    for (auto bytes = file.block(); !bytes.empty(); bytes = file.block()) {
        const auto block = BlockReader::check(bytes);
        Status read = block ? ok_status() : Status{block.error()};
        if (block && is_wanted(block.value(), range, all_marks)) {
            read = reader.read(bytes, visitor);
        }
        if (!read) {
            bad.push_back(path + " at byte " + std::to_string(file.at()) + ": " +
                          read.error().what + "; what follows is not read");
            break;
        }
        file.pass(sizeof(BlockHeader) + block.value().packed_bytes);
    }
    return ok_status();
}

}  // namespace millrace::ticklog
