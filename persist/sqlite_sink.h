// SqliteSink: the stage that follows the effects log and keeps the SQLite store up to it.
//
// It may block (a disk, another program's lock) and nothing waits for it. Whatever fails is
// counted, reported and tried again; what cannot be mended is rebuilt from the effects log beside
// the old file, which is kept.
#pragma once

#include "persist/effect_source.h"
#include "persist/log_progress.h"
#include "persist/log_shipper.h"
#include "persist/sqlite_keeper.h"
#include "persist/sqlite_store.h"
#include "shm/segment.h"
#include "shm/stage.h"

#include <memory>
#include <vector>

namespace millrace {

struct SqliteSinkOptions {
    SqliteStoreOptions store;
    Nanos batch_time = millis(100);   // a stored effect is at most this much late
    std::uint32_t batch_rows = 2000;  // rows that make a batch full; a record is never split
    Nanos retry_min = millis(200);
    Nanos retry_max = seconds(5);
    /// How long a log that ends before the store's cursor may take to grow there again, at the
    /// least: after a power cut the replica writes again what the log had lost, and until it has
    /// done so (replica_has_come_to()) the store is right.
    Nanos behind_grace = seconds(5);
    /// Who looks at the store and makes its backups; `store` is taken from above. Without a `dir`
    /// nobody does, and a lost store is made again from the log alone.
    SqliteKeeperOptions keeper{};
    /// What is shipped beside the backups, by a thread of its own. Without `backups` nothing is.
    LogShipperOptions shipper{};
};

class SqliteSink final : public Stage {
public:
    /// @param segment for the cells sqlite_seq and sqlite_errors and the error log; outlives it.
    SqliteSink(const Segment& segment, std::unique_ptr<EffectSource> source,
               SqliteSinkOptions options);

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override { return resting_; }
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    /// A store that fails holds up no stop: what it lacks is in the effects log.
    [[nodiscard]] bool drained() const noexcept override { return quiet_ || failing(); }

    [[nodiscard]] const EffectCursor& stored() const noexcept { return store_.cursor(); }
    [[nodiscard]] bool failing() const noexcept { return failing_since_.value != 0; }
    /// Until the first step has ended: it checks the whole file and finds its place in the log,
    /// which takes as long as they are large.
    [[nodiscard]] bool starting() const noexcept { return starting_; }
    [[nodiscard]] bool rebuilding() const noexcept { return phase_ == Phase::Rebuild; }
    /// Comparisons with the effects log that found nothing wrong.
    [[nodiscard]] std::uint64_t clean_audits() const noexcept {
        return keeper_ == nullptr ? 0 : keeper_->clean_audits();
    }

private:
    enum class Phase { Closed, Follow, Rebuild };

    [[nodiscard]] int work() noexcept;
    [[nodiscard]] bool open() noexcept;
    [[nodiscard]] bool open_main() noexcept;
    [[nodiscard]] bool open_rebuild(const char* why) noexcept;
    [[nodiscard]] bool start_rebuild_afresh() noexcept;
    [[nodiscard]] bool restore_backup() noexcept;
    void heed_keeper() noexcept;
    void put_back() noexcept;
    void renew() noexcept;
    void mended(const Status& done) noexcept;
    [[nodiscard]] bool may_still_come(Sequence seq) noexcept;
    [[nodiscard]] bool show_life() noexcept;
    [[nodiscard]] SqliteStoreOptions store_options() noexcept;
    [[nodiscard]] int pull() noexcept;
    [[nodiscard]] int stop_at_log_failure(const Error& error) noexcept;
    [[nodiscard]] bool due() const noexcept;
    [[nodiscard]] bool flush() noexcept;
    [[nodiscard]] bool finish_rebuild() noexcept;
    void follow(Phase phase) noexcept;
    void drop_batch() noexcept;
    /// Counts and reports a failure and sets the time of the next try. @return false.
    bool fail(Errc code, const std::string& message) noexcept;
    bool fail_log(const Error& error) noexcept;
    void alert_when_late() noexcept;
    void succeeded() noexcept;
    void publish_cursor() noexcept;

    const Segment& segment_;
    std::unique_ptr<EffectSource> source_;
    SqliteSinkOptions options_;
    std::string rebuild_path_;

    SqliteStore store_;
    Phase phase_ = Phase::Closed;
    std::string why_;               // of the rebuild under way
    std::uint64_t rebuild_to_ = 0;  // sequence at which the new file takes the old one's place
    bool damaged_ = false;          // a running store turned out to be damaged
    bool checked_ = false;          // quick_check is for the first open of a process

    std::vector<Effect> batch_;
    EffectCursor pending_;  // after the last effect of batch_
    StoredUpTo stored_up_to_;
    Nanos batch_since_{};
    bool quiet_ = false;  // everything that the log holds is stored
    bool starting_ = true;
    bool resting_ = false;  // the last step found nothing to do

    Nanos now_{};
    Nanos retry_at_{};
    Nanos retry_wait_{};
    Nanos failing_since_{};
    Nanos behind_since_{};
    bool told_ahead_ = false;               // of the log that stays behind
    EffectCursor cursor_sought_;            // of the main store, when it was opened last
    std::unique_ptr<SqliteKeeper> keeper_;  // once there is a store
    std::unique_ptr<LogShipper> shipper_;   // whatever becomes of the store
};

}  // namespace millrace
