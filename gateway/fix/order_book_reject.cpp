// What a venue refuses: orders, cancels, replaces, and whole messages.
#include "core/order_status.h"
#include "core/retcode.h"
#include "gateway/fix/order_book.h"

#include <algorithm>

namespace millrace::fix {
namespace {

bool is_final_status(char ord_status) noexcept {
    return ord_status == '2' || ord_status == '4' || ord_status == '8' || ord_status == 'C';
}

/// MsgType that a command left as.
std::string_view type_of(CommandType type) noexcept {
    switch (type) {
        case CommandType::Cancel: return "F";
        case CommandType::Modify: return "G";
        default: return "D";
    }
}

}  // namespace

/// Tells that `entry` was refused. Where the code leaves it open whether it executed, the order
/// stays as it is and a status request has to say.
void OrderBook::refuse(Entry& entry, std::uint32_t retcode, Answer& answer) noexcept {
    ASSERT(answer.count < Answer::kEventsMax);
    bridge::Event& event = answer.events[answer.count++];
    event = event_of(ReportType::Outcome, entry, Incoming{});
    event.retcode = retcode;
    event.position_id = 0;
    if (classify(retcode) == RetcodeClass::Recon) {
        event.ord_status = static_cast<std::uint8_t>(OrdStatus::InDoubt);
        answer.note = Note::Ask;
        return;
    }
    event.ord_status = static_cast<std::uint8_t>(OrdStatus::Rejected);
    entry.answered = true;
    entry.over = true;
    if (!entry.is_order()) {
        Entry* target = find(Magic{entry.command.order_ticket});
        if (target != nullptr && target->child == entry.magic()) {
            target->child = Magic{};
        }
    }
}

Answer OrderBook::on_cancel_reject(const Incoming& in) noexcept {
    Answer answer;
    const auto magic = our_magic(in.cl_ord_id);
    Entry* child = magic ? find(*magic) : nullptr;
    answer.magic = magic.value_or(Magic{});
    if (child == nullptr || child->is_order()) {
        answer.note = magic ? Note::UnknownOrder : Note::Foreign;
        return answer;
    }
    if (child->answered) {
        answer.note = Note::Repeat;
        return answer;
    }
    refuse(*child, cancel_reject(in.reason), answer);
    // Too late means that the order is over: if we have not seen how, somebody must ask.
    const Entry* order = find(Magic{child->command.order_ticket});
    answer.magic = order != nullptr ? order->magic() : answer.magic;
    const bool gone = in.reason == 0 || in.reason == 1 || is_final_status(in.ord_status);
    if (order != nullptr && !order->over && gone) {
        answer.note = Note::Ask;
    }
    return answer;
}

Answer OrderBook::on_business_reject(const Incoming& in) noexcept {
    Answer answer;
    answer.note = Note::Refused;
    const auto magic = our_magic(in.cl_ord_id);
    Entry* entry = magic ? find(*magic) : nullptr;
    if (entry == nullptr && in.ref_seq > 0) {
        return on_session_reject(in);  // names it by MsgSeqNum alone
    }
    answer.magic = magic.value_or(Magic{});
    if (entry == nullptr) {
        return answer;
    }
    const bool about_status = in.ref_msg_type == "H" || (in.ref_msg_type.empty() && entry->asked);
    if (about_status) {
        const bool unknown =
            in.reason == kUnknownId || in.text.find("NOT_FOUND") != std::string_view::npos;
        answer.note = unknown ? Note::VenueKnowsNot : Note::Refused;
        return answer;
    }
    if (entry->answered || entry->booked > 0) {
        answer.note = Note::Contradiction;  // it has been accepted before
        return answer;
    }
    answer.note = Note::None;
    refuse(*entry, business_reject(in.reason, in.text, profile_.texts), answer);
    return answer;
}

Answer OrderBook::on_session_reject(const Incoming& in) noexcept {
    Answer answer;
    answer.note = Note::Refused;
    if (in.ref_seq <= 0) {
        return answer;
    }
    const auto number = static_cast<std::uint64_t>(in.ref_seq);
    Entry* const end = entries_.get() + used_;
    Entry* const entry = std::find_if(entries_.get(), end,
                                      [&](const Entry& each) { return each.sequence == number; });
    if (entry == end || (!in.ref_msg_type.empty() && in.ref_msg_type != type_of(entry->type()))) {
        return answer;
    }
    answer.magic = entry->magic();
    if (entry->answered || entry->booked > 0) {
        answer.note = Note::Contradiction;
        return answer;
    }
    answer.note = Note::None;
    const bool business = in.kind == IncomingKind::BusinessReject;
    refuse(*entry, business ? business_reject(in.reason, in.text, profile_.texts) : kSessionReject,
           answer);
    return answer;
}

}  // namespace millrace::fix
