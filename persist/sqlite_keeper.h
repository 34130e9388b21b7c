// SqliteKeeper: looks after the store beside the sink that writes it: a look each second, a backup
// each minute, a comparison with the effects log each hour, the full integrity check once after the
// start and behind each comparison. In a thread of its own, at the lowest priority, through
// read-only connections: the sink never waits for it.
#pragma once

#include "persist/sqlite_audit.h"
#include "persist/sqlite_backup.h"
#include "shm/segment.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace millrace {

/// What the keeper waits by: the machine's clock, or a test's. Threads: the keeper's.
class KeeperClock {
public:
    virtual ~KeeperClock() = default;
    [[nodiscard]] virtual std::int64_t now_ns() noexcept = 0;
    /// Returns when that time has passed, or earlier if the keeper is to end.
    virtual void nap(Nanos time) noexcept = 0;
};

struct SqliteKeeperOptions {
    std::string store;
    std::string dir;     // of the backups; empty = none are made
    std::string note{};  // of `dir`: backup_place.h; "" = whatever lies there will do
    std::size_t keep = 10;
    /// Between backups; one that takes long is followed by nine times as long without one.
    Nanos every = seconds(60);
    Nanos look_every = seconds(1);
    /// Makes a reader of the effects log to compare the store with; nothing: it is not compared.
    std::function<std::unique_ptr<EffectSource>()> make_log{};
    Nanos audit_every = seconds(3600);  // from the end of a comparison to the next
    /// The write-ahead log is told of once when it is this large: a reader that does not end its
    /// transaction keeps it growing.
    std::uint64_t wal_bytes_told = 128U << 20U;
    int nice = 19;                 // priority of its thread: the lowest
    KeeperClock* clock = nullptr;  // outlives it, and ends its nap; nullptr: the machine's
};

/// What the look of each second finds, or a full check.
/// Mendable: what no effect tells of and the sink knows is not as it was written.
enum class StoreHealth : std::uint8_t {
    Unknown = 0,
    Good = 1,
    Damaged = 2,
    Gone = 3,
    Mendable = 4
};

class SqliteKeeper {
public:
    /// Begins at once. @param segment for the error log; outlives this.
    SqliteKeeper(const Segment& segment, SqliteKeeperOptions options);
    /// Gives up what is being done.
    ~SqliteKeeper();
    SqliteKeeper(const SqliteKeeper&) = delete;
    SqliteKeeper& operator=(const SqliteKeeper&) = delete;

    /// Of the file that has been looked at last. Damaged, Gone and Mendable stay until forget().
    [[nodiscard]] StoreHealth health() const noexcept {
        // Acquire: pairs with the release of the thread that found it.
        return static_cast<StoreHealth>(state_.load(std::memory_order_acquire) & kHealthMask);
    }
    /// Rows that the last comparison found wrong, once; empty if none.
    [[nodiscard]] SqliteAuditFindings take_wrong();
    /// Comparisons that found every row as the log says, and every page and index sound.
    [[nodiscard]] std::uint64_t clean_audits() const noexcept {
        return clean_audits_.load(std::memory_order_relaxed);  // a count, for inspectors
    }
    /// The sink has put another file in the store's place: it is to be looked at anew.
    void forget() noexcept;

private:
    void run();
    [[nodiscard]] bool nap();
    [[nodiscard]] std::int64_t now_ns() const noexcept;
    bool full_check();
    void look();
    bool layout_will_do(bool anew);
    void back_up();
    bool audit();
    void watch_wal();
    void found(StoreHealth health, const std::string& why);
    void tell(const std::string& text) const;

    const Segment& segment_;
    const SqliteKeeperOptions options_;
    static constexpr std::uint64_t kHealthMask = 0xFF;
    static constexpr std::uint64_t kNextLife = 0x100;
    /// The life of the store, counted up by forget(), and below it what was found in that life: in
    /// one word, so that nothing found in an older one is taken for news of this one.
    std::atomic<std::uint64_t> state_{0};
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> clean_audits_{0};
    std::mutex mutex_;                    // for waiting, and of wrong_
    SqliteAuditFindings wrong_;           // for the sink
    std::unique_ptr<SqliteAudit> audit_;  // under way; the thread's,
    std::uint64_t audit_life_ = 0;        // as is the life that it is of
    std::condition_variable wake_;
    std::uint64_t looked_life_ = 0;  // the thread's: life when it began the look under way
    bool wal_told_ = false;
    Sequence backed_up_;  // cursor of the newest backup of this life
    std::uint64_t inode_ = 0;
    std::string odd_layout_;   // for which the last life ended
    std::string kept_layout_;  // so it is, and a rebuild does not help
    std::latch named_{1};
    std::thread thread_;
};

/// A look that costs the same for a store of any size: the cursor, the newest rows of each table,
/// and what sqlite_odd_rows() looks at. @return Damaged, Mendable, or Gone if there is no file;
/// Good also if it is locked. `why`: what was found.
[[nodiscard]] StoreHealth look_at_store(const std::string& path, std::string& why);

/// SQLite's own check of every page, row and index. Takes as long as the store is large.
[[nodiscard]] StoreHealth check_store(const std::string& path, const std::atomic<bool>* stop,
                                      std::string& why);

}  // namespace millrace
