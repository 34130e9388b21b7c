// Session, the part that watches whether anybody can trade on the account.
#include "gateway/session.h"

#include <cstdio>

namespace millrace {
namespace {

constexpr const char* kNote =
    "an account cannot be reached for 15 s: no terminal, or no connection to its trade server";
constexpr const char* kBack = "an account that could not be reached can be again";
constexpr const char* kAlert =
    "ALERT further accounts cannot be reached for 30 s: no terminal, or no connection to its trade "
    "server. They take no entries; `millrace account list`";
static_assert(std::char_traits<char>::length(kAlert) < sizeof ErrorEntry::text);

constexpr const char* kFurtherStops =
    "ALERT further accounts have a position without the stops that its order asked for: the broker "
    "refuses to set them. Set them by hand, or close it";
static_assert(std::char_traits<char>::length(kFurtherStops) < sizeof ErrorEntry::text);

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

/// Told once, until all positions have their stops or are gone.
void Session::heed_stops(bool missing) noexcept {
    const bool is_news = missing && !stops_missing_;
    stops_missing_ = missing;
    if (!is_news) {
        return;
    }
    if (context_->stats.stops_named >= kStopsNamedMax) {
        context_->segment.report_error("broker", kFurtherStops);
        return;
    }
    ++context_->stats.stops_named;
    char text[sizeof ErrorEntry::text];
    std::snprintf(text, sizeof text,
                  "ALERT a position of account %u has not got the stops its order asked for, and "
                  "the broker refuses them. Set them by hand, or close it",
                  account_.value);
    context_->segment.report_error("broker", text);
}

/// The engine takes no entries for it from the first moment on (RECONCILING, or not permitted), so
/// nothing is left to be suspended here: this is for a person.
void Session::watch(Nanos now) noexcept {
    // Acquire: pairs with the engine stage's release when it defines the account.
    const bool wanted = entry().login.load(std::memory_order_acquire) != 0 && !stopped_;
    const bool reached = link_ == LinkState::Up && !server_away_;
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
