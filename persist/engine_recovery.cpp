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

std::string setting(const char* name, std::uint32_t made, std::uint32_t now) {
    if (made == now) {
        return {};
    }
    return std::string{" \""} + name + "\" " + std::to_string(made) + ", not " +
           std::to_string(now) + ";";
}

}  // namespace

std::string other_capacity(const Capacity& made, const Capacity& now) {
    const std::string differs = setting("accounts_max", made.accounts, now.accounts) +
                                setting("capacity.members", made.members, now.members) +
                                setting("capacity.orders", made.orders, now.orders) +
                                setting("capacity.ledger", made.signals, now.signals);
    return differs.empty() ? differs
                           : "set back what this journal was made with:" + differs +
                                 " tables of another size would refuse other signals, and the log "
                                 "give another state. To have other sizes, " +
                                 kBeginAnew;
}

Status load_state(const std::string& journal_dir, Sequence at_most, Engine& engine,
                  std::string& message, std::uint32_t upgrade_from) {
    if (at_most.value == 0) {
        return ok_status();
    }
    std::vector<std::string> bad;
    auto snapshot = load_snapshot(journal_dir, at_most, bad);
    for (const std::string& why : bad) {
        message += why + "; ";
    }
    if (!snapshot) {
        if (snapshot.code() == Errc::NotFound) {
            return ok_status();
        }
        message += journal_dir + ": " + snapshot.error().what;
        return snapshot.error();
    }
    Snapshot& s = snapshot.value();
    const std::string name = journal_dir + "/" + snapshot_name(s.at.seq);
    const bool upgrades = s.logic_version != logic_version() && s.logic_version == upgrade_from;
    if (s.logic_version != logic_version() && !upgrades) {
        message = other_logic(name, s.logic_version);
        return {Errc::BadVersion, "snapshot of another logic version"};
    }
    if (upgrades) {
        if (auto migrated = migrate_image(s.image, message); !migrated) {
            return migrated;
        }
    }
    const Capacity made = image_capacity(s.image.data(), s.image.size());
    const std::string differs = other_capacity(made, engine.capacity());
    const auto loaded = engine.load(s.image.data(), s.image.size());
    if (!loaded) {
        message = differs.empty() ? name + ": " + loaded.error().what : differs;
    }
    return loaded;
}

Status replay_files(const std::string& journal_dir, Sequence end, Engine& engine,
                    std::string& message, const CoreCells* core) {
    if (engine.seq() >= end) {
        return ok_status();
    }
    DirectorySource source{journal_dir, DirectorySource::Places::Both, core};
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
