#include "tools/millrace/crash_plan.h"

#include <cstdlib>

namespace millrace {
namespace {

/// Cuts the text up to `mark` (or all of it) off the front of `rest`.
std::string_view cut(std::string_view& rest, char mark) {
    const std::size_t at = rest.find(mark);
    const std::string_view part = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
    return part;
}

}  // namespace

std::string planned_crash(std::string_view plan, std::string_view stage, std::size_t start) {
    while (!plan.empty()) {
        std::string_view list = cut(plan, ';');
        if (cut(list, '=') != stage) {
            continue;
        }
        for (std::size_t i = 0; i < start && !list.empty(); ++i) {
            (void)cut(list, ',');
        }
        const std::string_view point = cut(list, ',');
        return point == "-" ? std::string{} : std::string{point};
    }
    return {};
}

std::string planned_crash(const std::string& stage, std::size_t start) {
    const char* plan = std::getenv(kCrashPlanVariable);
    return plan == nullptr ? std::string{} : planned_crash(std::string_view{plan}, stage, start);
}

}  // namespace millrace
