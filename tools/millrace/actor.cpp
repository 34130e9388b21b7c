#include "tools/millrace/actor.h"

#include <pwd.h>
#include <unistd.h>

#include <climits>
#include <fstream>
#include <string>

#include "shm/segment.h"

namespace millrace {
namespace {

constexpr std::uint32_t kNobodyLoggedIn = 0xFFFF'FFFFU;  // audit's own "unset"

std::uint32_t login_uid(std::uint32_t otherwise) {
    std::uint32_t uid = kNobodyLoggedIn;
    std::ifstream{"/proc/self/loginuid"} >> uid;
    return uid == kNobodyLoggedIn ? otherwise : uid;
}

std::string name_of(std::uint32_t uid) {
    char buffer[4096];
    passwd entry{};
    passwd* found = nullptr;
    const bool named = ::getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 &&
                       found != nullptr && entry.pw_name[0] != '\0';
    return named ? entry.pw_name : std::to_string(uid);
}

}  // namespace

Actor this_actor(bool look_up) {
    Actor actor;
    actor.uid = ::getuid();
    const std::uint32_t uid = login_uid(actor.uid);
    actor.user = make_text<12>(look_up ? name_of(uid) : std::to_string(uid));
    char host[HOST_NAME_MAX + 1] = {};
    if (::gethostname(host, sizeof host - 1) == 0) {
        actor.host = make_text<16>(host);
    }
    return actor;
}

Login this_login() {
    const std::uint32_t uid = login_uid(::getuid());
    return {uid, name_of(uid)};
}

}  // namespace millrace
