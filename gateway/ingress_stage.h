// IngressStage: where signals come in over TCP, and where their acks and results go out.
//
//     sources (TCP) -> [login, check, stamp] -> ring signals.ingress -> engine
//     sources (TCP) <- [ack level, routing]  <- ring results.ingress <- engine
//
// The protocol is gateway/signal_wire.h, written out in gateway/SIGNALS.md. Nothing here outlives
// the process but the two rings' positions, and nothing else needs to: a source resends what has
// no ack, and the ledger drops repeats.
#pragma once

#include "gateway/ingress_acks.h"
#include "gateway/ingress_check.h"
#include "gateway/ingress_peer.h"
#include "gateway/ingress_repeats.h"
#include "shm/segment.h"
#include "shm/stage.h"

#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// When a source is told that its signal is accepted. The values travel in Welcome.ack_level.
enum class AckLevel : std::uint32_t {
    Process = 0,  // published to the journal ring: survives any crash of any process
    Disk = 1,     // the journal's write has completed: survives power loss
};

/// One source that may log in.
struct IngressSource {
    std::string name;  // 1..16 bytes, as in the configuration
    SourceId id{kNoId};
    std::vector<std::byte> key;  // HMAC-SHA256 key, at least 16 bytes
    AckLevel ack = AckLevel::Disk;
};

struct IngressOptions {
    net::ListenOptions listen;
    std::vector<IngressSource> sources;
    std::uint32_t connections_max = 256;
    std::size_t send_buffer_bytes = 256 * 1024;  // a peer that lets more pile up is cut
    std::size_t parked_acks_max = 1U << 14;      // acks waiting for the disk, all sources
    IngressLimits limits;
};

/// What happened since the stage was made. Counters of the stage's thread.
struct IngressStats {
    std::uint64_t connections = 0;
    std::uint64_t logins = 0;
    std::uint64_t logins_denied = 0;    // wrong key, unknown source, too many, too late
    std::uint64_t malformed = 0;        // connections ended for a broken or unexpected frame
    std::uint64_t peers_cut = 0;        // did not read, or silent
    std::uint64_t signals = 0;          // published to the ring
    std::uint64_t refused = 0;          // by the checks: final
    std::uint64_t refused_full = 0;     // ring full: to be sent again
    std::uint64_t refused_down = 0;     // journal or engine not up, or stopping: to be sent again
    std::uint64_t repeats_held = 0;     // dropped: the first one's ack waits for the journal
    std::uint64_t clamped = 0;          // send stamps too far ahead, receipt taken
    std::uint64_t results = 0;          // handed to at least one connection
    std::uint64_t results_dropped = 0;  // their source was not connected
    std::uint64_t parked_full = 0;      // cycles in which results waited for a free ack slot
};

class IngressStage final : public Stage {
public:
    /// Binds the port and takes the ends of rings `signals.ingress` and `results.ingress`.
    /// @param segment outlives the stage.
    /// @return BadInput (a source's name, key or a repeat; no such ring), Busy (port in use),
    /// BadCursor (a ring contradicts itself), IoError; `message` names the thing and the mend.
    /// Threads: startup. The caller owns the role `ingress` (shm/role.h): one stage per segment.
    /// Crash: made again on the same segment it goes on where the last one stopped.
    static Result<std::unique_ptr<IngressStage>> create(Segment& segment, IngressOptions options,
                                                        std::string& message);
    ~IngressStage() override;

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override;
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    [[nodiscard]] int wake_fd() const noexcept override { return poller_.fd(); }
    /// No ack is parked, no result waits, every peer has been written what it was due.
    [[nodiscard]] bool drained() const noexcept override;

    /// The port really bound.
    [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port(); }
    [[nodiscard]] const IngressStats& stats() const noexcept { return stats_; }
    [[nodiscard]] std::size_t peers() const noexcept { return peers_open_; }

private:
    static constexpr std::uint64_t kListenerTag = ~std::uint64_t{0};  // others: a peer's index

    IngressStage(Segment& segment, IngressOptions options);
    Status attach(std::string& message);

    int poll_sockets(Nanos now) noexcept;
    void accept_peers(Nanos now) noexcept;
    [[nodiscard]] IngressPeer* free_peer() noexcept;
    int read_peer(std::size_t index, Nanos now) noexcept;
    void on_frame(std::size_t index, const wire::Frame& frame, Nanos now) noexcept;
    void on_login(std::size_t index, const wire::Frame& frame, Nanos now) noexcept;
    void on_submit(std::size_t index, const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] bool take_signal(const signal_wire::Submit& submit, const IngressSource& source,
                                   Nanos now, Refusal& why) noexcept;
    [[nodiscard]] bool note_repeat(const SignalId& id, SourceId source, Refusal& why) noexcept;

    int poll_results() noexcept;
    int release_acks() noexcept;
    void forward(const SignalResult& result) noexcept;
    [[nodiscard]] const IngressSource* source_of(SourceId id) const noexcept;

    void mark_dirty(std::size_t index) noexcept;
    void flush_dirty(Nanos now) noexcept;
    void watch_write(std::size_t index, bool write) noexcept;
    void keep_time(Nanos now) noexcept;
    /// @param logged what the error log says instead of `reason`: nothing that the peer chose, or
    /// a stranger could fill the log.
    void deny(std::size_t index, std::string_view reason, Nanos now,
              std::string_view logged = {}) noexcept;
    void cut(std::size_t index, const char* why) noexcept;
    void end(std::size_t index) noexcept;

    Segment& segment_;
    IngressOptions options_;
    net::Listener listener_;
    net::Poller poller_;
    RingProducer<SignalSlot> signals_;
    RingConsumer<ResultSlot> results_;
    Doorbell* engine_bell_ = nullptr;
    ParkedAcks parked_;
    HandedOn handed_on_;                               // while the journal does not write
    std::vector<std::unique_ptr<IngressPeer>> peers_;  // grows up to connections_max, re-used
    std::vector<std::size_t> dirty_;
    std::size_t peers_open_ = 0;
    Nanos next_check_;
    IngressStats stats_;
};

}  // namespace millrace
