#include "tools/simbroker/tick_streams.h"

#include "tools/market/text.h"

#include <algorithm>

namespace millrace::sim {
namespace {

constexpr Nanos kStep = millis(1);

}  // namespace

TickStreams::TickStreams(EventLoop& loop, const TickStreamOptions& options,
                         const std::vector<AccountEntry>& accounts)
    : loop_{loop} {
    const std::size_t n = options.address.empty() ? 0 : options.accounts;
    for (const AccountEntry& a : accounts) {
        if (streams_.size() == n || a.is_fix()) {
            continue;
        }
        TickFeedOptions feed;
        feed.address = options.address;
        feed.port = options.port;
        feed.login = a.account.login;
        feed.key = a.key;
        streams_.push_back({feed.login, a.symbol_prefix, a.symbol_suffix,
                            std::make_unique<TickFeed>(std::move(feed))});
    }
    if (!streams_.empty()) {
        step();
    }
}

TickStreams::~TickStreams() {
    loop_.cancel(timer_);
}

void TickStreams::step() {
    for (const Stream& s : streams_) {
        s.feed->step(EventLoop::now());
    }
    timer_ = loop_.after(kStep, [this] { step(); });
}

void TickStreams::push(const market::Tick& tick) {
    if (streams_.empty()) {
        return;
    }
    // A quote of the control line may be later than recorded ticks that still come.
    Nanos& newest = newest_[tick.symbol];
    newest = std::max(newest, tick.time);
    const std::string name{market::view_of(tick.symbol)};
    for (const Stream& s : streams_) {
        s.feed->push((s.prefix + name + s.suffix).substr(0, 16), newest, tick.bid, tick.ask);
    }
}

bool TickStreams::disturb(const std::string& what, std::uint64_t login) {
    const bool known = what == "cut" || what == "stall" || what == "resume";
    for (const Stream& s : streams_) {
        if (known && (login == 0 || login == s.login)) {
            if (what == "cut") {
                s.feed->cut(EventLoop::now());
            } else {
                s.feed->set_stalled(what == "stall");
            }
        }
    }
    return known;
}

TickFeedStats TickStreams::stats() const noexcept {
    TickFeedStats sum;
    for (const Stream& s : streams_) {
        const TickFeedStats& one = s.feed->stats();
        sum.pushed += one.pushed;
        sum.sent += one.sent;
        sum.passed_over += one.passed_over;
        sum.answered += one.answered;
        sum.requests += one.requests;
        sum.sessions += one.sessions;
    }
    return sum;
}

}  // namespace millrace::sim
