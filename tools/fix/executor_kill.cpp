// The kill switch: stop entries, cancel our pendings, flatten what our orders made.
#include "core/retcode.h"
#include "tools/fix/executor.h"

#include <algorithm>
#include <cstring>

namespace millrace::fix {
namespace {

constexpr Nanos kKillRetry = seconds(2);

Text<16> symbol_of(const bridge::Command& command) {
    Text<16> symbol;
    std::memcpy(symbol.bytes, command.symbol, sizeof(symbol.bytes));
    return symbol;
}

}  // namespace

bool Executor::is_stopped(const bridge::Command& command) const {
    if (command.type != static_cast<std::uint8_t>(CommandType::Open)) {
        return false;  // the way out is always open
    }
    for (const auto& [scope, kill] : journal_.kills()) {
        const bool in_scope = scope == Text<16>{} || scope == symbol_of(command);
        if (in_scope && (kill.actions & kKillStop) != 0) {
            return true;
        }
    }
    return false;
}

void Executor::on_kill(const bridge::Kill& kill) {
    sim::KillMemory memory;
    memory.kill_id = kill.kill_id;
    memory.actions = kill.actions;
    std::memcpy(memory.symbol.bytes, kill.symbol, sizeof memory.symbol.bytes);
    const auto known = journal_.kills().find(memory.symbol);
    if (known != journal_.kills().end() && known->second.kill_id == kill.kill_id) {
        return;  // a repeat: it is in force already
    }
    check(journal_.remember(memory));
    sync();
    carry_out_kills();
}

/// What the kills in force still find. One cancel of an order, one closing deal of a symbol at a
/// time, and none while an order of it is unanswered or in doubt: then the position is not known.
void Executor::carry_out_kills() {
    sync();  // positions are those of the order file
    kill_due_ = Nanos{};
    const auto hits = [&](const Text<16>& symbol, std::uint8_t action) {
        return std::any_of(journal_.kills().begin(), journal_.kills().end(), [&](const auto& k) {
            return (k.second.actions & action) != 0 && (k.first == Text<16>{} || k.first == symbol);
        });
    };
    // What the venue has denied so often that it would be proof elsewhere does not hold up the way
    // out: the alert has told a person to see the positions. But what it may have taken of a
    // position is not sold a second time, which would open the other side.
    const auto is_denied = [&](std::uint64_t magic) {
        const auto at = doubts_.find(magic);
        return at != doubts_.end() && at->second.denied;
    };
    std::set<std::string> moving;  // symbols whose position is not known
    // By the book, which keeps what is not over: the intent journal forgets the oldest. But a
    // doubt may have found no place in the book.
    const auto may_move = [&](std::uint64_t magic) {
        const auto order = book_->state(Magic{magic});
        const sim::Intent* intent = order ? nullptr : journal_.find(magic);
        if ((!order && intent == nullptr) || is_denied(magic)) {
            return;
        }
        // A cancel or a replace moves no position itself, and may stay in doubt for ever.
        const bridge::Command& command = order ? order->command : intent->command;
        if (is_order(command)) {
            moving.insert(std::string{command.symbol, 16});
        }
    };
    for (const auto& [magic, sent] : in_flight_) {
        may_move(magic);
    }
    for (const auto& [magic, doubt] : doubts_) {
        may_move(magic);
    }
    const auto may_be_closed = [&](const Text<16>& symbol, Side closing) {
        Lots volume;
        for (const auto& [magic, doubt] : doubts_) {
            const auto order = book_->state(Magic{magic});
            if (doubt.denied && order && is_order(order->command) &&
                symbol_of(order->command) == symbol &&
                order->command.side == static_cast<std::uint8_t>(closing)) {
                volume.value += order->command.volume;
            }
        }
        return volume;
    };
    bool left = false;
    for (const Magic magic : book_->alive()) {
        const auto state = book_->state(magic);
        const Text<16> symbol = symbol_of(state->command);
        const bool pending =
            state->command.price_kind != static_cast<std::uint8_t>(PriceKind::Market);
        if (!pending && !is_denied(magic.value)) {
            moving.insert(std::string{symbol.bytes, sizeof(symbol.bytes)});
        }
        if (!pending || !hits(symbol, kKillCancel)) {
            continue;
        }
        left = true;
        const auto child = book_->state(Magic{state->child});
        const bool cancelling = child && child->over == 0;
        if (!cancelling && venue_up_) {
            bridge::Command command{};
            command.type = static_cast<std::uint8_t>(CommandType::Cancel);
            command.order_ticket = magic.value;
            std::memcpy(command.symbol, symbol.bytes, sizeof(command.symbol));
            submit_own(command);
        }
    }
    for (const auto& [name, net] : orders_.positions()) {
        Text<16> symbol;
        std::memcpy(symbol.bytes, name.data(), std::min(name.size(), sizeof(symbol.bytes)));
        bridge::Command command{};
        std::memcpy(command.symbol, symbol.bytes, sizeof(command.symbol));
        const Instrument* traded = book_->instrument(command.symbol);
        if (net == 0 || traded == nullptr || !hits(symbol, kKillFlatten)) {
            continue;
        }
        left = true;
        if (!moving.contains(std::string{command.symbol, 16}) && venue_up_) {
            command.type = static_cast<std::uint8_t>(CommandType::Close);
            command.side = static_cast<std::uint8_t>(net > 0 ? Side::Sell : Side::Buy);
            const Side closing = net > 0 ? Side::Sell : Side::Buy;
            command.volume =
                lots_of(net > 0 ? net : -net, *traded).value - may_be_closed(symbol, closing).value;
            if (command.volume > 0) {
                submit_own(command);
            }
        }
    }
    const Nanos now = sim::EventLoop::now();
    kill_due_ = left ? now + kKillRetry : Nanos{};
    kill_open_since_ = !left ? Nanos{} : kill_open_since_.value == 0 ? now : kill_open_since_;
}

/// An order of the executor itself, journalled and looked up like any other.
void Executor::submit_own(bridge::Command command) {
    const auto now_ms = static_cast<std::uint64_t>(sim::EventLoop::wall_now().value / 1'000'000);
    last_own_ = std::max(last_own_ + 1, sim::kOwnIntents + now_ms);  // never one that was used
    const sim::SessionMemory& session = journal_.session();
    command.magic = Magic::make(session.magic_tag, last_own_, 0).value;
    command.generation = session.generation;
    command.epoch = session.epoch;
    sim::Intent intent;
    intent.seq = session.command_seq;
    intent.received_ns = sim::EventLoop::wall_now().value;
    intent.command = command;
    intent.state = sim::IntentState::Received;
    check(journal_.received(intent));
    submit(command, sim::EventLoop::now());
}

/// What became of an own order, as the engine understands it: it has never heard of that order.
bridge::Event Executor::as_kill_event(const bridge::Event& event) const {
    bridge::Event told = event;
    const bool answered = event.type == static_cast<std::uint8_t>(ReportType::Outcome) ||
                          event.type == static_cast<std::uint8_t>(ReportType::QueryFound);
    const sim::Intent* intent = journal_.find(event.magic);
    const bool cancel =
        intent != nullptr && intent->command.type == static_cast<std::uint8_t>(CommandType::Cancel);
    const bool canceled = cancel && event.retcode == retcode::kDone;
    if (answered && (event.volume > 0 || canceled)) {
        told.type = static_cast<std::uint8_t>(ReportType::Exec);
        told.exec_kind = static_cast<std::uint8_t>(canceled ? ExecKind::PendingCanceled
                                                            : ExecKind::ClosedByKill);
        told.ord_status =
            static_cast<std::uint8_t>(canceled ? OrdStatus::Canceled : OrdStatus::Filled);
        told.magic = canceled ? intent->command.order_ticket : event.magic;
        return told;
    }
    if (answered) {
        told.type = static_cast<std::uint8_t>(ReportType::QueryUnknown);  // says nothing to it
    }
    return told;
}

}  // namespace millrace::fix
