// Goal: a terminal's ticks survive the death of millrace-ticks, whole and in order, and the
// operator sees them; `millrace up` keeps it running. Method: the real executables; ticks from a
// file, so that what must be in the record is known; SIGKILL in the middle, again and again.
#include "persist/ticks/tick_query.h"
#include "shm/role.h"
#include "shm/tick_table.h"
#include "tests/ops/quiet_port.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/process.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

namespace millrace {
namespace {

using test::QuietPort;
using test::TempDir;

constexpr const char* kKey = "00112233445566778899aabbccddeeff";

/// Asks `done` until it says yes, three minutes at most.
bool eventually(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{180};
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

class Child {
public:
    explicit Child(std::vector<std::string> command) {
        std::string message;
        const auto id = spawn(command, message);
        EXPECT_TRUE(id.ok()) << message;
        pid_ = id ? id.value().pid : 0;
    }
    ~Child() { end(SIGKILL); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    int end(int signal) {
        int status = -1;
        if (pid_ > 0) {
            ::kill(pid_, signal);
            ::waitpid(pid_, &status, 0);
            pid_ = 0;
        }
        return status;
    }

private:
    int pid_ = 0;
};

class TickPipeline : public ::testing::Test {
protected:
    TickPipeline() {
        name_ = "ticks" + std::to_string(::getpid());
        config = dir.write("c.json", R"({"name": ")" + name_ +
                                         R"(", "journal": {"dir": "j", "free_floor_mib": 0},
 "listen": {"signals": "127.0.0.1:)" + std::to_string(signals.number()) +
                                         R"(", "bridge": "127.0.0.1:)" +
                                         std::to_string(bridge.number()) + R"("},
 "ticks": {"listen": "127.0.0.1:)" + std::to_string(port.number()) +
                                         R"("},
 "accounts": [{"name": "a", "login": 1, "key": ")" +
                                         kKey + R"("},
              {"name": "b", "login": 2, "key": ")" +
                                         kKey + R"(", "symbol_suffix": ".x"}],
 "symbols": [{"name": "AAA"}, {"name": "BBB"}]})");
        const std::string broker = R"({"accounts": [{"login": 1, "key": ")" + std::string{kKey} +
                                   R"("}, {"login": 2, "key": ")" + kKey +
                                   R"(", "symbol_suffix": ".x"}], "symbols": ["AAA", "BBB"]})";
        broker_config = dir.write("b.json", broker);
    }
    ~TickPipeline() override { ::unlink(tick_table_path(name_).c_str()); }

    /// A file of ticks: symbols by turns, times with repeats, prices that say which tick it is.
    std::string write_ticks(std::int64_t n) const {
        std::string text = "time_ms,symbol,bid,ask,bid_vol,ask_vol\n";
        for (std::int64_t i = 0; i < n; ++i) {
            const std::string price = "1." + std::to_string(100'000 + i);
            text += std::to_string(1'760'000'000'000 + i / 3) + (i % 2 == 0 ? ",AAA," : ",BBB,") +
                    price + "," + price + ",1,1\n";
        }
        return dir.write("ticks.csv", text);
    }
    std::unique_ptr<Child> start_ticks() {
        return std::make_unique<Child>(std::vector<std::string>{MILLRACE_TICKS, "-c", config});
    }
    std::unique_ptr<Child> start_broker(const std::string& ticks, const std::string& speed) {
        return std::make_unique<Child>(std::vector<std::string>{
            MILLRACE_SIMBROKER, "-c", broker_config, "--connect",
            "127.0.0.1:" + std::to_string(bridge.number()), "--books", dir / "books",
            "--journal-dir", dir / "intents", "--ticks", ticks, "--speed", speed, "--ticks-to",
            "127.0.0.1:" + std::to_string(port.number()), "--tick-feeds", "2"});
    }
    /// A row's quotes so far; 0 without a table.
    [[nodiscard]] std::uint64_t updates(const std::string& symbol) const {
        auto map = TickTableMap::attach(tick_table_path(name_));
        if (!map) {
            return 0;
        }
        const TickTableReader table{std::move(map).value()};
        const auto row = table.find(symbol);
        return row ? table.row(*row).updates.load() : 0;
    }
    [[nodiscard]] std::vector<ticklog::FoundTick> recorded(std::uint64_t feed) const {
        std::vector<std::string> bad;
        ticklog::QueryOptions q;
        q.feed = feed;
        return ticklog::query_ticks(dir / "j/ticks", q, bad);
    }
    /// `millrace ticks ...`: what it prints.
    [[nodiscard]] std::string millrace(const std::string& arguments) const {
        const std::string line =
            std::string{MILLRACE_EXECUTABLE} + " ticks " + arguments + " -c " + config;
        FILE* pipe = ::popen(line.c_str(), "r");
        std::string out;
        char bytes[4096];
        for (std::size_t got = 0; (got = ::fread(bytes, 1, sizeof bytes, pipe)) > 0;) {
            out.append(bytes, got);
        }
        EXPECT_EQ(::pclose(pipe), 0) << line;
        return out;
    }

    TempDir dir;
    QuietPort port;
    QuietPort bridge;
    QuietPort signals;
    std::string config;
    std::string broker_config;

private:
    std::string name_;
};

TEST_F(TickPipeline, LosesNoTickWhileItIsKilledAgainAndAgain) {
    constexpr std::int64_t kTicks = 24'000;
    auto ticks = start_ticks();
    // 3,000 ticks a second for each of two terminals.
    const auto broker = start_broker(write_ticks(kTicks), "1");
    const auto number = [](const ticklog::FoundTick& t) {
        return t.tick.bid.value / 100 - 1'100'000;
    };
    std::map<Text<16>, std::int64_t> first[2];  // that was recorded before any kill
    ASSERT_TRUE(eventually([&] { return recorded(1).size() > 500 && recorded(2).size() > 500; }));
    for (const std::uint64_t feed : {1U, 2U}) {
        for (const auto& t : recorded(feed)) {
            first[feed - 1].try_emplace(t.key.symbol, number(t));
        }
    }
    int kills = 0;
    for (std::uint64_t seen = 0; kills < 5; ++kills) {
        const std::uint64_t before = seen;
        ASSERT_TRUE(eventually([&] {
            seen = recorded(1).size();
            return seen > before + 500;
        })) << "after "
            << kills << " kills";
        ticks->end(SIGKILL);
        ticks = start_ticks();
    }
    // Each from the first one that was ever recorded to the last, whole.
    const auto whole = [&](std::uint64_t feed, std::string& why) {
        const auto got = recorded(feed);
        std::map<Text<16>, std::int64_t> next;
        for (const auto& t : got) {
            const std::int64_t i = number(t);
            const std::int64_t due = first[feed - 1].at(t.key.symbol);
            auto& n = next.try_emplace(t.key.symbol, due).first->second;
            if (i != n) {
                why = "tick " + std::to_string(i) + " where " + std::to_string(n) + " is due";
                return false;
            }
            n = i + 2;
        }
        why = std::to_string(got.size()) + " ticks";
        return next.size() == 2 && std::all_of(next.begin(), next.end(),
                                               [&](const auto& n) { return n.second >= kTicks; });
    };
    std::string why[2];
    EXPECT_TRUE(eventually([&] { return whole(1, why[0]) && whole(2, why[1]); }))
        << why[0] << "; " << why[1];
    const auto gaps = nlohmann::json::parse(millrace("gaps --json")).at("gaps");
    EXPECT_FALSE(gaps.empty());
    std::uint64_t filled = 0;
    for (const auto& g : gaps) {
        EXPECT_EQ(g.at("state"), "filled") << g;
        filled += g.at("filled").get<std::uint64_t>();
    }
    std::printf("covers: %d kills, %s and %s, %zu gaps with %llu back-filled\n", kills,
                why[0].c_str(), why[1].c_str(), gaps.size(),
                static_cast<unsigned long long>(filled));
}

TEST_F(TickPipeline, ShowsTheOperatorWhatIsThere) {
    auto ticks = start_ticks();
    const auto broker = start_broker(write_ticks(24'000), "1");
    ASSERT_TRUE(eventually([&] { return recorded(1).size() > 100 && updates("BBB") > 50; }));
    const auto latest = nlohmann::json::parse(millrace("latest --json")).at("ticks");
    ASSERT_EQ(latest.size(), 2U);
    EXPECT_EQ(latest[0].at("symbol"), "AAA");
    EXPECT_EQ(latest[0].at("feed"), 1);
    EXPECT_NE(millrace("latest BBB").find("BBB"), std::string::npos);
    const std::string dump = millrace("dump AAA --feed 1 --limit 3");
    EXPECT_EQ(dump.find("time,symbol,bid,ask,feed,seq\n2025-10-09T08:53:2"), 0U) << dump;
    EXPECT_EQ(std::count(dump.begin(), dump.end(), '\n'), 4) << dump;
    for (const char* verb : {"dump", "gaps"}) {
        const std::string two = std::string{MILLRACE_EXECUTABLE} + " ticks " + verb +
                                " AAA BBB -c " + config + " > /dev/null 2>&1";
        EXPECT_NE(std::system(two.c_str()), 0) << verb << " drops the second";
    }
    EXPECT_EQ(WEXITSTATUS(ticks->end(SIGTERM)), 0) << "an orderly end";
}

/// Ends what `millrace up` has started, whatever becomes of the test.
class Down {
public:
    explicit Down(const std::string& config)
        : command_{std::string{MILLRACE_EXECUTABLE} + " down -c " + config + " > /dev/null 2>&1"} {}
    ~Down() {
        if (!done_) {
            static_cast<void>(std::system(command_.c_str()));
        }
    }
    Down(const Down&) = delete;
    Down& operator=(const Down&) = delete;
    int run() {
        done_ = true;
        return std::system(command_.c_str());
    }

private:
    std::string command_;
    bool done_ = false;
};

TEST_F(TickPipeline, IsKeptRunningByMillraceUpAndEndedByDown) {
    const auto process = [&] {
        ProcessId id;
        std::ifstream file{dir / "j/ticks/pid"};
        return file >> id.pid >> id.start_time && id.alive() ? id : ProcessId{};
    };
    Child up{{MILLRACE_EXECUTABLE, "up", "-c", config}};
    Down down{config};
    ASSERT_TRUE(eventually([&] { return process().pid != 0; }));
    const auto broker = start_broker(write_ticks(90'000), "1");
    ASSERT_TRUE(eventually([&] { return updates("AAA") > 100; }));
    const ProcessId first = process();
    ::kill(first.pid, SIGKILL);
    ProcessId second;
    ASSERT_TRUE(eventually([&] {
        second = process();
        return second.pid != 0 && second != first;
    }));
    const std::uint64_t before = updates("AAA");
    ASSERT_TRUE(eventually([&] { return updates("AAA") > before + 100; }));
    // Its supervisor's death is not its own, and `down` finds it all the same.
    up.end(SIGKILL);
    EXPECT_TRUE(second.alive());
    EXPECT_EQ(down.run(), 0);
    EXPECT_FALSE(second.alive());
}

TEST_F(TickPipeline, ShowsQuotesWhileItsRecordCannotBeOpenedAndRecordsOnceItCan) {
    dir.write("record", "a file where the folder is to be");
    std::ifstream in{config};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    text.insert(text.find(R"("ticks": {)") + 10, R"("dir": "record", )");
    dir.write("c.json", text);
    auto ticks = start_ticks();
    const auto broker = start_broker(write_ticks(90'000), "1");
    ASSERT_TRUE(eventually([&] { return updates("AAA") > 100; }));
    EXPECT_NE(millrace("latest").find("AAA"), std::string::npos);
    std::filesystem::remove(dir / "record");
    EXPECT_TRUE(eventually([&] {
        std::vector<std::string> bad;
        return ticklog::query_ticks(dir / "record", {}, bad).size() > 100;
    }));
    EXPECT_EQ(WEXITSTATUS(ticks->end(SIGTERM)), 0) << "an orderly end";
}

TEST_F(TickPipeline, IsEndedByTheNextUpOnceItIsNotConfiguredAnyMore) {
    const auto process = [&] {
        ProcessId id;
        std::ifstream file{dir / "j/ticks/pid"};
        return file >> id.pid >> id.start_time && id.alive() ? id : ProcessId{};
    };
    Child first{{MILLRACE_EXECUTABLE, "up", "-c", config}};
    Down down{config};
    ASSERT_TRUE(eventually([&] { return process().pid != 0; }));
    first.end(SIGKILL);
    ASSERT_NE(process().pid, 0) << "it outlives its supervisor";
    std::ifstream in{config};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    const std::size_t ticks = text.find(R"("ticks":)");
    dir.write("c.json", text.erase(ticks, text.find("},", ticks) + 2 - ticks));
    Child second{{MILLRACE_EXECUTABLE, "up", "-c", config}};
    EXPECT_TRUE(eventually([&] { return process().pid == 0; }));
    EXPECT_EQ(down.run(), 0);
}

}  // namespace
}  // namespace millrace
