#include "persist/engine_recovery.h"

#include "persist/image_migration.h"
#include "persist/journal_reader.h"
#include "persist/log_version.h"
#include "persist/skip_list.h"
#include "persist/snapshot_file.h"

#include <string>
#include <vector>

namespace millrace {
namespace {

/// Replay has no one to tell: everything up to the end of the log was put out when it happened.
class NullPort final : public OutputPort {
public:
    void order(const OrderCommand&) noexcept override {}
    void result(const SignalResult&) noexcept override {}
};

}  // namespace

Status load_state(const std::string& journal_dir, Sequence at_most, Engine& engine,
                  std::string& message, std::uint32_t upgrade_from) {
    for (Sequence limit = at_most; limit.value > 0;) {
        std::vector<std::string> bad;
        auto snapshot = load_snapshot(journal_dir, limit, bad);
        for (const std::string& why : bad) {
            message += why + "; ";
        }
        if (!snapshot) {
            return snapshot.code() == Errc::NotFound ? ok_status() : Status{snapshot.error()};
        }
        Snapshot& s = snapshot.value();
        const bool upgrades = s.logic_version != logic_version() && s.logic_version == upgrade_from;
        if (s.logic_version != logic_version() && !upgrades) {
            message = other_logic(journal_dir + "/" + snapshot_name(s.at.seq), s.logic_version);
            return {Errc::BadVersion, "snapshot of another logic version"};
        }
        if (upgrades) {
            if (auto migrated = migrate_image(s.image, message); !migrated) {
                return migrated;
            }
        }
        const auto loaded = engine.load(s.image.data(), s.image.size());
        if (loaded || loaded.code() != Errc::BadVersion || upgrades) {
            return loaded;
        }
        // Made with other capacities: the log has everything too, or an older snapshot fits.
        message +=
            "snapshot at " + std::to_string(s.at.seq.value) + ": " + loaded.error().what + "; ";
        limit = Sequence{s.at.seq.value - 1};
    }
    return ok_status();
}

Status replay_files(const std::string& journal_dir, Sequence end, Engine& engine,
                    std::string& message) {
    if (engine.seq() >= end) {
        return ok_status();
    }
    DirectorySource source{journal_dir};
    auto reader = JournalReader::open(source, engine.seq(), {}, message);
    if (!reader) {
        return reader.error();
    }
    const auto skips = SkipList::load(journal_dir, message);
    if (!skips) {
        return skips.error();
    }
    NullPort port;
    while (engine.seq() < end) {
        switch (reader.value().next(end)) {
            case ReadStatus::Record:
                if (!is_of_this_logic(reader.value().record())) {
                    const JournalRecord& r = reader.value().record();
                    message = other_logic(journal_dir + ", record " + std::to_string(r.seq.value),
                                          r.as<StartInput>().logic_version);
                    return {Errc::BadVersion, "record of another logic version"};
                }
                skips.value().apply(engine, reader.value().record(), port);
                break;
            case ReadStatus::End: return ok_status();  // a Jump goes over the numbers that remain
            case ReadStatus::Corrupt:
                message = reader.value().fault().what;
                return {reader.value().fault().code, "journal is damaged"};
        }
    }
    return ok_status();
}

}  // namespace millrace
