// Session, the half that faces the terminal: up, down, frames in, heartbeats.
#include "gateway/session.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

/// Generations carry the engine's epoch in front, so that a take-over on another host with a
/// segment of its own still grows.
constexpr unsigned kGenerationBits = 20;
/// No count gets there; a number above it is nonsense that must not become ours.
constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62U;

bool is_executor_report(std::uint8_t type) noexcept {
    switch (static_cast<ReportType>(type)) {
        case ReportType::Outcome:
        case ReportType::Exec:
        case ReportType::Unsent:
        case ReportType::QueryFound:
        case ReportType::QueryAbsent:
        case ReportType::QueryUnknown:
        case ReportType::AccountInfo: return true;
        case ReportType::SessionUp:
        case ReportType::SessionDown:
        case ReportType::KillApplied:
        case ReportType::SyncDone: return false;
    }
    return false;
}

bool is_ord_status(std::uint8_t status) noexcept {
    return status == 0 || std::strchr("hA01248C?", status) != nullptr;
}

/// What is wrong with an event's fields; nullptr if nothing is.
const char* defect_of(const bridge::Event& e) noexcept {
    if (!is_executor_report(e.type)) {
        return "EVENT: type is none that an executor may send";
    }
    if (e.exec_kind > static_cast<std::uint8_t>(ExecKind::Foreign)) {
        return "EVENT: exec_kind is above 8";
    }
    if (e.side > static_cast<std::uint8_t>(Side::Sell)) {
        return "EVENT: side is neither 0 (buy) nor 1 (sell)";
    }
    if (!is_ord_status(e.ord_status)) {
        return "EVENT: ord_status is no FIX OrdStatus";
    }
    if (e.volume < 0 || e.requested < 0 || e.price < 0) {
        return "EVENT: volume, requested or price is negative";
    }
    return nullptr;
}

Report to_report(const bridge::Event& e, std::uint64_t seq) noexcept {
    Report r;
    r.type = static_cast<ReportType>(e.type);
    r.exec_kind = static_cast<ExecKind>(e.exec_kind);
    r.reason = e.reason;
    r.event_seq = seq;
    r.magic = Magic{e.magic};
    r.retcode = e.retcode;
    r.ord_status = e.ord_status;
    r.side = static_cast<Side>(e.side);
    constexpr auto kEngines = kAccountPermitted | kAccountAway | kAccountSettling;
    r.permissions = static_cast<std::uint8_t>(e.permissions & kEngines);
    r.order_ticket = e.order_ticket;
    r.deal_ticket = e.deal_ticket;
    r.position_id = e.position_id;
    r.volume = Lots{e.volume};
    r.requested = Lots{e.requested};
    r.price = Price{e.price};
    r.bid = Price{e.bid};
    r.ask = Price{e.ask};
    r.equity = Money{e.equity};
    r.balance = Money{e.balance};
    r.broker_time = Nanos{e.broker_time_ns};
    return r;
}

// Relaxed: a counter with one writer, read by inspectors.
void bump(AtomicU64& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

void Session::set_link(LinkState state) noexcept {
    link_ = state;
    // Release: pairs with the acquire in inspectors' read_session(); what led here is visible.
    entry().link.store(static_cast<std::uint32_t>(state), std::memory_order_release);
}

void Session::report_link(ReportType type, Nanos now) noexcept {
    Report r;
    r.time = now;
    r.account = account_;
    r.type = type;
    r.session_generation = generation_;
    r.journal_id = type == ReportType::SessionUp ? journal_id_ : 0;
    r.journal_tail = type == ReportType::SessionUp ? journal_tail_ : 0;
    context_->reports.publish(r);
}

void Session::link_up(Peer& peer, const bridge::Hello& hello, const TerminalAccount& terminal,
                      Nanos now) noexcept {
    ASSERT(peer_ == nullptr);
    if (down_due_) {
        report_down(now);
    }
    peer_ = &peer;
    if (login_ != hello.login || expected_.currency != terminal.facts.currency) {
        differing_facts_ &= ~kCurrency;  // what was told of it was about something else
    }
    login_ = hello.login;
    gate_level_ = terminal.gate;
    symbols_.configure(terminal.symbol_prefix, terminal.symbol_suffix);
    expected_ = terminal.facts;
    has_facts_ = false;
    const std::uint64_t floor = bridge::journal_epoch_of(context_->epoch) << kGenerationBits;
    const bool rolled_back = is_rolled_back(hello);
    generation_ = 1 + std::max({generation_, floor, hello.generation});
    // Release: on record before a terminal can have seen it.
    entry().generation.store(generation_, std::memory_order_release);
    acked_event_ = event_floor(hello, rolled_back);
    last_event_ = acked_event_;
    candidate_ = {};
    settle(hello, !rolled_back && is_sound(hello));
    journal_id_ = hello.journal_id;
    journal_tail_ = hello.command_seq;
    name_commands(hello.command_epoch == context_->segment.uuid_low() ? hello.command_seq : 0);
    heard_ = now;
    takes_resolve_ = (hello.permissions & bridge::kHelloTakesResolve) != 0;
    server_away_ = false;  // until it says so
    has_told_ = false;
    busy_until_ = Nanos{};
    beat_at_ = now + context_->times.heartbeat_ns;
    set_link(LinkState::Authenticated);
    report_link(ReportType::SessionUp, now);
    bump(entry().reconnects);
    send_welcome(hello, terminal);
}

const char* Session::objection_to(const bridge::Hello& hello) const noexcept {
    if (stopped_) {
        return kStoppedText;
    }
    if (hello.journal_id == 0) {
        return "HELLO: journal_id is 0; an intent journal needs an identity";
    }
    const bool has_served = hello.epoch != 0;
    if (has_served && bridge::instance_of(hello.epoch) != bridge::instance_of(context_->epoch)) {
        return kOtherDirectoryText;
    }
    if (hello.epoch > context_->epoch) {
        return "this host is stale: the terminal has served a newer epoch; start the newer host";
    }
    if (hello.generation > kNumberMax || hello.event_seq > kNumberMax) {
        return "HELLO: generation or event_seq is above 2^62";
    }
    if (peer_ != nullptr && journal_id_ != hello.journal_id) {
        return "another terminal with another intent journal serves this account: stop one of them";
    }
    if (hello.command_epoch != context_->segment.uuid_low()) {
        return nullptr;
    }
    return hello.command_seq > queue_.last()
               ? "HELLO: command_seq is beyond the last command; the journal is of another host"
               : nullptr;
}

void Session::send_welcome(const bridge::Hello& hello, const TerminalAccount& terminal) noexcept {
    bridge::Welcome welcome{};
    welcome.generation = generation_;
    welcome.epoch = context_->epoch;
    welcome.command_epoch = context_->segment.uuid_low();
    welcome.next_command_seq = next_;
    welcome.event_seq = acked_event_;
    welcome.magic_tag = context_->magic_tag;
    const auto signed_part =
        std::as_bytes(std::span{&welcome, 1}).first(offsetof(bridge::Welcome, mac));
    wire::hmac_sha256(std::span{terminal.key}.first(terminal.key_bytes),
                      std::as_bytes(std::span{hello.nonce}), signed_part, welcome.mac);
    const bool queued = peer_->send(bridge::FrameType::Welcome, 0, welcome);
    ASSERT(queued);
    kill_due_ = true;
    kill_next_ = 0;
    send_kills();
    MILLRACE_CRASH_POINT("broker.after_welcome");
}

/// Decides about every command that may have reached an executor (see the head of session.h).
void Session::settle(const bridge::Hello& hello, bool sound) noexcept {
    const bool same_epoch = hello.command_epoch == context_->segment.uuid_low();
    for (std::uint64_t n = queue_.first(); n <= queue_.last(); ++n) {
        const bool own = same_epoch && queue_.at(n).journal_id == hello.journal_id;
        const bool named = same_epoch && n <= hello.command_seq;
        if (queue_.state(n) == SlotState::Queued && named) {
            // It was queued again on the word of a journal that names it now: believe the newer
            // word and never send it.
            queue_.set_state(n, SlotState::Settled);
            ++context_->stats.in_doubt;
        }
        if (queue_.state(n) != SlotState::Claimed) {
            continue;
        }
        // To hear a finding twice does no harm, and nobody asks for one that was not heard.
        const bool finding = queue_.at(n).command.type == CommandType::Resolve;
        if (!named && (finding || (own && sound))) {
            queue_.set_state(n, SlotState::Queued);
            ++context_->stats.resent;
        } else {
            queue_.set_state(n, SlotState::Settled);
            context_->stats.in_doubt += own && named ? 0U : 1U;
        }
    }
    unwritten_ = 0;
    release_over();
    recount();
    // Nothing below next_ is on its way any more. `claimed` first, as always: numbers that were
    // answered here lie below next_ and above it, and done and acked never stand beyond it, not
    // even where this stage is killed in between. Release: pairs with the acquire in inspectors'
    // read_session() and check_sessions(): who sees done or acked sees claimed at least as far.
    entry().claimed.store(next_ - 1, std::memory_order_release);
    MILLRACE_CRASH_POINT("broker.after_settle");
    entry().done.store(next_ - 1, std::memory_order_release);
    entry().acked.store(next_ - 1, std::memory_order_release);
}

void Session::link_down(Nanos now) noexcept {
    ASSERT(peer_ != nullptr);
    peer_ = nullptr;
    link_ = LinkState::Down;
    // Relaxed: a flag for inspectors.
    entry().busy.store(0, std::memory_order_relaxed);
    blocked_since_ = Nanos{};
    kill_due_ = false;
    down_due_ = true;
    if (context_->reports.has_room(1)) {
        report_down(now);
    }
}

/// The cell follows the report: a stage killed in between reports again.
void Session::report_down(Nanos now) noexcept {
    report_link(ReportType::SessionDown, now);
    set_link(LinkState::Down);
    down_due_ = false;
}

Status Session::on_frame(const wire::Frame& frame, Nanos now) noexcept {
    heard_ = now;
    // Relaxed, both: for inspectors.
    entry().heard_ns.store(now.value, std::memory_order_relaxed);
    if (busy_until_.value != 0) {
        busy_until_ = Nanos{};  // it speaks again: the blocking call is over
        entry().busy.store(0, std::memory_order_relaxed);
    }
    if (link_ == LinkState::Authenticated) {
        set_link(LinkState::Syncing);  // it has read the WELCOME: what it says now follows from it
    }
    switch (static_cast<bridge::FrameType>(frame.header.type)) {
        case bridge::FrameType::RxAck: return on_rx_ack(frame);
        case bridge::FrameType::Event: return on_event(frame, now);
        case bridge::FrameType::Heartbeat: return ok_status();
        case bridge::FrameType::Busy: return on_busy(frame, now);
        case bridge::FrameType::Tick: return on_tick(frame, now);
        case bridge::FrameType::SyncDone: return on_sync_done(now);
        case bridge::FrameType::Symbol: return on_symbol(frame);
        case bridge::FrameType::Account: return on_account(frame);
        case bridge::FrameType::Holding: return on_holding(frame, now);
        case bridge::FrameType::HoldingsEnd: return on_holdings_end(frame, now);
        case bridge::FrameType::Hello:
        case bridge::FrameType::Challenge:
        case bridge::FrameType::Welcome:
        case bridge::FrameType::Denied:
        case bridge::FrameType::Command:
        case bridge::FrameType::EventAck:
        case bridge::FrameType::Kill: break;
    }
    return {Errc::BadFrame, "frame type is none that a terminal may send in a session"};
}

Status Session::on_rx_ack(const wire::Frame& frame) noexcept {
    const auto ack = frame.as<bridge::RxAck>();
    if (!ack) {
        return ack.error();
    }
    const std::uint64_t upto = ack.value().command_seq;
    if (upto >= next_) {
        return {Errc::BadFrame, "RX_ACK names a command that was never sent"};
    }
    for (std::uint64_t n = queue_.first(); n <= upto; ++n) {
        if (queue_.state(n) == SlotState::Claimed) {
            queue_.set_state(n, SlotState::Settled);
        }
    }
    // Relaxed loads: own cells. Release: as in settle(); a number acknowledged was claimed before.
    if (upto > entry().named.load(std::memory_order_relaxed)) {
        name_commands(upto);
    }
    if (upto > entry().acked.load(std::memory_order_relaxed)) {
        entry().acked.store(upto, std::memory_order_release);
    }
    MILLRACE_CRASH_POINT("broker.after_ack");
    release_over();
    return ok_status();
}

Status Session::on_event(const wire::Frame& frame, Nanos now) noexcept {
    const auto event = frame.as<bridge::Event>();
    if (!event) {
        return event.error();
    }
    if (const char* defect = defect_of(event.value()); defect != nullptr) {
        return {Errc::BadFrame, defect};
    }
    if (frame.header.seq == 0) {
        return {Errc::BadFrame, "EVENT without a sequence number"};
    }
    if (frame.header.seq <= last_event_) {
        ++context_->stats.event_repeats;
        return ok_status();
    }
    Report r = to_report(event.value(), frame.header.seq);
    r.time = now;
    r.account = account_;
    r.session_generation = generation_;
    Text<16> name;
    std::memcpy(name.bytes, event.value().symbol, sizeof name.bytes);
    if (name != Text<16>{}) {
        r.symbol = symbols_.find(context_->segment.names(), name);
    }
    if (r.type == ReportType::AccountInfo) {
        const std::uint8_t permissions = event.value().permissions;
        server_away_ = (permissions & bridge::kInfoServerAway) != 0;
        constexpr auto kNoNews = bridge::kInfoServerAway | bridge::kInfoSettling;
        if ((permissions & kNoNews) == 0) {  // else it knows nothing new of what the broker allows
            // Relaxed: a state that is looked at again.
            entry().permissions.store(permissions, std::memory_order_relaxed);
        }
        heed_complaints(permissions);
    }
    last_event_report_ = context_->reports.publish(r);
    last_event_ = frame.header.seq;
    ++context_->stats.events;
    bump(entry().events_received);
    if (r.deal_ticket != 0 && (r.type == ReportType::Outcome || r.type == ReportType::Exec)) {
        bump(entry().fills);
    }
    measure_answer(r);
    return ok_status();
}

void Session::measure_answer(const Report& report) noexcept {
    if (report.type != ReportType::Outcome) {
        return;
    }
    Written& w = written_[report.magic.intent() % kWrittenMax];
    if (w.magic == report.magic && w.at.value != 0) {
        const Nanos now = context_->segment.clock().now();
        context_->segment.hop(Hop::BrokerAnswer).record((now - w.at).value);
        w.at = Nanos{};
    }
}

Status Session::on_busy(const wire::Frame& frame, Nanos now) noexcept {
    const auto busy = frame.as<bridge::Busy>();
    if (!busy) {
        return busy.error();
    }
    const Nanos asked{std::int64_t{busy.value().ms} * kNsPerMs};
    busy_until_ = now + std::min(asked, context_->times.busy_max_ns);
    // Relaxed: a flag for inspectors.
    entry().busy.store(1, std::memory_order_relaxed);
    return ok_status();
}

Status Session::on_tick(const wire::Frame& frame, Nanos now) noexcept {
    const auto tick = frame.as<bridge::Tick>();
    if (!tick) {
        return tick.error();
    }
    Text<16> name;
    std::memcpy(name.bytes, tick.value().symbol, sizeof name.bytes);
    const SymbolId symbol = symbols_.find(context_->segment.names(), name);
    const bool has_price = tick.value().bid > 0 && tick.value().ask > 0;
    if (symbol.value == kNoId || !has_price) {
        ++context_->stats.ticks_dropped;
        return ok_status();
    }
    // Receipt, not the broker's clock: a price's age is measured by the clock that asks for it.
    context_->segment.tick(symbol).store(
        Quote{Price{tick.value().bid}, Price{tick.value().ask}, now});
    ++context_->stats.ticks;
    return ok_status();
}

Status Session::on_sync_done(Nanos now) noexcept {
    if (link_ == LinkState::Syncing) {
        miss_facts();
        set_link(LinkState::Up);
        report_link(ReportType::SyncDone, now);
    }
    return ok_status();
}

void Session::forgive_silence(Nanos now) noexcept {
    heard_ = std::max(heard_, now);
}

bool Session::keep_alive(Nanos now) noexcept {
    ASSERT(peer_ != nullptr);
    if (now >= std::max(heard_ + context_->times.silence_ns, busy_until_)) {
        return false;
    }
    if (now >= beat_at_) {
        beat_at_ = now + context_->times.heartbeat_ns;
        // One at a time: a terminal that does not read must not fill the buffer with heartbeats.
        if (peer_->socket.pending_bytes() == 0) {
            static_cast<void>(
                peer_->send(bridge::FrameType::Heartbeat, 0, bridge::Heartbeat{now.value}));
        }
        on_writable();
    }
    return true;
}

/// An event is acknowledged once the engine has applied it and the journal has it on disk. The
/// engine stores `completed` before it releases the report, so `completed` as read after the
/// release was seen is at or beyond the event's own record.
int Session::acknowledge_events() noexcept {
    if (candidate_.event == 0 && last_event_ > acked_event_) {
        candidate_.event = last_event_;
        candidate_.report = last_event_report_;
        candidate_.seq = 0;
    }
    if (candidate_.event == 0 || !context_->reports.is_applied(candidate_.report)) {
        return 0;
    }
    if (candidate_.seq == 0) {
        // Acquire: pairs with the engine stage's release (rule 2 d).
        candidate_.seq = context_->segment.core().completed.load(std::memory_order_acquire);
    }
    const bool durable = context_->gate.durable() >= candidate_.seq;
    if (!durable || peer_->socket.pending_bytes() != 0) {
        return 0;
    }
    acked_event_ = candidate_.event;
    candidate_ = {};
    static_cast<void>(peer_->send(bridge::FrameType::EventAck, 0, bridge::EventAck{acked_event_}));
    on_writable();
    return 1;
}

}  // namespace millrace
