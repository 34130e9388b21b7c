// Two pinned ends of a measurement, as threads or as processes, and whether the scheduler left
// them alone meanwhile.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <new>

namespace millrace::bench {

enum class Mode { Threads, Processes };

/// Pins the calling thread. Ends the program if the CPU may not be used.
void pin_or_die(int cpu);

/// A count that grows when the calling thread is preempted.
[[nodiscard]] std::int64_t preemptions() noexcept;

/// Nanoseconds by the cheapest clock that all cores share: the TSC where the kernel trusts it for
/// its own clock, else CLOCK_MONOTONIC. Calibrated at the first call.
[[nodiscard]] std::int64_t ticks() noexcept;
/// What one ticks() costs, the least of many: to be taken off where it lies in every sample.
[[nodiscard]] std::int64_t cost_of_ticks() noexcept;
[[nodiscard]] double ticks_to_ns(std::int64_t ticks) noexcept;
[[nodiscard]] std::int64_t ns_to_ticks(double ns) noexcept;

/// Runs `near` on the calling thread, pinned to `cpu_near`, and `far` in a thread or forked process
/// on `cpu_far`; both start together.
/// @return true if neither end was preempted between start and end.
/// A process shares only what lies in Shared<>; the program ends if it fails.
bool run_pair(Mode mode, int cpu_near, int cpu_far, const std::function<void()>& near,
              const std::function<void()>& far);

/// A T in zeroed memory of its own that forked children share.
template <class T>
class Shared {
public:
    Shared() {
        void* at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (at == MAP_FAILED) {
            throw std::bad_alloc{};
        }
        value_ = new (at) T;
    }
    ~Shared() {
        value_->~T();
        ::munmap(value_, sizeof(T));
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T* operator->() noexcept { return value_; }
    T& operator*() noexcept { return *value_; }

private:
    T* value_;
};

}  // namespace millrace::bench
