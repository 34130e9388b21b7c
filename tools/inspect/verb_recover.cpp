// recover --dry-run: the plan of a start, said.
#include <fmt/core.h>

#include <filesystem>

#include "tools/inspect/locate.h"
#include "tools/inspect/recover_plan.h"
#include "tools/inspect/verbs.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

ordered_json number_or_null(std::uint64_t n) {
    return n == 0 ? ordered_json(nullptr) : ordered_json(n);
}
ordered_json text_or_null(const std::string& s) {
    return s.empty() ? ordered_json(nullptr) : ordered_json(s);
}

ordered_json plan_json(const RecoverPlan& p, const std::string& directory) {
    ordered_json rungs = ordered_json::array();
    for (const Rung& r : p.rungs) {
        rungs.push_back({{"rung", r.name}, {"taken", r.taken}, {"why", r.verdict}});
    }
    ordered_json doubt = ordered_json::array();
    for (const InDoubt& d : p.in_doubt) {
        doubt.push_back(
            {{"account", d.account}, {"number", d.number}, {"magic", d.magic}, {"type", d.type}});
    }
    return {{"journal_dir", directory},
            {"alive", p.alive},
            {"rungs", rungs},
            {"steps", p.steps},
            {"refusal", text_or_null(p.refusal)},
            {"snapshot_seq", number_or_null(p.snapshot_seq)},
            {"replay_from", number_or_null(p.replay_from)},
            {"replay_to", number_or_null(p.replay_to)},
            {"replay_file", text_or_null(p.replay_file)},
            {"jump_to", number_or_null(p.jump_to)},
            {"set_aside", text_or_null(p.set_aside)},
            {"lost_from", number_or_null(p.lost_from)},
            {"lost_to", number_or_null(p.lost_to)},
            {"in_doubt_orders",
             p.in_doubt_known ? ordered_json(p.in_doubt_orders) : ordered_json(nullptr)},
            {"in_doubt", doubt}};
}

std::string plan_text(const RecoverPlan& p) {
    std::string out;
    for (const Rung& r : p.rungs) {
        out += fmt::format("{} {:<11} {}\n", r.taken ? "=>" : "  ", r.name, r.verdict);
    }
    if (!p.alive.empty()) {
        out += "alive: " + joined(p.alive) +
               "; `millrace up` would adopt them and restart the "
               "rest as below\n";
    }
    std::size_t n = 0;
    for (const std::string& s : p.steps) {
        out += fmt::format("{:>3}. {}\n", ++n, s);
    }
    for (const InDoubt& d : p.in_doubt) {
        out += fmt::format("     account {} command {} {} magic {}\n", d.account, d.number, d.type,
                           d.magic);
    }
    out += p.in_doubt_known ? fmt::format("IN_DOUBT then: {} orders\n", p.in_doubt_orders)
                            : "IN_DOUBT then: not known from here\n";
    return out + (p.refusal.empty() ? "" : "THE START WOULD BE REFUSED: " + p.refusal + "\n");
}

}  // namespace

int run_recover(const RecoverOptions& o) {
    if (!o.dry_run) {
        return fail(kUsage,
                    "inspect changes nothing: recover needs --dry-run. `millrace up` "
                    "recovers; `millrace recover --skip SEQ` helps a halted engine");
    }
    std::string why;
    std::string directory = o.journal;
    const bool files_only = !o.journal.empty() && o.common.segment.empty();
    const auto path = files_only ? Result<std::string>{Errc::NotFound, "segment"}
                                 : resolve(o.common.segment, o.common.dir, why);
    if (!path && !files_only) {
        return fail(kNoSegment, why + "; with --journal DIR the plan is made without one");
    }
    FoundSegment found;
    found.why = "there is none (--journal alone: as after a reboot)";
    if (path) {
        found = find_segment(path.value(), directory);
    }
    if (!found.segment && directory.empty()) {
        return fail(kNoSegment, found.why + "; with --journal DIR the plan is made without it");
    }
    directory = directory.empty() ? std::string{found.segment->header().journal_dir} : directory;
    std::error_code none;
    if (!std::filesystem::is_directory(directory, none)) {
        return fail(kNoSegment, directory + " is no directory that can be read");
    }
    const RecoverPlan plan = plan_recovery(found, directory);
    if (o.common.json) {
        print_json(plan_json(plan, directory));
    } else {
        print(plan_text(plan));
    }
    return plan.refusal.empty() && plan.lost_to == 0 ? kOk : kFound;
}

}  // namespace millrace::inspect
