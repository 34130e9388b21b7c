// Supervisor: `millrace up`. Starts the stages that are missing, adopts those that run, restarts
// the dead, kills the hung, tells the engine the configuration, and stops all in order.
//
// Stages outlive it: nothing here is needed for trading, and a new supervisor carries on.
#pragma once

#include "tools/millrace/alert_relay.h"
#include "tools/millrace/config.h"
#include "tools/millrace/config_records.h"
#include "tools/millrace/journal_alarm.h"
#include "tools/millrace/journal_pulse.h"
#include "tools/millrace/restart_policy.h"
#include "tools/millrace/sink_lags.h"
#include "tools/millrace/storage_keeper.h"
#include "tools/millrace/worker.h"

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millrace {

struct SupervisorOptions {
    std::string executable = "/proc/self/exe";
    bool threads = false;              // all stages as threads of this process
    bool begin_anew = false;           // also where a store says that the journal was lost
    std::uint32_t stores_wait_s = 60;  // for stores that cannot be asked about that
    std::string checked_text;          // the configuration's text for the stages; empty = its file
    std::int64_t executed_ns = 0;      // CLOCK_MONOTONIC at the start of main()
};

/// Blocks SIGTERM and SIGINT in the calling thread and all that it makes afterwards. To be called
/// before any thread is made (the log's too): one that lets them through would end the process.
void block_stop_signals();

/// Runs the pipeline until SIGTERM or SIGINT, which it hears by signalfd, then stops it.
/// @return an ExitCode.
[[nodiscard]] int supervise(const Config& config, const SupervisorOptions& options);

class Supervisor {
public:
    /// @param segment, config, ids, records outlive it.
    Supervisor(Segment& segment, const Config& config, const IdBook& ids,
               const ConfigRecords& records, const SupervisorOptions& options);
    ~Supervisor();

    /// Adopts living stages and starts the missing ones.
    void begin();
    /// Waits at most `limit` for something to happen, and deals with it.
    /// @param stop_fd readable = return at once; -1 = none.
    void turn(Nanos limit, int stop_fd);
    /// Drains and stops all stages in order. Bounded, whatever the disk does.
    /// @return what was not clean, as stop_in_order() says it; empty = nothing.
    [[nodiscard]] std::vector<std::string> stop();
    /// After stop(): the housekeeper has not come back from a disk and refers to this object, whose
    /// destructor waits for it. The process is to be ended by _exit().
    [[nodiscard]] bool housekeeper_stuck() const;

    [[nodiscard]] bool halted() const noexcept { return halted_; }

private:
    struct Kept;  // supervisor_kept.h
    /// How often it looks at what no descriptor tells.
    static constexpr std::int64_t kWatchEveryNs = 100'000'000;

    void make_workers();
    void adopt(Kept& kept);
    void start(Kept& kept);
    void on_end(Kept& kept);
    void mark_dead(const Kept& kept, const ProcessId& was, const std::vector<StageEntry*>& entries,
                   WorkerEnd& end);
    void note_place(Kept& kept);
    void relay_alerts(bool last = false);
    void on_core_end(const Kept& kept, const WorkerEnd& end);
    [[nodiscard]] std::string what_follows(const Kept& kept, Nanos wait) const;
    void halt_if_poisoned();
    void halt(Sequence seq);
    void maybe_unhalt();
    void restart_due();
    void check_progress(Kept& kept, std::int64_t now_ns);
    [[nodiscard]] bool is_spare_of_another(const Kept& kept) const;
    void report_still(const Kept& kept, std::int64_t still_ns, bool waiting, bool to_be_killed);
    void note_recovery(Kept& kept);
    void watch_journal(std::int64_t now_ns);
    void watch_pulse(std::int64_t now_ns);
    void say_journal_down(const std::string& why, std::int64_t for_ns);
    void tell_failed_journal();
    void watch_stores(std::int64_t now_ns);
    void keep_watch();
    void keep_house();
    void tell_config();
    [[nodiscard]] std::vector<StageEntry*> entries_of(const Kept& kept) const;
    [[nodiscard]] Nanos next_wake(Nanos limit) const;

    Segment& segment_;
    const Config& config_;
    const IdBook& ids_;
    const ConfigRecords& records_;
    SupervisorOptions options_;
    std::vector<std::unique_ptr<Kept>> workers_;  // in stop order: ingress first
    PoisonWatch poison_;
    AlertRelay alerts_;
    bool halted_ = false;
    std::int64_t watched_ns_ = 0;
    std::int64_t journal_gone_ns_ = 0;  // since when nobody writes the journal; 0 = it is written
    JournalAlarm journal_alarm_;
    JournalPulse journal_pulse_;
    Nanos journal_pulse_max_;  // so long records may wait for its disk
    SinkLags sink_lags_;
    StorageKeeper storage_;  // the housekeeper's
    std::atomic<bool> stopping_{false};
    std::promise<void> housekeeper_ended_;
    std::future<void> housekeeper_end_ = housekeeper_ended_.get_future();
    std::thread housekeeper_;
};

}  // namespace millrace
