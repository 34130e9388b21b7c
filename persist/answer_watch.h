// When a disk that was asked counts as one that does not answer. Pure.
#pragma once

#include "core/types.h"

#include <algorithm>
#include <cstdint>

namespace millrace {

/// Counts the time in which somebody looked: over a machine that was paused, or a process that was
/// stopped, the clock runs on, and the write that was under way has had none of that time.
/// Threads: one.
class AnswerWatch {
public:
    /// A bound is passed in so many looks at least, however far apart they are.
    static constexpr std::int64_t kLooksMin = 4;

    /// @param waits something was asked that is not answered
    /// @param answered a count that changes with each answer
    /// @param bound with another one something else is waited for: the count begins anew
    /// @return true if there has been none for longer than `bound`, as far as somebody looked.
    [[nodiscard]] bool is_late(bool waits, std::uint64_t answered, Nanos bound,
                               Nanos now) noexcept {
        const Nanos passed{
            std::clamp<std::int64_t>((now - looked_).value, 0, bound.value / kLooksMin)};
        looked_ = now;
        if (!waits || !waits_ || answered != answered_ || bound != bound_) {
            waits_ = waits;
            bound_ = bound;
            answered_ = answered;
            waited_ = {};
            return false;
        }
        waited_ = waited_ + passed;
        return waited_ > bound;
    }

private:
    std::uint64_t answered_ = 0;  // when it was last seen to answer
    Nanos waited_;                // since then
    Nanos looked_;
    Nanos bound_;
    bool waits_ = false;
};

}  // namespace millrace
