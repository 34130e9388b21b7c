// Goal: of several stores the one that has come furthest is taken, never half a state unasked, and
// never one of two that follow different logs. Method: rungs by hand; a store with a hole in it.
#include "tools/millrace/recover_rungs.h"

#include <gtest/gtest.h>

#include "persist/sqlite_store.h"
#include "shm/clock.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/recover_ladder.h"
#include "tools/millrace/recover_store.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

StoreRung rung(const char* name, std::uint64_t seq, std::uint32_t instance = 7) {
    StoreRung r;
    r.name = name;
    r.state.emplace();
    r.state->instance = instance;
    r.state->cursor = {1, Sequence{seq}, 1, seq};
    return r;
}

StoreRung none(const char* name) {
    StoreRung r;
    r.name = name;
    r.why = "is gone";
    return r;
}

TEST(RecoverRungs, TakeTheOneThatHasComeFurthestAndOfEqualOnesTheHigher) {
    std::string why;
    std::vector<StoreRung> rungs{rung("redis", 10), rung("sqlite", 12), rung("clickhouse", 12)};
    EXPECT_EQ(best_rung(rungs, why), &rungs[1]);
    rungs[0].state->cursor.epoch = 2;
    EXPECT_EQ(best_rung(rungs, why), &rungs[0]) << "records of a later epoch";
    rungs[0] = none("redis");
    EXPECT_EQ(best_rung(rungs, why), &rungs[1]);
    rungs[1].state->gaps.emplace_back("the order of position 3");
    EXPECT_EQ(best_rung(rungs, why), &rungs[2]) << "half a state is not taken unasked";
}

TEST(RecoverRungs, AreLeftToAnOperatorIfTheyFollowDifferentLogsOrNoneIsWhole) {
    std::string why;
    std::vector<StoreRung> rungs{rung("redis", 10), rung("sqlite", 12, 8)};
    EXPECT_EQ(best_rung(rungs, why), nullptr);
    EXPECT_NE(why.find("redis and sqlite follow different journals"), std::string::npos) << why;
    rungs[1] = rung("sqlite", 10);
    rungs[1].state->cursor.chain = 99;
    EXPECT_EQ(best_rung(rungs, why), nullptr) << "one record, two histories";
    rungs = {none("redis"), none("sqlite")};
    EXPECT_EQ(best_rung(rungs, why), nullptr);
    EXPECT_NE(why.find("sqlite: is gone"), std::string::npos) << why;
}

class RecoverGaps : public ::testing::Test {
protected:
    void SetUp() override {
        config_.name = "gaps-" + std::to_string(::getpid());
        config_.journal.dir = dir_ / "journal";
        config_.sqlite.path = dir_ / "store.db";
        config_.sqlite.backup_dir = dir_ / "backups";
        PositionRow position;
        position.account = AccountId{3};
        position.position_id = 42;
        position.magic = Magic::make(0x4D52, 5, 0);
        position.volume = Lots{kScale};
        Effect e = Effect::make(EffectKind::Position, position);
        e.seq = Sequence{9};
        e.k = 1;
        SqliteStore store;
        SqliteStoreOptions o;
        o.path = config_.sqlite.path;
        ASSERT_TRUE(store.open(o).ok()) << store.message();
        store.set_whole(true);
        ASSERT_TRUE(store.store({&e, 1}, {1, Sequence{9}, 1, 5}, Nanos{}).ok());
    }
    /// What `recover` says, on both streams.
    std::string recover(RecoverRequest request, int status) {
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        EXPECT_EQ(recover_from_store(config_, request), status);
        return ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    }

    test::TempDir dir_;
    Config config_;
};

TEST_F(RecoverGaps, AreRefusedByNameUnlessTheyAreAccepted) {
    for (const char* from : {"sqlite", "best"}) {
        const std::string said = recover({from, true, false}, kExitError);
        EXPECT_NE(said.find("the order of position 42 of account number 3"), std::string::npos)
            << said;
    }
    const std::string taken = recover({"sqlite", true, true}, kExitOk);
    EXPECT_NE(taken.find("would make a journal"), std::string::npos) << taken;
    const std::string other = recover({"redis", true, false}, kExitError);
    EXPECT_NE(other.find("redis: is not configured"), std::string::npos) << other;
}

TEST_F(RecoverGaps, AreShownOnTheLadder) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(show_ladder(config_), kExitError);
    const std::string said = ::testing::internal::GetCapturedStdout();
    EXPECT_NE(said.find("NOT WHOLE, it lacks the order of position 42"), std::string::npos) << said;
    EXPECT_NE(said.find("journal is not there"), std::string::npos) << said;
    EXPECT_EQ(said.find("=>"), std::string::npos) << "nothing can be taken: " << said;
}

}  // namespace
}  // namespace millrace
