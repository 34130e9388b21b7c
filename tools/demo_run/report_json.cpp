#include "tools/demo_run/report.h"

#include <nlohmann/json.hpp>

namespace millrace::demo {
namespace {

using Json = nlohmann::ordered_json;

Json pairs(const std::vector<std::pair<std::string, std::uint64_t>>& list) {
    Json object = Json::object();
    for (const auto& [name, count] : list) {
        object[name] = count;
    }
    return object;
}

Json or_null(std::int64_t ns) {
    return ns < 0 ? Json{} : Json(ns);
}

Json latency_json(const inspect::PipelineView& view) {
    Json hops = Json::object();
    for (const inspect::HopStat& h : view.hops) {
        hops[h.name] = {{"count", h.count}, {"p50_ns", h.p50},   {"p90_ns", h.p90},
                        {"p99_ns", h.p99},  {"p999_ns", h.p999}, {"max_ns", h.max}};
    }
    return hops;
}

Json kills_json(const std::vector<Kill>& kills) {
    Json list = Json::array();
    for (const Kill& k : kills) {
        list.push_back({{"stage", k.stage},
                        {"noticed_ns", or_null(k.noticed_ns)},
                        {"running_ns", or_null(k.running_ns)},
                        {"first_message_ns", or_null(k.first_ns)},
                        {"accounts_up_ns", or_null(k.all_back_ns)}});
    }
    return list;
}

Json restarts_json(const Report& r) {
    Json object = Json::object();
    for (const inspect::StageStat& s : r.view.stages) {
        if (!s.name.empty()) {
            object[s.name] = owner_changes(s);
        }
    }
    object["simbroker"] = r.broker_restarts;
    return object;
}

Json problems_json(const Verdict& verdict) {
    Json list = Json::array();
    for (const Problem& p : verdict.problems) {
        list.push_back(
            {{"wrong", to_string(p.wrong)}, {"signal", to_hex(p.signal)}, {"why", p.text}});
    }
    return list;
}

Json signals_json(const SourceCounts& c) {
    Json json = {{"sent", c.sent},
                 {"accepted", c.accepted},
                 {"refused", c.refused},
                 {"refused_on_purpose", c.refused_on_purpose},
                 {"repeats_sent", c.repeats},
                 {"duplicates", c.duplicates},
                 {"asked_again", c.asked_again}};
    json["refusals"] = c.refusals;
    return json;
}

}  // namespace

std::string render_report_json(const Report& r, const OrderSums& s) {
    const Verdict& v = r.verdict;
    Json json;
    json["ok"] = r.good();
    json["input"] = {{"ticks", r.input.ticks},
                     {"signals", r.input.signals},
                     {"defects", pairs(r.input.defects)},
                     {"skipped", pairs(r.input.skipped)},
                     {"notes", r.input.notes}};
    json["accounts"] = r.options.accounts;
    json["seconds"] = r.run_seconds;
    json["speed"] = r.options.speed;
    json["seed"] = r.options.seed;
    json["mode"] = r.options.threads ? "threads" : "processes";
    json["signals"] = signals_json(r.source);
    json["orders"] = {{"made", s.orders},       {"filled", s.filled},
                      {"rejected", s.rejected}, {"cancelled", s.canceled},
                      {"expired", s.expired},   {"were_in_doubt", s.went_in_doubt}};
    json["order_ends"] = v.order_ends;
    json["in_doubt"] = r.view.core.in_doubt;
    json["lost"] = v.count(Wrong::Lost);
    json["doubled"] = v.count(Wrong::Doubled);
    json["untouched"] = {{"signals", v.untouched},
                         {"not_carried_out", v.count(Wrong::Unfilled)},
                         {"expired", v.count(Wrong::Expired)}};
    json["unsettled"] = r.unsettled;
    json["books"] = {{"deals", r.book_deals},
                     {"executions", r.book_executions},
                     {"refused", r.book_refused},
                     {"orders_compared", v.checked_orders},
                     {"positions_compared", r.book_positions}};
    json["problems"] = problems_json(v);
    json["latency"] = latency_json(r.view);
    json["kills"] = kills_json(r.kills);
    json["outage_ns"] = r.outage_total.value;
    json["restarts"] = restarts_json(r);
    json["durability"] = {{"ack", r.ack_disk ? "disk" : "process"},
                          {"gate", "disk"},
                          {"journal_backend", backend_words(r.view.core.journal_backend)}};
    json["shm_bytes"] = r.shm_bytes;
    json["warnings"] = r.warnings;
    json["failures"] = r.failures;
    if (!r.kept_in.empty()) {
        json["kept_in"] = r.kept_in;
    }
    return json.dump(2) + "\n";
}

}  // namespace millrace::demo
