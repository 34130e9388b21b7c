// What the venue says, and what it is asked.
#include "core/retcode.h"
#include "tools/fix/executor.h"

#include <algorithm>
#include <cstring>

namespace millrace::fix {
namespace {

constexpr Nanos kTick = millis(100);
constexpr Nanos kAwayMax = seconds(30);  // then a person is told
constexpr Nanos kRefreshWait = seconds(1);

}  // namespace

/// In the order it happened; what is dealt with is on disk before the session hears of it.
void Executor::on_news() {
    std::uint32_t dealt_with = 0;
    for (const SessionNews& news : session_->take()) {
        switch (news.kind) {
            case SessionNews::Kind::Message: on_venue_message(news.text); break;
            case SessionNews::Kind::Processed: dealt_with = news.number; break;
            case SessionNews::Kind::LoggedOn: on_logon(); break;
            case SessionNews::Kind::LoggedOut: on_logoff(); break;
            case SessionNews::Kind::PassedOver: on_passed_over(); break;
            case SessionNews::Kind::Trouble: log("ALERT " + news.text); break;
        }
    }
    sync();
    if (dealt_with != 0) {
        session_->processed(dealt_with);
    }
}

void Executor::on_logon() {
    log("logged on to the venue");
    venue_up_ = true;
    collateral_due_ = Nanos{};
    collateral_heard_ = sim::EventLoop::now();
    book_->forget_sequences();
    for (auto& [magic, doubt] : doubts_) {
        doubt.noes = 0;
    }
    refresh();
    offer_account_info();
    carry_out_kills();
}

/// Each side may miss numbers of the other at a logon. What leaves before we hear of it has too
/// high a number for the venue, and our gap fill counts it as said: orders may not be known there,
/// nor requests be answered. Requests wait, so that a venue that asks for ever gets no flood.
void Executor::on_passed_over() {
    for (const auto& [magic, sent] : in_flight_) {
        look_up(bridge::Command{journal_.find(magic)->command});
    }
    refresh_due_ = sim::EventLoop::now() + kRefreshWait;
}

/// Asks for everything that the venue may have said to nobody.
void Executor::refresh() {
    refresh_due_ = Nanos{};
    to_ask_.clear();
    for (const Magic magic : book_->alive()) {
        to_ask_.push_back(magic.value);  // what happened meanwhile may never be told
    }
    for (auto& [magic, doubt] : doubts_) {
        doubt.next_ask = Nanos{};
    }
    if (options_.profile.mass_status && !to_ask_.empty()) {
        Body body;
        if (mass_status_request("M" + std::to_string(++mass_status_), body) == 0) {
            send_unjournalled(body);
        }
    }
    subscribe();
}

void Executor::on_logoff() {
    if (venue_up_) {
        log("logged off from the venue");
        away_since_ = sim::EventLoop::now();
        told_away_ = false;
    }
    venue_up_ = false;
    quotes_.clear();
    // Their answers may have been lost with the connection.
    const std::map<std::uint64_t, Nanos> lost = in_flight_;
    for (const auto& [magic, sent] : lost) {
        if (const sim::Intent* intent = journal_.find(magic)) {
            doubt(bridge::Command{intent->command});
        }
    }
    in_flight_.clear();
    offer_account_info();
}

void Executor::subscribe() {
    for (std::size_t i = 0; options_.quotes && i < options_.instruments.size(); ++i) {
        const Venue venue{options_.profile, options_.instruments[i], options_.account,
                          sim::EventLoop::wall_now()};
        Body body;
        if (market_data_request("Q" + std::to_string(i), venue, body) == 0) {
            send_unjournalled(body);
        }
    }
}

/// A request that changes nothing at the venue. One that does not leave is asked for again by the
/// next logon or look-up.
void Executor::send_unjournalled(const Body& body) {
    std::uint32_t number = 0;
    static_cast<void>(session_->send(std::string{body.type()}, std::string{body.fields()}, number));
}

void Executor::on_venue_message(const std::string& raw) {
    const auto message = Message::parse(raw);
    if (!message) {
        return log(std::string{"ALERT a message of the venue cannot be read: "} +
                   message.error().what);
    }
    if (message.value().type() == "W" || message.value().type() == "X") {
        return take_quote(message.value());
    }
    if (message.value().type() == "BA") {
        return take_collateral_report(message.value());
    }
    const auto incoming = decode(message.value());
    if (!incoming) {
        return log(std::string{"ALERT a message of the venue is not used, field "} +
                   incoming.error().what + ": see the message log");
    }
    const Answer answer = book_->apply(incoming.value());
    for (std::size_t i = 0; i < answer.count; ++i) {
        on_event_of_book(answer.events[i]);
    }
    on_note(answer);
    touched_.insert(answer.magic.value);
    for (std::size_t i = 0; i < answer.count; ++i) {
        touched_.insert({answer.events[i].magic, answer.events[i].order_ticket});
    }
}

void Executor::take_quote(const Message& message) {
    std::set<std::string> changed;
    const auto quote_of = [&](std::string_view id, std::string_view symbol) -> Quote* {
        for (std::size_t i = 0; i < options_.instruments.size(); ++i) {
            const Instrument& instrument = options_.instruments[i];
            if (instrument.venue_symbol == symbol ||
                (symbol.empty() && id == "Q" + std::to_string(i))) {
                changed.emplace(instrument.symbol);
                return &quotes_[std::string{instrument.symbol}];
            }
        }
        return nullptr;
    };
    static_cast<void>(take_quotes(message, quote_of));
    for (const std::string& symbol : changed) {
        tell_quote(symbol);
    }
}

/// The latest of a symbol, if both sides are known. Lost while the broker stage is away: it is told
/// again when a session is up.
void Executor::tell_quote(const std::string& symbol) {
    const Quote& quote = quotes_[symbol];
    if (!quote.is_whole() || link_ == nullptr) {
        return;
    }
    bridge::Tick tick{};
    std::memcpy(tick.symbol, symbol.data(), std::min(symbol.size(), sizeof(tick.symbol)));
    tick.bid = quote.bid;
    tick.ask = quote.ask;
    tick.time_ns = sim::EventLoop::wall_now().value;
    link_->send_tick(tick);
}

void Executor::on_event_of_book(const bridge::Event& event) {
    const auto type = static_cast<ReportType>(event.type);
    contested_.erase(event.magic);
    if (type == ReportType::QueryUnknown) {
        // A status answer of one that is on its way: it is there, and its Outcome follows.
        if (const auto at = doubts_.find(event.magic); at != doubts_.end()) {
            at->second.noes = at->second.asked = 0;
            at->second.denied = false;
        }
        return;
    }
    const bool of_command = type == ReportType::Outcome || type == ReportType::QueryFound;
    add_event(event, of_command && journal_.find(event.magic) != nullptr ? event.magic : 0);
    if (!of_command) {
        return;
    }
    in_flight_.erase(event.magic);
    if (type == ReportType::Outcome && classify(event.retcode) == RetcodeClass::Recon) {
        if (const sim::Intent* intent = journal_.find(event.magic)) {
            doubt(bridge::Command{intent->command});
        }
    } else {
        doubts_.erase(event.magic);
    }
}

void Executor::note(const char* text, Magic magic) const {
    log(std::string{text} + ", ClOrdID " + std::string{cl_ord_id(magic).view()} + ", magic " +
        std::to_string(magic.value));
}

void Executor::on_note(const Answer& answer) {
    switch (answer.note) {
        case Note::Bust:
        case Note::Correct:
        case Note::Shrunk:
        case Note::Late:
            note(("ALERT " + std::string{to_string(answer.note)} +
                  ": our books and the venue's differ")
                     .c_str(),
                 answer.magic);
            break;
        case Note::Ask:
        case Note::Contradiction: ask(answer.magic); break;
        case Note::UnknownOrder:
            note("ALERT the venue speaks of an order of ours that is not known here", answer.magic);
            break;
        case Note::VenueKnowsNot: on_unknown_at_venue(answer.magic); break;
        case Note::Status: on_unchanged_at_venue(answer.magic); break;
        default: break;
    }
}

/// Ten times a second: look-ups that are due, kills in force, the session's own watch.
void Executor::on_tick() {
    timer_ = loop_.after(kTick, [this] { on_tick(); });
    session_->tick();
    link_->tick();
    offer_account_info();
    if (!venue_up_) {
        if (!told_away_ && sim::EventLoop::now() - away_since_ > kAwayMax) {
            log("ALERT not logged on to the venue for 30 s; messages.log has the reason");
            told_away_ = true;
        }
        return;
    }
    ask_again();
    ask_collateral();
    if (refresh_due_.value != 0 && refresh_due_ <= sim::EventLoop::now()) {
        refresh();
    }
    if (kill_due_.value != 0 && kill_due_ <= sim::EventLoop::now()) {
        carry_out_kills();
    }
}

}  // namespace millrace::fix
