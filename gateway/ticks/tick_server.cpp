#include "gateway/ticks/tick_server.h"

#include "core/assert.h"

#include <algorithm>
#include <cstdio>

namespace millrace {
namespace {

using tick_wire::FrameType;

constexpr Nanos kSweepEvery = millis(5);
constexpr Nanos kHelloMax = seconds(5);
constexpr std::size_t kWriteBytes = 64 * 1024;
constexpr std::size_t kStrangersMax = 64;
/// A peer that has more to say waits for the others' turn.
constexpr int kReadsPerTurn = 4;

}  // namespace

struct TickServer::Peer {
    enum class State : std::uint8_t { Free, Greeted, Up };
    struct Told {
        std::uint32_t row = 0;
        bool has_row = false;
        FeedTick last;  // seq 0 = none yet
        Nanos at;       // received
    };
    net::Connection socket{kWriteBytes};
    wire::FrameReader reader{tick_wire::kVersion};
    State state = State::Free;
    wire::Nonce nonce{};
    std::uint64_t tag = 0;
    const TickAccount* account = nullptr;
    std::uint64_t stream = 0;
    Nanos heard;
    Nanos sent;
    bool closing = false;  // denied: closed once its reason is out
    bool watches_write = false;
    std::vector<Told> told;  // by index
};

TickServer::TickServer(TickServerOptions options, TickSink& sink, net::Listener listener,
                       net::Poller poller, TickTableMap table)
    : options_{std::move(options)},
      sink_{sink},
      listener_{std::move(listener)},
      poller_{std::move(poller)},
      table_{std::move(table)} {
    owner_.resize(table_.map().capacity(), nullptr);
    const std::size_t places = options_.accounts.size() + kStrangersMax;
    for (std::size_t i = 0; i < places; ++i) {
        peers_.push_back(std::make_unique<Peer>());
        peers_.back()->tag = i + 1;
    }
}

TickServer::~TickServer() = default;

Result<std::unique_ptr<TickServer>> TickServer::open(TickServerOptions options, TickSink& sink,
                                                     std::string& message) {
    auto table = TickTableMap::create(options.table_path, options.symbols_max);
    if (!table) {
        message = options.table_path + ": " + table.error().what;
        return table.error();
    }
    auto listener = net::Listener::open(options.listen, message);
    if (!listener) {
        return listener.error();
    }
    auto poller = net::Poller::open();
    if (!poller) {
        message = poller.error().what;
        return poller.error();
    }
    std::unique_ptr<TickServer> server{
        new TickServer{std::move(options), sink, std::move(listener).value(),
                       std::move(poller).value(), std::move(table).value()}};
    if (const Status added = server->poller_.add(server->listener_.fd(), 0); !added) {
        message = added.error().what;
        return added.error();
    }
    return server;
}

int TickServer::step(Nanos now) noexcept {
    int frames = 0;
    for (const net::Ready& r : poller_.poll()) {
        if (r.tag == 0) {
            accept_waiting(now);
        } else if (Peer& peer = *peers_[r.tag - 1]; peer.state != Peer::State::Free) {
            frames += serve(peer, now);
        }
    }
    if (now - swept_ >= kSweepEvery || now < swept_) {
        sweep(now);
        swept_ = now;
        table_.alive(now);
    }
    return frames;
}

void TickServer::accept_waiting(Nanos now) noexcept {
    for (auto fd = listener_.accept(); fd; fd = listener_.accept()) {
        const auto free = std::find_if(peers_.begin(), peers_.end(),
                                       [](const auto& p) { return p->state == Peer::State::Free; });
        if (free == peers_.end()) {
            continue;  // closes itself; strangers are dropped after kHelloMax
        }
        Peer& peer = **free;
        peer.socket.open(std::move(fd).value());
        peer.reader.reset();
        peer.state = Peer::State::Greeted;
        peer.account = nullptr;
        peer.closing = peer.watches_write = false;
        peer.told.clear();
        peer.heard = peer.sent = now;
        wire::fill_nonce(peer.nonce);
        tick_wire::Challenge hello{};
        std::copy_n(peer.nonce, sizeof peer.nonce, hello.nonce);
        hello.server_time_ns = now.value;
        if (!poller_.add(peer.socket.fd(), peer.tag) ||
            !tick_wire::queue(peer.socket, FrameType::Challenge, hello)) {
            drop(peer, now);
            continue;
        }
        settle(peer);
    }
}

int TickServer::serve(Peer& peer, Nanos now) noexcept {
    int frames = 0;
    for (int i = 0; i < kReadsPerTurn && peer.state != Peer::State::Free; ++i) {
        const auto got = peer.socket.receive(peer.reader.space());
        if (!got) {
            if (got.code() != Errc::Busy) {
                drop(peer, now);
            }
            break;
        }
        peer.heard = now;
        peer.reader.filled(got.value());
        Status handled = ok_status();
        while (handled && peer.state != Peer::State::Free && !peer.closing) {
            const auto frame = peer.reader.next();
            if (!frame) {
                handled = frame.error();
            } else if (frame.value() == nullptr) {
                break;
            } else {
                handled = on_frame(peer, *frame.value(), now);
                ++frames;
            }
        }
        if (!handled) {
            ++stats_.bad_frames;
            deny(peer, handled.error().what);
        }
        if (peer.closing) {
            break;
        }
    }
    settle(peer);
    return frames;
}

/// Writes what it can, closes what is over.
void TickServer::settle(Peer& peer) noexcept {
    if (peer.state == Peer::State::Free) {
        return;
    }
    const Status flushed = peer.socket.flush();
    const bool dead = !flushed && flushed.code() != Errc::Busy;
    if (dead || (peer.closing && flushed)) {
        return drop(peer, peer.heard);
    }
    const bool write = peer.socket.pending_bytes() != 0;
    if (write != peer.watches_write) {
        peer.watches_write = write;
        if (!poller_.watch(peer.socket.fd(), peer.tag, {.read = true, .write = write})) {
            drop(peer, peer.heard);
        }
    }
}

Status TickServer::on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    const auto type = static_cast<FrameType>(frame.header.type);
    if (peer.state == Peer::State::Greeted) {
        return type == FrameType::Hello ? on_hello(peer, frame, now)
                                        : Status{Errc::BadFrame, "HELLO comes first"};
    }
    switch (type) {
        case FrameType::Symbol: return on_symbol(peer, frame);
        case FrameType::Ticks:
        case FrameType::History: return on_entries(peer, frame, now);
        case FrameType::HistoryEnd: {
            const auto end = frame.as<tick_wire::HistoryEnd>();
            if (!end) {
                return end.error();
            }
            sink_.on_history_end(end.value().request,
                                 (end.value().flags & tick_wire::kHistoryMore) != 0,
                                 (end.value().flags & tick_wire::kHistoryFromStart) != 0);
            return ok_status();
        }
        case FrameType::Heartbeat: return ok_status();
        default: return {Errc::BadFrame, "a frame that terminals do not send"};
    }
}

Status TickServer::on_hello(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    const auto read = frame.as<tick_wire::Hello>();
    if (!read) {
        return read.error();
    }
    const tick_wire::Hello& hello = read.value();
    const auto account = std::find_if(options_.accounts.begin(), options_.accounts.end(),
                                      [&](const TickAccount& a) { return a.login == hello.login; });
    if (account == options_.accounts.end()) {
        deny(peer, "no account of this login is configured");
        return ok_status();
    }
    if (!tick_wire::is_signed(account->key, peer.nonce, hello) || hello.stream == 0) {
        deny(peer, "wrong key for this login");
        return ok_status();
    }
    for (const auto& other : peers_) {  // the newer connection: the older one is dead or a ghost
        if (other.get() != &peer && other->account == &*account) {
            drop(*other, now);
        }
    }
    peer.account = &*account;
    peer.stream = hello.stream;
    peer.state = Peer::State::Up;
    ++stats_.sessions;
    tick_wire::Welcome welcome{};
    welcome.server_time_ns = now.value;
    tick_wire::sign(account->key, hello.nonce, welcome, welcome.mac);
    static_cast<void>(tick_wire::queue(peer.socket, FrameType::Welcome, welcome));
    sink_.on_feed(account->login, true);
    return ok_status();
}

Text<16> TickServer::canonical(const TickAccount& account, const char* name) const noexcept {
    std::string_view s{name, ::strnlen(name, 16)};
    const std::size_t more = account.symbol_prefix.size() + account.symbol_suffix.size();
    if (s.size() > more && s.starts_with(account.symbol_prefix) &&
        s.ends_with(account.symbol_suffix)) {
        s = s.substr(account.symbol_prefix.size(), s.size() - more);
    }
    Text<16> text;
    std::copy(s.begin(), s.end(), text.bytes);
    return text;
}

Status TickServer::on_symbol(Peer& peer, const wire::Frame& frame) noexcept {
    const auto read = frame.as<tick_wire::Symbol>();
    if (!read) {
        return read.error();
    }
    const tick_wire::Symbol& s = read.value();
    if (s.index != peer.told.size() || s.index >= tick_wire::kSymbolsMax || s.name[0] == '\0') {
        return {Errc::BadFrame, "symbols are named once each, as 0, 1, 2 ..."};
    }
    Peer::Told told;
    told.last.feed = peer.account->login;
    told.last.symbol = canonical(*peer.account, s.name);
    const auto row = table_.row_of(told.last.symbol);
    told.has_row = row.has_value();
    told.row = row.value_or(0);
    peer.told.push_back(told);
    sink_.on_symbol({peer.account->login, told.last.symbol, peer.stream, s.seq,
                     Nanos{s.last_time_ns}, s.count});
    return ok_status();
}

Status TickServer::on_entries(Peer& peer, const wire::Frame& frame, Nanos now) noexcept {
    const std::size_t n = tick_wire::entries_of(frame);
    if (n == 0) {
        return {Errc::BadFrame, "a frame of ticks has 1 to 24 entries"};
    }
    const bool live = static_cast<FrameType>(frame.header.type) == FrameType::Ticks;
    for (std::size_t i = 0; i < n; ++i) {
        const tick_wire::TickEntry e = tick_wire::entry_at(frame, i);
        if (e.index >= peer.told.size()) {
            return {Errc::BadFrame, "a tick of a symbol that was not named"};
        }
        FeedTick tick{peer.account->login,
                      peer.told[e.index].last.symbol,
                      e.seq,
                      Nanos{e.time_ns},
                      Price{e.bid},
                      Price{e.ask},
                      e.same};
        if (e.bid <= 0 || e.ask <= 0 || e.time_ns <= 0) {
            ++stats_.passed_over;
        } else if (live) {
            on_live(peer, e.index, tick, now);
        } else {
            sink_.on_history(frame.header.seq, tick);
        }
    }
    return ok_status();
}

bool TickServer::speaks(const Peer& peer, Nanos now) const noexcept {
    return peer.state == Peer::State::Up && now - peer.heard <= kFeedSilence;
}

void TickServer::on_live(Peer& peer, std::uint32_t index, const FeedTick& tick,
                         Nanos now) noexcept {
    ++stats_.ticks;
    Peer::Told& told = peer.told[index];
    told.last = tick;
    told.at = now;
    if (!told.has_row) {
        ++stats_.passed_over;
    } else {
        Peer*& owner = owner_[told.row];
        if (owner != &peer && (owner == nullptr || !speaks(*owner, now))) {
            stats_.takeovers += owner != nullptr ? 1 : 0;
            owner = &peer;
            table_.set_feed(told.row, tick.feed);
        }
        if (owner == &peer) {
            show(told.row, tick, now);
        }
    }
    sink_.on_tick(tick);
}

void TickServer::show(std::uint32_t row, const FeedTick& tick, Nanos now) noexcept {
    table_.store(row, Quote{tick.bid, tick.ask, now}, tick.time);
    sink_.on_latest(row, tick, now);
}

/// Gives the symbols of a feed that is silent or gone to others that tell them, with their latest
/// quote if it is newer than what the table has.
void TickServer::hand_over(Peer& peer, Nanos now) noexcept {
    for (const Peer::Told& mine : peer.told) {
        if (!mine.has_row || owner_[mine.row] != &peer) {
            continue;
        }
        for (const auto& other : peers_) {
            if (other.get() == &peer || !speaks(*other, now)) {
                continue;
            }
            const auto same =
                std::find_if(other->told.begin(), other->told.end(), [&](const Peer::Told& t) {
                    return t.has_row && t.row == mine.row && t.last.seq != 0;
                });
            if (same == other->told.end()) {
                continue;
            }
            owner_[mine.row] = other.get();
            ++stats_.takeovers;
            table_.set_feed(mine.row, same->last.feed);
            if (same->at > mine.at) {
                show(mine.row, same->last, same->at);
            }
            break;
        }
    }
}

void TickServer::deny(Peer& peer, const char* why) noexcept {
    tick_wire::Denied denied{};
    std::snprintf(denied.reason, sizeof denied.reason, "%s", why);
    static_cast<void>(tick_wire::queue(peer.socket, FrameType::Denied, denied));
    peer.closing = true;
    ++stats_.denied;
}

void TickServer::drop(Peer& peer, Nanos now) noexcept {
    const bool was_up = peer.state == Peer::State::Up;
    peer.state = Peer::State::Free;
    peer.socket.close();
    if (was_up) {
        hand_over(peer, now);
        for (const Peer::Told& t : peer.told) {
            if (t.has_row && owner_[t.row] == &peer) {
                owner_[t.row] = nullptr;
            }
        }
        sink_.on_feed(peer.account->login, false);
    }
    peer.account = nullptr;
}

void TickServer::sweep(Nanos now) noexcept {
    for (const auto& p : peers_) {
        Peer& peer = *p;
        if (peer.state == Peer::State::Free) {
            continue;
        }
        const bool up = peer.state == Peer::State::Up;
        if (now - peer.heard > (up ? kFeedDead : kHelloMax)) {
            drop(peer, now);
            continue;
        }
        if (up && !speaks(peer, now)) {
            hand_over(peer, now);
        }
        if (up && now - peer.sent >= seconds(1)) {
            peer.sent = now;
            static_cast<void>(tick_wire::queue(peer.socket, FrameType::Heartbeat,
                                               tick_wire::Heartbeat{now.value}));
            settle(peer);
        }
    }
}

bool TickServer::ask(const FeedRequest& request) noexcept {
    for (const auto& p : peers_) {
        Peer& peer = *p;
        if (peer.state != Peer::State::Up || peer.account->login != request.feed) {
            continue;
        }
        for (std::uint32_t i = 0; i < peer.told.size(); ++i) {
            if (peer.told[i].last.symbol != request.symbol) {
                continue;
            }
            const bool queued =
                tick_wire::queue(peer.socket, FrameType::Backfill,
                                 tick_wire::Backfill{request.request, i, request.limit,
                                                     request.from.value, request.to.value});
            settle(peer);
            return queued;
        }
    }
    return false;
}

}  // namespace millrace
