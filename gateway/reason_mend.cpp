#include "gateway/reason_mend.h"

namespace millrace {
namespace {

/// Of a signal as a whole: it reached no account.
std::string_view of_signal(Reason reason) noexcept {
    switch (reason) {
        case Reason::DuplicateSignal:
            return "nothing: the first one's results count; give a new signal a new id";
        case Reason::StaleSignal:
            return "give send_time_ns the time at which the signal is made, and check this host's "
                   "clock";
        case Reason::LedgerFull:
            return "send it again later; raise capacity.ledger if this comes again";
        case Reason::Expired:
            return "send a new one if it still holds; raise ttl_ms, or check both clocks and why "
                   "it "
                   "waited";
        case Reason::UnknownGroup: return "use a group of the configuration: millrace group list";
        case Reason::UnknownSymbol: return "use a symbol of the configuration, without suffixes";
        case Reason::BadVolume:
            return "give a volume in lots above 0 that the symbol's step divides";
        case Reason::BadPrice:
            return "give limits and stops a price above 0, in the symbol's digits";
        case Reason::BadSignal:
            return "compare its fields with SIGNALS.md; the text names the field";
        case Reason::UnknownTarget:
            return "name the id of an open that was accepted and is still remembered";
        case Reason::NothingToDo: return "nothing: no position or order of its target is left";
        case Reason::EmptyGroup: return "add accounts to the group: millrace group member";
        case Reason::TableFull:
            return "wait for orders to end; raise capacity.orders if it comes again";
        case Reason::GroupPaused: return "wait, or have an operator call millrace group resume";
        case Reason::QueueFull:
            return "if Refused: the same again in some milliseconds; of an account: a new signal, "
                   "later";
        case Reason::JournalDown:
            return "if Refused: the same again later; of an account: a new signal, when the disk "
                   "writes";
        default: return {};
    }
}

/// Of one account's share of it.
std::string_view of_account(Reason reason) noexcept {
    switch (reason) {
        case Reason::NoPrice: return "wait for ticks of the symbol, or check its feed";
        case Reason::PriceCollar:
            return "send a new one with a new reference price; the collar is risk.collar";
        case Reason::MaxLots: return "send less, or have an operator raise max_lots";
        case Reason::MaxOpenOrders: return "close or cancel first, or raise max_open_orders";
        case Reason::RateLimit: return "send fewer signals a second, or raise the account's rate";
        case Reason::DuplicateOrder:
            return "wait for the end of duplicate_window_ms, if the second one is meant";
        case Reason::SymbolFiltered: return "send another symbol, or change the member's filter";
        case Reason::AccountNotTrading:
            return "see why: millrace account list and alerts; then millrace account resume";
        case Reason::ReduceOnly:
            return "send closes only, or have an operator call millrace account resume";
        case Reason::Killed: return "wait until an operator calls millrace unkill";
        case Reason::VolumeBelowMin:
            return "send more, or raise the member's multiplier or share of equity";
        case Reason::TooManyChanges: return "wait for the results of the changes under way";
        case Reason::MaxPositions: return "close first, or raise the account's max_positions";
        case Reason::MaxVolume: return "close first, or raise the account's max_volume";
        case Reason::GroupLimit: return "close first, or raise the group's limits";
        case Reason::DailyLoss:
            return "closes only until the account's next day, or until an operator resumes it";
        case Reason::Drawdown: return "closes only until an operator resumes the account";
        case Reason::BrokerReject:
            return "see the return code: gateway/README.md says what each means";
        case Reason::MarketClosed: return "send a new one when the market is open";
        case Reason::NoMoney: return "add money or close; then millrace account resume";
        case Reason::RetriesExhausted:
            return "send a new one if it still holds; the return code is that of the last try";
        case Reason::CanceledByUser: return "nothing: its owner or a signal took the order back";
        case Reason::Slippage:
            return "have somebody look at the price feeds; then millrace account resume";
        case Reason::SymbolLimit: return "close first, or raise the limits of the symbol";
        case Reason::MaxNotional:
            return "send less or close first, or raise max_order_notional or max_notional";
        case Reason::MaxLeverage:
            return "send less or close first, or raise max_order_leverage or max_leverage";
        case Reason::NoRate:
            return "have the quotes of money.rates come again, or configure a rate there";
        case Reason::FreeMargin: return "send less, close first, or add money";
        case Reason::OutsideHours:
            return "send it within the hours of the account and of the symbol";
        case Reason::WeekEnd: return "send it when the week has begun; closes go on";
        case Reason::ChangeRate:
            return "modify less often, or raise the account's changes_per_minute";
        case Reason::SymbolBlocked:
            return "have somebody ask the broker why the symbol is off; then millrace account "
                   "resume";
        case Reason::DuplicateClosed:
            return "nothing: the engine closes what was executed twice, and tells an operator";
        default: return {};
    }
}

}  // namespace

std::string_view reason_mend(Reason reason) noexcept {
    const std::string_view whole = of_signal(reason);
    return whole.empty() ? of_account(reason) : whole;
}

}  // namespace millrace
