// Goal: who may hold a session, how it ends, and what events of it count.
// Method: honest, mistaken and hostile terminals over loopback.
#include "broker_world.h"

#include <gtest/gtest.h>

#include <random>

namespace millrace::test {
namespace {

/// Connects a terminal that is to be turned away. @return the reason it was given.
std::string denial(World& w, Terminal& t) {
    t.connect(w.stage->port());
    EXPECT_TRUE(w.until([&] { return !t.connected(); }));
    return t.denied;
}

/// As people read it.
std::string_view link_of(World& w, std::uint32_t account) {
    return to_string(static_cast<LinkState>(w.entry(account).link.load(std::memory_order_acquire)));
}

TEST(BrokerLink, IsAuthenticatedUntilTheTerminalSpeaksSyncingUntilItIsDoneThenUp) {
    World w;
    EXPECT_EQ(link_of(w, 0), "DOWN");
    Terminal& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
    t.syncs = false;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 1; }));
    w.steps(10);
    EXPECT_EQ(link_of(w, 0), "AUTHENTICATED") << "it has not said a word since the WELCOME";
    KillCommand kill;
    kill.kill_id = 7;
    kill.actions = kKillStop;
    w.kill(kill);
    ASSERT_TRUE(w.until([&] { return t.kills.size() == 1; })) << "a kill waits for no frame";
    EXPECT_EQ(link_of(w, 0), "AUTHENTICATED");
    t.send_event(filled(Magic::make(kTag, 1, 0)));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 1; }));
    EXPECT_EQ(link_of(w, 0), "SYNCING");
    t.send_sync_done();
    ASSERT_TRUE(w.until([&] { return w.is_up(0); }));
    t.disconnect();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    EXPECT_EQ(link_of(w, 0), "DOWN");
}

TEST(BrokerLink, TellsTheEngineThatALinkIsDownWhoseStageWasKilledBeforeTheTerminalSpoke) {
    World w;
    Terminal& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
    t.syncs = false;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionUp) == 1; }));
    w.restart_stage();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    EXPECT_EQ(link_of(w, 0), "DOWN");
}

TEST(BrokerLink, SaysAuthRejectedAfterAWrongKeyUntilAGoodOneAndAlertsOnce) {
    World w{{.epoch = bridge::wire_epoch(8, 3)}};
    Terminal& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
    t.spoils_mac = true;
    for (int i = 0; i < 3; ++i) {
        EXPECT_NE(denial(w, t).find("wrong MAC"), std::string::npos);
        EXPECT_EQ(link_of(w, 0), "AUTH_REJECTED");
    }
    EXPECT_EQ(w.errors(Session::kWrongKeyAlert), 1U);
    EXPECT_EQ(link_of(w, 1), "DOWN") << "the other account's link";
    EXPECT_TRUE(w.reports.empty()) << "for the engine the link never was up";
    // The right key, but of another directory: that is another thing to be told.
    t.spoils_mac = false;
    t.epoch = bridge::wire_epoch(7, 3);
    EXPECT_EQ(denial(w, t), Session::kOtherDirectoryText);
    EXPECT_EQ(w.errors(Session::kOtherDirectoryAlert), 1U);
    EXPECT_EQ(link_of(w, 0), "AUTH_REJECTED");
    t.epoch = 0;
    t.margin_mode = MarginMode::Netting;  // one position where we count two
    EXPECT_EQ(denial(w, t), Session::kOtherMarginModeText);
    EXPECT_EQ(w.errors(Session::kOtherMarginModeAlert), 1U);
    t.margin_mode = MarginMode::Hedging;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return w.is_up(0); }));
    t.disconnect();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    t.spoils_mac = true;
    EXPECT_NE(denial(w, t).find("wrong MAC"), std::string::npos);
    EXPECT_EQ(w.errors(Session::kWrongKeyAlert), 2U) << "it was in order in between";
}

TEST(BrokerLink, ReportsSessionUpBeforeItsEventsAndSyncDoneAfterThem) {
    World w;
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    w.terminals[0]->events.push_back(filled(Magic::make(kTag, 1, 0)));
    w.terminals[0]->connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return w.reports.size() == 3; }));
    EXPECT_EQ(w.reports[0].type, ReportType::SessionUp);
    EXPECT_EQ(w.reports[0].journal_id, 77U);
    EXPECT_EQ(w.reports[1].type, ReportType::Outcome);
    EXPECT_EQ(w.reports[2].type, ReportType::SyncDone);
}

TEST(BrokerLink, DeniesUnknownLoginWrongKeyAndOtherVersionWithTheReason) {
    World w;
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin + 99));
    EXPECT_NE(denial(w, *w.terminals.back()).find("unknown login"), std::string::npos);
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    w.terminals.back()->spoils_mac = true;
    EXPECT_NE(denial(w, *w.terminals.back()).find("wrong MAC"), std::string::npos);
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    w.terminals.back()->version = 9;
    EXPECT_NE(denial(w, *w.terminals.back()).find("version"), std::string::npos);
    EXPECT_EQ(w.stage->stats().denied, 3U);
    EXPECT_TRUE(w.error_logged("unknown login"));
    EXPECT_TRUE(w.error_logged("wrong MAC"));
    EXPECT_TRUE(w.reports.empty());
}

TEST(BrokerLink, SendsATerminalAwayThatIsFasterThanTheConfiguration) {
    World w;
    w.entry(0).login.store(0, std::memory_order_release);
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    EXPECT_NE(denial(w, *w.terminals[0]).find("come again"), std::string::npos);
    EXPECT_TRUE(w.reports.empty());
    w.entry(0).login.store(kFirstLogin, std::memory_order_release);
    w.connect(kFirstLogin);
    EXPECT_EQ(w.count(ReportType::SessionUp), 1U);
}

TEST(BrokerLink, EndsTheSessionOfATerminalWhoseAccountGetsAnotherLoginAndSendsItNothing) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.entry(0).login.store(kFirstLogin + 50, std::memory_order_release);
    const Magic order = w.order(0);
    ASSERT_TRUE(w.until([&] { return !t.connected(); }));
    EXPECT_EQ(t.denied, Session::kOtherLoginText);
    EXPECT_TRUE(t.commands.empty()) << "it would be dealt in the books of the old login";
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    w.entry(0).login.store(kFirstLogin, std::memory_order_release);
    Terminal& again = w.connect(kFirstLogin);
    ASSERT_TRUE(w.until([&] { return again.commands.size() == 1; }));
    EXPECT_EQ(again.commands[0].command.magic, order.value);
}

TEST(BrokerLink, DeniesATerminalThatHasServedANewerEpoch) {
    World w;
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    w.terminals[0]->epoch = 6;
    EXPECT_NE(denial(w, *w.terminals[0]).find("stale"), std::string::npos);
}

TEST(BrokerLink, DeniesATerminalThatHasServedAnotherDirectoryAndAlertsOnce) {
    for (const std::uint64_t served :
         {bridge::wire_epoch(7, 3), bridge::wire_epoch(9, 3), bridge::wire_epoch(0, 3)}) {
        World w{{.epoch = bridge::wire_epoch(8, 3)}};
        w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
        Terminal& t = *w.terminals[0];
        t.epoch = served;
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(denial(w, t), Session::kOtherDirectoryText);
        }
        EXPECT_TRUE(t.welcomes.empty());
        EXPECT_TRUE(w.reports.empty()) << "for the engine the link never was up";
        EXPECT_EQ(w.entry(0).link.load(), static_cast<std::uint32_t>(LinkState::AuthRejected));
        EXPECT_EQ(w.errors(Session::kOtherDirectoryAlert), 1U);
        w.restart_stage();
        EXPECT_EQ(denial(w, t), Session::kOtherDirectoryText);
        EXPECT_TRUE(w.reports.empty());
        t.epoch = 0;  // its journal was moved away
        t.journal_id = 78;
        t.connect(w.stage->port());
        EXPECT_TRUE(w.until([&] { return w.is_up(0); }));
    }
}

TEST(BrokerLink, AlertsOfAllTerminalsOfAnotherDirectoryInOneEntry) {
    World w{{.epoch = bridge::wire_epoch(8, 3)}};
    for (const std::uint64_t login : {kFirstLogin, kFirstLogin + 1}) {
        w.terminals.push_back(std::make_unique<Terminal>(login));
        w.terminals.back()->epoch = bridge::wire_epoch(7, 3);
        EXPECT_EQ(denial(w, *w.terminals.back()), Session::kOtherDirectoryText);
    }
    EXPECT_EQ(w.errors(Session::kOtherDirectoryAlert), 2U);
    int entries = 0;
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        entries += std::string_view{w.segment.error(i).text}.starts_with("ALERT") ? 1 : 0;
    }
    EXPECT_EQ(entries, 1);
    for (const std::uint32_t account : {0U, 1U}) {
        EXPECT_EQ(w.entry(account).link.load(),
                  static_cast<std::uint32_t>(LinkState::AuthRejected));
    }
}

TEST(BrokerLink, AlertsOnceOfEachReasonForWhichTwoTerminalsOfOneAccountAreRefusedByTurns) {
    World w{{.epoch = bridge::wire_epoch(8, 3)}};
    for (int i = 0; i < 2; ++i) {
        w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    }
    w.terminals[0]->epoch = bridge::wire_epoch(7, 3);
    w.terminals[1]->spoils_mac = true;
    const auto refuse_by_turns = [&] {
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(denial(w, *w.terminals[0]), Session::kOtherDirectoryText);
            EXPECT_NE(denial(w, *w.terminals[1]).find("wrong MAC"), std::string::npos);
        }
    };
    refuse_by_turns();
    EXPECT_EQ(w.errors(Session::kOtherDirectoryAlert), 1U);
    EXPECT_EQ(w.errors(Session::kWrongKeyAlert), 1U);
    w.connect(kFirstLogin);  // the right one
    w.terminals.pop_back();
    ASSERT_TRUE(w.until([&] { return !w.is_up(0); }));
    refuse_by_turns();
    EXPECT_EQ(w.errors(Session::kOtherDirectoryAlert), 2U) << "another time, and told again";
    EXPECT_EQ(w.errors(Session::kWrongKeyAlert), 2U);
}

TEST(BrokerLink, NeitherFencesNorAlertsForAStrangerWhileTheRightTerminalIsThere) {
    World w{{.epoch = bridge::wire_epoch(8, 3)}};
    Terminal& right = w.connect(kFirstLogin);
    EXPECT_EQ(right.epoch, bridge::wire_epoch(8, 3));
    EXPECT_EQ(right.generation, (std::uint64_t{3} << 20U) + 1);
    Terminal stranger{kFirstLogin};
    stranger.epoch = bridge::wire_epoch(7, 3);
    stranger.connect(w.stage->port());
    EXPECT_TRUE(w.until([&] {
        stranger.poll();
        return !stranger.connected();
    }));
    EXPECT_EQ(stranger.denied, Session::kOtherDirectoryText);
    stranger.spoils_mac = true;
    stranger.connect(w.stage->port());
    EXPECT_TRUE(w.until([&] {
        stranger.poll();
        return !stranger.connected();
    }));
    EXPECT_NE(stranger.denied.find("wrong MAC"), std::string::npos);
    EXPECT_FALSE(w.error_logged("ALERT"));
    EXPECT_TRUE(w.is_up(0));
    EXPECT_TRUE(right.connected());
}

TEST(BrokerLink, DeniesAJournalThatNamesCommandsNeverSent) {
    World w;
    w.terminals.push_back(std::make_unique<Terminal>(kFirstLogin));
    w.terminals[0]->command_epoch = w.segment.uuid_low();
    w.terminals[0]->command_seq = 4;
    EXPECT_NE(denial(w, *w.terminals[0]).find("command_seq"), std::string::npos);
}

TEST(BrokerLink, ReplacesTheOlderConnectionAndRaisesTheGeneration) {
    World w;
    Terminal& older = w.connect(kFirstLogin);
    const std::uint64_t first = older.generation;
    Terminal& newer = w.connect(kFirstLogin);
    EXPECT_GT(newer.generation, first);
    EXPECT_GT(newer.generation, std::uint64_t{5} << 20U);
    ASSERT_TRUE(w.until([&] { return !older.connected(); }));
    EXPECT_NE(older.denied.find("replaced"), std::string::npos);
    EXPECT_EQ(w.count(ReportType::SessionDown), 1U);
    EXPECT_EQ(w.reports[2].type, ReportType::SessionDown);
    EXPECT_EQ(w.reports[3].type, ReportType::SessionUp);
    w.order(0);
    ASSERT_TRUE(w.until([&] { return newer.commands.size() == 1; }));
}

TEST(BrokerLink, GrowsTheGenerationOverRestartsOfStageAndSegment) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    const std::uint64_t first = t.generation;
    w.restart_stage();
    t.generation = first + 1000;  // it has seen more on another host
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2; }));
    EXPECT_GT(t.welcomes[1].generation, first + 1000);
}

TEST(BrokerLink, ClosesASilentLinkButNotABusyOne) {
    World w;
    Terminal& silent = w.connect(kFirstLogin);
    Terminal& busy = w.connect(kFirstLogin + 1);
    w.freeze();
    busy.send(bridge::FrameType::Busy, 0, bridge::Busy{60'000, 0});
    ASSERT_TRUE(w.until([&] { return w.entry(1).busy.load() == 1; }));
    w.skew = seconds(4);
    ASSERT_TRUE(w.until([&] { return !silent.connected(); }));
    EXPECT_TRUE(busy.connected());
    EXPECT_EQ(w.entry(1).busy.load(), 1U);
    EXPECT_EQ(w.count(ReportType::SessionDown, 0), 1U);
    w.skew = seconds(29);
    w.steps(10);
    EXPECT_TRUE(busy.connected());
    w.skew = seconds(31);
    ASSERT_TRUE(w.until([&] { return !busy.connected(); })) << "BUSY extends to 30 s, not more";
}

TEST(BrokerLink, SendsHeartbeatsAndKeepsALinkThatSendsThem) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    for (int s = 1; s <= 10; ++s) {
        w.skew = seconds(s);
        t.send(bridge::FrameType::Heartbeat, 0, bridge::Heartbeat{0});
        w.steps(5);
    }
    EXPECT_TRUE(t.connected());
    EXPECT_GE(t.heartbeats, 9U);
}

TEST(BrokerLink, ClosesAStrangerThatNeverSaysHello) {
    World w;
    auto fd = net::begin_connect("127.0.0.1", w.stage->port());
    ASSERT_TRUE(fd.ok());
    w.steps(10);
    w.skew = seconds(6);
    ASSERT_TRUE(w.until([&] { return w.error_logged("no HELLO in time"); }));
}

TEST(BrokerLink, ReportsARepeatedEventOnceAndAcknowledgesWhenDurable) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.send_event(filled(Magic::make(kTag, 1, 0)));
    t.resend_event(0);
    t.send_event(filled(Magic::make(kTag, 2, 0)));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 2; }));
    EXPECT_EQ(w.stage->stats().event_repeats, 1U);
    w.skew = millis(100);
    w.steps(20);
    EXPECT_EQ(t.forgotten, 0U) << "applied, but not durable";
    w.durable_upto(w.segment.core().completed.load());
    w.skew = millis(200);
    ASSERT_TRUE(w.until([&] { return t.forgotten == 2; }));
}

TEST(BrokerLink, AcknowledgesNoEventThatTheEngineHasNotApplied) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    w.engine_reads = false;
    w.durable_upto(1000);
    t.send_event(filled(Magic::make(kTag, 1, 0)));
    ASSERT_TRUE(w.until([&] { return w.stage->stats().events == 1; }));
    w.skew = seconds(1);
    w.steps(20);
    EXPECT_EQ(t.forgotten, 0U);
    w.engine_reads = true;
    ASSERT_TRUE(w.until([&] {
        w.skew = w.skew + millis(5);
        return t.forgotten == 1;
    }));
}

TEST(BrokerLink, TellsAJournalThatItReplacesALostOneAndLosesNoneOfItsEvents) {
    World w;
    Terminal& lost = w.connect(kFirstLogin);
    EXPECT_EQ(lost.welcomes[0].event_seq, 0U) << "the first terminal ever is intact";
    w.order(0);
    ASSERT_TRUE(w.until([&] { return lost.commands.size() == 1; }));
    lost.disconnect();
    auto& fresh = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin, 78));
    fresh.events.assign(3, filled(Magic::make(kTag, 1, 0)));
    fresh.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return fresh.welcomes.size() == 1; }));
    EXPECT_EQ(fresh.welcomes[0].event_seq, 4U) << "above its own: it is to number them anew";
}

TEST(BrokerLink, ResumesEventsOfAKnownJournalAfterTheStageRestarted) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.send_event(filled(Magic::make(kTag, 1, 0)));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 1; }));
    w.entry(0).applied_event.store(1);
    w.restart_stage();
    t.send_event(filled(Magic::make(kTag, 2, 0)));  // into the closed socket
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 3; }));
    EXPECT_EQ(t.welcomes[1].event_seq, 0U);
    EXPECT_EQ(w.reports.back().type == ReportType::SyncDone ? 2U : w.reports.back().event_seq, 2U);
}

TEST(BrokerLink, TellsAnOlderCopyOfAJournalWhatItNoLongerKnows) {
    World w;
    w.entry(0).applied_event.store(40);
    auto& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
    t.generation = 3;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 1; }));
    EXPECT_EQ(t.welcomes[0].event_seq, 40U);
}

TEST(BrokerLink, CountsEachDealOnceForTheOperator) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    bridge::Event refused = filled(Magic::make(kTag, 1, 0));
    refused.deal_ticket = 0;
    t.send_event(refused);
    t.send_event(filled(Magic::make(kTag, 2, 0)));
    t.resend_event(1);
    t.send_event(filled(Magic::make(kTag, 3, 0)));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 3; }));
    EXPECT_EQ(w.segment.session(AccountId{0}).fills.load(), 2U);
}

TEST(BrokerLink, NamesTheHostsSymbolInReportsOfDeals) {
    World w{{.suffix = "m"}};
    w.define_symbol(3, "XAUUSD");
    Terminal& t = w.connect(kFirstLogin);
    for (const char* name : {"XAUUSDm", "NOSUCH", ""}) {
        bridge::Event e = filled(Magic::make(kTag, t.events.size() + 1, 0));
        std::memcpy(e.symbol, name, std::strlen(name));
        t.send_event(e);
    }
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 3; }));
    std::vector<std::uint32_t> symbols;
    for (const Report& r : w.reports) {
        if (r.type == ReportType::Outcome) {
            symbols.push_back(r.symbol.value);
        }
    }
    EXPECT_EQ(symbols, (std::vector<std::uint32_t>{3, kNoId, kNoId}));
}

TEST(BrokerLink, StoresQuotesBySymbolOfTheHost) {
    World w{{.suffix = "m"}};
    w.define_symbol(3, "XAUUSD");
    Terminal& t = w.connect(kFirstLogin);
    bridge::Tick tick{};
    std::memcpy(tick.symbol, "XAUUSDm", 7);
    tick.bid = 130'000'000'000;
    tick.ask = 130'050'000'000;
    t.send(bridge::FrameType::Tick, 0, tick);
    ASSERT_TRUE(w.until([&] { return w.segment.tick(SymbolId{3}).load().bid.value != 0; }));
    EXPECT_EQ(w.segment.tick(SymbolId{3}).load().ask.value, 130'050'000'000);
    tick.bid = 0;
    t.send(bridge::FrameType::Tick, 0, tick);
    std::memcpy(tick.symbol, "NOSUCH", 7);
    t.send(bridge::FrameType::Tick, 0, tick);
    ASSERT_TRUE(w.until([&] { return w.stage->stats().ticks_dropped == 2; }));
    EXPECT_EQ(w.segment.tick(SymbolId{3}).load().bid.value, 130'000'000'000);
}

TEST(BrokerLink, CutsATerminalThatSendsNonsenseAndSparesTheOthers) {
    World w;
    Terminal& bad = w.connect(kFirstLogin);
    Terminal& good = w.connect(kFirstLogin + 1);
    bridge::Event e = filled(Magic::make(kTag, 1, 0));
    e.side = 7;
    bad.send_event(e);
    ASSERT_TRUE(w.until([&] { return !bad.connected(); }));
    EXPECT_NE(bad.denied.find("side"), std::string::npos);
    w.order(1);
    ASSERT_TRUE(w.until([&] { return good.commands.size() == 1; }));
}

TEST(BrokerLink, CutsATerminalThatAcksWhatWasNeverSent) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.send(bridge::FrameType::RxAck, 0, bridge::RxAck{1});
    ASSERT_TRUE(w.until([&] { return !t.connected(); }));
    EXPECT_NE(t.denied.find("never sent"), std::string::npos);
}

TEST(BrokerLink, SurvivesRandomBytesBeforeAndAfterTheHandshake) {
    World w{{.reports_slots = 4096}};
    Terminal& good = w.connect(kFirstLogin + 1);
    for (std::uint32_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(::testing::Message() << "seed " << seed);
        std::mt19937 random{seed};
        auto& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
        t.connect(w.stage->port());
        if (seed % 2 == 0) {
            ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 1; }));
        }
        std::array<std::byte, 300> noise;
        for (std::byte& b : noise) {
            b = static_cast<std::byte>(random());
        }
        if (seed % 4 < 2) {  // sound framing, random type and body
            const std::size_t body = random() % 140;
            std::array<std::byte, 300> frame;
            const auto type = static_cast<std::uint8_t>(random() % 15);
            t.send_bytes(
                {frame.data(), wire::encode_bytes(frame, type, bridge::kVersion, random() % 4,
                                                  std::span{noise}.first(body))});
        } else {
            t.send_bytes(noise);
        }
        w.steps(5);
        t.disconnect();
        w.steps(2);
    }
    w.order(1);
    ASSERT_TRUE(w.until([&] { return good.commands.size() == 1; }));
}

}  // namespace
}  // namespace millrace::test
