// Disk: the seam between the journal writer and the operating system. Shaped as submission and
// completion, so that io_uring fits it and a test can delay, reorder, cut short or fail any write.
#pragma once

#include "core/result.h"
#include "core/types.h"
#include "persist/journal_format.h"
#include "shm/layout.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace millrace {

/// Writes that may be on their way at one time.
inline constexpr std::size_t kWritesInFlightMax = 4;

/// The end of one write. `result`: bytes written *and durable* (may be fewer than submitted), or
/// a negative errno.
struct DiskCompletion {
    std::uint64_t token = 0;
    std::int64_t result = 0;
};

/// Where the next segment file stands.
enum class Prepared : std::uint8_t { None, Pending, Ready, Failed };

/// The file that writes go to.
struct PreparedFile {
    std::uint64_t bytes = 0;  // at least what was asked for
    bool reused = false;      // behind block 0 it holds bytes of an older life
};

/// A directory of journal files, of which one is written to.
/// Threads: all calls from one thread at a time. Memory given to submit_write() stays the disk's
/// until its completion was polled; the destructor waits for what is on its way.
class Disk {
public:
    virtual ~Disk() = default;

    /// Starts to make `name`: a spare file, or a new one of `bytes` zeros; flushed, its directory
    /// entry too. Runs beside the caller. A file of that name that was never used is replaced.
    /// Busy: another preparation is not finished or not used yet.
    [[nodiscard]] virtual Status prepare(const JournalFileName& name,
                                         std::uint64_t bytes) noexcept = 0;
    [[nodiscard]] virtual Prepared prepared() noexcept = 0;
    /// Waits until the preparation has ended.
    [[nodiscard]] virtual Prepared wait_prepared() noexcept = 0;
    /// Why it failed; then a new prepare() may be tried (a file never trusted yet hurts nothing).
    [[nodiscard]] virtual Error prepare_error() const noexcept = 0;
    /// The prepared file becomes the one that writes go to. Only when nothing is in flight.
    [[nodiscard]] virtual Result<PreparedFile> use_prepared() noexcept = 0;
    /// Keeps `count` spare files of `bytes` ready from now on. Optional.
    virtual void keep_spares(std::uint32_t count, std::uint64_t bytes) noexcept {
        (void)count;
        (void)bytes;
    }

    /// Starts a durable write: its completion says that the bytes survive power loss. Writes are
    /// not ordered among each other. `bytes` and `offset` are multiples of 512, memory is aligned
    /// to kBlockBytes. At most kWritesInFlightMax at a time. A refusal to start is a failed write.
    [[nodiscard]] virtual Status submit_write(std::uint64_t offset,
                                              std::span<const std::byte> bytes,
                                              std::uint64_t token) noexcept = 0;
    /// Takes completions that have arrived, in any order. Never blocks. @return how many.
    [[nodiscard]] virtual std::size_t poll(std::span<DiskCompletion> out) noexcept = 0;
    /// Blocks until a completion can be polled or `timeout` has passed.
    virtual void wait(Nanos timeout) noexcept = 0;

    /// Names the memory that writes will come from, once, so that it can be pinned. Optional.
    virtual void register_memory(std::span<std::byte> memory) noexcept { (void)memory; }
    [[nodiscard]] virtual JournalBackend backend() const noexcept = 0;
};

}  // namespace millrace
