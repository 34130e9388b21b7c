#include "persist/replica_start.h"

#include "persist/engine_recovery.h"
#include "persist/snapshot_file.h"

#include <utility>
#include <vector>

namespace millrace {
namespace {

/// Whether the log has every effect of the records up to snapshot `seq`.
bool has_effects_of(const EffectsWriter& effects, const std::string& directory, Sequence seq) {
    const Sequence last = effects.last_mark().seq;
    const auto header = snapshot_header(directory, seq);
    if (header && header.value().effects.seq.value != 0) {
        return header.value().effects.seq <= last;
    }
    const bool whole = last.value != 0 && effects.cut().empty();
    return whole || seq <= last;  // one that cannot be read is passed over when it is loaded
}

Result<ReplicaStart> begin_at(const CoreOptions& options, Sequence at_most, LogSource& journal,
                              std::string& message) {
    auto engine = std::make_unique<Engine>(options.capacity);
    if (auto loaded =
            load_state(options.journal_dir, at_most, *engine, message, options.upgrade_from);
        !loaded) {
        return loaded.error();
    }
    std::string why;
    auto reader = JournalReader::open(journal, engine->seq(), {}, why);
    if (!reader) {
        message = std::move(why);
        return reader.error();
    }
    return ReplicaStart{std::move(engine), std::move(reader).value(), std::nullopt};
}

/// Where the log is to begin again behind the snapshot that `reader` stands at.
LogCursor mark_of(const std::string& directory, const JournalReader& reader) {
    const auto header = snapshot_header(directory, reader.cursor().seq);
    if (!header || header.value().effects.seq.value == 0) {
        return reader.cursor();
    }
    // A store that had all there was then stands at this mark, and lacks nothing.
    const EffectsMark& effects = header.value().effects;
    return {header.value().epoch, effects.seq, effects.chain};
}

/// The oldest snapshot loses the fewest effects.
Result<ReplicaStart> begin_anew(const CoreOptions& options, Sequence limit,
                                const std::vector<Sequence>& snapshots, LogSource& journal,
                                std::string& message) {
    for (const Sequence seq : snapshots) {
        std::string said;
        if (seq > limit || !JournalReader::open(journal, seq, {}, said)) {
            continue;
        }
        said.clear();
        auto start = begin_at(options, seq, journal, said);
        if (!start && start.code() != Errc::NotFound) {
            message = said;
            return start;
        }
        if (start && start.value().engine->seq() == seq) {  // else it was damaged
            message = said;
            start.value().anew = mark_of(options.journal_dir, start.value().reader);
            return start;
        }
    }
    return {Errc::NotFound, "no snapshot is left that the journal follows"};
}

}  // namespace

Result<ReplicaStart> find_replica_start(const CoreOptions& options, Sequence limit,
                                        const EffectsWriter& effects, LogSource& journal,
                                        std::string& message) {
    const auto listed = list_snapshots(options.journal_dir);
    if (!listed) {
        message = options.journal_dir + ": " + listed.error().what;
        return listed.error();
    }
    Sequence at_most;
    for (const Sequence seq : listed.value()) {
        const bool will_do = seq <= limit && has_effects_of(effects, options.journal_dir, seq);
        at_most = will_do ? seq : at_most;
    }
    auto start = begin_at(options, at_most, journal, message);
    if (start || start.code() != Errc::NotFound) {
        return start;
    }
    std::string said;
    auto anew = begin_anew(options, limit, listed.value(), journal, said);
    if (anew || anew.code() != Errc::NotFound) {
        message = said;
        return anew;
    }
    return start;
}

}  // namespace millrace
