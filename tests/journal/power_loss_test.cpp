// Goal: whatever a power cut leaves, everything acknowledged is there, nothing is invented, and
// damage to what was acknowledged is named. Method: a journal's writes are recorded with their
// completions and acknowledgements; for every moment of it every image is built that the disk may
// then hold: each sector of each outstanding write kept, dropped or garbage (exhaustive over
// kept and dropped up to 10 sectors, sampled beyond), and each is recovered by the real reader.
// The same with re-used files, where a dropped sector shows what an older life of the file left:
// the worst case, an older group commit of any of the files before, at its very place.
// MILLRACE_LONG=1 asks for a million images.
#include "disk_moments.h"

#include <array>
#include <cstdlib>
#include <random>

namespace millrace::testing {
namespace {

constexpr std::size_t kSectorBytes = 512;
constexpr std::size_t kExhaustiveSectors = 10;
#ifdef MILLRACE_SANITIZED
constexpr int kSamples = 20;
constexpr std::uint64_t kImagesMin = 5'000;
#else
constexpr int kSamples = 220;
constexpr std::uint64_t kImagesMin = 50'000;
#endif
// Most images are read from a little below what was acknowledged, as a start reads them; the part
// before is the same in all images of a moment, and every 32nd image reads it too.
constexpr std::uint64_t kFullEvery = 32;
constexpr std::uint64_t kReadBack = 40;
constexpr std::uint32_t kSeed = 20261121;
constexpr int kLongFactor = 10;

bool long_run() {
    const char* wanted = std::getenv("MILLRACE_LONG");
    return wanted != nullptr && *wanted != '\0' && std::string_view{wanted} != "0";
}

struct Recording {
    std::vector<DiskEvent> events;
    std::vector<std::uint64_t> durable;  // acknowledged when event i had happened
    std::uint64_t published = 0;
};

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
    DiskTape tape;
    const auto note = [&] {
        // What is told now was told at the latest behind the events recorded so far.
        tape.record(*rig.disk);
        run.durable.resize(tape.events.size(), run.durable.empty() ? 0 : run.durable.back());
        if (!run.durable.empty()) {
            run.durable.back() = rig.durable();
        }
    };
    for (int epoch = 0; epoch < 3; ++epoch) {
        tape.next_disk();
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
    run.published = rig.next_seq - 1;
    run.events = std::move(tape.events);
    return run;
}

struct Sector {
    const DiskEvent* write;
    std::size_t at;  // in the write
    std::array<std::byte, kSectorBytes> before{};
};

std::vector<Sector> uncertain_sectors(const DiskMoment& moment, const Recording& run) {
    std::vector<Sector> sectors;
    for (const std::size_t i : moment.outstanding) {
        for (std::size_t at = 0; at < run.events[i].bytes.size(); at += kSectorBytes) {
            const DiskEvent& e = run.events[i];
            Sector sector{&e, at, {}};
            std::memcpy(sector.before.data(),
                        moment.certain.files.at(e.file).data() + e.offset + at, kSectorBytes);
            sectors.push_back(sector);
        }
    }
    return sectors;
}

enum class Fate { Dropped, Kept, Garbage };

void apply(MemoryLog& image, const Sector& s, Fate fate, std::mt19937& random) {
    std::byte* to = image.files[s.write->file].data() + s.write->offset + s.at;
    if (fate == Fate::Kept) {
        std::memcpy(to, s.write->bytes.data() + s.at, kSectorBytes);
    } else if (fate == Fate::Garbage) {
        for (std::size_t i = 0; i < kSectorBytes; ++i) {
            to[i] = static_cast<std::byte>(random());
        }
    } else {
        std::memcpy(to, s.before.data(), kSectorBytes);
    }
}

// One image: recovered, nothing acknowledged is missing, nothing is invented.
::testing::AssertionResult recovers(MemoryLog& image, std::uint64_t from, std::uint64_t durable,
                                    std::uint64_t published) {
    std::string message;
    auto reader = JournalReader::open(image, Sequence{from}, {16 * 1024}, message);
    if (!reader) {
        return ::testing::AssertionFailure() << "not opened: " << message;
    }
    std::uint64_t last = from;
    ReadStatus status{};
    while ((status = reader.value().next()) == ReadStatus::Record) {
        const auto& r = reader.value().record();
        if (r.seq.value != ++last || !same_record(r, make_record(last))) {
            return ::testing::AssertionFailure() << "invented or changed record " << r.seq.value;
        }
    }
    if (status == ReadStatus::Corrupt) {
        return ::testing::AssertionFailure() << "refused: " << reader.value().fault().what;
    }
    if (last < durable || last > published) {
        return ::testing::AssertionFailure()
               << "ends at " << last << ", acknowledged " << durable << ", made " << published;
    }
    return ::testing::AssertionSuccess();
}

// All images of one moment. The image is changed in place: only uncertain sectors differ.
std::uint64_t try_all(DiskMoment& moment, const Recording& run, std::uint64_t durable,
                      std::mt19937& random, int samples_each) {
    const auto sectors = uncertain_sectors(moment, run);
    std::uint64_t images = 0;
    const auto check = [&](const char* how) {
        const bool full = images++ % kFullEvery == 0 || durable < kReadBack;
        const auto result =
            recovers(moment.certain, full ? 0 : durable - kReadBack, durable, run.published);
        EXPECT_TRUE(result) << how << ", " << sectors.size() << " sectors, seed " << kSeed;
        return static_cast<bool>(result);
    };
    if (sectors.size() <= kExhaustiveSectors) {
        for (std::uint64_t mask = 0; mask < (1ULL << sectors.size()); ++mask) {
            for (std::size_t i = 0; i < sectors.size(); ++i) {
                apply(moment.certain, sectors[i],
                      (mask >> i & 1U) != 0 ? Fate::Kept : Fate::Dropped, random);
            }
            if (!check("exhaustive")) {
                return images;
            }
        }
    }
    const int samples = sectors.empty() ? 0 : samples_each;
    for (int n = 0; n < samples; ++n) {
        // Each image has a mood: mostly kept, mostly dropped, or with garbage.
        const auto kept = random() % 101;
        const auto garbage = n % 2 == 0 ? 0 : random() % 60;
        for (const Sector& s : sectors) {
            const Fate fate = random() % 100 < garbage ? Fate::Garbage
                              : random() % 100 < kept  ? Fate::Kept
                                                       : Fate::Dropped;
            apply(moment.certain, s, fate, random);
        }
        if (!check("sampled")) {
            return images;
        }
    }
    for (const Sector& s : sectors) {
        apply(moment.certain, s, Fate::Dropped, random);
    }
    return images;
}

// Every image of every moment of one run. @return how many.
std::uint64_t try_run(std::uint32_t seed, bool reuse, int samples) {
    const Recording run = record_run(seed, reuse);
    DiskMoment moment;
    std::mt19937 random{seed};
    std::uint64_t images = 0;
    for (std::size_t i = 0; i < run.events.size() && !::testing::Test::HasFailure(); ++i) {
        moment.advance(run.events, i);
        // A moment is every event's: what was acknowledged before it must survive.
        const std::uint64_t durable = i == 0 ? 0 : run.durable[i - 1];
        images += try_all(moment, run, std::max(durable, run.durable[i]), random, samples);
    }
    std::cout << "images " << images << ", events " << run.events.size() << ", records "
              << run.published << ", files " << moment.certain.files.size() << ", seed " << seed
              << "\n";
    EXPECT_GE(moment.certain.files.size(), 5U) << "no roll or restart was covered";
    return images;
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
