// Where everything lies in the segment. One file in /dev/shm; every stage maps it whole.
//
//     | header, its copy: 4 KiB | core cells | doorbells | stages | sessions | names | ticks | hops
//     | | errors | hash checks | ring directory, its copy | ring controls and slots ... |
//
// All offsets are from the start of the file, stored in the header, validated on attach. Header and
// directory never change after creation and stand there twice, so that damage is found and named.
// Shared structs hold std::atomic only where two processes meet; each such field names its one
// writer.
#pragma once

#include "core/journal_record.h"
#include "core/order_status.h"
#include "core/types.h"
#include "ring/spsc_ring.h"
#include "shm/histogram.h"
#include "shm/holding.h"
#include "shm/tick_cell.h"

#include <atomic>
#include <cstdint>

namespace millrace {

inline constexpr std::uint64_t kSegmentMagic = 0x31454341524C4D4DULL;  // "MMLRACE1"
/// Raise it with every change of a struct in this file.
inline constexpr std::uint32_t kLayoutVersion = 7;

using AtomicU32 = std::atomic<std::uint32_t>;
using AtomicU64 = std::atomic<std::uint64_t>;
using AtomicI64 = std::atomic<std::int64_t>;

/// What a ring carries; decides its payload type.
enum class RingKind : std::uint32_t {
    Signals = 1,      // Padded<Signal>        source -> engine
    Results = 2,      // Padded<SignalResult>  engine -> source
    Admin = 3,        // Padded<AdminRecord>   command line -> engine
    AdminBroker = 4,  // Padded<KillCommand>   command line -> broker stage
    Orders = 5,       // Padded<OrderCommand>  engine -> broker stage
    Reports = 6,      // Padded<Report>        broker stage -> engine
    Journal = 7,      // JournalRecord         engine -> journal stage
    Session = 8,      // Padded<OrderCommand>  broker stage -> itself: one account's queue
    Holdings = 9,     // Holding               broker stage -> replica
};

using SignalSlot = Padded<Signal>;
using ResultSlot = Padded<SignalResult>;
using AdminSlot = Padded<AdminRecord>;
using KillSlot = Padded<KillCommand>;
using OrderSlot = Padded<OrderCommand>;
using ReportSlot = Padded<Report>;
static_assert(kRingPayload<SignalSlot> && kRingPayload<ResultSlot> && kRingPayload<AdminSlot>);
static_assert(kRingPayload<OrderSlot> && kRingPayload<ReportSlot> && kRingPayload<JournalRecord>);
static_assert(kRingPayload<KillSlot>);

struct RingEntry {
    Text<24> name;
    RingKind kind{};
    std::uint32_t slot_bytes = 0;
    std::uint32_t capacity = 0;
    std::uint32_t doorbell = 0;      // index of the consumer's doorbell
    std::uint32_t owner_id = kNoId;  // Signals, Results: source id; Session: account id
    std::uint32_t reserved = 0;
    std::uint64_t control_offset = 0;
    std::uint64_t slots_offset = 0;
};
static_assert(sizeof(RingEntry) == 64);

/// A place to park. `armed` is not 0 while its stage sleeps or is about to (doorbell_protocol.h).
struct alignas(kCacheLineBytes) Doorbell {
    AtomicU32 armed;
    AtomicU32 rings;  // futex word: bumped by whoever wakes
};

enum class StageState : std::uint32_t {
    Empty = 0,
    Starting = 1,
    Recovering = 2,
    Running = 3,
    Standby = 4,  // hot spare: replica waiting for the engine's role
    Draining = 5,
    Stopped = 6,  // ended by request
    Dead = 7,     // death proven by the supervisor
    Halted = 8,   // two deaths at one sequence number: an operator is needed
};

/// One stage. Written by the stage itself, except `state` = Dead/Halted, `restarts`,
/// `last_exit` (supervisor, while nobody owns the role).
struct alignas(kCacheLineBytes) StageEntry {
    Text<24> name;
    AtomicU32 state;
    AtomicU32 pid;
    AtomicU64 start_time;  // field 22 of /proc/PID/stat: tells a re-used pid
    AtomicU32 tid;
    AtomicU32 cpu;           // pinned to, kNoId = not pinned
    AtomicU64 generation;    // of its role; grows with each owner
    AtomicI64 heartbeat_ns;  // segment clock, each duty cycle (coarse)
    AtomicU64 work;          // items done: progress
    AtomicU64 duty_cycles;
    AtomicU32 restarts;
    AtomicU32 last_exit;      // wait status
    AtomicI64 started_ns;     // exec
    AtomicI64 running_ns;     // reached Running
    AtomicI64 first_work_ns;  // first item after the start
    AtomicU64 idle_cycles;    // duty cycles that found nothing to do
};

/// The engine's and the journal's cursors. Each field: one writer.
struct CoreCells {
    // Engine's lines.
    alignas(kCacheLineBytes) AtomicU64 completed;  // rule 2 (d): outputs up to here are published
    AtomicU64 journal_seq;                         // last record published to the journal ring
    AtomicU64 next_intent;                         // first intent id not yet handed out
    AtomicU64 config_hash;                         // of the last ConfigCommit applied
    AtomicU64 admin_applied;      // admin ring number up to which inputs are applied
    AtomicU64 admin_last_status;  // (number << 8) | AdminAnswer of the last one
    AtomicU64 entries_refused;    // signals answered Refused
    AtomicU64 live_orders;
    AtomicU64 in_doubt;
    AtomicU64 open_positions;
    AtomicU64 signals_accepted;
    AtomicU64 orders_sent;
    AtomicU64 orders_filled;
    AtomicU64 orders_rejected;    // rejected, cancelled or expired
    AtomicU64 admin_last_detail;  // AdminDetail: orders << 32 | positions
    // Journal stage's lines.
    alignas(kCacheLineBytes) AtomicU64 durable;  // records up to here are on disk
    AtomicU64 durable_chain;                     // chain hash at `durable`
    AtomicU64 epoch;                             // of the file being written
    AtomicU64 reserved_seq;                      // journal numbers below are reserved durably
    AtomicU64 reserved_intent;                   // intent ids below are reserved durably
    AtomicU32 journal_state;                     // JournalState
    AtomicU32 journal_backend;                   // JournalBackend
    AtomicU64 jump_seq;     // new segment: numbers below may have been used before it
    AtomicU64 jump_intent;  // the same for intent ids
    AtomicU64 journal_bytes;
    AtomicU64 journal_commits;
    // Replica's line.
    alignas(kCacheLineBytes) AtomicU64 replica_applied;
    AtomicU64 replica_hash_checked;   // last sequence whose hash was compared
    AtomicU64 replica_hash_mismatch;  // first sequence that differed, 0 = none
    AtomicU64 snapshot_seq;
    AtomicU64 effects_written;   // effects in the effects log
    AtomicU64 book_differences;  // that stand between brokers and books
    // Sinks.
    alignas(kCacheLineBytes) AtomicU64 sqlite_seq;  // stored up to
    AtomicU64 sqlite_errors;
    AtomicU64 sqlite_batches;     // transactions since the segment began
    AtomicU64 sqlite_batch_rows;  // rows of the last one
    AtomicU64 sqlite_retries;     // tries after a failure
    AtomicI64 sqlite_failing_ns;  // failing since, segment clock; 0 = it works
    // Redis sink.
    alignas(kCacheLineBytes) AtomicU64 redis_seq;  // what readers of Redis see is of this record
    AtomicU64 redis_errors;
    AtomicU64 redis_generation;  // of keys; grows with each rebuild
    AtomicU64 redis_state;       // RedisState
    AtomicU64 redis_batches;     // transactions since the segment began
    AtomicU64 redis_batch_rows;  // effects of the last one
    AtomicU64 redis_retries;     // tries after a failure
    AtomicI64 redis_failing_ns;  // failing since, segment clock; 0 = it works
    // Redis source (RTSS).
    alignas(kCacheLineBytes) AtomicU64 rtss_taken;  // entries handed to the engine
    AtomicU64 rtss_acked;                           // entries whose ack level holds
    AtomicU64 rtss_refused;                         // entries that were no valid signal
    AtomicU64 rtss_errors;
    // ClickHouse sink.
    alignas(kCacheLineBytes) AtomicU64 clickhouse_seq;  // stored up to
    AtomicU64 clickhouse_errors;
    AtomicU64 clickhouse_retries;      // tries after a failure
    AtomicU64 clickhouse_state;        // ClickHouseState
    AtomicI64 clickhouse_failing_ns;   // failing since, segment clock; 0 = it works
    AtomicU64 clickhouse_batches;      // since the segment began
    AtomicU64 clickhouse_verified;     // compared with SQLite and found equal up to here
    AtomicU64 clickhouse_differences;  // rows that the last comparison found to differ
    // Supervisor.
    alignas(kCacheLineBytes) AtomicU32 stop_requested;  // 1: drain and stop
    AtomicU32 supervisor_pid;
};

enum class JournalState : std::uint32_t { Down = 0, Running = 1, Poisoned = 2, Full = 3 };
enum class RedisState : std::uint64_t { Down = 0, Following = 1, Rebuilding = 2, Verifying = 3 };
enum class ClickHouseState : std::uint64_t {
    Down = 0,
    Following = 1,
    Retrying = 2,    // failed at most three times in a row: again after 5 s
    FailedSync = 3,  // in failed_syncs: again every 30 s
    Suspended = 4,   // the breaker is open: one probe batch every 30 s
};
enum class JournalBackend : std::uint32_t {
    None = 0,
    UringDirect = 1,
    UringBuffered = 2,
    PwriteDirect = 3,
    PwriteBuffered = 4
};

/// Rolling output hash of the live engine, compared by the replica (determinism check all day).
struct HashCheck {
    AtomicU64 seq;  // written last (release), 0 while being written
    AtomicU64 hash;
};
inline constexpr std::uint32_t kHashChecks = 1024;
inline constexpr std::uint64_t kHashCheckEvery = 256;

/// One account's session. Writer: broker stage, except where noted.
struct alignas(kCacheLineBytes) SessionEntry {
    AccountId account{kNoId};
    std::uint32_t queue_ring = 0;  // index in the ring directory
    AtomicU64 login;               // 0 = unused. Written by the engine stage
    AtomicU64 claimed;             // session-queue number about to be written to the socket
    AtomicU64 done;                // written to the socket
    AtomicU64 acked;               // in the executor's intent journal
    AtomicU64 generation;
    AtomicU32 link;  // LinkState
    AtomicU32 busy;  // 1 while the executor is in a blocking call
    AtomicI64 heard_ns;
    AtomicU64 reconnects;
    AtomicU64 commands_sent;
    AtomicU64 events_received;
    AtomicU64 named;        // highest command number that the present intent journal has named
    AtomicU32 permissions;  // last told by an executor that was connected: bridge::kInfo...
    // Engine's line.
    alignas(kCacheLineBytes) AtomicU64 applied_event;  // executor event applied
    AtomicU64 applied_event_seq;                       // by this journal record
    AtomicU32 account_state;                           // AccountState
    AtomicU32 killed;                                  // kill actions in force
    AtomicU64 fills;  // events that told of a deal; the broker stage's
    AtomicU64 live_orders;
    AtomicU64 applied_journal;  // intent journal that applied_event counts in; 0 = none yet
};

/// Names of configured things, by id. Written by the engine stage as it applies definitions;
/// `ready` is released last, so an edge that sees it may read the name.
struct NameEntry {
    Text<16> name;
    AtomicU32 ready;
    AtomicU32 digits;  // symbols; of groups their GroupState
};
inline constexpr std::uint32_t kNamesPerKind = 256;  // symbols, groups, sources
struct NameTables {
    NameEntry symbols[kNamesPerKind];
    NameEntry groups[kNamesPerKind];
    NameEntry sources[kNamesPerKind];
};

/// Distinct errors, as ErrorStat has them: claimed by compare-and-swap on `hash`, then counted.
struct ErrorEntry {
    AtomicU64 hash;
    AtomicU64 count;
    AtomicI64 first_ns;
    AtomicI64 last_ns;
    char stage[24];
    char text[160];
};
inline constexpr std::uint32_t kErrors = 64;

/// Hops that latency is measured over.
enum class Hop : std::uint32_t {
    SourceToEdge = 0,    // send stamp -> receipt at the edge
    EdgeToEngine = 1,    // receipt -> journalled
    EngineToBroker = 2,  // order published -> seen by the broker stage
    Gate = 3,            // seen -> egress gate open
    BrokerToSocket = 4,  // gate open -> write() returned
    SignalToSocket = 5,  // receipt at the edge -> write() returned
    BrokerAnswer = 6,    // write() -> outcome received
    SignalToResult = 7,  // receipt at the edge -> outcome applied by the engine
    DurableAck = 8,      // journalled -> durable
};
inline constexpr std::uint32_t kHops = 9;

struct SegmentHeader {
    AtomicU64 magic;  // written last at creation
    std::uint32_t layout_version;
    std::uint32_t header_bytes;
    std::uint64_t schema_hash;  // of every shared struct's size and offsets
    std::uint64_t total_bytes;
    char boot_id[40];
    std::uint64_t uuid[2];
    std::uint32_t creator_pid;
    std::uint32_t creator_uid;
    std::int64_t created_ns;       // wall clock
    std::int64_t clock_anchor_ns;  // wall minus CLOCK_MONOTONIC at creation
    char journal_dir[256];
    std::uint32_t huge_pages;  // 1 = huge_bytes is not 0
    std::uint32_t locked;      // 1 = mlocked at creation; who attaches to write locks it too
    std::uint32_t page_bytes;  // the file system's page: 4096, or hugetlbfs's 2 MiB or 1 GiB
    std::uint32_t numa_node;   // where the pages lie if that was asked for, kNoId = anywhere
    std::uint32_t ring_count;
    std::uint32_t session_count;
    std::uint32_t stage_count;
    std::uint32_t doorbell_count;
    std::uint64_t huge_bytes;  // backed by huge pages at creation
    std::uint64_t core_offset;
    std::uint64_t doorbells_offset;
    std::uint64_t stages_offset;
    std::uint64_t sessions_offset;
    std::uint64_t names_offset;
    std::uint64_t ticks_offset;  // kSymbolsMax TickCells
    std::uint64_t hops_offset;   // kHops Histograms
    std::uint64_t errors_offset;
    std::uint64_t hashes_offset;
    std::uint64_t rings_offset;  // RingEntry[2 * ring_count]: the directory and its copy
    std::uint64_t data_offset;   // controls and slots
};
/// Where in the header's page its copy lies.
inline constexpr std::uint64_t kHeaderCopyOffset = 2048;
static_assert(sizeof(SegmentHeader) <= kHeaderCopyOffset);

}  // namespace millrace
