// The table failed_syncs of the SQLite store: what another store did not take at once.
//
// The rows themselves stay in the effects log; this says since when, how often and why, for people
// and for the next start. Each call opens the file anew: the SQLite sink may have replaced it.
#pragma once

#include "core/result.h"
#include "core/types.h"
#include "persist/effect_source.h"

#include <cstdint>
#include <string>

namespace millrace {

struct FailedSync {
    std::string sink;
    EffectCursor after;  // the batch begins behind it
    EffectCursor to;
    std::uint64_t batch_rows = 0;
    std::uint64_t failures = 0;
    std::string error;
    Nanos first_failed;  // wall clock; with `sink` the key
    Nanos last_failed;
};

class FailedSyncs {
public:
    /// @param path of the SQLite store; empty: there is none, and nothing is written.
    explicit FailedSyncs(std::string path) : path_{std::move(path)} {}

    /// Writes the row, or writes it over. @return Busy (locked), NotFound (no store yet), others
    /// of SQLite; nothing is changed then and the next note() says the same again.
    [[nodiscard]] Status note(const FailedSync& failure) noexcept;
    /// Marks every open row of `sink` as synced at `now` (wall clock); keeps the last 1000.
    [[nodiscard]] Status synced(const std::string& sink, Nanos now) noexcept;
    /// Open rows of `sink`.
    [[nodiscard]] Result<std::uint64_t> open_rows(const std::string& sink) noexcept;

private:
    std::string path_;
};

}  // namespace millrace
