#include "persist/journal_stage.h"

#include "core/crash_point.h"
#include "persist/log_floor.h"
#include "persist/pwrite_disk.h"
#include "persist/second_directory.h"

#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr std::uint64_t kSegmentBytesMin = 64 * 1024;

// Removes prepared files that nothing was ever acknowledged from. Their maker is dead (we own the
// role), so a late write of its can only hit an unlinked inode.
void remove_unused(LogSource& log) noexcept {
    const auto files = list_log(log);
    if (!files) {
        return;  // recover() will say it
    }
    for (const auto& file : files.value()) {
        if (file.use == LogFileUse::Unused) {
            ::unlink(log.path_of(file.name).c_str());
        }
    }
}

std::string told(const char* what, const Error& error) {
    std::string text = std::string{what} + ": " + error.what;
    if (error.sys_errno != 0) {
        text += std::string{" ("} + std::strerror(error.sys_errno) + ")";
    }
    return text;
}

}  // namespace

JournalStage::JournalStage(const JournalStageOptions& options, std::unique_ptr<Disk> disk,
                           CoreCells& cells) noexcept
    : options_{options}, disk_{std::move(disk)}, cells_{&cells}, writer_{*disk_} {}

Result<std::unique_ptr<JournalStage>> JournalStage::open(const JournalStageOptions& options,
                                                         RingView<JournalRecord> ring,
                                                         CoreCells& cells, std::string& message) {
    // A file-size limit must come back as EFBIG from the write, not kill the process.
    (void)::signal(SIGXFSZ, SIG_IGN);
    using Places = DirectorySource::Places;
    DirectorySource log{options.alone ? options.place() : options.directory,
                        options.alone ? Places::FirstAlone : Places::Both};
    if (!options.continues) {
        // In the same segment nothing counts but what was acknowledged, which needs no flush; a
        // disk that has failed is to stop nobody who goes on elsewhere.
        DirectorySource here{options.place(), Places::FirstAlone};
        if (auto settled = options.same_segment ? here.settle() : log.settle(); !settled) {
            message = told(options.place().c_str(), settled.error());
            return settled.error();
        }
        remove_unused(log);
    }
    auto disk = open_disk(options.place(), options.backend, message);
    if (!disk) {
        return disk.error();
    }
    return open(options, std::move(disk).value(), log, ring, cells, message);
}

Result<std::unique_ptr<JournalStage>> JournalStage::open(const JournalStageOptions& options,
                                                         std::unique_ptr<Disk> disk, LogSource& log,
                                                         RingView<JournalRecord> ring,
                                                         CoreCells& cells, std::string& message) {
    ASSERT(options.segment_bytes >= kSegmentBytesMin);
    ASSERT(options.segment_bytes % kBlockBytes == 0);
    ASSERT(options.first_file_bytes % kBlockBytes == 0);
    std::unique_ptr<JournalStage> stage{new JournalStage{options, std::move(disk), cells}};
    auto consumer = RingConsumer<JournalRecord>::attach(ring);
    if (!consumer) {
        message = told("journal ring", consumer.error());
        return consumer.error();
    }
    stage->ring_ = consumer.value();
    if (auto done = stage->recover(log, message); !done) {
        return done.error();
    }
    if (auto done = stage->first_reservation(message); !done) {
        return done.error();
    }
    if (auto done = stage->start_writing(message); !done) {
        return done.error();
    }
    return Result<std::unique_ptr<JournalStage>>{std::move(stage)};
}

// Finds the record that this epoch continues behind. In the same segment that is `durable`: what
// lies above it on disk was never acknowledged, is still in the ring, and is written again. In a
// new segment it is the last valid record.
Status JournalStage::recover(LogSource& log, std::string& message) {
    if (options_.continues) {
        start_.last = *options_.continues;
        start_.epoch = options_.continues->epoch + 1;
        return ok_status();
    }
    auto files = list_log(log);
    if (!files) {
        message = told(log.where().c_str(), files.error());
        return files.error();
    }
    std::uint64_t proven = 0;  // the newest header proves everything before its first record
    for (const auto& file : files.value()) {
        start_.epoch = std::max(start_.epoch, file.name.epoch);
        if (file.use == LogFileUse::Used) {
            proven = std::max(proven, file.header.first_seq - 1);
        }
    }
    if (options_.alone) {
        // Relaxed: its writer is dead.
        if (start_.epoch < cells_->epoch.load(std::memory_order_relaxed)) {
            message = log.where() + " does not have the segment's newest epoch";
            return {Errc::NotFound, "journal: the newest epoch is not there"};
        }
        ++start_.epoch;  // the number of one that was begun elsewhere and acknowledged nothing
    }
    // Acquire: pairs with the release in acknowledge(), by a writer that is dead by now.
    const std::uint64_t durable = cells_->durable.load(std::memory_order_acquire);
    const std::uint64_t after = options_.same_segment ? std::max(durable, proven) : proven;
    auto reader = JournalReader::open(log, Sequence{after}, {}, message);
    if (!reader) {
        message = "journal: record " + std::to_string(after) + " was acknowledged. " + message;
        return reader.error();
    }
    if (!options_.same_segment) {
        ReadStatus status = ReadStatus::Record;
        while (status == ReadStatus::Record) {
            status = reader.value().next();
        }
        if (status == ReadStatus::Corrupt) {
            message = reader.value().fault().what;
            return {reader.value().fault().code, "journal is damaged inside its durable part"};
        }
        start_.tail_torn = reader.value().end().code == Errc::TornTail;
        start_.tail = reader.value().end().what;
    }
    start_.last = reader.value().cursor();
    ++start_.epoch;
    return check_floor(log, message);
}

Status JournalStage::check_floor(LogSource& log, std::string& message) const {
    LogFloor floor = options_.same_segment ? LogFloor{} : snapshot_floor(options_.directory);
    if (options_.durable_floor > floor.seq) {
        floor = {options_.durable_floor, {}};
    }
    const std::string where =
        log.where() + (options_.second.empty() ? "" : " with " + options_.second);
    if (std::string why = ends_below(where, start_.last.seq, floor); !why.empty()) {
        message = std::move(why);
        return {Errc::BadLayout, "journal ends before what is known to be durable"};
    }
    return ok_status();
}

Status JournalStage::first_reservation(std::string& message) {
    const bool fresh = start_.last.seq.value == 0 && start_.epoch == 1 && !options_.in_second;
    auto reservation = Reservation::open(options_.place(), fresh, message);
    if (!reservation) {
        return reservation.error();
    }
    reservation_ = std::move(reservation).value();
    if (auto done = take_over_reserved(message); !done) {
        return done;
    }
    if (auto done = pair(message); !done) {
        return done;
    }
    start_.reserved_seq = reservation_.current().seq;
    start_.reserved_intent = reservation_.current().intent;
    if (!options_.same_segment) {
        // The engine jumps to what was reserved; it needs room behind that.
        const std::uint64_t base = std::max(start_.reserved_seq, start_.last.seq.value + 1);
        // Only what the second one was told before, by pair().
        const Reserved to{base + options_.reserve_sequences,
                          start_.reserved_intent + options_.reserve_intents, 0,
                          paired_ ? noted(start_.epoch) : 0};
        if (auto done = reservation_.reserve(to); !done) {
            message = told(options_.place().c_str(), done.error());
            return done.error();
        }
        // Relaxed: the engine reads them after it saw journal_state Running (acquire).
        cells_->jump_seq.store(base, std::memory_order_relaxed);
        cells_->jump_intent.store(start_.reserved_intent, std::memory_order_relaxed);
    }
    // Release: pairs with the engine's acquire before it hands out an id below these.
    cells_->reserved_intent.store(reservation_.current().intent, std::memory_order_release);
    cells_->reserved_seq.store(reservation_.current().seq, std::memory_order_release);
    return ok_status();
}

/// Two directories reserve in turn: no id below either's numbers may be handed out again.
Status JournalStage::take_over_reserved(std::string& message) {
    Reserved known = reservation_.current();
    if (options_.same_segment) {
        // Acquire: pairs with the release below: the engine takes no id beyond these.
        known.seq = std::max(known.seq, cells_->reserved_seq.load(std::memory_order_acquire));
        known.intent =
            std::max(known.intent, cells_->reserved_intent.load(std::memory_order_acquire));
    } else if (auto read = reserved_elsewhere(known, message); !read) {
        return read;
    }
    known.epoch = options_.in_second ? noted(start_.epoch) : 0;
    const Reserved& have = reservation_.current();
    if (known.seq <= have.seq && known.intent <= have.intent && known.epoch <= have.epoch) {
        return ok_status();
    }
    auto done = reservation_.reserve(known);
    message = done ? message : told(options_.place().c_str(), done.error());
    return done;
}

Status JournalStage::reserved_elsewhere(Reserved& known, std::string& message) const {
    const auto named = second_directory_of(options_.directory);
    if (!named) {
        message = told(options_.directory.c_str(), named.error());
        return named.error();
    }
    if (named.value().empty()) {
        return ok_status();
    }
    const auto both = read_reserved(options_.directory, message);
    if (!both) {
        return both.error();
    }
    known.seq = std::max(known.seq, both.value().seq);
    known.intent = std::max(known.intent, both.value().intent);
    return ok_status();
}

/// Before any of the log can lie there. A pipeline that lives goes on without: it says so.
Status JournalStage::pair(std::string& message) {
    if (options_.second.empty() || options_.continues) {
        return ok_status();
    }
    if (options_.in_second) {
        const auto named = second_directory_of(options_.directory);
        paired_ = named && named.value() == options_.second;
        if (!named && options_.alone) {
            return ok_status();  // the first one cannot be read; nothing there is needed
        }
        message = paired_ ? message
                          : options_.second + " is not " + options_.directory +
                                "'s second directory, by what lies there";
        return paired_ ? ok_status() : Status{Errc::BadLayout, "journal: not its directory"};
    }
    auto paired = pair_directories(options_.directory, options_.second, message);
    if (options_.same_segment) {
        paired_ = paired.ok();
        return ok_status();  // nor is the second one written to: its disk may be the one that fails
    }
    paired = paired ? note_epoch(options_.second, start_.epoch, message) : paired;
    paired_ = paired.ok();
    return paired;
}

Status JournalStage::start_writing(std::string& message) {
    const JournalWriter::Start start{start_.epoch, start_.last.seq.value + 1, start_.last.chain,
                                     options_.segment_bytes, options_.first_file_bytes};
    disk_->keep_spares(options_.spare_files, options_.segment_bytes);
    if (auto opened = writer_.open(start); !opened) {
        message = told(options_.place().c_str(), opened.error()) +
                  "; free space, or mend the disk, and start again";
        return opened.error();
    }
    expected_ = start_.last.seq.value + 1;
    start_.backend = disk_->backend();
    cells_->journal_backend.store(static_cast<std::uint32_t>(start_.backend),
                                  std::memory_order_relaxed);
    cells_->durable_chain.store(start_.last.chain, std::memory_order_relaxed);
    // Release: a reader that sees a `durable` of this epoch sees the epoch too, and so looks for
    // our file (JournalReader::next).
    cells_->epoch.store(start_.epoch, std::memory_order_release);
    cells_->durable.store(start_.last.seq.value, std::memory_order_release);
    cells_->journal_state.store(static_cast<std::uint32_t>(JournalState::Running),
                                std::memory_order_release);
    return ok_status();
}

int JournalStage::step(Nanos now) noexcept {
    if (poisoned()) {
        poison(error());
        return 0;
    }
    int work = writer_.pump(now);
    // Also with a failed writer: what completed before the failure is durable and may be told.
    work += acknowledge(now);
    if (!writer_.poisoned()) {
        work += pack();
        writer_.submit();
        extend_reservation();
    }
    if (poisoned()) {
        poison(error());
    } else if (says_down() && idle()) {
        contradict_down();
    }
    return work;
}

/// The supervisor says so when nobody is here, perhaps in the moment in which we began, and when no
/// write is answered: not over before one is (acknowledge()), or nothing is to be written.
bool JournalStage::says_down() const noexcept {
    // Relaxed: what follows it orders what has to be.
    return cells_->journal_state.load(std::memory_order_relaxed) ==
           static_cast<std::uint32_t>(JournalState::Down);
}

void JournalStage::contradict_down() noexcept {
    if (says_down()) {
        // Release: as in start_writing().
        cells_->journal_state.store(static_cast<std::uint32_t>(JournalState::Running),
                                    std::memory_order_release);
    }
}

int JournalStage::acknowledge(Nanos now) noexcept {
    const auto& acked = writer_.acked();
    if (acked.seq == cells_->durable.load(std::memory_order_relaxed)) {
        return 0;
    }
    MILLRACE_CRASH_POINT("journal.before_durable");
    cells_->durable_chain.store(acked.chain, std::memory_order_relaxed);
    // Release: pairs with the acquire of every durability gate and of the replica; the record is
    // on disk before anybody can see this number.
    cells_->durable.store(acked.seq, std::memory_order_release);
    contradict_down();  // before the bell: who waits for it looks at both
    MILLRACE_CRASH_POINT("journal.before_release");
    ring_.release(acked.tag);
    cells_->journal_bytes.store(writer_.bytes_written(), std::memory_order_relaxed);
    cells_->journal_commits.store(writer_.commits(), std::memory_order_relaxed);
    if (options_.durable_ack != nullptr) {
        options_.durable_ack->record((now - acked.oldest).value);
    }
    if (options_.on_durable) {
        options_.on_durable();
    }
    return 1;
}

int JournalStage::pack() noexcept {
    int packed = 0;
    while (const JournalRecord* record = ring_.peek()) {
        if (record->seq.value < expected_ && packed == 0 && !writer_.in_flight()) {
            // Made durable by the last writer, which died before it gave the slot back.
            ring_.advance();
            ring_.release();
            continue;
        }
        if (!accept(*record) || !writer_.append(*record, ring_.position())) {
            break;
        }
        expected_ = record->seq.value + 1;
        ring_.advance();
        ++packed;
    }
    return packed;
}

// Numbers follow each other except at a Jump. Anything else means that the ring or its producer
// is broken; a journal with a hole must not be written.
bool JournalStage::accept(const JournalRecord& record) noexcept {
    const bool follows = record.seq.value == expected_ ||
                         (record.type == InputType::Jump && record.seq.value > expected_);
    if (follows && record_bytes(record.type) != 0) {
        return true;
    }
    error_ = {Errc::BadChain, 0, "journal: the ring's next record does not follow the last one"};
    return false;
}

void JournalStage::extend_reservation() noexcept {
    const Reserved& have = reservation_.current();
    // Relaxed: only numbers; being late by a few is what half a block is for.
    const std::uint64_t seq = cells_->journal_seq.load(std::memory_order_relaxed);
    const std::uint64_t intent = cells_->next_intent.load(std::memory_order_relaxed);
    const bool enough = seq + options_.reserve_sequences / 2 <= have.seq &&
                        intent + options_.reserve_intents / 2 <= have.intent;
    if (enough) [[likely]] {
        return;
    }
    const Reserved to{seq + options_.reserve_sequences, intent + options_.reserve_intents};
    if (auto done = reservation_.reserve(to); !done) {
        error_ = done.error();
        return;
    }
    // Release: pairs with the engine's acquire before it hands out an id below these.
    cells_->reserved_intent.store(reservation_.current().intent, std::memory_order_release);
    cells_->reserved_seq.store(reservation_.current().seq, std::memory_order_release);
    if (options_.on_durable) {
        options_.on_durable();
    }
}

void JournalStage::poison(const Error& error) noexcept {
    if (told_poisoned_) {
        return;
    }
    told_poisoned_ = true;
    const JournalState state =
        error.code == Errc::NoSpace ? JournalState::Full : JournalState::Poisoned;
    // Release: pairs with the acquire of whoever refuses new entries; `durable` is final by then.
    cells_->journal_state.store(static_cast<std::uint32_t>(state), std::memory_order_release);
    if (options_.on_durable) {
        options_.on_durable();
    }
}

void JournalStage::note_moved(std::uint64_t epoch) noexcept {
    // Whether it can be written is no condition of the move: it helps a later start to tell a copy.
    (void)reservation_.reserve({.epoch = noted(epoch)});
}

void JournalStage::give_up(const Error& why) noexcept {
    if (!poisoned()) {
        error_ = why;
    }
}

bool JournalStage::idle() const noexcept {
    return poisoned() || (!writer_.in_flight() && !writer_.rolling() && ring_.peek() == nullptr);
}

bool JournalStage::in_flight() const noexcept {
    return writer_.in_flight();
}

void JournalStage::wait_io(Nanos timeout) noexcept {
    disk_->wait(timeout);
}

bool JournalStage::poisoned() const noexcept {
    return writer_.poisoned() || error_.code != Errc::Ok;
}

Error JournalStage::error() const noexcept {
    return writer_.poisoned() ? writer_.error() : error_;
}

}  // namespace millrace
