// RedisSource: signals from the Redis stream RTSS, through rings of its own like a strategy's.
//
//     RTSS -> [read as a group's member, check, stamp] -> ring signals.<name> -> engine
//     RTSS <- [XACK at the ack level] <- ring results.<name> <- engine;  results: RTRS, by the sink
//
// An entry is acknowledged when its signal is accepted, refused or a repeat at the configured
// level, never before. Until then it stays in the group's list and comes again: after a restart of
// ours, of Redis, of the engine. The ledger drops what was done already, the engine ends what is
// too old.
//
// While the journal does not write, entries are read on: closes and cancels go to the engine past
// the opens and modifies, which are held in memory until it writes again; one whose opening is
// among the held waits with it.
#pragma once

#include "gateway/ingress_acks.h"
#include "gateway/ingress_stage.h"
#include "gateway/signal_gate.h"
#include "gateway/signal_text.h"
#include "shm/segment.h"
#include "shm/stage.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace millrace {

/// The stream as this stage needs it; tools/ implements it over a Redis client.
class SignalStream {
public:
    struct Entry {
        std::string id;                 // milliseconds-number, as Redis stamps it
        std::vector<TextField> fields;  // none: it was deleted since
    };
    virtual ~SignalStream() = default;
    /// Connects. What had been read and not acknowledged is given again by read().
    [[nodiscard]] virtual Status open() = 0;
    [[nodiscard]] virtual bool is_open() const = 0;
    virtual void close() = 0;
    [[nodiscard]] virtual Status read(std::uint32_t count, Nanos wait, std::vector<Entry>& out) = 0;
    /// Takes over what a dead member of the group has left.
    [[nodiscard]] virtual Status claim(std::uint32_t count, Nanos idle,
                                       std::vector<Entry>& out) = 0;
    [[nodiscard]] virtual Status acknowledge(const std::vector<std::string>& ids) = 0;
    /// Sets an entry aside with the reason, and acknowledges it.
    [[nodiscard]] virtual Status refuse(const Entry& entry, const char* why) = 0;
    /// Removes what is done; looks whether the primary has moved, and whether the stream is ours.
    [[nodiscard]] virtual Status upkeep() = 0;
    [[nodiscard]] virtual std::string message() const = 0;
};

struct RedisSourceOptions {
    std::string source;  // configured name; its rings are signals./results.<name>
    SourceId id{kNoId};
    AckLevel ack = AckLevel::Disk;
    std::uint32_t read_max = 128;        // entries a read
    std::uint32_t in_flight_max = 1024;  // signals without an ack
    std::uint32_t held_max = 8192;       // entries held while the journal does not write
    /// What another member has had for so long is taken over. Far below the life of a signal that
    /// names none (kDefaultTtlMs), or all that is rescued would be too old to trade. Two hosts are
    /// kept apart by the key that says whose the stream is, and the ledger drops repeats.
    Nanos claim_after = seconds(5);
    /// An entry of ours that has no answer for so long is handed over again.
    Nanos again_after = seconds(30);
    Nanos upkeep_every = seconds(1);
    /// After so long without upkeep() nothing is read or handed over before it: this process stood
    /// still, and the stream may be another's by now. Half the life of the key that says whose.
    Nanos pause_max = seconds(15);
    Nanos retry_min = millis(200);
    Nanos retry_max = seconds(2);
};

class RedisSource final : public Stage {
public:
    /// @return BadInput (no such rings), BadCursor; `message` says what.
    /// Threads: startup; the caller owns the role. Crash: made again it goes on where it was.
    static Result<std::unique_ptr<RedisSource>> create(Segment& segment,
                                                       std::unique_ptr<SignalStream> stream,
                                                       RedisSourceOptions options,
                                                       std::string& message);

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override { return resting_; }
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    /// What has no ack yet comes again after the restart; nothing is held up for it.
    [[nodiscard]] bool drained() const noexcept override { return ready_.empty() || failing_; }

    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_.size(); }
    [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }

private:
    RedisSource(Segment& segment, std::unique_ptr<SignalStream> stream, RedisSourceOptions options);
    [[nodiscard]] Status attach(std::string& message);
    int take_results() noexcept;
    void finish(const SignalId& signal) noexcept;
    [[nodiscard]] bool acknowledge() noexcept;
    [[nodiscard]] bool reopen(Nanos now) noexcept;
    [[nodiscard]] int read() noexcept;
    int hand_over(Nanos now) noexcept;
    enum class Submitted : std::uint8_t { Done, Held, NotNow };
    [[nodiscard]] Submitted submit(const SignalStream::Entry& entry, const SignalGate& gate,
                                   Nanos now) noexcept;
    [[nodiscard]] bool is_held(const Signal& signal, const SignalGate& gate) const noexcept;
    [[nodiscard]] bool joins(const SignalId& signal, const std::string& entry,
                             const SignalGate& gate, Nanos now) noexcept;
    void release_held() noexcept;
    [[nodiscard]] bool keep_up(Nanos now) noexcept;
    [[nodiscard]] bool engine_knows_names() const noexcept;
    bool fail(const Status& status) noexcept;
    static void count(AtomicU64& cell) noexcept;

    Segment& segment_;
    std::unique_ptr<SignalStream> stream_;
    RedisSourceOptions options_;
    RingProducer<SignalSlot> signals_;
    RingConsumer<ResultSlot> results_;
    Doorbell* engine_bell_ = nullptr;
    ParkedAcks parked_;
    /// Handed over and not answered.
    struct InFlight {
        std::vector<std::string> entries;  // that carried it
        Nanos since;                       // handed over last
    };
    std::map<SignalId, InFlight> in_flight_;
    std::deque<SignalStream::Entry> waiting_;  // read, not handed over yet
    std::deque<SignalStream::Entry> held_;     // read before those, in their order
    std::set<SignalId> held_ids_;              // the signals of held_
    std::vector<SignalStream::Entry> fresh_;
    std::vector<std::string> ready_;  // entries to acknowledge
    bool resting_ = false;
    bool failing_ = false;
    Nanos now_{};
    Nanos retry_at_{};
    Nanos retry_wait_{};
    Nanos upkeep_at_{};
    Nanos kept_{};  // when the stream was last known to be ours
};

}  // namespace millrace
