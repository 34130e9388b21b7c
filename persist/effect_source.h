// EffectSource: where a sink's effects come from, and EffectCursor, how far a sink has come.
#pragma once

#include "core/effect.h"
#include "core/result.h"

#include <optional>
#include <string>
#include <vector>

namespace millrace {

/// Place in the effects log after the last effect stored. All zero: nothing stored yet.
struct EffectCursor {
    std::uint64_t epoch = 0;  // of the journal, for people; the chain is what proves
    Sequence seq;             // journal record whose effects are stored, all of them
    std::uint32_t k = 0;      // number of its last effect
    std::uint64_t chain = 0;  // the log's chain hash there
    friend bool operator==(const EffectCursor&, const EffectCursor&) = default;
};

/// Where effects come from, one journal record at a time. Implemented over the effects log by
/// EffectsLogSource (persist/effects_log_source.h).
class EffectSource {
public:
    virtual ~EffectSource() = default;

    /// Goes on after `cursor`; the zero cursor stands for the first record that is still there.
    /// @return BadChain: the log has another history there; NotFound: it begins after it;
    /// TornTail: it ends before it; others: not now, try again.
    [[nodiscard]] virtual Status seek(const EffectCursor& cursor) noexcept = 0;

    /// Appends all effects of the next complete record (it may have none).
    /// @return the cursor after it, or nothing if no complete record is there yet.
    [[nodiscard]] virtual Result<std::optional<EffectCursor>> next(
        std::vector<Effect>& out) noexcept = 0;

    /// Whether what the zero cursor begins with is all there ever was, or all that still stands; so
    /// a store that was filled from there lacks nothing. Asked once something was read.
    [[nodiscard]] virtual bool begins_whole() const { return false; }

    /// More about the last failure than its code and text can say; may be empty.
    [[nodiscard]] virtual std::string message() const { return {}; }
};

}  // namespace millrace
