#include "gateway/signal_client.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr std::size_t kSendBufferBytes = 256 * 1024;
constexpr int kReadsPerPoll = 16;
constexpr std::size_t kRefusedResentMax = 4096;
constexpr Nanos kHeartbeat = seconds(1);
constexpr Nanos kOverdueCheck = millis(500);

bool is_name(const std::string& name) noexcept {
    return !name.empty() && name.size() <= 16 &&
           std::none_of(name.begin(), name.end(), [](char c) {
               return std::isspace(static_cast<unsigned char>(c)) != 0 || c == '\0';
           });
}

signal_wire::Submit to_wire(const SignalRequest& r) noexcept {
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
    s.ttl_ms = r.ttl_ms;
    s.volume = r.volume.value;
    s.price = r.price.value;
    s.stop_loss = r.stop_loss.value;
    s.take_profit = r.take_profit.value;
    s.reference_price = r.reference_price.value;
    s.send_time_ns = r.send_time.value;
    return s;
}

template <std::size_t N>
std::string_view wire_text(const char (&text)[N]) noexcept {
    return {text, ::strnlen(text, N)};
}

}  // namespace

SignalClient::SignalClient(SignalClientOptions options, SignalCallbacks callbacks)
    : options_{std::move(options)},
      callbacks_{std::move(callbacks)},
      clock_{wall_ns() - monotonic_ns()},
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
    if (request.send_time.value == 0) {
        request.send_time = at;
    }
    // The log first: whatever happens to a signal, the witness knows that it was asked for.
    if (log_.is_open()) {
        if (Status logged = log_.append({AckLogKind::Submitted, request, Nanos{}, Reason::None});
            !logged) {
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
    const std::int64_t left_ms = (std::max(until.value - now.value, std::int64_t{0}) + 999'999) / 1'000'000;
    return broken_ ? 0 : static_cast<int>(std::min<std::int64_t>(timeout_ms, left_ms));
}

// ---- the link -----------------------------------------------------------------------------------

void SignalClient::connect(Nanos now) {
    auto fd = net::begin_connect(options_.address, options_.port);
    if (!fd) {
        return lost(std::string{"cannot connect: "} + fd.error().what, now);
    }
    connection_.open(std::move(fd).value());
    reader_.reset();
    broken_ = false;
    watches_write_ = true;
    heard_ = sent_ = now;
    link_ = Link::Connecting;
    if (!poller_.add(connection_.fd(), 0) ||
        !poller_.watch(connection_.fd(), 0, {.read = true, .write = true})) {
        lost("epoll refuses the socket", now);
    }
}

void SignalClient::on_connected(Nanos now) {
    if (const int why = net::connect_error(connection_.fd()); why != 0) {
        return lost(std::string{"cannot connect: "} + std::strerror(why), now);
    }
    link_ = Link::AwaitChallenge;
    heard_ = now;
    flush();  // also ends the watch for writability
}

void SignalClient::lost(std::string why, Nanos now) {
    const bool was_up = link_ == Link::Up;
    connection_.close();
    link_ = Link::Down;
    broken_ = false;
    connect_at_ = now + backoff_;
    backoff_ = std::min(backoff_ + backoff_, options_.backoff_max);
    last_error_ = std::move(why);
    // Nothing is known about what was in flight: all of it goes out again, in the old order.
    in_flight_ = 0;
    ready_.clear();
    blocked_.clear();
    retries_.clear();
    for (auto& [number, pending] : pending_) {
        pending.in_flight = false;
        ready_.push_back(number);
    }
    if (was_up) {
        ++stats_.disconnects;
        if (callbacks_.on_link) {
            callbacks_.on_link(false, last_error_);
        }
    }
}

void SignalClient::keep_time(Nanos now) {
    if (link_ == Link::Down) {
        return;
    }
    if (broken_) {
        return lost("the connection broke while writing", now);
    }
    if (now - heard_ > options_.silence) {
        return lost("the server was silent for too long", now);
    }
    if (link_ != Link::Up) {
        return;
    }
    if (now - sent_ >= kHeartbeat) {
        std::byte frame[sizeof(wire::FrameHeader)];
        const std::size_t n = wire::encode_bytes(
            frame, static_cast<std::uint8_t>(FrameType::Heartbeat), signal_wire::kVersion, 0, {});
        // No room means bytes wait already: those are sign of life enough.
        static_cast<void>(connection_.send({frame, n}));
        sent_ = now;
    }
    if (now >= next_overdue_check_) {
        resend_overdue(now);
        next_overdue_check_ = now + kOverdueCheck;
    }
}

void SignalClient::flush() {
    if (link_ == Link::Down || link_ == Link::Connecting || broken_) {
        return;
    }
    const Status status = connection_.flush();
    if (!status && status.code() != Errc::Busy) {
        broken_ = true;
        return;
    }
    const bool write = connection_.pending_bytes() != 0;
    if (write != watches_write_) {
        watches_write_ = write;
        broken_ = !poller_.watch(connection_.fd(), 0, {.read = true, .write = write});
    }
}

// ---- frames in ----------------------------------------------------------------------------------

int SignalClient::read_frames(Nanos now) {
    int frames = 0;
    for (int i = 0; i < kReadsPerPoll && link_ != Link::Down; ++i) {
        const auto got = connection_.receive(reader_.space());
        if (!got) {
            if (got.code() != Errc::Busy) {
                lost(link_ == Link::Up ? "the server closed the connection"
                                       : "the server closed the connection before the login",
                     now);
            }
            return frames;
        }
        heard_ = now;
        reader_.filled(got.value());
        while (link_ != Link::Down) {
            const auto frame = reader_.next();
            if (!frame) {
                lost(std::string{"malformed frame from the server: "} + frame.error().what, now);
                return frames;
            }
            if (frame.value() == nullptr) {
                break;
            }
            on_frame(*frame.value(), now);
            ++frames;
        }
    }
    return frames;
}

void SignalClient::on_frame(const wire::Frame& frame, Nanos now) {
    switch (static_cast<FrameType>(frame.header.type)) {
        case FrameType::Challenge: return on_challenge(frame, now);
        case FrameType::Welcome: return on_welcome(frame, now);
        case FrameType::Result: return on_result(frame, now);
        case FrameType::Refused: return on_edge_refusal(frame, now);
        case FrameType::Heartbeat: return;
        case FrameType::Denied: {
            const auto denied = frame.as<signal_wire::Denied>();
            const std::string reason{denied ? wire_text(denied.value().reason) : "no reason given"};
            const bool was_up = link_ == Link::Up;
            backoff_ = options_.backoff_max;  // it will not change its mind in milliseconds
            lost("denied: " + reason, now);
            if (callbacks_.on_link && !was_up) {
                callbacks_.on_link(false, last_error_);
            }
            return;
        }
        default: return lost("unexpected frame type from the server", now);
    }
}

void SignalClient::on_challenge(const wire::Frame& frame, Nanos now) {
    const auto challenge = frame.as<signal_wire::Challenge>();
    if (!challenge || link_ != Link::AwaitChallenge) {
        return lost("malformed or unexpected Challenge", now);
    }
    signal_wire::Login login{};
    options_.source.copy(login.source, sizeof login.source);
    wire::hmac_sha256(options_.key, std::as_bytes(std::span{challenge.value().nonce}),
                      std::as_bytes(std::span{login.source}), login.mac);
    std::byte bytes[wire::kFrameBytes<signal_wire::Login>];
    const std::size_t n = wire::encode(bytes, FrameType::Login, signal_wire::kVersion, 0, login);
    if (!connection_.send({bytes, n})) {
        return lost("no room for the Login frame", now);
    }
    link_ = Link::AwaitWelcome;
    flush();
}

void SignalClient::on_welcome(const wire::Frame& frame, Nanos now) {
    const auto welcome = frame.as<signal_wire::Welcome>();
    if (!welcome || link_ != Link::AwaitWelcome) {
        return lost("malformed or unexpected Welcome", now);
    }
    acks_when_durable_ = welcome.value().ack_level != 0;
    link_ = Link::Up;
    backoff_ = options_.backoff_min;
    ++stats_.connects;
    if (callbacks_.on_link) {
        callbacks_.on_link(true, "");
    }
    pump(now);
}

void SignalClient::on_result(const wire::Frame& frame, Nanos now) {
    const auto body = frame.as<SignalResult>();
    if (!body) {
        return lost("malformed Result", now);
    }
    const SignalResult& r = body.value();
    AckLogKind kind{};
    switch (r.kind) {
        case ResultKind::Accepted: kind = AckLogKind::Accepted; break;
        case ResultKind::Duplicate: kind = AckLogKind::Duplicate; break;
        case ResultKind::Refused: kind = AckLogKind::Refused; break;
        default:
            ++stats_.results;
            if (callbacks_.on_result) {
                callbacks_.on_result(r);
            }
            return;
    }
    SignalAnswer answer;
    answer.id = r.signal;
    answer.kind = kind;
    answer.reason = static_cast<Reason>(r.reason);
    answer.seq = r.seq;
    answer.accounts = r.accounts;
    answer.ack_time = now;
    answered(answer);
}

void SignalClient::on_edge_refusal(const wire::Frame& frame, Nanos now) {
    const auto body = frame.as<signal_wire::Refused>();
    if (!body) {
        return lost("malformed Refused", now);
    }
    const signal_wire::Refused& refused = body.value();
    const SignalId id{refused.id_hi, refused.id_lo};
    const auto it = pending_.find(frame.header.seq);
    if (it == pending_.end() || it->second.request.id != id) {
        return;  // answered meanwhile on another way, or before a resend
    }
    Pending& pending = it->second;
    if (refused.retry == 0) {
        SignalAnswer answer;
        answer.id = id;
        answer.kind = AckLogKind::Refused;
        answer.reason = static_cast<Reason>(refused.reason);
        answer.text = wire_text(refused.text);
        answer.ack_time = now;
        return answered(answer);
    }
    if (pending.in_flight) {
        pending.in_flight = false;
        --in_flight_;
    }
    const unsigned doublings = std::min(pending.attempts++, 16U);
    const Nanos pause{std::min(options_.backoff_min.value << doublings, options_.backoff_max.value)};
    retries_.emplace((now + pause).value, it->first);
    ++stats_.retries;
}

void SignalClient::answered(const SignalAnswer& answer) {
    const auto named = numbers_.find(answer.id);
    if (named == numbers_.end()) {
        return accepted_after_all(answer);
    }
    const auto it = pending_.find(named->second);
    ASSERT(it != pending_.end());
    SignalAnswer full = answer;
    full.send_time = it->second.request.send_time;
    if (it->second.in_flight) {
        --in_flight_;
    }
    if (answer.kind == AckLogKind::Refused && it->second.copies > 1) {
        if (refused_resent_.size() >= kRefusedResentMax) {
            refused_resent_.erase(refused_resent_.begin());
        }
        refused_resent_.emplace(answer.id, full.send_time);
    }
    pending_.erase(it);
    numbers_.erase(named);
    const auto [first, last] = blocked_.equal_range(answer.id);
    for (auto b = first; b != last; ++b) {
        ready_.push_back(b->second);
    }
    blocked_.erase(first, last);
    tell(full);
}

/// An answer to a signal that has one already: of another copy of it. It changes something only
/// if the first said "refused" and this one does not.
void SignalClient::accepted_after_all(const SignalAnswer& answer) {
    const auto it = refused_resent_.find(answer.id);
    if (it == refused_resent_.end() || answer.kind == AckLogKind::Refused) {
        return;
    }
    SignalAnswer full = answer;
    full.send_time = it->second;
    refused_resent_.erase(it);
    tell(full);
}

void SignalClient::tell(const SignalAnswer& answer) {
    AckLogEntry entry;
    entry.kind = answer.kind;
    entry.request.id = answer.id;
    entry.request.send_time = answer.send_time;
    entry.ack_time = answer.ack_time;
    entry.reason = answer.reason;
    // A log that fails now loses an ack line only: whoever reads it sends the signal again and is
    // told Duplicate.
    if (log_.is_open() && !log_.append(entry)) {
        last_error_ = "ack log: an answer could not be written";
    }
    ++(answer.kind == AckLogKind::Accepted    ? stats_.accepted
       : answer.kind == AckLogKind::Duplicate ? stats_.duplicates
                                              : stats_.refused);
    const auto& callback =
        answer.kind == AckLogKind::Refused ? callbacks_.on_refused : callbacks_.on_ack;
    if (callback) {
        callback(answer);
    }
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
                                       to_wire(pending.request));
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
