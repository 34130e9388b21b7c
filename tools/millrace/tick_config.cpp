#include "tools/millrace/tick_config.h"

#include "shm/tick_table.h"
#include "tools/millrace/key_config.h"
#include "tools/millrace/redis_config.h"

#include <filesystem>

namespace millrace {
namespace {

namespace fs = std::filesystem;

void read_listen(ObjectReader& o, Endpoint& out) {
    std::string listen;
    o.text("listen", listen, {3, 64});
    if (!listen.empty() && !parse_host_port(listen, out.address, out.port)) {
        o.complain("listen",
                   "is \"" + listen + "\"; ADDRESS:PORT such as \"127.0.0.1:7403\" is allowed");
    }
}

void read_distribute(ObjectReader& o, const std::string& folder, TickConfig& c) {
    read_listen(o, c.distribution);
    o.list("consumers", [&](ObjectReader& item) {
        TickConsumerConfig consumer;
        item.require("name");
        item.name("name", consumer.name);
        read_key(item, folder, consumer.key);
        c.consumers.push_back(std::move(consumer));
    });
}

void read_ticks(ObjectReader& document, const std::string& folder, TickConfig& c) {
    c.enabled = document.has("ticks");
    document.object("ticks", [&](ObjectReader& o) {
        read_listen(o, c.listen);
        o.integer("symbols_max", c.symbols_max, {1, kTickRowsMax});
        o.boolean("record", c.record);
        o.text("dir", c.dir, {1, 4096});
        o.integer("keep_h", c.keep_h, {24, 8'760});
        c.distribute = o.has("distribute");
        o.object("distribute", [&](ObjectReader& d) { read_distribute(d, folder, c); });
    });
}

}  // namespace

void check_tick_keys(ObjectReader& document, const std::string& folder) {
    TickConfig unused;
    read_ticks(document, folder, unused);
}

TickConfig ticks_of(const Config& config) {
    TickConfig c;
    ReadLog log{config.file};  // of mistakes there are none: read_config() has told them
    const auto doc = parse_json(config.text, config.file, log.mistakes);
    if (!doc) {
        return c;
    }
    const fs::path beside = fs::absolute(config.file).parent_path();
    ObjectReader document{*doc, "", log};
    read_ticks(document, beside.string(), c);
    c.dir = c.dir.empty() ? ticks_folder(config.journal.dir)
                          : (beside / c.dir).lexically_normal().string();
    return c;
}

}  // namespace millrace
