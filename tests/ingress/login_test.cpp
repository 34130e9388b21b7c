// Goal: only a source that knows its key gets in, and everyone else is told why.
// Method: real sockets; the handshake is broken at each step by hand.
#include "tests/ingress/raw_source.h"
#include "tests/shm/error_log.h"

namespace millrace::ingress_test {
namespace {

using signal_wire::FrameType;

TEST(IngressLogin, WelcomesASourceThatKnowsItsKeyAndNamesItsAckLevel) {
    Bench bench{default_options(AckLevel::Disk)};
    RawSource source{bench};
    source.log_in("alpha", key_of('a'));
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Welcome));
    const auto welcome = source.last.as<signal_wire::Welcome>().value();
    EXPECT_EQ(welcome.source_id, 1U);
    EXPECT_EQ(welcome.ack_level, 1U);
}

TEST(IngressLogin, DeniesAWrongKeyByNameAndEndsTheConnection) {
    Bench bench;
    RawSource source{bench};
    source.log_in("alpha", key_of('x'));
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Denied));
    EXPECT_NE(source.denied_reason().find("\"alpha\""), std::string::npos);
    EXPECT_EQ(source.next_type(), 0) << "the stream must end after Denied";
    EXPECT_EQ(bench.stage->stats().logins_denied, 1U);
}

TEST(IngressLogin, DeniesAnUnknownSourceWithTheSameWordsAsAWrongKey) {
    Bench bench;
    RawSource wrong_key{bench};
    wrong_key.log_in("alpha", key_of('x'));
    ASSERT_EQ(wrong_key.next_type(), static_cast<int>(FrameType::Denied));
    RawSource unknown{bench};
    unknown.log_in("omega", key_of('x'));
    ASSERT_EQ(unknown.next_type(), static_cast<int>(FrameType::Denied));
    std::string a = wrong_key.denied_reason();
    const std::string b = unknown.denied_reason();
    a.replace(a.find("alpha"), 5, "omega");
    EXPECT_EQ(a, b) << "a stranger must not learn which names exist";
}

TEST(IngressLogin, DeniesAReplayedLoginBecauseEachChallengeIsNew) {
    Bench bench;
    RawSource first{bench};
    const auto one = first.next()->as<signal_wire::Challenge>().value();
    RawSource second{bench};
    const auto two = second.next()->as<signal_wire::Challenge>().value();
    EXPECT_NE(0, std::memcmp(one.nonce, two.nonce, sizeof one.nonce));
    signal_wire::Login login{};
    std::memcpy(login.source, "alpha", 5);
    wire::hmac_sha256(key_of('a'), std::as_bytes(std::span{one.nonce}),
                      std::as_bytes(std::span{login.source}), login.mac);
    second.send_frame(FrameType::Login, 0, login);
    EXPECT_EQ(second.next_type(), static_cast<int>(FrameType::Denied));
}

TEST(IngressLogin, DeniesASubmitBeforeTheLogin) {
    Bench bench;
    RawSource source{bench};
    source.send_frame(FrameType::Submit, 1, submit_body(1));
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Challenge));
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Denied));
    EXPECT_NE(source.denied_reason().find("Login"), std::string::npos);
    EXPECT_TRUE(bench.engine.accepted.empty());
}

TEST(IngressLogin, KeepsWhatStrangersChooseOutOfTheErrorLog) {
    Bench bench;
    for (int i = 0; i < 20; ++i) {
        RawSource stranger{bench};
        stranger.log_in("stranger" + std::to_string(i), key_of('x'));
        ASSERT_EQ(stranger.next_type(), static_cast<int>(FrameType::Denied));
    }
    for (int i = 0; i < 5; ++i) {
        RawSource noise{bench};
        ASSERT_EQ(noise.next_type(), static_cast<int>(FrameType::Challenge));
        noise.send_frame(static_cast<FrameType>(100 + i), 0, submit_body(1));
        ASSERT_EQ(noise.next_type(), static_cast<int>(FrameType::Denied));
    }
    RawSource mistaken{bench};
    mistaken.log_in("alpha", key_of('x'));
    ASSERT_EQ(mistaken.next_type(), static_cast<int>(FrameType::Denied));
    EXPECT_EQ(test::error_log(bench.segment),
              "20 x connection denied: login of a source that is not configured\n"
              "5 x connection denied: the first frame must be Login (2)\n"
              "1 x connection denied: login of source alpha with a wrong key\n");
}

TEST(IngressLogin, EndsAConnectionThatNeverLogsIn) {
    Bench bench;
    RawSource source{bench};
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Challenge));
    bench.skew = seconds(6);
    ASSERT_EQ(source.next_type(), static_cast<int>(FrameType::Denied));
    EXPECT_EQ(source.next_type(), 0);
}

TEST(IngressLogin, CutsASourceThatFellSilentAndFreesItsPlace) {
    IngressOptions options = default_options();
    options.connections_max = 1;
    Bench bench{options};
    RawSource silent{bench};
    silent.log_in("alpha", key_of('a'));
    ASSERT_EQ(silent.next_type(), static_cast<int>(FrameType::Welcome));
    bench.skew = seconds(11);
    EXPECT_EQ(silent.next_type(), 0);
    EXPECT_EQ(bench.stage->stats().peers_cut, 1U);
    RawSource next{bench};
    next.log_in("alpha", key_of('a'));
    EXPECT_EQ(next.next_type(), static_cast<int>(FrameType::Welcome));
}

TEST(IngressLogin, TurnsAwayAConnectionBeyondTheLimitAndTellsIt) {
    IngressOptions options = default_options();
    options.connections_max = 1;
    Bench bench{options};
    RawSource first{bench};
    first.log_in("alpha", key_of('a'));
    ASSERT_EQ(first.next_type(), static_cast<int>(FrameType::Welcome));
    RawSource second{bench};
    ASSERT_EQ(second.next_type(), static_cast<int>(FrameType::Denied));
    EXPECT_NE(second.denied_reason().find("connections_max"), std::string::npos);
    EXPECT_EQ(second.next_type(), 0);
    EXPECT_EQ(bench.stage->peers(), 1U);
}

TEST(IngressLogin, RefusesToStartWithAShortKeyOrARepeatedSourceByName) {
    TempDir dir;
    Segment segment = make_segment(dir);
    std::string message;
    IngressOptions options = default_options();
    options.sources[1].key.resize(3);
    EXPECT_EQ(IngressStage::create(segment, options, message).code(), Errc::BadInput);
    EXPECT_NE(message.find("beta"), std::string::npos);
    EXPECT_NE(message.find("16"), std::string::npos);
    options = default_options();
    options.sources[1].name = "alpha";
    EXPECT_EQ(IngressStage::create(segment, options, message).code(), Errc::BadInput);
    EXPECT_NE(message.find("alpha"), std::string::npos);
}

}  // namespace
}  // namespace millrace::ingress_test
