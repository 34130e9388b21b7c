// Answers to status requests, and trades that the venue takes back or changes.
#include "core/retcode.h"
#include "gateway/fix/order_book.h"
#include "gateway/fix/report_words.h"

#include <algorithm>

namespace millrace::fix {

/// Bust or correction. The engine has no way to take a fill back: the note has to reach a person.
void OrderBook::on_trade_change(Entry& order, const Incoming& in, Answer& answer) noexcept {
    answer.note = is_bust(in) ? Note::Bust : Note::Correct;
    order.seen = in.cum_qty;
    if (!order.is_pending() && !order.answered) {
        // Nothing has been told yet, so the one answer can still be right.
        const std::int64_t price =
            in.avg_px > 0 ? in.avg_px : average(order.notional, order.booked);
        order.booked = in.cum_qty;
        order.notional = static_cast<__int128>(price) * in.cum_qty;
        order.avg_px = in.avg_px;
        return;
    }
    const Fill fill = take_fill(order, in);
    if (fill.quantity > 0) {
        move_pending(order, in, fill, answer);
    }
}

/// The answer to a status request, with what was done in all. Books nothing as a fill: QueryFound
/// cumulates and the engine takes the difference to what it has counted.
void OrderBook::on_status(Subject subject, const Incoming& in, Answer& answer) noexcept {
    Entry& order = *subject.order;
    answer.note = in.cum_qty < order.booked ? Note::Shrunk : Note::Status;
    const bool end = is_end(in.ord_status, order.is_pending());
    const bool filled = in.cum_qty >= order.quantity;
    const bool contradicts = in.ord_status == status::kFilled && in.cum_qty == 0;
    const bool waits = in.ord_status == status::kPendingNew || in.ord_status == status::kStopped;
    if (contradicts || (waits && !filled) || (!order.is_pending() && !end && !filled)) {
        // On its way: its one answer follows.
        bridge::Event& event = push(answer, event_of(ReportType::QueryUnknown, order, in));
        event.ord_status = word(contradicts ? OrdStatus::InDoubt : OrdStatus::PendingNew);
        event.position_id = 0;
        answer.note = contradicts ? Note::Contradiction : answer.note;
        return;
    }
    bridge::Event& event = push(answer, event_of(ReportType::QueryFound, order, in));
    event.volume = lots_of(in.cum_qty, *order.instrument).value;
    event.price = in.avg_px;
    event.deal_ticket = in.cum_qty > 0 ? deal_of(cl_ord_id(order.magic()).view(), in) : 0;
    event.retcode = retcode::kDone;
    OrdStatus state = in.cum_qty > 0 ? OrdStatus::PartiallyFilled : OrdStatus::New;
    if (filled || in.ord_status == status::kFilled) {
        state = event.volume >= order.command.volume ? OrdStatus::Filled : OrdStatus::Canceled;
    } else if (in.ord_status == status::kRejected && in.cum_qty == 0) {
        state = OrdStatus::Rejected;
        event.retcode = order_reject(in.reason, in.text, profile_.texts);
    } else if (end) {
        state = in.ord_status == status::kExpired ? OrdStatus::Expired : OrdStatus::Canceled;
    }
    if (in.ord_status == status::kPendingCancel || in.ord_status == status::kPendingReplace) {
        answer.note = Note::Pending;  // what is to change it has arrived
    }
    event.ord_status = word(state);
    event.position_id = in.cum_qty > 0 ? event.position_id : 0;
    order.answered = true;
    order.over = order.over || end || filled;
    order.seen = std::max(order.seen, in.cum_qty);
    if (in.cum_qty > order.booked) {
        order.booked = in.cum_qty;
        order.notional = static_cast<__int128>(in.avg_px) * in.cum_qty;
    }
    answer_child(subject, in, answer);
}

}  // namespace millrace::fix
