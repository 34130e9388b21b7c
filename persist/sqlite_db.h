// A thin, non-throwing hold on one SQLite connection: statements, binding, result codes as Errc.
#pragma once

#include "core/result.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace millrace {

/// What a result code of SQLite means to us: Busy (locked by another), NoSpace (disk full),
/// BadChecksum (corrupt or not a database), IoError (everything else).
[[nodiscard]] Errc sqlite_errc(int result_code) noexcept;

/// How a file is opened.
enum class SqliteOpen {
    Create,    // to write; made if it is not there
    Existing,  // to write; it must be there
    ReadOnly,
};

/// How a value is stored. A column says which it wants, and takes any.
enum class SqliteType : std::uint8_t { Null, Integer, Real, Text, Blob };

/// One prepared statement. Bind in order, run, and it is ready to be bound again.
class SqliteStatement {
public:
    SqliteStatement() = default;
    ~SqliteStatement();
    SqliteStatement(SqliteStatement&& other) noexcept;
    SqliteStatement& operator=(SqliteStatement&& other) noexcept;

    /// Binds the next parameter.
    SqliteStatement& bind(std::int64_t value) noexcept;
    SqliteStatement& bind_text(std::string_view value) noexcept;
    SqliteStatement& bind_blob(std::span<const std::byte> value) noexcept;
    SqliteStatement& bind_null() noexcept;

    /// Runs a statement that returns no rows and resets it, bindings included.
    [[nodiscard]] Status run() noexcept;
    /// False for one that was default-constructed, or moved from.
    [[nodiscard]] bool is_prepared() const noexcept { return statement_ != nullptr; }
    /// Advances to the next row. @return false at the end; the statement is reset then.
    [[nodiscard]] Result<bool> row() noexcept;
    [[nodiscard]] std::int64_t column(int index) const noexcept;
    /// With what is behind a zero byte in it, which only damage puts there.
    [[nodiscard]] std::string column_text(int index) const;
    /// As it is stored: to be asked before the value, which converts it.
    [[nodiscard]] SqliteType column_type(int index) const noexcept;
    [[nodiscard]] bool column_is_null(int index) const noexcept;
    /// Bytes of a blob, until the next row() or run().
    [[nodiscard]] std::span<const std::byte> column_blob(int index) const noexcept;

private:
    friend class SqliteDb;
    void reset() noexcept;

    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
    int failed_ = 0;  // first failed bind, reported by run()
};

/// One connection. Not for sharing between threads. Its statements know `row_sum(...)`, a checksum
/// (XXH3) of values and of how they are stored: for rows that nothing else tells about.
class SqliteDb {
public:
    SqliteDb() = default;
    ~SqliteDb() { close(); }
    SqliteDb(SqliteDb&& other) noexcept;
    SqliteDb& operator=(SqliteDb&& other) noexcept;

    /// Opens `path`. `busy_ms`: how long one call waits for a lock.
    [[nodiscard]] Status open(const std::string& path, int busy_ms,
                              SqliteOpen how = SqliteOpen::Create) noexcept;
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return db_ != nullptr; }

    /// Runs one or several statements that return nothing of interest. @return as prepare().
    [[nodiscard]] Status exec(const std::string& sql) noexcept;
    /// @return BadLayout: a table or column that it names is not there.
    [[nodiscard]] Result<SqliteStatement> prepare(const std::string& sql) noexcept;
    /// First column of the first row, as a number or as text; NotFound if there is no row.
    [[nodiscard]] Result<std::int64_t> number(const std::string& sql) noexcept;
    [[nodiscard]] Result<std::string> text(const std::string& sql) noexcept;

    /// Copies all pages into the empty database `to`, `pages` at a time. In a transaction of this
    /// connection the copy is of that one moment. @param go_on asked after each part with the pages
    /// done and the pages in all; false gives up. @return Timeout: given up; NoSpace, Busy,
    /// IoError, BadChecksum.
    [[nodiscard]] Status copy_to(SqliteDb& to, int pages,
                                 const std::function<bool(std::uint64_t, std::uint64_t)>& go_on);
    /// From now on every statement ends with IoError soon after `*stop` has turned true. `stop` may
    /// be nullptr: never; else it outlives the connection.
    void stop_when(const std::atomic<bool>* stop) noexcept;
    /// text() of a statement that may take minutes, as a check of a whole file does.
    /// @param bytes of the file: how long it may take (patience_with()).
    /// @param go_on asked four times a second by another thread, while this one waits; false gives
    /// up, at the next of SQLite's instructions. Nothing: not asked. @return Timeout: given up.
    [[nodiscard]] Result<std::string> long_text(const std::string& sql, std::uint64_t bytes,
                                                const std::function<bool()>& go_on);

    /// SQLite's words for the last failure.
    [[nodiscard]] const char* message() const noexcept;
    [[nodiscard]] bool in_transaction() const noexcept;

private:
    sqlite3* db_ = nullptr;
};

}  // namespace millrace
