// The second journal directory: where a new epoch opens when the disk of the first one has failed.
// Both together hold one log: files are in order of epoch and index, wherever they lie.
//
//     FIRST/second_directory              names SECOND; there before any of the log is in SECOND
//     FIRST/reservation  SECOND/reservation     of the same instance: halves of one log; and the
//                                         newest epoch that both were told of, SECOND first
//     FIRST/journal-..1-..0.mrj  SECOND/journal-..2-..0.mrj  FIRST/journal-..3-..0.mrj
//
// Everything else stays in FIRST: locks, ids, sizes, snapshots, the effects log. A reader that does
// not find SECOND, or finds another log's there, is told so; it never takes FIRST for all of it.
// Each start in a new segment tells both of its epoch. So a SECOND that knows of fewer than FIRST
// is a copy from before, without what was written there since: refused too. And a SECOND that knows
// of epochs of which neither has a file tells that FIRST is one.
#pragma once

#include "core/result.h"
#include "persist/reservation.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace millrace {

/// Name of the file in the first directory: a line that says what it is, and the path.
inline constexpr const char* kSecondDirectoryFile = "second_directory";

/// The second directory that `first` names; empty if it names none.
/// @return IoError; BadLayout: the file is there and says something else.
[[nodiscard]] Result<std::string> second_directory_of(const std::string& first) noexcept;

/// Whether `second` is the other half of the log in `first`: its reservation is of one instance,
/// and has been told of every epoch that the first one's has, and of none that left no file.
/// @return NotFound: there is none (not mounted, empty, gone); BadLayout: another log's, or one of
/// them is an older copy; IoError.
/// `message` names both and the mend.
[[nodiscard]] Status check_second_directory(const std::string& first, const std::string& second,
                                            std::string& message);

/// Makes `second`, which exists, the second directory of `first`, which has a reservation. One that
/// is that already stays as it is; one that was moved with all its files gets its new path.
/// Crash: at any instruction it is the second directory, or may be made so again.
/// @return BadLayout: it holds journal files or is another log's, or the log names another one that
/// is there; NotFound: that one is not; Unsupported: a log without an instance; IoError, NoSpace.
[[nodiscard]] Status pair_directories(const std::string& first, const std::string& second,
                                      std::string& message);

/// Takes the second directory out of the log, if no journal file lies in it.
/// @return Busy: files lie there; NotFound, BadLayout as check_second_directory(); IoError.
[[nodiscard]] Status part_directories(const std::string& first, std::string& message);

/// As a reservation keeps it: one beyond its field counts as the highest, which refuses nothing
/// that is whole.
[[nodiscard]] constexpr std::uint32_t noted(std::uint64_t epoch) noexcept {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(epoch, UINT32_MAX));
}

/// Tells `second` that `epoch` begins. To be done before the first one is told of it: what that one
/// knows, this one must know. Blocks for one write.
/// @return NotFound, BadChecksum: it has no reservation; IoError, NoSpace.
[[nodiscard]] Status note_epoch(const std::string& second, std::uint64_t epoch,
                                std::string& message);

/// What is reserved in the whole log: the higher of both directories' numbers. Changes nothing.
/// @return as Reservation::read() and check_second_directory().
[[nodiscard]] Result<Reserved> read_reserved(const std::string& first, std::string& message);

}  // namespace millrace
