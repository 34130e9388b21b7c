// A build from before upgrades, as far as a log can tell: see next_logic_version.cpp.
#include "core/logic_version.h"

#include "persist/log_version.h"

namespace millrace {

std::uint32_t logic_version() noexcept {
    return kFirstUpgradableLogic - 1;
}

}  // namespace millrace
