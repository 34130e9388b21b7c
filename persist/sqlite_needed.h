// Which orders of a SQLite store still matter for an engine's state, as SQL of their intents.
// Internal to what reads the store for that.
#pragma once

#include <string>

namespace millrace {

// OrdStatus 2 Filled, 4 Canceled, 8 Rejected, C Expired; command_type 1 Open, 2 Close. A magic is
// tag 15 bits, intent 45 bits, attempt 3 bits.

/// Of an order `c`: it has no final report.
inline constexpr const char* kSqliteLive = "(c.status NOT IN (50, 52, 56, 67))";
/// The intent of the order that opened a position.
inline constexpr const char* kSqliteOpener = "((magic >> 3) & 35184372088831)";

/// Intents of live orders, of open positions, and of what the live ones act on.
[[nodiscard]] inline std::string sqlite_needed_intents() {
    return std::string{"SELECT c.intent FROM orders AS c WHERE "} + kSqliteLive + " UNION SELECT " +
           kSqliteOpener +
           " FROM positions WHERE volume > 0"
           " UNION SELECT p.intent FROM orders AS c JOIN signals AS s ON s.id = c.signal"
           " JOIN orders AS p ON p.signal = s.target AND p.account = c.account AND p.type = 1"
           " WHERE c.type <> 1 AND " +
           kSqliteLive;
}

/// Intents of closes that executed and whose position is still open: their shares are taken.
[[nodiscard]] inline std::string sqlite_share_intents() {
    return std::string{
               "SELECT c.intent FROM orders AS c JOIN signals AS s ON s.id = c.signal"
               " JOIN orders AS p ON p.signal = s.target AND p.account = c.account AND p.type = 1"
               " WHERE c.type = 2 AND c.cum_volume > 0 AND p.intent IN (SELECT "} +
           kSqliteOpener + " FROM positions WHERE volume > 0)";
}

}  // namespace millrace
