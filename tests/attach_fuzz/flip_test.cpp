// Goal: no bit of a segment file makes attaching crash, hang, write or believe a lie.
// Method: random flips of 1 to 8 bits in a copy, and an oracle that says which of them matter;
// and attaching to the live file itself while its traffic flows.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "tests/attach_fuzz/image.h"

namespace millrace {
namespace {

using test::Attempt;
using test::Guarded;
using test::Image;
using test::TempDir;
using test::Traffic;
using Mode = Segment::Mode;

constexpr std::uint64_t kFlips = 100'000;
constexpr std::uint64_t kFlipsLong = 3'000'000;

/// What each byte of the file is to attaching.
enum class Role : unsigned char { Free, Guarded, Number };

std::vector<Role> roles_of(const Image& image) {
    std::vector<Role> roles(image.good().size(), Role::Free);
    const auto mark = [&](std::uint64_t at, std::uint64_t bytes, Role role) {
        std::fill_n(roles.begin() + static_cast<std::ptrdiff_t>(at), bytes, role);
    };
    for (const Guarded& g : image.guarded()) {
        mark(g.offset, g.bytes, Role::Guarded);
    }
    for (std::uint32_t ring = 0; ring < image.header().ring_count; ++ring) {
        mark(image.cursor_at(ring), 8, Role::Number);
        for (std::uint64_t slot = 0; slot < image.entry(ring).capacity; ++slot) {
            mark(image.number_at(ring, slot), 8, Role::Number);
        }
    }
    return roles;
}

struct Flipper {
    Image& image;
    std::vector<Role> roles = roles_of(image);
    std::vector<std::uint64_t> told;  // offsets of bytes that are not free: flipped more often
    std::mt19937_64 random;
    std::uint64_t refused = 0;
    std::uint64_t accepted = 0;

    Flipper(Image& i, std::uint64_t seed) : image{i}, random{seed} {
        for (std::uint64_t at = 0; at < roles.size(); ++at) {
            if (roles[at] != Role::Free) {
                told.push_back(at);
            }
        }
    }

    std::uint64_t place() {
        return random() % 2 == 0 ? told[random() % told.size()] : random() % roles.size();
    }

    void round() {
        bool guarded = false;
        std::vector<std::uint64_t> places;
        const std::uint64_t flips = 1 + random() % 8 * (random() % 4 == 0 ? 1 : 0);
        for (std::uint64_t i = 0; i < flips; ++i) {
            places.push_back(place());
            image.bytes()[places.back()] ^= std::byte(1U << (random() % 8));
        }
        for (const std::uint64_t at : places) {
            guarded =
                guarded || (roles[at] == Role::Guarded && image.bytes()[at] != image.good()[at]);
        }
        bool possible = true;
        for (std::uint32_t ring = 0; ring < image.header().ring_count; ++ring) {
            possible = possible && image.numbers_possible(ring);
        }
        const Attempt writer = image.attach(Mode::ReadWrite);
        ASSERT_EQ(writer.code == Errc::Ok, !guarded && possible)
            << "first flip at " << places[0] << ": " << writer.message;
        if (!guarded && !possible) {
            ASSERT_EQ(writer.code, Errc::BadCursor) << writer.message;
        }
        ++(writer.code == Errc::Ok ? accepted : refused);
        for (const std::uint64_t at : places) {
            image.bytes()[at] = image.good()[at];
        }
    }
};

TEST(AttachFlip, RefusesExactlyTheFlipsThatMatter) {
    const char* chosen = std::getenv("MILLRACE_SEED");
    const std::uint64_t seed = chosen == nullptr ? 20261121 : std::strtoull(chosen, nullptr, 10);
    const std::uint64_t rounds = std::getenv("MILLRACE_LONG") != nullptr ? kFlipsLong : kFlips;
    const TempDir dir;
    Traffic traffic{dir.file("live"), dir.str()};
    Image image;
    Flipper flipper{image, seed};
    for (std::uint64_t i = 0; i < rounds; ++i) {
        flipper.round();
        if (HasFatalFailure() || HasNonfatalFailure()) {
            FAIL() << "seed " << seed << " round " << i;
        }
    }
    EXPECT_EQ(traffic.stop(), "");
    EXPECT_GT(flipper.refused, rounds / 4);
    EXPECT_GT(flipper.accepted, rounds / 4);
    std::printf(
        "seed %llu: %llu flips refused, %llu without a meaning to attaching accepted, "
        "%llu records checked, %llu times attached to the live segment beside it\n",
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(flipper.refused),
        static_cast<unsigned long long>(flipper.accepted),
        static_cast<unsigned long long>(traffic.checked()),
        static_cast<unsigned long long>(traffic.attached()));
}

TEST(AttachFlip, FindsTheLiveSegmentGoodAtEveryMomentAndLeavesItAlone) {
    const TempDir dir;
    Traffic traffic{dir.file("live"), dir.str()};
    std::string message;
    auto first = Segment::attach(dir.file("live"), Mode::ReadOnly, message);
    ASSERT_TRUE(first.ok()) << message;
    const auto* base = reinterpret_cast<const std::byte*>(&first.value().shared_header());
    const std::size_t fixed = first.value().header().data_offset;
    const std::uint32_t orders = first.value().find_ring("orders");
    std::vector<std::byte> before{base, base + fixed};
    for (int i = 0; i < 3000; ++i) {
        // To write: this maps it writable, enters its pages and judges every ring.
        auto reader = Segment::attach(dir.file("live"),
                                      i % 2 == 0 ? Mode::ReadWrite : Mode::ReadOnly, message);
        ASSERT_TRUE(reader.ok()) << message;
        for (int look = 0; look < 5; ++look) {
            ASSERT_TRUE(reader.value().check_ring(orders, message)) << message;
        }
        if (i % 100 == 0) {
            // So that every hundred attempts see another state.
            ASSERT_TRUE(traffic.flows_on()) << traffic.stop();
        }
    }
    EXPECT_EQ(traffic.stop(), "");
    // The one cell that the traffic itself writes.
    const auto* own = reinterpret_cast<const std::byte*>(&first.value().core().journal_seq);
    std::memcpy(before.data() + (own - base), own, sizeof(AtomicU64));
    EXPECT_EQ(std::memcmp(before.data(), base, fixed), 0) << "something before the rings changed";
    std::printf("3000 attaches, 15000 looks at a live ring, %llu records checked meanwhile\n",
                static_cast<unsigned long long>(traffic.checked()));
}

}  // namespace
}  // namespace millrace
