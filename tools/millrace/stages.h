// Stages by name: what each needs is wired here and nowhere else.
//
//   signals, reports -> engine (puts them in order, journals, decides) -> orders -> broker;
//   journal -> replica -> sinks
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/runner.h"

#include <string>
#include <vector>

namespace millrace {

/// How a `millrace` process ended: a stage as its supervisor sees it, `up` and `down`.
enum ExitCode : int {
    kExitOk = 0,
    kExitError = 1,  // it could not start
    kExitBadConfig = 2,
    kExitRoleHeld = 3,     // somebody else is this stage already
    kExitStageFailed = 4,  // it ran and could not go on
    kExitNotClean = 5,  // `up`, `down`: stopped, but not every stage by itself; the segment stays
    kExitNotPermitted = 6,  // "operators" of the configuration (roles.h)
};

/// What every stage is built from. Outlives the stages.
struct StageContext {
    Segment& segment;
    const Config& config;
    const IdBook& ids;
    bool threads = false;            // all stages in this process
    std::uint32_t upgrade_from = 0;  // `millrace upgrade`: the logic version that the log is of
};

/// A stage that the pipeline consists of: a name for the command line and the log.
struct StageName {
    const char* name;
    StageId id;  // its place; core-*: Engine or Replica, as the lock decides
};
/// In the order that data moves. core-0 and core-1 are equals: one is the engine, the other the
/// replica and hot spare. As threads of one process they are called engine and replica.
[[nodiscard]] std::vector<StageName> pipeline_stages(const Config& config, bool threads);

/// Takes the stage's role and builds it. Blocks (the broker stage waits for the journal's epoch).
/// @return NotOwner: `message` names the holder. Else what the stage says.
[[nodiscard]] Result<StageSlot> build_stage(const std::string& name, const StageContext& context,
                                            std::string& message);

/// The body of `millrace stage NAME... --config FILE`: runs these stages on this process's main
/// thread until SIGTERM or SIGINT.
/// @param checked_text a copy of the file as it was when it was checked; empty = read the file.
[[nodiscard]] int run_stage_process(const std::vector<std::string>& names,
                                    const std::string& config_file, const std::string& checked_text,
                                    std::int64_t executed_ns);

/// Runner options of the stages that `id` shares its thread with. Logs what cannot be had.
[[nodiscard]] RunnerOptions runner_options(const Config& config, StageId id);

}  // namespace millrace
