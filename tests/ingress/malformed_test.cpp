// Goal: no bytes from a peer can crash the stage, slip a signal in, or disturb another source.
// Method: each kind of broken frame once, then seeded noise and mutations of good frames.
#include "tests/ingress/raw_source.h"

#include <random>

namespace millrace::ingress_test {
namespace {

using signal_wire::FrameType;

/// A logged-in source whose next frame the test breaks.
struct Broken : Bench {
    Broken() : source{*this} {
        source.log_in("alpha", key_of('a'));
        EXPECT_EQ(source.next_type(), static_cast<int>(FrameType::Welcome));
    }
    void expect_denied(const std::string& words) {
        ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Denied));
        EXPECT_NE(source.denied_reason().find(words), std::string::npos) << source.denied_reason();
        EXPECT_EQ(source.next_type(), 0) << "the connection must end";
        EXPECT_EQ(stage->stats().malformed, 1U);
        EXPECT_TRUE(engine.accepted.empty());
    }
    std::vector<std::byte> good_frame() {
        std::vector<std::byte> frame(wire::kFrameBytes<signal_wire::Submit>);
        EXPECT_EQ(wire::encode(frame, FrameType::Submit, signal_wire::kVersion, 1, submit_body(1)),
                  frame.size());
        return frame;
    }
    RawSource source;
};

TEST(IngressMalformed, DeniesAFrameWithOneFlippedBit) {
    Broken t;
    auto frame = t.good_frame();
    frame[40] ^= std::byte{1};
    t.source.send(frame.data(), frame.size());
    t.expect_denied("CRC32C");
}

TEST(IngressMalformed, DeniesALengthBeyondTheLimit) {
    Broken t;
    auto frame = t.good_frame();
    frame[2] = std::byte{0xFF};
    t.source.send(frame.data(), frame.size());
    t.expect_denied("1024");
}

TEST(IngressMalformed, DeniesAnotherProtocolVersion) {
    Broken t;
    std::byte frame[wire::kFrameBytes<signal_wire::Submit>];
    t.source.send(frame, wire::encode(frame, FrameType::Submit, signal_wire::kVersion + 1, 1,
                                      submit_body(1)));
    t.expect_denied("version");
}

TEST(IngressMalformed, DeniesASubmitWithABodyOfAnotherSize) {
    Broken t;
    t.source.send_frame(FrameType::Submit, 1, signal_wire::Welcome{});
    t.expect_denied("120");
}

TEST(IngressMalformed, DeniesAFrameThatOnlyTheServerSends) {
    Broken t;
    t.source.send_frame(FrameType::Welcome, 1, signal_wire::Welcome{});
    t.expect_denied("unexpected frame type 3");
}

TEST(IngressMalformed, TakesFramesThatArriveByteByByte) {
    Broken t;
    const auto frame = t.good_frame();
    for (const std::byte b : frame) {
        t.source.send(&b, 1);
        t.step_once();
    }
    ASSERT_TRUE(t.until([&] { return t.engine.accepted.size() == 1; }));
}

TEST(IngressMalformed, SurvivesNoiseWhileAnotherSourceIsServed) {
    constexpr unsigned kSeed = 20'261'121;
    SCOPED_TRACE("seed " + std::to_string(kSeed));
    std::mt19937 random{kSeed};
    Bench bench;
    int acks = 0;
    SignalClient& beta = bench.connect("beta", {[&](const SignalAnswer&) { ++acks; }, {}, {}, {}});
    for (int round = 0; round < 60; ++round) {
        RawSource noisy{bench};
        noisy.log_in("alpha", key_of('a'));
        ASSERT_EQ(noisy.next_type(), static_cast<int>(FrameType::Welcome));
        std::vector<unsigned char> noise(1 + random() % 3000);
        for (auto& b : noise) {
            b = static_cast<unsigned char>(random());
        }
        if (round % 2 == 0) {
            // A plausible length makes the decoder look further in.
            noise.resize(std::max<std::size_t>(noise.size(), 200));
            noise[0] = static_cast<unsigned char>(24 + random() % 160);
            noise[1] = noise[2] = noise[3] = 0;
            noise[5] = signal_wire::kVersion;
        }
        noisy.send(noise.data(), noise.size());
        ASSERT_TRUE(beta.submit(open_signal(static_cast<std::uint64_t>(round) + 1)).ok());
        ASSERT_TRUE(bench.until([&] { return acks == round + 1; }));
    }
    for (const Signal& s : bench.engine.accepted) {
        EXPECT_EQ(s.source, SourceId{2}) << "noise became a signal";
    }
    EXPECT_EQ(beta.stats().disconnects, 0U);
}

TEST(IngressMalformed, ChecksEveryFieldOfAWellFramedRandomSubmit) {
    constexpr unsigned kSeed = 77;
    SCOPED_TRACE("seed " + std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    Broken t;
    int taken = 0;
    for (std::uint64_t n = 1; n <= 500; ++n) {
        signal_wire::Submit s = submit_body(n);
        auto* bytes = reinterpret_cast<unsigned char*>(&s);
        for (unsigned hits = 1 + random() % 4; hits > 0; --hits) {
            bytes[16 + random() % (sizeof s - 16)] = static_cast<unsigned char>(random());
        }
        t.source.send_frame(FrameType::Submit, n, s);
        // Each gets an answer: a Result (accepted) or Refused.
        const int type = t.source.next_type();
        ASSERT_TRUE(type == static_cast<int>(FrameType::Result) ||
                    type == static_cast<int>(FrameType::Refused))
            << "frame " << n << " was answered with type " << type;
        taken += type == static_cast<int>(FrameType::Result) ? 1 : 0;
    }
    for (const Signal& s : t.engine.accepted) {
        Refusal why;
        EXPECT_TRUE(check_signal(s, t.segment.clock().now(), why)) << why.text;
        EXPECT_LT(s.group.value, kNamesPerKind);
        EXPECT_LT(s.symbol.value, kNamesPerKind);
    }
    EXPECT_EQ(static_cast<std::size_t>(taken), t.engine.accepted.size());
}

}  // namespace
}  // namespace millrace::ingress_test
