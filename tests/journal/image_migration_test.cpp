// Goal: snapshot images of the formats before go on in this build, with their positions counted.
// Method: what later formats added is cut off an image, which makes one of the older format (all
// else is the same).
#include "persist/image_migration.h"
#include "core/engine.h"
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <cstring>

namespace millrace::test {
namespace {

std::vector<std::byte> as_format(std::uint32_t format, std::vector<std::byte> image) {
    std::uint32_t orders = 0;  // behind a header of 48 bytes and the globals
    std::memcpy(&orders, image.data() + 48 + sizeof(Globals), sizeof orders);
    const std::size_t of_6 =
        Rig::kSmall.accounts * (sizeof(AccountSides) + sizeof(AccountStandby)) +
        sizeof(EndedCloses);
    const std::size_t of_5 = kCurrenciesMax * sizeof(CurrencyState) +
                             Rig::kSmall.accounts * sizeof(AccountGuard) +
                             kGroupsMax * sizeof(GroupGuard) + kSymbolsMax * sizeof(SymbolGuard) +
                             orders * sizeof(Money) + Rig::kSmall.accounts * sizeof(AccountOutcome);
    const std::size_t of_4 = kSymbolsMax * sizeof(SymbolRisk) + sizeof(SegmentLoss);
    const std::size_t of_3 =
        Rig::kSmall.accounts * sizeof(AccountRisk) + kGroupsMax * sizeof(GroupRisk);
    image.resize(image.size() - of_6 - (format < 5 ? of_5 : 0) - (format < 4 ? of_4 : 0) -
                 (format < 3 ? of_3 : 0));
    std::memcpy(image.data() + 40, &format, sizeof format);
    return image;
}

class OldImage : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Formats, OldImage, testing::Values(2U, 3U, 4U, 5U));

TEST_P(OldImage, IsGoneOnWithItsPositionsCounted) {
    Rig rig;
    rig.world(2);
    rig.signal(rig.open(1));
    for (const OrderCommand& c : rig.take_orders()) {
        rig.fill(c);
    }
    std::vector<std::byte> image;
    rig.engine.save(image);
    std::vector<std::byte> old = as_format(GetParam(), image);
    ASSERT_EQ(image_format(old.data(), old.size()), GetParam());
    Engine refuses{Rig::kSmall};
    EXPECT_EQ(refuses.load(old.data(), old.size()).code(), Errc::BadVersion);
    std::string message;
    ASSERT_TRUE(migrate_image(old, message).ok()) << message;
    EXPECT_EQ(old.size(), image.size());
    Engine next{Rig::kSmall};
    ASSERT_TRUE(next.load(old.data(), old.size()).ok());
    EXPECT_EQ(next.account_risk(AccountId{1}).volume, centi(10));
    EXPECT_EQ(next.group_risk(GroupId{0}).positions, 2U);
    EXPECT_EQ(next.symbol_risk(SymbolId{0}).bought, centi(20));
    EXPECT_EQ(next.symbol_risk(SymbolId{0}).limits.id, SymbolId{kNoId});
    // Of the time before nobody knows when an account was last waited for: begun anew.
    EXPECT_EQ(next.ended_closes().next, 0U);
    EXPECT_EQ(next.output_hash(), rig.engine.output_hash());
}

TEST(ImageMigration, LeavesThePresentFormatAndNamesOneThatItDoesNotKnow) {
    Rig rig;
    std::vector<std::byte> image;
    rig.engine.save(image);
    std::vector<std::byte> same = image;
    std::string message;
    EXPECT_TRUE(migrate_image(same, message).ok());
    EXPECT_EQ(same, image);
    const std::uint32_t format = 1;
    std::memcpy(same.data() + 40, &format, sizeof format);
    EXPECT_EQ(migrate_image(same, message).code(), Errc::BadVersion);
    EXPECT_NE(message.find("format 1"), std::string::npos) << message;
}

}  // namespace
}  // namespace millrace::test
