// Goal: the protocol's bytes never change unnoticed, and its document never lies.
// Method: the hex frames of gateway/SIGNALS.md against frames built from the structs.
#include "gateway/frame.h"
#include "gateway/signal_wire.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <vector>

namespace millrace {
namespace {

using namespace signal_wire;
using Bytes = std::vector<std::byte>;

/// The document's ```hex NAME blocks.
std::map<std::string, Bytes> documented_frames() {
    std::ifstream in{SIGNALS_MD};
    EXPECT_TRUE(in) << SIGNALS_MD;
    std::map<std::string, Bytes> frames;
    Bytes* block = nullptr;
    for (std::string line; std::getline(in, line);) {
        if (line.rfind("```hex ", 0) == 0) {
            block = &frames[line.substr(7)];
        } else if (line.rfind("```", 0) == 0) {
            block = nullptr;
        } else if (block != nullptr) {
            std::istringstream words{line};
            for (std::string w; words >> w;) {
                block->push_back(static_cast<std::byte>(std::stoul(w, nullptr, 16)));
            }
        }
    }
    return frames;
}

Bytes frame_of(FrameType type, std::uint64_t seq, std::span<const std::byte> body) {
    Bytes frame(wire::kFrameBytesMax);
    frame.resize(wire::encode_bytes(frame, static_cast<std::uint8_t>(type), kVersion, seq, body));
    return frame;
}
template <class Body>
Bytes frame_of(FrameType type, std::uint64_t seq, const Body& body) {
    return frame_of(type, seq, std::as_bytes(std::span{&body, 1}));
}

constexpr std::int64_t kNewYear = 1'767'225'600'000'000'000;  // 2026-01-01 00:00:00 UTC
constexpr std::uint64_t kHi = 0x0123456789abcdefULL;
constexpr std::uint64_t kLo = 0xfedcba9876543210ULL;

class SignalsDocument : public ::testing::Test {
protected:
    std::map<std::string, Bytes> documented_ = documented_frames();
};

TEST_F(SignalsDocument, ShowsTheHandshakeAsItIsOnTheWire) {
    Challenge challenge{};
    for (std::size_t i = 0; i < sizeof challenge.nonce; ++i) {
        challenge.nonce[i] = static_cast<std::uint8_t>(i);
    }
    challenge.server_time_ns = kNewYear;
    EXPECT_EQ(documented_["Challenge"], frame_of(FrameType::Challenge, 0, challenge));

    Bytes key(32);
    for (std::size_t i = 0; i < key.size(); ++i) {
        key[i] = static_cast<std::byte>(0x20 + i);
    }
    Login login{};
    std::memcpy(login.source, "alpha", 5);
    wire::hmac_sha256(key, std::as_bytes(std::span{challenge.nonce}),
                      std::as_bytes(std::span{login.source}), login.mac);
    EXPECT_EQ(documented_["Login"], frame_of(FrameType::Login, 0, login));
    EXPECT_EQ(documented_["Welcome"],
              frame_of(FrameType::Welcome, 0, Welcome{3, 1, kNewYear + 1'000'000}));
    EXPECT_EQ(documented_["Heartbeat"],
              frame_of(FrameType::Heartbeat, 0, std::span<const std::byte>{}));
}

TEST_F(SignalsDocument, ShowsASignalAndItsAnswersAsTheyAreOnTheWire) {
    Submit submit{};
    submit.id_hi = kHi;
    submit.id_lo = kLo;
    std::memcpy(submit.group, "main", 4);
    std::memcpy(submit.symbol, "EURUSD", 6);
    submit.action = 1;
    submit.ttl_ms = 5'000;
    submit.volume = 10'000'000;
    submit.stop_loss = 107'500'000;
    submit.reference_price = 108'123'000;
    submit.send_time_ns = kNewYear + 2'000'000;
    EXPECT_EQ(documented_["Submit"], frame_of(FrameType::Submit, 1, submit));

    SignalResult result;
    result.seq = Sequence{42};
    result.kind = ResultKind::Accepted;
    result.signal = {kHi, kLo};
    result.source = SourceId{3};
    result.time = Nanos{kNewYear + 2'100'000};
    result.edge_time = Nanos{kNewYear + 2'050'000};
    EXPECT_EQ(documented_["Result"], frame_of(FrameType::Result, 0, result));
}

TEST_F(SignalsDocument, ShowsRefusalsWithTheTextsThatTheStageSends) {
    for (const auto& [name, reason_at] :
         {std::pair<const char*, std::size_t>{"Refused", 24}, {"Denied", 0}}) {
        const Bytes& frame = documented_[name];
        ASSERT_GT(frame.size(), sizeof(wire::FrameHeader) + reason_at) << name;
        wire::FrameHeader header;
        std::memcpy(&header, frame.data(), sizeof header);
        EXPECT_EQ(header.bytes, frame.size()) << name;
        EXPECT_EQ(header.crc32c, wire::frame_crc(frame)) << name;
        EXPECT_EQ(frame.back(), std::byte{0}) << name << ": text must end inside the field";
    }
    EXPECT_EQ(documented_["Refused"].size(), wire::kFrameBytes<Refused>);
    EXPECT_EQ(documented_["Denied"].size(), wire::kFrameBytes<Denied>);
}

TEST(SignalWire, KeepsItsLayout) {
    EXPECT_EQ(sizeof(Challenge), 40U);
    EXPECT_EQ(sizeof(Login), 48U);
    EXPECT_EQ(sizeof(Welcome), 16U);
    EXPECT_EQ(sizeof(Denied), 96U);
    EXPECT_EQ(sizeof(Submit), 120U);
    EXPECT_EQ(offsetof(Submit, action), 64U);
    EXPECT_EQ(offsetof(Submit, volume), 72U);
    EXPECT_EQ(offsetof(Submit, send_time_ns), 112U);
    EXPECT_EQ(sizeof(SignalResult), 104U);
    EXPECT_EQ(offsetof(SignalResult, magic), 88U);
    EXPECT_EQ(sizeof(Refused), 120U);
    EXPECT_EQ(offsetof(Refused, text), 24U);
}

}  // namespace
}  // namespace millrace
