// The picture as JSON. Shape: tools/inspect/inspect.schema.json, definition "stat".
#include <nlohmann/json.hpp>

#include "core/order_status.h"
#include "tools/inspect/span.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

/// Ages and times that are not known are null, never -1.
ordered_json known(std::int64_t ns) {
    return ns < 0 ? ordered_json(nullptr) : ordered_json(ns);
}
ordered_json known(std::optional<double> rate) {
    return rate ? ordered_json(*rate) : ordered_json(nullptr);
}
ordered_json id_or_null(std::uint32_t id) {
    return id == kNoId ? ordered_json(nullptr) : ordered_json(id);
}

ordered_json header_json(const HeaderStat& h) {
    return {{"magic", h.magic},
            {"uuid", h.uuid},
            {"layout_version", h.layout_version},
            {"schema_hash", hex_hash(h.schema_hash)},
            {"total_bytes", h.total_bytes},
            {"boot_id", h.boot_id},
            {"same_boot", h.same_boot},
            {"created_ns", h.created_ns},
            {"creator_pid", h.creator_pid},
            {"creator_uid", h.creator_uid},
            {"locked", h.locked},
            {"huge_pages", h.huge_pages},
            {"page_bytes", h.page_bytes},
            {"huge_bytes", h.huge_bytes},
            {"numa_wished", known(h.numa_wished)},
            {"resident_percent", known(h.resident_percent)},
            {"numa_node", known(h.numa_node)},
            {"sessions", h.sessions},
            {"journal_dir", h.journal_dir}};
}

ordered_json core_json(const CoreStat& c) {
    return {{"completed", c.completed},
            {"journal_seq", c.journal_seq},
            {"next_intent", c.next_intent},
            {"config_hash", hex_hash(c.config_hash)},
            {"signals_accepted", c.signals_accepted},
            {"entries_refused", c.entries_refused},
            {"orders_sent", c.orders_sent},
            {"orders_filled", c.orders_filled},
            {"orders_rejected", c.orders_rejected},
            {"live_orders", c.live_orders},
            {"in_doubt", c.in_doubt},
            {"open_positions", c.open_positions},
            {"stop_requested", c.stop_requested != 0},
            {"supervisor_pid", c.supervisor_pid}};
}

ordered_json journal_json(const CoreStat& c) {
    return {{"state", journal_state_name(c.journal_state)},
            {"backend", journal_backend_name(c.journal_backend)},
            {"epoch", c.epoch},
            {"durable", c.durable},
            {"lag", c.durable_lag()},
            {"lag_ns", known(c.durable_behind.ns)},
            {"lag_is_least", c.durable_behind.at_least},
            {"bytes", c.journal_bytes},
            {"commits", c.journal_commits},
            {"reserved_seq", c.reserved_seq},
            {"reserved_intent", c.reserved_intent}};
}

ordered_json replica_json(const CoreStat& c) {
    return {{"applied", c.replica_applied},
            {"lag", c.replica_known() ? ordered_json(c.replica_lag()) : ordered_json(nullptr)},
            {"lag_ns", known(c.replica_behind.ns)},
            {"lag_is_least", c.replica_behind.at_least},
            {"hash_checked", c.replica_hash_checked},
            {"hash_mismatch", c.replica_hash_mismatch == 0 ? ordered_json(nullptr)
                                                           : ordered_json(c.replica_hash_mismatch)},
            {"snapshot_seq", c.snapshot_seq},
            {"effects_written", c.effects_written},
            {"book_differences", c.book_differences}};
}

ordered_json stage_json(const StageStat& s) {
    return {{"name", s.name},
            {"state", state_name(s.state)},
            {"process", liveness_name(s.liveness)},
            {"pid", s.pid},
            {"tid", s.tid},
            {"start_time", s.start_time},
            {"up_ns", known(s.up_ns)},
            {"cpu", id_or_null(s.cpu)},
            {"generation", s.generation},
            {"heartbeat_age_ns", known(s.heartbeat_age_ns)},
            {"work", s.work},
            {"cpu_now", known(s.cpu_now)},
            {"lock_pid", known(s.lock_pid)},
            {"duty_cycles", s.duty_cycles},
            {"idle_cycles", s.idle_cycles},
            {"restarts", s.restarts},
            {"last_exit", s.last_exit},
            {"recovery_ns", known(s.recovery_ns)},
            {"first_work_ns", known(s.first_work_ns)}};
}

ordered_json last_error_of(const PipelineView& v, const char* stage) {
    ordered_json text = nullptr;
    std::int64_t newest = 0;
    for (const ErrorRecord& e : v.errors) {
        if (e.stage == stage && e.last_ns >= newest) {
            newest = e.last_ns;
            text = e.text;
        }
    }
    return text;
}

ordered_json redis_json(const PipelineView& v) {
    const CoreStat& c = v.core;
    return {{"seq", c.redis_seq},
            {"lag", c.redis_lag()},
            {"lag_ns", known(c.redis_behind.ns)},
            {"lag_is_least", c.redis_behind.at_least},
            {"state", redis_state_name(c.redis_state)},
            {"generation", c.redis_generation},
            {"batches", c.redis_batches},
            {"batch_rows", c.redis_batch_rows},
            {"errors", c.redis_errors},
            {"retries", c.redis_retries},
            {"failing_since_ns",
             c.redis_failing_ns == 0 ? ordered_json(nullptr) : ordered_json(c.redis_failing_ns)},
            {"last_error", last_error_of(v, "redis")}};
}

ordered_json clickhouse_json(const PipelineView& v) {
    const CoreStat& c = v.core;
    return {
        {"seq", c.clickhouse_seq},
        {"lag", c.clickhouse_lag()},
        {"lag_ns", known(c.clickhouse_behind.ns)},
        {"lag_is_least", c.clickhouse_behind.at_least},
        {"state", clickhouse_state_name(c.clickhouse_state)},
        {"batches", c.clickhouse_batches},
        {"verified", c.clickhouse_verified},
        {"differences", c.clickhouse_differences},
        {"errors", c.clickhouse_errors},
        {"retries", c.clickhouse_retries},
        {"failing_since_ns", c.clickhouse_failing_ns == 0 ? ordered_json(nullptr)
                                                          : ordered_json(c.clickhouse_failing_ns)},
        {"last_error", last_error_of(v, "clickhouse")}};
}

ordered_json sqlite_json(const PipelineView& v) {
    const CoreStat& c = v.core;
    return {{"seq", c.sqlite_seq},
            {"lag", c.sqlite_lag()},
            {"lag_ns", known(c.sqlite_behind.ns)},
            {"lag_is_least", c.sqlite_behind.at_least},
            {"batches", c.sqlite_batches},
            {"batch_rows", c.sqlite_batch_rows},
            {"errors", c.sqlite_errors},
            {"retries", c.sqlite_retries},
            {"failing_since_ns",
             c.sqlite_failing_ns == 0 ? ordered_json(nullptr) : ordered_json(c.sqlite_failing_ns)},
            {"last_error", last_error_of(v, "sqlite")}};
}

ordered_json ring_json(const RingStat& r, const RingRates& rates) {
    return {{"name", r.name},
            {"kind", kind_name(r.kind)},
            {"slot_bytes", r.slot_bytes},
            {"capacity", r.capacity},
            {"read", r.read},
            {"written", r.written},
            {"depth", r.depth()},
            {"free", r.capacity > r.depth() ? r.capacity - r.depth() : 0},
            {"percent", r.capacity == 0 ? 0 : r.depth() * 100 / r.capacity},
            {"high_water", r.high_water},
            {"high_water_time_ns",
             r.high_water_ns == 0 ? ordered_json(nullptr) : ordered_json(r.high_water_ns)},
            {"in_per_second", known(rates.in)},
            {"out_per_second", known(rates.out)},
            {"full_in_ns", known(rates.full_in_ns)},
            {"full_stalls", r.full_stalls},
            {"stall_ns", r.stall_ns},
            {"polls_empty", known(r.polls_empty)},
            {"oldest_age_ns", known(r.oldest_age_ns)},
            {"slots", r.slots_known ? census_json(r.slots) : ordered_json(nullptr)},
            {"owner_id", id_or_null(r.owner_id)},
            {"producer_generation", r.producer_generation},
            {"consumer_generation", r.consumer_generation},
            {"fault", r.fault.empty() ? ordered_json(nullptr) : ordered_json(r.fault)}};
}

ordered_json session_json(const SessionStat& s, const RenderOptions& o) {
    const bool named = s.account < o.account_names.size() && !o.account_names[s.account].empty();
    return {{"account", s.account},
            {"name", named ? ordered_json(o.account_names[s.account]) : ordered_json(nullptr)},
            {"login", s.login},
            {"link", to_string(static_cast<LinkState>(s.link))},
            {"state", to_string(static_cast<AccountState>(s.state))},
            {"killed", s.killed},
            {"busy", s.busy},
            {"claimed", s.claimed},
            {"done", s.done},
            {"acked", s.acked},
            {"generation", s.generation},
            {"reconnects", s.reconnects},
            {"commands_sent", s.commands_sent},
            {"events_received", s.events_received},
            {"fills", s.fills},
            {"live_orders", s.live_orders},
            {"heard_age_ns", known(s.heard_age_ns)}};
}

ordered_json hop_json(const HopStat& h) {
    return {{"hop", h.name},   {"count", h.count}, {"mean_ns", h.mean}, {"p50_ns", h.p50},
            {"p90_ns", h.p90}, {"p99_ns", h.p99},  {"p999_ns", h.p999}, {"max_ns", h.max}};
}

/// Null where nobody watched: RecentLatencies of recent.h.
ordered_json recent_json(const PipelineView& v) {
    if (!v.recent) {
        return nullptr;
    }
    ordered_json hops = ordered_json::array();
    for (const HopStat& h : v.recent->hops) {
        hops.push_back(hop_json(h));
    }
    return {{"seconds", static_cast<double>(v.recent->window.value) / 1e9}, {"hops", hops}};
}

ordered_json error_json(const ErrorRecord& e) {
    return {{"stage", e.stage},
            {"text", e.text},
            {"count", e.count},
            {"first_ns", e.first_ns},
            {"last_ns", e.last_ns}};
}

/// Null where there is no earlier picture of the same segment.
ordered_json rates_json(const Span& span) {
    if (span.before == nullptr) {
        return nullptr;
    }
    const CoreStat& now = span.now.core;
    const CoreStat& before = span.before->core;
    return {{"seconds", span.seconds},
            {"journal_per_second", known(span.rate(now.journal_seq, before.journal_seq))},
            {"signals_per_second", known(span.rate(now.signals_accepted, before.signals_accepted))},
            {"orders_per_second", known(span.rate(now.orders_sent, before.orders_sent))},
            {"fills_per_second", known(span.rate(now.orders_filled, before.orders_filled))}};
}

template <class Items, class Make>
ordered_json array_of(const Items& items, Make make) {
    ordered_json out = ordered_json::array();
    for (const auto& item : items) {
        out.push_back(make(item));
    }
    return out;
}

}  // namespace

std::string render_json(const PipelineView& view, const RenderOptions& options,
                        const PipelineView* previous, Nanos elapsed) {
    const Span span = make_span(view, previous, elapsed);
    ordered_json j;
    j["segment"] = header_json(view.header);
    j["rates"] = rates_json(span);
    j["core"] = core_json(view.core);
    j["journal"] = journal_json(view.core);
    j["replica"] = replica_json(view.core);
    j["sqlite"] = sqlite_json(view);
    j["redis"] = redis_json(view);
    j["clickhouse"] = clickhouse_json(view);
    j["stages"] = array_of(view.stages, stage_json);
    j["rings"] = ordered_json::array();
    for (std::size_t i = 0; i < view.rings.size(); ++i) {
        if (options.all || !view.rings[i].unused) {
            j["rings"].push_back(ring_json(view.rings[i], ring_rates(span, i)));
        }
    }
    j["sessions"] =
        array_of(view.sessions, [&](const SessionStat& s) { return session_json(s, options); });
    j["latency"] = array_of(view.hops, hop_json);
    j["latency_recent"] = recent_json(view);
    j["errors"] = array_of(view.errors, error_json);
    // A torn or foreign byte in a text must not make the whole report fail.
    return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string render_json(const PipelineView& view, const RenderOptions& options) {
    return render_json(view, options, nullptr, Nanos{});
}

}  // namespace millrace::inspect
