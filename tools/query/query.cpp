#include "tools/query/query.h"

#include <cstdio>
#include <map>
#include <memory>

#include "core/types.h"
#include "shm/clock.h"
#include "tools/millrace/config.h"
#include "tools/millrace/json_doc.h"
#include "tools/millrace/stages.h"
#include "tools/query/print.h"

namespace millrace {
namespace {

constexpr std::uint32_t kRowsMax = 1'000'000;  // they are held in memory

struct Asked {
    HistoryQuery query;
    HistoryFormat format = HistoryFormat::Table;
    std::string config;
    std::string store;
    std::string since;
    std::string until;
    std::uint64_t order = 0;  // magic or intent
};

/// Where the store is: as given, or as the configuration says.
bool find_store(Asked& asked) {
    if (!asked.store.empty()) {
        return true;
    }
    std::vector<Mistake> mistakes;
    const Config config = read_config(asked.config, mistakes);
    for (const Mistake& m : mistakes) {
        std::fprintf(stderr, "%s\n", to_string(m).c_str());
    }
    asked.store = config.sqlite.path;
    return mistakes.empty();
}

bool read_moment(const char* option, const std::string& text, std::optional<std::int64_t>& out) {
    out = text.empty() ? std::nullopt : parse_moment(text, wall_ns());
    if (!text.empty() && !out) {
        std::fprintf(stderr,
                     "%s %s: not a time. Give 2026-03-18, 2026-03-18T09:30:00Z (UTC), or a time "
                     "back from now: 90s, 15m, 2h, 7d\n",
                     option, text.c_str());
    }
    return text.empty() || out.has_value();
}

int query(Asked& asked) {
    if (!find_store(asked)) {
        return kExitBadConfig;
    }
    if (!read_moment("--since", asked.since, asked.query.since) ||
        !read_moment("--until", asked.until, asked.query.until)) {
        return kExitError;
    }
    asked.query.intent = Magic{asked.order}.tag() != 0 ? Magic{asked.order}.intent() : asked.order;
    std::string message;
    const auto history = ask_history(asked.store, asked.query, message);
    if (!history) {
        std::fprintf(stderr, "%s\n", message.c_str());
        return kExitError;
    }
    const std::string text = print_history(*history, asked.format);
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (history->more) {
        std::fprintf(stderr, "only the newest %u; --limit shows more\n", asked.query.limit);
    }
    return written ? kExitOk : kExitError;
}

}  // namespace

void add_query_command(CLI::App& app, Command& command) {
    auto asked = std::make_shared<Asked>();
    CLI::App* sub = app.add_subcommand(
        "query",
        "what happened: orders, executions, positions, signals, accounts or alerts, newest first");
    const std::map<std::string, HistoryOf> kinds{
        {"orders", HistoryOf::Orders},       {"executions", HistoryOf::Executions},
        {"positions", HistoryOf::Positions}, {"signals", HistoryOf::Signals},
        {"accounts", HistoryOf::Accounts},   {"alerts", HistoryOf::Alerts}};
    const std::map<std::string, HistoryFormat> formats{{"table", HistoryFormat::Table},
                                                       {"csv", HistoryFormat::Csv},
                                                       {"json", HistoryFormat::Json}};
    sub->add_option("what", asked->query.of,
                    "orders, executions, positions, signals, accounts, alerts")
        ->required()
        ->transform(CLI::CheckedTransformer(kinds));
    auto* config = sub->add_option("-c,--config", asked->config, "configuration of the pipeline");
    auto* store = sub->add_option("--store", asked->store, "the SQLite file itself");
    config->excludes(store);
    sub->add_option("-a,--account", asked->query.account, "name or number of an account");
    sub->add_option("--signal", asked->query.signal, "id of a signal (UUID)");
    sub->add_option("--order", asked->order, "magic number or number of an order");
    sub->add_flag("--open", asked->query.open_only, "only what is open now");
    sub->add_option("--since", asked->since, "from this time on (UTC, or 15m = 15 minutes ago)");
    sub->add_option("--until", asked->until, "before this time");
    sub->add_option("-n,--limit", asked->query.limit, "rows at most (default 1000)")
        ->check(CLI::Range(1U, kRowsMax));
    sub->add_option("-f,--format", asked->format, "table (default), csv or json")
        ->transform(CLI::CheckedTransformer(formats));
    sub->callback([asked, &command, config, store] {
        if (config->count() + store->count() == 0) {
            throw CLI::RequiredError{"--config or --store"};
        }
        command.run = [asked] { return query(*asked); };
    });
}

}  // namespace millrace
