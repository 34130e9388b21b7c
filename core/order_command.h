// OrderCommand and Report: what crosses the `orders` and `reports` rings.
#pragma once

#include "core/signal.h"
#include "core/types.h"

#include <cstddef>

namespace millrace {

enum class CommandType : std::uint8_t {
    Open = 1,     // market order or pending, by `price_kind`
    Close = 2,    // market order against `position_ticket` (hedging) or opposite deal (netting)
    Modify = 3,   // SL/TP of `position_ticket`, or price/SL/TP of pending `order_ticket`
    Cancel = 4,   // pending `order_ticket`
    Query = 5,    // what became of `magic`? Never executes anything
    Resolve = 6,  // a person has found out what became of `magic`. Never executes anything
};

/// Bit of OrderCommand::flags. Resolve: `magic` was carried out, a deal with `volume` at `price`.
inline constexpr std::uint8_t kResolvedAsDone = 1;

/// One command to one account. Identified at the broker by `magic`; a repeated magic is answered
/// from the executor's intent journal and never executed again (reference: mt5.md 4.2).
struct OrderCommand {
    Sequence seq;         // journal record that caused it; the egress gate waits for it
    std::uint32_t k = 0;  // which output of that record
    AccountId account{kNoId};
    Magic magic;  // Query, Resolve: the order it is about
    CommandType type{};
    Side side{};
    PriceKind price_kind{};
    std::uint8_t flags = 0;              // Resolve: kResolvedAsDone
    std::uint32_t deviation_points = 0;  // worst slippage accepted, in points of the symbol
    Text<16> symbol;                     // the account's own name for it, suffix included
    Lots volume;
    Price price;  // pendings; 0 for market
    Price stop_loss;
    Price take_profit;
    std::uint64_t position_ticket = 0;
    std::uint64_t order_ticket = 0;
    Nanos deadline;     // not to be sent to the broker at or after this time; 0 = no limit
    Nanos signal_time;  // send stamp of the signal, for latency by hop
    Nanos edge_time;    // receipt at the edge
    Nanos engine_time;  // when the engine published it
    Text<16> comment;   // base32 of the first 80 bits of the signal's UUID; second evidence
};
static_assert(std::is_trivially_copyable_v<OrderCommand>);
static_assert(sizeof(OrderCommand) == 144);
static_assert(offsetof(OrderCommand, symbol) == 32 && offsetof(OrderCommand, volume) == 48);

enum class ReportType : std::uint8_t {
    Outcome = 1,       // the executor's answer to `magic`: retcode and what was done
    Exec = 2,          // a deal or order change without a command of ours: pending filled, SL, TP,
                       // stop-out, manual; `exec_kind` says which
    Unsent = 3,        // definite: never reached the broker (`reason`: Expired, QueueFull, Killed).
                       // About the order itself: a refused Query is answered QueryUnknown
    QueryFound = 4,    // evidence: the broker or the executor's journal knows `magic`
    QueryAbsent = 5,   // proof of absence: NOT_RECEIVED from an intact intent journal
    QueryUnknown = 6,  // no proof either way; stays IN_DOUBT
    SessionUp = 7,     // terminal connected and resumed; `session_generation`, `journal_id`
    SessionDown = 8,
    AccountInfo = 9,   // equity, balance, permissions
    KillApplied = 10,  // the kill switch was executed at the broker stage
    SyncDone = 11,     // the executor answered everything asked since SessionUp
};

enum class ExecKind : std::uint8_t {
    None = 0,
    PendingFilled = 1,    // our pending order became a position
    PendingCanceled = 2,  // removed at the broker: by its owner, expiry or activation reject
    ClosedByStopLoss = 3,
    ClosedByTakeProfit = 4,
    ClosedByStopOut = 5,
    ClosedManually = 6,  // a human or another program closed (part of) our position
    ClosedByKill = 7,    // flattened by the kill switch
    Foreign = 8,         // a deal that is not ours: counted, never managed
};

/// Bits of Report::permissions. Whether trading is allowed says something only while the executor
/// reaches the broker and has settled there.
inline constexpr std::uint8_t kAccountPermitted = 1;
inline constexpr std::uint8_t kAccountAway = 2;       // its executor has lost the trade server
inline constexpr std::uint8_t kAccountSettling = 32;  // it has it again, and reads what happened

/// Whether (part of) the order was executed, as far as the executor can prove.
struct Report {
    Nanos time;  // receipt at the broker stage
    AccountId account{kNoId};
    ReportType type{};
    ExecKind exec_kind{};
    std::uint16_t reason = 0;     // Reason, for Unsent
    std::uint64_t event_seq = 0;  // executor's event number per account, 1-based; 0 = made by the
                                  // broker stage. The engine drops what it has seen
    std::uint64_t session_generation = 0;
    Magic magic;
    std::uint32_t retcode = 0;     // TRADE_RETCODE_*; AccountInfo: leverage, 0 = it is not told
    std::uint8_t ord_status = 0;   // OrdStatus the executor reports (QueryFound, Outcome)
    Side side{};                   // of the deal: a Sell closes (part of) a long position
    std::uint8_t permissions = 0;  // AccountInfo: kAccount...
    std::uint8_t flags = 0;
    std::uint64_t order_ticket = 0;
    std::uint64_t deal_ticket = 0;  // 0 = none; fills are counted once per deal ticket
    std::uint64_t position_id = 0;  // POSITION_IDENTIFIER, never changes in a position's life
    Lots volume;                    // of this deal; QueryFound: cumulated
    Lots requested;                 // what the order asked for
    Price price;                    // AccountInfo with leverage: free margin, 1e-8
    Price bid;                      // quote at answer time (requote)
    Price ask;
    Money equity;  // AccountInfo
    Money balance;
    std::uint64_t journal_id = 0;    // SessionUp: identity of the executor's intent journal
    std::uint64_t journal_tail = 0;  // SessionUp: last command sequence it received
    Nanos broker_time;               // when the broker did it, its clock
    SymbolId symbol{kNoId};          // that it is about; kNoId = none, or none of ours
    std::uint32_t reserved = 0;
};
static_assert(std::is_trivially_copyable_v<Report>);
static_assert(sizeof(Report) == 160);

}  // namespace millrace
