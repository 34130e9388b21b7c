#include "persist/file_preparer.h"

#include "core/crash_point.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace millrace {
namespace {

constexpr std::size_t kZeroChunkBytes = 256 * 1024;

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
Status fill_zeros(int fd, std::uint64_t bytes) noexcept {
    const std::unique_ptr<void, Free> zeros{std::aligned_alloc(kBlockBytes, kZeroChunkBytes)};
    ASSERT(zeros != nullptr);
    std::memset(zeros.get(), 0, kZeroChunkBytes);
    std::uint64_t done = 0;
    while (done < bytes) {
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

Status create_filled(const std::string& path, std::uint64_t bytes, bool direct) noexcept {
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
        filled = fill_zeros(fd, bytes);
    }
    ::close(fd);
    return filled;
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
    Status made = create_filled(path, bytes, mode.direct);
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
    if (fd_ >= 0) {
        ::close(fd_);
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

int FilePreparer::take() noexcept {
    const std::lock_guard lock{mutex_};
    ASSERT(state() == Prepared::Ready);
    set_state(Prepared::None);
    return std::exchange(fd_, -1);
}

void FilePreparer::run() noexcept {
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return stop_ || state() == Prepared::Pending; });
        if (stop_) {
            return;
        }
        const auto name = name_.text();
        const std::uint64_t bytes = bytes_;
        lock.unlock();
        auto made = make_zeroed_file(directory_, name.data(), bytes, mode_);
        lock.lock();
        if (made.ok()) {
            fd_ = made.value();
            set_state(Prepared::Ready);
        } else {
            error_ = made.error();
            set_state(Prepared::Failed);
        }
        changed_.notify_all();
    }
}

}  // namespace millrace
