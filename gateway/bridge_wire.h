// The bridge protocol: broker stage (TCP server) <-> terminal (TCP client: the MT5 Expert Advisor,
// or the simulated broker's terminals). Written byte by byte in gateway/BRIDGE.md.
//
// One connection is one account. The terminal keeps an *intent journal*: commands received, with
// their outcome, and its own events not yet acknowledged; it survives the terminal's restart. What
// the protocol rests on:
//  1. Commands carry `seq` = their number in the account's session queue. The terminal appends
//     (seq, magic) to its journal before it acts and answers RX_ACK; after a reconnect it names the
//     last one (Hello.command_seq) and gets the rest again. A repeated magic is answered from the
//     journal, never executed again.
//  2. Events carry `seq` = the terminal's own number, journalled by it before the send and kept
//     until EVENT_ACK; after a reconnect all unacknowledged ones come again. The engine drops what
//     it has applied.
//  3. Welcome.generation and Welcome.epoch only ever grow. The terminal journals the highest and
//     refuses commands of lower ones (Rejected with kStaleGeneration): a paused old owner is
//     fenced. The upper half of an epoch names the journal directory, and never changes for a
//     terminal that has served one: epochs and order ids of another begin anew.
//  4. Query{magic} is answered with QueryFound, QueryAbsent (proof: the journal is intact and has
//     never seen it, nor has the account) or QueryUnknown. Frames are handled in order, so
//     an answer covers every command before the query.
//  5. Both sides prove that they have the account's key: Hello.mac answers the server's nonce,
//     Welcome.mac the terminal's.
//  6. Heartbeat each second both ways. Three missed and not busy: link down. Busy{ms} extends it.
#pragma once

#include "core/order_command.h"
#include "gateway/wire.h"

namespace millrace::bridge {

inline constexpr std::uint8_t kVersion = 2;

/// An epoch as it is on the wire. @param instance of the journal directory; 0 = of a time before
/// directories had one. @param journal_epoch below 2^32.
[[nodiscard]] constexpr std::uint64_t wire_epoch(std::uint32_t instance,
                                                 std::uint64_t journal_epoch) noexcept {
    return std::uint64_t{instance} << 32U | journal_epoch;
}
[[nodiscard]] constexpr std::uint32_t instance_of(std::uint64_t epoch) noexcept {
    return static_cast<std::uint32_t>(epoch >> 32U);
}
[[nodiscard]] constexpr std::uint64_t journal_epoch_of(std::uint64_t epoch) noexcept {
    return epoch & 0xFFFF'FFFFU;
}

enum class FrameType : std::uint8_t {
    Challenge = 1,     // S->T first frame after accept
    Hello = 2,         // T->S
    Welcome = 3,       // S->T session is up; terminal then resends unacknowledged events
    Denied = 4,        // S->T reason text, then close
    Command = 5,       // S->T sequenced
    RxAck = 6,         // T->S highest command seq that is in the intent journal
    Event = 7,         // T->S sequenced
    EventAck = 8,      // S->T highest event seq that is durable here; terminal may forget them
    Heartbeat = 9,     // both
    Busy = 10,         // T->S a blocking call begins
    Tick = 11,         // T->S latest quote, conflated
    Kill = 12,         // S->T overtakes the queue: stop, cancel, flatten
    SyncDone = 13,     // T->S every unacknowledged event has been resent
    Symbol = 14,       // T->S what the broker says of a symbol
    Holding = 15,      // T->S a position or pending order that the account has now
    HoldingsEnd = 16,  // T->S that was all of them
    Account = 17,      // T->S what the broker says of the account
};

struct Challenge {
    wire::Nonce nonce;
    std::uint64_t server_time_ns;
};
struct Hello {
    std::uint64_t login;          // ACCOUNT_LOGIN
    std::uint64_t journal_id;     // identity of the intent journal; new id = the old one is lost
    std::uint64_t command_seq;    // last command in the journal
    std::uint64_t command_epoch;  // segment uuid (low 64 bits) those sequence numbers belong to
    std::uint64_t generation;     // highest seen
    std::uint64_t epoch;          // highest seen
    std::uint64_t event_seq;      // last event number handed out
    std::uint32_t build;          // terminal build
    std::uint8_t margin_mode;     // MarginMode
    std::uint8_t permissions;     // kHello...
    std::uint8_t reserved[2];
    wire::Nonce nonce;  // the server has to answer it in Welcome.mac
    wire::Mac mac;      // HMAC-SHA256(key, Challenge.nonce || all bytes of Hello before mac)
};
/// Bits of Hello.permissions. A suspect journal may have lost its newest records (the computer was
/// cut off, a tail was torn, a copy was put back): its silence about a command proves nothing.
inline constexpr std::uint8_t kHelloMayTrade = 1;
inline constexpr std::uint8_t kHelloJournalSuspect = 2;
/// It keeps an account of its own of what is in doubt, and is to hear of it when a person has ended
/// that (a command of type Resolve). Others look in the account's own lists, and hear nothing.
inline constexpr std::uint8_t kHelloTakesResolve = 4;

struct Welcome {
    std::uint64_t generation;  // of this session
    std::uint64_t epoch;       // of the engine's journal, see wire_epoch()
    std::uint64_t
        command_epoch;  // low 64 bits of the segment uuid: command seqs start anew with it
    std::uint64_t next_command_seq;
    std::uint64_t event_seq;  // highest event durable here; resend from the next one
    std::uint64_t magic_tag;  // 15 bits, not 0: tells our orders from foreign ones
    wire::Mac mac;            // HMAC-SHA256(key, Hello.nonce || all bytes of Welcome before mac)
};
struct Denied {
    char reason[96];
};
/// OrderCommand without what only our host needs. `ttl_ms` runs from receipt and is checked right
/// before the send to the broker; 0 = no limit.
struct Command {
    std::uint64_t epoch;
    std::uint64_t generation;
    std::uint64_t magic;
    std::uint8_t type;  // CommandType
    std::uint8_t side;
    std::uint8_t price_kind;
    std::uint8_t flags;  // kCommand...
    std::uint32_t ttl_ms;
    char symbol[16];
    std::int64_t volume;  // 1e-8 lots
    std::int64_t price;   // 1e-8
    std::int64_t stop_loss;
    std::int64_t take_profit;
    std::uint64_t position_ticket;
    std::uint64_t order_ticket;
    std::uint32_t deviation_points;
    std::uint32_t reserved;
    char comment[16];
};
/// Bit of Command.flags: an earlier session may have sent it. Whoever cannot vouch for having never
/// received it must not execute it; everybody looks in the account first.
inline constexpr std::uint8_t kCommandResent = 1;
/// The same. Resolve: the order was carried out, a deal with `volume` at `price`; else it was not.
inline constexpr std::uint8_t kCommandDone = 2;

struct RxAck {
    std::uint64_t command_seq;
};
/// The report types an executor may send: Outcome, Exec, Unsent, QueryFound, QueryAbsent,
/// QueryUnknown, AccountInfo. FrameHeader.seq is the event number.
struct Event {
    std::uint8_t type;        // ReportType
    std::uint8_t exec_kind;   // ExecKind
    std::uint8_t ord_status;  // OrdStatus
    std::uint8_t side;
    std::uint16_t reason;      // Reason
    std::uint8_t permissions;  // AccountInfo: kInfo...
    std::uint8_t reserved;
    std::uint64_t magic;
    std::uint32_t retcode;
    std::uint32_t reserved2;
    std::uint64_t order_ticket;
    std::uint64_t deal_ticket;
    std::uint64_t position_id;
    std::int64_t volume;
    std::int64_t requested;
    std::int64_t price;
    std::int64_t bid;
    std::int64_t ask;
    std::int64_t equity;
    std::int64_t balance;
    std::int64_t broker_time_ns;
    char symbol[16];
};
/// Bits of Event.permissions.
inline constexpr std::uint8_t kInfoMayTrade = 1;
/// The executor has no connection to its trade server or venue (or is logged in to another account
/// there). What it tells of the account is as old as that.
inline constexpr std::uint8_t kInfoServerAway = 2;
/// A position of ours has not got the stops that its order asked for, and the broker refuses to set
/// them.
inline constexpr std::uint8_t kInfoStopsMissing = 4;
/// The terminal is to stream its ticks (gateway/TICKS.md), and ten attempts have led to nothing.
inline constexpr std::uint8_t kInfoTicksAway = 8;
/// It is the broker who lets this account not trade, or not by a program; not a switch of the
/// terminal.
inline constexpr std::uint8_t kInfoBrokerForbids = 16;
/// The executor has its connection, and does not know yet what happened before it: for some seconds
/// after each start. What it says of permissions is to be trusted, that it may begin is not.
inline constexpr std::uint8_t kInfoSettling = 32;
/// A kill is in force, and what it is to cancel or close is still there after two seconds.
inline constexpr std::uint8_t kInfoKillWaits = 64;

struct EventAck {
    std::uint64_t event_seq;
};
struct Heartbeat {
    std::int64_t time_ns;
};
struct Busy {
    std::uint32_t ms;
    std::uint32_t reserved;
};
struct Tick {
    char symbol[16];
    std::int64_t bid;
    std::int64_t ask;
    std::int64_t time_ns;
};
/// Sent once a session for each symbol that is traded or quoted, and when it has changed.
struct Symbol {
    char symbol[16];  // the account's own name
    std::int64_t contract_size;
    std::int64_t volume_min;
    std::int64_t volume_max;
    std::int64_t volume_step;
    std::int64_t tick_size;
    std::uint32_t stops_level;   // points
    std::uint32_t freeze_level;  // points
    std::uint8_t digits;
    std::uint8_t
        trade_mode;        // SYMBOL_TRADE_MODE: 0 disabled, 1 long, 2 short, 3 close only, 4 full
    std::uint8_t filling;  // SYMBOL_FILLING_MODE
    std::uint8_t reserved[5];
    char currency[8];  // of its profit
};
/// Sent once a session, before SyncDone, and when it has changed.
struct Account {
    char currency[8];            // of its money
    std::uint32_t leverage;      // 1:leverage; 0 = none
    std::uint32_t limit_orders;  // pendings at once; 0 = as many as one likes
    std::uint8_t trade_mode;     // ACCOUNT_TRADE_MODE: 0 demo, 1 contest, 2 real
    std::uint8_t flags;          // kAccountClosesFifo | kAccountMayHedge
    std::uint8_t reserved[6];
};
/// Bits of Account.flags: a symbol's positions are closed in the order they were opened, or not at
/// all; it may have positions of both sides at once.
inline constexpr std::uint8_t kAccountClosesFifo = 1;
inline constexpr std::uint8_t kAccountMayHedge = 2;

/// A row of what the account holds. Rows of one list follow each other, HoldingsEnd comes last.
struct Holding {
    std::uint8_t kind;  // HoldingKind: position or order
    std::uint8_t side;
    std::uint8_t price_kind;  // of an order
    std::uint8_t reserved;
    std::uint32_t index;   // in the list, from 0 on
    std::uint64_t ticket;  // position: its identifier
    std::uint64_t magic;   // as the broker shows it
    std::int64_t volume;   // open, or not yet filled
    std::int64_t price;    // of an order
    std::int64_t stop_loss;
    std::int64_t take_profit;
    char symbol[16];  // the account's own name
};
/// The list is whole if it has `count` rows and their bytes, one after the other, this checksum.
struct HoldingsEnd {
    std::uint32_t count;
    std::uint32_t crc32c;
    std::uint64_t event_seq;  // last event handed out: the list is no older than what that tells
};
struct Kill {
    std::uint64_t kill_id;  // a repeated id is answered, not executed again
    std::uint8_t actions;   // kKillStop | kKillCancel | kKillFlatten; 0 = clear
    std::uint8_t reserved[7];
    char symbol[16];  // all zero = every symbol
};

/// A command frame of an older session generation or epoch was refused (Unsent event's retcode).
inline constexpr std::uint32_t kStaleGeneration = 1;
/// A command whose magic has another tag than WELCOME named was refused: neither the kill switch
/// nor the terminal's reports would know the order for ours.
inline constexpr std::uint32_t kOtherTag = 2;

static_assert(sizeof(Hello) == 128 && sizeof(Welcome) == 80 && sizeof(Command) == 120);
static_assert(sizeof(Symbol) == 80 && sizeof(Account) == 24);
static_assert(sizeof(Holding) == 72 && sizeof(HoldingsEnd) == 16);
static_assert(sizeof(Event) == 128 && sizeof(Tick) == 40 && sizeof(Kill) == 32);

}  // namespace millrace::bridge
