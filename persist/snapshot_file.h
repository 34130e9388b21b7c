// Snapshot files: an engine image at a record, compressed and checksummed, whole or not there.
//
//     snapshot-<seq, 20 digits>.mrs: | SnapshotHeader, 104 bytes | LZ4 block |
//
// Written to a temporary name, flushed, renamed, directory flushed; the newest ten are kept. What
// is in a snapshot is the engine's business.
#pragma once

#include "core/result.h"
#include "core/types.h"
#include "persist/journal_reader.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace millrace {

inline constexpr std::uint64_t kSnapshotMagic = 0x31305053414E524DULL;  // "MRNASP01"
inline constexpr std::uint32_t kSnapshotVersion = 1;
inline constexpr std::size_t kSnapshotsKept = 10;
/// LZ4's own limit for one block.
inline constexpr std::uint64_t kSnapshotBytesMax = 0x7E00'0000;

/// The last mark of the effects log when a snapshot was taken: between it and the snapshot's record
/// no record had an effect. Seq 0: not known (an older build's snapshot, or a log without effects).
struct EffectsMark {
    Sequence seq;
    std::uint64_t chain = 0;  // as in LogCursor
};

/// Layout (bytes): 0 magic · 8 version · 12 logic_version · 16 epoch · 24 seq · 32 chain ·
/// 40 image_bytes · 48 packed_bytes · 56 image_hash · 64 packed_hash · 72 created_ns ·
/// 80 effects (seq 80, chain 88) · 96 header_hash of bytes 0..95
struct SnapshotHeader {
    std::uint64_t magic = kSnapshotMagic;
    std::uint32_t version = kSnapshotVersion;
    std::uint32_t logic_version = kLogicVersion;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::uint64_t chain = 0;
    std::uint64_t image_bytes = 0;
    std::uint64_t packed_bytes = 0;
    std::uint64_t image_hash = 0;   // XXH3_64
    std::uint64_t packed_hash = 0;  // XXH3_64
    std::int64_t created_ns = 0;    // wall clock, for people
    EffectsMark effects;
    std::uint64_t header_hash = 0;  // XXH3_64
};
static_assert(sizeof(SnapshotHeader) == 104 && offsetof(SnapshotHeader, effects) == 80);
static_assert(offsetof(SnapshotHeader, header_hash) == 96);

struct Snapshot {
    LogCursor at;  // the image is the state after this record
    std::uint32_t logic_version = 0;
    std::vector<std::byte> image;
};

/// Writes a snapshot and removes all but the newest kSnapshotsKept. One at the same record is
/// replaced. Blocks for two flushes.
/// @return NoSpace, IoError, BadInput (image of 0 bytes or beyond kSnapshotBytesMax); the older
/// snapshots are untouched then, and nothing half-written stays.
/// Threads: one writer per directory. Crash: either the whole file or none.
/// The effects of every record up to `at` must be flushed before (EffectsWriter::sync()): effects
/// are made again only from a snapshot at or below what their log still has. `effects` says where
/// their log then ended.
[[nodiscard]] Status write_snapshot(const std::string& directory, const LogCursor& at,
                                    std::span<const std::byte> image, std::string& message,
                                    const EffectsMark& effects = {});

/// The header of the snapshot of record `seq`, without a look at its image.
/// @return BadLayout, BadMagic, BadChecksum, BadVersion, IoError.
[[nodiscard]] Result<SnapshotHeader> snapshot_header(const std::string& directory, Sequence seq);

/// Name of the snapshot of record `seq` in its directory.
[[nodiscard]] std::string snapshot_name(Sequence seq);

/// Records that there are snapshots of, ascending. Looks at names only.
[[nodiscard]] Result<std::vector<Sequence>> list_snapshots(const std::string& directory);

/// Wall clock at which the newest snapshot in the directory was written, by its file; 0 if there is
/// none (or it cannot be looked at).
[[nodiscard]] std::int64_t newest_snapshot_ns(const std::string& directory);

/// Loads the newest valid snapshot at or below `limit`; goes back to older ones past damaged
/// ones, each of which adds a sentence to `bad`.
/// @return NotFound if there is none (start from record 1); IoError.
[[nodiscard]] Result<Snapshot> load_snapshot(const std::string& directory, Sequence limit,
                                             std::vector<std::string>& bad);

}  // namespace millrace
