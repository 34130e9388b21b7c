// SignalClient: how a source speaks to ingress over TCP (gateway/SIGNALS.md) without losing or
// doubling a signal. It keeps what has no ack, resends it after a reconnect, and backs off when it
// is told to.
#pragma once

#include "gateway/frame.h"
#include "gateway/signal_ack_log.h"
#include "gateway/signal_wire.h"
#include "gateway/tcp.h"
#include "shm/clock.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace millrace {

struct SignalClientOptions {
    std::string address = "127.0.0.1";  // IPv4 or IPv6 literal
    std::uint16_t port = 0;
    std::string source;                  // name as configured, 1..16 bytes
    std::vector<std::byte> key;          // HMAC-SHA256 key
    std::string ack_log;                 // path, see signal_ack_log.h; empty = none
    bool resume_ack_log = false;         // begin with what the log says was never answered
    std::size_t unacked_max = 1U << 16;  // submit() answers Busy beyond
    std::size_t in_flight_max = 1024;    // sent and not answered, per connection
    Nanos backoff_min = millis(10);      // reconnects and refused retries, doubling
    Nanos backoff_max = seconds(1);
    Nanos resend_after = seconds(5);  // no ack for so long on a living connection: send again
    Nanos silence = seconds(10);      // nothing heard for so long: reconnect
    std::int64_t (*wall_clock)() noexcept = wall_ns;  // UTC in ns
};

/// The end of a signal's way in: `kind` Accepted or Duplicate for on_ack, Refused for on_refused.
/// One a signal, with one exception: of two copies (one resent after a lost connection) the first
/// may be refused for a passing reason and the second accepted; on_ack then follows on_refused.
struct SignalAnswer {
    SignalId id;
    AckLogKind kind = AckLogKind::Accepted;
    Reason reason = Reason::None;
    std::string_view text;       // of a refusal at the edge; valid during the callback
    Sequence seq;                // journal record; 0 if refused at the edge
    std::uint32_t accounts = 0;  // Duplicate: orders made so far
    Nanos send_time;
    Nanos ack_time;
};

/// What to do when something arrives. Called inside poll(); may call submit(), must not call
/// poll() or destroy the client. An empty one is not called.
struct SignalCallbacks {
    std::function<void(const SignalAnswer&)> on_ack;
    std::function<void(const SignalAnswer&)> on_refused;  // final: nothing will be done
    std::function<void(const SignalResult&)> on_result;   // OrderDone, OrderInDoubt, SignalDone
    std::function<void(bool up, std::string_view why)> on_link;  // logged in; or lost, and why
};

struct SignalClientStats {
    std::uint64_t submitted = 0;
    std::uint64_t frames_sent = 0;  // submissions on the wire, resends included
    std::uint64_t resent = 0;
    std::uint64_t retries = 0;  // refused with "send again"
    std::uint64_t accepted = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t refused = 0;
    std::uint64_t results = 0;
    std::uint64_t connects = 0;  // successful logins
    std::uint64_t disconnects = 0;
};

/// Order: signals go out in the order of submit(), with one exception that keeps it meaningful: a
/// signal whose `target` has no ack yet waits for that ack.
/// Threads: one. Crash: with `ack_log`, `resume_ack_log` continues what a dead process began.
class SignalClient {
public:
    /// Opens the ack log; connecting begins with the first poll().
    /// @return BadInput (source, key or address missing), IoError; `message` says what.
    static Result<std::unique_ptr<SignalClient>> create(SignalClientOptions options,
                                                        SignalCallbacks callbacks,
                                                        std::string& message);
    ~SignalClient();

    /// Takes a signal over: it will be sent, again and again if need be, until it is answered.
    /// Stamps send_time if it is 0; a caller's own is wall time. The numbers are checked by
    /// ingress, not here.
    /// @return BadInput (id zero or still unanswered; a name empty, too long or with white space),
    /// Busy (unacked_max reached), IoError (ack log). Then nothing was taken.
    [[nodiscard]] Status submit(SignalRequest request);

    /// One round: connects, reads, calls back, resends, writes. Waits up to `timeout_ms` for
    /// something to arrive (0 = not at all).
    /// @return frames handled.
    int poll(int timeout_ms);

    [[nodiscard]] std::size_t unacked() const noexcept { return pending_.size(); }
    [[nodiscard]] bool connected() const noexcept { return link_ == Link::Up; }
    /// True if acks mean "durable" (level disk), false for level process. Known once connected.
    [[nodiscard]] bool acks_when_durable() const noexcept { return acks_when_durable_; }
    /// Why the last connection ended or was refused; empty if none has.
    [[nodiscard]] const std::string& last_error() const noexcept { return last_error_; }
    [[nodiscard]] const SignalClientStats& stats() const noexcept { return stats_; }
    /// Clock of the answers' times: wall time at creation, monotonic from there. What goes out is
    /// stamped by the wall clock as it stands at that moment: a step moves the stamps of all later
    /// frames, resends included, and no timer of ours.
    [[nodiscard]] Nanos now() const noexcept { return clock_.now(); }

private:
    static constexpr Nanos kHeartbeat = seconds(1);  // sent when nothing else was

    enum class Link : std::uint8_t { Down, Connecting, AwaitChallenge, AwaitWelcome, Up };
    struct Pending {
        SignalRequest request;
        std::uint32_t attempts = 0;  // refused with "send again" so often
        std::uint32_t copies = 0;    // sent so often
        bool in_flight = false;
        Nanos sent_at;
    };

    SignalClient(SignalClientOptions options, SignalCallbacks callbacks);
    void adopt(SignalRequest request);
    [[nodiscard]] Nanos wall_shift() const noexcept;

    void connect(Nanos now);
    void on_connected(Nanos now);
    void lost(std::string why, Nanos now);
    int read_frames(Nanos now);
    void on_frame(const wire::Frame& frame, Nanos now);
    void on_challenge(const wire::Frame& frame, Nanos now);
    void on_welcome(const wire::Frame& frame, Nanos now);
    void on_result(const wire::Frame& frame, Nanos now);
    void on_edge_refusal(const wire::Frame& frame, Nanos now);
    void answered(const SignalAnswer& answer);
    void accepted_after_all(const SignalAnswer& answer);
    void tell(const SignalAnswer& answer);

    void keep_time(Nanos now);
    void resend_overdue(Nanos now);
    void pump(Nanos now);
    void send_signal(std::uint64_t number, Pending& pending, Nanos now);
    void flush();
    [[nodiscard]] int wait_ms(int timeout_ms, Nanos now) const;

    SignalClientOptions options_;
    SignalCallbacks callbacks_;
    Clock clock_;
    AckLogWriter log_;
    net::Poller poller_;
    net::Connection connection_;
    wire::FrameReader reader_;

    Link link_ = Link::Down;
    bool broken_ = false;  // a write failed: the next poll() reconnects
    bool watches_write_ = false;
    bool acks_when_durable_ = false;
    std::string last_error_;
    Nanos connect_at_;
    Nanos backoff_;
    Nanos heard_;
    Nanos sent_;
    Nanos next_overdue_check_;

    std::uint64_t next_number_ = 1;
    std::size_t in_flight_ = 0;
    std::map<std::uint64_t, Pending> pending_;  // by number: order of submit()
    std::map<SignalId, std::uint64_t> numbers_;
    std::deque<std::uint64_t> ready_;                     // to be sent as soon as there is room
    std::multimap<SignalId, std::uint64_t> blocked_;      // by the target they wait for
    std::multimap<std::int64_t, std::uint64_t> retries_;  // by the time to send again
    // Refused by the engine after more than one copy went out: a later copy may still be accepted
    // (the reason may have passed), and the source must hear of it. Send stamps, newest 4096.
    std::map<SignalId, Nanos> refused_resent_;
    SignalClientStats stats_;
};

}  // namespace millrace
