// Deadlines and deferred work.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr Nanos kProbe = seconds(60);          // C12
constexpr Nanos kClosedLong = seconds(3'600);  // then somebody is told
constexpr unsigned kProbeDoublings = 6;        // 64 minutes

/// True of an order whose last attempt met a closed market, and whose signal lets it wait.
bool waits_for_open(const Order& o) noexcept {
    return o.retrying && o.retcode == retcode::kMarketClosed;
}

}  // namespace

/// The market is closed and the signal asked to be held: quotes of its symbol are looked for once a
/// minute, and an attempt is made when there are some, within the collar. They may begin long
/// before the broker takes orders: each attempt doubles the wait, so that all of them last two
/// hours.
void Engine::await_open(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    o.queries = 0;  // counts no look-ups while it waits: 1 = told that it waits long
    const Nanos wait{kProbe.value << std::min<unsigned>(o.attempt, kProbeDoublings)};
    retry_at(i, std::min(g_.time + wait, Nanos{o.deadline.value - 1}));
}

/// Of the order that a Timer record is about. What is no entry needs no price: whoever tells the
/// ticks may be down, and the market open. Where no ticks come at all nobody can say; what is at a
/// price of its own is tried.
bool Engine::is_quoted(const Order& o) const noexcept {
    if (o.type != CommandType::Open) {
        return true;
    }
    if (record_->tick_time.value == 0) {
        return o.price_kind != PriceKind::Market;
    }
    return has_price() && g_.time - record_->tick_time < kProbe;
}

void Engine::probe_later(std::uint32_t i) noexcept {
    Order& o = orders_[i];
    if (o.queries == 0 && g_.time - o.created >= kClosedLong) {
        o.queries = 1;
        alert(AlertCode::MarketClosed, o.account, &o, retcode::kMarketClosed);
    }
    timers_.set(i, std::min(g_.time + kProbe, o.deadline));
}

/// The earliest deadline has passed: one order moves on. One record, one order, so that the record
/// can carry that order's price.
void Engine::on_timer() noexcept {
    if (timers_.empty() || timers_.earliest() > g_.time) {
        return;
    }
    const std::uint32_t i = timers_.earliest_order();
    timers_.cancel(i);
    Order& o = orders_[i];
    switch (o.status) {
        case OrdStatus::Held:
            if (g_.time >= o.deadline) {
                end(i, OrdStatus::Expired,
                    waits_for_open(o) ? Reason::MarketClosed : Reason::Expired);
                return;
            }
            if (waits_for_open(o) && !is_quoted(o)) {
                probe_later(i);
                return;
            }
            if (o.retrying) {
                o.retrying = false;
                o.queries = 0;  // of this attempt
                ++o.attempt;
            }
            start(i);
            return;
        case OrdStatus::PendingNew: doubt(i); return;  // the look-up comes with the next timer
        case OrdStatus::InDoubt: {
            const LinkState link = accounts_[o.account.value].link;
            if (link == LinkState::Up || link == LinkState::Syncing) {
                query(i);
            }
            timers_.set(i, g_.time + seconds(o.queries <= 1 ? 10 : 30));
            return;
        }
        default: return;
    }
}

void Engine::push_job(const Job& job) noexcept {
    ASSERT(jobs_size_ < jobs_capacity_);
    jobs_[(jobs_head_ + jobs_size_) % jobs_capacity_] = job;
    ++jobs_size_;
}

/// The account's queued job of this kind, nullptr if there is none.
Job* Engine::find_job(JobKind kind, const Account& a) noexcept {
    for (std::uint32_t n = 0; n < jobs_size_; ++n) {
        Job& job = jobs_[(jobs_head_ + n) % jobs_capacity_];
        if (job.kind == kind && job.subject == a.spec.id.value) {
            return &job;
        }
    }
    return nullptr;
}

void Engine::pop_job() noexcept {
    const Job done = jobs_[jobs_head_];
    jobs_[jobs_head_] = {};
    jobs_head_ = (jobs_head_ + 1) % jobs_capacity_;
    --jobs_size_;
    if (done.kind == JobKind::FanOut) {
        finish_fan_out(done.subject);
    } else if (done.kind == JobKind::Release) {
        accounts_[done.subject].release_queued = false;
    } else {
        accounts_[done.subject].query_queued = false;
        // With nothing asked, the account may be ready at once.
        if (accounts_[done.subject].defined) {
            update_account_state(accounts_[done.subject]);
        }
    }
}

/// Works off the front job within the record's budget. Only fan-outs and releases of the record's
/// own symbol: the others need a record with their price, and the job that is in front now need not
/// be the one that the record was made for.
void Engine::run_jobs(std::uint32_t budget) noexcept {
    const bool priced = record_->type == InputType::Continue || record_->type == InputType::Signal;
    while (jobs_size_ > 0) {
        Job& job = jobs_[jobs_head_];
        if (job.cursor == kNoId) {
            pop_job();
            continue;
        }
        if (budget == 0) {
            return;
        }
        if (job.kind == JobKind::QueryAll) {
            query_all(job, budget);
        } else if (!priced || work_symbol() != record_symbol_) {
            return;
        } else if (job.kind == JobKind::FanOut) {
            // One order of a target may take a close and a cancel: both fit, or it waits.
            if (budget < kChildrenPerTarget &&
                ledger_[job.subject].signal.action != SignalAction::Open) {
                return;
            }
            const std::uint32_t before = orders_out_;
            fan_out(job);
            budget -= std::min(budget, orders_out_ - before);
        } else {
            // One order a record: the record carries the price of this order's symbol.
            if (record_->type == InputType::Continue) {
                release_held(job, budget);
            }
            return;
        }
    }
}

/// First order at or after `i` in its account's list that waits for TRADING; kNoId if none.
std::uint32_t Engine::next_held(std::uint32_t i) const noexcept {
    while (i != kNoId && (orders_[i].status != OrdStatus::Held || orders_[i].retrying)) {
        i = orders_[i].next_in_account;
    }
    return i;
}

void Engine::release_held(Job& job, std::uint32_t& budget) noexcept {
    const std::uint32_t i = next_held(job.cursor);
    if (i != job.cursor || i == kNoId) {
        job.cursor = i;  // the next record carries this one's price
        return;
    }
    job.cursor = next_held(orders_[i].next_in_account);
    timers_.cancel(i);
    start(i);
    --budget;
}

void Engine::query_all(Job& job, std::uint32_t& budget) noexcept {
    const std::uint32_t i = job.cursor;
    const Order& o = orders_[i];
    job.cursor = o.next_in_account;
    const bool works = o.status == OrdStatus::New || o.status == OrdStatus::PartiallyFilled;
    if (o.status == OrdStatus::PendingNew || o.status == OrdStatus::InDoubt ||
        (works && job.detail != 0)) {
        query(i);
        if (o.status == OrdStatus::InDoubt) {
            timers_.set(i, g_.time + seconds(10));  // not again at once by its timer
        }
        --budget;
    }
}

}  // namespace millrace
