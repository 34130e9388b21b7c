#include "persist/credential_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "persist/credential_scratch.h"
#include "shm/clock.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLookUs = 20'000;

void remove_leftovers(const std::string& dir) {
    std::vector<fs::path> left;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{dir, error}) {
        const std::string name = entry.path().filename().string();
        const bool unfinished =
            name.starts_with("credentials-") && name.ends_with(kUnfinishedBackup);
        if (unfinished || name.starts_with(kScratchFolder)) {
            left.push_back(entry.path());
        }
    }
    for (const fs::path& path : left) {
        fs::remove_all(path, error);
    }
}

}  // namespace

HeldBackupFolder::~HeldBackupFolder() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Status HeldBackupFolder::take(const std::string& dir, int wait_s) {
    ASSERT(fd_ < 0);
    std::error_code error;
    if (fs::create_directories(dir, error)) {
        ::chmod(dir.c_str(), 0700);
    }
    // A file, not the folder itself: NFS locks only what is open to be written.
    const std::string path = dir + "/.lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0) {
        message_ = path + ": " + std::strerror(errno);
        return {Errc::IoError, "credential backups", errno};
    }
    const std::int64_t end = monotonic_ns() + seconds(wait_s).value;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            message_ = path + ": " + std::strerror(errno);
            return {Errc::IoError, "credential backups", errno};
        }
        if (monotonic_ns() >= end) {
            message_ = dir + ": another backup is being made or tested";
            return {Errc::Busy, "credential backups"};
        }
        ::usleep(kLookUs);
    }
    remove_leftovers(dir);
    return ok_status();
}

}  // namespace millrace
