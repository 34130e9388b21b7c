// What may have left and was not answered: in doubt until the venue says what became of it.
#include "core/retcode.h"
#include "tools/fix/executor.h"

#include <algorithm>
#include <utility>

namespace millrace::fix {
namespace {

constexpr std::size_t kAsksMax = 50;        // a tick: a venue's limit on messages is not known
constexpr std::int64_t kDeniedSlower = 10;  // one that the venue has denied for good, it thinks
constexpr unsigned kReadings = 3;           // "no such order", before it is proof
// A venue answers an order in milliseconds; the engine asks for one that is overdue by its own
// limit, but nobody asks for the executor's own.
constexpr Nanos kAnswerMax = seconds(5);

bool leaves_open(const bridge::Event& event) noexcept {
    return event.type == static_cast<std::uint8_t>(ReportType::Outcome) &&
           classify(event.retcode) == RetcodeClass::Recon;
}

/// It came to nothing, and nothing more is to be heard of it.
bool is_in_vain(const bridge::Event& answer) noexcept {
    const auto type = static_cast<ReportType>(answer.type);
    return type == ReportType::Unsent || type == ReportType::QueryAbsent ||
           (type == ReportType::Outcome && answer.volume == 0 &&
            answer.ord_status == static_cast<std::uint8_t>(OrdStatus::Rejected));
}

}  // namespace

/// Commands that were on their way when the last process died.
void Executor::settle_after_restart() {
    make_book();
    const std::deque<std::uint64_t> magics = journal_.order();
    for (const std::uint64_t magic : magics) {
        const sim::Intent intent = *journal_.find(magic);
        last_own_ = is_own(Magic{magic}) ? std::max(last_own_, Magic{magic}.intent()) : last_own_;
        if (intent.state == sim::IntentState::Received) {
            if (is_in_question(intent.command)) {
                put_in_doubt(intent.command);
            } else {
                // It never left. The venue is not there yet, so it is refused, for good.
                answer(intent.command, ReportType::Outcome, OrdStatus::Rejected, Reason::None,
                       kLoggedOff);
            }
        } else if (intent.state == sim::IntentState::Sending) {
            doubt(intent.command);
        } else if (const auto state = book_->state(Magic{magic});
                   leaves_open(intent.answer) ||
                   (is_own(Magic{magic}) && state && state->over == 0)) {
            doubt(intent.command);  // an own order's answer is not in the words of an answer
        } else if (state && state->over == 0 && is_in_vain(intent.answer)) {
            // The last process died between its answer and the order file: the book would take it
            // for one that works, and ask the venue for it at each logon.
            book_->close(Magic{magic});
            touched_.insert(magic);
        }
    }
    // One in doubt for so long that the journal has forgotten it, or that was lost.
    for (const Magic magic : book_->alive()) {
        const auto state = book_->state(magic);
        const bool market =
            state->command.price_kind == static_cast<std::uint8_t>(PriceKind::Market);
        if (market && journal_.find(magic.value) == nullptr) {
            look_up(state->command);
        }
    }
    sync();
}

bool Executor::vouches_for(Magic magic) const {
    return journal_.intact().intact != 0 && magic.intent() > journal_.intact().floor_intent;
}

/// Whether another life of this journal may have sent it: the book has it though the journal has
/// not, or an earlier session may have brought it to a journal that was lost.
bool Executor::is_in_question(const bridge::Command& command) const {
    const Magic magic{command.magic};
    const bool resent = (command.flags & bridge::kCommandResent) != 0;
    return book_->state(magic).has_value() || (resent && !vouches_for(magic));
}

/// What the journal can vouch for after a loss. Intents are handed out in order, but one that was
/// held back goes out late: so it is those above the first new entry, and above everything that
/// was asked about or that the order file knows.
void Executor::raise_floor(const bridge::Command& command) {
    const Magic magic{command.magic};
    if (journal_.intact().intact != 0 || is_own(magic)) {
        return;
    }
    sim::IntactMemory memory = journal_.intact();
    if (static_cast<CommandType>(command.type) == CommandType::Query) {
        memory.floor_intent = std::max(memory.floor_intent, magic.intent());
    } else if (static_cast<CommandType>(command.type) == CommandType::Open &&
               magic.attempt() == 0 && magic.intent() > 0 &&
               (command.flags & bridge::kCommandResent) == 0) {
        memory.floor_intent =
            std::max({memory.floor_intent, magic.intent() - 1, orders_.highest_intent()});
        memory.intact = 1;
    }
    if (memory.intact != 0 || memory.floor_intent != journal_.intact().floor_intent) {
        check(journal_.remember(memory));
    }
}

/// Journalled as received, but only the venue can tell whether it has been sent.
void Executor::put_in_doubt(const bridge::Command& command) {
    check(journal_.sending(command.magic));
    doubt(command);
}

/// The venue is asked for it until it answers.
void Executor::look_up(const bridge::Command& command) {
    Doubt& doubt = doubts_[command.magic];
    doubt.target = Magic{is_order(command) ? command.magic : command.order_ticket};
    if (book_->state(Magic{command.magic})) {
        return;
    }
    // A death between the journal and the order file, or that file was lost.
    if (const auto added = book_->add(command); !added) {
        note("ALERT in doubt, and the venue cannot be asked for it; a person has to decide",
             Magic{command.magic});
    }
    touched_.insert(command.magic);
}

/// Nobody knows what became of it. The engine is told once.
void Executor::doubt(const bridge::Command& command) {
    in_flight_.erase(command.magic);
    look_up(command);
    const sim::Intent* intent = journal_.find(command.magic);
    if (intent != nullptr && intent->state != sim::IntentState::Answered) {
        answer(command, ReportType::Outcome, OrdStatus::InDoubt, Reason::None,
               retcode::kConnection);
    }
}

void Executor::answer_query(Magic magic) {
    bridge::Event event{};
    event.magic = magic.value;
    event.type = static_cast<std::uint8_t>(ReportType::QueryUnknown);
    event.ord_status = static_cast<std::uint8_t>(OrdStatus::InDoubt);
    event.broker_time_ns = sim::EventLoop::wall_now().value;
    const sim::Intent* intent = journal_.find(magic.value);
    if (intent == nullptr) {
        if (const auto state = book_->state(magic)) {
            doubt(state->command);        // of a journal that was lost
        } else if (vouches_for(magic)) {  // never seen by a journal that has seen everything
            event.type = static_cast<std::uint8_t>(ReportType::QueryAbsent);
            event.ord_status = static_cast<std::uint8_t>(OrdStatus::Rejected);
        }
    } else if (in_flight_.contains(magic.value)) {
        // Overdue: its answer was lost, or it was: an order that leaves while the venue asks for
        // earlier numbers can be taken for a part of what our gap fill passes over.
        event.ord_status = static_cast<std::uint8_t>(OrdStatus::PendingNew);
        look_up(bridge::Command{intent->command});
    } else if (intent->state == sim::IntentState::Answered && !leaves_open(intent->answer)) {
        event = intent->answer;
        const bool absent = event.type == static_cast<std::uint8_t>(ReportType::QueryAbsent);
        event.type =
            static_cast<std::uint8_t>(absent ? ReportType::QueryAbsent : ReportType::QueryFound);
    } else {
        doubt(bridge::Command{intent->command});
    }
    add_event(event, 0);
}

/// The venue has not got it. Proof only after some time on one session, said several times: an
/// order may still be on its way inside the venue.
void Executor::venue_says_no(Magic magic) {
    const auto at = doubts_.find(magic.value);
    if (at == doubts_.end()) {
        return;
    }
    Doubt& doubt = at->second;
    const Nanos now = sim::EventLoop::now();
    const Nanos apart = millis(options_.absent_after_ms / kReadings);
    doubt.asked = 0;
    if (doubt.noes > 0 && now - doubt.last_no < apart) {
        return;
    }
    doubt.last_no = now;
    if (++doubt.noes <= kReadings) {  // the first one only begins the time
        return;
    }
    // What was to change an order is another matter: there the venue has said how the order stands.
    if (doubt.target == magic && !options_.denial_is_proof) {
        if (!std::exchange(doubt.denied, true)) {
            const std::string named =
                is_own(magic) ? " MAGIC --account " + options_.link.name : std::string{};
            note(("ALERT in doubt: the venue does not know it, which may mean that it was filled. "
                  "See its positions, then `millrace resolve" +
                  named + "`; or fix.denial_is_proof")
                     .c_str(),
                 magic);
        }
        return;
    }
    doubts_.erase(at);
    in_flight_.erase(magic.value);
    if (const auto state = book_->state(magic)) {
        book_->close(magic);
        touched_.insert(magic.value);
        answer(state->command, ReportType::QueryAbsent, OrdStatus::Rejected, Reason::None, 0);
    }
}

/// "No such order", about the name that was asked for.
void Executor::on_unknown_at_venue(Magic magic) {
    const auto state = book_->state(magic);
    if (!state || !is_order(state->command)) {
        return;  // a replace that is not done yet: the order's own name tells
    }
    if (state->over != 0 && !doubts_.contains(magic.value)) {
        return;  // ended meanwhile, by its own report or by a person: venues forget what has ended
    }
    if (in_flight_.contains(magic.value)) {
        look_up(state->command);
    } else if (!doubts_.contains(magic.value)) {
        const auto change = book_->state(Magic{state->child});
        if (change && change->over == 0) {
            return;  // a replace may have been done, and the venue have it by its new name alone
        }
        return note("ALERT the venue does not know an order that it had taken", magic);
    }
    venue_says_no(magic);
}

/// The order stands as it stood: what was to change it has not arrived.
void Executor::on_unchanged_at_venue(Magic order) {
    std::vector<Magic> changes;
    for (const auto& [magic, doubt] : doubts_) {
        if (doubt.target == order && magic != order.value) {
            changes.push_back(Magic{magic});
        }
    }
    for (const Magic change : changes) {
        venue_says_no(change);
    }
}

/// OrderStatusRequest for what a command was about. A replaced order may be known by its new name
/// alone, so a replace is asked for under both.
void Executor::ask(Magic magic) {
    const auto state = book_->state(magic);
    if (!state || !venue_up_) {
        return;
    }
    const bool of_order = is_order(state->command);
    const Magic target = of_order ? magic : Magic{state->command.order_ticket};
    auto order = book_->reference(target);
    const Instrument* traded = book_->instrument(state->command.symbol);
    if (!order || traded == nullptr) {
        return;
    }
    const Venue venue{options_.profile, *traded, options_.account, sim::EventLoop::wall_now()};
    book_->note_asked(target);
    Body body;
    if (status_request(order.value(), venue, body) == 0) {
        send_unjournalled(body);
    }
    if (static_cast<CommandType>(state->command.type) == CommandType::Modify) {
        order.value().magic = magic;
        book_->note_asked(magic);
        if (status_request(order.value(), venue, body) == 0) {
            send_unjournalled(body);
        }
    }
}

/// The look-ups that are due.
void Executor::ask_again() {
    const Nanos now = sim::EventLoop::now();
    const Nanos pause = millis(std::max(1U, options_.absent_after_ms / kReadings));
    std::size_t asks = 0;
    for (const auto& [magic, sent] : in_flight_) {
        if (now - sent > kAnswerMax && !doubts_.contains(magic)) {
            look_up(bridge::Command{journal_.find(magic)->command});
        }
    }
    for (auto& [magic, doubt] : doubts_) {
        if (doubt.next_ask > now || asks == kAsksMax) {
            continue;
        }
        ++asks;
        doubt.next_ask = now + (doubt.denied ? Nanos{kDeniedSlower * pause.value} : pause);
        if (++doubt.asked == kReadings + 1) {
            note(
                "ALERT in doubt, and the venue does not answer OrderStatusRequest; it stays in "
                "doubt until it does or a person decides",
                Magic{magic});
        }
        ask(Magic{magic});
    }
    for (; !to_ask_.empty() && asks < kAsksMax; ++asks) {
        ask(Magic{to_ask_.front()});
        to_ask_.pop_front();
    }
}

}  // namespace millrace::fix
