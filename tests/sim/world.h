// World: the engine between a source, its rings, a broker stage and terminals; one thread, one
// virtual clock, one seed. Everything that can fail does, by the faults drawn for the seed.
//
// Phases: signals under faults; heal (no faults, everything connected) until quiet; then the end
// checks. Violations are thrown by name (books.h).
#pragma once

#include "tests/sim/session.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace millrace::sim {

struct Options {
    std::uint64_t seed = 1;
    std::uint32_t signals = 300;
    Canary canary = Canary::None;
    bool trace = false;              // every record and output to stdout
    const Faults* faults = nullptr;  // instead of those drawn for the seed
};

struct Summary {
    std::uint64_t records = 0;
    std::uint64_t orders = 0;
    std::uint64_t executions = 0;
    std::uint64_t in_doubt = 0;  // times an order went IN_DOUBT
    std::uint64_t engine_crashes = 0;
    std::uint64_t host_crashes = 0;
    std::uint64_t doubled_signals = 0;
};

class World {
public:
    explicit World(const Options& options);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    /// @throw Violation
    Summary run();
    /// After run(): the journal and what the engine has come to, as a RecordedLog.
    /// @return false if the file cannot be written.
    [[nodiscard]] bool write_log(const std::string& path) const;

private:
    static constexpr std::uint32_t kAccountsMax = 4;
    static constexpr Capacity kCapacity{kAccountsMax, 16, 512, 1024};

    struct OutId {
        std::uint64_t seq = 0;
        std::uint32_t k = 0;
        friend auto operator<=>(const OutId&, const OutId&) = default;
    };
    struct Published {
        std::vector<std::pair<OutId, std::uint64_t>> orders;  // with a hash of the content
        std::vector<std::pair<OutId, std::uint64_t>> results;
    };
    struct Snapshot {
        std::uint64_t seq = 0;
        std::vector<std::byte> image;
    };
    class LivePort;
    class ReplayPort;

    void draw_faults();
    void configure();
    void limit();
    void step();
    void heal();
    void quiet_or_violated();

    // Engine stage.
    bool engine_step();
    bool take_admin();
    bool take_report();
    bool take_deferred();
    bool take_rate();
    bool take_signal();
    [[nodiscard]] JournalRecord begin_record(SymbolId symbol) const;
    bool commit_record(const JournalRecord& record);
    void crash_engine();
    void append(const JournalRecord& record);
    void crash_host();
    void rebuild(std::uint64_t snapshot_max, bool publish);
    void begin_segment();
    void take_snapshot();
    void advance_durable(std::uint64_t to);

    // Broker stage and the world behind it.
    bool broker_step();
    void publish_link(ReportType type, std::uint32_t account);
    void answer_unsent(const OrderCommand& c, Reason why);
    void connect(std::uint32_t account);
    void disconnect(std::uint32_t account);
    void faults_strike();
    void kill_or_clear();
    void tell_equity();
    void tell_reach(std::uint32_t account, std::uint8_t permissions);

    // Source.
    void emit_signal();
    void read_results();
    Signal draw_signal();

    // End.
    void check_end();
    void check_positions(std::uint32_t account) const;
    void check_working(std::uint32_t account) const;
    void check_outputs(const ReplayPort& replay) const;
    void check_states(ReplayPort& replay);
    [[nodiscard]] std::uint64_t orders_free() const { return orders_slots_ - orders_ring_.size(); }

    Options options_;
    Rng rng_;
    Rng faults_rng_;
    Rng source_rng_;
    Rng equity_rng_;
    Rng reach_rng_;
    Faults faults_;
    Faults none_;
    Faults active_;  // faults_, or none while healing
    Nanos now_ = seconds(1'700'000'000);
    std::uint32_t accounts_ = 1;
    MarginMode mode_{};
    Price price_;
    std::int64_t equity_ = 10'000;

    // The segment.
    std::deque<OrderCommand> orders_ring_;
    std::deque<SignalResult> results_ring_;
    std::deque<Report> reports_ring_;
    std::deque<AdminRecord> admin_ring_;
    std::deque<Signal> signals_ring_;
    std::size_t orders_slots_ = 32;
    std::size_t results_slots_ = 64;
    OutId last_order_;  // of the rings
    OutId last_result_;
    std::uint64_t completed_ = 0;

    // The journal.
    std::vector<JournalRecord> log_;  // log_[i].seq rises; gaps only at a Jump
    std::uint64_t durable_ = 0;
    std::size_t durable_index_ = 0;   // records of log_ that are durable
    std::uint64_t seq_reserved_ = 0;  // no number above was ever used
    std::uint64_t epoch_ = 0;
    std::uint64_t intent_reserved_ = 0;
    std::vector<Snapshot> snapshots_;
    std::array<std::uint64_t, kAccountsMax> durable_event_{};

    std::unique_ptr<Engine> engine_;
    std::unique_ptr<LivePort> port_;
    std::vector<Terminal> terminals_;
    std::vector<Session> sessions_;

    // The source.
    std::uint64_t signals_made_ = 0;
    std::vector<Signal> unacked_;
    std::vector<std::pair<SignalId, SymbolId>> opens_;

    std::vector<Published> segments_;          // what each segment's rings saw
    std::vector<std::uint64_t> segment_ends_;  // last record of each that survived; not of the last
    bool healing_ = false;
    bool crash_pending_ = false;
    Summary summary_;
};

}  // namespace millrace::sim
