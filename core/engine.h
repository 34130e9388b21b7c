// Engine: the deterministic state machine. apply(record) -> outputs, and nothing else.
//
// No clock, no I/O, no allocation after construction, no randomness, no hash order. The same
// records give the same outputs and the same state, on every compiler, for ever (DESIGN rule 1).
//
// The file is the map; the work is in
//     engine_signal.cpp   signals: ledger, validation, fan-out, pre-trade checks (risk.cpp)
//     engine_order.cpp    an order's life: create, send, retry, end
//     engine_close.cpp    what acts on another order: closes, modifies, cancels
//     engine_report.cpp   what executors say
//     engine_outcome.cpp  second executions, partial fills, symbols switched off, brokers away
//     engine_late.cpp     closes that are executed after they were over
//     engine_standby.cpp  which account takes an entry, where a member names a standby
//     engine_limits.cpp   limits of accounts and groups, halts after losses
//     engine_money.cpp    currencies, notional, leverage, free margin
//     engine_hours.cpp    hours, the week's end, collars in points, how often orders are changed
//     engine_timer.cpp    deadlines: TTL, answer timeout, look-ups, retries
//     engine_admin.cpp    configuration and operator commands
//     engine_remove.cpp   groups paused; accounts and groups removed for good
//     engine_results.cpp  ends of orders that wait for a place in their source's results ring
//     engine_state.cpp    state hash, snapshot image
//     engine_restore.cpp  state from what a store knows, after the loss of the log
#pragma once

#include "core/capacity.h"
#include "core/effect.h"
#include "core/index_map.h"
#include "core/journal_record.h"
#include "core/pool.h"
#include "core/restored.h"
#include "core/result.h"
#include "core/retcode.h"
#include "core/state.h"
#include "core/timer_heap.h"

#include <vector>

namespace millrace {

/// Where outputs go. `order` and `result` carry (seq, k), unique and rising; the caller publishes
/// or drops them. `effect` is called only if effects_wanted().
class OutputPort {
public:
    virtual ~OutputPort() = default;
    virtual void order(const OrderCommand& command) noexcept = 0;
    virtual void result(const SignalResult& result) noexcept = 0;
    virtual void effect(const Effect& effect) noexcept { (void)effect; }
    virtual void definition(const DefinitionRow& row) noexcept { (void)row; }
    [[nodiscard]] virtual bool effects_wanted() const noexcept { return false; }
};

/// The format of a snapshot image; 0 = none that has a number.
[[nodiscard]] std::uint32_t image_format(const std::byte* image, std::size_t bytes) noexcept;
/// The sizes of the tables that a snapshot image of our format was made with; all 0 for others.
[[nodiscard]] Capacity image_capacity(const std::byte* image, std::size_t bytes) noexcept;

class Engine {
public:
    explicit Engine(const Capacity& capacity);

    /// Applies one record. `record.seq` must follow the last one (any higher for a Jump).
    /// Outputs at most max(budget, 1) orders; what is left waits in has_work().
    void apply(const JournalRecord& record, OutputPort& out) noexcept;

    // -- what the driver asks before it takes the next input --------------------------------

    /// True if a fan-out, release or look-up waits for a Continue record.
    [[nodiscard]] bool has_work() const noexcept { return jobs_size_ > 0; }
    /// Symbol whose price the next Continue (or Timer) record must carry; kNoId if none.
    [[nodiscard]] SymbolId work_symbol() const noexcept;
    [[nodiscard]] SymbolId timer_symbol() const noexcept;
    /// Earliest deadline; a Timer record is due when the clock has passed it. max() if none.
    [[nodiscard]] Nanos next_deadline() const noexcept;
    /// Symbol whose quote a Rate record must tell before a Signal, Timer or Continue record of
    /// `now`; kNoId if none is due. One that has been told is due again a second later.
    [[nodiscard]] SymbolId rate_symbol(Nanos now) const noexcept;
    /// Result slots that `signal` may need; the driver takes it only if they are free.
    [[nodiscard]] std::uint32_t results_needed(const Signal& signal) const noexcept;
    /// Result slots promised to what `source` has in flight.
    [[nodiscard]] std::uint32_t results_reserved(SourceId source) const noexcept;
    /// True if the end of some order waits for a slot of its source's results ring.
    [[nodiscard]] bool owes_results() const noexcept { return g_.ends_owed > 0; }
    /// Slots that a Deliver record for `source` must offer to get anything told; 0 = nothing owed.
    [[nodiscard]] std::uint32_t results_owed(SourceId source) const noexcept;
    [[nodiscard]] std::uint32_t results_reserved_total() const noexcept {
        return g_.total_reserved_results;
    }

    // -- state ----------------------------------------------------------------------------

    [[nodiscard]] Sequence seq() const noexcept { return g_.seq; }
    [[nodiscard]] Nanos time() const noexcept { return g_.time; }
    [[nodiscard]] const Globals& globals() const noexcept { return g_; }
    [[nodiscard]] std::uint64_t output_hash() const noexcept { return g_.output_hash; }
    /// Hash over the whole state; equal on every replica at the same sequence.
    [[nodiscard]] std::uint64_t state_hash() noexcept;
    /// What two engines compare that apply the same log: everything put out so far, all counters,
    /// and of each table one window, the next one at each `turn`. A difference in the state that no
    /// output shows is found when its window comes round; some kilobytes are read, not the state.
    [[nodiscard]] std::uint64_t check_hash(std::uint64_t turn) noexcept;
    /// The state as bytes (for a snapshot), and back. load() refuses an image of other capacities
    /// or layouts; whatever it refuses, the engine is then as new.
    void save(std::vector<std::byte>& image);
    [[nodiscard]] Status load(const std::byte* image, std::size_t bytes);
    /// For the loss of the log: takes over what a store knows, as if record `from.at` had said it.
    /// The engine has got its definitions and has applied nothing else. Orders that are not final
    /// there are looked up and never sent again; a signal stamped before `from.from_s` that is not
    /// in the ledger is stale. Puts out an effect for each thing that was taken over.
    /// @return orders that could not be taken over (no such account or signal, or no order that
    /// they act on); NoSpace: the tables are too small, and the engine is worth nothing now.
    [[nodiscard]] Result<std::uint32_t> restore(const Restored& from, OutputPort& out) noexcept;

    [[nodiscard]] const Account& account(AccountId id) const noexcept {
        return accounts_[id.value];
    }
    [[nodiscard]] std::uint32_t account_count() const noexcept { return capacity_.accounts; }
    [[nodiscard]] const AccountRisk& account_risk(AccountId id) const noexcept {
        return account_risk_[id.value];
    }
    [[nodiscard]] const GroupRisk& group_risk(GroupId id) const noexcept {
        return group_risk_[id.value];
    }
    [[nodiscard]] const SymbolRisk& symbol_risk(SymbolId id) const noexcept {
        return symbol_risk_[id.value];
    }
    [[nodiscard]] const AccountGuard& account_guard(AccountId id) const noexcept {
        return account_guard_[id.value];
    }
    [[nodiscard]] const GroupGuard& group_guard(GroupId id) const noexcept {
        return group_guard_[id.value];
    }
    [[nodiscard]] const SymbolGuard& symbol_guard(SymbolId id) const noexcept {
        return symbol_guard_[id.value];
    }
    [[nodiscard]] const AccountSides& account_sides(AccountId id) const noexcept {
        return account_sides_[id.value];
    }
    [[nodiscard]] const EndedCloses& ended_closes() const noexcept { return *ended_closes_; }
    /// @param index below kCurrenciesMax.
    [[nodiscard]] const CurrencyState& currency(std::uint32_t index) const noexcept {
        return currencies_[index];
    }
    [[nodiscard]] const Capacity& capacity() const noexcept { return capacity_; }
    [[nodiscard]] const Pool<Order>& orders() const noexcept { return orders_; }
    [[nodiscard]] const Pool<SignalEntry>& ledger() const noexcept { return ledger_; }
    [[nodiscard]] const SymbolState& symbol(SymbolId id) const noexcept {
        return symbols_[id.value];
    }
    [[nodiscard]] const Group& group(GroupId id) const noexcept { return groups_[id.value]; }
    [[nodiscard]] const SourceState& source(SourceId id) const noexcept {
        return sources_[id.value];
    }
    /// Definitions again, for an edge that lost its name tables with its segment.
    void replay_definitions(OutputPort& out) const noexcept;

private:
    // engine_signal.cpp
    void on_signal(const Signal& signal) noexcept;
    [[nodiscard]] Reason validate(const Signal& s, Nanos deadline) const noexcept;
    [[nodiscard]] Reason validate_open(const Signal& s) const noexcept;
    [[nodiscard]] bool is_of_lost_log(const Signal& s) const noexcept;
    [[nodiscard]] Reason validate_change(const Signal& s) const noexcept;
    [[nodiscard]] std::uint32_t places_for_changes() const noexcept;
    void refuse(const Signal& s, Reason why) noexcept;
    void put_refusal(const Signal& s, Reason why, Sequence first) noexcept;
    void remember_refusal(const Signal& s, Reason why) noexcept;
    [[nodiscard]] std::uint32_t find_target(const SignalId& id) const noexcept;
    void answer_duplicate(const Signal& s, std::uint32_t entry) noexcept;
    [[nodiscard]] std::uint32_t remember(const Signal& s) noexcept;
    void age_ledger() noexcept;
    void link_newest(std::uint32_t entry) noexcept;
    void unlink_age(std::uint32_t entry) noexcept;
    void fan_out(Job& job) noexcept;
    void fan_out_open(std::uint32_t entry, const Member& member) noexcept;
    void fan_out_to_order(std::uint32_t entry, std::uint32_t target) noexcept;
    void finish_fan_out(std::uint32_t entry) noexcept;
    void finish_signal_if_done(std::uint32_t entry) noexcept;

    // risk.cpp
    [[nodiscard]] Lots sized_volume(const Signal& s, const Account& a, const MemberSpec& m,
                                    const SymbolSpec& spec) const noexcept;
    [[nodiscard]] Reason check_entry(const Order& o, Account& a, Nanos now) noexcept;
    [[nodiscard]] Reason check_price(const Order& o) const noexcept;
    [[nodiscard]] bool take_token(Account& a, Nanos now) noexcept;
    void quicken(Account& a, Nanos now) noexcept;
    void slow_down(std::uint32_t order) noexcept;
    [[nodiscard]] bool is_recent_duplicate(const Order& o, Account& a, Nanos now) noexcept;
    [[nodiscard]] Price market_price(Side side) const noexcept;
    [[nodiscard]] bool has_price() const noexcept;
    [[nodiscard]] std::uint8_t kill_actions(const Order& o) const noexcept;
    [[nodiscard]] Reason barred(const Order& o) const noexcept;

    // engine_limits.cpp
    [[nodiscard]] AdminAnswer define_limits(const LimitSpec& spec) noexcept;
    [[nodiscard]] AccountRisk& risk_of(const Account& a) noexcept {
        return account_risk_[a.spec.id.value];
    }
    [[nodiscard]] AdminAnswer define_symbol_limits(const SymbolLimitSpec& spec) noexcept;
    void recount(const Order& o, Lots before) noexcept;
    void recount_all() noexcept;
    [[nodiscard]] Reason check_limits(const Order& o, const Account& a) const noexcept;
    [[nodiscard]] Reason check_shared_limits(const Order& o) const noexcept;
    void take_equity(Account& a, Money equity, Money balance) noexcept;
    void watch_slippage(std::uint32_t order, Price filled) noexcept;
    void watch_losses(Account& a) noexcept;
    void measure_anew(Account& a) noexcept;
    [[nodiscard]] AccountState within_halt(const Account& a) const noexcept;
    [[nodiscard]] Reason why_not(const Account& a) const noexcept;

    // engine_money.cpp
    struct Rate;  // common units for one of a currency
    [[nodiscard]] AdminAnswer define_currency(const CurrencySpec& spec) noexcept;
    [[nodiscard]] AdminAnswer define_money_limits(const MoneyLimitSpec& spec) noexcept;
    void note_currencies() noexcept;
    void forget_values() noexcept;
    void begin_naming() noexcept;
    void end_unnamed() noexcept;
    void end_unnamed_of_accounts() noexcept;
    void on_rate(const RateInput& r) noexcept;
    [[nodiscard]] Rate rate_of(std::uint8_t currency) const noexcept;
    [[nodiscard]] Money lot_value(SymbolId symbol, Price price) const noexcept;
    [[nodiscard]] Price valued_at(const Order& o) const noexcept;
    void value_order(std::uint32_t order) noexcept;
    void value_again(std::uint32_t order) noexcept;
    void value_rest() noexcept;
    void recount_money(const Order& o, Lots before, Lots now) noexcept;
    [[nodiscard]] Lots share_of_equity(const Account& a, SymbolId symbol, Price price,
                                       std::int64_t share) const noexcept;
    [[nodiscard]] bool is_converted(const Account& a, SymbolId symbol) const noexcept;
    [[nodiscard]] bool has_rates(const Account& a, SymbolId symbol) const noexcept;
    [[nodiscard]] Reason check_money(const Order& o, const Account& a) noexcept;
    [[nodiscard]] Reason check_account_money(const Order& o, const Account& a) const noexcept;
    [[nodiscard]] bool is_beyond_margin(const Order& o, const Account& a) const noexcept;
    [[nodiscard]] Reason check_group_money(const Order& o) const noexcept;
    void take_margin(Account& a, const Report& r) noexcept;
    void note_filled(std::uint32_t order, Lots volume) noexcept;

    // engine_hours.cpp
    [[nodiscard]] AdminAnswer define_hours(const HoursSpec& spec) noexcept;
    [[nodiscard]] AdminAnswer define_symbol_guard(const SymbolGuardSpec& spec) noexcept;
    [[nodiscard]] Reason check_hours(const Order& o, const Account& a) const noexcept;
    void watch_week(const Account& a) noexcept;
    [[nodiscard]] Reason check_change(const Order& o, const Account& a) noexcept;
    [[nodiscard]] bool is_beyond_collar(const Order& o, std::int64_t moved) const noexcept;

    // engine_outcome.cpp
    [[nodiscard]] AccountOutcome& outcome_of(const Account& a) noexcept {
        return account_outcome_[a.spec.id.value];
    }
    void take_permissions(Account& a, const Report& r) noexcept;
    [[nodiscard]] AccountState state_for_exit(const Order& o, const Account& a) const noexcept;
    void watch_exits(Account& a, bool changes) noexcept;
    void forget_outcomes(Account& a) noexcept;
    [[nodiscard]] bool has_place() const noexcept;
    void close_by_itself(std::uint32_t parent, std::uint8_t rounds = 0) noexcept;
    void tell_own_end(const Order& o) noexcept;
    [[nodiscard]] static std::uint8_t round_after(const Order& o) noexcept;
    [[nodiscard]] bool is_second(const Order& o, const Report& r) const noexcept;
    void on_second(std::uint32_t order, const Report& r) noexcept;
    void name_fill(std::uint32_t order, const Report& r) noexcept;
    void close_second(std::uint32_t order, const Report& r) noexcept;
    void settle_partial(std::uint32_t order) noexcept;
    void send_rest(std::uint32_t order) noexcept;
    void count_anew(std::uint32_t order) noexcept;
    void block_symbol(const Order& o, std::uint32_t code) noexcept;
    void tell_broker_limit(const Order& o, std::uint32_t code) noexcept;
    [[nodiscard]] bool is_blocked(const Order& o, const Account& a) const noexcept;

    // engine_late.cpp
    void remember_ended_close(const Order& o) noexcept;
    [[nodiscard]] bool book_late_close(const Report& r) noexcept;
    [[nodiscard]] bool is_what_was_said(EndedClose& c, const Report& r) const noexcept;

    // engine_standby.cpp
    [[nodiscard]] bool is_out(const Account& a, std::uint32_t after_s) const noexcept;
    [[nodiscard]] AccountId taker_of(const MemberSpec& m, GroupId group) noexcept;
    void note_reconciling(const Account& a) noexcept;
    void tell_standby(const Order& o, const MemberSpec& m) noexcept;

    // engine_order.cpp
    [[nodiscard]] std::uint32_t create_order(std::uint32_t entry, AccountId account,
                                             CommandType type,
                                             Origin origin = Origin::Signal) noexcept;
    void start(std::uint32_t order) noexcept;
    void send(std::uint32_t order) noexcept;
    void query(std::uint32_t order) noexcept;
    void close_query(Order& o) noexcept;
    void hold(std::uint32_t order) noexcept;
    void retry_at(std::uint32_t order, Nanos when) noexcept;
    void doubt(std::uint32_t order) noexcept;
    void doubt_held(const Account& a) noexcept;
    [[nodiscard]] bool may_have_gone_on(const Order& o) const noexcept;
    void working(std::uint32_t order) noexcept;
    void fill(std::uint32_t order, Lots volume, Price price, std::uint64_t deal) noexcept;
    void end(std::uint32_t order, OrdStatus status, Reason reason) noexcept;
    void tell_end(std::uint32_t order) noexcept;
    void rest(Order& o) noexcept;
    void owe_end(std::uint32_t order) noexcept;
    void on_deliver(const DeliverInput& d) noexcept;
    [[nodiscard]] std::uint32_t slots_of_end(const Order& o) const noexcept;
    void set_status(std::uint32_t order, OrdStatus status) noexcept;
    void release_if_done(std::uint32_t order) noexcept;
    void answered(std::uint32_t order) noexcept;
    void link(std::uint32_t order) noexcept;
    void unlink(std::uint32_t order) noexcept;

    // engine_close.cpp
    [[nodiscard]] std::uint32_t create_child(std::uint32_t entry, std::uint32_t parent,
                                             CommandType type,
                                             Origin origin = Origin::Signal) noexcept;
    void request_close(std::uint32_t entry, std::uint32_t parent) noexcept;
    void request_cancel(std::uint32_t entry, std::uint32_t parent) noexcept;
    void request_modify(std::uint32_t entry, std::uint32_t parent) noexcept;
    void start_child(std::uint32_t order) noexcept;
    [[nodiscard]] Lots close_volume(const SignalEntry& close, const Order& parent) const noexcept;
    [[nodiscard]] Lots close_share(const SignalEntry& close, const Order& parent) const noexcept;
    [[nodiscard]] Lots least_to_close(const Order& o) const noexcept;
    [[nodiscard]] Lots closable(const Order& parent, Lots wanted) const noexcept;
    [[nodiscard]] bool waits_or_is_moot(std::uint32_t order) noexcept;
    [[nodiscard]] bool may_close_all(const Order& p, std::uint32_t but) const noexcept;
    [[nodiscard]] static Nanos last_call_of(const Order& o) noexcept;
    void claim_what_is_left(Order& o) noexcept;
    void unclaim(Order& o) noexcept;

    // engine_position.cpp
    void index_position(std::uint32_t order) noexcept;
    void unindex_position(std::uint32_t order) noexcept;
    void position_reduced(std::uint32_t order, Lots volume) noexcept;
    [[nodiscard]] SymbolId symbol_of(const Report& r) const noexcept;
    void closed_at_broker(const Report& r) noexcept;
    Lots reduce_shares(const Report& r) noexcept;
    void cut_shares(Report& rest, SymbolId symbol, bool same_position) noexcept;
    Lots close_early(const Report& rest, SymbolId symbol) noexcept;
    void pass_on_closed_early(Order& o) noexcept;

    // engine_restore.cpp
    void restore_signal(const SignalRow& row) noexcept;
    [[nodiscard]] bool restore_order(const RestoredOrder& from) noexcept;
    void restore_counts(std::uint32_t order, const RestoredOrder& from) noexcept;
    [[nodiscard]] std::uint32_t restored_parent(const OrderRow& row,
                                                std::uint32_t entry) const noexcept;
    void settle_restored(std::uint32_t entry) noexcept;
    void tell_restored() noexcept;
    [[nodiscard]] bool is_of_lost_log(const Order& o) const noexcept;
    [[nodiscard]] bool is_of_lost_log(const Report& r) const noexcept;
    void ask_next_attempt(std::uint32_t order) noexcept;
    void drop_lost_position(std::uint32_t order, const Report& r) noexcept;
    [[nodiscard]] bool is_news_of_lost_log(std::uint32_t known, const Report& r) noexcept;

    // engine_report.cpp
    void on_report(const Report& r) noexcept;
    void on_outcome(std::uint32_t order, const Report& r) noexcept;
    void on_executed(std::uint32_t order, const Report& r) noexcept;
    void on_opened(std::uint32_t order, const Report& r) noexcept;
    void on_closed(std::uint32_t order, const Report& r) noexcept;
    void on_modified(std::uint32_t order) noexcept;
    void on_canceled(std::uint32_t order) noexcept;
    void on_found(std::uint32_t order, const Report& r) noexcept;
    void on_late(std::uint32_t order, const Report& r) noexcept;
    void add_fill(std::uint32_t order, const Report& r, Lots volume) noexcept;
    void on_exec(const Report& r) noexcept;
    void on_query_answer(std::uint32_t order, const Report& r) noexcept;
    void on_unsent(std::uint32_t order, const Report& r) noexcept;
    void on_session_up(Account& a, const Report& r) noexcept;
    void on_session_down(Account& a) noexcept;
    void doubt_unanswered(const Account& a) noexcept;
    void refused_by_broker(std::uint32_t order, std::uint32_t code, RetcodeClass cls) noexcept;
    void bind_tickets(Order& o, const Report& r) noexcept;
    [[nodiscard]] std::uint32_t find_order(const Report& r) const noexcept;
    [[nodiscard]] static bool is_current(const Account& a, const Report& r) noexcept {
        return r.session_generation == 0 || r.session_generation >= a.generation;
    }

    // engine_timer.cpp
    void on_timer() noexcept;
    void await_open(std::uint32_t order) noexcept;
    void probe_later(std::uint32_t order) noexcept;
    [[nodiscard]] bool is_quoted(const Order& o) const noexcept;
    void run_jobs(std::uint32_t budget) noexcept;
    [[nodiscard]] SymbolId symbol_of(const JournalRecord& record) const noexcept;
    void push_job(const Job& job) noexcept;
    void pop_job() noexcept;
    [[nodiscard]] std::uint32_t next_held(std::uint32_t order) const noexcept;
    [[nodiscard]] bool symbol_in_doubt(const Order& o, const Account& a) const noexcept;
    void queue_release(Account& a) noexcept;
    void queue_queries(Account& a, bool working_too) noexcept;
    [[nodiscard]] Job* find_job(JobKind kind, const Account& a) noexcept;
    void release_held(Job& job, std::uint32_t& budget) noexcept;
    void query_all(Job& job, std::uint32_t& budget) noexcept;

    // engine_admin.cpp
    void on_admin(const AdminRecord& r) noexcept;
    void on_start(const StartInput& s) noexcept;
    [[nodiscard]] AdminAnswer answer_admin(const AdminRecord& r) noexcept;
    [[nodiscard]] AdminAnswer set_risk(const RiskSpec& risk) noexcept;
    [[nodiscard]] AdminAnswer define_symbol(const SymbolSpec& spec) noexcept;
    [[nodiscard]] AdminAnswer define_source(const SourceSpec& spec) noexcept;
    [[nodiscard]] AdminAnswer define_group(const GroupSpec& spec) noexcept;
    [[nodiscard]] AdminAnswer define_account(const AccountSpec& spec) noexcept;
    [[nodiscard]] AdminAnswer define_member(const MemberSpec& spec) noexcept;
    [[nodiscard]] AdminAnswer set_account(const AccountCommand& c) noexcept;
    [[nodiscard]] AdminAnswer on_kill(const KillCommand& c, bool clear) noexcept;
    void end_barred_entries() noexcept;
    [[nodiscard]] AdminAnswer on_resolve(const ResolveCommand& c) noexcept;
    void hand_down(AccountId account, const ResolveCommand& c) noexcept;
    void update_account_state(Account& a) noexcept;
    void stop_account(Account& a, AccountState wanted) noexcept;
    [[nodiscard]] Account* account_of(AccountId id) noexcept;
    void define(DefinitionRow row) noexcept;

    // engine_remove.cpp
    [[nodiscard]] AdminAnswer set_group(const GroupCommand& c) noexcept;
    [[nodiscard]] AdminAnswer remove_account(AccountId id) noexcept;
    [[nodiscard]] AdminAnswer remove_group(GroupId id) noexcept;
    [[nodiscard]] bool fans_out_to(GroupId group) const noexcept;
    void remove_member(Group& g, std::uint32_t before, std::uint32_t member) noexcept;
    void measure_groups() noexcept;
    [[nodiscard]] AdminAnswer obstacle(AdminDetail live, std::uint32_t in_doubt) noexcept;
    void on_report_of_removed(Account& a, const Report& r) noexcept;

    // outputs (engine.cpp)
    void emit(OrderCommand& command) noexcept;
    void emit(SignalResult& result) noexcept;
    void put_result(const Order& o, ResultKind kind) noexcept;
    void emit_definition(const DefinitionRow& row) noexcept;
    void order_row(const Order& o) noexcept;
    void signal_row(const SignalEntry& e, Reason reason) noexcept;
    void position_row(const Order& o) noexcept;
    void execution_row(const Order& o, const Report& r, bool entry) noexcept;
    void account_row(const Account& a) noexcept;
    void alert(AlertCode code, AccountId account, const Order* o, std::uint64_t detail) noexcept;
    template <class Row>
    void emit_effect(EffectKind kind, const Row& row) noexcept;
    template <class Visitor>
    void visit_state(Visitor&& visitor);
    void rebuild_indexes() noexcept;
    [[nodiscard]] Magic magic_of(const Order& o) const noexcept {
        return Magic::make(g_.risk.magic_tag, o.intent, o.attempt);
    }
    void reserve_results(SourceId source, std::uint32_t n) noexcept;
    void unreserve_results(SourceId source, std::uint32_t n) noexcept;

    Capacity capacity_;
    Globals g_;
    Pool<Order> orders_;
    Pool<SignalEntry> ledger_;
    Pool<Member> members_;
    std::unique_ptr<Account[]> accounts_;
    std::unique_ptr<SymbolState[]> symbols_;
    std::unique_ptr<Group[]> groups_;
    std::unique_ptr<AccountRisk[]> account_risk_;
    std::unique_ptr<GroupRisk[]> group_risk_;
    std::unique_ptr<SymbolRisk[]> symbol_risk_;
    std::unique_ptr<AccountOutcome[]> account_outcome_;
    std::unique_ptr<AccountSides[]> account_sides_;
    std::unique_ptr<AccountStandby[]> account_standby_;
    std::unique_ptr<EndedCloses> ended_closes_;
    std::unique_ptr<SourceState[]> sources_;
    IndexMap by_signal_;     // SignalId -> ledger
    RunIndexMap by_intent_;  // (account, intent) -> order; intents count up
    IndexMap by_position_;   // (account, position id) -> order, hedging accounts
    TimerHeap timers_;
    std::unique_ptr<Job[]> jobs_;
    std::uint32_t jobs_capacity_;
    std::uint32_t jobs_head_ = 0;
    std::uint32_t jobs_size_ = 0;
    SegmentLoss segment_loss_;
    std::unique_ptr<CurrencyState[]> currencies_;
    std::unique_ptr<AccountGuard[]> account_guard_;
    std::unique_ptr<GroupGuard[]> group_guard_;
    std::unique_ptr<SymbolGuard[]> symbol_guard_;
    std::unique_ptr<Money[]> order_value_;  // by order: one lot of it, in the common currency
    std::uint32_t crosses_ = 0;             // currencies with one; found again after a load
    std::uint32_t unvalued_ = 0;            // the sum of the accounts'; the same
    std::uint32_t largest_group_ = 0;       // in members; found again after a load

    // Of the record being applied.
    const JournalRecord* record_ = nullptr;
    SymbolId record_symbol_{kNoId};  // whose price it carries
    OutputPort* out_ = nullptr;
    std::uint32_t next_k_ = 0;
    std::uint32_t next_effect_k_ = 0;
    std::uint32_t orders_out_ = 0;

    // Computed last, to be used again; no part of the state.
    SymbolId valued_symbol_{kNoId};
    Price valued_price_;
    Money value_;
    SignalId comment_signal_;
    Text<16> comment_;
};

}  // namespace millrace
