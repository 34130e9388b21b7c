// User preferences: how people want to see things and when they want to be alerted (requirement
// R186). Nothing that trades depends on them, so they may be changed while a pipeline runs.
//
//     {"display": {"time_zone": "Europe/Berlin", "volume_decimals": 2},
//      "users":   [{"name": "anna", "display": {"price_decimals": 5}}],
//      "alerts":  {"disk_warning_percent": 60, "disk_alarm_percent": 80}}
//
// They are written in preferences.json beside the configuration file; a running pipeline keeps the
// last valid text as <journal.dir>/preferences.checked.json, which is what commands read.
#pragma once

#include "tools/millrace/json_doc.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

struct DisplayPreferences {
    std::string time_zone = "UTC";  // as in /usr/share/zoneinfo; programs get UTC in any case
    // Digits after the point, 0 to 8, rounded; absent: as many as the number has.
    std::optional<std::uint32_t> volume_decimals;
    std::optional<std::uint32_t> price_decimals;
    std::optional<std::uint32_t> money_decimals;
    friend bool operator==(const DisplayPreferences&, const DisplayPreferences&) = default;
};

struct Preferences {
    std::string text;  // that it was read from; empty: the defaults
    DisplayPreferences display;
    std::vector<std::pair<std::string, DisplayPreferences>> users;  // each over `display`
    // Alerts when so much of a journal's file system is used, 1 to 99.
    std::uint32_t disk_warning_percent = 70;
    std::uint32_t disk_alarm_percent = 85;

    [[nodiscard]] const DisplayPreferences& of(const std::string& user) const;
};

/// Reads `text`. @param file for messages. @param mistakes gets every one; without one it is valid.
[[nodiscard]] Preferences parse_preferences(const std::string& text, const std::string& file,
                                            std::vector<Mistake>& mistakes);
/// The same of a file.
[[nodiscard]] Preferences read_preferences(const std::string& file, std::vector<Mistake>& mistakes);

/// Where they are written for a pipeline of this configuration file.
[[nodiscard]] std::string preferences_path(const std::string& config_file);
/// Where a running pipeline keeps what is in force.
[[nodiscard]] std::string preferences_in_force(const std::string& journal_dir);

/// What `user` wants of the pipeline whose journal directory this is; the defaults if it keeps
/// none.
[[nodiscard]] DisplayPreferences display_preferences(const std::string& journal_dir,
                                                     const std::string& user);

}  // namespace millrace
