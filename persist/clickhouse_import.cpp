// The engine's state out of ClickHouse: the newest row of each thing that still matters, as of the
// cursor. A table may hold years, so only those are asked for.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <set>
#include <type_traits>
#include <utility>

#include "core/order_command.h"
#include "persist/clickhouse_row.h"
#include "persist/clickhouse_store.h"
#include "persist/stored_fold.h"
#include "persist/stored_state.h"

namespace millrace {
namespace {

using clickhouse::each_column;
using clickhouse::Row;

/// Ids in one statement: far below the 256 KiB that a server takes.
constexpr std::size_t kIdsMax = 2'000;
constexpr const char* kFinal = "(50, 52, 56, 67)";  // OrdStatus Filled, Canceled, Rejected, Expired
constexpr const char* kIntent = "bitAnd(bitShiftRight(magic, 3), 35184372088831)";  // of a magic

// ---- RowBinary, back ---------------------------------------------------------------------------

class Bytes {
public:
    explicit Bytes(std::string_view all) noexcept : left_{all} {}

    template <class T>
    void get(T& value) noexcept {
        if constexpr (std::is_same_v<T, SignalId>) {
            get(value.hi);
            get(value.lo);
        } else if constexpr (std::is_same_v<T, std::string_view>) {
            std::uint8_t size = 0;  // one byte of LEB128: below 128
            get(size);
            value = take(size);
        } else {
            const std::string_view bytes = take(sizeof value);
            std::memcpy(&value, bytes.data(), bytes.size());
        }
    }
    [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
    [[nodiscard]] bool ok() const noexcept { return ok_; }

private:
    std::string_view take(std::size_t n) noexcept {
        ok_ = ok_ && n <= left_.size();
        const std::string_view taken = left_.substr(0, ok_ ? n : 0);
        left_.remove_prefix(taken.size());
        return taken;
    }
    std::string_view left_;
    bool ok_ = true;
};

DefinitionRow definition(const Row& r) noexcept {
    DefinitionRow d;
    d.kind = r.def_kind.empty() ? '\0' : r.def_kind[0];
    d.id = r.def_id;
    d.state = r.def_state;
    r.name.copy(d.name.bytes, sizeof d.name.bytes);
    return d;
}
SignalRow signal(const Row& r) noexcept {
    SignalRow s;
    s.id = r.signal;
    s.target = r.target;
    s.source = SourceId{r.source};
    s.group = GroupId{r.grp};
    s.symbol = SymbolId{r.symbol};
    s.action = static_cast<SignalAction>(r.type);
    s.side = static_cast<Side>(r.side);
    s.price_kind = static_cast<PriceKind>(r.price_kind);
    s.done = r.done;
    s.reason = r.reason;
    s.accounts = r.accounts;
    s.filled = r.filled;
    s.rejected = r.rejected;
    s.volume = Lots{r.volume};
    s.price = Price{r.price};
    s.stop_loss = Price{r.stop_loss};
    s.take_profit = Price{r.take_profit};
    s.send_time = Nanos{r.send_ns};
    s.accepted_time = Nanos{r.accepted_ns};
    return s;
}
OrderRow order(const Row& r) noexcept {
    OrderRow o;
    o.magic = Magic{r.magic};
    o.signal = r.signal;
    o.account = AccountId{r.account};
    o.symbol = SymbolId{r.symbol};
    o.type = r.type;
    o.side = static_cast<Side>(r.side);
    o.price_kind = static_cast<PriceKind>(r.price_kind);
    o.status = static_cast<OrdStatus>(r.status);
    o.reason = r.reason;
    o.attempts = r.attempts;
    o.retcode = r.retcode;
    o.volume = Lots{r.volume};
    o.cum_volume = Lots{r.cum_volume};
    o.price = Price{r.price};
    o.avg_price = Price{r.avg_price};
    o.stop_loss = Price{r.stop_loss};
    o.take_profit = Price{r.take_profit};
    o.order_ticket = r.order_ticket;
    o.position_id = r.position_id;
    o.created = Nanos{r.created_ns};
    o.deadline = Nanos{r.deadline_ns};
    return o;
}
ExecutionRow execution(const Row& r) noexcept {
    ExecutionRow e;
    e.deal_ticket = r.deal_ticket;
    e.magic = Magic{r.magic};
    e.account = AccountId{r.account};
    return e;
}
PositionRow position(const Row& r) noexcept {
    PositionRow p;
    p.account = AccountId{r.account};
    p.symbol = SymbolId{r.symbol};
    p.position_id = r.position_id;
    p.magic = Magic{r.magic};
    p.signal = r.signal;
    p.side = static_cast<Side>(r.side);
    p.volume = Lots{r.volume};
    p.open_price = Price{r.price};
    p.stop_loss = Price{r.stop_loss};
    p.take_profit = Price{r.take_profit};
    return p;
}
AccountRow account(const Row& r) noexcept {
    AccountRow a;
    a.account = AccountId{r.account};
    a.state = static_cast<AccountState>(r.state);
    a.link = static_cast<LinkState>(r.link);
    a.permissions = r.permissions;
    a.equity = Money{r.equity};
    a.balance = Money{r.balance};
    a.live_orders = r.live_orders;
    a.open_positions = r.open_positions;
    return a;
}

Effect effect_of(EffectKind kind, const Row& row) noexcept {
    Effect e;
    switch (kind) {
        case EffectKind::Definition: e = Effect::make(kind, definition(row)); break;
        case EffectKind::Signal: e = Effect::make(kind, signal(row)); break;
        case EffectKind::Order: e = Effect::make(kind, order(row)); break;
        case EffectKind::Execution: e = Effect::make(kind, execution(row)); break;
        case EffectKind::Position: e = Effect::make(kind, position(row)); break;
        case EffectKind::Account: e = Effect::make(kind, account(row)); break;
        case EffectKind::Alert: e.kind = kind; break;  // only counted
    }
    e.seq = Sequence{row.seq};
    e.k = row.k;
    e.time = Nanos{row.time_ns};
    return e;
}

std::string columns_of(EffectKind kind) {
    std::string list;
    for (const ClickHouseColumn& c : clickhouse_columns()) {
        if (clickhouse_uses(c, kind)) {
            list += (list.empty() ? "" : ", ") + c.name;
        }
    }
    return list;
}

std::string text_of(const SignalId& id) {
    char text[40];
    (void)std::snprintf(text, sizeof text, "'%08x-%04x-%04x-%04x-%012llx'",
                        static_cast<unsigned>(id.hi >> 32U),
                        static_cast<unsigned>((id.hi >> 16U) & 0xFFFFU),
                        static_cast<unsigned>(id.hi & 0xFFFFU), static_cast<unsigned>(id.lo >> 48U),
                        static_cast<unsigned long long>(id.lo & 0xFFFF'FFFF'FFFFULL));
    return text;
}
std::string text_of(std::uint64_t id) {
    return std::to_string(id);
}

// ---- what is asked -----------------------------------------------------------------------------

class Reader {
public:
    Reader(ClickHouseStore& store, const StoredLimits& limits, std::string& message)
        : store_{store}, limits_{limits}, message_{message} {}

    [[nodiscard]] Result<StoredState> read() {
        Status done = open();
        for (const auto step : {&Reader::read_facts, &Reader::read_standing, &Reader::read_orders,
                                &Reader::read_targets, &Reader::read_closes, &Reader::read_deals,
                                &Reader::read_signals}) {
            done = done ? (this->*step)() : done;
        }
        if (!done) {
            return done.error();
        }
        fold_.finish(limits_, state_);
        state_.signals_known = signals_known_;
        return std::move(state_);
    }

private:
    using OnEffect = std::function<void(const Effect&)>;

    Error fail(Errc code, const std::string& text) {
        message_ = store_.options().server.url + ": " + text;
        return {code, 0, "clickhouse"};
    }

    Status open() {
        if (Status opened = store_.open(); !opened) {
            return fail(opened.code(), store_.message());
        }
        if (store_.cursor() == EffectCursor{}) {
            return fail(Errc::NotFound, "nothing is in " + store_.table());
        }
        state_.where = store_.options().server.url + ", " + store_.table() + ", history " +
                       std::to_string(store_.place().history);
        state_.cursor = store_.cursor();
        state_.instance = store_.facts().instance;
        if (!store_.facts().whole) {
            state_.gaps.push_back(
                "what stood before its history began: that began with an effects log of which "
                "retention had taken the beginning, or was written by an older build");
        }
        return ok_status();
    }

    /// Rows of this log, in the table as it is.
    [[nodiscard]] std::string rows_of(EffectKind kind) const {
        return store_.table() + " FINAL WHERE history = " + std::to_string(store_.place().history) +
               " AND kind = " + std::to_string(static_cast<unsigned>(kind));
    }

    /// The newest row of each thing of `kind` among those that `among` lets by.
    /// @param tail conditions on the newest ones, an order, a limit.
    Status each(EffectKind kind, const std::string& among, const std::string& tail,
                const OnEffect& take) {
        const std::string key = clickhouse_key(kind);
        const std::string columns = columns_of(kind);
        const auto answer = store_.query(
            "SELECT " + columns + " FROM (SELECT " + columns + " FROM " + rows_of(kind) +
            (among.empty() ? "" : " AND " + among) + " ORDER BY " + key +
            ", seq DESC, k DESC LIMIT 1 BY " + key + ") AS newest " + tail + " FORMAT RowBinary");
        if (!answer) {
            return fail(answer.code(), store_.message());
        }
        for (Bytes bytes{answer.value()}; !bytes.empty();) {
            Row row;
            each_column(row, [&](const char*, auto& field, unsigned kinds) {
                if (kinds == 0 || (kinds & clickhouse::bit(kind)) != 0) {
                    bytes.get(field);
                }
            });
            if (!bytes.ok()) {
                return fail(Errc::BadChecksum, "a row ends in its middle");
            }
            take(effect_of(kind, row));
            ++rows_;
            if (limits_.heard != nullptr) {
                limits_.heard->rows(rows_);
            }
        }
        return ok_status();
    }

    /// The same of the rows in which `column` is one of `ids`.
    template <class Id>
    Status each_of(EffectKind kind, const std::string& column, const std::set<Id>& ids,
                   const std::string& among, const OnEffect& take) {
        Status done = ok_status();
        for (auto id = ids.begin(); done && id != ids.end();) {
            std::string list;
            for (std::size_t n = 0; n < kIdsMax && id != ids.end(); ++n, ++id) {
                list += (list.empty() ? "" : ", ") + text_of(*id);
            }
            done = each(kind, column + " IN (" + list + ")" + among, "", take);
        }
        return done;
    }

    Result<std::uint64_t> number(const std::string& sql) {
        const auto answer = store_.query(sql + " FORMAT TabSeparated");
        std::uint64_t value = 0;
        if (!answer) {
            return fail(answer.code(), store_.message());
        }
        const std::string& text = answer.value();
        const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
        return end.ec == std::errc{} ? Result<std::uint64_t>{value}
                                     : fail(Errc::BadFrame, "no number: " + text);
    }

    Status read_facts() {
        const auto intent = number("SELECT max(intent) FROM " + rows_of(EffectKind::Order));
        const auto kills =
            number("SELECT count() FROM " + rows_of(EffectKind::Alert) + " AND code = 5");
        const auto latest = number("SELECT toUInt64(max(time_ns)) FROM " + store_.table() +
                                   " WHERE history = " + std::to_string(store_.place().history));
        const auto signals = number("SELECT uniqExact(toString(signal)) FROM " +
                                    rows_of(EffectKind::Signal) + " AND reason = 0");
        for (const auto* one : {&intent, &kills, &latest, &signals}) {
            if (!*one) {
                return one->error();
            }
        }
        state_.intent = intent.value();
        state_.kill_used = kills.value() > 0;
        state_.latest = Nanos{static_cast<std::int64_t>(latest.value())};
        signals_known_ = signals.value();
        return ok_status();
    }

    /// What there is few of, and all positions that are open.
    Status read_standing() {
        const OnEffect add = [this](const Effect& e) { fold_.add(e); };
        Status done = each(EffectKind::Definition, "", "", add);
        done = done ? each(EffectKind::Account, "", "", add) : done;
        return done ? each(EffectKind::Position, "", "WHERE volume > 0",
                           [this](const Effect& e) {
                               fold_.add(e);
                               wanted_.insert(e.as<PositionRow>().magic.intent());
                           })
                    : done;
    }

    /// Live ones and those that opened what is open, with their signals.
    Status read_orders() {
        const OnEffect take = [this](const Effect& e) { add_order(e); };
        Status done = each(EffectKind::Order, "", std::string{"WHERE status NOT IN "} + kFinal,
                           [this](const Effect& e) {
                               add_order(e);
                               const auto row = e.as<OrderRow>();
                               wanted_.erase(row.magic.intent());
                               if (row.type != static_cast<std::uint8_t>(CommandType::Open)) {
                                   acting_.insert(row.signal);
                               }
                           });
        done = done ? each_of(EffectKind::Order, "intent", wanted_, "", take) : done;
        return done ? read_signals_of(new_signals_) : done;
    }

    void add_order(const Effect& e) {
        const auto row = e.as<OrderRow>();
        fold_.add(e);
        intents_.insert(row.magic.intent());
        new_signals_.insert(row.signal);
        if (row.type == static_cast<std::uint8_t>(CommandType::Open)) {
            opening_.insert(row.signal);
        }
    }

    Status read_signals_of(std::set<SignalId>& ids) {
        const std::set<SignalId> asked = std::exchange(ids, {});
        return each_of(EffectKind::Signal, "toString(signal)", asked, " AND reason = 0",
                       [this](const Effect& e) { add_signal(e); });
    }
    void add_signal(const Effect& e) {
        const auto row = e.as<SignalRow>();
        fold_.add(e);
        if (acting_.contains(row.id)) {
            targets_.insert(row.target);
        }
    }

    /// What live closes, modifications and cancels act on.
    Status read_targets() {
        Status done = each_of(EffectKind::Order, "toString(signal)", targets_, " AND type = 1",
                              [this](const Effect& e) { add_order(e); });
        return done ? read_signals_of(new_signals_) : done;
    }

    /// Closes of what is open or acted on: they have claimed their share of it.
    Status read_closes() {
        std::set<SignalId> closes;
        Status done = each_of(EffectKind::Signal, "toString(target)", opening_,
                              " AND reason = 0 AND type = 2", [&](const Effect& e) {
                                  fold_.add(e);
                                  closes.insert(e.as<SignalRow>().id);
                              });
        return done ? each_of(EffectKind::Order, "toString(signal)", closes, " AND type = 2",
                              [this](const Effect& e) { fold_.add(e); })
                    : done;
    }

    Status read_deals() {
        return each_of(EffectKind::Execution, kIntent, intents_, "",
                       [this](const Effect& e) { fold_.add(e); });
    }

    /// Those that the ledger will remember.
    Status read_signals() {
        return each(EffectKind::Signal, "reason = 0",
                    "WHERE accepted_ns > " +
                        std::to_string(state_.latest.value - limits_.window_ns) +
                        " ORDER BY accepted_ns DESC LIMIT " + std::to_string(limits_.signals_max),
                    [this](const Effect& e) { fold_.add(e); });
    }

    ClickHouseStore& store_;
    const StoredLimits& limits_;
    std::string& message_;
    StoredState state_;
    StoredFold fold_;
    std::uint64_t signals_known_ = 0;
    std::uint64_t rows_ = 0;
    std::set<std::uint64_t> wanted_;   // orders of open positions, not read yet
    std::set<std::uint64_t> intents_;  // orders read whose deals count
    std::set<SignalId> new_signals_;   // of orders read, not read yet
    std::set<SignalId> opening_;       // of orders read that open
    std::set<SignalId> acting_;        // of live orders that act on another signal's
    std::set<SignalId> targets_;       // those other signals
};

}  // namespace

Result<StoredState> read_clickhouse_state(ClickHouseStoreOptions options,
                                          const StoredLimits& limits, std::string& message) {
    options.make = false;
    ClickHouseStore store{std::move(options)};
    return Reader{store, limits, message}.read();
}

}  // namespace millrace
