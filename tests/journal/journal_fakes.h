// What the journal tests share: a ring on the heap, a log in memory, and a disk over it that
// delays, reorders, cuts short or fails any write, and records them all.
#pragma once

#include "persist/disk.h"
#include "persist/journal_stage.h"
#include "persist/log_source.h"
#include "ring/spsc_ring.h"
#include "shm/layout.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace millrace::testing {

/// A directory of its own, removed at the end.
class TempDir {
public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// A journal ring with both ends in one process.
class HeapRing {
public:
    explicit HeapRing(std::uint32_t capacity = 1024)
        : control_{std::make_unique<RingControl<>>()},
          slots_{std::make_unique<RingSlot<JournalRecord>[]>(capacity)} {
        control_->capacity = capacity;
        control_->slot_bytes = sizeof(RingSlot<JournalRecord>);
        producer_ = RingProducer<JournalRecord>::attach(view()).value();
    }
    [[nodiscard]] RingView<JournalRecord> view() const { return {control_.get(), slots_.get()}; }
    [[nodiscard]] bool publish(const JournalRecord& record) {
        return producer_.try_publish(record).ok();
    }
    [[nodiscard]] std::uint64_t released() const {
        return control_->read_cursor.load(std::memory_order_acquire);
    }

private:
    std::unique_ptr<RingControl<>> control_;
    std::unique_ptr<RingSlot<JournalRecord>[]> slots_;
    RingProducer<JournalRecord> producer_;
};

/// Record `seq`: types, sizes and bytes vary with the number, so that a mix-up shows.
inline JournalRecord make_record(std::uint64_t seq, InputType type = {}) {
    static constexpr InputType kTypes[] = {InputType::Signal, InputType::Report, InputType::Timer,
                                           InputType::Continue, InputType::Admin};
    JournalRecord r;
    r.type = type == InputType{} ? kTypes[seq % 5] : type;
    r.seq = Sequence{seq};
    r.time = Nanos{static_cast<std::int64_t>(seq) * 1000};
    r.source_cursor = seq * 3;
    r.bid = Price{static_cast<std::int64_t>(seq) + 7};
    for (std::size_t i = 0; i < body_bytes(r.type); ++i) {
        r.body[i] = static_cast<std::byte>(seq * 31 + i);
    }
    return r;
}

inline bool same_record(const JournalRecord& a, const JournalRecord& b) {
    return a.type == b.type && std::memcmp(&a, &b, record_bytes(a.type)) == 0;
}

/// Journal files in memory.
class MemoryLog final : public LogSource {
public:
    std::map<JournalFileName, std::vector<std::byte>> files;

    [[nodiscard]] Result<std::vector<JournalFileName>> list() noexcept override {
        std::vector<JournalFileName> names;
        for (const auto& [name, bytes] : files) {
            names.push_back(name);
        }
        return names;
    }
    [[nodiscard]] Result<std::size_t> read(const JournalFileName& file, std::uint64_t offset,
                                           std::span<std::byte> out) noexcept override {
        ++reads;
        const auto it = files.find(file);
        if (it == files.end()) {
            return {Errc::NotFound, "no such file"};
        }
        if (offset >= it->second.size()) {
            return std::size_t{0};
        }
        const std::size_t n =
            std::min<std::size_t>(out.size(), it->second.size() - static_cast<std::size_t>(offset));
        std::memcpy(out.data(), it->second.data() + offset, n);
        return n;
    }
    [[nodiscard]] const std::string& where() const noexcept override { return name_; }

    std::size_t reads = 0;

private:
    std::string name_ = "memory";
};

/// What a disk was asked to do, in order; enough to rebuild any image that a power cut can leave.
struct DiskEvent {
    enum class Kind { Prepare, Submit, Complete } kind{};
    JournalFileName file;
    std::uint64_t offset = 0;      // Submit
    std::uint64_t size = 0;        // Prepare
    std::vector<std::byte> bytes;  // Submit; Prepare: what the file holds
    std::size_t submit = 0;        // Complete: index of the Submit event
    std::int64_t result = 0;       // Complete: bytes, or -errno
};

/// Faults by the number of the write (0-based, headers count).
struct DiskFaults {
    std::map<std::uint64_t, std::int64_t> result;  // write n -> bytes (short) or -errno, once
    std::set<std::uint64_t> never;                 // write n never completes
    bool sticky = false;                           // after the first error every write fails
    bool reverse = false;                          // completions newest first, when held
    int prepare_errno = 0;                         // preparations fail from the second on
};

class FaultDisk final : public Disk {
public:
    FaultDisk(MemoryLog& log, DiskFaults faults = {}) : log_{&log}, faults_{std::move(faults)} {}

    /// While true, completions are kept back.
    bool hold = false;
    /// Completions that one poll gives at most.
    std::size_t poll_max = kWritesInFlightMax;
    DiskFaults& faults() { return faults_; }
    /// Fills a new file with an older life's bytes, block 0 zero. @return false: leave it zeros.
    std::function<bool(std::vector<std::byte>&)> older_life;
    std::vector<DiskEvent> events;
    std::uint64_t writes = 0;

    [[nodiscard]] Status prepare(const JournalFileName& name,
                                 std::uint64_t bytes) noexcept override {
        if (prepares_++ > 0 && faults_.prepare_errno != 0) {
            state_ = Prepared::Failed;
            return ok_status();
        }
        std::vector<std::byte> content(bytes, std::byte{0});
        reused_ = older_life && older_life(content);
        events.push_back({DiskEvent::Kind::Prepare, name, 0, bytes, content, 0});
        log_->files[name] = std::move(content);
        prepared_ = name;
        state_ = Prepared::Ready;
        return ok_status();
    }
    [[nodiscard]] Prepared prepared() noexcept override { return state_; }
    [[nodiscard]] Prepared wait_prepared() noexcept override { return state_; }
    [[nodiscard]] Error prepare_error() const noexcept override {
        const bool full = faults_.prepare_errno == ENOSPC;
        return {full ? Errc::NoSpace : Errc::IoError, faults_.prepare_errno, "injected"};
    }
    [[nodiscard]] Result<PreparedFile> use_prepared() noexcept override {
        EXPECT_TRUE(pending_.empty());
        file_ = prepared_;
        state_ = Prepared::None;
        return PreparedFile{log_->files[file_].size(), reused_};
    }
    [[nodiscard]] Status submit_write(std::uint64_t offset, std::span<const std::byte> bytes,
                                      std::uint64_t token) noexcept override {
        EXPECT_LT(pending_.size(), kWritesInFlightMax);
        EXPECT_EQ(offset % 512, 0U);
        EXPECT_EQ(bytes.size() % 512, 0U);
        const std::uint64_t n = writes++;
        std::int64_t result = static_cast<std::int64_t>(bytes.size());
        if (const auto it = faults_.result.find(n); it != faults_.result.end()) {
            result = it->second;
        } else if (faults_.sticky && failed_) {
            result = -EIO;
        }
        failed_ = failed_ || result < 0;
        events.push_back(
            {DiskEvent::Kind::Submit, file_, offset, 0, {bytes.begin(), bytes.end()}, 0});
        pending_.push_back({token, result, events.size() - 1, faults_.never.contains(n)});
        return ok_status();
    }
    [[nodiscard]] std::size_t poll(std::span<DiskCompletion> out) noexcept override {
        std::size_t n = 0;
        for (std::size_t i = 0;
             !hold && n < std::min(out.size(), poll_max) && i < pending_.size();) {
            const std::size_t at = faults_.reverse ? pending_.size() - 1 - i : i;
            if (pending_[at].never) {
                ++i;
                continue;
            }
            out[n++] = finish(pending_[at]);
            pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
        }
        return n;
    }
    void wait(Nanos) noexcept override {}
    [[nodiscard]] JournalBackend backend() const noexcept override {
        return JournalBackend::PwriteBuffered;
    }

private:
    struct Pending {
        std::uint64_t token;
        std::int64_t result;
        std::size_t event;
        bool never;
    };
    DiskCompletion finish(const Pending& p) {
        const DiskEvent& e = events[p.event];
        if (p.result > 0) {
            auto& file = log_->files[e.file];
            EXPECT_LE(e.offset + e.bytes.size(), file.size());
            std::memcpy(file.data() + e.offset, e.bytes.data(), static_cast<std::size_t>(p.result));
        }
        events.push_back({DiskEvent::Kind::Complete, e.file, 0, 0, {}, p.event, p.result});
        return {p.token, p.result};
    }

    MemoryLog* log_;
    DiskFaults faults_;
    JournalFileName prepared_;
    JournalFileName file_;
    Prepared state_ = Prepared::None;
    bool reused_ = false;
    int prepares_ = 0;
    bool failed_ = false;
    std::deque<Pending> pending_;
};

/// A stage over a memory log, with its ring, cells and a directory for the reservation.
struct Rig {
    TempDir dir;
    MemoryLog log;
    HeapRing ring;
    std::unique_ptr<CoreCells> cells = std::make_unique<CoreCells>();
    FaultDisk* disk = nullptr;
    std::function<bool(std::vector<std::byte>&)> older_life;  // for the disks of later start()s
    std::unique_ptr<JournalStage> stage;
    std::string message;
    std::uint64_t next_seq = 1;

    explicit Rig(std::uint32_t slots = 1024) : ring{slots} {}

    [[nodiscard]] Status start(bool same_segment, DiskFaults faults = {},
                               std::uint64_t file_bytes = 64 * 1024) {
        auto made = std::make_unique<FaultDisk>(log, std::move(faults));
        disk = made.get();
        disk->older_life = older_life;
        JournalStageOptions options;
        options.directory = dir.path();
        options.same_segment = same_segment;
        options.segment_bytes = options.first_file_bytes = file_bytes;
        stage.reset();
        auto opened =
            JournalStage::open(options, std::move(made), log, ring.view(), *cells, message);
        if (!opened) {
            return opened.error();
        }
        stage = std::move(opened).value();
        return ok_status();
    }
    void publish(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            ASSERT_TRUE(ring.publish(make_record(next_seq)));
            ++next_seq;
        }
    }
    /// Steps until nothing moves any more.
    void settle() {
        for (int quiet = 0; quiet < 8;) {
            quiet = stage->step(Nanos{1}) > 0 ? 0 : quiet + 1;
        }
    }
    [[nodiscard]] std::uint64_t durable() const {
        return cells->durable.load(std::memory_order_acquire);
    }
    [[nodiscard]] JournalState state() const {
        return static_cast<JournalState>(cells->journal_state.load(std::memory_order_acquire));
    }
};

/// Reads the whole log and checks every record against make_record().
struct Scan {
    ReadStatus status{};
    std::uint64_t last = 0;
    std::uint64_t count = 0;
    LogPlace place;
};
inline Scan scan(LogSource& log, std::uint64_t after = 0) {
    Scan s;
    std::string message;
    auto reader = JournalReader::open(log, Sequence{after}, {64 * 1024}, message);
    if (!reader) {
        s.status = ReadStatus::Corrupt;
        s.place.code = reader.code();
        s.place.what = message;
        return s;
    }
    s.last = after;
    while ((s.status = reader.value().next()) == ReadStatus::Record) {
        const auto& r = reader.value().record();
        EXPECT_TRUE(same_record(r, make_record(r.seq.value, r.type))) << r.seq.value;
        s.last = r.seq.value;
        ++s.count;
    }
    s.place = s.status == ReadStatus::End ? reader.value().end() : reader.value().fault();
    return s;
}

}  // namespace millrace::testing
