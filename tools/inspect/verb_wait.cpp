// wait: until the pipeline is as somebody's script wants it, or a time is over.
#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "shm/clock.h"
#include "tools/inspect/locate.h"
#include "tools/inspect/verbs.h"
#include "tools/inspect/view.h"
#include "tools/inspect/watched.h"

namespace millrace::inspect {
namespace {

constexpr std::uint64_t kNone = WaitOptions::kNone;

/// One condition as it stands now.
struct Condition {
    std::string what;
    bool holds = false;
};
using Conditions = std::vector<Condition>;

void below(Conditions& to, const std::string& what, std::uint64_t value, std::uint64_t bound) {
    if (bound != kNone) {
        to.push_back({fmt::format("{} {} < {}", what, value, bound), value < bound});
    }
}
void at_least(Conditions& to, const std::string& what, std::uint64_t value, std::uint64_t bound) {
    if (bound != kNone) {
        to.push_back({fmt::format("{} {} >= {}", what, value, bound), value >= bound});
    }
}

/// The condition that was added last is of what stage `writer` says, if it is there to say it.
void as_said_by(Conditions& c, const PipelineView& v, const std::string& writer) {
    for (const StageStat& s : v.stages) {
        if (s.name == writer && is_lost(s)) {
            c.back().what += ", but " + writer + " is gone";
            c.back().holds = false;
        }
    }
}

std::uint64_t lag_of(const CoreStat& c, const std::string& sink) {
    return sink == "journal"      ? c.durable_lag()
           : sink == "replica"    ? c.replica_lag()
           : sink == "redis"      ? c.redis_lag()
           : sink == "clickhouse" ? c.clickhouse_lag()
                                  : c.sqlite_lag();
}

bool stage_is(const StageStat& s, const std::string& state) {
    const bool alive = lives(s.liveness);
    if (state == "alive") {
        return alive;
    }
    if (state == "gone") {
        return !alive;
    }
    return alive && state == state_name(s.state);
}

void ring_conditions(const WaitOptions& o, const PipelineView& v, Conditions& to) {
    for (const RingStat& r : v.rings) {
        if (r.name != o.ring) {
            continue;
        }
        if (!r.fault.empty()) {
            // Its depth is not known, so no bound of it holds.
            to.push_back({fmt::format("{} depth unknown, FAULT at read cursor {}: {}", r.name,
                                      r.read, r.fault),
                          false});
        } else {
            below(to, r.name + " depth", r.depth(), o.depth_below);
            if (o.depth_above != kNone) {
                to.push_back({fmt::format("{} depth {} > {}", r.name, r.depth(), o.depth_above),
                              r.depth() > o.depth_above});
            }
        }
    }
}

Conditions conditions(const WaitOptions& o, const PipelineView& v) {
    Conditions c;
    ring_conditions(o, v, c);
    for (const StageStat& s : v.stages) {
        if (s.name == o.stage) {
            c.push_back({fmt::format("{} is {} ({})", s.name, state_name(s.state),
                                     liveness_name(s.liveness)),
                         stage_is(s, o.state)});
        }
    }
    if (o.lag_below != kNone) {
        if (o.sink == "replica" && !v.core.replica_known()) {
            c.push_back({"replica lag unknown: it starts", false});
        } else {
            below(c, o.sink + " lag", lag_of(v.core, o.sink), o.lag_below);
        }
        as_said_by(c, v, o.sink);  // sinks are called as their stages
    }
    // What is on disk, or was published, stays so whoever is gone.
    at_least(c, "durable", v.core.durable, o.durable);
    at_least(c, "journal sequence", v.core.journal_seq, o.journal_seq);
    if (o.in_doubt_below != kNone) {
        below(c, "orders in doubt", v.core.in_doubt, o.in_doubt_below);
        as_said_by(c, v, stage_name(StageId::Engine));
    }
    const auto up = std::count_if(v.sessions.begin(), v.sessions.end(), [](const auto& s) {
        return s.link == static_cast<std::uint32_t>(LinkState::Up);
    });
    if (o.links_up != kNone) {
        at_least(c, "links up", static_cast<std::uint64_t>(up), o.links_up);
        as_said_by(c, v, stage_name(StageId::Broker));
    }
    return c;
}

bool all_hold(const Conditions& c) {
    return std::all_of(c.begin(), c.end(), [](const Condition& x) { return x.holds; });
}

/// What makes no sense however long one waits; empty if all is well.
std::string misuse(const WaitOptions& o) {
    const bool depth = o.depth_below != kNone || o.depth_above != kNone;
    if (depth != !o.ring.empty()) {
        return "--ring goes with --depth-below or --depth-above";
    }
    if ((o.lag_below != kNone) != !o.sink.empty()) {
        return "--sink goes with --lag-below";
    }
    const std::vector<std::string> sinks{"journal", "replica", "sqlite", "redis", "clickhouse"};
    if (!o.sink.empty() && std::find(sinks.begin(), sinks.end(), o.sink) == sinks.end()) {
        return "no sink called " + o.sink + "; there is: " + joined(sinks);
    }
    std::vector<std::string> states{"alive", "gone"};
    for (std::uint32_t i = 0; i <= static_cast<std::uint32_t>(StageState::Halted); ++i) {
        states.emplace_back(state_name(i));
    }
    if (std::find(states.begin(), states.end(), o.state) == states.end()) {
        return "no state called " + o.state + "; there is: " + joined(states);
    }
    std::vector<std::string> stages;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        stages.emplace_back(stage_name(static_cast<StageId>(i)));
    }
    if (!o.stage.empty() && std::find(stages.begin(), stages.end(), o.stage) == stages.end()) {
        return "no stage called " + o.stage + "; there is: " + joined(stages);
    }
    const bool any = depth || !o.stage.empty() || !o.sink.empty() || o.durable != kNone ||
                     o.journal_seq != kNone || o.in_doubt_below != kNone || o.links_up != kNone;
    return any ? "" : "wait for what? `millrace inspect wait --help` lists the conditions";
}

int report(const WaitOptions& o, Exit status, std::int64_t waited, const Conditions& c) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    std::string text;
    for (const Condition& x : c) {
        json.push_back({{"condition", x.what}, {"holds", x.holds}});
        text += (text.empty() ? "" : "; ") + x.what + (x.holds ? "" : " (NO)");
    }
    if (o.common.json) {
        print_json({{"met", status == kOk}, {"waited_ns", waited}, {"conditions", json}});
    } else {
        print(fmt::format("{} after {}: {}\n", status == kOk ? "met" : "NOT MET", human_ns(waited),
                          text));
    }
    return status;
}

}  // namespace

int run_wait(const WaitOptions& o) {
    const std::int64_t timeout = parse_duration(o.timeout);
    if (timeout < 0) {
        return fail(kUsage, "--timeout " + o.timeout + " is no duration; 500ms, 5s, 2m are");
    }
    if (const std::string fault = misuse(o); !fault.empty()) {
        return fail(kUsage, fault);
    }
    Interruptible waiting;
    const std::int64_t begin = monotonic_ns();
    std::optional<Watched> watched;
    std::string message;
    while (true) {
        // A script may begin to wait before the pipeline has begun to start.
        if (!watched) {
            if (const auto path = resolve(o.common.segment, o.common.dir, message); path) {
                watched.emplace(path.value());
            }
        }
        const bool there = watched && watched->refresh();
        message = watched && !there ? watched->message : message;
        Conditions now;
        if (there) {
            const Segment& segment = *watched->segment();
            if (!o.ring.empty() && segment.find_ring(o.ring) == kNoId) {
                (void)ring_or_say(segment, "the segment", o.ring);
                return kUsage;
            }
            now = conditions(o, read_view(segment));
            // A depth is only about right while the ring moves: two looks must agree.
            const bool holds = all_hold(now);
            if (holds && !o.ring.empty()) {
                now = conditions(o, read_view(segment));
            }
            if (holds && all_hold(now)) {
                return report(o, kOk, monotonic_ns() - begin, now);
            }
        }
        const std::int64_t waited = monotonic_ns() - begin;
        constexpr int kLookEveryMs = 5;
        if (waited >= timeout || waiting.sleep_ms(kLookEveryMs)) {
            return there ? report(o, kFound, waited, now) : fail(kNoSegment, message);
        }
    }
}

}  // namespace millrace::inspect
