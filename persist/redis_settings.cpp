#include "persist/redis_settings.h"

#include <algorithm>
#include <charconv>

namespace millrace {
namespace {

using Verdict = RedisSetting::Verdict;

struct Wanted {
    const char* name;
    bool (*good)(std::string_view value);
    const char* why;
    const char* mend;
    bool sentinel_only;
};

bool is_positive(std::string_view value) {
    int n = 0;
    (void)std::from_chars(value.data(), value.data() + value.size(), n);
    return n > 0;
}

constexpr Wanted kWanted[] = {
    {"maxmemory-policy", [](std::string_view v) { return v == "noeviction"; },
     "any other policy throws trade state away when memory is short",
     "CONFIG SET maxmemory-policy noeviction", false},
    {"appendonly", [](std::string_view v) { return v == "yes"; },
     "without it a restart loses signals that nobody has taken yet", "CONFIG SET appendonly yes",
     false},
    {"appendfsync", [](std::string_view v) { return v != "no"; },
     "with no, the kernel decides how many seconds of signals a power cut takes",
     "CONFIG SET appendfsync everysec", false},
    {"maxmemory", [](std::string_view v) { return is_positive(v); },
     "without a limit the kernel ends Redis, or us, when memory is short",
     "CONFIG SET maxmemory 1gb (what the host can spare)", false},
    {"min-replicas-to-write", [](std::string_view v) { return is_positive(v); },
     "an old primary that comes back takes signals for seconds and then loses them",
     "CONFIG SET min-replicas-to-write 1, and min-replicas-max-lag 2", true},
};

RedisSetting check_version(RedisLink& link) {
    RedisSetting s{"version", "", Verdict::Unknown, "streams need XAUTOCLAIM and XTRIM MINID", ""};
    const auto info = link.call({"INFO", "server"});
    if (!info) {
        s.value = link.message();
        return s;
    }
    const std::string_view text = info.value().text();
    const std::size_t at = text.find("redis_version:");
    const std::size_t begin = at == std::string_view::npos ? text.size() : at + 14;
    s.value = text.substr(begin, text.find('\r', begin) - begin);
    int major = 0;
    int minor = 0;
    const char* end = s.value.data() + s.value.size();
    const auto dot = std::from_chars(s.value.data(), end, major).ptr;
    (void)std::from_chars(std::min(dot + 1, end), end, minor);
    s.verdict = major > 6 || (major == 6 && minor >= 2) ? Verdict::Good : Verdict::Wrong;
    s.mend = s.verdict == Verdict::Good ? "" : "install Redis 6.2 or newer";
    return s;
}

RedisSetting check(RedisLink& link, const Wanted& wanted) {
    RedisSetting s{wanted.name, "", Verdict::Unknown, wanted.why, wanted.mend};
    const auto got = link.call({"CONFIG", "GET", wanted.name});
    if (!got) {
        s.value = link.message();
        s.mend = "allow CONFIG GET to this user (ACL SETUSER ... +config|get), or look yourself";
        return s;
    }
    s.value = got.value()[1].text();
    s.verdict = wanted.good(s.value) ? Verdict::Good : Verdict::Wrong;
    s.mend = s.verdict == Verdict::Good ? "" : s.mend;
    return s;
}

/// Saving every 5 minutes is what the rotated copies are made from.
RedisSetting check_save(RedisLink& link) {
    RedisSetting s{"save", "", Verdict::Unknown, "copies are made from dump.rdb, every 5 minutes",
                   "CONFIG SET save \"300 1\""};
    const auto got = link.call({"CONFIG", "GET", "save"});
    if (got) {
        s.value = got.value()[1].text();
        s.verdict = s.value.empty() ? Verdict::Wrong : Verdict::Good;
        s.mend = s.verdict == Verdict::Good ? "" : s.mend;
    } else {
        s.value = link.message();
    }
    return s;
}

}  // namespace

std::string RedisSetting::text() const {
    std::string is = name + " is " + (value.empty() ? "empty" : value);
    switch (verdict) {
        case Verdict::Good: return is;
        case Verdict::Unknown: return name + " is not known (" + value + "): " + why + "; " + mend;
        case Verdict::Wrong: break;
    }
    return is + ": " + why + "; mend: " + mend;
}

std::vector<RedisSetting> check_redis_settings(RedisLink& link, bool sentinel) {
    std::vector<RedisSetting> all{check_version(link)};
    for (const Wanted& wanted : kWanted) {
        if (sentinel || !wanted.sentinel_only) {
            all.push_back(check(link, wanted));
        }
    }
    all.push_back(check_save(link));
    return all;
}

}  // namespace millrace
