// A disk that does not answer: preloaded into a process it holds pwritev2() up, as the kernel does
// in such a call, for as long as there is the file $MILLRACE_SLOW_DISK; statvfs(), which only the
// supervisor's housekeeper asks again and again, while there is $MILLRACE_SLOW_STATVFS, beside
// which "FILE.waits" then says that somebody waits.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

/// The parent of a vfork() sleeps as one does who waits for a disk: nothing interrupts it.
void wait_as_for_a_disk(const char* path) {
    const pid_t child = ::vfork();
    if (child == 0) {
        while (::access(path, F_OK) == 0) {
            ::usleep(10'000);
        }
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
}

}  // namespace

extern "C" ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) {
    const char* path = std::getenv("MILLRACE_SLOW_DISK");
    if (path != nullptr && ::access(path, F_OK) == 0) {
        wait_as_for_a_disk(path);
    }
    return ::syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);  // on 64 bits
}
extern "C" ssize_t pwritev64v2(int fd, const iovec* parts, int count, off_t offset, int flags) {
    return pwritev2(fd, parts, count, offset, flags);
}

extern "C" int statvfs(const char* of, struct statvfs* out) noexcept {
    const char* path = std::getenv("MILLRACE_SLOW_STATVFS");
    if (path != nullptr && ::access(path, F_OK) == 0) {
        const std::string waits = std::string{path} + ".waits";
        ::close(::open(waits.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        wait_as_for_a_disk(path);
    }
    const auto real = reinterpret_cast<decltype(&::statvfs)>(::dlsym(RTLD_NEXT, "statvfs"));
    return real(of, out);
}
