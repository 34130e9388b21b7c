// When an alert of the segment's error log is told to the operator, and told again. Pure.
#pragma once

#include "core/types.h"
#include "shm/layout.h"

#include <array>
#include <cstdint>

namespace millrace {

/// An entry of the error log counts how often it was raised: a stage that fails at each start
/// raises the same alert at each. It is told at once; what follows within ten seconds is told
/// together, then what follows within twenty, and so on up to ten minutes, so that the log says
/// that it lasts and an operator can still read it. One that was quiet for as long is told at once
/// again.
/// Threads: one.
class AlertRelay {
public:
    static constexpr Nanos kFirstGap = seconds(10);
    static constexpr Nanos kLastGap = seconds(600);

    /// What was counted up to now is nobody's news.
    void begin_at(std::uint32_t entry, std::uint64_t count) noexcept { told_[entry].count = count; }

    /// @param count of the entry now.
    /// @param last there is no later look: whatever is left is told.
    /// @return how often it was raised since it was told last, if it is to be told now; else 0.
    [[nodiscard]] std::uint64_t due(std::uint32_t entry, std::uint64_t count, Nanos now,
                                    bool last = false) noexcept {
        Told& told = told_[entry];
        const std::uint64_t raised = count - told.count;
        if (raised == 0) {
            told.gap = now >= told.next ? Nanos{} : told.gap;  // quiet for a whole gap
            return 0;
        }
        if (now < told.next && !last) {
            return 0;
        }
        told.gap = told.gap.value == 0 ? kFirstGap : Nanos{told.gap.value * 2};
        told.gap = told.gap < kLastGap ? told.gap : kLastGap;
        told.next = now + told.gap;
        told.count = count;
        return raised;
    }

private:
    struct Told {
        std::uint64_t count = 0;
        Nanos gap;   // 0: it is quiet
        Nanos next;  // not told before
    };
    std::array<Told, kErrors> told_{};
};

}  // namespace millrace
