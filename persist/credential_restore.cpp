#include "persist/credential_restore.h"

#include <algorithm>

#include "shm/clock.h"

namespace millrace {
namespace {

/// All that makes a row usable. Not its times: a store keeps its own.
bool same(const CredentialRow& a, const CredentialRow& b) {
    return a.account == b.account && a.login == b.login && a.state == b.state &&
           a.version == b.version && a.sealed_version == b.sealed_version && a.sealed == b.sealed &&
           a.reason == b.reason;
}

RestoreRow planned(const CredentialRow& row, const CredentialRow& stored) {
    RestoreRow p{row, RestoreMeets::Same, stored.version};
    if (same(row, stored)) {
        return p;
    }
    // Also by time: a store that was lost and begun anew counts versions from one again.
    const bool earlier = stored.version < row.version && stored.changed_ns <= row.changed_ns;
    p.meets = earlier ? RestoreMeets::Earlier : RestoreMeets::Later;
    // Versions only grow, or a writer that read the one in between would undo this.
    p.row.version = std::max(row.version, stored.version + 1);
    return p;
}

}  // namespace

std::string_view to_string(RestoreMeets meets) noexcept {
    switch (meets) {
        case RestoreMeets::Same: return "the same is there";
        case RestoreMeets::Nothing: return "missing";
        case RestoreMeets::Earlier: return "an earlier one is there";
        case RestoreMeets::Later: return "A LATER OR ANOTHER ONE IS THERE";
    }
    return "?";
}

std::vector<RestoreRow> plan_restore(const std::vector<CredentialRow>& stored,
                                     const std::vector<CredentialRow>& rows) {
    std::vector<RestoreRow> plan;
    for (const CredentialRow& row : rows) {
        const auto at = std::find_if(stored.begin(), stored.end(),
                                     [&](const auto& s) { return s.account == row.account; });
        plan.push_back(at == stored.end() ? RestoreRow{row, RestoreMeets::Nothing, 0}
                                          : planned(row, *at));
    }
    return plan;
}

Status restore_rows(CredentialStore& store, const std::vector<RestoreRow>& plan,
                    const std::string& event, bool force) {
    const bool later = std::any_of(plan.begin(), plan.end(), [](const RestoreRow& p) {
        return p.meets == RestoreMeets::Later;
    });
    if (later && !force) {
        return {Errc::BadVersion, "the store has what is later than the backup"};
    }
    for (const RestoreRow& p : plan) {
        if (p.meets == RestoreMeets::Same) {
            continue;
        }
        CredentialRow row = p.row;
        row.changed_ns = wall_ns();  // the event's time too: when it was restored, not backed up
        if (auto put = store.put(row, p.stored_version, event); !put) {
            return put;
        }
    }
    for (const RestoreRow& p : plan) {
        const auto found = store.find(p.row.account);
        if (!found) {
            return found.error();
        }
        if (!found.value() || !same(*found.value(), p.row)) {
            return {Errc::BadChecksum, "what was restored reads back as something else"};
        }
    }
    return ok_status();
}

}  // namespace millrace
