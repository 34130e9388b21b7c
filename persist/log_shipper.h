// LogShipper: copies what is new of the effects log, twice in each half second, to the folder of
// the SQLite store's backups. That lies on another disk, and with the newest backup it is all that
// is left when the disk with journal and store is lost.
//
//     BACKUPS/shipped/effects-<n>.mre    files as in persist/effects_log.h, with their own numbers
//
// In a thread of its own: a disk that is slow, full or gone holds up nothing but this copy. What it
// lacks stays in the effects log, which retention keeps from the oldest backup on.
#pragma once

#include "persist/effects_log.h"
#include "persist/effects_log_source.h"
#include "persist/sqlite_backup.h"
#include "shm/segment.h"

#include <atomic>
#include <condition_variable>
#include <latch>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace millrace {

struct LogShipperOptions {
    std::string log;            // folder of the effects log
    std::string backups;        // folder of the backups; "" = nothing is shipped
    std::string note{};         // of `backups`: backup_place.h; "" = whatever lies there will do
    Nanos every = millis(500);  // an effect is there, flushed, at most so much later
    std::uint64_t file_bytes = 8ULL << 20;
    std::uint64_t bytes_max = 16ULL << 30;  // in all: beyond it the oldest go
    /// Where log and backups share a file system, nothing is shipped while less is free there.
    std::uint64_t free_floor_bytes = 0;
    Nanos retry_min = millis(200);
    Nanos retry_max = seconds(5);
    /// How long a log that ends before what was shipped of it may take to grow there again
    /// (SqliteSinkOptions::behind_grace).
    Nanos behind_grace = seconds(5);
};

/// Where what was shipped lies, beside the backups in `backups`.
[[nodiscard]] std::string shipped_folder(const std::string& backups);

/// The copying, a turn at a time. Threads: one.
class LogShipping {
public:
    /// @param segment for the error log, and to see how far the replica has come; outlives this.
    LogShipping(const Segment& segment, LogShipperOptions options);

    /// Ships what is new, a few thousand records at most, and flushes it. Begins with the oldest
    /// backup that the log goes on from, else with the log's oldest record; goes on behind what was
    /// shipped before. Failures are reported and tried again after `retry_min` to `retry_max`. What
    /// is of another log, or ahead of this one for good, is set aside as shipped.stale, where one
    /// such folder is kept.
    /// @param now monotonic. @return whether there is more to be shipped at once.
    bool turn(Nanos now) noexcept;
    /// Every effect up to here is on the disk; 0: none, or nobody knows yet.
    [[nodiscard]] Sequence shipped() const noexcept { return shipped_; }

private:
    [[nodiscard]] bool has_room() const noexcept;
    [[nodiscard]] bool make_room() noexcept;
    [[nodiscard]] std::uint64_t upto() const noexcept;
    [[nodiscard]] bool open() noexcept;
    [[nodiscard]] bool find_place() noexcept;
    [[nodiscard]] bool begin() noexcept;
    [[nodiscard]] bool begin_behind(const LogCursor& mark, bool whole) noexcept;
    [[nodiscard]] bool may_still_come(Sequence seq) noexcept;
    [[nodiscard]] Status put_record(const EffectCursor& at) noexcept;
    [[nodiscard]] std::optional<bool> goes_on_from(const SqliteBackup& backup,
                                                   std::string& why) const;
    [[nodiscard]] bool has_newer(Sequence last) const;
    [[nodiscard]] Sequence oldest_needed(Sequence last);
    void prune(EffectsWriter& writer) noexcept;
    void doubt_last_file() noexcept;
    bool set_aside(const std::string& why) noexcept;
    bool fail(const std::string& why) noexcept;
    bool fail_disk(const Error& error) noexcept;
    bool fail_log(const Error& error) noexcept;
    void succeeded() noexcept;

    const Segment& segment_;
    const LogShipperOptions options_;
    const std::string folder_;
    EffectsLogSource source_;
    std::optional<EffectsWriter> writer_;
    std::vector<Effect> record_;
    Sequence shipped_;
    std::optional<Sequence> flushed_;  // what is in the folder is on the disk up to here
    bool doubtful_ = false;            // what is behind it may not be, and is written anew
    /// Of each backup whether what was shipped goes on from it, once that is known.
    std::map<std::string, bool> goes_on_;
    std::string unsure_;  // the backup that was last reported because that cannot be told of it
    Nanos now_;
    Nanos retry_at_;
    Nanos retry_wait_;  // 0: the last turn went well
    Nanos behind_since_;
    Nanos prune_at_;
};

class LogShipper {
public:
    /// Begins at once.
    LogShipper(const Segment& segment, const LogShipperOptions& options);
    /// Ships what is there by then.
    ~LogShipper();
    LogShipper(const LogShipper&) = delete;
    LogShipper& operator=(const LogShipper&) = delete;

private:
    void run();
    [[nodiscard]] bool nap();

    LogShipping shipping_;  // the thread's
    const Nanos nap_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;  // for waiting
    std::condition_variable wake_;
    std::latch named_{1};
    std::thread thread_;
};

}  // namespace millrace
