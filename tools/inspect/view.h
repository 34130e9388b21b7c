// A picture of a running (or dead, or copied) pipeline, taken from its segment and drawn as text.
//
// Reading takes no lock, joins nothing and writes nothing: a read-only mapping is enough. Numbers
// are loaded one by one while the stages go on, so two of them may be some microseconds apart.
#pragma once

#include "shm/segment.h"
#include "tools/inspect/slots.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millrace::inspect {

/// Whether the process that a stage entry names exists: pid and start time both match.
enum class Liveness : std::uint8_t {
    None,  // no process has ever owned the role
    Alive,
    Gone,       // no such process now
    Foreign,    // segment of another boot: its pids mean nothing here
    Elsewhere,  // alive by its role's lock, in a pid namespace in which its pid is another one
};
[[nodiscard]] constexpr bool lives(Liveness l) noexcept {
    return l == Liveness::Alive || l == Liveness::Elsewhere;
}

struct StageStat {
    std::string name;
    std::uint32_t state = 0;  // StageState
    std::uint32_t pid = 0;
    std::uint32_t tid = 0;
    std::uint64_t start_time = 0;  // of process `pid`, clock ticks since boot, as in /proc/PID/stat
    std::int64_t up_ns = -1;       // since the stage's process began; -1 unless it lives
    std::uint32_t cpu = kNoId;     // pinned to; kNoId = not pinned
    std::uint32_t restarts = 0;
    std::uint32_t last_exit = 0;  // wait status of the last death
    Liveness liveness = Liveness::None;
    std::uint64_t generation = 0;
    std::uint64_t work = 0;
    std::uint64_t duty_cycles = 0;
    std::uint64_t idle_cycles = 0;       // of them, those that found nothing to do
    int cpu_now = -1;                    // where the thread ran last; look_closer() only
    int lock_pid = -1;                   // who holds its lock, 0 = nobody; look_closer() only
    std::int64_t heartbeat_age_ns = -1;  // -1 = never beat, or the clock of another boot
    std::int64_t recovery_ns = -1;       // last start: exec to Running; -1 = not there yet
    std::int64_t first_work_ns = -1;     // last start: exec to first item; -1 = none yet
};

/// True if the owner of a stage went without a word (or belongs to another boot): what it wrote
/// last is what was so then, and no more. False for one that ended in order, whose last word holds,
/// and for a role that nobody ever had.
[[nodiscard]] constexpr bool is_lost(const StageStat& s) noexcept {
    return (s.liveness == Liveness::Gone || s.liveness == Liveness::Foreign) &&
           s.state != static_cast<std::uint32_t>(StageState::Stopped);
}

struct RingStat {
    std::string name;
    std::uint32_t kind = 0;  // RingKind
    std::uint32_t slot_bytes = 0;
    std::uint32_t owner_id = kNoId;
    std::uint64_t capacity = 0;
    std::uint64_t read = 0;     // records released by the consumer
    std::uint64_t written = 0;  // last visible record, found in the slots
    std::uint64_t high_water = 0;
    std::int64_t high_water_ns = 0;  // segment clock when that was; 0 = its producer tells no times
    std::uint64_t full_stalls = 0;
    std::uint64_t stall_ns = 0;     // time in which publishes were refused
    std::int64_t polls_empty = -1;  // consumer's duty cycles without work; -1 = it is no stage
    std::uint64_t producer_generation = 0;
    std::uint64_t consumer_generation = 0;
    bool unused = false;  // queue of an account that is not configured
    std::string fault;    // cursors contradict the slots: what is wrong; else empty
    // look_closer() only:
    bool slots_known = false;
    SlotCensus slots;
    std::int64_t oldest_age_ns = -1;  // of the oldest unreleased record; -1 = none or undated
    [[nodiscard]] std::uint64_t depth() const noexcept { return written - read; }
};

struct SessionStat {
    std::uint32_t account = kNoId;
    std::uint64_t login = 0;
    std::uint32_t link = 0;    // LinkState
    std::uint32_t state = 0;   // AccountState
    std::uint32_t killed = 0;  // kill actions in force, bits
    bool busy = false;
    std::uint64_t claimed = 0;
    std::uint64_t done = 0;
    std::uint64_t acked = 0;
    std::uint64_t generation = 0;
    std::uint64_t reconnects = 0;
    std::uint64_t commands_sent = 0;
    std::uint64_t events_received = 0;
    std::uint64_t fills = 0;
    std::uint64_t live_orders = 0;
    std::int64_t heard_age_ns = -1;
};

struct HopStat {
    const char* name = "";
    std::uint64_t count = 0;
    std::uint64_t mean = 0;  // this and the rest in ns
    std::uint64_t p50 = 0;
    std::uint64_t p90 = 0;
    std::uint64_t p99 = 0;
    std::uint64_t p999 = 0;
    std::uint64_t max = 0;
};

struct ErrorRecord {
    std::string stage;
    std::string text;
    std::uint64_t count = 0;
    std::int64_t first_ns = 0;  // segment clock, about wall time
    std::int64_t last_ns = 0;
};

/// How far a follower of the log is behind.
struct Lag {
    std::uint64_t records = 0;
    std::int64_t ns = -1;   // age of the oldest record it lacks; 0 = lacks none, -1 = not known
    bool at_least = false;  // that record has left the journal ring: it is older than `ns`
};

/// CoreCells as plain numbers; names and meanings as there.
struct CoreStat {
    std::uint64_t completed = 0, journal_seq = 0, next_intent = 0, config_hash = 0;
    std::uint64_t signals_accepted = 0, entries_refused = 0;
    std::uint64_t orders_sent = 0, orders_filled = 0, orders_rejected = 0;
    std::uint64_t live_orders = 0, in_doubt = 0, open_positions = 0;
    std::uint64_t durable = 0, epoch = 0, journal_bytes = 0, journal_commits = 0;
    std::uint64_t reserved_seq = 0, reserved_intent = 0;
    std::uint32_t journal_state = 0, journal_backend = 0;
    std::uint64_t replica_applied = 0, replica_hash_checked = 0, replica_hash_mismatch = 0;
    std::uint64_t snapshot_seq = 0, effects_written = 0;
    std::uint64_t book_differences = 0;  // between what brokers hold and the books
    std::uint64_t sqlite_seq = 0, sqlite_errors = 0;
    std::uint64_t sqlite_batches = 0, sqlite_batch_rows = 0, sqlite_retries = 0;
    std::int64_t sqlite_failing_ns = 0;  // segment clock; 0 = it works
    std::uint64_t redis_seq = 0, redis_errors = 0, redis_generation = 0, redis_state = 0;
    std::uint64_t redis_batches = 0, redis_batch_rows = 0, redis_retries = 0;
    std::int64_t redis_failing_ns = 0;  // segment clock; 0 = it works
    std::uint64_t clickhouse_seq = 0, clickhouse_errors = 0, clickhouse_retries = 0;
    std::uint64_t clickhouse_state = 0, clickhouse_batches = 0;
    std::uint64_t clickhouse_verified = 0, clickhouse_differences = 0;
    std::int64_t clickhouse_failing_ns = 0;  // segment clock; 0 = it works
    Lag durable_behind, replica_behind, sqlite_behind, redis_behind, clickhouse_behind;
    std::uint32_t stop_requested = 0, supervisor_pid = 0;

    /// Journalled but not on disk yet.
    [[nodiscard]] std::uint64_t durable_lag() const noexcept { return behind(durable); }
    [[nodiscard]] std::uint64_t replica_lag() const noexcept { return behind(replica_applied); }
    /// False while a replica starts: it reads the log first, and until it has found where it stands
    /// its cell is 0. Its lag is not the whole log then, but not known.
    [[nodiscard]] bool replica_known() const noexcept {
        return replica_applied != 0 || journal_seq == 0;
    }
    [[nodiscard]] std::uint64_t sqlite_lag() const noexcept { return behind(sqlite_seq); }
    [[nodiscard]] std::uint64_t redis_lag() const noexcept { return behind(redis_seq); }
    [[nodiscard]] std::uint64_t clickhouse_lag() const noexcept { return behind(clickhouse_seq); }
    [[nodiscard]] bool has_clickhouse() const noexcept {
        return clickhouse_seq + clickhouse_errors != 0;
    }
    /// A pipeline without a Redis sink has never stored anything there.
    [[nodiscard]] bool has_redis() const noexcept { return redis_seq + redis_errors != 0; }

private:
    [[nodiscard]] std::uint64_t behind(std::uint64_t cursor) const noexcept {
        return journal_seq > cursor ? journal_seq - cursor : 0;
    }
};

struct HeaderStat {
    std::string magic;  // its eight bytes
    std::string uuid;   // 32 hex digits
    std::string boot_id;
    std::string journal_dir;
    std::uint32_t layout_version = 0;
    std::uint64_t schema_hash = 0;
    std::uint64_t total_bytes = 0;
    std::uint32_t creator_pid = 0;
    std::uint32_t creator_uid = 0;
    std::int64_t created_ns = 0;  // wall clock
    bool same_boot = false;
    bool locked = false;  // at creation
    bool huge_pages = false;
    std::uint32_t sessions = 0;     // account ids that fit
    std::uint64_t page_bytes = 0;   // the file system's page
    std::uint64_t huge_bytes = 0;   // backed by huge pages at creation
    std::int64_t numa_wished = -1;  // node that was asked for, -1 = anywhere
    // look_closer() only:
    int resident_percent = -1;  // of the file's pages, prefaulted at creation
    int numa_node = -1;
};

/// What the hops took in the last seconds.
struct RecentStat {
    Nanos window;  // how far it reaches back
    std::array<HopStat, kHops> hops;
};

struct PipelineView {
    HeaderStat header;
    CoreStat core;
    std::vector<StageStat> stages;
    std::vector<RingStat> rings;
    std::vector<SessionStat> sessions;  // configured accounts only
    std::array<HopStat, kHops> hops;    // since the segment was made
    std::optional<RecentStat> recent;   // only where somebody watches: RecentLatencies of recent.h
    std::vector<ErrorRecord> errors;    // most frequent first
    bool looked_closer = false;
};

/// Takes the picture. `segment` may be mapped read-only, live, dead or a copy. What claims to go on
/// (a journal that runs, a link that is up, a sink that follows) is shown as down where the process
/// whose claim it is has gone and nobody could say otherwise.
/// Threads: any; allocates; no lock, no syscall but /proc reads for liveness.
[[nodiscard]] PipelineView read_view(const Segment& segment);

/// Adds what costs more than a glance: kernel facts (pages, node, CPUs, locks) and a look at every
/// slot of every ring. Not for a picture that is taken ten times a second of a busy pipeline.
void look_closer(const Segment& segment, PipelineView& view);

/// What the ring table of a live view is sorted by.
enum class RingOrder : std::uint8_t { Fullest, Busiest, Stalls, Name };
inline constexpr std::uint8_t kRingOrders = 4;
[[nodiscard]] const char* order_name(RingOrder order) noexcept;

struct RenderOptions {
    bool all = false;                           // rings and sessions that nobody uses too
    bool color = false;                         // ANSI colours for what needs a look
    unsigned width = 80;                        // columns; longer lines are cut
    unsigned height = 24;                       // lines of render_top; render_stat has no limit
    RingOrder ring_order = RingOrder::Fullest;  // render_top, render_rings
    std::string title;                          // e.g. the segment's path; first line
    /// Account names by id, where the caller knows them (the segment holds only logins).
    std::vector<std::string> account_names;
};

/// The whole picture as text, for `millrace inspect stat` and reports.
/// @param previous an earlier picture of the same segment, or nullptr: then no rates are shown.
/// @param elapsed  time between the two; <= 0 counts as no previous picture.
[[nodiscard]] std::string render_stat(const PipelineView& view, const PipelineView* previous,
                                      Nanos elapsed, const RenderOptions& options);

/// The same, at most `options.height` lines: stages first, then the fullest rings, latencies
/// (`view.recent`, if it is there), accounts and errors as far as there is room. For a screen that
/// is redrawn.
[[nodiscard]] std::string render_top(const PipelineView& view, const PipelineView* previous,
                                     Nanos elapsed, const RenderOptions& options);

/// Rings in use, as sorted by `options.ring_order`: what render_rings() shows, by name.
[[nodiscard]] std::vector<std::string> sorted_rings(const PipelineView& view,
                                                    const PipelineView* previous, Nanos elapsed,
                                                    const RenderOptions& options);

/// All rings, at most `options.height` lines; the line of ring number `selected` is marked and
/// always shown.
[[nodiscard]] std::string render_rings(const PipelineView& view, const PipelineView* previous,
                                       Nanos elapsed, const RenderOptions& options,
                                       std::size_t selected);

/// The picture as JSON (tools/inspect/inspect.schema.json, definition "stat").
[[nodiscard]] std::string render_json(const PipelineView& view, const RenderOptions& options);

/// Names for numbers in the segment; "?" for numbers that this build does not know.
[[nodiscard]] const char* state_name(std::uint32_t stage_state) noexcept;
[[nodiscard]] const char* kind_name(std::uint32_t ring_kind) noexcept;
[[nodiscard]] const char* hop_name(std::uint32_t hop) noexcept;
[[nodiscard]] const char* journal_state_name(std::uint32_t state) noexcept;
[[nodiscard]] const char* journal_backend_name(std::uint32_t backend) noexcept;
[[nodiscard]] const char* redis_state_name(std::uint64_t state) noexcept;
[[nodiscard]] const char* clickhouse_state_name(std::uint64_t state) noexcept;
[[nodiscard]] const char* liveness_name(Liveness liveness) noexcept;

/// A duration for people: "870ns", "12.3us", "4.56ms", "1.20s", "3m05s", "2h14m"; "-" if negative.
[[nodiscard]] std::string human_ns(std::int64_t ns);
/// A 64-bit hash as 16 hex digits: as a JSON number most readers would round it above 2^53.
[[nodiscard]] std::string hex_hash(std::uint64_t hash);
/// A count for people, at most five characters below 10^15: "999", "12.3k", "4.56M".
[[nodiscard]] std::string human_count(std::uint64_t n);

}  // namespace millrace::inspect
