#include "persist/log_source.h"

#include "persist/file_preparer.h"
#include "persist/second_directory.h"
#include "shm/layout.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace millrace {
namespace {

Error io_error(const char* what) noexcept {
    return {Errc::IoError, errno, what};
}

// Whether the first group commit of a file without a readable header is valid: then the header
// was once there (it completes before anything else is written) and has been lost.
bool holds_commit(LogSource& source, const JournalFileName& name) noexcept {
    alignas(16) std::byte block[kCommitFrameBytes];
    const auto got = source.read(name, kBlockBytes, block);
    if (!got || got.value() < sizeof(block)) {
        return false;
    }
    const auto commit = parse_commit(block);
    return commit.ok() && commit.value().epoch == name.epoch &&
           commit.value().index == name.index && commit.value().offset == kBlockBytes;
}

/// Whether the file was begun: records may have been acknowledged from it.
bool is_used(LogSource& source, const JournalFileName& name) noexcept {
    alignas(16) std::byte block[sizeof(JournalFileHeader)];
    const auto got = source.read(name, 0, block);
    const auto header = got ? decode_header(std::span{block}.first(got.value()))
                            : Result<JournalFileHeader>{got.error()};
    return header.ok() && header.value().epoch == name.epoch && header.value().index == name.index;
}

/// Journal files of one directory, sorted.
Result<std::vector<JournalFileName>> names_in(const std::string& directory) noexcept {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) {
        return io_error("journal: cannot list the journal directory");
    }
    std::vector<JournalFileName> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
        if (auto name = JournalFileName::parse(entry->d_name); name.ok()) {
            names.push_back(name.value());
        }
    }
    const int e = errno;
    ::closedir(dir);
    if (e != 0) {
        return {Errc::IoError, "journal: cannot list the journal directory", e};
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

DirectorySource::DirectorySource(std::string directory, Places places,
                                 const CoreCells* core) noexcept
    : directory_{std::move(directory)}, places_{places}, core_{core} {}

DirectorySource::~DirectorySource() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Result<std::vector<JournalFileName>> DirectorySource::list() noexcept {
    second_.clear();
    in_second_.clear();
    auto names = names_in(directory_);
    if (names && places_ == Places::Both) {
        const std::vector<JournalFileName> first = names.value();
        if (auto added = add_second(names.value()); !added) {
            return without_second(first, added.error());
        }
    }
    return names;
}

/// Each number of an epoch is given out once, in one of the directories. So from the segment's
/// newest epoch back, as long as there is no gap between the numbers, all of the log is here. What
/// is older is left out, as if retention had taken it: an epoch in the other directory may have
/// voided its end.
Result<std::vector<JournalFileName>> DirectorySource::without_second(
    const std::vector<JournalFileName>& first, const Error& why) noexcept {
    const bool gone = why.code == Errc::NotFound || why.code == Errc::IoError;
    // Acquire: pairs with the journal stage's release; a file of that epoch is there then.
    const std::uint64_t newest =
        gone && core_ != nullptr ? core_->epoch.load(std::memory_order_acquire) : 0;
    std::uint64_t from = 0;  // the oldest epoch that is followed without a gap
    for (auto name = first.rbegin(); name != first.rend() && newest != 0; ++name) {
        const bool joins = from == 0 ? name->epoch >= newest : name->epoch + 1 >= from;
        if (!is_used(*this, *name)) {
            continue;  // prepared; it holds no number
        }
        if (!joins) {
            break;
        }
        from = name->epoch;
    }
    if (from == 0) {
        return why;
    }
    std::vector<JournalFileName> names;
    std::copy_if(first.begin(), first.end(), std::back_inserter(names),
                 [from](const JournalFileName& name) { return name.epoch >= from; });
    return names;
}

Status DirectorySource::add_second(std::vector<JournalFileName>& names) noexcept {
    auto second = second_directory_of(directory_);
    if (!second) {
        return second.error();
    }
    if (second.value().empty()) {
        return ok_status();
    }
    // One that is not mounted is an empty directory: what it held would be missing in silence.
    std::string message;
    if (auto ours = check_second_directory(directory_, second.value(), message); !ours) {
        return ours;
    }
    auto more = names_in(second.value());
    if (!more) {
        return more.error();
    }
    second_ = std::move(second).value();
    in_second_ = std::move(more).value();
    names.insert(names.end(), in_second_.begin(), in_second_.end());
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
        return {Errc::BadLayout, "journal: a file lies in both directories; take the copy away"};
    }
    return ok_status();
}

bool DirectorySource::in_second(const JournalFileName& file) const noexcept {
    return std::binary_search(in_second_.begin(), in_second_.end(), file);
}

std::string DirectorySource::path_of(const JournalFileName& file) const {
    return (in_second(file) ? second_ : directory_) + "/" + file.text().data();
}

Result<std::size_t> DirectorySource::read(const JournalFileName& file, std::uint64_t offset,
                                          std::span<std::byte> out) noexcept {
    if (fd_ < 0 || open_name_ != file) {
        const std::string path = path_of(file);
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
            return {Errc::NotFound, "journal: file is gone", ENOENT};
        }
        if (fd < 0) {
            return io_error("journal: cannot open a journal file");
        }
        // The reader reads ahead by itself; more would only fill the cache with unwritten blocks.
        (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
        if (fd_ >= 0) {
            ::close(fd_);
        }
        fd_ = fd;
        open_name_ = file;
    }
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got =
            ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return io_error("journal: cannot read a journal file");
        }
        if (got == 0) {
            break;
        }
        done += static_cast<std::size_t>(got);
    }
    return done;
}

Status DirectorySource::settle() noexcept {
    const auto names = list();
    if (!names) {
        return names.error();
    }
    for (const auto& name : names.value()) {
        const std::string path = path_of(name);
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
            continue;
        }
        if (fd < 0) {
            return io_error("journal: cannot open a journal file");
        }
        const bool flushed = ::fsync(fd) == 0;
        const Status result =
            flushed ? ok_status() : Status{io_error("journal: cannot flush a journal file")};
        // Dirty pages are gone with the flush; now the clean ones.
        (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        ::close(fd);
        if (!result) {
            return result;
        }
    }
    const Status synced = second_.empty() ? ok_status() : sync_directory(second_);
    return synced ? sync_directory(directory_) : synced;
}

Result<std::vector<LogFile>> list_log(LogSource& source) noexcept {
    auto names = source.list();
    if (!names) {
        return names.error();
    }
    std::vector<LogFile> files;
    files.reserve(names.value().size());
    alignas(16) std::byte block[sizeof(JournalFileHeader)];
    for (const auto& name : names.value()) {
        const auto got = source.read(name, 0, block);
        if (got.code() == Errc::NotFound) {
            continue;  // an unused or outlived file, removed since it was listed
        }
        if (!got) {
            return got.error();
        }
        LogFile file{name, LogFileUse::Unused, {}, {}};
        const auto header = decode_header(std::span{block}.first(got.value()));
        if (header.ok() && header.value().epoch == name.epoch &&
            header.value().index == name.index) {
            file.use = LogFileUse::Used;
            file.header = header.value();
        } else if (header.ok()) {
            file.use = LogFileUse::Bad;
            file.why = {Errc::BadLayout, 0, "header names another file: it was renamed or copied"};
        } else if (header.code() == Errc::BadVersion || holds_commit(source, name)) {
            file.use = LogFileUse::Bad;
            file.why = header.error();
        }
        files.push_back(file);
    }
    return files;
}

}  // namespace millrace
