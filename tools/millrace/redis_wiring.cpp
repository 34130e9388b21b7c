#include "tools/millrace/redis_wiring.h"

#include <algorithm>
#include <cstdio>

#include "persist/effects_log_source.h"
#include "persist/redis_settings.h"
#include "persist/redis_sink.h"
#include "persist/reservation.h"

namespace millrace {
namespace {

std::vector<RedisEndpoint> endpoints(const std::vector<std::string>& places) {
    std::vector<RedisEndpoint> all;
    for (const std::string& place : places) {
        RedisEndpoint at;
        if (parse_host_port(place, at.host, at.port)) {  // checked when it was read
            all.push_back(std::move(at));
        }
    }
    return all;
}

/// The gateway's seam over the client of persist/: neither knows the other.
class StreamOverRedis final : public SignalStream {
public:
    explicit StreamOverRedis(RedisStreamOptions options) : stream_{std::move(options)} {}

    Status open() override { return stream_.open(); }
    [[nodiscard]] bool is_open() const override { return stream_.is_open(); }
    void close() override { stream_.close(); }
    Status read(std::uint32_t count, Nanos wait, std::vector<Entry>& out) override {
        return handed(stream_.read(count, wait, entries_), out);
    }
    Status claim(std::uint32_t count, Nanos idle, std::vector<Entry>& out) override {
        return handed(stream_.claim(count, idle, entries_), out);
    }
    Status acknowledge(const std::vector<std::string>& ids) override {
        return stream_.acknowledge(ids);
    }
    Status refuse(const Entry& entry, const char* why) override {
        return stream_.refuse({entry.id, entry.fields}, why);
    }
    Status upkeep() override {
        if (stream_.primary_moved()) {
            return {Errc::NotOwner, "the primary has moved"};
        }
        if (auto ours = stream_.keep_owner(); !ours) {
            return ours;
        }
        return stream_.trim();
    }
    [[nodiscard]] std::string message() const override { return stream_.message(); }

private:
    Status handed(const Status& status, std::vector<Entry>& out) {
        for (RedisStreamEntry& e : entries_) {
            out.push_back({std::move(e.id), std::move(e.fields)});
        }
        entries_.clear();
        return status;
    }

    RedisStream stream_;
    std::vector<RedisStreamEntry> entries_;
};

/// Where Sentinels say who the primary is, they are asked so often: the time between two tries is
/// lost after a failover. Without them it is each 2 s (requirement C32).
constexpr Nanos kFailoverRetry = millis(250);
Nanos retry_max(const RedisConfig& redis, Nanos without) {
    return redis.sentinels.empty() ? without : kFailoverRetry;
}

/// For RedisOwner. Nothing before an epoch has begun: until then it may be a lost directory's.
std::function<std::uint32_t()> instance_finder(const Segment& segment, const Config& config) {
    return [&segment, dir = config.journal.dir]() -> std::uint32_t {
        std::string why;
        // Acquire: pairs with the journal stage's release; the reservation is made before.
        const bool begun = segment.core().epoch.load(std::memory_order_acquire) != 0;
        const auto reserved = Reservation::read(dir, why);
        return begun && reserved ? reserved.value().instance : 0;
    };
}

}  // namespace

RedisPlace redis_place(const RedisConfig& redis) {
    RedisPlace place;
    place.servers = endpoints(redis.servers);
    place.sentinels = endpoints(redis.sentinels);
    place.primary_name = redis.primary;
    place.login = {redis.user, redis.password};
    place.sentinel_login = {"", redis.sentinel_password};
    return place;
}

std::string redis_prefix(const Config& config) {
    return config.redis.prefix.empty() ? "millrace:" + config.name + ":" : config.redis.prefix;
}

std::unique_ptr<SignalStream> make_signal_stream(RedisStreamOptions options) {
    return std::make_unique<StreamOverRedis>(std::move(options));
}

RedisStoreOptions redis_store(const Config& config) {
    RedisStoreOptions options;
    options.prefix = redis_prefix(config);
    options.keep.signals = Nanos{config.risk.ledger_window_ns};
    return options;
}

std::unique_ptr<Stage> build_redis_sink(const Segment& segment, const Config& config,
                                        std::uint32_t instance) {
    RedisSinkOptions options;
    options.place = redis_place(config.redis);
    options.store = redis_store(config);
    options.store.instance = instance;
    options.find_instance = instance_finder(segment, config);
    options.upkeep.results_keep = seconds(config.redis.results_keep_s);
    options.retry_max = retry_max(config.redis, options.retry_max);
    options.batch_time = millis(config.redis.batch_ms);
    options.batch_rows = config.redis.batch_rows;
    options.audit_every = seconds(config.redis.audit_s);
    options.confirm_by_sqlite = config.sqlite.enabled;
    options.sqlite_path = config.sqlite.enabled ? config.sqlite.path : "";
    return std::make_unique<RedisSink>(
        segment, [dir = config.journal.dir] { return std::make_unique<EffectsLogSource>(dir); },
        options);
}

Result<std::unique_ptr<Stage>> build_redis_source(Segment& segment, const Config& config,
                                                  const IdBook& ids, std::uint32_t instance,
                                                  std::string& message) {
    const auto source = std::find_if(config.sources.begin(), config.sources.end(),
                                     [](const SourceConfig& s) { return s.redis; });
    if (source == config.sources.end()) {
        message = "no source of kind \"redis\" is configured";
        return {Errc::NotFound, "redis source"};
    }
    const std::string prefix = redis_prefix(config);
    RedisStreamOptions stream;
    stream.place = redis_place(config.redis);
    stream.stream = prefix + "RTSS";
    stream.refused = prefix + "RTSS:REFUSED";
    stream.consumer = config.name;
    stream.position_file = config.journal.dir + "/rtss.position";
    stream.owner = {prefix, instance, kRedisOwnerLife, instance_finder(segment, config)};
    RedisSourceOptions options;
    options.source = source->name;
    options.id = SourceId{ids.find(NameKind::Source, source->name)};
    options.ack = source->ack == Durability::Disk ? AckLevel::Disk : AckLevel::Process;
    options.retry_max = retry_max(config.redis, options.retry_max);
    auto made =
        RedisSource::create(segment, make_signal_stream(std::move(stream)), options, message);
    if (!made) {
        return made.error();
    }
    return Result<std::unique_ptr<Stage>>{std::move(made).value()};
}

int doctor_redis(const Config& config) {
    if (!config.redis.enabled) {
        std::printf("no \"redis\" in %s\n", config.file.c_str());
        return 2;
    }
    RedisPrimary primary{redis_place(config.redis)};
    RedisLink link;
    if (auto connected = primary.connect(link); !connected) {
        std::printf("WRONG  connection: %s\n", primary.message().c_str());
        return 2;
    }
    std::printf("GOOD   connection: the primary is %s\n", link.endpoint().text().c_str());
    int code = 0;
    for (const RedisSetting& s : check_redis_settings(link, !config.redis.sentinels.empty())) {
        const bool good = s.verdict == RedisSetting::Verdict::Good;
        std::printf("%s %s\n", good ? "GOOD  " : "WRONG ", s.text().c_str());
        code = good ? code : 1;
    }
    return code;
}

}  // namespace millrace
