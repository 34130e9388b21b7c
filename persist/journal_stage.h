// JournalStage: takes records from the journal ring, makes them durable and says so.
//
//     journal ring --peek--> pack --> up to 4 writes --> disk
//          ^                                              | completions, acknowledged in order
//          +-- release slots <-- durable (CoreCells) <----+--> wake hook
//
// After any failed write it never acknowledges again; a new object is a new epoch in a new file.
#pragma once

#include "core/result.h"
#include "core/types.h"
#include "persist/disk.h"
#include "persist/journal_reader.h"
#include "persist/journal_writer.h"
#include "persist/reservation.h"
#include "ring/spsc_ring.h"
#include "shm/layout.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace millrace {

struct JournalStageOptions {
    std::string directory;      // exists; the caller owns the journal role in it
    std::string second;         // second_directory.h; exists; "" = none
    bool in_second = false;     // the epoch's files go there
    bool alone = false;         // same segment: its newest epoch is there; the other may be gone
    bool same_segment = false;  // the ring and cells are those that the last stage used
    Sequence durable_floor;     // known elsewhere to have been durable; 0 = nothing known
    /// What the stage before this one, of this very process, acknowledged last, and its epoch: the
    /// log is not read, for its disk may be the one that failed.
    std::optional<LogCursor> continues{};
    std::uint64_t segment_bytes = 64ULL << 20;      // of a file; multiple of kBlockBytes, >= 64 KiB
    std::uint64_t first_file_bytes = 4ULL << 20;    // of an epoch's first file (files grow x4)
    std::uint32_t spare_files = 0;                  // of segment_bytes, kept ready (spare_files.h)
    JournalBackend backend = JournalBackend::None;  // None: the best that works here
    std::uint64_t reserve_sequences = 1ULL << 20;
    std::uint64_t reserve_intents = 1ULL << 24;
    std::function<void()> on_durable;  // wake hook: `durable` or the state has moved
    Histogram* durable_ack = nullptr;  // record time -> durable, oldest record of each commit

    /// Where the epoch's files go.
    [[nodiscard]] const std::string& place() const noexcept {
        return in_second ? second : directory;
    }
};

/// What a start found. In a new segment the engine continues behind `last`, with ids from the
/// reservation upwards (InputType::Jump).
struct JournalStart {
    LogCursor last;                  // last valid record of the log
    std::uint64_t epoch = 0;         // of this writer
    std::uint64_t reserved_seq = 0;  // as found: numbers below may have been used
    std::uint64_t reserved_intent = 0;
    bool tail_torn = false;
    std::string tail;  // what was cut off, for the log
    JournalBackend backend = JournalBackend::None;
};

class JournalStage {
public:
    /// Validates the end of the log, opens the next epoch's first file, fills the cells (durable,
    /// durable_chain, epoch, reserved_*, journal_state, journal_backend). Blocks; allocates.
    /// @return BadChecksum, BadChain: damage inside the durable part; NoSpace, IoError,
    /// BadLayout (reservation), Unsupported (forced backend). `message` names file, place, mend.
    [[nodiscard]] static Result<std::unique_ptr<JournalStage>> open(
        const JournalStageOptions& options, RingView<JournalRecord> ring, CoreCells& cells,
        std::string& message);
    /// The same over a given disk and log, for tests.
    [[nodiscard]] static Result<std::unique_ptr<JournalStage>> open(
        const JournalStageOptions& options, std::unique_ptr<Disk> disk, LogSource& log,
        RingView<JournalRecord> ring, CoreCells& cells, std::string& message);

    /// One duty cycle: completions, acknowledgements, packing, submission, reservation.
    /// @return work done (completions + records packed). No allocation. Never blocks with
    /// io_uring; a pwrite backend and a reservation (once per half block of ids) write in here.
    /// Crash: at any instruction; what was not acknowledged is written again from the ring.
    int step(Nanos now) noexcept;

    /// True if step() would find nothing to do and nothing is in flight: the thread may park.
    [[nodiscard]] bool idle() const noexcept;
    /// Writes in flight: wait_io() may be called instead of spinning.
    [[nodiscard]] bool in_flight() const noexcept;
    /// Blocks until a write completes or `timeout` passes.
    void wait_io(Nanos timeout) noexcept;

    /// Bytes whose write has completed so far.
    [[nodiscard]] std::uint64_t written() const noexcept { return writer_.bytes_written(); }
    /// The next file is waited for, with records in the ring or not.
    [[nodiscard]] bool rolling() const noexcept { return writer_.rolling(); }
    /// Both directories were seen to be halves of one log.
    [[nodiscard]] bool paired() const noexcept { return paired_; }
    /// Acknowledges no more from now on, whatever completes: poisoned by `why`.
    void give_up(const Error& why) noexcept;
    /// Notes in this stage's directory that the log has gone on in the other one as `epoch`.
    /// For a disk that answers: blocks for one write, into blocks that the file has already.
    void note_moved(std::uint64_t epoch) noexcept;

    [[nodiscard]] const JournalStart& start() const noexcept { return start_; }
    [[nodiscard]] bool poisoned() const noexcept;
    /// Why it is poisoned.
    [[nodiscard]] Error error() const noexcept;

private:
    JournalStage(const JournalStageOptions& options, std::unique_ptr<Disk> disk,
                 CoreCells& cells) noexcept;
    [[nodiscard]] Status recover(LogSource& log, std::string& message);
    [[nodiscard]] Status check_floor(LogSource& log, std::string& message) const;
    [[nodiscard]] Status start_writing(std::string& message);
    [[nodiscard]] Status first_reservation(std::string& message);
    [[nodiscard]] Status take_over_reserved(std::string& message);
    [[nodiscard]] Status reserved_elsewhere(Reserved& known, std::string& message) const;
    [[nodiscard]] Status pair(std::string& message);
    int acknowledge(Nanos now) noexcept;
    int pack() noexcept;
    [[nodiscard]] bool accept(const JournalRecord& record) noexcept;
    void extend_reservation() noexcept;
    [[nodiscard]] bool says_down() const noexcept;
    void contradict_down() noexcept;
    void poison(const Error& error) noexcept;

    JournalStageOptions options_;
    std::unique_ptr<Disk> disk_;
    CoreCells* cells_;
    JournalWriter writer_;
    Reservation reservation_;
    RingConsumer<JournalRecord> ring_;
    JournalStart start_;
    std::uint64_t expected_ = 1;  // sequence of the next record from the ring
    bool told_poisoned_ = false;
    bool paired_ = false;
    Error error_;
};

}  // namespace millrace
