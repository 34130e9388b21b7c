// Goal: a power cut before, in and after a move of the journal to its other directory, and back,
// loses nothing acknowledged, whatever of the failed disk's last writes lands, and when. Method: as
// PowerLoss, over the files of both directories, which no two have the same name of: their writes
// are one tape. A write that failed, or was never answered, stays on its way for good.
#include "power_images.h"

#include <optional>

namespace millrace::testing {
namespace {

#ifdef MILLRACE_SANITIZED
constexpr int kSamples = 4;
constexpr std::uint64_t kImagesMin = 2'000;
#else
constexpr int kSamples = 40;
constexpr std::uint64_t kImagesMin = 20'000;
#endif
constexpr std::uint32_t kSeed = 20261122;
constexpr std::uint32_t kRuns = 4;
constexpr int kSteps = 25;        // of each epoch
constexpr int kStepsMax = 1'000;  // until a fault has been met

/// A stage that can be opened in either directory; `log` has the files of both.
struct MovingRig : Rig {
    TempDir second;
    bool in_second = false;
    std::unique_ptr<JournalStage> failed;  // as MovingJournal keeps it: its writes may still land

    /// @param continues as MovingJournal::move() says it; nothing: a start in this place.
    void open(bool same_segment, const std::optional<LogCursor>& continues = std::nullopt) {
        auto made = std::make_unique<FaultDisk>(log);
        disk = made.get();
        JournalStageOptions options;
        options.directory = dir.path();
        options.second = second.path();
        options.in_second = in_second;
        options.same_segment = same_segment;
        options.continues = continues;
        options.segment_bytes = options.first_file_bytes = 64 * 1024;
        failed = std::move(stage);
        auto opened =
            JournalStage::open(options, std::move(made), log, ring.view(), *cells, message);
        ASSERT_TRUE(opened) << message;
        stage = std::move(opened).value();
    }
    void move() {
        ASSERT_TRUE(stage->poisoned());
        in_second = !in_second;
        open(true,
             LogCursor{stage->start().epoch, Sequence{durable()}, cells->durable_chain.load()});
    }
};

class MovingRun {
public:
    explicit MovingRun(std::uint32_t seed) : random_{seed} {}

    Recording record() {
        rig_.open(false);
        trade(kSteps);
        fail();
        move();
        trade(kSteps);
        rig_.disk->hold = true;  // and killed with writes on their way
        trade(1, false);
        recorder_.next_disk();
        rig_.open(true);
        trade(kSteps);
        fail();
        move();
        trade(kSteps);
        recorder_.end(rig_.next_seq - 1);
        return std::move(run_);
    }

private:
    void trade(int steps, bool answers = true) {
        for (int i = 0; i < steps; ++i) {
            rig_.publish(random_() % 8 + 1);
            rig_.disk->hold = !answers || random_() % 3 != 0;
            rig_.disk->poll_max = random_() % 3 + 1;
            (void)rig_.stage->step(Nanos{1});
            recorder_.note(*rig_.disk, rig_.durable());
        }
    }
    /// By an error of one of the next writes, one that writes nothing, or one without an answer.
    void fail() {
        const std::uint64_t write = rig_.disk->writes + random_() % 4;
        const std::int64_t results[] = {-EIO, -ENOSPC, 0};
        const auto how = random_() % 4;
        if (how < std::size(results)) {
            rig_.disk->faults().result[write] = results[how];
            for (int i = 0; i < kStepsMax && !rig_.stage->poisoned(); ++i) {
                trade(1);
            }
        } else {
            trade(2, false);
            rig_.stage->give_up({Errc::Timeout, ETIMEDOUT, "no answer"});
        }
        EXPECT_TRUE(rig_.stage->poisoned()) << "nothing failed: this proves nothing";
    }
    void move() {
        const std::uint64_t durable = rig_.durable();
        recorder_.next_disk();
        rig_.move();
        EXPECT_EQ(rig_.durable(), durable);
        recorder_.note(*rig_.disk, rig_.durable());
    }

    std::mt19937 random_;
    MovingRig rig_;
    Recording run_;
    Recorder recorder_{run_};
};

TEST(PowerLossInAMove, EveryImageThatTwoDisksMayHoldRecoversWhatWasAcknowledged) {
    const std::uint32_t runs = kRuns * (long_run() ? 10 : 1);
    std::uint64_t images = 0;
    for (std::uint32_t seed = kSeed; seed < kSeed + runs && !HasFailure(); ++seed) {
        images += try_moments(MovingRun{seed}.record(), seed, kSamples);
    }
    EXPECT_GE(images, kImagesMin);
}

}  // namespace
}  // namespace millrace::testing
