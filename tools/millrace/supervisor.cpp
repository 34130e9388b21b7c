#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "shm/doorbell.h"
#include "tools/millrace/admin_client.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/log.h"
#include "tools/millrace/poison.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/stop_sequence.h"
#include "tools/millrace/supervisor_kept.h"

namespace millrace {
namespace {

constexpr Nanos kRecoveryLook = millis(5);
constexpr std::chrono::milliseconds kHouseNap{20};
constexpr std::chrono::seconds kHouseEndMax{2};

/// Those that stages write to.
StopDisks written_directories(const Config& config) {
    StopDisks disks;
    disks.log.push_back(config.journal.dir);
    if (std::string second = configured_second(config).path; !second.empty()) {
        disks.log.push_back(std::move(second));
    }
    if (config.sqlite.enabled) {
        disks.stores.push_back(std::filesystem::path{config.sqlite.path}.parent_path().string());
        if (config.sqlite.backup_s != 0) {
            disks.stores.push_back(config.sqlite.backup_dir);
        }
    }
    return disks;
}

}  // namespace

Supervisor::Supervisor(Segment& segment, const Config& config, const IdBook& ids,
                       const ConfigRecords& records, const SupervisorOptions& options)
    : segment_{segment},
      config_{config},
      ids_{ids},
      records_{records},
      options_{options},
      sink_lags_{config},
      storage_{segment, config} {
    // One that can be replaced, or go on elsewhere, has had the time for it.
    const SecondDirectoryConfig second = configured_second(config);
    const std::uint32_t moves_ms = second.path.empty() ? 0 : second.answer_ms;
    journal_pulse_max_ = millis(std::int64_t{config.restart.stuck_ms} + moves_ms);
    make_workers();
}

Supervisor::~Supervisor() {
    stopping_.store(true, std::memory_order_relaxed);
    if (housekeeper_.joinable()) {
        housekeeper_.join();
    }
}

/// One worker for each stage, or for those that are configured to share a thread.
void Supervisor::make_workers() {
    const StageContext context{segment_, config_, ids_, options_.threads};
    std::vector<std::vector<StageName>> groups;
    for (const StageName& s : pipeline_stages(config_, options_.threads)) {
        const std::string& thread = config_.placed(s.id).thread;
        const auto mate = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
            return !thread.empty() && config_.placed(group[0].id).thread == thread;
        });
        if (mate != groups.end()) {
            mate->push_back(s);
        } else {
            groups.push_back({s});
        }
    }
    for (auto& group : groups) {
        std::unique_ptr<Worker> worker;
        if (options_.threads) {
            worker = std::make_unique<ThreadWorker>(std::move(group), context);
        } else {
            worker = std::make_unique<ProcessWorker>(std::move(group), options_.executable,
                                                     config_.file, options_.checked_text);
        }
        workers_.push_back(std::make_unique<Kept>(std::move(worker), config_.restart));
    }
}

/// The stage-table entries that this worker's process has taken.
std::vector<StageEntry*> Supervisor::entries_of(const Kept& kept) const {
    std::vector<StageEntry*> found;
    const ProcessId process = kept.worker->process();
    const auto consider = [&](StageId id) {
        StageEntry& e = segment_.stage(id);
        if (static_cast<int>(get(e.pid)) == process.pid &&
            get(e.start_time) == process.start_time) {
            found.push_back(&e);
        }
    };
    if (kept.worker->is_core() && !options_.threads) {
        consider(StageId::Engine);
        consider(StageId::Replica);
        return found;
    }
    for (const StageName& s : kept.worker->stages()) {
        consider(s.id);
    }
    return found;
}

/// Finds a living process that is this worker already. Only processes outlive a supervisor.
void Supervisor::adopt(Kept& kept) {
    auto* worker = dynamic_cast<ProcessWorker*>(kept.worker.get());
    if (worker == nullptr || worker->running()) {
        return;
    }
    std::vector<StageId> places = {worker->stages()[0].id};
    if (worker->is_core()) {
        places = {StageId::Engine, StageId::Replica};
    }
    for (const StageId id : places) {
        const StageEntry& e = segment_.stage(id);
        const ProcessId process{static_cast<int>(get(e.pid)), get(e.start_time)};
        const bool taken = std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
            return other->worker->running() && other->worker->process() == process;
        });
        if (process.alive() && process.pid != ::getpid() && !taken && worker->adopt(process)) {
            log_info(worker->name() + ": adopted pid " + std::to_string(process.pid) + ", " +
                     stage_name(id) + " since generation " + std::to_string(get(e.generation)));
            return;
        }
    }
}

void Supervisor::begin() {
    segment_.core().supervisor_pid.store(static_cast<std::uint32_t>(::getpid()),
                                         std::memory_order_relaxed);
    segment_.core().stop_requested.store(0, std::memory_order_relaxed);
    halted_ = state_of(segment_.stage(StageId::Engine)) == StageState::Halted;
    // What was counted up to the last look of the supervisor before this one was told by that.
    const std::int64_t told = get(segment_.stage(StageId::Supervisor).heartbeat_ns);
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment_.error(i);
        const std::uint64_t count = get(e.count);
        alerts_.begin_at(i, count != 0 && get(e.last_ns) > told ? count - 1 : count);
    }
    for (auto& kept : workers_) {
        adopt(*kept);
    }
    halt_if_poisoned();
    // The journal first, for the others ask it for its epoch; ingress last, for nobody is let in
    // before there is somebody to serve him.
    for (const StageId id :
         {StageId::Journal, StageId::Engine, StageId::Broker, StageId::Replica, StageId::Sqlite,
          StageId::Redis, StageId::ClickHouse, StageId::Ingress, StageId::Rtss}) {
        for (auto& kept : workers_) {
            const bool mine = kept->worker->stages()[0].id == id;
            if (mine && !kept->worker->running() && !(halted_ && kept->worker->is_core())) {
                start(*kept);
            }
        }
    }
    housekeeper_ = std::thread{[this] {
        keep_house();
        housekeeper_ended_.set_value();
    }};
}

void Supervisor::start(Kept& kept) {
    std::string message;
    const std::int64_t now = monotonic_ns();
    kept.seen = {};
    kept.killed_by_us = kept.killed_as_spare = false;
    kept.reported_still = kept.reported_waiting = false;
    kept.work = 0;
    kept.moved_ns = now;
    if (!kept.worker->start(message)) {
        const Nanos wait = kept.policy.after_death(false);
        kept.restart_at_ns = now + wait.value;
        segment_.report_error("supervisor", message);
        log_error(kept.worker->name() + ": cannot start: " + message + "; again in " +
                  std::to_string(wait.value / 1'000'000) + " ms");
        return;
    }
    log_info(kept.worker->name() + ": started, pid " + std::to_string(kept.worker->process().pid));
}

/// Leaves the death in the stage table, as far as the dead still stands there.
void Supervisor::mark_dead(const Kept& kept, const ProcessId& was,
                           const std::vector<StageEntry*>& entries, WorkerEnd& end) {
    for (StageEntry* e : entries) {
        // The spare may have taken the place since. It may even do so between here and the stores:
        // then it sees what is said of it and says otherwise (Runner::contradict_death).
        if (static_cast<int>(get(e->pid)) != was.pid || get(e->start_time) != was.start_time) {
            continue;
        }
        end.own_fault = end.own_fault || (end.status == 0 && get(e->last_exit) != 0);
        e->last_exit.store(end.status, std::memory_order_relaxed);
        // The core that ends after the one whose death halted the engine must not lift the halt.
        if (state_of(*e) != StageState::Halted) {
            e->state.store(static_cast<std::uint32_t>(StageState::Dead), std::memory_order_relaxed);
        }
    }
    // Counted where it was last, whoever has that place by now.
    const auto count = [this](StageId id) {
        StageEntry& e = segment_.stage(id);
        e.restarts.store(get(e.restarts) + 1, std::memory_order_relaxed);
    };
    if (!kept.seen.placed) {
        return;
    }
    if (kept.worker->is_core() && !options_.threads) {
        count(kept.seen.place);
        return;
    }
    for (const StageName& s : kept.worker->stages()) {
        count(s.id);
    }
}

void Supervisor::on_end(Kept& kept) {
    note_place(kept);
    const auto entries = entries_of(kept);
    const ProcessId was = kept.worker->process();
    WorkerEnd end = kept.worker->reap();
    const std::int64_t now = monotonic_ns();
    mark_dead(kept, was, entries, end);
    end.own_fault = end.own_fault || kept.killed_by_us;
    // It may have died after it published and before it woke whoever waits for that.
    for (std::uint32_t bell = 0; bell < segment_.header().doorbell_count; ++bell) {
        ring(segment_.doorbell(bell));
    }
    if (kept.worker->is_core()) {
        on_core_end(kept, end);
    }
    if (writes_journal(*kept.worker)) {
        tell_failed_journal();  // before the next one says that it writes
    }
    if (end.role_held) {
        adopt(kept);
    }
    const Nanos wait = kept.policy.after_death(kept.seen.worked);
    kept.seen = {};
    kept.restart_at_ns = now + wait.value;
    kept.died_ns = now;
    const std::string text =
        kept.worker->name() + " (pid " + std::to_string(was.pid) + ") " + end.text;
    segment_.report_error("supervisor", kept.worker->name() + " " + end.text);
    log_warn(text + what_follows(kept, wait));
}

std::string Supervisor::what_follows(const Kept& kept, Nanos wait) const {
    if (kept.worker->running()) {
        return "; adopted the one that runs";
    }
    if (halted_ && kept.worker->is_core()) {
        return "; not started again: the engine is halted, see the ALERT";
    }
    return wait.value == 0 ? "; starts again at once"
                           : "; starts again in " + std::to_string(wait.value / 1'000'000) + " ms";
}

void Supervisor::on_core_end(const Kept& kept, const WorkerEnd& end) {
    // The hot spare asks the kernel for the role every few milliseconds; now it need not wait.
    ring(segment_.doorbell(StageId::Replica));
    // Whichever of the two it was: one that dies while it takes over still stands in the table as
    // the replica. A record in flight at two deaths is what they died of. But not if both hung and
    // were killed at once, as when the machine stood still: the spare never came to the record.
    const Sequence seq = record_in_flight(segment_);
    const bool counts = seq != Sequence{} && !kept.killed_as_spare;
    if (kept.killed_by_us && counts) {
        note_engine_death(segment_, seq);  // one that hangs in it cannot say so itself
    }
    // Seen by us, or left by those that died before we looked, or before we were there.
    const bool again = end.own_fault && counts && poison_.died_at(seq);
    if (!halted_ && (again || is_poison(segment_, seq))) {
        halt(seq);
    }
}

/// The cores may have died of one record while there was no supervisor to count.
void Supervisor::halt_if_poisoned() {
    const bool lives = std::any_of(workers_.begin(), workers_.end(), [](const auto& kept) {
        return kept->worker->is_core() && kept->worker->running();
    });
    const Sequence seq = record_in_flight(segment_);
    if (!halted_ && !lives && is_poison(segment_, seq)) {
        halt(seq);
    }
}

void Supervisor::halt(Sequence seq) {
    halted_ = true;
    for (auto& kept : workers_) {
        if (kept->worker->is_core() && kept->worker->running()) {
            kept->worker->kill();  // the spare would die of the same record
        }
    }
    segment_.stage(StageId::Engine)
        .state.store(static_cast<std::uint32_t>(StageState::Halted), std::memory_order_relaxed);
    const std::string text =
        "ALERT the engine died twice at record " + std::to_string(seq.value) +
        " and is halted; no signal is taken. Look at it with `millrace inspect ring journal`, then "
        "`millrace recover --skip " +
        std::to_string(seq.value) + "` takes it out of the log";
    segment_.report_error("supervisor", text);
    log_error(text);
}

/// `millrace recover --skip` has taken the mark away: go on.
void Supervisor::maybe_unhalt() {
    if (halted_ && state_of(segment_.stage(StageId::Engine)) != StageState::Halted) {
        halted_ = false;
        poison_.clear();
        log_info("the engine's halt was lifted");
    }
}

void Supervisor::restart_due() {
    const std::int64_t now = monotonic_ns();
    for (auto& kept : workers_) {
        const bool held_back = halted_ && kept->worker->is_core();
        if (!kept->worker->running() && !held_back && now >= kept->restart_at_ns) {
            start(*kept);
        }
    }
}

Nanos Supervisor::next_wake(Nanos limit) const {
    const std::int64_t now = monotonic_ns();
    std::int64_t wake = now + std::min(limit.value, kWatchEveryNs);
    for (const auto& kept : workers_) {
        if (!kept->worker->running() && !(halted_ && kept->worker->is_core())) {
            wake = std::min(wake, kept->restart_at_ns);
        } else if (kept->died_ns != 0 && now - kept->died_ns < 1'000'000'000) {
            wake = std::min(wake, now + kRecoveryLook.value);
        }
    }
    return Nanos{std::max<std::int64_t>(wake - now, 0)};
}

void Supervisor::turn(Nanos limit, int stop_fd) {
    std::vector<pollfd> fds = {{stop_fd, POLLIN, 0}};
    for (const auto& kept : workers_) {
        fds.push_back({kept->worker->end_fd(), POLLIN, 0});  // -1 is ignored by poll
    }
    const Nanos wait = next_wake(limit);
    const timespec ts{wait.value / 1'000'000'000, wait.value % 1'000'000'000};
    if (::ppoll(fds.data(), fds.size(), &ts, nullptr) > 0) {
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            if (fds[i + 1].revents != 0) {
                on_end(*workers_[i]);
            }
        }
    }
    if ((fds[0].revents & POLLIN) == 0) {
        restart_due();
        keep_watch();
    }
}

/// In a thread of its own: engine and disk may be slow, and deaths must not wait for them.
void Supervisor::keep_house() {
    tell_config();
    while (!stopping_.load(std::memory_order_relaxed)) {
        storage_.turn(monotonic_ns());
        std::this_thread::sleep_for(kHouseNap);
    }
}

void Supervisor::tell_config() {
    const CoreCells& core = segment_.core();
    const StageEntry& engine = segment_.stage(StageId::Engine);
    while (!stopping_.load(std::memory_order_relaxed)) {
        // A dead engine's entry still says Running, and its cells what it had: neither counts.
        const ProcessId owner{static_cast<int>(get(engine.pid)), get(engine.start_time)};
        const bool up = state_of(engine) == StageState::Running && owner.alive();
        if (up && get(core.config_hash) == records_.hash) {
            return;
        }
        std::string message;
        if (up && send_config(segment_, records_, &stopping_, message)) {
            log_info("the engine has the configuration: " +
                     std::to_string(records_.records.size()) + " records");
            if (!message.empty()) {
                log_warn(message);
            }
            return;
        }
        if (up && !stopping_.load(std::memory_order_relaxed)) {
            log_error("configuration not taken: " + message);
            std::this_thread::sleep_for(std::chrono::milliseconds{500});
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
}

bool Supervisor::housekeeper_stuck() const {
    return housekeeper_.joinable() &&
           housekeeper_end_.wait_for(std::chrono::seconds{0}) != std::future_status::ready;
}

std::vector<std::string> Supervisor::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    // It is through at once, unless it waits for a disk: then the stages are not to wait with it.
    if (housekeeper_.joinable() &&
        housekeeper_end_.wait_for(kHouseEndMax) != std::future_status::ready) {
        log_error("the disk of " + config_.journal.dir +
                  " does not answer the housekeeper: stopping without it");
    }
    restart_due();  // one that died a moment ago drains like the others
    std::vector<Worker*> workers;
    workers.reserve(workers_.size());
    for (auto& kept : workers_) {
        workers.push_back(kept->worker.get());
    }
    std::vector<std::string> left =
        stop_in_order(segment_, workers, {millis(config_.restart.drain_ms), kKillBound},
                      written_directories(config_));
    relay_alerts(true);  // those since the last look would be told by nobody
    return left;
}

}  // namespace millrace
