// Goal: back-pressure is said and counted, never a loss; a source that does not read hurts itself.
// Method: small rings, a paused engine, a socket that is never read.
#include "tests/ingress/raw_source.h"

namespace millrace::ingress_test {
namespace {

using signal_wire::FrameType;

TEST(IngressPressure, RefusesWithSendAgainWhenTheRingIsFullAndTakesTheSignalLater) {
    Bench bench{default_options(), 16};
    bench.engine.paused = true;
    int acks = 0;
    int refusals = 0;
    SignalClient& client = bench.connect(
        "alpha",
        {[&](const SignalAnswer&) { ++acks; }, [&](const SignalAnswer&) { ++refusals; }, {}, {}});
    for (std::uint64_t n = 1; n <= 40; ++n) {
        ASSERT_TRUE(client.submit(open_signal(n)).ok());
    }
    ASSERT_TRUE(bench.until([&] { return client.stats().retries >= 24; }));
    EXPECT_GE(bench.stage->stats().refused_full, 24U);
    EXPECT_EQ(bench.stage->stats().signals, 16U);
    bench.engine.paused = false;
    ASSERT_TRUE(bench.until([&] { return acks == 40; }));
    EXPECT_EQ(refusals, 0);
    EXPECT_EQ(bench.engine.accepted.size(), 40U) << "each exactly once";
}

TEST(IngressPressure, SaysReasonAndRetryOnTheWireWhenTheRingIsFull) {
    Bench bench{default_options(), 2};
    bench.engine.paused = true;
    RawSource source{bench};
    source.log_in("alpha", key_of('a'));
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Welcome));
    for (std::uint64_t n = 1; n <= 3; ++n) {
        source.send_frame(FrameType::Submit, 70 + n, submit_body(n));
    }
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Refused));
    EXPECT_EQ(source.last.header.seq, 73U) << "the refusal echoes the frame's number";
    const auto refused = source.last.as<signal_wire::Refused>().value();
    EXPECT_EQ(refused.id_lo, 3U);
    EXPECT_EQ(refused.retry, 1U);
    EXPECT_EQ(refused.reason, static_cast<std::uint32_t>(Reason::QueueFull));
}

/// Publishes results of `signal` until the stage has cut a peer, at most `bound` of them.
std::uint64_t flood_results(Bench& bench, const Signal& signal, std::uint64_t bound) {
    std::uint64_t published = 0;
    while (bench.stage->stats().peers_cut == 0 && published < bound) {
        for (int i = 0; i < 64 && bench.engine.free_results() > 1; ++i, ++published) {
            bench.engine.publish(ResultKind::OrderDone, signal);
        }
        bench.step_once();
    }
    return published;
}

TEST(IngressPressure, CutsASourceThatNeverReadsWhileOthersAreServed) {
    IngressOptions options = default_options();
    options.send_buffer_bytes = 64 * 1024;
    Bench bench{options};
    int beta_acks = 0;
    SignalClient& beta =
        bench.connect("beta", {[&](const SignalAnswer&) { ++beta_acks; }, {}, {}, {}});
    RawSource deaf{bench, 4096};
    deaf.log_in("alpha", key_of('a'));
    ASSERT_EQ(deaf.next_type(), static_cast<int>(FrameType::Welcome));
    deaf.send_frame(FrameType::Submit, 1, submit_body(1));
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 1; }));

    const Signal of_alpha = bench.engine.accepted[0];
    const std::uint64_t published = flood_results(bench, of_alpha, 2'000'000);
    ASSERT_EQ(bench.stage->stats().peers_cut, 1U) << "after " << published << " results";
    EXPECT_EQ(bench.stage->peers(), 1U);

    ASSERT_TRUE(beta.submit(open_signal(2)).ok());
    ASSERT_TRUE(bench.until([&] { return beta_acks == 1; }));
    EXPECT_EQ(beta.stats().disconnects, 0U);
    // Its results go on being taken from the ring, so nothing waits for it.
    bench.engine.publish(ResultKind::OrderDone, of_alpha);
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().results_dropped > 0; }));
}

TEST(IngressPressure, CutsASourceWhoseBytesWaitForFiveSeconds) {
    Bench bench;
    RawSource deaf{bench, 4096};
    deaf.log_in("alpha", key_of('a'));
    ASSERT_EQ(deaf.next_type(), static_cast<int>(FrameType::Welcome));
    deaf.send_frame(FrameType::Submit, 1, submit_body(1));
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 1; }));
    const Signal of_alpha = bench.engine.accepted[0];
    // Until the kernel takes no more; less than the send buffer, so only time can cut it.
    bool waits = false;
    for (int i = 0; i < 200'000 && !waits; ++i) {
        bench.engine.publish(ResultKind::OrderDone, of_alpha);
        bench.step_once();
        waits = !bench.stage->drained();
    }
    ASSERT_TRUE(waits);
    ASSERT_EQ(bench.stage->stats().peers_cut, 0U);
    bench.skew = seconds(2);  // far from the limit: this machine may be slow
    bench.steps(3);
    EXPECT_EQ(bench.stage->stats().peers_cut, 0U) << "cut before its time";
    bench.skew = seconds(6);
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().peers_cut == 1; }));
    EXPECT_EQ(bench.stage->peers(), 0U);
}

TEST(IngressPressure, RefusesWithSendAgainOnceAStopIsRequested) {
    Bench bench;
    SignalClient& client = bench.connect("alpha");
    ASSERT_TRUE(bench.until([&] { return client.connected(); }));
    bench.segment.core().stop_requested.store(1);
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return client.stats().retries > 0; }));
    EXPECT_EQ(client.unacked(), 1U) << "kept for the time after the restart";
    EXPECT_TRUE(bench.engine.accepted.empty());
}

}  // namespace
}  // namespace millrace::ingress_test
