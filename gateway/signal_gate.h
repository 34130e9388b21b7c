// The signal gate: which signals the pipeline takes from its sources now (DESIGN rule 9). The same
// for TCP, Redis and strategies in shared memory.
//
//                     journal running   journal down, poisoned or full   stop requested
//   opens, modifies   taken             "send again later"               "send again"
//   closes, cancels   taken             taken                            "send again"
//
// Not modifies: who moves his stops with the price would fill the room that closes need.
// Down is also a journal that lives and gets nothing to its disk: the supervisor says so after
// "restart.stuck_ms".
// What is taken while the journal does not write is committed like everything else, by its place in
// the journal ring: it survives the crash of any process, and no power cut. An ack of level `disk`
// waits for the disk all the same. The ring has room only for so much that is on no disk: then the
// engine stands, and the edge says that its own ring is full.
#pragma once

#include "core/signal.h"
#include "shm/layout.h"

namespace millrace {

/// One look at the cells. Threads: any. No allocation, no syscall.
class SignalGate {
public:
    explicit SignalGate(const CoreCells& core) noexcept
        // Relaxed: a request to stop orders nothing. Acquire: pairs with the journal stage's
        // release of its state.
        : stopping_{core.stop_requested.load(std::memory_order_relaxed) != 0},
          journal_{static_cast<JournalState>(core.journal_state.load(std::memory_order_acquire))} {}

    [[nodiscard]] bool takes(SignalAction action) const noexcept {
        const bool leads_out = action == SignalAction::Close || action == SignalAction::Cancel;
        return !stopping_ && (writes() || leads_out);
    }
    /// Closes and cancels at least.
    [[nodiscard]] bool takes_any() const noexcept { return !stopping_; }
    /// The journal runs: what is taken now will be on disk in a moment.
    [[nodiscard]] bool writes() const noexcept { return journal_ == JournalState::Running; }

    /// Why it does not take a signal that takes() refuses, and what to do, at most 95 bytes.
    [[nodiscard]] const char* refusal() const noexcept {
        if (stopping_) {
            return "Millrace is stopping on request: send again when it is back";
        }
        switch (journal_) {
            case JournalState::Poisoned:
                return "only closes and cancels: the journal had a write error (see its log); send "
                       "again later";
            case JournalState::Full:
                return "only closes and cancels: the journal's disk is full (make room); send "
                       "again later";
            case JournalState::Down:
            case JournalState::Running: break;
        }
        return "only closes and cancels: the journal is down (restarting, or its disk hangs); send "
               "again later";
    }

private:
    bool stopping_;
    JournalState journal_;
};

}  // namespace millrace
