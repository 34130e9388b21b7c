// What the pipeline benchmarks run on: a segment, an engine and its driver, a journal stage, all
// real; the benchmark itself is the strategy on one core and the broker stage's eyes.
#pragma once

#include "core/engine.h"
#include "persist/engine_driver.h"
#include "persist/journal_stage.h"
#include "shm/segment.h"

#include <memory>
#include <string>

namespace millrace::bench {

/// The CPUs of the two ends, 0 and 1 if nothing is said. Before the first pin().
void use_cpus(int first, int second);
/// Binds the calling thread to the CPU of `end`, 0 or 1. @return false if the kernel refuses.
bool pin(int end);

class Rig {
public:
    /// Intent journal of every account's executor.
    static constexpr std::uint64_t kJournalId = 1;

    /// @param directory for journal files; an existing directory on the disk to measure.
    Rig(const std::string& directory, std::uint32_t accounts);
    ~Rig();

    /// One duty cycle of engine and journal, as they share a core.
    void step();
    /// The engine's alone, with its rings and doorbells; the journal's alone.
    void step_engine();
    void step_journal();
    /// Publishes an Open for the whole group; returns its send stamp.
    Nanos publish_signal();
    /// Takes every order that is visible and answers it Filled. @return orders taken.
    int answer_orders();
    /// Waits until orders for the last signal are visible (spins). @return when the first was.
    Nanos await_first_order();
    /// Reads and drops results.
    void drop_results();
    /// Ends the program if a signal took too long, with what the segment says of it: a benchmark
    /// that waits for ever tells nobody anything. Call it now and then while waiting.
    /// @param since when the wait began, clock().
    void give_up_if_stuck(Nanos since, const char* what);
    /// Waits until the engine has taken every report (spins).
    void await_reports_taken() const;

    Engine& engine() { return *engine_; }
    Segment& segment() { return segment_; }
    [[nodiscard]] const Capacity& capacity() const { return capacity_; }
    [[nodiscard]] Clock clock() const { return segment_.clock(); }

private:
    void configure(std::uint32_t accounts);
    void pump_until_idle();

    Capacity capacity_;
    std::string segment_path_;
    Segment segment_;
    std::unique_ptr<JournalStage> journal_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<EngineDriver> driver_;
    RingConsumer<OrderSlot> orders_;
    RingConsumer<ResultSlot> results_;
    RingProducer<ReportSlot> reports_;
    RingProducer<AdminSlot> admin_;
    RingProducer<SignalSlot> signals_;
    std::uint64_t next_signal_ = 1;
    std::uint64_t next_deal_ = 1;
};

}  // namespace millrace::bench
