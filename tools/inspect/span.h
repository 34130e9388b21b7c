// Two pictures of one segment and the time between them: rates, and when a ring will be full.
#pragma once

#include "tools/inspect/view.h"

#include <algorithm>
#include <optional>

namespace millrace::inspect {

struct Span {
    const PipelineView& now;
    const PipelineView* before;  // nullptr: there is nothing to compare with
    double seconds;

    /// Events per second, if there is something to compare with. A counter that went back
    /// belongs to another life of its owner.
    [[nodiscard]] std::optional<double> rate(std::uint64_t n,
                                             std::uint64_t earlier) const noexcept {
        if (before == nullptr || n < earlier) {
            return std::nullopt;
        }
        return static_cast<double>(n - earlier) / seconds;
    }
};

/// @param elapsed between `previous` and `view`; <= 0 counts as no previous picture.
inline Span make_span(const PipelineView& view, const PipelineView* previous, Nanos elapsed) {
    // Another segment's counters are no basis for rates.
    const bool usable = previous != nullptr && elapsed.value > 0 &&
                        previous->header.uuid == view.header.uuid &&
                        previous->rings.size() == view.rings.size();
    return {view, usable ? previous : nullptr, static_cast<double>(elapsed.value) / 1e9};
}

/// What a ring did in a span.
struct RingRates {
    std::optional<double> in;   // records a second
    std::optional<double> out;  // the same, released
    /// Until it is full if both ends go on like this, at most 10^18; 0 = it is, -1 = it is not
    /// filling, or not known.
    std::int64_t full_in_ns = -1;
};

/// Of ring `index`. A ring whose cursors contradict its slots has no rates.
inline RingRates ring_rates(const Span& span, std::size_t index) {
    const RingStat& r = span.now.rings[index];
    RingRates rates;
    if (!r.fault.empty()) {
        return rates;
    }
    if (span.before != nullptr && span.before->rings[index].fault.empty()) {
        const RingStat& before = span.before->rings[index];
        rates.in = span.rate(r.written, before.written);
        rates.out = span.rate(r.read, before.read);
    }
    if (r.depth() >= r.capacity) {
        rates.full_in_ns = 0;
    } else if (rates.in && rates.out && *rates.in > *rates.out) {
        const double left = static_cast<double>(r.capacity - r.depth()) / (*rates.in - *rates.out);
        rates.full_in_ns = static_cast<std::int64_t>(std::min(left, 1e9) * 1e9);
    }
    return rates;
}

/// As render_json() of view.h, with rates and times to full between `previous` (or nullptr: null)
/// and `view`.
[[nodiscard]] std::string render_json(const PipelineView& view, const RenderOptions& options,
                                      const PipelineView* previous, Nanos elapsed);

}  // namespace millrace::inspect
