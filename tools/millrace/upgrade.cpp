#include "tools/millrace/upgrade.h"

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/crash_point.h"
#include "persist/engine_recovery.h"
#include "persist/log_version.h"
#include "persist/snapshot_file.h"
#include "shm/doorbell.h"
#include "tools/millrace/log.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/progress.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/start_check.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

constexpr std::int64_t kStepsMaxNs = 120'000'000'000;  // a big state on a slow disk
constexpr int kNapMs = 1;

std::string number(std::uint64_t n) {
    return std::to_string(n);
}

/// Why `log` cannot be upgraded, with the mend; empty if it can.
std::string obstacle(const LogVersion& log, const std::string& dir) {
    const std::string stop = "start the build of version " + number(log.version) +
                             " and stop it with `millrace down`: that writes one";
    if (log.version > logic_version()) {
        return dir + " was written by logic version " + number(log.version) +
               ", this build is older (" + number(logic_version()) + "); use that build";
    }
    if (log.version < kFirstUpgradableLogic) {
        return other_logic(dir, log.version);
    }
    if (log.snapshot.value == 0) {
        return dir + " has no valid snapshot of version " + number(log.version) + "; " + stop;
    }
    if (log.inputs > 0) {
        return dir + "/" + log.snapshot_file + " is not the log's end: " + number(log.inputs) +
               " inputs follow it, up to record " + number(log.last.value) + ", and only version " +
               number(log.version) + " may apply them; " + stop;
    }
    if (log.other != 0 && log.other != logic_version()) {
        return "an upgrade of " + dir + " to version " + number(log.other) +
               " was begun; end it with that build";
    }
    return {};
}

/// State hash at record `at`, from the newest snapshot at or below `from` and the files behind it.
Result<std::uint64_t> hash_at(const Config& c, Sequence from, Sequence at, std::uint32_t also,
                              std::string& message) {
    Engine engine{capacity_of(c, c.accounts_max)};
    if (auto done = load_state(c.journal.dir, from, engine, message, also); !done) {
        message = message.empty() ? done.error().what : message;
        return done.error();
    }
    if (auto done = replay_files(c.journal.dir, at, engine, message); !done) {
        return done.error();
    }
    if (engine.seq() != at) {
        message = "the log of " + c.journal.dir + " does not reach record " + number(at.value);
        return {Errc::NotFound, "record"};
    }
    return engine.state_hash();
}

/// The part of a pipeline that a log is written by, in this thread, over a segment of its own.
class Writer {
public:
    Writer(const Config& config, const IdBook& ids, Segment& segment, std::uint32_t from)
        : context_{segment, config, ids, true, from}, segment_{segment} {}

    bool build(std::string& message) {
        for (const char* name : {"journal", "engine", "replica"}) {
            auto slot = build_stage(name, context_, message);
            if (!slot) {
                return false;
            }
            slots_.push_back(std::move(slot).value());
        }
        return true;
    }

    /// Until the engine has begun, its records are on disk, and the snapshot stands behind them.
    bool run(std::string& message) {
        const std::int64_t deadline = monotonic_ns() + kStepsMaxNs;
        bool said = false;
        while (monotonic_ns() < deadline) {
            int work = 0;
            for (StageSlot& slot : slots_) {
                work += slot.stage->step(segment_.clock().now());
                if (!slot.stage->healthy()) {
                    message = slot.stage->failure();
                    return false;
                }
            }
            if (journalled() && !said) {
                MILLRACE_CRASH_POINT("upgrade.journalled");
                said = true;
            }
            if (said && slots_.back().stage->drained()) {
                return true;
            }
            if (work == 0) {
                ::poll(nullptr, 0, kNapMs);
            }
        }
        message = "not done within " + number(kStepsMaxNs / 1'000'000'000) +
                  " s: is the disk stuck? It can be run again";
        return false;
    }

    [[nodiscard]] Sequence last() const {
        return Sequence{segment_.core().completed.load(std::memory_order_acquire)};
    }

private:
    [[nodiscard]] bool journalled() const {
        const CoreCells& core = segment_.core();
        // Acquire: pairs with the stages' releases; all three are stepped by this thread.
        return !slots_[1].recovering() &&
               core.durable.load(std::memory_order_acquire) >= last().value &&
               core.replica_applied.load(std::memory_order_acquire) >= last().value;
    }

    StageContext context_;
    Segment& segment_;
    std::vector<StageSlot> slots_;
};

/// Both ways to the state behind the new records must give the same.
bool verify(const Config& c, const LogVersion& log, Sequence last, std::string& message) {
    tell_on_terminal("comparing both ways to record " + number(last.value) + " ...");
    const auto replayed = hash_at(c, log.snapshot, last, log.version, message);
    const auto loaded = hash_at(c, last, last, 0, message);
    if (!replayed || !loaded) {
        return false;
    }
    if (replayed.value() != loaded.value()) {
        message = "the state of " + snapshot_name(last) + " differs from " + log.snapshot_file +
                  " and the records behind it; do not start this build, tell its makers";
        return false;
    }
    return true;
}

Config own_segment(Config config) {
    config.name += ".upgrade";
    return config;
}

bool begin_epoch(const Config& config, const LogVersion& log, std::string& message) {
    const Config own = own_segment(config);
    IdBook ids;
    const auto records = prepare_records(own, ids, message);
    bool created = false;
    auto segment =
        records ? prepare_segment(own, ids, created, message) : Result<Segment>{records.error()};
    if (!segment) {
        return false;
    }
    MILLRACE_CRASH_POINT("upgrade.segment");
    Sequence last;
    bool done = false;
    tell_on_terminal("writing the new epoch ...");
    {
        Writer writer{own, ids, segment.value(), log.version};
        done = writer.build(message) && writer.run(message);
        last = writer.last();
    }
    ::unlink(own.segment_path().c_str());
    MILLRACE_CRASH_POINT("upgrade.written");
    return done && verify(config, log, last, message);
}

int upgrade_stopped(const Config& config, bool dry_run) {
    const std::string& dir = config.journal.dir;
    std::string message;
    if (const std::string living = living_roles(dir); !living.empty()) {
        return complain("stages of this journal are alive: " + living +
                        "; stop them with their own build's `millrace down` first");
    }
    if (std::filesystem::exists(config.segment_path())) {
        return complain(config.segment_path() +
                        " is there: the pipeline was not stopped clean, and what only the segment "
                        "holds belongs to the build that made it; start that build and stop it "
                        "with `millrace down`");
    }
    // Of an upgrade that was killed: it holds nothing that the journal does not.
    ::unlink(own_segment(config).segment_path().c_str());
    tell_on_terminal("reading the log of " + dir + " ...");
    const auto log = read_log_version(dir, message);
    if (!log) {
        return complain(message.empty() ? log.error().what : message);
    }
    const LogVersion& found = log.value();
    if (found.is_ours()) {
        std::printf("nothing to do: %s is of logic version %u, as this build\n", dir.c_str(),
                    logic_version());
        return kExitOk;
    }
    if (const std::string why = obstacle(found, dir); !why.empty()) {
        return complain(why);
    }
    tell_on_terminal("verifying the snapshot of record " + number(found.snapshot.value) + " ...");
    const auto before = hash_at(config, found.snapshot, found.snapshot, found.version, message);
    if (!before) {
        return complain(message);
    }
    std::printf("%s: logic version %u at record %lu, snapshot verified, state %016lx\n",
                dir.c_str(), found.version, static_cast<unsigned long>(found.snapshot.value),
                static_cast<unsigned long>(before.value()));
    if (dry_run) {
        std::printf("would begin a new epoch of logic version %u behind it; nothing was changed\n",
                    logic_version());
        return kExitOk;
    }
    if (!begin_epoch(config, found, message)) {
        return complain(message + "; nothing of the old log was changed");
    }
    std::printf("a new epoch of logic version %u begins from that state; `millrace up` goes on\n",
                logic_version());
    return kExitOk;
}

}  // namespace

int upgrade_logic(const std::string& config_file, bool dry_run) {
    std::vector<Mistake> mistakes;
    const Config config = read_config(config_file, mistakes);
    if (!mistakes.empty()) {
        return complain(mistakes);
    }
    if (!std::filesystem::exists(config.journal.dir)) {
        return complain("there is no journal at " + config.journal.dir);
    }
    doorbell_setup();
    std::string holder;
    const auto lock = RoleLock::try_acquire(config.journal.dir, "supervisor", holder);
    if (!lock) {
        complain("`millrace up` (" + holder +
                 ") keeps this journal; stop it with its own build's " + "`millrace down -c " +
                 config_file + "` first");
        return lock.code() == Errc::NotOwner ? kExitRoleHeld : kExitError;
    }
    return upgrade_stopped(config, dry_run);
}

}  // namespace millrace
