#include "tools/explain/words.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "tools/inspect/decode.h"

namespace millrace::explain {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

bool in_utc = true;

std::tm parts_of(Nanos time) {
    const auto seconds = static_cast<std::time_t>(time.value / kSecond);
    return in_utc ? fmt::gmtime(seconds) : fmt::localtime(seconds);
}
/// What a moment ends with.
std::string offset_of(const std::tm& parts) {
    char text[8] = "Z";
    return in_utc || std::strftime(text, sizeof text, "%z", &parts) == 0 ? "Z" : text;
}
std::string micros_of(Nanos time) {
    return fmt::format("{:06}", time.value % kSecond / 1000);
}

/// Reasons that the risk checks of one account give.
const char* check_words(Reason reason) noexcept {
    switch (reason) {
        case Reason::NoPrice: return "there was no fresh price to check it against";
        case Reason::PriceCollar: return "the price had moved further than the collar allows";
        case Reason::MaxLots: return "it was larger than one order may be";
        case Reason::MaxOpenOrders: return "the account had as many orders and positions as it may";
        case Reason::RateLimit: return "the account's rate of requests was used up";
        case Reason::DuplicateOrder: return "the account had just sent such an order";
        case Reason::SymbolFiltered: return "the account does not take this symbol in this group";
        case Reason::AccountNotTrading: return "the account was not trading";
        case Reason::ReduceOnly: return "the account took no new entries, closes only";
        case Reason::Killed: return "a kill switch was on";
        case Reason::VolumeBelowMin: return "what it was sized to is less than the symbol's least";
        case Reason::GroupPaused: return "the group was paused";
        case Reason::TooManyChanges: return "too many closes and changes of that order ran already";
        case Reason::MaxPositions: return "the account had as many positions as it may";
        case Reason::MaxVolume: return "the account would have held more than it may";
        case Reason::GroupLimit: return "the group's accounts together had what they may";
        case Reason::DailyLoss: return "the account had lost what it may lose in a day";
        case Reason::Drawdown: return "the account was too far below its highest equity";
        case Reason::SymbolLimit: return "all accounts together had what they may in that symbol";
        case Reason::MaxNotional: return "it, or all that the account held, was worth too much";
        case Reason::MaxLeverage: return "it was worth too much for the account's equity";
        case Reason::NoRate: return "there was no rate to measure it in the limits' currency";
        case Reason::FreeMargin: return "the account's free margin could not carry it";
        case Reason::OutsideHours: return "it was outside the hours of the account or the symbol";
        case Reason::WeekEnd:
            return "the week was about to close, and the account holds nothing over it";
        case Reason::ChangeRate: return "the account had changed its orders as often as it may";
        case Reason::SymbolBlocked: return "the broker had switched the symbol off for the account";
        case Reason::Slippage:
            return "an earlier entry of the account was filled far from its reference";
        default: return "?";
    }
}

}  // namespace

void show_times_in(const std::string& zone) {
    in_utc = zone == "UTC";
    if (!in_utc) {
        ::setenv("TZ", (":" + zone).c_str(), 1);
        ::tzset();
    }
}

std::string moment_text(Nanos time) {
    const std::tm parts = parts_of(time);
    return time.value <= 0
               ? "-"
               : fmt::format("{:%Y-%m-%dT%H:%M:%S}.{}{}", parts, micros_of(time), offset_of(parts));
}

std::string clock_text(Nanos time) {
    return time.value <= 0 ? "-" : fmt::format("{:%H:%M:%S}.{}", parts_of(time), micros_of(time));
}

std::string span_text(Nanos span) {
    const std::int64_t ms = std::max<std::int64_t>(0, span.value) / 1'000'000;
    const std::int64_t s = ms / 1000;
    if (s < 1) {
        return fmt::format("{}ms", ms);
    }
    if (s < 60) {
        return fmt::format("{}s", s);
    }
    if (s < 3600) {
        return fmt::format("{}m{:02}s", s / 60, s % 60);
    }
    return s < 48 * 3600 ? fmt::format("{}h{:02}m", s / 3600, s / 60 % 60)
                         : fmt::format("{}d{:02}h", s / 86'400, s / 3600 % 24);
}

const char* reason_words(Reason reason) noexcept {
    switch (reason) {
        case Reason::None: return "nothing stood in the way";
        case Reason::DuplicateSignal: return "a signal of this id was taken before";
        case Reason::StaleSignal: return "it was made before what the ledger of ids remembers";
        case Reason::LedgerFull: return "the ledger of signal ids was full";
        case Reason::Expired: return "its time was over before it could be sent";
        case Reason::UnknownGroup: return "it names a group that is not configured";
        case Reason::UnknownSymbol: return "it names a symbol that is not configured";
        case Reason::BadVolume: return "its volume is none that can be traded";
        case Reason::BadPrice: return "its price is missing or none that can be traded";
        case Reason::BadSignal: return "a field of it is out of range";
        case Reason::UnknownTarget: return "it acts on a signal that is not known";
        case Reason::NothingToDo: return "there was nothing left to act on";
        case Reason::EmptyGroup: return "the group had no member";
        case Reason::TableFull: return "the table of orders was full";
        case Reason::QueueFull: return "the account's queue was full; it never left this host";
        case Reason::JournalDown: return "the journal was down; it never left this host";
        case Reason::BrokerReject: return "the broker refused it";
        case Reason::MarketClosed: return "the market was closed";
        case Reason::NoMoney: return "the account had not enough money";
        case Reason::RetriesExhausted: return "the broker refused every attempt";
        case Reason::CanceledByUser: return "it was cancelled, at the broker or on request";
        default: return check_words(reason);
    }
}

const char* class_words(RetcodeClass cls) noexcept {
    switch (cls) {
        case RetcodeClass::Ok: return "done";
        case RetcodeClass::Part: return "done in part";
        case RetcodeClass::Reprice: return "not done, because of the price";
        case RetcodeClass::Backoff: return "not done, because of the load";
        case RetcodeClass::Queue: return "not done, the market is closed";
        case RetcodeClass::Reject: return "refused for good";
        case RetcodeClass::Suspend: return "refused, this account cannot trade";
        case RetcodeClass::Recon: return "says nothing about what was executed";
    }
    return "?";
}

std::string retcode_text(std::uint32_t code, RetcodeClass cls) {
    if (code == 0) {
        return {};
    }
    const auto rows = retcode_rows();
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [code](const RetcodeRow& r) { return r.code == code; });
    return fmt::format("{} {} ({})", code, row == rows.end() ? "not in MT5's list" : row->name,
                       class_words(cls));
}

const char* command_word(std::uint8_t type) noexcept {
    static constexpr const char* kWords[] = {"?", "OPEN", "CLOSE", "MODIFY", "CANCEL", "QUERY"};
    return type < std::size(kWords) ? kWords[type] : "?";
}

std::string number(std::int64_t scaled) {
    return inspect::decimal(scaled);
}

std::string percent(std::int64_t scaled) {
    std::string text = fmt::format("{:.4f}", static_cast<double>(scaled) / 1e6);
    text.erase(text.find_last_not_of('0') + 1);
    return (text.back() == '.' ? text + "0" : text) + " %";
}

void exposure_limits(const LimitSpec& l, std::vector<std::string>& out) {
    const auto count = [&out](const char* name, std::uint32_t n) {
        if (n > 0) {
            out.push_back(fmt::format("{} {}", name, n));
        }
    };
    const auto lots = [&out](const char* name, Lots n) {
        if (n.value > 0) {
            out.push_back(fmt::format("{} {}", name, number(n.value)));
        }
    };
    count("max_positions", l.max_positions);
    count("max_symbol_positions", l.max_symbol_positions);
    lots("max_volume", l.max_volume);
    lots("max_symbol_volume", l.max_symbol_volume);
}

void loss_limits(const LimitSpec& l, std::vector<std::string>& out) {
    const auto rule = [&out](const char* name, Money money, Ratio share) {
        if (money.value > 0) {
            out.push_back(fmt::format("{} {}", name, number(money.value)));
        }
        if (share.value > 0) {
            out.push_back(fmt::format("{}_share {}", name, percent(share.value)));
        }
    };
    rule("daily_loss", l.max_daily_loss, l.max_daily_loss_share);
    rule("drawdown", l.max_drawdown, l.max_drawdown_share);
    if (l.daily() || l.drawdown()) {
        out.push_back(fmt::format("on_loss {}, day begins at {:02}:{:02} UTC",
                                  l.action == LossAction::Suspend ? "suspend" : "reduce_only",
                                  l.day_start_s / 3600, l.day_start_s / 60 % 60));
    }
    if (l.max_slippage > 0) {
        static constexpr const char* kActions[] = {"reduce_only", "suspend", "alert", "close"};
        const auto action = static_cast<std::size_t>(l.on_slippage);
        out.push_back(fmt::format("max_slippage {}, on_slippage {}", percent(l.max_slippage),
                                  action < std::size(kActions) ? kActions[action] : "?"));
    }
}

}  // namespace millrace::explain
