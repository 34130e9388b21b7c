#include "tests/sim/terminal.h"

#include <iterator>

namespace millrace::sim {
namespace {

constexpr Nanos kAbsentAfter = seconds(60);
constexpr std::uint32_t kDefiniteNo[] = {10004, 10006, 10007, 10013, 10014, 10015, 10016, 10018,
                                         10020, 10021, 10022, 10023, 10024, 10028, 10029, 10030,
                                         10033, 10034, 10035, 10040, 10041, 10044, 10045, 10046};
constexpr std::uint32_t kSaysNothing[] = {0, 10011, 10012, 10031, 10039, 10005, 10037, 4756, 99999};

}  // namespace

Report Terminal::unsent(const OrderCommand& c, Reason why) const {
    Report r;
    r.account = account_;
    r.type = c.type == CommandType::Query ? ReportType::QueryUnknown : ReportType::Unsent;
    r.magic = c.magic;
    r.reason = static_cast<std::uint16_t>(why);
    return r;
}

void Terminal::add_event(Report r) {
    r.event_seq = next_event_++;
    events_.push_back(r);
}

void Terminal::on_command(std::uint64_t number, const OrderCommand& c, Nanos now) {
    if (number <= command_seq_) {
        return;  // journalled before; its events speak for it
    }
    command_seq_ = number;
    if (rng_.chance(faults_->stale)) {
        add_event(unsent(c, Reason::None));
        return;
    }
    if (c.type == CommandType::Query) {
        add_event(query(c.magic, now));
        return;
    }
    const auto known = intents_.find(c.magic.value);
    if (known != intents_.end() && canary_ != Canary::ForgetsIntents) {
        if (known->second.answered) {
            add_event(known->second.answer);
        }
        return;
    }
    intents_[c.magic.value] = {c, false, {}, now};
    if (c.type == CommandType::Open && (killed_ & kKillStop) != 0) {
        conclude(c, unsent(c, Reason::Killed), now);
        return;
    }
    if (c.deadline.value > 0 && now >= c.deadline) {
        if (canary_ == Canary::ExecutesWhatItRefused) {
            static_cast<void>(books.execute(c, 100));
        }
        conclude(c, unsent(c, Reason::Expired), now);
        return;
    }
    const bool slow = rng_.chance(faults_->latency);
    const Nanos delay = slow ? millis(static_cast<std::int64_t>(rng_.below(20'000))) : Nanos{0};
    flights_.push_back({now + delay, c});
}

bool Terminal::step(Nanos now) {
    bool worked = false;
    for (std::size_t n = flights_.size(); n > 0; --n) {
        const Flight flight = flights_.front();
        flights_.pop_front();
        if (flight.due > now) {
            flights_.push_back(flight);
        } else {
            worked = true;
            execute(flight.command, now);
        }
    }
    return worked;
}

void Terminal::execute(const OrderCommand& c, Nanos now) {
    Report no;
    no.account = account_;
    no.type = ReportType::Outcome;
    no.magic = c.magic;
    no.requested = c.volume;
    if (rng_.chance(faults_->refuse)) {
        no.retcode = kDefiniteNo[rng_.below(std::size(kDefiniteNo))];
        conclude(c, no, now);
        return;
    }
    const bool partial = rng_.chance(faults_->partial);
    const auto share = static_cast<std::uint32_t>(partial ? 10 + rng_.below(80) : 100);
    if (rng_.chance(faults_->unknown_code)) {
        no.retcode = kSaysNothing[rng_.below(std::size(kSaysNothing))];
        if (rng_.chance(500)) {
            static_cast<void>(books.execute(c, share));
        }
        conclude(c, no, now);
        return;
    }
    const Report done = books.execute(c, share);
    const bool market = c.type == CommandType::Open && c.price_kind == PriceKind::Market;
    if (market && done.volume.value > 0 && rng_.chance(faults_->placed_first)) {
        no.retcode = retcode::kPlaced;
        no.order_ticket = done.order_ticket;
        conclude(c, no, now);
        Report deal = done;
        deal.type = ReportType::Exec;
        deal.exec_kind = ExecKind::PendingFilled;
        add_event(deal);
        return;
    }
    conclude(c, done, now);
}

void Terminal::conclude(const OrderCommand& c, const Report& r, Nanos now) {
    const auto it = intents_.find(c.magic.value);
    if (it == intents_.end()) {
        return;  // the journal was lost meanwhile: nobody remembers who asked
    }
    it->second.answered = true;
    it->second.answer = r;
    it->second.since = now;
    add_event(r);
}

Report Terminal::query(Magic magic, Nanos now) {
    Report r;
    r.account = account_;
    r.type = ReportType::QueryUnknown;
    r.ord_status = static_cast<std::uint8_t>(OrdStatus::InDoubt);
    r.magic = magic;
    for (const Flight& f : flights_) {
        if (f.command.magic == magic) {
            r.ord_status = static_cast<std::uint8_t>(OrdStatus::PendingNew);
            r.type = canary_ == Canary::AbsentWithoutProof ? ReportType::QueryAbsent : r.type;
            return r;
        }
    }
    if (const BookOrder* found = books.find(magic)) {
        r.type = ReportType::QueryFound;
        r.ord_status = static_cast<std::uint8_t>(found->status);
        r.retcode = retcode::kDone;
        r.order_ticket = found->order;
        r.deal_ticket = found->deal;
        r.position_id = found->position;
        r.volume = found->executed;
        r.requested = found->requested;
        r.price = Price{kScale};
        return r;
    }
    const auto it = intents_.find(magic.value);
    const bool known = it != intents_.end();
    if (known && it->second.answered) {
        const Report& a = it->second.answer;
        const bool was_unsent = a.type == ReportType::Unsent;
        if (was_unsent || classify(a.retcode) != RetcodeClass::Recon) {
            r = a;
            r.type = ReportType::QueryFound;
            const bool expired = a.reason == static_cast<std::uint16_t>(Reason::Expired);
            r.ord_status =
                static_cast<std::uint8_t>(expired ? OrdStatus::Expired : OrdStatus::Rejected);
            return r;
        }
    }
    const Nanos quiet_since = known ? it->second.since : journal_created_;
    const bool never_seen = !known && !journal_was_lost_;
    if (never_seen || now - quiet_since >= kAbsentAfter) {
        r.type = ReportType::QueryAbsent;
    }
    return r;
}

void Terminal::crash(Nanos now) {
    for (const Flight& f : flights_) {
        if (rng_.chance(500)) {
            static_cast<void>(books.execute(f.command, 100));
        }
        if (const auto it = intents_.find(f.command.magic.value); it != intents_.end()) {
            it->second.since = now;
        }
    }
    flights_.clear();
    if (canary_ == Canary::ForgetsIntents) {
        intents_.clear();
        command_seq_ = 0;
    }
}

void Terminal::lose_journal(Nanos now) {
    if (!events_.empty()) {
        return;  // an executor cannot lose what it has not delivered and still be honest
    }
    crash(now);
    events_.clear();
    intents_.clear();
    ++journal_id_;
    command_seq_ = 0;
    journal_was_lost_ = true;
    journal_created_ = now;
}

void Terminal::kill(std::uint8_t actions) {
    killed_ = actions;
    while ((actions & kKillCancel) != 0 && !books.pendings().empty()) {
        add_event(books.cancel_pending(books.pendings().begin()->first));
    }
    while ((actions & kKillFlatten) != 0 && !books.positions().empty()) {
        const BookPosition& p = books.positions().begin()->second;
        add_event(books.close_position(p.id, Lots{std::abs(p.volume)}, ExecKind::ClosedByKill));
    }
}

void Terminal::broker_moves() {
    if (!books.pendings().empty() && rng_.chance(500)) {
        const std::uint64_t n = rng_.below(books.pendings().size());
        const auto it = std::next(books.pendings().begin(), static_cast<std::ptrdiff_t>(n));
        const BookPending p = it->second;
        if (rng_.chance(300)) {
            add_event(books.cancel_pending(p.ticket));
        } else {
            const std::int64_t steps = p.left.value / (kScale / 100);
            const auto part =
                static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(steps)));
            add_event(books.fill_pending(
                p.ticket, rng_.chance(500) ? p.left : Lots{(part + 1) * (kScale / 100)}));
        }
    } else if (!books.positions().empty()) {
        const std::uint64_t n = rng_.below(books.positions().size());
        const auto it = std::next(books.positions().begin(), static_cast<std::ptrdiff_t>(n));
        const BookPosition p = it->second;
        const ExecKind kinds[] = {ExecKind::ClosedByStopLoss, ExecKind::ClosedByTakeProfit,
                                  ExecKind::ClosedByStopOut, ExecKind::ClosedManually};
        const ExecKind why = kinds[rng_.below(4)];
        const bool part = why == ExecKind::ClosedManually && std::abs(p.volume) > kScale / 100;
        const Lots volume{part ? kScale / 100 : std::abs(p.volume)};
        const Report event = books.close_position(p.id, volume, why);
        if (canary_ != Canary::LosesEvents) {
            add_event(event);
        }
    }
}

void Terminal::acknowledge(std::uint64_t event_seq) {
    while (!events_.empty() && events_.front().event_seq <= event_seq) {
        events_.pop_front();
    }
}

}  // namespace millrace::sim
