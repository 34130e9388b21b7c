// The engine's state out of the SQLite store: one reading transaction, nothing is changed.
#include "persist/stored_state.h"

#include "persist/sqlite_cursor.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_needed.h"
#include "persist/sqlite_rows.h"
#include "persist/sqlite_schema.h"
#include "persist/stored_fold.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 5'000;

/// Of each target of closes that live or executed: intent, sum of the closes' volumes. A signal
/// that closes an order, its rest and a second execution has an order for each and one volume.
std::string close_shares() {
    return std::string{
               "SELECT intent, sum(volume) FROM (SELECT DISTINCT p.intent, s.id, s.volume"
               " FROM orders AS c JOIN signals AS s"
               " ON s.id = c.signal JOIN orders AS p ON p.signal = s.target"
               " AND p.account = c.account AND p.type = 1 WHERE c.type = 2 AND (c.cum_volume > 0"
               " OR "} +
           kSqliteLive + ")) GROUP BY intent";
}

class Reader {
public:
    Reader(SqliteDb& db, const StoredLimits& limits, StoredState& state)
        : db_{db}, limits_{limits}, state_{state} {}

    [[nodiscard]] Status read() {
        Status done = read_cursor();
        for (const auto step :
             {&Reader::read_definitions, &Reader::read_orders, &Reader::read_positions,
              &Reader::read_deals, &Reader::read_signals}) {
            done = done ? (this->*step)() : done;
        }
        if (done && odd_ > 0) {
            state_.gaps.push_back(std::to_string(odd_) +
                                  " rows with values that are stored as what they are not: a bit "
                                  "was flipped, and what else is wrong in them shows nowhere");
        }
        return done;
    }

private:
    /// Calls `take(statement)` for each row of `sql`.
    template <class Take>
    Status each(const std::string& sql, Take take) {
        auto rows = db_.prepare(sql);
        if (!rows) {
            return rows.error();
        }
        for (;;) {
            const auto row = rows.value().row();
            if (!row) {
                return row.error();
            }
            if (!row.value()) {
                return ok_status();
            }
            take(rows.value());
            ++rows_;
            if (limits_.heard != nullptr) {
                limits_.heard->rows(rows_);
            }
        }
    }

    template <class Row>
    Row get(const SqliteStatement& s, EffectKind kind) {
        const StoredRow stored = sqlite_get(s, kind);
        odd_ += stored.as_put ? 0 : 1;
        return stored.effect.as<Row>();
    }

    Status number(const std::string& sql, std::uint64_t& to) {
        const auto found = db_.number(sql);
        to = found ? static_cast<std::uint64_t>(found.value()) : 0;
        return found ? ok_status() : Status{found.error()};
    }

    Status read_cursor() {
        const auto row = read_sqlite_cursor(db_);
        if (!row) {
            return row.error();
        }
        std::uint64_t latest = 0;
        std::uint64_t kills = 0;
        state_.cursor = row.value().cursor;
        state_.instance = row.value().instance;
        if (!row.value().whole) {
            state_.gaps.push_back(
                "what stood before it was filled: it was filled from an effects log of which "
                "retention had taken the beginning");
        }
        Status done = number("SELECT coalesce(max(intent), 0) FROM orders", state_.intent);
        done = done ? number("SELECT count(*) FROM signals WHERE reason = 0", state_.signals_known)
                    : done;
        done = done ? number("SELECT count(*) FROM alerts WHERE code = 5", kills) : done;
        const char* const newest =
            "SELECT coalesce(max(t), 0) FROM (SELECT max(time_ns) AS t FROM signals"
            " UNION SELECT max(time_ns) FROM orders UNION SELECT max(time_ns) FROM accounts)";
        done = done ? number(newest, latest) : done;
        state_.latest = Nanos{static_cast<std::int64_t>(latest)};
        state_.kill_used = kills > 0;
        return done;
    }

    Status read_definitions() {
        Status done = each(sqlite_select(EffectKind::Definition, false), [this](const auto& s) {
            state_.definitions.push_back(get<DefinitionRow>(s, EffectKind::Definition));
        });
        return done ? each(sqlite_select(EffectKind::Account, false),
                           [this](const auto& s) {
                               state_.accounts.push_back(get<AccountRow>(s, EffectKind::Account));
                           })
                    : done;
    }

    Status read_orders() {
        Status done = each(sqlite_select(EffectKind::Order, false) + " WHERE intent IN (" +
                               sqlite_needed_intents() + ") ORDER BY intent",
                           [this](const auto& s) {
                               RestoredOrder order;
                               order.row = get<OrderRow>(s, EffectKind::Order);
                               state_.orders.push_back(order);
                           });
        return done ? each(close_shares(),
                           [this](const auto& s) {
                               const auto intent = static_cast<std::uint64_t>(s.column(0));
                               if (RestoredOrder* o = find_order(state_, intent); o != nullptr) {
                                   o->close_shares = Lots{s.column(1)};
                               }
                           })
                    : done;
    }

    Status read_positions() {
        return each(sqlite_select(EffectKind::Position, false) + " WHERE volume > 0",
                    [this](const auto& s) {
                        const auto row = get<PositionRow>(s, EffectKind::Position);
                        if (RestoredOrder* o = find_order(state_, row.magic.intent());
                            o != nullptr) {
                            put_position(row, *o);
                        } else {
                            note_lost_order(state_, row);
                        }
                    });
    }

    /// What was counted already must not count again when its terminal tells it again.
    Status read_deals() {
        auto deals = db_.prepare(
            "SELECT deal_ticket FROM executions WHERE magic BETWEEN ? AND ?"
            " ORDER BY seq DESC, k DESC LIMIT 4");
        if (!deals) {
            return deals.error();
        }
        for (RestoredOrder& order : state_.orders) {
            const auto first = static_cast<std::int64_t>(order.row.magic.value & ~std::uint64_t{7});
            deals.value().bind(first).bind(first + 7);
            for (std::size_t n = 0;; ++n) {
                const auto row = deals.value().row();
                if (!row) {
                    return row.error();
                }
                if (!row.value()) {
                    break;
                }
                order.deals[n] = static_cast<std::uint64_t>(deals.value().column(0));
            }
        }
        return ok_status();
    }

    Status read_signals() {
        const std::string since = std::to_string(state_.latest.value - limits_.window_ns);
        const std::string of_orders =
            "SELECT signal FROM orders WHERE intent IN (" + sqlite_needed_intents() + ")";
        Status done = each(sqlite_select(EffectKind::Signal, false) +
                               " WHERE reason = 0 AND (accepted_ns > " + since + " OR id IN (" +
                               of_orders + ")) ORDER BY accepted_ns, seq, k",
                           [this](const auto& s) {
                               state_.signals.push_back(get<SignalRow>(s, EffectKind::Signal));
                           });
        keep_newest_signals(state_, limits_);
        note_lost_signals(state_);
        return done;
    }

    SqliteDb& db_;
    const StoredLimits& limits_;
    StoredState& state_;
    std::uint64_t rows_ = 0;
    std::uint64_t odd_ = 0;  // of those, not as they were written
};

/// Refuses what is damaged, not ours, or of a newer build.
Status check(SqliteDb& db) {
    const auto whole = db.text("PRAGMA integrity_check(1)");
    if (!whole || whole.value() != "ok") {
        return {whole ? Errc::BadChecksum : whole.code(), "integrity_check found damage"};
    }
    const auto id = db.number("PRAGMA application_id");
    const auto version = db.number("PRAGMA user_version");
    if (!id || !version) {
        return {Errc::IoError, "its header cannot be read"};
    }
    if (id.value() != kSqliteApplicationId || version.value() < 2) {
        return {Errc::BadMagic, "it is no store of ours, or too old a one"};
    }
    return version.value() > sqlite_schema_version()
               ? Status{Errc::BadVersion, "it was made by a newer build; use that one"}
               : ok_status();
}

}  // namespace

Result<StoredState> read_sqlite_state(const std::string& path, const StoredLimits& limits,
                                      std::string& message) {
    if (!sqlite_file_exists(path)) {
        message = path + " is not there";
        return {Errc::NotFound, "no SQLite store"};
    }
    StoredState state;
    state.where = path;
    SqliteDb db;
    Status done = db.open(path, kBusyMs, SqliteOpen::ReadOnly);
    done = done ? check(db) : done;
    done = done ? db.exec("BEGIN") : done;  // one moment, should somebody write
    done = done ? Reader{db, limits, state}.read() : done;
    if (!done) {
        message = path + ": " + done.error().what;
        return done.error();
    }
    return state;
}

}  // namespace millrace
