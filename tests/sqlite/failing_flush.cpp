#include "tests/sqlite/failing_flush.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace millrace::sqlite_test {
namespace {

struct Disk {
    std::string folder;
    int good = INT_MAX;
    bool failed = false;
    off_t flushed = 0;
    off_t written_from = -1;
};
Disk* g_disk = nullptr;

bool counts(int fd) {
    if (g_disk == nullptr) {
        return false;
    }
    char path[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t bytes = ::readlink(link.c_str(), path, sizeof path);
    const std::string at{path, bytes < 0 ? 0 : static_cast<std::size_t>(bytes)};
    return at.starts_with(g_disk->folder + "/");
}

int flush(int fd, long call) {
    if (!counts(fd)) {
        return static_cast<int>(::syscall(call, fd));
    }
    if (!g_disk->failed && g_disk->good-- == 0) {
        g_disk->failed = true;
        errno = EIO;
        return -1;
    }
    struct stat info{};
    if (::fstat(fd, &info) == 0 && !g_disk->failed) {
        g_disk->flushed = info.st_size;
    }
    return static_cast<int>(::syscall(call, fd));
}

ssize_t write_at(int fd, const void* bytes, size_t count, off_t offset) {
    if (counts(fd) && g_disk->failed &&
        (g_disk->written_from < 0 || offset < g_disk->written_from)) {
        g_disk->written_from = offset;
    }
    return ::syscall(SYS_pwrite64, fd, bytes, count, offset);
}

}  // namespace

FailingFlush::FailingFlush(const std::string& folder) {
    g_disk = new Disk{folder};
}
FailingFlush::~FailingFlush() {
    delete g_disk;
    g_disk = nullptr;
}
void FailingFlush::fail_after(int good) {
    g_disk->good = good;
    g_disk->failed = false;
    g_disk->written_from = -1;
}
bool FailingFlush::failed() const {
    return g_disk->failed;
}
off_t FailingFlush::flushed() const {
    return g_disk->flushed;
}
off_t FailingFlush::written_from() const {
    return g_disk->written_from;
}

}  // namespace millrace::sqlite_test

extern "C" int fsync(int fd) {
    return millrace::sqlite_test::flush(fd, SYS_fsync);
}
extern "C" int fdatasync(int fd) {
    return millrace::sqlite_test::flush(fd, SYS_fdatasync);
}
extern "C" ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
    return millrace::sqlite_test::write_at(fd, bytes, count, offset);
}
extern "C" ssize_t pwrite64(int fd, const void* bytes, size_t count, off_t offset) {
    return millrace::sqlite_test::write_at(fd, bytes, count, offset);
}
