#include "tools/millrace/tick_commands.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "persist/ticks/tick_query.h"
#include "shm/clock.h"
#include "shm/tick_table.h"
#include "tools/millrace/decimal.h"
#include "tools/millrace/locate.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/tick_config.h"

namespace millrace {
namespace {

using nlohmann::json;

constexpr std::int64_t kMillisecond = 1'000'000;

struct TickOptions {
    std::string config;
    std::string dir;
    std::vector<std::string> symbols;
    std::uint64_t feed = 0;
    std::int64_t from_ms = 0;
    std::int64_t to_ms = 0;
    std::int64_t last_s = 0;
    std::size_t limit = 1'000'000;
    bool json = false;
};

std::string name_of(const Text<16>& text) {
    return {text.bytes, ::strnlen(text.bytes, sizeof text.bytes)};
}

/// UTC with nanoseconds, as "2026-03-18T09:00:00.123000000Z".
std::string moment(Nanos at) {
    const std::time_t s = at.value / 1'000'000'000;
    std::tm utc{};
    ::gmtime_r(&s, &utc);
    char text[64];
    const std::size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(text + n, sizeof text - n, ".%09ldZ",
                  static_cast<long>(at.value % 1'000'000'000));
    return text;
}

const char* word(ticklog::GapResult result) {
    switch (result) {
        case ticklog::GapResult::Open: return "open";
        case ticklog::GapResult::Filled: return "filled";
        case ticklog::GapResult::Lost: return "lost";
    }
    return "?";
}

int latest(const TickOptions& o) {
    std::string message;
    const auto config = config_that_locates(o.config, message);
    if (!config) {
        return complain(message);
    }
    const std::string path = tick_table_path(config.value().name);
    auto map = TickTableMap::attach(path);
    if (!map) {
        return complain(path + ": " + map.error().what);
    }
    const TickTableReader table{std::move(map).value()};
    const std::int64_t now = table.now().value;
    json all = json::array();
    for (std::uint32_t i = 0; i < table.rows(); ++i) {
        const TickRow& row = table.row(i);
        const Quote q = table.latest(i);
        const std::string name = name_of(row.name);
        const bool wanted = o.symbols.empty() ||
                            std::find(o.symbols.begin(), o.symbols.end(), name) != o.symbols.end();
        if (!wanted || q.bid.value == 0) {
            continue;
        }
        all.push_back({{"symbol", name},
                       {"bid", format_decimal(q.bid.value)},
                       {"ask", format_decimal(q.ask.value)},
                       {"age_ms", (now - q.time.value) / kMillisecond},
                       {"feed", row.feed.load(std::memory_order_relaxed)},
                       {"updates", row.updates.load(std::memory_order_relaxed)}});
    }
    const std::int64_t silent_ms = (now - table.alive().value) / kMillisecond;
    if (o.json) {
        std::printf("%s\n", json{{"ticks", all}, {"writer_silent_ms", silent_ms}}.dump(2).c_str());
        return kExitOk;
    }
    std::printf("%-16s %14s %14s %10s %12s %12s\n", "symbol", "bid", "ask", "age ms", "feed",
                "updates");
    for (const json& t : all) {
        std::printf("%-16s %14s %14s %10ld %12lu %12lu\n", t.value("symbol", "").c_str(),
                    t.value("bid", "").c_str(), t.value("ask", "").c_str(), t.value("age_ms", 0L),
                    t.value("feed", 0UL), t.value("updates", 0UL));
    }
    if (silent_ms > 1'000) {
        std::fprintf(stderr, "millrace: millrace-ticks has been silent for %ld ms\n",
                     static_cast<long>(silent_ms));
    }
    return kExitOk;
}

/// The log's folder, and what of it is asked for.
bool locate_log(const TickOptions& o, std::string& dir, ticklog::QueryOptions& query,
                std::string& message) {
    dir = o.dir;
    if (dir.empty()) {
        const auto config = config_that_locates(o.config, message);
        if (!config) {
            return false;
        }
        dir = ticks_of(config.value()).dir;
    }
    query.feed = o.feed;
    query.ticks_max = o.limit;
    query.symbol = o.symbols.empty() ? "" : o.symbols.front();
    if (o.from_ms != 0) {
        query.range.from = Nanos{o.from_ms * kMillisecond};
    }
    if (o.to_ms != 0) {
        query.range.to = Nanos{o.to_ms * kMillisecond};
    }
    if (o.last_s != 0) {
        query.range.from = Nanos{wall_ns()} - seconds(o.last_s);
    }
    return true;
}

int finish(const std::string& dir, const std::vector<std::string>& bad) {
    for (const std::string& text : bad) {
        std::fprintf(stderr, "millrace: %s\n", text.c_str());
    }
    return ticklog::list_tick_files(dir).empty() ? complain("no tick log in " + dir) : kExitOk;
}

void dump(const TickOptions& o, const std::string& dir, const ticklog::QueryOptions& query,
          std::vector<std::string>& bad) {
    const auto ticks = ticklog::query_ticks(dir, query, bad);
    std::printf("time,symbol,bid,ask,feed,seq\n");
    for (const auto& t : ticks) {
        std::printf("%s,%s,%s,%s,%lu,%lu\n", moment(t.tick.time).c_str(),
                    name_of(t.key.symbol).c_str(), format_decimal(t.tick.bid.value).c_str(),
                    format_decimal(t.tick.ask.value).c_str(), t.key.feed, t.tick.seq);
    }
    if (ticks.size() == o.limit) {
        bad.push_back("cut after " + std::to_string(o.limit) + " ticks; --limit N for more");
    }
}

void gaps(const TickOptions& o, const std::string& dir, const ticklog::QueryOptions& query,
          std::vector<std::string>& bad) {
    const auto found = ticklog::query_gaps(dir, query, bad);
    json all = json::array();
    for (const auto& g : found) {
        all.push_back({{"symbol", name_of(g.key.symbol)},
                       {"feed", g.key.feed},
                       {"from", moment(g.from)},
                       {"to", moment(g.to)},
                       {"missing", g.missing},
                       {"filled", g.filled},
                       {"state", word(g.result)}});
    }
    if (o.json) {
        std::printf("%s\n", json{{"gaps", all}}.dump(2).c_str());
        return;
    }
    std::printf("%-16s %12s %-31s %-31s %8s %8s  %s\n", "symbol", "feed", "from", "to", "missing",
                "filled", "state");
    for (const json& g : all) {
        const std::string missing =
            g.value("missing", 0UL) == 0 ? "?" : std::to_string(g.value("missing", 0UL));
        std::printf("%-16s %12lu %-31s %-31s %8s %8lu  %s\n", g.value("symbol", "").c_str(),
                    g.value("feed", 0UL), g.value("from", "").c_str(), g.value("to", "").c_str(),
                    missing.c_str(), g.value("filled", 0UL), g.value("state", "").c_str());
    }
}

/// Lets `show` print what it reads in the log that `o` names.
template <auto show>
int from_log(const TickOptions& o) {
    std::string dir;
    std::string message;
    ticklog::QueryOptions query;
    if (o.symbols.size() > 1) {
        return complain("dump and gaps take one symbol, or none for all; " + o.symbols[1] +
                        " is one too many");
    }
    if (!locate_log(o, dir, query, message)) {
        return complain(message);
    }
    std::vector<std::string> bad;
    show(o, dir, query, bad);
    return finish(dir, bad);
}

void add_verb(CLI::App* to, Command& command, const char* verb, const char* help,
              int (*run)(const TickOptions&)) {
    CLI::App* sub = to->add_subcommand(verb, help);
    auto o = std::make_shared<TickOptions>();
    sub->add_option("-c,--config", o->config, "configuration file of the pipeline");
    sub->add_option("SYMBOL", o->symbols, "canonical names (dump, gaps: one; absent = all)");
    sub->add_flag("--json", o->json, "one JSON object (latest, gaps)");
    if (run != &latest) {
        sub->add_option("--dir", o->dir, "folder of the tick log, in place of a configuration");
        sub->add_option("--feed", o->feed, "login of the account whose terminal told them");
        sub->add_option("--from-ms", o->from_ms, "UTC epoch ms, inclusive");
        sub->add_option("--to-ms", o->to_ms, "UTC epoch ms, inclusive");
        sub->add_option("--last-s", o->last_s, "the last so many seconds");
        sub->add_option("--limit", o->limit, "ticks at most")->capture_default_str();
    }
    sub->callback([&command, o, run] { command.run = [o, run] { return run(*o); }; });
}

}  // namespace

void add_tick_commands(CLI::App& app, Command& command) {
    CLI::App* ticks =
        app.add_subcommand("ticks", "what terminals stream: latest, recorded, missing");
    ticks->require_subcommand(1);
    add_verb(ticks, command, "latest", "the latest quote of each symbol", &latest);
    add_verb(ticks, command, "dump", "recorded ticks as CSV, oldest first", &from_log<dump>);
    add_verb(ticks, command, "gaps", "ticks that were missing, and what became of them",
             &from_log<gaps>);
}

}  // namespace millrace
