// MQL5 API of the host: ticks.
#include "tests/mt5/host.h"
#include "tests/mt5/host_units.h"

#include "tools/market/text.h"
#include "tools/simbroker/event_loop.h"

#include <poll.h>

#include <algorithm>

using millrace::mt5::host;

std::set<std::uint64_t> millrace::mt5::Host::position_ids() const {
    std::set<std::uint64_t> ids;
    for (const auto& [id, position] : account().positions) {
        ids.insert(id);
    }
    return ids;
}

/// A server that fills a pending without the stops it was placed with.
void millrace::mt5::Host::drop_stops_of_new(const std::set<std::uint64_t>& before) {
    for (const std::uint64_t id : position_ids()) {
        if (!before.contains(id)) {
            sim::TradeRequest none;
            none.type = CommandType::Modify;
            none.position_ticket = account().positions.at(id).ticket;
            static_cast<void>(server().execute(options_.login, none));
        }
    }
}

void millrace::mt5::Host::on_quote(const std::string& symbol, Price bid, Price ask, bool apart) {
    const std::set<std::uint64_t> before = position_ids();
    server().on_quote(market::to_text<16>(symbol), bid, ask);
    if (knobs.drop_stops != 0) {
        drop_stops_of_new(before);
    }
    MqlTick tick;
    tick.bid = unscaled(bid.value);
    tick.ask = unscaled(ask.value);
    tick.time_msc = server_msc(sim::EventLoop::wall_now().value);
    std::vector<MqlTick>& all = ticks[symbol];
    if (!all.empty()) {  // never back, wherever the wall clock goes
        tick.time_msc = std::max(tick.time_msc, all.back().time_msc + (apart ? 1 : 0));
    }
    tick.time = tick.time_msc / 1'000;
    all.push_back(tick);
}

bool SymbolInfoTick(const string& symbol, MqlTick& tick) {
    host().call("SymbolInfoTick");
    const auto it = host().ticks.find(symbol.str());
    if (SymbolInfoInteger(symbol, SYMBOL_SELECT) == 0 || it == host().ticks.end()) {
        return false;
    }
    tick = it->second.back();
    return true;
}

/// From a time on: of the terminal's history, which has them all.
static int copy_history(const std::vector<MqlTick>* all, MqlArray<MqlTick>& ticks, ulong from_msc,
                        uint count) {
    ++host().history_reads;
    if (all == nullptr || host().knobs.no_tick_history != 0) {
        return -1;
    }
    const auto first = std::lower_bound(
        all->begin(), all->end(), static_cast<long>(from_msc),
        [](const MqlTick& tick, long time_msc) { return tick.time_msc < time_msc; });
    const auto n =
        std::min(static_cast<std::size_t>(count), static_cast<std::size_t>(all->end() - first));
    ticks.resize(static_cast<int>(n));
    std::copy_n(first, n, ticks.data());
    return static_cast<int>(n);
}

int CopyTicks(const string& symbol, MqlArray<MqlTick>& ticks, uint flags, ulong from, uint count) {
    host().call("CopyTicks");
    if (flags != COPY_TICKS_INFO) {
        mql_halt("CopyTicks: the host knows ticks by their quotes only");
    }
    ::poll(nullptr, 0, static_cast<int>(host().knobs.copy_ticks_ms));
    const auto it = host().ticks.find(symbol.str());
    if (from != 0) {
        return copy_history(it == host().ticks.end() ? nullptr : &it->second, ticks, from, count);
    }
    if (host().knobs.tick_cache == 0 || it == host().ticks.end()) {
        return -1;
    }
    const std::size_t n = std::min({static_cast<std::size_t>(count), it->second.size(),
                                    static_cast<std::size_t>(host().knobs.tick_cache)});
    ticks.resize(static_cast<int>(n));
    std::copy(it->second.end() - static_cast<std::ptrdiff_t>(n), it->second.end(), ticks.data());
    return static_cast<int>(n);
}
