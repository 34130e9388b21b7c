// Goal: bytes on disk stay what they are. Method: golden bytes, round trips, every single bit
// flipped.
#include "journal_fakes.h"
#include "persist/frame_words.h"

namespace millrace::testing {
namespace {

std::vector<std::byte> one_commit(std::uint64_t records) {
    std::vector<std::byte> buffer(kCommitBytesMax);
    CommitPacker packer;
    packer.begin(buffer, {3, 2, 8192, kChainSeed, 9});
    for (std::uint64_t seq = 1; seq <= records; ++seq) {
        EXPECT_TRUE(packer.add(make_record(seq)));
    }
    const auto sealed = packer.seal(0);
    return {sealed.begin(), sealed.end()};
}

std::string hex(std::span<const std::byte> bytes) {
    std::string out;
    for (const auto b : bytes) {
        constexpr char kDigits[] = "0123456789abcdef";
        out += kDigits[static_cast<unsigned>(b) >> 4U];
        out += kDigits[static_cast<unsigned>(b) & 15U];
    }
    return out;
}

TEST(JournalFormat, NamesSortInTheOrderOfWritingAndParseBack) {
    const JournalFileName name{42, 7};
    EXPECT_STREQ(name.text().data(), "journal-0000000042-000007.mrj");
    EXPECT_EQ(JournalFileName::parse(name.text().data()).value(), name);
    for (const char* bad : {"journal-0000000042-000007.mrk", "journal-42-7.mrj", "reservation",
                            "journal-00000000x2-000007.mrj", "journal-0000000042-00000-.mrj", ""}) {
        EXPECT_EQ(JournalFileName::parse(bad).code(), Errc::NotFound) << bad;
    }
}

TEST(JournalFormat, KeepsItsGoldenBytes) {
    JournalFileHeader header;
    header.epoch = 3;
    header.index = 2;
    header.first_seq = 1000;
    header.previous_chain = 0x1122334455667788;
    header.segment_bytes = 65536;
    header.created_ns = 1'700'000'000'000'000'000;
    std::vector<std::byte> block(kBlockBytes);
    encode_header(header, block);
    EXPECT_EQ(hex(std::span{block}.first(72)),
              "4d524a524e4c3031010000000010000003000000000000000200000000000000"
              "e8030000000000008877665544332211000001000000000000002a36fe9c9717"
              "0000000066fe654a");
    const auto commit = one_commit(1);
    EXPECT_EQ(commit.size(), kBlockBytes);
    EXPECT_EQ(hex(std::span{commit}.first(64)),
              "126630233000c1c0454341524c4c494d03000000000000000200000000100000"
              "0020000000000000010000000000000000000000000000000900000000000000");
    EXPECT_EQ(hex(std::span{commit}.subspan(64, 80)),
              "deac3562d800c2c039031262001ece140100000000000000e803000000000000"
              "030000000000000008000000000000000000000000000000000000000000000000"
              "000000ffff04021f20212223242526");
}

TEST(JournalFormat, RefusesHeaderWithAnySingleBitFlipped) {
    JournalFileHeader header;
    header.epoch = 1;
    header.first_seq = 1;
    header.segment_bytes = 65536;
    std::vector<std::byte> block(kBlockBytes);
    encode_header(header, block);
    ASSERT_TRUE(decode_header(block).ok());
    for (std::size_t bit = 0; bit < sizeof(header) * 8; ++bit) {
        block[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        EXPECT_FALSE(decode_header(block).ok()) << "bit " << bit;
        block[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
}

TEST(JournalFormat, RefusesHeaderOfAnotherVersionByName) {
    JournalFileHeader header;
    header.version = kJournalVersionReused + 1;
    header.first_seq = 1;
    std::vector<std::byte> block(kBlockBytes);
    encode_header(header, block);
    EXPECT_EQ(decode_header(block).code(), Errc::BadVersion);
    header.version = kJournalVersionReused;
    encode_header(header, block);
    ASSERT_TRUE(decode_header(block).ok());
    EXPECT_TRUE(reused(decode_header(block).value()));
    EXPECT_EQ(decode_header(std::vector<std::byte>(kBlockBytes)).code(), Errc::BadMagic);
    EXPECT_EQ(decode_header(std::vector<std::byte>(8)).code(), Errc::BadMagic);
}

TEST(JournalFormat, FillsWholeBlocksAndEveryByteIsChecked) {
    auto commit = one_commit(30);
    ASSERT_EQ(commit.size() % kBlockBytes, 0U);
    const auto frames_ok = [&commit] {
        std::size_t at = 0;
        while (at < commit.size()) {
            const auto frame = parse_frame(std::span<const std::byte>{commit}.subspan(at));
            if (!frame) {
                return false;
            }
            at += frame.value().bytes;
        }
        return at == commit.size();
    };
    ASSERT_TRUE(frames_ok());
    for (std::size_t i = 0; i < commit.size(); ++i) {
        commit[i] ^= std::byte{0x10};
        ASSERT_FALSE(frames_ok()) << "byte " << i;
        commit[i] ^= std::byte{0x10};
    }
}

TEST(JournalFormat, ParsesNothingBeyondItsInput) {
    const auto commit = one_commit(3);
    for (std::size_t n = 0; n < 400; ++n) {
        // A heap copy of exactly n bytes: AddressSanitizer sees any read behind it.
        const std::vector<std::byte> cut(commit.begin(), commit.begin() + static_cast<long>(n));
        const auto frame = parse_frame(cut);
        EXPECT_EQ(frame.ok(), n >= kCommitFrameBytes) << n;
    }
}

TEST(JournalFormat, IsTheSameByTheProcessorsOwnInstructionForEveryLength) {
    for (std::size_t n = 0; n <= 300; ++n) {
        // Copies of exactly n bytes, and a place of exactly the frame's: AddressSanitizer looks on.
        std::vector<std::byte> payload(n);
        for (std::size_t i = 0; i < n; ++i) {
            payload[i] = static_cast<std::byte>(i * 37 + n);
        }
        const std::uint64_t chain = 0x1122334455667788ULL * (n + 1);
        const detail::FrameHeadWords head{0xC0C2'0000'0000'0000ULL | n << 32U, chain};
        std::vector<std::byte> wanted(frame_bytes(n), std::byte{0xA5});
        const std::uint32_t crc =
            detail::put_words_plain(wanted.data(), wanted.size(), head, payload);
        std::memcpy(wanted.data(), &crc, sizeof(crc));
        std::vector<std::byte> found(frame_bytes(n), std::byte{0xA5});
        put_frame(found, FrameKind::Record, chain, payload);
        ASSERT_EQ(hex(found), hex(wanted)) << n << " bytes";
        const auto frame = parse_frame(found);
        ASSERT_TRUE(frame.ok()) << n << " bytes";
        ASSERT_EQ(hex(frame.value().payload), hex(payload));
    }
}

TEST(JournalFormat, PacksUntilTheBufferIsFullAndSaysSo) {
    std::vector<std::byte> buffer(kBlockBytes);
    CommitPacker packer;
    packer.begin(buffer, {1, 0, 4096, kChainSeed, 0});
    std::uint64_t seq = 1;
    while (packer.add(make_record(seq))) {
        ++seq;
    }
    EXPECT_GT(seq, 10U);
    EXPECT_EQ(packer.records(), seq - 1);
    EXPECT_EQ(packer.seal(0).size(), kBlockBytes);
    EXPECT_FALSE(packer.active());
}

}  // namespace
}  // namespace millrace::testing
