// The table and the views of ClickHouse. Every statement is one that version 18.16 and the modern
// ones take alike. Internal to the ClickHouse store.
#pragma once

#include <string>
#include <vector>

namespace millrace {

inline constexpr const char* kClickHouseTable = "effects";

/// "`database`.`name`".
[[nodiscard]] std::string clickhouse_name(const std::string& database, const std::string& name);

/// @param tokens the server drops an INSERT whose token it has seen (versions from 22.2 on).
[[nodiscard]] std::string clickhouse_create_table(const std::string& database, bool tokens);

struct ClickHouseView {
    std::string name;
    std::string sql;  // CREATE VIEW
};
/// In the order in which they build on each other.
[[nodiscard]] std::vector<ClickHouseView> clickhouse_views(const std::string& database);

}  // namespace millrace
