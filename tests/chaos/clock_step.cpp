// A wall clock that jumps: preloaded into a process it adds to CLOCK_REALTIME the seconds that
// stand in the file $MILLRACE_CLOCK_STEP (a mapped int64), now and whenever they change. The other
// clocks stay. (A time namespace cannot do this, and the host's own clock is not ours to set.)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

std::atomic<std::int64_t> none{0};
std::atomic<std::int64_t>* step = &none;

__attribute__((constructor)) void map_step() {
    const char* path = std::getenv("MILLRACE_CLOCK_STEP");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        void* at = ::mmap(nullptr, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
        ::close(fd);
        if (at != MAP_FAILED) {
            step = static_cast<std::atomic<std::int64_t>*>(at);
        }
    }
}

timespec stepped() noexcept {
    timespec now{};
    ::syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    now.tv_sec += step->load(std::memory_order_relaxed);
    return now;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t id, timespec* out) noexcept {
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        *out = stepped();
        return 0;
    }
    return static_cast<int>(::syscall(SYS_clock_gettime, id, out));
}

int gettimeofday(timeval* out, void*) noexcept {
    const timespec now = stepped();
    *out = {now.tv_sec, static_cast<suseconds_t>(now.tv_nsec / 1000)};
    return 0;
}

time_t time(time_t* out) noexcept {
    const timespec now = stepped();
    if (out != nullptr) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

}  // extern "C"
