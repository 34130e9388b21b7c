#include "persist/log_version.h"

#include "persist/journal_reader.h"
#include "persist/snapshot_file.h"

#include <vector>

namespace millrace {

bool is_of_this_logic(const JournalRecord& record) noexcept {
    return record.type != InputType::Start ||
           record.as<StartInput>().logic_version == logic_version();
}

std::string other_logic(const std::string& what, std::uint32_t version) {
    const std::string old_build = "the build of version " + std::to_string(version);
    const std::string mend = version > logic_version() ? "Use " + old_build + " or a later one"
                             : version < kFirstUpgradableLogic
                                 ? "Builds before version " +
                                       std::to_string(kFirstUpgradableLogic) +
                                       " left nothing to go on from at their stop: go on with " +
                                       old_build + ", or " + kBeginAnew
                                 : "Stop the pipeline with " + old_build +
                                       " (`millrace down`), then run `millrace upgrade -c FILE`";
    return what + " was made by logic version " + std::to_string(version) + ", this build has " +
           std::to_string(logic_version()) +
           ": applying it here would make another state of the same records. " + mend;
}

Result<LogVersion> read_log_version(const std::string& journal_dir, std::string& message) {
    LogVersion found;
    std::vector<std::string> bad;
    const auto snapshot = load_snapshot(journal_dir, Sequence{UINT64_MAX}, bad);
    for (const std::string& why : bad) {
        message += why + "; ";
    }
    if (snapshot) {
        found.version = snapshot.value().logic_version;
        found.snapshot = snapshot.value().at.seq;
        found.snapshot_file = snapshot_name(found.snapshot);
        const auto& image = snapshot.value().image;
        if (found.version == logic_version()) {
            found.made_with = image_capacity(image.data(), image.size());
        }
    } else if (snapshot.code() != Errc::NotFound) {
        return snapshot.error();
    }
    DirectorySource source{journal_dir};
    auto opened = JournalReader::open(source, found.snapshot, {}, message);
    if (!opened) {
        // No files at all: a log that has not begun.
        const bool empty = opened.code() == Errc::NotFound && found.snapshot.value == 0;
        return empty ? Result<LogVersion>{found} : Result<LogVersion>{opened.error()};
    }
    JournalReader& reader = opened.value();
    found.last = found.snapshot;
    ReadStatus status = reader.next();
    for (; status == ReadStatus::Record; status = reader.next()) {
        const JournalRecord& r = reader.record();
        found.last = r.seq;
        if (r.type == InputType::Start) {
            const std::uint32_t version = r.as<StartInput>().logic_version;
            found.version = found.version == 0 ? version : found.version;
            found.other = version != found.version ? version : found.other;
        } else if (r.type != InputType::Jump) {
            ++found.inputs;
        }
    }
    if (status == ReadStatus::Corrupt) {
        message = reader.fault().what;
        return Error{reader.fault().code, 0, "journal is damaged"};
    }
    return found;
}

std::string LogVersion::refused(const std::string& journal_dir) const {
    if (is_ours()) {
        return {};
    }
    const bool of_snapshot = version != logic_version() && snapshot.value != 0;
    return other_logic(
        of_snapshot ? journal_dir + "/" + snapshot_file : "the log in " + journal_dir,
        version != logic_version() ? version : other);
}

std::string refused_logic(const std::string& journal_dir) {
    std::string message;
    const auto log = read_log_version(journal_dir, message);
    return log ? log.value().refused(journal_dir) : std::string{};
}

}  // namespace millrace
