// A pipeline small enough for a test: journal and core as forked processes over a real segment,
// the test itself as source and broker stage. What it counts is outside the victims.
#pragma once

#include "persist/core_stage.h"
#include "shm/segment.h"

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace millrace::test {

inline constexpr std::uint32_t kAccounts = 4;

class Pipeline {
public:
    /// @param under directory in which it makes its own; removed at the end.
    explicit Pipeline(const std::filesystem::path& under = std::filesystem::temp_directory_path());
    ~Pipeline();

    /// Makes a new segment (removing an old one) and attaches the test's ring ends.
    /// @param results_slots of ingress's results ring; 0 = as usual.
    void create_segment(std::uint32_t journal_slots = 1024, std::uint32_t results_slots = 0);
    /// Forks a process that runs the journal stage, or a core stage; `crash_point` may be null.
    pid_t fork_journal(const char* crash_point);
    pid_t fork_core(const char* crash_point);
    /// SIGKILL and reap.
    static void kill_and_reap(pid_t pid);
    /// True if `pid` has died of SIGKILL (reaped then).
    static bool was_killed(pid_t pid);

    /// Plays the broker stage for one round: takes orders, answers them, reads results.
    void play_broker();
    /// Plays until `done` or a deadline of ten seconds. @return whether `done` came true.
    bool play_until(const std::function<bool()>& done);

    void send_config();
    void connect_accounts(std::uint64_t generation);
    void send_signals(int count);
    /// An entry with a number of its own, to be changed and sent.
    [[nodiscard]] Signal next_signal();
    /// Sends `signal`, made by next_signal().
    void send(const Signal& signal);
    /// Sends again every signal that was ever sent, as it was.
    void resend_signals();
    /// Signals that the engine refuses (no such group): results and effects, but no orders, so that
    /// any number of them leaves its tables as they are.
    void send_refused_signals(int count);
    void send_admin(const AdminRecord& record);
    /// Tells of at most `most` orders that rest that they were cancelled at the broker.
    void cancel_resting(std::size_t most);

    /// What was put out and not taken by the broker, which forgets it: its host is lost.
    [[nodiscard]] std::vector<OrderCommand> lose_orders();

    Segment& segment() { return segment_; }
    [[nodiscard]] std::string journal_dir() const { return dir_.string(); }
    [[nodiscard]] const std::string& segment_path() const { return segment_path_; }

    // What the outside world saw.
    std::map<std::uint64_t, int> executed;      // magic -> times executed
    std::set<std::uint64_t> intents;            // intents ever seen in an Open
    std::map<std::uint64_t, int> done_results;  // signal lo -> SignalDone count
    std::uint64_t last_result_seq = 0;          // of the newest result of whatever kind
    std::map<std::uint64_t, std::uint64_t>
        accepted_at;  // signal lo -> record that accepted it last
    std::vector<std::pair<std::uint64_t, std::uint32_t>> order_keys;  // (seq, k) in ring order
    std::vector<OrderCommand> commands;                               // taken, in ring order
    std::uint64_t duplicates = 0;                                     // Duplicate results
    std::uint64_t refused = 0;                                        // Refused results
    std::uint64_t signals_sent = 0;
    bool answering = true;                 // false: orders are executed, answers kept back
    bool resting = false;                  // true: signals are limit orders, answered "placed"
    bool gated = false;                    // true: orders leave when their record is on disk
    bool leaves_early = false;             // true: the engine is told that they are not `gated`
    std::uint32_t ttl_ms = 0;              // of signals; 0 = the default
    std::uint32_t ring_slots = 0;          // of the next segment's other rings; 0 = as usual
    Nanos snapshot_every = millis(20);     // of the cores forked from now on
    std::vector<StrategyPlan> strategies;  // of the next segment
    bool reading = true;                   // false: results stay in their ring
    std::uint64_t working = 0;             // OrderWorking results read
    std::uint64_t order_ends = 0;          // OrderDone results read

private:
    void publish_signal(Signal signal);
    void on_order(const OrderCommand& c);
    void report(const Report& r);

    std::filesystem::path dir_;
    std::string segment_path_;
    Segment segment_;
    RingConsumer<OrderSlot> orders_;
    RingConsumer<ResultSlot> results_;
    RingProducer<ReportSlot> reports_;
    RingProducer<AdminSlot> admin_;
    RingProducer<SignalSlot> signals_;
    std::vector<Signal> sent_;  // by number
    std::uint64_t next_deal_ = 1;
    std::map<std::uint32_t, std::uint64_t> event_seq_;
    std::vector<Report> kept_back_;
    std::vector<Report> placed_;  // what rests, as it was answered
    std::vector<pid_t> children_;
};

}  // namespace millrace::test
