// Input: where ticks and signals of a run come from: generated from a seed, or from files.
#pragma once

#include "tools/demo_run/pipeline.h"
#include "tools/demo_run/report.h"
#include "tools/demo_run/script.h"

#include <memory>
#include <string>
#include <vector>

namespace millrace::demo {

/// A run's input, ready to be played.
struct Input {
    std::vector<market::SymbolInfo> symbols;
    MarketPlan market;
    InputNote note;
    std::uint32_t ttl_ms = 0;               // of signals; 0 = the default
    std::vector<std::string> quotes_first;  // symbols to wait for before the first signal
    /// Makes the script once the market plays.
    std::function<std::unique_ptr<Script>(const Lives&, QuoteOf, Nanos market_start)> make_script;
};

/// Reads the files of `options` (or none). @return false and a sentence in `message` if a file
/// cannot be read, or has nothing to play.
[[nodiscard]] bool prepare_input(const Options& options, Input& input, std::string& message);

}  // namespace millrace::demo
