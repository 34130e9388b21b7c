// Outages: when something was down because the demo killed it. A signal whose life overlaps one
// was touched by a fault, and only such a signal may be late, expired or refused.
#pragma once

#include "core/types.h"

#include <string>
#include <vector>

namespace millrace::demo {

/// From the kill until the stage, every session and every account are back; `end` 0 = not yet.
struct Outage {
    std::string what;
    Nanos begin;
    Nanos end;
};

/// Threads: one.
class Outages {
public:
    void add(Outage outage) { list_.push_back(std::move(outage)); }

    /// True if [from, to] shares a moment with an outage. One that has no end lasts for ever.
    [[nodiscard]] bool touch(Nanos from, Nanos to) const noexcept;

    [[nodiscard]] const std::vector<Outage>& list() const noexcept { return list_; }
    /// Time with at least one outage, overlaps counted once. @param until where open ones end.
    [[nodiscard]] Nanos total(Nanos until) const;

private:
    std::vector<Outage> list_;
};

}  // namespace millrace::demo
