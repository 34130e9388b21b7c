// The files of the tick log: ticks-<UTC ns, 20 digits>.mrt, one an hour, each begun anew by every
// start of the recorder, so that only the last block of a file can be torn.
//
//     | magic "MRTICK01" | version | reserved | created_ns | uuid | block | block | ...
#pragma once

#include "persist/ticks/tick_block.h"

#include <functional>
#include <string>

namespace millrace::ticklog {

inline constexpr std::uint64_t kTickFileMagic = 0x31304B434954524DULL;  // "MRTICK01"
inline constexpr std::uint32_t kTickFileVersion = 1;

struct TickFileHeader {
    std::uint64_t magic = kTickFileMagic;
    std::uint32_t version = kTickFileVersion;
    std::uint32_t reserved = 0;
    std::int64_t created_ns = 0;  // wall clock: also the name
    std::uint64_t reserved2 = 0;
};
static_assert(sizeof(TickFileHeader) == 32);

struct TickFile {
    std::string path;
    std::int64_t created_ns = 0;
};
/// The log's files, oldest first; none if the directory is not there.
[[nodiscard]] std::vector<TickFile> list_tick_files(const std::string& directory);

/// The last time of a tick in a file, by the headers of its blocks up to a torn one.
/// @return INT64_MIN if it has none or cannot be read.
[[nodiscard]] Nanos last_tick_time(const std::string& path);

/// Appends blocks. Threads: one; blocks in write().
class TickFileWriter {
public:
    TickFileWriter() = default;
    ~TickFileWriter() { close(); }
    TickFileWriter(const TickFileWriter&) = delete;
    TickFileWriter& operator=(const TickFileWriter&) = delete;

    /// Begins the next file, after the one before and the folder are flushed to the disk: with the
    /// next one there, what the one before has not got would be missing unknown. Blocks.
    /// @return NoSpace, IoError with errno; the one before stays open then. Poisoned: what the one
    /// before has is not known to be on the disk, and nothing more can be written here.
    [[nodiscard]] Status begin(const std::string& directory, Nanos wall);
    /// @return NoSpace, IoError: nothing of `blocks` is in the file (what was written of them is
    /// cut off again); the same may be tried again. Crash: killed inside, a beginning of `blocks`
    /// may be there; readers stop at the torn one.
    [[nodiscard]] Status append(std::span<const std::byte> blocks);
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::int64_t created_ns() const noexcept { return created_ns_; }

private:
    [[nodiscard]] Status flush_newest(const std::vector<TickFile>& files) noexcept;

    int fd_ = -1;
    bool is_poisoned_ = false;
    std::uint64_t bytes_ = 0;
    std::int64_t created_ns_ = 0;
};

/// Times of interest, both inclusive.
struct TimeRange {
    Nanos from{INT64_MIN};
    Nanos to{INT64_MAX};
};

/// Visits what is in a file: every mark and dictionary, and the Data blocks that have ticks in
/// `range` (whole: the visitor looks at each tick's time again) or marks only.
/// @param all_marks false: Data blocks out of range are passed over, marks in them too.
/// @param bad gets a sentence if the file ends early: a torn last block (the recorder was killed in
/// a write), or damage.
/// @return IoError, BadMagic, BadVersion: nothing was visited.
[[nodiscard]] Status visit_tick_file(const std::string& path, const TimeRange& range,
                                     bool all_marks, EntryVisitor& visitor,
                                     std::vector<std::string>& bad);

}  // namespace millrace::ticklog
