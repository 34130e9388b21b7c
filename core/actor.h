// Actor: who gave an admin command, carried in the last 32 bytes of the record's body, which no
// body of ours reaches. For the audit alone: the engine decides nothing by it.
//
//     body    0 .................. 88      92            104              120
//             | by `op`, zero padded | uid  | user[12]    | host[16]         |
//
// Records that were journalled before this existed have zeros there: nobody was recorded.
#pragma once

#include "core/admin.h"

#include <cstddef>
#include <cstring>

namespace millrace {

struct Actor {
    std::uint32_t uid = 0;  // the process's own; with sudo 0
    Text<12> user;          // who logged in, cut to 12; empty = nobody was recorded
    Text<16> host;          // where the command was given, cut to 16
    [[nodiscard]] bool known() const noexcept { return user.bytes[0] != '\0'; }
};
inline constexpr std::size_t kActorOffset = 88;
static_assert(std::is_trivially_copyable_v<Actor> && sizeof(Actor) == 32);
static_assert(kActorOffset + sizeof(Actor) == sizeof(AdminRecord::body));

template <class... Bodies>
inline constexpr bool kLeaveRoomForActor = ((sizeof(Bodies) <= kActorOffset) && ...);
static_assert(kLeaveRoomForActor<SymbolSpec, SourceSpec, GroupSpec, AccountSpec, MemberSpec,
                                 ConfigCommit, AccountCommand, KillCommand, ResolveCommand,
                                 RiskSpec, GroupCommand, AccountRemoval, GroupRemoval, LimitSpec>,
              "a longer body would overwrite who gave the command");

inline void set_actor(AdminRecord& record, const Actor& actor) noexcept {
    std::memcpy(record.body + kActorOffset, &actor, sizeof actor);
}
[[nodiscard]] inline Actor actor_of(const AdminRecord& record) noexcept {
    Actor actor;
    std::memcpy(&actor, record.body + kActorOffset, sizeof actor);
    return actor;
}

}  // namespace millrace
