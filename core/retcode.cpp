#include "core/retcode.h"

#include <array>

namespace millrace {
namespace {

using C = RetcodeClass;

/// What the broker lifts by itself as soon as something is closed blocks nothing here.
constexpr const char* kToldHourly = "refused, not sent again; an alert, once an hour";

/// There is no 10005 and no 10037. The tests hold it against the reference, code by code.
constexpr std::array kRows = {
    RetcodeRow{10004, C::Reprice, "REQUOTE", ""},
    RetcodeRow{10006, C::Reject, "REJECT", ""},
    RetcodeRow{10007, C::Reject, "CANCEL", ""},
    RetcodeRow{10008, C::Ok, "PLACED",
               "pending: works. Market order or close: waits for its deal, else IN_DOUBT after the "
               "answer timeout. Modify, cancel: only sent, IN_DOUBT"},
    RetcodeRow{10009, C::Ok, "DONE", ""},
    RetcodeRow{10010, C::Part, "DONE_PARTIAL", ""},
    RetcodeRow{10011, C::Recon, "ERROR", ""},
    RetcodeRow{10012, C::Recon, "TIMEOUT", ""},
    RetcodeRow{10013, C::Reject, "INVALID", ""},
    RetcodeRow{10014, C::Reject, "INVALID_VOLUME", ""},
    RetcodeRow{10015, C::Reject, "INVALID_PRICE",
               "market order or close: once more at a new price unless it had one; else refused"},
    RetcodeRow{10016, C::Reject, "INVALID_STOPS", "refused; never sent without its stops instead"},
    RetcodeRow{10017, C::Suspend, "TRADE_DISABLED",
               "refused; no entries of its symbol until an operator sets the account free; of two "
               "symbols within a minute: REDUCE_ONLY; where the terminal says that the account may "
               "not trade: SUSPENDED"},
    RetcodeRow{10018, C::Queue, "MARKET_CLOSED", ""},
    RetcodeRow{10019, C::Reject, "NO_MONEY",
               "refused; the account is REDUCE_ONLY until an operator sets it free"},
    RetcodeRow{10020, C::Reprice, "PRICE_CHANGED", ""},
    RetcodeRow{10021, C::Reprice, "PRICE_OFF",
               "again after 1, 2 or 4 s, by how often it was priced anew; within collar and TTL"},
    RetcodeRow{10022, C::Reject, "INVALID_EXPIRATION", ""},
    RetcodeRow{10023, C::Backoff, "ORDER_CHANGED", ""},
    RetcodeRow{10024, C::Backoff, "TOO_MANY_REQUESTS",
               "as its class; the account's rate is halved and grows again; three to entries "
               "in a row: none for 60, 120, 240 s, then SUSPENDED"},
    RetcodeRow{10025, C::Ok, "NO_CHANGES",
               "modify, cancel: done. Close: nothing left to do. No answer to an entry: IN_DOUBT"},
    RetcodeRow{10026, C::Suspend, "SERVER_DISABLES_AT", ""},
    RetcodeRow{10027, C::Suspend, "CLIENT_DISABLES_AT", ""},
    RetcodeRow{10028, C::Backoff, "LOCKED", ""},
    RetcodeRow{10029, C::Backoff, "FROZEN", ""},
    RetcodeRow{10030, C::Reject, "INVALID_FILL",
               "refused; the executor has tried the other filling modes before it says so"},
    RetcodeRow{10031, C::Recon, "CONNECTION", ""},
    RetcodeRow{10032, C::Reject, "ONLY_REAL", ""},
    RetcodeRow{10033, C::Reject, "LIMIT_ORDERS", kToldHourly},
    RetcodeRow{10034, C::Reject, "LIMIT_VOLUME", kToldHourly},
    RetcodeRow{10035, C::Reject, "INVALID_ORDER", ""},
    RetcodeRow{10036, C::Ok, "POSITION_CLOSED",
               "close: nothing left to do, unless a volume says that it closed. Modify, cancel: "
               "nothing left to do"},
    RetcodeRow{10038, C::Reject, "INVALID_CLOSE_VOLUME", ""},
    RetcodeRow{10039, C::Recon, "CLOSE_ORDER_EXIST", "IN_DOUBT until the earlier close is known"},
    RetcodeRow{10040, C::Reject, "LIMIT_POSITIONS", kToldHourly},
    RetcodeRow{10041, C::Reject, "REJECT_CANCEL", ""},
    RetcodeRow{10042, C::Reject, "LONG_ONLY",
               "refused; no sells of its symbol enter until an operator sets the account free"},
    RetcodeRow{10043, C::Reject, "SHORT_ONLY",
               "refused; no buys of its symbol enter until an operator sets the account free"},
    RetcodeRow{10044, C::Reject, "CLOSE_ONLY",
               "refused; no entries of its symbol until an operator sets the account free"},
    RetcodeRow{10045, C::Reject, "FIFO_CLOSE",
               "refused: the position stands until older ones of its symbol are closed; an alert, "
               "once an hour"},
    RetcodeRow{10046, C::Reject, "HEDGE_PROHIBITED", kToldHourly},
};

constexpr std::uint32_t kFirst = kRows.front().code;
constexpr std::uint32_t kSpan = kRows.back().code - kFirst + 1;

constexpr std::array<C, kSpan> kClasses = [] {
    std::array<C, kSpan> classes{};
    classes.fill(C::Recon);
    for (const RetcodeRow& row : kRows) {
        classes[row.code - kFirst] = row.cls;
    }
    return classes;
}();

}  // namespace

std::span<const RetcodeRow> retcode_rows() noexcept {
    return kRows;
}

RetcodeClass classify(std::uint32_t code) noexcept {
    return code - kFirst < kSpan ? kClasses[code - kFirst] : C::Recon;  // below kFirst it wraps
}

RetcodeClass classify(std::uint32_t code, CommandType type, PriceKind kind) noexcept {
    const bool entry = type == CommandType::Open;
    const bool deals = entry || type == CommandType::Close;
    switch (code) {
        case retcode::kPlaced: return deals ? C::Ok : C::Recon;
        case retcode::kInvalidPrice: {
            const bool market = deals && (!entry || kind == PriceKind::Market);
            return market ? C::Reprice : C::Reject;
        }
        case retcode::kNoChanges: return entry ? C::Recon : C::Ok;
        case retcode::kPositionClosed: return type == CommandType::Close ? C::Ok : C::Reject;
        default: return classify(code);
    }
}

std::string_view to_string(RetcodeClass c) noexcept {
    switch (c) {
        case C::Ok: return "OK";
        case C::Part: return "PART";
        case C::Reprice: return "REPRICE";
        case C::Backoff: return "BACKOFF";
        case C::Queue: return "QUEUE";
        case C::Reject: return "REJECT";
        case C::Suspend: return "SUSPEND";
        case C::Recon: return "RECON";
    }
    return "?";
}

std::string_view action_of(RetcodeClass c) noexcept {
    switch (c) {
        case C::Ok: return "done";
        case C::Part:
            return "what was done counts; the rest of a market order is gone, of a pending works "
                   "on";
        case C::Reprice:
            return "again at once at a new price, three times, within collar and TTL; then refused";
        case C::Backoff: return "again after 1, 2, 4, 8, 16 s within the TTL; then refused";
        case C::Queue:
            return "refused as MARKET_CLOSED; if its signal says so, again when its symbol is "
                   "quoted";
        case C::Reject: return "refused, not sent again";
        case C::Suspend: return "refused; the account is SUSPENDED until an operator sets it free";
        case C::Recon: return "IN_DOUBT: looked up by magic, sent again only if proven absent";
    }
    return "?";
}

}  // namespace millrace
