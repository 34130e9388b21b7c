#include "tools/millrace/clickhouse_config.h"

#include "tools/millrace/redis_config.h"

namespace millrace {
namespace {

/// http:// or https://, a host, and nothing behind its port: no path, no user, no password.
bool is_server_url(const std::string& url) {
    for (const std::string scheme : {"http://", "https://"}) {
        if (url.starts_with(scheme) && url.size() > scheme.size()) {
            return url.find_first_of("/?#@ ", scheme.size()) == std::string::npos;
        }
    }
    return false;
}

}  // namespace

void read_clickhouse(ObjectReader& o, const std::string& folder, bool there, ClickHouseConfig& c) {
    c.enabled = there;
    o.boolean("enabled", c.enabled);
    o.text("url", c.url, {1, 256});
    o.text("user", c.user, {1, 64});
    read_password(o, "password_file", folder, c.password);
    o.text("ca_file", c.ca_file, {1, 4096});
    if (!c.ca_file.empty() && c.ca_file.front() != '/') {
        c.ca_file = folder + "/" + c.ca_file;
    }
    o.text("database", c.database, {1, 64});
    o.boolean("compress", c.compress);
    o.integer("timeout_ms", c.timeout_ms, {100, 600'000});
    o.integer("batch_ms", c.batch_ms, {1, 60'000});
    o.integer("batch_rows", c.batch_rows, {1, 100'000});
    o.integer("batch_rows_max", c.batch_rows_max, {1, 200'000});
    o.integer("verify_s", c.verify_s, {1, 86'400});
    if (there && !is_server_url(c.url)) {
        o.complain("url", "must be http://HOST:PORT or https://HOST:PORT, nothing behind it");
    }
    // It stands in statements, between backquotes and between quotes.
    if (c.database.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_") != std::string::npos) {
        o.complain("database", "has other characters than letters, digits and _");
    }
    if (c.batch_rows_max < c.batch_rows) {
        o.complain("batch_rows_max", "is smaller than batch_rows");
    }
}

}  // namespace millrace
