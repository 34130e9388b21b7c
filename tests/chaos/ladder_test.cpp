// Goal: segment, journal and every snapshot gone, a journal directory made of what a store knows
// executes nothing twice, closes what it finds, and loses no more than what is younger than the
// store. (The rungs above: points_test.cpp, with and without the segment.)
// Method: a host that goes down under load and loses those files; then every signal that was ever
// sent is sent again, with its first stamp, as a source may that has heard nothing. The broker's
// books and the source's own record judge.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "shm/clock.h"
#include "tests/chaos/world.h"
#include "tools/demo_run/child.h"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;
constexpr Nanos kLong = seconds(60);

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

std::uint64_t all_fills(const World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

void send_everything_again(World& world) {
    std::vector<demo::Planned> again;
    for (const auto& [id, life] : world.source().lives().all()) {
        demo::Planned planned;
        planned.request = life.request;
        planned.purpose = life.purpose;
        planned.is_repeat = true;
        again.push_back(planned);
    }
    for (const demo::Planned& planned : again) {
        EXPECT_TRUE(world.turn_until([&] { return world.source().send(planned).ok(); }, kLong));
    }
}

/// What may have gone wrong: what only the lost log knew, and nothing else, and nothing twice.
void hold_against(const Judgement& judgement, const std::set<SignalId>& known, const World& world) {
    EXPECT_EQ(judgement.verdict.count(demo::Wrong::Doubled), 0U) << describe(judgement, world);
    for (const demo::Problem& p : judgement.verdict.problems) {
        EXPECT_FALSE(known.contains(p.signal)) << to_string(p.wrong) << ": " << p.text;
    }
    EXPECT_GT(judgement.book_executions, 0U) << "nothing was traded: this proves nothing";
}

class ChaosLadder : public ::testing::TestWithParam<const char*> {
protected:
    ChaosLadder() : world_{options()} {}

    static WorldOptions options() {
        WorldOptions o;
        o.keep_stamps = true;
        return o;
    }
    [[nodiscard]] int recover(const char* more = nullptr) {
        std::vector<std::string> words{"recover", "--from", "sqlite"};
        if (more != nullptr) {
            words.emplace_back(more);
        }
        return world_.command(words, kLong, &said_);
    }
    void lose(const std::string& store, bool store_too) {
        world_.kill_everything();
        known_ = known_to(store);
        if (store_too) {
            ASSERT_TRUE(sqlite_remove(store).ok());
        }
        ASSERT_TRUE(fs::remove(world_.pipeline().segment_path()));
        fs::remove_all(world_.workspace().path("journal"));
    }
    /// Netting accounts wait for somebody who has compared their positions: here nobody traded but
    /// us. The pipeline is asked until it is there to be told.
    [[nodiscard]] demo::Child resume_what_is_paused() {
        const fs::path tools = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
        std::string names;
        for (const demo::AccountPlan& account : world_.pipeline().plan().accounts) {
            const bool paused =
                said_.find("account " + account.name + " is paused") != std::string::npos;
            names += paused ? " " + account.name : "";
        }
        EXPECT_FALSE(names.empty()) << "netting accounts with positions: " << said_;
        std::string why;
        auto child = demo::Child::spawn(
            {"/bin/sh", "-c",
             "until " + (tools / "millrace/millrace").string() + " account resume" + names +
                 " -c " + world_.workspace().path("millrace.json") + "; do sleep 0.1; done"},
            world_.workspace().path("resume.log"), why);
        EXPECT_TRUE(child.ok()) << why;
        return std::move(child.value());
    }
    /// Until the source was told of so many more fills.
    void trade(std::uint64_t more) {
        const std::uint64_t fills = all_fills(world_) + more;
        ASSERT_TRUE(world_.turn_until([&] { return all_fills(world_) >= fills; }, kLong));
    }
    void print_loss(std::int64_t lost_ns, std::int64_t lost_wall) {
        std::size_t lost = 0;
        Nanos oldest{lost_wall};
        for (const auto& [id, life] : world_.source().lives().all()) {
            if (life.answer == demo::Answer::Accepted && life.acked.value < lost_wall &&
                !known_.contains(id)) {
                ++lost;
                oldest = std::min(oldest, life.acked);
            }
        }
        std::printf(
            "rung %s: up and trading %.2f s after the loss, commands included; lost: %zu "
            "acknowledged signals, the oldest %.0f ms before it\n",
            GetParam(), static_cast<double>(monotonic_ns() - lost_ns) / 1e9, lost,
            static_cast<double>(lost_wall - oldest.value) / 1e6);
    }

    World world_;
    std::set<SignalId> known_;
    std::string said_;
};
INSTANTIATE_TEST_SUITE_P(From, ChaosLadder, ::testing::Values("store", "backup"),
                         [](const auto& p) { return std::string{p.param}; });

TEST_P(ChaosLadder, RepeatsNothingAfterTheLossOfSegmentJournalAndSnapshots) {
    const bool from_backup = std::string_view{GetParam()} == "backup";
    ASSERT_EQ(world_.start(), "") << world_.log();
    const std::string store = world_.workspace().path("millrace.db");
    // The store, or its backup, has something, and has it not all.
    trade(60);
    const std::uint64_t applied = world_.segment().core().completed.load();
    const auto& stored = world_.segment().core().sqlite_seq;
    ASSERT_TRUE(world_.turn_until([&] { return stored.load() >= applied; }, kLong));
    if (from_backup) {
        ASSERT_EQ(world_.command({"backup"}, kLong, &said_), 0) << said_;
    }
    trade(30);
    lose(store, from_backup);
    const std::int64_t lost_wall = wall_ns();
    const std::int64_t lost_ns = monotonic_ns();
    ASSERT_EQ(recover("--dry-run"), 0) << said_;
    EXPECT_NE(said_.find("would make a journal"), std::string::npos) << said_;
    ASSERT_EQ(recover(), 0) << said_;
    EXPECT_NE(said_.find("IN_DOUBT, looked up"), std::string::npos) << said_;
    std::string refused;
    EXPECT_EQ(world_.command({"recover", "--from", "sqlite"}, kLong, &refused), 1)
        << "there is a journal now: " << refused;
    const demo::Child resumes = resume_what_is_paused();
    ASSERT_EQ(world_.start_again(), "") << world_.log();
    print_loss(lost_ns, lost_wall);

    send_everything_again(world_);
    trade(30);
    const Judgement judgement = world_.finish(kLong);
    if (!from_backup) {
        hold_against(judgement, known_, world_);
    } else {
        EXPECT_EQ(judgement.verdict.count(demo::Wrong::Doubled), 0U) << describe(judgement, world_);
    }
    for (const std::string& problem : judgement.problems) {
        EXPECT_EQ(problem.find("replica computes"), std::string::npos) << problem;
        EXPECT_EQ(problem.find("in doubt"), std::string::npos) << problem;
        EXPECT_EQ(problem.find("have no end"), std::string::npos) << problem;
        EXPECT_EQ(problem.find("not every account"), std::string::npos) << problem;
        EXPECT_EQ(problem.find("stop was not clean"), std::string::npos) << problem;
    }
}

}  // namespace
}  // namespace millrace::chaos
