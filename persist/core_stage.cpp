#include "persist/core_stage.h"

#include <algorithm>

#include "core/crash_point.h"
#include "persist/engine_recovery.h"
#include "persist/replica.h"

namespace millrace {
namespace {

constexpr int kInputsPerStep = 256;      // bounds a duty cycle
constexpr Nanos kLockEvery = millis(2);  // how often the hot spare asks the kernel
constexpr Nanos kCellsEvery = millis(20);
constexpr Nanos kRoomEvery = millis(1);  // no bell tells of room in the journal's ring

JournalState journal_state(const Segment& s) noexcept {
    // Acquire: pairs with the journal stage's release; its cells are filled.
    return static_cast<JournalState>(s.core().journal_state.load(std::memory_order_acquire));
}

/// The engine's role, if it is free and there is need of an engine. Not in an orderly stop, where
/// its end is no death to mend: the journal may have ended too, and what an heir began with would
/// be on no disk. @return NotOwner: another has it, or it is wanted no more; `holder` may say who.
Result<RoleLock> take_engine_role(const Segment& segment, const CoreOptions& options,
                                  std::string& holder) {
    const auto unwanted = [&] {
        // Relaxed: a request; behind the lock it is what the kernel has put in order.
        return options.role == CoreOptions::Role::Contend &&
               segment.core().stop_requested.load(std::memory_order_relaxed) != 0;
    };
    const Error stops{Errc::NotOwner, 0, "the pipeline is being stopped"};
    if (unwanted()) {
        return stops;
    }
    auto lock = RoleLock::try_acquire(options.journal_dir, "engine", holder);
    // Once more: who stops the pipeline says so before he ends the engine, and its role is free
    // behind that end. All of it may have come between the look above and the lock.
    return lock && unwanted() ? Result<RoleLock>{stops} : std::move(lock);
}

}  // namespace

Result<std::unique_ptr<CoreStage>> CoreStage::start(Segment& segment, const CoreOptions& options,
                                                    std::string& message) {
    std::unique_ptr<CoreStage> stage{new CoreStage{segment, options}};
    if (options.role == CoreOptions::Role::Replica) {
        stage->mode_ = Mode::Replica;
        stage->replica_ = std::make_unique<Replica>(segment, options);
        return Result<std::unique_ptr<CoreStage>>{std::move(stage)};
    }
    std::string holder;
    auto lock = take_engine_role(segment, options, holder);
    if (lock) {
        stage->engine_lock_ = std::move(lock).value();
        return Result<std::unique_ptr<CoreStage>>{std::move(stage)};
    }
    if (lock.code() != Errc::NotOwner || options.role == CoreOptions::Role::Engine) {
        message = "role engine in " + options.journal_dir + ": " + lock.error().what +
                  (holder.empty() ? "" : " (" + holder + ")");
        return lock.error();
    }
    stage->mode_ = Mode::Replica;
    stage->replica_ = std::make_unique<Replica>(segment, options);
    return Result<std::unique_ptr<CoreStage>>{std::move(stage)};
}

CoreStage::CoreStage(Segment& segment, const CoreOptions& options)
    : segment_{&segment}, options_{options} {}

CoreStage::~CoreStage() = default;

StageId CoreStage::stage_id() const noexcept {
    return mode_ == Mode::Replica ? StageId::Replica : StageId::Engine;
}

int CoreStage::step(Nanos now) noexcept {
    if (!failure_.empty()) {
        return 0;
    }
    switch (mode_) {
        case Mode::Starting: become_engine(); return 0;
        case Mode::Engine: return step_engine(now);
        case Mode::Replica: return step_replica(now);
    }
    return 0;
}

/// The role is ours and nobody's state is at hand: snapshot, journal files, ring.
void CoreStage::become_engine() noexcept {
    std::string message;
    auto attached = EngineDriver::attach(*segment_, message);
    if (!attached) {
        fail(message);
        return;
    }
    // Ids may be handed out only below a durable reservation; in a new segment the log's end is
    // known only once the journal stage has looked.
    if (attached.value().is_new_segment() && journal_state(*segment_) != JournalState::Running) {
        return;
    }
    driver_ = std::make_unique<EngineDriver>(std::move(attached).value());
    engine_ = std::make_unique<Engine>(options_.capacity);
    const bool fresh = driver_->is_new_segment();
    const CoreCells& core = segment_->core();
    const Sequence limit{fresh ? core.durable.load(std::memory_order_acquire)
                               : core.completed.load(std::memory_order_acquire)};
    std::string said;
    if (auto loaded =
            load_state(options_.journal_dir, limit, *engine_, said, options_.upgrade_from);
        !loaded) {
        fail(said);
        return;
    }
    if (!said.empty()) {  // damaged snapshots were passed over: the next damage may be the last
        segment_->report_error(stage_name(stage_id()), said);
    }
    if (recover(*engine_, *driver_)) {
        mode_ = Mode::Engine;
    }
}

/// Brings `engine` to the end of the log and takes the rings over.
bool CoreStage::recover(Engine& engine, EngineDriver& driver) noexcept {
    std::string message;
    const CoreCells& core = segment_->core();
    const std::uint64_t epoch = core.epoch.load(std::memory_order_acquire);
    if (driver.is_new_segment()) {
        const Sequence end{core.durable.load(std::memory_order_acquire)};
        if (auto done = replay_files(options_.journal_dir, end, engine, message, &core); !done) {
            fail(message);
            return false;
        }
        driver.begin(engine, epoch);
        driver.publish_cells(engine);
        return true;
    }
    auto done = driver.resume(engine, epoch);
    if (!done && done.code() == Errc::NotFound) {
        // What the ring has let go of is durable, and so is what stood before the Jump that a new
        // segment's ring begins with: the files have it. Not the numbers that the Jump goes over,
        // which nobody ever acknowledged: as long as it is on no disk itself, the files end there.
        const Sequence end{
            std::min(driver.oldest_in_ring() - 1, core.durable.load(std::memory_order_acquire))};
        if (auto read = replay_files(options_.journal_dir, end, engine, message, &core); !read) {
            fail(message);
            return false;
        }
        constexpr bool kFilesApplied = true;
        done = driver.resume(engine, epoch, kFilesApplied);
    }
    if (!done) {
        fail(done.error().what);
        return false;
    }
    driver.publish_cells(engine);
    return true;
}

void CoreStage::take_over() noexcept {
    MILLRACE_CRASH_POINT("takeover.locked");
    std::string message;
    auto attached = EngineDriver::attach(*segment_, message);
    if (!attached) {
        fail(message);
        return;
    }
    engine_ = replica_->hand_over();
    replica_.reset();  // gives up role "replica": the restarted process takes it
    if (engine_ == nullptr || attached.value().is_new_segment()) {
        mode_ = Mode::Starting;  // had no state yet: the long way
        return;
    }
    driver_ = std::make_unique<EngineDriver>(std::move(attached).value());
    MILLRACE_CRASH_POINT("takeover.attached");
    if (recover(*engine_, *driver_)) {
        mode_ = Mode::Engine;
    }
    MILLRACE_CRASH_POINT("takeover.running");
}

int CoreStage::step_engine(Nanos now) noexcept {
    const int work = driver_->poll(*engine_, now, kInputsPerStep);
    if (now >= next_cells_) {
        next_cells_ = now + kCellsEvery;
        driver_->publish_cells(*engine_);
    }
    return work;
}

int CoreStage::step_replica(Nanos now) noexcept {
    if (options_.role == CoreOptions::Role::Contend && now >= next_lock_try_) {
        next_lock_try_ = now + kLockEvery;
        std::string holder;
        auto lock = take_engine_role(*segment_, options_, holder);
        if (lock) {
            engine_lock_ = std::move(lock).value();
            take_over();
            return 1;
        }
    }
    const int work = replica_->step(now);
    if (!replica_->failure().empty()) {
        failure_ = replica_->failure();  // it has reported it
    }
    return work;
}

bool CoreStage::idle() const noexcept {
    switch (mode_) {
        case Mode::Starting: return true;
        case Mode::Engine:
            return driver_->waits_for_room() || driver_->idle(*engine_, segment_->clock().now());
        case Mode::Replica: return replica_->idle();
    }
    return true;
}

Nanos CoreStage::park_limit(Nanos now) const noexcept {
    if (mode_ == Mode::Engine && driver_->waits_for_room()) {
        return kRoomEvery;
    }
    if (mode_ == Mode::Engine) {
        const Nanos until = engine_->next_deadline() - now;
        return until < millis(20) ? (until.value > 0 ? until : Nanos{0}) : millis(20);
    }
    return kLockEvery;
}

bool CoreStage::drained() const noexcept {
    // The engine has handed on what it took in; orders may still be at brokers, and stay so.
    switch (mode_) {
        case Mode::Starting: return true;
        case Mode::Engine: return driver_->idle(*engine_, segment_->clock().now());
        case Mode::Replica: return replica_->drained();
    }
    return true;
}

void CoreStage::fail(std::string why) noexcept {
    segment_->report_error(stage_name(stage_id()), why);
    failure_ = std::move(why);
}

}  // namespace millrace
