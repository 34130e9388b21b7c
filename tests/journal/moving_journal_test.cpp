// Goal: when the first directory's disk is full, fails or does not answer, the journal goes on in
// the second one: nothing acknowledged is lost, what was not is written there before anything
// newer, and both directories read as one log; killed at each step of the move it goes on too. What
// of the two is missing or another's is refused by name. Method: real ENOSPC, EIO and a frozen
// ext4; a file-size limit for the kills, in children that share ring and cells with those that
// follow.
#include "persist/moving_journal.h"
#include "core/crash_point.h"
#include "journal_fakes.h"
#include "persist/second_directory.h"
#include "shm/clock.h"
#include "tests/chaos/frozen_disk.h"
#include "tests/journal/loop_device.h"
#include "tests/journal/own_disk.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <iostream>
#include <new>

namespace millrace::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kDeadlineNs = 60'000'000'000;
constexpr std::uint32_t kSlots = 1024;
/// Behind the move; few enough for the new epoch's first file.
constexpr std::uint64_t kMore = 300;

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
std::string wrong_with(const std::string& first, std::uint64_t durable) {
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
int goes_on(Journaling& p, const std::string& first, const std::string& second) {
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

int reads_as_one_log(Journaling& p, const std::string& first, const std::string& second) {
    const std::uint64_t durable = p.shared.durable();
    const std::uint64_t reserved = p.shared.cells().reserved_seq.load();
    p.journal.reset();
    p.message = wrong_with(first, durable);
    REQUIRE(p.message.empty());
    Shared fresh;
    Journaling next{fresh};
    REQUIRE(next.open(first, second) == Errc::Ok);
    p.message = "begins behind " + std::to_string(next.journal->start().last.seq.value);
    REQUIRE(next.journal->start().last.seq.value >= durable);
    REQUIRE(next.journal->start().epoch == 3);
    REQUIRE(!next.journal->in_second());  // the first one answers again
    REQUIRE(fresh.cells().jump_seq.load() >= reserved);
    return 0;
}

void expect_well(int status) {
    if (status == kNotPossibleHere) {
        GTEST_SKIP() << "SKIPPED: needs root, loop devices and mkfs.ext4";
    }
    EXPECT_EQ(status, 0);
}

TEST(MovingJournal, GoesOnInTheSecondDirectoryWhenTheFirstFileSystemIsFull) {
    const TempDir first;
    const TempDir second;
    expect_well(in_child([&] {
        if (!private_mounts() ||
            ::mount("none", first.path().c_str(), "tmpfs", 0, "size=2m") != 0) {
            return kNotPossibleHere;
        }
        Shared shared;
        Journaling p{shared};
        REQUIRE(p.open(first.path(), second.path()) == Errc::Ok);
        REQUIRE(!p.journal->in_second());
        const int moved = goes_on(p, first.path(), second.path());
        REQUIRE(p.until_durable(shared.durable() + 20'000));  // through further files
        if (moved != 0) {
            return moved;
        }
        return reads_as_one_log(p, first.path(), second.path());
    }));
}

TEST(MovingJournal, GoesOnInTheSecondDirectoryAfterRealEio) {
    const TempDir dir;
    const TempDir second;
    expect_well(in_child([&] {
        const std::string backing = dir.path() + "/backing";
        const std::string first = dir.path() + "/mounted";
        const std::string image = backing + "/image";
        fs::create_directories(backing);
        fs::create_directories(first);
        if (!private_mounts() || ::mount("none", backing.c_str(), "tmpfs", 0, "size=80m") != 0 ||
            !run("truncate -s 64m " + image) || !run("mkfs.ext4 -q -O ^has_journal " + image)) {
            return kNotPossibleHere;
        }
        const LoopDevice device{image};
        if (!device.ready() ||
            ::mount(device.path().c_str(), first.c_str(), "ext4", 0, nullptr) != 0) {
            return kNotPossibleHere;
        }
        Shared shared;
        Journaling p{shared};
        REQUIRE(p.open(first, second.path()) == Errc::Ok);
        REQUIRE(p.until_durable(1000));
        REQUIRE(device.limit(1 << 20));
        if (const int moved = goes_on(p, first, second.path()); moved != 0) {
            return moved;
        }
        REQUIRE(device.limit(0));
        const int read = reads_as_one_log(p, first, second.path());
        (void)::umount2(first.c_str(), MNT_DETACH);
        return read;
    }));
}

TEST(MovingJournal, GoesOnInTheSecondDirectoryWhenTheFirstDiskDoesNotAnswer) {
    std::string why;
    const auto disk = chaos::FreezableDisk::make(why);
    if (disk == nullptr) {
        GTEST_SKIP() << "SKIPPED: " << why;
    }
    const TempDir second;
    const std::string first = disk->folder();
    fs::create_directories(first);
    Shared shared;
    Journaling p{shared};
    ASSERT_EQ(p.open(first, second.path()), Errc::Ok) << p.message;
    if (p.journal->start().backend != JournalBackend::UringDirect) {
        GTEST_SKIP() << "SKIPPED: io_uring is refused here; NOT TESTED: a disk without an answer";
    }
    ASSERT_TRUE(p.until_durable(1000)) << p.message;
    {
        const chaos::Frozen frozen{*disk};
        ASSERT_TRUE(frozen.ok());
        ASSERT_EQ(goes_on(p, first, second.path()), 0);
    }
    // What waited in the kernel is written now: into a file that the newer epoch has made void.
    EXPECT_EQ(reads_as_one_log(p, first, second.path()), 0);
}

/// A file-size limit fails the roll to the first directory's second file, and nothing in the other.
int moves_under_a_limit(Shared& shared, const std::string& first, const std::string& second,
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

TEST(MovingJournal, KilledAtEachStepOfTheMoveLosesNothing) {
    // The start reserves three times (both reservations, and a block), and makes three files, of
    // which one is the journal's; the fourth of each and the second header are the move's.
    for (const char* point :
         {"journal.move_begin", "journal.before_reserve:4", "journal.after_reserve:4",
          "journal.file_prepared:4", "journal.before_header:2", "journal.move_opened"}) {
        SCOPED_TRACE(point);
        const TempDir first;
        const TempDir second;
        Shared shared;
        ASSERT_EQ(in_child([&] {
                      return moves_under_a_limit(shared, first.path(), second.path(), point);
                  }),
                  128 + SIGKILL);
        const std::uint64_t durable = shared.durable();
        ASSERT_GT(durable, 500U);
        Journaling p{shared};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
        EXPECT_EQ(shared.durable(), durable);
        ASSERT_TRUE(p.until_durable(durable + 5000)) << p.message << p.alert;
        const std::uint64_t reserved = shared.cells().reserved_seq.load();
        p.journal.reset();
        EXPECT_EQ(wrong_with(first.path(), durable + 5000), "");
        std::string message;
        const auto both = read_reserved(first.path(), message);
        ASSERT_TRUE(both.ok()) << message;
        EXPECT_GE(both.value().seq, reserved);
    }
}

TEST(MovingJournal, StaysInTheSecondDirectoryUntilTheSegmentIsNewAndMovesBackIfThatFails) {
    const TempDir first;
    const TempDir second;
    Shared shared;
    ASSERT_EQ(
        in_child([&] { return moves_under_a_limit(shared, first.path(), second.path(), nullptr); }),
        0);
    {
        Journaling p{shared};
        ASSERT_EQ(p.open(first.path(), second.path()), Errc::Ok) << p.message;
        EXPECT_TRUE(p.journal->in_second());
        EXPECT_TRUE(p.until_durable(shared.durable() + kMore));
    }
    EXPECT_EQ(in_child([&] {
                  const rlimit limit{600 * 1024, 600 * 1024};
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                  Journaling p{shared};
                  REQUIRE(p.open(first.path(), second.path()) == Errc::Ok);
                  REQUIRE(p.journal->in_second());
                  REQUIRE(p.work([&p] { return !p.journal->in_second(); }));
                  REQUIRE(p.until_durable(shared.durable() + kMore));
                  REQUIRE(p.alert.find("ALERT the journal goes on in " + first.path()) == 0);
                  return 0;
              }),
              0);
    EXPECT_EQ(wrong_with(first.path(), shared.durable()), "");
}

/// A log in two directories, the newest epoch in the second one.
class TwoDirectories : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(in_child([&] {
                      return moves_under_a_limit(shared_, first_.path(), second_.path(), nullptr);
                  }),
                  0);
        ASSERT_EQ(wrong_with(first_.path(), shared_.durable()), "");
    }
    void take_second_away() { fs::rename(second_.path(), away()); }
    [[nodiscard]] std::string away() const { return second_.path() + ".away"; }
    void TearDown() override { fs::remove_all(away()); }

    TempDir first_;
    TempDir second_;
    Shared shared_;
    std::string message_;
};

TEST_F(TwoDirectories, ASecondOneThatIsNotThereIsRefusedByName) {
    take_second_away();
    for (const bool mounted_empty : {false, true}) {
        if (mounted_empty) {
            fs::create_directories(second_.path());
        }
        const std::string wrong = wrong_with(first_.path(), 0);
        EXPECT_NE(wrong.find("second directory is empty or not there"), std::string::npos) << wrong;
        EXPECT_EQ(check_second_directory(first_.path(), second_.path(), message_).code(),
                  Errc::NotFound);
        EXPECT_NE(message_.find(second_.path()), std::string::npos);
        EXPECT_NE(message_.find("mount it"), std::string::npos);
        EXPECT_FALSE(read_reserved(first_.path(), message_).ok());
        Journaling same{shared_};
        EXPECT_NE(same.open(first_.path(), second_.path()), Errc::Ok);
        Shared fresh;
        Journaling anew{fresh};
        EXPECT_NE(anew.open(first_.path(), second_.path()), Errc::Ok);
        EXPECT_NE(anew.message.find(first_.path()), std::string::npos) << anew.message;
    }
}

TEST_F(TwoDirectories, ASecondOneThatIsNotThereHoldsUpNoSegmentWhoseNewestEpochIsInTheFirst) {
    Shared fresh;
    Journaling p{fresh};
    ASSERT_EQ(p.open(first_.path(), second_.path()), Errc::Ok) << p.message;
    ASSERT_FALSE(p.journal->in_second());
    fresh.next() = fresh.cells().jump_seq.load();
    ASSERT_TRUE(p.producer.try_publish(make_record(fresh.next()++, InputType::Jump)).ok());
    ASSERT_TRUE(p.until_durable(fresh.next() + 100)) << p.message;
    p.journal.reset();
    take_second_away();
    Journaling again{fresh};
    ASSERT_EQ(again.open(first_.path(), second_.path()), Errc::Ok) << again.message;
    EXPECT_NE(again.message.find("mount it"), std::string::npos) << again.message;
    ASSERT_TRUE(again.until_durable(fresh.durable() + 100));
    again.journal.reset();
    fs::rename(away(), second_.path());
    DirectorySource log{first_.path()};
    const Scan s = scan(log);
    EXPECT_EQ(s.status, ReadStatus::End) << s.place.what;
    EXPECT_GE(s.last, fresh.durable());
}

TEST_F(TwoDirectories, AnotherLogsDirectoryAndACopyOfAFileAreRefused) {
    DirectorySource log{first_.path()};
    const auto names = log.list();
    ASSERT_TRUE(names.ok());
    const JournalFileName newest = names.value().back();
    ASSERT_TRUE(log.in_second(newest));
    const std::string copy = first_.path() + "/" + newest.text().data();
    fs::copy_file(log.path_of(newest), copy);
    EXPECT_EQ(log.list().code(), Errc::BadLayout);
    fs::remove(copy);
    EXPECT_TRUE(log.list().ok());
    // Moved, not copied, is as good.
    fs::rename(log.path_of(newest), copy);
    EXPECT_EQ(wrong_with(first_.path(), shared_.durable()), "");

    const TempDir third;
    EXPECT_EQ(pair_directories(first_.path(), third.path(), message_).code(), Errc::BadLayout);
    EXPECT_NE(message_.find("name that one"), std::string::npos) << message_;

    take_second_away();
    fs::create_directories(second_.path());
    ASSERT_TRUE(Reservation::succeed(second_.path(), {1, 1, 0}, message_).ok());
    EXPECT_EQ(log.list().code(), Errc::BadLayout);
    EXPECT_EQ(pair_directories(first_.path(), second_.path(), message_).code(), Errc::BadLayout);
    EXPECT_NE(message_.find("belongs to another log"), std::string::npos) << message_;
}

TEST_F(TwoDirectories, IsPartedOnlyWhenNothingIsLeftThereAndKeepsWhatWasReserved) {
    EXPECT_EQ(part_directories(first_.path(), message_).code(), Errc::Busy);
    EXPECT_NE(message_.find(second_.path()), std::string::npos) << message_;
    for (const auto& file : fs::directory_iterator{second_.path()}) {
        if (file.path().extension() == ".mrj") {
            fs::rename(file.path(), first_.path() / file.path().filename());
        }
    }
    const auto both = read_reserved(first_.path(), message_);
    ASSERT_TRUE(both.ok()) << message_;
    ASSERT_TRUE(part_directories(first_.path(), message_).ok()) << message_;
    const auto alone = Reservation::read(first_.path(), message_);
    ASSERT_TRUE(alone.ok()) << message_;
    EXPECT_GE(alone.value().seq, both.value().seq);
    EXPECT_EQ(second_directory_of(first_.path()).value(), "");
    EXPECT_EQ(wrong_with(first_.path(), shared_.durable()), "");
}

TEST_F(TwoDirectories, MayBeMovedWithAllItsFiles) {
    take_second_away();
    ASSERT_TRUE(pair_directories(first_.path(), away(), message_).ok()) << message_;
    EXPECT_EQ(second_directory_of(first_.path()).value(), away());
    EXPECT_EQ(wrong_with(first_.path(), shared_.durable()), "");
}

}  // namespace
}  // namespace millrace::testing
