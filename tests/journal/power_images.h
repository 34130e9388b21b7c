// What a power cut may leave of a journal's files at one moment of its recorded life: every image,
// recovered by the real reader, which is to find all that was acknowledged and invent nothing.
#pragma once

#include "disk_moments.h"

#include <array>
#include <cstdlib>
#include <random>
#include <string_view>

namespace millrace::testing {

inline constexpr std::size_t kSectorBytes = 512;
inline constexpr std::size_t kExhaustiveSectors = 10;
// Most images are read from a little below what was acknowledged, as a start reads them; the part
// before is the same in all images of a moment, and every 32nd image reads it too.
inline constexpr std::uint64_t kFullEvery = 32;
inline constexpr std::uint64_t kReadBack = 40;

inline bool long_run() {
    const char* wanted = std::getenv("MILLRACE_LONG");
    return wanted != nullptr && *wanted != '\0' && std::string_view{wanted} != "0";
}

/// What the disks of a run were asked, and what was acknowledged meanwhile.
struct Recording {
    std::vector<DiskEvent> events;
    std::vector<std::uint64_t> durable;  // acknowledged when event i had happened
    std::uint64_t published = 0;
};

/// Keeps a Recording up to date while a run steps its journal.
class Recorder {
public:
    explicit Recorder(Recording& run) noexcept : run_{run} {}
    void next_disk() noexcept { tape_.next_disk(); }
    /// What is told now was told at the latest behind the events recorded so far.
    void note(const FaultDisk& disk, std::uint64_t durable) {
        tape_.record(disk);
        run_.durable.resize(tape_.events.size(), run_.durable.empty() ? 0 : run_.durable.back());
        if (!run_.durable.empty()) {
            run_.durable.back() = durable;
        }
    }
    void end(std::uint64_t published) {
        run_.published = published;
        run_.events = std::move(tape_.events);
    }

private:
    Recording& run_;
    DiskTape tape_;
};

struct Sector {
    const DiskEvent* write;
    std::size_t at;  // in the write
    std::array<std::byte, kSectorBytes> before{};
};

inline std::vector<Sector> uncertain_sectors(const DiskMoment& moment, const Recording& run) {
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

inline void apply(MemoryLog& image, const Sector& s, Fate fate, std::mt19937& random) {
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
inline ::testing::AssertionResult recovers(MemoryLog& image, std::uint64_t from,
                                           std::uint64_t durable, std::uint64_t published) {
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
inline std::uint64_t try_all(DiskMoment& moment, const Recording& run, std::uint64_t durable,
                             std::mt19937& random, int samples_each) {
    const auto sectors = uncertain_sectors(moment, run);
    std::uint64_t images = 0;
    const auto check = [&](const char* how) {
        const bool full = images++ % kFullEvery == 0 || durable < kReadBack;
        const auto result =
            recovers(moment.certain, full ? 0 : durable - kReadBack, durable, run.published);
        EXPECT_TRUE(result) << how << ", " << sectors.size() << " sectors";
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

/// Every image of every moment of one run. `seed` goes into what is said. @return how many.
inline std::uint64_t try_moments(const Recording& run, std::uint32_t seed, int samples) {
    SCOPED_TRACE("seed " + std::to_string(seed));
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

}  // namespace millrace::testing
