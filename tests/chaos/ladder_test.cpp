// Goal: segment, journal and every snapshot gone, a journal directory made of what a store knows
// executes nothing twice, closes what it finds, and loses no more than what is younger than the
// store: SQLite, its newest backup, or that and what was shipped behind it. (The rungs above:
// points_test.cpp, with and without the segment; Redis and ClickHouse: ladder_stores_test.cpp.)
// Method: ladder.h.
#include "tests/chaos/ladder.h"
#include "persist/effects_log_source.h"
#include "persist/log_shipper.h"
#include "persist/shipped_records.h"
#include "persist/sqlite_audit.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_files.h"

namespace millrace::chaos {
namespace {

constexpr const char* kAsked = "5 s and 0.5 s";

class ChaosLadder : public Ladder, public ::testing::WithParamInterface<const char*> {
protected:
    [[nodiscard]] bool from_store() const { return way() == "store"; }
    [[nodiscard]] bool from_shipped() const { return way() == "shipped"; }
    [[nodiscard]] static std::string_view way() { return GetParam(); }
    /// Of the store; on what stands for another disk where the effects log is shipped, too.
    [[nodiscard]] std::string backups() const {
        return from_shipped() ? world().workspace().path("elsewhere") : sqlite() + ".backups";
    }

    /// Gets a backup of the store, and where that is what the test is about, something behind it.
    void back_up() {
        std::string said;
        ASSERT_EQ(world().command({"backup"}, kLong, &said), 0) << said;
        const std::uint64_t seq = list_sqlite_backups(backups()).back().seq.value;
        if (from_shipped()) {
            ASSERT_TRUE(world().turn_until(
                [&] { return shipped_upto(shipped_folder(backups())).value > seq; }, kLong))
                << world().log();
        }
    }

    /// Accepted signals that are in the backup, and, if `shipped`, behind it: what the rung knows.
    [[nodiscard]] std::set<SignalId> known_to_backup(bool shipped) const {
        const std::string to = world().workspace().path("known.db");
        std::string message;
        EXPECT_TRUE(sqlite_remove(to).ok());
        EXPECT_TRUE(
            restore_sqlite_backup(list_sqlite_backups(backups()).back().path, to, {}, message).ok())
            << message;
        EXPECT_TRUE(!shipped || add_shipped_records(shipped_folder(backups()), to, message).ok())
            << message;
        return known_to(to);
    }
};
INSTANTIATE_TEST_SUITE_P(From, ChaosLadder, ::testing::Values("store", "backup", "shipped"),
                         [](const auto& p) { return std::string{p.param}; });

TEST_P(ChaosLadder, RepeatsNothingAfterTheLossOfSegmentJournalAndSnapshots) {
    begin(from_shipped()
              ? std::vector<Edit>{{"\"sqlite\": {", R"("sqlite": {"backup_dir": "elsewhere", )"}}
              : std::vector<Edit>{});
    // The store, or its backup, has something, and has it not all.
    trade(60);
    await_stored(world().segment().core().sqlite_seq);
    if (!from_store()) {
        back_up();
    }
    trade(30);
    lose_log();
    const std::set<SignalId> known =
        from_store() ? known_to(sqlite()) : known_to_backup(from_shipped());
    if (!from_store()) {
        ASSERT_TRUE(sqlite_remove(sqlite()).ok());
    }
    if (from_shipped()) {
        EXPECT_GT(known.size(), known_to_backup(false).size()) << "nothing was shipped";
    }
    ASSERT_EQ(recover({"--from", "sqlite", "--dry-run"}), 0) << said();
    EXPECT_NE(said().find("would make a journal"), std::string::npos) << said();
    EXPECT_EQ(sqlite_file_exists(sqlite()), from_store()) << "a dry run";
    ASSERT_EQ(recover({"--from", "sqlite"}), 0) << said();
    EXPECT_NE(said().find("IN_DOUBT, looked up"), std::string::npos) << said();
    EXPECT_EQ(said().find("records that were shipped behind it") != std::string::npos,
              from_shipped())
        << said();
    EXPECT_TRUE(sqlite_file_exists(sqlite()) && known_to(sqlite()) == known)
        << "its history does not go on: " << said();
    std::string refused;
    EXPECT_EQ(world().command({"recover", "--from", "sqlite"}, kLong, &refused), 1)
        << "there is a journal now: " << refused;
    go_on(GetParam(), kAsked, known);
    judge(known);
    EXPECT_FALSE(sqlite_file_exists(sqlite() + ".stale-1")) << "its history goes on";
    const auto compared = audit_sqlite(
        sqlite(), std::make_unique<EffectsLogSource>(world().workspace().path("journal")));
    ASSERT_TRUE(compared.ok()) << compared.error().what;
    EXPECT_TRUE(compared.value().clean()) << compared.value().first;
    EXPECT_GT(compared.value().rows, 100U);
}

}  // namespace
}  // namespace millrace::chaos
