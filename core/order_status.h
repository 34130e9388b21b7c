// Life-cycle words: order status in FIX terms plus IN_DOUBT, account state, link state.
//
// Three separate enums (requirements conflict C21): a failed order never stops an account, and a
// dead link says nothing about the account behind it.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

/// FIX OrdStatus(39), values as the FIX characters so that logs and stores read the same, plus two
/// of ours: Held (accepted, waiting for the account to trade) and InDoubt (the broker may have
/// seen it; only evidence or an operator ends it).
enum class OrdStatus : std::uint8_t {
    Held = 'h',
    PendingNew = 'A',       // handed to the broker stage, no answer yet
    New = '0',              // working at the broker (pending orders)
    PartiallyFilled = '1',  // some volume done, rest still working
    Filled = '2',
    Canceled = '4',
    Rejected = '8',
    Expired = 'C',
    InDoubt = '?',
};
/// True for states that no later event may leave.
[[nodiscard]] constexpr bool is_final(OrdStatus s) noexcept {
    return s == OrdStatus::Filled || s == OrdStatus::Canceled || s == OrdStatus::Rejected ||
           s == OrdStatus::Expired;
}
/// True while an attempt is on its way and nobody has said yet what became of it.
[[nodiscard]] constexpr bool is_unanswered(OrdStatus s) noexcept {
    return s == OrdStatus::PendingNew || s == OrdStatus::InDoubt;
}
/// True until it is known what becomes of an order: it waits, or nobody has said yet.
[[nodiscard]] constexpr bool is_unknown(OrdStatus s) noexcept {
    return is_unanswered(s) || s == OrdStatus::Held;
}
[[nodiscard]] std::string_view to_string(OrdStatus s) noexcept;

/// 6 was for BROKER_CLOSED and stays free: nothing that a broker answers says that an account is
/// closed. 10017 means the account or one symbol, 10018 a symbol's hours, a refused login stays in
/// the terminal: Suspended, Reason::MarketClosed and a dead link are what is known of these.
enum class AccountState : std::uint8_t {
    Reconciling = 0,  // after start, take-over or a lost link, and while its broker is out of its
                      // executor's reach: orders wait
    Trading = 1,
    ReduceOnly = 2,  // closes only (no money, operator)
    Suspended = 3,   // no orders but operator and kill, and what the engine itself has to close
    Disabled = 4,    // by the operator
    Inactive = 5,    // stopped by the user: no entries; closes, modifies and cancels go on
    Removed = 7,     // for good, by the operator; its id is not used again
};
[[nodiscard]] std::string_view to_string(AccountState s) noexcept;

enum class GroupState : std::uint8_t {
    Active = 0,
    Paused = 1,   // no new entries; closes and cancels go on
    Removed = 2,  // for good; its id is not used again
};
[[nodiscard]] std::string_view to_string(GroupState s) noexcept;

/// The broker stage's view of an account's terminal. 1 was for CONNECTING and stays free: terminals
/// dial the host, and whose a socket is, it says in the one frame that proves it too (HELLO).
enum class LinkState : std::uint8_t {
    Down = 0,
    Authenticated = 2,  // HELLO was in order, WELCOME is sent, nothing has come back yet
    Syncing = 3,        // it tells what happened meanwhile, until SYNC_DONE
    Up = 4,
    AuthRejected = 5,  // the last HELLO had the wrong key, or was of another journal directory
};
[[nodiscard]] std::string_view to_string(LinkState s) noexcept;

/// Why a signal or one account's share of it was refused or ended. Stable numbers: they travel to
/// sources and into stores.
enum class Reason : std::uint16_t {
    None = 0,
    DuplicateSignal = 1,  // this id is in the ledger already; the original outcome stands
    StaleSignal = 2,      // created before the ledger's window
    LedgerFull = 3,
    Expired = 4,  // TTL over before it could be sent
    UnknownGroup = 5,
    UnknownSymbol = 6,
    BadVolume = 7,
    BadPrice = 8,
    BadSignal = 9,       // field out of range, see `detail`
    UnknownTarget = 10,  // close, modify or cancel of a signal we do not know
    NothingToDo = 11,    // target has no open position or order left
    EmptyGroup = 12,
    TableFull = 13,    // a fixed-capacity table is full
    NoPrice = 20,      // no fresh tick; entries are refused, closes go on
    PriceCollar = 21,  // moved more than the collar from the reference price
    MaxLots = 22,
    MaxOpenOrders = 23,
    RateLimit = 24,
    DuplicateOrder = 25,  // same symbol, side and volume within the duplicate window
    SymbolFiltered = 26,
    AccountNotTrading = 27,
    ReduceOnly = 28,
    Killed = 29,
    VolumeBelowMin = 30,
    QueueFull = 31,  // the account's session queue overflowed; never left this host
    JournalDown = 32,
    GroupPaused = 33,     // by the operator; closes and cancels go on
    TooManyChanges = 34,  // so many closes, modifies and cancels act on that order already
    MaxPositions = 35,    // of the account, or of the account in that symbol
    MaxVolume = 36,       // the same in lots
    GroupLimit = 37,      // positions or lots of all accounts of the group
    DailyLoss = 38,       // the account lost what it may in a day; closes go on unless it suspends
    Drawdown = 39,        // the account is too far below its highest equity; the same
    BrokerReject = 40,    // see retcode
    MarketClosed = 41,
    NoMoney = 42,
    RetriesExhausted = 43,
    CanceledByUser = 44,   // cancelled at the broker by its owner or by us on request
    Slippage = 45,         // an earlier entry of the account was filled far from its reference
    SymbolLimit = 46,      // positions, lots or net lots of all accounts in that symbol
    MaxNotional = 47,      // of one order or of all that the account holds, in its currency
    MaxLeverage = 48,      // the same as a multiple of its equity
    NoRate = 49,           // a limit in money cannot be measured: a currency's rate is not known
    FreeMargin = 50,       // the account's free margin cannot carry it
    OutsideHours = 51,     // outside the hours of the account or symbol; closes go on
    WeekEnd = 52,          // so near the week's end the account takes no entries; closes go on
    ChangeRate = 53,       // the account has changed orders as often as it may
    SymbolBlocked = 60,    // the broker has switched the symbol off for the account; closes go on
    DuplicateClosed = 61,  // of a second execution of one order: the engine closes it
};
[[nodiscard]] std::string_view to_string(Reason r) noexcept;

}  // namespace millrace
