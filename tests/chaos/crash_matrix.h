// The crash matrix: which crash points (core/crash_point.h) are armed in which start of which stage
// of the whole pipeline, in points_test.cpp. plan_test.cpp fails if a point in the sources is
// neither here nor, where these processes never come by, killed at by a test of its own.
#pragma once

#include <cstdint>
#include <ostream>
#include <set>
#include <sstream>
#include <string>

namespace millrace::chaos {

/// What is done when no point has struck for a while.
enum class Nudge : std::uint8_t {
    None,
    KillEngine,    // a core may be armed for the role that it does not have: then roles change
    KillSwitch,    // `millrace kill` and `unkill` for one account, entries waiting for the disk
    RebuildStore,  // gives the sink a reason to replace its store
};

/// Points that are armed in one run.
struct CrashGroup {
    const char* name;
    const char* plan;  // as tools/millrace/crash_plan.h has it
    Nudge nudge = Nudge::None;

    /// The entries of the plan, as `point` or `point:passages`.
    [[nodiscard]] std::set<std::string> points() const {
        std::set<std::string> all;
        std::istringstream stages{plan};
        for (std::string stage; std::getline(stages, stage, ';');) {
            std::istringstream starts{stage.substr(stage.find('=') + 1)};
            for (std::string point; std::getline(starts, point, ',');) {
                all.insert(point);
            }
        }
        all.erase("-");
        return all;
    }
    /// GoogleTest shows it so in the test's name, instead of its bytes, which differ by run.
    friend void PrintTo(const CrashGroup& g, std::ostream* out) { *out << g.name; }
};

inline constexpr CrashGroup kCrashMatrix[] = {
    {"journal",
     "journal=journal.before_reserve,journal.after_reserve,journal.before_header,"
     "journal.file_prepared,journal.spare_cleared,journal.before_submit:20,journal.after_submit:20,"
     "journal.before_durable:20,journal.before_release:20"},
    {"engine",
     "core-0=engine.begin.jumped,engine.before_journal:60,engine.after_apply:60,"
     "engine.before_order:20,engine.before_result:20,engine.recover.replayed,"
     "engine.before_signal_release:20,engine.before_release:60;"
     "core-1=engine.begin.jumped,engine.after_journal:60,engine.after_completed:60,"
     "engine.after_order:20,engine.after_result:20,engine.recover.released",
     Nudge::KillEngine},
    {"takeover",
     "core-0=takeover.locked,takeover.attached,takeover.running;"
     "core-1=takeover.locked,takeover.attached,takeover.running",
     Nudge::KillEngine},
    {"replica",
     "core-0=effects.after_write:20,snapshot.before_rename,snapshot.after_rename;"
     "core-1=effects.after_write:20,snapshot.before_rename,snapshot.after_rename"},
    {"broker",
     "broker=broker.after_settle,broker.after_welcome:3,broker.before_claim:20,"
     "broker.after_claim:20,broker.after_write:20,broker.after_done:20,broker.after_release:20,"
     "broker.before_report:20,broker.after_report:20,broker.after_ack:20,broker.after_drain:20,"
     "broker.after_orders_release:20,broker.after_answered,broker.after_kill_noted,"
     "broker.after_kill_sent",
     Nudge::KillSwitch},
    {"sqlite", "sqlite=-,error_log.claimed,sqlite-replace-wal-moved,sqlite-replace-old-moved",
     Nudge::RebuildStore},
};

/// Beginnings of the names of points that no stage of that pipeline passes: the shared-memory
/// client's, those of `millrace upgrade`, those of a journal that moves to its second directory,
/// and those of backups of the store, which are made each minute.
inline constexpr const char* kOutsideTheMatrix[] = {"client.", "upgrade.", "journal.move_",
                                                    "sqlite-restored", "sqlite-backup-"};

}  // namespace millrace::chaos
