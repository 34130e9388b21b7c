// ExecutionReports: what each combination of ExecType and OrdStatus does to an order.
#include "core/order_status.h"
#include "core/retcode.h"
#include "gateway/fix/order_book.h"
#include "gateway/fix/report_words.h"

#include <algorithm>
#include <cstring>

namespace millrace::fix {
namespace {

constexpr std::uint32_t kCancelled = 10007;

void note(Answer& answer, Note what) noexcept {
    answer.note = answer.note == Note::None ? what : answer.note;
}

}  // namespace

OrderBook::Subject OrderBook::subject_of(const Incoming& in) noexcept {
    Entry* entry = nullptr;
    for (const std::string_view id : {in.cl_ord_id, in.orig_cl_ord_id}) {
        const auto magic = our_magic(id);
        if (entry == nullptr && magic) {
            entry = find(*magic);
        }
    }
    if (entry == nullptr || entry->is_order()) {
        return {entry, nullptr};
    }
    // After a replace its ClOrdID is the order's name; it answers the replace only once.
    return {find(Magic{entry->command.order_ticket}), entry->answered ? nullptr : entry};
}

bridge::Event OrderBook::event_of(ReportType type, const Entry& about,
                                  const Incoming& in) const noexcept {
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(type);
    event.magic = about.command.magic;
    event.side = about.command.side;
    event.requested = about.command.volume;
    // Cancels and replaces name the order by this: its ClOrdID, whatever the venue's OrderID is.
    event.order_ticket = about.is_order() ? about.command.magic : about.command.order_ticket;
    event.position_id = ticket_of(
        in.position_id.empty()
            ? std::string_view{about.command.symbol,
                               strnlen(about.command.symbol, sizeof(about.command.symbol))}
            : in.position_id);
    event.broker_time_ns = in.transact_time.value;
    std::memcpy(event.symbol, about.command.symbol, sizeof(event.symbol));
    return event;
}

bool OrderBook::is_repeat(Entry& order, const Incoming& in) noexcept {
    if (in.exec_id.empty() || is_status(in)) {
        return false;
    }
    const std::uint64_t id = ticket_of(in.exec_id);
    if (std::find(order.exec_ids.begin(), order.exec_ids.end(), id) != order.exec_ids.end()) {
        return true;
    }
    order.exec_ids[order.exec_ids_next] = id;
    order.exec_ids_next = static_cast<std::uint8_t>((order.exec_ids_next + 1) % kExecIdsMax);
    return false;
}

Answer OrderBook::on_execution(const Incoming& in) noexcept {
    const Subject subject = subject_of(in);
    if (subject.order == nullptr) {
        return on_unmatched(in);
    }
    Entry& order = *subject.order;
    Answer answer;
    answer.magic = order.magic();
    if (in.ord_status == status::kRejected && in.reason == kUnknownOrder && in.cum_qty == 0) {
        answer.note = Note::VenueKnowsNot;  // about a status request: no new order is unknown
        answer.magic = subject.child != nullptr ? subject.child->magic() : answer.magic;
        return answer;
    }
    if (is_repeat(order, in)) {
        answer.note = Note::Repeat;
        return answer;
    }
    if (!in.order_id.empty() && in.order_id.size() <= sizeof(order.order_id)) {
        std::memcpy(order.order_id, in.order_id.data(), in.order_id.size());
        order.order_id_bytes = static_cast<std::uint8_t>(in.order_id.size());
    }
    if (is_status(in)) {
        on_status(subject, in, answer);
    } else if (is_trade_change(in)) {
        on_trade_change(order, in, answer);
    } else {
        on_report(subject, in, answer);
    }
    return answer;
}

/// A trade of somebody else on the account (some venues echo all of its sessions), or an order of
/// ours that this book has forgotten. Neither is managed; a deal is told.
Answer OrderBook::on_unmatched(const Incoming& in) noexcept {
    Answer answer;
    auto magic = our_magic(in.cl_ord_id);
    magic = magic ? magic : our_magic(in.orig_cl_ord_id);
    answer.note = magic ? Note::UnknownOrder : Note::Foreign;
    answer.magic = magic.value_or(Magic{});
    const auto traded =
        std::find_if(instruments_.begin(), instruments_.end(),
                     [&](const Instrument& i) { return i.venue_symbol == in.symbol; });
    const bool executed = in.last_qty > 0 && in.cum_qty > 0 && !is_status(in);
    if (!executed || is_trade_change(in) || in.ord_status == status::kStopped) {
        return answer;
    }
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(ReportType::Exec);
    event.exec_kind = static_cast<std::uint8_t>(ExecKind::Foreign);
    event.side = static_cast<std::uint8_t>(in.side == '1' ? Side::Buy : Side::Sell);
    event.magic = answer.magic.value;
    event.deal_ticket = deal_of(in.cl_ord_id, in);
    event.price = in.last_px;
    event.broker_time_ns = in.transact_time.value;
    if (traded != instruments_.end()) {
        event.volume = lots_of(in.last_qty, *traded).value;
        std::memcpy(event.symbol, traded->symbol.data(),
                    std::min(traded->symbol.size(), sizeof(event.symbol)));
    }
    push(answer, event);
    return answer;
}

OrderBook::Fill OrderBook::take_fill(Entry& order, const Incoming& in) noexcept {
    if (in.cum_qty <= order.booked || in.ord_status == status::kStopped) {
        return {};
    }
    Fill fill{in.cum_qty - order.booked, in.last_px};
    if ((in.last_qty != fill.quantity || in.last_px == 0) && in.avg_px > 0) {
        // A report before this one was lost: the average tells what the missing part cost.
        const __int128 rise = static_cast<__int128>(in.avg_px) * in.cum_qty - order.notional;
        const std::int64_t price = average(rise, fill.quantity);
        fill.price = price > 0 ? price : in.avg_px;
    }
    order.notional += static_cast<__int128>(fill.price) * fill.quantity;
    order.booked = in.cum_qty;
    return fill;
}

void OrderBook::on_report(Subject subject, const Incoming& in, Answer& answer) noexcept {
    Entry& order = *subject.order;
    if (subject.child != nullptr && in.exec_type == exec::kRejected) {
        // A reject under a cancel's or replace's own ClOrdID refuses that, not the order.
        refuse(*subject.child, order_reject(in.reason, in.text, profile_.texts), answer);
        note(answer, Note::Ask);
        return;
    }
    Fill fill;
    const bool end_said = is_end(in.ord_status, order.is_pending());
    if (in.cum_qty < order.seen) {
        note(answer, end_said ? Note::Shrunk : Note::Stale);
    } else {
        fill = take_fill(order, in);
        order.seen = in.cum_qty;
        order.avg_px = in.avg_px;
        const bool changed = in.exec_type == exec::kReplaced || in.exec_type == exec::kRestated;
        order.quantity = changed && in.order_qty > 0 ? in.order_qty : order.quantity;
        if (end_said && in.cum_qty < order.booked) {
            note(answer, Note::Shrunk);  // after a bust that the engine cannot take back
        }
    }
    if (order.over) {
        if (fill.quantity > 0) {
            answer.note = Note::Late;
            move_pending(order, in, fill, answer);
        }
        answer_child(subject, in, answer);
        return;
    }
    if (in.ord_status == status::kFilled && order.booked == 0) {
        answer.note = Note::Contradiction;
        return;
    }
    const bool ends = end_said || order.booked >= order.quantity;
    if (order.is_pending()) {
        move_pending(order, in, fill, answer);
        if (ends) {
            end_pending(order, subject.child, in, answer);
        }
    } else if (ends) {
        end_order(order, in, answer);
    }
    answer_child(subject, in, answer);
    const bool waits = in.ord_status == status::kPendingNew ||
                       in.ord_status == status::kPendingCancel ||
                       in.ord_status == status::kPendingReplace;
    if (answer.count == 0 && waits) {
        note(answer, Note::Pending);
    }
}

/// A pending order goes on: accepted, or (partly) filled. Also tells a fill of what was over.
void OrderBook::move_pending(Entry& order, const Incoming& in, Fill fill, Answer& answer) noexcept {
    const bool first = !order.answered;
    if (fill.quantity > 0) {
        bridge::Event event = event_of(first ? ReportType::Outcome : ReportType::Exec, order, in);
        event.exec_kind =
            static_cast<std::uint8_t>(first ? ExecKind::None : ExecKind::PendingFilled);
        event.retcode = retcode::kDone;
        event.ord_status =
            word(order.booked >= order.quantity ? OrdStatus::Filled : OrdStatus::PartiallyFilled);
        // Sums of rounded parts: the difference of what is rounded once.
        event.volume = (lots_of(order.booked, *order.instrument) -
                        lots_of(order.booked - fill.quantity, *order.instrument))
                           .value;
        event.price = fill.price;
        event.deal_ticket = deal_of(cl_ord_id(order.magic()).view(), in);
        push(answer, event);
        order.answered = true;
    } else if (first && in.ord_status != status::kPendingNew &&
               !is_end(in.ord_status, order.is_pending())) {
        bridge::Event event = event_of(ReportType::Outcome, order, in);
        event.retcode = retcode::kPlaced;
        event.ord_status = word(OrdStatus::New);
        event.position_id = 0;  // there is none yet
        push(answer, event);
        order.answered = true;
    }
}

/// The pending order is over. Its fills have been told; what remains is why no more will come.
void OrderBook::end_pending(Entry& order, const Entry* child, const Incoming& in,
                            Answer& answer) noexcept {
    if (in.ord_status == status::kRejected && !order.answered) {
        refuse(order, order_reject(in.reason, in.text, profile_.texts), answer);
        return;
    }
    order.over = true;
    order.answered = true;
    const bool all_done = lots_of(order.booked, *order.instrument).value >= order.command.volume;
    const bool by_cancel = child != nullptr && child->type() == CommandType::Cancel &&
                           in.ord_status == status::kCanceled;
    if (all_done || by_cancel) {
        return;  // the cancel's own Outcome ends the order for the engine
    }
    bridge::Event event = event_of(ReportType::Exec, order, in);
    event.exec_kind = static_cast<std::uint8_t>(ExecKind::PendingCanceled);
    const bool expired = in.ord_status == status::kExpired;
    event.ord_status = word(expired ? OrdStatus::Expired : OrdStatus::Canceled);
    event.reason = static_cast<std::uint16_t>(expired ? Reason::Expired : Reason::None);
    push(answer, event);
}

/// A market order or close is over: its one answer, with everything that was done.
void OrderBook::end_order(Entry& order, const Incoming& in, Answer& answer) noexcept {
    const std::int64_t lots = lots_of(order.booked, *order.instrument).value;
    if (lots == 0 && in.ord_status == status::kRejected) {
        refuse(order, order_reject(in.reason, in.text, profile_.texts), answer);
        return;
    }
    order.over = true;
    order.answered = true;
    bridge::Event& event = push(answer, event_of(ReportType::Outcome, order, in));
    if (lots == 0) {  // immediate or cancel, and nothing was to be had
        event.retcode = kCancelled;
        event.ord_status =
            word(in.ord_status == status::kExpired ? OrdStatus::Expired : OrdStatus::Canceled);
        event.position_id = 0;
        return;
    }
    const bool all_done = lots >= order.command.volume;
    event.retcode = all_done ? retcode::kDone : retcode::kDonePartial;
    event.ord_status = word(all_done ? OrdStatus::Filled : OrdStatus::Canceled);
    event.volume = lots;
    event.price = order.avg_px > 0 ? order.avg_px : average(order.notional, order.booked);
    event.deal_ticket = deal_of(cl_ord_id(order.magic()).view(), in);
    if (lots > order.command.volume) {
        note(answer, Note::Contradiction);
    }
}

/// Answers the cancel or replace that the report confirms, or that came too late.
void OrderBook::answer_child(Subject subject, const Incoming& in, Answer& answer) noexcept {
    Entry& order = *subject.order;
    Entry* child = subject.child != nullptr || !order.over ? subject.child : find(order.child);
    if (child == nullptr || child->answered) {
        return;
    }
    // A status answer under the replace's ClOrdID says it too, unless it is pending still.
    const bool replaced =
        in.exec_type == exec::kReplaced || in.ord_status == status::kReplaced ||
        (is_status(in) && (in.ord_status == status::kNew || in.ord_status == status::kPartial));
    const bool is_cancel = child->type() == CommandType::Cancel;
    const bool done =
        is_cancel ? in.ord_status == status::kCanceled : replaced && child == subject.child;
    if (!done && !order.over) {
        return;
    }
    bridge::Event& event = push(answer, event_of(ReportType::Outcome, *child, in));
    event.retcode = done ? retcode::kDone : retcode::kPositionClosed;
    event.ord_status = word(done ? OrdStatus::Filled : OrdStatus::Rejected);
    event.position_id = 0;
    child->answered = true;
    child->over = true;
    order.child = order.child == child->magic() ? Magic{} : order.child;
    if (done && !is_cancel) {
        order.current = child->magic();
        order.command.price = child->command.price;
    }
}

}  // namespace millrace::fix
