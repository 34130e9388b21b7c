// The effects log as sinks read it: whole records at a time.
#pragma once

#include "persist/effect_source.h"
#include "persist/effects_log.h"

#include <optional>
#include <string>
#include <vector>

namespace millrace {

class EffectsLogSource final : public EffectSource {
public:
    explicit EffectsLogSource(std::string directory) : directory_{std::move(directory)} {}

    /// As EffectSource::seek. The zero cursor begins at the oldest file that retention has left,
    /// or waits at the start of a log that is still to be written.
    [[nodiscard]] Status seek(const EffectCursor& cursor) noexcept override;
    [[nodiscard]] Result<std::optional<EffectCursor>> next(
        std::vector<Effect>& out) noexcept override;
    [[nodiscard]] bool begins_whole() const override { return effects_begin_whole(directory_); }
    [[nodiscard]] std::string message() const override { return message_; }

private:
    [[nodiscard]] Status open_at(const LogCursor& after) noexcept;

    std::string directory_;
    std::optional<EffectsReader> reader_;
    std::vector<Effect> record_;  // effects whose mark has not been seen yet
    std::string message_;
};

}  // namespace millrace
