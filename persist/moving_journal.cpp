#include "persist/moving_journal.h"

#include "core/crash_point.h"
#include "persist/log_source.h"
#include "persist/second_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace {
namespace {

/// The next file is filled with zeros before it is used: that takes longer than a write.
constexpr std::int64_t kFileWaits = 10;

/// What another disk may do better. Anything else would be wrong there too.
bool is_of_disk(const Error& error) noexcept {
    return error.code == Errc::IoError || error.code == Errc::NoSpace ||
           error.code == Errc::Timeout;
}

/// That is used in this directory; 0 if there is none, or it cannot be read.
std::uint64_t newest_epoch(const std::string& directory) {
    DirectorySource log{directory, DirectorySource::Places::FirstAlone};
    const auto files = list_log(log);
    std::uint64_t newest = 0;
    for (const LogFile& file : files ? files.value() : std::vector<LogFile>{}) {
        newest = file.use == LogFileUse::Used ? std::max(newest, file.name.epoch) : newest;
    }
    return newest;
}

std::string text_of(const Error& error) {
    return error.sys_errno == 0 ? error.what : std::strerror(error.sys_errno);
}

}  // namespace

MovingJournal::MovingJournal(const MovingJournalOptions& options, RingView<JournalRecord> ring,
                             CoreCells& cells) noexcept
    : options_{options}, ring_{ring}, cells_{&cells} {}

Result<std::unique_ptr<MovingJournal>> MovingJournal::open(const MovingJournalOptions& options,
                                                           RingView<JournalRecord> ring,
                                                           CoreCells& cells, std::string& message) {
    std::unique_ptr<MovingJournal> journal{new MovingJournal{options, ring, cells}};
    journal->choose();
    const Status done = journal->begin(message);
    return done ? Result<std::unique_ptr<MovingJournal>>{std::move(journal)}
                : Result<std::unique_ptr<MovingJournal>>{done.error()};
}

/// In the same segment the journal stays where its newest epoch is: the first disk's failure may
/// not be over only because the process has ended. Nothing else is read: what was acknowledged last
/// is there, and the other directory may be on a disk that has failed.
void MovingJournal::choose() {
    JournalStageOptions& stage = options_.stage;
    if (stage.second.empty() || !stage.same_segment) {
        return;
    }
    const std::uint64_t first = newest_epoch(stage.directory);
    const std::uint64_t second = newest_epoch(stage.second);
    // Relaxed: its writer is dead.
    stage.alone = std::max(first, second) >= cells_->epoch.load(std::memory_order_relaxed);
    stage.in_second = stage.alone && second > first;
}

Status MovingJournal::begin(std::string& message) {
    std::string why;
    auto opened = JournalStage::open(options_.stage, ring_, *cells_, why);
    if (!opened && may_move() && is_of_disk(opened.error())) {
        const std::string from = options_.stage.place();
        options_.stage.in_second = !options_.stage.in_second;
        options_.stage.alone = false;
        std::string there;
        auto other = JournalStage::open(options_.stage, ring_, *cells_, there);
        if (other) {
            tell(opened.error(), from);
            opened = std::move(other);
            moved_ = true;
        } else {
            why += "; nor in " + options_.stage.place() + ": " + there;
        }
    }
    if (!opened) {
        message = why;
        return opened.error();
    }
    message = why;
    stage_ = std::move(opened).value();
    return ok_status();
}

bool MovingJournal::may_move() const noexcept {
    const bool paired = stage_ == nullptr || stage_->paired();  // a start looks by itself
    return paired && !moved_ && !options_.stage.second.empty();
}

int MovingJournal::step(Nanos now) noexcept {
    int work = stage_->step(now);
    if (!may_move()) {
        return work;
    }
    watch_answer(now);
    if (stage_->poisoned() && is_of_disk(stage_->error())) {
        work += move();
    }
    return work;
}

/// A disk that answers nothing fails no write: the time it takes is all that tells.
void MovingJournal::watch_answer(Nanos now) noexcept {
    const bool waits = stage_->in_flight() || stage_->rolling();
    const Nanos max =
        stage_->in_flight() ? options_.answer_max : Nanos{options_.answer_max.value * kFileWaits};
    if (answers_.is_late(waits, stage_->written(), max, now)) {
        stage_->give_up({Errc::Timeout, ETIMEDOUT, "journal: the disk does not answer"});
    }
}

int MovingJournal::move() noexcept {
    MILLRACE_CRASH_POINT("journal.move_begin");
    moved_ = true;
    const Error why = stage_->error();
    const std::string from = options_.stage.place();
    JournalStageOptions next = options_.stage;
    next.in_second = !next.in_second;
    next.same_segment = true;
    next.alone = false;
    // Relaxed: written by this thread alone, and final: nothing acknowledges any more.
    next.continues =
        LogCursor{stage_->start().epoch, Sequence{cells_->durable.load(std::memory_order_relaxed)},
                  cells_->durable_chain.load(std::memory_order_relaxed)};
    std::string message;
    auto opened = JournalStage::open(next, ring_, *cells_, message);
    if (!opened) {
        if (options_.alert) {
            options_.alert("ALERT the journal can be written in neither directory: " + message);
        }
        return 0;  // poisoned it stays
    }
    MILLRACE_CRASH_POINT("journal.move_opened");
    options_.stage.in_second = next.in_second;
    failed_ = std::move(stage_);
    stage_ = std::move(opened).value();
    if (why.code == Errc::NoSpace && next.in_second) {  // a full disk answers, another may not
        failed_->note_moved(stage_->start().epoch);
    }
    tell(why, from);
    return 1;
}

void MovingJournal::tell(const Error& why, const std::string& from) const {
    if (options_.alert) {
        options_.alert("ALERT the journal goes on in " + options_.stage.place() + ": " + from +
                       " failed (" + text_of(why) +
                       "); mend it: snapshots and stores need it, and it is read at each start");
    }
}

}  // namespace millrace
