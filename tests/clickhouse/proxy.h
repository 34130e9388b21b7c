// A proxy between the sink and the server, that fails on order.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace millrace::clickhouse_test {

enum class Fault {
    None,
    Cut,        // the connection ends before the server has seen the INSERT
    ApplyDrop,  // the server takes the INSERT, but its answer is cut off
    Swallow,    // half-open: the INSERT goes nowhere, and no answer comes
    Slow,       // the answer comes late
    Refuse,     // connections end as soon as they begin
};

/// Threads: the test's own may call anything; each connection has a thread inside.
class Proxy {
public:
    explicit Proxy(std::uint16_t server_port);
    ~Proxy();
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url() const;
    /// The next `times` INSERTs (or connections, for Refuse) fail so; Slow by `delay_ms`.
    void fail(Fault fault, int times = 1, int delay_ms = 0);
    /// INSERTs seen, failed ones included.
    [[nodiscard]] int inserts() const noexcept { return inserts_.load(); }
    /// Faults that have happened.
    [[nodiscard]] int failed() const noexcept { return failed_.load(); }
    /// INSERTs whose body was compressed.
    [[nodiscard]] int compressed() const noexcept { return compressed_.load(); }

private:
    void accept_all();
    void serve(int client);
    [[nodiscard]] Fault next_fault(bool connecting);

    std::uint16_t server_port_;
    std::uint16_t port_ = 0;
    int listener_ = -1;
    int wake_[2] = {-1, -1};  // readable once the proxy ends
    // Relaxed would do: each is a flag or a count of its own, read by one test.
    std::atomic<Fault> fault_{Fault::None};
    std::atomic<int> times_{0};
    std::atomic<int> delay_ms_{0};
    std::atomic<int> inserts_{0};
    std::atomic<int> failed_{0};
    std::atomic<int> compressed_{0};
    std::thread accepter_;
    std::vector<std::thread> connections_;  // accepter_'s
};

}  // namespace millrace::clickhouse_test
