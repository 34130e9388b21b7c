// Goal: every verb tells the truth about a pipeline that works, that was killed, and about what its
// next start will do. Method: journal and two cores as processes over a real segment with traffic
// (tests/recovery/pipeline.h); what the verbs say is compared with the cells and with what then
// happens.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/inspect/cli.h"
#include "tests/recovery/pipeline.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kSignals = 60;

class LivePipeline : public ::testing::Test {
protected:
    void SetUp() override {
        p_.create_segment();
        segment_ = p_.journal_dir() + "/segment";
        journal_ = p_.fork_journal(nullptr);
        engine_ = p_.fork_core(nullptr);
        p_.send_config();
        p_.connect_accounts(1);
        ASSERT_TRUE(p_.play_until([&] { return core().admin_applied.load() >= 4; }));
        replica_ = p_.fork_core(nullptr);
        p_.send_signals(kSignals);
        ASSERT_TRUE(p_.play_until([&] { return p_.done_results.size() == p_.signals_sent; }));
        ASSERT_TRUE(p_.play_until([&] { return settled() && core().snapshot_seq.load() > 0; }));
    }
    CoreCells& core() { return p_.segment().core(); }
    bool settled() {
        const std::uint64_t last = core().journal_seq.load();
        return core().durable.load() == last && core().replica_applied.load() == last;
    }
    void kill_all() {
        for (const pid_t pid : {engine_, replica_, journal_}) {
            test::Pipeline::kill_and_reap(pid);
        }
    }

    test::Pipeline p_;
    std::string segment_;
    pid_t journal_ = 0;
    pid_t engine_ = 0;
    pid_t replica_ = 0;
};

TEST_F(LivePipeline, StatShowsCursorsAgesAndSlotsOfRealTraffic) {
    const json j = run_json("stat", {"stat", segment_});
    EXPECT_EQ(j["journal"]["durable"], core().durable.load());
    EXPECT_EQ(j["journal"]["lag"], 0);
    EXPECT_EQ(j["journal"]["lag_ns"], 0);
    EXPECT_GT(j["replica"]["snapshot_seq"], 0);
    EXPECT_GT(j["segment"]["page_bytes"], 0);
    EXPECT_EQ(j["segment"]["resident_percent"], 100);
    for (const json& ring : j["rings"]) {
        EXPECT_EQ(ring["slots"]["torn"], 0) << ring;
        EXPECT_EQ(ring["slots"]["duplicates"], 0) << ring;
        EXPECT_EQ(ring["slots"]["gaps"], 0) << ring;
        if (ring["name"] == "journal") {
            EXPECT_GT(ring["high_water"], 0) << ring;
            EXPECT_GT(ring["high_water_time_ns"], j["segment"]["created_ns"].get<std::int64_t>());
        }
    }
    // The stage table is the runner's; the locks are the kernel's, and they are held.
    const auto lock_of = [&](const char* role) {
        for (const json& s : j["stages"]) {
            if (s["name"] == role) {
                return s["lock_pid"].get<int>();
            }
        }
        return -1;
    };
    EXPECT_EQ(lock_of("engine"), engine_);
    EXPECT_EQ(lock_of("replica"), replica_);
}

TEST_F(LivePipeline, VerifyFindsNothingWrongWhileRecordsFlow) {
    // Each signal opens positions for good, and the engine's table ends: some are kept for the
    // diff.
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> most{kSignals + 700};
    std::thread traffic{[&] {
        while (!stop.load()) {
            if (p_.signals_sent < most.load()) {
                p_.send_signals(1);
                p_.play_until([&] { return p_.done_results.size() == p_.signals_sent; });
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{2});  // the pace of the traffic
        }
    }};
    for (int i = 0; i < 20; ++i) {
        const Ran r = run_cli({"verify", segment_, "--with-journal", "--json"});
        EXPECT_EQ(r.status, 0) << r.out;
    }
    most.store(kSignals + 900);
    const json changes = run_lines("diff", {"diff", segment_, "--every", "100ms"}, 1).at(0);
    stop.store(true);
    traffic.join();
    bool grew = false;
    for (const json& c : changes["changes"]) {
        grew = grew || (c["path"] == "core.journal_seq" && c["after"] > c["before"]);
    }
    EXPECT_TRUE(grew) << changes;
}

TEST_F(LivePipeline, DumpsTailsAndFollowsJournalAndEffectsByFilter) {
    const json signals = run_json("dump", {"dump", "log", segment_, "--type", "SIGNAL"});
    EXPECT_EQ(signals["records"].size(), static_cast<std::size_t>(kSignals));
    EXPECT_EQ(signals["records"][0]["record"]["body"]["action"], "OPEN");
    const std::string id = signals["records"][7]["record"]["body"]["id"];
    EXPECT_EQ(run_json("dump", {"dump", "log", segment_, "--signal", id})["records"].size(), 1U);
    const json orders = run_json("dump", {"dump", "orders", segment_, "--account", "2"});
    ASSERT_FALSE(orders["records"].empty());
    const std::string intent = orders["records"][0]["record"]["intent"].dump();
    for (const json& r : orders["records"]) {
        EXPECT_EQ(r["record"]["account"], 2);
    }
    const json of_order =
        run_json("dump", {"dump", "effects", segment_, "--order", intent, "--type", "ORDER"});
    ASSERT_FALSE(of_order["records"].empty());
    EXPECT_EQ(of_order["records"].back()["record"]["body"]["account"], 2);
    const json by_login = run_json("dump", {"dump", "orders", segment_, "--account", "1002"});
    EXPECT_EQ(by_login["records"].size(), orders["records"].size());
    const json tail = run_json("dump", {"tail", "log", segment_, "-n", "3", "--hex"});
    ASSERT_EQ(tail["records"].size(), 3U);
    EXPECT_EQ(tail["records"][2]["number"], core().durable.load());
    EXPECT_GT(tail["records"][2]["hex"].get<std::string>().size(), 100U);
    const json some = run_json("dump", {"dump", "log", segment_, "--from", "5", "--count", "2"});
    ASSERT_EQ(some["records"].size(), 2U);
    EXPECT_EQ(some["records"][0]["number"], 5);
}

TEST_F(LivePipeline, FollowShowsWhatComesAndEndsAtItsCount) {
    for (const char* source : {"signals.ingress", "log", "effects"}) {
        // The follower looks at the end first; what comes before that it need not show. The traffic
        // fills no table, however long that look takes.
        std::atomic<bool> stop{false};
        std::thread traffic{[&] {
            while (!stop.load()) {
                p_.send_refused_signals(2);
                p_.play_until(
                    [&] { return p_.done_results.size() + p_.refused == p_.signals_sent; });
            }
        }};
        const auto lines =
            run_lines("follow", {"follow", source, segment_, "--count", "5", "--timeout", "20s"});
        stop.store(true);
        traffic.join();
        ASSERT_EQ(lines.size(), 5U) << source;
        for (std::size_t i = 1; i < lines.size(); ++i) {
            EXPECT_GE(lines[i]["number"], lines[i - 1]["number"]) << source;
        }
    }
    const Ran quiet = run_cli({"follow", "orders", segment_, "--timeout", "50ms"});
    EXPECT_EQ(quiet.status, 0) << quiet.err;
    EXPECT_EQ(quiet.out, "");
}

TEST_F(LivePipeline, DryRunAfterAKillSaysWhatTheRestartThenDoes) {
    const json alive = run_json("recover", {"recover", "--dry-run", segment_});
    EXPECT_EQ(alive["alive"].size(), 2U) << "engine and replica hold their locks";
    kill_all();
    const json plan = run_json("recover", {"recover", "--dry-run", segment_});
    EXPECT_TRUE(plan["rungs"][0]["taken"]);
    EXPECT_TRUE(plan["refusal"].is_null());
    EXPECT_TRUE(plan["alive"].empty());
    EXPECT_EQ(plan["in_doubt_orders"], 0);
    EXPECT_LE(plan["snapshot_seq"], core().completed.load());
    const std::uint64_t before = core().journal_seq.load();
    const std::uint64_t epoch = core().epoch.load();
    p_.fork_journal(nullptr);
    p_.fork_core(nullptr);
    ASSERT_TRUE(p_.play_until([&] { return core().journal_seq.load() > before; }));
    ASSERT_TRUE(p_.play_until([&] { return core().epoch.load() > epoch; }));
    const json start =
        run_json("dump", {"dump", "journal", segment_, "--from", std::to_string(before + 1)});
    ASSERT_FALSE(start["records"].empty());
    EXPECT_EQ(start["records"][0]["record"]["type"], "START");
    EXPECT_EQ(start["records"][0]["record"]["body"]["new_segment"], false);
}

TEST_F(LivePipeline, DryRunWithoutASegmentNamesTheJumpAndTheDoubt) {
    p_.answering = false;  // these orders never get an answer
    p_.send_signals(3);
    const std::size_t orders = (kSignals + 3) * test::kAccounts;
    ASSERT_TRUE(p_.play_until([&] { return p_.executed.size() == orders; }));
    ASSERT_TRUE(p_.play_until([&] { return settled(); }));
    kill_all();
    const std::uint64_t last = core().durable.load();
    const json plan = run_json("recover", {"recover", "--dry-run", "--journal", p_.journal_dir()});
    EXPECT_FALSE(plan["rungs"][0]["taken"]);
    EXPECT_TRUE(plan["rungs"][1]["taken"]);
    EXPECT_EQ(plan["in_doubt_orders"], 3 * test::kAccounts);
    if (!plan["replay_to"].is_null()) {
        EXPECT_EQ(plan["replay_to"], last);
        EXPECT_NE(plan["replay_file"].get<std::string>().find("journal-"), std::string::npos);
    }
    // It comes true: a new segment begins with that very number.
    p_.create_segment();
    p_.fork_journal(nullptr);
    p_.fork_core(nullptr);
    ASSERT_TRUE(p_.play_until([&] { return core().journal_seq.load() > last + 1; }));
    const json first = run_json("dump", {"dump", "journal", segment_, "--count", "1"});
    EXPECT_EQ(first["records"][0]["record"]["type"], "JUMP");
    EXPECT_EQ(first["records"][0]["record"]["seq"], plan["jump_to"]);
}

TEST_F(LivePipeline, DryRunRefusesWhatAStartWouldRefuse) {
    kill_all();
    fs::remove(p_.journal_dir() + "/reservation");
    const json plan =
        run_json("recover", {"recover", "--dry-run", "--journal", p_.journal_dir()}, 1);
    EXPECT_NE(plan["refusal"].get<std::string>().find("reservation"), std::string::npos);
    EXPECT_EQ(run_cli({"recover", segment_}).status, 2) << "without --dry-run";
    EXPECT_EQ(run_cli({"recover", "--dry-run", "--journal", "/nowhere"}).status, 3);
}

TEST_F(LivePipeline, WaitAndPidAndExportTellScriptsTheTruth) {
    const std::uint64_t last = core().durable.load();
    const std::string now = std::to_string(last);
    const std::string later = std::to_string(last + 1'000'000);
    EXPECT_EQ(run_json("wait", {"wait", segment_, "--durable", now})["met"], true);
    const json late =
        run_json("wait", {"wait", segment_, "--durable", later, "--timeout", "30ms"}, 1);
    EXPECT_EQ(late["met"], false);
    EXPECT_GE(late["waited_ns"], 30'000'000);
    EXPECT_EQ(run_cli({"wait", segment_, "--ring", "orders", "--depth-below", "10"}).status, 0);
    EXPECT_EQ(
        run_cli({"wait", segment_, "--ring", "orders", "--depth-above", "10", "--timeout", "20ms"})
            .status,
        1);
    EXPECT_EQ(run_cli({"wait", segment_, "--sink", "journal", "--lag-below", "1"}).status, 0);
    EXPECT_EQ(run_cli({"wait", segment_, "--ring", "order", "--depth-below", "1"}).status, 2);
    EXPECT_EQ(run_cli({"wait", segment_, "--timeout", "soon", "--durable", "1"}).status, 2);
    EXPECT_EQ(run_cli({"wait", segment_ + "x", "--durable", "1", "--timeout", "20ms"}).status, 3);
    // This pipeline has no runner, so no stage entry: nobody is engine by the table.
    EXPECT_EQ(run_json("pid", {"pid", "engine", segment_}, 1)["process"], "none");
    EXPECT_EQ(run_cli({"pid", "enigne", segment_}).status, 2);
    EXPECT_NE(run_cli({"export", segment_})
                  .out.find("millrace_journal_durable_sequence{segment=\"segment\"} " + now + "\n"),
              std::string::npos);
}

TEST_F(LivePipeline, WaitSeesAConditionComeTrue) {
    const std::string goal = std::to_string(core().durable.load() + 40);
    std::thread traffic{[&] {
        p_.send_signals(20);
        p_.play_until([&] { return p_.done_results.size() == p_.signals_sent; });
    }};
    const Ran r = run_cli({"wait", segment_, "--durable", goal, "--timeout", "20s"});
    traffic.join();
    EXPECT_EQ(r.status, 0) << r.out;
}

}  // namespace
}  // namespace millrace::inspect
