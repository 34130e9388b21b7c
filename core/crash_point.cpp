#include "core/crash_point.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace millrace {
namespace {

constexpr std::size_t kNameMax = 64;
char armed_name[kNameMax];
long armed_passage = 1;
std::atomic<long> passages{0};

// Before main: a point passed during a stage's start counts too.
[[maybe_unused]] const bool from_environment = [] {
    const char* spec = std::getenv("MILLRACE_CRASH_POINT");
    arm_crash_point(spec == nullptr ? "" : spec);
    return true;
}();

}  // namespace

bool detail::crash_point_armed = false;

void arm_crash_point(const char* spec) noexcept {
    const char* colon = std::strchr(spec, ':');
    const std::size_t length = colon == nullptr ? std::strlen(spec)
                                                : static_cast<std::size_t>(colon - spec);
    const std::size_t kept = length < kNameMax ? length : kNameMax - 1;
    std::memcpy(armed_name, spec, kept);
    armed_name[kept] = '\0';
    armed_passage = colon == nullptr ? 1 : std::strtol(colon + 1, nullptr, 10);
    // Relaxed: armed before other threads exist.
    passages.store(0, std::memory_order_relaxed);
    detail::crash_point_armed = kept > 0;
}

void detail::crash_point_hit(const char* name) noexcept {
    if (std::strcmp(name, armed_name) != 0) {
        return;
    }
    // Relaxed: only the count matters; the kill ends everything after it.
    if (passages.fetch_add(1, std::memory_order_relaxed) + 1 == armed_passage) {
        static_cast<void>(std::raise(SIGKILL));
    }
}

}  // namespace millrace
