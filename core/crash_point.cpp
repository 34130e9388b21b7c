#include "core/crash_point.h"

#include <csignal>
#include <cstdlib>
#include <cstring>

namespace millrace {
namespace {

std::size_t g_name_length = 0;
int g_countdown = 1;

const char* armed_by_environment() noexcept {
    const char* spec = std::getenv("MILLRACE_CRASH_POINT");
    if (spec != nullptr) {
        arm_crash_point(spec);
    }
    return spec;
}

}  // namespace

const char* detail::g_crash_point = armed_by_environment();

void arm_crash_point(const char* spec) noexcept {
    const char* colon = std::strchr(spec, ':');
    g_name_length = colon != nullptr ? static_cast<std::size_t>(colon - spec) : std::strlen(spec);
    g_countdown = colon != nullptr ? std::atoi(colon + 1) : 1;
    detail::g_crash_point = spec;
}

void detail::hit_crash_point(const char* name) noexcept {
    if (std::strlen(name) == g_name_length &&
        std::strncmp(name, g_crash_point, g_name_length) == 0 && --g_countdown == 0) {
        std::raise(SIGKILL);
    }
}

}  // namespace millrace
