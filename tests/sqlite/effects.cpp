#include "tests/sqlite/effects.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "persist/sqlite_files.h"
#include "tests/shm/error_log.h"
#include "tests/shm/small_segment.h"

namespace millrace::sqlite_test {
namespace {

constexpr std::uint64_t kLife = 12;  // records from a signal to its last effect

SignalRow signal_row(std::uint64_t n, std::uint64_t phase, std::uint64_t salt) {
    SignalRow r;
    r.id = {0x0123456789ABCDEFULL + salt, n};
    r.source = SourceId{1};
    r.group = GroupId{2};
    r.symbol = SymbolId{3};
    r.action = SignalAction::Open;
    r.accounts = 2;
    r.filled = phase >= 6 ? 2 : 0;
    r.done = phase >= 6 ? 1 : 0;
    r.volume = Lots{kScale / 10};
    r.accepted_time = seconds(static_cast<std::int64_t>(n));
    return r;
}

OrderRow order_row(std::uint64_t n, std::uint64_t account, OrdStatus status, std::uint64_t salt) {
    OrderRow r;
    r.magic = Magic::make(0x4D52, n * 2 + account, 0);
    r.signal = {0x0123456789ABCDEFULL + salt, n};
    r.account = AccountId{static_cast<std::uint32_t>(account)};
    r.symbol = SymbolId{3};
    r.type = 1;
    r.status = status;
    r.attempts = 1;
    r.volume = Lots{kScale / 10};
    r.cum_volume = status == OrdStatus::Filled ? r.volume : Lots{};
    r.avg_price = Price{123'456'000'000 + static_cast<std::int64_t>(salt)};
    r.created = seconds(static_cast<std::int64_t>(n));
    return r;
}

void add_fill(std::vector<Effect>& out, std::uint64_t n, std::uint64_t account,
              std::uint64_t salt) {
    ExecutionRow x;
    x.deal_ticket = n * 10 + account;
    x.magic = Magic::make(0x4D52, n * 2 + account, 0);
    x.account = AccountId{static_cast<std::uint32_t>(account)};
    x.volume = Lots{kScale / 10};
    x.price = Price{123'456'000'000};
    out.push_back(Effect::make(EffectKind::Execution, x));
    PositionRow p;
    p.account = x.account;
    p.position_id = n * 100 + account;
    p.magic = x.magic;
    p.signal = {0x0123456789ABCDEFULL + salt, n};
    p.volume = x.volume;
    out.push_back(Effect::make(EffectKind::Position, p));
}

void add_names(std::vector<Effect>& out) {
    out.push_back(Effect::make(EffectKind::Definition,
                               DefinitionRow{'S', 0, {}, 3, make_text<16>("XAUUSD")}));
    out.push_back(Effect::make(EffectKind::Definition,
                               DefinitionRow{'A', 1, {}, 1, make_text<16>("gold-desk")}));
    out.push_back(
        Effect::make(EffectKind::Definition, DefinitionRow{'O', 0, {}, 1, make_text<16>("alpha")}));
}

}  // namespace

std::vector<Effect> effects_of(std::uint64_t seq, std::uint64_t salt) {
    std::vector<Effect> out;
    const std::uint64_t n = seq / kLife;
    const std::uint64_t phase = seq % kLife;
    if (seq == 1) {
        add_names(out);
    } else if (phase == 0) {
        out.push_back(Effect::make(EffectKind::Signal, signal_row(n, phase, salt)));
        for (std::uint64_t a = 0; a < 2; ++a) {
            out.push_back(
                Effect::make(EffectKind::Order, order_row(n, a, OrdStatus::PendingNew, salt)));
        }
    } else if (phase == 2 || phase == 3) {
        out.push_back(
            Effect::make(EffectKind::Order, order_row(n, phase - 2, OrdStatus::Filled, salt)));
        add_fill(out, n, phase - 2, salt);
    } else if (phase == 6) {
        out.push_back(Effect::make(EffectKind::Signal, signal_row(n, phase, salt)));
        out.push_back(Effect::make(EffectKind::Account, AccountRow{AccountId{1},
                                                                   AccountState::Trading,
                                                                   LinkState::Up,
                                                                   1,
                                                                   0,
                                                                   Money{kScale * 1000},
                                                                   {},
                                                                   0,
                                                                   static_cast<std::uint32_t>(n)}));
    } else if (phase == 7 && n % 7 == 0) {
        out.push_back(Effect::make(EffectKind::Alert,
                                   AlertRow{AlertCode::LinkDown, AccountId{1}, {}, {}, seq}));
    }
    for (std::uint32_t k = 0; k < out.size(); ++k) {
        out[k].seq = Sequence{seq};
        out[k].k = k + 1;
        out[k].time = millis(static_cast<std::int64_t>(seq));
    }
    return out;
}

std::uint64_t chain_at(std::uint64_t seq, std::uint64_t salt) {
    return seq == 0 ? 0 : (seq * 0x9E3779B97F4A7C15ULL) ^ (salt << 7) ^ 0xABCDEF;
}

EffectCursor cursor_at(std::uint64_t seq, std::uint64_t salt) {
    return seq == 0 ? EffectCursor{}
                    : EffectCursor{1, Sequence{seq},
                                   static_cast<std::uint32_t>(effects_of(seq, salt).size()),
                                   chain_at(seq, salt)};
}

Status MemoryLog::seek(const EffectCursor& cursor) noexcept {
    if (cursor == EffectCursor{}) {
        at_ = first_ - 1;
        return ok_status();
    }
    if (cursor.seq.value > last_) {
        return {Errc::TornTail, "ends before the cursor"};
    }
    if (cursor.seq.value + 1 < first_) {
        return {Errc::NotFound, "begins after the cursor"};
    }
    if (cursor.chain != chain_at(cursor.seq.value, salt_)) {
        return {Errc::BadChain, "another history"};
    }
    at_ = cursor.seq.value;
    return ok_status();
}

Result<std::optional<EffectCursor>> MemoryLog::next(std::vector<Effect>& out) noexcept {
    if (fail_) {
        fail_ = false;
        return {Errc::IoError, "read error"};
    }
    if (at_ >= last_) {
        return std::optional<EffectCursor>{};
    }
    ++at_;
    const auto effects = effects_of(at_, salt_);
    out.insert(out.end(), effects.begin(), effects.end());
    return std::optional{cursor_at(at_, salt_)};
}

namespace {

/// All columns of `table`, as SQL that tells 0 from NULL and TEXT from BLOB.
std::string quoted_columns(SqliteDb& db, const std::string& table) {
    const auto columns = db.text(
        "SELECT group_concat('quote(' || name || ')', '||'',''||') FROM "
        "pragma_table_info('" +
        table + "')");
    EXPECT_TRUE(columns.ok()) << db.message();
    return columns ? columns.value() : "''";
}

}  // namespace

std::string dump(const std::string& path) {
    SqliteDb db;
    EXPECT_TRUE(db.open(path, 1'000).ok()) << path;
    std::string out;
    for (const std::string table : {"definitions", "signals", "orders", "executions", "positions",
                                    "accounts", "alerts", "names"}) {
        auto statement = db.prepare("SELECT " + quoted_columns(db, table) + " FROM " + table);
        EXPECT_TRUE(statement.ok()) << table << ": " << db.message();
        if (!statement) {
            continue;
        }
        std::vector<std::string> rows;
        auto row = statement.value().row();
        for (; row.ok() && row.value(); row = statement.value().row()) {
            rows.push_back(statement.value().column_text(0) + "\n");
        }
        EXPECT_TRUE(row.ok()) << db.message();
        std::sort(rows.begin(), rows.end());
        for (const std::string& text : rows) {
            out += text;
        }
        out += "--\n";
    }
    return out;
}

std::string expected_dump(const std::string& dir, std::uint64_t last, std::uint64_t salt) {
    const std::string path = dir + "/expected.db";
    EXPECT_TRUE(sqlite_remove(path).ok());
    SqliteStore store;
    EXPECT_TRUE(store.open({path, false, false, 250}).ok()) << store.message();
    std::vector<Effect> all;
    for (std::uint64_t seq = 1; seq <= last; ++seq) {
        const auto effects = effects_of(seq, salt);
        all.insert(all.end(), effects.begin(), effects.end());
    }
    EXPECT_TRUE(store.store(all, cursor_at(last, salt), Nanos{}).ok()) << store.message();
    store.close();
    return dump(path);
}

void to_schema(const std::string& path, int version) {
    SqliteDb db;
    ASSERT_TRUE(db.open(path, 1'000).ok());
    std::string sql;
    for (const char* table : {"cursor", "failed_syncs", "store_events"}) {
        sql += std::string{"ALTER TABLE "} + table + " DROP COLUMN sum;";
    }
    sql += version < 5 ? "ALTER TABLE cursor DROP COLUMN whole;" : "";
    sql += version < 4 ? "ALTER TABLE cursor DROP COLUMN instance;" : "";
    sql += "PRAGMA user_version = " + std::to_string(version);
    ASSERT_TRUE(db.exec(sql).ok()) << db.message();
}

::testing::AssertionResult holds(const std::string& path, const std::string& expected) {
    std::istringstream found{dump(path)};
    std::istringstream wanted{expected};
    for (int line = 1;; ++line) {
        std::string a;
        std::string b;
        const bool more_a = static_cast<bool>(std::getline(found, a));
        const bool more_b = static_cast<bool>(std::getline(wanted, b));
        if (!more_a && !more_b) {
            return ::testing::AssertionSuccess();
        }
        if (more_a != more_b || a != b) {
            return ::testing::AssertionFailure()
                   << path << " line " << line << " of its dump:\n  " << a << "\n  wanted " << b;
        }
    }
}

void SqliteFixture::SetUp() {
    std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    path_ = dir_ + "/store.db";
    segment_ = test::small_segment(dir_ + "/segment");
    ASSERT_NE(segment_, nullptr);
}

void SqliteFixture::TearDown() {
    segment_.reset();
    std::filesystem::remove_all(dir_);
}

SqliteSinkOptions SqliteFixture::options() const {
    SqliteSinkOptions o;
    o.store.path = path_;
    o.store.busy_ms = 1;
    o.batch_time = millis(5);
    o.batch_rows = 50;
    o.behind_grace = seconds(2);
    return o;
}

std::unique_ptr<SqliteSink> SqliteFixture::sink(std::uint64_t last, std::uint64_t salt,
                                                MemoryLog** log) {
    auto source = std::make_unique<MemoryLog>(last, salt);
    if (log != nullptr) {
        *log = source.get();
    }
    return std::make_unique<SqliteSink>(*segment_, std::move(source), options());
}

bool SqliteFixture::run_to(SqliteSink& s, std::uint64_t seq, int steps) {
    for (int i = 0; i < steps; ++i) {
        now_ = now_ + millis(1);
        s.step(now_);
        if (s.stored().seq.value >= seq && !s.rebuilding() && s.drained() && !s.failing()) {
            return true;
        }
    }
    return false;
}

std::string SqliteFixture::error_log() const {
    return test::error_log(*segment_);
}

void SqliteFixture::replica_is_at(std::uint64_t seq) {
    segment_->core().durable = seq;
    segment_->core().replica_applied = seq;
    segment_->stage(StageId::Replica).state = static_cast<std::uint32_t>(StageState::Standby);
}

bool SqliteFixture::errors_mention(std::string_view text) const {
    return error_log().find(text) != std::string::npos;
}

}  // namespace millrace::sqlite_test
