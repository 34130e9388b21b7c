// The world around a BrokerStage: a segment in a temporary directory, a stand-in for the engine
// (the other ends of the rings), and scripted terminals over real loopback sockets. Everything is
// stepped by the test's one thread, so a test decides what happens before what.
#pragma once

#include "gateway/broker_stage.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace millrace::test {

inline constexpr std::uint64_t kFirstLogin = 1000;
inline constexpr std::uint64_t kTag = 0x4D52;

/// The key of a login, as the world's configuration has it.
std::array<std::byte, 32> key_of(std::uint64_t login);
/// Finds logins kFirstLogin .. kFirstLogin + accounts - 1, account = login - kFirstLogin.
AccountLookup lookup(std::uint32_t accounts, GateLevel gate, std::string_view suffix = "",
                     const AccountFacts& facts = {});

class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A terminal as BRIDGE.md asks for it, with an intent journal in memory.
class Terminal {
public:
    explicit Terminal(std::uint64_t login, std::uint64_t journal = 77)
        : login_{login}, journal_id{journal} {}

    /// Connects and begins the handshake; poll() answers the challenge.
    void connect(std::uint16_t port);
    /// The same, towards a process that may have died meanwhile. @return false if it has.
    bool connect_if_possible(std::uint16_t port);
    void disconnect();
    [[nodiscard]] bool connected() const { return static_cast<bool>(fd_); }
    /// Reads and handles what is there.
    void poll();
    void send_sync_done();
    void send_event(const bridge::Event& event);
    void send_bytes(std::span<const std::byte> bytes);
    template <class Body>
    void send(bridge::FrameType type, std::uint64_t seq, const Body& body) {
        std::array<std::byte, 512> out;
        send_bytes({out.data(), wire::encode(out, type, version, seq, body)});
    }
    void resend_event(std::size_t index) {
        send(bridge::FrameType::Event, index + 1, events[index]);
    }

    struct Received {
        std::uint64_t seq;
        bridge::Command command;
    };
    std::uint64_t login_;
    // Script.
    bool acks = true;   // answer commands with RX_ACK
    bool reads = true;  // false: lets the socket fill
    bool syncs = true;  // SYNC_DONE right after the welcome
    bool spoils_mac = false;
    std::uint8_t hello_permissions = bridge::kHelloMayTrade;
    MarginMode margin_mode = MarginMode::Hedging;
    std::uint8_t version = bridge::kVersion;
    // Intent journal.
    std::uint64_t journal_id;
    std::uint64_t command_seq = 0;
    std::uint64_t command_epoch = 0;
    std::vector<Received> commands;
    std::vector<bridge::Event> events;  // number i + 1
    std::uint64_t forgotten = 0;        // events acknowledged by the host
    // Seen.
    std::vector<bridge::Welcome> welcomes;
    std::uint64_t forged_welcomes = 0;  // with a MAC that is not the key's
    std::vector<bridge::Kill> kills;
    std::vector<char> order;  // 'C' command, 'K' kill, as they came
    std::string denied;
    std::uint64_t heartbeats = 0;
    std::uint64_t generation = 0;
    std::uint64_t epoch = 0;

private:
    void on_frame(const wire::Frame& frame);
    void answer(const bridge::Challenge& challenge);

    net::Fd fd_;
    wire::Nonce nonce_{};  // of the last HELLO
    wire::FrameReader reader_{bridge::kVersion};
};

struct WorldOptions {
    std::uint32_t accounts = 2;
    std::uint32_t session_slots = 256;
    std::uint32_t orders_slots = 1024;
    std::uint32_t reports_slots = 256;
    GateLevel gate = GateLevel::Process;
    std::string suffix = {};
    std::uint64_t epoch = 5;
    std::uint64_t stage_tag = kTag;  // that terminals are told
    bool starts = true;              // a stage of its own; false: the test brings one
    SymbolLookup find_symbol = {};
    AccountFacts facts = {};  // of every account, as configured
};

class World {
public:
    explicit World(WorldOptions options = {});

    void start_stage();
    void stop_stage() { stage.reset(); }
    void restart_stage() {
        stop_stage();
        start_stage();
    }

    /// One duty cycle, then the terminals, then (unless held) the engine reads its reports.
    void step();
    /// Steps until `condition` holds. @return false after 60 s.
    [[nodiscard]] bool until(const std::function<bool()>& condition);
    void steps(int n);
    /// Lets a new terminal log in and synchronise.
    Terminal& connect(std::uint64_t login, std::uint64_t journal_id = 77);
    [[nodiscard]] bool is_up(std::uint32_t account) const;

    /// Publishes a command as the engine does. @return its magic.
    Magic order(std::uint32_t account, CommandType type = CommandType::Open,
                Nanos life = seconds(30));
    /// The same of one that an engine has made.
    void publish(OrderCommand command);
    void kill(const KillCommand& kill);
    void journal_is(JournalState state);
    void durable_upto(std::uint64_t seq);
    [[nodiscard]] std::size_t count(ReportType type, std::uint32_t account = kNoId) const;
    [[nodiscard]] const Report* unsent(Magic magic) const;
    /// The time that the stage is told, with `skew`.
    [[nodiscard]] Nanos now() const {
        return (frozen_.value != 0 ? frozen_ : segment.clock().now()) + skew;
    }
    /// From now on time is what `skew` says: a machine that stalls makes nothing older.
    void freeze() { frozen_ = segment.clock().now(); }
    [[nodiscard]] SessionEntry& entry(std::uint32_t account) {
        return segment.session(AccountId{account});
    }
    [[nodiscard]] bool error_logged(std::string_view part) const { return errors(part) > 0; }
    /// How often an error with `part` in its text was reported.
    [[nodiscard]] std::uint64_t errors(std::string_view part) const;
    void define_symbol(std::uint32_t id, std::string_view name);

    TempDir dir;
    WorldOptions options;
    Segment segment;
    std::unique_ptr<BrokerStage> stage;
    std::vector<std::unique_ptr<Terminal>> terminals;
    std::vector<Report> reports;
    std::uint64_t last_seq = 0;
    bool engine_reads = true;
    std::uint64_t order_tag = kTag;  // of the orders that follow
    Nanos skew;

private:
    void read_reports();

    Nanos frozen_;
    RingProducer<OrderSlot> orders_;
    RingProducer<KillSlot> admin_;
    RingConsumer<ReportSlot> reports_;
};

/// The outcome of a filled order, as an executor reports it.
bridge::Event filled(Magic magic);

}  // namespace millrace::test
