// diff: what differs between two segments, two copies, or one segment now and a moment later.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "shm/clock.h"
#include "tools/inspect/verbs.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;
using Fields = std::map<std::string, ordered_json>;

/// The member that tells the items of an array apart.
std::string label_of(const ordered_json& item, std::size_t i) {
    for (const char* key : {"name", "hop", "account"}) {
        if (item.is_object() && item.contains(key) && !item[key].is_null()) {
            return item[key].is_string() ? item[key].get<std::string>() : item[key].dump();
        }
    }
    if (item.is_object() && item.contains("text")) {
        return item["stage"].get<std::string>() + ": " + item["text"].get<std::string>();
    }
    return std::to_string(i);
}

void flatten(const ordered_json& value, const std::string& at, Fields& out) {
    if (value.is_object()) {
        for (const auto& [name, member] : value.items()) {
            flatten(member, at.empty() ? name : fmt::format("{}.{}", at, name), out);
        }
    } else if (value.is_array()) {
        std::size_t i = 0;
        for (const auto& item : value) {
            flatten(item, at + "[" + label_of(item, i++) + "]", out);
        }
    } else {
        out[at] = value;
    }
}

/// Fields that differ between any two looks and say nothing.
bool is_clockwork(const std::string& path) {
    for (const char* end : {"age_ns", "up_ns", "duty_cycles", "idle_cycles", "polls_empty",
                            "cpu_now", "resident_percent", "lag_ns", "lag_is_least"}) {
        if (path.ends_with(end)) {
            return true;
        }
    }
    return false;
}

Fields fields_of(const Segment& segment) {
    PipelineView v = read_view(segment);
    look_closer(segment, v);
    RenderOptions all;
    all.all = true;
    Fields out;
    flatten(ordered_json::parse(render_json(v, all)), "", out);
    return out;
}

struct Change {
    std::string path;
    ordered_json before;
    ordered_json after;
};

std::vector<Change> changes(const Fields& a, const Fields& b, bool all) {
    std::vector<Change> out;
    for (const auto& [path, value] : a) {
        const auto other = b.find(path);
        const ordered_json after = other == b.end() ? ordered_json(nullptr) : other->second;
        if (after != value && (all || !is_clockwork(path))) {
            out.push_back({path, value, after});
        }
    }
    for (const auto& [path, value] : b) {
        if (a.find(path) == a.end() && (all || !is_clockwork(path))) {
            out.push_back({path, nullptr, value});
        }
    }
    return out;
}

std::string delta_of(const Change& c) {
    if (!c.before.is_number_integer() || !c.after.is_number_integer()) {
        return "";
    }
    // Unsigned: sequences may lie beyond the signed range, differences do not.
    const auto d =
        static_cast<std::int64_t>(c.after.get<std::uint64_t>() - c.before.get<std::uint64_t>());
    return fmt::format("  ({:+})", d);
}

int report(const DiffOptions& o, const std::vector<Change>& found, const std::string& a,
           const std::string& b) {
    ordered_json json = ordered_json::array();
    for (const Change& c : found) {
        json.push_back({{"path", c.path}, {"before", c.before}, {"after", c.after}});
        if (!o.common.json) {
            print(fmt::format("{}: {} -> {}{}\n", c.path, c.before.dump(), c.after.dump(),
                              delta_of(c)));
        }
    }
    if (o.common.json) {
        print_json_line({{"a", a}, {"b", b}, {"changes", json}});
    } else {
        print(found.empty() ? "no difference\n" : fmt::format("{} differences\n", found.size()));
        std::fflush(stdout);
    }
    return found.empty() ? kOk : kFound;
}

int diff_in_time(const DiffOptions& o, std::int64_t apart) {
    return with_segment(o.common, [&](const Segment& segment, const std::string& path) {
        Interruptible waiting;
        Fields before = fields_of(segment);
        int status = kOk;
        for (std::uint64_t i = 0; o.count == 0 || i < o.count; ++i) {
            if (waiting.sleep_ms(static_cast<int>(apart / 1'000'000))) {
                break;
            }
            Fields now = fields_of(segment);
            // One difference is one, whatever the last picture shows.
            status = std::max(status, report(o, changes(before, now, o.all), path, path));
            before = std::move(now);
        }
        return status;
    });
}

}  // namespace

int run_diff(const DiffOptions& o) {
    if (o.every.empty() == o.other.empty()) {
        return fail(kUsage, "two segments, or one with --every TIME");
    }
    if (!o.every.empty()) {
        const std::int64_t apart = parse_duration(o.every);
        return apart > 0 ? diff_in_time(o, apart)
                         : fail(kUsage, "--every " + o.every + " is no duration; 500ms, 5s are");
    }
    return with_segment(o.common, [&](const Segment& a, const std::string& path_a) {
        Common second = o.common;
        second.segment = o.other;
        return with_segment(second, [&](const Segment& b, const std::string& path_b) {
            return report(o, changes(fields_of(a), fields_of(b), o.all), path_a, path_b);
        });
    });
}

}  // namespace millrace::inspect
