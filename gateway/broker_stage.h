// BrokerStage: the one way out. Takes commands from `orders`, keeps them per account, sends each
// to its terminal when the egress gate allows, and turns what terminals say into `reports`.
//
//     orders ──▶ session queue (segment) ──gate──▶ socket ──▶ terminal
//     admin.broker ──▶ Kill frames, ahead of every queue        │
//     reports ◀── events, SessionUp/Down, Unsent, KillApplied ◀─┘
//
// Always drains `orders`: a full account queue is answered (QueueFull) and disturbs nobody. Only
// where an answer is due and `reports` is full does it wait; sockets are not read then either.
// Kills go out even so.
// Crash: killed at any point, a new stage on the same segment continues: nothing is sent twice
// without the executor's word that it has not got it, nothing answered is sent, nothing is lost.
#pragma once

#include "gateway/session.h"
#include "shm/stage.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// Finds the account that logs in as `login`; false if there is none. Called at each Hello, in
/// the stage's thread, so that accounts may be added while it runs. Must not block.
using AccountLookup = std::function<bool(std::uint64_t login, TerminalAccount& found)>;

struct BrokerOptions {
    net::ListenOptions listen;
    AccountLookup find_account;
    /// Absent: what terminals say of symbols is compared with nothing.
    SymbolLookup find_symbol;
    SessionTimes times;
    std::uint64_t epoch = 1;  // of the engine's journal, as bridge::wire_epoch() makes it
    std::uint64_t magic_tag = RiskSpec{}.magic_tag;
};

/// Threads: one, the stage's. Memory and sockets are taken by create().
class BrokerStage final : public Stage {
public:
    /// Attaches to the rings, rebuilds every session from its slots, listens.
    /// @return an Error, and a sentence for people in `message`.
    static Result<std::unique_ptr<BrokerStage>> create(Segment& segment, BrokerOptions options,
                                                       std::string& message);

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override;
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    [[nodiscard]] int wake_fd() const noexcept override { return wake_.fd(); }
    /// Commands for terminals that are not connected do not hold the stop up: they stay in the
    /// segment.
    [[nodiscard]] bool drained() const noexcept override;

    /// The port that terminals connect to.
    [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port(); }
    [[nodiscard]] const BrokerStats& stats() const noexcept { return stats_; }

private:
    BrokerStage(Segment& segment, BrokerOptions options);
    [[nodiscard]] Status start(std::string& message);
    [[nodiscard]] Status attach_rings(std::string& message);
    void attach_sessions();
    [[nodiscard]] Status open_sockets(std::string& message);

    // Commands in.
    int take_kills() noexcept;
    void begin_kill(const KillCommand& kill) noexcept;
    int finish_kills(Nanos now) noexcept;
    [[nodiscard]] bool finish_kill(Nanos now) noexcept;
    int drain_orders(Nanos now) noexcept;
    [[nodiscard]] bool take(const OrderCommand& command, Nanos now) noexcept;
    [[nodiscard]] Reason reason_not_taken(Session* session) noexcept;
    int service_active(Nanos now) noexcept;
    void activate(Session& session) noexcept;

    // Sockets.
    int serve_sockets(Nanos now) noexcept;
    void stall() noexcept;
    void resume(Nanos now) noexcept;
    void accept_waiting(Nanos now) noexcept;
    [[nodiscard]] Peer* take_peer(Nanos now) noexcept;
    void greet(Peer& peer, Nanos now) noexcept;
    void serve(Peer& peer, const net::Ready& ready, Nanos now) noexcept;
    void pump(Peer& peer, Nanos now) noexcept;
    void on_frame(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    void on_hello(Peer& peer, const wire::Frame& frame, Nanos now) noexcept;
    void reject_key(AccountId account, std::uint64_t login) noexcept;
    [[nodiscard]] bool is_defined(AccountId account, std::uint64_t login) const noexcept;
    void log_in(Peer& peer, const bridge::Hello& hello, const TerminalAccount& terminal,
                Nanos now) noexcept;
    void deny(Peer& peer, const char* reason, Nanos now) noexcept;
    void drop(Peer& peer, Nanos now) noexcept;
    void leave_session(Peer& peer, Nanos now) noexcept;
    void settle_peer(Peer& peer, Nanos now) noexcept;
    int keep_time(Nanos now) noexcept;
    void look_around(Nanos now) noexcept;
    void keep_time_of(Peer& peer, Nanos now) noexcept;

    struct PendingKill {
        KillCommand kill;
        std::uint64_t number = 0;  // in admin.broker
        std::uint32_t next_account = 0;
        bool accepted = false;
    };
    static constexpr std::size_t kPendingKillsMax = 64;
    /// Free slots in `reports` below which no socket is read: for one frame, and an answer besides.
    static constexpr std::uint64_t kReportReserve = Session::kReportsPerFrame + 2;
    /// Sockets that have not said who they are; beyond, the oldest gives way.
    static constexpr std::size_t kStrangersMax = 32;

    Segment& segment_;
    BrokerOptions options_;
    BrokerStats stats_;
    EgressGate gate_;
    ReportSink reports_;
    KillBoard kills_;
    SessionContext context_;

    RingConsumer<OrderSlot> orders_;
    RingConsumer<KillSlot> admin_;
    HoldingSink holdings_;
    OutputId answered_before_;  // by the predecessor's last report
    std::vector<Session> sessions_;
    std::vector<Session*> active_;  // has_waiting()
    std::vector<bool> is_active_;
    std::array<PendingKill, kPendingKillsMax> pending_kills_{};
    std::size_t kills_begun_ = 0;
    std::size_t kills_finished_ = 0;

    net::Listener listener_;
    net::Poller poller_;  // listener and peers
    net::Poller wake_;    // poller_, unless stalled: a parked runner must not spin
    std::vector<std::unique_ptr<Peer>> peers_;
    bool stalled_ = false;
    bool all_read_ = true;  // the last poll showed every ready peer
    Nanos polled_at_;
    Nanos sweep_at_;
    std::size_t looked_at_ = 0;  // sessions that look_around() has come by
};

}  // namespace millrace
