#include "persist/clickhouse_verify.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <system_error>

#include "persist/sqlite_cursor.h"
#include "persist/sqlite_rows.h"

namespace millrace {
namespace {

constexpr unsigned kKindLast = static_cast<unsigned>(EffectKind::Alert);
constexpr int kBusyMs = 1000;

std::string number(std::uint64_t n) {
    return std::to_string(n);
}

/// Of a row that is not as it was put: not that of any row of ClickHouse's.
std::uint64_t hash_of(const StoredRow& row) {
    return row.as_put ? clickhouse_hash(row.effect) : ~clickhouse_hash(row.effect);
}

}  // namespace

LogAnswer effects_in(EffectSource& source, const std::set<EffectAt>& ids) {
    LogAnswer answer;
    std::vector<Effect> record;
    const std::uint64_t last = ids.empty() ? 0 : ids.rbegin()->first;
    for (bool more = source.seek({}).ok(); more;) {
        record.clear();
        const auto next = source.next(record);
        if (!next || !next.value()) {
            break;
        }
        const std::uint64_t seq = next.value()->seq.value;
        answer.from = std::min(answer.from, seq);
        std::copy_if(record.begin(), record.end(), std::back_inserter(answer.effects),
                     [&](const Effect& e) { return ids.contains({e.seq.value, e.k}); });
        more = seq < last;
    }
    return answer;
}

ClickHouseVerify::ClickHouseVerify(ClickHouseStore& store, std::string sqlite_path, bool mend,
                                   AskLog ask_log)
    : store_{store}, path_{std::move(sqlite_path)}, mend_{mend}, ask_log_{std::move(ask_log)} {}

Status ClickHouseVerify::failed(const char* doing, const Status& status,
                                const std::string& said) noexcept {
    message_ = std::string{doing} + ": " + (said.empty() ? status.error().what : said);
    db_.close();
    return status;
}

Status ClickHouseVerify::begin() noexcept {
    db_.close();
    next_kind_ = 1;
    findings_ = {};
    changed_.clear();
    not_as_put_ = 0;
    changed_in_both_ = 0;
    missing_.clear();
    std::error_code ignored;
    if (!std::filesystem::exists(path_, ignored)) {
        return failed("SQLite", {Errc::NotFound, "there is no store to compare with"}, path_);
    }
    if (auto opened = db_.open(path_, kBusyMs, SqliteOpen::ReadOnly); !opened) {
        return failed("SQLite", opened, path_ + ": " + opened.error().what);
    }
    if (auto begun = db_.exec("BEGIN"); !begun) {
        return failed("SQLite", begun, db_.message());
    }
    // The first read makes the snapshot that all others of this transaction see.
    const auto row = read_sqlite_cursor(db_);
    if (!row) {
        return failed("SQLite", row.error(),
                      row.code() == Errc::BadCursor ? row.error().what : db_.message());
    }
    findings_.upto = row.value().cursor.seq.value;
    findings_.sqlite_whole = row.value().whole;
    const std::uint64_t chain = row.value().cursor.chain;
    const EffectCursor& ours = store_.cursor();
    if (ours.seq.value < findings_.upto) {
        return failed("ClickHouse", {Errc::Busy, ""},
                      "it has come to record " + number(ours.seq.value) + ", SQLite to " +
                          number(findings_.upto));
    }
    if (ours.seq.value == findings_.upto && ours.chain != chain) {
        return failed("SQLite", {Errc::BadChain, ""}, "it follows another log than ClickHouse");
    }
    log_from_ = ask_log_ ? ask_log_({}).from : UINT64_MAX;
    return ok_status();
}

Result<bool> ClickHouseVerify::step() noexcept {
    ASSERT(db_.is_open());
    const auto kind = static_cast<EffectKind>(next_kind_);
    auto here = sqlite_ranges(kind);
    if (!here) {
        return failed("reading SQLite", here.error(), db_.message()).error();
    }
    auto there = clickhouse_ranges(kind);
    if (!there) {
        return failed("asking ClickHouse", there.error(), store_.message()).error();
    }
    std::vector<std::uint64_t> differing;
    for (const auto& [range, sum] : here.value()) {
        findings_.rows += sum.rows;
        if (!(there.value()[range] == sum)) {
            differing.push_back(range);
        }
    }
    for (const auto& [range, sum] : there.value()) {
        if (sum.rows != 0 && !here.value().contains(range)) {
            differing.push_back(range);
        }
    }
    findings_.ranges += differing.size();
    differing.resize(std::min(differing.size(), kRangesMax));
    for (const std::uint64_t range : differing) {
        if (auto done = look_into(kind, range); !done) {
            return done.error();
        }
    }
    if (++next_kind_ > kKindLast) {
        db_.close();
        const Status settled = settle();
        return settled ? Result<bool>{false} : Result<bool>{settled.error()};
    }
    return true;
}

/// Which of the two is wrong, by the log.
Status ClickHouseVerify::settle() noexcept {
    std::set<Id> ids;
    for (const auto& [id, hash] : changed_) {
        ids.insert(id);
    }
    for (const Effect& effect : missing_) {
        ids.emplace(effect.seq.value, effect.k);
    }
    std::map<Id, Effect> known;
    if (!ids.empty() && ask_log_) {
        for (const Effect& effect : ask_log_(ids).effects) {
            known.emplace(Id{effect.seq.value, effect.k}, effect);
        }
    }
    std::vector<Effect> wrong_there;
    findings_.sqlite_wrong += not_as_put_;
    findings_.undecided = changed_in_both_;
    for (const auto& [id, hash] : changed_) {
        const auto said = known.find(id);
        if (said == known.end()) {
            continue;
        }
        --findings_.undecided;
        if (clickhouse_hash(said->second) == hash) {
            ++findings_.sqlite_wrong;
        } else {
            wrong_there.push_back(said->second);
        }
    }
    for (const Effect& effect : missing_) {
        const auto said = known.find({effect.seq.value, effect.k});
        const bool there = said != known.end() && said->second.kind == effect.kind;
        if (!there || clickhouse_hash(said->second) != clickhouse_hash(effect)) {
            ++findings_.sqlite_wrong;  // its key or its record is not what it was written with
        }
        if (there) {
            wrong_there.push_back(said->second);
        }
    }
    if (!mend_ || wrong_there.empty()) {
        return ok_status();
    }
    if (auto done = store_.mend(wrong_there); !done) {
        return failed("mending", done, store_.message());
    }
    findings_.mended += wrong_there.size();
    return ok_status();
}

/// The newest row of each thing of `kind` as of the record compared at, with its hash.
std::string ClickHouseVerify::newest(EffectKind kind) const {
    const std::string key = clickhouse_key(kind);
    // FINAL: of a row that was stored again to mend it, the later one counts.
    return "(SELECT seq, k, " + clickhouse_hash_sql(kind) + " AS row_hash FROM " + store_.table() +
           " FINAL WHERE history = " + number(store_.place().history) +
           " AND kind = " + number(static_cast<unsigned>(kind)) +
           " AND seq <= " + number(findings_.upto) + " ORDER BY " + key +
           ", seq DESC, k DESC LIMIT 1 BY " + key + ")";
}

Result<ClickHouseVerify::Ranges> ClickHouseVerify::sqlite_ranges(EffectKind kind) noexcept {
    auto rows = db_.prepare(sqlite_select(kind, false));
    if (!rows) {
        return rows.error();
    }
    Ranges ranges;
    while (true) {
        const auto row = rows.value().row();
        if (!row) {
            return row.error();
        }
        if (!row.value()) {
            return ranges;
        }
        const StoredRow stored = sqlite_get(rows.value(), kind);
        Sum& sum = ranges[stored.effect.seq.value / kRangeRecords];
        ++sum.rows;
        sum.hash += hash_of(stored);
    }
}

Result<ClickHouseVerify::Ranges> ClickHouseVerify::clickhouse_ranges(EffectKind kind) noexcept {
    const auto answer = store_.query("SELECT intDiv(seq, " + number(kRangeRecords) +
                                     ") AS span, count() AS n, sum(row_hash) AS total FROM " +
                                     newest(kind) + " GROUP BY span FORMAT TabSeparated");
    if (!answer) {
        return answer.error();
    }
    Ranges ranges;
    std::istringstream in{answer.value()};
    std::uint64_t range = 0;
    Sum sum;
    while (in >> range >> sum.rows >> sum.hash) {
        ranges[range] = sum;
    }
    return ranges;
}

Result<std::map<ClickHouseVerify::Id, std::uint64_t>> ClickHouseVerify::clickhouse_rows(
    EffectKind kind, std::uint64_t range) noexcept {
    const auto answer =
        store_.query("SELECT seq, k, row_hash FROM " + newest(kind) + " WHERE intDiv(seq, " +
                     number(kRangeRecords) + ") = " + number(range) + " FORMAT TabSeparated");
    if (!answer) {
        return answer.error();
    }
    std::map<Id, std::uint64_t> rows;
    std::istringstream in{answer.value()};
    Id id;
    std::uint64_t hash = 0;
    while (in >> id.first >> id.second >> hash) {
        rows[id] = hash;
    }
    return rows;
}

Status ClickHouseVerify::look_into(EffectKind kind, std::uint64_t range) noexcept {
    auto there = clickhouse_rows(kind, range);
    if (!there) {
        return failed("asking ClickHouse", there.error(), store_.message());
    }
    auto rows = db_.prepare(sqlite_select(kind, true));
    if (!rows) {
        return failed("reading SQLite", rows.error(), db_.message());
    }
    rows.value()
        .bind(static_cast<std::int64_t>(range * kRangeRecords))
        .bind(static_cast<std::int64_t>(range * kRangeRecords + kRangeRecords - 1));
    std::vector<Effect> lacking;
    while (true) {
        const auto row = rows.value().row();
        if (!row) {
            return failed("reading SQLite", row.error(), db_.message());
        }
        if (!row.value()) {
            break;
        }
        const StoredRow stored = sqlite_get(rows.value(), kind);
        const Effect& effect = stored.effect;
        const auto found = there.value().find({effect.seq.value, effect.k});
        const bool missing = found == there.value().end();
        if (missing || found->second != hash_of(stored)) {
            differs(missing         ? "is missing"
                    : stored.as_put ? "was changed"
                                    : "is stored in SQLite as what it is not",
                    effect);
            ++(missing ? findings_.missing : findings_.changed);
            const bool older = effect.seq.value < log_from_;
            if (!stored.as_put && (older || !missing)) {
                ++not_as_put_;  // never copied; the store's own comparison puts it back
            } else if (missing && older) {
                lacking.push_back(effect);
            } else if (missing) {
                // Of more the next comparison sees the rest, and soon.
                missing_.resize(std::min(missing_.size(), kMissingMax - 1));
                missing_.push_back(effect);
            } else if (++changed_in_both_ <= kChangedMax) {
                changed_[{effect.seq.value, effect.k}] = found->second;
            }
        }
        if (!missing) {
            there.value().erase(found);
        }
    }
    findings_.extra += there.value().size();
    if (mend_ && !lacking.empty()) {
        if (auto done = store_.mend(lacking); !done) {
            return failed("mending", done, store_.message());
        }
        findings_.mended += lacking.size();
    }
    return ok_status();
}

void ClickHouseVerify::differs(const char* how, const Effect& effect) noexcept {
    static constexpr const char* kNames[] = {"?",         "definition", "signal",  "order",
                                             "execution", "position",   "account", "alert"};
    if (findings_.first.empty()) {
        const auto kind = static_cast<unsigned>(effect.kind);
        findings_.first = std::string{"the "} + kNames[kind <= kKindLast ? kind : 0] +
                          " of record " + number(effect.seq.value) + "." + number(effect.k) + " " +
                          how;
    }
}

}  // namespace millrace
