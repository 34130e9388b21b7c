// Crash points: named places where a test has the process killed, exactly there, as by SIGKILL.
//
// MILLRACE_CRASH_POINT=name[:n] in the environment kills the process at the nth (default: first)
// passage of that point. Not set, a point costs one predictable branch.
#pragma once

namespace millrace {

namespace detail {
/// Set once, before any stage runs; read without synchronisation afterwards.
extern bool crash_point_armed;
void crash_point_hit(const char* name) noexcept;
}  // namespace detail

/// Passage of the point `name`, e.g. "broker.after_claim": area, dot, step.
/// Threads: any; passages are counted over all threads of the process.
inline void crash_point(const char* name) noexcept {
    if (detail::crash_point_armed) [[unlikely]] {
        detail::crash_point_hit(name);
    }
}

/// Arms as the environment variable would; "" disarms. For a test's forked child.
/// Threads: before the process has others.
void arm_crash_point(const char* spec) noexcept;

}  // namespace millrace

#define MILLRACE_CRASH_POINT(name) ::millrace::crash_point(name)
