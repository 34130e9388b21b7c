#include "gateway/ticks/tick_server.h"

#include "core/assert.h"

#include <algorithm>
#include <cstdio>

namespace millrace {
namespace {

using tick_wire::FrameType;

constexpr Nanos kSweepEvery = millis(5);
/// So long without a step, and it was we who were silent.
constexpr Nanos kPause = millis(25);
constexpr std::size_t kWriteBytes = 64 * 1024;
constexpr std::size_t kStrangersMax = 64;
/// A peer that has more to say waits for the others' turn.
constexpr int kReadsPerTurn = 4;

}  // namespace

struct TickServer::Peer : TickPeer {
    struct Told {
        std::uint32_t row = 0;
        bool has_row = false;
        bool refused = false;
        std::uint64_t before = 0;  // numbers up to it are of before the connection
        FeedTick last;             // quote; seq 0 = none yet
        Nanos at;                  // that it is of
        std::uint64_t seq = 0;     // how far the series is, without a quote too
        Nanos time;
        std::uint64_t count = 0;
    };
    Peer() : TickPeer{kWriteBytes} {}

    const TickAccount* account = nullptr;
    std::uint64_t stream = 0;
    Nanos sent;
    bool handed_over = false;                 // in this silence
    std::vector<Told> told;                   // by index
    std::map<Text<16>, std::uint32_t> index;  // of the names that are told
};

TickServer::TickServer(TickServerOptions options, TickSink& sink, net::Listener listener,
                       net::Poller poller, TickTableMap table)
    : options_{std::move(options)},
      sink_{sink},
      listener_{std::move(listener)},
      poller_{std::move(poller)},
      table_{std::move(table)} {
    owner_.resize(table_.map().capacity(), nullptr);
    tellers_.resize(table_.map().capacity());
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
    // What terminals said meanwhile lies in their sockets: read before anybody is called silent.
    resumed_ = now - stepped_ > kPause ? now : resumed_;
    stepped_ = now;
    int frames = 0;
    for (const net::Ready& r : poller_.poll()) {
        if (r.tag == 0) {
            accept_waiting(now);
        } else if (Peer& peer = *peers_[r.tag - 1]; peer.state != Peer::State::Free) {
            frames += serve(peer, now);
        }
    }
    if (now - swept_ >= kSweepEvery) {
        sweep(now);
        swept_ = now;
        table_.alive(now);
    }
    return frames;
}

void TickServer::accept_waiting(Nanos now) noexcept {
    for (auto fd = listener_.accept(); fd; fd = listener_.accept()) {
        Peer* peer = place_for_newcomer<Peer>(peers_);
        if (peer == nullptr) {
            continue;  // closes itself; cannot be: there are more places than accounts
        }
        peer->account = nullptr;
        peer->told.clear();
        peer->index.clear();
        peer->sent = now;
        peer->handed_over = false;
        if (!peer->greet(std::move(fd).value(), poller_, now)) {
            drop(*peer, now);
            continue;
        }
        settle(*peer, now);
    }
}

int TickServer::serve(Peer& peer, Nanos now) noexcept {
    int frames = 0;
    for (int i = 0; i < kReadsPerTurn && peer.state != Peer::State::Free && !peer.closing; ++i) {
        const auto read =
            peer.read(now, [&](const wire::Frame& frame) { return on_frame(peer, frame, now); });
        if (read) {
            frames += read.value();
            continue;
        }
        if (is_gone(read.code())) {
            drop(peer, now);
        } else if (read.code() != Errc::Busy) {
            ++stats_.bad_frames;
            deny(peer, read.error().what, now);
        }
        break;
    }
    settle(peer, now);
    return frames;
}

/// Writes what it can, closes what is over.
void TickServer::settle(Peer& peer, Nanos now) noexcept {
    if (peer.state != Peer::State::Free && !peer.settle(poller_)) {
        drop(peer, now);
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
        case FrameType::HistoryEnd: return on_history_end(peer, frame);
        case FrameType::Heartbeat: return ok_status();
        default: return {Errc::BadFrame, "a frame that terminals do not send"};
    }
}

Status TickServer::on_history_end(Peer& peer, const wire::Frame& frame) noexcept {
    const auto end = frame.as<tick_wire::HistoryEnd>();
    if (!end) {
        return end.error();
    }
    const std::uint32_t flags = end.value().flags;
    sink_.on_history_end(peer.account->login, end.value().request,
                         (flags & tick_wire::kHistoryMore) != 0,
                         (flags & tick_wire::kHistoryFromStart) != 0);
    return ok_status();
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
        deny(peer, "no account of this login is configured", now);
        return ok_status();
    }
    if (!tick_wire::is_signed(account->key, peer.nonce, hello) || hello.stream == 0) {
        deny(peer, "wrong key for this login", now);
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
    if (s.seq > kSeqMax || s.count > kSameMax || s.last_time_ns < 0) {
        return {Errc::BadFrame, "SYMBOL: seq, count or last_time_ns is out of its range"};
    }
    Peer::Told told;
    told.before = told.seq = s.seq;
    told.time = Nanos{s.last_time_ns};
    told.count = s.count;
    told.last.feed = peer.account->login;
    told.last.symbol = canonical(*peer.account, s.name);
    // Two instruments of one name would be one series with two numberings.
    told.refused = !peer.index.emplace(told.last.symbol, s.index).second;
    if (told.refused) {
        ++stats_.refused;
        peer.told.push_back(told);
        sink_.on_refused(peer.account->login, {s.name, ::strnlen(s.name, sizeof s.name)});
        return ok_status();
    }
    const auto row = table_.row_of(told.last.symbol);
    told.has_row = row.has_value();
    told.row = row.value_or(0);
    if (told.has_row) {
        tellers_[told.row].push_back({&peer, s.index});
    }
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
        if (live && (e.seq == 0 || e.seq > kSeqMax || e.same > kSameMax)) {
            return {Errc::BadFrame, "a tick's seq or same is out of its range"};
        }
        // Without a bid or an ask, as exchanges have it: recorded, but no quote.
        const bool none = e.bid < 0 || e.ask < 0 || e.time_ns <= 0 || (e.bid == 0 && e.ask == 0);
        if (none || peer.told[e.index].refused) {
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
    return peer.is_up() && now - std::max(peer.heard, resumed_) <= kFeedSilence;
}

void TickServer::on_live(Peer& peer, std::uint32_t index, const FeedTick& tick,
                         Nanos now) noexcept {
    ++stats_.ticks;
    Peer::Told& told = peer.told[index];
    told.seq = std::max(told.seq, tick.seq);
    told.time = tick.time;
    told.count = tick.same + 1;
    // One of before the connection is as old as its source says, and never fresh because of it.
    const Nanos at = tick.seq > told.before ? now : std::min(now, tick.time);
    const bool is_quote = tick.bid.value > 0 && tick.ask >= tick.bid;
    if (is_quote) {
        told.last = tick;
        told.at = at;
    }
    if (!told.has_row || !is_quote) {
        ++stats_.passed_over;
    } else {
        Peer*& owner = owner_[told.row];
        if (owner != &peer && (owner == nullptr || !speaks(*owner, now))) {
            stats_.takeovers += owner != nullptr ? 1 : 0;
            owner = &peer;
            table_.set_feed(told.row, tick.feed);
        }
        const auto& shown = table_.map().row(told.row).source_ns;
        const bool is_newer =
            tick.seq > told.before || tick.time.value >= shown.load(std::memory_order_relaxed);
        if (owner == &peer && is_newer) {
            show(told.row, tick, at);
        }
    }
    sink_.on_tick(tick);
}

void TickServer::show(std::uint32_t row, const FeedTick& tick, Nanos at) noexcept {
    table_.store(row, Quote{tick.bid, tick.ask, at}, tick.time);
    sink_.on_latest(row, tick, at);
}

/// Gives the symbols of a feed that is silent or gone to others that tell them, with their latest
/// quote if it is newer than what the table has.
void TickServer::hand_over(Peer& peer, Nanos now) noexcept {
    peer.handed_over = true;
    for (const Peer::Told& mine : peer.told) {
        if (!mine.has_row || owner_[mine.row] != &peer) {
            continue;
        }
        for (const Teller& teller : tellers_[mine.row]) {
            const Peer::Told& same = teller.peer->told[teller.index];
            if (teller.peer == &peer || same.last.seq == 0 || !speaks(*teller.peer, now)) {
                continue;
            }
            owner_[mine.row] = teller.peer;
            ++stats_.takeovers;
            table_.set_feed(mine.row, same.last.feed);
            if (same.at > mine.at) {
                show(mine.row, same.last, same.at);
            }
            break;
        }
    }
}

void TickServer::deny(Peer& peer, const char* why, Nanos now) noexcept {
    peer.deny(why, now);
    ++stats_.denied;
}

void TickServer::drop(Peer& peer, Nanos now) noexcept {
    const bool was_up = peer.state == Peer::State::Up;
    peer.close();
    if (!was_up) {
        return;
    }
    hand_over(peer, now);
    for (const Peer::Told& t : peer.told) {
        if (!t.has_row) {
            continue;
        }
        std::erase_if(tellers_[t.row], [&](const Teller& x) { return x.peer == &peer; });
        if (owner_[t.row] == &peer) {
            owner_[t.row] = nullptr;
        }
    }
    sink_.on_feed(peer.account->login, false);
    peer.account = nullptr;
}

void TickServer::sweep(Nanos now) noexcept {
    for (const auto& p : peers_) {
        Peer& peer = *p;
        if (peer.state == Peer::State::Free) {
            continue;
        }
        if (peer.is_overdue(now, kFeedDead, resumed_)) {
            drop(peer, now);
            continue;
        }
        const bool silent = peer.state == Peer::State::Up && !speaks(peer, now);
        if (silent && !peer.handed_over) {
            ++stats_.silences;
            hand_over(peer, now);  // once: whoever tells one of its symbols later takes it then
        }
        peer.handed_over = silent;
        if (peer.is_up() && now - peer.sent >= seconds(1) &&
            tick_wire::queue(peer.socket, FrameType::Heartbeat, tick_wire::Heartbeat{now.value})) {
            peer.sent = now;
        }
        settle(peer, now);
    }
}

bool TickServer::tell_again(TickSink& sink, std::size_t& at, std::size_t max) const {
    constexpr std::size_t kPlaces = tick_wire::kSymbolsMax + 1;  // of a link: itself, its symbols
    for (; max > 0 && at < peers_.size() * kPlaces; --max) {
        const Peer& peer = *peers_[at / kPlaces];
        const std::size_t i = at % kPlaces;
        if (!peer.is_up() || i > peer.told.size()) {
            at += kPlaces - i;
            continue;
        }
        ++at;
        if (i == 0) {
            sink.on_feed(peer.account->login, true);
        } else if (const Peer::Told& t = peer.told[i - 1]; !t.refused) {
            sink.on_symbol({t.last.feed, t.last.symbol, peer.stream, t.seq, t.time, t.count});
        }
    }
    return at < peers_.size() * kPlaces;
}

bool TickServer::ask(const FeedRequest& request) noexcept {
    for (const auto& p : peers_) {
        Peer& peer = *p;
        if (!peer.is_up() || peer.account->login != request.feed) {
            continue;
        }
        const auto at = peer.index.find(request.symbol);
        if (at == peer.index.end()) {
            continue;
        }
        const bool queued =
            tick_wire::queue(peer.socket, FrameType::Backfill,
                             tick_wire::Backfill{request.request, at->second, request.limit,
                                                 request.from.value, request.to.value});
        settle(peer, stepped_);
        return queued;
    }
    return false;
}

}  // namespace millrace
