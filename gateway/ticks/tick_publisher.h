// TickPublisher: the latest quotes of all symbols to consumers on other hosts: by UDP, numbered
// packet by packet, and by TCP what a consumer has not got, or everything while UDP does not
// arrive.
//
// A consumer logs in over TCP, gets every symbol's name and latest quote, then packets. It asks
// again for numbers that it missed; those that are no longer kept are told to be lost, and a new
// snapshot takes their place. Recorded ticks it gets by TCP, as there is room beside the packets.
#pragma once

#include "gateway/ticks/tick_history.h"
#include "gateway/ticks/tick_peer.h"

#include <netinet/in.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

struct TickConsumer {
    std::string name;
    std::vector<std::byte> key;
};

struct TickPublisherOptions {
    net::ListenOptions listen;  // TCP and, with the same number, the UDP packets' source
    std::vector<TickConsumer> consumers;
    std::size_t connections_max = 64;
    std::size_t packets_kept = 8'192;  // for who asks again; 1 to kPacketsKeptMax
    TickHistory* history = nullptr;    // recorded ticks; outlives it. nullptr: refused
};

struct TickPublisherStats {
    std::uint64_t packets = 0;
    std::uint64_t datagrams = 0;
    std::uint64_t datagrams_failed = 0;  // the kernel took none
    std::uint64_t again = 0;             // packets sent again
    std::uint64_t lost = 0;              // asked for and no longer kept
    std::uint64_t passed_over = 0;       // by TCP to one that does not read: sent when it does
    std::uint64_t to_tcp = 0;            // consumers that asked for TCP
    std::uint64_t histories = 0;         // questions for recorded ticks
};

/// Threads: one, that of the TickServer. After open() nothing here blocks, nor allocates but for
/// the first quote of a symbol; answers of a TickHistory are freed here. A datagram costs an
/// HMAC-SHA256 and a system call for each consumer.
class TickPublisher {
public:
    static constexpr Nanos kHeartbeat = millis(20);  // by UDP, if nothing else was sent
    static constexpr std::size_t kPacketsKeptMax = 1U << 20U;
    /// Rows of numbers that one consumer may wait for at a time; more are to be asked for again.
    static constexpr std::size_t kRangesMax = 64;

    /// @return what Listener says, IoError, BadInput (packets_kept); `message` names it.
    static Result<std::unique_ptr<TickPublisher>> open(TickPublisherOptions options,
                                                       std::string& message);
    ~TickPublisher();

    /// The symbol of table row `row` has another quote. It goes out with the next step().
    void publish(std::uint32_t row, const Text<16>& symbol, const tick_wire::TickEntry& tick);
    /// Accepts, reads, sends. @param now never steps (shm/clock.h, Clock): waits are measured by
    /// it.
    /// @return frames and packets handled.
    int step(Nanos now) noexcept;
    [[nodiscard]] int wake_fd() const noexcept { return poller_.fd(); }
    [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port(); }
    [[nodiscard]] const TickPublisherStats& stats() const noexcept { return stats_; }

private:
    struct Peer;
    struct Kept {
        std::uint32_t bytes = 0;
        std::array<std::byte, wire::kFrameBytesMax> frame;
    };
    struct Symbol {
        Text<16> name;
        tick_wire::TickEntry latest{};
        bool known = false;
    };
    TickPublisher(TickPublisherOptions options, net::Listener listener, net::Poller poller,
                  net::Fd udp);

    void accept_waiting(Nanos now) noexcept;
    int serve(Peer& peer, Nanos now) noexcept;
    [[nodiscard]] Status on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_login(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_ask(Peer& peer, const wire::Frame& frame) noexcept;
    [[nodiscard]] Status on_history_ask(Peer& peer, const wire::Frame& frame) noexcept;
    void hand_out_histories() noexcept;
    void beat(Peer& peer, std::span<const std::byte> empty, bool due, Nanos now) noexcept;
    [[nodiscard]] bool send_names(Peer& peer) noexcept;
    [[nodiscard]] bool send_snapshot(Peer& peer) noexcept;
    void send_packet() noexcept;
    void send_datagram(Peer& peer, std::span<const std::byte> frame) noexcept;
    void send_in_order(Peer& peer, std::span<const std::byte> frame) noexcept;
    [[nodiscard]] bool send_kept(Peer& peer, std::uint64_t& number, std::uint64_t to) noexcept;
    void catch_up(Peer& peer) noexcept;
    [[nodiscard]] const Kept* kept(std::uint64_t number) const noexcept;
    [[nodiscard]] std::uint64_t oldest() const noexcept;

    TickPublisherOptions options_;
    net::Listener listener_;
    net::Poller poller_;
    net::Fd udp_;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::vector<Symbol> symbols_;  // by row
    std::vector<tick_wire::TickEntry> batch_;
    std::vector<Kept> ring_;
    std::uint64_t packets_ = 0;
    std::uint64_t tickets_ = 0;  // questions so far: a place may have another consumer by then
    Nanos sent_;
    Nanos now_;
    TickPublisherStats stats_;
};

}  // namespace millrace
