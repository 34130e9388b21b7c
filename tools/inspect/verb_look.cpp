// list, stat, hist, errors, pid: one picture, said.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/inspect/details.h"
#include "tools/inspect/hist.h"
#include "tools/inspect/locate.h"
#include "tools/inspect/span.h"
#include "tools/inspect/verbs.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

RenderOptions render_options(const StatOptions& a, const PipelineView& v, const std::string& path) {
    RenderOptions o;
    o.all = a.all;
    o.color = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    o.width = 160;  // a report may be wider than a screen; texts of errors are
    o.title = path;
    o.account_names = account_names(v.header.journal_dir);
    return o;
}

const char* state_of(const Candidate& c) {
    return !c.fault.empty()      ? "unreadable"
           : !c.same_boot        ? "stale"
           : c.stages_alive != 0 ? "live"
                                 : "dead";
}

std::string list_line(const Candidate& c) {
    if (!c.fault.empty()) {
        return fmt::format("{:<28} UNREADABLE  {}\n", c.path, c.fault);
    }
    const std::string state = state_of(c);
    return fmt::format(
        "{:<28} {:<6} {:>6.1f} MiB  {} of {} stages alive  created {}  "
        "journal {}{}\n",
        c.path, state, static_cast<double>(c.bytes) / (1 << 20), c.stages_alive, c.stages_known,
        wall_text(c.created_ns), c.journal_dir,
        state == "stale" ? "  (other boot: `millrace up` makes a new one)" : "");
}

}  // namespace

int run_list(const ListOptions& a) {
    const std::vector<Candidate> found = list_segments(a.common.dir);
    ordered_json json = ordered_json::array();
    std::string text;
    for (const Candidate& c : found) {
        json.push_back({{"path", c.path},
                        {"state", state_of(c)},
                        {"fault", c.fault.empty() ? ordered_json(nullptr) : ordered_json(c.fault)},
                        {"total_bytes", c.bytes},
                        {"created_ns", c.created_ns},
                        {"journal_dir", c.journal_dir},
                        {"same_boot", c.same_boot},
                        {"stages_alive", c.stages_alive},
                        {"stages_known", c.stages_known}});
        text += list_line(c);
    }
    if (a.common.json) {
        print_json({{"segments", json}});
    } else {
        print(found.empty() ? "no segment in " + a.common.dir + "\n" : text);
    }
    return kOk;
}

int run_stat(const StatOptions& a) {
    const std::int64_t apart = a.rate.empty() ? 0 : parse_duration(a.rate);
    if (apart < 0) {
        return fail(kUsage, "--rate " + a.rate + " is no duration; 500ms, 5s, 2m are");
    }
    return with_segment(a.common, [&](const Segment& segment, const std::string& path) {
        PipelineView before;
        Nanos taken{};
        if (apart > 0) {
            before = read_view(segment);
            taken = Nanos{monotonic_ns()};
            Interruptible waiting;
            if (waiting.sleep_ms(static_cast<int>(apart / 1'000'000))) {
                return static_cast<int>(kOk);
            }
        }
        PipelineView v = read_view(segment);
        const Nanos elapsed = apart > 0 ? Nanos{monotonic_ns()} - taken : Nanos{};
        look_closer(segment, v);
        const RenderOptions o = render_options(a, v, path);
        const PipelineView* previous = apart > 0 ? &before : nullptr;
        print(a.common.json ? render_json(v, o, previous, elapsed)
                            : render_stat(v, previous, elapsed, o));
        return static_cast<int>(kOk);
    });
}

int run_hist(const HistOptions& a) {
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < kHops; ++i) {
        names.emplace_back(hop_name(i));
    }
    if (!a.hop.empty() && std::find(names.begin(), names.end(), a.hop) == names.end()) {
        return fail(kUsage, "no hop called " + a.hop + "; there is: " + joined(names));
    }
    return with_segment(a.common, [&](const Segment& segment, const std::string&) {
        ordered_json json = ordered_json::array();
        for (std::uint32_t i = 0; i < kHops; ++i) {
            const Hop hop = static_cast<Hop>(i);
            if (!a.hop.empty() && a.hop != names[i]) {
                continue;
            }
            if (a.common.json) {
                json.push_back(hist_json(segment, hop));
            } else if (!a.hop.empty() || !read_buckets(segment, hop).empty()) {
                print(render_hist(segment, hop, 80) + "\n");
            }
        }
        if (a.common.json) {
            print_json({{"histograms", json}});
        }
        return kOk;
    });
}

int run_errors(const ErrorsOptions& a) {
    return with_segment(a.common, [&](const Segment& segment, const std::string&) {
        const std::vector<ErrorRecord> errors = read_view(segment).errors;
        ordered_json json = ordered_json::array();
        std::string text;
        for (const ErrorRecord& e : errors) {
            if (!a.stage.empty() && e.stage != a.stage) {
                continue;
            }
            json.push_back({{"stage", e.stage},
                            {"text", e.text},
                            {"count", e.count},
                            {"first_ns", e.first_ns},
                            {"last_ns", e.last_ns}});
            text +=
                fmt::format("{:<10} {:>7}  first {}  last {}  {}\n", e.stage, human_count(e.count),
                            wall_text(e.first_ns), wall_text(e.last_ns), e.text);
        }
        if (a.common.json) {
            print_json({{"errors", json}});
        } else {
            print(text.empty() ? "no errors\n" : text);
        }
        return kOk;
    });
}

int run_pid(const PidOptions& a) {
    return with_segment(a.common, [&](const Segment& segment, const std::string& path) {
        PipelineView v = read_view(segment);
        look_closer(segment, v);
        std::vector<std::string> names;
        const StageStat* found = nullptr;
        for (const StageStat& s : v.stages) {
            names.push_back(s.name);
            found = s.name == a.role ? &s : found;
        }
        if (found == nullptr) {
            return fail(kUsage, "no role called " + a.role + "; there is: " + joined(names));
        }
        const bool alive = found->liveness == Liveness::Alive;
        const bool holds = found->lock_pid == static_cast<int>(found->pid);
        if (a.common.json) {
            print_json({{"role", a.role},
                        {"pid", found->pid},
                        {"tid", found->tid},
                        {"process", liveness_name(found->liveness)},
                        {"state", state_name(found->state)},
                        {"holds_lock", holds}});
        } else if (alive) {
            print(fmt::format("{}\n", found->pid));
        }
        return alive ? static_cast<int>(kOk)
               : found->liveness == Liveness::Elsewhere
                   ? fail(kFound,
                          fmt::format("{}: {} lives in another pid namespace, as pid {} there",
                                      path, a.role, found->pid))
                   : fail(kFound, fmt::format("{}: nobody is {} now (process {}, pid was {})", path,
                                              a.role, liveness_name(found->liveness), found->pid));
    });
}

}  // namespace millrace::inspect
