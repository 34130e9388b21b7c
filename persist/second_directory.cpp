#include "persist/second_directory.h"

#include "persist/file_preparer.h"
#include "persist/journal_format.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirstLine = "millrace: this log lies in a second directory too\n";
constexpr std::size_t kFileBytesMax = 4096;

Error failed(const char* what) noexcept {
    const int e = errno;
    return {e == ENOSPC || e == EDQUOT ? Errc::NoSpace : Errc::IoError, e, what};
}

Error told(const Error& error, const std::string& path, std::string& message) {
    message = path + ": " + error.what;
    if (error.sys_errno != 0) {
        message += std::string{" ("} + std::strerror(error.sys_errno) + ")";
    }
    return error;
}

/// The newest epoch that a journal file in `directory` is named after; 0: none lies there.
Result<std::uint64_t> newest_epoch_in(const std::string& directory) {
    std::error_code error;
    const fs::directory_iterator files{directory, error};
    if (error) {
        return {Errc::IoError, "cannot be listed", error.value()};
    }
    std::uint64_t newest = 0;
    for (const fs::directory_entry& file : files) {
        const auto name = JournalFileName::parse(file.path().filename().string());
        newest = name ? std::max(newest, name.value().epoch) : newest;
    }
    return newest;
}

Result<bool> holds_files(const std::string& directory) {
    const auto newest = newest_epoch_in(directory);
    return newest ? Result<bool>{newest.value() != 0} : Result<bool>{newest.error()};
}

constexpr const char* kBringBack =
    ". Bring back the directory that this is a copy of, with all its files; if that is lost, move "
    "the files of both aside and `millrace recover --from sqlite`";

/// The second one is told of an epoch before its first file is there, and one that went on alone
/// left a number out. Beyond that, files that the log began are in neither directory.
Status check_age_of_first(const std::string& first, const std::string& second,
                          const Reserved& there, std::string& message) {
    constexpr std::uint64_t kWithoutFileMax = 2;
    const auto here_files = newest_epoch_in(first);
    const auto there_files = newest_epoch_in(second);
    if (!here_files || !there_files) {
        return here_files ? told(there_files.error(), second, message)
                          : told(here_files.error(), first, message);
    }
    const std::uint64_t newest = std::max(here_files.value(), there_files.value());
    if (there.epoch <= newest + kWithoutFileMax) {
        return ok_status();
    }
    message = first + " is an older copy of the first directory of " + second +
              ": the newest journal file of both is of epoch " + std::to_string(newest) + ", and " +
              second + " knows that the log has come to epoch " + std::to_string(there.epoch) +
              kBringBack;
    return {Errc::BadLayout, "journal: the first directory is an older copy"};
}

/// A copy from before an epoch that both halves were told of: what it held since is not in it.
Status check_age(const std::string& first, const Reserved& here, const std::string& second,
                 const Reserved& there, std::string& message) {
    if (there.epoch >= here.epoch) {
        return there.epoch == here.epoch ? ok_status()
                                         : check_age_of_first(first, second, there, message);
    }
    const auto files = newest_epoch_in(second);
    if (!files) {
        return told(files.error(), second, message);
    }
    const std::uint64_t knows = std::max<std::uint64_t>(there.epoch, files.value());
    if (knows >= here.epoch) {
        return ok_status();
    }
    message = second + " is an older copy of the second directory of " + first +
              ": it knows the log up to epoch " + std::to_string(knows) + ", and " + first +
              " knows that both have come to epoch " + std::to_string(here.epoch) + kBringBack;
    return {Errc::BadLayout, "journal: the second directory is an older copy"};
}

/// For a log that has left `second`, which is its own and empty, or never was there at all.
Status take_back(const std::string& second, const Reserved& reserved, std::string& message) {
    auto reservation = Reservation::open(second, false, message);
    if (!reservation) {
        return reservation.error();
    }
    const Status done = reservation.value().reserve(reserved);
    return done ? done : Status{told(done.error(), second, message)};
}

Status write_marker(const std::string& first, const std::string& second) noexcept {
    const std::string path = first + "/" + kSecondDirectoryFile;
    const std::string fresh = path + ".new";
    const std::string text = std::string{kFirstLine} + second + "\n";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed("second directory: its name cannot be written");
    }
    const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
    const Error why = failed("second directory: its name cannot be written");
    ::close(fd);
    if (!whole) {
        return why;
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) {
        return failed("second directory: its name cannot be put in place");
    }
    return sync_directory(first);
}

}  // namespace

Result<std::string> second_directory_of(const std::string& first) noexcept {
    const std::string path = first + "/" + kSecondDirectoryFile;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return std::string{};
    }
    if (fd < 0) {
        return failed("journal: the file second_directory cannot be opened");
    }
    char bytes[kFileBytesMax];
    const ssize_t n = ::read(fd, bytes, sizeof bytes);
    const Error why = failed("journal: the file second_directory cannot be read");
    ::close(fd);
    if (n < 0) {
        return why;
    }
    std::string_view text{bytes, static_cast<std::size_t>(n)};
    const bool ours = text.starts_with(kFirstLine) && text.ends_with('\n');
    text.remove_prefix(ours ? kFirstLine.size() : text.size());
    if (text.size() < 2 || text.find('\n') != text.size() - 1) {
        return {Errc::BadLayout, "journal: the file second_directory does not name a directory"};
    }
    text.remove_suffix(1);
    return std::string{text};
}

Status check_second_directory(const std::string& first, const std::string& second,
                              std::string& message) {
    const auto here = Reservation::read(first, message);
    if (!here) {
        return here.error();
    }
    const auto there = Reservation::read(second, message);
    if (there.code() == Errc::NotFound) {
        message = "the log in " + first + " also lies in " + second +
                  ", which is empty or not there: mount it or bring it back, with its files";
        return {Errc::NotFound, "journal: the second directory is empty or not there", ENOENT};
    }
    if (!there) {
        return there.error();
    }
    if (there.value().instance != here.value().instance) {
        message = second + " belongs to another log than " + first +
                  ": bring back the directory that belongs to it, or choose an empty one";
        return {Errc::BadLayout, "journal: the second directory is another log's"};
    }
    return check_age(first, here.value(), second, there.value(), message);
}

Status pair_directories(const std::string& first, const std::string& second, std::string& message) {
    const auto reserved = Reservation::read(first, message);
    if (!reserved) {
        return reserved.error();
    }
    if (reserved.value().instance == 0) {
        message = first +
                  " was begun by a build whose logs cannot be told from each other: it can "
                  "have no second directory";
        return {Errc::Unsupported, "no second directory"};
    }
    const auto named = second_directory_of(first);
    if (!named) {
        return told(named.error(), first, message);
    }
    std::string ignored;  // there may be none yet
    const auto there = Reservation::read(second, ignored);
    const bool parted =
        there && named.value().empty() && there.value().instance == reserved.value().instance;
    const auto left = parted ? holds_files(second) : Result<bool>{true};
    if (parted && left && !left.value()) {
        if (auto done = take_back(second, reserved.value(), message); !done) {
            return done;
        }
    } else if (there || there.code() != Errc::NotFound) {
        if (auto ours = check_second_directory(first, second, message); !ours) {
            return ours;
        }
    } else if (!named.value().empty()) {
        if (auto ours = check_second_directory(first, named.value(), message); !ours) {
            return ours;
        }
        message = "the log in " + first + " also lies in " + named.value() + ", not in " + second +
                  ": name that one, or move all its files to the other; without journal files in "
                  "it, it may be left out for one start";
        return {Errc::BadLayout, "another second directory"};
    } else {
        const auto files = holds_files(second);
        if (!files || files.value()) {
            message = second +
                      (files ? " holds journal files without a reservation" : " cannot be listed") +
                      ": choose an empty directory";
            return files ? Status{Errc::BadLayout, "second directory is not empty"}
                         : Status{files.error()};
        }
        if (auto made = Reservation::succeed(second, reserved.value(), message); !made) {
            return made;
        }
    }
    if (named.value() == second) {
        return ok_status();
    }
    const Status written = write_marker(first, second);
    return written ? written : Status{told(written.error(), first, message)};
}

Status part_directories(const std::string& first, std::string& message) {
    const auto named = second_directory_of(first);
    if (!named) {
        return told(named.error(), first, message);
    }
    if (named.value().empty()) {
        return ok_status();
    }
    if (auto ours = check_second_directory(first, named.value(), message); !ours) {
        return ours;
    }
    const auto files = holds_files(named.value());
    if (!files) {
        return told(files.error(), named.value(), message);
    }
    if (files.value()) {
        message = "the log in " + first + " also lies in " + named.value() +
                  ": set \"journal.second_directory\" to it until no journal file is left there "
                  "(retention), or move those to " +
                  first;
        return {Errc::Busy, "second directory holds journal files"};
    }
    // Both reserve: what the second one has must not be lost with it.
    const auto both = read_reserved(first, message);
    if (!both) {
        return both.error();
    }
    auto reservation = Reservation::open(first, false, message);
    if (!reservation) {
        return reservation.error();
    }
    if (auto done = reservation.value().reserve(both.value()); !done) {
        return told(done.error(), first, message);
    }
    if (::unlink((first + "/" + kSecondDirectoryFile).c_str()) != 0) {
        return told(failed("second directory: its name cannot be removed"), first, message);
    }
    return sync_directory(first);
}

Status note_epoch(const std::string& second, std::uint64_t epoch, std::string& message) {
    auto reservation = Reservation::open(second, false, message);
    if (!reservation) {
        return reservation.error();
    }
    const Status done = reservation.value().reserve({.epoch = noted(epoch)});
    return done ? done : Status{told(done.error(), second, message)};
}

Result<Reserved> read_reserved(const std::string& first, std::string& message) {
    auto here = Reservation::read(first, message);
    const auto second = second_directory_of(first);
    if (!here || (second && second.value().empty())) {
        return here;
    }
    if (!second) {
        return told(second.error(), first, message);
    }
    if (auto ours = check_second_directory(first, second.value(), message); !ours) {
        return ours.error();
    }
    const auto there = Reservation::read(second.value(), message);
    if (!there) {
        return there.error();
    }
    Reserved both = here.value();
    both.seq = std::max(both.seq, there.value().seq);
    both.intent = std::max(both.intent, there.value().intent);
    return both;
}

}  // namespace millrace
