// The effects log: rows for the stores, as the replica's engine puts them out, in files that each
// sink follows with a cursor of its own.
//
//     effects-<n, 10 digits>.mre: | EffectsHeader, 96 bytes | frame | frame | ...
//
//     frames (persist/journal_format.h): Effect, and behind the last effect of each record that
//     had any a Mark: the journal's cursor {epoch, seq, chain} there. A sink commits at marks.
//
// Not flushed row by row: it can be made again from the journal. sync() before a snapshot keeps
// that true (older effects cannot be made from a newer snapshot). Files end at marks only.
#pragma once

#include "core/effect.h"
#include "core/result.h"
#include "persist/journal_format.h"
#include "persist/journal_reader.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millrace {

inline constexpr std::uint64_t kEffectsMagic = 0x3130544345464552ULL;  // "REFECT01"
inline constexpr std::uint32_t kEffectsVersion = 1;

/// Layout (bytes): 0 magic · 8 version · 12 effect_bytes · 16 number · 24 first_seq ·
/// 32 effects_before · 40 previous_chain · 48 mark (epoch 48, seq 56, chain 64) · 72 begins_anew ·
/// 80 reserved · 88 header_hash of bytes 0..87
struct EffectsHeader {
    std::uint64_t magic = kEffectsMagic;
    std::uint32_t version = kEffectsVersion;
    std::uint32_t effect_bytes = sizeof(Effect);
    std::uint64_t number = 0;          // of the file, as in its name
    std::uint64_t first_seq = 0;       // no effect in it is of an earlier record
    std::uint64_t effects_before = 0;  // in all files before it
    std::uint64_t previous_chain = kChainSeed;
    LogCursor mark;                 // the last mark before it
    std::uint64_t begins_anew = 0;  // 1: effects between the file before and `mark` are lost;
                                    // 2: none are, as it begins with all that was taken over
    std::uint64_t reserved = 0;
    std::uint64_t header_hash = 0;  // XXH3_64
};
static_assert(std::is_trivially_copyable_v<EffectsHeader> && sizeof(EffectsHeader) == 96);
static_assert(offsetof(EffectsHeader, header_hash) == 88);

/// An effect's number: record and place in it. Ordered.
struct EffectId {
    std::uint64_t seq = 0;
    std::uint32_t k = 0;
    friend constexpr auto operator<=>(const EffectId&, const EffectId&) = default;
};

class EffectsWriter {
public:
    struct Options {
        std::uint64_t file_bytes = 32ULL << 20;  // rolled at the first mark beyond it
        /// open() cuts off what is of later records, as a torn tail: after a flush that failed it
        /// may not be on the disk, whatever is read of it, and no later flush would put it there.
        std::uint64_t upto = UINT64_MAX;
    };

    /// Finds the last complete effect, cuts off a torn tail, goes on behind it.
    /// @return BadVersion, BadChecksum (a header in the middle), IoError, NoSpace.
    /// Threads: all calls from one thread; one writer per directory.
    [[nodiscard]] static Result<EffectsWriter> open(const std::string& directory,
                                                    const Options& options, std::string& message);
    ~EffectsWriter();
    EffectsWriter(EffectsWriter&& other) noexcept;
    EffectsWriter& operator=(EffectsWriter&& other) noexcept;

    /// Goes on behind `mark` in a file of its own, although effects up to there are lost: nothing
    /// can make them any more. A reader that has not come to `mark` is told so; the files before
    /// stay. Does nothing if the log has come to `mark`.
    /// @param whole what follows begins with everything that still stands (`millrace recover`), so
    /// a store that is filled from here lacks nothing.
    [[nodiscard]] Status begin_anew(const LogCursor& mark, bool whole = false) noexcept;

    /// Appends, unless the log has (seq, k) already: a replay may offer everything again.
    /// Buffered: readers see it after flush().
    /// @return IoError, NoSpace; Poisoned after either.
    [[nodiscard]] Status append(const Effect& effect) noexcept;
    /// The record at `at` has put out all its effects. Writes a mark if it had any.
    [[nodiscard]] Status end_of_record(const LogCursor& at) noexcept;
    /// Hands what is buffered to the system: readers see it.
    [[nodiscard]] Status flush() noexcept;
    /// flush(), and it survives power loss. Blocks.
    [[nodiscard]] Status sync() noexcept;

    /// Removes whole files that hold nothing from `keep_from` on; beyond `bytes_max` in all also
    /// newer ones, oldest first (their sinks must be rebuilt). Never the file being written.
    /// @return the first record that the log still reaches back to.
    [[nodiscard]] Result<Sequence> retain(Sequence keep_from, std::uint64_t bytes_max);

    /// The last effect in the log; a replay must begin at or below it.
    [[nodiscard]] EffectId last() const noexcept { return last_; }
    [[nodiscard]] const LogCursor& last_mark() const noexcept { return mark_; }
    /// The last mark before the file that is being written: up to it all was flushed when that was
    /// begun.
    [[nodiscard]] const LogCursor& file_begin() const noexcept { return file_begin_; }
    /// Effects since the log began.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
    /// What open() cut off, empty if nothing.
    [[nodiscard]] const std::string& cut() const noexcept { return cut_; }

private:
    EffectsWriter(const std::string& directory, const Options& options);
    [[nodiscard]] Status find_end(std::string& message);
    [[nodiscard]] Status open_file(std::uint64_t first_seq, std::uint64_t begins_anew = 0) noexcept;
    [[nodiscard]] Status put(FrameKind kind, std::span<const std::byte> payload) noexcept;
    [[nodiscard]] Status fail(const char* what) noexcept;

    std::string directory_;
    Options options_;
    std::vector<std::byte> buffer_;
    std::size_t buffered_ = 0;
    int fd_ = -1;
    std::uint64_t number_ = 0;
    std::uint64_t file_bytes_ = 0;  // written to the file
    std::uint64_t chain_ = kChainSeed;
    std::uint64_t written_ = 0;
    EffectId last_;
    LogCursor mark_;
    LogCursor file_begin_;
    std::string cut_;
    bool failed_ = false;
};

enum class EffectStatus : std::uint8_t {
    Effect,   // effect() is the next one
    Mark,     // cursor() is where the record whose effects were just given ended
    End,      // nothing more yet; ask again
    Corrupt,  // fault() says what and where; final
};

class EffectsReader {
public:
    /// Goes behind the mark `after` ({} = the very start).
    /// @return NotFound if the log begins later (retention), or anew (begin_anew()), and BadChain
    /// if it has another record there: rebuild the store. Busy if the log has not come that far
    /// yet: try again.
    [[nodiscard]] static Result<EffectsReader> resume(const std::string& directory,
                                                      const LogCursor& after, std::string& message);
    ~EffectsReader();
    EffectsReader(EffectsReader&& other) noexcept;
    EffectsReader& operator=(EffectsReader&& other) noexcept;

    /// Steps to the next effect or mark. Reads at most 256 KiB at a time.
    [[nodiscard]] EffectStatus next() noexcept;

    [[nodiscard]] const Effect& effect() const noexcept { return effect_; }
    [[nodiscard]] const LogCursor& cursor() const noexcept { return cursor_; }
    /// After Corrupt; or after End, non-empty if bytes are there that are not valid (a torn tail,
    /// until the writer's next start cuts it; a next file without a header).
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
    /// After Corrupt: nothing is damaged. What follows is lost, and the log begins anew behind it.
    [[nodiscard]] bool lost() const noexcept { return lost_; }
    /// With a fault(): whether the file goes on with valid rows behind the bytes that are not, as a
    /// torn tail hardly does. Reads the rest of the file.
    [[nodiscard]] bool valid_behind_fault() const;

private:
    explicit EffectsReader(const std::string& directory);
    [[nodiscard]] Status open_number(std::uint64_t number, EffectsHeader& header) noexcept;
    [[nodiscard]] Status look_ahead() noexcept;
    [[nodiscard]] bool to_next_file() noexcept;
    [[nodiscard]] bool taken_away() const noexcept;
    [[nodiscard]] Result<Frame> frame_here() noexcept;
    [[nodiscard]] bool fill(std::size_t bytes, bool fresh) noexcept;
    [[nodiscard]] EffectStatus corrupt(const std::string& what);
    [[nodiscard]] std::string place() const;

    std::string directory_;
    int fd_ = -1;
    std::uint64_t number_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t chain_ = kChainSeed;
    std::vector<std::byte> window_;
    std::uint64_t window_at_ = 0;
    std::size_t window_used_ = 0;
    Effect effect_;
    LogCursor cursor_;
    std::string fault_;
    bool failed_ = false;
    bool lost_ = false;
};

/// The mark behind which all that is left of the log in `directory` follows itself: that of the
/// file which began it anew last, else of the oldest one. Nothing if there is no file, or if one
/// cannot be read.
[[nodiscard]] std::optional<LogCursor> effects_begin(const std::string& directory);

/// Whether the log in `directory` still begins where it was begun, or with everything that was
/// taken over from a lost one: a store that is filled from effects_begin() on then lacks nothing.
/// False once retention has taken its first file, or part of it was lost.
[[nodiscard]] bool effects_begin_whole(const std::string& directory);

/// Removes all effects files: they belong to another journal, everything is rebuilt.
[[nodiscard]] Status remove_effects(const std::string& directory);

}  // namespace millrace
