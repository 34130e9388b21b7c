// Goal: a command reaches its terminal once, or is answered; whatever happens to the link between.
// Method: scripted terminals over loopback, the stage stepped by the test.
#include "broker_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace millrace::test {
namespace {

TEST(BrokerQueue, DeliversCommandAndReportsItsOutcome) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    const Magic magic = w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    const bridge::Command& c = t.commands[0].command;
    EXPECT_EQ(c.magic, magic.value);
    EXPECT_EQ(c.epoch, 5U);
    EXPECT_EQ(c.generation, t.generation);
    EXPECT_GT(c.ttl_ms, 20'000U);
    EXPECT_LE(c.ttl_ms, 30'000U);
    t.send_event(filled(magic));
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 1; }));
    const Report& r = w.reports.back();
    EXPECT_EQ(r.magic, magic);
    EXPECT_EQ(r.event_seq, 1U);
    EXPECT_EQ(r.account, AccountId{0});
    EXPECT_EQ(w.entry(0).acked.load(), 1U);
    EXPECT_EQ(w.segment.hop(Hop::BrokerAnswer).total.load(), 1U);
    EXPECT_EQ(w.segment.hop(Hop::SignalToSocket).total.load(), 1U);
}

TEST(BrokerQueue, TellsHowDeepItWasAndSinceWhenItRefused) {
    RingControl<> control;
    alignas(64) std::array<RingSlot<SessionSlot>, 4> slots{};
    control.magic = kRingMagic;
    control.slot_bytes = sizeof(RingSlot<SessionSlot>);
    control.capacity = slots.size();
    auto queue = SessionQueue::attach({&control, slots.data()}, AccountId{0});
    ASSERT_TRUE(queue.ok());
    SessionQueue& q = queue.value();
    OrderCommand c{};
    c.account = AccountId{0};
    for (std::int64_t now = 1; now <= 6; ++now) {
        c.seq = Sequence{static_cast<std::uint64_t>(now)};
        EXPECT_EQ(q.push(c, Nanos{1'000 * now}).ok(), now <= 4) << "the fifth and sixth do not fit";
        EXPECT_EQ(control.high_water.load(),
                  static_cast<std::uint64_t>(std::min<std::int64_t>(now, 4)));
    }
    EXPECT_EQ(control.write_hint.load(), 4U);
    EXPECT_EQ(control.high_water_ns.load(), 4'000U) << "when the fourth came";
    EXPECT_EQ(control.full_stalls.load(), 2U);
    EXPECT_EQ(control.stall_ns.load(), 2'000U) << "from the fourth to the sixth";
    q.set_state(1, SlotState::Settled);
    EXPECT_EQ(q.release_settled(), 1U);
    EXPECT_TRUE(q.push(c, Nanos{9'000}).ok());
    EXPECT_EQ(control.high_water.load(), 4U);
    EXPECT_EQ(control.stall_ns.load(), 2'000U) << "not refused this time";
}

TEST(BrokerQueue, SendsAgainWhatTheSameJournalHasProvablyNotReceived) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.reads = false;
    w.order(0);
    w.order(0);
    ASSERT_TRUE(w.until([&] { return w.stage->stats().sent == 2; }));
    t.disconnect();  // both commands die in its receive buffer
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    t.reads = true;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
    EXPECT_EQ(t.commands[0].seq, 1U);
    EXPECT_EQ(t.commands[1].seq, 2U);
    EXPECT_EQ(w.stage->stats().resent, 2U);
    EXPECT_EQ(w.stage->stats().in_doubt, 0U);
}

TEST(BrokerQueue, NeverRepeatsWhatTheJournalNamesAlthoughItsAckWasLost) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.acks = false;
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    t.disconnect();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return w.is_up(0); }));
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 2; }));
    EXPECT_EQ(t.commands[1].seq, 2U);
    EXPECT_EQ(w.stage->stats().resent, 0U);
}

TEST(BrokerQueue, GivesUpToLookUpWhatAnotherJournalCannotDisprove) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.acks = false;
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    t.disconnect();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    const Magic unclaimed = w.order(0);
    Terminal& other = w.connect(kFirstLogin, 78);
    ASSERT_TRUE(w.until([&] { return other.commands.size() == 1; }));
    EXPECT_EQ(other.commands[0].command.magic, unclaimed.value) << "only what never left may go";
    EXPECT_EQ(other.commands[0].seq, 2U);
    EXPECT_EQ(w.stage->stats().in_doubt, 1U);
    std::uint64_t journal = 0;
    for (const Report& r : w.reports) {
        journal = r.type == ReportType::SessionUp ? r.journal_id : journal;
    }
    EXPECT_EQ(journal, 78U);
}

TEST(BrokerQueue, GivesUpToLookUpWhatAJournalOfAnotherSegmentCannotDisprove) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.acks = false;
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    t.disconnect();
    t.command_epoch = 12345;
    t.command_seq = 400;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return t.welcomes.size() == 2 && w.is_up(0); }));
    w.steps(20);
    EXPECT_EQ(t.commands.size(), 1U);
    EXPECT_EQ(w.stage->stats().in_doubt, 1U);
    EXPECT_EQ(t.welcomes[1].next_command_seq, 2U);
}

TEST(BrokerQueue, AnswersALookUpThatFindsNoRoomWithUnknown) {
    World w{{.accounts = 1, .session_slots = 16}};
    for (int i = 0; i < 16; ++i) {  // entries leave some room; its terminal never came
        w.order(0, i < 14 ? CommandType::Open : CommandType::Close);
    }
    w.order(0, CommandType::Query);
    ASSERT_TRUE(w.until([&] { return !w.reports.empty(); }));
    EXPECT_EQ(w.reports[0].type, ReportType::QueryUnknown);
    EXPECT_EQ(w.reports[0].ord_status, static_cast<std::uint8_t>(OrdStatus::InDoubt));
    EXPECT_EQ(w.count(ReportType::Unsent), 0U);
    const auto last = ReportSink::attach(w.segment).value().last_answer();
    EXPECT_EQ(last.seq, 17U) << "a successor must know that it was answered";
}

TEST(BrokerQueue, AnswersOverflowOfOneAccountAndServesTheOthers) {
    World w{{.accounts = 2, .session_slots = 16}};
    Terminal& t = w.connect(kFirstLogin + 1);
    for (int i = 0; i < 20; ++i) {
        w.order(0);  // its terminal never came
    }
    const Magic other = w.order(1);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1 && w.reports.size() >= 8; }));
    EXPECT_EQ(t.commands[0].command.magic, other.value);
    EXPECT_EQ(w.count(ReportType::Unsent, 0), 6U);
    EXPECT_EQ(w.stage->stats().queue_full, 6U);
    const Report* r = w.unsent(Magic::make(kTag, 15, 0));
    ASSERT_NE(r, nullptr);
    EXPECT_EQ(r->reason, static_cast<std::uint16_t>(Reason::QueueFull));
    EXPECT_EQ(r->journal_id, 15U) << "the answer names the engine's output";
}

TEST(BrokerQueue, KeepsPlacesForClosesThatEntriesCannotTake) {
    World w{{.accounts = 1, .session_slots = 16}};
    for (int i = 0; i < 20; ++i) {
        w.order(0);  // its terminal never came
    }
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Unsent, 0) == 6; }));
    const Magic close = w.order(0, CommandType::Close);
    const Magic cancel = w.order(0, CommandType::Cancel);
    const Magic late = w.order(0, CommandType::Close);
    ASSERT_TRUE(w.until([&] { return w.unsent(late) != nullptr; }));
    EXPECT_EQ(w.unsent(late)->reason, static_cast<std::uint16_t>(Reason::QueueFull));
    EXPECT_EQ(w.unsent(close), nullptr);
    EXPECT_EQ(w.unsent(cancel), nullptr);
}

TEST(BrokerQueue, AnswersExpiryBehindAnOrderThatMayStillWait) {
    World w;
    w.freeze();
    const Magic patient = w.order(0, CommandType::Open, Nanos{});
    const Magic late = w.order(0, CommandType::Open, seconds(1));
    w.steps(3);
    EXPECT_EQ(w.unsent(late), nullptr);
    w.skew = seconds(2);
    ASSERT_TRUE(w.until([&] { return w.unsent(late) != nullptr; }));
    EXPECT_EQ(w.unsent(late)->reason, static_cast<std::uint16_t>(Reason::Expired));
    EXPECT_EQ(w.unsent(patient), nullptr);
    Terminal& t = w.connect(kFirstLogin);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].command.magic, patient.value);
    EXPECT_EQ(t.commands[0].command.ttl_ms, 0U);
}

TEST(BrokerQueue, AnswersExpiredEntryThatWasSentButProvablyNotReceived) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.reads = false;
    w.freeze();
    const Magic late = w.order(0, CommandType::Open, seconds(1));
    ASSERT_TRUE(w.until([&] { return w.stage->stats().sent == 1; }));
    t.disconnect();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
    w.skew = seconds(2);
    w.steps(10);
    EXPECT_EQ(w.unsent(late), nullptr) << "without proof it is not definite";
    t.reads = true;
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] { return w.unsent(late) != nullptr; }));
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].seq, 2U) << "a number that was answered never appears";
}

TEST(BrokerQueue, KeepsMostCommandsBackFromATerminalThatDoesNotAck) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.acks = false;
    for (int i = 0; i < 100; ++i) {
        w.order(0);
    }
    ASSERT_TRUE(w.until([&] { return t.commands.size() == Session::kInFlightMax; }));
    w.steps(20);
    EXPECT_EQ(t.commands.size(), Session::kInFlightMax);
    t.send(bridge::FrameType::RxAck, 0, bridge::RxAck{t.command_seq});
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 100; }));
}

TEST(BrokerQueue, ServesOthersWhileOneTerminalNeverReads) {
    World w{{.session_slots = 1024, .orders_slots = 4096, .reports_slots = 4096}};
    Terminal& stuck = w.connect(kFirstLogin);
    Terminal& well = w.connect(kFirstLogin + 1);
    stuck.reads = false;
    for (int i = 0; i < 500; ++i) {
        w.order(0);
        w.order(1);
    }
    ASSERT_TRUE(w.until([&] { return well.commands.size() == 500; }));
    EXPECT_EQ(w.count(ReportType::Unsent), 0U);
    EXPECT_LE(w.entry(0).claimed.load(), Session::kInFlightMax);
}

TEST(BrokerQueue, WaitsForRoomInReportsAndLosesNothing) {
    World w{{.accounts = 1, .session_slots = 16, .reports_slots = 64}};
    Terminal& t = w.connect(kFirstLogin);
    w.engine_reads = false;
    for (int i = 0; i < 200; ++i) {
        t.send_event(filled(Magic::make(kTag, static_cast<std::uint64_t>(i) + 1, 0)));
    }
    ASSERT_TRUE(w.until([&] { return w.stage->stats().stalls == 1; }));
    const Magic order = w.order(0);  // needs no answer: goes out all the same
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    EXPECT_EQ(t.commands[0].command.magic, order.value);
    w.skew = seconds(10);  // our silence, not the terminal's
    w.steps(10);
    w.engine_reads = true;
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Outcome) == 200; }));
    EXPECT_EQ(w.count(ReportType::SessionDown), 0U);
    for (std::uint64_t i = 0, n = 0; i < w.reports.size(); ++i) {
        if (w.reports[i].type == ReportType::Outcome) {
            EXPECT_EQ(w.reports[i].event_seq, ++n);
        }
    }
}

TEST(BrokerQueue, RefusesOrderForAnAccountThatTheSegmentHasNoPlaceFor) {
    World w{{.accounts = 1}};
    const Magic magic = w.order(7);
    ASSERT_TRUE(w.until([&] { return w.unsent(magic) != nullptr; }));
    EXPECT_TRUE(w.error_logged("beyond the segment's session table"));
}

}  // namespace
}  // namespace millrace::test
