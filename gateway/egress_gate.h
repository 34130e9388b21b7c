// The egress gate: what must hold before a command may leave this host (DESIGN, durability).
//
//                     journal running                      journal down, poisoned or full
//   entries (Open)    process: at once; disk: durable      never (rule 9: no new entries)
//   all others        process: at once; disk: durable      at once (rule 9: the way out is open)
//
// A disk that does not answer keeps both waiting until the supervisor says that the journal is down
// ("restart.stuck_ms").
#pragma once

#include "core/order_command.h"
#include "shm/layout.h"

namespace millrace {

/// What "recorded" means for one account's commands.
enum class GateLevel : std::uint8_t {
    Process = 0,  // published to the journal ring: survives any crash of any process
    Disk = 1,     // on disk: survives power loss (default for live accounts)
};

enum class GateVerdict : std::uint8_t {
    Open = 0,
    NotDurable = 1,   // wait for the journal's write
    JournalDown = 2,  // an entry, and nothing is journalled any more
};

/// A view of the journal's cells, taken once per duty cycle so that one cycle judges by one state.
/// Threads: the broker stage.
class EgressGate {
public:
    explicit EgressGate(const CoreCells& core) noexcept : core_{&core} { refresh(); }

    void refresh() noexcept {
        // Acquire: pairs with the journal stage's release of `durable`: the record is on disk.
        durable_ = core_->durable.load(std::memory_order_acquire);
        // Acquire: pairs with the journal stage's release of its state. Read after `durable`: a
        // journal that failed in between may close the gate too early, never too late.
        running_ = core_->journal_state.load(std::memory_order_acquire) ==
                   static_cast<std::uint32_t>(JournalState::Running);
    }

    [[nodiscard]] GateVerdict check(const OrderCommand& command, GateLevel level) const noexcept {
        if (!running_) {
            return command.type == CommandType::Open ? GateVerdict::JournalDown : GateVerdict::Open;
        }
        const bool holds = level == GateLevel::Process || command.seq.value <= durable_;
        return holds ? GateVerdict::Open : GateVerdict::NotDurable;
    }

    /// True if the cells have changed since refresh(): something that waited may go.
    [[nodiscard]] bool moved() const noexcept {
        // Relaxed: a hint for the idle loop; refresh() does the ordered reads.
        return core_->durable.load(std::memory_order_relaxed) != durable_ ||
               (core_->journal_state.load(std::memory_order_relaxed) ==
                static_cast<std::uint32_t>(JournalState::Running)) != running_;
    }

    [[nodiscard]] std::uint64_t durable() const noexcept { return durable_; }
    [[nodiscard]] bool journal_running() const noexcept { return running_; }

private:
    const CoreCells* core_;
    std::uint64_t durable_ = 0;
    bool running_ = false;
};

}  // namespace millrace
