#include "gateway/session.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

bool has_expired(const OrderCommand& c, Nanos now) noexcept {
    return c.deadline.value != 0 && now >= c.deadline;
}

bool is_entry(const OrderCommand& c) noexcept {
    return c.type == CommandType::Open;
}

/// What is left of the command's life, rounded down; at least 1, because 0 means no limit.
std::uint32_t ttl_ms(const OrderCommand& c, Nanos now) noexcept {
    if (c.deadline.value == 0) {
        return 0;
    }
    const std::int64_t left = (c.deadline - now).value / kNsPerMs;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, UINT32_MAX));
}

bridge::Command to_wire(const OrderCommand& c, std::uint64_t epoch, std::uint64_t generation,
                        bool resent, Nanos now) noexcept {
    bridge::Command out{};
    out.epoch = epoch;
    out.generation = generation;
    out.magic = c.magic.value;
    out.type = static_cast<std::uint8_t>(c.type);
    out.side = static_cast<std::uint8_t>(c.side);
    out.price_kind = static_cast<std::uint8_t>(c.price_kind);
    out.flags = resent ? bridge::kCommandResent : std::uint8_t{0};
    const bool done = c.type == CommandType::Resolve && (c.flags & kResolvedAsDone) != 0;
    out.flags |= done ? bridge::kCommandDone : std::uint8_t{0};
    out.ttl_ms = ttl_ms(c, now);
    std::memcpy(out.symbol, c.symbol.bytes, sizeof out.symbol);
    out.volume = c.volume.value;
    out.price = c.price.value;
    out.stop_loss = c.stop_loss.value;
    out.take_profit = c.take_profit.value;
    out.position_ticket = c.position_ticket;
    out.order_ticket = c.order_ticket;
    out.deviation_points = c.deviation_points;
    std::memcpy(out.comment, c.comment.bytes, sizeof out.comment);
    return out;
}

}  // namespace

/// Recomputes what is known of the queue from its slots.
void Session::recount() noexcept {
    next_ = queue_.last() + 1;
    way_outs_ = 0;
    earliest_deadline_ = Nanos{};
    for (std::uint64_t n = queue_.last(); n >= queue_.first(); --n) {
        if (queue_.state(n) != SlotState::Queued) {
            continue;
        }
        next_ = n;
        const OrderCommand& c = queue_.at(n).command;
        way_outs_ += is_entry(c) ? 0U : 1U;
        const bool earlier = earliest_deadline_.value == 0 || c.deadline < earliest_deadline_;
        if (c.deadline.value != 0 && earlier) {
            earliest_deadline_ = c.deadline;
        }
    }
}

bool Session::enqueue(const OrderCommand& command, Nanos now) noexcept {
    if (stopped_ || stop_if(queue_.front_defect())) {
        return false;
    }
    if ((is_entry(command) && queue_.is_full_for_entries()) || !queue_.push(command, now)) {
        return false;
    }
    way_outs_ += is_entry(command) ? 0U : 1U;
    const bool earlier = earliest_deadline_.value == 0 || command.deadline < earliest_deadline_;
    if (command.deadline.value != 0 && earlier) {
        earliest_deadline_ = command.deadline;
    }
    return true;
}

int Session::service(Nanos now) noexcept {
    int work = 0;
    static_cast<void>(check_front());
    if (down_due_ && context_->reports.has_room(1)) {
        report_down(now);
        ++work;
    }
    if (kill_due_) {
        work += send_kills();
    }
    const bool overdue = earliest_deadline_.value != 0 && now >= earliest_deadline_;
    if (sweep_to_ != 0 || overdue) {
        work += sweep(now);
    }
    work += send_ready(now);
    release_over();
    return work;
}

/// Reason::None if the command may be sent (as far as this host is concerned).
Reason Session::reason_to_refuse(std::uint64_t n, Nanos now) const noexcept {
    const OrderCommand& c = queue_.at(n).command;
    if (c.magic.tag() != context_->magic_tag) {
        return Reason::AccountNotTrading;
    }
    if (is_entry(c)) {
        if (entries_barred()) {
            return Reason::AccountNotTrading;
        }
        const Text<16> canonical = symbols_.canonical(c.symbol);
        const bool swept = n <= sweep_to_ && (sweep_kill_.scope != KillScope::Symbol ||
                                              sweep_kill_.symbol == canonical);
        if (swept || context_->kills.stops(account_, canonical)) {
            return Reason::Killed;
        }
    }
    if (has_expired(c, now)) {
        const bool for_journal = is_entry(c) && !context_->gate.journal_running();
        return for_journal ? Reason::JournalDown : Reason::Expired;
    }
    return Reason::None;
}

/// Answers command `n` Unsent. @return false if `reports` is full; nothing changed.
bool Session::answer(std::uint64_t n, Reason reason, Nanos now) noexcept {
    ASSERT(queue_.state(n) == SlotState::Queued);
    if (!context_->reports.has_room(1)) {
        return false;
    }
    const OrderCommand& c = queue_.at(n).command;
    context_->reports.unsent(c, reason, now);
    // The report comes first: killed in between, the next stage finds it (last_answer) and marks
    // the slot. The other way round the answer could be lost.
    queue_.set_state(n, SlotState::Answered);
    MILLRACE_CRASH_POINT("broker.after_answered");
    way_outs_ -= is_entry(c) ? 0U : 1U;
    count_answer(reason, c.magic);
    return true;
}

void Session::count_answer(Reason reason, Magic magic) noexcept {
    BrokerStats& s = context_->stats;
    switch (reason) {
        case Reason::Expired: ++s.expired; return;
        case Reason::Killed: ++s.killed; return;
        case Reason::AccountNotTrading:
            if (magic.tag() == context_->magic_tag) {
                ++s.barred;
                return;
            }
            // What terminals take for ours, in kills and in reports, goes by the tag in WELCOME.
            ++s.other_tag;
            context_->segment.report_error(
                "broker",
                "ALERT an order was refused whose magic_tag is not the one that terminals were "
                "told: neither kill nor report would reach it. Stop clean and start");
            return;
        default: ++s.journal_down; return;
    }
}

void Session::mark_answered(OutputId id) noexcept {
    for (std::uint64_t n = queue_.first(); n <= queue_.last(); ++n) {
        if (output_id(queue_.at(n).command) == id && queue_.state(n) == SlotState::Queued) {
            queue_.set_state(n, SlotState::Answered);
        }
    }
    recount();
    release_over();
}

/// Looks through everything that waits, not only at the head: after a kill, or when a deadline
/// has passed. Leaves what it was looking for in place if `reports` is full.
int Session::sweep(Nanos now) noexcept {
    int work = 0;
    for (std::uint64_t n = next_; n <= queue_.last(); ++n) {
        if (stop_if(queue_.defect_of(n))) {
            return work;
        }
        if (queue_.state(n) != SlotState::Queued) {
            continue;
        }
        const Reason reason = reason_to_refuse(n, now);
        if (reason == Reason::None) {
            continue;
        }
        if (!answer(n, reason, now)) {
            return work;
        }
        ++work;
    }
    sweep_to_ = 0;
    recount();
    return work;
}

bool Session::may_send() const noexcept {
    // An empty write buffer: what the executor does not read yet stays here, where a kill or a
    // deadline still reaches it.
    return link_ == LinkState::Up && !peer_->broken && peer_->socket.pending_bytes() == 0 &&
           next_ - queue_.first() < kInFlightMax && has_its_login();
}

int Session::send_ready(Nanos now) noexcept {
    int work = 0;
    while (next_ <= queue_.last() && !stop_if(defect_of_next())) {
        if (queue_.state(next_) != SlotState::Queued) {
            ++next_;  // over already
            continue;
        }
        const Reason refuse = reason_to_refuse(next_, now);
        if (refuse != Reason::None) {
            if (!answer(next_, refuse, now)) {
                break;
            }
        } else if (!may_send()) {
            break;
        } else if (queue_.at(next_).command.type == CommandType::Resolve && !takes_resolve_) {
            pass_over(next_);
        } else {
            const GateVerdict gate = context_->gate.check(queue_.at(next_).command, gate_level_);
            if (gate == GateVerdict::JournalDown && yields_to_way_out(now)) {
                if (!answer(next_, Reason::JournalDown, now)) {
                    break;
                }
            } else if (gate != GateVerdict::Open) {
                break;
            } else {
                send(next_);
            }
        }
        blocked_since_ = Nanos{};
        ++next_;
        ++work;
    }
    return work;
}

/// What nobody there wants to hear: over, without a word.
void Session::pass_over(std::uint64_t n) noexcept {
    queue_.set_state(n, SlotState::Answered);
    --way_outs_;
}

/// True if the entry at the head has kept a close, a cancel or the like waiting for too long.
bool Session::yields_to_way_out(Nanos now) noexcept {
    if (blocked_since_.value == 0) {
        blocked_since_ = now;
    }
    return way_outs_ > 0 && now - blocked_since_ >= context_->times.way_out_ns;
}

void Session::send(std::uint64_t n) noexcept {
    SessionSlot& slot = queue_.at(n);
    const OrderCommand& c = slot.command;
    const Clock clock = context_->segment.clock();
    const Nanos opened = clock.now();
    // A journal is noted in the slot right before its claim, and stays when it is queued again.
    const bool resent = slot.journal_id != 0;
    const bridge::Command body = to_wire(c, context_->epoch, generation_, resent, opened);

    slot.journal_id = journal_id_;
    MILLRACE_CRASH_POINT("broker.before_claim");
    queue_.set_state(n, SlotState::Claimed);
    // Release: pairs with the acquire in inspectors' find_in_doubt(): the slot says Claimed. From
    // here on it may be at the executor.
    entry().claimed.store(n, std::memory_order_release);
    MILLRACE_CRASH_POINT("broker.after_claim");
    const bool queued = peer_->send(bridge::FrameType::Command, n, body);
    ASSERT(queued);
    unwritten_ = n;
    const bool written = peer_->flush();
    MILLRACE_CRASH_POINT("broker.after_write");
    if (written) {
        note_written(n);
    }
    const Nanos left = clock.now();
    const Segment& segment = context_->segment;
    segment.hop(Hop::Gate).record((opened - slot.seen).value);
    segment.hop(Hop::BrokerToSocket).record((left - opened).value);
    if (c.edge_time.value != 0) {
        segment.hop(Hop::SignalToSocket).record((left - c.edge_time).value);
    }
    written_[c.magic.intent() % kWrittenMax] = Written{c.magic, left};
    way_outs_ -= is_entry(c) ? 0U : 1U;
    ++context_->stats.sent;
    // Relaxed: a counter with one writer.
    entry().commands_sent.store(entry().commands_sent.load(std::memory_order_relaxed) + 1,
                                std::memory_order_relaxed);
}

/// The kernel has every byte of command `n`.
void Session::note_written(std::uint64_t n) noexcept {
    // The write is behind us. Release: pairs with the acquire in inspectors' find_in_doubt(),
    // read_session() and check_sessions(): claimed stands at least here.
    entry().done.store(n, std::memory_order_release);
    unwritten_ = 0;
    MILLRACE_CRASH_POINT("broker.after_done");
}

void Session::on_writable() noexcept {
    if (peer_->flush() && unwritten_ != 0) {
        note_written(unwritten_);
    }
}

void Session::release_over() noexcept {
    if (queue_.release_settled() > 0) {
        next_ = std::max(next_, queue_.first());
        MILLRACE_CRASH_POINT("broker.after_release");
    }
}

void Session::kill(const KillCommand& kill) noexcept {
    if (kill.actions != 0 && next_ <= queue_.last()) {
        const bool another = sweep_to_ != 0;
        sweep_kill_ = kill;
        if (another) {
            // Two at once, because answers could not be given in between: rather an entry too
            // many refused than one sent.
            sweep_kill_.scope = KillScope::All;
        }
        sweep_to_ = queue_.last();
    }
    kill_due_ = true;
    kill_next_ = 0;
    send_kills();
}

/// Everything on the board: a terminal answers a repeated kill id without acting again.
int Session::send_kills() noexcept {
    if (peer_ == nullptr) {
        kill_due_ = false;  // link_up() sends them
        return 0;
    }
    const std::size_t count = context_->kills.frames(account_);
    const std::size_t from = kill_next_;
    while (kill_next_ < count && peer_->send(bridge::FrameType::Kill, 0, kill_frame(kill_next_))) {
        ++kill_next_;
    }
    kill_due_ = kill_next_ < count;
    on_writable();
    return static_cast<int>(kill_next_ - from);
}

/// As the board has it, in the account's own symbol name.
bridge::Kill Session::kill_frame(std::size_t index) const noexcept {
    bridge::Kill frame = context_->kills.frame(account_, index);
    Text<16> symbol;
    std::memcpy(symbol.bytes, frame.symbol, sizeof frame.symbol);
    if (symbol != Text<16>{}) {
        symbol = symbols_.decorated(symbol);
        std::memcpy(frame.symbol, symbol.bytes, sizeof frame.symbol);
    }
    return frame;
}

}  // namespace millrace
