#include "tests/isolation/outside.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "persist/credential_vault.h"

namespace millrace::isolation {
namespace {

constexpr std::size_t kSlowBytes = 512;
constexpr const char* kRedisConfig =
    "appendonly yes\nmaxmemory-policy noeviction\nmaxmemory 4gb\nsave \"\"\n";

/// A server of our own, whatever the environment names: this one is killed.
std::string own_clickhouse(const test::TempDir& dir) {
    ::unsetenv("MILLRACE_CLICKHOUSE_URL");
    return dir.file("clickhouse");
}

std::uint16_t port_in(const std::string& url) {
    return static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
}

}  // namespace

std::string name_of(const Outage& outage) {
    static constexpr const char* kStores[] = {"redis", "clickhouse", "postgres"};
    static constexpr const char* kIlls[] = {"killed", "stopped", "slow"};
    const bool all = outage.stores.size() > 1;
    return std::string{all ? "all" : kStores[static_cast<int>(outage.stores.front())]} + " " +
           kIlls[static_cast<int>(outage.ill)];
}

std::vector<Outage> all_outages() {
    const std::vector<Store> all{Store::Redis, Store::ClickHouse, Store::Postgres};
    std::vector<Outage> outages;
    for (const Store store : all) {
        for (const Ill ill : {Ill::Stopped, Ill::Slow, Ill::Killed}) {
            outages.push_back({ill, {store}});
        }
    }
    for (const Ill ill : {Ill::Stopped, Ill::Slow, Ill::Killed}) {
        outages.push_back({ill, all});
    }
    return outages;
}

Outside::Outside()
    : redis_{std::make_unique<redis_test::RedisProcess>(redis_test::RedisProcess::Options{
          dir_.file("redis"), redis_port_.number(), false, kRedisConfig})},
      clickhouse_{own_clickhouse(dir_)},
      postgres_{dir_.file("postgres")} {
    redis_->start();
    clickhouse_.start();
    postgres_.start();
    const std::string url = postgres_.place().url;
    gates_[index(Store::Redis)] = std::make_unique<Gate>(redis_->at().port);
    gates_[index(Store::ClickHouse)] = std::make_unique<Gate>(clickhouse_.port());
    gates_[index(Store::Postgres)] = std::make_unique<Gate>(port_in(url.substr(0, url.rfind('/'))));
    std::string message;
    EXPECT_TRUE(CredentialKey::create(dir_.file("key"), message).ok()) << message;
}

void Outside::begin(const Outage& outage) {
    for (const Store store : outage.stores) {
        if (outage.ill == Ill::Slow) {
            gates_[index(store)]->pace(kSlowBytes);
        } else if (outage.ill == Ill::Stopped) {
            signal(store, SIGSTOP);
        } else {
            kill(store);
        }
    }
}

void Outside::end(const Outage& outage) {
    for (const Store store : outage.stores) {
        if (outage.ill == Ill::Slow) {
            gates_[index(store)]->pace(0);
        } else if (outage.ill == Ill::Stopped) {
            signal(store, SIGCONT);
        } else {
            start(store);
        }
    }
}

void Outside::kill(Store store) {
    switch (store) {
        case Store::Redis: redis_->kill(); break;
        case Store::ClickHouse: clickhouse_.kill(); break;
        case Store::Postgres: postgres_.crash(); break;
    }
}

void Outside::start(Store store) {
    switch (store) {
        case Store::Redis: redis_->start(); break;
        case Store::ClickHouse: clickhouse_.start(); break;
        case Store::Postgres: postgres_.start(); break;
    }
}

void Outside::signal(Store store, int number) {
    const bool stop = number == SIGSTOP;
    switch (store) {
        case Store::Redis: stop ? redis_->stop() : redis_->resume(); break;
        case Store::ClickHouse: stop ? clickhouse_.stop() : clickhouse_.resume(); break;
        case Store::Postgres: postgres_.signal_all(number); break;
    }
}

std::string Outside::secret_file(const std::string& name, const std::string& text) const {
    const std::string path = dir_.file(name);
    std::ofstream{path} << text << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);
    return path;
}

std::string Outside::gated(Store store) const {
    return "127.0.0.1:" + std::to_string(gate(store).port());
}

std::vector<chaos::Edit> Outside::edits() const {
    const ClickHouseServer clickhouse = clickhouse_.at();
    // Small batches, so that what waited goes out in many of them; whoever is slow has its time.
    const std::string text =
        R"("redis": {"servers": [")" + gated(Store::Redis) +
        R"("], "prefix": "millrace:test:"}, "clickhouse": {"url": "http://)" +
        gated(Store::ClickHouse) + R"(", "user": ")" + clickhouse.user +
        R"(", "password_file": ")" + secret_file("clickhouse.key", clickhouse.password) +
        R"(", "database": "desk", "batch_rows_max": 2000}, "credentials": {"store": "postgres", )"
        R"("postgres_url": "postgresql://desk@)" +
        gated(Store::Postgres) + R"(/postgres", "postgres_password_file": ")" +
        secret_file("postgres.key", postgres_.place().password) + R"(", "key_file": ")" +
        dir_.file("key") + R"(", "backup_dir": ")" + dir_.file("credential-backups") + R"("}, )";
    return {{"\"accounts_max\"", text + "\"accounts_max\""}};
}

void Outside::add_credential(const std::string& account) {
    std::string message;
    const auto key = CredentialKey::load(dir_.file("key"), message);
    ASSERT_TRUE(key.ok()) << message;
    const auto store = make_postgres_credentials(postgres());
    ASSERT_TRUE(store->open(CredentialOpen::Create).ok()) << store->message();
    CredentialVault vault{*store, key.value()};
    std::string password = "of-" + account;
    ASSERT_TRUE(vault.add(account, "1", Secret::taken_from(password)).ok()) << vault.message();
}

}  // namespace millrace::isolation
