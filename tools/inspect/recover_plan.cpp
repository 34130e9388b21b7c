#include "tools/inspect/recover_plan.h"

#include "shm/role.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/engine.h"
#include "gateway/session_queue.h"
#include "persist/engine_recovery.h"
#include "persist/journal_reader.h"
#include "persist/log_floor.h"
#include "persist/log_version.h"
#include "persist/second_directory.h"
#include "persist/snapshot_file.h"
#include "tools/inspect/decode.h"
#include "tools/inspect/host.h"
#include "tools/inspect/rings.h"

namespace millrace::inspect {
namespace {

/// The end of the valid records, or why there is none.
struct LogEnd {
    std::uint64_t first = 0;  // 0 = no records
    std::uint64_t last = 0;
    std::string torn;
    std::string damage;
    std::vector<LogFile> files;
};

LogEnd find_end(const std::string& directory) {
    LogEnd end;
    DirectorySource source{directory};
    auto files = list_log(source);
    if (!files) {
        end.damage = directory + ": " + files.error().what;
        return end;
    }
    std::uint64_t proven = 0;  // the newest header proves everything before its first record
    for (const LogFile& f : files.value()) {
        if (f.use == LogFileUse::Used) {
            end.files.push_back(f);
            end.first = end.first == 0 ? f.header.first_seq : end.first;
            proven = std::max(proven, f.header.first_seq - 1);
        }
    }
    if (end.first == 0) {
        return end;
    }
    std::string message;
    auto reader = JournalReader::open(source, Sequence{proven}, {}, message);
    if (!reader) {
        end.damage = message;
        return end;
    }
    ReadStatus status = ReadStatus::Record;
    while (status == ReadStatus::Record) {
        status = reader.value().next();
    }
    end.last = reader.value().cursor().seq.value;
    if (status == ReadStatus::Corrupt) {
        end.damage = reader.value().fault().what;
    } else if (reader.value().end().code == Errc::TornTail) {
        end.torn = reader.value().end().what;
    }
    return end;
}

std::string file_of(const LogEnd& end, std::uint64_t seq) {
    std::string name;
    for (const LogFile& f : end.files) {
        if (f.header.first_seq <= seq) {
            name = f.name.text().data();
        }
    }
    return name;
}

/// The newest valid snapshot at or below `limit`, if there is one.
std::uint64_t snapshot_at(const std::string& directory, std::uint64_t limit, RecoverPlan& plan,
                          Snapshot* out) {
    std::vector<std::string> bad;
    auto found = load_snapshot(directory, Sequence{limit}, bad);
    for (const std::string& why : bad) {
        plan.steps.push_back("pass over a damaged snapshot: " + why);
    }
    if (!found) {
        return 0;
    }
    const std::uint64_t seq = found.value().at.seq.value;
    if (out != nullptr) {
        *out = std::move(found).value();
    }
    return seq;
}

std::string from_snapshot(std::uint64_t seq) {
    return seq == 0 ? "no snapshot: begin with an empty state"
                    : fmt::format("load snapshot {}", seq);
}

/// Sequences that the journal ring holds; a jump alone is what a start left that went no further.
struct Held {
    std::uint64_t first = 0;
    std::uint64_t last = 0;  // 0 = none
    bool only_a_jump = false;
};

/// @return BadCursor if the ring contradicts itself.
Result<Held> held_by(const Segment& segment) {
    constexpr int kTries = 8;
    const auto ring = segment.ring<JournalRecord>("journal");
    for (int i = 0; i < kTries; ++i) {
        const auto at = read_cursors(ring);
        if (!at) {
            return at.error();
        }
        const std::uint64_t written = at.value().written;
        // As EngineDriver::resume() takes them: not the slot in which the next record may have been
        // made, unless nobody has released that.
        const bool is_full = written - at.value().read >= ring.capacity();
        const std::uint64_t whole = ring.capacity() - (is_full ? 0 : kBeingWrittenMax);
        JournalRecord record;
        if (written == 0) {
            return Held{};
        }
        if (copy_record(ring, written, record)) {
            const std::uint64_t last = record.seq.value;
            const bool jump = written == 1 && record.type == InputType::Jump;
            const std::uint64_t n = written - std::min(written, whole) + 1;
            return Held{copy_record(ring, n, record) ? record.seq.value : last, last, jump};
        }
    }
    // Lapped in each try: full of records whose numbers follow each other.
    const std::uint64_t last = segment.core().journal_seq.load(std::memory_order_relaxed);
    return Held{last - std::min(last, ring.capacity() - kBeingWrittenMax) + 1, last};
}

void find_in_doubt(const Segment& segment, RecoverPlan& plan) {
    plan.in_doubt_known = true;
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        const SessionEntry& e = segment.session(AccountId{i});
        // Acquire: pairs with the broker stage's release of each.
        const std::uint64_t done = e.done.load(std::memory_order_acquire);
        const std::uint64_t claimed = e.claimed.load(std::memory_order_acquire);
        if (claimed <= done || e.queue_ring >= segment.ring_count()) {
            continue;
        }
        const auto found = decode_range(segment, e.queue_ring, done + 1, claimed - done);
        const auto records = found ? found.value() : std::vector<DecodedRecord>{};
        plan.in_doubt_orders += claimed - done - std::min(claimed - done, records.size());
        for (const DecodedRecord& r : records) {
            // A login was cut short: answered here, or proven not received. Not what a damaged
            // slot says: it is not known, so it is in doubt.
            const std::string state = r.fields.value("slot_state", std::string{});
            if (state == "SETTLED" || state == "ANSWERED" || state == "QUEUED") {
                continue;
            }
            ++plan.in_doubt_orders;
            plan.in_doubt.push_back({i, r.number, r.fields.value("magic", std::uint64_t{0}),
                                     r.fields.value("type", std::string{"?"})});
        }
    }
}

/// Restart in the same segment: snapshot at or below `completed`, files, the ring's tail.
void plan_same_segment(const Segment& segment, const Held& held, const std::string& directory,
                       RecoverPlan& plan) {
    plan.refusal = refused_logic(directory);
    if (!plan.refusal.empty()) {
        return;
    }
    const CoreCells& core = segment.core();
    // Acquire: pairs with the engine's release of `completed`.
    const std::uint64_t completed = core.completed.load(std::memory_order_acquire);
    const std::uint64_t durable = core.durable.load(std::memory_order_acquire);
    plan.snapshot_seq = snapshot_at(directory, completed, plan, nullptr);
    plan.steps.push_back(from_snapshot(plan.snapshot_seq) +
                         fmt::format(" (at or below completed {})", completed));
    plan.replay_from = plan.snapshot_seq + 1;
    plan.replay_to = held.last;
    if (plan.replay_from > plan.replay_to) {
        plan.replay_from = plan.replay_to = 0;
        plan.steps.emplace_back("nothing to replay");
    } else if (plan.replay_from < held.first) {
        const LogEnd end = find_end(directory);
        plan.replay_file = file_of(end, plan.replay_from);
        if (!end.damage.empty() && end.last + 1 < held.first) {
            plan.refusal = end.damage;
        } else if (end.first == 0 || end.first > plan.replay_from) {
            plan.refusal = fmt::format("records {} to {} are neither in a file nor in the ring",
                                       plan.replay_from, held.first - 1);
        }
        plan.steps.push_back(fmt::format("replay {} to {} from journal files, first {}",
                                         plan.replay_from, held.first - 1, plan.replay_file));
        plan.steps.push_back(
            fmt::format("replay {} to {} from the journal ring", held.first, held.last));
    } else {
        plan.steps.push_back(
            fmt::format("replay {} to {} from the journal ring", plan.replay_from, plan.replay_to));
    }
    if (held.last > completed) {
        plan.steps.push_back(
            fmt::format("publish what {} to {} should have put out, where the "
                        "output rings do not have it yet",
                        completed + 1, held.last));
    }
    plan.steps.push_back(
        fmt::format("journal: seal the open file, begin epoch {} after record {}; "
                    "{} records are written again from the ring",
                    core.epoch.load(std::memory_order_relaxed) + 1, durable,
                    held.last > durable ? held.last - durable : 0));
    find_in_doubt(segment, plan);
    plan.steps.push_back(
        fmt::format("{} commands are between claimed and done: reconcile them "
                    "with their executors",
                    plan.in_doubt_orders));
}

/// An engine of the capacities that an image was made with (they stand at its head).
std::unique_ptr<Engine> engine_for(const Snapshot& snapshot) {
    struct Head {
        std::uint64_t magic;
        Capacity capacity;
    } head{};
    constexpr std::uint32_t kMost = 1U << 24;  // a broken image must not cost all memory
    if (snapshot.image.size() >= sizeof head) {
        std::memcpy(static_cast<void*>(&head), snapshot.image.data(), sizeof head);
    }
    const Capacity& c = head.capacity;
    const bool sane =
        c.accounts != 0 && std::max({c.accounts, c.members, c.orders, c.signals}) <= kMost;
    return std::make_unique<Engine>(sane ? c : Capacity{});
}

void count_in_doubt(const std::string& directory, const Snapshot& snapshot, std::uint64_t last,
                    RecoverPlan& plan) {
    const auto engine = engine_for(snapshot);
    std::string message;
    if (!snapshot.image.empty() &&
        !engine->load(snapshot.image.data(), snapshot.image.size()).ok()) {
        plan.steps.emplace_back(
            "the state could not be replayed here: the snapshot does not fit this build");
        return;
    }
    if (!replay_files(directory, Sequence{last}, *engine, message)) {
        plan.refusal = message;  // the engine stage stops at the very same record
        return;
    }
    plan.in_doubt_known = true;
    plan.in_doubt_orders = engine->globals().live_orders;
}

/// A new segment: snapshot, files, a jump past the reservation; publish nothing.
void plan_new_segment(const std::string& directory, const LogEnd& end, RecoverPlan& plan) {
    Snapshot snapshot;
    plan.snapshot_seq = snapshot_at(directory, end.last, plan, &snapshot);
    plan.steps.push_back(from_snapshot(plan.snapshot_seq));
    if (plan.snapshot_seq < end.last) {
        plan.replay_from = plan.snapshot_seq + 1;
        plan.replay_to = end.last;
        plan.replay_file = file_of(end, plan.replay_from);
        plan.steps.push_back(
            fmt::format("replay {} to {} from journal files, first {}; publish "
                        "nothing",
                        plan.replay_from, plan.replay_to, plan.replay_file));
    } else {
        plan.steps.emplace_back("nothing to replay");
    }
    if (end.first > plan.snapshot_seq + 1) {
        plan.refusal = fmt::format("records {} to {} are gone: no snapshot reaches file {}",
                                   plan.snapshot_seq + 1, end.first - 1, file_of(end, end.first));
    }
    if (!end.torn.empty()) {
        plan.steps.push_back("cut off a torn tail that nobody was told about: " + end.torn);
    }
    std::string message;
    const auto reserved = read_reserved(directory, message);
    if (!reserved) {
        plan.refusal = message;
        return;
    }
    plan.jump_to = std::max(reserved.value().seq, end.last + 1);
    plan.steps.push_back(
        fmt::format("jump to sequence {} and intent {}: what lies below may have "
                    "been used",
                    plan.jump_to, reserved.value().intent));
    if (plan.refusal.empty()) {
        count_in_doubt(directory, snapshot, end.last, plan);
    }
    plan.steps.emplace_back(
        "every order without a final report is IN_DOUBT; every account is "
        "RECONCILING until its broker has been asked");
}

/// What leaves with a segment that is given up: records that no file has.
void note_loss(const FoundSegment& found, std::uint64_t last_in_files, RecoverPlan& plan) {
    if (!found.segment) {
        plan.steps.emplace_back("what only its rings held is lost; how much cannot be read");
        return;
    }
    const CoreCells& core = found.segment->core();
    const auto held = held_by(*found.segment);
    // The cells too: the ring may be what is damaged. Acquire: pairs with the engine's release.
    const std::uint64_t last =
        std::max({held ? held.value().last : 0, core.journal_seq.load(std::memory_order_relaxed),
                  core.completed.load(std::memory_order_acquire)});
    if (last <= last_in_files) {
        plan.steps.emplace_back("no record is lost: the files have all that it held");
        return;
    }
    plan.lost_from = last_in_files + 1;
    plan.lost_to = last;
    plan.steps.push_back(
        fmt::format("LOST: records {} to {}, which only its journal ring held; sources that were "
                    "acknowledged at level process were told of them",
                    plan.lost_from, plan.lost_to));
}

std::string held_text(const LogEnd& end) {
    if (end.last < end.first) {
        return fmt::format("begins at record {}, none is in it yet", end.first);
    }
    const std::size_t files = end.files.size();
    return fmt::format("holds {} to {} in {} file{}", end.first, end.last, files,
                       files == 1 ? "" : "s");
}

/// A segment that holds nothing to go on from, or none: the state comes from files.
void plan_from_files(const FoundSegment& found, const std::string& directory, RecoverPlan& plan) {
    const LogEnd end = find_end(directory);
    if (!plan.set_aside.empty()) {
        plan.steps.push_back("put the segment aside as " + plan.set_aside);
        note_loss(found, end.last, plan);
    }
    plan.steps.emplace_back(found.code == Errc::Ok ? "go on in the segment, as in a new one"
                                                   : "make a new segment");
    if (!end.damage.empty()) {
        plan.refusal = end.damage;
        plan.rungs.push_back({"journal", false, "is damaged inside what was acknowledged"});
        return;
    }
    plan.refusal = end.first == 0 ? "" : refused_logic(directory);
    if (!plan.refusal.empty()) {
        plan.rungs.push_back({"journal", false, "is of another logic version"});
        return;
    }
    plan.refusal = ends_below(directory, Sequence{end.last}, snapshot_floor(directory));
    if (!plan.refusal.empty()) {
        plan.rungs.push_back({"journal", false, "ends before a record that was durable"});
        return;
    }
    if (end.first == 0) {
        plan.rungs.push_back({"journal", false, directory + " holds no records"});
        plan.steps.emplace_back("begin with nothing: epoch 1, sequence 1");
        plan.in_doubt_known = true;
        return;
    }
    plan.log_end = end.last;
    plan.rungs.push_back({"journal", true, directory + " " + held_text(end)});
    plan_new_segment(directory, end, plan);
}

/// A segment in which a start does not go on: refused, or given up for a new one.
void plan_without(const FoundSegment& found, const std::string& directory, RecoverPlan& plan) {
    plan.rungs.push_back({"segment", false, found.why});
    // One that cannot be told from another pipeline's, or whose rings another build can read.
    const bool kept = found.code == Errc::BadAuth || found.code == Errc::IoError ||
                      found.code == Errc::BadVersion ||
                      (found.code == Errc::BadInput && found.segment);
    if (kept) {
        plan.refusal = "the segment " + found.why;
        plan.rungs.push_back({"journal", false, "not asked: the start is refused"});
        return;
    }
    if (found.code != Errc::NotFound) {
        plan.set_aside = found.path + ".unusable";
    }
    plan_from_files(found, directory, plan);
    if (!plan.alive.empty()) {
        plan.refusal =
            "stages of this journal are alive without a usable segment; `millrace down` ends "
            "them, and the steps are what a start does after that";
    }
}

}  // namespace

RecoverPlan plan_recovery(const FoundSegment& found, const std::string& journal_dir) {
    RecoverPlan plan;
    for (const char* role : {"engine", "replica", "journal", "broker", "ingress", "sqlite", "redis",
                             "rtss", "clickhouse"}) {
        if (const int pid = lock_holder(journal_dir, role); pid > 0) {
            plan.alive.push_back(fmt::format("{} ({})", role, process_text(pid)));
        }
    }
    if (found.code != Errc::Ok) {
        plan_without(found, journal_dir, plan);
    } else if (const auto held = held_by(*found.segment); !held) {
        plan.refusal = std::string{held.error().what} + ": it changed while it was read; ask again";
        plan.rungs.push_back({"segment", false, plan.refusal});
        plan.rungs.push_back({"journal", false, "not asked: the segment has to be read again"});
    } else if (held.value().last != 0 && !held.value().only_a_jump) {
        plan.rungs.push_back({"segment", true, "is valid and of this boot: resume from its rings"});
        plan_same_segment(*found.segment, held.value(), journal_dir, plan);
        for (const std::string& ring : found.cut_off) {
            plan.steps.push_back("stop the one source or account that it belongs to: " + ring);
        }
        plan.rungs.push_back({"journal", false, "not needed beyond what the steps say"});
    } else {
        plan.rungs.push_back(
            {"segment", false, "is valid, but nothing was journalled in it: it is as a new one"});
        plan_from_files(found, journal_dir, plan);
    }
    const bool taken = plan.rungs[0].taken || plan.rungs[1].taken;
    for (const std::string later : {"redis", "sqlite", "clickhouse"}) {
        const std::string by_hand = "not by itself: `millrace recover --from " + later +
                                    " --dry-run` says what a journal made of it would give";
        plan.rungs.push_back({later, false, taken ? "not needed" : by_hand});
    }
    return plan;
}

}  // namespace millrace::inspect
