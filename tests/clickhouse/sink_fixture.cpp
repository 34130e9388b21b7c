#include "tests/clickhouse/sink_fixture.h"

#include <sstream>

#include "persist/sqlite_store.h"
#include "tests/shm/small_segment.h"

namespace millrace::clickhouse_test {

void ClickHouseFixture::SetUp() {
    segment_ = test::small_segment(dir_.file("segment"));
    ASSERT_NE(segment_, nullptr);
    server_ = std::make_unique<ClickHouseProcess>(dir_.file("server"));
    server_->start();
    proxy_ = std::make_unique<Proxy>(server_->port());
    database_ = "test_" + std::to_string(::getpid()) + "_" + std::to_string(proxy_->port());
}

void ClickHouseFixture::TearDown() {
    if (server_ && server_->is_foreign()) {
        (void)server_->ask("DROP DATABASE IF EXISTS " + database_);
    }
}

ClickHouseSinkOptions ClickHouseFixture::options() const {
    ClickHouseSinkOptions o;
    o.store.server = server_->at();
    o.store.server.url = proxy_->url();
    o.store.server.answer = seconds(5);
    o.store.database = database_;
    return o;
}

std::unique_ptr<ClickHouseSink> ClickHouseFixture::sink(const ClickHouseSinkOptions& o,
                                                        std::uint64_t last, std::uint64_t salt) {
    auto log = std::make_unique<sqlite_test::MemoryLog>(last, salt);
    log_ = log.get();
    return std::make_unique<ClickHouseSink>(*segment_, std::move(log), o);
}

::testing::AssertionResult ClickHouseFixture::run_to(ClickHouseSink& s, std::uint64_t seq,
                                                     ClickHouseHistory history) {
    const auto there = [&] {
        return s.server().history == history && s.stored().seq.value >= seq && s.drained() &&
               !s.failing();
    };
    if (run_until(s, there)) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure()
           << "came to record " << s.stored().seq.value << " of " << seq << "\n"
           << errors();
}

std::string ClickHouseFixture::sqlite_upto(std::uint64_t last, std::uint64_t salt) {
    const std::string path = dir_.file("store-" + std::to_string(last) + ".db");
    SqliteStore store;
    SqliteStoreOptions o;
    o.path = path;
    EXPECT_TRUE(store.open(o).ok()) << store.message();
    std::vector<Effect> all;
    for (std::uint64_t seq = 1; seq <= last; ++seq) {
        for (const Effect& e : sqlite_test::effects_of(seq, salt)) {
            all.push_back(e);
        }
    }
    EXPECT_TRUE(store.store(all, sqlite_test::cursor_at(last, salt), now_).ok());
    return path;
}

ClickHouseFindings ClickHouseFixture::compared(const std::string& sqlite, bool mend,
                                               std::uint64_t log_from) {
    ClickHouseStore store{options().store};
    EXPECT_TRUE(store.open().ok()) << store.message();
    ClickHouseVerify verify{store, sqlite, mend, log_of(600, log_from)};
    EXPECT_TRUE(verify.begin().ok()) << verify.message();
    bool more = true;
    while (more) {
        const auto step = verify.step();
        EXPECT_TRUE(step.ok()) << verify.message();
        more = step.ok() && step.value();
    }
    return verify.findings();
}

AskLog ClickHouseFixture::log_of(std::uint64_t last, std::uint64_t first) {
    return [last, first](const std::set<EffectAt>& ids) {
        sqlite_test::MemoryLog log{last};
        log.set_first(first);
        return effects_in(log, ids);
    };
}

::testing::AssertionResult ClickHouseFixture::holds(std::uint64_t last, std::uint64_t first,
                                                    ClickHouseHistory history) {
    std::ostringstream wanted;
    for (std::uint64_t seq = first; seq <= last; ++seq) {
        for (const Effect& e : sqlite_test::effects_of(seq, history - 1)) {
            wanted << seq << "\t" << e.k << "\t" << static_cast<int>(e.kind) << "\n";
        }
    }
    const std::string found =
        server_->ask("SELECT seq, k, kind FROM " + database_ +
                     ".effects FINAL WHERE kind != 0 AND history = " + std::to_string(history) +
                     " ORDER BY seq, k");
    std::string text = wanted.str();
    text.pop_back();
    if (found == text) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "ClickHouse has\n"
                                         << found << "\nwanted\n"
                                         << text << "\n"
                                         << errors();
}

std::uint64_t ClickHouseFixture::raw_rows() const {
    return std::stoull(
        server_->ask("SELECT count() FROM " + database_ + ".effects WHERE kind != 0"));
}

}  // namespace millrace::clickhouse_test
