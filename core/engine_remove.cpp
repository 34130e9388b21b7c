// Groups paused and resumed, accounts and groups removed for good: as inputs, at one place of the
// sequence. What would lose something is refused with what stands in the way.
#include "core/engine.h"

namespace millrace {
namespace {

DefinitionRow removed(char kind, std::uint32_t id, const Text<16>& name) noexcept {
    DefinitionRow row;
    row.kind = kind;
    row.state = static_cast<std::uint8_t>(GroupState::Removed);
    row.id = id;
    row.name = name;
    return row;
}

}  // namespace

AdminAnswer Engine::set_group(const GroupCommand& c) noexcept {
    if (c.group.value >= kGroupsMax) {
        return AdminAnswer::UnknownGroup;
    }
    Group& g = groups_[c.group.value];
    if (!g.defined) {
        return g.state == GroupState::Removed ? AdminAnswer::GroupRemoved
                                              : AdminAnswer::UnknownGroup;
    }
    if (c.state != GroupState::Active && c.state != GroupState::Paused) {
        return AdminAnswer::BadState;
    }
    if (g.state == c.state) {
        return AdminAnswer::Ok;
    }
    g.state = c.state;
    DefinitionRow row;
    row.kind = 'G';
    row.state = static_cast<std::uint8_t>(g.state);
    row.id = c.group.value;
    row.name = g.spec.name;
    define(row);
    if (g.state == GroupState::Paused) {
        end_barred_entries();
    }
    return AdminAnswer::Ok;
}

/// What of an account or group still lives, as the answer; Ok if nothing does.
AdminAnswer Engine::obstacle(AdminDetail live, std::uint32_t in_doubt) noexcept {
    if (in_doubt > 0) {
        g_.admin_detail = {in_doubt, live.positions};
        return AdminAnswer::OrdersInDoubt;
    }
    if (live.orders > 0 || live.positions > 0) {
        g_.admin_detail = live;
    }
    return live.orders > 0      ? AdminAnswer::OrdersLive
           : live.positions > 0 ? AdminAnswer::PositionsOpen
                                : AdminAnswer::Ok;
}

AdminAnswer Engine::remove_account(AccountId id) noexcept {
    Account* a = account_of(id);
    if (a == nullptr) {
        const bool was = id.value < capacity_.accounts && accounts_[id.value].removed;
        return was ? AdminAnswer::Ok : AdminAnswer::UnknownAccount;
    }
    if (const AdminAnswer no = obstacle({a->live_orders, a->open_positions}, a->in_doubt);
        no != AdminAnswer::Ok) {
        return no;
    }
    for (std::uint32_t n = 0; n < kGroupsMax; ++n) {
        const Group& g = groups_[n];
        for (std::uint32_t m = g.first_member; m != kNoId; m = members_[m].next) {
            if (members_[m].spec.account == id && fans_out_to(GroupId{n})) {
                return AdminAnswer::FanOutRuns;  // it may be about to give this account its share
            }
        }
    }
    for (std::uint32_t n = 0; n < kGroupsMax; ++n) {
        std::uint32_t before = kNoId;
        for (std::uint32_t m = groups_[n].first_member; m != kNoId; m = members_[m].next) {
            if (members_[m].spec.account == id) {
                remove_member(groups_[n], before, m);
                break;
            }
            before = m;
        }
    }
    a->defined = false;
    a->removed = true;
    a->synced = false;
    a->ready = false;
    a->state = AccountState::Removed;
    a->wanted = AccountState::Removed;
    a->link = LinkState::Down;
    define(removed('A', id.value, a->spec.name));
    account_row(*a);
    return AdminAnswer::Ok;
}

AdminAnswer Engine::remove_group(GroupId id) noexcept {
    if (id.value >= kGroupsMax) {
        return AdminAnswer::UnknownGroup;
    }
    Group& g = groups_[id.value];
    if (!g.defined) {
        return g.state == GroupState::Removed ? AdminAnswer::Ok : AdminAnswer::UnknownGroup;
    }
    if (fans_out_to(id)) {
        return AdminAnswer::FanOutRuns;
    }
    AdminDetail live;
    std::uint32_t in_doubt = 0;
    for (std::uint32_t i = 0; i < orders_.used(); ++i) {
        if (!orders_.is_live(i) || ledger_[orders_[i].signal].signal.group != id) {
            continue;
        }
        in_doubt += orders_[i].status == OrdStatus::InDoubt ? 1U : 0U;
        live.orders += is_final(orders_[i].status) ? 0U : 1U;
        live.positions += orders_[i].open_volume.value > 0 ? 1U : 0U;
    }
    if (const AdminAnswer no = obstacle(live, in_doubt); no != AdminAnswer::Ok) {
        return no;
    }
    while (g.first_member != kNoId) {
        remove_member(g, kNoId, g.first_member);
    }
    g.defined = false;
    g.state = GroupState::Removed;
    define(removed('G', id.value, g.spec.name));
    return AdminAnswer::Ok;
}

/// True while an entry for `group` is being handed out: its job stands in the list of members.
bool Engine::fans_out_to(GroupId group) const noexcept {
    for (std::uint32_t n = 0; n < jobs_size_; ++n) {
        const Job& job = jobs_[(jobs_head_ + n) % jobs_capacity_];
        if (job.kind == JobKind::FanOut && ledger_[job.subject].signal.group == group) {
            return true;
        }
    }
    return false;
}

/// Takes `member`, which follows `before` (kNoId: is the first), out of the group's list.
void Engine::remove_member(Group& g, std::uint32_t before, std::uint32_t member) noexcept {
    const std::uint32_t next = members_[member].next;
    (before != kNoId ? members_[before].next : g.first_member) = next;
    g.last_member = g.last_member == member ? before : g.last_member;
    --g.members;
    g.enabled -= members_[member].spec.enabled != 0 ? 1U : 0U;
    members_.release(member);
    measure_groups();
}

void Engine::measure_groups() noexcept {
    largest_group_ = 0;
    for (std::uint32_t n = 0; n < kGroupsMax; ++n) {
        largest_group_ = std::max(largest_group_, groups_[n].members);
    }
}

/// The terminal of a removed account may be connected still. Its events are acknowledged, so that
/// it need not keep them; a deal is told to people, because nobody here follows it any more.
void Engine::on_report_of_removed(Account& a, const Report& r) noexcept {
    if (r.type == ReportType::SessionUp && a.journal_id != r.journal_id) {
        a.journal_id = r.journal_id;
        a.last_event = 0;
    }
    if (r.event_seq != 0) {
        if (r.event_seq <= a.last_event) {
            return;
        }
        a.last_event = r.event_seq;
    }
    if (r.volume.value > 0) {
        alert(AlertCode::UnknownReport, r.account, nullptr, r.magic.value);
    }
}

}  // namespace millrace
