// Spare files: the pool of ready-made journal files in a journal directory. A spare is either new
// and zero-filled, or a retired journal file that is written over again: its blocks are allocated
// and written, so a write to it changes no metadata and nothing is written twice.
//
//     journal-..-...mrj --retire_file()--> spare-used-<epoch>-<index>.mrp --+
//     (new) --make_spare()--> spare-zero-<n>.mrp ---------------------------+--take_spare()--> .mrj
//
// What a re-used file still holds is of an older life. Nothing may mistake it for the new one's:
// block 0 is zeroed before the file gets its new name (so no old header, and no commit of the new
// name, can be read), and its header says kJournalVersionReused, for which a reader holds every
// frame against epoch, index, offset and chain (journal_reader.h).
#pragma once

#include "core/result.h"
#include "persist/file_preparer.h"
#include "persist/journal_format.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// How many spares are kept and of what size; another size is not re-used.
struct SparePolicy {
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;
};

struct SpareFile {
    std::string name;     // in the directory
    bool reused = false;  // holds an older life's bytes
    std::uint64_t bytes = 0;
};
/// The pool of `directory`, re-used ones first. Empty if it cannot be listed.
[[nodiscard]] std::vector<SpareFile> list_spares(const std::string& directory) noexcept;

/// What became of a journal file that nobody needs any more.
enum class Retired : std::uint8_t { Removed, Pooled };

/// Takes `name` out of the log: into the pool if that has room and the file may be re-used, else
/// removed. May be re-used: of the policy's size, without another hard link (a backup), and
/// `followed`: the same epoch went on in a further file, so every write to this one has completed
/// (a writer that died or failed may have left one behind in the kernel).
/// Threads: any one; the owner of the journal may take spares meanwhile. @return IoError.
[[nodiscard]] Result<Retired> retire_file(const std::string& directory, const JournalFileName& name,
                                          bool followed, const SparePolicy& policy) noexcept;

/// A spare under its new name, block 0 durably zero, open for writing.
struct TakenSpare {
    int fd = -1;
    std::uint64_t bytes = 0;
    bool reused = false;
};
/// Gives a spare of at least `policy.bytes` bytes the name `name`. A spare that a reader still has
/// open is passed over, where the file system can tell (leases).
/// Threads: the owner of the journal. @return NotFound: no spare; NoSpace, IoError.
/// Crash: at any instruction the file is a spare, or an unused file of that name.
[[nodiscard]] Result<TakenSpare> take_spare(const std::string& directory,
                                            const JournalFileName& name, std::uint64_t bytes,
                                            FileMode mode) noexcept;

/// Removes spares of another size than the policy's and beyond its count, and files half made.
/// Threads: the owner of the journal, before its preparer runs.
void trim_spares(const std::string& directory, const SparePolicy& policy) noexcept;

}  // namespace millrace
