// What the sessions of executors say of themselves: that one begins, that one has ended.
#include "core/engine.h"

namespace millrace {

void Engine::on_session_up(Account& a, const Report& r) noexcept {
    a.link = LinkState::Syncing;
    a.generation = r.session_generation;
    a.synced = false;
    a.ready = false;
    const bool lost = a.journal_id != 0 && a.journal_id != r.journal_id;
    if (lost) {
        alert(AlertCode::ExecutorJournalLost, r.account, nullptr, r.journal_id);
    }
    if (a.journal_id != r.journal_id) {
        a.journal_id = r.journal_id;
        a.last_event = 0;  // a new journal numbers its events anew
    }
    // The old session's look-ups may stay unanswered; an order that has got its answer meanwhile
    // is not asked about again and must not keep the account waiting.
    for (std::uint32_t i = a.first_order; i != kNoId; i = orders_[i].next_in_account) {
        close_query(orders_[i]);
    }
    // Look-ups of everything unanswered; what was never received is thereby proven absent.
    queue_queries(a, lost);
    update_account_state(a);
    account_row(a);
}

void Engine::on_session_down(Account& a) noexcept {
    a.link = LinkState::Down;
    a.synced = false;
    a.ready = false;
    update_account_state(a);
    alert(AlertCode::LinkDown, a.spec.id, nullptr, a.generation);
    // Nobody is left to answer (C19). Those that had not left the host yet are found out by the
    // look-ups of the next session, or answered Unsent.
    doubt_unanswered(a);
    account_row(a);
}

}  // namespace millrace
