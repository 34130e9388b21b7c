// Gate: a TCP proxy on loopback before a server, which can be made slow: from then on every
// connection carries a few bytes a turn each way, so that an answer that takes a millisecond takes
// seconds, arrives in pieces, and what is written waits in the writer's own socket.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace millrace::isolation {

/// Threads: any may call; everything is carried by one thread inside.
class Gate {
public:
    /// So often a slow gate moves.
    static constexpr int kTurnMs = 10;

    /// @param server_port on 127.0.0.1; nobody needs to listen there yet.
    explicit Gate(std::uint16_t server_port);
    ~Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// From now on at most `bytes` a turn, connection and direction; 0 = as fast as it goes.
    void pace(std::size_t bytes);
    /// Bytes carried while it was slow.
    [[nodiscard]] std::uint64_t slowed() const noexcept { return slowed_.load(); }

private:
    struct Link {
        int client = -1;
        int server = -1;
        std::string up;    // read from the client, not taken by the server yet
        std::string down;  // the other way
    };

    void run();
    void accept_one();
    /// Carries what can be carried now, at most `most` bytes each way. @return false: it has ended.
    [[nodiscard]] bool carry(Link& link, std::size_t most);
    [[nodiscard]] bool carry_one_way(int from, int to, std::string& held, std::size_t most);

    std::uint16_t server_port_;
    std::uint16_t port_ = 0;
    int listener_ = -1;
    int wake_[2] = {-1, -1};  // a byte: the pace has changed; closed: the end
    std::atomic<std::size_t> pace_{0};
    std::atomic<std::uint64_t> slowed_{0};
    std::vector<Link> links_;  // the thread's own
    std::thread thread_;
};

}  // namespace millrace::isolation
