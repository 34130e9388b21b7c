// CoreStage: one of two equal processes that contend for the engine's role. The kernel's lock
// decides: who has it is the engine; the other is the replica, which runs the same engine over the
// durable log, writes effects and snapshots, checks the live engine's hash, and is the hot spare:
// when the engine dies, the kernel gives the replica the lock, and it goes on within milliseconds.
//
//            lock free at start                 lock obtained later
//     start ------------------> ENGINE <------------------------------ REPLICA <-- lock taken:
//     start
//
// After a take-over the restarted process finds the lock taken and becomes the replica.
#pragma once

#include "core/engine.h"
#include "persist/engine_driver.h"
#include "shm/role.h"
#include "shm/stage.h"

#include <memory>
#include <string>

namespace millrace {

class Replica;

struct CoreOptions {
    std::string journal_dir;
    Capacity capacity;
    /// Contend: separate processes. Engine, Replica: threads of one process, where the lock cannot
    /// tell the two apart and there is no take-over.
    enum class Role { Contend, Engine, Replica } role = Role::Contend;
    Nanos snapshot_every = seconds(60);
    std::uint32_t upgrade_from = 0;  // logic version whose last snapshot is taken too; 0 = none
};

class CoreStage final : public Stage {
public:
    /// @return IoError if the lock files cannot be used; `message` says why.
    static Result<std::unique_ptr<CoreStage>> start(Segment& segment, const CoreOptions& options,
                                                    std::string& message);
    ~CoreStage() override;

    int step(Nanos now) noexcept override;
    [[nodiscard]] bool idle() const noexcept override;
    [[nodiscard]] Nanos park_limit(Nanos now) const noexcept override;
    [[nodiscard]] bool drained() const noexcept override;
    [[nodiscard]] bool healthy() const noexcept override { return failure_.empty(); }
    [[nodiscard]] const char* failure() const noexcept override { return failure_.c_str(); }

    /// Engine or Replica: which stage-table entry and doorbell are ours now. Changes once, at a
    /// take-over; the runner looks at it every duty cycle.
    [[nodiscard]] StageId stage_id() const noexcept;
    /// True if this process has the engine's role, also while it takes it over.
    [[nodiscard]] bool owns_engine() const noexcept { return engine_lock_.held(); }
    /// The live engine; nullptr in a replica. Threads: the stage's own, or after its last step().
    [[nodiscard]] Engine* engine() noexcept {
        return mode_ == Mode::Engine ? engine_.get() : nullptr;
    }
    /// True while the role's state is being rebuilt (StageState::Recovering).
    [[nodiscard]] bool recovering() const noexcept { return mode_ == Mode::Starting; }

private:
    enum class Mode { Starting, Engine, Replica };

    CoreStage(Segment& segment, const CoreOptions& options);
    [[nodiscard]] bool try_lock() noexcept;
    void become_engine() noexcept;
    void take_over() noexcept;
    [[nodiscard]] bool recover(Engine& engine, EngineDriver& driver) noexcept;
    int step_engine(Nanos now) noexcept;
    int step_replica(Nanos now) noexcept;
    void fail(std::string why) noexcept;

    Segment* segment_;
    CoreOptions options_;
    Mode mode_ = Mode::Starting;
    RoleLock engine_lock_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<EngineDriver> driver_;
    std::unique_ptr<Replica> replica_;
    Nanos next_lock_try_;
    Nanos next_cells_;
    std::string failure_;
};

}  // namespace millrace
