#include "persist/journal_writer.h"

#include "core/crash_point.h"
#include "shm/clock.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace millrace {
namespace {

// EINTR and EAGAIN mean that nothing was tried. Bounded: a kernel that keeps saying so is broken.
constexpr std::uint32_t kRetriesMax = 64;
constexpr int kHeaderWaitsMax = 300;  // x 100 ms
constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint64_t kFileGrowth = 4;
// A file in preparation has never been trusted, so making it may be tried again.
constexpr Nanos kPrepareRetry = seconds(1);

Error from_errno(int e, const char* what) noexcept {
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, e, what};
}

}  // namespace

void JournalWriter::AlignedDelete::operator()(std::byte* memory) const noexcept {
    std::free(memory);
}

JournalWriter::JournalWriter(Disk& disk) noexcept : disk_{&disk} {
    const std::size_t bytes = kWritesInFlightMax * kCommitBytesMax;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, bytes));
    ASSERT(memory != nullptr);
    std::memset(memory, 0, bytes);  // touched now, not on the hot path
    memory_.reset(memory);
    disk_->register_memory({memory, bytes});
    for (std::size_t i = 0; i < kWritesInFlightMax; ++i) {
        writes_[i].buffer = {memory + i * kCommitBytesMax, kCommitBytesMax};
    }
}

Status JournalWriter::open(const Start& start) noexcept {
    ASSERT(phase_ == Phase::Closed);
    ASSERT(start.first_seq >= 1);
    ASSERT(start.segment_bytes % kBlockBytes == 0);
    ASSERT(start.first_file_bytes >= 2 * kBlockBytes);
    segment_bytes_ = start.segment_bytes;
    const std::uint64_t first_bytes = std::min(start.first_file_bytes, start.segment_bytes);
    file_ = {start.epoch, 0};
    acked_ = packed_ = {start.first_seq - 1, start.previous_chain, 0, Nanos{}};
    if (auto asked = disk_->prepare(file_, first_bytes); !asked) {
        return asked.error();
    }
    if (disk_->wait_prepared() != Prepared::Ready) {
        return disk_->prepare_error();
    }
    open_prepared();
    for (int i = 0; i < kHeaderWaitsMax && phase_ != Phase::Open && !poisoned(); ++i) {
        disk_->wait(millis(100));
        (void)pump(Nanos{});
    }
    if (!poisoned() && phase_ != Phase::Open) {
        fail({Errc::Timeout, 0, "journal: the first block of a new file was never written"});
    }
    return poisoned() ? Status{error_} : ok_status();
}

bool JournalWriter::append(const JournalRecord& record, std::uint64_t tag) noexcept {
    if (poisoned() || phase_ != Phase::Open) {
        return false;
    }
    if (!packer_.active() && !begin_commit()) {
        return false;
    }
    if (!packer_.add(record)) {
        submit();
        if (poisoned() || !begin_commit()) {
            return false;
        }
        const bool fits = packer_.add(record);
        ASSERT(fits);  // one block holds any record
    }
    if (packer_.records() == 1) {
        packed_.oldest = record.time;
    }
    packed_.seq = record.seq.value;
    packed_.chain = packer_.chain();
    packed_.tag = tag;
    return true;
}

// Takes a buffer and a place in the file; starts a roll if the file is full.
bool JournalWriter::begin_commit() noexcept {
    if (head_ - tail_ >= kWritesInFlightMax) {
        return false;
    }
    ASSERT(offset_ <= file_bytes_);
    const std::uint64_t room = file_bytes_ - offset_;
    if (room < kBlockBytes) {
        phase_ = Phase::Drain;
        if (!preparing_) {
            prepare_next();  // the last try: now it is needed
        }
        return false;
    }
    Write& w = write(head_);
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(room, kCommitBytesMax));
    w.offset = offset_;
    packer_.begin(w.buffer.first(bytes),
                  {file_.epoch, file_.index, offset_, packed_.chain, commit_number_});
    return true;
}

void JournalWriter::submit() noexcept {
    if (poisoned() || !packer_.active() || packer_.empty()) {
        return;
    }
    const auto commit = packer_.seal(acked_.seq);
    Write& w = write(head_);
    w.bytes = commit.size();
    w.written = 0;
    w.retries = 0;
    w.header = false;
    w.done = false;
    w.after = packed_;
    offset_ += commit.size();
    ++commit_number_;
    ++head_;
    MILLRACE_CRASH_POINT("journal.before_submit");
    submit_rest(head_ - 1);
    MILLRACE_CRASH_POINT("journal.after_submit");
}

// Submits what of write `n` is not on disk yet.
void JournalWriter::submit_rest(std::uint64_t n) noexcept {
    const Write& w = write(n);
    ASSERT(w.written < w.bytes);
    const auto rest = w.buffer.subspan(w.written, w.bytes - w.written);
    if (auto sent = disk_->submit_write(w.offset + w.written, rest, n); !sent) {
        fail(sent.error());
    }
}

int JournalWriter::pump(Nanos now) noexcept {
    DiskCompletion done[kWritesInFlightMax];
    const std::size_t count = disk_->poll(done);
    for (std::size_t i = 0; i < count && !poisoned(); ++i) {
        complete(done[i]);
    }
    if (poisoned()) {
        return static_cast<int>(count);
    }
    acknowledge();
    drive_roll(now);
    return static_cast<int>(count);
}

void JournalWriter::complete(const DiskCompletion& completion) noexcept {
    ASSERT(completion.token >= tail_);
    ASSERT(completion.token < head_);
    Write& w = write(completion.token);
    ASSERT(!w.done);
    const bool not_tried = completion.result == -EINTR || completion.result == -EAGAIN;
    if (not_tried && w.retries < kRetriesMax) {
        ++w.retries;
        submit_rest(completion.token);
        return;
    }
    if (completion.result <= 0) {
        const int e = completion.result == 0 ? EIO : static_cast<int>(-completion.result);
        fail(from_errno(e, "journal: a write failed; this journal acknowledges no more"));
        return;
    }
    const auto bytes = static_cast<std::size_t>(completion.result);
    ASSERT(bytes <= w.bytes - w.written);
    w.written += bytes;
    if (w.written == w.bytes) {
        w.done = true;
        return;
    }
    // A short write is durable as far as it went; its rest is one more write of its own, whose
    // own completion is waited for. (Nothing is linked to it that could be cancelled.)
    if (bytes % kSectorBytes != 0 || ++w.retries > kRetriesMax) {
        fail({Errc::IoError, EIO, "journal: a write ended inside a sector"});
        return;
    }
    submit_rest(completion.token);
}

// In order only: a completed write behind an unfinished one is not acknowledged.
void JournalWriter::acknowledge() noexcept {
    while (tail_ != head_ && write(tail_).done) {
        Write& w = write(tail_);
        w.done = false;
        bytes_written_ += w.bytes;
        ++tail_;
        if (w.header) {
            ASSERT(phase_ == Phase::Header);
            phase_ = Phase::Open;
            prepare_next();
        } else {
            ASSERT(w.after.seq > acked_.seq);
            acked_ = w.after;
            ++commits_acked_;
        }
    }
}

void JournalWriter::drive_roll(Nanos now) noexcept {
    watch_preparation(now);
    if (poisoned() || phase_ != Phase::Drain || in_flight()) {
        return;
    }
    const Prepared state = preparing_ ? disk_->prepared() : Prepared::Failed;
    if (state == Prepared::Failed) {
        // Needed now and not there: this is where a full disk ends the journal.
        Error why = disk_->prepare_error();
        why.what = "journal: the next file cannot be made; this journal acknowledges no more";
        fail(why.code == Errc::Ok ? Error{Errc::IoError, EIO, why.what} : why);
        return;
    }
    if (state == Prepared::Ready) {
        ++file_.index;
        open_prepared();
    }
}

// Starts to use the prepared file: its header goes out alone and first.
void JournalWriter::open_prepared() noexcept {
    ASSERT(!in_flight());
    preparing_ = false;
    const auto used = disk_->use_prepared();
    if (!used) {
        fail(used.error());
        return;
    }
    ASSERT(used.value().bytes >= 2 * kBlockBytes);
    ASSERT(used.value().bytes % kBlockBytes == 0);
    MILLRACE_CRASH_POINT("journal.before_header");
    file_bytes_ = used.value().bytes;
    JournalFileHeader header;
    header.version = used.value().reused ? kJournalVersionReused : kJournalVersion;
    header.epoch = file_.epoch;
    header.index = file_.index;
    header.first_seq = acked_.seq + 1;
    header.previous_chain = acked_.chain;
    header.segment_bytes = file_bytes_;
    header.created_ns = wall_ns();
    Write& w = write(head_);
    encode_header(header, w.buffer.first(kBlockBytes));
    w.offset = 0;
    w.bytes = kBlockBytes;
    w.written = 0;
    w.retries = 0;
    w.header = true;
    w.done = false;
    offset_ = kBlockBytes;
    phase_ = Phase::Header;
    ++head_;
    submit_rest(head_ - 1);
}

void JournalWriter::prepare_next() noexcept {
    const std::uint64_t bytes = std::min(segment_bytes_, file_bytes_ * kFileGrowth);
    // A refusal shows as Failed and is tried again by watch_preparation().
    preparing_ = disk_->prepare({file_.epoch, file_.index + 1}, bytes).ok();
}

void JournalWriter::watch_preparation(Nanos now) noexcept {
    if (phase_ != Phase::Open) {
        return;
    }
    if (preparing_ && disk_->prepared() == Prepared::Failed) {
        preparing_ = false;
        retry_prepare_at_ = now + kPrepareRetry;
    }
    if (!preparing_ && now >= retry_prepare_at_) {
        retry_prepare_at_ = now + kPrepareRetry;
        prepare_next();
    }
}

void JournalWriter::fail(const Error& error) noexcept {
    if (!poisoned()) {
        error_ = error;
    }
}

}  // namespace millrace
