#include "persist/sqlite_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/crash_point.h"

namespace millrace {
namespace {

constexpr int kStaleMax = 1000;  // files kept before an operator must look

std::string with(const std::string& path, const char* suffix) {
    return path + suffix;
}

/// Renames; a missing source is fine.
Status move(const std::string& from, const std::string& to) noexcept {
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) {
        return {Errc::IoError, "cannot rename a database file", errno};
    }
    return ok_status();
}

Status remove_one(const std::string& path) noexcept {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return {Errc::IoError, "cannot remove a database file", errno};
    }
    return ok_status();
}

Status sync_directory_of(const std::string& path) noexcept {
    const std::size_t slash = path.rfind('/');
    const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return {Errc::IoError, "cannot open the store's directory", errno};
    }
    const int rc = ::fsync(fd);
    const int e = errno;
    ::close(fd);
    if (rc != 0) {
        return {Errc::IoError, "cannot sync the store's directory", e};
    }
    return ok_status();
}

/// Keeps the old files under the first free stale name.
Status set_aside(const std::string& path, std::string& kept) noexcept {
    int n = 1;
    while (n <= kStaleMax && (sqlite_file_exists(path + ".stale-" + std::to_string(n)) ||
                              sqlite_file_exists(path + ".stale-" + std::to_string(n) + "-wal"))) {
        ++n;
    }
    if (n > kStaleMax) {
        return {Errc::NoSpace, "too many .stale files beside the store; move them away"};
    }
    kept = path + ".stale-" + std::to_string(n);
    // The log first: left behind, SQLite would play the old log into the new file.
    if (auto done = move(with(path, "-wal"), with(kept, "-wal")); !done) {
        return done;
    }
    MILLRACE_CRASH_POINT("sqlite-replace-wal-moved");
    if (auto done = remove_one(with(path, "-shm")); !done) {
        return done;
    }
    return move(path, kept);
}

}  // namespace

bool sqlite_file_exists(const std::string& path) noexcept {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0;
}

Status sqlite_remove(const std::string& path) noexcept {
    for (const char* suffix : {"-wal", "-shm", ""}) {
        if (auto done = remove_one(with(path, suffix)); !done) {
            return done;
        }
    }
    return ok_status();
}

Status remove_sqlite_rebuild(const std::string& path) noexcept {
    if (auto done = sqlite_remove(path + kRestoringSuffix); !done) {
        return done;
    }
    return sqlite_remove(path + kRebuildSuffix);
}

Status sqlite_replace(const std::string& path, const std::string& fresh,
                      std::string& kept) noexcept {
    kept.clear();
    if (sqlite_file_exists(path) || sqlite_file_exists(with(path, "-wal"))) {
        if (auto done = set_aside(path, kept); !done) {
            return done;
        }
    }
    MILLRACE_CRASH_POINT("sqlite-replace-old-moved");
    if (::rename(fresh.c_str(), path.c_str()) != 0) {
        return {Errc::IoError, "cannot put the rebuilt store in its place", errno};
    }
    return sync_directory_of(path);
}

}  // namespace millrace
