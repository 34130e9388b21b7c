#include "persist/pwrite_disk.h"

#include "persist/file_preparer.h"
#include "persist/uring_disk.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace millrace {
namespace {

class PwriteDisk final : public Disk {
public:
    PwriteDisk(const std::string& directory, bool direct)
        : preparer_{directory, {direct, false}},
          backend_{direct ? JournalBackend::PwriteDirect : JournalBackend::PwriteBuffered} {}
    ~PwriteDisk() override {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    PwriteDisk(const PwriteDisk&) = delete;
    PwriteDisk& operator=(const PwriteDisk&) = delete;

    [[nodiscard]] Status prepare(const JournalFileName& name,
                                 std::uint64_t bytes) noexcept override {
        return preparer_.start(name, bytes);
    }
    [[nodiscard]] Prepared prepared() noexcept override { return preparer_.state(); }
    [[nodiscard]] Prepared wait_prepared() noexcept override { return preparer_.wait(); }
    [[nodiscard]] Error prepare_error() const noexcept override { return preparer_.error(); }
    [[nodiscard]] Result<PreparedFile> use_prepared() noexcept override {
        if (fd_ >= 0) {
            ::close(fd_);
        }
        const auto taken = preparer_.take();
        fd_ = taken.fd;
        return taken.file;
    }
    void keep_spares(std::uint32_t count, std::uint64_t bytes) noexcept override {
        preparer_.keep_spares(count, bytes);
    }
    [[nodiscard]] Status submit_write(std::uint64_t offset, std::span<const std::byte> bytes,
                                      std::uint64_t token) noexcept override {
        ASSERT(count_ < kWritesInFlightMax);
        preparer_.note_write(bytes.size());
        const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
        const ssize_t put = ::pwritev2(fd_, &part, 1, static_cast<off_t>(offset), RWF_DSYNC);
        done_[count_++] = {token, put < 0 ? -static_cast<std::int64_t>(errno) : put};
        return ok_status();
    }
    [[nodiscard]] std::size_t poll(std::span<DiskCompletion> out) noexcept override {
        const std::size_t n = std::min(out.size(), count_);
        std::copy_n(done_, n, out.begin());
        std::copy(done_ + n, done_ + count_, done_);
        count_ -= n;
        return n;
    }
    void wait(Nanos) noexcept override {}  // whatever was submitted has ended
    [[nodiscard]] JournalBackend backend() const noexcept override { return backend_; }

private:
    FilePreparer preparer_;
    const JournalBackend backend_;
    int fd_ = -1;
    DiskCompletion done_[kWritesInFlightMax];
    std::size_t count_ = 0;
};

// Writes one block with O_DIRECT to a scratch file. 0, or the errno of what was refused.
int try_direct(const std::string& directory) noexcept {
    const std::string path = directory + "/.direct-probe";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    auto* block = static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kBlockBytes));
    ASSERT(block != nullptr);
    std::memset(block, 0, kBlockBytes);
    const ssize_t put = ::pwrite(fd, block, kBlockBytes, 0);
    const int refused = put == static_cast<ssize_t>(kBlockBytes) ? 0 : (put < 0 ? errno : ENOSPC);
    std::free(block);
    ::close(fd);
    ::unlink(path.c_str());
    return refused;
}

Result<std::unique_ptr<Disk>> open_as(const std::string& directory,
                                      JournalBackend backend) noexcept {
    switch (backend) {
        case JournalBackend::UringDirect: return open_uring_disk(directory, true);
        case JournalBackend::UringBuffered: return open_uring_disk(directory, false);
        case JournalBackend::PwriteDirect: return open_pwrite_disk(directory, true);
        case JournalBackend::PwriteBuffered: return open_pwrite_disk(directory, false);
        case JournalBackend::None: break;
    }
    return {Errc::BadInput, "no such journal backend"};
}

}  // namespace

Result<std::unique_ptr<Disk>> open_pwrite_disk(const std::string& directory, bool direct) noexcept {
    return Result<std::unique_ptr<Disk>>{
        std::unique_ptr<Disk>{std::make_unique<PwriteDisk>(directory, direct)}};
}

Result<std::unique_ptr<Disk>> open_disk(const std::string& directory, JournalBackend force,
                                        std::string& message) {
    const int direct_refused = try_direct(directory);
    // EINVAL and EOPNOTSUPP say "no O_DIRECT here"; anything else is the directory's own trouble.
    if (direct_refused != 0 && direct_refused != EINVAL && direct_refused != EOPNOTSUPP) {
        message = "journal directory " + directory + ": cannot write a block there (" +
                  std::strerror(direct_refused) + "); free space or fix its permissions";
        const bool full = direct_refused == ENOSPC || direct_refused == EDQUOT;
        return {full ? Errc::NoSpace : Errc::IoError, "journal directory is not writable",
                direct_refused};
    }
    const bool direct = direct_refused == 0;
    if (force != JournalBackend::None) {
        const bool wants_direct =
            force == JournalBackend::UringDirect || force == JournalBackend::PwriteDirect;
        if (wants_direct && !direct) {
            message = "journal directory " + directory + ": its file system refuses O_DIRECT, so " +
                      to_string(force) + " cannot be used; leave the backend unset";
            return {Errc::Unsupported, "file system refuses O_DIRECT", direct_refused};
        }
        auto disk = open_as(directory, force);
        if (!disk) {
            message = std::string{to_string(force)} + ": " + disk.error().what + " (" +
                      std::strerror(disk.error().sys_errno) + "); leave the backend unset";
        }
        return disk;
    }
    auto disk = open_uring_disk(directory, direct);
    if (disk) {
        message = direct ? "" : "journal: file system refuses O_DIRECT, using buffered writes";
        return disk;
    }
    message = std::string{"journal: "} + disk.error().what + " (" +
              std::strerror(disk.error().sys_errno) + "), using pwritev2" +
              (direct ? "" : " and, as the file system refuses O_DIRECT, buffered writes");
    return open_pwrite_disk(directory, direct);
}

const char* to_string(JournalBackend backend) noexcept {
    switch (backend) {
        case JournalBackend::None: return "none";
        case JournalBackend::UringDirect: return "uring-direct";
        case JournalBackend::UringBuffered: return "uring-buffered";
        case JournalBackend::PwriteDirect: return "pwrite-direct";
        case JournalBackend::PwriteBuffered: return "pwrite-buffered";
    }
    return "unknown";
}

}  // namespace millrace
