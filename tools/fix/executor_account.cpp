// What the account may do and what it is worth, as terminals tell it (AccountInfo).
#include "tools/fix/executor.h"

#include <algorithm>
#include <utility>

namespace millrace::fix {
namespace {

constexpr Nanos kKillTold = seconds(2);   // a kill may take so long before somebody is told
constexpr Nanos kNoAnswer = seconds(30);  // to inquiries, before somebody is told

}  // namespace

/// One event on its way at a time. Without a report of the venue's, equity and balance are 0: not
/// told.
void Executor::offer_account_info() {
    const bool kill_waits =
        kill_open_since_.value != 0 && sim::EventLoop::now() - kill_open_since_ >= kKillTold;
    const auto& events = journal_.unacknowledged();
    const bool on_its_way = told_seq_ != 0 && !events.empty() && events.front().seq <= told_seq_;
    if (link_ == nullptr || !link_->is_up() || on_its_way ||
        (told_once_ && told_up_ == venue_up_ && told_kill_waits_ == kill_waits &&
         !collateral_news_)) {
        return;
    }
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(ReportType::AccountInfo);
    event.permissions = bridge::kInfoMayTrade;  // a venue has no other switch
    event.permissions |= venue_up_ ? std::uint8_t{0} : bridge::kInfoServerAway;
    event.permissions |= kill_waits ? bridge::kInfoKillWaits : std::uint8_t{0};
    event.equity = collateral_.equity;
    event.balance = collateral_.balance;
    event.broker_time_ns = sim::EventLoop::wall_now().value;
    add_event(event, 0);
    told_seq_ = journal_.event_seq();
    told_up_ = venue_up_;
    told_once_ = true;
    told_kill_waits_ = kill_waits;
    collateral_news_ = false;
    sync();
}

/// Again and again: FIX 4.4 lets a venue send reports unasked, but few do.
void Executor::ask_collateral() {
    const Nanos now = sim::EventLoop::now();
    if (options_.collateral_s == 0 || collateral_due_ > now) {
        return;
    }
    const Nanos pause = seconds(options_.collateral_s);
    collateral_due_ = now + pause;
    const bool silent = now - collateral_heard_ > std::max(kNoAnswer, Nanos{3 * pause.value});
    if (silent && !std::exchange(told_no_collateral_, true)) {
        log("ALERT the venue does not say what the account is worth (CollateralInquiry): limits of "
            "losses go by what it said last, if it ever did");
    }
    Body body;
    const std::string id = "C" + std::to_string(++inquiries_);
    if (collateral_inquiry(id, options_.account, body) == 0) {
        send_unjournalled(body);
    }
}

/// Each report is told on, also one that says what the last one said: losses are measured in three
/// readings.
void Executor::take_collateral_report(const Message& message) {
    const auto told = take_collateral(message, options_.account);
    if (!told) {
        if (told.code() == Errc::BadInput) {
            log(std::string{"ALERT a CollateralReport of the venue is not used, field "} +
                told.error().what);
        }
        return;
    }
    collateral_ = told.value();
    collateral_news_ = true;
    collateral_heard_ = sim::EventLoop::now();
    told_no_collateral_ = false;
    offer_account_info();
}

}  // namespace millrace::fix
