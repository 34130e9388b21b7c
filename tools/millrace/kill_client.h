// KillClient: how the command line reaches the broker stage for the kill switch, past the engine
// and past every gate (DESIGN rule 9).
//
//     command line -> ring `admin.broker` -> broker stage
#pragma once

#include "core/admin.h"
#include "shm/segment.h"
#include "tools/millrace/admin_role.h"

#include <string>

namespace millrace {

/// The one producer of `admin.broker`: holds the role `admin.broker`, which nobody holds for
/// longer than it takes to publish. Commands that wait for the engine hold another (AdminClient).
/// Threads: one. Crash: what was published is applied; what was not, never existed.
class KillClient {
public:
    /// Waits up to 2 s for another kill to be sent.
    /// @param segment outlives the client.
    /// @return NotOwner: `message` names the holder's pid; IoError, BadCursor.
    static Result<KillClient> open(const Segment& segment, std::string& message);

    /// Publishes to the broker stage, which acts at once; does not wait.
    /// @return RingFull if 64 commands wait there already (the broker stage is down).
    [[nodiscard]] Status send(const KillCommand& command, std::string& message);
    /// kill_id of the newest command in the ring; 0 = none was ever sent.
    [[nodiscard]] std::uint64_t last_kill() const noexcept;

private:
    explicit KillClient(const Segment& segment) noexcept : segment_{&segment} {}

    const Segment* segment_;
    AdminRole role_;
    RingProducer<KillSlot> ring_;
};

}  // namespace millrace
