// A real millrace-simbroker process, and a scripted broker stage that it connects to.
#pragma once

#include "core/order_command.h"
#include "gateway/bridge_wire.h"
#include "gateway/frame.h"

#include <nlohmann/json.hpp>

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace millrace::sim::test {

inline constexpr std::uint64_t kTag = 0x4D52;
inline constexpr std::uint64_t kLogin = 1001;

/// A directory of its own, removed at the end.
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] std::string path(const std::string& name) const { return (dir_ / name).string(); }

private:
    std::filesystem::path dir_;
};

/// Plays the broker stage towards one terminal. Every wait has a deadline; a missed one fails the
/// test by name.
class Stage {
public:
    Stage();
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    struct Session {
        std::uint64_t generation = 1;
        std::uint64_t epoch = 1;
        std::uint64_t command_epoch = 77;
        std::uint64_t next_command_seq = 1;
        std::uint64_t event_seq = 0;
        bool spoils_mac = false;
        std::uint64_t magic_tag = kTag;
    };
    /// Accepts, checks the MAC, welcomes, and reads on to SYNC_DONE. @return the terminal's Hello.
    bridge::Hello open(const Session& session);
    /// Accepts and checks the MAC, no more.
    bridge::Hello accept_hello();
    void welcome(const Session& session);

    void send_command(std::uint64_t seq, const bridge::Command& command);
    /// Several, numbered from `seq`, in one write.
    void send_commands(std::uint64_t seq, const std::vector<bridge::Command>& commands);
    void send_kill(const bridge::Kill& kill);
    void acknowledge(std::uint64_t event_seq);
    void send_bytes(std::span<const std::byte> bytes);
    /// The next Event with its number, passing over everything else and over AccountInfo.
    std::optional<std::pair<std::uint64_t, bridge::Event>> next_event(int timeout_ms = 180'000);
    /// Waits for a quote of these prices, passing over everything else.
    bool wait_tick(std::int64_t bid, std::int64_t ask);
    /// The highest RX_ACK that was read on this connection; 0 = none.
    [[nodiscard]] std::uint64_t acknowledged_command() const noexcept { return acked_; }
    /// Waits for RX_ACK of at least `seq`.
    bool wait_rx_ack(std::uint64_t seq);
    /// Waits for an AccountInfo that is `wanted`, acknowledging all events and passing over the
    /// others.
    /// @return false after 180 s.
    bool wait_info(const std::function<bool(const bridge::Event&)>& wanted);
    /// True if the terminal closes the connection in time.
    bool wait_closed(int timeout_ms = 180'000);
    void close();

private:
    template <class Body>
    void send(bridge::FrameType type, std::uint64_t seq, const Body& body);
    bool wait_readable(int fd, std::chrono::steady_clock::time_point deadline) const;
    std::optional<wire::Frame> read_frame(std::chrono::steady_clock::time_point deadline);

    int listen_fd_ = -1;
    int fd_ = -1;
    std::uint16_t port_ = 0;
    std::uint64_t acked_ = 0;
    wire::Nonce nonce_{};  // of the last HELLO
    wire::FrameReader reader_{bridge::kVersion};
};

/// One run of the simulated broker with one hedging account `kLogin` and EURUSD.
class SimProcess {
public:
    struct Options {
        std::string margin_mode = "hedging";
        std::vector<std::string> arguments = {};
        std::string balance = "100000";
        std::string absent_after_ms = "200";
        std::string fix = "";  // "fix" of the account, JSON: it has a FIX session then, no terminal
    };
    SimProcess(const TempDir& dir, std::uint16_t port, Options options);
    SimProcess(const TempDir& dir, std::uint16_t port);
    ~SimProcess();
    SimProcess(const SimProcess&) = delete;
    SimProcess& operator=(const SimProcess&) = delete;

    nlohmann::json control(const nlohmann::json& command);
    /// Nothing if the process is dead, or dies over it.
    std::optional<nlohmann::json> try_control(const nlohmann::json& command) const;
    /// Has it died by itself?
    [[nodiscard]] bool dead();
    void quote(const char* bid, const char* ask);
    void kill9();
    /// Waits until the process has died by itself. @return its wait status.
    int wait_death();
    /// SIGTERM. @return exit status.
    int stop();

private:
    std::string control_path_;
    pid_t pid_ = -1;
};

/// An Open command at the market for 0.10 EURUSD.
[[nodiscard]] bridge::Command open_command(std::uint64_t intent, unsigned attempt = 0);
[[nodiscard]] bridge::Command query_command(std::uint64_t magic);

}  // namespace millrace::sim::test
