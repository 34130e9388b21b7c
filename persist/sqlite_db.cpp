#include "persist/sqlite_db.h"

#include "persist/sign_of_life.h"

#include <sqlite3.h>
#define XXH_STATIC_LINKING_ONLY  // states on the stack
#include <xxhash.h>

#include <utility>

namespace millrace {
namespace {

constexpr int kInstructions = 10'000;  // of SQLite's own, about a millisecond

Error error_of(int rc) noexcept {
    // Static text: sqlite3_errstr never returns memory that goes away.
    return {sqlite_errc(rc), 0, sqlite3_errstr(rc)};
}

/// row_sum(...): see SqliteDb.
void row_sum(sqlite3_context* context, int count, sqlite3_value** values) {
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    const auto add = [&state](const void* data, std::size_t bytes) {
        (void)XXH3_64bits_update(&state, data, bytes);  // fails for no state only
    };
    for (int i = 0; i < count; ++i) {
        const int type = sqlite3_value_type(values[i]);
        add(&type, sizeof type);
        if (type == SQLITE_INTEGER) {
            const std::int64_t number = sqlite3_value_int64(values[i]);
            add(&number, sizeof number);
            continue;
        }
        const void* const bytes = sqlite3_value_blob(values[i]);
        const int size = sqlite3_value_bytes(values[i]);
        add(&size, sizeof size);
        add(bytes, static_cast<std::size_t>(size));
    }
    sqlite3_result_int64(context, static_cast<std::int64_t>(XXH3_64bits_digest(&state)));
}

}  // namespace

Errc sqlite_errc(int result_code) noexcept {
    switch (result_code & 0xFF) {  // primary code of an extended one
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW: return Errc::Ok;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return Errc::Busy;
        case SQLITE_FULL: return Errc::NoSpace;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return Errc::BadChecksum;
        default: return Errc::IoError;
    }
}

SqliteStatement::~SqliteStatement() {
    sqlite3_finalize(statement_);
}
SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : statement_{std::exchange(other.statement_, nullptr)},
      bound_{std::exchange(other.bound_, 0)},
      failed_{std::exchange(other.failed_, 0)} {}
SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
    std::swap(statement_, other.statement_);
    std::swap(bound_, other.bound_);
    std::swap(failed_, other.failed_);
    return *this;
}

SqliteStatement& SqliteStatement::bind(std::int64_t value) noexcept {
    const int rc = sqlite3_bind_int64(statement_, ++bound_, value);
    failed_ = failed_ == 0 ? rc : failed_;
    return *this;
}
SqliteStatement& SqliteStatement::bind_text(std::string_view value) noexcept {
    const int rc = sqlite3_bind_text(statement_, ++bound_, value.data(),
                                     static_cast<int>(value.size()), SQLITE_TRANSIENT);
    failed_ = failed_ == 0 ? rc : failed_;
    return *this;
}
SqliteStatement& SqliteStatement::bind_blob(std::span<const std::byte> value) noexcept {
    const int rc = sqlite3_bind_blob(statement_, ++bound_, value.data(),
                                     static_cast<int>(value.size()), SQLITE_TRANSIENT);
    failed_ = failed_ == 0 ? rc : failed_;
    return *this;
}
SqliteStatement& SqliteStatement::bind_null() noexcept {
    const int rc = sqlite3_bind_null(statement_, ++bound_);
    failed_ = failed_ == 0 ? rc : failed_;
    return *this;
}

void SqliteStatement::reset() noexcept {
    // The result repeats the last step's failure, which its caller has been given already.
    (void)sqlite3_reset(statement_);
    (void)sqlite3_clear_bindings(statement_);
    bound_ = 0;
    failed_ = 0;
}

Status SqliteStatement::run() noexcept {
    const int rc = failed_ != 0 ? failed_ : sqlite3_step(statement_);
    reset();
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        return error_of(rc);
    }
    return ok_status();
}

Result<bool> SqliteStatement::row() noexcept {
    const int rc = failed_ != 0 ? failed_ : sqlite3_step(statement_);
    if (rc == SQLITE_ROW) {
        return true;
    }
    reset();
    if (rc != SQLITE_DONE) {
        return error_of(rc);
    }
    return false;
}

std::int64_t SqliteStatement::column(int index) const noexcept {
    return sqlite3_column_int64(statement_, index);
}
std::string SqliteStatement::column_text(int index) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, index));
    const auto bytes = static_cast<std::size_t>(sqlite3_column_bytes(statement_, index));
    return text == nullptr ? std::string{} : std::string{text, bytes};
}
SqliteType SqliteStatement::column_type(int index) const noexcept {
    switch (sqlite3_column_type(statement_, index)) {
        case SQLITE_INTEGER: return SqliteType::Integer;
        case SQLITE_FLOAT: return SqliteType::Real;
        case SQLITE_TEXT: return SqliteType::Text;
        case SQLITE_BLOB: return SqliteType::Blob;
        default: return SqliteType::Null;
    }
}

bool SqliteStatement::column_is_null(int index) const noexcept {
    return sqlite3_column_type(statement_, index) == SQLITE_NULL;
}
std::span<const std::byte> SqliteStatement::column_blob(int index) const noexcept {
    const void* const data = sqlite3_column_blob(statement_, index);
    return {static_cast<const std::byte*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_, index))};
}

SqliteDb::SqliteDb(SqliteDb&& other) noexcept : db_{std::exchange(other.db_, nullptr)} {}
SqliteDb& SqliteDb::operator=(SqliteDb&& other) noexcept {
    std::swap(db_, other.db_);
    return *this;
}

Status SqliteDb::open(const std::string& path, int busy_ms, SqliteOpen how) noexcept {
    ASSERT(db_ == nullptr);
    const int access = how == SqliteOpen::ReadOnly ? SQLITE_OPEN_READONLY
                       : how == SqliteOpen::Create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                   : SQLITE_OPEN_READWRITE;
    const int rc = sqlite3_open_v2(path.c_str(), &db_, access | SQLITE_OPEN_NOMUTEX, nullptr);
    if (rc != SQLITE_OK) {
        close();
        return error_of(rc);
    }
    (void)sqlite3_extended_result_codes(db_, 1);
    (void)sqlite3_busy_timeout(db_, busy_ms);
    // Not for views and triggers, which a damaged schema may have.
    (void)sqlite3_create_function_v2(db_, "row_sum", -1,
                                     SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
                                     nullptr, row_sum, nullptr, nullptr, nullptr);
    return ok_status();
}

void SqliteDb::close() noexcept {
    // v2: statements that are still alive keep the connection until they are finalized.
    (void)sqlite3_close_v2(std::exchange(db_, nullptr));
}

Status SqliteDb::exec(const std::string& sql) noexcept {
    const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    if (rc == SQLITE_ERROR) {
        return {Errc::BadLayout, "a table or a column is not there, or is there already"};
    }
    if (rc != SQLITE_OK) {
        return error_of(rc);
    }
    return ok_status();
}

Result<SqliteStatement> SqliteDb::prepare(const std::string& sql) noexcept {
    SqliteStatement s;
    const int rc = sqlite3_prepare_v3(db_, sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &s.statement_, nullptr);
    if (rc == SQLITE_ERROR) {
        return Error{Errc::BadLayout, 0, "a table or a column is not there"};
    }
    if (rc != SQLITE_OK) {
        return error_of(rc);
    }
    return s;
}

namespace {

/// Runs `sql` and reads its first column with `read`.
template <class T, class Read>
Result<T> first(SqliteDb& db, const std::string& sql, Read read) noexcept {
    auto statement = db.prepare(sql);
    if (!statement) {
        return statement.error();
    }
    const auto row = statement.value().row();
    if (!row) {
        return row.error();
    }
    if (!row.value()) {
        return {Errc::NotFound, "no row"};
    }
    return read(statement.value());
}

}  // namespace

Result<std::int64_t> SqliteDb::number(const std::string& sql) noexcept {
    return first<std::int64_t>(*this, sql, [](const SqliteStatement& s) { return s.column(0); });
}
Result<std::string> SqliteDb::text(const std::string& sql) noexcept {
    return first<std::string>(*this, sql,
                              [](const SqliteStatement& s) { return s.column_text(0); });
}

Status SqliteDb::copy_to(SqliteDb& to, int pages,
                         const std::function<bool(std::uint64_t, std::uint64_t)>& go_on) {
    sqlite3_backup* const copy = sqlite3_backup_init(to.db_, "main", db_, "main");
    if (copy == nullptr) {
        return error_of(sqlite3_errcode(to.db_));
    }
    int rc = SQLITE_OK;
    bool given_up = false;
    while (rc == SQLITE_OK && !given_up) {
        rc = sqlite3_backup_step(copy, pages);
        const auto total = static_cast<std::uint64_t>(sqlite3_backup_pagecount(copy));
        const auto left = static_cast<std::uint64_t>(sqlite3_backup_remaining(copy));
        given_up = rc == SQLITE_OK && !go_on(total - left, total);
    }
    const int ended = sqlite3_backup_finish(copy);
    if (given_up) {
        return {Errc::Timeout, "given up"};
    }
    // A lock is no failure of the copy as such, and finish() does not tell of it.
    return rc == SQLITE_DONE && ended == SQLITE_OK
               ? ok_status()
               : Status{error_of(rc != SQLITE_DONE ? rc : ended)};
}

Result<std::string> SqliteDb::long_text(const std::string& sql, std::uint64_t bytes,
                                        const std::function<bool()>& go_on) {
    if (!go_on) {
        return text(sql);
    }
    // Not by SQLite's progress handler: in 3.40 a check of all trees is one instruction to it.
    std::atomic<bool> given_up{false};
    stop_when(&given_up);
    auto answer = [&] {
        const SignOfLife alive{[&] {
                                   const bool more = go_on();
                                   // Relaxed: a wish, nothing is published by it.
                                   given_up.store(!more, std::memory_order_relaxed);
                                   return more;
                               },
                               patience_with(bytes)};
        return text(sql);
    }();
    stop_when(nullptr);
    return given_up.load(std::memory_order_relaxed)
               ? Result<std::string>{Error{Errc::Timeout, 0, "given up"}}
               : answer;
}

void SqliteDb::stop_when(const std::atomic<bool>* stop) noexcept {
    // Relaxed: a wish, nothing is published by it.
    const auto stopped = [](void* flag) {
        return static_cast<const std::atomic<bool>*>(flag)->load(std::memory_order_relaxed) ? 1 : 0;
    };
    sqlite3_progress_handler(db_, stop == nullptr ? 0 : kInstructions,
                             stop == nullptr ? nullptr : +stopped,
                             const_cast<std::atomic<bool>*>(stop));
}

const char* SqliteDb::message() const noexcept {
    return db_ == nullptr ? "not open" : sqlite3_errmsg(db_);
}
bool SqliteDb::in_transaction() const noexcept {
    return db_ != nullptr && sqlite3_get_autocommit(db_) == 0;
}

}  // namespace millrace
