// What the supervisor looks at: who hangs, who has recovered, who raised an alert.
#include <cstdio>
#include <cstring>

#include <algorithm>

#include "shm/doorbell.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/log.h"
#include "tools/millrace/process_state.h"
#include "tools/millrace/supervisor_kept.h"

namespace millrace {
namespace {

/// A stage that rebuilds its state reads files and moves no counter meanwhile.
constexpr std::int64_t kRecoveryNsMax = 120'000'000'000;
/// For a store or a server outside, which may be slow for long and holds up nobody here, and for
/// whoever waits for a disk: the next one would wait for the same disk.
constexpr std::int64_t kOutsideNsMax = 30'000'000'000;

/// Longer than a start takes: a journal that comes back at once is nothing to refuse orders for.
constexpr std::int64_t kJournalGoneNsMax = 250'000'000;

std::string ms_since(std::int64_t from_ns, std::int64_t to_ns) {
    char text[32];
    std::snprintf(text, sizeof text, "+%.1f ms", static_cast<double>(to_ns - from_ns) / 1e6);
    return text;
}

template <std::size_t N>
std::string_view text_of(const char (&field)[N]) noexcept {
    return {field, ::strnlen(field, N)};
}

/// Writes or reads what lies outside the pipeline, which goes on without it.
bool works_outside(const Worker& worker) {
    const auto& stages = worker.stages();
    return std::all_of(stages.begin(), stages.end(), [](const StageName& s) {
        return s.id == StageId::Sqlite || s.id == StageId::Redis || s.id == StageId::ClickHouse ||
               s.id == StageId::Rtss;
    });
}

/// One step of a sink asks its server several things, each of which may take as long as allowed.
std::int64_t outside_bound(const Config& config) noexcept {
    return std::max(kOutsideNsMax, std::int64_t{config.clickhouse.timeout_ms} * 4'000'000);
}

}  // namespace

void Supervisor::note_place(Kept& kept) {
    const auto entries = entries_of(kept);
    if (entries.empty()) {
        return;  // none yet, or none any more: what was seen stays
    }
    // A core's entries: the engine's first. One that became the engine leaves its entry as the
    // replica behind, and what it did there says nothing about its work as the engine.
    const bool core = kept.worker->is_core() && !options_.threads;
    const bool engine = entries[0] == &segment_.stage(StageId::Engine);
    const StageId place = !core    ? kept.worker->stages()[0].id
                          : engine ? StageId::Engine
                                   : StageId::Replica;
    if (core && kept.seen.placed && kept.seen.place == StageId::Engine &&
        place == StageId::Replica) {
        return;
    }
    const auto last = core ? entries.begin() + 1 : entries.end();
    const bool worked = std::any_of(entries.begin(), last,
                                    [](const StageEntry* e) { return get(e->first_work_ns) != 0; });
    // The place may have been taken between the two looks: then the second was at another's work.
    if (entries_of(kept) == entries) {
        kept.seen = {true, place, worked};
    }
}

/// Stages have no log of their own for what the world did wrong: they leave it in the segment.
void Supervisor::relay_alerts(bool last) {
    const Nanos now{monotonic_ns()};
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment_.error(i);
        const std::uint64_t count = get(e.count);
        if (text_of(e.stage) == "supervisor" || !text_of(e.text).starts_with("ALERT")) {
            alerts_.begin_at(i, count);
            continue;
        }
        const std::uint64_t raised = alerts_.due(i, count, now, last);
        if (raised == 0) {
            continue;
        }
        log_error(std::string{text_of(e.stage)} + ": " + std::string{text_of(e.text)} +
                  (raised > 1 ? " (" + std::to_string(raised) + " times since this was told last)"
                              : std::string{}));
    }
}

/// Work waits and the stage's counters and heartbeat stand still: it is hung.
void Supervisor::check_progress(Kept& kept, std::int64_t now_ns) {
    if (!kept.worker->running() || kept.killed_by_us) {
        return;
    }
    std::uint64_t work = 0;
    std::int64_t heartbeat = 0;
    bool recovering = false;
    bool waiting = false;
    int thread = kept.worker->process().pid;  // the stage's own: as threads they share a process
    for (const StageEntry* e : entries_of(kept)) {
        thread = static_cast<int>(get(e->tid));
        work += get(e->duty_cycles);
        heartbeat = std::max(heartbeat, get(e->heartbeat_ns));
        recovering = recovering || state_of(*e) == StageState::Recovering;
        waiting = waiting || has_backlog(segment_, *e);
    }
    if (work != kept.work || heartbeat == 0) {
        if (kept.reported_still) {
            log_info(kept.worker->name() + ": moves again after " +
                     std::to_string((now_ns - kept.moved_ns) / 1'000'000) + " ms");
        }
        kept.work = work;
        kept.moved_ns = now_ns;
        kept.reported_still = kept.reported_waiting = false;
        kept.disk_ns = 0;
        return;
    }
    const std::int64_t still_ns = now_ns - kept.moved_ns;
    const std::int64_t bound = recovering ? kRecoveryNsMax : config_.restart.stuck_ms * 1'000'000LL;
    if (waiting && process_state(thread) == 'D') {
        kept.disk_ns = now_ns;
    }
    // Between two calls it runs for a moment: it has the whole bound since it was last seen
    // waiting.
    const bool at_disk = kept.disk_ns != 0 && now_ns - kept.disk_ns < bound;
    const bool outside = works_outside(*kept.worker);
    // A thread's end is the end of all of them: not for a store.
    const bool patient = (outside && options_.threads) ||
                         (outside && still_ns < outside_bound(config_)) ||
                         (at_disk && still_ns < kOutsideNsMax);
    const bool to_be_killed = waiting && config_.restart.stalled == StallPolicy::Kill && !patient;
    // Once as it is, and once more if work comes that was not there: then trading stands still.
    const bool told = kept.reported_still && (kept.reported_waiting || !waiting);
    if (still_ns < bound || (told && !to_be_killed)) {
        return;
    }
    kept.reported_still = true;
    kept.reported_waiting = waiting;
    report_still(kept, still_ns, waiting, to_be_killed);
    if (to_be_killed) {
        kept.killed_by_us = true;
        kept.killed_as_spare = is_spare_of_another(kept);
        kept.worker->kill();
    }
}

/// A core while the other one stands in the table as the engine and has not been seen to end.
bool Supervisor::is_spare_of_another(const Kept& kept) const {
    const auto is_engine = [this](const Kept& core) {
        const auto entries = entries_of(core);
        return !entries.empty() && entries[0] == &segment_.stage(StageId::Engine);
    };
    return kept.worker->is_core() && !is_engine(kept) &&
           std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
               return other.get() != &kept && other->worker->is_core() &&
                      other->worker->running() && is_engine(*other);
           });
}

void Supervisor::report_still(const Kept& kept, std::int64_t still_ns, bool waiting,
                              bool to_be_killed) {
    const ProcessId process = kept.worker->process();
    const std::string text = kept.worker->name() + " (pid " + std::to_string(process.pid) +
                             ") has not moved for " + std::to_string(still_ns / 1'000'000) + " ms" +
                             (process.stopped() ? ", stopped by a signal," : "");
    segment_.report_error("supervisor", kept.worker->name() + " does not move");
    if (!waiting) {
        log_warn(text + " and no work waits; stopped by somebody? It is left alone");
    } else if (to_be_killed) {
        log_error(text + " with work waiting: killed, to be replaced");
    } else if (works_outside(*kept.worker)) {
        log_error(text + " with work waiting: the rest goes on without it");
    } else if (config_.restart.stalled == StallPolicy::Kill) {
        log_error(text + " with work waiting: it waits for its disk");
    } else {
        log_error("ALERT " + text +
                  " with work waiting; by \"restart.stalled\" it is left alone: "
                  "trading stands still until it goes on (SIGCONT) or is killed");
    }
}

/// After a death: when was the place taken again, and when did it work again?
void Supervisor::note_recovery(Kept& kept) {
    if (kept.died_ns == 0 || !kept.worker->running()) {
        return;
    }
    const std::int64_t anchor = segment_.header().clock_anchor_ns;
    for (const StageEntry* e : entries_of(kept)) {
        const std::int64_t first = get(e->first_work_ns);
        const std::int64_t running = get(e->running_ns);
        if (running != 0 && first != 0) {
            const std::int64_t died = kept.died_ns + anchor;
            log_info(kept.worker->name() + ": back as " + std::string{view(e->name)} +
                     ": death noticed +0 ms, exec " + ms_since(died, get(e->started_ns)) +
                     ", running " + ms_since(died, running) + ", first work " +
                     ms_since(died, first));
            kept.died_ns = 0;
            return;
        }
    }
}

/// A journal that died and is not back cannot say so itself: the gates and the ingress would go on
/// as if it wrote (DESIGN rules 7 and 9: no new entries then, and the way out stays open).
void Supervisor::watch_journal(std::int64_t now_ns) {
    const auto at = std::find_if(workers_.begin(), workers_.end(),
                                 [](const auto& kept) { return writes_journal(*kept->worker); });
    const auto writes = [this](const Kept& kept) {
        const auto entries = entries_of(kept);
        return kept.worker->running() &&
               std::any_of(entries.begin(), entries.end(),
                           [](const StageEntry* e) { return get(e->running_ns) != 0; });
    };
    if (at == workers_.end() || writes(**at)) {
        journal_gone_ns_ = 0;
        const CoreCells& core = segment_.core();
        // Acquire: pairs with the journal stage's release of its state.
        if (static_cast<JournalState>(core.journal_state.load(std::memory_order_acquire)) ==
            JournalState::Running) {
            journal_alarm_.is_running(core.durable.load(std::memory_order_relaxed), Nanos{now_ns});
        }
        watch_pulse(now_ns);
        return;
    }
    journal_pulse_.forget();
    if (journal_gone_ns_ == 0) {
        journal_gone_ns_ = now_ns;
    }
    if (now_ns - journal_gone_ns_ < kJournalGoneNsMax) {
        return;
    }
    tell_failed_journal();
    say_journal_down("is down", now_ns - journal_gone_ns_);
}

/// One that lives and gets nothing to its disk is left alone for long, or for good: the next one
/// would wait for the same disk. Whoever wants to close cannot wait with it.
void Supervisor::watch_pulse(std::int64_t now_ns) {
    const CoreCells& core = segment_.core();
    // Relaxed: two counts that are looked at again; what is seen too early is a bit less waiting.
    const Nanos waits =
        journal_pulse_.waits(core.journal_seq.load(std::memory_order_relaxed),
                             core.durable.load(std::memory_order_relaxed), Nanos{now_ns});
    if (waits > journal_pulse_max_ + Nanos{kJournalGoneNsMax}) {
        say_journal_down("does not write (its disk does not answer, or it was stopped)",
                         waits.value);
    }
}

void Supervisor::say_journal_down(const std::string& why, std::int64_t for_ns) {
    auto running = static_cast<std::uint32_t>(JournalState::Running);
    // Release: pairs with the acquire of the gates; what the dead one made durable stays so. It may
    // begin to write between our look and this: then it says otherwise (contradict_down()).
    if (!segment_.core().journal_state.compare_exchange_strong(
            running, static_cast<std::uint32_t>(JournalState::Down), std::memory_order_release,
            std::memory_order_relaxed)) {
        return;
    }
    const std::string text = "ALERT the journal " + why +
                             ": no new entries until it writes again; closes, cancels and the kill "
                             "switch go on";
    segment_.report_error("supervisor", text);  // one entry, however often: no numbers in it
    log_error(text + " (for " + std::to_string(for_ns / 1'000'000) + " ms)");
    for (std::uint32_t bell = 0; bell < segment_.header().doorbell_count; ++bell) {
        ring(segment_.doorbell(bell));
    }
}

/// One that ended by a failed write has said so itself in its state; the operator hears of it here.
void Supervisor::tell_failed_journal() {
    // Acquire: pairs with the journal stage's release of its state.
    const auto state =
        static_cast<JournalState>(segment_.core().journal_state.load(std::memory_order_acquire));
    if (!journal_alarm_.is_gone(state)) {
        return;
    }
    const bool full = state == JournalState::Full;
    const std::string text = std::string{full ? "ALERT the journal's disk is full: make room; "
                                              : "ALERT the journal had a write error; "} +
                             "no new entries until it writes again; closes, cancels and the kill "
                             "switch go on";
    segment_.report_error("supervisor", text);
    log_error(text);
}

/// A store that fails says so itself; one that is slow, or of a stage that hangs, does not.
void Supervisor::watch_stores(std::int64_t now_ns) {
    const SinkLags::Told told = sink_lags_.turn(segment_.core(), Nanos{now_ns});
    for (const std::string& text : told.alerts) {
        segment_.report_error("supervisor", "ALERT " + text);
        log_error("ALERT " + text);
    }
    for (const std::string& text : told.infos) {
        log_info(text);
    }
}

/// Each turn, and most of it ten times a second: what no descriptor tells.
void Supervisor::keep_watch() {
    const std::int64_t now = monotonic_ns();
    for (auto& kept : workers_) {
        note_place(*kept);
        note_recovery(*kept);
    }
    if (now - watched_ns_ < kWatchEveryNs) {
        return;
    }
    watched_ns_ = now;
    watch_journal(now);
    watch_stores(now);
    const std::int64_t looked = segment_.clock().now().value;
    maybe_unhalt();
    relay_alerts();
    // Behind it: one that dies in between tells them again rather than not at all.
    StageEntry& self = segment_.stage(StageId::Supervisor);
    self.heartbeat_ns.store(looked, std::memory_order_relaxed);
    for (auto& kept : workers_) {
        check_progress(*kept, now);
    }
}

}  // namespace millrace
