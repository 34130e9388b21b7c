#include "tools/millrace/redis_config.h"

#include <sys/stat.h>

#include <charconv>
#include <fstream>

namespace millrace {
namespace {

void check_places(ObjectReader& o, const char* key, const std::vector<std::string>& places) {
    for (const std::string& place : places) {
        std::string host;
        std::uint16_t port = 0;
        if (!parse_host_port(place, host, port)) {
            o.complain(key,
                       "has \"" + place + "\"; HOST:PORT such as \"127.0.0.1:6379\" is allowed");
        }
    }
}

}  // namespace

void read_password(ObjectReader& o, const char* key, const std::string& folder, std::string& out) {
    std::string path;
    o.text(key, path, {1, 4096});
    if (path.empty()) {
        return;
    }
    path = path.front() == '/' ? path : folder + "/" + path;
    struct stat st{};
    std::ifstream in{path};
    if (!in || ::stat(path.c_str(), &st) != 0 || !std::getline(in, out) || out.empty()) {
        o.complain(key, "cannot read a password from the first line of " + path);
    } else if ((st.st_mode & 077U) != 0) {
        out.clear();
        o.complain(key, path + " may be read by others; chmod 600 " + path);
    }
}

bool parse_host_port(const std::string& text, std::string& host, std::uint16_t& port) {
    const std::size_t colon = text.rfind(':');
    unsigned value = 0;
    const char* const end = text.data() + text.size();
    if (colon == std::string::npos || colon == 0 ||
        std::from_chars(text.data() + colon + 1, end, value).ptr != end || value == 0 ||
        value > 65535) {
        return false;
    }
    host = text.substr(0, colon);
    port = static_cast<std::uint16_t>(value);
    return true;
}

void read_redis(ObjectReader& o, const std::string& folder, bool there, RedisConfig& r) {
    r.enabled = there;
    o.boolean("enabled", r.enabled);
    o.texts("servers", r.servers);
    o.texts("sentinels", r.sentinels);
    o.text("primary", r.primary, {1, 64});
    o.text("user", r.user, {1, 64});
    read_password(o, "password_file", folder, r.password);
    read_password(o, "sentinel_password_file", folder, r.sentinel_password);
    o.text("prefix", r.prefix, {1, 64});
    o.integer("batch_ms", r.batch_ms, {1, 60'000});
    o.integer("batch_rows", r.batch_rows, {1, 100'000});
    o.integer("audit_s", r.audit_s, {1, 86'400});
    o.integer("results_keep_s", r.results_keep_s, {0, 864'000});
    check_places(o, "servers", r.servers);
    check_places(o, "sentinels", r.sentinels);
    if (there && r.servers.empty() == r.sentinels.empty()) {
        o.complain("", "needs exactly one of \"servers\" and \"sentinels\"");
    }
    // They stand in the patterns of SCAN, where other characters would mean something.
    if (r.prefix.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789:_.-") != std::string::npos) {
        o.complain("prefix", "has other characters than letters, digits and : _ . -");
    }
}

}  // namespace millrace
