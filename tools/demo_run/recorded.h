// Recorded: replays a trade file as signals, in (scaled) recorded time.
#pragma once

#include "tools/demo_run/script.h"
#include "tools/market/trade_reader.h"

#include <map>
#include <string>
#include <vector>

namespace millrace::demo {

struct RecordedOptions {
    std::vector<market::TradeEvent> events;  // by time; all of them meet a tick
    std::string group = "all";
    double speed = 1.0;
    Nanos origin;                 // recorded time that the market plays at its start
    std::int64_t started_ns = 0;  // real time passed since the market started, at construction
    std::uint64_t seed = 1;       // of the signals' ids
};

/// Threads: one.
class RecordedScript final : public Script {
public:
    explicit RecordedScript(RecordedOptions options);

    [[nodiscard]] std::optional<Planned> next(Nanos elapsed) override;
    [[nodiscard]] bool finished() const override { return at_ == options_.events.size(); }
    [[nodiscard]] std::size_t left() const override { return options_.events.size() - at_; }
    [[nodiscard]] std::vector<Planned> tidy_up() override;

private:
    [[nodiscard]] Planned planned(const market::TradeEvent& event);
    [[nodiscard]] SignalRequest request_of(const market::TradeEvent& event);

    RecordedOptions options_;
    market::Random random_;
    std::size_t at_ = 0;
    std::map<std::uint64_t, SignalId> opened_;         // by the opening event's number
    std::map<std::uint64_t, SignalRequest> pendings_;  // placed and not taken back yet
};

}  // namespace millrace::demo
