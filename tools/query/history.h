// History: asks the SQLite store what happened, on a read-only connection. The writer is never
// kept waiting: readers of a write-ahead log take no lock that it needs, and all rows are fetched
// before any is printed, so a pager left open holds back no checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace millrace {

/// One row per order, deal, position, signal, account or alert.
enum class HistoryOf : std::uint8_t { Orders, Executions, Positions, Signals, Accounts, Alerts };

struct HistoryQuery {
    HistoryOf of = HistoryOf::Orders;
    std::string account;                // name or number; empty = all
    std::string signal;                 // UUID with or without dashes; empty = all
    std::uint64_t intent = 0;           // of one order; 0 = all
    bool open_only = false;             // orders that have not ended, positions that are open
    std::optional<std::int64_t> since;  // wall clock, ns: rows at or after it
    std::optional<std::int64_t> until;  // rows before it
    std::uint32_t limit = 1000;         // newest first; 0 is refused
};

/// NULL, whole number, decimal, text.
using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;

struct History {
    std::vector<std::string> columns;
    std::vector<std::vector<Cell>> rows;  // newest first
    bool more = false;                    // there were more than the limit
    std::uint64_t stored_seq = 0;         // the store holds everything up to this record
};

/// Runs `query` on the store at `path`, in one read transaction, so rows and stored_seq belong
/// together.
/// @return the history, or nothing; then `message` says what is wrong and what to do.
[[nodiscard]] std::optional<History> ask_history(const std::string& path, const HistoryQuery& query,
                                                 std::string& message);

/// A moment as people write it: `2026-03-18`, `2026-03-18T09:30`, `2026-03-18T09:30:05.25Z` (UTC),
/// or a time back from now: `90s`, `15m`, `2h`, `7d`.
/// @param now wall clock, ns. @return ns since 1970, or nothing if it is none of these.
[[nodiscard]] std::optional<std::int64_t> parse_moment(const std::string& text, std::int64_t now);

/// 16 bytes of a UUID, or nothing.
[[nodiscard]] std::optional<std::string> parse_uuid(const std::string& text);

}  // namespace millrace
