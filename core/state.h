// What the engine knows: plain entities in fixed tables, linked by index.
#pragma once

#include "core/admin.h"
#include "core/effect.h"
#include "core/order_command.h"
#include "core/order_status.h"
#include "core/signal.h"
#include "core/types.h"

#include <type_traits>

namespace millrace {

/// What its source has yet to hear of an order, and which slots of the results ring are promised
/// for it.
enum class ResultsDue : std::uint8_t {
    Both = 0,     // one intermediate word and the end: two slots
    End = 1,      // the intermediate word is out: one slot
    Resting = 2,  // works at the broker, maybe for weeks: no slot; its end waits for one
    Owed = 3,     // has ended and waits for a slot, in the list of its source
    Nothing = 4,  // all told
};

/// Who wanted an order.
enum class Origin : std::uint8_t {
    Signal = 0,
    Rest = 1,    // Open: its group has what a partial fill left sent once more
    Double = 2,  // Open: the position of a second execution, taken over as it is; never sent
    Engine = 3,  // Close: that no source asked for
};
/// True of what its source hears of.
[[nodiscard]] constexpr bool is_told(Origin o) noexcept {
    return o == Origin::Signal || o == Origin::Rest;
}

/// One intent on one account: the life of an order and, once filled, of the position it opened.
/// Freed when it is final and its source told, its position is closed and no close or modify of
/// ours refers to it.
struct Order {
    std::uint64_t intent = 0;  // unique for ever; its magic carries it
    SignalId signal_id;
    std::uint32_t signal = kNoId;  // ledger index of the signal that made it
    AccountId account{kNoId};
    SymbolId symbol{kNoId};
    SourceId source{kNoId};
    CommandType type{};
    Side side{};
    PriceKind price_kind{};
    OrdStatus status = OrdStatus::Held;
    std::uint8_t attempt = 0;
    std::uint8_t reprices = 0;
    std::uint8_t backoffs = 0;
    std::uint8_t queries = 0;
    bool retrying = false;    // Held because it waits for its next attempt
    bool query_open = false;  // counted in Account::queries_open
    ResultsDue results = ResultsDue::Both;
    bool close_wanted = false;  // a close waits: for the fill, or for the end of another close
    bool claimed = false;       // Close: its volume counts in the parent's `closing`
    bool indexed = false;       // found by its position id
    Reason reason = Reason::None;
    std::uint32_t retcode = 0;
    std::uint32_t parent = kNoId;  // Close, Modify, Cancel: the order they act on
    std::uint16_t children = 0;    // live orders that have this one as parent
    Origin origin{};
    std::uint8_t marks = 0;  // kUnnamedFill, kRestSent, kSaidByHand, kFollowed
    std::uint32_t next_in_account = kNoId;
    std::uint32_t prev_in_account = kNoId;
    std::uint32_t next_in_signal = kNoId;
    std::uint32_t prev_in_signal = kNoId;
    std::uint32_t next_owed = kNoId;  // in its source's list of ends to be told
    Lots volume;
    Lots cum;           // executed
    Lots open_volume;   // still open of the position this order made
    Lots closing;       // of open_volume, claimed by live closes
    Lots close_shares;  // of its signal's volume, by closes that live or executed
    Lots closed_early;  // closed at the broker before we knew of the fill
    Price price;
    Price avg;
    Price stop_loss;
    Price take_profit;
    Price reference;
    std::uint64_t order_ticket = 0;
    std::uint64_t position_id = 0;
    std::uint64_t deals[4] = {};  // latest deal tickets: a fill counts once
    Nanos created;
    Nanos deadline;  // no (further) attempt at or after it
    Nanos signal_time;
    Nanos edge_time;
};

/// Order::marks. Some of what was counted has no deal number that its deal will be told by: named
/// by an operator, or the sum that a look-up found.
inline constexpr std::uint8_t kUnnamedFill = 1;
inline constexpr std::uint8_t kRestSent = 2;    // its rest is another order's by now
inline constexpr std::uint8_t kSaidByHand = 4;  // Close: what is counted of it, an operator named
inline constexpr std::uint8_t kFollowed = 8;    // Close of a source: what it leaves of a position
                                                // that the engine closes is the engine's to close

/// How often an order is priced anew, and how often sent again to a broker that asks for less:
/// after 1, 2, 4, 8, 16 s, cut by its time (C9).
inline constexpr std::uint8_t kRepricesMax = 3;
inline constexpr std::uint8_t kBackoffsMax = 5;

/// What limits count of an order: what it holds and, until it is final, may yet get. 0 for what is
/// no entry.
[[nodiscard]] inline Lots exposure_of(const Order& o) noexcept {
    if (o.type != CommandType::Open) {
        return Lots{};
    }
    const bool more = !is_final(o.status) && o.volume > o.cum;
    return more ? o.open_volume + (o.volume - o.cum) : o.open_volume;
}

/// One signal in the dedupe ledger, accepted or refused. Leaves by age only; stays while orders
/// refer to it.
struct SignalEntry {
    Signal signal;
    Sequence accepted;
    Nanos accepted_time;
    Nanos born;                         // its TTL runs from here
    std::uint32_t first_order = kNoId;  // orders that are still in the table, newest first
    std::uint32_t last_order = kNoId;
    std::uint32_t older = kNoId;  // age list
    std::uint32_t newer = kNoId;
    std::uint32_t orders_made = 0;
    std::uint32_t orders_open = 0;     // whose end is not told yet
    std::uint32_t orders_resting = 0;  // of them, Resting or Owed
    bool done_returned = false;  // only resting orders are left: SignalDone waits for a slot too
    bool leaving = false;        // a close or cancel of it was accepted: no rest is sent any more
    std::uint8_t reserved[2] = {};
    std::uint32_t filled = 0;
    std::uint32_t rejected = 0;
    std::uint32_t in_table = 0;  // orders linked from first_order
    bool fanned_out = false;
    bool done = false;
    Reason refused = Reason::None;  // why; None = accepted
};

struct RecentOrder {
    SymbolId symbol{kNoId};
    Side side{};
    std::uint8_t reserved[3] = {};
    Lots volume;
    Nanos time;
};

struct Account {
    AccountSpec spec;
    bool defined = false;
    bool permitted = true;      // broker lets this login trade
    bool synced = false;        // SyncDone seen in this session
    bool ready = false;         // reconciled in this session: synced and every look-up answered
    bool removed = false;       // for good; not `defined` any more
    bool query_queued = false;  // a job is queued
    bool release_queued = false;
    std::uint8_t killed = 0;                      // kill actions in force
    AccountState wanted = AccountState::Trading;  // by operator, or by a broker's refusal
    AccountState state = AccountState::Reconciling;
    LinkState link = LinkState::Down;
    bool lost_some = false;    // the log may lack what had left for it when a segment was lost last
    std::uint8_t guarded = 0;  // kGuard...: what of AccountGuard is in force
    bool away = false;         // its executor does not reach the broker, or has not settled there
    bool exits_go = false;     // closes, modifies and cancels could leave now
    bool has_blocks = false;   // some symbol is set in AccountOutcome::blocked
    std::uint64_t last_event = 0;  // executor events applied
    std::uint64_t journal_id = 0;  // executor's intent journal
    std::uint64_t generation = 0;
    Money equity;
    Money balance;
    std::int64_t tokens = 0;  // rate bucket, 1e9 = one request
    Nanos tokens_time;
    Nanos rate_changed;           // when AccountRisk::rate_milli last changed
    std::uint32_t unused_v7 = 0;  // rate_shift of logic version 7
    std::uint32_t first_order = kNoId;
    std::uint32_t last_order = kNoId;
    std::uint32_t live_orders = 0;  // not final
    std::uint32_t open_positions = 0;
    std::uint32_t in_doubt = 0;  // blocks entries of the same symbol (C19)
    std::uint32_t queries_open = 0;
    std::uint32_t recent_next = 0;
    RecentOrder recent[8];
};

/// Why an account that lost too much takes no entries.
enum class Halt : std::uint8_t { None = 0, DailyLoss = 1, Drawdown = 2 };

/// What an account's limits go by. A table of its own behind the others: images of format 2 end
/// before it.
struct AccountRisk {
    LimitSpec limits;
    Money samples[3];             // equity as told, newest first
    Nanos sampled;                // when the newest came
    std::uint64_t known = 0;      // of samples
    Money day_start;              // equity with which the day began; 0 = not known yet
    Money peak;                   // highest that three samples in a row confirm
    std::int64_t day = 0;         // since 1970, each begins at limits.day_start_s
    Lots volume;                  // of entries: open, and on its way
    std::uint32_t positions = 0;  // entries of that volume
    Halt halt{};
    std::uint8_t refused_in_row = 0;  // answers 10024
    std::uint8_t pauses = 0;          // after three of them each; one that is done begins anew
    std::uint8_t slipped = 0;         // 1: a fill beyond limits.max_slippage stopped entries
    std::uint32_t rate_milli = 0;     // entries in 1000 s; 0 = as configured
    std::uint32_t knee_milli = 0;     // the rate that was too much last
    Nanos cut;                        // when the rate was last halved
    Nanos paused_until;               // no entries before
};
/// What the answers of its broker have led to, until an operator lets the account trade again.
/// Images of format 4 end before it.
struct AccountOutcome {
    std::uint64_t blocked[kSymbolsMax / 64] = {};  // symbols that the broker has switched off
    Nanos blocked_at;                              // the latest; 0 = none
    std::uint32_t doubles = 0;                     // proven second executions
    std::uint32_t reserved = 0;
};
/// The same of one side. Images of format 5 end before this and the tables below.
struct AccountSides {
    std::uint64_t no_buys[kSymbolsMax / 64] = {};   // symbols that the broker takes no buys of
    std::uint64_t no_sells[kSymbolsMax / 64] = {};  // no sells
    Nanos limit_told;  // when somebody was told last that the broker takes no more; 0 = never
};
/// When entries for the account go to another one (MemberSpec::standby).
struct AccountStandby {
    Nanos reconciling_since;  // when it last became RECONCILING
    std::uint32_t given = 0;  // the signal it was last given an order of, counted as accepted
    std::uint32_t reserved = 0;
};
/// A close that is over without all of its volume, although an attempt of it may have reached the
/// broker: what it closes should it turn out to have been executed.
struct EndedClose {
    std::uint64_t intent = 0;  // 0 = a free place
    std::uint64_t target = 0;  // intent of the order whose position it was to close
    SignalId signal;           // that asked for it
    AccountId account{kNoId};
    SymbolId symbol{kNoId};
    Side side{};  // of the close
    std::uint8_t reserved[7] = {};
    Lots volume;   // asked for
    Lots cum;      // of it executed, as far as is known
    Lots share;    // of its signal's volume, which the target no longer counts as closed
    Lots unnamed;  // of cum, named by an operator: its deal has no number here yet
    std::uint64_t deals[4] = {};  // latest of those that were booked: each counts once
};
inline constexpr std::uint32_t kEndedClosesMax = 512;
/// The newest of them; those that are older are forgotten.
struct EndedCloses {
    std::uint64_t next = 0;  // place of the next one; counts on
    EndedClose ring[kEndedClosesMax];
};
struct GroupRisk {
    LimitSpec limits;
    Lots volume;  // as of an account
    std::uint32_t positions = 0;
    std::uint32_t guarded = 0;  // kGuard...: what of GroupGuard is in force
};

/// What a symbol's limits go by, over all accounts. Images of format 3 end before it.
struct SymbolRisk {
    SymbolLimitSpec limits;
    Lots bought;  // of entries: open, and on its way
    Lots sold;
    std::uint32_t positions = 0;
    std::uint32_t reserved = 0;
};

struct Member {
    MemberSpec spec;
    std::uint32_t next = kNoId;  // in the group, in order of definition
    std::uint32_t reserved = 0;
};

struct Group {
    GroupSpec spec;
    bool defined = false;
    std::uint8_t killed = 0;
    GroupState state{};
    std::uint8_t standbys = 0;  // 1: a member has named a standby
    std::uint32_t first_member = kNoId;
    std::uint32_t last_member = kNoId;
    std::uint32_t members = 0;
    std::uint32_t enabled = 0;  // of them
};

struct SymbolState {
    SymbolSpec spec;
    bool defined = false;
    std::uint8_t killed = 0;
    std::uint8_t guarded = 0;  // kGuard...: what of SymbolGuard is in force
    std::uint8_t reserved[5] = {};
};

struct SourceState {
    SourceSpec spec;
    bool defined = false;
    std::uint8_t killed = 0;
    std::uint8_t reserved[2] = {};
    std::uint32_t reserved_results = 0;  // result slots promised to live orders and signals
    std::uint32_t refusals = 0;          // of its signals in the ledger
    std::uint32_t first_owed = kNoId;    // orders whose end waits for a slot, oldest first
    std::uint32_t last_owed = kNoId;
};

/// Work that did not fit into the output slots of the record that caused it.
enum class JobKind : std::uint32_t { FanOut = 1, Release = 2, QueryAll = 3 };
struct Job {
    JobKind kind{};
    std::uint32_t subject = kNoId;  // FanOut: ledger index; Release, QueryAll: account
    std::uint32_t cursor = kNoId;   // next member or order
    std::uint32_t detail = 0;       // FanOut: accounts still to visit; QueryAll: 1 = working too
};

/// Everything that is not in a table.
struct Globals {
    RiskSpec risk;
    Sequence seq;  // last applied
    Nanos time;    // of the last record
    std::uint64_t next_intent = 1;
    std::uint64_t epoch = 0;
    std::uint64_t config_hash = 0;
    std::uint64_t output_hash = 0;  // rolling, over every order and result put out
    std::uint32_t logic_version = 0;
    std::uint8_t killed_all = 0;
    AdminAnswer admin_answer{};  // to the latest admin record
    bool naming = false;         // a currency's number has got another name, and the ConfigCommit
                                 // of that configuration has not come yet
    std::uint8_t reserved = 0;
    std::uint64_t admin_cursor = 0;  // its number in the admin ring; 0 = none in this segment
    AdminDetail admin_detail;
    std::uint32_t ends_owed = 0;      // orders in the sources' owed lists
    std::uint32_t ledger_from_s = 0;  // Unix time at which the ledger begins anew, because the log
                                      // of before is lost (restore()); 0 = it never was
    std::uint32_t oldest_signal = kNoId;
    std::uint32_t newest_signal = kNoId;
    std::uint32_t live_orders = 0;
    std::uint32_t in_doubt = 0;
    std::uint32_t open_positions = 0;
    std::uint32_t total_reserved_results = 0;
    std::uint64_t signals_accepted = 0;
    std::uint64_t signals_refused = 0;
    std::uint64_t refusals = 0;  // refused signals in the ledger
    std::uint64_t orders_sent = 0;
    std::uint64_t orders_filled = 0;
    std::uint64_t orders_rejected = 0;
    std::uint64_t foreign_deals = 0;
    std::uint64_t duplicate_executions = 0;
};

/// Bits of `guarded`: whoever has none of them pays for none.
inline constexpr std::uint8_t kGuardMoney = 1;
inline constexpr std::uint8_t kGuardMargin = 2;
inline constexpr std::uint8_t kGuardHours = 4;
inline constexpr std::uint8_t kGuardChanges = 8;
inline constexpr std::uint8_t kGuardCollar = 16;

/// A currency and its latest quote. Images of format 4 end before this and the tables below.
struct CurrencyState {
    CurrencySpec spec;
    Price bid;
    Price ask;
    Nanos tick_time;
    Nanos asked;  // when a Rate record last spoke of it
    bool defined = false;
    bool named = false;  // since the last ConfigCommit
    std::uint8_t reserved[6] = {};
};

/// Bits of `named`: what was defined since the last ConfigCommit, which ends all else.
inline constexpr std::uint32_t kNamedMoney = 1;
inline constexpr std::uint32_t kNamedHours = 2;
inline constexpr std::uint32_t kNamedQuotes = 4;

/// What an account's guards go by. Notional is in whole units of the common currency.
struct AccountGuard {
    MoneyLimitSpec money;
    HoursSpec hours;
    std::int64_t notional = 0;      // of entries: open, and on its way
    std::int64_t filled_since = 0;  // of what was filled since free_margin was told
    Money free_margin;
    std::uint32_t leverage = 0;      // 0 = free_margin is not told
    std::uint32_t unvalued = 0;      // entries that count whose notional is not known
    std::int64_t change_tokens = 0;  // 1e9 = one change
    Nanos changes_time;
    std::int64_t told_week = 0;  // the last one at whose end positions were open
    std::uint32_t named = 0;
    std::uint32_t reserved = 0;
};
struct GroupGuard {
    MoneyLimitSpec money;
    std::int64_t bought = 0;  // notional
    std::int64_t sold = 0;
    Lots bought_volume;
    Lots sold_volume;
    std::uint32_t unvalued = 0;
    std::uint32_t named = 0;
};
struct SymbolGuard {
    SymbolGuardSpec spec;
    HoursSpec hours;
    std::uint32_t named = 0;
    std::uint32_t reserved = 0;
};

/// Of the loss of a segment.
struct SegmentLoss {
    Nanos at;  // when the engine of the next one began; 0 = none was lost
};

// The state hash and the snapshot image are over raw bytes: no entity may have padding.
template <class T>
inline constexpr bool kNoPadding = std::has_unique_object_representations_v<T>;
static_assert(kNoPadding<Order> && kNoPadding<SignalEntry> && kNoPadding<Account>);
static_assert(kNoPadding<Member> && kNoPadding<Group> && kNoPadding<SymbolState>);
static_assert(kNoPadding<AccountRisk> && kNoPadding<GroupRisk>);
static_assert(kNoPadding<AccountOutcome> && kNoPadding<AccountSides>);
static_assert(kNoPadding<AccountStandby> && kNoPadding<EndedClose> && kNoPadding<EndedCloses>);
static_assert(kNoPadding<SymbolRisk> && kNoPadding<SegmentLoss>);
static_assert(kNoPadding<CurrencyState> && kNoPadding<AccountGuard>);
static_assert(kNoPadding<GroupGuard> && kNoPadding<SymbolGuard>);
static_assert(kNoPadding<SourceState> && kNoPadding<Job> && kNoPadding<Globals>);
static_assert(kNoPadding<OrderCommand> && kNoPadding<SignalResult> && kNoPadding<Report>);
static_assert(kNoPadding<Signal> && kNoPadding<AdminRecord> && kNoPadding<Effect>);

}  // namespace millrace
