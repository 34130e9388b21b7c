// A disk whose flush fails, for the process it is linked into. The kernel then calls the pages
// clean: only what is written once more is ever on the disk.
#pragma once

#include <sys/types.h>

#include <string>

namespace millrace::sqlite_test {

/// While it lives fsync() and fdatasync() of files below a folder fail as they are told to, and
/// what is written there is looked at. Threads: one. One at a time.
class FailingFlush {
public:
    explicit FailingFlush(const std::string& folder);
    ~FailingFlush();
    FailingFlush(const FailingFlush&) = delete;
    FailingFlush& operator=(const FailingFlush&) = delete;

    /// After `good` more flushes the next one fails, once.
    void fail_after(int good);
    [[nodiscard]] bool failed() const;
    /// Size of the last file that was flushed, when it was.
    [[nodiscard]] off_t flushed() const;
    /// The lowest offset that was written to since the failure; -1: nothing was.
    [[nodiscard]] off_t written_from() const;
};

}  // namespace millrace::sqlite_test
