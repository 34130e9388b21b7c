#include "tools/millrace/roles.h"

#include <algorithm>
#include <iterator>

#include "tools/millrace/config_reader.h"

namespace millrace {
namespace {

struct Needed {
    std::string_view words;
    Role role;
};

constexpr Needed kCommands[] = {
    {"account add", Role::Admin},
    {"account disable", Role::Trader},
    {"account list", Role::Viewer},
    {"account lock-disabled", Role::Admin},
    {"account pause", Role::Trader},
    {"account reduce-only", Role::Trader},
    {"account remove", Role::Admin},
    {"account resume", Role::Trader},
    {"account stop", Role::Trader},
    {"accounts", Role::Viewer},
    {"backup", Role::Trader},
    {"config check", Role::Viewer},
    {"config schema", Role::Viewer},
    {"credential add", Role::Admin},
    {"credential backup", Role::Admin},
    {"credential erase", Role::Admin},
    {"credential init", Role::Admin},
    {"credential list", Role::Viewer},
    {"credential lock", Role::Trader},
    {"credential restore", Role::Admin},
    {"credential restore-test", Role::Admin},
    {"credential rotate", Role::Admin},
    {"credential unlock", Role::Admin},
    {"doctor clickhouse", Role::Viewer},
    {"doctor redis", Role::Viewer},
    {"down", Role::Admin},
    {"explain", Role::Viewer},
    {"group add", Role::Admin},
    {"group list", Role::Viewer},
    {"group member", Role::Admin},
    {"group pause", Role::Trader},
    {"group remove", Role::Admin},
    {"group resume", Role::Trader},
    {"inspect", Role::Viewer},
    {"kill", Role::Viewer},  // everybody's
    {"orders", Role::Viewer},
    {"positions", Role::Viewer},
    {"query", Role::Viewer},
    {"recover", Role::Admin},
    {"resolve", Role::Trader},
    {"restore", Role::Admin},
    {"stage", Role::Admin},
    {"terminal list", Role::Viewer},
    {"terminal restart", Role::Trader},
    {"terminal start", Role::Trader},
    {"terminal stop", Role::Trader},
    {"ticks", Role::Viewer},
    {"unkill", Role::Trader},
    {"up", Role::Admin},
    {"upgrade", Role::Admin},
    {"verify clickhouse", Role::Trader},  // with --mend it writes
};

}  // namespace

std::string_view to_string(Role role) noexcept {
    switch (role) {
        case Role::Viewer: return "viewer";
        case Role::Trader: return "trader";
        case Role::Admin: return "admin";
    }
    return "unknown";
}

OperatorConfig read_operator(ObjectReader& o) {
    OperatorConfig c;
    o.require("user");
    o.text("user", c.user, {1, 64});
    o.require("role");
    o.choice("role", c.role,
             {{"viewer", Role::Viewer}, {"trader", Role::Trader}, {"admin", Role::Admin}});
    return c;
}

Role role_of(const std::vector<OperatorConfig>& operators, const Login& login,
             std::uint32_t owner) {
    if (operators.empty() || login.uid == owner) {
        return Role::Admin;
    }
    const auto listed = std::find_if(operators.begin(), operators.end(), [&](const auto& o) {
        return o.user == login.name || o.user == std::to_string(login.uid);
    });
    return listed == operators.end() ? Role::Viewer : listed->role;
}

bool needed_role(std::string_view words, Role& role) noexcept {
    // "explain signal" and "query orders" go by their first word.
    const std::string_view first = words.substr(0, words.find(' '));
    const auto known = std::find_if(std::begin(kCommands), std::end(kCommands), [&](const auto& c) {
        return c.words == words || c.words == first;
    });
    if (known == std::end(kCommands)) {
        return false;
    }
    role = known->role;
    return true;
}

}  // namespace millrace
