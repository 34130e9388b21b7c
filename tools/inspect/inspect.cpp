#include "tools/inspect/inspect.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>

#include "tools/inspect/decode.h"
#include "tools/inspect/hist.h"
#include "tools/inspect/locate.h"
#include "tools/inspect/top.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

struct Arguments {
    std::string dir = "/dev/shm";
    std::string segment;
    std::string ring;
    std::string hop;
    std::uint64_t last = 10;
    std::uint32_t interval_ms = 200;
    std::uint32_t frames = 0;
    bool json = false;
    bool all = false;
};

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void print_json(const ordered_json& json) {
    print(json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}
int fail(const std::string& message) {
    std::fprintf(stderr, "inspect: %s\n", message.c_str());
    return 1;
}

/// Attaches to the segment that is meant and hands it to `f`.
template <class F>
int with_segment(const Arguments& a, F f) {
    std::string message;
    const auto path = resolve(a.segment, a.dir, message);
    if (!path) {
        return fail(message);
    }
    const auto segment = Segment::attach(path.value(), Segment::Mode::ReadOnly, message);
    if (!segment) {
        return fail(message + " [" + std::string{to_string(segment.code())} + "]");
    }
    return f(segment.value(), path.value());
}

RenderOptions render_options(const Arguments& a, const PipelineView& v, const std::string& path) {
    RenderOptions o;
    o.all = a.all;
    o.color = ::isatty(STDOUT_FILENO) != 0;
    o.width = 160;  // a report may be wider than a screen; texts of errors are
    o.title = path;
    o.account_names = account_names(v.header.journal_dir);
    return o;
}

int run_list(const Arguments& a) {
    const std::vector<Candidate> found = list_segments(a.dir);
    ordered_json json = ordered_json::array();
    std::string text;
    for (const Candidate& c : found) {
        json.push_back({{"path", c.path},
                        {"fault", c.fault.empty() ? ordered_json(nullptr) : ordered_json(c.fault)},
                        {"total_bytes", c.bytes},
                        {"created_ns", c.created_ns},
                        {"journal_dir", c.journal_dir},
                        {"same_boot", c.same_boot},
                        {"stages_alive", c.stages_alive},
                        {"stages_known", c.stages_known}});
        text += !c.fault.empty()
                    ? fmt::format("{:<28} UNREADABLE: {}\n", c.path, c.fault)
                    : fmt::format("{:<28} {:>6.1f} MiB  {} of {} stages alive{}  journal {}\n",
                                  c.path, static_cast<double>(c.bytes) / (1 << 20), c.stages_alive,
                                  c.stages_known, c.same_boot ? "" : "  FROM ANOTHER BOOT",
                                  c.journal_dir);
    }
    if (a.json) {
        print_json({{"segments", json}});
    } else {
        print(found.empty() ? "no segment in " + a.dir + "\n" : text);
    }
    return 0;
}

int run_stat(const Arguments& a) {
    return with_segment(a, [&](const Segment& segment, const std::string& path) {
        const PipelineView v = read_view(segment);
        const RenderOptions o = render_options(a, v, path);
        print(a.json ? render_json(v, o) : render_stat(v, nullptr, Nanos{}, o));
        return 0;
    });
}

int run_ring(const Arguments& a) {
    return with_segment(a, [&](const Segment& segment, const std::string& path) {
        const std::uint32_t index = segment.find_ring(a.ring);
        if (index == kNoId) {
            return fail(path + " has no ring called " + a.ring + "; `inspect stat --all` lists them");
        }
        const auto records = decode_ring(segment, index, a.last);
        if (!records) {
            return fail(path + ", ring " + a.ring + ": " + records.error().what);
        }
        ordered_json json = ordered_json::array();
        for (const DecodedRecord& r : records.value()) {
            if (a.json) {
                json.push_back({{"number", r.number}, {"released", r.released},
                                {"record", r.fields}});
            } else {
                print(fmt::format("{:>10} {} {}\n", r.number, r.released ? ' ' : '*',
                                  flat_text(r.fields)));
            }
        }
        if (a.json) {
            print_json({{"ring", a.ring}, {"records", json}});
        }
        return 0;
    });
}

int run_hist(const Arguments& a) {
    return with_segment(a, [&](const Segment& segment, const std::string&) {
        ordered_json json = ordered_json::array();
        bool known = a.hop.empty();
        for (std::uint32_t i = 0; i < kHops; ++i) {
            if (!a.hop.empty() && a.hop != hop_name(i)) {
                continue;
            }
            known = true;
            const Hop hop = static_cast<Hop>(i);
            if (a.json) {
                json.push_back(hist_json(segment, hop));
            } else if (!a.hop.empty() || !read_buckets(segment, hop).empty()) {
                print(render_hist(segment, hop, 80) + "\n");
            }
        }
        if (!known) {
            std::string names;
            for (std::uint32_t i = 0; i < kHops; ++i) {
                names += std::string{" "} + hop_name(i);
            }
            return fail("no hop called " + a.hop + "; there is" + names);
        }
        if (a.json) {
            print_json({{"histograms", json}});
        }
        return 0;
    });
}

int run_errors(const Arguments& a) {
    return with_segment(a, [&](const Segment& segment, const std::string&) {
        const PipelineView v = read_view(segment);
        if (a.json) {
            const auto all = ordered_json::parse(render_json(v, {}));
            print_json({{"errors", all["errors"]}});
            return 0;
        }
        for (const ErrorRecord& e : v.errors) {
            print(fmt::format("{:>7}  {:<10} {}\n", human_count(e.count), e.stage, e.text));
        }
        if (v.errors.empty()) {
            print("no errors\n");
        }
        return 0;
    });
}

int run_top_verb(const Arguments& a) {
    std::string message;
    const auto path = resolve(a.segment, a.dir, message);
    if (!path) {
        return fail(message);
    }
    return run_top({path.value(), a.interval_ms, a.frames, a.json});
}

/// A verb with the options that all verbs have.
CLI::App* add_verb(CLI::App& app, Arguments& a, const char* name, const char* help) {
    CLI::App* verb = app.add_subcommand(name, help);
    verb->add_flag("--json", a.json, "machine-readable (tools/inspect/inspect.schema.json)");
    verb->add_option("--dir", a.dir, "where segments lie")->capture_default_str();
    return verb;
}

constexpr const char* kSegmentHelp =
    "name (demo for /dev/shm/millrace-demo) or path of a segment or of a copy; "
    "not needed if there is one only";

}  // namespace

int inspect_main(int argc, const char* const* argv) {
    Arguments a;
    CLI::App app{"Looks at a pipeline's shared memory: live, dead or copied. Read-only, no locks."};
    app.name("millrace inspect");
    app.require_subcommand(1);
    CLI::App* list = add_verb(app, a, "list", "the segments of this host");
    CLI::App* stat = add_verb(app, a, "stat", "everything about one segment");
    stat->add_option("segment", a.segment, kSegmentHelp);
    stat->add_flag("--all", a.all, "unused rings, hops and stages too");
    CLI::App* ring = add_verb(app, a, "ring", "the last records of a ring; * = not released yet");
    ring->add_option("ring", a.ring, "name of the ring, e.g. orders")->required();
    ring->add_option("segment", a.segment, kSegmentHelp);
    ring->add_option("--last", a.last, "how many")->capture_default_str()->check(CLI::PositiveNumber);
    CLI::App* hist = add_verb(app, a, "hist", "latency histograms by hop");
    hist->add_option("segment", a.segment, kSegmentHelp);
    hist->add_option("--hop", a.hop, "one hop only, e.g. signal_to_socket");
    CLI::App* errors = add_verb(app, a, "errors", "distinct errors, most frequent first");
    errors->add_option("segment", a.segment, kSegmentHelp);
    CLI::App* top = add_verb(app, a, "top", "live view; q leaves");
    top->add_option("segment", a.segment, kSegmentHelp);
    top->add_option("--interval-ms", a.interval_ms, "between two pictures")
        ->capture_default_str()->check(CLI::Range(20U, 60'000U));
    top->add_option("--frames", a.frames, "leave after so many pictures; 0 = stay");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    const struct {
        CLI::App* verb;
        int (*run)(const Arguments&);
    } verbs[] = {{list, run_list},     {stat, run_stat},     {ring, run_ring},
                 {hist, run_hist},     {errors, run_errors}, {top, run_top_verb}};
    for (const auto& v : verbs) {
        if (v.verb->parsed()) {
            return v.run(a);
        }
    }
    return 2;
}

}  // namespace millrace::inspect
