// When a dead stage is started again, and when an operator has to look first. Pure.
#pragma once

#include "core/types.h"
#include "tools/millrace/config.h"

namespace millrace {

/// At once after a death with progress; else after first_ms, then min_ms growing to max_ms.
class RestartPolicy {
public:
    explicit RestartPolicy(const RestartConfig& config) noexcept : config_{config} {}

    /// How long to wait before the next start.
    /// @param progressed did it do any work since its last start?
    [[nodiscard]] Nanos after_death(bool progressed) noexcept {
        if (progressed) {
            fruitless_ = 0;
        }
        const std::uint32_t earlier = fruitless_++;
        if (earlier == 0) {
            return millis(config_.first_ms);
        }
        std::int64_t ms = config_.min_ms;
        for (std::uint32_t i = 1; i < earlier && ms < config_.max_ms; ++i) {
            ms *= 2;
        }
        return millis(ms < config_.max_ms ? ms : config_.max_ms);
    }

    /// Deaths without progress in a row.
    [[nodiscard]] std::uint32_t fruitless() const noexcept { return fruitless_; }

private:
    RestartConfig config_;
    std::uint32_t fruitless_ = 0;
};

/// Tells a poisonous input: two deaths of the engine, by its own fault, at one sequence number.
/// A SIGKILL from outside is nobody's fault and does not count; one of ours, because it hung, does.
class PoisonWatch {
public:
    /// @param seq first record not completed when it died.
    /// @return true if it is the second death there.
    [[nodiscard]] bool died_at(Sequence seq) noexcept {
        const bool again = seq == last_;
        last_ = seq;
        return again;
    }
    void clear() noexcept { last_ = Sequence{}; }

private:
    Sequence last_;
};

}  // namespace millrace
