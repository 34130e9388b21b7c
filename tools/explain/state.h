// LogState: the engine's state at a place of the log, made by the engine itself from the newest
// snapshot below it and the records behind. Nothing is put out.
#pragma once

#include "core/engine.h"
#include "persist/skip_list.h"
#include "persist/snapshot_file.h"

#include <memory>
#include <string>

namespace millrace::explain {

class LogState {
public:
    /// Begins at the newest snapshot whose record is at or before `at_most`, else, if the log
    /// begins with record 1, with nothing.
    /// @param capacity of the tables where there is no snapshot that says.
    /// @param log_begins the first record that the journal still has.
    /// @return nullptr: `message` says why there is no such state (other logic version, no
    /// snapshot that old).
    static std::unique_ptr<LogState> begin(const std::string& directory, Sequence at_most,
                                           Sequence log_begins, const Capacity& capacity,
                                           std::string& message);

    /// Begins at the oldest snapshot that this build can load.
    /// @return nullptr: there is none.
    static std::unique_ptr<LogState> begin_at_oldest(const std::string& directory);

    /// The next record; one that the state has already is passed over.
    /// @return false if it does not follow, or is of another logic version: the state is as it was.
    [[nodiscard]] bool apply(const JournalRecord& record);
    [[nodiscard]] const Engine& engine() const noexcept { return *engine_; }

private:
    LogState(std::unique_ptr<Engine> engine, SkipList skips);
    static std::unique_ptr<LogState> of_snapshot(const std::string& directory, const Snapshot& s,
                                                 SkipList skips, std::string& message);
    std::unique_ptr<Engine> engine_;
    SkipList skips_;
};

}  // namespace millrace::explain
