// The verifier of the broker's books: reads nothing else, and shares no state with the broker that
// wrote them, so that "doubled" and "executed" are the broker's word and not ours.
#pragma once

#include "core/result.h"
#include "tools/simbroker/books.h"

#include <map>
#include <string>
#include <vector>

namespace millrace::sim {

/// One order that a request of a terminal brought into being: executed, or working as a pending.
struct BookedOrder {
    std::uint64_t ticket = 0;
    Magic magic;
    CommandType command{};
    PriceKind price_kind{};
    Side side{};
    std::int64_t time_ns = 0;    // of its first record
    std::uint64_t position = 0;  // 0 = no deal yet
    Lots executed;               // sum of its deals
    Price average;               // volume-weighted
    std::uint32_t deals = 0;
    bool canceled = false;  // the rest, or a pending that never filled
    Text<16> symbol;
    Text<16> comment;  // base32 of the signal's first 80 bits
};

/// Everything one intent (magic without its attempt) did at the broker, on one account.
struct BookedIntent {
    std::uint64_t login = 0;
    std::uint64_t tag = 0;
    std::uint64_t intent = 0;
    std::vector<BookedOrder> orders;  // in the order they came
    std::uint32_t refused = 0;        // requests that changed nothing
    std::uint32_t repeated = 0;       // sent again; the terminal's journal kept it from execution
    /// More than one order took effect: a repeat or two attempts were both executed.
    [[nodiscard]] bool doubled() const noexcept;
};

struct BookedPosition {
    std::uint64_t login = 0;
    std::uint64_t id = 0;
    Magic magic;  // of the order that opened it
    Text<16> symbol;
    std::int64_t volume = 0;  // signed sum of its deals
    std::uint32_t deals = 0;
};

struct BookedAccount {
    std::uint64_t login = 0;
    std::uint64_t orders = 0;  // accepted requests
    std::uint64_t deals = 0;
    std::uint64_t server_deals = 0;  // pendings filled, SL, TP, stop-out, manual, kill
    std::uint64_t refused = 0;
    std::uint64_t foreign = 0;  // deals that carry no tag of ours
    std::uint64_t open_positions = 0;
    std::uint64_t working_orders = 0;
    std::uint64_t doubled = 0;
    std::uint64_t repeated = 0;
    Money balance;
};

struct Audit {
    std::uint64_t records = 0;
    std::map<std::uint64_t, BookedAccount> accounts;
    std::vector<BookedIntent> intents;      // by login, then intent
    std::vector<BookedPosition> positions;  // still open
    std::vector<std::string> inconsistent;  // what does not add up, for a human
    [[nodiscard]] std::uint64_t doubled() const noexcept;
    /// Commands that came to a terminal which had them already.
    [[nodiscard]] std::uint64_t repeated() const noexcept;
};

/// Audits a books file.
/// @param tag the deployment's 15-bit tag; 0 = every magic that is not 0 counts as ours.
/// @return errors of scan_books(), IoError if the file cannot be read.
[[nodiscard]] Result<Audit> audit_books(const std::string& path, std::uint64_t tag);

/// As JSON (see `millrace-books --help`) and as a table for a human.
[[nodiscard]] std::string audit_json(const Audit& audit);
[[nodiscard]] std::string audit_table(const Audit& audit);

/// Comment of an order for a signal: base32 (RFC 4648, lower case, unpadded) of its first 80 bits.
[[nodiscard]] Text<16> comment_of(SignalId id) noexcept;

}  // namespace millrace::sim
