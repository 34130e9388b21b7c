// Named places at which a test kills the process (etcd's gofail, with SIGKILL): every step between
// two durable facts has one. MILLRACE_CRASH_POINT=name[:n] in the environment arms the nth hit.
//
// Not part of the pure domain although it lies here: every folder needs it and core is what every
// folder may include. Disarmed it is one load and a predicted branch.
#pragma once

namespace millrace {

namespace detail {
/// The armed point as name[:n], nullptr if none. Set before threads start.
extern const char* g_crash_point;
void hit_crash_point(const char* name) noexcept;
}  // namespace detail

/// Kills this process with SIGKILL if `name` is armed and this is its nth hit.
inline void crash_point(const char* name) noexcept {
    if (detail::g_crash_point != nullptr) [[unlikely]] {
        detail::hit_crash_point(name);
    }
}

/// Arms `spec` (name[:n], kept by pointer) in this process; for the forked children of tests.
/// Threads: before others start.
void arm_crash_point(const char* spec) noexcept;

}  // namespace millrace

#define MILLRACE_CRASH_POINT(name) ::millrace::crash_point(name)
