// Goal: segment, journal and every snapshot gone, a journal directory made of what a store knows
// executes nothing twice, closes what it finds, and loses no more than what is younger than the
// store: SQLite, or its newest backup. (The rungs above: points_test.cpp, with and without the
// segment; Redis and ClickHouse: ladder_stores_test.cpp.)
// Method: ladder.h.
#include "tests/chaos/ladder.h"
#include "persist/effects_log_source.h"
#include "persist/sqlite_audit.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"

namespace millrace::chaos {
namespace {

constexpr const char* kAsked = "5 s and 0.5 s";

/// Accepted signals that the store at `path` knows.
std::set<SignalId> known_to(const std::string& path) {
    std::set<SignalId> known;
    SqliteDb db;
    EXPECT_TRUE(db.open(path, 5'000, SqliteOpen::ReadOnly).ok()) << path;
    auto rows = db.prepare("SELECT id FROM signals WHERE reason = 0");
    while (rows.ok()) {
        const auto row = rows.value().row();
        if (!row.ok() || !row.value()) {
            break;
        }
        SignalId id;
        const auto bytes = rows.value().column_blob(0);
        for (std::size_t i = 0; i < 16 && bytes.size() == 16; ++i) {
            std::uint64_t& half = i < 8 ? id.hi : id.lo;
            half = half << 8U | static_cast<std::uint64_t>(bytes[i]);
        }
        known.insert(id);
    }
    return known;
}

class ChaosLadder : public Ladder, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(From, ChaosLadder, ::testing::Values("store", "backup"),
                         [](const auto& p) { return std::string{p.param}; });

TEST_P(ChaosLadder, RepeatsNothingAfterTheLossOfSegmentJournalAndSnapshots) {
    const bool from_backup = std::string_view{GetParam()} == "backup";
    begin();
    // The store, or its backup, has something, and has it not all.
    trade(60);
    await_stored(world().segment().core().sqlite_seq);
    if (from_backup) {
        std::string backup;
        ASSERT_EQ(world().command({"backup"}, kLong, &backup), 0) << backup;
    }
    trade(30);
    lose_log();
    const std::set<SignalId> known = known_to(sqlite());
    if (from_backup) {
        ASSERT_TRUE(sqlite_remove(sqlite()).ok());
    }
    ASSERT_EQ(recover({"--from", "sqlite", "--dry-run"}), 0) << said();
    EXPECT_NE(said().find("would make a journal"), std::string::npos) << said();
    ASSERT_EQ(recover({"--from", "sqlite"}), 0) << said();
    EXPECT_NE(said().find("IN_DOUBT, looked up"), std::string::npos) << said();
    std::string refused;
    EXPECT_EQ(world().command({"recover", "--from", "sqlite"}, kLong, &refused), 1)
        << "there is a journal now: " << refused;
    go_on(GetParam(), kAsked, known);
    judge(known, !from_backup);
    const auto compared = audit_sqlite(
        sqlite(), std::make_unique<EffectsLogSource>(world().workspace().path("journal")));
    ASSERT_TRUE(compared.ok()) << compared.error().what;
    EXPECT_TRUE(compared.value().clean()) << compared.value().first;
    EXPECT_GT(compared.value().rows, 100U);
}

}  // namespace
}  // namespace millrace::chaos
