#include "gateway/ticks/tick_feed.h"

#include "core/assert.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

using tick_wire::FrameType;

constexpr std::size_t kWriteBytes = 256 * 1024;
/// Room that live ticks leave for heartbeats and answers.
constexpr std::size_t kReserve = 16 * 1024;
constexpr Nanos kConnectMax = seconds(5);

}  // namespace

TickFeed::TickFeed(TickFeedOptions options) : options_{std::move(options)}, socket_{kWriteBytes} {
    while (options_.stream == 0) {
        wire::Nonce drawn;
        wire::fill_nonce(drawn);
        std::memcpy(&options_.stream, drawn, sizeof options_.stream);
    }
    auto poller = net::Poller::open();
    ASSERT(poller.ok());
    poller_ = std::move(poller).value();
}

void TickFeed::push(std::string_view symbol, Nanos time, Price bid, Price ask) {
    if (symbol.empty() || symbol.size() > sizeof(tick_wire::Symbol::name)) {
        ++stats_.refused;  // cut off it could be another one's name
        return;
    }
    auto found = index_.find(symbol);
    if (found == index_.end()) {
        const auto index = static_cast<std::uint32_t>(series_.size());
        found = index_.emplace(std::string{symbol}, index).first;
        series_.emplace_back().name = std::string{symbol};
        series_.back().index = index;
        // In their order: one before that had no room must be named first, by send_behind().
        const bool in_order = series_.size() == 1 || series_[series_.size() - 2].named;
        if (link_ == Link::Up && in_order && !stalled_ && socket_.free_bytes() >= kReserve) {
            name(series_.back());
        }
    }
    Series& s = series_[found->second];
    s.count = s.time == time ? s.count + 1 : 1;
    s.time = time;
    const Kept tick{++s.seq, time, bid, ask, static_cast<std::uint32_t>(s.count - 1)};
    s.kept.push_back(tick);
    order_.push_back(s.index);
    if (order_.size() > options_.kept_max) {
        forget_oldest();
    }
    ++stats_.pushed;
    send_live(s, tick);
}

void TickFeed::forget_oldest() {
    Series& s = series_[order_.front()];
    order_.pop_front();
    s.kept.pop_front();
    for (Answer& a : answers_) {
        if (a.open && a.asked.index == s.index && a.at > 0) {
            --a.at;
        }
    }
}

/// Its numbers so far are told, so what was before is the server's to ask for.
void TickFeed::name(Series& s) {
    // The one that is being pushed is told by its own frame.
    tick_wire::Symbol symbol{};
    symbol.index = s.index;
    symbol.count = static_cast<std::uint32_t>(s.count);
    std::copy_n(s.name.begin(), std::min<std::size_t>(s.name.size(), 16), symbol.name);
    symbol.seq = s.seq;
    symbol.last_time_ns = s.time.value;
    s.named = tick_wire::queue(socket_, FrameType::Symbol, symbol);
    s.behind = s.seq != 0;
}

void TickFeed::send_live(Series& s, const Kept& t) {
    if (link_ != Link::Up || !s.named || stalled_) {
        s.behind = true;
        ++stats_.passed_over;
        return;
    }
    if (batch_.size() == tick_wire::kEntriesMax) {
        send_batch();
    }
    if (batch_.size() == tick_wire::kEntriesMax) {
        s.behind = true;
        ++stats_.passed_over;
        return;
    }
    batch_.push_back({s.index, t.same, t.seq, t.time.value, t.bid.value, t.ask.value});
    s.behind = false;
    ++stats_.sent;
}

void TickFeed::send_batch() {
    if (batch_.empty() || socket_.free_bytes() < kReserve) {
        return;
    }
    if (tick_wire::queue_entries(socket_, FrameType::Ticks, batch_)) {
        batch_.clear();
    }
}

/// The latest of every symbol that was passed over, as soon as there is room: conflated.
void TickFeed::send_behind() {
    bool in_order = true;
    for (Series& s : series_) {
        if (!s.named && in_order && socket_.free_bytes() >= kReserve) {
            name(s);
        }
        in_order = in_order && s.named;
        const bool room = batch_.size() < tick_wire::kEntriesMax;
        if (s.behind && s.named && room && !s.kept.empty()) {
            const Kept& t = s.kept.back();
            batch_.push_back({s.index, t.same, t.seq, t.time.value, t.bid.value, t.ask.value});
            s.behind = false;
            ++stats_.sent;
        }
        if (batch_.size() == tick_wire::kEntriesMax) {
            send_batch();
        }
    }
}

void TickFeed::step(Nanos now) {
    if (stalled_) {
        return;
    }
    if (link_ == Link::Down) {
        if (now >= connect_at_) {
            connect(now);
        }
        return;
    }
    read(now);
    if (link_ == Link::Up) {
        send_behind();
        send_batch();
        send_answer();
        if (now - sent_at_ >= kHeartbeat && socket_.pending_bytes() == 0) {
            static_cast<void>(
                tick_wire::queue(socket_, FrameType::Heartbeat, tick_wire::Heartbeat{now.value}));
        }
        if (now - heard_ > kServerDead) {
            return lost("the server was silent for too long", now);
        }
    } else if (link_ != Link::Down && now - sent_at_ > kConnectMax) {
        return lost("no answer to the connection", now);
    }
    flush(now);
}

void TickFeed::flush(Nanos now) {
    if (link_ == Link::Down || link_ == Link::Connecting) {
        return;
    }
    const std::uint64_t before = socket_.sent_total();
    const Status flushed = socket_.flush();
    if (!flushed && flushed.code() != Errc::Busy) {
        return lost("the connection broke while writing", now);
    }
    if (socket_.sent_total() != before) {
        sent_at_ = now;
    }
}

void TickFeed::connect(Nanos now) {
    auto fd = net::begin_connect(options_.address, options_.port);
    if (!fd) {
        return lost(fd.error().what, now);
    }
    socket_.open(std::move(fd).value());
    reader_.reset();
    batch_.clear();
    answers_.clear();
    for (Series& s : series_) {
        s.named = false;
    }
    sent_at_ = now;
    link_ = Link::Connecting;
    if (!poller_.add(socket_.fd(), 0) ||
        !poller_.watch(socket_.fd(), 0, {.read = true, .write = true})) {
        lost("epoll refuses the socket", now);
    }
}

void TickFeed::lost(std::string why, Nanos now) {
    socket_.close();
    link_ = Link::Down;
    connect_at_ = now + options_.reconnect;
    last_error_ = std::move(why);
    // What was in the batch or on its way is behind; the server knows by the numbers.
    for (Series& s : series_) {
        s.behind = s.seq != 0;
    }
}

void TickFeed::cut(Nanos now) {
    if (link_ != Link::Down) {
        lost("cut", now);
    }
}

void TickFeed::read(Nanos now) {
    for (const net::Ready& r : poller_.poll()) {
        if (link_ == Link::Connecting && r.writable) {
            if (const int why = net::connect_error(socket_.fd()); why != 0) {
                return lost(std::strerror(why), now);
            }
            link_ = Link::Greeting;
            if (!poller_.watch(socket_.fd(), 0, {.read = true, .write = false})) {
                return lost("epoll refuses the socket", now);
            }
        }
        if (!r.readable) {
            continue;
        }
        const auto got = socket_.receive(reader_.space());
        if (!got) {
            if (got.code() != Errc::Busy) {
                return lost(last_error_.starts_with("denied") ? last_error_ : got.error().what,
                            now);
            }
            continue;
        }
        heard_ = now;
        reader_.filled(got.value());
        while (true) {
            const auto frame = reader_.next();
            if (!frame) {
                return lost(frame.error().what, now);
            }
            if (frame.value() == nullptr) {
                break;
            }
            if (!on_frame(*frame.value())) {
                return lost(
                    last_error_.empty() ? "a frame that the server does not send" : last_error_,
                    now);
            }
        }
    }
}

bool TickFeed::on_challenge(const wire::Frame& frame) {
    const auto challenge = frame.as<tick_wire::Challenge>();
    if (!challenge) {
        return false;
    }
    tick_wire::Hello hello{};
    hello.login = options_.login;
    hello.stream = options_.stream;
    wire::fill_nonce(nonce_);
    std::copy_n(nonce_, sizeof nonce_, hello.nonce);
    tick_wire::sign(options_.key, challenge.value().nonce, hello, hello.mac);
    return tick_wire::queue(socket_, FrameType::Hello, hello);
}

bool TickFeed::on_frame(const wire::Frame& frame) {
    switch (static_cast<FrameType>(frame.header.type)) {
        case FrameType::Challenge: return link_ == Link::Greeting && on_challenge(frame);
        case FrameType::Welcome: {
            const auto welcome = frame.as<tick_wire::Welcome>();
            if (!welcome || !tick_wire::is_signed(options_.key, nonce_, welcome.value())) {
                last_error_ = "the server does not know the key";
                return false;
            }
            link_ = Link::Up;
            ++stats_.sessions;
            return true;
        }
        case FrameType::Denied: {
            const auto denied = frame.as<tick_wire::Denied>();
            last_error_ = "denied: ";
            if (denied) {
                last_error_.append(denied.value().reason, ::strnlen(denied.value().reason, 96));
            }
            return false;
        }
        case FrameType::Backfill: {
            const auto asked = frame.as<tick_wire::Backfill>();
            if (!asked || asked.value().index >= series_.size()) {
                return false;
            }
            ++stats_.requests;
            answers_.push_back({asked.value(), 0, 0, false});
            return true;
        }
        case FrameType::Heartbeat: return true;
        default: return false;
    }
}

/// As much of the oldest answer as there is room for: live ticks go first.
void TickFeed::send_answer() {
    while (!answers_.empty() && socket_.free_bytes() >= 2 * kReserve) {
        Answer& a = answers_.front();
        const Series& s = series_[a.asked.index];
        if (!a.open) {
            const auto first =
                std::partition_point(s.kept.begin(), s.kept.end(),
                                     [&](const Kept& t) { return t.time.value < a.asked.from_ns; });
            a.at = static_cast<std::size_t>(first - s.kept.begin());
            a.open = true;
        }
        if (!send_history(a, s)) {
            end_history(a, s);
            answers_.pop_front();
        }
    }
}

/// The next frame of an answer. @return false: that was all.
bool TickFeed::send_history(Answer& a, const Series& s) {
    tick_wire::TickEntry entries[tick_wire::kEntriesMax];
    std::size_t n = 0;
    while (n < tick_wire::kEntriesMax && a.at + n < s.kept.size() && a.sent + n < a.asked.limit &&
           s.kept[a.at + n].time.value <= a.asked.to_ns) {
        const Kept& t = s.kept[a.at + n];
        entries[n++] = {s.index, 0, 0, t.time.value, t.bid.value, t.ask.value};
    }
    if (n == 0) {
        return false;
    }
    const bool queued =
        tick_wire::queue_entries(socket_, FrameType::History, {entries, n}, a.asked.request);
    ASSERT(queued);  // 2 * kReserve were free: a hole in an answer would never be noticed
    a.at += n;
    a.sent += static_cast<std::uint32_t>(n);
    stats_.answered += n;
    return n == tick_wire::kEntriesMax;
}

void TickFeed::end_history(const Answer& a, const Series& s) {
    const bool more =
        a.sent == a.asked.limit && a.at < s.kept.size() && s.kept[a.at].time.value <= a.asked.to_ns;
    // Of before its first one a terminal knows nothing, nor of others at that one's very time:
    // another one, or its former life, may have told them.
    const bool from_start = !s.kept.empty() && s.kept.front().time.value < a.asked.from_ns;
    tick_wire::HistoryEnd end{};
    end.request = a.asked.request;
    end.flags =
        (more ? tick_wire::kHistoryMore : 0U) | (from_start ? tick_wire::kHistoryFromStart : 0U);
    const bool queued = tick_wire::queue(socket_, FrameType::HistoryEnd, end);
    ASSERT(queued);
}

}  // namespace millrace
