// Goal: the frame codec neither loses nor invents a frame, whatever bytes arrive and however they
// are cut. Method: known answers, every cut position, every flipped byte, random bytes by seed.
#include "gateway/frame.h"
#include "gateway/bridge_wire.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::wire {
namespace {

constexpr std::uint8_t kVersion = bridge::kVersion;
using SmallReader = BasicFrameReader<2 * kFrameBytesMax>;

std::vector<std::byte> frame_of(std::uint64_t seq, const bridge::RxAck& body) {
    std::vector<std::byte> out(kFrameBytes<bridge::RxAck>);
    EXPECT_EQ(encode(out, bridge::FrameType::RxAck, kVersion, seq, body), out.size());
    return out;
}

void feed(SmallReader& reader, std::span<const std::byte> bytes) {
    ASSERT_LE(bytes.size(), reader.space().size());
    std::memcpy(reader.space().data(), bytes.data(), bytes.size());
    reader.filled(bytes.size());
}

TEST(Frame, HasTheChecksumAndBytesOfTheDocumentedExample) {
    const auto bytes = frame_of(7, bridge::RxAck{42});
    ASSERT_EQ(bytes.size(), 32U);
    EXPECT_EQ(std::to_integer<int>(bytes[0]), 32);
    EXPECT_EQ(std::to_integer<int>(bytes[4]), 6);
    EXPECT_EQ(std::to_integer<int>(bytes[16]), 7);
    EXPECT_EQ(std::to_integer<int>(bytes[24]), 42);
    // gateway/BRIDGE.md, "Worked examples", RX_ACK.
    FrameHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    EXPECT_EQ(header.crc32c, 0x5145BCE3U);
}

TEST(Frame, ArrivesWholeWhereverTheStreamIsCut) {
    auto stream = frame_of(1, bridge::RxAck{10});
    const auto second = frame_of(2, bridge::RxAck{20});
    stream.insert(stream.end(), second.begin(), second.end());
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        SmallReader reader{kVersion};
        std::vector<std::uint64_t> seqs;
        const auto whole = std::span<const std::byte>{stream};
        for (const auto part : {whole.first(cut), whole.subspan(cut)}) {
            feed(reader, part);
            for (auto r = reader.next(); r.ok() && r.value() != nullptr; r = reader.next()) {
                seqs.push_back(r.value()->header.seq);
                EXPECT_TRUE(r.value()->as<bridge::RxAck>().ok());
            }
        }
        EXPECT_EQ(seqs, (std::vector<std::uint64_t>{1, 2})) << "cut at " << cut;
    }
}

TEST(Frame, IsNeverHandedOutWithAnyOneBitFlipped) {
    const auto good = frame_of(3, bridge::RxAck{30});
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        auto bad = good;
        bad[bit / 8] ^= std::byte{static_cast<unsigned char>(1U << (bit % 8))};
        SmallReader reader{kVersion};
        feed(reader, bad);
        const auto result = reader.next();
        EXPECT_TRUE(!result.ok() || result.value() == nullptr) << "bit " << bit;
    }
}

TEST(Frame, NamesTheBrokenLengthVersionAndChecksumAndStaysBroken) {
    struct Case {
        std::size_t byte;
        unsigned char value;
        Errc code;
    };
    for (const Case& c : {Case{0, 23, Errc::BadFrame}, Case{1, 5, Errc::BadFrame},
                          Case{5, 9, Errc::BadVersion}, Case{24, 1, Errc::BadChecksum}}) {
        auto bytes = frame_of(3, bridge::RxAck{30});
        bytes[c.byte] = std::byte{c.value};
        SmallReader reader{kVersion};
        feed(reader, bytes);
        EXPECT_EQ(reader.next().code(), c.code);
        feed(reader, frame_of(4, bridge::RxAck{40}));
        EXPECT_EQ(reader.next().code(), c.code) << "a broken stream must stay broken";
        reader.reset();
        feed(reader, frame_of(5, bridge::RxAck{50}));
        ASSERT_TRUE(reader.next().ok());
    }
}

TEST(Frame, RefusesABodyOfAnotherSizeThanItsTypeHas) {
    SmallReader reader{kVersion};
    feed(reader, frame_of(1, bridge::RxAck{1}));
    const auto frame = reader.next();
    ASSERT_TRUE(frame.ok());
    EXPECT_EQ(frame.value()->as<bridge::Command>().code(), Errc::BadFrame);
}

TEST(Frame, IsNotWrittenWhenItDoesNotFit) {
    std::vector<std::byte> small(kFrameBytes<bridge::RxAck> - 1);
    EXPECT_EQ(encode(small, bridge::FrameType::RxAck, kVersion, 1, bridge::RxAck{1}), 0U);
    std::vector<std::byte> body(kFrameBytesMax);
    std::vector<std::byte> out(2 * kFrameBytesMax);
    EXPECT_EQ(encode_bytes(out, 1, kVersion, 0, body), 0U);
}

TEST(Frame, SurvivesRandomBytesInRandomPieces) {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        std::mt19937 random{seed};
        SmallReader reader{kVersion};
        std::size_t handed_out = 0;
        for (int piece = 0; piece < 40; ++piece) {
            auto room = reader.space();
            const std::size_t n = std::min<std::size_t>(room.size(), random() % 200);
            for (auto& byte : room.first(n)) {
                byte = std::byte{static_cast<unsigned char>(random())};
            }
            if (n >= 6 && random() % 2 == 0) {  // make a plausible header, so that it gets deeper
                const auto bytes = static_cast<std::uint32_t>(24 + random() % 100);
                std::memcpy(room.data(), &bytes, sizeof bytes);
                room[5] = std::byte{kVersion};
            }
            reader.filled(n);
            for (auto r = reader.next(); r.ok() && r.value() != nullptr; r = reader.next()) {
                ++handed_out;
            }
        }
        EXPECT_EQ(handed_out, 0U) << "seed " << seed << ": noise passed the checksum";
    }
}

TEST(Frame, LongStreamThroughTheSmallestBufferKeepsItsOrder) {
    SmallReader reader{kVersion};
    std::vector<std::byte> stream;
    for (std::uint64_t seq = 1; seq <= 2000; ++seq) {
        const auto one = frame_of(seq, bridge::RxAck{seq});
        stream.insert(stream.end(), one.begin(), one.end());
    }
    std::mt19937 random{5};
    std::uint64_t expected = 1;
    for (std::size_t at = 0; at < stream.size();) {
        auto room = reader.space();
        ASSERT_FALSE(room.empty());
        const std::size_t n = std::min({room.size(), stream.size() - at, 1 + random() % 700});
        std::memcpy(room.data(), stream.data() + at, n);
        reader.filled(n);
        at += n;
        for (auto r = reader.next(); r.ok() && r.value() != nullptr; r = reader.next()) {
            ASSERT_EQ(r.value()->header.seq, expected++);
        }
    }
    EXPECT_EQ(expected, 2001U);
}

TEST(Frame, HmacMatchesRfc4231Case2AndAnyChangeIsSeen) {
    const auto bytes = [](std::string_view s) {
        return std::as_bytes(std::span{s.data(), s.size()});
    };
    Mac mac;
    hmac_sha256(bytes("Jefe"), bytes("what do ya want "), bytes("for nothing?"), mac);
    const Mac expected = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                          0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                          0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    EXPECT_TRUE(same_mac(mac, expected));
    mac[31] ^= 1;
    EXPECT_FALSE(same_mac(mac, expected));
}

TEST(Frame, DocumentedExamplesAreFramesOfThisCodec) {
    std::ifstream document{MILLRACE_SOURCE_DIR "/gateway/BRIDGE.md"};
    ASSERT_TRUE(document) << "gateway/BRIDGE.md";
    BasicFrameReader<4 * kFrameBytesMax> reader{kVersion};
    std::string types;
    for (std::string line; std::getline(document, line);) {
        const bool is_dump = line.size() > 10 && line.starts_with("    0") && line[8] == ' ';
        std::istringstream bytes{is_dump ? line.substr(8) : ""};
        for (std::string byte; bytes >> byte;) {
            reader.space()[0] = static_cast<std::byte>(std::stoul(byte, nullptr, 16));
            reader.filled(1);
        }
        const auto frame = reader.next();
        ASSERT_TRUE(frame.ok()) << line;
        if (frame.value() != nullptr) {
            types += std::to_string(frame.value()->header.type) + " ";
        }
    }
    EXPECT_EQ(types, "1 2 3 13 5 6 7 8 12 6 ");
}

/// The body of the document's first frame of `type`.
template <class Body>
Body documented(bridge::FrameType type) {
    std::ifstream document{MILLRACE_SOURCE_DIR "/gateway/BRIDGE.md"};
    BasicFrameReader<4 * kFrameBytesMax> reader{kVersion};
    for (std::string line; std::getline(document, line);) {
        const bool is_dump = line.size() > 10 && line.starts_with("    0") && line[8] == ' ';
        std::istringstream bytes{is_dump ? line.substr(8) : ""};
        for (std::string byte; bytes >> byte;) {
            reader.space()[0] = static_cast<std::byte>(std::stoul(byte, nullptr, 16));
            reader.filled(1);
        }
        const auto frame = reader.next();
        const bool whole = frame.ok() && frame.value() != nullptr;
        if (whole && frame.value()->header.type == static_cast<std::uint8_t>(type)) {
            return frame.value()->as<Body>().value();
        }
    }
    ADD_FAILURE() << "the document has no such frame";
    return {};
}

TEST(Frame, DocumentedHandshakeProvesTheKeyOnBothSides) {
    std::vector<std::byte> key;
    for (int i = 0; i < 16; ++i) {
        key.push_back(static_cast<std::byte>(i * 0x11));
    }
    const auto challenge = documented<bridge::Challenge>(bridge::FrameType::Challenge);
    const auto hello = documented<bridge::Hello>(bridge::FrameType::Hello);
    const auto welcome = documented<bridge::Welcome>(bridge::FrameType::Welcome);
    Mac mac;
    hmac_sha256(key, std::as_bytes(std::span{challenge.nonce}),
                std::as_bytes(std::span{&hello, 1}).first(offsetof(bridge::Hello, mac)), mac);
    EXPECT_TRUE(same_mac(mac, hello.mac));
    hmac_sha256(key, std::as_bytes(std::span{hello.nonce}),
                std::as_bytes(std::span{&welcome, 1}).first(offsetof(bridge::Welcome, mac)), mac);
    EXPECT_TRUE(same_mac(mac, welcome.mac));
}

}  // namespace
}  // namespace millrace::wire
