// AdminClient: how the command line and the supervisor speak to the engine. The kill switch goes to
// the broker stage first, by KillClient.
//
//     command line -> ring `admin` -> engine            journalled, applied, answered
#pragma once

#include "core/actor.h"
#include "shm/segment.h"
#include "tools/millrace/admin_role.h"
#include "tools/millrace/config_records.h"

#include <atomic>
#include <string>

namespace millrace {

/// The one producer of `admin`: holds the role `admin`, as long as the engine takes to answer.
/// Threads: one. Crash: what was published is applied; what was not, never existed.
class AdminClient {
public:
    /// Waits up to 2 s for another command line to finish.
    /// @param segment outlives the client; its header names the journal directory.
    /// @param look_up false: sign with the user's number; no directory of users is waited for.
    /// @return NotOwner: `message` names the holder's pid; IoError, BadCursor.
    static Result<AdminClient> open(const Segment& segment, std::string& message,
                                    bool look_up = true);

    struct Options {
        Nanos timeout = seconds(5);
        const std::atomic<bool>* give_up = nullptr;  // looked at while waiting
    };
    /// Publishes one record, signed with who gives it (core/actor.h), and waits until the engine
    /// has applied it.
    /// @return Timeout: it is in the ring and will be applied when the engine is back; BadInput:
    /// the engine refused it, answer() and detail() say why; `message` says what to do.
    [[nodiscard]] Status send(const AdminRecord& record, const Options& options,
                              std::string& message);
    [[nodiscard]] Status send(const AdminRecord& record, std::string& message) {
        return send(record, Options{}, message);
    }

    /// What the engine said to the last send(), and what stood in its way.
    [[nodiscard]] AdminAnswer answer() const noexcept { return answer_; }
    [[nodiscard]] AdminDetail detail() const noexcept { return detail_; }
    /// End of the log when the last send() was answered: what was sent stands at or before it.
    [[nodiscard]] Sequence applied_at() const noexcept { return applied_at_; }

private:
    explicit AdminClient(const Segment& segment) noexcept : segment_{&segment} {}
    [[nodiscard]] Status wait_applied(std::uint64_t number, const Options& options,
                                      std::string& message);

    const Segment* segment_;
    Actor actor_;
    AdminAnswer answer_{};
    AdminDetail detail_;
    Sequence applied_at_;
    AdminRole role_;
    RingProducer<AdminSlot> engine_;
};

/// Waits at most two seconds for record `seq` to be on disk. What it stands for is in force all the
/// while. Hold no role meanwhile: other commands go on.
/// @return empty when it is; else why not, and what may undo it.
[[nodiscard]] std::string not_durable(const Segment& segment, Sequence seq);

/// Sends all records of a configuration, one after the other. What names an account or group that
/// was removed for good is passed over: `message` tells which, and the mend.
/// @param give_up set by another thread to end early; may be nullptr.
/// @return false with `message` naming the record that was not taken.
[[nodiscard]] bool send_config(const Segment& segment, const ConfigRecords& config,
                               const std::atomic<bool>* give_up, std::string& message);

}  // namespace millrace
