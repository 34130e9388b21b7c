#include "tools/explain/collect.h"

#include <fmt/core.h>

#include <algorithm>

#include "tools/explain/reason.h"
#include "tools/explain/words.h"

namespace millrace::explain {
namespace {

/// Keeps the first and the latest ones, so that neither the beginning nor the end is lost.
template <class T>
void keep(std::vector<T>& all, T item, std::uint64_t& left_out) {
    if (all.size() >= kKept) {
        all.erase(all.begin() + kKept / 2);
        ++left_out;
    }
    all.push_back(std::move(item));
}

/// Commands that the engine may refuse because of what lives: in force only if it took them.
bool may_be_refused(const JournalRecord& r) {
    if (r.type != InputType::Admin) {
        return false;
    }
    const AdminOp op = r.as<AdminRecord>().op;
    return op == AdminOp::DefineAccount || op == AdminOp::RiskLimits ||
           op == AdminOp::DefineMember || op == AdminOp::RemoveAccount;
}

}  // namespace

Collector::Collector(Story& story, const Where& where)
    : story_{&story}, where_{&where}, standing_{where.configured} {}

// -- the effects log ----------------------------------------------------------------------------

bool Collector::matches(const OrderRow& row) const noexcept {
    const Subject& s = story_->subject;
    switch (s.what) {
        case Subject::What::Signal: return row.signal == s.signal;
        case Subject::What::Order: return row.magic.intent() == s.intent;
        case Subject::What::Account: return row.account == s.account;
    }
    return false;
}

void Collector::effect(const Effect& e) {
    Subject& subject = story_->subject;
    switch (e.kind) {
        case EffectKind::Signal:
            if (!is_account() && !subject.signal.is_none() &&
                e.as<SignalRow>().id == subject.signal) {
                std::uint64_t ignored = 0;
                keep(story_->signal.rows, e, ignored);
            }
            break;
        case EffectKind::Order: {
            const auto row = e.as<OrderRow>();
            if (matches(row)) {
                order_row(e, row);
            }
            break;
        }
        case EffectKind::Execution: about_order(e, e.as<ExecutionRow>().magic.intent()); break;
        case EffectKind::Alert: {
            const auto row = e.as<AlertRow>();
            about_order(e, row.magic.intent());
            if (is_account() && row.account == subject.account) {
                account_event({true, e, {}});
            }
            break;
        }
        case EffectKind::Account:
            if (is_account() && e.as<AccountRow>().account == subject.account) {
                account_row(e, e.as<AccountRow>());
            }
            break;
        default: break;
    }
}

void Collector::order_row(const Effect& e, const OrderRow& row) {
    const std::uint64_t intent = row.magic.intent();
    const auto [at, is_new] = story_->orders.try_emplace(intent);
    OrderStory& order = at->second;
    order.intent = intent;
    order.account = row.account;
    if (is_new && standby_took_ && standby_took_->as<AlertRow>().magic.intent() == intent) {
        order.deals.push_back(*standby_took_);
    }
    // Numbers of orders only grow: an older one that is new here had been forgotten.
    const RowBefore before = !is_new            ? RowBefore::Neighbour
                             : intent > newest_ ? RowBefore::None
                                                : RowBefore::LeftOut;
    newest_ = std::max(newest_, intent);
    const std::uint64_t left_out = order.left_out;
    keep(order.steps, Step{e, before, {}, {}}, order.left_out);
    if (order.left_out != left_out) {
        order.steps[kKept / 2].before = RowBefore::LeftOut;
    }
    if (story_->subject.what == Subject::What::Order) {
        story_->subject.signal = row.signal;
    }
    if (is_account() && is_final(row.status)) {
        forget_finished(intent);
    }
}

/// Of an account only what lives and the latest that ended are kept: it may have had millions.
void Collector::forget_finished(std::uint64_t intent) {
    if (std::find(finished_.begin(), finished_.end(), intent) == finished_.end()) {
        finished_.push_back(intent);
    }
    if (finished_.size() > kFinishedKept) {
        story_->orders.erase(finished_.front());
        finished_.pop_front();
    }
}

void Collector::about_order(const Effect& e, std::uint64_t intent) {
    const auto order = story_->orders.find(intent);
    if (order != story_->orders.end()) {
        keep(order->second.deals, e, order->second.left_out);
    } else if (e.kind == EffectKind::Alert && e.as<AlertRow>().code == AlertCode::StandbyTook) {
        standby_took_ = e;  // its order's first row is the next one
    }
}

/// Equity changes all day: only a change of the state or the link is an event.
void Collector::account_row(const Effect& e, const AccountRow& row) {
    const auto& last = story_->account.last;
    const bool news = !last || last->state != row.state || last->link != row.link ||
                      last->permissions != row.permissions;
    story_->account.last = row;
    if (news) {
        account_event({true, e, {}});
    }
}

void Collector::account_event(AccountEvent event) {
    keep(story_->account.events, std::move(event), story_->account.left_out);
}

void Collector::effects_done() {
    for (auto& [intent, order] : story_->orders) {
        theirs_.insert(order.last().signal);
        for (std::size_t i = 0; i < order.steps.size(); ++i) {
            wanted_[order.steps[i].row.seq.value].emplace_back(intent, i);
        }
    }
}

// -- the journal --------------------------------------------------------------------------------

/// The engine's own state from before the first change on: it has the numbers that decided.
void Collector::begin_state(const JournalRecord& first) {
    asked_state_ = true;
    if (wanted_.empty()) {
        return;
    }
    std::string message;
    const Sequence before{wanted_.begin()->first - 1};
    state_ = LogState::begin(where_->dir, before, first.seq, where_->capacity, message);
    if (state_ == nullptr) {
        state_ = LogState::begin_at_oldest(where_->dir);
        story_->notices.push_back("some numbers are missing: " + message +
                                  (state_ == nullptr
                                       ? ""
                                       : fmt::format("; those behind record {} are there",
                                                     state_->engine().seq().value)));
    }
    if (state_ != nullptr && state_->engine().globals().ledger_from_s != 0) {
        story_->notices.push_back(
            "the log of before " + moment_text(seconds(state_->engine().globals().ledger_from_s)) +
            " was lost: what is told of that time was taken over from the store");
    }
}

/// Into the engine, and out of the way once nothing more is asked of it.
void Collector::take_in(const JournalRecord& r) {
    if (state_ == nullptr) {
        return;
    }
    if (wanted_.empty() || r.seq.value >= wanted_.rbegin()->first) {
        state_.reset();
    } else if (!state_->apply(r)) {
        story_->notices.push_back(
            fmt::format("numbers behind record {} are missing: it is of "
                        "another logic version, or does not follow",
                        r.seq.value));
        state_.reset();
    }
}

void Collector::record(const JournalRecord& r) {
    if (!asked_state_) {
        begin_state(r);
    }
    const bool after = may_be_refused(r);
    if (!after) {
        standing_.apply(r);
    }
    switch (r.type) {
        case InputType::Signal: signal_record(r, r.as<Signal>()); break;
        case InputType::Report: report(r, r.as<Report>()); break;
        case InputType::Admin: admin(r, r.as<AdminRecord>()); break;
        default: break;
    }
    if (const auto changed = wanted_.find(r.seq.value); changed != wanted_.end()) {
        decide(r, changed->second);
    }
    take_in(r);
    if (after) {
        const bool taken = state_ == nullptr || state_->engine().seq() != r.seq ||
                           state_->engine().globals().admin_answer == AdminAnswer::Ok;
        if (taken) {
            standing_.apply(r);
        }
    }
}

void Collector::decide(const JournalRecord& r, const Wanted& changed) {
    for (const auto& [intent, index] : changed) {
        OrderStory& order = story_->orders.at(intent);
        Step& step = order.steps[index];
        step.cause = r;
        Decision d;
        d.row = step.row.as<OrderRow>();
        if (step.before == RowBefore::Neighbour) {
            d.before = order.steps[index - 1].row.as<OrderRow>();
            d.before_time = order.steps[index - 1].row.time;
        }
        d.cause = r;
        if (const auto heard = heard_.find(d.row.signal); heard != heard_.end()) {
            d.signal = heard->second.first;
            d.reference = heard->second.second;
        }
        const bool is_first = step.before == RowBefore::None;
        if (d.reference.value == 0 && is_first) {
            d.reference = d.row.side == Side::Buy ? r.ask : r.bid;
        }
        d.standing = &standing_;
        const bool before = state_ != nullptr && state_->engine().seq() < r.seq;
        d.engine = before ? &state_->engine() : nullptr;
        d.book = &where_->book;
        step.why = why(d);
        if (is_first) {
            order.sized = sized_by(d);
        }
    }
}

void Collector::signal_record(const JournalRecord& r, const Signal& s) {
    const bool asked = !is_account() && s.id == story_->subject.signal && !s.id.is_none();
    const bool first = !heard_.contains(s.id);
    if (first && (asked || theirs_.contains(s.id))) {
        const bool priced = r.bid.value > 0 && r.ask.value > 0;
        const Price market = !priced ? Price{} : s.side == Side::Buy ? r.ask : r.bid;
        heard_[s.id] = {s, s.reference_price.value != 0 ? s.reference_price : market};
    }
    if (!asked) {
        return;
    }
    std::uint64_t ignored = 0;
    keep(story_->signal.sent, r, ignored);
    if (first && !story_->signal.rows.empty()) {
        const auto refused = static_cast<Reason>(story_->signal.rows.back().as<SignalRow>().reason);
        story_->signal.why = why_refused(refused, r, standing_, where_->book);
    }
    const bool whole = story_->subject.what == Subject::What::Signal;
    if (!whole || !first || s.action != SignalAction::Open) {
        return;
    }
    for (const AccountId id : standing_.members_of(s.group)) {
        const auto* member = standing_.member(s.group, id);
        if (member->spec.enabled == 0) {
            story_->signal.absent.push_back(fmt::format(
                "account {}: its membership of group {} is switched off{}",
                where_->book.account(id), where_->book.group(s.group), said_by(member->note)));
        }
    }
}

void Collector::report(const JournalRecord& r, const Report& report) {
    const auto order = story_->orders.find(report.magic.intent());
    if (report.magic.value != 0 && order != story_->orders.end() &&
        order->second.account == report.account) {
        keep(order->second.reports, r, order->second.left_out);
    }
    const bool session =
        report.type == ReportType::SessionUp || report.type == ReportType::SessionDown;
    if (is_account() && session && report.account == story_->subject.account) {
        account_event({false, {}, r});
    }
}

void Collector::admin(const JournalRecord& r, const AdminRecord& a) {
    if (!is_account()) {
        return;
    }
    const AccountId account = story_->subject.account;
    bool about = false;
    switch (a.op) {
        case AdminOp::SetAccount: about = a.as<AccountCommand>().account == account; break;
        case AdminOp::DefineAccount: about = a.as<AccountSpec>().id == account; break;
        case AdminOp::DefineMember: about = a.as<MemberSpec>().account == account; break;
        case AdminOp::RemoveAccount: about = a.as<AccountRemoval>().account == account; break;
        case AdminOp::Kill:
        case AdminOp::ClearKill: {
            const auto k = a.as<KillCommand>();
            about = k.scope == KillScope::All ||
                    (k.scope == KillScope::Account && k.scope_id == account.value);
            break;
        }
        default: break;
    }
    if (about) {
        account_event({false, {}, r});
    }
}

// -- how it stands at the end -------------------------------------------------------------------

void Collector::tell_limits() {
    const auto* known = standing_.account(story_->subject.account);
    if (known == nullptr) {
        return;
    }
    const AccountSpec& a = known->spec;
    const auto or_none = [](std::uint64_t n, const std::string& text) {
        return n == 0 ? std::string{"none"} : text;
    };
    auto& out = story_->account.limits;
    out.push_back(fmt::format("login {}, {}", a.login,
                              a.margin_mode == MarginMode::Netting ? "netting" : "hedging"));
    out.push_back(
        fmt::format("max_lots {}, max_open_orders {}",
                    or_none(static_cast<std::uint64_t>(a.max_lots.value), number(a.max_lots.value)),
                    or_none(a.max_open_orders, std::to_string(a.max_open_orders))));
    out.push_back(fmt::format("rate {} a second, burst {}; deviation {} points", a.rate_per_second,
                              a.rate_burst, a.deviation_points));
    out.push_back("duplicate_window_ms " +
                  or_none(a.duplicate_window_ms, std::to_string(a.duplicate_window_ms)) +
                  (a.on_duplicate == DuplicateAction::Alert ? ", on_duplicate alert" : "") +
                  (a.on_double == DoubleAction::Alert ? "; on_duplicate_execution alert" : ""));
    if (const auto* limits = standing_.limits(story_->subject.account); limits != nullptr) {
        exposure_limits(limits->spec, out);
        loss_limits(limits->spec, out);
    }
    out.push_back("set" + said_by(known->note));
}

void Collector::journal_done() {
    AccountStory& account = story_->account;
    std::stable_sort(account.events.begin(), account.events.end(),
                     [](const AccountEvent& a, const AccountEvent& b) {
                         const auto seq = [](const AccountEvent& e) {
                             return e.is_effect ? e.effect.seq.value : e.record.seq.value;
                         };
                         return seq(a) != seq(b) ? seq(a) < seq(b) : !a.is_effect && b.is_effect;
                     });
    if (is_account()) {
        tell_limits();
        Standing::Scope scope;
        scope.account = story_->subject.account;
        for (const Known<KillCommand>& k : standing_.kills_on(scope)) {
            account.kills.push_back(
                admin_text(AdminRecord::make(AdminOp::Kill, k.spec), where_->book) +
                said_by(k.note));
        }
    }
    for (const auto& [intent, order] : story_->orders) {
        const OrderRow row = order.last();
        if (row.status == OrdStatus::InDoubt) {
            const LinkNote* link = standing_.link(row.account);
            account.remedies[intent] =
                remedy(row, link != nullptr && link->up, where_->book.account(row.account));
        }
    }
}

}  // namespace millrace::explain
