// Frame codec shared by the bridge protocol and the signal protocol: encode into a caller's
// buffer, decode incrementally from a fixed one, HMAC-SHA256 for the handshake. Allocates nothing.
#pragma once

#include "core/result.h"
#include "gateway/wire.h"

#include <array>
#include <cstring>
#include <span>
#include <type_traits>

namespace millrace::wire {

/// CRC32C (Castagnoli, reflected, initial and final value all ones) of a whole frame with its
/// header's crc32c field taken as zero. @param frame at least sizeof(FrameHeader) bytes.
/// Threads: any.
[[nodiscard]] std::uint32_t frame_crc(std::span<const std::byte> frame) noexcept;

/// Writes one frame (header, body, checksum) to the front of `out`.
/// @param body 0..kFrameBytesMax - sizeof(FrameHeader) bytes.
/// @return bytes written; 0 if `out` is too small or the body too long (nothing written).
/// Threads: any. No allocation, no syscall.
[[nodiscard]] std::size_t encode_bytes(std::span<std::byte> out, std::uint8_t type,
                                       std::uint8_t version, std::uint64_t seq,
                                       std::span<const std::byte> body) noexcept;

/// As encode_bytes(), for the protocols' own enums and bodies.
template <class Type, class Body>
[[nodiscard]] std::size_t encode(std::span<std::byte> out, Type type, std::uint8_t version,
                                 std::uint64_t seq, const Body& body) noexcept {
    static_assert(std::is_trivially_copyable_v<Body>);
    static_assert(std::has_unique_object_representations_v<Body>, "padding would leak memory");
    static_assert(sizeof(FrameHeader) + sizeof(Body) <= kFrameBytesMax);
    return encode_bytes(out, static_cast<std::uint8_t>(type), version, seq,
                        std::as_bytes(std::span{&body, 1}));
}

/// Bytes that a frame with this body takes on the wire.
template <class Body>
inline constexpr std::size_t kFrameBytes = sizeof(FrameHeader) + sizeof(Body);

/// A decoded frame. Points into its reader's buffer: valid until the reader's next call of any
/// function.
struct Frame {
    FrameHeader header;
    std::span<const std::byte> body;

    /// Copies the body out. @return Errc::BadFrame unless the body has exactly Body's size.
    template <class Body>
    [[nodiscard]] Result<Body> as() const noexcept {
        static_assert(std::is_trivially_copyable_v<Body>);
        if (body.size() != sizeof(Body)) {
            return {Errc::BadFrame, "body size does not fit the frame type"};
        }
        Body copy;
        std::memcpy(&copy, body.data(), sizeof(Body));
        return copy;
    }
};

/// Incremental decoder over a buffer that the caller owns. Feed: read() into space(), filled(n);
/// then next() until it gives nullptr. A stream that broke the framing cannot be trusted again:
/// the first error repeats until reset().
///
/// Errors of next(): BadFrame (length below the header's or above kFrameBytesMax), BadVersion,
/// BadChecksum. Nothing of a bad frame is handed out.
/// Threads: one. No allocation, no syscall.
class FrameDecoder {
public:
    /// @param buffer at least 2 * kFrameBytesMax bytes, outlives the decoder.
    FrameDecoder(std::span<std::byte> buffer, std::uint8_t version) noexcept;

    /// Free room for the next read(); never empty after next() gave nullptr.
    [[nodiscard]] std::span<std::byte> space() noexcept;
    /// `bytes` of space() were filled.
    void filled(std::size_t bytes) noexcept;
    /// The next whole frame, nullptr if more bytes are needed, or why the stream is broken.
    [[nodiscard]] Result<const Frame*> next() noexcept;
    /// Forgets everything: for a new connection.
    void reset() noexcept;

private:
    [[nodiscard]] Result<const Frame*> broken(Errc code, const char* what) noexcept;

    std::span<std::byte> buffer_;
    std::size_t begin_ = 0;  // first byte not yet handed out
    std::size_t end_ = 0;    // one past the last byte filled
    std::uint8_t version_;
    Error error_;
    Frame frame_;
};

/// A decoder with its buffer inside.
template <std::size_t kBytes>
class BasicFrameReader {
    static_assert(kBytes >= 2 * kFrameBytesMax);

public:
    explicit BasicFrameReader(std::uint8_t version) noexcept : decoder_{buffer_, version} {}
    BasicFrameReader(const BasicFrameReader&) = delete;
    BasicFrameReader& operator=(const BasicFrameReader&) = delete;

    [[nodiscard]] std::span<std::byte> space() noexcept { return decoder_.space(); }
    void filled(std::size_t bytes) noexcept { decoder_.filled(bytes); }
    [[nodiscard]] Result<const Frame*> next() noexcept { return decoder_.next(); }
    void reset() noexcept { decoder_.reset(); }

private:
    std::array<std::byte, kBytes> buffer_{};
    FrameDecoder decoder_;
};
using FrameReader = BasicFrameReader<64 * 1024>;

/// HMAC-SHA256(key, first || second). @param key any length. Threads: any; no allocation.
void hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> first,
                 std::span<const std::byte> second, Mac& out) noexcept;

/// Compares in constant time. Threads: any.
[[nodiscard]] bool same_mac(const Mac& a, const Mac& b) noexcept;

/// Fills a challenge from the system's random source. One syscall at most.
void fill_nonce(Nonce& out) noexcept;

}  // namespace millrace::wire
