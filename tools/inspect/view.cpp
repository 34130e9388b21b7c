#include "tools/inspect/view.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "shm/role.h"
#include "tools/inspect/host.h"
#include "tools/inspect/rings.h"

namespace millrace::inspect {
namespace {

// Relaxed, where nothing else is said: these are counters shown to people; they order nothing.
template <class Atomic>
auto get(const Atomic& cell) noexcept {
    return cell.load(std::memory_order_relaxed);
}

template <std::size_t N>
std::string bounded(const char (&text)[N]) {
    return {text, ::strnlen(text, N)};
}

HeaderStat read_header(const Segment& segment) {
    const SegmentHeader& h = segment.header();
    HeaderStat s;
    s.magic.assign(reinterpret_cast<const char*>(&h.magic), sizeof h.magic);
    s.uuid = fmt::format("{:016x}{:016x}", h.uuid[0], h.uuid[1]);
    s.boot_id = bounded(h.boot_id);
    s.journal_dir = bounded(h.journal_dir);
    s.layout_version = h.layout_version;
    s.schema_hash = h.schema_hash;
    s.total_bytes = h.total_bytes;
    s.creator_pid = h.creator_pid;
    s.creator_uid = h.creator_uid;
    s.created_ns = h.created_ns;
    s.same_boot = segment.same_boot();
    s.locked = h.locked != 0;
    s.huge_pages = h.huge_pages != 0;
    s.huge_bytes = h.huge_bytes;
    s.page_bytes = h.page_bytes;
    s.numa_wished = h.numa_node == kNoId ? -1 : static_cast<std::int64_t>(h.numa_node);
    s.sessions = h.session_count;
    return s;
}

CoreStat read_core(const Segment& segment) {
    const CoreCells& c = segment.core();
    CoreStat s;
    // Followers first, leader last: a lag may come out too large by what happened meanwhile,
    // never negative.
    s.sqlite_seq = get(c.sqlite_seq);
    s.sqlite_errors = get(c.sqlite_errors);
    s.sqlite_batches = get(c.sqlite_batches);
    s.sqlite_batch_rows = get(c.sqlite_batch_rows);
    s.sqlite_retries = get(c.sqlite_retries);
    s.sqlite_failing_ns = get(c.sqlite_failing_ns);
    s.redis_seq = get(c.redis_seq);
    s.redis_errors = get(c.redis_errors);
    s.redis_generation = get(c.redis_generation);
    s.redis_state = get(c.redis_state);
    s.redis_batches = get(c.redis_batches);
    s.redis_batch_rows = get(c.redis_batch_rows);
    s.redis_retries = get(c.redis_retries);
    s.redis_failing_ns = get(c.redis_failing_ns);
    s.clickhouse_seq = get(c.clickhouse_seq);
    s.clickhouse_errors = get(c.clickhouse_errors);
    s.clickhouse_retries = get(c.clickhouse_retries);
    s.clickhouse_state = get(c.clickhouse_state);
    s.clickhouse_batches = get(c.clickhouse_batches);
    s.clickhouse_verified = get(c.clickhouse_verified);
    s.clickhouse_differences = get(c.clickhouse_differences);
    s.clickhouse_failing_ns = get(c.clickhouse_failing_ns);
    s.replica_applied = get(c.replica_applied);
    s.replica_hash_checked = get(c.replica_hash_checked);
    s.replica_hash_mismatch = get(c.replica_hash_mismatch);
    s.snapshot_seq = get(c.snapshot_seq);
    s.effects_written = get(c.effects_written);
    s.book_differences = get(c.book_differences);
    s.durable = get(c.durable);
    s.epoch = get(c.epoch);
    s.reserved_seq = get(c.reserved_seq);
    s.reserved_intent = get(c.reserved_intent);
    s.journal_state = get(c.journal_state);
    s.journal_backend = get(c.journal_backend);
    s.journal_bytes = get(c.journal_bytes);
    s.journal_commits = get(c.journal_commits);
    s.orders_filled = get(c.orders_filled);
    s.orders_rejected = get(c.orders_rejected);
    s.orders_sent = get(c.orders_sent);
    s.entries_refused = get(c.entries_refused);
    s.signals_accepted = get(c.signals_accepted);
    s.live_orders = get(c.live_orders);
    s.in_doubt = get(c.in_doubt);
    s.open_positions = get(c.open_positions);
    s.next_intent = get(c.next_intent);
    s.config_hash = get(c.config_hash);
    s.completed = get(c.completed);
    s.journal_seq = get(c.journal_seq);
    s.stop_requested = get(c.stop_requested);
    s.supervisor_pid = get(c.supervisor_pid);
    return s;
}

/// Age of the oldest record that a follower at `seq` lacks, read from the journal ring.
Lag lag_of(const Segment& segment, std::uint64_t seq, std::uint64_t last) {
    Lag lag;
    lag.records = last > seq ? last - seq : 0;
    if (lag.records == 0) {
        lag.ns = 0;
        return lag;
    }
    const std::uint32_t index = segment.find_ring("journal");
    if (index == kNoId || segment.ring_entry(index).kind != RingKind::Journal ||
        !segment.same_boot()) {
        return lag;
    }
    const auto ring = segment.ring<JournalRecord>(index);
    const auto at = read_cursors(ring);
    if (!at || at.value().written == 0) {
        return lag;
    }
    // Numbers in the ring and journal sequences differ by a constant (but for a Jump, which is the
    // first record of a segment).
    const std::uint64_t written = at.value().written;
    const std::uint64_t held = std::min(written, ring.capacity());
    JournalRecord record;
    const std::uint64_t wanted = written > lag.records ? written - lag.records + 1 : 1;
    const std::uint64_t oldest = written - held + 1;
    lag.at_least = wanted < oldest;
    // A live producer may be writing the oldest slot again: the one behind it serves as well.
    for (std::uint64_t n = std::max(wanted, oldest); n <= written && lag.ns < 0; ++n) {
        if (copy_record(ring, n, record)) {
            lag.ns = std::max<std::int64_t>(0, segment.clock().now().value - record.time.value);
        }
    }
    return lag;
}

void read_lags(const Segment& segment, CoreStat& s) {
    s.durable_behind = lag_of(segment, s.durable, s.journal_seq);
    if (s.replica_known()) {
        s.replica_behind = lag_of(segment, s.replica_applied, s.journal_seq);
    }
    s.sqlite_behind = lag_of(segment, s.sqlite_seq, s.journal_seq);
    s.redis_behind = lag_of(segment, s.redis_seq, s.journal_seq);
    s.clickhouse_behind = lag_of(segment, s.clickhouse_seq, s.journal_seq);
}

Liveness liveness_of(std::uint32_t pid, std::uint64_t start_time, bool same_boot) {
    if (pid == 0) {
        return Liveness::None;
    }
    if (!same_boot) {
        return Liveness::Foreign;
    }
    const std::uint64_t now = process_start_time(static_cast<int>(pid));
    return now != 0 && now == start_time ? Liveness::Alive : Liveness::Gone;
}

std::int64_t age_of(std::int64_t stamp, bool same_boot, Nanos now) noexcept {
    return stamp == 0 || !same_boot ? -1 : std::max<std::int64_t>(0, now.value - stamp);
}

std::int64_t since(std::int64_t from, std::int64_t to) noexcept {
    return from == 0 || to < from ? -1 : to - from;
}

StageStat read_stage(const Segment& segment, StageId id, bool same_boot) {
    const StageEntry& e = segment.stage(id);
    StageStat s;
    s.name = stage_name(id);
    s.state = get(e.state);
    s.pid = get(e.pid);
    s.tid = get(e.tid);
    s.start_time = get(e.start_time);
    s.cpu = get(e.cpu);
    s.restarts = get(e.restarts);
    s.last_exit = get(e.last_exit);
    s.generation = get(e.generation);
    s.work = get(e.work);
    s.duty_cycles = get(e.duty_cycles);
    s.idle_cycles = get(e.idle_cycles);
    s.liveness = liveness_of(s.pid, s.start_time, same_boot);
    if (s.liveness == Liveness::Gone &&
        lives_in_another_namespace(lock_holder(bounded(segment.header().journal_dir), s.name))) {
        s.liveness = Liveness::Elsewhere;
    }
    s.heartbeat_age_ns = age_of(get(e.heartbeat_ns), same_boot, segment.clock().now());
    const std::int64_t started = get(e.started_ns);
    s.up_ns = lives(s.liveness) ? age_of(started, same_boot, segment.clock().now()) : -1;
    s.recovery_ns = since(started, get(e.running_ns));
    s.first_work_ns = since(started, get(e.first_work_ns));
    return s;
}

RingStat read_ring(const Segment& segment, std::uint32_t index) {
    const RingEntry& e = segment.ring_entry(index);
    const RingControl<>& c = segment.ring_control(index);
    RingStat s;
    s.name = std::string{view(e.name)};
    s.kind = static_cast<std::uint32_t>(e.kind);
    s.slot_bytes = e.slot_bytes;
    s.owner_id = e.owner_id;
    s.capacity = e.capacity;
    s.high_water = get(c.high_water);
    s.high_water_ns = static_cast<std::int64_t>(get(c.high_water_ns));
    s.full_stalls = get(c.full_stalls);
    s.stall_ns = get(c.stall_ns);
    if (e.doorbell < kStages) {
        s.polls_empty = static_cast<std::int64_t>(
            get(segment.stage(static_cast<StageId>(e.doorbell)).idle_cycles));
    }
    s.producer_generation = get(c.producer_generation);
    s.consumer_generation = get(c.consumer_generation);
    const Result<Cursors> cursors = with_ring<Result<Cursors>>(
        segment, index, {Errc::BadLayout, "ring of a kind that this build does not know"},
        [](const auto& ring) { return read_cursors(ring); });
    if (cursors) {
        s.read = cursors.value().read;
        s.written = cursors.value().written;
    } else {
        s.read = s.written = get(c.read_cursor);
        s.fault = cursors.error().what;
    }
    // The producer publishes its high-water mark from time to time; what we see may be above it.
    s.high_water = std::max(s.high_water, s.depth());
    s.unused = e.kind == RingKind::Session && e.owner_id < segment.sessions() &&
               get(segment.session(AccountId{e.owner_id}).login) == 0 && s.written == 0;
    return s;
}

SessionStat read_session(const SessionEntry& e, std::uint32_t account, bool same_boot, Nanos now) {
    SessionStat s;
    s.account = account;
    s.login = get(e.login);
    // Acquire: pairs with the release in Session::set_link(); what led to that state is visible.
    s.link = e.link.load(std::memory_order_acquire);
    s.state = get(e.account_state);
    s.killed = get(e.killed);
    s.busy = get(e.busy) != 0;
    // Acquire, both: pairs with the release of each in the broker stage, which stores `claimed`
    // before them. So neither is seen beyond it.
    s.acked = e.acked.load(std::memory_order_acquire);
    s.done = e.done.load(std::memory_order_acquire);
    s.claimed = get(e.claimed);
    s.generation = get(e.generation);
    s.reconnects = get(e.reconnects);
    s.commands_sent = get(e.commands_sent);
    s.events_received = get(e.events_received);
    s.fills = get(e.fills);
    s.live_orders = get(e.live_orders);
    s.heard_age_ns = age_of(get(e.heard_ns), same_boot, now);
    return s;
}

HopStat read_hop(const Segment& segment, std::uint32_t hop) {
    const Histogram& h = segment.hop(static_cast<Hop>(hop));
    HopStat s;
    s.name = hop_name(hop);
    s.count = get(h.total);
    s.max = get(h.max);
    s.mean = s.count == 0 ? 0 : get(h.sum) / s.count;
    // A bucket's upper end can lie above the largest value seen.
    const auto quantile = [&](std::uint64_t num, std::uint64_t den) {
        return std::min(h.quantile(num, den), s.max);
    };
    s.p50 = quantile(50, 100);
    s.p90 = quantile(90, 100);
    s.p99 = quantile(99, 100);
    s.p999 = quantile(999, 1000);
    return s;
}

std::vector<ErrorRecord> read_errors(const Segment& segment) {
    std::vector<ErrorRecord> out;
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment.error(i);
        // Acquire: pairs with the release in report_error(). Even: free, or still being written.
        if ((e.hash.load(std::memory_order_acquire) & 1U) == 0) {
            continue;
        }
        out.push_back(
            {bounded(e.stage), bounded(e.text), get(e.count), get(e.first_ns), get(e.last_ns)});
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.count > b.count; });
    return out;
}

/// The dead contradict nothing: what they claimed to be doing they no longer do. Of another boot
/// the claims stay, for whoever looks at what was left behind; it is called another boot's.
void believe_no_dead(PipelineView& v) {
    const auto gone = [&v](StageId id) {
        const StageStat& s = v.stages[static_cast<std::uint32_t>(id)];
        return s.liveness == Liveness::Gone && is_lost(s);
    };
    if (gone(StageId::Journal) &&
        v.core.journal_state == static_cast<std::uint32_t>(JournalState::Running)) {
        v.core.journal_state = static_cast<std::uint32_t>(JournalState::Down);
    }
    if (gone(StageId::Redis)) {
        v.core.redis_state = static_cast<std::uint64_t>(RedisState::Down);
    }
    if (gone(StageId::ClickHouse)) {
        v.core.clickhouse_state = static_cast<std::uint64_t>(ClickHouseState::Down);
    }
    for (SessionStat& s : v.sessions) {
        // AuthRejected is the broker's answer, not ours, and stands.
        if (gone(StageId::Broker) &&
            s.link != static_cast<std::uint32_t>(LinkState::AuthRejected)) {
            s.link = static_cast<std::uint32_t>(LinkState::Down);
        }
    }
}

}  // namespace

PipelineView read_view(const Segment& segment) {
    PipelineView v;
    v.header = read_header(segment);
    v.core = read_core(segment);
    read_lags(segment, v.core);
    for (std::uint32_t i = 0; i < kStages; ++i) {
        v.stages.push_back(read_stage(segment, static_cast<StageId>(i), v.header.same_boot));
    }
    for (std::uint32_t i = 0; i < segment.ring_count(); ++i) {
        v.rings.push_back(read_ring(segment, i));
    }
    const Nanos now = segment.clock().now();
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        const SessionEntry& e = segment.session(AccountId{i});
        if (get(e.login) != 0) {
            v.sessions.push_back(read_session(e, i, v.header.same_boot, now));
        }
    }
    for (std::uint32_t i = 0; i < kHops; ++i) {
        v.hops[i] = read_hop(segment, i);
    }
    v.errors = read_errors(segment);
    believe_no_dead(v);
    return v;
}

}  // namespace millrace::inspect
