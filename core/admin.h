// Admin records: configuration, routing and operator commands, as journalled inputs.
//
// A configuration file is never read by the engine. `millrace up` turns it into these records, so
// a replay sees each change at the same place in the sequence (DESIGN rule 1).
#pragma once

#include "core/guards.h"
#include "core/order_status.h"
#include "core/types.h"

#include <cstddef>
#include <cstring>

namespace millrace {

enum class AdminOp : std::uint8_t {
    DefineSymbol = 1,    // SymbolSpec
    DefineSource = 2,    // SourceSpec
    DefineGroup = 3,     // GroupSpec
    DefineAccount = 4,   // AccountSpec
    DefineMember = 5,    // MemberSpec: account in group, with its sizing; `enabled` 0 removes it
    ConfigCommit = 6,    // ConfigCommit: everything of one file has been sent
    SetAccount = 7,      // AccountCommand: pause, resume, reduce-only, disable
    Kill = 8,            // KillCommand, after the broker stage got it on its own ring
    ClearKill = 9,       // KillCommand: same scope may trade again
    Resolve = 10,        // ResolveCommand: operator ends an IN_DOUBT order
    RiskLimits = 11,     // RiskSpec: global pre-trade settings
    SetGroup = 12,       // GroupCommand: pause, resume
    RemoveAccount = 13,  // AccountRemoval: for good; refused unless nothing of it is left
    RemoveGroup = 14,    // GroupRemoval: the same
    DefineLimits = 15,   // LimitSpec: of one account or group, in the place of those before
    DefineSymbolLimits = 16,  // SymbolLimitSpec: the same of one symbol
    DefineCurrency = 17,      // CurrencySpec
    DefineMoneyLimits =
        18,            // MoneyLimitSpec: of one account or group, in the place of those before
    DefineHours = 19,  // HoursSpec: of one account or symbol, the same
    DefineSymbolGuard = 20,  // SymbolGuardSpec: of one symbol, the same
};

enum class SizingMode : std::uint8_t {
    Fixed = 0,        // value = lots, whatever the signal says
    Multiplier = 1,   // lots = signal volume x value
    EquityShare = 2,  // lots = equity x value / (price x contract size)
};
enum class MarginMode : std::uint8_t { Hedging = 0, Netting = 1 };

inline constexpr std::uint32_t kSymbolsMax = 256;

struct SymbolSpec {
    SymbolId id{kNoId};
    std::uint32_t digits = 5;
    Text<16> name;                   // canonical, without prefix or suffix
    Price tick_size;                 // SYMBOL_TRADE_TICK_SIZE
    Lots volume_min;                 // SYMBOL_VOLUME_MIN
    Lots volume_max;                 // SYMBOL_VOLUME_MAX
    Lots volume_step;                // SYMBOL_VOLUME_STEP
    std::int64_t contract_size = 0;  // units per lot x 1e-8 scale (kScale = one unit)
    Ratio collar;                    // of the reference price; 0 = RiskSpec::collar
};
struct SourceSpec {
    SourceId id{kNoId};
    std::uint32_t reserved = 0;
    Text<16> name;
};
/// What becomes of a market entry that the broker has carried out in part, its rest being gone.
enum class PartialAction : std::uint32_t {
    Accept = 0,  // what was filled counts
    Refill = 1,  // the rest is sent once more, as an order of its own, within 10 s
    Close = 2,   // what was filled is closed
};
struct GroupSpec {
    GroupId id{kNoId};
    std::uint32_t on_partial = 0;  // PartialAction
    Text<16> name;
};
/// What becomes of an entry like one that left within the duplicate window.
enum class DuplicateAction : std::uint8_t { Refuse = 0, Alert = 1 };
/// What becomes of the second execution of one order, once it is proven to be one.
enum class DoubleAction : std::uint8_t { Close = 0, Alert = 1 };
/// With another login than before: refused while an order or position of the account lives.
struct AccountSpec {
    AccountId id{kNoId};
    MarginMode margin_mode{};
    std::uint8_t leaves_early = 0;  // 1: orders may leave before they are on disk (gate `process`)
    DuplicateAction on_duplicate{};
    DoubleAction on_double{};
    Text<16> name;
    std::uint64_t login = 0;  // ACCOUNT_LOGIN
    Text<8> symbol_prefix;
    Text<8> symbol_suffix;
    Lots max_lots;                      // per order; 0 = no limit
    std::uint32_t max_open_orders = 0;  // live orders and open positions; 0 = no limit
    std::uint32_t rate_per_second = 5;  // token bucket (mt5.md 1.4)
    std::uint32_t rate_burst = 10;
    std::uint32_t deviation_points = 20;
    std::uint32_t duplicate_window_ms = 0;  // same symbol, side, volume within it; 0 = off
    std::uint32_t reserved2 = 0;
};
struct MemberSpec {
    GroupId group{kNoId};
    AccountId account{kNoId};
    SizingMode sizing{};
    std::uint8_t enabled = 1;
    std::uint16_t standby_after_s = 0;        // RECONCILING for so long, it is out
    std::uint32_t standby = 0;                // 1 + the account that takes its entries while it is
                                              // out; 0 = none, they wait or are refused
    std::int64_t value = kScale;              // by `sizing`, in 1e-8
    std::uint64_t symbols[kSymbolsMax / 64];  // bit set = symbol allowed
};
/// With another magic_tag than before: refused while any order or position lives.
struct RiskSpec {
    Ratio collar{kScale / 1000};  // 0.10 %
    std::int64_t ledger_window_ns = 7LL * 86'400 * 1'000'000'000;
    std::int64_t answer_timeout_ns = 5'000'000'000;  // then IN_DOUBT (C19)
    std::uint64_t magic_tag = 0x4D52;                // 15 bits, tells our orders from foreign ones
    std::int64_t tick_age_max_ns = 0;                // older ticks count as NO_PRICE; 0 = any age
};
struct ConfigCommit {
    std::uint64_t config_hash = 0;
};
struct AccountCommand {
    AccountId account{kNoId};
    AccountState state{};
    std::uint8_t reserved[3] = {};
};
/// State Active or Paused. A paused group refuses entries; those that wait end with GroupPaused.
/// Closes, modifies and cancels go on.
struct GroupCommand {
    GroupId group{kNoId};
    GroupState state{};
    std::uint8_t reserved[3] = {};
};
/// What an account does that has lost too much.
enum class LossAction : std::uint8_t {
    ReduceOnly = 0,  // closes, modifies and cancels go on
    Suspend = 1,     // nothing but operator and kill
};
/// What an account does one of whose entries was filled far worse than its reference price.
enum class SlippageAction : std::uint8_t {
    ReduceOnly = 0,  // closes, modifies and cancels go on
    Suspend = 1,     // nothing but operator and kill
    Alert = 2,       // goes on; somebody is told
    Close = 3,       // what was filled so is closed; closes, modifies and cancels go on
};
/// Limits besides those of AccountSpec; 0 = none. Positions and volumes count what is open and what
/// is on its way, whatever its side. A group has the first and the third: of all its accounts.
/// Losses are measured in equity as its terminal tells it; of a money and a share the tighter
/// holds.
struct LimitSpec {
    LimitScope scope{};
    LossAction action{};
    SlippageAction on_slippage{};
    std::uint8_t reserved = 0;
    std::uint32_t id = kNoId;  // account or group
    std::uint32_t max_positions = 0;
    std::uint32_t max_symbol_positions = 0;
    Lots max_volume;
    Lots max_symbol_volume;
    Money max_daily_loss;  // since the day began
    Ratio max_daily_loss_share;
    Money max_drawdown;  // since the highest equity
    Ratio max_drawdown_share;
    std::uint32_t day_start_s = 0;   // second of the UTC day at which the account's day begins
    std::uint32_t max_slippage = 0;  // of an entry's deal from its reference, a share in 1e-8
    [[nodiscard]] bool daily() const noexcept {
        return max_daily_loss.value > 0 || max_daily_loss_share.value > 0;
    }
    [[nodiscard]] bool drawdown() const noexcept {
        return max_drawdown.value > 0 || max_drawdown_share.value > 0;
    }
    /// True if a fill can stop the account's entries.
    [[nodiscard]] bool slippage() const noexcept {
        return max_slippage > 0 && on_slippage != SlippageAction::Alert;
    }
};
/// What all accounts together may hold in one symbol, open and on its way; 0 = no limit.
struct SymbolLimitSpec {
    SymbolId id{kNoId};
    std::uint32_t max_positions = 0;
    Lots max_volume;      // buys and sells added
    Lots max_net_volume;  // of the side that is more, without what the other offsets
};
/// Refused while an order or position of it lives. Its id is never defined again.
struct AccountRemoval {
    AccountId account{kNoId};
    std::uint32_t reserved = 0;
};
/// Refused while an order or position that came through the group lives: its close would find no
/// group. The group's id is never defined again.
struct GroupRemoval {
    GroupId group{kNoId};
    std::uint32_t reserved = 0;
};

/// The engine's answer to an admin record. Part of the state, so that an answer outlives the
/// engine that gave it. Stable numbers.
enum class AdminAnswer : std::uint8_t {
    Ok = 0,
    UnknownAccount = 1,
    UnknownGroup = 2,
    UnknownScope = 3,    // kill of something that is not there
    AccountRemoved = 4,  // removed for good: its id is not used again
    GroupRemoved = 5,
    OrdersLive = 6,  // detail: see AdminDetail
    PositionsOpen = 7,
    OrdersInDoubt = 8,
    FanOutRuns = 9,  // a signal is being handed out to the group; soon over
    TableFull = 10,
    NotInDoubt = 11,  // resolve: no such order is IN_DOUBT, or the finding does not fit it
    BadState = 12,    // a state that this command does not know
    TagInUse = 13,    // orders or positions live whose ids carry the present tag; see AdminDetail
    LoginInUse = 14,  // orders or positions of the account's present login live; see AdminDetail
};
/// A sentence for people: what is wrong, without the name of the thing.
[[nodiscard]] std::string_view to_string(AdminAnswer a) noexcept;
/// Orders and positions that stand in the way, as OrdersLive, PositionsOpen, OrdersInDoubt,
/// TagInUse and LoginInUse count them.
struct AdminDetail {
    std::uint32_t orders = 0;
    std::uint32_t positions = 0;
};

enum class KillScope : std::uint8_t { All = 0, Group = 1, Account = 2, Symbol = 3, Source = 4 };
/// What the kill does: bits.
inline constexpr std::uint8_t kKillStop = 1;     // no new entries
inline constexpr std::uint8_t kKillCancel = 2;   // cancel our pending orders
inline constexpr std::uint8_t kKillFlatten = 4;  // close our positions
struct KillCommand {
    std::uint64_t kill_id = 0;  // repeated ids are idempotent
    KillScope scope{};
    std::uint8_t actions = kKillStop;
    std::uint8_t reserved[2] = {};
    std::uint32_t scope_id = kNoId;  // account, group, symbol or source id
    Text<16> symbol;                 // broker side, for KillScope::Symbol
};
struct ResolveCommand {
    Magic magic;
    OrdStatus status{};  // what the operator found
    std::uint8_t reserved[3] = {};
    /// 1 + the account whose executor is told all the same where the engine has no such order: one
    /// of the kill switch at a venue, or one that is over here and not there. 0 = none.
    std::uint32_t executor_of = 0;
    Lots volume;
    Price price;
    std::uint64_t position_id = 0;
};

/// One admin input. The body is one of the structs above, by `op`.
struct AdminRecord {
    AdminOp op{};
    std::uint8_t reserved[7] = {};
    std::byte body[120] = {};

    template <class Body>
    static AdminRecord make(AdminOp op, const Body& body) noexcept {
        static_assert(std::is_trivially_copyable_v<Body> &&
                      sizeof(Body) <= sizeof(AdminRecord::body));
        AdminRecord r;
        r.op = op;
        std::memcpy(r.body, &body, sizeof(Body));
        return r;
    }
    template <class Body>
    [[nodiscard]] Body as() const noexcept {
        static_assert(std::is_trivially_copyable_v<Body> && sizeof(Body) <= sizeof(body));
        Body b;
        std::memcpy(&b, body, sizeof(Body));
        return b;
    }
};
static_assert(std::is_trivially_copyable_v<AdminRecord> && sizeof(AdminRecord) == 128);
static_assert(sizeof(SymbolSpec) == 72 && sizeof(AccountSpec) == 80 && sizeof(MemberSpec) == 56);
static_assert(sizeof(GroupCommand) == 8 && sizeof(AccountRemoval) == 8 &&
              sizeof(GroupRemoval) == 8);
static_assert(sizeof(LimitSpec) == 72 && sizeof(SymbolLimitSpec) == 24);
static_assert(sizeof(KillCommand) == 32 && sizeof(RiskSpec) == 40 && sizeof(ResolveCommand) == 40);

}  // namespace millrace
