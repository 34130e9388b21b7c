#include "persist/sqlite_audit.h"

#include <array>
#include <cstring>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "persist/backup_stream.h"
#include "persist/last_of_row.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_rows.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 1'000;
constexpr std::size_t kWindow = 20'000;  // effects looked at together
constexpr std::size_t kKinds = 8;        // EffectKind is 1..7

class Audit {
public:
    Audit(EffectSource& log, const std::atomic<bool>* stop) : log_{log}, stop_{stop} {}

    [[nodiscard]] Status begin(const std::string& path) {
        Status done = db_.open(path, kBusyMs, SqliteOpen::ReadOnly);
        done = done ? db_.exec("BEGIN") : done;
        if (!done) {
            return done;
        }
        const auto cursor = read_cursor(db_);
        if (!cursor) {
            return cursor.error();
        }
        found_.upto = cursor.value().seq;
        done = log_.seek(cursor.value());
        return done ? log_.seek({}) : done;
    }

    [[nodiscard]] Result<SqliteAuditFindings> run() {
        std::vector<Effect> window;
        for (bool more = true; more;) {
            // Relaxed: a wish, nothing is published by it.
            if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) {
                return {Errc::Timeout, "given up"};
            }
            const std::size_t before = window.size();
            const auto next = log_.next(window);
            if (!next) {
                return next.error();
            }
            const bool beyond = next.value() && next.value()->seq > found_.upto;
            window.resize(beyond ? before : window.size());
            more = next.value() && next.value()->seq < found_.upto;
            if (!more || window.size() >= kWindow) {
                if (auto done = compare(window); !done) {
                    return done.error();
                }
                window.clear();
            }
        }
        for (const auto& [key, effect] : newer_) {
            wrong(effect, "says that a later record wrote it, which did not");
        }
        return found_.wrong.size() > SqliteAuditFindings::kWrongMax
                   ? Result<SqliteAuditFindings>{Error{Errc::BadChecksum, 0, "many wrong rows"}}
                   : std::move(found_);
    }

private:
    Status compare(const std::vector<Effect>& window) {
        last_.look_at(window);
        for (std::size_t i = 0; i < window.size(); ++i) {
            if (!last_[i]) {
                continue;
            }
            if (auto done = compare(window[i]); !done) {
                return done;
            }
        }
        return ok_status();
    }

    Status compare(const Effect& effect) {
        const auto row = row_of(effect);
        if (!row) {
            return row.error();
        }
        const std::optional<Effect>& stored = row.value();
        const auto at = [](const Effect& e) { return std::tuple{e.seq, e.k}; };
        if (stored && at(*stored) > at(effect)) {
            newer_.insert_or_assign(sqlite_key(effect), effect);  // a later effect has to be it
            return ok_status();
        }
        newer_.erase(sqlite_key(effect));
        if (stored && std::memcmp(&*stored, &effect, sizeof effect) == 0) {
            ++found_.rows;
        } else {
            wrong(effect, stored ? "is not what the log says" : "is missing");
        }
        return ok_status();
    }

    Result<std::optional<Effect>> row_of(const Effect& effect) {
        SqliteStatement& select = selects_[static_cast<std::size_t>(effect.kind) % kKinds];
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
            return std::optional<Effect>{};
        }
        std::optional<Effect> found{sqlite_get(select, effect.kind)};
        const auto end = select.row();  // a key has one row; this resets the statement
        return end ? Result<std::optional<Effect>>{found} : end.error();
    }

    void wrong(const Effect& effect, const char* how) {
        if (found_.first.empty()) {
            found_.first = "the row that record " + std::to_string(effect.seq.value) + " wrote, " +
                           std::string{sqlite_table(effect.kind)} + ", " + how;
        }
        if (found_.wrong.size() <= SqliteAuditFindings::kWrongMax) {
            found_.wrong.push_back(effect);
        }
    }

    EffectSource& log_;
    const std::atomic<bool>* stop_;
    // In this order: statements end before their connection does.
    SqliteDb db_;
    std::array<SqliteStatement, kKinds> selects_;
    LastOfRow last_;
    SqliteAuditFindings found_;
    /// By key: the last effect seen of rows that say that a later one wrote them.
    std::unordered_map<std::string, Effect> newer_;
};

}  // namespace

Result<SqliteAuditFindings> audit_sqlite(const std::string& path, EffectSource& log,
                                         const std::atomic<bool>* stop) {
    Audit audit{log, stop};
    if (auto begun = audit.begin(path); !begun) {
        return begun.error();
    }
    return audit.run();
}

}  // namespace millrace
