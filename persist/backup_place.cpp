#include "persist/backup_place.h"

#include "persist/file_preparer.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBegin = "millrace backups ";
constexpr std::size_t kNameBytes = kBegin.size() + 32 + 1;  // and the end of the line
constexpr std::size_t kTextMax = kNameBytes + 4096 + 1;

std::string place_in(const std::string& backups) {
    return backups + "/place";
}

Status fail(std::string& message, const std::string& file, int sys_errno) {
    message = file + ": " + std::strerror(sys_errno);
    return {Errc::IoError, "cannot be read or written", sys_errno};
}

/// All of a small file; NotFound if there is none.
Result<std::string> read_text(const std::string& path, std::string& message) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const bool none = errno == ENOENT || errno == ENOTDIR;
        return none ? Error{Errc::NotFound, 0, "is not there"} : fail(message, path, errno).error();
    }
    std::array<char, kTextMax> text{};
    const ssize_t got = ::read(fd, text.data(), text.size());
    const int why = errno;
    ::close(fd);
    return got < 0 ? Result<std::string>{fail(message, path, why).error()}
                   : Result<std::string>{std::string{text.data(), static_cast<std::size_t>(got)}};
}

/// A new file, flushed.
Status write_text(const std::string& path, const std::string& text, std::string& message) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(message, path, errno);
    }
    const bool written =
        ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(fd) == 0;
    const int why = errno;
    ::close(fd);
    return written ? ok_status() : fail(message, path, why);
}

bool is_name(std::string_view line) {
    return line.size() == kNameBytes && line.starts_with(kBegin) && line.back() == '\n' &&
           line.substr(kBegin.size(), 32).find_first_not_of("0123456789abcdef") ==
               std::string_view::npos;
}

std::string random_name() {
    std::array<std::uint64_t, 2> drawn{};
    // 16 bytes come whole, and do not fail on a kernel that has booted.
    (void)::getrandom(drawn.data(), sizeof drawn, 0);
    std::array<char, 33> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx%016llx",
                  static_cast<unsigned long long>(drawn[0]),
                  static_cast<unsigned long long>(drawn[1]));
    return std::string{kBegin} + hex.data() + "\n";
}

/// The name that the folder has been given, by whomever. A link is made once: of two who name it at
/// once both read what the first one wrote.
Result<std::string> name_place(const std::string& backups, std::string& message) {
    const std::string path = place_in(backups);
    if (auto named = read_text(path, message); named || named.code() != Errc::NotFound) {
        return named;
    }
    const std::string name = random_name();
    const std::string making = path + "-" + name.substr(kBegin.size(), 32);
    Status done = write_text(making, name, message);
    if (done && ::link(making.c_str(), path.c_str()) != 0 && errno != EEXIST) {
        done = fail(message, path, errno);
    }
    (void)::unlink(making.c_str());
    if (!done) {
        return done.error();
    }
    if (auto synced = sync_directory(backups); !synced) {
        return fail(message, backups, synced.error().sys_errno).error();
    }
    return read_text(path, message);
}

/// The note's text; "" if there is none for this folder.
Result<std::string> read_note(const std::string& backups, const std::string& note,
                              std::string& message) {
    auto text = read_text(note, message);
    if (text.code() == Errc::NotFound) {
        return std::string{};
    }
    if (!text) {
        return text;
    }
    if (!is_name(std::string_view{text.value()}.substr(0, kNameBytes))) {
        message = note + " does not say where backups go; remove it, and the next backup writes it";
        return {Errc::IoError, "is no note of a folder"};
    }
    return text.value().substr(kNameBytes) == backups + "\n" ? text.value().substr(0, kNameBytes)
                                                             : std::string{};
}

}  // namespace

std::string backup_note(const std::string& store, const std::string& backups) {
    return backups == store + ".backups" ? std::string{} : store + ".backup-place";
}

Status check_backup_place(const std::string& backups, const std::string& note,
                          std::string& message) {
    if (note.empty()) {
        return ok_status();
    }
    const auto noted = read_note(backups, note, message);
    if (!noted) {
        return noted.error();
    }
    if (noted.value().empty()) {
        return ok_status();
    }
    const auto found = read_text(place_in(backups), message);
    if (!found && found.code() != Errc::NotFound) {
        return found.error();
    }
    if (found && found.value() == noted.value()) {
        return ok_status();
    }
    message = backups + " is not the folder that backups went to: " +
              (found ? "its file `place` is another one's" : "there is no file `place` in it") +
              ". Is its disk mounted? To begin anew where it is now, remove " + note;
    return {Errc::IoError, "is not the folder that backups went to"};
}

Status claim_backup_place(const std::string& backups, const std::string& note,
                          std::string& message) {
    if (auto done = check_backup_place(backups, note, message); !done || note.empty()) {
        return done;
    }
    if (const auto noted = read_note(backups, note, message); noted && !noted.value().empty()) {
        return ok_status();
    }
    std::error_code error;
    fs::create_directories(backups, error);
    if (error) {
        return fail(message, backups, error.value());
    }
    fs::permissions(backups, fs::perms::owner_all, error);
    const auto name = name_place(backups, message);
    if (!name) {
        return name.error();
    }
    if (!is_name(name.value())) {
        message = place_in(backups) + " is no name of ours; remove it";
        return {Errc::IoError, "is no name of a folder"};
    }
    const std::string making = note + "-" + random_name().substr(kBegin.size(), 32);
    Status done = write_text(making, name.value() + backups + "\n", message);
    if (done && ::rename(making.c_str(), note.c_str()) != 0) {
        done = fail(message, note, errno);
    }
    if (!done) {
        (void)::unlink(making.c_str());
        return done;
    }
    const std::string beside = fs::path{note}.parent_path().string();
    const Status synced = sync_directory(beside.empty() ? "." : beside);
    return synced ? synced : fail(message, beside, synced.error().sys_errno);
}

}  // namespace millrace
