// Goal: nothing a source submitted is lost or done twice, whoever dies in between.
// Method: the stage is destroyed and made again on the same segment at many moments; clients are
// replaced by new ones on the same ack log.
#include "tests/ingress/raw_source.h"

#include <cstdlib>
#include <set>

namespace millrace::ingress_test {
namespace {

TEST(SignalClient, ResendsWhatHasNoAckAfterAReconnect) {
    Bench bench{default_options(AckLevel::Disk)};
    bench.engine.disk_slow = true;
    int acks = 0;
    SignalClient& client =
        bench.connect("alpha", {[&](const SignalAnswer&) { ++acks; }, {}, {}, {}});
    for (std::uint64_t n = 1; n <= 10; ++n) {
        ASSERT_TRUE(client.submit(open_signal(n)).ok());
    }
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 10; }));
    bench.steps(10);  // acks are parked in the stage, and die with it
    bench.stop_stage();
    bench.steps(5);
    bench.engine.disk_slow = false;
    bench.start_stage();
    ASSERT_TRUE(bench.until([&] { return acks == 10; }));
    EXPECT_EQ(client.stats().duplicates, 10U);
    EXPECT_EQ(bench.engine.accepted.size(), 10U) << "the ledger knew them";
    EXPECT_EQ(client.unacked(), 0U);
}

TEST(SignalClient, LosesNothingOverManyRestartsOfIngressUnderLoad) {
    Bench bench{default_options(AckLevel::Disk), 64, 64};
    std::set<SignalId> acked;
    SignalClient& client =
        bench.connect("alpha", {[&](const SignalAnswer& a) { acked.insert(a.id); }, {}, {}, {}});
    std::uint64_t submitted = 0;
    for (int round = 0; round < 25; ++round) {
        for (int i = 0; i < 40; ++i) {
            ASSERT_TRUE(client.submit(open_signal(++submitted)).ok());
            if (i % (round + 3) == 0) {
                bench.step_once();
            }
        }
        bench.stop_stage();
        bench.steps(round % 4);
        bench.start_stage();
    }
    ASSERT_TRUE(bench.until([&] { return acked.size() == submitted; }))
        << acked.size() << " of " << submitted;
    EXPECT_EQ(bench.engine.accepted.size(), submitted) << "each accepted exactly once";
    EXPECT_EQ(client.unacked(), 0U);
    EXPECT_GE(client.stats().connects, 2U);
}

TEST(SignalClient, HoldsACloseBackUntilItsOpeningIsAcknowledged) {
    Bench bench{default_options(), 4};
    bench.engine.paused = true;
    SignalClient& client = bench.connect("alpha");
    // The ring takes four; the fifth is the opening signal, refused with "send again".
    for (std::uint64_t n = 1; n <= 5; ++n) {
        ASSERT_TRUE(client.submit(open_signal(n)).ok());
    }
    SignalRequest close = open_signal(6);
    close.action = SignalAction::Close;
    close.target = open_signal(5).id;
    ASSERT_TRUE(client.submit(close).ok());
    ASSERT_TRUE(bench.until([&] { return client.stats().retries > 0; }));
    bench.engine.paused = false;
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 6; }));
    EXPECT_EQ(bench.engine.accepted.back().id, close.id) << "the close overtook its opening";
    ASSERT_TRUE(bench.until([&] { return client.unacked() == 0; }));
}

TEST(SignalClient, ConnectsOnceIngressIsThereAndSaysUntilThenWhyNot) {
    Bench bench;
    const SignalClientOptions options = bench.client_options("alpha");
    bench.stop_stage();
    SignalClient& client = bench.connect(options);
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return !client.last_error().empty(); }));
    EXPECT_NE(client.last_error().find("cannot connect"), std::string::npos);
    bench.start_stage();
    ASSERT_TRUE(bench.until([&] { return client.unacked() == 0; }));
}

TEST(SignalClient, ReportsADenialWithTheServersReason) {
    Bench bench;
    SignalClientOptions options = bench.client_options("alpha");
    options.key = key_of('x');
    std::string why;
    SignalClient& client =
        bench.connect(options, {{}, {}, {}, [&](bool, std::string_view w) { why = w; }});
    ASSERT_TRUE(bench.until([&] { return !why.empty(); }));
    EXPECT_NE(why.find("wrong key"), std::string::npos);
    EXPECT_FALSE(client.connected());
}

TEST(SignalClient, RefusesWhatItCouldNotKeepApart) {
    Bench bench;
    SignalClientOptions options = bench.client_options("alpha");
    options.unacked_max = 2;
    SignalClient& client = bench.connect(options);
    EXPECT_EQ(client.submit(SignalRequest{}).code(), Errc::BadInput);
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    EXPECT_EQ(client.submit(open_signal(1)).code(), Errc::BadInput) << "still unanswered";
    SignalRequest spaced = open_signal(2);
    spaced.group = "two words";
    EXPECT_EQ(client.submit(spaced).code(), Errc::BadInput);
    ASSERT_TRUE(client.submit(open_signal(2)).ok());
    EXPECT_EQ(client.submit(open_signal(3)).code(), Errc::Busy);
    ASSERT_TRUE(bench.until([&] { return client.unacked() == 0; }));
    EXPECT_TRUE(client.submit(open_signal(3)).ok());
}

TEST(SignalClient, GoesOnFromItsAckLogAfterItsOwnDeath) {
    Bench bench;
    SignalClientOptions options = bench.client_options("alpha");
    options.ack_log = bench.dir.file("alpha.acks");
    options.resume_ack_log = true;
    {
        SignalClient& first = bench.connect(options);
        ASSERT_TRUE(first.submit(open_signal(1)).ok());
        ASSERT_TRUE(bench.until([&] { return first.unacked() == 0; }));
        bench.engine.paused = true;
        for (std::uint64_t n = 2; n <= 5; ++n) {
            SignalRequest r = open_signal(n);
            r.stop_loss = Price{static_cast<std::int64_t>(n)};
            ASSERT_TRUE(first.submit(r).ok());
        }
        bench.clients.clear();
    }
    bench.engine.paused = false;
    SignalClient& second = bench.connect(options);
    EXPECT_EQ(second.unacked(), 4U);
    ASSERT_TRUE(bench.until([&] { return second.unacked() == 0; }));
    ASSERT_EQ(bench.engine.accepted.size(), 5U);
    EXPECT_EQ(bench.engine.accepted[4].stop_loss, Price{5});
    std::string message;
    const auto log = read_ack_log(options.ack_log, message);
    ASSERT_TRUE(log.ok()) << message;
    EXPECT_TRUE(log.value().unanswered().empty());
}

TEST(SignalClient, TellsOfAnAcceptanceThatFollowsTheRefusalOfAnEarlierCopy) {
    Bench bench;
    bench.engine.paused = true;
    std::vector<AckLogKind> told;
    SignalClientOptions options = bench.client_options("alpha");
    options.ack_log = bench.dir.file("alpha.acks");
    SignalClient& client =
        bench.connect(options, {[&](const SignalAnswer& a) { told.push_back(a.kind); },
                                [&](const SignalAnswer& a) { told.push_back(a.kind); },
                                {},
                                {}});
    ASSERT_TRUE(client.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().signals == 1; }));
    bench.stop_stage();
    bench.start_stage();
    ASSERT_TRUE(bench.until([&] { return bench.stage->stats().signals == 1; })) << "second copy";
    bench.engine.refuse_next = 1;  // the reason passes between the copies
    bench.engine.paused = false;
    ASSERT_TRUE(bench.until([&] { return told.size() == 2; }));
    EXPECT_EQ(told, (std::vector{AckLogKind::Refused, AckLogKind::Accepted}));
    std::string message;
    const auto log = read_ack_log(options.ack_log, message);
    ASSERT_TRUE(log.ok()) << message;
    EXPECT_EQ(log.value().entries.back().kind, AckLogKind::Accepted);
    EXPECT_NE(log.value().entries.back().request.send_time.value, 0);
}

/// A wall clock that a test can step.
std::atomic<std::int64_t> g_step_ns{0};
std::int64_t stepped_wall_ns() noexcept {
    return wall_ns() + g_step_ns.load();
}

TEST(SignalClient, StampsByTheWallClockOfTheMomentHoweverItWasSteppedSinceItsStart) {
    constexpr std::int64_t kHour = 3'600'000'000'000;
    // Wrong by an hour when the client starts; put right while a signal waits for a connection.
    for (const std::int64_t wrong : {-kHour, kHour}) {
        SCOPED_TRACE(wrong);
        Bench bench;
        SignalClientOptions options = bench.client_options("alpha");
        options.wall_clock = stepped_wall_ns;
        options.ack_log = bench.dir.file("alpha.acks");
        g_step_ns.store(wrong);
        std::vector<SignalAnswer> answers;
        SignalClient& client = bench.connect(
            options, {[&](const SignalAnswer& a) { answers.push_back(a); }, {}, {}, {}});
        const Nanos before{wall_ns()};
        ASSERT_TRUE(client.submit(open_signal(1)).ok()) << "before the first connection";
        g_step_ns.store(0);
        ASSERT_TRUE(client.submit(open_signal(2)).ok());
        SignalRequest own = open_signal(3);
        own.send_time = Nanos{wall_ns()} - seconds(7);
        ASSERT_TRUE(client.submit(own).ok());
        ASSERT_TRUE(bench.until([&] { return answers.size() == 3; }));
        const Nanos after{wall_ns()};
        ASSERT_EQ(bench.engine.accepted.size(), 3U);
        // 0 would be a stamp ahead of the server's clock, which counts receipt instead.
        for (const std::size_t i : {0U, 1U}) {
            const Nanos sent = bench.engine.accepted[i].send_time;
            EXPECT_GE(sent, before - millis(10)) << "signal " << i + 1;
            EXPECT_LE(sent, after + millis(10)) << "signal " << i + 1;
        }
        const Nanos off = bench.engine.accepted[2].send_time - own.send_time;
        EXPECT_LE(std::abs(off.value), millis(10).value) << "a caller's own stamp is wall time";
        for (const SignalAnswer& a : answers) {
            EXPECT_GE(a.ack_time, a.send_time) << "one clock for both, stepped or not";
            EXPECT_LT(a.ack_time - a.send_time, seconds(60));
        }
        std::string message;
        const auto log = read_ack_log(options.ack_log, message);
        ASSERT_TRUE(log.ok()) << message;
        for (const AckLogEntry& entry : log.value().entries) {
            if (entry.request.id == own.id) {
                EXPECT_LE(std::abs((entry.request.send_time - own.send_time).value),
                          millis(20).value)
                    << to_string(entry.kind) << ": whoever reads it has another clock";
            }
        }
    }
    g_step_ns.store(0);
}

TEST(SignalClient, ReachesEveryConnectionOfASource) {
    Bench bench;
    int first_results = 0;
    int second_results = 0;
    SignalClient& first =
        bench.connect("alpha", {{}, {}, [&](const SignalResult&) { ++first_results; }, {}});
    SignalClient& second =
        bench.connect("alpha", {{}, {}, [&](const SignalResult&) { ++second_results; }, {}});
    ASSERT_TRUE(bench.until([&] { return first.connected() && second.connected(); }));
    ASSERT_TRUE(first.submit(open_signal(1)).ok());
    ASSERT_TRUE(bench.until([&] { return bench.engine.accepted.size() == 1; }));
    bench.engine.publish(ResultKind::SignalDone, bench.engine.accepted[0]);
    ASSERT_TRUE(bench.until([&] { return first_results == 1 && second_results == 1; }));
}

}  // namespace
}  // namespace millrace::ingress_test
