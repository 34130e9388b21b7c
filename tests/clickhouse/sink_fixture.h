// A sink over a known history, a real server behind a proxy, and what the server holds.
#pragma once

#include "persist/clickhouse_sink.h"
#include "tests/clickhouse/proxy.h"
#include "tests/clickhouse/server.h"
#include "tests/shm/error_log.h"
#include "tests/sqlite/effects.h"

#include <memory>
#include <string>

namespace millrace::clickhouse_test {

class ClickHouseFixture : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    /// Options for the server, by way of the proxy; waits are short, batches as they are in
    /// earnest.
    [[nodiscard]] ClickHouseSinkOptions options() const;
    /// A sink over records 1 .. last; `log_` then is its log.
    std::unique_ptr<ClickHouseSink> sink(const ClickHouseSinkOptions& options, std::uint64_t last,
                                         std::uint64_t salt = 0);
    /// Steps `s` until record `seq` is stored, on a clock of its own, a tenth of a second a step.
    [[nodiscard]] ::testing::AssertionResult run_to(ClickHouseSink& s, std::uint64_t seq,
                                                    ClickHouseHistory history = 1);
    /// Steps `s` so until `done`, at most `limit_s` seconds of that clock.
    template <class F>
    [[nodiscard]] bool run_until(ClickHouseSink& s, F done, int limit_s = 600) {
        const Nanos end = now_ + seconds(limit_s);
        while (!done() && now_ < end) {
            now_ = now_ + millis(100);
            (void)s.step(now_);
        }
        return done();
    }
    /// The SQLite store as it stands after records 1 .. last. @return its path.
    std::string sqlite_upto(std::uint64_t last, std::uint64_t salt = 0);
    /// Compares ClickHouse with `sqlite`.
    /// @param log_from first record that the effects log still has; it ends at 600.
    ClickHouseFindings compared(const std::string& sqlite, bool mend = false,
                                std::uint64_t log_from = 1);
    [[nodiscard]] static AskLog log_of(std::uint64_t last, std::uint64_t first = 1);
    /// Fails unless ClickHouse holds exactly the effects of records first .. last, once each.
    [[nodiscard]] ::testing::AssertionResult holds(std::uint64_t last, std::uint64_t first = 1,
                                                   ClickHouseHistory history = 1);
    /// Rows of effects as they lie there, doubles included.
    [[nodiscard]] std::uint64_t raw_rows() const;
    [[nodiscard]] std::string errors() const { return test::error_log(*segment_); }
    [[nodiscard]] const CoreCells& cells() const { return segment_->core(); }

    test::TempDir dir_;
    std::unique_ptr<ClickHouseProcess> server_;
    std::unique_ptr<Proxy> proxy_;
    std::unique_ptr<Segment> segment_;
    sqlite_test::MemoryLog* log_ = nullptr;
    std::string database_;
    Nanos now_ = seconds(1'000);
};

}  // namespace millrace::clickhouse_test
