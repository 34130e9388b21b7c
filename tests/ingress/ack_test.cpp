// Goal: a source is told "accepted" when its level holds, and never before.
// Method: an engine stand-in answers at once while the test holds the durable mark back.
#include "tests/ingress/raw_source.h"

namespace millrace::ingress_test {
namespace {

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

TEST(IngressAck, RefusesEntriesWhileTheJournalIsNotRunningAndTakesThemAfterwards) {
    Bench bench;
    auto& state = bench.segment.core().journal_state;
    state.store(static_cast<std::uint32_t>(JournalState::Full));
    Heard heard;
    SignalClient& client = bench.connect("alpha", heard.callbacks());
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return client.stats().retries >= 2; }));
    EXPECT_TRUE(bench.engine.accepted.empty());
    state.store(static_cast<std::uint32_t>(JournalState::Running));
    ASSERT_TRUE(bench.until([&] { return heard.acks.size() == 1; }));
    EXPECT_TRUE(heard.refusals.empty()) << "\"send again\" is no refusal to the source";
}

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
