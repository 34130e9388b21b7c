// The journal's bytes on disk. One file (a journal segment) is a run of 4 KiB blocks:
//
//     block 0                    blocks 1..                                  rest
//     +--------------------+-----------------------------+---------------+-------------+
//     | JournalFileHeader  | group commit | group commit | ...           | zeros (1)   |
//     +--------------------+-----------------------------+---------------+-------------+
//
//     (1) or, in a re-used file, what its older life left there
//
//     group commit = whole blocks, written once by one write and never again:
//     | Commit frame | Record frame | Record frame | ... | Pad frame to the block's end |
//
//     frame (16-byte aligned):
//     0      4       6      8        16
//     | crc  | bytes | kind | chain  | payload[bytes], zero filled to a multiple of 16 |
//
// crc is CRC32C of everything of the frame behind it. chain of a record n is
// XXH3_64(payload_n, seed = chain_{n-1}); of a Commit or Pad frame it is the chain in force there.
// The payload of a Record frame is a JournalRecord trimmed to kHeaderBytes + body_bytes(type).
//
// Two facts let a reader tell a torn tail from damage. A file's header is written only when every
// record before `first_seq` is on disk, and completes before anything else is written to that file.
// And each Commit frame says what was acknowledged when it was written (`acked_seq`).
#pragma once

#include "core/journal_record.h"
#include "core/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace millrace {

inline constexpr std::size_t kBlockBytes = 4096;
/// Largest group commit; also the size of a write buffer.
inline constexpr std::size_t kCommitBytesMax = 256 * 1024;
inline constexpr std::uint64_t kJournalMagic = 0x31304C4E524A524DULL;  // "MRJRNL01"
inline constexpr std::uint32_t kJournalVersion = 1;
/// The same format in a file that had another life (spare_files.h): what lies behind the last group
/// commit is not zeros but anything, older group commits too. A version of its own, so that a
/// program that expects zeros refuses it.
inline constexpr std::uint32_t kJournalVersionReused = 2;
/// Chain hash before the first record of all.
inline constexpr std::uint64_t kChainSeed = 0x4D494C4C52414345ULL;

/// `journal-<epoch, 10 digits>-<index, 6 digits>.mrj`; sorts as text in the order of writing.
struct JournalFileName {
    std::uint64_t epoch = 0;
    std::uint32_t index = 0;
    friend constexpr auto operator<=>(const JournalFileName&, const JournalFileName&) = default;

    static constexpr std::size_t kTextBytes = 29;
    /// Zero-terminated text of the name. epoch < 10^10, index < 10^6.
    [[nodiscard]] std::array<char, 48> text() const noexcept;
    /// The name as parsed; NotFound if `text` is not one of ours.
    [[nodiscard]] static Result<JournalFileName> parse(std::string_view text) noexcept;
};

/// Block 0, the rest of it zero. Layout (bytes): 0 magic · 8 version · 12 header_bytes · 16 epoch ·
/// 24 index · 28 reserved · 32 first_seq · 40 previous_chain · 48 segment_bytes · 56 created_ns ·
/// 64 reserved2 · 68 crc32c of bytes 0..67
struct JournalFileHeader {
    std::uint64_t magic = kJournalMagic;
    std::uint32_t version = kJournalVersion;
    std::uint32_t header_bytes = kBlockBytes;
    std::uint64_t epoch = 0;
    std::uint32_t index = 0;
    std::uint32_t reserved = 0;
    std::uint64_t first_seq = 0;       // older files' records from here on are void
    std::uint64_t previous_chain = 0;  // chain at first_seq - 1
    std::uint64_t segment_bytes = 0;
    std::int64_t created_ns = 0;  // wall clock, for people
    std::uint32_t reserved2 = 0;
    std::uint32_t crc32c = 0;
};
[[nodiscard]] constexpr bool reused(const JournalFileHeader& header) noexcept {
    return header.version == kJournalVersionReused;
}
static_assert(std::is_trivially_copyable_v<JournalFileHeader> && sizeof(JournalFileHeader) == 72);
static_assert(offsetof(JournalFileHeader, first_seq) == 32);
static_assert(offsetof(JournalFileHeader, crc32c) == 68);

enum class FrameKind : std::uint16_t {
    Commit = 0xC0C1,
    Record = 0xC0C2,
    Pad = 0xC0C3,
    Effect = 0xC0C4,  // effects log only (effects_log.h), as is Mark
    Mark = 0xC0C5,
};

struct FrameHead {
    std::uint32_t crc32c = 0;
    std::uint16_t bytes = 0;  // of the payload, without the fill
    FrameKind kind{};
    std::uint64_t chain = 0;
};
static_assert(std::is_trivially_copyable_v<FrameHead> && sizeof(FrameHead) == 16);

/// Payload of a Commit frame: where it belongs (a misdirected write is seen) and what it proves.
/// Layout (bytes): 0 epoch · 8 index · 12 bytes · 16 offset · 24 first_seq · 32 acked_seq · 40
/// number
struct CommitHead {
    std::uint64_t epoch = 0;
    std::uint32_t index = 0;
    std::uint32_t bytes = 0;      // of the whole commit, a multiple of kBlockBytes
    std::uint64_t offset = 0;     // in the file
    std::uint64_t first_seq = 0;  // of its first record
    std::uint64_t acked_seq = 0;  // everything up to here was acknowledged when this was written
    std::uint64_t number = 0;     // of the commit in this epoch, 0-based
};
static_assert(std::is_trivially_copyable_v<CommitHead> && sizeof(CommitHead) == 48);
static_assert(offsetof(CommitHead, acked_seq) == 32);

inline constexpr std::size_t kFrameAlign = 16;
constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept {
    return (n + to - 1) / to * to;
}
/// Bytes of a record without its unused tail; 0 for an unknown type.
[[nodiscard]] constexpr std::size_t record_bytes(InputType type) noexcept {
    const std::size_t body = body_bytes(type);
    return body == 0 ? 0 : JournalRecord::kHeaderBytes + body;
}
/// Bytes that a payload takes on disk with head and fill.
[[nodiscard]] constexpr std::size_t frame_bytes(std::size_t payload_bytes) noexcept {
    return round_up(sizeof(FrameHead) + payload_bytes, kFrameAlign);
}
inline constexpr std::size_t kCommitFrameBytes = frame_bytes(sizeof(CommitHead));
inline constexpr std::size_t kRecordFrameBytesMax = frame_bytes(sizeof(JournalRecord));
static_assert(kCommitFrameBytes == 64 && kRecordFrameBytesMax == 272);

/// chain_n from chain_{n-1} and the trimmed record.
[[nodiscard]] std::uint64_t chain_next(std::uint64_t previous,
                                       std::span<const std::byte> record) noexcept;
/// The trimmed bytes of `record`; empty for an unknown type.
[[nodiscard]] std::span<const std::byte> trimmed(const JournalRecord& record) noexcept;

/// Fills `block` (kBlockBytes) with the header, its CRC and zeros.
void encode_header(JournalFileHeader header, std::span<std::byte> block) noexcept;
/// The header of `block`. BadMagic (also for zeros), BadChecksum, BadVersion, BadLayout.
[[nodiscard]] Result<JournalFileHeader> decode_header(std::span<const std::byte> block) noexcept;

/// Writes head, payload and zero fill at the start of `at`, checksummed; frame_bytes() long.
void put_frame(std::span<std::byte> at, FrameKind kind, std::uint64_t chain,
               std::span<const std::byte> payload) noexcept;

/// A frame as found. `payload` points into what was parsed.
struct Frame {
    FrameKind kind{};
    std::uint64_t chain = 0;
    std::span<const std::byte> payload;
    std::size_t bytes = 0;  // with head and fill
};
/// The frame at the start of `at`. NotFound: zeros where a head should be; BadLayout: head
/// impossible or longer than `at`; BadChecksum. Pure; reads nothing beyond `at`.
[[nodiscard]] Result<Frame> parse_frame(std::span<const std::byte> at) noexcept;
/// The Commit frame at the start of `at`; the same errors, and BadLayout for another kind or
/// impossible sizes.
[[nodiscard]] Result<CommitHead> parse_commit(std::span<const std::byte> at) noexcept;

/// Packs one group commit into a buffer. No allocation; one thread.
class CommitPacker {
public:
    struct Begin {
        std::uint64_t epoch = 0;
        std::uint32_t index = 0;
        std::uint64_t offset = 0;  // in the file
        std::uint64_t chain = 0;   // before the first record
        std::uint64_t number = 0;
    };
    /// Starts a commit in `buffer`, a multiple of kBlockBytes long.
    void begin(std::span<std::byte> buffer, const Begin& begin) noexcept;
    /// Appends `record`. False: it does not fit any more; nothing changed.
    [[nodiscard]] bool add(const JournalRecord& record) noexcept;
    /// Pads to whole blocks and checksums. The commit is complete; the packer is free again.
    /// @param acked_seq what is acknowledged at this moment.
    [[nodiscard]] std::span<const std::byte> seal(std::uint64_t acked_seq) noexcept;

    [[nodiscard]] bool empty() const noexcept { return records_ == 0; }
    [[nodiscard]] bool active() const noexcept { return !buffer_.empty(); }
    [[nodiscard]] std::uint32_t records() const noexcept { return records_; }
    [[nodiscard]] std::uint64_t chain() const noexcept { return chain_; }

private:
    std::span<std::byte> buffer_;
    Begin begin_{};
    std::size_t used_ = 0;
    std::uint64_t chain_ = 0;
    std::uint64_t first_seq_ = 0;
    std::uint32_t records_ = 0;
};

}  // namespace millrace
