// The other sides of a terminal under test: the process that runs it (and is started again when it
// dies), and a small broker stage that survives its deaths: it numbers commands, sends what the
// terminal's journal does not name, applies events once and acknowledges them.
#pragma once

#include "core/admin.h"
#include "core/order_command.h"
#include "gateway/bridge_wire.h"
#include "gateway/frame.h"

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::mt5::test {

inline constexpr std::uint64_t kTag = 0x4D52;
inline constexpr std::uint64_t kLogin = 1001;
inline constexpr const char* kKey = "00112233445566778899aabbccddeeff";

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

struct HostSetup {
    std::string margin_mode = "hedging";
    std::vector<std::string> inputs = {};  // NAME=VALUE
    std::vector<std::string> knobs = {};   // NAME=VALUE, at every start
    std::string key = kKey;
    std::string quote = "EURUSD=1.10000/1.10010";
    std::string settle_ms = "100";
    std::uint64_t seed = 1;
};

/// A run of mt5_host.
class HostProcess {
public:
    HostProcess(const TempDir& dir, std::uint16_t port, HostSetup setup = {});
    ~HostProcess() { kill9(); }
    HostProcess(const HostProcess&) = delete;
    HostProcess& operator=(const HostProcess&) = delete;

    /// @param kill_at dies by itself at this call of the API; 0 = never.
    void start(std::uint64_t kill_at = 0);
    /// NAME=VALUE at every later start.
    void at_start(const std::string& knob) { setup_.knobs.push_back(knob); }
    void kill9();
    void stop();  // in order, and waits for its end
    /// Reaps it if it has died. @return true if it is gone.
    bool died();
    /// Waits for it to end by itself. @return its wait status; -1 after 60 s.
    int wait_end();
    /// Sends a JSON object without its braces to the control line; fails the test unless the answer
    /// is ok. @return the answer's text.
    std::string control(const std::string& members);
    /// A number (or true = 1) of the terminal's `stats`.
    std::uint64_t stat(const std::string& name);
    void knob(const std::string& name, std::int64_t value);
    void quote(const char* bid, const char* ask);
    void fault(const std::string& members);

private:
    const TempDir& dir_;
    std::uint16_t port_;
    HostSetup setup_;
    pid_t pid_ = -1;
    int status_ = 0;
};

/// What has been told about one magic.
struct Told {
    std::vector<bridge::Event> outcomes;          // Outcome and Unsent
    std::optional<bridge::Event> query;           // last answer
    std::map<std::uint64_t, std::int64_t> fills;  // deal -> volume
    /// Executed volume as far as told.
    [[nodiscard]] std::int64_t volume() const;
    [[nodiscard]] bool is_open() const;  // in doubt, or nothing told yet
};

class Desk {
public:
    Desk();
    ~Desk() { close(); }
    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    /// Queues a command; sent when a session is up. @return its magic.
    std::uint64_t submit(bridge::Command command);
    void query(std::uint64_t magic);
    void kill(std::uint64_t id, std::uint8_t actions, const std::string& symbol = "");
    void close();
    /// Sends the terminal away.
    void deny(const std::string& reason) {
        bridge::Denied denied{};
        reason.copy(denied.reason, sizeof denied.reason - 1);
        send(bridge::FrameType::Denied, 0, denied);
        close();
    }
    /// What every HELLO is denied with; empty = it is welcome.
    std::string refuses;
    /// False: takes no new connection.
    bool listens = true;
    /// True: the journal may come back from an older copy of itself.
    bool expects_rollback = false;
    /// What WELCOME says besides; true: under another key.
    std::uint64_t magic_tag = kTag;
    std::uint64_t least_generation = 0;
    bool spoils_mac = false;
    /// What a session brought before is marked as resent; RX_ACK is not heard.
    bool resends = false;

    /// Serves until `condition` holds. @return false after `ms`.
    bool until(const std::function<bool()>& condition, int ms = 180'000);
    void serve(int ms);  // one round, waiting at most that long
    bool until_answered(std::uint64_t magic, int ms = 180'000);
    /// Asks about `magic` until there is proof. @return the last answer.
    bridge::Event resolve(std::uint64_t magic, int ms = 180'000);

    std::map<std::uint64_t, Told> told;
    std::vector<bridge::Event> execs;
    std::vector<std::uint64_t> journal_ids;
    bridge::Event info{};  // last AccountInfo
    std::vector<bridge::Symbol> symbols;
    std::vector<bridge::Account> accounts;
    std::vector<bool> accounts_synced;      // SYNC_DONE of that session had come before it
    std::vector<bridge::Holding> holdings;  // the last whole list of what the account holds
    std::uint64_t lists = 0;                // whole ones
    std::uint64_t empty_lists = 0;          // of them
    std::uint64_t sessions = 0;
    std::uint64_t refusals = 0;  // HELLOs denied
    std::uint64_t busy_frames = 0;
    std::uint64_t ticks = 0;
    std::uint64_t rx_acked = 0;                // such commands are never sent again
    std::vector<std::uint64_t> acked_at_busy;  // what was known at each BUSY
    std::vector<std::uint64_t> answers_at_busy;
    std::uint64_t answers = 0;  // Outcome and Unsent
    std::uint64_t gaps = 0;     // events whose number did not follow the last one
    bridge::Hello hello{};
    bool up = false;
    bool synced = false;

private:
    struct Queued {
        std::uint64_t seq;
        bridge::Command command;
    };
    void accept();
    bool send(bridge::FrameType type, std::uint64_t seq, std::span<const std::byte> body);
    template <class Body>
    bool send(bridge::FrameType type, std::uint64_t seq, const Body& body) {
        return send(type, seq, std::as_bytes(std::span{&body, 1}));
    }
    void on_frame(const wire::Frame& frame);
    void on_hello(const bridge::Hello& hello);
    void sign(bridge::Welcome& welcome) const;
    void on_event(std::uint64_t seq, const bridge::Event& event);
    void send_queue();

    int listen_fd_ = -1;
    int fd_ = -1;
    std::uint16_t port_ = 0;
    wire::FrameReader reader_{bridge::kVersion};
    std::vector<Queued> queue_;
    std::map<std::string, bridge::Kill> kills_;  // the latest of each scope
    std::uint64_t sent_ = 0;                     // last command on this connection
    std::uint64_t last_event_ = 0;
    std::uint64_t generation_ = 0;
    std::vector<bridge::Holding> rows_;  // of a list whose end has not come
};

/// Commands as the broker stage sends them.
[[nodiscard]] bridge::Command command_of(std::uint64_t intent, CommandType type);
[[nodiscard]] bridge::Command open(std::uint64_t intent, double lots = 0.10, Side side = Side::Buy);
[[nodiscard]] bridge::Command pending(std::uint64_t intent, PriceKind kind, double price);
[[nodiscard]] bridge::Command close_of(std::uint64_t intent, std::uint64_t position);
[[nodiscard]] bridge::Command modify_of(std::uint64_t intent, std::uint64_t position, double sl);
[[nodiscard]] bridge::Command cancel_of(std::uint64_t intent, std::uint64_t order);

/// Executed volume of an intent in the broker's books, and how many of its orders had deals.
struct Booked {
    std::int64_t volume = 0;
    std::uint64_t executions = 0;
    bool doubled = false;
};
[[nodiscard]] Booked booked(const TempDir& dir, std::uint64_t intent);

}  // namespace millrace::mt5::test
