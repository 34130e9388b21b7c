// Ladder: a pipeline under load whose host goes down and loses segment, journal and snapshots, and
// what is common to the tests of the rungs below them.
//
// Whatever the rung: every signal that was ever sent is sent again afterwards, with its first
// stamp, as a source may that has heard nothing. The broker's books and the source's own record
// judge: nothing twice, nothing of what the store knew is wrong.
#pragma once

#include "tests/chaos/world.h"
#include "tools/demo_run/child.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace millrace::chaos {

/// Accepted signals that the SQLite store at `path` knows.
[[nodiscard]] std::set<SignalId> known_to(const std::string& path);

/// Each rung's tests make their own: first the servers that it needs, then begin().
class Ladder : public ::testing::Test {
protected:
    static constexpr Nanos kLong = seconds(180);

    /// @param edits of the configuration, as WorldOptions has them.
    void begin(std::vector<Edit> edits = {});
    [[nodiscard]] World& world() noexcept { return *world_; }
    [[nodiscard]] const World& world() const noexcept { return *world_; }
    [[nodiscard]] std::string sqlite() const { return world_->workspace().path("millrace.db"); }

    /// Until the source was told of so many more fills; MILLRACE_LONG: 20 times as many.
    void trade(std::uint64_t more);
    /// Until `cell`, which says how far a store has come, is where the engine is now.
    void await_stored(const AtomicU64& cell);
    /// Segment and journal directory go; nothing runs any more. All servers that are children of
    /// this process are dead then, too.
    void lose_log();
    /// `millrace up` begins nothing where the log was lost, and says that `store` has followed it.
    void expect_no_start_beside(const std::string& store);
    /// `millrace recover WORDS`. @return its exit status; said() is what it said.
    [[nodiscard]] int recover(const std::vector<std::string>& words);
    [[nodiscard]] const std::string& said() const noexcept { return said_; }
    /// After a recover that made a journal: starts, lets accounts that wait for somebody to compare
    /// positions trade, and prints what the rung cost beside what the documents ask.
    void go_on(const char* rung, const char* asked, const std::set<SignalId>& known);
    /// Sends everything again, trades on, comes to an end, and holds the result against the books.
    /// @param known accepted signals that the store knew; nothing about them may be wrong.
    void judge(const std::set<SignalId>& known);

private:
    [[nodiscard]] demo::Child resume_what_is_paused();
    void print_cost(const char* rung, const char* asked, const std::set<SignalId>& known) const;
    void send_everything_again();

    std::unique_ptr<World> world_;
    std::string said_;
    std::int64_t lost_ns_ = 0;     // when the log was lost: monotonic,
    std::int64_t lost_wall_ = 0;   // and by the wall clock
    std::int64_t command_ns_ = 0;  // that the last recover() took
};

}  // namespace millrace::chaos
