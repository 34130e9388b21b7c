// The executor's end of the bridge protocol (gateway/BRIDGE.md): connects to the broker stage for
// ever, proves that it has the account's key, resumes, and carries frames both ways. What a command
// means is its owner's business.
#pragma once

#include "core/admin.h"
#include "core/assert.h"
#include "gateway/frame.h"
#include "tools/simbroker/event_loop.h"
#include "tools/simbroker/intent_journal.h"

#include <netinet/in.h>

#include <memory>
#include <string>
#include <vector>

namespace millrace::fix {

/// Who acts on what arrives. Called on the loop's thread.
class LinkOwner {
public:
    virtual ~LinkOwner() = default;
    /// A new session is up; unacknowledged events are on their way.
    virtual void on_session() = 0;
    /// In order. The journal has to know it when this returns.
    /// @param received on the loop's clock, never later than it arrived after a pause.
    virtual void on_command(std::uint64_t seq, const bridge::Command& command, Nanos received) = 0;
    virtual void on_kill(const bridge::Kill& kill) = 0;
    /// A write to the journal failed: nothing can be promised any more.
    virtual void check(const Status& status) const = 0;
};

struct LinkOptions {
    std::string name;  // of the account, for the log
    std::uint64_t login = 0;
    std::vector<std::byte> key;  // of the HMAC handshake
    MarginMode margin_mode{};
    sockaddr_in server{};            // broker stage
    Nanos silence_max = seconds(3);  // of the broker stage; then the link is down
};

/// Threads: one (the loop's).
class BridgeLink {
public:
    /// `journal` may be replaced by nobody while the link lives.
    BridgeLink(sim::EventLoop& loop, sim::IntentJournal& journal, LinkOwner& owner,
               LinkOptions options);
    ~BridgeLink();
    BridgeLink(const BridgeLink&) = delete;
    BridgeLink& operator=(const BridgeLink&) = delete;

    void connect();
    /// Sends RX_ACK if one is due, and events that the journal has and this connection has not.
    /// They have to be on disk: the other side believes them for good.
    void send_events();
    /// A quote by the account's own name of the symbol; dropped if the other side does not keep up.
    void send_tick(const bridge::Tick& tick);
    void drop(const std::string& why);
    /// Ten times a second or so: notes that nothing waits to be read.
    void tick();
    [[nodiscard]] bool is_up() const noexcept { return state_ == State::Up; }

private:
    enum class State : std::uint8_t { Waiting, Connecting, Challenged, Greeting, Up };
    struct Waiting {
        std::uint64_t seq = 0;
        bridge::Command command{};
        Nanos received;
    };

    void retry_later();
    void on_socket(std::uint32_t events);
    void on_connected();
    [[nodiscard]] bool read_some();
    void handle(const wire::Frame& frame);
    void on_challenge(const bridge::Challenge& challenge);
    [[nodiscard]] bool is_genuine(const bridge::Welcome& welcome) const;
    void on_welcome(const bridge::Welcome& welcome);
    void on_denied(const bridge::Denied& denied);
    void run_commands();
    void on_heartbeat_due();
    void flush();
    template <class Body>
    void send(bridge::FrameType type, std::uint64_t seq, const Body& body) {
        const std::size_t at = out_.size();
        out_.resize(at + wire::kFrameBytes<Body>);
        const std::size_t bytes =
            wire::encode(std::span{out_}.subspan(at), type, bridge::kVersion, seq, body);
        ASSERT(bytes == wire::kFrameBytes<Body>);
    }
    void log(const char* what) const;

    sim::EventLoop& loop_;
    sim::IntentJournal& journal_;
    LinkOwner& owner_;
    LinkOptions options_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

    State state_ = State::Waiting;
    int fd_ = -1;
    wire::BasicFrameReader<16 * 1024> reader_{bridge::kVersion};
    std::vector<std::byte> out_;
    std::size_t out_begin_ = 0;
    bool want_write_ = false;
    bool rx_ack_due_ = false;
    bool sync_done_due_ = false;
    std::vector<Waiting> commands_;
    std::uint64_t sent_event_seq_ = 0;  // on this connection
    Nanos last_heard_;
    Nanos empty_at_;       // when nothing was left to be read
    Nanos received_;       // of the frames being read
    wire::Nonce nonce_{};  // of the last HELLO
    std::uint32_t retry_ms_ = 0;
    std::string last_log_;
    sim::EventLoop::TimerId heartbeat_timer_ = 0;
};

}  // namespace millrace::fix
