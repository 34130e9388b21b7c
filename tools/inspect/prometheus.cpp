#include "tools/inspect/prometheus.h"

#include <fmt/core.h>

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "core/order_status.h"
#include "tools/inspect/hist.h"
#include "tools/inspect/verbs.h"

namespace millrace::inspect {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// What a label can hold of a text: a torn or foreign byte must not make the scrape fail.
std::string printable(std::string text) {
    for (char& c : text) {
        const auto u = static_cast<unsigned char>(c);
        c = c == '\n' || (u >= 0x20 && u < 0x7F) ? c : '?';
    }
    return text;
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : printable(text)) {
        out += c == '\\' || c == '"' ? "\\" : "";
        out += c == '\n' ? std::string{"\\n"} : std::string{c};
    }
    return out;
}

class Writer {
public:
    explicit Writer(std::string segment) : segment_{std::move(segment)} {}

    void family(const std::string& name, const char* type, const char* help) {
        name_ = "millrace_" + name;
        out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_, type);
    }
    void sample(const Labels& labels, double value, const char* suffix = "") {
        out_ += fmt::format("{}{}{{segment=\"{}\"", name_, suffix, escaped(segment_));
        for (const auto& [name, text] : labels) {
            out_ += fmt::format(",{}=\"{}\"", name, escaped(text));
        }
        out_ += fmt::format("}} {}\n", value);
    }
    void one(const std::string& name, const char* type, const char* help, double value) {
        family(name, type, help);
        sample({}, value);
    }
    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    std::string segment_;
    std::string name_;
    std::string out_;
};

double number(std::uint64_t n) {
    return static_cast<double>(n);
}
double seconds_of(std::int64_t ns) {
    return static_cast<double>(ns) / 1e9;
}

/// What is known of one sink; those that the pipeline does not have are left out.
struct SinkRow {
    const char* name;
    bool there;
    std::uint64_t seq, lag, errors;
    std::int64_t behind_ns;  // negative: not known
};

void write_sinks(Writer& w, const CoreStat& c) {
    const SinkRow rows[] = {
        {"sqlite", true, c.sqlite_seq, c.sqlite_lag(), c.sqlite_errors, c.sqlite_behind.ns},
        {"redis", c.has_redis(), c.redis_seq, c.redis_lag(), c.redis_errors, c.redis_behind.ns},
        {"clickhouse", c.has_clickhouse(), c.clickhouse_seq, c.clickhouse_lag(),
         c.clickhouse_errors, c.clickhouse_behind.ns}};
    const auto family = [&](const char* name, const char* type, const char* help, auto value) {
        w.family(name, type, help);
        for (const SinkRow& row : rows) {
            if (const double n = value(row); row.there && n >= 0) {
                w.sample({{"sink", row.name}}, n);
            }
        }
    };
    family("sink_sequence", "gauge", "Record up to which a sink has stored.",
           [](const SinkRow& r) { return number(r.seq); });
    family("sink_lag_records", "gauge", "Records that a sink lacks.",
           [](const SinkRow& r) { return number(r.lag); });
    family("sink_lag_seconds", "gauge", "Age of the oldest record that a sink lacks, at least.",
           [](const SinkRow& r) { return seconds_of(r.behind_ns); });
    family("sink_errors_total", "counter", "Failures of a sink.",
           [](const SinkRow& r) { return number(r.errors); });
    w.family("sink_retries_total", "counter", "Tries of a sink after a failure.");
    w.sample({{"sink", "sqlite"}}, number(c.sqlite_retries));
    if (c.has_redis()) {
        w.sample({{"sink", "redis"}}, number(c.redis_retries));
    }
    if (c.has_clickhouse()) {
        w.sample({{"sink", "clickhouse"}}, number(c.clickhouse_retries));
        w.one("clickhouse_state", "gauge",
              "0 down, 1 following, 2 retrying, 3 in failed_syncs, 4 suspended by the breaker.",
              number(c.clickhouse_state));
        w.one("clickhouse_verified_sequence", "gauge",
              "Compared with SQLite and found equal up to here.", number(c.clickhouse_verified));
        w.one("clickhouse_differing_rows", "gauge",
              "Rows that the last comparison found to differ.", number(c.clickhouse_differences));
    }
}

void write_core(Writer& w, const PipelineView& v) {
    const CoreStat& c = v.core;
    const auto counter = [&](const char* name, const char* help, std::uint64_t n) {
        w.one(name, "counter", help, number(n));
    };
    const auto gauge = [&](const char* name, const char* help, double n) {
        w.one(name, "gauge", help, n);
    };
    counter("signals_accepted_total", "Signals taken into the ledger.", c.signals_accepted);
    counter("signals_refused_total", "Signals answered REFUSED.", c.entries_refused);
    counter("orders_sent_total", "Orders handed to the broker stage.", c.orders_sent);
    counter("orders_filled_total", "Orders that were filled.", c.orders_filled);
    counter("orders_rejected_total", "Orders rejected, cancelled or expired.", c.orders_rejected);
    gauge("orders_live", "Orders without a final state.", number(c.live_orders));
    gauge("orders_in_doubt", "Orders that a broker may have seen, without proof.",
          number(c.in_doubt));
    gauge("positions_open", "Open positions.", number(c.open_positions));
    gauge("journal_sequence", "Last record published to the journal ring.", number(c.journal_seq));
    gauge("journal_durable_sequence", "Last record on disk.", number(c.durable));
    gauge("journal_epoch", "Epoch that is being written.", number(c.epoch));
    gauge("journal_running", "1 while the journal acknowledges; 0 down, poisoned or full.",
          c.journal_state == static_cast<std::uint32_t>(JournalState::Running) ? 1 : 0);
    counter("journal_bytes_total", "Bytes written to journal files.", c.journal_bytes);
    counter("journal_commits_total", "Group commits.", c.journal_commits);
    gauge("replica_follows",
          "1 while the replica is known to follow the log; 0 while it starts: how far it is behind "
          "is not known then, and the samples that say so are absent.",
          c.replica_known() ? 1 : 0);
    if (c.replica_known()) {
        gauge("replica_applied_sequence", "Last record that the replica applied.",
              number(c.replica_applied));
        gauge("replica_lag_records", "Records that the replica lacks.", number(c.replica_lag()));
    }
    gauge("replica_hash_mismatch_sequence", "First record whose state hash differed; 0 = none.",
          number(c.replica_hash_mismatch));
    gauge("snapshot_sequence", "Record of the newest snapshot.", number(c.snapshot_seq));
    gauge("book_differences",
          "Differences that stand between what brokers hold and the books, foreign ones not.",
          number(c.book_differences));
    gauge("segment_bytes", "Size of the segment.", number(v.header.total_bytes));
    gauge("segment_created_timestamp_seconds", "When the segment was made, since 1970.",
          seconds_of(v.header.created_ns));
    gauge("segment_same_boot", "1 if the segment is of this boot of this host.",
          v.header.same_boot ? 1 : 0);
    write_sinks(w, c);
}

template <class Items, class Label, class Value>
void write_family(Writer& w, const char* name, const char* type, const char* help,
                  const Items& items, Label label, Value value) {
    w.family(name, type, help);
    for (const auto& item : items) {
        w.sample(label(item), value(item));
    }
}

void write_stages(Writer& w, const PipelineView& v) {
    const auto label = [](const StageStat& s) { return Labels{{"stage", s.name}}; };
    const auto put = [&](const char* name, const char* type, const char* help, auto value) {
        write_family(w, name, type, help, v.stages, label, value);
    };
    put("stage_up", "gauge", "1 if the stage's process is alive.",
        [](const StageStat& s) { return lives(s.liveness) ? 1.0 : 0.0; });
    put("stage_state", "gauge",
        "0 empty, 1 starting, 2 recovering, 3 running, 4 standby, 5 draining, 6 stopped, 7 dead, "
        "8 halted.",
        [](const StageStat& s) { return number(s.state); });
    put("stage_restarts_total", "counter", "Restarts by the supervisor.",
        [](const StageStat& s) { return number(s.restarts); });
    put("stage_work_total", "counter", "Items done.",
        [](const StageStat& s) { return number(s.work); });
    put("stage_duty_cycles_total", "counter", "Duty cycles.",
        [](const StageStat& s) { return number(s.duty_cycles); });
    put("stage_idle_cycles_total", "counter", "Duty cycles that found nothing to do.",
        [](const StageStat& s) { return number(s.idle_cycles); });
    w.family("stage_heartbeat_age_seconds", "gauge", "Age of the last heartbeat.");
    for (const StageStat& s : v.stages) {
        if (s.heartbeat_age_ns >= 0) {
            w.sample(label(s), seconds_of(s.heartbeat_age_ns));
        }
    }
    w.family("stage_recovery_seconds", "gauge", "Last start: exec to running.");
    for (const StageStat& s : v.stages) {
        if (s.recovery_ns >= 0) {
            w.sample(label(s), seconds_of(s.recovery_ns));
        }
    }
}

void write_rings(Writer& w, const PipelineView& v) {
    std::vector<RingStat> used;
    for (const RingStat& r : v.rings) {
        if (!r.unused) {
            used.push_back(r);
        }
    }
    const auto label = [](const RingStat& r) { return Labels{{"ring", r.name}}; };
    const auto put = [&](const char* name, const char* type, const char* help, auto value) {
        write_family(w, name, type, help, used, label, value);
    };
    put("ring_capacity_records", "gauge", "Slots.",
        [](const RingStat& r) { return number(r.capacity); });
    // Cursor and slots contradict each other: how far the producer came is not known then.
    const auto put_known = [&](const char* name, const char* type, const char* help, auto value) {
        w.family(name, type, help);
        for (const RingStat& r : used) {
            if (r.fault.empty()) {
                w.sample(label(r), value(r));
            }
        }
    };
    put_known("ring_depth_records", "gauge", "Records published and not released.",
              [](const RingStat& r) { return number(r.depth()); });
    put("ring_high_water_records", "gauge", "Greatest depth seen.",
        [](const RingStat& r) { return number(r.high_water); });
    put_known("ring_written_records_total", "counter", "Records published.",
              [](const RingStat& r) { return number(r.written); });
    put("ring_read_records_total", "counter", "Records released.",
        [](const RingStat& r) { return number(r.read); });
    put("ring_full_stalls_total", "counter", "Publishes refused because the ring was full.",
        [](const RingStat& r) { return number(r.full_stalls); });
    put("ring_stall_seconds_total", "counter", "Time in which publishes were refused.",
        [](const RingStat& r) { return seconds_of(static_cast<std::int64_t>(r.stall_ns)); });
    put("ring_fault", "gauge", "1 if cursor and slots contradict each other.",
        [](const RingStat& r) { return r.fault.empty() ? 0.0 : 1.0; });
}

void write_accounts(Writer& w, const PipelineView& v) {
    const auto label = [](const SessionStat& s) {
        return Labels{{"account", std::to_string(s.account)}, {"login", std::to_string(s.login)}};
    };
    const auto put = [&](const char* name, const char* type, const char* help, auto value) {
        write_family(w, name, type, help, v.sessions, label, value);
    };
    put("account_link_up", "gauge", "1 if the terminal's link is up.", [](const SessionStat& s) {
        return s.link == static_cast<std::uint32_t>(LinkState::Up) ? 1.0 : 0.0;
    });
    put("account_state", "gauge",
        "0 reconciling, 1 trading, 2 reduce only, 3 suspended, 4 disabled, 5 inactive, 6 closed.",
        [](const SessionStat& s) { return number(s.state); });
    put("account_commands_total", "counter", "Commands sent.",
        [](const SessionStat& s) { return number(s.commands_sent); });
    put("account_fills_total", "counter", "Fills.",
        [](const SessionStat& s) { return number(s.fills); });
    put("account_reconnects_total", "counter", "Reconnects.",
        [](const SessionStat& s) { return number(s.reconnects); });
    put("account_claimed_not_done", "gauge", "Commands in doubt if the broker stage died now.",
        [](const SessionStat& s) { return s.claimed > s.done ? number(s.claimed - s.done) : 0.0; });
}

/// Buckets by powers of two: 40 lines a hop are read well, 640 are not. The rest of the resolution
/// is in `hist --json`.
/// Bounds of the exported buckets: powers of two from 64 ns to 69 s. Always the same ones: a bucket
/// that appeared with its first value would have no 0 before it, and rate() would miss that value,
/// just when a tail begins.
constexpr unsigned kFirstPower = 6;
constexpr unsigned kLastPower = 36;

void write_latency(Writer& w, const Segment& segment, const PipelineView& v) {
    w.family("hop_latency_seconds", "histogram", "Latency by hop.");
    for (std::uint32_t i = 0; i < kHops; ++i) {
        const std::vector<Bucket> buckets = read_buckets(segment, static_cast<Hop>(i));
        const std::string hop = v.hops[i].name;
        std::uint64_t total = 0;
        auto at = buckets.begin();
        for (unsigned power = kFirstPower; power <= kLastPower; ++power) {
            const std::uint64_t bound = std::uint64_t{1} << power;
            for (; at != buckets.end() && at->upper_ns < bound; ++at) {
                total += at->count;
            }
            w.sample({{"hop", hop}, {"le", fmt::format("{}", number(bound) / 1e9)}}, number(total),
                     "_bucket");
        }
        for (; at != buckets.end(); ++at) {
            total += at->count;
        }
        w.sample({{"hop", hop}, {"le", "+Inf"}}, number(total), "_bucket");
        // Not mean * count: the mean is rounded down, so that could fall while values come in.
        const auto sum = segment.hop(static_cast<Hop>(i)).sum.load(std::memory_order_relaxed);
        w.sample({{"hop", hop}}, number(sum) / 1e9, "_sum");
        w.sample({{"hop", hop}}, number(total), "_count");
    }
}

void write_errors(Writer& w, const PipelineView& v) {
    w.family("errors_total", "counter", "Errors by stage and text.");
    // Texts can be the same once they are cut and escaped, and one sample that is there twice makes
    // the whole scrape fail.
    std::map<std::pair<std::string, std::string>, std::uint64_t> merged;
    for (const ErrorRecord& e : v.errors) {
        merged[{printable(e.stage), printable(e.text)}] += e.count;
    }
    for (const auto& [label, count] : merged) {
        w.sample({{"stage", label.first}, {"text", label.second}}, number(count));
    }
}

}  // namespace

std::string prometheus_text(const Segment& segment, const PipelineView& view,
                            const std::string& name) {
    Writer w{name};
    write_core(w, view);
    write_stages(w, view);
    write_rings(w, view);
    write_accounts(w, view);
    write_latency(w, segment, view);
    write_errors(w, view);
    return w.take();
}

int run_export(const ExportOptions& a) {
    return with_segment(a.common, [&](const Segment& segment, const std::string& path) {
        const PipelineView v = read_view(segment);
        if (a.common.json) {
            print(render_json(v, {}));
            return kOk;
        }
        print(prometheus_text(segment, v, path.substr(path.find_last_of('/') + 1)));
        return kOk;
    });
}

}  // namespace millrace::inspect
