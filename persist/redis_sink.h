// RedisSink: the stage that follows the effects log and keeps Redis up to it.
//
// It may block, for bounded times, and nothing waits for it. Whatever fails, the connection is
// given up, the primary is looked for again, its cursor is read and the log is read on from there:
// a failover to a primary that is behind, a restart of either side and a lost answer are one case.
// What cannot be continued is filled into a new generation of keys, compared with the log and then
// switched to. What the log has lost by then is taken from the SQLite store, if that has followed
// the same log.
#pragma once

#include "persist/log_progress.h"
#include "persist/redis_audit.h"
#include "persist/redis_hold.h"
#include "persist/redis_owner.h"
#include "persist/redis_primary.h"
#include "persist/redis_store.h"
#include "persist/redis_upkeep.h"
#include "persist/space_watch.h"
#include "persist/sqlite_feed.h"
#include "shm/segment.h"
#include "shm/stage.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

struct RedisSinkOptions {
    RedisPlace place;
    RedisStoreOptions store;
    RedisUpkeepOptions upkeep;
    Nanos owner_life = kRedisOwnerLife;
    std::function<std::uint32_t()> find_instance{};  // while store.instance is 0; see RedisOwner
    Nanos hold_every = seconds(3600);                // far below store.keep.ended
    Nanos batch_time = millis(20);
    std::uint32_t batch_rows = 1000;  // effects that make a batch full
    Nanos retry_min = millis(200);
    Nanos retry_max = seconds(2);  // requirement C32: reconnect each 2 s
    Nanos upkeep_every = seconds(1);
    Nanos memory_every = seconds(60);  // a look at how full the server is, at most with each upkeep
    Nanos primary_every = seconds(2);  // asking the Sentinels whether it moved
    Nanos audit_every = seconds(300);
    /// How long a log that ends before Redis' cursor may take to grow there again.
    Nanos behind_grace = seconds(5);
    bool confirm_by_sqlite = true;  // results are kept until sqlite_seq; else until stored here
    std::string sqlite_path;        // of the store that has what the log has lost; empty: none has
    /// How often a generation that lacks something looks whether that store has it by now.
    Nanos refill_every = seconds(3600);
    Nanos refill_later = seconds(24 * 3600);  // after one that came to nothing
};

class RedisSink final : public Stage {
public:
    using MakeSource = std::function<std::unique_ptr<EffectSource>()>;

    /// @param segment for the redis_* cells and the error log; outlives it.
    /// @param make_source readers of the effects log: one to follow, one for each audit.
    RedisSink(const Segment& segment, MakeSource make_source, RedisSinkOptions options);

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override { return resting_; }
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    /// A Redis that fails holds up no stop: what it lacks is in the effects log.
    [[nodiscard]] bool drained() const noexcept override { return quiet_ || failing(); }

    [[nodiscard]] const EffectCursor& stored() const noexcept { return store_.cursor(); }
    [[nodiscard]] std::uint64_t generation() const noexcept { return store_.generations().current; }
    [[nodiscard]] std::uint64_t rows_written() const noexcept { return store_.rows_written(); }
    [[nodiscard]] bool following() const noexcept { return phase_ == Phase::Follow; }
    [[nodiscard]] bool failing() const noexcept { return failing_since_.value != 0; }
    [[nodiscard]] const RedisAudit::Findings& last_audit() const noexcept { return findings_; }
    [[nodiscard]] std::uint64_t audits() const noexcept { return audits_; }
    /// Compares at the next step.
    void audit_now() noexcept { audit_at_ = {}; }

private:
    enum class Phase { Closed, Follow, Rebuild, Verify };

    [[nodiscard]] int work() noexcept;
    [[nodiscard]] bool open() noexcept;
    [[nodiscard]] bool open_generation() noexcept;
    [[nodiscard]] bool rebuild(const char* why, bool other_history) noexcept;
    [[nodiscard]] bool resume_rebuild() noexcept;
    [[nodiscard]] std::unique_ptr<SqliteFeed> open_feed() noexcept;
    [[nodiscard]] int feed() noexcept;
    [[nodiscard]] Result<bool> next_of_feed() noexcept;
    [[nodiscard]] Status hold() noexcept;
    void make_whole() noexcept;
    bool give_up_refill(const char* reason) noexcept;
    [[nodiscard]] bool wait_for_log() noexcept;
    void follow(Phase phase) noexcept;
    [[nodiscard]] int pull() noexcept;
    [[nodiscard]] bool due() const noexcept;
    [[nodiscard]] bool flush() noexcept;
    [[nodiscard]] bool keep_up() noexcept;
    [[nodiscard]] Status watch_memory() noexcept;
    void tell_memory_hidden() noexcept;
    [[nodiscard]] Status upkeep() noexcept;
    [[nodiscard]] int audit() noexcept;
    void end_audit() noexcept;
    [[nodiscard]] bool verify() noexcept;
    void tell_filled() noexcept;
    void report_settings() noexcept;
    bool fail(Errc code, const std::string& message) noexcept;
    bool fail_log(const Error& error) noexcept;
    void succeeded() noexcept;
    void publish_cells() noexcept;
    void report(const std::string& text) const noexcept { segment_.report_error("redis", text); }

    const Segment& segment_;
    MakeSource make_source_;
    RedisSinkOptions options_;
    std::unique_ptr<EffectSource> source_;
    RedisPrimary primary_;
    RedisLink link_;
    RedisStore store_;
    RedisOwner owner_;
    RedisUpkeep upkeep_;
    SpaceWatch memory_;
    RedisHold hold_;
    RedisAudit audit_;
    RedisAudit::Findings findings_;
    std::uint64_t audits_ = 0;

    Phase phase_ = Phase::Closed;
    std::string why_;  // of the rebuild under way; empty: none is
    bool other_history_ = false;
    std::uint64_t building_ = 0;         // generation that this process fills
    std::uint64_t filled_from_ = 0;      // record that its first batch came to; 0 = none yet
    std::uint64_t filled_quarters_ = 0;  // of the log, as told
    std::unique_ptr<SqliteFeed> feed_;   // it comes before the log
    EffectCursor fed_to_;     // of the store that it was filled from; {}: of the log alone
    bool fed_whole_ = false;  // that one was whole
    bool refilling_ = false;  // the one in use stays unless the new one lacks nothing
    std::atomic<bool> feed_stop_{false};
    std::vector<Effect> batch_;
    EffectCursor pending_;  // after the last effect of batch_
    StoredUpTo stored_up_to_;
    Nanos batch_since_{};
    bool quiet_ = false;    // everything that the log holds is stored
    bool resting_ = false;  // the last step found nothing to do
    RedisEndpoint last_primary_;
    RedisEndpoint checked_;        // server whose settings were looked at
    RedisEndpoint memory_hidden_;  // server of which it was told that it refuses INFO

    Nanos now_{};
    Nanos retry_at_{};
    Nanos retry_wait_{};
    Nanos failing_since_{};
    Nanos behind_since_{};
    Nanos upkeep_at_{};
    Nanos memory_at_{};
    Nanos primary_at_{};
    Nanos audit_at_{};
    Nanos refill_at_{};
};

}  // namespace millrace
