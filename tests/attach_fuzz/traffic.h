// Live traffic: a segment with a producer and a consumer in processes of their own, which check
// every record, find their way about the segment by its header for each (clock, all doorbells,
// cells, uuid, journal directory), as stages do, and a third process that keeps attaching to that
// very segment, to write and to read. What attaches to them, or next to them, must not disturb
// them.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/shm/children.h"
#include "tests/shm/temp_dir.h"

namespace millrace::test {

/// A small plan with every kind of ring in it.
[[nodiscard]] SegmentPlan small_plan(const std::string& path, const std::string& journal_dir);

class Traffic {
public:
    /// Whether a process attaches to the live segment again and again.
    enum class Attacher { Busy, None };

    /// Creates the segment, starts the processes and waits until records flow and it was attached.
    explicit Traffic(const std::string& path, const std::string& journal_dir,
                     Attacher attacher = Attacher::Busy);
    /// Kills what still runs.
    ~Traffic();
    Traffic(const Traffic&) = delete;
    Traffic& operator=(const Traffic&) = delete;

    /// Records checked by the consumer so far.
    [[nodiscard]] std::uint64_t checked() const;
    /// Waits until at least `records` that are sent from now on have been checked.
    /// @return false if that will never be: one of the processes has ended.
    [[nodiscard]] bool flows_on(std::uint64_t records = 1) const;
    /// Times that the live segment was attached and found good so far.
    [[nodiscard]] std::uint64_t attached() const;
    /// Ends all. @return what was wrong, empty if every record came once, in order and whole, and
    /// attaching always succeeded.
    [[nodiscard]] std::string stop();

private:
    struct Shared;
    int attach_again_and_again(const std::string& path);
    Segment segment_;
    Shared* shared_ = nullptr;
    std::vector<pid_t> children_;
};

}  // namespace millrace::test
