// Goal: a source is told "accepted" when its level holds, and never before.
// Method: an engine stand-in answers at once while the test holds the durable mark back.
#include "tests/ingress/raw_source.h"

namespace millrace::ingress_test {
namespace {

using signal_wire::FrameType;

struct Heard {
    std::vector<SignalAnswer> acks;
    std::vector<SignalAnswer> refusals;
    std::vector<std::string> texts;
    std::vector<SignalResult> results;
    SignalCallbacks callbacks() {
        return {[this](const SignalAnswer& a) { acks.push_back(a); },
                [this](const SignalAnswer& a) {
                    refusals.push_back(a);
                    texts.emplace_back(a.text);
                },
                [this](const SignalResult& r) { results.push_back(r); },
                {}};
    }
};

TEST(IngressAck, ArrivesAtLevelProcessWhileTheDiskIsSlow) {
    Bench bench;
    bench.engine.disk_slow = true;
    Heard heard;
    SignalClient& client = bench.connect("alpha", heard.callbacks());
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1; }));
    EXPECT_EQ(heard.acks[0].kind, AckLogKind::Accepted);
    EXPECT_FALSE(client.acks_when_durable());
}

TEST(IngressAck, WaitsForTheDurableMarkAtLevelDisk) {
    Bench bench{default_options(AckLevel::Disk)};
    bench.engine.disk_slow = true;
    Heard heard;
    SignalClient& client = bench.connect("alpha", heard.callbacks());
    for (std::uint64_t n = 1; n <= 3; ++n) {
        ASSERT_TRUE(client.submit(open_signal(n)).ok());
    }
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 3; }));
    bench.steps(200);
    EXPECT_TRUE(heard.acks.empty()) << "acknowledged before it was durable";
    bench.segment.core().durable.store(2, std::memory_order_release);
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 2; }));
    bench.steps(200);
    EXPECT_EQ(heard.acks.size(), 2U) << "the third is not durable yet";
    EXPECT_FALSE(bench.stage->drained());
    bench.engine.disk_slow = false;
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 3; }));
    ASSERT_TRUE(bench.until([&] { return bench.stage->drained(); }));
}

TEST(IngressAck, OfARepeatWaitsForTheOriginal) {
    Bench bench{default_options(AckLevel::Disk)};
    bench.engine.disk_slow = true;
    Heard heard;
    SignalClient& first = bench.connect("alpha", heard.callbacks());
    ASSERT_TRUE(first.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.engine.seq() == 1; }));
    bench.clients.clear();  // the source dies before its ack
    SignalClient& again = bench.connect("alpha", heard.callbacks());
    ASSERT_TRUE(again.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.engine.seq() == 2; }));
    bench.steps(200);
    EXPECT_TRUE(heard.acks.empty()) << "a repeat was acknowledged before its original was durable";
    bench.segment.core().durable.store(1, std::memory_order_release);
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1; }));
    EXPECT_EQ(heard.acks[0].kind, AckLogKind::Accepted) << "the first ack still waited here";
    EXPECT_EQ(bench.engine.accepted.size(), 1U);
}

TEST(IngressAck, LeavesOtherResultsAndOtherSourcesUnhindered) {
    Bench bench{default_options(AckLevel::Disk)};
    bench.engine.disk_slow = true;
    Heard alpha;
    Heard beta;
    SignalClient& slow = bench.connect("alpha", alpha.callbacks());
    SignalClient& fast = bench.connect("beta", beta.callbacks());
    ASSERT_TRUE(slow.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 1; }));
    ASSERT_TRUE(fast.submit(open_signal(2)).ok());
    ASSERT_TRUE(bench.until([&] { return beta.acks.size() == 1; }));
    EXPECT_TRUE(alpha.acks.empty());
    bench.engine.publish(ResultKind::OrderDone, bench.engine.accepted[1]);
    ASSERT_TRUE(bench.until([&] { return beta.results.size() == 1; }));
    EXPECT_EQ(beta.results[0].signal, bench.engine.accepted[1].id);
    EXPECT_TRUE(alpha.results.empty()) << "a result went to the wrong source";
}

TEST(IngressAck, StopsReadingResultsWhenNoMoreAcksCanBeParkedAndLosesNone) {
    IngressOptions options = default_options(AckLevel::Disk);
    options.parked_acks_max = 4;
    Bench bench{options};
    bench.engine.disk_slow = true;
    Heard heard;
    SignalClient& client = bench.connect("alpha", heard.callbacks());
    for (std::uint64_t n = 1; n <= 20; ++n) {
        ASSERT_TRUE(client.submit(open_signal(n)).ok());
    }
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 20; }));
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().parked_full > 0; }));
    EXPECT_TRUE(heard.acks.empty());
    bench.engine.disk_slow = false;
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 20; }));
    for (std::uint64_t n = 1; n <= 20; ++n) {
        EXPECT_EQ(heard.acks[n - 1].id.lo, n) << "acks keep the order of the journal";
    }
}

TEST(IngressAck, StampsSourceAndReceiptOnWhatTheEngineSees) {
    Bench bench;
    SignalClient& client = bench.connect("beta");
    const Nanos before = bench.segment.clock().now();
    ASSERT_TRUE(client.submit(open_signal(7)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 1; }));
    const Signal& s = bench.engine.accepted[0];
    EXPECT_EQ(s.source, SourceId{2});
    EXPECT_EQ(s.group, GroupId{0});
    EXPECT_EQ(s.symbol, SymbolId{0});
    EXPECT_GE(s.edge_time, before);
    EXPECT_NE(s.send_time.value, 0);
}

class IngressAckWithoutJournal : public ::testing::TestWithParam<JournalState> {
protected:
    void journal(JournalState state) {
        bench.segment.core().journal_state.store(static_cast<std::uint32_t>(state));
    }
    void SetUp() override {
        bench.engine.disk_slow = true;  // nothing becomes durable
        journal(GetParam());
    }
    static SignalRequest close_signal(std::uint64_t n) {
        SignalRequest r = open_signal(n);
        r.action = SignalAction::Close;
        r.target = open_signal(9999).id;
        r.volume = Lots{0};
        return r;
    }
    Bench bench{default_options(AckLevel::Disk)};  // alpha; beta is told at level process
    Heard heard;
};

TEST_P(IngressAckWithoutJournal, RefusesEntriesAndTakesThemWhenItWrites) {
    SignalClient& client = bench.connect("beta", heard.callbacks());
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return client.stats().retries >= 2; }));
    EXPECT_TRUE(bench.engine.accepted.empty());
    journal(JournalState::Running);
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1; }));
    EXPECT_TRUE(heard.refusals.empty()) << "\"send again\" is no refusal to the source";
}

TEST_P(IngressAckWithoutJournal, TakesClosesAtOnceAndAcknowledgesThemOnlyAsItsLevelHolds) {
    Heard beta;
    SignalClient& disk = bench.connect("alpha", heard.callbacks());
    SignalClient& process = bench.connect("beta", beta.callbacks());
    ASSERT_TRUE(disk.submit(close_signal(1)).ok());
    ASSERT_TRUE(process.submit(close_signal(2)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 2; }))
        << "the way out is shut";
    ASSERT_TRUE(bench.until([&] { return beta.acks.size() == 1; }))
        << "it is in the journal's ring";
    bench.steps(200);
    EXPECT_TRUE(heard.acks.empty()) << "\"on disk\" was said and is not so";
    journal(JournalState::Running);
    bench.engine.disk_slow = false;
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1; }));
    EXPECT_TRUE(heard.refusals.empty());
}

TEST_P(IngressAckWithoutJournal, HandsARepeatOfACloseOnOnlyWhenTheJournalWritesAgain) {
    RawSource alpha{bench};
    alpha.log_in("alpha", key_of('a'));
    ASSERT_EQ(alpha.next_type(), static_cast<int>(FrameType::Welcome));
    signal_wire::Submit close = submit_body(1);
    close.action = static_cast<std::uint8_t>(SignalAction::Close);
    close.target_lo = 9999;
    for (std::uint64_t copy = 1; copy <= 3; ++copy) {
        alpha.send_frame(FrameType::Submit, copy, close);
    }
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().repeats_held == 2; }));
    bench.steps(200);
    EXPECT_EQ(bench.engine.seq(), 1U) << "a repeat took a slot that nobody frees now";
    journal(JournalState::Running);
    alpha.send_frame(FrameType::Submit, 4, close);
    ASSERT_TRUE(bench.until([&] { return bench.engine.seq() == 2; })) << "now it is the ledger's";
    bench.engine.disk_slow = false;
    EXPECT_EQ(alpha.next_type(), static_cast<int>(FrameType::Result));
    EXPECT_EQ(alpha.last.as<SignalResult>().value().kind, ResultKind::Accepted);
    EXPECT_EQ(alpha.next_type(), static_cast<int>(FrameType::Result));
    EXPECT_EQ(alpha.last.as<SignalResult>().value().kind, ResultKind::Duplicate);
}

TEST_P(IngressAckWithoutJournal, GivesARepeatToTheLedgerOnceTheFirstOneHasItsAck) {
    RawSource alpha{bench};
    alpha.log_in("alpha", key_of('a'));
    ASSERT_EQ(alpha.next_type(), static_cast<int>(FrameType::Welcome));
    auto send_close = [&, frame = std::uint64_t{0}](std::uint64_t n) mutable {
        signal_wire::Submit close = submit_body(n);
        close.action = static_cast<std::uint8_t>(SignalAction::Close);
        close.target_lo = 9999;
        alpha.send_frame(FrameType::Submit, ++frame, close);
    };
    send_close(1);
    send_close(2);
    ASSERT_TRUE(bench.until([&] { return bench.engine.seq() == 2; }));
    // What had reached the disk is told; the second close waits, so the first is not yet forgotten
    // with all the others.
    bench.segment.core().durable.store(1);
    EXPECT_EQ(alpha.next_type(), static_cast<int>(FrameType::Result));
    EXPECT_EQ(alpha.last.as<SignalResult>().value().kind, ResultKind::Accepted);
    send_close(1);
    EXPECT_EQ(alpha.next_type(), static_cast<int>(FrameType::Result))
        << "a repeat of what is answered got no answer";
    EXPECT_EQ(alpha.last.as<SignalResult>().value().kind, ResultKind::Duplicate);
    EXPECT_EQ(bench.engine.seq(), 3U);
    send_close(2);
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().repeats_held == 1; }));
    EXPECT_EQ(bench.engine.seq(), 3U) << "the one without an answer is still on its way";
}

TEST_P(IngressAckWithoutJournal, RefusesMoreClosesThanItCanKeepAndForgetsThemWhenTheyAreDone) {
    IngressOptions options = default_options(AckLevel::Disk);
    options.parked_acks_max = 4;
    Bench small{options};
    small.engine.disk_slow = true;
    auto& state = small.segment.core().journal_state;
    state.store(static_cast<std::uint32_t>(GetParam()));
    SignalClient& client = small.connect("alpha", heard.callbacks());
    for (std::uint64_t n = 1; n <= 5; ++n) {
        ASSERT_TRUE(client.submit(close_signal(n)).ok());
    }
    ASSERT_TRUE(small.until([&] { return client.stats().retries >= 2; }));
    EXPECT_EQ(small.engine.accepted.size(), 4U);
    state.store(static_cast<std::uint32_t>(JournalState::Running));
    small.engine.disk_slow = false;
    ASSERT_TRUE(small.until([&] { return heard.acks.size() == 5; }));
    small.skew = seconds(1);  // the next look at what is done
    small.steps(2);
    state.store(static_cast<std::uint32_t>(GetParam()));
    ASSERT_TRUE(client.submit(close_signal(6)).ok());
    ASSERT_TRUE(small.until([&] { return small.engine.accepted.size() == 6; }));
}

INSTANTIATE_TEST_SUITE_P(States, IngressAckWithoutJournal,
                         ::testing::Values(JournalState::Down, JournalState::Poisoned,
                                           JournalState::Full),
                         [](const auto& state) {
                             return std::string{state.param == JournalState::Down   ? "Down"
                                                : state.param == JournalState::Full ? "Full"
                                                                                    : "Poisoned"};
                         });

TEST(IngressAck, RefusesNoNameForGoodBeforeTheEngineHasNamedWhatItKnows) {
    Bench bench;
    NameEntry& group = bench.segment.names().groups[0];
    NameEntry& symbol = bench.segment.names().symbols[0];
    CoreCells& core = bench.segment.core();
    core.config_hash.store(0);  // a new segment, as after a reboot
    group.ready.store(0);
    symbol.ready.store(0);
    Heard heard;
    SignalClient& client = bench.connect("alpha", heard.callbacks());
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return client.stats().retries >= 2; }));
    group.ready.store(1);
    ASSERT_TRUE(bench.until([&] { return client.stats().retries >= 4; }));
    symbol.ready.store(1);
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1; }));
    EXPECT_TRUE(heard.refusals.empty()) << "it may be a signal of before the reboot, sent again";
    EXPECT_EQ(bench.engine.accepted.size(), 1U);
}

TEST(IngressAck, TellsTheSourceOnceAndForAllWhenANameIsUnknown) {
    Bench bench;
    Heard heard;
    SignalClient& client = bench.connect("alpha", heard.callbacks());
    SignalRequest wrong = open_signal(1);
    wrong.group = "nobody";
    ASSERT_TRUE(client.submit(wrong).ok());
    ASSERT_TRUE(client.submit(open_signal(2)).ok());
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1 && heard.refusals.size() == 1; }));
    EXPECT_EQ(heard.refusals[0].reason, Reason::UnknownGroup);
    EXPECT_NE(heard.texts[0].find("\"nobody\""), std::string::npos);
    EXPECT_EQ(client.unacked(), 0U);
    EXPECT_EQ(bench.engine.accepted.size(), 1U);
}

}  // namespace
}  // namespace millrace::ingress_test
