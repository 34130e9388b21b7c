#include "gateway/broker_stage.h"

#include "shm/doorbell.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr int kOrdersPerStep = 256;
/// While there is other work, sockets are looked at this often; without, in every cycle.
constexpr Nanos kPollEvery{50'000};
constexpr Nanos kGatePark{200'000};
constexpr Nanos kDeadlinePark{1'000'000};
constexpr Nanos kSweepPark{5'000'000};

}  // namespace

BrokerStage::BrokerStage(Segment& segment, BrokerOptions options)
    : segment_{segment},
      options_{std::move(options)},
      gate_{segment.core()},
      kills_{segment},
      context_{segment,
               reports_,
               gate_,
               kills_,
               stats_,
               options_.times,
               options_.epoch,
               options_.magic_tag,
               options_.find_symbol,
               holdings_} {}

Result<std::unique_ptr<BrokerStage>> BrokerStage::create(Segment& segment, BrokerOptions options,
                                                         std::string& message) {
    ASSERT(options.find_account);
    std::unique_ptr<BrokerStage> stage{new BrokerStage{segment, std::move(options)}};
    if (Status s = stage->start(message); !s) {
        return s.error();
    }
    return stage;
}

Status BrokerStage::start(std::string& message) {
    if (Status s = attach_rings(message); !s) {
        return s;
    }
    attach_sessions();
    return open_sockets(message);
}

Status BrokerStage::attach_rings(std::string& message) {
    auto reports = ReportSink::attach(segment_);
    auto orders = RingConsumer<OrderSlot>::attach(segment_.ring<OrderSlot>("orders"));
    auto admin = RingConsumer<KillSlot>::attach(segment_.ring<KillSlot>("admin.broker"));
    auto holdings = HoldingSink::attach(segment_);
    for (const Error& e :
         {reports ? Error{} : reports.error(), orders ? Error{} : orders.error(),
          admin ? Error{} : admin.error(), holdings ? Error{} : holdings.error()}) {
        if (e.code != Errc::Ok) {
            message = std::string{"broker stage: a ring of the segment contradicts itself: "} +
                      e.what + "; `millrace up` with a new segment recovers from the journal";
            return e;
        }
    }
    reports_ = reports.value();
    orders_ = orders.value();
    admin_ = admin.value();
    holdings_ = holdings.value();
    return ok_status();
}

void BrokerStage::attach_sessions() {
    const std::uint32_t count = segment_.sessions();
    sessions_.reserve(count);
    active_.reserve(count);
    is_active_.resize(count, false);
    answered_before_ = reports_.last_answer();
    for (std::uint32_t i = 0; i < count; ++i) {
        Session& session = sessions_.emplace_back(context_, AccountId{i});
        session.attach();
        if (answered_before_ != OutputId{}) {
            session.mark_answered(answered_before_);
        }
        activate(session);
    }
}

Status BrokerStage::open_sockets(std::string& message) {
    auto poller = net::Poller::open();
    auto wake = net::Poller::open();
    if (!poller || !wake) {
        message = "broker stage: the kernel gives no epoll set; raise the limit (ulimit -n)";
        return poller ? wake.error() : poller.error();
    }
    auto listener = net::Listener::open(options_.listen, message);
    if (!listener) {
        return listener.error();
    }
    poller_ = std::move(poller.value());
    wake_ = std::move(wake.value());
    listener_ = std::move(listener.value());
    for (std::size_t i = 0; i < segment_.sessions() + kStrangersMax; ++i) {
        peers_.push_back(std::make_unique<Peer>());
    }
    if (Status s = poller_.add(listener_.fd(), 0); !s) {
        message = "broker stage: cannot watch the listening socket";
        return s;
    }
    return wake_.add(poller_.fd(), 0);
}

int BrokerStage::step(Nanos now) noexcept {
    gate_.refresh();
    int work = take_kills();
    work += drain_orders(now);
    work += service_active(now);
    if (work == 0 || now - polled_at_ >= kPollEvery) {
        work += serve_sockets(now);
    }
    work += finish_kills(now);
    work += keep_time(now);
    if (reports_.take_published(now) > 0) {
        millrace::ring(segment_.doorbell(StageId::Engine));
    }
    return work;
}

/// Kills act at once, whatever else is full; their slots are released when every account's
/// KillApplied is out, so that a successor of a killed stage acts on them again.
int BrokerStage::take_kills() noexcept {
    int work = 0;
    while (kills_begun_ - kills_finished_ < kPendingKillsMax) {
        const KillSlot* slot = admin_.peek();
        if (slot == nullptr) {
            break;
        }
        PendingKill& pending = pending_kills_[kills_begun_ % kPendingKillsMax];
        pending = PendingKill{slot->value, admin_.position(), 0, kills_.apply(slot->value)};
        MILLRACE_CRASH_POINT("broker.after_kill_noted");
        if (pending.accepted) {
            begin_kill(pending.kill);
        } else {
            segment_.report_error("broker",
                                  "kill refused: its scope is no account, symbol or all; the "
                                  "command line sends group kills account by account");
        }
        admin_.advance();
        ++kills_begun_;
        ++work;
    }
    return work;
}

void BrokerStage::begin_kill(const KillCommand& kill) noexcept {
    for (Session& session : sessions_) {
        if (KillBoard::concerns(kill, session.account())) {
            session.kill(kill);
            activate(session);
        }
    }
    MILLRACE_CRASH_POINT("broker.after_kill_sent");
}

int BrokerStage::finish_kills(Nanos now) noexcept {
    int work = 0;
    while (kills_finished_ < kills_begun_) {
        if (!finish_kill(now)) {
            break;
        }
        const PendingKill& done = pending_kills_[kills_finished_ % kPendingKillsMax];
        admin_.release(done.number);
        ++kills_finished_;
        ++work;
    }
    return work;
}

/// @return false if it is not through yet: `reports` is full.
bool BrokerStage::finish_kill(Nanos now) noexcept {
    PendingKill& pending = pending_kills_[kills_finished_ % kPendingKillsMax];
    const auto count = static_cast<std::uint32_t>(sessions_.size());
    for (; pending.accepted && pending.next_account < count; ++pending.next_account) {
        const Session& session = sessions_[pending.next_account];
        // Acquire: pairs with the engine stage's release when it defines the account.
        const bool configured =
            segment_.session(session.account()).login.load(std::memory_order_acquire) != 0;
        if (!configured || !KillBoard::concerns(pending.kill, session.account())) {
            continue;
        }
        if (!session.kill_swept() || !reports_.has_room(1)) {
            return false;
        }
        Report r;
        r.time = now;
        r.account = session.account();
        r.type = ReportType::KillApplied;
        r.flags = pending.kill.actions;
        r.journal_id = pending.kill.kill_id;
        reports_.publish(r);
    }
    return true;
}

int BrokerStage::drain_orders(Nanos now) noexcept {
    int work = 0;
    for (; work < kOrdersPerStep; ++work) {
        const OrderSlot* slot = orders_.peek();
        if (slot == nullptr) {
            break;
        }
        if (!take(slot->value, now)) {
            stall();
            break;
        }
        MILLRACE_CRASH_POINT("broker.after_drain");
        // One by one: the engine counts on every slot, and a successor then finds one repeat at
        // most, at the front.
        orders_.advance();
        orders_.release();
        MILLRACE_CRASH_POINT("broker.after_orders_release");
    }
    return work;
}

/// @return false, and nothing changed, if the command must be answered and `reports` is full.
bool BrokerStage::take(const OrderCommand& command, Nanos now) noexcept {
    const OutputId id = output_id(command);
    const bool known = command.account.value < sessions_.size();
    Session* session = known ? &sessions_[command.account.value] : nullptr;
    if (id == answered_before_ || (known && session->has_taken(id))) {
        ++stats_.repeats;
        return true;
    }
    const Nanos seen = segment_.clock().now();
    if (known && session->enqueue(command, seen)) {
        segment_.hop(Hop::EngineToBroker).record((seen - command.engine_time).value);
        activate(*session);
        ++stats_.drained;
        return true;
    }
    if (!reports_.has_room(1)) {
        return false;
    }
    if (command.type == CommandType::Resolve) {
        segment_.report_error("broker",
                              "ALERT an executor was not told what `millrace resolve` said: its "
                              "queue is full or stopped. Say it again, with --account");
    }
    reports_.unsent(command, reason_not_taken(session), now);
    ++stats_.drained;
    return true;
}

/// Why a command cannot wait in its account's queue.
Reason BrokerStage::reason_not_taken(Session* session) noexcept {
    if (session == nullptr) {
        segment_.report_error("broker", "order for an account beyond the segment's session table");
        return Reason::TableFull;
    }
    if (session->is_stopped()) {
        activate(*session);  // its terminal, if there is one, has to be told
        return Reason::AccountNotTrading;
    }
    ++stats_.queue_full;
    return Reason::QueueFull;
}

void BrokerStage::activate(Session& session) noexcept {
    if (!is_active_[session.account().value]) {
        is_active_[session.account().value] = true;
        active_.push_back(&session);
    }
}

int BrokerStage::service_active(Nanos now) noexcept {
    int work = 0;
    for (std::size_t i = 0; i < active_.size();) {
        Session& session = *active_[i];
        work += session.service(now);
        if (Peer* peer = session.peer(); peer != nullptr) {
            if (session.is_stopped()) {
                deny(*peer, Session::kStoppedText, now);
            }
            settle_peer(*peer, now);
        }
        if (session.has_waiting()) {
            ++i;
            continue;
        }
        is_active_[session.account().value] = false;
        active_[i] = active_.back();
        active_.pop_back();
    }
    return work;
}

bool BrokerStage::idle() const noexcept {
    if (admin_.peek() != nullptr) {
        return false;
    }
    if (stalled_) {
        return true;  // park_limit() looks again soon; nothing can be done before
    }
    const bool released = !active_.empty() && gate_.moved();
    return orders_.peek() == nullptr && !released;
}

Nanos BrokerStage::park_limit(Nanos /*now*/) const noexcept {
    if (stalled_ || kills_finished_ < kills_begun_) {
        return kDeadlinePark;
    }
    Nanos limit = millis(100);
    for (const Session* session : active_) {
        limit = std::min(limit, session->peer() != nullptr ? kGatePark : kDeadlinePark);
    }
    for (const auto& peer : peers_) {
        if (peer->session != nullptr && peer->session->has_unacknowledged_events()) {
            limit = std::min(limit, kSweepPark);
        }
    }
    return limit;
}

bool BrokerStage::drained() const noexcept {
    for (const Session* session : active_) {
        if (session->peer() != nullptr && session->has_waiting()) {
            return false;
        }
    }
    return orders_.peek() == nullptr && kills_finished_ == kills_begun_ && !stalled_;
}

}  // namespace millrace
