// Effect: a row for the stores, put out by the replica's engine while it applies the log.
//
// Effects are upserts keyed by what they describe, numbered (seq, k) per journal record, so that
// a sink may see one twice and store it once.
#pragma once

#include "core/order_status.h"
#include "core/signal.h"
#include "core/types.h"

#include <cstddef>
#include <cstring>

namespace millrace {

enum class EffectKind : std::uint8_t {
    Definition = 1,  // DefinitionRow: id -> name
    Signal = 2,      // SignalRow
    Order = 3,       // OrderRow: the order as it stands now
    Execution = 4,   // ExecutionRow: one deal
    Position = 5,    // PositionRow: as it stands now; volume 0 = closed
    Account = 6,     // AccountRow
    Alert = 7,       // AlertRow
};

struct DefinitionRow {
    char kind = 0;           // 'S' symbol, 'G' group, 'A' account, 'O' source
    std::uint8_t state = 0;  // GroupState; of accounts and groups
    std::uint8_t reserved[2] = {};
    std::uint32_t id = kNoId;
    Text<16> name;
};
struct SignalRow {
    SignalId id;
    SignalId target;
    SourceId source{kNoId};
    GroupId group{kNoId};
    SymbolId symbol{kNoId};
    SignalAction action{};
    Side side{};
    PriceKind price_kind{};
    std::uint8_t done = 0;     // 1 when every order of it is final
    std::uint16_t reason = 0;  // Reason: why refused; None = accepted
    std::uint16_t reserved = 0;
    std::uint32_t accounts = 0;  // orders made
    std::uint32_t filled = 0;
    std::uint32_t rejected = 0;
    Lots volume;
    Price price;
    Price stop_loss;
    Price take_profit;
    Nanos send_time;
    Nanos accepted_time;
};
struct OrderRow {
    Magic magic;  // of the latest attempt; its intent part is the key
    SignalId signal;
    AccountId account{kNoId};
    SymbolId symbol{kNoId};
    std::uint8_t type = 0;  // CommandType
    Side side{};
    PriceKind price_kind{};
    OrdStatus status{};
    std::uint16_t reason = 0;
    std::uint16_t attempts = 0;
    std::uint32_t retcode = 0;
    std::uint32_t reserved = 0;
    Lots volume;
    Lots cum_volume;
    Price price;
    Price avg_price;
    Price stop_loss;
    Price take_profit;
    std::uint64_t order_ticket = 0;
    std::uint64_t position_id = 0;
    Nanos created;
    Nanos deadline;
};
struct ExecutionRow {
    std::uint64_t deal_ticket = 0;
    Magic magic;
    AccountId account{kNoId};
    SymbolId symbol{kNoId};
    Side side{};
    std::uint8_t exec_kind = 0;  // ExecKind
    std::uint8_t entry = 0;      // 0 in, 1 out
    std::uint8_t reserved[5] = {};
    Lots volume;
    Price price;
    std::uint64_t order_ticket = 0;
    std::uint64_t position_id = 0;
    Nanos broker_time;
};
struct PositionRow {
    AccountId account{kNoId};
    SymbolId symbol{kNoId};
    std::uint64_t position_id = 0;  // key together with account and magic
    Magic magic;
    SignalId signal;
    Side side{};
    std::uint8_t reserved[7] = {};
    Lots volume;  // still open
    Price open_price;
    Price stop_loss;
    Price take_profit;
};
struct AccountRow {
    AccountId account{kNoId};
    AccountState state{};
    LinkState link{};
    std::uint8_t permissions = 0;
    std::uint8_t reserved = 0;
    Money equity;
    Money balance;
    std::uint32_t live_orders = 0;
    std::uint32_t open_positions = 0;
};
enum class AlertCode : std::uint32_t {
    OrderInDoubt = 1,
    DuplicateExecution = 2,  // two executions of one intent: must never happen
    AccountSuspended = 3,
    LinkDown = 4,
    Killed = 5,
    ForeignTrade = 6,
    LedgerFull = 7,
    TableFull = 8,
    ExecutorJournalLost = 9,
    UnknownReport = 10,  // evidence for an order we do not know
    SegmentLost = 11,
    SequenceSkipped = 12,
    LossLimit = 13,       // the account takes no entries; detail: Reason::DailyLoss or Drawdown
    RatePaused = 14,      // three 10024 in a row; detail: seconds without entries
    NoMoney = 15,         // the account is REDUCE_ONLY; detail: return code
    Slippage = 16,        // an entry was filled too far from its reference; detail: share in 1e-8
    MarketClosed = 17,    // an order has waited for the market to open for an hour
    DuplicateOrder = 18,  // like one just before it; sent. detail: the window in ms
    WeekEnd = 19,         // positions are open shortly before the week's end, against the account's
                          // settings; detail: how many
    SymbolBlocked = 30,  // the broker has switched off that symbol: no entries. detail: return code
    PartialFill = 31,    // a market order was done in part. detail: PartialAction
    OwnCloseFailed = 32,  // a close that the engine made itself came to nothing: the position
                          // stands open. detail: Reason (MARKET_CLOSED: eight attempts in two
                          // hours met a closed market). Tried again, and told again each hour;
                          // not after TABLE_FULL or CANCELED
    LateClose = 33,       // a close was executed after it had ended otherwise; booked. detail: deal
    StandbyTook = 34,  // an entry of an account that was out went to its standby, which the order
                       // says. detail: AccountState of the one named here
    BrokerLimit = 35,  // the broker takes no more orders, lots or positions, or another order of
                       // closing: refused one by one; told once an hour. detail: return code
};
struct AlertRow {
    AlertCode code{};
    AccountId account{kNoId};
    Magic magic;
    SignalId signal;
    std::uint64_t detail = 0;
};

/// One effect. The body is one of the rows above, by `kind`.
struct Effect {
    Sequence seq;
    std::uint32_t k = 0;
    EffectKind kind{};
    std::uint8_t reserved[3] = {};
    Nanos time;
    std::byte body[152] = {};

    template <class Row>
    static Effect make(EffectKind kind, const Row& row) noexcept {
        static_assert(std::is_trivially_copyable_v<Row> && sizeof(Row) <= sizeof(Effect::body));
        Effect e;
        e.kind = kind;
        std::memcpy(e.body, &row, sizeof(Row));
        return e;
    }
    template <class Row>
    [[nodiscard]] Row as() const noexcept {
        static_assert(std::is_trivially_copyable_v<Row> && sizeof(Row) <= sizeof(body));
        Row r;
        std::memcpy(&r, body, sizeof(Row));
        return r;
    }
};
static_assert(std::is_trivially_copyable_v<Effect> && sizeof(Effect) == 176);
static_assert(sizeof(SignalRow) == 112 && sizeof(OrderRow) == 128 && sizeof(ExecutionRow) == 72);
static_assert(sizeof(PositionRow) == 80 && sizeof(AccountRow) == 32 && sizeof(AlertRow) == 40);

}  // namespace millrace
