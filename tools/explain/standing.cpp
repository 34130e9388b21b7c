#include "tools/explain/standing.h"

#include <algorithm>
#include <string>

#include "core/retcode.h"
#include "shm/segment.h"

namespace millrace::explain {
namespace {

template <class Map, class Key>
auto find_in(const Map& map, const Key& key) -> const typename Map::mapped_type* {
    const auto at = map.find(key);
    return at == map.end() ? nullptr : &at->second;
}

}  // namespace

void Standing::seed(const std::vector<AdminRecord>& configured) {
    for (const AdminRecord& r : configured) {
        admin(r, Note{});
    }
}

void Standing::apply(const JournalRecord& record) {
    Note note{record.seq, record.time, {}};
    if (record.type == InputType::Admin) {
        const auto r = record.as<AdminRecord>();
        note.who = actor_of(r);
        admin(r, note);
    } else if (record.type == InputType::Report) {
        report(record.as<Report>(), note);
    }
}

void Standing::admin(const AdminRecord& r, const Note& note) {
    switch (r.op) {
        case AdminOp::DefineSymbol:
            symbols_[r.as<SymbolSpec>().id.value] = {r.as<SymbolSpec>(), note};
            break;
        case AdminOp::DefineAccount:
            accounts_[r.as<AccountSpec>().id.value] = {r.as<AccountSpec>(), note};
            break;
        case AdminOp::DefineMember: {
            const auto m = r.as<MemberSpec>();
            members_[{m.group.value, m.account.value}] = {m, note};
            break;
        }
        case AdminOp::DefineLimits: define_limits(r.as<LimitSpec>(), note); break;
        case AdminOp::RiskLimits: risk_ = {r.as<RiskSpec>(), note}; break;
        case AdminOp::SetAccount:
            account_set_[r.as<AccountCommand>().account.value] = {r.as<AccountCommand>(), note};
            break;
        case AdminOp::SetGroup:
            group_set_[r.as<GroupCommand>().group.value] = {r.as<GroupCommand>(), note};
            break;
        case AdminOp::Kill:
        case AdminOp::ClearKill: {
            const auto k = r.as<KillCommand>();
            const Pair where{static_cast<std::uint32_t>(k.scope),
                             k.scope == KillScope::All ? kNoId : k.scope_id};
            if (r.op == AdminOp::ClearKill) {
                kills_.erase(where);
            } else if ((k.actions & kKillStop) != 0) {
                kills_.try_emplace(where, Known<KillCommand>{k, note});
            }
            break;
        }
        case AdminOp::RemoveAccount:
            std::erase_if(members_, [&r](const auto& m) {
                return m.first.second == r.as<AccountRemoval>().account.value;
            });
            break;
        default: break;
    }
}

void Standing::define_limits(const LimitSpec& l, const Note& note) {
    if (l.scope != LimitScope::Account) {
        return;
    }
    const bool any = l.max_positions > 0 || l.max_symbol_positions > 0 || l.max_volume.value > 0 ||
                     l.max_symbol_volume.value > 0 || l.daily() || l.drawdown() ||
                     l.max_slippage > 0;
    if (any) {
        limits_[l.id] = {l, note};
    } else {
        limits_.erase(l.id);
    }
}

void Standing::report(const Report& r, const Note& note) {
    if (r.type == ReportType::SessionUp || r.type == ReportType::SessionDown) {
        links_[r.account.value] = {r.type == ReportType::SessionUp, note};
    } else if (r.type == ReportType::Outcome || r.type == ReportType::QueryFound) {
        const bool stops =
            r.retcode == retcode::kNoMoney || classify(r.retcode) == RetcodeClass::Suspend;
        if (stops) {
            refusals_[r.account.value] = {r.retcode, note};
        }
    }
}

const Known<AccountSpec>* Standing::account(AccountId id) const {
    return find_in(accounts_, id.value);
}
const Known<LimitSpec>* Standing::limits(AccountId id) const {
    return find_in(limits_, id.value);
}
const Known<SymbolSpec>* Standing::symbol(SymbolId id) const {
    return find_in(symbols_, id.value);
}
const Known<MemberSpec>* Standing::member(GroupId group, AccountId account) const {
    return find_in(members_, Pair{group.value, account.value});
}
const Known<AccountCommand>* Standing::account_set(AccountId id) const {
    return find_in(account_set_, id.value);
}
const Known<GroupCommand>* Standing::group_set(GroupId id) const {
    return find_in(group_set_, id.value);
}
const LinkNote* Standing::link(AccountId id) const {
    return find_in(links_, id.value);
}
const RefusalNote* Standing::refusal(AccountId id) const {
    return find_in(refusals_, id.value);
}

std::vector<AccountId> Standing::members_of(GroupId group) const {
    std::vector<AccountId> all;
    for (const auto& [key, member] : members_) {
        if (key.first == group.value) {
            all.emplace_back(key.second);
        }
    }
    return all;
}

std::vector<Known<KillCommand>> Standing::kills_on(const Scope& scope) const {
    const Pair wanted[] = {{static_cast<std::uint32_t>(KillScope::All), kNoId},
                           {static_cast<std::uint32_t>(KillScope::Account), scope.account.value},
                           {static_cast<std::uint32_t>(KillScope::Symbol), scope.symbol.value},
                           {static_cast<std::uint32_t>(KillScope::Group), scope.group.value},
                           {static_cast<std::uint32_t>(KillScope::Source), scope.source.value}};
    std::vector<Known<KillCommand>> found;
    for (const Pair& where : wanted) {
        if (const auto* kill = find_in(kills_, where); kill != nullptr) {
            found.push_back(*kill);
        }
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return a.note.seq.value < b.note.seq.value;
    });
    return found;
}

std::string who_text(const Actor& who) {
    if (!who.known()) {
        return {};
    }
    std::string text{view(who.user)};
    text += " (uid " + std::to_string(who.uid) + ")";
    return who.host.bytes[0] == '\0' ? text : text + " on " + std::string{view(who.host)};
}

}  // namespace millrace::explain
