// ClickHouse as the pipeline uses it: the sink, the doctor and the comparison with SQLite.
#pragma once

#include "persist/clickhouse_store.h"
#include "shm/segment.h"
#include "shm/stage.h"
#include "tools/millrace/config.h"

#include <memory>

namespace millrace {

[[nodiscard]] ClickHouseStoreOptions clickhouse_store(const Config& config);

/// @param instance of the journal directory whose log it follows; 0 = not known.
[[nodiscard]] std::unique_ptr<Stage> build_clickhouse_sink(const Segment& segment,
                                                           const Config& config,
                                                           std::uint32_t instance);

/// `millrace doctor clickhouse`: prints what was found, with the mend of what is wrong. Changes
/// nothing there.
/// @return 0 if all is well, 1 if something is wrong, 2 if it could not be asked.
[[nodiscard]] int doctor_clickhouse(const Config& config);

struct VerifyClickHouse {
    bool mend = false;          // store again what is missing or changed
    std::uint32_t wait_s = 10;  // for a ClickHouse that has not come as far as SQLite
    bool json = false;
};
/// `millrace verify clickhouse`: compares with the SQLite store and prints the findings.
/// @return 0 if ClickHouse holds all that SQLite does, 1 if it did not, 2 if it was not compared.
[[nodiscard]] int verify_clickhouse(const Config& config, const VerifyClickHouse& options);

}  // namespace millrace
