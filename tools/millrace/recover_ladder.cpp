#include "tools/millrace/recover_ladder.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tools/inspect/recover_plan.h"
#include "tools/millrace/lost_journal.h"
#include "tools/millrace/recover_rungs.h"
#include "tools/millrace/second_check.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

void print_rung(bool taken, const std::string& name, const std::string& verdict) {
    std::printf("%s %-11s %s\n", taken ? "=>" : "  ", name.c_str(), verdict.c_str());
}

/// Segment and journal, as the start itself judges them.
/// @return true if it goes on from one of them, or would be refused over one.
bool print_log(const inspect::RecoverPlan& plan) {
    bool taken = false;
    for (const inspect::Rung& rung : plan.rungs) {
        if (rung.name == "segment" || rung.name == "journal") {
            print_rung(rung.taken, rung.name, rung.verdict);
            taken = taken || rung.taken;
        }
    }
    return taken || !plan.refusal.empty();
}

void print_steps(const inspect::RecoverPlan& plan) {
    std::printf("`millrace up`:\n");
    std::size_t n = 0;
    for (const std::string& step : plan.steps) {
        std::printf("%3zu. %s\n", ++n, step.c_str());
    }
}

/// Where nobody is in a hurry. What the stores themselves are read with takes longer.
constexpr Nanos kPatience = seconds(30);

/// As `up` asks of a log that a new segment would go on behind.
void ask_whether_older_copy(const Config& config, inspect::RecoverPlan& plan) {
    if (plan.log_end == 0 || !plan.refusal.empty()) {
        return;
    }
    plan.refusal = journal_is_older_copy(config, Sequence{plan.log_end}, kPatience);
    for (inspect::Rung& rung : plan.rungs) {
        if (rung.name == "journal" && !plan.refusal.empty()) {
            rung = {"journal", false, "is an older copy: " + rung.verdict};
        }
    }
}

/// Without its directory the log is lost, whatever a segment says.
inspect::RecoverPlan plan_of(const Config& config) {
    const inspect::FoundSegment found =
        inspect::find_segment(config.segment_path(), config.journal.dir);
    const bool there = found.code == Errc::Ok;
    std::error_code none;
    if (std::filesystem::is_directory(config.journal.dir, none)) {
        inspect::RecoverPlan plan = inspect::plan_recovery(found, config.journal.dir);
        if (!there) {
            ask_whether_older_copy(config, plan);
        }
        return plan;
    }
    inspect::RecoverPlan plan;
    plan.rungs.push_back({"segment", false, there ? "is there, without its journal" : found.why});
    plan.rungs.push_back({"journal", false, config.journal.dir + " is not there"});
    plan.refusal = second_holds_lost_log(configured_second(config).path);
    return plan;
}

void print_way(const StoreRung& best) {
    std::printf(
        "  1. `millrace recover --from %s`, of those that are whole the one that has come "
        "furthest: a journal that is the lost one's heir, ids beyond whatever it can have used\n"
        "  2. `millrace up`: every order without a final report is IN_DOUBT and looked up at its "
        "broker, none is sent again\n",
        best.name.c_str());
}

/// Nothing of the log is left. @param lost why `up` refuses to begin; empty if it would.
int print_advice(const std::vector<StoreRung>& rungs, const StoreRung* best, const std::string& why,
                 const std::string& lost) {
    if (!lost.empty()) {
        std::printf("THE START WOULD BE REFUSED: %s\n", lost.c_str());
    } else if (std::none_of(rungs.begin(), rungs.end(),
                            [](const auto& r) { return r.state || may_hold_more(r); })) {
        std::printf("`millrace up` would begin with nothing, and no store says that there was\n");
        return kExitOk;
    } else {
        std::printf("`millrace up` would begin with nothing, and the terminals would refuse it\n");
    }
    if (best == nullptr) {
        std::printf("%s\n", why.c_str());
    } else {
        std::printf("First:\n");
        print_way(*best);
    }
    return kExitError;
}

}  // namespace

int show_ladder(const Config& config) {
    const inspect::RecoverPlan plan = plan_of(config);
    const bool from_log = print_log(plan);
    const std::string lost = from_log ? "" : journal_may_be_lost(config, {kPatience, {}});
    const std::vector<StoreRung> rungs = read_rungs(config, stored_limits(config));
    std::string why;
    const StoreRung* const best = from_log ? nullptr : best_rung(rungs, why);
    for (const StoreRung& rung : rungs) {
        print_rung(&rung == best, rung.name, to_string(rung));
    }
    for (const std::string& role : plan.alive) {
        std::printf("alive: %s\n", role.c_str());
    }
    if (!plan.refusal.empty()) {
        std::printf("THE START WOULD BE REFUSED: %s\n", plan.refusal.c_str());
        return kExitError;
    }
    if (from_log) {
        print_steps(plan);
        return kExitOk;
    }
    return print_advice(rungs, best, why, lost);
}

}  // namespace millrace
