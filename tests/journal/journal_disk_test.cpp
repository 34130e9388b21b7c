// Goal: the same promises on real files, with every backend that works here. Method: the real
// stage on a real directory; what works is probed and printed.
#include "journal_fakes.h"
#include "persist/pwrite_disk.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <unistd.h>

namespace millrace::testing {
namespace {

constexpr std::int64_t kDeadlineNs = 20'000'000'000;

class OnDisk : public ::testing::TestWithParam<JournalBackend> {
protected:
    JournalStageOptions options(bool same_segment) {
        JournalStageOptions o;
        o.directory = dir_.path();
        o.same_segment = same_segment;
        o.segment_bytes = 1 << 20;
        o.first_file_bytes = 128 * 1024;
        o.backend = GetParam();
        return o;
    }
    bool open(bool same_segment) {
        stage_.reset();
        auto opened = JournalStage::open(options(same_segment), ring_.view(), *cells_, message_);
        if (opened.code() == Errc::Unsupported) {
            return false;
        }
        EXPECT_TRUE(opened.ok()) << message_;
        if (opened.ok()) {
            stage_ = std::move(opened).value();
        }
        return opened.ok();
    }
    // Publishes `count` records as the ring has room and waits until all are durable.
    void run(std::uint64_t count) {
        const std::uint64_t end = next_ + count;
        const std::int64_t deadline = monotonic_ns() + kDeadlineNs;
        while (durable() + 1 < end) {
            ASSERT_LT(monotonic_ns(), deadline) << "durable " << durable() << " of " << end - 1;
            ASSERT_FALSE(stage_->poisoned()) << stage_->error().what;
            while (next_ < end && ring_.publish(make_record(next_))) {
                ++next_;
            }
            if (stage_->step(Nanos{1}) == 0) {
                stage_->wait_io(millis(1));
            }
        }
    }
    [[nodiscard]] std::uint64_t durable() const { return cells_->durable.load(); }

    TempDir dir_;
    HeapRing ring_{512};
    std::unique_ptr<CoreCells> cells_ = std::make_unique<CoreCells>();
    std::unique_ptr<JournalStage> stage_;
    std::string message_;
    std::uint64_t next_ = 1;
};

TEST_P(OnDisk, BufferedReadsSeeEveryCompletedWriteOverRollsAndRestarts) {
    if (!open(false)) {
        GTEST_SKIP() << to_string(GetParam()) << " is refused here: " << message_;
    }
    std::cout << "backend used: " << to_string(stage_->start().backend) << "\n";
    DirectorySource log{dir_.path()};
    auto reader = JournalReader::open(log, Sequence{0}, {}, message_);
    ASSERT_TRUE(reader.ok()) << message_;
    std::uint64_t seen = 0;
    for (int i = 0; i < 40; ++i) {
        run(400);
        if (i % 10 == 9) {
            ASSERT_TRUE(open(true)) << message_;
        }
        while (reader.value().next(Sequence{durable()}, cells_->epoch.load()) ==
               ReadStatus::Record) {
            const auto& r = reader.value().record();
            ASSERT_EQ(r.seq.value, ++seen);
            ASSERT_TRUE(same_record(r, make_record(seen)));
        }
        ASSERT_EQ(seen, durable()) << reader.value().fault().what;
    }
    EXPECT_EQ(seen, 16000U);
    stage_.reset();
    EXPECT_EQ(scan(log).count, 16000U);
}

TEST_P(OnDisk, NewSegmentFindsEverythingAndIdsJumpBehindTheReservation) {
    if (!open(false)) {
        GTEST_SKIP() << to_string(GetParam()) << " is refused here: " << message_;
    }
    run(1000);
    ring_ = HeapRing{512};
    cells_ = std::make_unique<CoreCells>();
    ASSERT_TRUE(open(false)) << message_;
    EXPECT_EQ(stage_->start().last.seq.value, 1000U);
    EXPECT_EQ(stage_->start().epoch, 2U);
    EXPECT_GT(stage_->start().reserved_seq, 1000U);
    EXPECT_EQ(cells_->jump_seq.load(), stage_->start().reserved_seq);
}

INSTANTIATE_TEST_SUITE_P(Journal, OnDisk,
                         ::testing::Values(JournalBackend::None, JournalBackend::UringDirect,
                                           JournalBackend::UringBuffered,
                                           JournalBackend::PwriteDirect,
                                           JournalBackend::PwriteBuffered),
                         [](const auto& backend) {
                             std::string name = to_string(backend.param);
                             std::erase(name, '-');
                             return name;
                         });

TEST(JournalDirectory, ThatDoesNotExistIsNamed) {
    HeapRing ring;
    auto cells = std::make_unique<CoreCells>();
    std::string message;
    JournalStageOptions options;
    options.directory = "/nonexistent/journal";
    EXPECT_EQ(JournalStage::open(options, ring.view(), *cells, message).code(), Errc::IoError);
    EXPECT_NE(message.find("/nonexistent/journal"), std::string::npos) << message;
}

TEST(JournalDirectory, KeepsNoUnusedFilesOverRestarts) {
    TempDir dir;
    HeapRing ring;
    auto cells = std::make_unique<CoreCells>();
    std::string message;
    JournalStageOptions options;
    options.directory = dir.path();
    options.segment_bytes = options.first_file_bytes = 64 * 1024;
    for (int i = 0; i < 5; ++i) {
        auto stage = JournalStage::open(options, ring.view(), *cells, message);
        ASSERT_TRUE(stage.ok()) << message;
        options.same_segment = true;
    }
    DirectorySource log{dir.path()};
    // One used file per epoch, and the one that the last writer had prepared.
    EXPECT_LE(log.list().value().size(), 6U);
}

TEST(JournalDirectory, WithoutItsReservationIsRefused) {
    TempDir dir;
    HeapRing ring;
    auto cells = std::make_unique<CoreCells>();
    std::string message;
    JournalStageOptions options;
    options.directory = dir.path();
    options.segment_bytes = options.first_file_bytes = 64 * 1024;
    ASSERT_TRUE(JournalStage::open(options, ring.view(), *cells, message).ok()) << message;
    ASSERT_EQ(::unlink((dir.path() + "/reservation").c_str()), 0);
    EXPECT_EQ(JournalStage::open(options, ring.view(), *cells, message).code(), Errc::NotFound);
    EXPECT_NE(message.find("reservation is missing"), std::string::npos) << message;
}

}  // namespace
}  // namespace millrace::testing
