// Goal: whatever a power cut leaves, everything acknowledged is there, nothing is invented, and
// damage to what was acknowledged is named. Method: a journal's writes are recorded with their
// completions and acknowledgements; for every moment of it every image is built that the disk may
// then hold: each sector of each outstanding write kept, dropped or garbage (exhaustive over
// kept and dropped up to 10 sectors, sampled beyond), and each is recovered by the real reader.
// The same with re-used files, where a dropped sector shows what an older life of the file left:
// the worst case, an older group commit of any of the files before, at its very place.
// MILLRACE_LONG=1 asks for a million images.
#include "power_images.h"

namespace millrace::testing {
namespace {

#ifdef MILLRACE_SANITIZED
constexpr int kSamples = 20;
constexpr std::uint64_t kImagesMin = 5'000;
#else
constexpr int kSamples = 220;
constexpr std::uint64_t kImagesMin = 50'000;
#endif
constexpr std::uint32_t kSeed = 20261121;
constexpr int kLongFactor = 10;

// What retention would give a new file: the bytes of one of the older files, block 0 cleared.
bool from_older_file(const MemoryLog& log, std::mt19937& random, std::vector<std::byte>& content) {
    if (log.files.empty()) {
        return false;
    }
    auto older = log.files.begin();
    std::advance(older, static_cast<std::ptrdiff_t>(random() % log.files.size()));
    if (older->second.size() != content.size()) {
        return false;
    }
    content = older->second;
    std::fill_n(content.begin(), kBlockBytes, std::byte{0});
    return true;
}

// Runs a stage with several writes on their way, rolls and restarts, and notes `durable` after
// each step for all events up to then.
Recording record_run(std::uint32_t seed, bool reuse) {
    Rig rig;
    Recording run;
    std::mt19937 random{seed};
    std::mt19937 choice{seed};
    if (reuse) {
        rig.older_life = [&rig, &choice](std::vector<std::byte>& content) {
            return from_older_file(rig.log, choice, content);
        };
    }
    Recorder recorder{run};
    const auto note = [&] { recorder.note(*rig.disk, rig.durable()); };
    for (int epoch = 0; epoch < 3; ++epoch) {
        recorder.next_disk();
        DiskFaults faults;
        faults.reverse = epoch == 1;
        EXPECT_TRUE(rig.start(epoch > 0, faults)) << rig.message;
        note();
        for (int i = 0; i < 60; ++i) {
            rig.publish(random() % 8 + 1);
            rig.disk->hold = random() % 3 != 0;
            rig.disk->poll_max = random() % 3 + 1;
            (void)rig.stage->step(Nanos{1});
            note();
        }
        if (epoch < 2) {
            rig.disk->hold = true;
            rig.publish(4);
            (void)rig.stage->step(Nanos{1});
            note();
        }
    }
    recorder.end(rig.next_seq - 1);
    return run;
}

// Every image of every moment of one run. @return how many.
std::uint64_t try_run(std::uint32_t seed, bool reuse, int samples) {
    return try_moments(record_run(seed, reuse), seed, samples);
}

// Half of the images each, so that the two together are what is promised.
void try_runs(bool reuse) {
    const int runs = long_run() ? kLongFactor : 1;
    std::uint64_t images = 0;
    for (int n = 0; n < runs && !::testing::Test::HasFailure(); ++n) {
        images += try_run(kSeed + static_cast<std::uint32_t>(n), reuse, kSamples);
    }
    EXPECT_GE(images, long_run() ? 500'000 : kImagesMin);
}

TEST(PowerLoss, EveryImageThatADiskMayHoldRecoversWhatWasAcknowledged) {
    try_runs(false);
}

TEST(PowerLoss, EveryImageOfReusedFilesRecoversWhatWasAcknowledged) {
    try_runs(true);
}

// The first file alone, so that a torn tail of one write is exhaustive with garbage too.
TEST(PowerLoss, AWriteTornAtAnySectorWithGarbageRecovers) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    rig.publish(30);
    rig.settle();
    rig.disk->hold = true;
    rig.publish(12);
    (void)rig.stage->step(Nanos{1});
    const DiskEvent write = rig.disk->events.back();
    ASSERT_EQ(write.kind, DiskEvent::Kind::Submit);
    ASSERT_EQ(write.bytes.size() / kSectorBytes, 8U);
    std::mt19937 random{kSeed};
    for (int code = 0; code < 6561; ++code) {  // 3^8
        int rest = code;
        for (std::size_t i = 0; i < 8; ++i, rest /= 3) {
            apply(rig.log, {&write, i * kSectorBytes, {}}, static_cast<Fate>(rest % 3), random);
        }
        ASSERT_TRUE(recovers(rig.log, 0, 30, 42)) << "code " << code;
    }
}

// Acknowledged bytes change under us (a latent sector error): never an end below `durable`
// without a word, and never a wrong record.
TEST(PowerLoss, NamesDamageOfAcknowledgedSectorsOrEndsBelowTheKnownFloor) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    for (int i = 0; i < 40; ++i) {
        rig.publish(9);
        rig.settle();
    }
    const std::uint64_t durable = rig.durable();
    std::mt19937 random{kSeed};
    std::uint64_t named = 0;
    std::uint64_t below_floor = 0;
    for (auto& [name, bytes] : rig.log.files) {
        for (std::size_t at = 0; at < bytes.size(); at += kSectorBytes) {
            const std::vector<std::byte> was(
                bytes.begin() + static_cast<std::ptrdiff_t>(at),
                bytes.begin() + static_cast<std::ptrdiff_t>(at + kSectorBytes));
            for (const bool zero : {true, false}) {
                for (std::size_t i = 0; i < kSectorBytes; ++i) {
                    bytes[at + i] = zero ? std::byte{0} : static_cast<std::byte>(random());
                }
                const auto s = scan(rig.log);
                if (s.status == ReadStatus::Corrupt) {
                    ++named;
                } else if (s.last < durable) {
                    // Only the last commit has nothing behind it: a known floor refuses it.
                    EXPECT_GE(s.last, durable - 9);
                    ++below_floor;
                }
            }
            std::copy(was.begin(), was.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    EXPECT_GT(named, 200U);
    EXPECT_GT(below_floor, 0U);
    EXPECT_LE(below_floor, 16U);
}

}  // namespace
}  // namespace millrace::testing
