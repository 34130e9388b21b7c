// Which account takes an entry whose member names a standby (C37; off unless it does).
//
// The choice is made once, when the entry is handed out, and nothing is ever moved: what was given
// to an account stays its own, sent, held or in doubt, and closes go where the position is. So no
// signal is on both, whatever becomes of either later.
#include "core/engine.h"

namespace millrace {

/// True if `a` cannot take entries, for a reason that is not its own limits or its user's wish:
/// losses, a broken rule or "no entries" must not be traded around on another account.
bool Engine::is_out(const Account& a, std::uint32_t after_s) const noexcept {
    const AccountRisk& r = account_risk_[a.spec.id.value];
    if (r.halt != Halt::None || r.slipped != 0) {
        return false;
    }
    switch (a.state) {
        case AccountState::Suspended:
        case AccountState::Disabled: return true;
        case AccountState::Reconciling: {
            const Nanos since = account_standby_[a.spec.id.value].reconciling_since;
            return g_.time - since >= seconds(after_s);
        }
        default: return false;
    }
}

/// The account that takes member `m`'s order of the entry being handed out; kNoId if it has one
/// already, as another's standby. One that stands by takes it only while it is TRADING.
AccountId Engine::taker_of(const MemberSpec& m, GroupId group) noexcept {
    // One entry is handed out at a time, so this tells it from every other.
    const auto signal = static_cast<std::uint32_t>(g_.signals_accepted);
    if (groups_[group.value].standbys == 0) {
        account_standby_[m.account.value].given = signal;  // its first may be named before the end
        return m.account;
    }
    const auto takes = [this, signal](AccountId id) {
        if (account_standby_[id.value].given == signal) {
            return false;
        }
        account_standby_[id.value].given = signal;
        return true;
    };
    const Account* const standby = m.standby == 0 ? nullptr : account_of(AccountId{m.standby - 1});
    if (standby != nullptr && standby->state == AccountState::Trading &&
        is_out(accounts_[m.account.value], m.standby_after_s) && takes(standby->spec.id)) {
        return standby->spec.id;
    }
    return takes(m.account) ? m.account : AccountId{kNoId};
}

void Engine::tell_standby(const Order& o, const MemberSpec& m) noexcept {
    if (o.account != m.account) {
        const Account& primary = accounts_[m.account.value];
        alert(AlertCode::StandbyTook, m.account, &o, static_cast<std::uint64_t>(primary.state));
    }
}

/// From here on the time runs after which its standby takes over.
void Engine::note_reconciling(const Account& a) noexcept {
    account_standby_[a.spec.id.value].reconciling_since = g_.time;
}

}  // namespace millrace
