#include "core/crash_point.h"

#include <csignal>
#include <cstdlib>
#include <cstring>

namespace millrace::detail {
namespace {

struct Armed {
    const char* name = nullptr;
    std::size_t length = 0;
    int countdown = 1;
};

Armed read_environment() noexcept {
    Armed armed;
    armed.name = std::getenv("MILLRACE_CRASH_POINT");
    if (armed.name != nullptr) {
        const char* colon = std::strchr(armed.name, ':');
        armed.length = colon != nullptr ? static_cast<std::size_t>(colon - armed.name)
                                        : std::strlen(armed.name);
        armed.countdown = colon != nullptr ? std::atoi(colon + 1) : 1;
    }
    return armed;
}

Armed g_armed = read_environment();

}  // namespace

const char* const g_crash_point = std::getenv("MILLRACE_CRASH_POINT");

void hit_crash_point(const char* name) noexcept {
    if (std::strlen(name) == g_armed.length &&
        std::strncmp(name, g_armed.name, g_armed.length) == 0 && --g_armed.countdown == 0) {
        std::raise(SIGKILL);
    }
}

}  // namespace millrace::detail
