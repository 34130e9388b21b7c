#include "tools/fix/bridge_link.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace::fix {
namespace {

constexpr std::uint32_t kRetryFirstMs = 50;
constexpr std::uint32_t kRetryMaxMs = 1'000;
constexpr std::uint32_t kRetryReplacedMs = 60'000;  // another executor has the account
constexpr Nanos kHeartbeat = seconds(1);
constexpr int kReadsMax = 8;  // per wake-up, so that the venue gets its turn
// The loop turns ten times a second. If it has not for so long, this process was paused or waited
// for a disk, and what is read now may have arrived when that began.
constexpr Nanos kPauseMax = millis(500);
constexpr std::uint32_t kBuild = 44;
constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62U;
// Above this much unsent, ticks are dropped and events wait in the journal.
constexpr std::size_t kOutBytesMax = 64 * 1024;

}  // namespace

BridgeLink::BridgeLink(sim::EventLoop& loop, sim::IntentJournal& journal, LinkOwner& owner,
                       LinkOptions options)
    : loop_{loop}, journal_{journal}, owner_{owner}, options_{std::move(options)} {}

BridgeLink::~BridgeLink() {
    *alive_ = false;
    if (heartbeat_timer_ != 0) {
        loop_.cancel(heartbeat_timer_);
    }
    if (fd_ >= 0) {
        loop_.forget(fd_);
        ::close(fd_);
    }
}

void BridgeLink::log(const char* what) const {
    std::fprintf(stderr, "fix: account %s: bridge: %s\n", options_.name.c_str(), what);
}

void BridgeLink::connect() {
    state_ = State::Connecting;
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        return retry_later();
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const int result =
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&options_.server), sizeof options_.server);
    if (result != 0 && errno != EINPROGRESS) {
        ::close(fd_);
        fd_ = -1;
        return retry_later();
    }
    want_write_ = true;
    loop_.watch(fd_, EPOLLOUT, [this](std::uint32_t events) { on_socket(events); });
}

void BridgeLink::retry_later() {
    state_ = State::Waiting;
    const Nanos wait = millis(retry_ms_);
    retry_ms_ = std::min(kRetryMaxMs, std::max(kRetryFirstMs, retry_ms_ * 2));
    loop_.after(wait, [this, alive = alive_] {
        if (*alive && state_ == State::Waiting) {
            connect();
        }
    });
}

void BridgeLink::drop(const std::string& why) {
    if (last_log_ != why) {  // once: a broker stage that is not there would fill the log
        log(why.c_str());
        last_log_ = why;
    }
    if (heartbeat_timer_ != 0) {
        loop_.cancel(heartbeat_timer_);
        heartbeat_timer_ = 0;
    }
    if (fd_ >= 0) {
        loop_.forget(fd_);
        ::close(fd_);
        fd_ = -1;
    }
    reader_.reset();
    out_.clear();
    out_begin_ = 0;
    commands_.clear();  // not journalled: the other side sends them again
    rx_ack_due_ = sync_done_due_ = false;
    if (state_ != State::Waiting) {
        retry_later();
    }
}

void BridgeLink::on_socket(std::uint32_t events) {
    if (state_ == State::Connecting) {
        return on_connected();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        if (!read_some()) {
            return;
        }
        run_commands();
    }
    if (fd_ >= 0) {
        send_events();
        flush();
    }
}

void BridgeLink::on_connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        return drop("the broker stage is not there");
    }
    state_ = State::Challenged;
    last_heard_ = empty_at_ = sim::EventLoop::now();
    want_write_ = false;
    loop_.change(fd_, EPOLLIN);
    heartbeat_timer_ = loop_.after(kHeartbeat, [this, alive = alive_] {
        if (*alive) {
            on_heartbeat_due();
        }
    });
}

void BridgeLink::tick() {
    std::byte none{};
    if (fd_ >= 0 && state_ != State::Connecting &&
        ::recv(fd_, &none, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        empty_at_ = sim::EventLoop::now();
    }
}

bool BridgeLink::read_some() {
    const Nanos begin = sim::EventLoop::now();
    received_ = begin - empty_at_ > kPauseMax ? empty_at_ : begin;
    for (int i = 0; i < kReadsMax; ++i) {
        const auto room = reader_.space();
        const ssize_t n = ::recv(fd_, room.data(), room.size(), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            empty_at_ = errno == EAGAIN ? begin : empty_at_;
            return true;
        }
        if (n <= 0) {
            drop("connection lost");
            return false;
        }
        last_heard_ = sim::EventLoop::now();
        reader_.filled(static_cast<std::size_t>(n));
        for (;;) {
            const auto frame = reader_.next();
            if (!frame) {
                drop(frame.error().what);
                return false;
            }
            if (frame.value() == nullptr) {
                break;
            }
            handle(*frame.value());
            if (fd_ < 0) {
                return false;
            }
        }
        if (static_cast<std::size_t>(n) < room.size()) {
            empty_at_ = begin;
            return true;
        }
    }
    return true;
}

void BridgeLink::handle(const wire::Frame& frame) {
    const auto take = [&](auto body, bool expected, auto&& act) {
        if (!body.ok() || !expected) {
            return drop("frame out of place or of the wrong size");
        }
        act(body.value());
    };
    const bool up = state_ == State::Up;
    switch (static_cast<bridge::FrameType>(frame.header.type)) {
        case bridge::FrameType::Challenge:
            return take(frame.as<bridge::Challenge>(), state_ == State::Challenged,
                        [this](const bridge::Challenge& body) { on_challenge(body); });
        case bridge::FrameType::Welcome:
            return take(frame.as<bridge::Welcome>(), state_ == State::Greeting,
                        [this](const bridge::Welcome& body) { on_welcome(body); });
        case bridge::FrameType::Denied:
            return take(frame.as<bridge::Denied>(), true,
                        [this](const bridge::Denied& body) { on_denied(body); });
        case bridge::FrameType::Command:
            return take(frame.as<bridge::Command>(), up, [&](const bridge::Command& body) {
                commands_.push_back({frame.header.seq, body, received_});
            });
        case bridge::FrameType::Kill:  // acts now, before the commands read with it
            return take(frame.as<bridge::Kill>(), up,
                        [this](const bridge::Kill& body) { owner_.on_kill(body); });
        case bridge::FrameType::EventAck:
            return take(frame.as<bridge::EventAck>(), up, [this](const bridge::EventAck& body) {
                owner_.check(journal_.acknowledged(std::min(body.event_seq, journal_.event_seq())));
            });
        case bridge::FrameType::Heartbeat:
            return take(frame.as<bridge::Heartbeat>(), true, [](const bridge::Heartbeat&) {});
        default: return drop("frame of a type that only an executor sends");
    }
}

void BridgeLink::on_denied(const bridge::Denied& denied) {
    const std::string reason{denied.reason, strnlen(denied.reason, sizeof(denied.reason))};
    const bool replaced = state_ == State::Up;
    retry_ms_ = replaced ? kRetryReplacedMs : kRetryMaxMs;
    drop("denied: " + reason);
}

void BridgeLink::on_challenge(const bridge::Challenge& challenge) {
    const sim::SessionMemory& session = journal_.session();
    bridge::Hello hello{};
    hello.login = options_.login;
    hello.journal_id = journal_.id();
    hello.command_seq = session.command_seq;
    hello.command_epoch = session.command_epoch;
    hello.generation = session.generation;
    hello.epoch = session.epoch;
    hello.event_seq = journal_.event_seq();
    hello.build = kBuild;
    hello.margin_mode = static_cast<std::uint8_t>(options_.margin_mode);
    // A venue that is away is told by AccountInfo.
    hello.permissions = bridge::kHelloMayTrade | bridge::kHelloTakesResolve;
    wire::fill_nonce(hello.nonce);
    std::memcpy(nonce_, hello.nonce, sizeof nonce_);
    const auto signed_part =
        std::as_bytes(std::span{&hello, 1}).first(offsetof(bridge::Hello, mac));
    wire::hmac_sha256(options_.key, std::as_bytes(std::span{challenge.nonce}), signed_part,
                      hello.mac);
    state_ = State::Greeting;
    send(bridge::FrameType::Hello, 0, hello);
}

bool BridgeLink::is_genuine(const bridge::Welcome& welcome) const {
    wire::Mac mac;
    const auto signed_part =
        std::as_bytes(std::span{&welcome, 1}).first(offsetof(bridge::Welcome, mac));
    wire::hmac_sha256(options_.key, std::as_bytes(std::span{nonce_}), signed_part, mac);
    const bool sane = welcome.generation <= kNumberMax && welcome.event_seq <= kNumberMax &&
                      welcome.magic_tag != 0;
    return wire::same_mac(mac, welcome.mac) && sane;
}

void BridgeLink::on_welcome(const bridge::Welcome& welcome) {
    if (!is_genuine(welcome)) {
        return drop("WELCOME is not of our key, or its numbers make no sense");
    }
    sim::SessionMemory session = journal_.session();
    // The other side refuses by itself; this guards against one that does not.
    if (session.epoch != 0 &&
        bridge::instance_of(welcome.epoch) != bridge::instance_of(session.epoch)) {
        return drop("fenced: the other side has another journal directory");
    }
    if (welcome.generation < session.generation || welcome.epoch < session.epoch) {
        return drop("fenced: the other side is an older owner of this session");
    }
    // Event numbers that the other side knows and we do not: this journal replaced a lost one.
    const bool lost = welcome.event_seq > journal_.event_seq();
    if (lost) {
        sim::IntactMemory memory = journal_.intact();
        memory.intact = 0;
        owner_.check(journal_.remember(memory));
    }
    if (welcome.command_epoch != session.command_epoch) {
        session.command_seq = welcome.next_command_seq - 1;  // numbers of another queue
    }
    session.generation = welcome.generation;
    session.epoch = welcome.epoch;
    session.command_epoch = welcome.command_epoch;
    session.magic_tag = welcome.magic_tag;
    owner_.check(journal_.remember(session));
    if (lost) {
        owner_.check(journal_.renumber_above(welcome.event_seq));
    }
    owner_.check(journal_.acknowledged(welcome.event_seq));
    owner_.check(journal_.sync());
    state_ = State::Up;
    retry_ms_ = 0;
    log("session up");
    last_log_.clear();
    sent_event_seq_ = welcome.event_seq;
    sync_done_due_ = true;
    owner_.on_session();
}

void BridgeLink::run_commands() {
    // Taken first: a command may drop the connection, which clears them.
    std::vector<Waiting> commands;
    commands.swap(commands_);
    for (const Waiting& waiting : commands) {
        if (state_ != State::Up) {
            return;  // not journalled: the other side sends the rest again
        }
        rx_ack_due_ = true;  // told before the order leaves
        owner_.on_command(waiting.seq, waiting.command, waiting.received);
    }
}

void BridgeLink::on_heartbeat_due() {
    heartbeat_timer_ = 0;
    if (fd_ < 0) {
        return;
    }
    if (sim::EventLoop::now() - last_heard_ > options_.silence_max) {
        return drop("three heartbeats missed");
    }
    heartbeat_timer_ = loop_.after(kHeartbeat, [this, alive = alive_] {
        if (*alive) {
            on_heartbeat_due();
        }
    });
    if (state_ == State::Up) {
        send(bridge::FrameType::Heartbeat, 0, bridge::Heartbeat{sim::EventLoop::wall_now().value});
        send_events();
        flush();
    }
}

void BridgeLink::send_events() {
    if (state_ != State::Up) {
        return;
    }
    if (rx_ack_due_) {
        rx_ack_due_ = false;
        send(bridge::FrameType::RxAck, 0, bridge::RxAck{journal_.session().command_seq});
    }
    const auto& events = journal_.unacknowledged();
    while (!events.empty() && sent_event_seq_ < events.back().seq &&
           out_.size() - out_begin_ < kOutBytesMax) {
        const std::uint64_t next = std::max(sent_event_seq_ + 1, events.front().seq);
        const sim::StoredEvent& stored =
            events[static_cast<std::size_t>(next - events.front().seq)];
        ASSERT(stored.seq == next);
        sent_event_seq_ = next;
        send(bridge::FrameType::Event, next, stored.event);
    }
    const bool all_sent = events.empty() || sent_event_seq_ >= events.back().seq;
    if (sync_done_due_ && all_sent) {
        sync_done_due_ = false;
        const std::size_t at = out_.size();
        out_.resize(at + sizeof(wire::FrameHeader));
        const std::size_t bytes = wire::encode_bytes(
            std::span{out_}.subspan(at), static_cast<std::uint8_t>(bridge::FrameType::SyncDone),
            bridge::kVersion, 0, {});
        ASSERT(bytes == sizeof(wire::FrameHeader));
    }
    if (!want_write_ && !out_.empty()) {
        flush();
    }
}

void BridgeLink::flush() {
    if (fd_ < 0 || state_ == State::Connecting) {
        return;
    }
    while (out_begin_ < out_.size()) {
        const ssize_t n =
            ::send(fd_, out_.data() + out_begin_, out_.size() - out_begin_, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n <= 0) {
            return drop("connection lost while sending");
        }
        out_begin_ += static_cast<std::size_t>(n);
    }
    // What is sent goes when all is, or when there is much of it: a peer that is always a little
    // behind must not make this grow for ever.
    if (out_begin_ == out_.size() || out_begin_ > kOutBytesMax) {
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_begin_));
        out_begin_ = 0;
    }
    const bool want_write = !out_.empty();
    if (want_write != want_write_) {
        want_write_ = want_write;
        loop_.change(fd_, want_write ? EPOLLIN | EPOLLOUT : std::uint32_t{EPOLLIN});
    }
}

void BridgeLink::send_tick(const bridge::Tick& tick) {
    if (is_up() && out_.size() - out_begin_ < kOutBytesMax) {
        send(bridge::FrameType::Tick, 0, tick);
        flush();
    }
}

}  // namespace millrace::fix
