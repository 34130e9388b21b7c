// SignalClient, what comes in: challenge, welcome, acks, refusals, results.
#include <algorithm>
#include <cstring>

#include "gateway/signal_client.h"

namespace millrace {
namespace {

using signal_wire::FrameType;

constexpr int kReadsPerPoll = 16;
constexpr std::size_t kRefusedResentMax = 4096;

template <std::size_t N>
std::string_view wire_text(const char (&text)[N]) noexcept {
    return {text, ::strnlen(text, N)};
}

}  // namespace

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
    const Nanos pause{
        std::min(options_.backoff_min.value << doublings, options_.backoff_max.value)};
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
    const Nanos shift = log_.is_open() ? wall_shift() : Nanos{};
    entry.request.send_time = answer.send_time + shift;
    entry.ack_time = answer.ack_time + shift;
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

}  // namespace millrace
