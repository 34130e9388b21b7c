#include "persist/sqlite_audit.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "core/index_map.h"
#include "persist/sqlite_cursor.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 1'000;
constexpr std::size_t kWindow = 20'000;  // effects looked at together
constexpr unsigned kKindLast = static_cast<unsigned>(EffectKind::Alert);

/// Damage in the log is none in the store.
Status of_log(const Status& status) noexcept {
    const bool damaged = status.code() == Errc::BadChecksum || status.code() == Errc::BadLayout;
    return damaged ? Status{Errc::IoError, "the effects log cannot be read"} : status;
}

auto place_of(const Effect& e) noexcept {
    return std::tuple{e.seq, e.k};
}

/// Of which effect a row is: 64 bits, and few effects have the same.
std::uint64_t name_of(const Effect& e) noexcept {
    return mix64(e.seq.value * 8 + static_cast<std::uint64_t>(e.kind)) ^ mix64(e.k + 1);
}

}  // namespace

SqliteAudit::SqliteAudit(std::string path, std::unique_ptr<EffectSource> log,
                         const std::atomic<bool>* stop)
    : path_{std::move(path)}, log_{std::move(log)}, stop_{stop} {}

bool SqliteAudit::stopped() const noexcept {
    // Relaxed: a wish, nothing is published by it.
    return stop_ != nullptr && stop_->load(std::memory_order_relaxed);
}

Status SqliteAudit::begin() noexcept {
    if (auto opened = db_.open(path_, kBusyMs, SqliteOpen::ReadOnly); !opened) {
        return opened;
    }
    const auto row = read_sqlite_cursor(db_);
    if (!row) {
        return row.error();
    }
    found_.upto = row.value().cursor.seq;
    const Status there = log_->seek(row.value().cursor);
    return of_log(there ? log_->seek({}) : there);
}

Result<bool> SqliteAudit::step() noexcept {
    Status done = db_.exec("BEGIN");
    if (done && !read_all_) {
        done = read_window();
        done = done && read_all_ ? settle_newer() : done;
    } else if (done && next_kind_ <= kKindLast) {
        done = look_for_extra(static_cast<EffectKind>(next_kind_++));
    }
    if (db_.in_transaction()) {
        const Status ended = db_.exec("COMMIT");
        done = done ? ended : done;
    }
    if (!done) {
        return done.error();
    }
    if (found_.wrong.size() + found_.extra.size() > SqliteAuditFindings::kWrongMax) {
        return {Errc::BadChecksum, "too many of its rows are wrong"};
    }
    return next_kind_ <= kKindLast;
}

// ---- the log's rows ----------------------------------------------------------------------------

Status SqliteAudit::read_window() {
    window_.clear();
    while (!read_all_ && window_.size() < kWindow) {
        const std::size_t before = window_.size();
        const auto next = log_->next(window_);
        if (!next) {
            return of_log(next.error());
        }
        const bool there = next.value() && next.value()->seq <= found_.upto;
        window_.resize(there ? window_.size() : before);
        from_ = there ? std::min(from_, next.value()->seq.value) : from_;
        read_all_ = !there || next.value()->seq == found_.upto;
    }
    last_.look_at(window_);
    for (std::size_t i = 0; i < window_.size(); ++i) {
        if (!last_[i]) {
            continue;
        }
        if (auto done = compare(window_[i]); !done) {
            return done;
        }
    }
    return ok_status();
}

Status SqliteAudit::compare(const Effect& effect) {
    if (stopped()) {
        return {Errc::Timeout, "given up"};
    }
    const auto row = row_of(effect);
    if (!row) {
        return row.error();
    }
    const std::optional<StoredRow>& stored = row.value();
    if (stored && place_of(stored->effect) > place_of(effect)) {
        newer_.insert_or_assign(sqlite_key(effect), effect);  // a later effect has to be it
        return ok_status();
    }
    newer_.erase(sqlite_key(effect));
    if (stored && place_of(stored->effect) == place_of(effect)) {
        known_.push_back(name_of(effect));
    }
    const bool same = stored && std::memcmp(&stored->effect, &effect, sizeof effect) == 0;
    if (same && stored->as_put) {
        ++found_.rows;
    } else {
        wrong(effect, same     ? "has a value that is stored as what it is not"
                      : stored ? "is not what the log says"
                               : "is missing");
    }
    return ok_status();
}

/// What no effect of the log is, the store may have taken since this began.
Status SqliteAudit::settle_newer() {
    const auto now = read_sqlite_cursor(db_);
    if (!now) {
        return now.error();
    }
    for (const auto& [key, effect] : newer_) {
        const auto row = row_of(effect);
        if (!row) {
            return row.error();
        }
        const std::uint64_t seq = row.value() ? row.value()->effect.seq.value : 0;
        if (seq <= found_.upto.value || seq > now.value().cursor.seq.value) {
            wrong(effect, "says that a later record wrote it, which did not");
        }
    }
    newer_.clear();
    std::sort(known_.begin(), known_.end());
    return ok_status();
}

Result<std::optional<StoredRow>> SqliteAudit::row_of(const Effect& effect) {
    SqliteStatement& select = selects_[static_cast<std::size_t>(effect.kind) % selects_.size()];
    if (!select.is_prepared()) {
        auto made = db_.prepare(sqlite_select_row(effect.kind));
        if (!made) {
            return made.error();
        }
        select = std::move(made).value();
    }
    sqlite_bind_key(select, effect);
    const auto there = select.row();
    if (!there) {
        return there.error();
    }
    if (!there.value()) {
        return std::optional<StoredRow>{};
    }
    std::optional<StoredRow> found{sqlite_get(select, effect.kind)};
    const auto end = select.row();  // a key has one row; this resets the statement
    return end ? Result<std::optional<StoredRow>>{found} : end.error();
}

// ---- rows that the log does not know ------------------------------------------------------------

/// A row whose key has changed stands beside the one that it was, and that one is put back.
Status SqliteAudit::look_for_extra(EffectKind kind) {
    if (from_ > found_.upto.value) {
        return ok_status();
    }
    // Also what no record can have written; a NULL reads as 0, and is not found to be removed.
    auto rows = db_.prepare(sqlite_select(kind, true) +
                            " OR seq <= 0 OR seq > (SELECT seq FROM cursor) OR seq IS NULL");
    if (!rows) {
        return rows.error();
    }
    rows.value()
        .bind(static_cast<std::int64_t>(from_))
        .bind(static_cast<std::int64_t>(found_.upto.value));
    for (;;) {
        const auto row = rows.value().row();
        if (!row || !row.value()) {
            return row ? ok_status() : Status{row.error()};
        }
        if (stopped()) {
            return {Errc::Timeout, "given up"};
        }
        const Effect effect = sqlite_get(rows.value(), kind).effect;
        if (!std::binary_search(known_.begin(), known_.end(), name_of(effect))) {
            found_.extra.push_back(effect);
            tell(effect, "is of no effect of the log");
        }
    }
}

void SqliteAudit::wrong(const Effect& effect, const char* how) {
    tell(effect, how);
    if (found_.wrong.size() <= SqliteAuditFindings::kWrongMax) {
        found_.wrong.push_back(effect);
    }
}

void SqliteAudit::tell(const Effect& effect, const char* how) {
    if (found_.first.empty()) {
        found_.first = "the row that record " + std::to_string(effect.seq.value) + " wrote, " +
                       std::string{sqlite_table(effect.kind)} + ", " + how;
    }
}

Result<SqliteAuditFindings> audit_sqlite(const std::string& path,
                                         std::unique_ptr<EffectSource> log) {
    SqliteAudit audit{path, std::move(log), nullptr};
    if (auto begun = audit.begin(); !begun) {
        return begun.error();
    }
    for (;;) {
        const auto more = audit.step();
        if (!more) {
            return more.error();
        }
        if (!more.value()) {
            return std::move(audit.findings());
        }
    }
}

}  // namespace millrace
