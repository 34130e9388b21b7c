// Retention: removes journal and effects files that are old, or too many, or in the way of free
// space; never what a start or a sink still needs. Says when the file system fills.
#pragma once

#include "core/types.h"
#include "persist/spare_files.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millrace {

/// A sink that follows the effects log.
struct SinkAt {
    const char* name = "";
    Sequence stored;  // everything up to here is in its store; 0 = it has not said yet
};

struct RetentionLimits {
    std::uint64_t bytes_max = 0;  // of journal files, and of effects files, each
    /// Effects beyond the slowest of them stay, up to twice bytes_max. Then whoever lacks what goes
    /// is detached (and rebuilds itself from what is left), so that the disk does not fill.
    std::vector<SinkAt> sinks{};
    /// Cursors of the SQLite store's backups, ascending. A restored one goes on from the effects
    /// log: behind the oldest they stay, and, if there are too many bytes, behind the newest.
    std::vector<Sequence> backups{};
    Nanos age_max{};               // files whose last record is older go too; 0 = no limit
    Nanos wall_now{};              // wall clock
    std::uint64_t free_floor = 0;  // bytes of free space below which files go before their time
    std::uint64_t free_bytes = ~std::uint64_t{0};  // as found (file_system_space())
    SparePolicy spares{};                          // journal files may be re-used
    /// As found, of the second directory's file system; nothing: there is none, or it is the
    /// first's.
    std::optional<std::uint64_t> second_free_bytes{};
};
struct Retained {
    std::uint32_t journal_files = 0;    // taken out of the log
    std::uint32_t reusable = 0;         // of these, kept as spares
    std::uint32_t effects_files = 0;    // removed
    std::vector<std::string> detached;  // sinks whose next effects are gone, now or before
    std::string trouble;                // what could not be read or removed; empty if nothing
};

/// Threads: one at a time. A reader that has a file open keeps it, or is told that it is gone.
class Retention {
public:
    /// Of journal files in both directories of the log (persist/second_directory.h).
    explicit Retention(std::string journal_dir) : dir_{std::move(journal_dir)} {}

    /// A journal file goes only if every record in it is older than a snapshot that was read back
    /// whole, and than the oldest one that is there: any of them and the files behind it make a
    /// state. Above bytes_max, or below the free floor, the newest that can be read is enough. For
    /// a file system's floor go files that lie there, and what is older than they. Without one
    /// nothing goes, of the effects log neither. An effects file goes only if it, and the file
    /// behind it, ended before the slowest sink's cursor: after a power cut a store that is not
    /// flushed with each commit stands a few commits before what it said.
    [[nodiscard]] Retained prune(const RetentionLimits& limits);

private:
    [[nodiscard]] Sequence verified(const std::vector<Sequence>& snapshots, std::string& trouble);
    void prune_journal(const RetentionLimits& limits, const std::vector<Sequence>& snapshots,
                       Retained& done);

    std::string dir_;
    Sequence looked_at_;  // the newest snapshot when one was last read back
    Sequence verified_;   // the newest that could be
};

struct Space {
    std::uint64_t bytes = 0;       // that whoever is not root could ever have
    std::uint64_t free_bytes = 0;  // that he has left
    [[nodiscard]] unsigned used_percent() const noexcept {
        return bytes == 0 ? 0 : static_cast<unsigned>(100 - free_bytes * 100 / bytes);
    }
};
/// Of the file system that `path` lies in; zeros if it cannot be asked.
[[nodiscard]] Space file_system_space(const std::string& path) noexcept;

}  // namespace millrace
