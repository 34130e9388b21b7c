#include "persist/journal_format.h"

// In line: a record's hash is the next one's seed, so nothing else hides a call of the library.
#define XXH_INLINE_ALL  // NOLINT(cppcoreguidelines-macro-usage): the library's own switch
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "core/crc32c.h"
#include "persist/frame_words.h"

namespace millrace {
namespace {

template <class T>
T load(std::span<const std::byte> at) noexcept {
    ASSERT(at.size() >= sizeof(T));
    T value;
    std::memcpy(&value, at.data(), sizeof(T));
    return value;
}

// A Pad frame over all of `at`: zeros, checksummed like everything else.
void put_pad(std::span<std::byte> at, std::uint64_t chain) noexcept {
    FrameHead head{0, static_cast<std::uint16_t>(at.size() - sizeof(FrameHead)), FrameKind::Pad,
                   chain};
    std::memset(at.data(), 0, at.size());
    std::memcpy(at.data(), &head, sizeof(head));
    head.crc32c = crc32c(at.subspan(sizeof(head.crc32c)));
    std::memcpy(at.data(), &head.crc32c, sizeof(head.crc32c));
}

bool known_kind(FrameKind kind) noexcept {
    return kind >= FrameKind::Commit && kind <= FrameKind::Mark;
}

template <class Number>
bool parse_digits(std::string_view text, Number& out) noexcept {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, out);
    return parsed.ec == std::errc{} && parsed.ptr == end;
}

}  // namespace

std::array<char, 48> JournalFileName::text() const noexcept {
    ASSERT(epoch < 10'000'000'000ULL);
    ASSERT(index < 1'000'000U);
    std::array<char, 48> out{};
    std::snprintf(out.data(), out.size(), "journal-%010llu-%06u.mrj",
                  static_cast<unsigned long long>(epoch), index);
    return out;
}

Result<JournalFileName> JournalFileName::parse(std::string_view text) noexcept {
    JournalFileName name;
    const bool framed = text.size() == kTextBytes && text.starts_with("journal-") &&
                        text[18] == '-' && text.ends_with(".mrj");
    if (!framed || !parse_digits(text.substr(8, 10), name.epoch) ||
        !parse_digits(text.substr(19, 6), name.index)) {
        return {Errc::NotFound, "not the name of a journal file"};
    }
    return name;
}

std::uint64_t chain_next(std::uint64_t previous, std::span<const std::byte> record) noexcept {
    return XXH3_64bits_withSeed(record.data(), record.size(), previous);
}

std::span<const std::byte> trimmed(const JournalRecord& record) noexcept {
    return std::as_bytes(std::span{&record, 1}).first(record_bytes(record.type));
}

void put_frame(std::span<std::byte> at, FrameKind kind, std::uint64_t chain,
               std::span<const std::byte> payload) noexcept {
    const std::size_t bytes = frame_bytes(payload.size());
    ASSERT(at.size() >= bytes);
    const FrameHead head{0, static_cast<std::uint16_t>(payload.size()), kind, chain};
    const auto words = std::bit_cast<detail::FrameHeadWords>(head);
    const std::uint32_t crc = detail::put_words(at.data(), bytes, words, payload);
    std::memcpy(at.data(), &crc, sizeof(crc));
}

void encode_header(JournalFileHeader header, std::span<std::byte> block) noexcept {
    ASSERT(block.size() == kBlockBytes);
    const auto bytes = std::as_bytes(std::span{&header, 1});
    header.crc32c = crc32c(bytes.first(offsetof(JournalFileHeader, crc32c)));
    std::memset(block.data(), 0, block.size());
    std::memcpy(block.data(), &header, sizeof(header));
}

Result<JournalFileHeader> decode_header(std::span<const std::byte> block) noexcept {
    if (block.size() < sizeof(JournalFileHeader)) {
        return {Errc::BadMagic, "file too short for a journal header"};
    }
    const auto header = load<JournalFileHeader>(block);
    if (header.magic != kJournalMagic) {
        return {Errc::BadMagic, "no journal header"};
    }
    if (crc32c(block.first(offsetof(JournalFileHeader, crc32c))) != header.crc32c) {
        return {Errc::BadChecksum, "journal header damaged"};
    }
    if (header.version != kJournalVersion && header.version != kJournalVersionReused) {
        return {Errc::BadVersion, "journal file of another format version"};
    }
    if (header.header_bytes != kBlockBytes || header.first_seq == 0 ||
        header.segment_bytes % kBlockBytes != 0) {
        return {Errc::BadLayout, "journal header with impossible sizes"};
    }
    return header;
}

Result<Frame> parse_frame(std::span<const std::byte> at) noexcept {
    if (at.size() < sizeof(FrameHead)) {
        return {Errc::BadLayout, "no room for a frame"};
    }
    const auto head = load<FrameHead>(at);
    if (head.crc32c == 0 && head.bytes == 0 && head.kind == FrameKind{} && head.chain == 0) {
        return {Errc::NotFound, "nothing written here"};
    }
    const std::size_t bytes = frame_bytes(head.bytes);
    if (!known_kind(head.kind) || bytes > at.size()) {
        return {Errc::BadLayout, "impossible frame head"};
    }
    if (crc32c(at.subspan(sizeof(head.crc32c), bytes - sizeof(head.crc32c))) != head.crc32c) {
        return {Errc::BadChecksum, "frame damaged"};
    }
    return Frame{head.kind, head.chain, at.subspan(sizeof(head), head.bytes), bytes};
}

Result<CommitHead> parse_commit(std::span<const std::byte> at) noexcept {
    const auto frame = parse_frame(at.first(std::min(at.size(), kCommitFrameBytes)));
    if (!frame) {
        return frame.error();
    }
    if (frame.value().kind != FrameKind::Commit ||
        frame.value().payload.size() != sizeof(CommitHead)) {
        return {Errc::BadLayout, "no group commit begins here"};
    }
    const auto head = load<CommitHead>(frame.value().payload);
    if (head.bytes == 0 || head.bytes % kBlockBytes != 0 || head.bytes > kCommitBytesMax ||
        head.first_seq == 0) {
        return {Errc::BadLayout, "group commit of impossible size"};
    }
    return head;
}

void CommitPacker::begin(std::span<std::byte> buffer, const Begin& begin) noexcept {
    ASSERT(!buffer.empty());
    ASSERT(buffer.size() % kBlockBytes == 0);
    ASSERT(buffer.size() <= kCommitBytesMax);
    buffer_ = buffer;
    begin_ = begin;
    used_ = kCommitFrameBytes;
    chain_ = begin.chain;
    first_seq_ = 0;
    records_ = 0;
}

bool CommitPacker::add(const JournalRecord& record) noexcept {
    ASSERT(active());
    const auto payload = trimmed(record);
    ASSERT(!payload.empty());
    const std::size_t bytes = frame_bytes(payload.size());
    if (used_ + bytes > buffer_.size()) {
        return false;
    }
    chain_ = chain_next(chain_, payload);
    put_frame(buffer_.subspan(used_, bytes), FrameKind::Record, chain_, payload);
    if (records_ == 0) {
        first_seq_ = record.seq.value;
    }
    used_ += bytes;
    ++records_;
    return true;
}

std::span<const std::byte> CommitPacker::seal(std::uint64_t acked_seq) noexcept {
    ASSERT(active());
    ASSERT(!empty());
    const std::size_t total = round_up(used_, kBlockBytes);
    if (total > used_) {
        put_pad(buffer_.subspan(used_, total - used_), chain_);
    }
    const CommitHead head{begin_.epoch,  begin_.index, static_cast<std::uint32_t>(total),
                          begin_.offset, first_seq_,   acked_seq,
                          begin_.number};
    put_frame(buffer_, FrameKind::Commit, begin_.chain, std::as_bytes(std::span{&head, 1}));
    const auto commit = buffer_.first(total);
    buffer_ = {};
    return commit;
}

}  // namespace millrace
