#include "persist/uring_disk.h"

#include "persist/file_preparer.h"

#include <liburing.h>
#include <unistd.h>

#include <cerrno>

namespace millrace {
namespace {

// The destructor's bound. A write that has not ended by then belongs to the kernel for good.
constexpr int kDrainWaitsMax = 50;

class UringDisk final : public Disk {
public:
    UringDisk(const std::string& directory, bool direct)
        : preparer_{directory, {direct, true}},
          backend_{direct ? JournalBackend::UringDirect : JournalBackend::UringBuffered} {}
    ~UringDisk() override;
    UringDisk(const UringDisk&) = delete;
    UringDisk& operator=(const UringDisk&) = delete;

    [[nodiscard]] int setup() noexcept;
    [[nodiscard]] Status prepare(const JournalFileName& name,
                                 std::uint64_t bytes) noexcept override {
        return preparer_.start(name, bytes);
    }
    [[nodiscard]] Prepared prepared() noexcept override { return preparer_.state(); }
    [[nodiscard]] Prepared wait_prepared() noexcept override { return preparer_.wait(); }
    [[nodiscard]] Error prepare_error() const noexcept override { return preparer_.error(); }
    [[nodiscard]] Result<PreparedFile> use_prepared() noexcept override;
    void keep_spares(std::uint32_t count, std::uint64_t bytes) noexcept override {
        preparer_.keep_spares(count, bytes);
    }
    [[nodiscard]] Status submit_write(std::uint64_t offset, std::span<const std::byte> bytes,
                                      std::uint64_t token) noexcept override;
    [[nodiscard]] std::size_t poll(std::span<DiskCompletion> out) noexcept override;
    void wait(Nanos timeout) noexcept override;
    void register_memory(std::span<std::byte> memory) noexcept override;
    [[nodiscard]] JournalBackend backend() const noexcept override { return backend_; }

private:
    FilePreparer preparer_;
    const JournalBackend backend_;
    io_uring ring_{};
    bool ready_ = false;
    bool registered_ = false;
    std::span<std::byte> memory_;
    std::size_t in_flight_ = 0;
    int fd_ = -1;
};

UringDisk::~UringDisk() {
    for (int i = 0; i < kDrainWaitsMax && in_flight_ > 0; ++i) {
        wait(millis(100));
        DiskCompletion done[kWritesInFlightMax];
        (void)poll(done);
    }
    if (ready_) {
        ::io_uring_queue_exit(&ring_);
    }
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

int UringDisk::setup() noexcept {
    // No SQPOLL: its thread starves completions on few cores. No SINGLE_ISSUER: the stage is
    // opened by one thread and stepped by another. COOP_TASKRUN saves the interrupts that would
    // break into the stage's own work; older kernels refuse it.
    int r = ::io_uring_queue_init(2 * kWritesInFlightMax, &ring_,
                                  IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    if (r == -EINVAL) {
        r = ::io_uring_queue_init(2 * kWritesInFlightMax, &ring_, 0);
    }
    ready_ = r == 0;
    return -r;
}

void UringDisk::register_memory(std::span<std::byte> memory) noexcept {
    // Refused beyond RLIMIT_MEMLOCK: then every write pins its pages itself, which only costs.
    const iovec part{memory.data(), memory.size()};
    registered_ = ::io_uring_register_buffers(&ring_, &part, 1) == 0;
    memory_ = memory;
}

Result<PreparedFile> UringDisk::use_prepared() noexcept {
    ASSERT(in_flight_ == 0);
    if (fd_ >= 0) {
        ::close(fd_);
    }
    const auto taken = preparer_.take();
    fd_ = taken.fd;
    return taken.file;
}

Status UringDisk::submit_write(std::uint64_t offset, std::span<const std::byte> bytes,
                               std::uint64_t token) noexcept {
    ASSERT(in_flight_ < kWritesInFlightMax);
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    ASSERT(sqe != nullptr);  // the queue is twice as long as what may be in flight
    const auto size = static_cast<unsigned>(bytes.size());
    const bool fixed = registered_ && bytes.data() >= memory_.data() &&
                       bytes.data() + bytes.size() <= memory_.data() + memory_.size();
    if (fixed) {
        ::io_uring_prep_write_fixed(sqe, fd_, bytes.data(), size, offset, 0);
    } else {
        ::io_uring_prep_write(sqe, fd_, bytes.data(), size, offset);
    }
    ::io_uring_sqe_set_data64(sqe, token);
    int submitted = -EINTR;
    for (int i = 0; i < 64 && (submitted == -EINTR || submitted == -EAGAIN); ++i) {
        submitted = ::io_uring_submit(&ring_);
    }
    if (submitted != 1) {
        return {Errc::IoError, "journal: io_uring refused a write",
                submitted < 0 ? -submitted : EIO};
    }
    ++in_flight_;
    preparer_.note_write(bytes.size());
    return ok_status();
}

std::size_t UringDisk::poll(std::span<DiskCompletion> out) noexcept {
    std::size_t n = 0;
    io_uring_cqe* cqe = nullptr;
    while (n < out.size() && ::io_uring_peek_cqe(&ring_, &cqe) == 0) {
        out[n++] = {::io_uring_cqe_get_data64(cqe), cqe->res};
        ::io_uring_cqe_seen(&ring_, cqe);
        --in_flight_;
    }
    return n;
}

void UringDisk::wait(Nanos timeout) noexcept {
    if (in_flight_ == 0) {
        return;
    }
    __kernel_timespec limit{timeout.value / 1'000'000'000, timeout.value % 1'000'000'000};
    io_uring_cqe* cqe = nullptr;
    // A timeout or a signal is not an error here: the caller polls and decides.
    (void)::io_uring_wait_cqe_timeout(&ring_, &cqe, &limit);
}

}  // namespace

Result<std::unique_ptr<Disk>> open_uring_disk(const std::string& directory, bool direct) noexcept {
    auto disk = std::make_unique<UringDisk>(directory, direct);
    if (const int e = disk->setup(); e != 0) {
        return {Errc::Unsupported, "io_uring is refused by kernel or container", e};
    }
    return Result<std::unique_ptr<Disk>>{std::unique_ptr<Disk>{std::move(disk)}};
}

}  // namespace millrace
