// Goal: a person is told of an account that nobody can trade on, after 15 and 30 s, by name as long
// as there are few; and told nothing of one that can be reached, or is none. Method: a broker stage
// whose clock the test sets; terminals that stay away, or have lost their trade server.
#include "broker_world.h"
#include "core/crc32c.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

constexpr const char* kNote = "an account cannot be reached for 15 s";
constexpr const char* kBack = "an account that could not be reached can be again";

class BrokerWatch : public testing::Test {
protected:
    void begin(std::uint32_t accounts) {
        world.emplace(WorldOptions{.accounts = accounts});
        world->freeze();
        world->steps(20);  // as many rounds as it takes to come by every account
    }
    /// Time passes, second by second, while terminals that are there send heartbeats.
    void pass(int s) {
        for (int i = 0; i < s; ++i) {
            for (const auto& terminal : world->terminals) {
                if (terminal->connected()) {
                    terminal->send(bridge::FrameType::Heartbeat, 0, bridge::Heartbeat{});
                }
            }
            world->skew = world->skew + seconds(1);
            for (int round = 0; round < 20; ++round) {
                world->skew = world->skew + millis(5);
                world->step();
            }
        }
    }
    static std::string alert(std::uint32_t account) {
        return "ALERT unreachable for 30 s: account " + std::to_string(account) + " (login " +
               std::to_string(kFirstLogin + account) + ")";
    }

    std::optional<World> world;
};

TEST_F(BrokerWatch, TellsOfAnAccountWithoutATerminalAfterFifteenSecondsAndAlertsAfterThirty) {
    begin(2);
    world->connect(kFirstLogin + 1);
    pass(12);
    EXPECT_EQ(world->errors(kNote), 0U);
    pass(4);
    EXPECT_EQ(world->errors(kNote), 1U) << "of the one that is away";
    EXPECT_EQ(world->errors("ALERT"), 0U);
    pass(16);
    EXPECT_EQ(world->errors(alert(0) + ": it has no terminal"), 1U);
    EXPECT_EQ(world->errors("ALERT"), 1U);
    pass(60);
    EXPECT_EQ(world->errors("ALERT"), 1U) << "once";
    world->connect(kFirstLogin);
    pass(3);
    EXPECT_EQ(world->errors(kBack), 0U) << "not before it has been there for 5 s";
    pass(4);
    EXPECT_EQ(world->errors(kBack), 1U);
    world->terminals[1]->disconnect();
    pass(40);
    EXPECT_EQ(world->errors(alert(0)), 2U) << "another time";
}

TEST_F(BrokerWatch, CountsOnWhereALinkComesAndGoes) {
    begin(1);
    for (int i = 0; i < 10; ++i) {
        pass(2);
        world->connect(kFirstLogin);
        pass(2);
        world->terminals.back()->disconnect();
    }
    EXPECT_EQ(world->errors(alert(0)), 1U);
    EXPECT_EQ(world->errors(kBack), 0U);
}

TEST_F(BrokerWatch, TellsOfATerminalThatHasLostItsTradeServer) {
    begin(1);
    Terminal& t = world->connect(kFirstLogin);
    bridge::Event info{};
    info.type = static_cast<std::uint8_t>(ReportType::AccountInfo);
    info.permissions = bridge::kInfoServerAway;
    t.send_event(info);
    pass(32);
    EXPECT_EQ(world->errors(kNote), 1U);
    EXPECT_EQ(world->errors(alert(0) + ": its terminal has lost its trade server"), 1U);
    ASSERT_EQ(world->count(ReportType::AccountInfo), 1U);
    EXPECT_EQ(world->reports.back().permissions, kAccountAway) << "the engine holds what comes";
    info.permissions = static_cast<std::uint8_t>(bridge::kInfoMayTrade | bridge::kInfoTicksAway |
                                                 kAccountSettling);
    t.send_event(info);
    ASSERT_TRUE(world->until([&] { return world->count(ReportType::AccountInfo) == 2; }));
    EXPECT_EQ(world->reports.back().permissions, kAccountPermitted | kAccountSettling)
        << "and what is for a person stays here";
    info.permissions = bridge::kInfoMayTrade;
    t.send_event(info);
    pass(7);
    EXPECT_EQ(world->errors(kBack), 1U);
    EXPECT_EQ(world->reports.back().permissions, bridge::kInfoMayTrade);
}

/// Who locks its credentials goes by it (tools/millrace/disabled_lock.h).
TEST_F(BrokerWatch, ShowsWhatTheBrokerForbidsForAsLongAsItsTerminalSeesTheBroker) {
    begin(1);
    Terminal& t = world->connect(kFirstLogin);
    const auto shown_after = [&](std::uint8_t permissions) {
        bridge::Event info{};
        info.type = static_cast<std::uint8_t>(ReportType::AccountInfo);
        info.permissions = permissions;
        t.send_event(info);
        const std::size_t events = t.events.size();
        EXPECT_TRUE(world->until([&] { return world->count(ReportType::AccountInfo) == events; }));
        return world->segment.session(AccountId{0}).permissions.load();
    };
    EXPECT_EQ(shown_after(bridge::kInfoBrokerForbids), bridge::kInfoBrokerForbids);
    EXPECT_EQ(world->reports.back().permissions, 0U) << "that bit is not the engine's";
    EXPECT_EQ(shown_after(bridge::kInfoServerAway), bridge::kInfoBrokerForbids) << "no news";
    EXPECT_EQ(shown_after(bridge::kInfoMayTrade), bridge::kInfoMayTrade);
    EXPECT_EQ(shown_after(bridge::kInfoServerAway), bridge::kInfoMayTrade);
}

class BrokerComplaints : public BrokerWatch {
protected:
    void SetUp() override {
        begin(1);
        terminal = &world->connect(kFirstLogin);
    }
    void tell(std::uint8_t permissions) {
        bridge::Event info{};
        info.type = static_cast<std::uint8_t>(ReportType::AccountInfo);
        info.permissions = permissions;
        terminal->send_event(info);
        const std::size_t events = terminal->events.size();
        EXPECT_TRUE(world->until([&] { return world->count(ReportType::AccountInfo) == events; }));
    }
    void expect_once_until_it_is_over(std::uint8_t bit, const char* said) {
        const auto with = static_cast<std::uint8_t>(bridge::kInfoMayTrade | bit);
        tell(bridge::kInfoMayTrade);
        EXPECT_EQ(world->errors(said), 0U);
        tell(with);
        tell(with);
        EXPECT_EQ(world->errors(said), 1U);
        tell(bridge::kInfoMayTrade);
        tell(bit);
        EXPECT_EQ(world->errors(said), 2U);
    }
    Terminal* terminal = nullptr;
};

TEST_F(BrokerComplaints, AlertOnceOfAPositionWithoutItsStopsUntilThatIsMended) {
    expect_once_until_it_is_over(bridge::kInfoStopsMissing,
                                 "ALERT a position of account 0 has not got the stops");
    EXPECT_EQ(world->errors("ALERT ticks"), 0U);
}

TEST_F(BrokerComplaints, AlertOnceOfTicksThatDoNotArriveUntilTheyDo) {
    expect_once_until_it_is_over(bridge::kInfoTicksAway, "ALERT ticks of account 0 do not arrive");
    EXPECT_EQ(world->errors("ALERT a position"), 0U);
}

TEST_F(BrokerComplaints, AlertOnceOfAKillThatCannotBeCarriedOut) {
    expect_once_until_it_is_over(bridge::kInfoKillWaits, "ALERT account 0 cannot be flattened yet");
}

TEST_F(BrokerComplaints, AlertOnceThatTradingIsNotAllowedButNotOfOneThatStartsOrIsCutOff) {
    const char* said = "ALERT trading is not allowed on account 0";
    for (const std::uint8_t unknown : {bridge::kInfoSettling, bridge::kInfoServerAway}) {
        tell(unknown);
        pass(10);
        EXPECT_EQ(world->errors(said), 0U) << int{unknown};
    }
    tell(0);
    pass(2);
    EXPECT_EQ(world->errors(said), 0U) << "for a moment";
    pass(2);
    EXPECT_EQ(world->errors(said), 1U);
    pass(30);
    EXPECT_EQ(world->errors(said), 1U) << "once";
    tell(bridge::kInfoMayTrade);
    pass(2);
    tell(0);
    pass(5);
    EXPECT_EQ(world->errors(said), 2U) << "it was allowed in between";
}

TEST_F(BrokerComplaints, AlertAtOnceOfAKillThatReachesNobody) {
    const char* said = "ALERT the kill of account 0 waits";
    tell(bridge::kInfoMayTrade);
    world->entry(0).killed.store(kKillStop | kKillFlatten, std::memory_order_relaxed);
    pass(1);
    EXPECT_EQ(world->errors(said), 0U) << "its terminal is there";
    tell(bridge::kInfoMayTrade | bridge::kInfoServerAway);
    pass(1);
    EXPECT_EQ(world->errors(said), 0U) << "it may be coming back just now";
    pass(3);
    EXPECT_EQ(world->errors(said), 1U);
    pass(10);
    EXPECT_EQ(world->errors(said), 1U) << "once";
    tell(bridge::kInfoMayTrade);
    world->entry(0).killed.store(kKillStop, std::memory_order_relaxed);
    tell(bridge::kInfoMayTrade | bridge::kInfoServerAway);
    pass(5);
    EXPECT_EQ(world->errors(said), 1U) << "a stop needs nobody";
}

TEST_F(BrokerWatch, SaysNothingOfAnAccountThatIsNotDefined) {
    begin(1);
    world->entry(0).login.store(0, std::memory_order_release);
    pass(60);
    EXPECT_EQ(world->errors("reach"), 0U);
}

// The error log has 64 entries for everything.
TEST_F(BrokerWatch, NamesAFewOfManyAndCountsTheOthers) {
    begin(40);
    pass(35);
    std::uint64_t named = 0;
    for (std::uint32_t account = 0; account < 40; ++account) {
        named += world->errors(alert(account));
    }
    EXPECT_EQ(named, Session::kAwayNamedMax);
    EXPECT_EQ(world->errors("ALERT further accounts cannot be reached"),
              40U - Session::kAwayNamedMax);
    EXPECT_EQ(world->errors(kNote), 40U);
}

TEST_F(BrokerWatch, NotesOnceThatTheListsOfATerminalThatTellsThemHaveStopped) {
    begin(2);
    world->connect(kFirstLogin);
    world->connect(kFirstLogin + 1);  // tells none, and never did
    const BrokerStats& stats = world->stage->stats();
    const auto list = [&](std::uint32_t count) {  // with no row: torn if it should have one
        const std::uint64_t before = stats.holdings + stats.holdings_lost;
        world->terminals[0]->send(bridge::FrameType::HoldingsEnd, 0,
                                  bridge::HoldingsEnd{count, ~kCrc32cInit, 0});
        EXPECT_TRUE(world->until([&] { return stats.holdings + stats.holdings_lost > before; }));
    };
    // In strides, each after the stage has heard of both: no machine is too slow for it.
    const auto stride = [&](int s) {
        for (int i = 0; i < s; i += 2) {
            for (std::uint32_t t = 0; t < 2; ++t) {
                world->terminals[t]->send(bridge::FrameType::Heartbeat, 0, bridge::Heartbeat{});
                EXPECT_TRUE(world->until(
                    [&] { return world->entry(t).heard_ns.load() == world->now().value; }));
            }
            world->skew = world->skew + seconds(2);
            world->steps(2);
        }
    };
    constexpr const char* kNoList = "account 0 has told no whole list of what it holds";
    list(0);
    stride(540);
    list(1);
    EXPECT_EQ(world->errors(kNoList), 0U);
    stride(120);
    EXPECT_EQ(world->errors(kNoList), 1U) << "the torn one was none";
    list(0);
    stride(660);
    EXPECT_EQ(world->errors(kNoList), 2U) << "another time";
    EXPECT_EQ(world->errors("has told no whole list"), 2U);
}

}  // namespace
}  // namespace millrace::test
