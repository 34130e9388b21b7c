// Backups of the SQLite store: online copies, each restored and compared before it counts.
//
//     store-<n, 10 digits>-<seq, 20 digits>.mrb: | LZ4 skippable frame: BackupHeader | LZ4 frame |
//
// So `lz4 -d FILE store.db` restores one without us. n counts up; seq is the effects cursor.
#pragma once

#include "persist/effect_source.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace millrace {

inline constexpr std::uint64_t kBackupMagic = 0x3130504B4252534DULL;  // "MSRBKP01"
inline constexpr std::uint32_t kBackupVersion = 1;

/// Layout (bytes): 0 skip_magic · 4 skip_bytes · 8 magic · 16 version · 20 schema · 24 epoch ·
/// 32 seq · 40 k · 48 chain · 56 raw_bytes · 64 raw_hash · 72 packed_bytes · 80 packed_hash ·
/// 88 created_ns · 96 header_hash of bytes 0..95
struct BackupHeader {
    std::uint32_t skip_magic = 0x184D2A50;  // of LZ4's skippable frames
    std::uint32_t skip_bytes = 96;          // that follow
    std::uint64_t magic = kBackupMagic;
    std::uint32_t version = kBackupVersion;
    std::uint32_t schema = 0;  // PRAGMA user_version
    std::uint64_t epoch = 0;   // the store's cursor
    std::uint64_t seq = 0;
    std::uint64_t k = 0;
    std::uint64_t chain = 0;
    std::uint64_t raw_bytes = 0;  // of the database file
    std::uint64_t raw_hash = 0;   // XXH3_64
    std::uint64_t packed_bytes = 0;
    std::uint64_t packed_hash = 0;  // XXH3_64 of the LZ4 frame
    std::int64_t created_ns = 0;    // wall clock, for people
    std::uint64_t header_hash = 0;  // XXH3_64
    [[nodiscard]] EffectCursor cursor() const noexcept;
};
static_assert(sizeof(BackupHeader) == 104 && offsetof(BackupHeader, header_hash) == 96);

struct SqliteBackup {
    std::string path;
    std::uint64_t number = 0;
    Sequence seq;  // the store's cursor
};
/// What counts as a backup in `dir`, oldest first, by name alone. Empty if it cannot be listed.
[[nodiscard]] std::vector<SqliteBackup> list_sqlite_backups(const std::string& dir);

/// How far a long work is: `done` of `total` in `what`. @return false gives it up.
using BackupProgress =
    std::function<bool(const char* what, std::uint64_t done, std::uint64_t total)>;

struct SqliteBackupOptions {
    std::string store;
    std::string dir;     // made with mode 0700; on another disk it survives that of the store
    std::string note{};  // of `dir`: backup_place.h; "" = whatever lies there will do
    /// How the store may differ from what this build makes (sqlite_odd_layout()), "" = in nothing:
    /// another store is damaged, and no backup is made of it.
    std::string odd_layout{};
    std::size_t keep = 10;  // older ones are removed once a newer one counts
    BackupProgress progress{};
    const std::atomic<bool>* stop = nullptr;  // gives up when it turns true
};

/// Copies the store as it stands at one moment, while it is written to, packs the copy, flushes it,
/// unpacks what lies on the disk into a scratch file, and compares: hashes of both, SQLite's full
/// integrity check, the cursor, and counts and sums over each table against the store itself at
/// that moment. Only then it gets its name. Needs room for two copies meanwhile.
/// @return NotFound: no store; Busy: another backup is being made; BadChecksum: the store is
/// damaged, or the copy did not come back the same; NoSpace; IoError, also where `dir` is not the
/// folder that was noted; Timeout: given up.
/// Threads: any; blocks for as long as it takes, and never the store's writer.
/// Crash: what is not finished has another name and is removed by the next run.
[[nodiscard]] Result<SqliteBackup> make_sqlite_backup(const SqliteBackupOptions& options,
                                                      std::string& message);

/// @return the header; BadMagic, BadVersion, BadChecksum, NotFound, IoError.
[[nodiscard]] Result<BackupHeader> read_sqlite_backup(const std::string& path,
                                                      std::string& message);

/// Unpacks the backup at `path` into the new file `to`, flushed, and checks it as far as it can be
/// without the store it was made of.
/// @return as make_sqlite_backup(), and BadInput if `to` exists; nothing is left of it then.
[[nodiscard]] Status restore_sqlite_backup(const std::string& path, const std::string& to,
                                           const SqliteBackupOptions& options,
                                           std::string& message);

}  // namespace millrace
