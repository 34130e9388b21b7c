// RedisAudit: compares every hash of a generation with what the log says, and mends what differs.
//
//     fold (the log -> checksums) -> scan (Redis against them) -> collect (rows to mend) -> mend
//
// A rebuild uses the second half: it folds what it writes, and is believed after a clean scan.
#pragma once

#include "persist/effect_source.h"
#include "persist/redis_fold.h"
#include "persist/redis_store.h"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace millrace {

class RedisAudit {
public:
    enum class Phase { Off, Fold, Note, Scan, Collect, Done };
    struct Findings {
        std::uint64_t rows = 0;     // seen in Redis
        std::uint64_t changed = 0;  // not what the log says
        std::uint64_t missing = 0;  // in the log, not in Redis
        std::uint64_t unknown = 0;  // damaged, and older than what is left of the log
        std::uint64_t mended = 0;
        std::string first{};  // one of them, for the report
        [[nodiscard]] bool clean() const noexcept { return changed + missing + unknown == 0; }
    };
    /// More damage than this is a rebuild's business.
    static constexpr std::size_t kMendMax = 10'000;

    explicit RedisAudit(const RedisKeep& keep) : fold_{keep} {}

    /// Begins from the log. @param source another reader of it, of the audit's own.
    void begin(std::unique_ptr<EffectSource> source);
    /// Begins with a generation that is being filled: note() gets everything from its start on.
    void begin_noting();
    /// Everything is noted and stored: compare.
    void scan_now(const RedisStore& store);
    void stop() noexcept;

    /// Effects that the store has just taken.
    void note(const std::vector<Effect>& effects);
    /// The next slice of work, some milliseconds.
    /// @return false when there is none. After a failure: stop(), or scan_now() once Redis is back
    /// and holds everything that was noted.
    [[nodiscard]] Result<bool> step(RedisLink& link, RedisStore& store, Nanos wall) noexcept;

    [[nodiscard]] Phase phase() const noexcept { return phase_; }
    [[nodiscard]] bool wants_rebuild() const noexcept { return bad_.size() > kMendMax; }
    /// Of the last scan that ended.
    [[nodiscard]] const Findings& findings() const noexcept { return found_; }

private:
    [[nodiscard]] Result<bool> follow(RedisStore& store) noexcept;
    [[nodiscard]] Status scan(RedisLink& link, Nanos wall) noexcept;
    [[nodiscard]] Status mend(RedisStore& store) noexcept;
    void compare(const RedisScan::Row& row, Nanos wall);
    void find_missing(Nanos wall);
    void remember(const std::string& what);

    Phase phase_ = Phase::Off;
    RedisFold fold_;
    std::unique_ptr<EffectSource> source_;
    EffectCursor at_;
    std::vector<Effect> record_;
    RedisScan scan_;
    std::uint64_t scan_from_ = 0;  // rows written later need not have been seen
    /// Key hashes of rows to mend, and their last effect as far as the log was read.
    std::unordered_map<std::uint64_t, Effect> bad_;
    RedisRow row_;
    Findings found_;
};

}  // namespace millrace
