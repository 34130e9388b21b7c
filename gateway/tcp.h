// Small non-blocking TCP: a listener, a connection with a fixed write buffer, and a level-triggered
// epoll set. Memory is taken when an object is made; afterwards nothing here allocates, blocks,
// throws or logs. What the peer or the kernel does wrong comes back as Result.
//
// Errc used throughout: Busy = nothing to do right now (EAGAIN), NotFound = the peer closed or the
// connection is gone, NoSpace = a buffer or the descriptor table is full, IoError = anything else,
// with its errno.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace millrace::net {

/// A descriptor that closes itself. -1 = none.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_{fd} {}
    ~Fd() { reset(); }
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&& other) noexcept;
    void reset() noexcept;
    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

struct ListenOptions {
    std::string address = "127.0.0.1";  // IPv4 or IPv6 literal; "0.0.0.0" = every interface
    std::uint16_t port = 0;             // 0 = the kernel chooses, see Listener::port()
    int backlog = 256;
    /// A restarted stage may find its predecessor's socket not yet gone: binding is tried again
    /// for this long, then the error stands.
    Nanos bind_retry_ns = seconds(5);
};

/// A listening socket: non-blocking, close-on-exec, SO_REUSEADDR.
class Listener {
public:
    Listener() = default;

    /// Binds and listens. Startup only: may sleep up to `bind_retry_ns` while the port is in use.
    /// @return BadInput (address is no IP literal), Busy (port in use), IoError; `message` then
    /// names address, port and what to do.
    static Result<Listener> open(const ListenOptions& options, std::string& message);

    /// The next waiting connection: non-blocking, close-on-exec, TCP_NODELAY.
    /// @return Busy if none waits. NoSpace if descriptors ran out: the connection that waited was
    /// accepted and closed, so that a level-triggered poller does not spin on it.
    [[nodiscard]] Result<Fd> accept() noexcept;

    /// The port really bound.
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    Fd fd_;
    Fd spare_;  // given up for a moment to accept and close when descriptors ran out
    std::uint16_t port_ = 0;
};

/// One connected socket and the bytes that wait to be written to it. Reading goes straight into
/// the caller's buffer (a wire::FrameReader's space()). Re-usable: open() after close().
/// Threads: one.
class Connection {
public:
    /// Takes and touches `write_buffer_bytes`, once.
    explicit Connection(std::size_t write_buffer_bytes);

    /// Takes over a connected socket; anything left from the last one is forgotten.
    void open(Fd fd) noexcept;
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(fd_); }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// Reads once.
    /// @return bytes read (> 0); Busy (nothing there), NotFound (orderly close or reset), IoError.
    [[nodiscard]] Result<std::size_t> receive(std::span<std::byte> into) noexcept;

    /// Contiguous room behind what waits; encode a frame there, then queued(). May be shorter than
    /// a frame, and than free_bytes().
    [[nodiscard]] std::span<std::byte> space() noexcept;
    /// The same, at least `bytes` long wherever they are free: free_bytes() >= `bytes` is enough.
    [[nodiscard]] std::span<std::byte> space(std::size_t bytes) noexcept;
    /// `bytes` of space() are to be written. They leave with the next flush().
    void queued(std::size_t bytes) noexcept;
    /// Copies `bytes` behind what waits. @return NoSpace (nothing queued) if they do not fit.
    [[nodiscard]] Status send(std::span<const std::byte> bytes) noexcept;

    /// Writes as much as the socket takes now.
    /// @return ok if nothing waits any more; Busy if some does (ask the poller for writability);
    /// NotFound, IoError if the connection is dead.
    /// Crash: bytes handed to the socket may have left; the rest is lost with the process.
    [[nodiscard]] Status flush() noexcept;

    /// Bytes that wait for flush().
    [[nodiscard]] std::size_t pending_bytes() const noexcept { return end_ - begin_; }
    /// Bytes that may still be queued.
    [[nodiscard]] std::size_t free_bytes() const noexcept { return capacity_ - pending_bytes(); }
    /// Bytes ever queued and ever handed to the socket on this connection: `sent_total() >= mark`
    /// tells when everything queued up to `mark = queued_total()` has left.
    [[nodiscard]] std::uint64_t queued_total() const noexcept { return queued_total_; }
    [[nodiscard]] std::uint64_t sent_total() const noexcept {
        return queued_total_ - pending_bytes();
    }

private:
    Fd fd_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::uint64_t queued_total_ = 0;
};

/// What a poller found. `tag` is what the descriptor was added with.
struct Ready {
    std::uint64_t tag = 0;
    bool readable = false;  // data, end of stream or an error: receive() tells which
    bool writable = false;
};

/// A level-triggered epoll set. Its own descriptor becomes readable when a member is ready, so a
/// stage can give it out as its wake_fd(). A closed descriptor leaves the set by itself.
class Poller {
public:
    static constexpr std::size_t kReadyMax = 256;

    /// @return IoError with errno if the kernel gives none.
    static Result<Poller> open();

    /// Adds `fd`, watched for readability. @return IoError with errno.
    [[nodiscard]] Status add(int fd, std::uint64_t tag) noexcept;
    struct Interest {
        bool read = true;
        bool write = false;
    };
    /// Changes what `fd` is watched for. @return IoError with errno.
    [[nodiscard]] Status watch(int fd, std::uint64_t tag, Interest interest) noexcept;
    /// Takes `fd` out; no error if it is not in.
    void remove(int fd) noexcept;

    /// Members that are ready now, at most kReadyMax; never blocks. Valid until the next call.
    [[nodiscard]] std::span<const Ready> poll() noexcept { return wait(0); }
    /// The same, waiting up to `timeout_ms` (a client library's poll loop; never in a stage).
    [[nodiscard]] std::span<const Ready> wait(int timeout_ms) noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    Fd fd_;
    std::array<Ready, kReadyMax> ready_{};
};

/// Begins a non-blocking connect (for clients). The socket is writable once it is decided; then
/// ask connect_error().
/// @return the socket, or BadInput, IoError.
[[nodiscard]] Result<Fd> begin_connect(const std::string& address, std::uint16_t port) noexcept;
/// 0 if the connect has succeeded, else its errno.
[[nodiscard]] int connect_error(int fd) noexcept;

}  // namespace millrace::net
