#include "tools/millrace/preference_keeper.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "tools/millrace/config_backup.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/preferences_redis.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace {
namespace {

std::string text_of(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

PreferenceKeeperOptions preference_keeper_options(const Config& config) {
    PreferenceKeeperOptions o;
    o.file = preferences_path(config.file);
    o.in_force = preferences_in_force(config.journal.dir);
    if (config.redis.enabled) {
        o.put = [place = redis_place(config.redis), prefix = redis_prefix(config)](
                    const std::string& text, std::string& message) {
            return put_preferences(place, prefix, text, message);
        };
        o.get = [place = redis_place(config.redis), prefix = redis_prefix(config)](
                    std::string& message) { return get_preferences(place, prefix, message); };
    }
    return o;
}

PreferenceKeeper::Told PreferenceKeeper::turn(std::int64_t now_ns) {
    Told told;
    if (now_ns < next_look_ns_) {
        return told;
    }
    next_look_ns_ = now_ns + options_.look_every.value;
    if (!begun_) {
        begin(told);
    } else {
        look(told);
    }
    const bool due = told.changed || now_ns >= next_copy_ns_;
    if (due && from_file_ && !(backed_up_ && in_redis_)) {
        copy(now_ns, told);
    }
    return told;
}

bool PreferenceKeeper::is_there() const {
    std::error_code error;
    return std::filesystem::exists(options_.file, error);
}

/// The file, or what stands in for it.
void PreferenceKeeper::begin(Told& told) {
    begun_ = true;
    none_ = !is_there() && list_config_backups(options_.file).empty();
    if (none_) {
        told.alerts.push_back("preferences: there is no " + options_.file);
        if (!take_redis(told)) {
            told.alerts.clear();                        // nobody has ever had any
            (void)::unlink(options_.in_force.c_str());  // of another configuration file
        }
        return;
    }
    look(told);
    if (!why_.empty() && !take_backup(told) && !take_redis(told)) {
        put_in_force(Preferences{}, told);
        told.alerts.back() += ". NO COPY IS VALID EITHER: GOING ON WITH THE DEFAULTS";
    }
}

bool PreferenceKeeper::take_backup(Told& told) {
    const auto backups = list_config_backups(options_.file);
    for (auto path = backups.rbegin(); path != backups.rend(); ++path) {
        std::vector<Mistake> mistakes;
        Preferences found = read_preferences(*path, mistakes);
        if (mistakes.empty()) {
            put_in_force(std::move(found), told);
            told.alerts.back() += ". GOING ON WITH THE LAST VALID ONES, " + *path;
            return true;
        }
    }
    return false;
}

bool PreferenceKeeper::take_redis(Told& told) {
    std::string message;
    const auto text =
        options_.get ? options_.get(message) : Result<std::string>{Errc::NotFound, "no Redis"};
    if (!text) {
        return false;
    }
    std::vector<Mistake> mistakes;
    Preferences found = parse_preferences(text.value(), "Redis", mistakes);
    if (!mistakes.empty()) {
        return false;
    }
    put_in_force(std::move(found), told);
    told.alerts.back() += ". GOING ON WITH THE COPY IN REDIS";
    return true;
}

void PreferenceKeeper::look(Told& told) {
    if (none_ && !is_there()) {
        return;
    }
    none_ = false;
    std::string now = text_of(options_.file);
    if (from_file_ && now == preferences_.text && why_.empty()) {
        return;
    }
    if (!why_.empty() && now == seen_) {
        return;  // as broken as it was
    }
    seen_ = std::move(now);
    std::vector<Mistake> mistakes;
    Preferences found = read_preferences(options_.file, mistakes);
    if (!mistakes.empty()) {
        why_ = to_string(mistakes.front());
        told.alerts.push_back("preferences: " + why_ +
                              (from_file_ ? "; the last valid ones stay" : ""));
        return;
    }
    if (!why_.empty()) {
        told.infos.push_back("preferences: " + options_.file + " is valid again");
        why_.clear();
    }
    from_file_ = true;
    backed_up_ = false;
    in_redis_ = !options_.put;
    put_in_force(std::move(found), told);
}

void PreferenceKeeper::put_in_force(Preferences&& found, Told& told) {
    preferences_ = std::move(found);
    told.changed = true;
    std::string message;
    if (preferences_.text.empty()) {
        (void)::unlink(options_.in_force.c_str());  // commands then go by the defaults, too
    } else if (!replace_file(options_.in_force, preferences_.text, 0644, message)) {
        told.infos.push_back("preferences: " + message + "; commands show things as before");
    }
}

void PreferenceKeeper::copy(std::int64_t now_ns, Told& told) {
    next_copy_ns_ = now_ns + options_.copy_every.value;
    std::string message;
    if (!backed_up_) {
        const std::string made = back_up_text(options_.file, preferences_.text, message);
        backed_up_ = message.empty();
        if (!made.empty()) {
            told.infos.push_back("preferences kept as " + made);
        } else if (!backed_up_) {
            told.alerts.push_back("no backup of the preferences: " + message);
        }
    }
    if (!in_redis_) {
        const auto put = options_.put(preferences_.text, message);
        in_redis_ = put.ok();
        if (!put) {
            told.infos.push_back("preferences: not in Redis yet: " + message);
        }
    }
}

}  // namespace millrace
