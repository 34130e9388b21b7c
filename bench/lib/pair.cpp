#include "bench/lib/pair.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "shm/clock.h"

namespace millrace::bench {
namespace {

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

bool kernel_trusts_tsc() {
#if defined(__x86_64__)
    std::ifstream file{"/sys/devices/system/clocksource/clocksource0/current_clocksource"};
    std::string name;
    return (file >> name) && (name == "tsc" || name == "kvm-clock");
#else
    return false;
#endif
}

std::int64_t raw_ticks() noexcept {
#if defined(__x86_64__)
    unsigned aux = 0;
    return static_cast<std::int64_t>(__builtin_ia32_rdtscp(&aux));
#else
    return monotonic_ns();
#endif
}

struct Calibration {
    bool tsc = kernel_trusts_tsc();
    double ns_per_tick = 1.0;
    Calibration() {
        if (!tsc) {
            return;
        }
        const std::int64_t t = raw_ticks();
        const std::int64_t ns = monotonic_ns();
        while (monotonic_ns() - ns < 20'000'000) {
        }
        ns_per_tick =
            static_cast<double>(monotonic_ns() - ns) / static_cast<double>(raw_ticks() - t);
    }
};

const Calibration& calibration() noexcept {
    static const Calibration c;
    return c;
}

struct ClockCost {
    std::int64_t ticks = INT64_MAX;
    ClockCost() {
        for (int i = 0; i < 10'000; ++i) {
            const std::int64_t t = millrace::bench::ticks();
            ticks = std::min(ticks, millrace::bench::ticks() - t);
        }
    }
};

struct Meeting {
    std::atomic<int> here{0};
    std::atomic<std::int64_t> preempted{0};
};

void take_part(Meeting& meeting, int cpu, const std::function<void()>& work) {
    pin_or_die(cpu);
    ::usleep(100);  // begins with a fresh time slice
    meeting.here.fetch_add(1);
    while (meeting.here.load() < 2) {
        ::sched_yield();  // the other end may still have to be given a CPU
    }
    const std::int64_t before = preemptions();
    work();
    meeting.preempted.fetch_add(preemptions() - before);
}

}  // namespace

void pin_or_die(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) {
        die("bench: cannot pin");
    }
}

std::int64_t preemptions() noexcept {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

std::int64_t ticks() noexcept {
    return calibration().tsc ? raw_ticks() : monotonic_ns();
}
std::int64_t cost_of_ticks() noexcept {
    static const ClockCost cost;
    return cost.ticks;
}

double ticks_to_ns(std::int64_t t) noexcept {
    return static_cast<double>(t) * calibration().ns_per_tick;
}
std::int64_t ns_to_ticks(double ns) noexcept {
    return static_cast<std::int64_t>(ns / calibration().ns_per_tick);
}

bool run_pair(Mode mode, int cpu_near, int cpu_far, const std::function<void()>& near,
              const std::function<void()>& far) {
    static_cast<void>(calibration());  // before the ends part
    Shared<Meeting> meeting;
    if (mode == Mode::Threads) {
        std::thread other{[&] { take_part(*meeting, cpu_far, far); }};
        take_part(*meeting, cpu_near, near);
        other.join();
        return meeting->preempted.load() == 0;
    }
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) {
        die("bench: fork");
    }
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            ::_exit(1);
        }
        take_part(*meeting, cpu_far, far);
        ::_exit(0);
    }
    take_part(*meeting, cpu_near, near);
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) {
        std::fprintf(stderr, "bench: the other process failed (status %d)\n", status);
        std::exit(1);
    }
    return meeting->preempted.load() == 0;
}

}  // namespace millrace::bench
