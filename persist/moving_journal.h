// MovingJournal: the journal stage, and where it goes on when its disk fails: a new epoch in the
// other directory (second_directory.h), by this very process, which owns the journal's role; a disk
// that does not answer would let no other one have it.
//
//     first directory    epoch 1 | ... 100 acknowledged | 101 .. 104 failed, or no answer: void
//     second directory                                  | epoch 2: 101 .. 104 from the ring | 105
//     ..
//
// The stage that failed acknowledges nothing more and is kept until the end: what the kernel still
// writes from its memory lands in files that the newer epoch has made void.
#pragma once

#include "persist/answer_watch.h"
#include "persist/journal_stage.h"

#include <functional>
#include <memory>
#include <string>

namespace millrace {

struct MovingJournalOptions {
    JournalStageOptions stage;      // `in_second`, `alone`, `continues` are chosen in here
    Nanos answer_max = seconds(3);  // a write under way for longer: the disk does not answer
    /// An ALERT for the operator: where the journal is now, and why.
    std::function<void(const std::string&)> alert;
};

/// Threads: as JournalStage.
class MovingJournal {
public:
    /// Without a second directory: JournalStage::open(). In the same segment it goes on where the
    /// newest epoch is, in a new one in the first directory; in the other one if that disk fails.
    /// @return as JournalStage::open(); `message` on success says what is not as configured.
    [[nodiscard]] static Result<std::unique_ptr<MovingJournal>> open(
        const MovingJournalOptions& options, RingView<JournalRecord> ring, CoreCells& cells,
        std::string& message);

    /// One duty cycle of the stage. After a failed write, or one that is not answered in time, it
    /// moves, once: blocks for as long as a new file takes, and allocates. A second failure ends it
    /// (poisoned()): the next process begins where it can.
    /// Crash: at any instruction; the next start finds the newest epoch in either directory.
    int step(Nanos now) noexcept;

    [[nodiscard]] bool idle() const noexcept { return stage_->idle(); }
    [[nodiscard]] bool in_flight() const noexcept { return stage_->in_flight(); }
    void wait_io(Nanos timeout) noexcept { stage_->wait_io(timeout); }
    [[nodiscard]] bool poisoned() const noexcept { return stage_->poisoned(); }
    [[nodiscard]] Error error() const noexcept { return stage_->error(); }
    /// Of the epoch that is written now.
    [[nodiscard]] const JournalStart& start() const noexcept { return stage_->start(); }
    [[nodiscard]] bool in_second() const noexcept { return options_.stage.in_second; }

private:
    MovingJournal(const MovingJournalOptions& options, RingView<JournalRecord> ring,
                  CoreCells& cells) noexcept;
    void choose();
    [[nodiscard]] Status begin(std::string& message);
    [[nodiscard]] bool may_move() const noexcept;
    void watch_answer(Nanos now) noexcept;
    int move() noexcept;
    void tell(const Error& why, const std::string& from) const;

    MovingJournalOptions options_;
    RingView<JournalRecord> ring_;
    CoreCells* cells_;
    std::unique_ptr<JournalStage> stage_;
    std::unique_ptr<JournalStage> failed_;  // its memory may still be written from
    AnswerWatch answers_;
    bool moved_ = false;
};

}  // namespace millrace
