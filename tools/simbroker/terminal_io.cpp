// What a terminal sends: heartbeats, account info, what the account holds, events, ticks, BUSY; and
// the socket's other half.
#include "core/assert.h"
#include "core/crc32c.h"
#include "tools/simbroker/terminal.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::sim {
namespace {

constexpr Nanos kHeartbeat = seconds(1);
constexpr Nanos kSilenceMax = seconds(3);
// Above this much unsent, ticks are dropped and events wait in the journal.
constexpr std::size_t kOutBytesMax = 64 * 1024;

}  // namespace

void Terminal::on_heartbeat_due() {
    heartbeat_timer_ = 0;
    if (fd_ < 0) {
        return;
    }
    if (!busy_ && EventLoop::now() - last_heard_ > kSilenceMax) {
        return drop_connection("three heartbeats missed");
    }
    heartbeat_timer_ = loop_.after(kHeartbeat, guarded([this] { on_heartbeat_due(); }));
    if (busy_ || state_ != State::Up) {
        return;
    }
    send(bridge::FrameType::Heartbeat, 0, bridge::Heartbeat{EventLoop::wall_now().value});
    offer_account_info();
    send_events();
    offer_holdings();
    flush();
}

void Terminal::offer_account_info() {
    // One on its way at most: a state that is overtaken by the next needs no queue.
    const auto& waiting = journal_.unacknowledged();
    const bool outstanding = !waiting.empty() && info_event_seq_ >= waiting.front().seq;
    const Nanos now = EventLoop::now();
    const bool due = now - info_time_ >= millis(options_.account_info_ms) || info_time_.value == 0;
    const AccountMoney money = server_.money(options_.login);
    const bool allowed = server_.trade_allowed(options_.login);
    const bool first = info_time_.value == 0;
    const bool changed = money.equity != info_money_.equity ||
                         money.balance != info_money_.balance ||
                         money.margin != info_money_.margin || allowed != info_allowed_;
    if (outstanding || !due || !(changed || first)) {
        return;
    }
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(ReportType::AccountInfo);
    event.permissions = allowed ? bridge::kInfoMayTrade : bridge::kInfoBrokerForbids;
    event.equity = money.equity.value;
    event.balance = money.balance.value;
    event.price = money.free().value;
    event.retcode = money.leverage;
    event.broker_time_ns = EventLoop::wall_now().value;
    add_event(event, 0, 0);
    info_event_seq_ = journal_.event_seq();
    info_money_ = money;
    info_allowed_ = allowed;
    info_time_ = now;
}

/// Positions and orders, while nothing is on its way and all that happened has been told. The
/// server's own books are read, so that one reading is enough.
void Terminal::offer_holdings() {
    const Nanos now = EventLoop::now();
    const auto& waiting = journal_.unacknowledged();
    const bool told = waiting.empty() || sent_event_seq_ >= waiting.back().seq;
    const bool due =
        options_.holdings_ms != 0 &&
        (holdings_time_.value == 0 || now - holdings_time_ >= millis(options_.holdings_ms));
    const Account* account = server_.state().find(options_.login);
    if (!due || !told || !is_up() || muted_ || !in_flight_.empty() || account == nullptr) {
        return;
    }
    holdings_time_ = now;
    bridge::HoldingsEnd end{};
    std::uint32_t crc = kCrc32cInit;
    const auto tell = [&](bridge::Holding row, const Text<16>& symbol) {
        row.index = end.count++;
        const Text<16> name = account_name(symbol);
        std::memcpy(row.symbol, name.bytes, sizeof row.symbol);
        crc = crc32c_more(crc, std::as_bytes(std::span{&row, 1}));
        send(bridge::FrameType::Holding, 0, row);
    };
    for (const auto& [id, p] : account->positions) {
        tell({1,
              static_cast<std::uint8_t>(p.side()),
              0,
              0,
              0,
              id,
              p.magic,
              p.lots().value,
              0,
              p.stop_loss.value,
              p.take_profit.value,
              {}},
             p.symbol);
    }
    for (const auto& [ticket, o] : account->orders) {
        tell({2,
              static_cast<std::uint8_t>(o.side),
              static_cast<std::uint8_t>(o.price_kind),
              0,
              0,
              ticket,
              o.magic,
              o.volume.value,
              o.price.value,
              o.stop_loss.value,
              o.take_profit.value,
              {}},
             o.symbol);
    }
    end.crc32c = ~crc;
    end.event_seq = journal_.event_seq();
    send(bridge::FrameType::HoldingsEnd, 0, end);
}

void Terminal::send_bodyless(bridge::FrameType type) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof(wire::FrameHeader));
    const std::size_t bytes = wire::encode_bytes(
        std::span{out_}.subspan(at), static_cast<std::uint8_t>(type), bridge::kVersion, 0, {});
    ASSERT(bytes == sizeof(wire::FrameHeader));
}

void Terminal::send_events() {
    if (state_ != State::Up || busy_ || muted_) {
        return;
    }
    if (rx_ack_due_) {
        rx_ack_due_ = false;
        if (!faults_.strike(FaultKind::DropRxAck, options_.login)) {
            send(bridge::FrameType::RxAck, 0, bridge::RxAck{journal_.session().command_seq});
        }
    }
    const auto& events = journal_.unacknowledged();
    while (!muted_ && !events.empty() && sent_event_seq_ < events.back().seq &&
           out_.size() - out_begin_ < kOutBytesMax) {
        const std::uint64_t next = std::max(sent_event_seq_ + 1, events.front().seq);
        const StoredEvent& stored = events[static_cast<std::size_t>(next - events.front().seq)];
        ASSERT(stored.seq == next);
        sent_event_seq_ = next;
        if (faults_.strike(FaultKind::DropEvent, options_.login)) {
            // TCP loses bytes only together with everything after them.
            muted_ = true;
            loop_.after(millis(200), guarded([this] {
                            if (muted_) {
                                drop_connection("fault: event dropped");
                            }
                        }));
            return;
        }
        send(bridge::FrameType::Event, next, stored.event);
        if (faults_.strike(FaultKind::DuplicateEvent, options_.login)) {
            send(bridge::FrameType::Event, next, stored.event);
        }
    }
    const bool all_sent = events.empty() || sent_event_seq_ >= events.back().seq;
    if (sync_done_due_ && all_sent) {
        sync_done_due_ = false;
        send_bodyless(bridge::FrameType::SyncDone);
    }
    if (!want_write_ && !out_.empty()) {
        flush();
    }
}

void Terminal::flush() {
    if (fd_ < 0 || state_ == State::Connecting || busy_) {
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
            return drop_connection("connection lost while sending");
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

void Terminal::send_tick(const Text<16>& symbol, Price bid, Price ask, Nanos time) {
    if (!is_up() || out_.size() - out_begin_ >= kOutBytesMax) {
        return;
    }
    bridge::Tick tick{};
    const Text<16> name = account_name(symbol);
    std::memcpy(tick.symbol, name.bytes, sizeof tick.symbol);
    tick.bid = bid.value;
    tick.ask = ask.value;
    tick.time_ns = time.value;
    send(bridge::FrameType::Tick, 0, tick);
    flush();
}

void Terminal::busy(std::uint32_t ms, bool announced) {
    if (!is_up()) {
        return;
    }
    if (announced) {
        send(bridge::FrameType::Busy, 0, bridge::Busy{ms, 0});
    }
    flush();
    if (fd_ < 0) {
        return;
    }
    busy_ = true;
    loop_.forget(fd_);  // not even a hang-up is noticed
    loop_.after(millis(ms), guarded([this] {
                    if (!busy_) {
                        return;  // a new connection since
                    }
                    busy_ = false;
                    last_heard_ = EventLoop::now();
                    want_write_ = false;
                    loop_.watch(fd_, EPOLLIN, [this](std::uint32_t events) { on_socket(events); });
                    send_events();
                    flush();
                }));
}

void Terminal::finish() {
    send_events();
    flush();
    *alive_ = false;
    if (heartbeat_timer_ != 0) {
        loop_.cancel(heartbeat_timer_);
    }
    if (fd_ >= 0) {
        loop_.forget(fd_);
        ::close(fd_);
        fd_ = -1;
    }
    state_ = State::Waiting;
}

}  // namespace millrace::sim
