// A terminal's connection: connect for ever, handshake, resume, frames in and out.
#include "core/assert.h"
#include "tools/market/text.h"
#include "tools/simbroker/terminal.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace::sim {
namespace {

constexpr std::uint32_t kRetryFirstMs = 50;
constexpr std::uint32_t kRetryMaxMs = 1'000;
constexpr Nanos kHeartbeat = seconds(1);
constexpr int kReadsMax = 8;  // per wake-up, so that one busy peer does not starve the others
constexpr std::uint32_t kBuild = 9'001;

template <class Body>
Result<Body> body_of(const wire::Frame& frame) {
    return frame.as<Body>();
}

std::uint64_t new_journal_id() noexcept {
    wire::Nonce random;
    wire::fill_nonce(random);
    std::uint64_t id = 0;
    std::memcpy(&id, random, sizeof id);
    return id | 1;  // never 0
}

}  // namespace

Terminal::Terminal(EventLoop& loop, TradeServer& server, Faults& faults, TerminalOptions options)
    : loop_{loop}, server_{server}, faults_{faults}, options_{std::move(options)} {}

Terminal::~Terminal() {
    *alive_ = false;
    if (fd_ >= 0) {
        loop_.forget(fd_);
        ::close(fd_);
    }
}

void Terminal::log(const char* what) const {
    if (!options_.quiet) {
        std::fprintf(stderr, "simbroker: account %llu: %s\n",
                     static_cast<unsigned long long>(options_.login), what);
    }
}

std::function<void()> Terminal::guarded(std::function<void()> callback) {
    return [alive = alive_, callback = std::move(callback)] {
        if (*alive) {
            callback();
        }
    };
}

Status Terminal::start(const std::vector<BookRecord>& missed) {
    JournalOptions options;
    options.path = options_.journal_path;
    options.login = options_.login;
    options.new_id = new_journal_id();
    options.now_ns = EventLoop::wall_now().value;
    options.book_number = server_.last_number();
    const Account* account = server_.state().find(options_.login);
    options.account_has_history = account != nullptr && !account->by_magic.empty();
    auto journal = IntentJournal::open(options);
    if (!journal) {
        return journal.error();
    }
    journal_ = std::move(journal).value();
    for (const BookRecord& record : missed) {
        if (record.login == options_.login) {
            on_record(record);
        }
    }
    settle_after_restart();
    carry_out_kills();
    connect();
    return ok_status();
}

Status Terminal::lose_journal() {
    drop_connection("fault: the journal is lost");
    if (!options_.journal_path.empty()) {
        journal_ = IntentJournal{};  // closes the file
        std::remove(options_.journal_path.c_str());
    }
    JournalOptions options;
    options.path = options_.journal_path;
    options.login = options_.login;
    options.new_id = new_journal_id();
    options.now_ns = EventLoop::wall_now().value;
    options.book_number = server_.last_number();
    options.account_has_history = true;
    auto journal = IntentJournal::open(options);
    if (!journal) {
        return journal.error();
    }
    journal_ = std::move(journal).value();
    info_event_seq_ = 0;
    return ok_status();
}

void Terminal::connect() {
    state_ = State::Connecting;
    ++counters_.connects;
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

void Terminal::retry_later() {
    state_ = State::Waiting;
    const Nanos wait = millis(retry_ms_);
    retry_ms_ = std::min(kRetryMaxMs, std::max(kRetryFirstMs, retry_ms_ * 2));
    loop_.after(wait, guarded([this] {
                    if (state_ == State::Waiting) {
                        connect();
                    }
                }));
}

void Terminal::drop_connection(const char* why) {
    log(why);
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
    batch_.clear();
    rx_ack_due_ = sync_done_due_ = busy_ = muted_ = false;
    if (state_ != State::Waiting) {
        retry_later();
    }
}

void Terminal::on_socket(std::uint32_t events) {
    if (state_ == State::Connecting) {
        return on_connected();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !busy_) {
        if (!read_some()) {
            return;
        }
        run_batch();
    }
    if (fd_ >= 0) {
        send_events();
        flush();
    }
}

void Terminal::on_connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        return drop_connection("connection refused");
    }
    state_ = State::Challenged;
    last_heard_ = EventLoop::now();
    want_write_ = false;
    loop_.change(fd_, EPOLLIN);
    heartbeat_timer_ = loop_.after(kHeartbeat, guarded([this] { on_heartbeat_due(); }));
}

bool Terminal::read_some() {
    for (int i = 0; i < kReadsMax; ++i) {
        const auto room = reader_.space();
        const ssize_t n = ::recv(fd_, room.data(), room.size(), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (n <= 0) {
            drop_connection("connection lost");
            return false;
        }
        last_heard_ = EventLoop::now();
        reader_.filled(static_cast<std::size_t>(n));
        for (;;) {
            const auto frame = reader_.next();
            if (!frame) {
                ++counters_.bad_frames;
                drop_connection(frame.error().what);
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
            return true;
        }
    }
    return true;
}

void Terminal::handle(const wire::Frame& frame) {
    const auto take = [&](auto body, bool expected, auto&& act) {
        if (!body.ok() || !expected) {
            ++counters_.bad_frames;
            return drop_connection("frame out of place or of the wrong size");
        }
        act(body.value());
    };
    const bool up = state_ == State::Up;
    switch (static_cast<bridge::FrameType>(frame.header.type)) {
        case bridge::FrameType::Challenge:
            return take(body_of<bridge::Challenge>(frame), state_ == State::Challenged,
                        [this](const bridge::Challenge& body) { on_challenge(body); });
        case bridge::FrameType::Welcome:
            return take(body_of<bridge::Welcome>(frame), state_ == State::Greeting,
                        [this](const bridge::Welcome& body) { on_welcome(body); });
        case bridge::FrameType::Denied:
            return take(body_of<bridge::Denied>(frame), !up, [this](const bridge::Denied& body) {
                const std::string reason{market::view_of(body.reason)};
                std::fprintf(stderr, "simbroker: account %llu denied: %s\n",
                             static_cast<unsigned long long>(options_.login), reason.c_str());
                retry_ms_ = kRetryMaxMs;
                drop_connection("denied");
            });
        case bridge::FrameType::Command:
            return take(body_of<bridge::Command>(frame), up, [&](const bridge::Command& body) {
                batch_.push_back({frame.header.seq, body});
            });
        case bridge::FrameType::Kill:  // acts now, before the commands read with it
            return take(body_of<bridge::Kill>(frame), up,
                        [this](const bridge::Kill& body) { on_kill(body); });
        case bridge::FrameType::EventAck:
            return take(body_of<bridge::EventAck>(frame), up, [this](const bridge::EventAck& body) {
                check(journal_.acknowledged(std::min(body.event_seq, journal_.event_seq())));
            });
        case bridge::FrameType::Heartbeat:
            return take(body_of<bridge::Heartbeat>(frame), true, [](const bridge::Heartbeat&) {});
        default:
            ++counters_.bad_frames;
            return drop_connection("frame of a type that only a terminal sends");
    }
}

void Terminal::on_challenge(const bridge::Challenge& challenge) {
    const SessionMemory& session = journal_.session();
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
    hello.permissions = server_.trade_allowed(options_.login) ? 1 : 0;
    wire::fill_nonce(hello.nonce);
    std::memcpy(nonce_, hello.nonce, sizeof nonce_);
    const auto signed_part =
        std::as_bytes(std::span{&hello, 1}).first(offsetof(bridge::Hello, mac));
    wire::hmac_sha256(options_.key, std::as_bytes(std::span{challenge.nonce}), signed_part,
                      hello.mac);
    state_ = State::Greeting;
    send(bridge::FrameType::Hello, 0, hello);
}

bool Terminal::is_genuine(const bridge::Welcome& welcome) const {
    wire::Mac mac;
    const auto signed_part =
        std::as_bytes(std::span{&welcome, 1}).first(offsetof(bridge::Welcome, mac));
    wire::hmac_sha256(options_.key, std::as_bytes(std::span{nonce_}), signed_part, mac);
    constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62U;
    const bool sane = welcome.generation <= kNumberMax && welcome.event_seq <= kNumberMax &&
                      welcome.magic_tag != 0;
    return wire::same_mac(mac, welcome.mac) && sane;
}

void Terminal::on_welcome(const bridge::Welcome& welcome) {
    if (!is_genuine(welcome)) {
        ++counters_.bad_frames;
        return drop_connection("WELCOME is not of our key, or its numbers make no sense");
    }
    SessionMemory session = journal_.session();
    // The other side refuses by itself; this guards against one that does not.
    if (session.epoch != 0 &&
        bridge::instance_of(welcome.epoch) != bridge::instance_of(session.epoch)) {
        ++counters_.stale;
        return drop_connection("fenced: the other side has another journal directory");
    }
    if (welcome.generation < session.generation || welcome.epoch < session.epoch) {
        ++counters_.stale;
        return drop_connection("fenced: the other side is an older owner of this session");
    }
    // Event numbers that the peer knows and we do not: this journal replaced a lost one.
    if (welcome.event_seq > journal_.event_seq()) {
        IntactMemory memory = journal_.intact();
        memory.intact = 0;
        check(journal_.remember(memory));
    }
    if (welcome.command_epoch != session.command_epoch) {
        session.command_seq = welcome.next_command_seq - 1;  // numbers of another queue
    }
    session.generation = welcome.generation;
    session.epoch = welcome.epoch;
    session.command_epoch = welcome.command_epoch;
    session.magic_tag = welcome.magic_tag;
    check(journal_.remember(session));
    if (welcome.event_seq > journal_.event_seq()) {
        check(journal_.renumber_above(welcome.event_seq));
    }
    check(journal_.acknowledged(welcome.event_seq));
    ++counters_.sessions;
    state_ = State::Up;
    retry_ms_ = 0;
    sent_event_seq_ = welcome.event_seq;
    sync_done_due_ = true;
    info_time_ = Nanos{0};
    holdings_time_ = Nanos{0};
    offer_account_info();
    send_events();
}

}  // namespace millrace::sim
