// What a person has found out about an order that is in doubt (`millrace resolve`). The engine has
// ended it; here the venue is no longer asked, the position counts what was done, and a kill that
// waited for it goes on.
#include "core/retcode.h"
#include "tools/fix/executor.h"

#include <cstring>

namespace millrace::fix {
namespace {

/// What became of it, in the words of a look-up: true if the engine asks again (one whose records
/// were lost), and no news to one that has ended the order.
bridge::Event found(const bridge::Command& order, const bridge::Command& finding) {
    const bool done = (finding.flags & bridge::kCommandDone) != 0;
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(ReportType::QueryFound);
    event.ord_status = static_cast<std::uint8_t>(done ? OrdStatus::Filled : OrdStatus::Canceled);
    event.retcode = done ? retcode::kDone : 0;
    event.magic = order.magic;
    event.side = order.side;
    event.requested = order.volume;
    event.order_ticket = is_order(order) ? order.magic : order.order_ticket;
    if (done && is_order(order)) {
        event.volume = finding.volume;
        event.price = finding.price;
        event.ord_status = static_cast<std::uint8_t>(
            finding.volume >= order.volume ? OrdStatus::Filled : OrdStatus::Canceled);
    }
    event.broker_time_ns = sim::EventLoop::wall_now().value;
    std::memcpy(event.symbol, order.symbol, sizeof(event.symbol));
    return event;
}

}  // namespace

/// Not if it cannot be counted, nor at once if it contradicts what the venue has told: the order
/// stays as it is then, and a person has to say it again.
bool Executor::is_believed(const bridge::Command& finding) {
    const Magic magic{finding.magic};
    const auto order = book_->state(magic);
    if (!order) {
        return true;
    }
    const bool done = (finding.flags & bridge::kCommandDone) != 0;
    const std::string again = "say it again: `millrace resolve MAGIC";
    const std::string named = " --account " + options_.link.name + "`";
    if (done && is_order(order->command) &&
        !quantity_of(finding.volume, *book_->instrument(order->command.symbol))) {
        note(("ALERT resolved with a volume that is none at the venue: not counted here, and still "
              "in question; " +
              again + " --filled VOLUME@PRICE" + named)
                 .c_str(),
             magic);
        return false;
    }
    // The venue may have confirmed it between the person's look and the word's arrival. Out of the
    // book, no kill would cancel it.
    const bool pending = order->command.type == static_cast<std::uint8_t>(CommandType::Open) &&
                         order->command.price_kind != static_cast<std::uint8_t>(PriceKind::Market);
    const bool works = pending && order->answered != 0 && order->over == 0 &&
                       !doubts_.contains(magic.value) && !in_flight_.contains(magic.value);
    if (done || !works || contested_.contains(magic.value)) {
        return true;
    }
    note(("ALERT resolved as not done, but the venue has told that it works: it stays. Cancel it "
          "there; or, if the venue does not show it again, " +
          again + " --rejected" + named)
             .c_str(),
         magic);
    if (venue_up_) {
        contested_.insert(magic.value);  // until the venue says anything of it
        ask(magic);
    }
    return false;
}

/// Once, however often it is told: an order that is not in question any more stays as it is. The
/// book goes first: a death behind it finds the doubt again, hears the finding again, and counts
/// nothing again.
void Executor::resolve(const bridge::Command& finding) {
    const Magic magic{finding.magic};
    const sim::Intent* intent = journal_.find(magic.value);
    const auto before = book_->state(magic);
    const bool works = before && before->over == 0;
    if (!works && !doubts_.contains(magic.value) && !in_flight_.contains(magic.value)) {
        return note("resolved by a person, but not in question here", magic);
    }
    if (!is_believed(finding)) {
        return;
    }
    if (intent != nullptr && !before && (finding.flags & bridge::kCommandDone) != 0 &&
        is_order(intent->command)) {
        note("ALERT resolved as filled, but it had no place in the book: not counted here", magic);
    }
    // What the venue has told comes before what a person has. Not sync(): it would acknowledge.
    check(journal_.sync());
    save_touched();
    book_->resolve(magic, (finding.flags & bridge::kCommandDone) != 0, Lots{finding.volume},
                   Price{finding.price});
    if (before) {
        touched_.insert({magic.value, before->command.order_ticket});
    }
    save_touched();
    check(orders_.sync());
    doubts_.erase(magic.value);
    in_flight_.erase(magic.value);
    contested_.erase(magic.value);
    if (intent != nullptr) {
        add_event(found(intent->command, finding), magic.value);
    } else if (before) {  // in doubt for so long that the journal has forgotten it
        add_event(found(before->command, finding), 0);
    }
    kill_due_ = journal_.kills().empty() ? kill_due_ : sim::EventLoop::now();
    note("resolved by a person", magic);
}

}  // namespace millrace::fix
