// RedisFold: what the log says each hash must be, as checksums only. RedisScan: what Redis has.
#pragma once

#include "core/effect.h"
#include "persist/redis_link.h"
#include "persist/redis_rows.h"

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace millrace {

class RedisFold {
public:
    /// One hash. About 60 bytes of memory with its place in the table.
    struct Mark {
        std::uint64_t sum = 0;
        std::uint64_t seq = 0;  // record that wrote it
        std::uint32_t k = 0;
        bool seen = false;  // the scan has come by
        Nanos forget;       // when Redis may have dropped it; 0 = never
    };

    explicit RedisFold(const RedisKeep& keep) noexcept : keep_{keep} {}
    /// Takes an effect; one that is older than what it holds changes nothing.
    void apply(const Effect& effect);
    void clear() noexcept { marks_.clear(); }
    [[nodiscard]] std::size_t size() const noexcept { return marks_.size(); }
    /// By redis_key_hash(); nullptr if the log has no such row.
    [[nodiscard]] Mark* find(std::uint64_t key) noexcept;
    [[nodiscard]] std::unordered_map<std::uint64_t, Mark>& marks() noexcept { return marks_; }

private:
    RedisKeep keep_;
    std::unordered_map<std::uint64_t, Mark> marks_;
    RedisRow row_;
};

class RedisScan {
public:
    struct Row {
        std::string key;        // without prefix
        std::uint64_t sum = 0;  // of the fields that are there
        bool whole = false;     // it fits the checksum that stands in it
    };
    /// @param prefix of the generation's keys.
    void begin(std::string prefix);
    using OnRow = std::function<void(const Row&, const RedisView& fields)>;
    /// Looks at the next few hundred keys; each row goes to `on_row`.
    /// @return true when all have been seen. A key may be seen twice.
    [[nodiscard]] Result<bool> step(RedisLink& link, const OnRow& on_row) noexcept;

private:
    [[nodiscard]] Status read(RedisLink& link, const OnRow& on_row) noexcept;

    std::string prefix_;
    std::string cursor_ = "0";
    RespCommands commands_;
    std::vector<std::string> keys_;
};

}  // namespace millrace
