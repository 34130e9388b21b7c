// What must hold when everything has healed: engine, books, rings and replays tell one story.
#include "tests/sim/ports.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/engine/recorded_log.h"

namespace millrace::sim {
namespace {

std::string at(std::uint32_t account) {
    return "account " + std::to_string(account);
}

template <class Visitor>
void each_order(const Engine& engine, std::uint32_t account, const Visitor& visit) {
    for (std::uint32_t i = 0; i < engine.orders().used(); ++i) {
        if (engine.orders().is_live(i) && engine.orders()[i].account.value == account) {
            visit(engine.orders()[i]);
        }
    }
}

template <class List>
List between(const List& all, std::uint64_t after, std::uint64_t last) {
    List part;
    std::copy_if(all.begin(), all.end(), std::back_inserter(part), [=](const auto& entry) {
        return entry.first.seq > after && entry.first.seq <= last;
    });
    return part;
}

}  // namespace

void World::check_end() {
    const Globals& g = engine_->globals();
    require(g.in_doubt == 0, "I7 in doubt is left", std::to_string(g.in_doubt) + " in doubt");
    require(g.duplicate_executions == 0, "I2 at most once", "the engine saw a double");
    for (std::uint32_t a = 0; a < accounts_; ++a) {
        check_positions(a);
        check_working(a);
        summary_.executions += terminals_[a].books.executions();
    }
    ReplayPort replay;
    check_states(replay);
    check_outputs(replay);
    for (const auto& [signal, times] : replay.accepted) {
        require(times == 1, "I1 accepted once", std::to_string(signal.lo));
        const auto done = replay.done.find(signal);
        require(done != replay.done.end() || engine_->globals().live_orders > 0, "I3 terminal",
                "signal " + std::to_string(signal.lo) + " did not end");
    }
    for (const auto& [signal, times] : replay.done) {
        require(times == 1, "I3 terminal", "signal " + std::to_string(signal.lo) + " ended twice");
    }
    for (const auto& [intent, times] : replay.order_done) {
        require(times == 1, "I13 once", "order " + std::to_string(intent) + " ended twice");
    }
    // Every order that was made has ended, but for those that still work at the broker.
    const std::uint64_t ended = g.orders_filled + g.orders_rejected;
    require(replay.order_done.size() == ended, "I13 once", "an order ended without a word");
}

void World::check_positions(std::uint32_t account) const {
    std::array<std::int64_t, 2> ours{};
    std::array<std::int64_t, 2> theirs{};
    std::map<std::uint64_t, std::int64_t> by_id;
    each_order(*engine_, account, [&](const Order& o) {
        const std::int64_t v = o.side == Side::Buy ? o.open_volume.value : -o.open_volume.value;
        ours[o.symbol.value] += v;
        if (v != 0) {
            by_id[o.position_id] += v;
        }
    });
    for (const auto& [key, p] : terminals_[account].books.positions()) {
        theirs[p.symbol] += p.volume;
        if (mode_ == MarginMode::Hedging) {
            require(by_id[p.id] == p.volume, "I4 positions equal the books",
                    at(account) + " position " + std::to_string(p.id) + " ours " +
                        std::to_string(by_id[p.id]) + " theirs " + std::to_string(p.volume));
        }
    }
    require(ours == theirs, "I4 positions equal the books",
            at(account) + " net ours " + std::to_string(ours[0]) + "/" + std::to_string(ours[1]) +
                " theirs " + std::to_string(theirs[0]) + "/" + std::to_string(theirs[1]));
}

void World::check_working(std::uint32_t account) const {
    const auto& pendings = terminals_[account].books.pendings();
    std::size_t working = 0;
    each_order(*engine_, account, [&](const Order& o) {
        if (is_final(o.status)) {
            return;
        }
        ++working;
        const auto it = pendings.find(o.order_ticket);
        require(it != pendings.end() && it->second.left == o.volume - o.cum, "I3 terminal",
                at(account) + " order " + std::to_string(o.intent) + " is " +
                    std::string{to_string(o.status)} + " but not at the broker");
    });
    require(working == pendings.size(), "I4 no unknown orders", at(account));
}

/// I9, I10: live, replay from the first record, and every snapshot with its suffix are one state.
void World::check_states(ReplayPort& replay) {
    const std::uint64_t live = engine_->state_hash();
    Engine full{kCapacity};
    for (const JournalRecord& r : log_) {
        full.apply(r, replay);
    }
    require(full.state_hash() == live, "I9 determinism", "replay differs from the live engine");
    require(full.output_hash() == engine_->output_hash(), "I9 determinism", "outputs differ");
    for (const Snapshot& s : snapshots_) {
        Engine engine{kCapacity};
        ReplayPort unused;
        require(engine.load(s.image.data(), s.image.size()).ok(), "I10 snapshot", "refused");
        for (const JournalRecord& r : log_) {
            if (r.seq > engine.seq()) {
                engine.apply(r, unused);
            }
        }
        require(
            engine.state_hash() == live, "I10 snapshot",
            "snapshot " + std::to_string(s.seq) + " and its suffix differ from the live engine");
    }
}

bool World::write_log(const std::string& path) const {
    test::RecordedLog head;
    head.accounts = kCapacity.accounts;
    head.members = kCapacity.members;
    head.orders = kCapacity.orders;
    head.signals = kCapacity.signals;
    head.records = log_.size();
    head.state_hash = engine_->state_hash();
    head.output_hash = engine_->output_hash();
    std::ofstream file{path, std::ios::binary};
    file.write(reinterpret_cast<const char*>(&head), sizeof head);
    file.write(reinterpret_cast<const char*>(log_.data()),
               static_cast<std::streamsize>(log_.size() * sizeof(JournalRecord)));
    return file.good();
}

/// I13: each segment's rings hold exactly the outputs of the records that survived it.
void World::check_outputs(const ReplayPort& replay) const {
    std::uint64_t after = 0;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
        const std::uint64_t last = i < segment_ends_.size() ? segment_ends_[i] : UINT64_MAX;
        const auto& seen = segments_[i];
        require(between(seen.orders, 0, last) == between(replay.outputs.orders, after, last),
                "I13 effectively once", "orders of segment " + std::to_string(i));
        require(between(seen.results, 0, last) == between(replay.outputs.results, after, last),
                "I13 effectively once", "results of segment " + std::to_string(i));
        after = last;
    }
}

}  // namespace millrace::sim
