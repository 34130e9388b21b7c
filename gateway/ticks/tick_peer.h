// TickPeer: one connection to a TickServer or a TickPublisher, from accept to its end. A peer that
// is to be closed is read no more, gets its reason, and is gone after kClosingMax whether it took
// it or not; one that says nothing of use is gone kHelloMax after its accept, whatever it sends.
#pragma once

#include "gateway/ticks/tick_frames.h"

#include <memory>
#include <span>

namespace millrace {

/// Threads: one.
struct TickPeer {
    enum class State : std::uint8_t { Free, Greeted, Up };
    static constexpr Nanos kHelloMax = seconds(5);
    static constexpr Nanos kClosingMax = seconds(1);

    explicit TickPeer(std::size_t write_bytes) : socket{write_bytes} {}
    virtual ~TickPeer() = default;
    TickPeer(const TickPeer&) = delete;
    TickPeer& operator=(const TickPeer&) = delete;

    /// Begins with CHALLENGE. @return false: close it again.
    [[nodiscard]] bool greet(net::Fd fd, net::Poller& poller, Nanos now) noexcept;
    /// Reads once and hands whole frames to `on_frame`, until one is refused.
    /// @return frames; Busy; NotFound and IoError (gone); else why a frame was refused: deny().
    template <class OnFrame>
    [[nodiscard]] Result<int> read(Nanos now, OnFrame&& on_frame) noexcept;
    /// Queues the reason; from now on the peer is closing.
    void deny(const char* why, Nanos now) noexcept;
    /// Writes what it can. @return false: it is over, close it.
    [[nodiscard]] bool settle(net::Poller& poller) noexcept;
    /// @param silence_max of one that is Up. @param listening since then somebody has read: silence
    /// before it does not count. @return true: close it.
    [[nodiscard]] bool is_overdue(Nanos now, Nanos silence_max,
                                  Nanos listening = {}) const noexcept;
    [[nodiscard]] bool is_up() const noexcept { return state == State::Up && !closing; }
    void close() noexcept;

    net::Connection socket;
    wire::FrameReader reader{tick_wire::kVersion};
    State state = State::Free;
    wire::Nonce nonce{};
    std::uint64_t tag = 0;
    Nanos accepted;
    Nanos heard;
    Nanos closing_since;
    bool closing = false;
    net::Poller::Interest watched;
};

/// Does this error of read() mean that the peer is gone?
[[nodiscard]] constexpr bool is_gone(Errc code) noexcept {
    return code == Errc::NotFound || code == Errc::IoError;
}

/// A place for a newcomer among `peers`: a free one; else that of the stranger who has been there
/// longest, which is closed; null if all are Up.
template <class Peer>
[[nodiscard]] Peer* place_for_newcomer(std::span<const std::unique_ptr<Peer>> peers) noexcept {
    Peer* oldest = nullptr;
    for (const auto& p : peers) {
        if (p->state == TickPeer::State::Free) {
            return p.get();
        }
        if (p->state == TickPeer::State::Greeted &&
            (oldest == nullptr || p->accepted < oldest->accepted)) {
            oldest = p.get();
        }
    }
    if (oldest != nullptr) {
        oldest->close();
    }
    return oldest;
}

template <class OnFrame>
Result<int> TickPeer::read(Nanos now, OnFrame&& on_frame) noexcept {
    const auto got = socket.receive(reader.space());
    if (!got) {
        return got.error();
    }
    heard = now;
    reader.filled(got.value());
    int frames = 0;
    while (state != State::Free && !closing) {
        const auto frame = reader.next();
        if (!frame) {
            return frame.error();
        }
        if (frame.value() == nullptr) {
            break;
        }
        if (const Status handled = on_frame(*frame.value()); !handled) {
            return handled.error();
        }
        ++frames;
    }
    return frames;
}

}  // namespace millrace
