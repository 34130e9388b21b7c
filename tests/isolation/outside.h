// Outside: a real Redis, ClickHouse and PostgreSQL, each behind a gate, and every way to hurt them;
// and a pipeline's configuration that uses all three.
#pragma once

#include "tests/chaos/world.h"
#include "tests/clickhouse/server.h"
#include "tests/isolation/gate.h"
#include "tests/ops/quiet_port.h"
#include "tests/postgres/server.h"
#include "tests/redis/server.h"
#include "tests/shm/temp_dir.h"

#include <memory>
#include <string>
#include <vector>

namespace millrace::isolation {

enum class Store { Redis, ClickHouse, Postgres };
enum class Ill {
    Killed,   // SIGKILL; PostgreSQL ends at once as after a crash
    Stopped,  // SIGSTOP
    Slow,     // 50 KB a second each way, in pieces of 512 bytes
};

/// What befalls whom at once.
struct Outage {
    Ill ill{};
    std::vector<Store> stores;
};
/// "redis killed", "all slow".
[[nodiscard]] std::string name_of(const Outage& outage);
/// Each store by itself in each way, then all of them together in each way.
[[nodiscard]] std::vector<Outage> all_outages();

/// Threads: the one that made it; the servers die with it. To be destroyed before a chaos::World
/// that it serves, which ends all children of this process.
class Outside {
public:
    Outside();
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

    /// Returns when it has happened; end() when the servers answer again.
    void begin(const Outage& outage);
    void end(const Outage& outage);

    /// What makes a pipeline use them. Keys begin with `millrace:test:`, the database is `desk`.
    [[nodiscard]] std::vector<chaos::Edit> edits() const;
    [[nodiscard]] redis_test::RedisProcess& redis() noexcept { return *redis_; }
    [[nodiscard]] clickhouse_test::ClickHouseProcess& clickhouse() noexcept { return clickhouse_; }
    /// Straight to the server, past the gate.
    [[nodiscard]] PostgresPlace postgres() const { return postgres_.place(); }
    /// Seals a password for `account`, as `millrace credential add` does.
    void add_credential(const std::string& account);
    [[nodiscard]] const Gate& gate(Store store) const { return *gates_[index(store)]; }

private:
    static std::size_t index(Store store) { return static_cast<std::size_t>(store); }
    [[nodiscard]] std::string secret_file(const std::string& name, const std::string& text) const;
    [[nodiscard]] std::string gated(Store store) const;
    void kill(Store store);
    void start(Store store);
    void signal(Store store, int number);

    test::TempDir dir_;
    test::QuietPort redis_port_;
    std::unique_ptr<redis_test::RedisProcess> redis_;
    clickhouse_test::ClickHouseProcess clickhouse_;
    postgres_test::PostgresProcess postgres_;
    std::unique_ptr<Gate> gates_[3];
};

}  // namespace millrace::isolation
