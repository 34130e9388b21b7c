#include "tools/inspect/details.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/wait.h>

#include <ctime>

namespace millrace::inspect {
namespace {

std::string or_dash(std::int64_t n) {
    return n < 0 ? "-" : std::to_string(n);
}

std::string exit_text(std::uint32_t status, std::uint32_t restarts) {
    const auto s = static_cast<int>(status);
    if (status == 0) {
        return restarts == 0 ? "-" : "exit 0";
    }
    return WIFSIGNALED(s) ? fmt::format("signal {}", WTERMSIG(s))
                          : fmt::format("exit {}", WEXITSTATUS(s));
}

std::string percent_idle(const StageStat& s) {
    return s.duty_cycles == 0 ? "-" : fmt::format("{}%", s.idle_cycles * 100 / s.duty_cycles);
}

void add_memory(Page& page, const HeaderStat& h) {
    page.add(fmt::format("memory: pages of {} KiB, {} MiB huge, {}% resident, {}, NUMA node {} "
                         "(asked for {})",
                         h.page_bytes >> 10U, h.huge_bytes >> 20U, or_dash(h.resident_percent),
                         h.locked ? "locked at creation" : "not locked", or_dash(h.numa_node),
                         h.numa_wished < 0 ? "any" : std::to_string(h.numa_wished)),
             h.resident_percent >= 0 && h.resident_percent < 100 ? Mood::Warn : Mood::Plain);
}

std::string lag_text(const Lag& lag) {
    return fmt::format("{}{} behind", lag.at_least ? "more than " : "", human_ns(lag.ns));
}

void add_last_error(Page& page, const PipelineView& v, const char* stage) {
    const ErrorRecord* last = nullptr;
    for (const ErrorRecord& e : v.errors) {
        if (e.stage == stage && (last == nullptr || e.last_ns > last->last_ns)) {
            last = &e;
        }
    }
    if (last != nullptr) {
        page.add(
            fmt::format("             last error {}: {}", wall_text(last->last_ns), last->text),
            Mood::Warn);
    }
}

void add_sinks(Page& page, const PipelineView& v) {
    const CoreStat& c = v.core;
    const std::string replica = c.replica_known() ? fmt::format("{} records, {}", c.replica_lag(),
                                                                lag_text(c.replica_behind))
                                                  : std::string{"starting"};
    page.add(fmt::format("durable: {} records, {}; replica: {}", c.durable_lag(),
                         lag_text(c.durable_behind), replica));
    page.add(
        fmt::format(
            "sink sqlite: stored to {}, {} records, {}; {} batches, last of {} rows; "
            "errors {} retries {}{}",
            c.sqlite_seq, c.sqlite_lag(), lag_text(c.sqlite_behind), c.sqlite_batches,
            c.sqlite_batch_rows, c.sqlite_errors, c.sqlite_retries,
            c.sqlite_failing_ns == 0 ? "" : "; FAILING since " + wall_text(c.sqlite_failing_ns)),
        c.sqlite_failing_ns == 0 ? Mood::Plain : Mood::Bad);
    add_last_error(page, v, "sqlite");
    if (c.has_redis()) {
        page.add(
            fmt::format(
                "sink redis: {}, stored to {}, {} records, {}; generation {}; {} batches, last of "
                "{} rows; errors {} retries {}{}",
                redis_state_name(c.redis_state), c.redis_seq, c.redis_lag(),
                lag_text(c.redis_behind), c.redis_generation, c.redis_batches, c.redis_batch_rows,
                c.redis_errors, c.redis_retries,
                c.redis_failing_ns == 0 ? "" : "; FAILING since " + wall_text(c.redis_failing_ns)),
            c.redis_failing_ns == 0 ? Mood::Plain : Mood::Bad);
    }
    add_last_error(page, v, "redis");
    if (c.has_clickhouse()) {
        page.add(
            fmt::format("sink clickhouse: {}, stored to {}, {} records, {}; {} batches; verified "
                        "to {}, {} rows differed; errors {} retries {}",
                        clickhouse_state_name(c.clickhouse_state), c.clickhouse_seq,
                        c.clickhouse_lag(), lag_text(c.clickhouse_behind), c.clickhouse_batches,
                        c.clickhouse_verified, c.clickhouse_differences, c.clickhouse_errors,
                        c.clickhouse_retries),
            c.clickhouse_failing_ns == 0 ? Mood::Plain : Mood::Bad);
    }
    add_last_error(page, v, "clickhouse");
}

/// A stage that lives must hold its role's lock; nobody else may.
Mood lock_mood(const StageStat& s) noexcept {
    const bool known = s.lock_pid >= 0 && s.liveness == Liveness::Alive;
    return known && s.lock_pid != static_cast<int>(s.pid) ? Mood::Warn : Mood::Plain;
}

void add_stages(Page& page, const PipelineView& v, const RenderOptions& o) {
    page.blank();
    page.add(fmt::format("{:<10} {:>7} {:>6} {:>6} {:>9} {:>10} {:>10} {:>10} {:>8} {:>5} {:>10}",
                         "STAGE", "TID", "PINNED", "ON CPU", "LOCK OF", "LAST EXIT", "FIRST WORK",
                         "CYCLES", "ITEMS", "IDLE", "UP FOR"),
             Mood::Head);
    for (const StageStat& s : v.stages) {
        if (s.pid == 0 && s.state == 0 && !o.all) {
            continue;
        }
        const std::string lock = s.lock_pid == 0 ? "nobody" : or_dash(s.lock_pid);
        page.add(
            fmt::format("{:<10} {:>7} {:>6} {:>6} {:>9} {:>10} {:>10} {:>10} {:>8} {:>5} {:>10}",
                        s.name, s.tid, s.cpu == kNoId ? "-" : std::to_string(s.cpu),
                        or_dash(s.cpu_now), lock, exit_text(s.last_exit, s.restarts),
                        human_ns(s.first_work_ns), human_count(s.duty_cycles), human_count(s.work),
                        percent_idle(s), human_ns(s.up_ns)),
            lock_mood(s));
    }
}

void add_rings(Page& page, const PipelineView& v, const RenderOptions& o) {
    page.blank();
    page.add(fmt::format("{:<18} {:>10} {:>8} {:>8} {:>21} {:>8} {:>8} {:>4} {:>4} {:>4}",
                         "RING SLOTS", "READ", "FREE", "OLDEST", "HIGH WATER AT", "STALLED",
                         "POLLED-", "TORN", "DUP", "GAP"),
             Mood::Head);
    for (const RingStat& r : v.rings) {
        if ((r.unused && !o.all) || !r.slots_known) {
            continue;
        }
        const std::string high = r.high_water_ns == 0 ? "-" : wall_text(r.high_water_ns);
        const std::string empty =
            r.polls_empty < 0 ? "-" : human_count(static_cast<std::uint64_t>(r.polls_empty));
        page.add(fmt::format("{:<18} {:>10} {:>8} {:>8} {:>21} {:>8} {:>8} {:>4} {:>4} {:>4}{}",
                             r.name, r.read, r.capacity - std::min(r.capacity, r.depth()),
                             human_ns(r.oldest_age_ns), high,
                             human_ns(static_cast<std::int64_t>(r.stall_ns)), empty, r.slots.torn,
                             r.slots.duplicates, r.slots.gaps,
                             r.slots.where.empty() ? "" : "  " + r.slots.where),
                 r.slots.sound() ? Mood::Plain : Mood::Bad);
    }
}

}  // namespace

std::string wall_text(std::int64_t ns) {
    return fmt::format("{:%Y-%m-%d %H:%M:%S}Z",
                       fmt::gmtime(static_cast<std::time_t>(ns / 1'000'000'000)));
}

void add_details(Page& page, const PipelineView& view, const RenderOptions& options) {
    add_memory(page, view.header);
    add_sinks(page, view);
    add_stages(page, view, options);
    add_rings(page, view, options);
}

}  // namespace millrace::inspect
