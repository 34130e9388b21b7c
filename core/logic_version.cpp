#include "core/logic_version.h"

namespace millrace {

// Alone in its file: a program that defines logic_version() itself never pulls this one in.
std::uint32_t logic_version() noexcept {
    return kLogicVersion;
}

}  // namespace millrace
