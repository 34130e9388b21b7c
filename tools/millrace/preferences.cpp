#include "tools/millrace/preferences.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/millrace/config_reader.h"

namespace millrace {
namespace {

constexpr const char* kZones = "/usr/share/zoneinfo/";

/// A zone's name is part of a path: it must not lead out of the folder.
bool is_zone(const std::string& name) {
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '/' || c == '_' || c == '-' || c == '+';
    });
    std::error_code error;
    return name == "UTC" || (plain && !name.empty() && name.front() != '/' &&
                             std::filesystem::is_regular_file(kZones + name, error));
}

void read_decimals(ObjectReader& o, const char* key, std::optional<std::uint32_t>& out) {
    std::uint32_t digits = 0;
    o.integer(key, digits, {0, 8});
    out = o.has(key) ? std::optional{digits} : out;
}

void read_display(ObjectReader& o, DisplayPreferences& d) {
    o.text("time_zone", d.time_zone, {1, 64});
    if (!is_zone(d.time_zone)) {
        o.complain("time_zone", "\"" + d.time_zone + "\": there is no " + kZones + d.time_zone +
                                    "; names are such as Europe/Berlin or UTC (package tzdata)");
    }
    read_decimals(o, "volume_decimals", d.volume_decimals);
    read_decimals(o, "price_decimals", d.price_decimals);
    read_decimals(o, "money_decimals", d.money_decimals);
}

void read_alerts(ObjectReader& o, Preferences& p) {
    o.integer("disk_warning_percent", p.disk_warning_percent, {1, 99});
    o.integer("disk_alarm_percent", p.disk_alarm_percent, {1, 99});
    if (p.disk_alarm_percent <= p.disk_warning_percent) {
        o.complain("disk_alarm_percent", "is " + std::to_string(p.disk_alarm_percent) +
                                             "; it must be above disk_warning_percent, which is " +
                                             std::to_string(p.disk_warning_percent));
    }
}

void read_document(ObjectReader& o, Preferences& p) {
    std::string schema;
    o.text("$schema", schema, {0, 4096});  // for editors
    o.object("display", [&p](ObjectReader& d) { read_display(d, p.display); });
    o.list("users", [&p](ObjectReader& u) {
        std::string name;
        DisplayPreferences wanted = p.display;
        u.text("name", name, {1, 32});
        u.require("name");
        u.object("display", [&wanted](ObjectReader& d) { read_display(d, wanted); });
        p.users.emplace_back(name, wanted);
    });
    o.object("alerts", [&p](ObjectReader& a) { read_alerts(a, p); });
}

}  // namespace

const DisplayPreferences& Preferences::of(const std::string& user) const {
    const auto at = std::find_if(users.begin(), users.end(),
                                 [&user](const auto& u) { return u.first == user; });
    return at == users.end() ? display : at->second;
}

Preferences parse_preferences(const std::string& text, const std::string& file,
                              std::vector<Mistake>& mistakes) {
    Preferences p;
    p.text = text;
    ReadLog log{file};
    const auto doc = parse_json(text, file, log.mistakes);
    if (doc && doc->kind == JsonNode::Kind::Object) {
        ObjectReader reader{*doc, "", log};
        read_document(reader, p);
        reader.done();
    } else if (doc) {
        log.mistakes.push_back({file, doc->line, {}, "must hold one JSON object"});
    }
    mistakes.insert(mistakes.end(), log.mistakes.begin(), log.mistakes.end());
    return p;
}

Preferences read_preferences(const std::string& file, std::vector<Mistake>& mistakes) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream text;
    if (in) {
        text << in.rdbuf();
    }
    if (!in) {
        mistakes.push_back({file, 0, {}, "cannot be read, or is empty"});
        return {};
    }
    return parse_preferences(text.str(), file, mistakes);
}

std::string preferences_path(const std::string& config_file) {
    return (std::filesystem::path{config_file}.parent_path() / "preferences.json").string();
}

std::string preferences_in_force(const std::string& journal_dir) {
    return journal_dir + "/preferences.checked.json";
}

DisplayPreferences display_preferences(const std::string& journal_dir, const std::string& user) {
    std::vector<Mistake> mistakes;
    const Preferences kept = read_preferences(preferences_in_force(journal_dir), mistakes);
    return mistakes.empty() ? kept.of(user) : DisplayPreferences{};
}

}  // namespace millrace
