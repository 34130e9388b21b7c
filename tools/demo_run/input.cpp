#include "tools/demo_run/input.h"

#include "shm/clock.h"
#include "tools/demo_run/recorded.h"
#include "tools/market/price_index.h"
#include "tools/market/shift.h"
#include "tools/market/text.h"
#include "tools/market/trade_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace millrace::demo {
namespace {

constexpr const char* kGeneratedSymbols[] = {"EURUSD", "GBPUSD", "AUDUSD", "XAUUSD"};
constexpr std::int64_t kTtlMsMin = 2'000;
/// Real time between the start of the market and the first signal: sessions come up in it.
constexpr double kLeadSeconds = 5.0;

std::string name_of(const std::string& path) {
    return std::filesystem::path{path}.filename().string();
}

std::string reason(const Error& error) {
    return error.sys_errno != 0 ? std::strerror(error.sys_errno) : error.what;
}

void generate_market(const Options& options, Input& input) {
    for (const char* name : kGeneratedSymbols) {
        input.symbols.push_back(market::infer_symbol(name, 0));
    }
    input.note.ticks = "generated, seed " + std::to_string(options.seed);
}

void generate_signals(const Options& options, Input& input) {
    input.note.signals = fmt::format("generated, seed {}, {} a second", options.seed, options.rate);
    GeneratedOptions go;
    go.seed = options.seed;
    go.rate = options.rate;
    go.groups = {"all", "hedging", "single"};
    if (options.accounts > 1) {
        go.groups.push_back("netting");
    }
    go.symbols = input.symbols;
    input.make_script = [go](const Lives& lives, QuoteOf quote_of, Nanos) {
        return std::make_unique<GeneratedScript>(go, lives, std::move(quote_of));
    };
}

void note_defects(const std::string& file, const market::TickDefects& d, InputNote& note) {
    const auto add = [&](const char* what, std::uint64_t count) {
        if (count > 0) {
            note.defects.emplace_back(name_of(file) + ": " + what, count);
        }
    };
    add("crossed quotes (bid above ask)", d.crossed);
    add("locked quotes (bid equals ask)", d.locked);
    add("exact repeats of the row before", d.repeats);
    add("time stamp of the row before", d.same_time);
    add("out of order, skipped", d.out_of_order);
    add("gaps of more than 60 s", d.gaps);
    add("zero or negative prices, skipped", d.bad_price);
    add("malformed lines, skipped", d.malformed);
    for (const std::string& example : d.examples) {
        note.notes.push_back(example);
    }
}

bool read_market(const Options& options, Input& input, market::PriceIndex& index,
                 std::string& message) {
    std::string about;
    auto read = market::PriceIndex::read(options.ticks, about);
    if (!read) {
        message = about + ": " + reason(read.error()) +
                  "; a tick file begins with time_ms,symbol,bid,ask,... or is an MT5 tick export";
        return false;
    }
    index = std::move(read.value());
    for (const std::string& file : options.ticks) {
        input.note.ticks += (input.note.ticks.empty() ? "" : ", ") + name_of(file);
    }
    for (const auto& [file, defects] : index.defects()) {
        note_defects(file, defects, input.note);
    }
    for (const Text<16>& symbol : index.symbols()) {
        input.symbols.push_back(index.info(symbol));
    }
    input.market.ticks = options.ticks;
    input.market.origin = index.begin();
    if (input.symbols.empty()) {
        message = "the tick files hold no quote; nothing can be played";
        return false;
    }
    return true;
}

/// The events that meet ticks; what is left out is counted by its reason.
std::vector<market::TradeEvent> choose_events(const Options& options,
                                              const market::PriceIndex& index,
                                              market::TradeFile file, InputNote& note) {
    const auto skip = [&note](const std::string& why, std::uint64_t count) {
        if (count > 0) {
            note.skipped.emplace_back(why, count);
        }
    };
    for (const auto& [why, rows] : file.report.left_out) {
        skip("rows: " + why, rows);
    }
    for (const auto& [why, rows] : file.report.by_broker) {
        skip("rows, the source's broker did it: " + why, rows);
    }
    if (options.shift_signals) {
        const market::ShiftReport shifted = market::shift_onto(file.events, index);
        note.notes.push_back("shifted: " + market::describe(shifted));
    }
    const market::Coverage c = market::coverage(file.events, index);
    auto events = market::covered_only(file.events, index);
    skip("trades outside the ticks' time", c.outside_time);
    skip("trades in symbols without ticks", c.outside_symbols);
    skip("trades whose opening was skipped", c.inside - events.size());
    return events;
}

bool read_signals(const Options& options, const market::PriceIndex& index, Input& input,
                  std::string& message) {
    auto file = market::read_trades(options.signals);
    if (!file) {
        message = options.signals + ": " + reason(file.error()) +
                  "; a trade file begins with time_ms,account,symbol,side,volume,...";
        return false;
    }
    input.note.signals = name_of(options.signals);
    RecordedOptions ro;
    ro.events = choose_events(options, index, std::move(file.value()), input.note);
    if (ro.events.empty()) {
        message = name_of(options.signals) +
                  " has no trade at the ticks' times and symbols; "
                  "--shift-signals moves it there";
        return false;
    }
    input.quotes_first = {std::string{market::view_of(ro.events.front().symbol)}};
    ro.speed = options.speed;
    ro.seed = options.seed;
    ro.origin = Nanos{ro.events.front().time.value -
                      static_cast<std::int64_t>(kLeadSeconds * 1e9 * options.speed)};
    input.market.origin = ro.origin;
    const double span =
        static_cast<double>((ro.events.back().time - ro.events.front().time).value) / 1e9;
    input.note.notes.push_back(
        fmt::format("{} events over {:.0f} s of recorded time: {:.0f} s at speed {:g}",
                    ro.events.size(), span, span / options.speed, options.speed));
    input.make_script = [ro](const Lives&, const QuoteOf&, Nanos market_start) {
        RecordedOptions now = ro;
        now.started_ns = wall_ns() - market_start.value;
        return std::make_unique<RecordedScript>(std::move(now));
    };
    return true;
}

}  // namespace

bool prepare_input(const Options& options, Input& input, std::string& message) {
    input.market.seed = options.seed;
    input.market.speed = options.speed;
    if (!options.recorded_ticks()) {
        generate_market(options, input);
        generate_signals(options, input);
        for (const market::SymbolInfo& symbol : input.symbols) {
            input.quotes_first.push_back(symbol.name);
        }
        return true;
    }
    market::PriceIndex index;
    if (!read_market(options, input, index, message)) {
        return false;
    }
    if (!options.recorded_signals()) {
        generate_signals(options, input);
        input.quotes_first = {input.symbols.front().name};  // others may begin days later
        return true;
    }
    // TTL is recorded time too, but this machine's own latency does not scale.
    const auto scaled = static_cast<std::int64_t>(kDefaultTtlMs / options.speed);
    input.ttl_ms =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(scaled, kTtlMsMin, 86'400'000));
    input.note.notes.push_back(fmt::format("a signal lives {} ms of real time", input.ttl_ms));
    return read_signals(options, index, input, message);
}

}  // namespace millrace::demo
