// Goal: what is told of a real run, with faults at the broker, is what the source was told and what
// the broker's books hold; while it runs, and after it has stopped, without the store.
// Method: the whole pipeline with the simulated broker; the executable is asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/chaos/world.h"
#include "tools/inspect/describe.h"

namespace millrace::explain_test {
namespace {

using chaos::World;
using chaos::WorldOptions;
using nlohmann::json;

class ExplainPipeline : public ::testing::Test {
protected:
    static WorldOptions options() {
        WorldOptions o;
        o.accounts = 4;
        o.rate = 10;
        return o;
    }
    void SetUp() override {
        ASSERT_EQ(world_.start(), "") << world_.log();
        // Refused, timed out but done, and without an answer: each a few times.
        for (
            const char* fault :
            {R"({"cmd": "fault", "kind": "retcode", "code": 10019, "command": "open", "count": 2})",
             R"({"cmd": "fault", "kind": "retcode", "code": 10012, "executed": true,
                  "command": "open", "count": 3})",
             R"({"cmd": "fault", "kind": "disconnect_after", "command": "open", "count": 1})"}) {
            const json answer = world_.control(json::parse(fault));
            ASSERT_TRUE(answer.value("ok", false)) << answer;
        }
        ASSERT_TRUE(world_.turn_until([this] { return has_struck(); }, kWait)) << world_.log();
        ASSERT_TRUE(world_.rest(kWait)) << world_.log();
        // Acquire: pair with the engine's and the replica's releases.
        const CoreCells& core = world_.segment().core();
        const std::uint64_t end = core.completed.load(std::memory_order_acquire);
        ASSERT_TRUE(world_.turn_until(
            [&] { return core.replica_applied.load(std::memory_order_acquire) >= end; }, kWait))
            << "the logs have not got so far as the source was told: " << world_.log();
    }
    static bool was_hurt(const demo::Life& life) {
        return std::any_of(life.shares.begin(), life.shares.end(), [](const auto& share) {
            return share.second.was_in_doubt || share.second.reason == Reason::NoMoney;
        });
    }
    bool has_struck() {
        bool doubted = false;
        bool refused = false;
        for (const auto& [id, life] : world_.source().lives().all()) {
            for (const auto& [account, share] : life.shares) {
                doubted = doubted || share.was_in_doubt;
                refused = refused || share.reason == Reason::NoMoney;
            }
        }
        return doubted && refused && world_.source().lives().all().size() >= kSignals;
    }
    std::string run(std::vector<std::string> words) {
        std::string output;
        EXPECT_EQ(world_.command(words, seconds(60), &output), 0) << output;
        return output;
    }
    json run_json(std::vector<std::string> words) {
        words.emplace_back("--json");
        const std::string output = run(words);
        const json value = json::parse(output, nullptr, false);
        EXPECT_FALSE(value.is_discarded()) << output;
        return value.is_discarded() ? json::object() : value;
    }
    /// Every account's share of `id`, as the source was told of it.
    void expect_told(const SignalId& id, const demo::Life& life) {
        const json story = run_json({"explain", "signal", inspect::uuid_text(id)});
        ASSERT_EQ(story.value("from", ""), "logs");
        std::map<std::uint64_t, json> by_intent;
        for (const json& order : story.at("orders")) {
            by_intent[order.at("intent").get<std::uint64_t>()] = order;
        }
        ASSERT_GE(by_intent.size(), life.shares.size());  // a close may take a cancel beside it
        for (const auto& [account, share] : life.shares) {
            const auto at = by_intent.find(Magic{share.magic}.intent());
            ASSERT_NE(at, by_intent.end()) << inspect::uuid_text(id);
            const json& order = at->second;
            EXPECT_EQ(order.at("status"), to_string(share.status)) << order.dump(1);
            EXPECT_EQ(order.at("reason"), to_string(share.reason));
            for (const json& step : order.at("steps")) {
                EXPECT_FALSE(step.at("cause").is_null()) << step.dump(1);
            }
            if (share.reason != Reason::None) {
                EXPECT_FALSE(order.at("steps").back().at("why").empty()) << order.dump(1);
            }
        }
    }

    /// On hedging accounts each position is one order's; a netting one nets them at the broker.
    /// Stops close positions at any time: they are compared until both have come to the same.
    bool has_positions_of_the_broker(const demo::AccountPlan& account) {
        const json told = run_json({"positions", "--account", account.name});
        const json answer = world_.control({{"cmd", "positions"}, {"login", account.login}});
        return told.at("from") == "logs" && answer.contains("positions") &&
               told.at("rows").size() == answer.at("positions").size();
    }
    /// Watched over the time in which the pipeline does not run, from record `end` of its log on.
    void expect_watch_to_go_on(std::uint64_t end) {
        std::string message;
        auto watching = world_.spawn({"positions", "--watch", "--json"}, message);
        ASSERT_TRUE(watching.ok()) << message;
        // Opened once: the next command has a file of the same name.
        const std::string path = world_.workspace().path("command.log");
        EXPECT_TRUE(eventually([&] { return std::filesystem::exists(path); }));
        std::ifstream log{path};
        std::uint64_t last = 0;
        const auto seen = [&] {  // the record that the last picture takes in
            log.clear();
            constexpr std::string_view kKey = "\"seq\": ";
            for (std::string line; std::getline(log, line);) {
                const auto at = line.find(kKey);
                last = at == std::string::npos ? last : std::stoull(line.substr(at + kKey.size()));
            }
            return last;
        };
        EXPECT_TRUE(eventually([&] { return seen() == end; })) << seen();
        ASSERT_EQ(world_.heal(), "") << world_.log();
        EXPECT_TRUE(eventually([&] { return seen() > end; })) << seen();
        ASSERT_EQ(world_.pipeline().stop(), "") << world_.log();
        const auto then = run_json({"positions"}).at("seq").get<std::uint64_t>();
        EXPECT_TRUE(eventually([&] { return seen() == then; })) << seen() << ", not " << then;
        ASSERT_EQ(world_.heal(), "") << world_.log();
        EXPECT_TRUE(eventually([&] { return seen() > then; })) << seen();
        EXPECT_TRUE(watching.value().running());
        ASSERT_EQ(world_.pipeline().stop(), "") << world_.log();
    }
    [[nodiscard]] bool eventually(const std::function<bool()>& holds) {
        return world_.turn_until(holds, kWait);
    }

    static constexpr Nanos kWait = seconds(120);
    static constexpr std::size_t kSignals = 12;
    World world_{options()};
};

TEST_F(ExplainPipeline, TellsOfEverySignalWhatItsSourceWasTold) {
    int hurt = 0;
    int others = 0;
    SignalId last;
    for (const auto& [id, life] : world_.source().lives().all()) {
        int& asked = was_hurt(life) ? hurt : others;
        if (life.answer == demo::Answer::Accepted && asked < 6) {
            ++asked;
            expect_told(id, life);
            last = id;
        }
    }
    EXPECT_GT(hurt, 0);

    for (const demo::AccountPlan& account : world_.pipeline().plan().accounts) {
        EXPECT_TRUE(account.margin_mode != MarginMode::Hedging ||
                    eventually([&] { return has_positions_of_the_broker(account); }))
            << run({"positions", "--account", account.name});
    }
    EXPECT_TRUE(eventually([this] { return run_json({"orders"}).at("rows").empty(); }));
    EXPECT_EQ(run_json({"accounts"}).at("rows").size(), 4U);

    run({"group", "pause", "all"});
    EXPECT_TRUE(eventually([this] {
        return run({"explain", "audit"}).find("set group all PAUSED, by ") != std::string::npos;
    })) << run({"explain", "audit"});

    // Stopped, and the store gone: the logs alone.
    ASSERT_EQ(world_.pipeline().stop(), "");
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator{world_.workspace().path("")}) {
        if (entry.path().extension() == ".db") {
            std::filesystem::remove(entry.path());
        }
    }
    expect_told(last, *world_.source().lives().find(last));
    const json stopped = run_json({"positions"});
    EXPECT_EQ(stopped.at("from"), "logs");
    expect_watch_to_go_on(stopped.at("seq").get<std::uint64_t>());
}

}  // namespace
}  // namespace millrace::explain_test
