// Session, the part that watches whether anybody can trade on the account.
#include "gateway/session.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>

namespace millrace {
namespace {

constexpr const char* kNote =
    "an account cannot be reached for 15 s: no terminal, or no connection to its trade server";
constexpr const char* kBack = "an account that could not be reached can be again";
constexpr const char* kAlert =
    "ALERT further accounts cannot be reached for 30 s: no terminal, or no connection to its trade "
    "server. They take no entries; `millrace account list`";
static_assert(std::char_traits<char>::length(kAlert) < sizeof ErrorEntry::text);

/// What a terminal says of itself that somebody has to see to.
struct Complaint {
    std::uint8_t bit;  // of Event.permissions
    std::uint64_t BrokerStats::* named;
    const char* before;  // the account's number
    const char* after;
    const char* further;  // once so many have been named
};
constexpr Complaint kComplaints[] = {
    {bridge::kInfoStopsMissing, &BrokerStats::stops_named, "ALERT a position of account ",
     " has not got the stops its order asked for, and the broker refuses them. Set them by hand, "
     "or close it",
     "ALERT further accounts have a position without the stops that its order asked for: the "
     "broker refuses to set them. Set them by hand, or close it"},
    {bridge::kInfoTicksAway, &BrokerStats::ticks_named, "ALERT ticks of account ",
     " do not arrive: its terminal cannot reach millrace-ticks, or is denied. See its "
     "InpTickHost, InpTickPort, allowed addresses",
     "ALERT ticks of further accounts do not arrive: millrace-ticks is out of their terminals' "
     "reach, or denies them"},
    {bridge::kInfoKillWaits, &BrokerStats::kills_named, "ALERT account ",
     " cannot be flattened yet: a kill is in force, and positions or orders of ours are still "
     "there. See its terminal, or close by hand",
     "ALERT further accounts cannot be flattened yet: a kill is in force there. See their "
     "terminals, or close by hand"},
};
constexpr Complaint kRefused = {
    bridge::kInfoMayTrade, &BrokerStats::refused_named, "ALERT trading is not allowed on account ",
    ", closes neither: its Algo Trading button, the program's own setting, a read-only password, "
    "or the broker",
    "ALERT trading is not allowed on further accounts: see their terminals' Algo Trading button, "
    "password, and the broker"};
constexpr Complaint kKillWaits = {
    0, &BrokerStats::kills_named, "ALERT the kill of account ",
    " waits: no terminal, or no connection to its trade server. Its positions and orders are as "
    "they were: close them by hand",
    "ALERT the kill of further accounts waits: nobody reaches their brokers. Close by hand"};
constexpr Complaint kNoList = {
    0, &BrokerStats::unlisted_named, "account ",
    " has told no whole list of what it holds for long: it is not compared with our books. See its "
    "terminal's Experts tab",
    "further accounts have told no whole list of what they hold for long: they are not compared "
    "with our books"};
constexpr bool fits(const Complaint& c) {
    using Length = std::char_traits<char>;
    constexpr std::size_t kDigits = 10;
    return Length::length(c.before) + kDigits + Length::length(c.after) < sizeof ErrorEntry::text &&
           Length::length(c.further) < sizeof ErrorEntry::text;
}
static_assert(std::all_of(std::begin(kComplaints), std::end(kComplaints), fits) && fits(kRefused) &&
              fits(kKillWaits) && fits(kNoList));

/// By the account's number, as long as few have been named.
void complain(const SessionContext& context, AccountId account, const Complaint& c) noexcept {
    std::uint64_t& named = context.stats.*c.named;
    if (named >= Session::kComplaintsNamedMax) {
        context.segment.report_error("broker", c.further);
        return;
    }
    ++named;
    char text[sizeof ErrorEntry::text];
    std::snprintf(text, sizeof text, "%s%u%s", c.before, account.value, c.after);
    context.segment.report_error("broker", text);
}

}  // namespace

/// By name, as long as there are few of them.
void Session::tell_away() noexcept {
    if (!away_named_ && context_->stats.away_named >= kAwayNamedMax) {
        context_->segment.report_error("broker", kAlert);
        return;
    }
    context_->stats.away_named += away_named_ ? 0U : 1U;
    away_named_ = true;
    char text[sizeof ErrorEntry::text];
    // Relaxed: for a person.
    std::snprintf(
        text, sizeof text,
        "ALERT unreachable for 30 s: account %u (login %llu): %s. No entries; its positions "
        "keep their stops",
        account_.value,
        static_cast<unsigned long long>(entry().login.load(std::memory_order_relaxed)),
        link_ == LinkState::Up ? "its terminal has lost its trade server" : "it has no terminal");
    context_->segment.report_error("broker", text);
}

/// Each is told once, until the terminal has taken it back.
void Session::heed_complaints(std::uint8_t permissions) noexcept {
    const auto news = static_cast<std::uint8_t>(permissions & ~complaints_);
    complaints_ = permissions;
    has_told_ = true;
    for (const Complaint& c : kComplaints) {
        if ((news & c.bit) != 0) {
            complain(*context_, account_, c);
        }
    }
}

/// Trading that is switched off for good is for a person; a terminal that starts, or has lost its
/// trade server, says nothing of it.
void Session::watch_permission(Nanos now) noexcept {
    constexpr auto kUnknown = bridge::kInfoServerAway | bridge::kInfoSettling;
    const bool refused = link_ == LinkState::Up && has_told_ && !stopped_ &&
                         (complaints_ & (bridge::kInfoMayTrade | kUnknown)) == 0;
    if (!refused) {
        refused_since_ = Nanos{};
        refusal_told_ = refusal_told_ && (complaints_ & bridge::kInfoMayTrade) == 0;
        return;
    }
    refused_since_ = refused_since_.value == 0 ? now : refused_since_;
    if (!refusal_told_ && now - refused_since_ >= context_->times.refused_ns) {
        refusal_told_ = true;
        complain(*context_, account_, kRefused);
    }
}

/// The red button was pressed and nobody can carry it out: that must be said at once, but not of a
/// terminal that is just coming.
void Session::watch_kill(bool gone) noexcept {
    constexpr auto kDoes = kKillCancel | kKillFlatten;
    // Relaxed: own cell.
    const bool wanted = (entry().killed.load(std::memory_order_relaxed) & kDoes) != 0;
    if (!wanted || !gone) {
        kill_told_ = false;
    } else if (!std::exchange(kill_told_, true)) {
        complain(*context_, account_, kKillWaits);
    }
}

/// Once, until there is one again. Terminals that have never told any are of another kind.
void Session::watch_lists(Nanos now) noexcept {
    if (link_ != LinkState::Up || server_away_ || !tells_holdings_) {
        listed_ = Nanos{};
        return;
    }
    listed_ = listed_.value == 0 ? now : listed_;
    if (!no_list_told_ && now - listed_ >= context_->times.no_list_ns) {
        no_list_told_ = true;
        complain(*context_, account_, kNoList);
    }
}

/// The engine takes no entries for it from the first moment on (RECONCILING, or not permitted), so
/// nothing is left to be suspended here: this is for a person.
void Session::watch(Nanos now) noexcept {
    // Acquire: pairs with the engine stage's release when it defines the account.
    const bool wanted = entry().login.load(std::memory_order_acquire) != 0 && !stopped_;
    const bool reached = link_ == LinkState::Up && !server_away_;
    watch_permission(now);
    watch_lists(now);
    gone_since_ = reached || !wanted ? Nanos{} : gone_since_.value == 0 ? now : gone_since_;
    watch_kill(gone_since_.value != 0 && now - gone_since_ >= context_->times.kill_waits_ns);
    if (!wanted || (reached && away_since_.value == 0)) {
        away_since_ = Nanos{};
        away_noted_ = away_alerted_ = false;
        return;
    }
    if (reached) {
        reached_since_ = reached_since_.value == 0 ? now : reached_since_;
        if (now - reached_since_ < context_->times.stable_ns) {
            return;
        }
        if (away_noted_) {
            context_->segment.report_error("broker", kBack);
        }
        away_since_ = Nanos{};
        away_noted_ = away_alerted_ = false;
        return;
    }
    reached_since_ = Nanos{};
    away_since_ = away_since_.value == 0 ? now : away_since_;
    const Nanos away = now - away_since_;
    if (!away_noted_ && away >= context_->times.away_notice_ns) {
        away_noted_ = true;
        context_->segment.report_error("broker", kNote);
    }
    if (!away_alerted_ && away >= context_->times.away_alert_ns) {
        away_alerted_ = true;
        tell_away();
    }
}

}  // namespace millrace
