#include "persist/file_preparer.h"

#include "core/crash_point.h"
#include "persist/spare_files.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>

namespace millrace {
namespace {

constexpr std::size_t kZeroChunkBytes = 256 * 1024;
// The filler's pace beside a journal that writes: one chunk each kBusyPause (25 MB/s), none at all
// above kHeavyBytes in that time (100 MB/s).
constexpr std::chrono::milliseconds kBusyPause{10};
constexpr std::uint64_t kHeavyBytes = 1 << 20;
// The first file of an epoch, the one behind it, and the one that the first roll asks for.
constexpr std::uint32_t kFilesBeforePool = 3;

Error failed(const char* what) noexcept {
    const int e = errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, e, what};
}

struct Free {
    void operator()(void* p) const noexcept { std::free(p); }
};

// Real zeros, not fallocate alone: the first write to an unwritten extent costs half as much
// again and changes metadata, which a durable write would have to flush.
// `go_on` is asked between the chunks; false ends it with Busy.
Status fill_zeros(int fd, std::uint64_t bytes, const std::function<bool()>& go_on) noexcept {
    const std::unique_ptr<void, Free> zeros{std::aligned_alloc(kBlockBytes, kZeroChunkBytes)};
    ASSERT(zeros != nullptr);
    std::memset(zeros.get(), 0, kZeroChunkBytes);
    std::uint64_t done = 0;
    while (done < bytes) {
        if (!go_on()) {
            return {Errc::Busy, "journal: filling was given up"};
        }
        const auto n =
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes - done, kZeroChunkBytes));
        const ssize_t put = ::pwrite(fd, zeros.get(), n, static_cast<off_t>(done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return failed("journal: cannot fill a new file");
        }
        done += static_cast<std::uint64_t>(put);
    }
    if (::fsync(fd) != 0) {
        return failed("journal: cannot flush a new file");
    }
    return ok_status();
}

Status create_filled(const std::string& path, std::uint64_t bytes, bool direct,
                     const std::function<bool()>& go_on) noexcept {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | (direct ? O_DIRECT : 0);
    const int fd = ::open(path.c_str(), flags, 0600);
    if (fd < 0) {
        return failed("journal: cannot create a file in the journal directory");
    }
    // One extent where the file system can; says ENOSPC before anything is written.
    int e = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    Status filled = ok_status();
    if (e == ENOSPC || e == EFBIG || e == EDQUOT) {
        errno = e;
        filled = failed("journal: no room for a new file");
    } else {
        filled = fill_zeros(fd, bytes, go_on);
    }
    ::close(fd);
    return filled;
}

// Lets the disk's scheduler prefer everybody else, where it has such a thing.
void set_io_idle(bool idle) noexcept {
    constexpr int kWhoThread = 1;
    constexpr int kClassShift = 13;
    (void)::syscall(SYS_ioprio_set, kWhoThread, 0, (idle ? 3 : 0) << kClassShift);
}

}  // namespace

Status sync_directory(const std::string& directory) noexcept {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed("journal: cannot open the journal directory");
    }
    const bool flushed = ::fsync(fd) == 0;
    const Status result = flushed ? ok_status() : failed("journal: cannot flush the directory");
    ::close(fd);
    return result;
}

Result<int> make_zeroed_file(const std::string& directory, const char* name, std::uint64_t bytes,
                             FileMode mode) noexcept {
    const std::string path = directory + "/" + name;
    ::unlink(path.c_str());
    Status made = create_filled(path, bytes, mode.direct, [] { return true; });
    if (made.ok()) {
        made = sync_directory(directory);
    }
    if (!made) {
        ::unlink(path.c_str());
        return made.error();
    }
    MILLRACE_CRASH_POINT("journal.file_prepared");
    const int flags =
        O_WRONLY | O_CLOEXEC | (mode.direct ? O_DIRECT : 0) | (mode.dsync ? O_DSYNC : 0);
    const int fd = ::open(path.c_str(), flags);
    if (fd < 0) {
        return failed("journal: cannot open the new file");
    }
    return fd;
}

FilePreparer::FilePreparer(std::string directory, FileMode mode)
    : directory_{std::move(directory)}, mode_{mode}, worker_{[this] { run(); }} {}

FilePreparer::~FilePreparer() {
    {
        const std::lock_guard lock{mutex_};
        stop_ = true;
    }
    changed_.notify_all();
    worker_.join();
    if (taken_.fd >= 0) {
        ::close(taken_.fd);
    }
}

Status FilePreparer::start(const JournalFileName& name, std::uint64_t bytes) noexcept {
    {
        const std::lock_guard lock{mutex_};
        if (state() == Prepared::Pending || state() == Prepared::Ready) {
            return {Errc::Busy, "journal: a file is in preparation already"};
        }
        set_state(Prepared::Pending);
        name_ = name;
        bytes_ = bytes;
        error_ = {};
    }
    changed_.notify_all();
    return ok_status();
}

Prepared FilePreparer::wait() noexcept {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return state() != Prepared::Pending; });
    return state();
}

Error FilePreparer::error() const noexcept {
    const std::lock_guard lock{mutex_};
    return error_;
}

FilePreparer::Taken FilePreparer::take() noexcept {
    const std::lock_guard lock{mutex_};
    ASSERT(state() == Prepared::Ready);
    set_state(Prepared::None);
    return std::exchange(taken_, Taken{});
}

void FilePreparer::keep_spares(std::uint32_t count, std::uint64_t bytes) noexcept {
    const std::lock_guard lock{mutex_};
    trim_spares(directory_, {count, bytes});
    spare_count_ = count;
    spare_bytes_ = bytes;
}

void FilePreparer::run() noexcept {
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] {
            return stop_ || state() == Prepared::Pending || (spare_count_ > 0 && !pool_checked_);
        });
        if (stop_) {
            return;
        }
        if (state() == Prepared::Pending) {
            prepare(lock);
        } else {
            fill_pool(lock);
        }
    }
}

void FilePreparer::prepare(std::unique_lock<std::mutex>& lock) noexcept {
    const JournalFileName name = name_;
    const std::uint64_t bytes = bytes_;
    const bool pooled = spare_count_ > 0;
    lock.unlock();
    Result<TakenSpare> made{Errc::NotFound, "no pool"};
    if (pooled) {
        made = take_spare(directory_, name, bytes, mode_);
    }
    if (!made) {  // also after a spare that failed: a new file may lie elsewhere on the disk
        auto fd = make_zeroed_file(directory_, name.text().data(), bytes, mode_);
        made = fd.ok() ? Result<TakenSpare>{TakenSpare{fd.value(), bytes, false}}
                       : Result<TakenSpare>{fd.error()};
    }
    lock.lock();
    if (made.ok()) {
        taken_ = {made.value().fd, {made.value().bytes, made.value().reused}};
        set_state(Prepared::Ready);
    } else {
        error_ = made.error();
        set_state(Prepared::Failed);
    }
    pool_checked_ = ++prepared_files_ < kFilesBeforePool;
    changed_.notify_all();
}

// Makes one spare if there are too few. Gives up (and comes back after the next file was taken)
// when the disk refuses it, or at once when a file is asked for.
void FilePreparer::fill_pool(std::unique_lock<std::mutex>& lock) noexcept {
    const std::uint32_t count = spare_count_;
    const std::uint64_t bytes = spare_bytes_;
    lock.unlock();
    bool enough = list_spares(directory_).size() >= count;
    bool given_up = false;
    if (!enough) {
        const std::string making = directory_ + "/" + kSpareInMaking;
        ::unlink(making.c_str());
        set_io_idle(true);
        // Relaxed: see note_write().
        written_seen_ = written_.load(std::memory_order_relaxed);
        const Status filled = create_filled(making, bytes, mode_.direct, [this] { return pace(); });
        set_io_idle(false);
        char name[48];
        std::snprintf(name, sizeof name, "spare-zero-%016llx.mrp",
                      static_cast<unsigned long long>(monotonic_ns()));
        const bool kept =
            filled.ok() && ::rename(making.c_str(), (directory_ + "/" + name).c_str()) == 0;
        if (!kept) {
            ::unlink(making.c_str());
        }
        given_up = filled.code() == Errc::Busy;
        enough = !kept && !given_up;  // the disk refused: not again before the next roll
    }
    lock.lock();
    pool_checked_ = enough;
}

// Between two chunks of a spare. @return false if the worker is wanted for something better.
bool FilePreparer::pace() noexcept {
    std::unique_lock lock{mutex_};
    for (;;) {
        const auto wanted = [this] { return stop_ || state() == Prepared::Pending; };
        if (wanted()) {
            return false;
        }
        const std::uint64_t now = written_.load(std::memory_order_relaxed);
        if (now == written_seen_) {
            return true;
        }
        changed_.wait_for(lock, kBusyPause, wanted);
        const std::uint64_t then = written_.load(std::memory_order_relaxed);
        written_seen_ = then;
        if (wanted()) {
            return false;
        }
        if (then - now <= kHeavyBytes) {
            return true;
        }
    }
}

}  // namespace millrace
