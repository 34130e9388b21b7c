// Engine and journal of a pipeline in the test's own thread, step by step, over journal files in
// memory: a host whose power can go between any two steps, thousands of times a second.
#pragma once

#include "persist/engine_driver.h"
#include "tests/journal/disk_moments.h"
#include "tests/recovery/pipeline.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace millrace::test {

class SteppedHost {
public:
    static constexpr Capacity kCapacity{kAccounts, 64, 512, 256};
    static constexpr std::uint32_t kRingSlots = 256;

    /// @param p source and broker; the reservation lies in its directory.
    /// @param log the journal files, which another host may have left.
    SteppedHost(Pipeline& p, testing::MemoryLog& log) : p_{&p}, log_{&log} {}

    /// As after a power cut: a new segment, the end of the log, an engine that has replayed it and
    /// has journalled that it begins. @return false: `message` says why not.
    [[nodiscard]] bool start();
    /// The journal stage dies with its writes, and another goes on in the same segment.
    [[nodiscard]] bool restart_journal();

    /// Lets the engine take at most `inputs`. @return how many it took.
    int feed(int inputs) noexcept;
    /// One duty cycle of the journal stage. @return work done.
    int write() noexcept;
    /// Steps everything until nothing moves. @return false if it does not come to rest.
    [[nodiscard]] bool settle();

    [[nodiscard]] Engine& engine() noexcept { return *engine_; }
    [[nodiscard]] testing::FaultDisk& disk() noexcept { return *disk_; }
    [[nodiscard]] std::uint64_t durable() const noexcept {
        return p_->segment().core().durable.load();
    }

    std::string message;
    // What start() found.
    std::uint64_t log_end = 0;                 // last record of the log
    std::uint64_t hash_of_log = 0;             // of the state that its replay made
    std::map<std::uint64_t, OrdStatus> known;  // intents of the orders in that state
    std::uint64_t jump = 0;                    // first record of the new segment

private:
    [[nodiscard]] bool open_journal(bool same_segment);
    [[nodiscard]] bool replay();

    Pipeline* p_;
    testing::MemoryLog* log_;
    testing::FaultDisk* disk_ = nullptr;  // the journal stage's
    std::unique_ptr<JournalStage> journal_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<EngineDriver> driver_;
};

}  // namespace millrace::test
