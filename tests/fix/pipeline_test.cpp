// Goal: a whole pipeline trades over FIX as it does through a terminal, and whatever dies of it,
// or of the venue, whenever: the venue's book has at most one execution of an intent, and each
// signal's end says what the book says. Method: `millrace up` with an account of kind "fix", a
// source over TCP, the venue in Python; SIGKILL at random for the executor, the broker stage and
// the venue, connections cut; then every result against the book. MILLRACE_LONG=N makes it N times
// as long.
#include "tests/fix/pipeline_rig.h"
#include "tests/not_proven.h"
#include "tests/seed.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

namespace millrace::fix::test {
namespace {

class FixPipeline : public FixPipelineRig {
protected:
    /// What our orders at the venue came to, by its own book: units bought less sold.
    double net_at_venue() const {
        double net = 0;
        for (const Executed& e : venue.executions()) {
            net += e.side == '1' ? e.quantity : -e.quantity;
        }
        return net;
    }
    void disaster(unsigned which) {
        switch (which % 4) {
            case 0: kill_executor(); break;
            case 1: kill_stage("broker"); break;
            case 2:
                venue.kill9();
                venue.start();
                quote();
                break;
            default: venue.control(R"("cmd": "drop")"); break;
        }
    }
};

TEST_F(FixPipeline, OpensFillsAndClosesAndIsStoppedInOrder) {
    ASSERT_NO_FATAL_FAILURE(start_pipeline());
    const SignalId opened = entry();
    ASSERT_EQ(lives[opened].orders.size(), 1U) << text("log");
    EXPECT_EQ(lives[opened].orders.begin()->second, 10'000);
    EXPECT_EQ(net_at_venue(), 10'000);
    const SignalId close = signal(SignalAction::Close, 0, opened);
    ASSERT_TRUE(wait_all_done()) << text("log");
    ASSERT_EQ(lives[close].orders.size(), 1U);
    EXPECT_EQ(lives[close].orders.begin()->second, 10'000);
    EXPECT_EQ(net_at_venue(), 0);
    EXPECT_EQ(venue.executions().size(), 2U);
    up.terminate();
    EXPECT_EQ(up.wait_end(), 0) << text("log");
    EXPECT_EQ(venue.stat("on"), 0) << "not logged out";
}

TEST_F(FixPipeline, KeepsItsExecutorRunning) {
    ASSERT_NO_FATAL_FAILURE(start_pipeline());
    int before = 0;
    for (int kills = 0; kills < 2; ++kills) {
        ASSERT_TRUE(eventually([&] { return venue.stat("logons") > before; })) << text("log");
        wait_venue();
        before = venue.stat("logons");
        kill_executor();
    }
    const SignalId opened = entry();
    ASSERT_EQ(lives[opened].orders.size(), 1U) << text("log");
    EXPECT_EQ(net_at_venue(), 10'000);
}

TEST_F(FixPipeline, DoublesNothingAndLosesNothingWhateverIsKilledWhenever) {
    const char* const factor = std::getenv("MILLRACE_LONG");
    const unsigned entries =
        20 * static_cast<unsigned>(factor ? std::max(1, std::atoi(factor)) : 1);
    const std::uint64_t seed = millrace::test::first_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const char* const modes[] = {"fill",   "fill", "reject", "partial",
                                 "silent", "lost", "unread", "ignore"};
    ASSERT_NO_FATAL_FAILURE(start_pipeline());
    static_cast<void>(entry());
    for (unsigned i = 1; i <= entries; ++i) {
        venue.control(R"("cmd": "next", "do": ")" + std::string{modes[random() % 8]} + "\"");
        const SignalId opened = signal(SignalAction::Open, kScale / 10);
        client->poll(static_cast<int>(random() % 20));
        if (random() % 3 == 0) {
            signal(SignalAction::Close, 0, opened);  // whatever has become of it by now
        }
        if (i % 3 == 0) {
            disaster(static_cast<unsigned>(random()));
        }
        if (i % 6 == 0) {  // while the account cannot trade, all are refused: no harm, no test
            static_cast<void>(entry());
        }
    }
    ASSERT_TRUE(wait_all_done()) << text("log") << text("j/fix/venue/messages.log");
    std::map<std::string, double> executed;
    std::map<std::uint64_t, int> of_intent;
    for (const Executed& e : venue.executions()) {
        EXPECT_TRUE(executed.emplace(e.cl_ord_id, e.quantity).second) << e.cl_ord_id << " twice";
        EXPECT_EQ(++of_intent[magic_of(e.cl_ord_id)->intent()], 1) << e.cl_ord_id;
    }
    std::size_t told = 0;
    for (const auto& [id, life] : lives) {
        for (const auto& [magic, units] : life.orders) {
            const std::string name{cl_ord_id(Magic{magic}).view()};
            EXPECT_EQ(executed.contains(name) ? executed[name] : 0, units) << name;
            told += executed.contains(name) ? 1 : 0;
        }
    }
    EXPECT_EQ(told, executed.size()) << "executions that no result speaks of";
    EXPECT_EQ(venue.stat("possdup"), 0);
    EXPECT_GIVEN(!executed.empty()) << "nothing was traded";
    std::printf("covers: %zu signals, %zu executed, beside kills\n", lives.size(), executed.size());
    if (HasFailure()) {
        std::printf("%s%s", text("log").c_str(), text("j/fix/venue/messages.log").c_str());
    }
}

// Who presses the red button while an order is in doubt finds the position open. What a person then
// says of that order reaches the executor, and the kill goes on.
TEST_F(FixPipeline, WhatAPersonResolvesReachesTheExecutorWhoseKillWaitsForIt) {
    denial_is_proof = false;
    ASSERT_NO_FATAL_FAILURE(start_pipeline());
    static_cast<void>(entry());
    ASSERT_EQ(net_at_venue(), 10'000);
    venue.control(R"("cmd": "status", "do": "silent")");
    venue.control(R"("cmd": "next", "do": "unread")");
    const SignalId lost = signal(SignalAction::Open, kScale / 10);
    const auto log_has = [&](const char* part) {
        return eventually([&] { return text("log").find(part) != std::string::npos; });
    };
    ASSERT_TRUE(log_has("does not answer OrderStatusRequest")) << text("log");
    const auto operate = [&](std::vector<std::string> words) {
        words.insert(words.begin(), MILLRACE_EXECUTABLE);
        words.insert(words.end(), {"-c", folder / "c.json"});
        Child command;
        command.start(words, folder / "operator");
        const int status = command.wait_end();
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text("operator");
    };
    operate({"kill", "--account", "venue", "--flatten"});
    ASSERT_TRUE(log_has("cannot be flattened yet")) << text("log");
    ASSERT_EQ(net_at_venue(), 10'000) << "its position is not known";
    const std::string said = text("log");
    const std::string word = ", magic ";
    const std::string magic =
        std::to_string(std::stoull(said.substr(said.rfind(word) + word.size())));
    operate({"resolve", magic, "--rejected"});
    EXPECT_TRUE(eventually([&] { return net_at_venue() == 0; })) << text("log");
    EXPECT_TRUE(wait_all_done());
    EXPECT_EQ(lives[lost].orders.begin()->second, 0);
}

}  // namespace
}  // namespace millrace::fix::test
