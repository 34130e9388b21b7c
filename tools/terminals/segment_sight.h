// What the pipeline's segment says of terminals and of their accounts, looked at read-only, and
// through the life of more than one segment: a pipeline may lose its own and make another.
#pragma once

#include "shm/segment.h"
#include "tools/millrace/config.h"
#include "tools/terminals/policy.h"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::terminals {

/// Threads: one.
class SegmentSight {
public:
    explicit SegmentSight(std::string segment_path) : path_{std::move(segment_path)} {}

    /// Looks whether the segment is still the same; attaches to another. Before the others, each
    /// time.
    void look();
    /// Fills in `seen` and `session`. Unseen while the broker stage does not work: what it wrote
    /// last of a session says nothing then.
    /// @param login the account's; an account that was removed is not seen.
    void see(AccountId account, std::uint64_t login, Sight& sight) const;
    /// Has it orders that are not final? An order in doubt is one of them.
    [[nodiscard]] bool has_live_orders(AccountId account, std::uint64_t login) const;
    /// Into the segment's error log, which `millrace up` relays and `millrace inspect` shows.
    void report_error(const std::string& who, const std::string& what) const;

private:
    [[nodiscard]] bool broker_works() const;
    [[nodiscard]] const SessionEntry* entry_of(AccountId account, std::uint64_t login) const;

    std::string path_;
    std::optional<Segment> segment_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace millrace::terminals
