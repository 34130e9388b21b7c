// Every field of every struct that processes share, by name: what schema_hash() is taken over, so
// that a build in which one of them has moved does not attach. Header and directory have their
// tables in segment_fields.h; enumerators and units are the layout version's. Internal to shm/.
#pragma once

#include "shm/segment_fields.h"

#include <array>
#include <concepts>
#include <span>
#include <utility>

namespace millrace {

#define MILLRACE_FIELD(type, name) {#name, offsetof(type, name), sizeof(type::name)}

inline constexpr FieldPlace kCoreCellsPlaces[] = {
    MILLRACE_FIELD(CoreCells, completed),
    MILLRACE_FIELD(CoreCells, journal_seq),
    MILLRACE_FIELD(CoreCells, next_intent),
    MILLRACE_FIELD(CoreCells, config_hash),
    MILLRACE_FIELD(CoreCells, admin_applied),
    MILLRACE_FIELD(CoreCells, admin_last_status),
    MILLRACE_FIELD(CoreCells, entries_refused),
    MILLRACE_FIELD(CoreCells, live_orders),
    MILLRACE_FIELD(CoreCells, in_doubt),
    MILLRACE_FIELD(CoreCells, open_positions),
    MILLRACE_FIELD(CoreCells, signals_accepted),
    MILLRACE_FIELD(CoreCells, orders_sent),
    MILLRACE_FIELD(CoreCells, orders_filled),
    MILLRACE_FIELD(CoreCells, orders_rejected),
    MILLRACE_FIELD(CoreCells, admin_last_detail),
    MILLRACE_FIELD(CoreCells, durable),
    MILLRACE_FIELD(CoreCells, durable_chain),
    MILLRACE_FIELD(CoreCells, epoch),
    MILLRACE_FIELD(CoreCells, reserved_seq),
    MILLRACE_FIELD(CoreCells, reserved_intent),
    MILLRACE_FIELD(CoreCells, journal_state),
    MILLRACE_FIELD(CoreCells, journal_backend),
    MILLRACE_FIELD(CoreCells, jump_seq),
    MILLRACE_FIELD(CoreCells, jump_intent),
    MILLRACE_FIELD(CoreCells, journal_bytes),
    MILLRACE_FIELD(CoreCells, journal_commits),
    MILLRACE_FIELD(CoreCells, replica_applied),
    MILLRACE_FIELD(CoreCells, replica_hash_checked),
    MILLRACE_FIELD(CoreCells, replica_hash_mismatch),
    MILLRACE_FIELD(CoreCells, snapshot_seq),
    MILLRACE_FIELD(CoreCells, effects_written),
    MILLRACE_FIELD(CoreCells, book_differences),
    MILLRACE_FIELD(CoreCells, sqlite_seq),
    MILLRACE_FIELD(CoreCells, sqlite_errors),
    MILLRACE_FIELD(CoreCells, sqlite_batches),
    MILLRACE_FIELD(CoreCells, sqlite_batch_rows),
    MILLRACE_FIELD(CoreCells, sqlite_retries),
    MILLRACE_FIELD(CoreCells, sqlite_failing_ns),
    MILLRACE_FIELD(CoreCells, redis_seq),
    MILLRACE_FIELD(CoreCells, redis_errors),
    MILLRACE_FIELD(CoreCells, redis_generation),
    MILLRACE_FIELD(CoreCells, redis_state),
    MILLRACE_FIELD(CoreCells, redis_batches),
    MILLRACE_FIELD(CoreCells, redis_batch_rows),
    MILLRACE_FIELD(CoreCells, redis_retries),
    MILLRACE_FIELD(CoreCells, redis_failing_ns),
    MILLRACE_FIELD(CoreCells, rtss_taken),
    MILLRACE_FIELD(CoreCells, rtss_acked),
    MILLRACE_FIELD(CoreCells, rtss_refused),
    MILLRACE_FIELD(CoreCells, rtss_errors),
    MILLRACE_FIELD(CoreCells, clickhouse_seq),
    MILLRACE_FIELD(CoreCells, clickhouse_errors),
    MILLRACE_FIELD(CoreCells, clickhouse_retries),
    MILLRACE_FIELD(CoreCells, clickhouse_state),
    MILLRACE_FIELD(CoreCells, clickhouse_failing_ns),
    MILLRACE_FIELD(CoreCells, clickhouse_batches),
    MILLRACE_FIELD(CoreCells, clickhouse_verified),
    MILLRACE_FIELD(CoreCells, clickhouse_differences),
    MILLRACE_FIELD(CoreCells, stop_requested),
    MILLRACE_FIELD(CoreCells, supervisor_pid),
};
inline constexpr FieldPlace kDoorbellPlaces[] = {
    MILLRACE_FIELD(Doorbell, armed),
    MILLRACE_FIELD(Doorbell, rings),
};
inline constexpr FieldPlace kStageEntryPlaces[] = {
    MILLRACE_FIELD(StageEntry, name),          MILLRACE_FIELD(StageEntry, state),
    MILLRACE_FIELD(StageEntry, pid),           MILLRACE_FIELD(StageEntry, start_time),
    MILLRACE_FIELD(StageEntry, tid),           MILLRACE_FIELD(StageEntry, cpu),
    MILLRACE_FIELD(StageEntry, generation),    MILLRACE_FIELD(StageEntry, heartbeat_ns),
    MILLRACE_FIELD(StageEntry, work),          MILLRACE_FIELD(StageEntry, duty_cycles),
    MILLRACE_FIELD(StageEntry, restarts),      MILLRACE_FIELD(StageEntry, last_exit),
    MILLRACE_FIELD(StageEntry, started_ns),    MILLRACE_FIELD(StageEntry, running_ns),
    MILLRACE_FIELD(StageEntry, first_work_ns), MILLRACE_FIELD(StageEntry, idle_cycles),
};
inline constexpr FieldPlace kSessionEntryPlaces[] = {
    MILLRACE_FIELD(SessionEntry, account),
    MILLRACE_FIELD(SessionEntry, queue_ring),
    MILLRACE_FIELD(SessionEntry, login),
    MILLRACE_FIELD(SessionEntry, claimed),
    MILLRACE_FIELD(SessionEntry, done),
    MILLRACE_FIELD(SessionEntry, acked),
    MILLRACE_FIELD(SessionEntry, generation),
    MILLRACE_FIELD(SessionEntry, link),
    MILLRACE_FIELD(SessionEntry, busy),
    MILLRACE_FIELD(SessionEntry, heard_ns),
    MILLRACE_FIELD(SessionEntry, reconnects),
    MILLRACE_FIELD(SessionEntry, commands_sent),
    MILLRACE_FIELD(SessionEntry, events_received),
    MILLRACE_FIELD(SessionEntry, named),
    MILLRACE_FIELD(SessionEntry, permissions),
    MILLRACE_FIELD(SessionEntry, applied_event),
    MILLRACE_FIELD(SessionEntry, applied_event_seq),
    MILLRACE_FIELD(SessionEntry, account_state),
    MILLRACE_FIELD(SessionEntry, killed),
    MILLRACE_FIELD(SessionEntry, fills),
    MILLRACE_FIELD(SessionEntry, live_orders),
    MILLRACE_FIELD(SessionEntry, applied_journal),
};
inline constexpr FieldPlace kNameEntryPlaces[] = {
    MILLRACE_FIELD(NameEntry, name),
    MILLRACE_FIELD(NameEntry, ready),
    MILLRACE_FIELD(NameEntry, digits),
};
inline constexpr FieldPlace kNameTablesPlaces[] = {
    MILLRACE_FIELD(NameTables, symbols),
    MILLRACE_FIELD(NameTables, groups),
    MILLRACE_FIELD(NameTables, sources),
};
inline constexpr FieldPlace kTickCellPlaces[] = {
    MILLRACE_FIELD(TickCell, version),
    MILLRACE_FIELD(TickCell, bid),
    MILLRACE_FIELD(TickCell, ask),
    MILLRACE_FIELD(TickCell, time_ns),
};
inline constexpr FieldPlace kHistogramPlaces[] = {
    MILLRACE_FIELD(Histogram, total),
    MILLRACE_FIELD(Histogram, sum),
    MILLRACE_FIELD(Histogram, max),
    MILLRACE_FIELD(Histogram, buckets),
};
inline constexpr FieldPlace kHashCheckPlaces[] = {
    MILLRACE_FIELD(HashCheck, seq),
    MILLRACE_FIELD(HashCheck, hash),
};
inline constexpr FieldPlace kErrorEntryPlaces[] = {
    MILLRACE_FIELD(ErrorEntry, hash),     MILLRACE_FIELD(ErrorEntry, count),
    MILLRACE_FIELD(ErrorEntry, first_ns), MILLRACE_FIELD(ErrorEntry, last_ns),
    MILLRACE_FIELD(ErrorEntry, stage),    MILLRACE_FIELD(ErrorEntry, text),
};
inline constexpr FieldPlace kRingControlPlaces[] = {
    MILLRACE_FIELD(RingControl<>, magic),
    MILLRACE_FIELD(RingControl<>, slot_bytes),
    MILLRACE_FIELD(RingControl<>, capacity),
    MILLRACE_FIELD(RingControl<>, payload_kind),
    MILLRACE_FIELD(RingControl<>, reserved),
    MILLRACE_FIELD(RingControl<>, read_cursor),
    MILLRACE_FIELD(RingControl<>, consumer_generation),
    MILLRACE_FIELD(RingControl<>, write_hint),
    MILLRACE_FIELD(RingControl<>, full_stalls),
    MILLRACE_FIELD(RingControl<>, high_water),
    MILLRACE_FIELD(RingControl<>, producer_generation),
    MILLRACE_FIELD(RingControl<>, high_water_ns),
    MILLRACE_FIELD(RingControl<>, stall_ns),
};
inline constexpr FieldPlace kSignalPlaces[] = {
    MILLRACE_FIELD(Signal, id),          MILLRACE_FIELD(Signal, target),
    MILLRACE_FIELD(Signal, source),      MILLRACE_FIELD(Signal, group),
    MILLRACE_FIELD(Signal, symbol),      MILLRACE_FIELD(Signal, action),
    MILLRACE_FIELD(Signal, side),        MILLRACE_FIELD(Signal, price_kind),
    MILLRACE_FIELD(Signal, flags),       MILLRACE_FIELD(Signal, volume),
    MILLRACE_FIELD(Signal, price),       MILLRACE_FIELD(Signal, stop_loss),
    MILLRACE_FIELD(Signal, take_profit), MILLRACE_FIELD(Signal, reference_price),
    MILLRACE_FIELD(Signal, send_time),   MILLRACE_FIELD(Signal, ttl_ms),
    MILLRACE_FIELD(Signal, reserved),    MILLRACE_FIELD(Signal, edge_time),
};
inline constexpr FieldPlace kSignalResultPlaces[] = {
    MILLRACE_FIELD(SignalResult, seq),        MILLRACE_FIELD(SignalResult, k),
    MILLRACE_FIELD(SignalResult, kind),       MILLRACE_FIELD(SignalResult, ord_status),
    MILLRACE_FIELD(SignalResult, reason),     MILLRACE_FIELD(SignalResult, signal),
    MILLRACE_FIELD(SignalResult, source),     MILLRACE_FIELD(SignalResult, account),
    MILLRACE_FIELD(SignalResult, cum_volume), MILLRACE_FIELD(SignalResult, avg_price),
    MILLRACE_FIELD(SignalResult, retcode),    MILLRACE_FIELD(SignalResult, accounts),
    MILLRACE_FIELD(SignalResult, filled),     MILLRACE_FIELD(SignalResult, rejected),
    MILLRACE_FIELD(SignalResult, original),   MILLRACE_FIELD(SignalResult, time),
    MILLRACE_FIELD(SignalResult, magic),      MILLRACE_FIELD(SignalResult, edge_time),
};
inline constexpr FieldPlace kAdminRecordPlaces[] = {
    MILLRACE_FIELD(AdminRecord, op),
    MILLRACE_FIELD(AdminRecord, reserved),
    MILLRACE_FIELD(AdminRecord, body),
};
inline constexpr FieldPlace kKillCommandPlaces[] = {
    MILLRACE_FIELD(KillCommand, kill_id),  MILLRACE_FIELD(KillCommand, scope),
    MILLRACE_FIELD(KillCommand, actions),  MILLRACE_FIELD(KillCommand, reserved),
    MILLRACE_FIELD(KillCommand, scope_id), MILLRACE_FIELD(KillCommand, symbol),
};
inline constexpr FieldPlace kHoldingPlaces[] = {
    MILLRACE_FIELD(Holding, time),        MILLRACE_FIELD(Holding, account),
    MILLRACE_FIELD(Holding, index),       MILLRACE_FIELD(Holding, ticket),
    MILLRACE_FIELD(Holding, magic),       MILLRACE_FIELD(Holding, volume),
    MILLRACE_FIELD(Holding, price),       MILLRACE_FIELD(Holding, stop_loss),
    MILLRACE_FIELD(Holding, take_profit), MILLRACE_FIELD(Holding, symbol),
    MILLRACE_FIELD(Holding, kind),        MILLRACE_FIELD(Holding, side),
    MILLRACE_FIELD(Holding, price_kind),  MILLRACE_FIELD(Holding, reserved),
    MILLRACE_FIELD(Holding, journal_id),  MILLRACE_FIELD(Holding, event_seq),
    MILLRACE_FIELD(Holding, name),        MILLRACE_FIELD(Holding, generation),
    MILLRACE_FIELD(Holding, reserved2),
};
inline constexpr FieldPlace kOrderCommandPlaces[] = {
    MILLRACE_FIELD(OrderCommand, seq),
    MILLRACE_FIELD(OrderCommand, k),
    MILLRACE_FIELD(OrderCommand, account),
    MILLRACE_FIELD(OrderCommand, magic),
    MILLRACE_FIELD(OrderCommand, type),
    MILLRACE_FIELD(OrderCommand, side),
    MILLRACE_FIELD(OrderCommand, price_kind),
    MILLRACE_FIELD(OrderCommand, flags),
    MILLRACE_FIELD(OrderCommand, deviation_points),
    MILLRACE_FIELD(OrderCommand, symbol),
    MILLRACE_FIELD(OrderCommand, volume),
    MILLRACE_FIELD(OrderCommand, price),
    MILLRACE_FIELD(OrderCommand, stop_loss),
    MILLRACE_FIELD(OrderCommand, take_profit),
    MILLRACE_FIELD(OrderCommand, position_ticket),
    MILLRACE_FIELD(OrderCommand, order_ticket),
    MILLRACE_FIELD(OrderCommand, deadline),
    MILLRACE_FIELD(OrderCommand, signal_time),
    MILLRACE_FIELD(OrderCommand, edge_time),
    MILLRACE_FIELD(OrderCommand, engine_time),
    MILLRACE_FIELD(OrderCommand, comment),
};
inline constexpr FieldPlace kReportPlaces[] = {
    MILLRACE_FIELD(Report, time),
    MILLRACE_FIELD(Report, account),
    MILLRACE_FIELD(Report, type),
    MILLRACE_FIELD(Report, exec_kind),
    MILLRACE_FIELD(Report, reason),
    MILLRACE_FIELD(Report, event_seq),
    MILLRACE_FIELD(Report, session_generation),
    MILLRACE_FIELD(Report, magic),
    MILLRACE_FIELD(Report, retcode),
    MILLRACE_FIELD(Report, ord_status),
    MILLRACE_FIELD(Report, side),
    MILLRACE_FIELD(Report, permissions),
    MILLRACE_FIELD(Report, flags),
    MILLRACE_FIELD(Report, order_ticket),
    MILLRACE_FIELD(Report, deal_ticket),
    MILLRACE_FIELD(Report, position_id),
    MILLRACE_FIELD(Report, volume),
    MILLRACE_FIELD(Report, requested),
    MILLRACE_FIELD(Report, price),
    MILLRACE_FIELD(Report, bid),
    MILLRACE_FIELD(Report, ask),
    MILLRACE_FIELD(Report, equity),
    MILLRACE_FIELD(Report, balance),
    MILLRACE_FIELD(Report, journal_id),
    MILLRACE_FIELD(Report, journal_tail),
    MILLRACE_FIELD(Report, broker_time),
    MILLRACE_FIELD(Report, symbol),
    MILLRACE_FIELD(Report, reserved),
};
inline constexpr FieldPlace kJournalRecordPlaces[] = {
    MILLRACE_FIELD(JournalRecord, seq),           MILLRACE_FIELD(JournalRecord, time),
    MILLRACE_FIELD(JournalRecord, source_cursor), MILLRACE_FIELD(JournalRecord, bid),
    MILLRACE_FIELD(JournalRecord, ask),           MILLRACE_FIELD(JournalRecord, tick_time),
    MILLRACE_FIELD(JournalRecord, budget),        MILLRACE_FIELD(JournalRecord, source_ring),
    MILLRACE_FIELD(JournalRecord, type),          MILLRACE_FIELD(JournalRecord, version),
    MILLRACE_FIELD(JournalRecord, body),
};
#undef MILLRACE_FIELD

/// True if the fields lie in order, with gaps only where a new cache line begins: none is listed
/// twice or out of place.
template <std::size_t N>
consteval bool in_lines(const FieldPlace (&fields)[N], std::size_t bytes) {
    std::size_t at = 0;
    for (const FieldPlace& f : fields) {
        const bool next_line = f.offset % kCacheLineBytes == 0 && f.offset - at < kCacheLineBytes;
        if (f.offset < at || (f.offset != at && !next_line)) {
            return false;
        }
        at = f.offset + f.bytes;
    }
    return bytes >= at && bytes - at < kCacheLineBytes;
}

/// Stands for a member of any type, to count the members of an aggregate.
struct AnyMember {
    template <class T>
    constexpr operator T() const noexcept;  // NOLINT(google-explicit-constructor): never called
};
template <class T, std::size_t... I>
consteval bool has_members(std::index_sequence<I...> /*members*/) {
    return requires { T{(static_cast<void>(I), AnyMember{})...}; };
}
/// True if T has exactly `n` members (none of them an array): a new one is not forgotten above.
template <class T, std::size_t N>
consteval bool has_just(const FieldPlace (& /*fields*/)[N]) {
    return has_members<T>(std::make_index_sequence<N>{}) &&
           !has_members<T>(std::make_index_sequence<N + 1>{});
}

static_assert(in_lines(kCoreCellsPlaces, sizeof(CoreCells)), "CoreCells: a field is missing above");
static_assert(has_just<CoreCells>(kCoreCellsPlaces), "CoreCells: a field is missing above");
static_assert(in_lines(kDoorbellPlaces, sizeof(Doorbell)), "Doorbell: a field is missing above");
static_assert(has_just<Doorbell>(kDoorbellPlaces), "Doorbell: a field is missing above");
static_assert(in_lines(kStageEntryPlaces, sizeof(StageEntry)),
              "StageEntry: a field is missing above");
static_assert(has_just<StageEntry>(kStageEntryPlaces), "StageEntry: a field is missing above");
static_assert(in_lines(kSessionEntryPlaces, sizeof(SessionEntry)),
              "SessionEntry: a field is missing above");
static_assert(has_just<SessionEntry>(kSessionEntryPlaces),
              "SessionEntry: a field is missing above");
static_assert(in_lines(kNameEntryPlaces, sizeof(NameEntry)), "NameEntry: a field is missing above");
static_assert(has_just<NameEntry>(kNameEntryPlaces), "NameEntry: a field is missing above");
static_assert(in_lines(kNameTablesPlaces, sizeof(NameTables)),
              "NameTables: a field is missing above");
static_assert(in_lines(kTickCellPlaces, sizeof(TickCell)), "TickCell: a field is missing above");
static_assert(has_just<TickCell>(kTickCellPlaces), "TickCell: a field is missing above");
static_assert(in_lines(kHistogramPlaces, sizeof(Histogram)), "Histogram: a field is missing above");
static_assert(in_lines(kHashCheckPlaces, sizeof(HashCheck)), "HashCheck: a field is missing above");
static_assert(has_just<HashCheck>(kHashCheckPlaces), "HashCheck: a field is missing above");
static_assert(in_lines(kErrorEntryPlaces, sizeof(ErrorEntry)),
              "ErrorEntry: a field is missing above");
static_assert(in_lines(kRingControlPlaces, sizeof(RingControl<>)),
              "RingControl<>: a field is missing above");
static_assert(has_just<RingControl<>>(kRingControlPlaces),
              "RingControl<>: a field is missing above");
static_assert(in_lines(kSignalPlaces, sizeof(Signal)), "Signal: a field is missing above");
static_assert(has_just<Signal>(kSignalPlaces), "Signal: a field is missing above");
static_assert(in_lines(kSignalResultPlaces, sizeof(SignalResult)),
              "SignalResult: a field is missing above");
static_assert(has_just<SignalResult>(kSignalResultPlaces),
              "SignalResult: a field is missing above");
static_assert(in_lines(kAdminRecordPlaces, sizeof(AdminRecord)),
              "AdminRecord: a field is missing above");
static_assert(in_lines(kKillCommandPlaces, sizeof(KillCommand)),
              "KillCommand: a field is missing above");
static_assert(in_lines(kOrderCommandPlaces, sizeof(OrderCommand)),
              "OrderCommand: a field is missing above");
static_assert(has_just<OrderCommand>(kOrderCommandPlaces),
              "OrderCommand: a field is missing above");
static_assert(in_lines(kReportPlaces, sizeof(Report)), "Report: a field is missing above");
static_assert(in_lines(kHoldingPlaces, sizeof(Holding)), "Holding: a field is missing above");
static_assert(has_just<Holding>(kHoldingPlaces), "Holding: a field is missing above");
static_assert(has_just<Report>(kReportPlaces), "Report: a field is missing above");
static_assert(in_lines(kJournalRecordPlaces, sizeof(JournalRecord)),
              "JournalRecord: a field is missing above");

/// A shared struct's fields and size.
struct StructPlaces {
    const char* name;
    std::span<const FieldPlace> fields;
    std::size_t bytes;
};
inline constexpr StructPlaces kSchema[] = {
    {"SegmentHeader", kHeaderFields, sizeof(SegmentHeader)},
    {"RingEntry", kEntryFields, sizeof(RingEntry)},
    {"CoreCells", kCoreCellsPlaces, sizeof(CoreCells)},
    {"Doorbell", kDoorbellPlaces, sizeof(Doorbell)},
    {"StageEntry", kStageEntryPlaces, sizeof(StageEntry)},
    {"SessionEntry", kSessionEntryPlaces, sizeof(SessionEntry)},
    {"NameEntry", kNameEntryPlaces, sizeof(NameEntry)},
    {"NameTables", kNameTablesPlaces, sizeof(NameTables)},
    {"TickCell", kTickCellPlaces, sizeof(TickCell)},
    {"Histogram", kHistogramPlaces, sizeof(Histogram)},
    {"HashCheck", kHashCheckPlaces, sizeof(HashCheck)},
    {"ErrorEntry", kErrorEntryPlaces, sizeof(ErrorEntry)},
    {"RingControl", kRingControlPlaces, sizeof(RingControl<>)},
    {"Signal", kSignalPlaces, sizeof(Signal)},
    {"SignalResult", kSignalResultPlaces, sizeof(SignalResult)},
    {"AdminRecord", kAdminRecordPlaces, sizeof(AdminRecord)},
    {"KillCommand", kKillCommandPlaces, sizeof(KillCommand)},
    {"OrderCommand", kOrderCommandPlaces, sizeof(OrderCommand)},
    {"Report", kReportPlaces, sizeof(Report)},
    {"JournalRecord", kJournalRecordPlaces, sizeof(JournalRecord)},
    {"Holding", kHoldingPlaces, sizeof(Holding)},
    {"slot of Signal", {}, sizeof(RingSlot<SignalSlot>)},
    {"slot of SignalResult", {}, sizeof(RingSlot<ResultSlot>)},
    {"slot of AdminRecord", {}, sizeof(RingSlot<AdminSlot>)},
    {"slot of KillCommand", {}, sizeof(RingSlot<KillSlot>)},
    {"slot of OrderCommand", {}, sizeof(RingSlot<OrderSlot>)},
    {"slot of Report", {}, sizeof(RingSlot<ReportSlot>)},
    {"slot of JournalRecord", {}, sizeof(RingSlot<JournalRecord>)},
    {"slot of Holding", {}, sizeof(RingSlot<Holding>)},
};

/// FNV-1a over every name, place and size: another one if a field moves, grows, is renamed or
/// changes places with another. Pure.
[[nodiscard]] std::uint64_t hash_of(std::span<const StructPlaces> schema) noexcept;

}  // namespace millrace
