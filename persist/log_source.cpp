#include "persist/log_source.h"

#include "persist/file_preparer.h"
#include "persist/second_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

DirectorySource::DirectorySource(std::string directory, Places places) noexcept
    : directory_{std::move(directory)}, places_{places} {}

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
        if (auto added = add_second(names.value()); !added) {
            return added.error();
        }
    }
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
