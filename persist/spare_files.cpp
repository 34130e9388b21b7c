#include "persist/spare_files.h"

#include "core/crash_point.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

namespace millrace {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kUsedPrefix = "spare-used-";
constexpr std::string_view kZeroPrefix = "spare-zero-";
constexpr std::string_view kSuffix = ".mrp";

Error failed(const char* what) noexcept {
    const int e = errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, e, what};
}

struct Free {
    void operator()(void* p) const noexcept { std::free(p); }
};

// Whether somebody else has the file open: a lease for writing is granted only to the one holder.
// A file system without leases cannot say; there the reader's own checks must do.
bool open_elsewhere(int fd) noexcept {
    if (::fcntl(fd, F_SETLEASE, F_WRLCK) == 0) {
        (void)::fcntl(fd, F_SETLEASE, F_UNLCK);
        return false;
    }
    return errno == EAGAIN;
}

Status zero_first_block(int fd) noexcept {
    const std::unique_ptr<void, Free> block{std::aligned_alloc(kBlockBytes, kBlockBytes)};
    ASSERT(block != nullptr);
    std::memset(block.get(), 0, kBlockBytes);
    ssize_t put = -1;
    do {
        put = ::pwrite(fd, block.get(), kBlockBytes, 0);
    } while (put < 0 && errno == EINTR);
    if (put != static_cast<ssize_t>(kBlockBytes)) {
        errno = put < 0 ? errno : EIO;
        return failed("journal: cannot clear a spare file");
    }
    return ::fdatasync(fd) == 0 ? ok_status()
                                : Status{failed("journal: cannot flush a spare file")};
}

int open_for_writing(const std::string& path, FileMode mode) noexcept {
    return ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (mode.direct ? O_DIRECT : 0) |
                                    (mode.dsync ? O_DSYNC : 0));
}

// Clears the spare open as `fd` and gives it its new name. Every step is durable before the next:
// a cleared block 0 under the old journal name would read as a file that lost its header.
Status rename_cleared(const std::string& directory, const SpareFile& spare,
                      const JournalFileName& name, int fd) noexcept {
    if (auto retired = sync_directory(directory); !retired) {
        return retired;
    }
    if (auto cleared = zero_first_block(fd); !cleared) {
        return cleared;
    }
    MILLRACE_CRASH_POINT("journal.spare_cleared");
    const std::string from = directory + "/" + spare.name;
    const std::string to = directory + "/" + name.text().data();
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return failed("journal: cannot rename a spare file");
    }
    return sync_directory(directory);
}

}  // namespace

std::vector<SpareFile> list_spares(const std::string& directory) noexcept {
    std::vector<SpareFile> spares;
    std::error_code error;
    for (fs::directory_iterator it{directory, error}, end; !error && it != end;
         it.increment(error)) {
        const std::string name = it->path().filename().string();
        const bool used = name.starts_with(kUsedPrefix);
        struct stat s{};
        if ((used || name.starts_with(kZeroPrefix)) && name.ends_with(kSuffix) &&
            ::lstat(it->path().c_str(), &s) == 0 && S_ISREG(s.st_mode)) {
            spares.push_back({name, used, static_cast<std::uint64_t>(s.st_size)});
        }
    }
    // "used" sorts before "zero": what cost nothing goes first, so the pool keeps taking in more.
    std::sort(spares.begin(), spares.end(),
              [](const SpareFile& a, const SpareFile& b) { return a.name < b.name; });
    return spares;
}

Result<Retired> retire_file(const std::string& directory, const JournalFileName& name,
                            bool followed, const SparePolicy& policy) noexcept {
    const std::string text = name.text().data();
    const std::string path = directory + "/" + text;
    struct stat s{};
    const bool fits = ::lstat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) && s.st_nlink == 1 &&
                      static_cast<std::uint64_t>(s.st_size) == policy.bytes;
    if (followed && fits && list_spares(directory).size() < policy.count) {
        // "journal-0000000001-000002.mrj" -> "0000000001-000002"
        const std::string number = text.substr(8, text.size() - 8 - 4);
        const std::string spare =
            directory + "/" + std::string{kUsedPrefix} + number + std::string{kSuffix};
        if (::rename(path.c_str(), spare.c_str()) == 0) {
            return Retired::Pooled;
        }
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return failed("journal: cannot remove an old file");
    }
    return Retired::Removed;
}

Result<TakenSpare> take_spare(const std::string& directory, const JournalFileName& name,
                              std::uint64_t bytes, FileMode mode) noexcept {
    for (const SpareFile& spare : list_spares(directory)) {
        if (spare.bytes < bytes) {
            continue;
        }
        const int fd = open_for_writing(directory + "/" + spare.name, mode);
        if (fd < 0) {
            continue;  // removed, or not ours: another one, or zeros, will do
        }
        if (open_elsewhere(fd)) {
            ::close(fd);
            continue;
        }
        if (auto renamed = rename_cleared(directory, spare, name, fd); !renamed) {
            ::close(fd);
            return renamed.error();
        }
        MILLRACE_CRASH_POINT("journal.file_prepared");
        return TakenSpare{fd, spare.bytes, spare.reused};
    }
    return {Errc::NotFound, "journal: no spare file"};
}

void trim_spares(const std::string& directory, const SparePolicy& policy) noexcept {
    std::uint32_t kept = 0;
    for (const SpareFile& spare : list_spares(directory)) {
        if (spare.bytes != policy.bytes || ++kept > policy.count) {
            ::unlink((directory + "/" + spare.name).c_str());
        }
    }
    ::unlink((directory + "/" + kSpareInMaking).c_str());
}

}  // namespace millrace
