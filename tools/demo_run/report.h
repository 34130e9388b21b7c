// Report: what a run did, as text for people and as JSON for programs.
#pragma once

#include "tools/demo_run/chaos.h"
#include "tools/demo_run/options.h"
#include "tools/demo_run/source.h"
#include "tools/demo_run/verdict.h"
#include "tools/inspect/view.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace millrace::demo {

/// What the run was fed with, and what was wrong with it.
struct InputNote {
    std::string ticks;  // "generated, seed 1" or file names
    std::string signals;
    std::vector<std::pair<std::string, std::uint64_t>> defects;  // met in the tick files
    std::vector<std::pair<std::string, std::uint64_t>> skipped;  // trades, by reason
    std::vector<std::string> notes;                              // shifted, compressed, ...
};

struct Report {
    Options options;
    InputNote input;
    SourceCounts source;
    Verdict verdict;
    std::vector<Kill> kills;
    Nanos outage_total;
    inspect::PipelineView view;         // of the segment, taken when all was settled
    std::uint64_t broker_restarts = 0;  // by the demo
    std::uint64_t unsettled = 0;        // signals without an end when waiting was over
    std::uint64_t shm_bytes = 0;
    bool ack_disk = false;              // what the source's acks meant
    std::uint64_t book_deals = 0;       // in the broker's books
    std::uint64_t book_executions = 0;  // of our orders
    std::uint64_t book_refused = 0;
    std::uint64_t book_positions = 0;   // open at the end, held against ours one by one
    std::vector<std::string> warnings;  // e.g. a store that counts otherwise
    std::vector<std::string> failures;  // processes that did not start or stop as they should
    double run_seconds = 0;             // signals were sent for so long
    std::string kept_in;

    /// What decides the exit status.
    [[nodiscard]] bool good() const noexcept;
};

/// How often a role got another owner: started again, or taken over by the spare.
[[nodiscard]] std::uint64_t owner_changes(const inspect::StageStat& stage) noexcept;

/// How orders ended, summed over accounts; `in_doubt` is the pipeline's count at the end.
struct OrderSums {
    std::uint64_t orders = 0;
    std::uint64_t filled = 0;
    std::uint64_t rejected = 0;
    std::uint64_t canceled = 0;
    std::uint64_t expired = 0;
    std::uint64_t went_in_doubt = 0;
};
[[nodiscard]] OrderSums sum_orders(const Lives& lives);

[[nodiscard]] std::string render_text(const Report& report, const OrderSums& sums);
[[nodiscard]] std::string render_report_json(const Report& report, const OrderSums& sums);

/// The journal's way to the disk in words, the fall-back named as such.
[[nodiscard]] std::string backend_words(std::uint32_t backend);

}  // namespace millrace::demo
