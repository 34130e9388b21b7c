// JournalWriter: group commits into segment files, acknowledged in order; files prepared ahead.
// Knows nothing of rings and cells (journal_stage.h does).
//
// Roll to the next file: drain -> use the prepared file -> write its header -> go on. So a header
// on disk proves everything before it, and no data is in a file whose header is not.
#pragma once

#include "core/journal_record.h"
#include "core/result.h"
#include "persist/disk.h"
#include "persist/journal_format.h"

#include <cstdint>
#include <memory>

namespace millrace {

class JournalWriter {
public:
    struct Start {
        std::uint64_t epoch = 0;
        std::uint64_t first_seq = 1;
        std::uint64_t previous_chain = kChainSeed;
        std::uint64_t segment_bytes = 0;
        std::uint64_t first_file_bytes = 0;
    };
    /// What is durable. `tag` is the caller's number of the last record (its ring slot).
    struct Acked {
        std::uint64_t seq = 0;
        std::uint64_t chain = kChainSeed;
        std::uint64_t tag = 0;
        Nanos oldest;  // time of the first record of the last acknowledged commit
    };

    explicit JournalWriter(Disk& disk) noexcept;

    /// Makes the epoch's first file and its header durable. Blocks.
    [[nodiscard]] Status open(const Start& start) noexcept;

    /// Adds a record to the commit being packed; submits the commit if it is full.
    /// @return false if there is no room now (all buffers in flight, or between two files):
    /// nothing changed, try again after pump().
    [[nodiscard]] bool append(const JournalRecord& record, std::uint64_t tag) noexcept;
    /// Submits what has been packed.
    void submit() noexcept;
    /// Takes completions, moves acked(), drives a roll. @return completions taken.
    int pump(Nanos now) noexcept;

    [[nodiscard]] const Acked& acked() const noexcept { return acked_; }
    [[nodiscard]] bool in_flight() const noexcept { return tail_ != head_; }
    /// A roll waits for something; step again soon.
    [[nodiscard]] bool rolling() const noexcept { return phase_ != Phase::Open; }
    /// After the first error nothing is acknowledged, submitted or retried.
    [[nodiscard]] bool poisoned() const noexcept { return error_.code != Errc::Ok; }
    [[nodiscard]] const Error& error() const noexcept { return error_; }
    [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }
    [[nodiscard]] std::uint64_t commits() const noexcept { return commits_acked_; }
    [[nodiscard]] std::uint32_t file_index() const noexcept { return file_.index; }

private:
    enum class Phase : std::uint8_t { Closed, Open, Drain, Header };
    struct Write {
        std::span<std::byte> buffer;
        std::uint64_t offset = 0;
        std::size_t bytes = 0;
        std::size_t written = 0;
        std::uint32_t retries = 0;
        bool header = false;
        bool done = false;
        Acked after;  // acked() once this and all before it are done
    };

    [[nodiscard]] Write& write(std::uint64_t n) noexcept { return writes_[n % kWritesInFlightMax]; }
    [[nodiscard]] bool begin_commit() noexcept;
    void submit_rest(std::uint64_t n) noexcept;
    void complete(const DiskCompletion& completion) noexcept;
    void acknowledge() noexcept;
    void drive_roll(Nanos now) noexcept;
    void open_prepared() noexcept;
    void prepare_next() noexcept;
    void watch_preparation(Nanos now) noexcept;
    void fail(const Error& error) noexcept;

    struct AlignedDelete {
        void operator()(std::byte* memory) const noexcept;
    };
    Disk* disk_;
    std::unique_ptr<std::byte[], AlignedDelete> memory_;
    Write writes_[kWritesInFlightMax];
    std::uint64_t head_ = 0;  // writes submitted or being packed so far
    std::uint64_t tail_ = 0;  // writes acknowledged so far
    CommitPacker packer_;
    Phase phase_ = Phase::Closed;
    JournalFileName file_;
    std::uint64_t file_bytes_ = 0;
    std::uint64_t segment_bytes_ = 0;
    std::uint64_t offset_ = 0;
    Acked packed_;  // last record given to append()
    Acked acked_;
    std::uint64_t commit_number_ = 0;
    std::uint64_t commits_acked_ = 0;
    std::uint64_t bytes_written_ = 0;
    Nanos retry_prepare_at_;
    bool preparing_ = false;
    Error error_;
};

}  // namespace millrace
