// JournalReader: validated forward scan over all journal files, from any sequence number. Reads
// a finished log to its end, or follows a growing one up to a given durable watermark.
//
//     epoch 1  | 1 .......... 100 | 101 .. 110 |     110 was the last valid record, 100 durable
//     epoch 2                     | 101 ........... 500 | 501 ...
//
// A file's header says where its records begin; whatever an older file holds from there on is
// void. What a reader finds at the end of the valid records is one of three things, told apart:
// the end (zeros, or the torn tail of writes that nobody was told about), or damage to what had
// been acknowledged, which is named and never stepped over.
#pragma once

#include "core/journal_record.h"
#include "core/result.h"
#include "persist/journal_format.h"
#include "persist/log_source.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace millrace {

/// `up_to` of next() for a log that is not growing: read whatever is there.
inline constexpr Sequence kWholeLog{std::numeric_limits<std::uint64_t>::max()};

/// A place in the log. A sink stores it with what it writes; resume() refuses one that the log
/// does not contain.
struct LogCursor {
    std::uint64_t epoch = 0;  // of the file that the record was read from
    Sequence seq;             // last record handled, 0 = none
    std::uint64_t chain = kChainSeed;
};

enum class ReadStatus : std::uint8_t {
    Record,   // record() and cursor() are the next one
    End,      // nothing more up to `up_to`; ask again later
    Corrupt,  // fault() says what and where; final
};

/// Where and how reading ended, or what is damaged.
struct LogPlace {
    Errc code = Errc::Ok;  // End: Ok or TornTail; else BadChecksum, BadChain, BadLayout, ...
    JournalFileName file;
    std::uint64_t offset = 0;  // first byte that is not part of a valid record
    Sequence seq;              // last valid record before it
    std::string what;          // a sentence for people: file, offset, cause, mend
};

class JournalReader {
public:
    struct Options {
        std::size_t window_bytes = 128 * 1024;  // read-ahead; at least 2 * kBlockBytes. What was
                                                // read should still be near when it is parsed
    };

    /// Lists the files and goes behind record `after` (0 = the very start).
    /// @return NotFound if the log begins later or ends before `after`; BadChain if record `after`
    /// has another chain than the cursor (the cursor is of another log: rebuild); BadVersion,
    /// BadChecksum, IoError. `message` says it for people. `source` must outlive the reader.
    [[nodiscard]] static Result<JournalReader> resume(LogSource& source, const LogCursor& after,
                                                      const Options& options, std::string& message);
    /// The same by number alone, without comparing chains.
    [[nodiscard]] static Result<JournalReader> open(LogSource& source, Sequence after,
                                                    const Options& options, std::string& message);

    /// Steps to the next record, if its number is at most `up_to`.
    /// @param up_to kWholeLog, or a durable watermark: then everything up to it must be there.
    /// @param epoch CoreCells::epoch, loaded after the watermark: a newer one than the current
    ///        file's makes the reader look for newer files first (they may void this file's rest).
    ///        0 = only look at the end of each file.
    /// Allocates only when it opens a file. Reads at most window_bytes at a time.
    [[nodiscard]] ReadStatus next(Sequence up_to = kWholeLog, std::uint64_t epoch = 0) noexcept;

    [[nodiscard]] const JournalRecord& record() const noexcept { return record_; }
    /// The last record stepped to (or resumed behind).
    [[nodiscard]] const LogCursor& cursor() const noexcept { return cursor_; }
    /// After End: where the log ended and whether the tail was torn.
    [[nodiscard]] const LogPlace& end() const noexcept { return place_; }
    /// After Corrupt.
    [[nodiscard]] const LogPlace& fault() const noexcept { return place_; }

private:
    JournalReader(LogSource& source, const Options& options) noexcept;

    [[nodiscard]] Status refresh(std::string& message);
    [[nodiscard]] Status start_behind(Sequence after, std::string& message);
    [[nodiscard]] Status seek_commit(Sequence after, std::string& message);
    [[nodiscard]] Result<Frame> frame_here() noexcept;
    [[nodiscard]] bool of_this_life(const Frame& frame) const noexcept;
    [[nodiscard]] Status load(std::uint64_t offset, std::size_t bytes, bool fresh) noexcept;
    [[nodiscard]] bool must_switch() const noexcept;
    [[nodiscard]] ReadStatus switch_file() noexcept;
    [[nodiscard]] bool take_commit(const Frame& frame) noexcept;
    [[nodiscard]] bool take_record(const Frame& frame) noexcept;
    [[nodiscard]] ReadStatus on_invalid(const Error& why, Sequence up_to) noexcept;
    [[nodiscard]] ReadStatus judge_tail(const Error& why) noexcept;
    [[nodiscard]] ReadStatus corrupt(Errc code, const std::string& what) noexcept;

    LogSource* source_ = nullptr;
    std::vector<LogFile> files_;  // used ones, in order, from the first that matters
    std::size_t current_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t commit_end_ = 0;
    bool failed_ = false;
    bool judged_ = false;  // place_ tells the end at this very offset
    std::size_t read_bytes_ = 0;
    LogCursor cursor_;
    LogPlace place_;
    JournalRecord record_;
    std::vector<std::byte> window_;
    std::uint64_t window_at_ = 0;
    std::size_t window_used_ = 0;
};

}  // namespace millrace
