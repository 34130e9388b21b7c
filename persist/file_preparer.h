// FilePreparer: has the next segment file ready beside the journal thread, so that a roll does not
// stall: a spare from the pool (spare_files.h), or a new one filled with zeros. While the journal
// is quiet it fills the pool. Opens and closes files for the disks of this folder.
#pragma once

#include "core/result.h"
#include "persist/disk.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace millrace {

/// How a directory's files are opened.
struct FileMode {
    bool direct = true;  // O_DIRECT
    bool dsync = true;   // O_DSYNC on the descriptor that writes go to
};

/// Name of a spare that is being filled; removed when found at a start.
inline constexpr const char* kSpareInMaking = "spare.making";

/// One worker thread, one file at a time. Threads: calls from the disk's one thread.
class FilePreparer {
public:
    FilePreparer(std::string directory, FileMode mode);
    /// Waits for the worker: after it nothing of ours writes to the directory any more.
    ~FilePreparer();
    FilePreparer(const FilePreparer&) = delete;
    FilePreparer& operator=(const FilePreparer&) = delete;

    [[nodiscard]] Status start(const JournalFileName& name, std::uint64_t bytes) noexcept;
    /// Asked in every duty cycle: takes no lock. What Ready and Failed stand for is in place.
    [[nodiscard]] Prepared state() const noexcept {
        // Acquire: pairs with the worker's release in set_state().
        return state_.load(std::memory_order_acquire);
    }
    [[nodiscard]] Prepared wait() noexcept;
    [[nodiscard]] Error error() const noexcept;
    /// Hands over the Ready file and its descriptor; state becomes None.
    struct Taken {
        int fd = -1;
        PreparedFile file;
    };
    [[nodiscard]] Taken take() noexcept;

    /// From now on keeps `count` spare files of `bytes`, filled at low priority: at full speed
    /// while nothing is written, at kBusyChunk a time under a light load, not at all under a heavy
    /// one. 0 = none (the start). Begins with the journal's first roll: one that never rolls needs
    /// none. A disk that is full or fails is tried again at the next roll.
    void keep_spares(std::uint32_t count, std::uint64_t bytes) noexcept;
    /// The journal has submitted `bytes`.
    void note_write(std::size_t bytes) noexcept {
        // Relaxed: a rate for the filler's pace; nothing is published by it.
        written_.fetch_add(bytes, std::memory_order_relaxed);
    }

private:
    void run() noexcept;
    /// The caller holds the lock: wait() must not miss it.
    void set_state(Prepared state) noexcept {
        // Release: pairs with the acquire in state(); taken_ or error_ is set before.
        state_.store(state, std::memory_order_release);
    }
    void prepare(std::unique_lock<std::mutex>& lock) noexcept;
    void fill_pool(std::unique_lock<std::mutex>& lock) noexcept;
    [[nodiscard]] bool pace() noexcept;

    const std::string directory_;
    const FileMode mode_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<Prepared> state_{Prepared::None};  // written under mutex_
    JournalFileName name_;
    std::uint64_t bytes_ = 0;
    Error error_;
    Taken taken_;
    bool stop_ = false;
    std::uint32_t spare_count_ = 0;
    std::uint64_t spare_bytes_ = 0;
    std::uint32_t prepared_files_ = 0;
    bool pool_checked_ = true;  // until a file was taken
    std::atomic<std::uint64_t> written_{0};
    std::uint64_t written_seen_ = 0;
    std::thread worker_;
};

/// Creates `directory`/`name` with `bytes` zeros, flushes it and the directory, and opens it for
/// writing. An existing file of that name is removed first.
/// @return the descriptor; NoSpace, IoError (and no file left).
[[nodiscard]] Result<int> make_zeroed_file(const std::string& directory, const char* name,
                                           std::uint64_t bytes, FileMode mode) noexcept;
/// Flushes a directory's entries.
[[nodiscard]] Status sync_directory(const std::string& directory) noexcept;

}  // namespace millrace
