// RedisStore: the generation of keys that effects are written to, and its cursor.
//
// A batch is one transaction: WATCH the cursor, compare it with what was written last, MULTI, the
// rows, the results and the new cursor, EXEC. So a batch is there whole or not at all, and one that
// comes late, twice or from a second writer changes nothing. Keys: persist/REDIS.md.
#pragma once

#include "persist/effect_source.h"
#include "persist/last_of_row.h"
#include "persist/redis_dump.h"
#include "persist/redis_link.h"
#include "persist/redis_rows.h"

#include <cstdint>
#include <span>
#include <string>

namespace millrace {

struct RedisStoreOptions {
    std::string prefix = "millrace:";     // of every key; [A-Za-z0-9:_.-] only
    RedisKeep keep{};                     // what has ended stays so long
    Nanos keep_old = seconds(24 * 3600);  // and so does a generation that was replaced
    std::uint32_t instance = 0;           // of the journal directory followed; 0 = not known
};

/// What stands beside the cursor, for `millrace recover`: of everything up to it.
struct RedisFacts {
    std::uint64_t schema = 0;    // of the build that wrote it
    std::uint32_t instance = 0;  // of the journal directory; 0 = not known
    std::uint64_t intent = 0;    // highest order id
    Nanos latest;                // highest time
    bool killed = false;         // the kill switch was used
    bool whole = false;          // filled from the log's beginning: nothing is missing
};

/// Numbers of generations; 0 = there is none.
struct RedisGenerations {
    std::uint64_t current = 0;   // what readers are pointed to
    std::uint64_t building = 0;  // being filled beside it
    friend bool operator==(const RedisGenerations&, const RedisGenerations&) = default;
};

class RedisStore {
public:
    explicit RedisStore(RedisStoreOptions options) : options_{std::move(options)} {}

    /// Reads the pointer and the current generation's cursor. `link` must outlive its use here.
    /// @return BadVersion: written by a newer build; BadChecksum: its cursor is damaged or gone;
    /// else as RedisLink. generations() is known after the first two.
    [[nodiscard]] Status open(RedisLink& link) noexcept;

    /// Takes a new number and begins to fill that generation from the very start. What an earlier
    /// rebuild left unfinished is put down for removal.
    /// @param other_history the log begins anew: the results of the old one, whose numbers may be
    /// higher, are set aside as RTRS:<generation>.
    [[nodiscard]] Status begin_rebuild(bool other_history) noexcept;
    /// After open(): goes on filling generation `building`.
    [[nodiscard]] Status resume_rebuild() noexcept;
    /// Points readers to the generation that was filled; the old one stays for `keep_old`.
    /// @return BadCursor: somebody else moved the pointer.
    [[nodiscard]] Status finish_rebuild(Nanos wall) noexcept;

    /// Writes `effects` and `cursor`.
    /// @return BadCursor: another writer has moved the cursor: open() and believe it. NotOwner,
    /// NoSpace, Busy: the server refused and nothing was written. After Timeout and IoError it may
    /// have been written: open() and believe the cursor.
    [[nodiscard]] Status store(std::span<const Effect> effects,
                               const EffectCursor& cursor) noexcept;
    /// What is written from now on lacks nothing since the log's very beginning, or may.
    void set_whole(bool whole) noexcept { facts_.whole = whole; }
    /// Writes rows as they are to stand at the present cursor, which does not move; no results.
    [[nodiscard]] Status mend(std::span<const Effect> effects) noexcept;

    [[nodiscard]] const EffectCursor& cursor() const noexcept { return cursor_; }
    /// As read beside the cursor.
    [[nodiscard]] const RedisFacts& facts() const noexcept { return facts_; }
    [[nodiscard]] const RedisGenerations& generations() const noexcept { return generations_; }
    /// The generation that store() writes to.
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
    /// Prefix of its keys.
    [[nodiscard]] std::string keys() const { return keys_of(generation_); }
    [[nodiscard]] std::string keys_of(std::uint64_t generation) const;
    /// A key that belongs to no generation: RTSS, RTRS, HEARTBEAT, GENERATION, ...
    [[nodiscard]] std::string shared(std::string_view name) const;
    [[nodiscard]] const RedisStoreOptions& options() const noexcept { return options_; }
    /// Rows that store() has sent so far, after those that a later one of its batch replaced.
    [[nodiscard]] std::uint64_t rows_written() const noexcept { return rows_; }

    /// The last failure in words.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    /// What went wrong in a batch that is stored all the same; empty if nothing. Taken by reading.
    [[nodiscard]] std::string take_warning() noexcept { return std::exchange(warning_, {}); }

private:
    [[nodiscard]] Status arm() noexcept;
    void put_arm(RespCommands& c) const;
    [[nodiscard]] Status read_armed(std::size_t index, const RedisView& reply) noexcept;
    [[nodiscard]] Status check_cursor(const RedisView& fields) noexcept;
    void set_results_aside(const std::string& number) noexcept;
    void begin_batch() noexcept;
    [[nodiscard]] bool takes_dumps() noexcept;
    enum class Rows : std::uint8_t { New, Mended };
    void put_rows(std::span<const Effect> effects, Rows rows) noexcept;
    void send_ahead() noexcept;
    void put_row(const Effect& effect, Nanos wall) noexcept;
    void note_facts(std::span<const Effect> effects) noexcept;
    void put_entry(const Effect& effect) noexcept;
    void put_cursor(const EffectCursor& cursor) noexcept;
    [[nodiscard]] Status commit(EffectCursor expected) noexcept;
    [[nodiscard]] bool is_ours() const noexcept;
    Status moved() noexcept;
    void look_at_exec(const RedisView& replies) noexcept;
    Status failed(const Status& status, const char* doing) noexcept;

    RedisStoreOptions options_;
    RedisLink* link_ = nullptr;
    RedisGenerations generations_;
    std::uint64_t generation_ = 0;
    EffectCursor cursor_;
    RedisFacts facts_;
    RedisFacts floor_;  // intent and killed of the generation that one is filled in place of
    RespCommands commands_;
    Status sent_ahead_ = ok_status();  // of the part of commands_ that is on its way already
    std::string prefix_;               // keys(), kept
    std::string results_key_;
    RedisRow row_;
    RedisDump dump_;
    enum class Dumps : std::uint8_t { NotAsked, Taken, Refused };
    Dumps dumps_ = Dumps::NotAsked;  // by the server that `link_` leads to
    RedisFields entry_;
    LastOfRow last_;  // in the batch under way
    std::uint64_t rows_ = 0;
    std::string message_;
    std::string warning_;
};

}  // namespace millrace
