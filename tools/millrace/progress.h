// Progress of long work, for people who watch a terminal.
#pragma once

#include "persist/sqlite_backup.h"
#include "persist/stored_state.h"

#include <cstdint>
#include <string>

namespace millrace {

/// On a terminal, one line of standard error that is written over; elsewhere nothing (empty).
[[nodiscard]] BackupProgress progress_on_terminal();

/// How many rows of a store were read, on a line of a terminal that is written over; elsewhere
/// nothing. Threads: one.
class RowsOnTerminal final : public ReadingHeard {
public:
    RowsOnTerminal();
    /// Ends the line.
    ~RowsOnTerminal() override;
    RowsOnTerminal(const RowsOnTerminal&) = delete;
    RowsOnTerminal& operator=(const RowsOnTerminal&) = delete;
    void rows(std::uint64_t count) noexcept override;

private:
    bool terminal_;
    std::uint64_t shown_ = 0;  // thousands
};

/// A line for somebody who waits at a terminal; elsewhere nothing.
void tell_on_terminal(const std::string& line);

}  // namespace millrace
