// What a terminal does with a command: journal, then act, then answer; and the kill switch.
#include "tools/market/text.h"
#include "tools/simbroker/terminal.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace millrace::sim {
namespace {

// Positions closed in one go before other work gets its turn.
constexpr std::size_t kKillChunk = 500;
constexpr Nanos kKillRetry = millis(100);

// A crash point: as if the machine had taken the process away between two instructions.
[[noreturn]] void die_now() noexcept {
    ::kill(::getpid(), SIGKILL);
    for (;;) {
        ::pause();
    }
}

}  // namespace

void Terminal::check(const Status& status) const {
    if (status.ok()) {
        return;
    }
    // Without its journal a terminal cannot promise anything: better dead than doubling orders.
    std::fprintf(stderr,
                 "simbroker: intent journal %s: %s (errno %d); free space or fix the path\n",
                 options_.journal_path.c_str(), status.error().what, status.error().sys_errno);
    std::exit(1);
}

bool Terminal::is_ours(std::uint64_t magic) const {
    const std::uint64_t tag = journal_.session().magic_tag;
    return magic != 0 && (tag == 0 || Magic{magic}.tag() == tag);
}

void Terminal::add_event(const bridge::Event& event, std::uint64_t answers,
                         std::uint64_t book_number) {
    const auto added = journal_.add_event(event, answers, book_number);
    check(added.ok() ? ok_status() : Status{added.error()});
}

void Terminal::on_record(const BookRecord& record) {
    const bool unsolicited =
        record.reason != ExecKind::None &&
        (record.kind == BookKind::Deal || record.kind == BookKind::OrderCanceled);
    if (!unsolicited || record.number <= journal_.book_number()) {
        return;
    }
    add_event(exec_event(record), 0, record.number);
    send_events();
}

void Terminal::run_batch() {
    // Taken first: a command may drop the connection, which clears the batch.
    std::vector<Incoming> batch;
    batch.swap(batch_);
    for (const Incoming& incoming : batch) {
        const auto type = static_cast<CommandType>(incoming.command.type);
        const bool twice =
            faults_.strike(FaultKind::DuplicateCommand, options_.login, type).has_value();
        for (int times = twice ? 2 : 1; times > 0; --times) {
            if (state_ != State::Up) {
                return;  // not journalled: the other side sends the rest again
            }
            on_command(incoming);
        }
    }
}

void Terminal::on_command(const Incoming& incoming) {
    const bridge::Command& command = incoming.command;
    const SessionMemory& session = journal_.session();
    const auto type = static_cast<CommandType>(command.type);
    if (faults_.strike(FaultKind::DisconnectBefore, options_.login, type)) {
        return drop_connection("fault: disconnect before the command was taken");
    }
    note_repeat(incoming);
    if (incoming.seq <= session.command_seq) {
        rx_ack_due_ = true;  // a resend of what is journalled: its events speak for it
        return;
    }
    // Numbers grow, but may have gaps: what the other side gave up was never sent.
    rx_ack_due_ = true;
    ++counters_.commands;
    if (command.generation < session.generation || command.epoch < session.epoch) {
        ++counters_.stale;
        add_event(refused(command, Reason::None, bridge::kStaleGeneration), 0, 0);
        return check(journal_.received_without_intent(incoming.seq));
    }
    if (Magic{command.magic}.tag() != session.magic_tag) {
        add_event(refused(command, Reason::AccountNotTrading, bridge::kOtherTag), 0, 0);
        return check(journal_.received_without_intent(incoming.seq));
    }
    if (type == CommandType::Query) {
        return answer_query(incoming);
    }
    const bool dedupe =
        options_.dedupe && !faults_.strike(FaultKind::NoIntentJournal, options_.login, type);
    if (const Intent* known = journal_.find(command.magic); dedupe && known != nullptr) {
        if (known->state == IntentState::Answered) {
            add_event(bridge::Event{known->answer}, 0, 0);
        }
        return check(journal_.received_without_intent(incoming.seq));
    }
    if ((command.flags & bridge::kCommandResent) == 0) {
        raise_floor(command);  // a resent one may have met the lost journal itself
    }
    Intent intent;
    intent.seq = incoming.seq;
    intent.received_ns = EventLoop::wall_now().value;
    intent.command = command;
    intent.state = IntentState::Received;
    check(journal_.received(intent));
    if (faults_.strike(FaultKind::CrashOnReceive, options_.login, type)) {
        die_now();
    }
    if ((command.flags & bridge::kCommandResent) != 0 && settle_resent(command)) {
        return;
    }
    submit(command.magic);
}

/// A repeat is kept from the trade server, but not from the books: they are where doubles are
/// looked for. There is none that our side may send: what it resends after a reconnect is what the
/// journal does not name, and another attempt has another magic.
void Terminal::note_repeat(const Incoming& incoming) {
    const bridge::Command& command = incoming.command;
    const bool look_up = command.type == static_cast<std::uint8_t>(CommandType::Query);
    if (look_up || journal_.find(command.magic) == nullptr) {
        return;
    }
    ++counters_.repeats;
    server_.note_repeat(options_.login, request_of(command), incoming.seq);
}

/// The refusal of an older owner's frame, or of one with a tag that is not ours. A look-up carries
/// the magic of the order it asks about: Unsent would speak of that order.
bridge::Event Terminal::refused(const bridge::Command& command, Reason reason,
                                std::uint32_t code) const {
    const bool look_up = command.type == static_cast<std::uint8_t>(CommandType::Query);
    bridge::Event event =
        unsent_of(command, look_up ? OrdStatus::InDoubt : OrdStatus::Rejected, reason, code);
    event.type = static_cast<std::uint8_t>(look_up ? ReportType::QueryUnknown : ReportType::Unsent);
    return event;
}

void Terminal::raise_floor(const bridge::Command& command) {
    // After a loss the first new entry shows which intents were handed out before it: they went
    // out in order, so everything below may have met the lost journal, everything above has not.
    const Magic magic{command.magic};
    const bool first_entry =
        command.type == static_cast<std::uint8_t>(CommandType::Open) && magic.attempt() == 0;
    if (journal_.intact().intact == 0 && first_entry && magic.intent() > 0) {
        IntactMemory memory;
        memory.floor_intent = std::max(journal_.intact().floor_intent, magic.intent() - 1);
        check(journal_.remember(memory));
    }
}

/// A resent command: the account is looked at before it is sent; and a journal that cannot vouch
/// for having never received it leaves the decision to the look-up. @return true if it is answered.
bool Terminal::settle_resent(const bridge::Command& command) {
    const Magic magic{command.magic};
    if (const OrderSummary* found = server_.find_magic(options_.login, magic)) {
        bridge::Event event = found_event(command.magic, *found);
        event.type = static_cast<std::uint8_t>(ReportType::Outcome);
        answer(command.magic, event, 0);
        return true;
    }
    const IntactMemory memory = journal_.intact();
    if (memory.intact != 0 && magic.intent() > memory.floor_intent) {
        return false;
    }
    TradeResult unknown;
    unknown.retcode = retcode::kConnection;
    unknown.requested = Lots{command.volume};
    conclude(command.magic, unknown, 0);
    return true;
}

void Terminal::answer_query(const Incoming& incoming) {
    // Answer first, number second: a death between them answers twice, the other order never.
    add_event(query_event(incoming.command.magic), 0, 0);
    check(journal_.received_without_intent(incoming.seq));
}

bool Terminal::is_stopped(const bridge::Command& command) const {
    if (command.type != static_cast<std::uint8_t>(CommandType::Open)) {
        return false;  // the way out is always open
    }
    Text<16> symbol;
    std::memcpy(symbol.bytes, command.symbol, sizeof symbol.bytes);
    for (const auto& [scope, kill] : journal_.kills()) {
        const bool in_scope = scope == Text<16>{} || scope == symbol;
        if (in_scope && (kill.actions & kKillStop) != 0) {
            return true;
        }
    }
    return false;
}

void Terminal::submit(std::uint64_t magic) {
    const Intent intent = *journal_.find(magic);
    const bridge::Command& command = intent.command;
    const auto type = static_cast<CommandType>(command.type);
    const std::int64_t age_ns = EventLoop::wall_now().value - intent.received_ns;
    if (command.ttl_ms != 0 && age_ns >= std::int64_t{command.ttl_ms} * 1'000'000) {
        return answer(magic, unsent_of(command, OrdStatus::Expired, Reason::Expired, 0), 0);
    }
    if (is_stopped(command)) {
        return answer(magic, killed(command), 0);
    }
    check(journal_.sending(magic));
    if (const auto fault = faults_.strike(FaultKind::Latency, options_.login, type)) {
        const auto spread = static_cast<std::uint64_t>(fault->jitter.value) + 1;
        const auto jitter = static_cast<std::int64_t>(faults_.random().below(spread));
        const Nanos answer_after = fault->answer;
        in_flight_.insert(magic);
        loop_.after(fault->fixed + Nanos{jitter}, guarded([this, command, answer_after] {
                        in_flight_.erase(command.magic);
                        execute(command, answer_after);
                        flush();
                    }));
        return;
    }
    execute(command, Nanos{0});
}

/// At the trade server. The journal may have been lost since the request left.
void Terminal::execute(const bridge::Command& command, Nanos answer_after) {
    const auto type = static_cast<CommandType>(command.type);
    const TradeRequest request = request_of(command);
    const std::uint64_t login = options_.login;
    const std::uint64_t magic = command.magic;
    if (faults_.strike(FaultKind::CrashBeforeBooks, login, type)) {
        die_now();
    }
    if (is_stopped(command)) {  // the kill overtook it on its way
        static_cast<void>(server_.refuse(login, request, retcode::kServerDisablesAt));
        if (journal_.find(magic) != nullptr) {
            answer(magic, killed(command), server_.last_number());
        }
        return;
    }
    TradeResult result;
    const auto injected = faults_.strike(FaultKind::Retcode, login, type);
    if (injected && !injected->executed) {
        result = server_.refuse(login, request, injected->code);
    } else {
        const auto partial = faults_.strike(FaultKind::PartialFill, login, type);
        result = server_.execute(login, request, partial ? partial->share : Ratio{kScale});
    }
    const std::uint64_t book_number = server_.last_number();
    if (faults_.strike(FaultKind::CrashAfterBooks, login, type)) {
        die_now();
    }
    if (injected && injected->executed) {
        result = TradeResult{};  // done, but nobody says so
        result.retcode = injected->code;
        result.requested = request.volume;
    }
    if (answer_after.value > 0) {
        loop_.after(answer_after, guarded([this, magic, result, book_number] {
                        conclude(magic, result, book_number);
                        flush();
                    }));
        return;
    }
    conclude(magic, result, book_number);
}

bridge::Event Terminal::killed(const bridge::Command& command) const {
    return unsent_of(command, OrdStatus::Rejected, Reason::Killed, retcode::kServerDisablesAt);
}

void Terminal::conclude(std::uint64_t magic, const TradeResult& result, std::uint64_t book_number) {
    if (const Intent* intent = journal_.find(magic)) {
        answer(magic, outcome_of(intent->command, result), book_number);
    }
}

void Terminal::answer(std::uint64_t magic, const bridge::Event& event, std::uint64_t book_number) {
    const auto type = static_cast<CommandType>(journal_.find(magic)->command.type);
    add_event(event, magic, book_number);
    if (faults_.strike(FaultKind::CrashAfterAnswer, options_.login, type)) {
        die_now();
    }
    if (faults_.strike(FaultKind::DisconnectAfter, options_.login, type)) {
        return drop_connection("fault: disconnect after the execution, before the answer");
    }
    send_events();
}

void Terminal::settle_after_restart() {
    const std::deque<std::uint64_t> magics = journal_.order();
    for (const std::uint64_t magic : magics) {
        const Intent* intent = journal_.find(magic);
        if (intent == nullptr || intent->state == IntentState::Answered) {
            continue;
        }
        if (intent->state == IntentState::Received) {
            // Never left from here; but one that was sent again may have from a lost journal.
            const bridge::Command command = intent->command;
            if ((command.flags & bridge::kCommandResent) == 0 || !settle_resent(command)) {
                submit(magic);  // its ttl decides
            }
            continue;
        }
        const OrderSummary* found = server_.find_magic(options_.login, Magic{magic});
        if (found == nullptr) {
            // The request died on its way. The engine asks, and gets its proof after a while.
            TradeResult lost;
            lost.retcode = retcode::kConnection;
            lost.requested = Lots{intent->command.volume};
            conclude(magic, lost, 0);
            continue;
        }
        bridge::Event event = found_event(magic, *found);
        event.type = static_cast<std::uint8_t>(ReportType::Outcome);
        answer(magic, event, 0);
    }
}

void Terminal::on_kill(const bridge::Kill& kill) {
    KillMemory memory;
    memory.kill_id = kill.kill_id;
    memory.actions = kill.actions;
    std::memcpy(memory.symbol.bytes, kill.symbol, sizeof memory.symbol.bytes);
    const auto known = journal_.kills().find(memory.symbol);
    if (known != journal_.kills().end() && known->second.kill_id == kill.kill_id) {
        return;  // a repeat: it is in force already
    }
    check(journal_.remember(memory));
    if (!killing_) {
        carry_out_kills();
    }
}

void Terminal::carry_out_kills() {
    const Account* account = server_.state().find(options_.login);
    std::vector<std::uint64_t> orders;
    std::vector<std::uint64_t> positions;
    const auto collect = [&](const auto& things, std::uint8_t action, auto& into) {
        for (const auto& [id, thing] : things) {
            for (const auto& [scope, kill] : journal_.kills()) {
                const bool hit = (kill.actions & action) != 0 && is_ours(thing.magic) &&
                                 (scope == Text<16>{} || scope == account_name(thing.symbol));
                if (hit && into.size() < kKillChunk && (into.empty() || into.back() != id)) {
                    into.push_back(id);
                }
            }
        }
    };
    collect(account->orders, kKillCancel, orders);
    collect(account->positions, kKillFlatten, positions);
    for (const std::uint64_t order : orders) {
        server_.cancel_by_server(options_.login, order, ExecKind::PendingCanceled, 0);
    }
    std::size_t closed = 0;
    for (const std::uint64_t position : positions) {
        closed += server_.close_by_server(options_.login, position, Lots{}, ExecKind::ClosedByKill)
                              .value > 0
                      ? 1U
                      : 0U;
    }
    killing_ = !orders.empty() || !positions.empty();
    if (killing_) {
        // More to do, or positions that cannot be closed yet (no quote, market closed).
        const Nanos wait = closed == 0 && orders.empty() ? kKillRetry : Nanos{0};
        loop_.after(wait, guarded([this] { carry_out_kills(); }));
    }
}

}  // namespace millrace::sim
