// FilePreparer: makes zero-filled, flushed segment files beside the journal thread, so that a
// roll to the next file does not stall. Opens and closes files for the disks of this folder.
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
    /// Hands over the descriptor of the Ready file; state becomes None.
    [[nodiscard]] int take() noexcept;

private:
    void run() noexcept;
    /// The caller holds the lock: wait() must not miss it.
    void set_state(Prepared state) noexcept {
        // Release: pairs with the acquire in state(); fd_ or error_ is set before.
        state_.store(state, std::memory_order_release);
    }

    const std::string directory_;
    const FileMode mode_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<Prepared> state_{Prepared::None};  // written under mutex_
    JournalFileName name_;
    std::uint64_t bytes_ = 0;
    Error error_;
    int fd_ = -1;
    bool stop_ = false;
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
