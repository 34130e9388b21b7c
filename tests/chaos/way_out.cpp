#include "tests/chaos/way_out.h"

#include "shm/clock.h"
#include "tools/demo_run/evidence.h"
#include "tools/simbroker/append_file.h"
#include "tools/simbroker/books.h"

#include <algorithm>
#include <set>

namespace millrace::chaos {
namespace {

constexpr Nanos kSlowMachine = seconds(180);
constexpr Nanos kLookEvery = millis(50);  // at the broker's books
constexpr std::int64_t kTick = 1'000;     // EURUSD, in 1e-8

}  // namespace

/// What the broker has done, by the comments that its orders have.
struct WayOut::Books {
    demo::Evidence evidence{RiskSpec{}.magic_tag};
    std::map<std::string, std::set<std::uint64_t>> placed;     // pending orders: logins
    std::map<std::string, std::set<std::uint64_t>> cancelled;  // the same, of their openings

    explicit Books(World& world) {
        const auto bytes = sim::read_file(world.pipeline().books_path());
        EXPECT_TRUE(bytes);
        std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> tickets;
        EXPECT_TRUE(sim::scan_books(bytes.value(), [&](const sim::BookRecord& r) {
            evidence.add(r);
            if (r.kind == sim::BookKind::Order && r.price_kind != PriceKind::Market) {
                placed[std::string{view(r.comment)}].insert(r.login);
                tickets[{r.login, r.order}] = view(r.comment);
            } else if (r.kind == sim::BookKind::OrderCanceled) {
                cancelled[tickets[{r.login, r.order}]].insert(r.login);
            }
        }));
    }
};

WayOut::WayOut(World& world, std::function<void()> each_turn)
    : world_{world}, each_turn_{std::move(each_turn)}, beside_{world} {
    const auto& accounts = world.pipeline().plan().accounts;
    accounts_ = static_cast<std::size_t>(std::count_if(
        accounts.begin(), accounts.end(),
        [](const demo::AccountPlan& a) { return a.margin_mode == MarginMode::Hedging; }));
}

bool WayOut::until(const std::function<bool()>& done) {
    return world_.turn_until(
        [&] {
            each_turn_();
            beside_.poll();
            return done();
        },
        kSlowMachine);
}

demo::Planned WayOut::entry(PriceKind kind) {
    demo::Planned p;
    p.request.id = demo::random_id(random_);
    p.request.group = "hedging";
    p.request.symbol = "EURUSD";
    p.request.volume = Lots{kScale / 10};
    p.request.price_kind = kind;
    const auto quote = world_.pipeline().quote("EURUSD");
    if (kind == PriceKind::Limit && quote) {
        p.request.price = Price{quote->bid.value * 99 / 100 / kTick * kTick};
    }
    return p;
}

demo::Planned WayOut::exit_of(const Thing& thing) {
    demo::Planned p = entry(PriceKind::Market);
    p.request.volume = Lots{};
    p.request.target = thing.in;
    p.request.action = thing.kind == PriceKind::Market ? SignalAction::Close : SignalAction::Cancel;
    return p;
}

SignalId WayOut::send(Door door, const demo::Planned& planned) {
    const SignalRequest& r = planned.request;
    if (door == Door::Tcp) {
        EXPECT_TRUE(world_.source().send(planned));
        return r.id;
    }
    client::Signal s = beside_.blank();
    s.id = {r.id.hi, r.id.lo};
    s.target = {r.target.hi, r.target.lo};
    s.action = static_cast<std::uint8_t>(r.action);
    s.price_kind = static_cast<std::uint8_t>(r.price_kind);
    s.volume = r.volume.value;
    s.price = r.price.value;
    EXPECT_EQ(beside_.submit(s), MR_OK) << client::Strategy::error();
    return r.id;
}

bool WayOut::is_in(const Thing& thing, const Books& books) {
    const std::string comment = demo::comment_of(thing.in);
    const auto placed = books.placed.find(comment);
    const bool there = thing.kind == PriceKind::Market
                           ? books.evidence.executed_accounts(comment) == accounts_
                           : placed != books.placed.end() && placed->second.size() == accounts_;
    return there && is_answered(thing);
}

bool WayOut::is_out(const Thing& thing, const Books& books) const {
    if (thing.kind == PriceKind::Market) {
        return books.evidence.executed_accounts(demo::comment_of(thing.out)) == accounts_;
    }
    const auto gone = books.cancelled.find(demo::comment_of(thing.in));
    return gone != books.cancelled.end() && gone->second.size() == accounts_;
}

/// The newest signal about it has its answer: accepted.
bool WayOut::is_answered(const Thing& thing) {
    const SignalId id = thing.out.is_none() ? thing.in : thing.out;
    return thing.door == Door::Tcp
               ? world_.source().lives().find(id)->answer == demo::Answer::Accepted
               : beside_.told(id).accepted;
}

/// A slow machine may have no fresh price now and then.
bool WayOut::has_failed(const Thing& thing) {
    if (thing.in.is_none()) {
        return true;
    }
    if (thing.door == Door::Tcp) {
        const demo::Life& life = *world_.source().lives().find(thing.in);
        return life.over() && life.filled < accounts_;
    }
    const Beside::Told& told = beside_.told(thing.in);
    return told.over && told.filled < accounts_;
}

bool WayOut::opens() {
    std::int64_t look_at = 0;
    return until([&] {
        if (monotonic_ns() < look_at) {
            return false;
        }
        look_at = monotonic_ns() + kLookEvery.value;
        for (Thing& t : things_) {
            if (has_failed(t)) {
                t.in = send(t.door, entry(t.kind));
            }
        }
        const Books books{world_};
        return std::all_of(things_.begin(), things_.end(),
                           [&](const Thing& t) { return is_in(t, books); });
    });
}

void WayOut::leaves() {
    held_ = send(Door::Tcp, entry(PriceKind::Market));
    for (Thing& t : things_) {
        t.out = send(t.door, exit_of(t));
    }
}

bool WayOut::is_out() {
    std::int64_t look_at = 0;
    return until([&] {
        if (monotonic_ns() < look_at) {
            return false;
        }
        look_at = monotonic_ns() + kLookEvery.value;
        const Books books{world_};
        return std::all_of(things_.begin(), things_.end(),
                           [&](const Thing& t) { return is_out(t, books); });
    });
}

void WayOut::expect_no_ack_and_no_entry() {
    beside_.poll();
    for (const Thing& t : things_) {
        EXPECT_EQ(is_answered(t), t.door == Door::Memory)
            << "level `disk` over TCP, `process` in shared memory";
    }
    EXPECT_EQ(world_.source().lives().find(held_)->answer, demo::Answer::None);
    EXPECT_EQ(Books{world_}.evidence.executed_accounts(demo::comment_of(held_)), 0U);
}

void WayOut::expect_entries_refused(const std::string& words) {
    client::Signal open = beside_.blank();
    const SignalId id = demo::random_id(random_);
    open.id = {id.hi, id.lo};
    open.action = MR_OPEN;
    EXPECT_EQ(beside_.submit(open), MR_JOURNAL);
    const std::string told = client::Strategy::error();
    EXPECT_NE(told.find(words), std::string::npos) << told;

    RawSource hand{world_, "hand"};
    signal_wire::Submit submit{};
    submit.id_hi = id.hi;
    submit.id_lo = id.lo;
    std::memcpy(submit.group, "hedging", 7);
    std::memcpy(submit.symbol, "EURUSD", 6);
    submit.action = static_cast<std::uint8_t>(SignalAction::Open);
    submit.volume = open.volume;
    signal_wire::Refused refused{};
    ASSERT_TRUE(hand.send(signal_wire::FrameType::Submit, 7, submit));
    ASSERT_TRUE(hand.wait_for(signal_wire::FrameType::Refused, refused));
    EXPECT_EQ(refused.reason, static_cast<std::uint32_t>(Reason::JournalDown));
    EXPECT_EQ(refused.retry, 1U);
    EXPECT_NE(std::string{refused.text}.find(words), std::string::npos) << refused.text;
}

void WayOut::expect_all_answered_and_nothing_twice() {
    EXPECT_TRUE(until([&] {
        return std::all_of(things_.begin(), things_.end(),
                           [&](const Thing& t) { return is_answered(t); }) &&
               world_.source().lives().find(held_)->over();
    })) << "what was sent meanwhile has no answer";
    for (const Thing& t : things_) {
        if (t.door == Door::Memory) {
            demo::Planned again = exit_of(t);
            again.request.id = t.out;
            (void)send(Door::Memory, again);
            EXPECT_TRUE(until([&] { return beside_.told(t.out).known; }));
        }
    }
    const Books books{world_};
    for (const Thing& t : things_) {
        std::size_t orders = 0;
        for (const auto& [intent, execution] : books.evidence.executions()) {
            orders += execution.comment == demo::comment_of(t.out) ? execution.orders.size() : 0;
        }
        EXPECT_EQ(orders, t.kind == PriceKind::Market ? accounts_ : 0U);
    }
}

}  // namespace millrace::chaos
