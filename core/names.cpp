#include "core/admin.h"
#include "core/order_status.h"
#include "core/result.h"

namespace millrace {

std::string_view to_string(Errc code) noexcept {
    switch (code) {
        case Errc::Ok: return "Ok";
        case Errc::RingFull: return "RingFull";
        case Errc::RingEmpty: return "RingEmpty";
        case Errc::BadMagic: return "BadMagic";
        case Errc::BadVersion: return "BadVersion";
        case Errc::BadLayout: return "BadLayout";
        case Errc::BadCursor: return "BadCursor";
        case Errc::BadChecksum: return "BadChecksum";
        case Errc::BadChain: return "BadChain";
        case Errc::TornTail: return "TornTail";
        case Errc::NotOwner: return "NotOwner";
        case Errc::NoSpace: return "NoSpace";
        case Errc::IoError: return "IoError";
        case Errc::Poisoned: return "Poisoned";
        case Errc::BadFrame: return "BadFrame";
        case Errc::BadAuth: return "BadAuth";
        case Errc::Unsupported: return "Unsupported";
        case Errc::Timeout: return "Timeout";
        case Errc::NotFound: return "NotFound";
        case Errc::Busy: return "Busy";
        case Errc::BadInput: return "BadInput";
        case Errc::OtherBoot: return "OtherBoot";
    }
    return "?";
}

std::string_view to_string(OrdStatus s) noexcept {
    switch (s) {
        case OrdStatus::Held: return "HELD";
        case OrdStatus::PendingNew: return "PENDING_NEW";
        case OrdStatus::New: return "NEW";
        case OrdStatus::PartiallyFilled: return "PARTIALLY_FILLED";
        case OrdStatus::Filled: return "FILLED";
        case OrdStatus::Canceled: return "CANCELED";
        case OrdStatus::Rejected: return "REJECTED";
        case OrdStatus::Expired: return "EXPIRED";
        case OrdStatus::InDoubt: return "IN_DOUBT";
    }
    return "?";
}

std::string_view to_string(AccountState s) noexcept {
    switch (s) {
        case AccountState::Reconciling: return "RECONCILING";
        case AccountState::Trading: return "TRADING";
        case AccountState::ReduceOnly: return "REDUCE_ONLY";
        case AccountState::Suspended: return "SUSPENDED";
        case AccountState::Disabled: return "DISABLED";
        case AccountState::Inactive: return "INACTIVE";
        case AccountState::Removed: return "REMOVED";
    }
    return "?";
}

std::string_view to_string(GroupState s) noexcept {
    switch (s) {
        case GroupState::Active: return "ACTIVE";
        case GroupState::Paused: return "PAUSED";
        case GroupState::Removed: return "REMOVED";
    }
    return "?";
}

std::string_view to_string(AdminAnswer a) noexcept {
    switch (a) {
        case AdminAnswer::Ok: return "done";
        case AdminAnswer::UnknownAccount: return "the engine knows no such account";
        case AdminAnswer::UnknownGroup: return "the engine knows no such group";
        case AdminAnswer::UnknownScope: return "the engine knows nothing of that name";
        case AdminAnswer::AccountRemoved: return "the account was removed for good";
        case AdminAnswer::GroupRemoved: return "the group was removed for good";
        case AdminAnswer::OrdersLive: return "orders are live";
        case AdminAnswer::PositionsOpen: return "positions are open";
        case AdminAnswer::OrdersInDoubt: return "orders are IN_DOUBT";
        case AdminAnswer::FanOutRuns: return "a signal is being handed out to the group";
        case AdminAnswer::TableFull: return "the engine's table is full";
        case AdminAnswer::NotInDoubt: return "no such order is IN_DOUBT";
        case AdminAnswer::BadState: return "no such state can be set";
        case AdminAnswer::TagInUse:
            return "orders or positions live whose ids carry the present \"risk.magic_tag\": set "
                   "it "
                   "back, or change it when they are closed (`millrace kill --all --flatten`)";
        case AdminAnswer::LoginInUse:
            return "orders or positions live under the account's present login: set it back, or "
                   "change it when they are closed (`millrace kill --account NAME --flatten`)";
    }
    return "?";
}

std::string_view to_string(LinkState s) noexcept {
    switch (s) {
        case LinkState::Down: return "DOWN";
        case LinkState::Authenticated: return "AUTHENTICATED";
        case LinkState::Syncing: return "SYNCING";
        case LinkState::Up: return "UP";
        case LinkState::AuthRejected: return "AUTH_REJECTED";
    }
    return "?";
}

std::string_view to_string(Reason r) noexcept {
    switch (r) {
        case Reason::None: return "NONE";
        case Reason::DuplicateSignal: return "DUPLICATE_SIGNAL";
        case Reason::StaleSignal: return "STALE_SIGNAL";
        case Reason::LedgerFull: return "LEDGER_FULL";
        case Reason::Expired: return "EXPIRED";
        case Reason::UnknownGroup: return "UNKNOWN_GROUP";
        case Reason::UnknownSymbol: return "UNKNOWN_SYMBOL";
        case Reason::BadVolume: return "BAD_VOLUME";
        case Reason::BadPrice: return "BAD_PRICE";
        case Reason::BadSignal: return "BAD_SIGNAL";
        case Reason::UnknownTarget: return "UNKNOWN_TARGET";
        case Reason::NothingToDo: return "NOTHING_TO_DO";
        case Reason::EmptyGroup: return "EMPTY_GROUP";
        case Reason::TableFull: return "TABLE_FULL";
        case Reason::NoPrice: return "NO_PRICE";
        case Reason::PriceCollar: return "PRICE_COLLAR";
        case Reason::MaxLots: return "MAX_LOTS";
        case Reason::MaxOpenOrders: return "MAX_OPEN_ORDERS";
        case Reason::RateLimit: return "RATE_LIMIT";
        case Reason::DuplicateOrder: return "DUPLICATE_ORDER";
        case Reason::SymbolFiltered: return "SYMBOL_FILTERED";
        case Reason::AccountNotTrading: return "ACCOUNT_NOT_TRADING";
        case Reason::ReduceOnly: return "REDUCE_ONLY";
        case Reason::Killed: return "KILLED";
        case Reason::VolumeBelowMin: return "VOLUME_BELOW_MIN";
        case Reason::QueueFull: return "QUEUE_FULL";
        case Reason::JournalDown: return "JOURNAL_DOWN";
        case Reason::GroupPaused: return "GROUP_PAUSED";
        case Reason::TooManyChanges: return "TOO_MANY_CHANGES";
        case Reason::MaxPositions: return "MAX_POSITIONS";
        case Reason::MaxVolume: return "MAX_VOLUME";
        case Reason::GroupLimit: return "GROUP_LIMIT";
        case Reason::DailyLoss: return "DAILY_LOSS";
        case Reason::Drawdown: return "DRAWDOWN";
        case Reason::BrokerReject: return "BROKER_REJECT";
        case Reason::MarketClosed: return "MARKET_CLOSED";
        case Reason::NoMoney: return "NO_MONEY";
        case Reason::RetriesExhausted: return "RETRIES_EXHAUSTED";
        case Reason::CanceledByUser: return "CANCELED";
        case Reason::Slippage: return "SLIPPAGE";
        case Reason::SymbolLimit: return "SYMBOL_LIMIT";
        case Reason::MaxNotional: return "MAX_NOTIONAL";
        case Reason::MaxLeverage: return "MAX_LEVERAGE";
        case Reason::NoRate: return "NO_RATE";
        case Reason::FreeMargin: return "FREE_MARGIN";
        case Reason::OutsideHours: return "OUTSIDE_HOURS";
        case Reason::WeekEnd: return "WEEK_END";
        case Reason::ChangeRate: return "CHANGE_RATE";
        case Reason::SymbolBlocked: return "SYMBOL_BLOCKED";
        case Reason::DuplicateClosed: return "DUPLICATE_CLOSED";
    }
    return "?";
}

}  // namespace millrace
