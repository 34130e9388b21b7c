#include "tools/millrace/preferences_redis.h"

#include <array>
#include <cstdio>
#include <utility>

#include "persist/redis_rows.h"
#include "shm/clock.h"

namespace millrace {
namespace {

constexpr const char* kName = "PREFS";
constexpr RedisTimeouts kShort{millis(300), millis(700)};

using Field = std::pair<const char*, std::string>;

std::string sum_of(const std::array<Field, 4>& fields) {
    RedisSum sum{kName};
    for (const auto& [name, value] : fields) {
        sum.add(name, value);
    }
    char hex[17];
    std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(sum.value()));
    return hex;
}

std::array<Field, 4> fields_of(const RedisView& hash) {
    std::array<Field, 4> fields{{{"schema", ""}, {"version", ""}, {"time_ms", ""}, {"text", ""}}};
    for (auto& [name, value] : fields) {
        value = hash.field(name).text();
    }
    return fields;
}

Status connect(RedisLink& link, const RedisPlace& place, std::string& message) {
    RedisPlace quick = place;
    quick.timeouts = kShort;
    RedisPrimary primary{quick};
    const Status connected = primary.connect(link);
    message = connected ? "" : primary.message();
    return connected;
}

}  // namespace

Result<bool> put_preferences(const RedisPlace& place, const std::string& prefix,
                             const std::string& text, std::string& message) {
    RedisLink link;
    if (auto connected = connect(link, place, message); !connected) {
        return connected.error();
    }
    const std::string key = prefix + kName;
    const auto watched = link.call({"WATCH", key});
    const auto there = watched ? link.call({"HGETALL", key}) : Result<RedisReply>{watched.error()};
    if (!there) {
        message = link.message();
        return there.error();
    }
    const auto old = fields_of(there.value());
    const bool sound = there.value().field("sum").text() == sum_of(old);
    if (sound && old[3].second == text) {
        return false;
    }
    const std::int64_t version = there.value().field("version").integer() + 1;
    const std::array<Field, 4> now{{{"schema", "1"},
                                    {"version", std::to_string(version)},
                                    {"time_ms", std::to_string(wall_ns() / 1'000'000)},
                                    {"text", text}}};
    RespCommands c;
    c.add({"MULTI"});
    c.add({"DEL", key});
    c.begin(2 + 2 * (now.size() + 1));
    c.arg("HSET");
    c.arg(key);
    for (const auto& [name, value] : now) {
        c.arg(name);
        c.arg(value);
    }
    c.arg("sum");
    c.arg(sum_of(now));
    c.add({"EXEC"});
    bool done = false;
    const Status ran = link.run(c, [&](std::size_t i, const RedisView& reply) {
        done = i == 3 && reply.is_array();  // nil: another wrote meanwhile
    });
    if (!ran || !done) {
        message = ran ? key + ": another writer was faster" : link.message();
        return ran ? Error{Errc::Busy} : ran.error();
    }
    return true;
}

Result<std::string> get_preferences(const RedisPlace& place, const std::string& prefix,
                                    std::string& message) {
    RedisLink link;
    if (auto connected = connect(link, place, message); !connected) {
        return connected.error();
    }
    const auto there = link.call({"HGETALL", prefix + kName});
    if (!there) {
        message = link.message();
        return there.error();
    }
    const auto fields = fields_of(there.value());
    if (there.value().size() == 0) {
        message = prefix + kName + ": there is none";
        return Errc::NotFound;
    }
    if (there.value().field("sum").text() != sum_of(fields)) {
        message = prefix + kName + ": does not fit its checksum";
        return Errc::BadChecksum;
    }
    return fields[3].second;
}

}  // namespace millrace
