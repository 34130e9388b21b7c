// EngineDriver, what it tells by cells of the segment: to inspectors, to the command line, to the
// broker stage and to the replica that checks its hash.
#include "persist/engine_driver.h"

namespace millrace {

/// What became of the latest admin record of this segment, for the command line that waits.
void EngineDriver::answer_admin(const Engine& engine) noexcept {
    const Globals& g = engine.globals();
    CoreCells& core = segment_->core();
    // Release: pairs with ingress' acquire; the names are there before the hash that needs them.
    core.config_hash.store(g.config_hash, std::memory_order_release);
    if (g.admin_cursor == 0) {
        return;
    }
    note_accounts(engine);  // who is told of a disabled account must find it so
    core.admin_last_status.store(g.admin_cursor << 8 | static_cast<std::uint64_t>(g.admin_answer),
                                 std::memory_order_relaxed);
    core.admin_last_detail.store(
        std::uint64_t{g.admin_detail.orders} << 32 | g.admin_detail.positions,
        std::memory_order_relaxed);
    // Release: pairs with the command line's acquire; status and detail belong to this number.
    core.admin_applied.store(g.admin_cursor, std::memory_order_release);
}

void EngineDriver::note_hash(Engine& engine) noexcept {
    const std::uint64_t seq = engine.seq().value;
    if (seq % kHashCheckEvery != 0) {
        return;
    }
    HashCheck& check = segment_->hash_check(static_cast<std::uint32_t>(seq / kHashCheckEvery));
    // A reader takes `hash` only between two equal reads of `seq`.
    check.seq.store(0, std::memory_order_relaxed);
    check.hash.store(engine.check_hash(seq / kHashCheckEvery), std::memory_order_release);
    check.seq.store(seq, std::memory_order_release);
}

void EngineDriver::note_account(const Engine& engine, AccountId id) noexcept {
    if (id.value >= segment_->sessions() || id.value >= engine.account_count()) {
        return;
    }
    const Account& a = engine.account(id);
    SessionEntry& cell = segment_->session(id);
    cell.account_state.store(static_cast<std::uint32_t>(a.state), std::memory_order_relaxed);
    cell.live_orders.store(a.live_orders, std::memory_order_relaxed);
    // The record's number first: a reader that sees the event (acquire) sees a number that is at
    // least its record's, so it never acknowledges too early.
    cell.applied_event_seq.store(engine.seq().value, std::memory_order_relaxed);
    cell.applied_journal.store(a.journal_id, std::memory_order_relaxed);
    cell.applied_event.store(a.last_event, std::memory_order_release);
}

void EngineDriver::note_accounts(const Engine& engine) noexcept {
    for (std::uint32_t i = 0; i < engine.account_count(); ++i) {
        if (engine.account(AccountId{i}).defined || engine.account(AccountId{i}).removed) {
            note_account(engine, AccountId{i});
        }
    }
}

void EngineDriver::publish_cells(Engine& engine) noexcept {
    const Globals& g = engine.globals();
    CoreCells& core = segment_->core();
    core.live_orders.store(g.live_orders, std::memory_order_relaxed);
    core.in_doubt.store(g.in_doubt, std::memory_order_relaxed);
    core.open_positions.store(g.open_positions, std::memory_order_relaxed);
    core.signals_accepted.store(g.signals_accepted, std::memory_order_relaxed);
    core.entries_refused.store(g.signals_refused, std::memory_order_relaxed);
    core.orders_sent.store(g.orders_sent, std::memory_order_relaxed);
    core.orders_filled.store(g.orders_filled, std::memory_order_relaxed);
    core.orders_rejected.store(g.orders_rejected, std::memory_order_relaxed);
    core.config_hash.store(g.config_hash, std::memory_order_release);  // as in answer_admin()
    note_accounts(engine);
    const Nanos now = segment_->clock().now();
    journal_.publish_stats(now.value);
    outputs_.publish_stats(now);
}

}  // namespace millrace
