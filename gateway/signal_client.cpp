#include "gateway/signal_client.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr std::size_t kSendBufferBytes = 256 * 1024;
// Less between two readings is slewing, or a preemption between them: stamps stay as they are.
constexpr Nanos kStepMin = millis(10);

bool is_name(const std::string& name) noexcept {
    return !name.empty() && name.size() <= 16 && std::none_of(name.begin(), name.end(), [](char c) {
        return std::isspace(static_cast<unsigned char>(c)) != 0 || c == '\0';
    });
}

signal_wire::Submit to_wire(const SignalRequest& r, Nanos wall_shift) noexcept {
    signal_wire::Submit s{};
    s.id_hi = r.id.hi;
    s.id_lo = r.id.lo;
    s.target_hi = r.target.hi;
    s.target_lo = r.target.lo;
    r.group.copy(s.group, sizeof s.group);
    r.symbol.copy(s.symbol, sizeof s.symbol);
    s.action = static_cast<std::uint8_t>(r.action);
    s.side = static_cast<std::uint8_t>(r.side);
    s.price_kind = static_cast<std::uint8_t>(r.price_kind);
    s.flags = r.flags;
    s.ttl_ms = r.ttl_ms;
    s.volume = r.volume.value;
    s.price = r.price.value;
    s.stop_loss = r.stop_loss.value;
    s.take_profit = r.take_profit.value;
    s.reference_price = r.reference_price.value;
    s.send_time_ns = (r.send_time + wall_shift).value;
    return s;
}

}  // namespace

SignalClient::SignalClient(SignalClientOptions options, SignalCallbacks callbacks)
    : options_{std::move(options)},
      callbacks_{std::move(callbacks)},
      clock_{options_.wall_clock() - monotonic_ns()},
      connection_{kSendBufferBytes},
      reader_{signal_wire::kVersion},
      backoff_{options_.backoff_min} {}

SignalClient::~SignalClient() = default;

Result<std::unique_ptr<SignalClient>> SignalClient::create(SignalClientOptions options,
                                                           SignalCallbacks callbacks,
                                                           std::string& message) {
    if (!is_name(options.source) || options.key.empty() || options.port == 0) {
        message = "signal client: source (1 to 16 bytes), key and port must be given";
        return {Errc::BadInput, "signal client"};
    }
    std::unique_ptr<SignalClient> client{
        new SignalClient{std::move(options), std::move(callbacks)}};
    auto poller = net::Poller::open();
    if (!poller) {
        message = "signal client: the kernel gives no epoll descriptor; raise ulimit -n";
        return poller.error();
    }
    client->poller_ = std::move(poller).value();
    const SignalClientOptions& o = client->options_;
    if (o.ack_log.empty()) {
        return client;
    }
    auto old = o.resume_ack_log ? read_ack_log(o.ack_log, message) : Result<AckLog>{AckLog{}};
    if (!old && old.code() != Errc::NotFound) {
        return old.error();
    }
    auto log = AckLogWriter::open(o.ack_log, message);
    if (!log) {
        return log.error();
    }
    client->log_ = std::move(log).value();
    if (old) {
        for (SignalRequest& request : old.value().unanswered()) {
            client->adopt(std::move(request));
        }
    }
    return client;
}

/// How far the wall clock has been stepped away from ours. Ours must not follow (timers,
/// latencies); the stamps must: the server counts a signal's life from them by its own clock, which
/// is right.
Nanos SignalClient::wall_shift() const noexcept {
    const Nanos shift{options_.wall_clock() - now().value};
    return shift < kStepMin && Nanos{-shift.value} < kStepMin ? Nanos{} : shift;
}

void SignalClient::adopt(SignalRequest request) {
    const std::uint64_t number = next_number_++;
    numbers_.emplace(request.id, number);
    pending_.emplace(number, Pending{std::move(request), 0, 0, false, Nanos{}});
    ready_.push_back(number);
}

Status SignalClient::submit(SignalRequest request) {
    if (request.id.is_none() || numbers_.contains(request.id)) {
        return {Errc::BadInput, "signal id is zero, or still waits for its answer"};
    }
    if (!is_name(request.group) || !is_name(request.symbol)) {
        return {Errc::BadInput, "group and symbol have 1 to 16 bytes and no white space"};
    }
    if (pending_.size() >= options_.unacked_max) {
        return {Errc::Busy, "unacked_max signals wait for their answers: poll()"};
    }
    const Nanos at = now();
    const Nanos shift = wall_shift();
    request.send_time = request.send_time.value == 0 ? at : request.send_time - shift;
    // The log first: whatever happens to a signal, the witness knows that it was asked for.
    if (log_.is_open()) {
        AckLogEntry entry{AckLogKind::Submitted, request, Nanos{}, Reason::None};
        entry.request.send_time = request.send_time + shift;  // its reader has another clock
        if (Status logged = log_.append(entry); !logged) {
            return logged;
        }
    }
    ++stats_.submitted;
    adopt(std::move(request));
    pump(at);
    flush();
    return ok_status();
}

int SignalClient::poll(int timeout_ms) {
    Nanos at = now();
    if (link_ == Link::Down && at >= connect_at_) {
        connect(at);
    }
    pump(at);
    flush();
    int frames = 0;
    for (const net::Ready& ready : poller_.wait(wait_ms(timeout_ms, at))) {
        at = now();
        if (link_ == Link::Connecting && (ready.writable || ready.readable)) {
            on_connected(at);
        } else if (link_ != Link::Down && ready.readable) {
            frames += read_frames(at);
        }
    }
    at = now();
    keep_time(at);
    pump(at);
    flush();
    return frames;
}

int SignalClient::wait_ms(int timeout_ms, Nanos now) const {
    Nanos until = now + seconds(1);
    if (link_ == Link::Down) {
        until = std::min(until, connect_at_);
    }
    if (link_ == Link::Up) {
        until = std::min(until, sent_ + kHeartbeat);
        if (!retries_.empty()) {
            until = std::min(until, Nanos{retries_.begin()->first});
        }
    }
    const std::int64_t left_ms =
        (std::max(until.value - now.value, std::int64_t{0}) + 999'999) / 1'000'000;
    return broken_ ? 0 : static_cast<int>(std::min<std::int64_t>(timeout_ms, left_ms));
}

// ---- signals out --------------------------------------------------------------------------------

void SignalClient::resend_overdue(Nanos now) {
    for (auto& [number, pending] : pending_) {
        if (pending.in_flight && now - pending.sent_at > options_.resend_after) {
            pending.in_flight = false;
            --in_flight_;
            ready_.push_back(number);
        }
    }
}

void SignalClient::pump(Nanos now) {
    if (link_ != Link::Up || broken_) {
        return;
    }
    while (!retries_.empty() && retries_.begin()->first <= now.value) {
        ready_.push_back(retries_.begin()->second);
        retries_.erase(retries_.begin());
    }
    while (!ready_.empty() && in_flight_ < options_.in_flight_max &&
           connection_.space().size() >= wire::kFrameBytes<signal_wire::Submit>) {
        const std::uint64_t number = ready_.front();
        ready_.pop_front();
        const auto it = pending_.find(number);
        if (it == pending_.end() || it->second.in_flight) {
            continue;  // answered meanwhile, or listed twice
        }
        const auto target = numbers_.find(it->second.request.target);
        if (target != numbers_.end() && target->second < number) {
            blocked_.emplace(target->first, number);
            continue;
        }
        send_signal(number, it->second, now);
    }
}

void SignalClient::send_signal(std::uint64_t number, Pending& pending, Nanos now) {
    std::byte frame[wire::kFrameBytes<signal_wire::Submit>];
    const std::size_t n = wire::encode(frame, FrameType::Submit, signal_wire::kVersion, number,
                                       to_wire(pending.request, wall_shift()));
    const Status queued = connection_.send({frame, n});
    ASSERT(queued.ok());  // pump() looked for the room
    stats_.resent += pending.copies != 0 ? 1 : 0;
    ++pending.copies;
    pending.in_flight = true;
    pending.sent_at = now;
    sent_ = now;
    ++in_flight_;
    ++stats_.frames_sent;
}

}  // namespace millrace
