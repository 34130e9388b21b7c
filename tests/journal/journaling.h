// Journaling: a MovingJournal with ring, cells and producer of its own, and what its two
// directories read as. For tests of the move and of the two directories.
#pragma once

#include "core/crash_point.h"
#include "journal_fakes.h"
#include "persist/moving_journal.h"
#include "persist/second_directory.h"
#include "shm/clock.h"
#include "tests/journal/own_disk.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <iostream>
#include <memory>
#include <new>
#include <string>

namespace millrace::testing {

namespace fs = std::filesystem;

inline constexpr std::int64_t kDeadlineNs = 60'000'000'000;
inline constexpr std::uint32_t kSlots = 1024;
/// Behind the move; few enough for the new epoch's first file.
inline constexpr std::uint64_t kMore = 300;

/// Ring and cells that outlive the process that uses them.
class Shared {
public:
    Shared() {
        void* memory = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        EXPECT_NE(memory, MAP_FAILED);
        memory_ = new (memory) Memory{};
        memory_->control.capacity = kSlots;
        memory_->control.slot_bytes = sizeof(RingSlot<JournalRecord>);
    }
    ~Shared() { ::munmap(memory_, sizeof(Memory)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    [[nodiscard]] RingView<JournalRecord> ring() const {
        return {&memory_->control, memory_->slots};
    }
    [[nodiscard]] CoreCells& cells() const { return memory_->cells; }
    [[nodiscard]] std::uint64_t durable() const { return memory_->cells.durable.load(); }
    [[nodiscard]] JournalState state() const {
        return static_cast<JournalState>(memory_->cells.journal_state.load());
    }
    /// Of the next record to publish.
    [[nodiscard]] std::uint64_t& next() const { return memory_->next; }

private:
    struct Memory {
        RingControl<> control;
        CoreCells cells;
        std::uint64_t next = 1;
        RingSlot<JournalRecord> slots[kSlots];
    };
    Memory* memory_;
};

/// The journal over a Shared, with its producer.
struct Journaling {
    explicit Journaling(Shared& s)
        : shared{s}, producer{RingProducer<JournalRecord>::attach(s.ring()).value()} {}

    Errc open(const std::string& first, const std::string& second) {
        MovingJournalOptions options;
        options.answer_max = millis(300);
        options.alert = [this](const std::string& text) { alert += text; };
        options.stage.directory = first;
        options.stage.second = second;
        options.stage.same_segment = shared.cells().epoch.load() != 0;
        options.stage.durable_floor = Sequence{shared.durable()};
        options.stage.segment_bytes = 1 << 20;
        options.stage.first_file_bytes = 256 * 1024;
        journal.reset();
        message.clear();
        auto opened = MovingJournal::open(options, shared.ring(), shared.cells(), message);
        if (opened) {
            journal = std::move(opened).value();
        }
        return opened.code();
    }
    /// Until `done`, the journal has failed for good, or a minute has passed. @return done().
    bool work(const std::function<bool()>& done) {
        const std::int64_t deadline = monotonic_ns() + kDeadlineNs;
        while (!done() && !journal->poisoned() && monotonic_ns() < deadline) {
            for (int i = 0; i < 64 && producer.try_publish(make_record(shared.next())).ok(); ++i) {
                ++shared.next();
            }
            if (journal->step(Nanos{monotonic_ns()}) == 0) {
                journal->wait_io(millis(1));
            }
        }
        return done();
    }
    bool until_durable(std::uint64_t seq) {
        return work([this, seq] { return shared.durable() >= seq; });
    }
    bool until_moved_and_more() {
        return work([this] { return journal->in_second(); }) &&
               until_durable(shared.durable() + kMore);
    }

    Shared& shared;
    RingProducer<JournalRecord> producer;
    std::unique_ptr<MovingJournal> journal;
    std::string message;
    std::string alert;
};

/// What is wrong with the log in `first` and what it names; empty if every record up to `durable`
/// is there, once, as it was published.
inline std::string wrong_with(const std::string& first, std::uint64_t durable) {
    DirectorySource log{first};
    const Scan s = scan(log);
    if (s.status != ReadStatus::End) {
        return s.place.what;
    }
    return s.last >= durable && s.count == s.last
               ? ""
               : "acknowledged were " + std::to_string(durable) + ", read were " +
                     std::to_string(s.count) + " up to " + std::to_string(s.last);
}

#define REQUIRE(condition)                                                                   \
    if (!(condition)) {                                                                      \
        std::cerr << "line " << __LINE__ << ": " #condition << "; " << p.message << p.alert; \
        return 1;                                                                            \
    }

/// The journal has moved and goes on; what it wrote is one log, for the next start too.
inline int goes_on(Journaling& p, const std::string& first, const std::string& second) {
    const std::uint64_t reserved = p.shared.cells().reserved_seq.load();
    REQUIRE(p.until_moved_and_more());
    REQUIRE(p.shared.state() == JournalState::Running);
    // No id that the first directory's numbers allowed may be handed out anew by the second one's.
    const auto there = Reservation::read(second, p.message);
    REQUIRE(there.ok() && there.value().seq >= reserved);
    REQUIRE(p.shared.cells().reserved_seq.load() >= reserved);
    REQUIRE(p.alert.find("ALERT the journal goes on in " + second) == 0);
    REQUIRE(p.alert.find(first) != std::string::npos);
    REQUIRE(p.journal->start().epoch == 2);
    return 0;
}

/// A file-size limit fails the roll to the first directory's second file, and nothing in the other.
inline int moves_under_a_limit(Shared& shared, const std::string& first, const std::string& second,
                               const char* point) {
    if (point != nullptr) {
        arm_crash_point(point);
    }
    const rlimit limit{600 * 1024, 600 * 1024};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Journaling p{shared};
    REQUIRE(p.open(first, second) == Errc::Ok);
    return goes_on(p, first, second);
}

}  // namespace millrace::testing
