// Configuration and operator commands, as inputs.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr std::int64_t kToken = 1'000'000'000;

/// Globals::config_hash between RiskLimits and ConfigCommit where there was a configuration before:
/// names are known (not 0), and no configuration has it (tools/millrace/config_records.cpp).
constexpr std::uint64_t kHalfSent = 1;

DefinitionRow named(char kind, std::uint32_t id, const Text<16>& name,
                    GroupState state = GroupState::Active) noexcept {
    DefinitionRow row;
    row.kind = kind;
    row.state = static_cast<std::uint8_t>(state);
    row.id = id;
    row.name = name;
    return row;
}

}  // namespace

void Engine::on_start(const StartInput& s) noexcept {
    g_.epoch = s.epoch;
    g_.logic_version = s.logic_version;
    if (s.new_segment == 0) {
        return;
    }
    g_.admin_cursor = 0;
    segment_loss_.at = g_.time;
    // Cursors of the old segment mean nothing: whatever has no final report may be at a broker.
    alert(AlertCode::SegmentLost, AccountId{kNoId}, nullptr, s.epoch);
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        Account& a = accounts_[n];
        if (!a.defined) {
            continue;
        }
        a.link = LinkState::Down;
        a.synced = false;
        a.ready = false;
        update_account_state(a);
        note_reconciling(a);  // what passed while nothing ran does not count
        doubt_unanswered(a);
        // Once lost it stays so for what lives, whatever the gate is by now.
        a.lost_some = a.spec.leaves_early != 0 || (a.lost_some && a.live_orders > 0);
        if (a.lost_some) {
            doubt_held(a);
        }
    }
}

void Engine::on_admin(const AdminRecord& r) noexcept {
    g_.admin_detail = {};
    g_.admin_answer = answer_admin(r);
    g_.admin_cursor = record_->source_cursor;
}

AdminAnswer Engine::answer_admin(const AdminRecord& r) noexcept {
    switch (r.op) {
        case AdminOp::DefineSymbol: return define_symbol(r.as<SymbolSpec>());
        case AdminOp::DefineSource: return define_source(r.as<SourceSpec>());
        case AdminOp::DefineGroup: return define_group(r.as<GroupSpec>());
        case AdminOp::DefineAccount: return define_account(r.as<AccountSpec>());
        case AdminOp::DefineMember: return define_member(r.as<MemberSpec>());
        case AdminOp::ConfigCommit:
            g_.config_hash = r.as<ConfigCommit>().config_hash;
            end_unnamed();
            return AdminAnswer::Ok;
        case AdminOp::SetAccount: return set_account(r.as<AccountCommand>());
        case AdminOp::Kill: return on_kill(r.as<KillCommand>(), false);
        case AdminOp::ClearKill: return on_kill(r.as<KillCommand>(), true);
        case AdminOp::Resolve: return on_resolve(r.as<ResolveCommand>());
        case AdminOp::RiskLimits: return set_risk(r.as<RiskSpec>());
        case AdminOp::SetGroup: return set_group(r.as<GroupCommand>());
        case AdminOp::RemoveAccount: return remove_account(r.as<AccountRemoval>().account);
        case AdminOp::RemoveGroup: return remove_group(r.as<GroupRemoval>().group);
        case AdminOp::DefineLimits: return define_limits(r.as<LimitSpec>());
        case AdminOp::DefineSymbolLimits: return define_symbol_limits(r.as<SymbolLimitSpec>());
        case AdminOp::DefineCurrency: return define_currency(r.as<CurrencySpec>());
        case AdminOp::DefineMoneyLimits: return define_money_limits(r.as<MoneyLimitSpec>());
        case AdminOp::DefineHours: return define_hours(r.as<HoursSpec>());
        case AdminOp::DefineSymbolGuard: return define_symbol_guard(r.as<SymbolGuardSpec>());
    }
    return AdminAnswer::UnknownScope;
}

/// Tells the edges and the stores what a number means now.
void Engine::define(DefinitionRow row) noexcept {
    out_->definition(row);
    emit_definition(row);
}

/// The first record of a configuration. From here on none is in force whole, the one before
/// neither: whoever would send that one again must not find that it is there.
///
/// An order's id at the broker is made of the tag in force: under another one a look-up would ask
/// for an id that nobody ever had, and "never seen" would be proof enough to send it again.
/// (Rejected: a tag for each order. Terminals and FIX sessions know one, and refuse commands and
/// spare positions of any other.)
AdminAnswer Engine::set_risk(const RiskSpec& risk) noexcept {
    const bool lives = g_.live_orders > 0 || g_.open_positions > 0;
    if (risk.magic_tag != g_.risk.magic_tag && lives) {
        g_.admin_detail = {g_.live_orders, g_.open_positions};
        return AdminAnswer::TagInUse;
    }
    g_.risk = risk;
    begin_naming();
    g_.config_hash = std::min(g_.config_hash, kHalfSent);
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_symbol(const SymbolSpec& spec) noexcept {
    if (spec.id.value >= kSymbolsMax) {
        return AdminAnswer::TableFull;
    }
    symbols_[spec.id.value].spec = spec;
    symbols_[spec.id.value].defined = true;
    define(named('S', spec.id.value, spec.name));
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_source(const SourceSpec& spec) noexcept {
    if (spec.id.value >= kSourcesMax) {
        return AdminAnswer::TableFull;
    }
    sources_[spec.id.value].spec = spec;
    sources_[spec.id.value].defined = true;
    define(named('O', spec.id.value, spec.name));
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_group(const GroupSpec& spec) noexcept {
    if (spec.id.value >= kGroupsMax) {
        return AdminAnswer::TableFull;
    }
    Group& g = groups_[spec.id.value];
    if (g.state == GroupState::Removed) {
        return AdminAnswer::GroupRemoved;
    }
    if (spec.on_partial > static_cast<std::uint32_t>(PartialAction::Close)) {
        return AdminAnswer::BadState;
    }
    g.spec = spec;
    g.defined = true;
    define(named('G', spec.id.value, spec.name, g.state));  // one that is paused stays so
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_account(const AccountSpec& spec) noexcept {
    if (spec.id.value >= capacity_.accounts) {
        alert(AlertCode::TableFull, spec.id, nullptr, capacity_.accounts);
        return AdminAnswer::TableFull;
    }
    Account& a = accounts_[spec.id.value];
    if (a.removed) {
        return AdminAnswer::AccountRemoved;
    }
    const bool is_new = !a.defined;
    // Another login's terminal knows nothing of them: its "never seen" would be taken for proof.
    if (!is_new && a.spec.login != spec.login && (a.live_orders > 0 || a.open_positions > 0)) {
        g_.admin_detail = {a.live_orders, a.open_positions};
        return AdminAnswer::LoginInUse;
    }
    const bool reindex = !is_new && a.spec.margin_mode != spec.margin_mode;
    if (!is_new && a.spec.login != spec.login) {  // another account's equity, limits stay
        AccountRisk fresh;
        fresh.limits = risk_of(a).limits;
        risk_of(a) = fresh;
        AccountGuard& guard = account_guard_[spec.id.value];
        guard.leverage = 0;
        guard.free_margin = Money{};
        guard.filled_since = 0;
        forget_outcomes(a);
        update_account_state(a);
    }
    a.spec = spec;
    a.defined = true;
    for (std::uint32_t i = reindex ? a.first_order : kNoId; i != kNoId;
         i = orders_[i].next_in_account) {
        unindex_position(i);
        if (orders_[i].open_volume.value > 0) {
            index_position(i);
        }
    }
    if (is_new) {
        a.tokens = std::int64_t{spec.rate_burst} * kToken;
        a.tokens_time = g_.time;
        note_reconciling(a);
    }
    define(named('A', spec.id.value, spec.name));
    account_row(a);
    return AdminAnswer::Ok;
}

AdminAnswer Engine::define_member(const MemberSpec& spec) noexcept {
    const bool known = account_of(spec.account) != nullptr;
    if (spec.group.value >= kGroupsMax || !known) {
        const bool removed = !known && spec.account.value < capacity_.accounts &&
                             accounts_[spec.account.value].removed;
        // Who is not there is no member: nothing to take out.
        return spec.enabled == 0 ? AdminAnswer::Ok
               : known           ? AdminAnswer::UnknownGroup
               : removed         ? AdminAnswer::AccountRemoved
                                 : AdminAnswer::UnknownAccount;
    }
    Group& g = groups_[spec.group.value];
    if (g.state == GroupState::Removed) {
        return spec.enabled == 0 ? AdminAnswer::Ok : AdminAnswer::GroupRemoved;
    }
    g.standbys = spec.standby != 0 ? std::uint8_t{1} : g.standbys;
    for (std::uint32_t m = g.first_member; m != kNoId; m = members_[m].next) {
        if (members_[m].spec.account == spec.account) {
            g.enabled += spec.enabled != 0 ? 1U : 0U;
            g.enabled -= members_[m].spec.enabled != 0 ? 1U : 0U;
            members_[m].spec = spec;  // disabled ones stay in line and are passed over
            return AdminAnswer::Ok;
        }
    }
    const std::uint32_t i = members_.allocate();
    if (i == kNoId) {
        alert(AlertCode::TableFull, spec.account, nullptr, members_.capacity());
        return AdminAnswer::TableFull;
    }
    members_[i].spec = spec;
    (g.last_member != kNoId ? members_[g.last_member].next : g.first_member) = i;
    g.last_member = i;
    ++g.members;
    largest_group_ = std::max(largest_group_, g.members);
    g.enabled += spec.enabled != 0 ? 1U : 0U;
    return AdminAnswer::Ok;
}

AdminAnswer Engine::set_account(const AccountCommand& c) noexcept {
    Account* a = account_of(c.account);
    if (a == nullptr) {
        const bool removed =
            c.account.value < capacity_.accounts && accounts_[c.account.value].removed;
        return removed ? AdminAnswer::AccountRemoved : AdminAnswer::UnknownAccount;
    }
    if (c.state >= AccountState::Removed) {
        return AdminAnswer::BadState;  // that is RemoveAccount's, which looks first
    }
    a->wanted = c.state == AccountState::Reconciling ? AccountState::Trading : c.state;
    if (a->wanted == AccountState::Trading) {
        measure_anew(*a);
        forget_outcomes(*a);
    }
    update_account_state(*a);
    account_row(*a);
    return AdminAnswer::Ok;
}

void Engine::update_account_state(Account& a) noexcept {
    if (a.synced && a.queries_open == 0 && !a.query_queued) {
        a.ready = true;
        a.link = LinkState::Up;
    }
    AccountState next = within_halt(a);
    if (next == AccountState::Trading || next == AccountState::ReduceOnly) {
        next = !a.permitted         ? AccountState::Suspended
               : a.away || !a.ready ? AccountState::Reconciling
                                    : next;
    }
    const bool changes = next != a.state;
    a.state = next;
    if (changes && next == AccountState::Reconciling) {
        note_reconciling(a);
    }
    watch_exits(a, changes);
    if (!changes) {
        return;
    }
    if (next == AccountState::Trading || next == AccountState::ReduceOnly) {
        queue_release(a);
    }
    account_row(a);
}

/// By what its broker answered. Told by a row of its own, because the state that is shown may hide
/// it (RECONCILING), and who recovers from a store goes by the row.
void Engine::stop_account(Account& a, AccountState wanted) noexcept {
    a.wanted = wanted;
    account_row(a);
}

void Engine::queue_release(Account& a) noexcept {
    const std::uint32_t first = next_held(a.first_order);
    if (first == kNoId) {
        return;
    }
    if (a.release_queued) {
        // It may have passed one that had to wait for what is known only now.
        find_job(JobKind::Release, a)->cursor = first;
        return;
    }
    a.release_queued = true;
    push_job({JobKind::Release, a.spec.id.value, first, 0});
}

/// Look-ups of everything unanswered; of working orders too if events about them may be lost.
void Engine::queue_queries(Account& a, bool working_too) noexcept {
    const std::uint32_t detail = working_too ? 1 : 0;
    if (a.query_queued) {
        Job* job = find_job(JobKind::QueryAll, a);
        job->cursor = a.first_order;  // a newer session: ask everything again
        job->detail |= detail;
        return;
    }
    if (a.live_orders > 0) {
        a.query_queued = true;
        push_job({JobKind::QueryAll, a.spec.id.value, a.first_order, detail});
    }
}

AdminAnswer Engine::on_kill(const KillCommand& c, bool clear) noexcept {
    std::uint8_t* flags = nullptr;
    switch (c.scope) {
        case KillScope::All: flags = &g_.killed_all; break;
        case KillScope::Account: {
            Account* a = account_of(AccountId{c.scope_id});
            flags = a == nullptr ? nullptr : &a->killed;
            break;
        }
        case KillScope::Group:
            flags = c.scope_id < kGroupsMax ? &groups_[c.scope_id].killed : nullptr;
            break;
        case KillScope::Symbol:
            flags = c.scope_id < kSymbolsMax ? &symbols_[c.scope_id].killed : nullptr;
            break;
        case KillScope::Source:
            flags = c.scope_id < kSourcesMax ? &sources_[c.scope_id].killed : nullptr;
            break;
    }
    if (flags == nullptr) {
        return AdminAnswer::UnknownScope;
    }
    *flags = clear ? std::uint8_t{0} : static_cast<std::uint8_t>(*flags | c.actions);
    alert(AlertCode::Killed, AccountId{c.scope == KillScope::Account ? c.scope_id : kNoId}, nullptr,
          c.kill_id);
    if (!clear && (c.actions & kKillStop) != 0) {
        end_barred_entries();
    }
    return AdminAnswer::Ok;
}

/// Entries that wait fall to a kill or a pause now: lifted later, it must not let them go.
void Engine::end_barred_entries() noexcept {
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        for (std::uint32_t i = accounts_[n].first_order; i != kNoId;) {
            const Order& o = orders_[i];
            const std::uint32_t next = o.next_in_account;
            const Reason why = o.status == OrdStatus::Held ? barred(o) : Reason::None;
            if (why != Reason::None) {
                end(i, OrdStatus::Rejected, why);
            }
            i = next;
        }
    }
}

AdminAnswer Engine::on_resolve(const ResolveCommand& c) noexcept {
    for (std::uint32_t n = 0; n < capacity_.accounts; ++n) {
        const std::uint32_t i = by_intent_.find(key_of(AccountId{n}, c.magic.intent()));
        if (i == kNoId || orders_[i].status != OrdStatus::InDoubt ||
            c.magic != magic_of(orders_[i])) {
            continue;
        }
        const CommandType type = orders_[i].type;
        const bool deals = type == CommandType::Open || type == CommandType::Close;
        if (c.status == OrdStatus::Filled && (c.volume.value > 0 || !deals)) {
            Report r;
            r.account = AccountId{n};
            r.magic = c.magic;
            r.retcode = retcode::kDone;
            r.volume = c.volume;
            r.price = c.price;
            r.position_id = c.position_id;
            bind_tickets(orders_[i], r);
            orders_[i].marks |= type == CommandType::Close ? kSaidByHand : std::uint8_t{0};
            on_executed(i, r);
            hand_down(r.account, c);
            return AdminAnswer::Ok;
        }
        if (is_final(c.status) && c.status != OrdStatus::Filled) {
            end(i, c.status, Reason::CanceledByUser);
            hand_down(AccountId{n}, c);
            return AdminAnswer::Ok;
        }
        break;  // "filled" without a volume says nothing: the order stays in doubt
    }
    const AccountId named{c.executor_of - 1};
    if (c.executor_of == 0 || account_of(named) == nullptr || !is_final(c.status)) {
        return AdminAnswer::NotInDoubt;
    }
    const std::uint32_t i = by_intent_.find(key_of(named, c.magic.intent()));
    if (i != kNoId && !is_final(orders_[i].status)) {
        return AdminAnswer::NotInDoubt;
    }
    hand_down(named, c);
    return AdminAnswer::Ok;
}

/// An executor whose venue says nothing is in doubt itself: about the position, and so about what
/// a kill may close.
void Engine::hand_down(AccountId account, const ResolveCommand& c) noexcept {
    OrderCommand told;
    told.account = account;
    told.magic = c.magic;
    told.type = CommandType::Resolve;
    told.flags = c.status == OrdStatus::Filled ? kResolvedAsDone : std::uint8_t{0};
    told.volume = c.volume;
    told.price = c.price;
    emit(told);
}

void Engine::replay_definitions(OutputPort& out) const noexcept {
    for (std::uint32_t i = 0; i < kSymbolsMax; ++i) {
        if (symbols_[i].defined) {
            out.definition(named('S', i, symbols_[i].spec.name));
        }
        if (groups_[i].defined) {
            out.definition(named('G', i, groups_[i].spec.name, groups_[i].state));
        }
        if (sources_[i].defined) {
            out.definition(named('O', i, sources_[i].spec.name));
        }
    }
    for (std::uint32_t i = 0; i < capacity_.accounts; ++i) {
        if (accounts_[i].defined) {
            out.definition(named('A', i, accounts_[i].spec.name));
        }
    }
}

}  // namespace millrace
