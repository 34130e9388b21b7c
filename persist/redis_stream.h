// RedisStream: the stream RTSS as one member of its consumer group reads it.
//
// What was read and not acknowledged stays in the group's list and is read again after a restart,
// or by another member after a while. The group is made anew where it is missing (a failover to a
// server that never had it, a restored copy) behind the last entry that is known to be done; if the
// stream ends before that entry, it is another one, and is read from its start.
#pragma once

#include "persist/redis_owner.h"
#include "persist/redis_primary.h"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

struct RedisStreamOptions {
    RedisPlace place;
    std::string stream = "millrace:RTSS";
    std::string group = "millrace";
    std::string consumer = "millrace";  // one name per running Millrace
    std::string refused = "millrace:RTSS:REFUSED";
    std::uint32_t refused_max = 10'000;  // entries kept there
    std::string position_file;           // empty: a lost group begins at the stream's start
    RedisOwnerOptions owner{};           // of the keys that the stream is one of
};

struct RedisStreamEntry {
    std::string id;
    std::vector<std::pair<std::string, std::string>> fields;  // empty: it was deleted since
};

/// Threads: one. After a failure the connection is closed; open() again.
class RedisStream {
public:
    explicit RedisStream(RedisStreamOptions options);

    /// Connects to the primary and sees to the group. What this consumer had read and never
    /// acknowledged comes first from read().
    /// @return NotOwner: another Millrace uses these keys; nothing was read. Also BadCursor, as
    /// read() and claim(), once: the stream began again, and will be read from its start.
    [[nodiscard]] Status open() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return link_.is_open(); }
    void close() noexcept { link_.close(); }

    /// Appends up to `count` entries. @param wait at most; 0 = not at all.
    [[nodiscard]] Status read(std::uint32_t count, Nanos wait,
                              std::vector<RedisStreamEntry>& out) noexcept;
    /// Takes over entries that a member has had for longer than `idle` without acknowledging them.
    [[nodiscard]] Status claim(std::uint32_t count, Nanos idle,
                               std::vector<RedisStreamEntry>& out) noexcept;
    [[nodiscard]] Status acknowledge(std::span<const std::string> ids) noexcept;
    /// Puts the entry among the refused ones and acknowledges it, in one transaction.
    [[nodiscard]] Status refuse(const RedisStreamEntry& entry, std::string_view why) noexcept;
    /// Removes what every group has done with, and remembers how far that is.
    [[nodiscard]] Status trim() noexcept;
    /// As RedisOwner::keep(), to be asked each second. A failure closes the connection.
    [[nodiscard]] Status keep_owner() noexcept;
    /// As RedisPrimary::moved_from.
    [[nodiscard]] bool primary_moved() noexcept { return primary_.moved_from(link_.endpoint()); }

    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    [[nodiscard]] Status make_group() noexcept;
    [[nodiscard]] Result<bool> ends_before_position() noexcept;
    [[nodiscard]] Status read_page(std::initializer_list<std::string_view> words,
                                   std::vector<RedisStreamEntry>& out, std::size_t& got) noexcept;
    Status failed(const Status& status) noexcept;
    [[nodiscard]] Result<std::string> done_below() noexcept;
    void save_position(const std::string& id) noexcept;

    RedisStreamOptions options_;
    RedisPrimary primary_;
    RedisLink link_;
    RedisOwner owner_;
    std::string own_from_;  // "": nothing of our own is left to read again
    std::string claim_from_ = "0-0";
    std::string position_ = "0";
    std::string message_;
};

}  // namespace millrace
