// The command line: which verb, which options. What they do is in verb_*.cpp.
#include "tools/inspect/inspect.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

#include "tools/inspect/verbs.h"

namespace millrace::inspect {
namespace {

constexpr const char* kIntro =
    "Looks at a pipeline's shared memory and files: live, dead or copied. Read-only,\n"
    "no locks; it joins nothing and disturbs nothing.\n"
    "\n"
    "  what is going on?      millrace inspect top\n"
    "  is something wrong?    millrace inspect errors\n"
    "                         millrace inspect verify --with-journal\n"
    "  what happened to X?    millrace inspect dump log --signal 0123abcd\n"
    "  what comes in now?     millrace inspect follow signals.ingress\n"
    "  what will up do?       millrace inspect recover --dry-run\n"
    "  in a script            millrace inspect wait --ring orders --depth-below 10\n"
    "\n"
    "This only looks. The emergency stop is: millrace kill --all --cancel --flatten\n"
    "\n"
    "SEGMENT is a name (demo for /dev/shm/millrace-demo), or the path of a segment or\n"
    "of a copy; not needed where there is one only. Every verb has --json, and --help\n"
    "with examples. Manual: man -l tools/inspect/millrace-inspect.1\n"
    "Exit status: 0 fine; 1 found wrong, different, not in time, nobody there;\n"
    "2 wrong command line; 3 no segment or journal that can be read.\n";

constexpr const char* kRecordsHelp = "a ring (orders, session.3, ...), `log` or `effects`";

// Help fits 80 columns (man_test.cpp): where the second column begins.
constexpr std::size_t kVerbColumn = 14;
constexpr std::size_t kOptionColumn = 26;

/// What runs when the line is parsed.
struct Chosen {
    std::function<int()> run;
};

template <class Options>
struct Verb {
    CLI::App* app;
    std::shared_ptr<Options> options;
    CLI::Option* segment = nullptr;
};

/// A verb with the options that all have.
template <class Options>
Verb<Options> add_verb(CLI::App& app, Chosen& chosen, const char* name, const char* help,
                       const char* examples, int (*run)(const Options&)) {
    auto options = std::make_shared<Options>();
    CLI::App* verb = app.add_subcommand(name, help);
    auto columns = std::make_shared<CLI::Formatter>();
    columns->column_width(kOptionColumn);
    verb->formatter(columns);
    verb->add_flag("--json", options->common.json, "machine-readable; schema: inspect.schema.json");
    verb->add_option("--dir", options->common.dir, "where segments lie")->capture_default_str();
    verb->footer(std::string{"Examples:\n"} + examples);
    verb->callback([&chosen, options, run] { chosen.run = [=] { return run(*options); }; });
    return {verb, options};
}

template <class Options>
void add_segment(const Verb<Options>& v) {
    v.app->add_option("SEGMENT", v.options->common.segment,
                      "name or path; default: the only (live) one");
}

void add_filters(const Verb<RecordsOptions>& v) {
    FilterOptions& f = v.options->filter;
    const char* group = "Filters (all given ones must match; each may be repeated)";
    v.app->add_option("--account", f.accounts, "number, login or name")
        ->group(group)
        ->allow_extra_args(false);
    v.app->add_option("--signal", f.signals, "signal id or its beginning")
        ->group(group)
        ->allow_extra_args(false);
    v.app->add_option("--order", f.orders, "magic or intent number")
        ->group(group)
        ->allow_extra_args(false);
    v.app->add_option("--type", f.types, "e.g. SIGNAL, REPORT, OPEN, CLOSE, OUTCOME")
        ->group(group)
        ->allow_extra_args(false);
}

void add_looks(CLI::App& app, Chosen& chosen) {
    add_verb<ListOptions>(app, chosen, "list", "the segments of this host: live, dead or stale",
                          "  millrace inspect list\n  millrace inspect list --dir /var/tmp/copies",
                          run_list);
    const auto stat =
        add_verb<StatOptions>(app, chosen, "stat", "everything about one segment",
                              "  millrace inspect stat\n  millrace inspect stat demo --rate 1s\n"
                              "  millrace inspect stat /tmp/copy --json | jq .rings",
                              run_stat);
    add_segment(stat);
    stat.app->add_flag("--all", stat.options->all, "unused rings, hops and stages too");
    stat.app->add_option("--rate", stat.options->rate, "look twice, so far apart, and show rates");
    const auto hist =
        add_verb<HistOptions>(app, chosen, "hist", "latency histograms by hop",
                              "  millrace inspect hist --hop signal_to_socket", run_hist);
    add_segment(hist);
    hist.app->add_option("--hop", hist.options->hop, "one hop only");
    const auto errors = add_verb<ErrorsOptions>(
        app, chosen, "errors", "distinct errors with count, first and last time, most first",
        "  millrace inspect errors --stage sqlite", run_errors);
    add_segment(errors);
    errors.app->add_option("--stage", errors.options->stage, "of one stage only");
    const auto pid = add_verb<PidOptions>(
        app, chosen, "pid", "the pid of a role's owner; 1 if it is not alive",
        "  taskset -p $(millrace inspect pid engine)\n  millrace inspect pid journal demo",
        run_pid);
    pid.app->add_option("ROLE", pid.options->role, "engine, broker, journal, ...")->required();
    add_segment(pid);
    const auto top = add_verb<TopVerbOptions>(app, chosen, "top", "live view; h for keys, q leaves",
                                              "  millrace inspect top\n"
                                              "  millrace inspect top demo --interval-ms 1000\n"
                                              "  NO_COLOR=1 millrace inspect top",
                                              run_top_verb);
    add_segment(top);
    top.app->add_option("--interval-ms", top.options->interval_ms, "between two pictures")
        ->capture_default_str()
        ->check(CLI::Range(20U, 60'000U));
    top.app->add_option("--frames", top.options->frames, "leave after so many; 0 = stay");
}

Verb<RecordsOptions> add_records(CLI::App& app, Chosen& chosen, const char* name, const char* help,
                                 const char* examples, int (*run)(const RecordsOptions&)) {
    auto v = add_verb<RecordsOptions>(app, chosen, name, help, examples, run);
    v.app->add_option("NAME", v.options->name, kRecordsHelp)->required();
    add_segment(v);
    v.app->add_flag("--hex", v.options->hex, "the bytes too");
    return v;
}

void add_record_verbs(CLI::App& app, Chosen& chosen) {
    const auto ring = add_records(app, chosen, "ring",
                                  "the last records of a ring, or its slots; * = not released",
                                  "  millrace inspect ring orders --last 5\n"
                                  "  millrace inspect ring orders --slots",
                                  run_ring);
    ring.app->add_option("--last", ring.options->last, "how many")->capture_default_str();
    ring.app->add_flag("--slots", ring.options->slots,
                       ". never written, r released, # ready, ! wrong");
    const auto dump =
        add_records(app, chosen, "dump", "records from a number on",
                    "  millrace inspect dump orders\n"
                    "  millrace inspect dump log --from 1000 --count 5 --hex\n"
                    "  millrace inspect dump effects --account gold-desk --type ORDER\n"
                    "  millrace inspect dump log --journal /backup/journal",
                    run_dump);
    dump.app->add_option("--from", dump.options->from, "first number; default: the oldest");
    dump.app->add_option("--count", dump.options->count, "how many at most");
    const auto tail = add_records(app, chosen, "tail", "the last records that match",
                                  "  millrace inspect tail log -n 20 --type SIGNAL", run_tail);
    tail.app->add_option("-n,--last", tail.options->last, "how many")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    const auto follow = add_records(app, chosen, "follow", "records as they come, until Ctrl-C",
                                    "  millrace inspect follow orders --account 7\n"
                                    "  millrace inspect follow log --json --timeout 1m",
                                    run_follow);
    follow.app->add_option("--from", follow.options->from, "first number; default: the next one");
    follow.app->add_option("--count", follow.options->count, "leave after so many");
    follow.app->add_option("--timeout", follow.options->timeout, "leave after so long");
    for (const auto& v : {dump, tail, follow}) {
        v.app->add_option("--journal", v.options->journal,
                          "journal directory; default: the segment's");
        add_filters(v);
    }
}

void add_judgements(CLI::App& app, Chosen& chosen) {
    const auto verify = add_verb<VerifyOptions>(
        app, chosen, "verify", "check every promise of segment and journal; 1 if one broke",
        "  millrace inspect verify\n  millrace inspect verify --with-journal\n"
        "  millrace inspect verify --journal /backup/journal",
        run_verify);
    add_segment(verify);
    verify.app->add_flag("--with-journal", verify.options->with_journal,
                         "files, snapshots and effects too (reads them all)");
    verify.app->add_option("--journal", verify.options->journal,
                           "this journal directory; without SEGMENT it alone");
    const auto diff = add_verb<DiffOptions>(
        app, chosen, "diff", "what differs between two segments or moments; 1 if anything",
        "  millrace inspect diff /tmp/before /dev/shm/millrace-demo\n"
        "  millrace inspect diff demo --every 1s --count 10",
        run_diff);
    add_segment(diff);
    diff.app->add_option("OTHER", diff.options->other, "the second segment or copy");
    diff.app->add_option("--every", diff.options->every, "the same segment, so much later");
    diff.app->add_option("--count", diff.options->count, "with --every: how often; 0 = for ever")
        ->capture_default_str();
    diff.app->add_flag("--all", diff.options->all, "ages, cycles and CPUs too");
    const auto recover = add_verb<RecoverOptions>(
        app, chosen, "recover", "what a start would do and why; 1 if it would be refused",
        "  millrace inspect recover --dry-run\n"
        "As after a reboot:\n  millrace inspect recover --dry-run --journal /var/lib/millrace",
        run_recover);
    add_segment(recover);
    recover.app->add_flag("--dry-run", recover.options->dry_run, "nothing else is offered");
    recover.app->add_option("--journal", recover.options->journal, "journal directory");
}

void add_wait(CLI::App& app, Chosen& chosen) {
    const auto wait = add_verb<WaitOptions>(
        app, chosen, "wait", "until all given conditions hold at once: 0; 1 if not in time",
        "  millrace inspect wait --ring orders --depth-below 10 --timeout 5s\n"
        "  millrace inspect wait --stage engine --timeout 30s\n"
        "  millrace inspect wait --sink sqlite --lag-below 1 --in-doubt-below 1",
        run_wait);
    add_segment(wait);
    WaitOptions& o = *wait.options;
    wait.app->add_option("--timeout", o.timeout, "500ms, 5s, 2m")->capture_default_str();
    wait.app->add_option("--ring", o.ring, "a ring, with one of the next two");
    wait.app->add_option("--depth-below", o.depth_below, "records not released < N");
    wait.app->add_option("--depth-above", o.depth_above, "records not released > N");
    wait.app->add_option("--stage", o.stage, "one that is alive and in --state (may yet appear)");
    wait.app->add_option("--state", o.state, "running, standby, ..., or alive, gone")
        ->capture_default_str();
    wait.app->add_option("--sink", o.sink, "journal, replica, sqlite, redis or clickhouse");
    wait.app->add_option("--lag-below", o.lag_below, "records that the sink lacks < N");
    wait.app->add_option("--durable", o.durable, "journal records on disk up to N or more");
    wait.app->add_option("--journal-seq", o.journal_seq, "journal records up to N or more");
    wait.app->add_option("--in-doubt-below", o.in_doubt_below, "orders IN_DOUBT < N");
    wait.app->add_option("--links-up", o.links_up, "accounts with a link that is up >= N");
    const auto exported = add_verb<ExportOptions>(
        app, chosen, "export", "Prometheus text, once",
        "  millrace inspect export > /var/lib/node_exporter/millrace.prom", run_export);
    add_segment(exported);
}

/// kOk if `word` is a verb (or an option); else says what there is.
int check_verb(CLI::App& app, const std::string& word) {
    std::vector<std::string> verbs;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
        verbs.push_back(verb->get_name());
    }
    if (word.empty() || word[0] == '-' ||
        std::find(verbs.begin(), verbs.end(), word) != verbs.end()) {
        return kOk;
    }
    const std::string near = closest(word, verbs);
    return fail(kUsage, "no verb called " + word +
                            (near.empty() ? "" : "; did you mean " + near + "?") +
                            " There is: " + joined(verbs, " "));
}

}  // namespace

int inspect_main(int argc, const char* const* argv) {
    Chosen chosen;
    CLI::App app{kIntro};
    app.name("millrace inspect");
    app.require_subcommand(1);
    app.get_formatter()->column_width(kVerbColumn);
    add_looks(app, chosen);
    add_record_verbs(app, chosen);
    add_judgements(app, chosen);
    add_wait(app, chosen);
    if (const int status = check_verb(app, argc > 1 ? argv[1] : ""); status != kOk) {
        return status;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kOk : kUsage;
    }
    return chosen.run ? chosen.run() : static_cast<int>(kUsage);
}

}  // namespace millrace::inspect
