#include "tools/millrace/second_check.h"

#include <sys/stat.h>

#include "persist/log_source.h"
#include "persist/second_directory.h"
#include "tools/millrace/log.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

constexpr const char* kKey = "journal.second_directory";

bool has_reservation(const std::string& directory) {
    std::string ignored;
    return Reservation::read(directory, ignored).code() != Errc::NotFound;
}

/// Journal files there, whosever they are; 0 if it cannot be listed.
std::size_t journal_files(const std::string& directory) {
    const auto names = DirectorySource{directory, DirectorySource::Places::FirstAlone}.list();
    return names ? names.value().size() : 0;
}

/// The configuration names none.
Status without(const JournalConfig& journal, const std::string& named, bool goes_on,
               std::string& message) {
    if (named.empty()) {
        return ok_status();
    }
    if (goes_on) {
        message = "the log in " + journal.dir + " may go on in " + named + ": put \"" + kKey +
                  "\" back, and take it out after a clean stop";
        return {Errc::Busy, "second directory"};
    }
    const Status parted = part_directories(journal.dir, message);
    if (parted) {
        log_info(named + " is no longer a second directory of " + journal.dir);
    }
    return parted;
}

Status not_one_and_the_same(const JournalConfig& journal, const std::string& path,
                            std::string& message) {
    struct stat first{};
    struct stat second{};
    if (::stat(journal.dir.c_str(), &first) != 0 || ::stat(path.c_str(), &second) != 0 ||
        first.st_dev != second.st_dev) {
        return ok_status();
    }
    if (first.st_ino == second.st_ino) {
        message = std::string{"\""} + kKey + "\" and \"journal.dir\" are one directory, " +
                  journal.dir + "; name one on another disk";
        return {Errc::BadInput, "second directory"};
    }
    log_warn(path + " is on the same file system as " + journal.dir +
             ": it helps against nothing that befalls the disk; name one on another disk as \"" +
             kKey + "\"");
    return ok_status();
}

Status with(const JournalConfig& journal, const std::string& second, const std::string& named,
            bool goes_on, std::string& message) {
    JournalConfig there = journal;
    there.dir = second;
    // One that the log lies in is never made anew: it is not mounted, or lost.
    Status done = named.empty() ? prepare_journal_dir(there, goes_on, message, kKey) : ok_status();
    done = done ? not_one_and_the_same(journal, second, message) : done;
    if (!done) {
        return done;
    }
    if (has_reservation(journal.dir)) {
        return pair_directories(journal.dir, second, message);
    }
    if (has_reservation(there.dir) || journal_files(there.dir) != 0) {
        message = journal.dir + " has no journal, but " + there.dir +
                  " is the second directory of one: bring the first one back (is it mounted?). If "
                  "it is lost, move " +
                  there.dir +
                  " aside and `millrace recover --from sqlite`; to begin anew, name an empty "
                  "folder";
        return {Errc::NotFound, "second directory without the first one"};
    }
    return ok_status();
}

}  // namespace

Status prepare_second_directory(const JournalConfig& journal, const std::string& second,
                                bool goes_on, std::string& message) {
    const auto named = second_directory_of(journal.dir);
    if (!named) {
        message = journal.dir + ": " + named.error().what + "; restore it from a backup";
        return named.error();
    }
    if (second.empty()) {
        return without(journal, named.value(), goes_on, message);
    }
    const Status done = with(journal, second, named.value(), goes_on, message);
    if (done || !goes_on) {
        return done;
    }
    log_warn("the journal has no second directory to go on in: " + message);
    message.clear();
    return ok_status();
}

std::string second_holds_lost_log(const std::string& second) {
    return second.empty() || journal_files(second) == 0
               ? ""
               : second +
                     " holds journal files of the lost log, which do not go on from the store: "
                     "move them away, all of them";
}

}  // namespace millrace
