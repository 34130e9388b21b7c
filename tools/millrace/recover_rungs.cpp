#include "tools/millrace/recover_rungs.h"

#include <algorithm>
#include <ctime>

#include "persist/redis_primary.h"
#include "persist/sqlite_catch_up.h"
#include "shm/clock.h"
#include "tools/millrace/clickhouse_wiring.h"
#include "tools/millrace/decimal.h"
#include "tools/millrace/progress.h"
#include "tools/millrace/recover_backup.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace {
namespace {

/// One part in so many of the ledger stays free for new signals.
constexpr std::uint32_t kLedgerFreeShare = 8;
/// A query goes over years of rows, and nobody waits for it but an operator.
constexpr Nanos kClickHouseAnswer = seconds(120);

std::size_t open_positions(const StoredState& state) {
    return static_cast<std::size_t>(
        std::count_if(state.orders.begin(), state.orders.end(),
                      [](const RestoredOrder& o) { return o.open_volume.value > 0; }));
}

bool further(const EffectCursor& a, const EffectCursor& b) {
    return std::pair{a.epoch, a.seq} > std::pair{b.epoch, b.seq};
}

/// Two stores of which one cannot be the other's past.
bool differ(const StoredState& a, const StoredState& b) {
    const bool other = a.instance != 0 && b.instance != 0 && a.instance != b.instance;
    return other || (a.cursor.seq == b.cursor.seq && a.cursor.chain != b.cursor.chain);
}

std::string reach_of(const StoredState& state) {
    return "up to record " + std::to_string(state.cursor.seq.value) + " of epoch " +
           std::to_string(state.cursor.epoch) + ", newest time " + time_text(state.latest);
}

/// The store lacks what is damaged in it, the backup all that came after it: who knows which is
/// worse has to choose.
std::string choice_of(const StoredState& store, const StoredState& backup) {
    return "its newest whole backup is behind it: " + backup.where + ", " + reach_of(backup) +
           "; the store, " + reach_of(store) +
           ". `--from sqlite --take-backup` goes back to the backup, `--from sqlite "
           "--accept-gaps` takes the store";
}

/// No backup was read, and one that is there may be what is best of all: the room for a look at it
/// is lacking, or its disk is not mounted.
bool is_held_back(Errc code) {
    return code == Errc::NoSpace || code == Errc::IoError;
}

/// A store that lacks something, or in its place a backup that does not.
StoredState whole_one(StoredState state, const Config& config, const StoredLimits& limits,
                      StoreRung& rung) {
    std::string said = state.where + " is not whole, it lacks " + state.gaps.front();
    auto backup = read_newest_backup(config, limits, said);
    if (is_held_back(backup.code())) {
        rung.held = HeldBackup{std::nullopt, said};
        rung.why = said;
        return state;
    }
    if (!backup || !backup.value().gaps.empty() || differ(backup.value(), state)) {
        return state;
    }
    if (!limits.backup_will_do && further(state.cursor, backup.value().cursor)) {
        rung.held = HeldBackup{backup.value().cursor, choice_of(state, backup.value())};
        rung.why = limits.gaps_will_do ? rung.why : rung.held->why;
        return state;
    }
    rung.why = said;
    return std::move(backup).value();
}

/// The store, or in its place the newest backup that comes back whole.
Result<StoredState> read_sqlite(const Config& config, const StoredLimits& limits, StoreRung& rung) {
    auto state = read_sqlite_state(config.sqlite.path, limits, rung.why);
    if (state && !state.value().gaps.empty()) {
        return whole_one(std::move(state).value(), config, limits, rung);
    }
    const Errc why_not = state.code();
    const bool lost = why_not == Errc::NotFound || why_not == Errc::BadChecksum ||
                      why_not == Errc::BadLayout ||  // damage in its schema
                      why_not == Errc::BadCursor;    // or in the row that says how far it came
    if (state || !lost) {
        return state;
    }
    auto backup = read_newest_backup(config, limits, rung.why);
    return backup || is_held_back(backup.code()) ? std::move(backup) : std::move(state);
}

Result<StoredState> read_store(const Config& config, const StoredLimits& limits, StoreRung& rung) {
    if (rung.name == "redis") {
        StoredLimits more = limits;
        const EffectCursor sqlite =
            config.sqlite.enabled ? sqlite_cursor_at(config.sqlite.path) : EffectCursor{};
        more.newer_than = sqlite == EffectCursor{} ? more.newer_than : sqlite.seq;
        return read_redis_state(redis_place(config.redis), redis_store(config), more, rung.why);
    }
    if (rung.name == "clickhouse") {
        ClickHouseStoreOptions options = clickhouse_store(config);
        options.server.answer = std::max(options.server.answer, kClickHouseAnswer);
        return read_clickhouse_state(std::move(options), limits, rung.why);
    }
    return read_sqlite(config, limits, rung);
}

/// The same, with how it gets on for who waits at a terminal.
Result<StoredState> read_heard(const Config& config, StoredLimits limits, StoreRung& rung) {
    RowsOnTerminal rows;
    limits.heard = &rows;
    return read_store(config, limits, rung);
}

bool is_configured(const std::string& name, const Config& config) {
    return name == "redis"    ? config.redis.enabled
           : name == "sqlite" ? config.sqlite.enabled
                              : config.clickhouse.enabled;
}

}  // namespace

std::string time_text(Nanos at) {
    const auto t = static_cast<std::time_t>(at.value / 1'000'000'000);
    std::tm parts{};
    char text[32] = {};
    (void)::gmtime_r(&t, &parts);
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

StoredLimits stored_limits(const Config& config) {
    StoredLimits limits;
    limits.window_ns = config.risk.ledger_window_ns;
    limits.signals_max = config.capacity.ledger - config.capacity.ledger / kLedgerFreeShare;
    return limits;
}

StoreRung read_rung(const std::string& name, const Config& config, const StoredLimits& limits) {
    StoreRung rung;
    rung.name = name;
    if (!is_configured(name, config)) {
        rung.code = Errc::NotFound;
        rung.why = "is not configured";
        return rung;
    }
    tell_on_terminal("reading " + name + ", every row that counts: this may take minutes");
    const std::int64_t began = monotonic_ns();
    auto state = read_heard(config, limits, rung);
    rung.read_ns = monotonic_ns() - began;
    tell_on_terminal("  " + std::string{state ? "read in " : "given up after "} +
                     format_decimal(rung.read_ns / 10'000'000 * 1'000'000) + " s");
    rung.code = state.code();
    if (state && state.value().cursor.seq.value == 0) {
        rung.code = Errc::NotFound;
        rung.why = state.value().where + " is empty: it has followed no journal";
    } else if (state) {
        rung.state = std::move(state).value();
    }
    return rung;
}

std::vector<StoreRung> read_rungs(const Config& config, const StoredLimits& limits) {
    std::vector<StoreRung> rungs;
    for (const char* name : {"redis", "sqlite", "clickhouse"}) {
        rungs.push_back(read_rung(name, config, limits));
    }
    return rungs;
}

bool may_hold_more(const StoreRung& rung) noexcept {
    switch (rung.code) {
        case Errc::IoError:
        case Errc::Timeout:
        case Errc::Busy:
        case Errc::NotOwner:
        case Errc::NoSpace:
        case Errc::BadAuth:
        case Errc::BadFrame: return !rung.state;
        default: return false;  // it holds nothing, or nothing that this build could take
    }
}

namespace {

std::string no_whole_one(const std::vector<StoreRung>& rungs) {
    std::string why = "no store holds a whole state:";
    for (const StoreRung& rung : rungs) {
        why += "\n  " + rung.name + ": " + to_string(rung);
    }
    return why;
}

std::string not_to_be_read(const StoreRung& silent, const StoreRung* best) {
    const std::string instead =
        best == nullptr ? "name another store"
                        : "to do without it: `millrace recover --from " + best->name + "`";
    return silent.name +
           " cannot be read now, and may have come further than any other: " + silent.why +
           ". Wait until it can; " + instead;
}

/// What stands beside the best of the whole stores and may be more; empty if nothing is.
std::string held_beside(const StoreRung& best, const std::vector<StoreRung>& rungs) {
    for (const StoreRung& rung : rungs) {
        const bool behind = rung.held && rung.state &&
                            (!rung.held->cursor || differ(*best.state, *rung.state) ||
                             further(*rung.held->cursor, best.state->cursor));
        if (behind) {
            return best.name + ", " + reach_of(*best.state) + ", is whole, and a backup of " +
                   rung.name + " may have come further. " + rung.name + ": " + rung.held->why +
                   "; or `--from " + best.name + "` takes that";
        }
    }
    return {};
}

}  // namespace

const StoreRung* best_rung(const std::vector<StoreRung>& rungs, std::string& why) {
    const StoreRung* best = nullptr;
    const StoreRung* silent = nullptr;
    for (const StoreRung& rung : rungs) {
        silent = silent == nullptr && may_hold_more(rung) ? &rung : silent;
        if (!rung.state || !rung.state->gaps.empty()) {
            continue;
        }
        if (best != nullptr && differ(*best->state, *rung.state)) {
            why = best->name + " and " + rung.name +
                  " follow different journals: say which is meant, `millrace recover --from " +
                  best->name + "` or `--from " + rung.name + "`";
            return nullptr;
        }
        if (best == nullptr || further(rung.state->cursor, best->state->cursor)) {
            best = &rung;
        }
    }
    if (silent != nullptr) {
        why = not_to_be_read(*silent, best);
        return nullptr;
    }
    why = best == nullptr ? no_whole_one(rungs) : held_beside(*best, rungs);
    return why.empty() ? best : nullptr;
}

std::string to_string(const StoreRung& rung) {
    if (!rung.state) {
        return rung.why;
    }
    const StoredState& s = *rung.state;
    std::string text = s.where + ": " + reach_of(s) + "; " + std::to_string(s.signals.size()) +
                       " of " + std::to_string(s.signals_known) + " signals, " +
                       std::to_string(s.orders.size()) + " orders that matter, " +
                       std::to_string(open_positions(s)) + " open positions";
    if (s.gaps.empty()) {
        return text + "; read and checked whole";
    }
    return text + "; NOT WHOLE, it lacks " + s.gaps.front() +
           (s.gaps.size() > 1 ? " and " + std::to_string(s.gaps.size() - 1) + " more" : "") +
           (rung.why.empty() ? "" : "; " + rung.why);
}

}  // namespace millrace
