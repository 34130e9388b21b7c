// Goal: what the replica compares all day is the state and not only what was put out: any
// difference between two engines is found within one round of the windows. Method: the image of a
// busy engine with one bit flipped, loaded into another.
#include <gtest/gtest.h>

#include "tests/engine/rig.h"

namespace millrace::test {
namespace {

/// More turns than the largest table of a rig has windows.
constexpr std::uint64_t kRound = 8192;

TEST(CheckHash, IsTheSameForTheSameStateAtEachTurnAndFindsAnyOtherWithinARound) {
    Rig rig;
    rig.world(3);
    for (std::uint64_t n = 1; n <= 20; ++n) {
        rig.signal(rig.open(n));
        for (const OrderCommand& c : rig.take_orders()) {
            rig.fill(c);
        }
    }
    std::vector<std::byte> image;
    rig.engine.save(image);
    Rig same;
    ASSERT_TRUE(same.engine.load(image.data(), image.size()).ok());
    std::vector<std::uint64_t> hashes;
    for (std::uint64_t turn = 0; turn < kRound; ++turn) {
        hashes.push_back(rig.engine.check_hash(turn));
        ASSERT_EQ(same.engine.check_hash(turn), hashes.back()) << turn;
    }
    // Behind the image's head, every part of it in steps that are no multiple of a window.
    constexpr std::size_t kHead = 64;
    int found = 0;
    for (std::size_t at = kHead; at < image.size(); at += image.size() / 97) {
        image[at] ^= std::byte{4};
        Rig other;
        ASSERT_TRUE(other.engine.load(image.data(), image.size()).ok());
        image[at] ^= std::byte{4};
        if (other.engine.state_hash() == rig.engine.state_hash()) {
            continue;  // a byte that load() makes itself
        }
        ++found;
        std::uint64_t turn = 0;
        while (turn < kRound && other.engine.check_hash(turn) == hashes[turn]) {
            ++turn;
        }
        EXPECT_LT(turn, kRound) << "byte " << at << " of " << image.size();
    }
    EXPECT_GT(found, 80) << "of 97";
}

}  // namespace
}  // namespace millrace::test
