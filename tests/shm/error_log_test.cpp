// Goal: the distinct-error log keeps errors apart by stage and text, whoever reports them at the
// same time and whoever is killed meanwhile. Method: one segment; forked children, killed at the
// crash point between claim and text; threads.
#include "shm/error_log.h"
#include "core/crash_point.h"
#include "shm/segment.h"
#include "tests/shm/children.h"
#include "tests/shm/temp_dir.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

namespace millrace {
namespace {

class ErrorLog : public ::testing::Test {
protected:
    ErrorLog() {
        SegmentPlan plan;
        plan.path = dir_.file("segment");
        plan.journal_dir = dir_.str();
        plan.sessions = 1;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        EXPECT_TRUE(made.ok()) << message;
        segment_ = std::move(made).value();
    }
    /// "STAGE: TEXT" -> count, of the entries that readers show.
    std::map<std::string, std::uint64_t> shown() {
        std::map<std::string, std::uint64_t> all;
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = segment_.error(i);
            if ((e.hash.load(std::memory_order_acquire) & 1U) == 0) {
                continue;
            }
            EXPECT_GE(e.last_ns.load(), e.first_ns.load());
            EXPECT_GT(e.first_ns.load(), 0);
            const bool fresh =
                all.emplace(std::string{e.stage} + ": " + e.text, e.count.load()).second;
            EXPECT_TRUE(fresh) << e.text << " stands there twice";
        }
        return all;
    }

    test::TempDir dir_;
    Segment segment_;
};

using Shown = std::map<std::string, std::uint64_t>;

TEST_F(ErrorLog, CountsDistinctErrors) {
    segment_.report_error("broker", "unknown login 7");
    segment_.report_error("broker", "unknown login 7");
    segment_.report_error("ingress", "bad frame");
    segment_.report_error("broker", "unknown login 8");
    EXPECT_EQ(shown(), (Shown{{"broker: unknown login 7", 2},
                              {"broker: unknown login 8", 1},
                              {"ingress: bad frame", 1}}));
}

TEST_F(ErrorLog, KeepsTheSameTextOfTwoStagesApart) {
    segment_.report_error("sqlite", "disk is full");
    segment_.report_error("redis", "disk is full");
    segment_.report_error("red", "isdisk is full");
    EXPECT_EQ(shown(), (Shown{{"sqlite: disk is full", 1},
                              {"redis: disk is full", 1},
                              {"red: isdisk is full", 1}}));
}

TEST_F(ErrorLog, HoldsTextsThatLookAlikeWhenCutForOne) {
    const std::string head(sizeof ErrorEntry::text - 1, 'x');
    segment_.report_error("a stage with a name that is too long", head + "1");
    segment_.report_error("a stage with a name that is too long", head + "2");
    EXPECT_EQ(shown(), (Shown{{"a stage with a name tha: " + head, 2}}));
}

TEST_F(ErrorLog, AnEntryWhoseWriterWasKilledIsHiddenUntilItsErrorComesAgain) {
    const pid_t child = test::run_child([this] {
        arm_crash_point("error_log.claimed");
        segment_.report_error("journal", "no space left");
        return 0;
    });
    ASSERT_EQ(test::end_of(child), 128 + SIGKILL);
    EXPECT_EQ(shown(), Shown{}) << "claimed, but it has no text";
    segment_.report_error("journal", "another");
    EXPECT_EQ(shown(), (Shown{{"journal: another", 1}}));
    segment_.report_error("journal", "no space left");
    EXPECT_EQ(shown(), (Shown{{"journal: another", 1}, {"journal: no space left", 1}}));
    EXPECT_EQ(segment_.error(2).hash.load(), 0U) << "its own entry is taken up again";
}

TEST_F(ErrorLog, LosesAndDoublesNothingWhenEverybodyReportsAtOnce) {
    constexpr std::uint64_t kRounds = 2000;
    constexpr std::uint64_t kTexts = 40;
    const auto report = [this] {
        for (std::uint64_t i = 0; i < kRounds * kTexts; ++i) {
            segment_.report_error("broker", "error " + std::to_string(i % kTexts));
        }
        return 0;
    };
    std::vector<pid_t> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(test::run_child(report));
    }
    for (const pid_t child : children) {
        EXPECT_EQ(test::end_of(child), 0);
    }
    Shown want;
    for (std::uint64_t i = 0; i < kTexts; ++i) {
        want["broker: error " + std::to_string(i)] = 3 * kRounds;
    }
    EXPECT_EQ(shown(), want);
}

const std::string kNotKept = "error log: " + std::string{kErrorsNotKept};

TEST_F(ErrorLog, CountsTheKnownOnesStillWhenItIsFullAndHowManyItDidNotKeep) {
    for (std::uint32_t i = 0; i < kErrors + 3; ++i) {
        segment_.report_error("journal", std::to_string(i));
    }
    segment_.report_error("journal", "0");
    const Shown all = shown();
    EXPECT_EQ(all.size(), kErrors);
    EXPECT_EQ(all.at("journal: 0"), 2U);
    EXPECT_EQ(all.at(kNotKept), 4U);
}

TEST_F(ErrorLog, KeepsRoomForSafetyAndSupervisionAndForAlertsFromWhatOthersCause) {
    const std::vector<const char*> others = {"ingress", "broker", "rtss",
                                             "sqlite",  "redis",  "clickhouse"};
    for (const char* stage : others) {
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            segment_.report_error(stage, std::to_string(i));
        }
    }
    const std::vector<const char*> kept = {"journal", "engine", "replica", "core-0", "core-1"};
    for (const char* stage : kept) {
        segment_.report_error(stage, "dies");
    }
    segment_.report_error("supervisor", "broker killed by signal 9");
    segment_.report_error("broker", "ALERT account 0 is stopped");
    segment_.report_error("ingress", "one more");
    const Shown all = shown();
    EXPECT_EQ(all.at("supervisor: broker killed by signal 9"), 1U);
    for (const char* stage : kept) {
        EXPECT_EQ(all.count(std::string{stage} + ": dies"), 1U) << stage;
    }
    EXPECT_EQ(all.at("broker: ALERT account 0 is stopped"), 1U);
    EXPECT_EQ(all.count("ingress: one more"), 0U);
    // The first to come filled what is theirs.
    EXPECT_EQ(all.at("ingress: 46"), 1U);
    EXPECT_EQ(all.at(kNotKept), others.size() * kErrors - 47 + 1);
}

}  // namespace
}  // namespace millrace
