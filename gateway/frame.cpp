#include "gateway/frame.h"

#include "core/assert.h"
#include "core/crc32c.h"

#include <sodium.h>

namespace millrace::wire {
namespace {

const unsigned char* uchars(std::span<const std::byte> bytes) noexcept {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Idempotent and thread-safe; a process without libsodium's self-test passing must not go on.
void start_sodium() noexcept {
    [[maybe_unused]] static const int started = sodium_init();
    ASSERT(started >= 0);
}

}  // namespace

std::uint32_t frame_crc(std::span<const std::byte> frame) noexcept {
    ASSERT(frame.size() >= sizeof(FrameHeader));
    constexpr std::size_t kCrcAt = offsetof(FrameHeader, crc32c);
    constexpr std::byte kZero[sizeof(FrameHeader::crc32c)]{};
    std::uint32_t crc = crc32c_more(kCrc32cInit, frame.first(kCrcAt));
    crc = crc32c_more(crc, kZero);
    crc = crc32c_more(crc, frame.subspan(kCrcAt + sizeof(kZero)));
    return ~crc;
}

std::size_t encode_bytes(std::span<std::byte> out, std::uint8_t type, std::uint8_t version,
                         std::uint64_t seq, std::span<const std::byte> body) noexcept {
    const std::size_t bytes = sizeof(FrameHeader) + body.size();
    if (bytes > kFrameBytesMax || bytes > out.size()) {
        return 0;
    }
    FrameHeader header{};
    header.bytes = static_cast<std::uint32_t>(bytes);
    header.type = type;
    header.version = version;
    header.seq = seq;
    std::memcpy(out.data(), &header, sizeof header);
    if (!body.empty()) {
        std::memcpy(out.data() + sizeof header, body.data(), body.size());
    }
    header.crc32c = frame_crc(out.first(bytes));
    std::memcpy(out.data(), &header, sizeof header);
    return bytes;
}

FrameDecoder::FrameDecoder(std::span<std::byte> buffer, std::uint8_t version) noexcept
    : buffer_{buffer}, version_{version} {
    ASSERT(buffer.size() >= 2 * kFrameBytesMax);
}

std::span<std::byte> FrameDecoder::space() noexcept {
    // Moving is rare (once per buffer of frames) and moves less than one frame, when next() has
    // been drained before; it keeps every frame contiguous.
    if (begin_ == end_) {
        begin_ = end_ = 0;
    } else if (buffer_.size() - end_ < kFrameBytesMax && begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return buffer_.subspan(end_);
}

void FrameDecoder::filled(std::size_t bytes) noexcept {
    ASSERT(bytes <= buffer_.size() - end_);
    end_ += bytes;
}

Result<const Frame*> FrameDecoder::broken(Errc code, const char* what) noexcept {
    error_ = Error{code, 0, what};
    return error_;
}

Result<const Frame*> FrameDecoder::next() noexcept {
    if (error_.code != Errc::Ok) {
        return error_;
    }
    const std::size_t have = end_ - begin_;
    if (have < sizeof(FrameHeader)) {
        return nullptr;
    }
    std::memcpy(&frame_.header, buffer_.data() + begin_, sizeof(FrameHeader));
    const std::size_t bytes = frame_.header.bytes;
    if (bytes < sizeof(FrameHeader)) {
        return broken(Errc::BadFrame, "frame length is below the header's 24 bytes");
    }
    if (bytes > kFrameBytesMax) {
        return broken(Errc::BadFrame, "frame length is above 1024 bytes");
    }
    if (frame_.header.version != version_) {
        return broken(Errc::BadVersion, "frame of another protocol version");
    }
    if (have < bytes) {
        return nullptr;
    }
    const auto whole = std::span<const std::byte>{buffer_}.subspan(begin_, bytes);
    if (frame_crc(whole) != frame_.header.crc32c) {
        return broken(Errc::BadChecksum, "frame checksum (CRC32C) does not match its bytes");
    }
    frame_.body = whole.subspan(sizeof(FrameHeader));
    begin_ += bytes;
    return &frame_;
}

void FrameDecoder::reset() noexcept {
    begin_ = end_ = 0;
    error_ = Error{};
    frame_ = Frame{};
}

void hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> first,
                 std::span<const std::byte> second, Mac& out) noexcept {
    static_assert(sizeof(Mac) == crypto_auth_hmacsha256_BYTES);
    start_sodium();
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, uchars(key), key.size());
    crypto_auth_hmacsha256_update(&state, uchars(first), first.size());
    crypto_auth_hmacsha256_update(&state, uchars(second), second.size());
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

bool same_mac(const Mac& a, const Mac& b) noexcept {
    return sodium_memcmp(a, b, sizeof(Mac)) == 0;
}

void fill_nonce(Nonce& out) noexcept {
    start_sodium();
    randombytes_buf(out, sizeof(Nonce));
}

}  // namespace millrace::wire
