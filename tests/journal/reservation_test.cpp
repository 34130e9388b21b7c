// Goal: no number is handed out twice, whichever of the two blocks a crash tears. Method: real
// file, every byte of either block damaged.
#include "persist/reservation.h"
#include "journal_fakes.h"

#include "core/crc32c.h"

#include <cstring>
#include <fstream>
#include <set>

namespace millrace::testing {
namespace {

Reservation open(const TempDir& dir, bool may_create) {
    std::string message;
    auto r = Reservation::open(dir.path(), may_create, message);
    EXPECT_TRUE(r.ok()) << message;
    return std::move(r).value();
}

TEST(Reservation, IsThereAgainAfterARestartAndNeverShrinks) {
    const TempDir dir;
    std::uint64_t first = 0;
    {
        auto r = open(dir, true);
        first = r.current().intent;
        ASSERT_TRUE(r.reserve({1000, first + 500}).ok());
        ASSERT_TRUE(r.reserve({900, first + 600}).ok());
    }
    const auto r = open(dir, false);
    EXPECT_EQ(r.current().seq, 1000U);
    EXPECT_EQ(r.current().intent, first + 600);
}

TEST(Reservation, SurvivesDamageOfTheBlockBeingWritten) {
    const TempDir dir;
    {
        auto r = open(dir, true);
        ASSERT_TRUE(r.reserve({1000, 500}).ok());
        ASSERT_TRUE(r.reserve({2000, 700}).ok());
        ASSERT_TRUE(r.reserve({3000, 900}).ok());  // generation 4: block 0
    }
    const auto path = std::filesystem::path{dir.path()} / "reservation";
    for (std::streamoff at = 0; at < 48; ++at) {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(at);
        const char was = static_cast<char>(file.get());
        file.seekp(at);
        file.put(static_cast<char>(was ^ 0x40));
        file.flush();
        EXPECT_EQ(open(dir, false).current().seq, 2000U) << "byte " << at;
        file.seekp(at);
        file.put(was);
        file.flush();
    }
    EXPECT_EQ(open(dir, false).current().seq, 3000U);
}

TEST(Reservation, NamesItsDirectoryForEverAndBeginsIdsWhereNoOtherDoes) {
    std::set<std::uint32_t> instances;
    std::set<std::uint64_t> first_ids;
    for (int i = 0; i < 20; ++i) {
        const TempDir dir;
        Reserved first;
        {
            auto r = open(dir, true);
            first = r.current();
            ASSERT_TRUE(r.reserve({1000, first.intent + 500}).ok());
        }
        EXPECT_EQ(first.seq, 0U);
        EXPECT_NE(first.instance, 0U);
        EXPECT_GT(first.intent, 0U);
        EXPECT_LT(first.intent, kFirstIntentMax);
        EXPECT_EQ(open(dir, false).current().instance, first.instance);
        std::string message;
        EXPECT_EQ(Reservation::read(dir.path(), message).value().instance, first.instance);
        instances.insert(first.instance);
        first_ids.insert(first.intent >> 20U);
    }
    // One pair may meet by chance, once in 90,000 runs; two pairs do not.
    EXPECT_GE(instances.size(), 19U);
    EXPECT_GE(first_ids.size(), 19U) << "a million ids apart";
}

TEST(Reservation, TakesOverADirectoryOfATimeBeforeInstances) {
    const TempDir dir;
    ReservationBlock old;
    old.version = 1;
    old.generation = 2;
    old.reserved_seq = 1000;
    old.reserved_intent = 500;
    const auto bytes = std::as_bytes(std::span{&old, 1});
    old.crc32c = crc32c(bytes.first(offsetof(ReservationBlock, crc32c)));
    std::vector<char> file(2 * 4096, '\0');
    std::memcpy(file.data(), &old, offsetof(ReservationBlock, instance));
    std::ofstream{std::filesystem::path{dir.path()} / "reservation", std::ios::binary}.write(
        file.data(), static_cast<std::streamsize>(file.size()));
    {
        auto r = open(dir, false);
        EXPECT_EQ(r.current().seq, 1000U);
        EXPECT_EQ(r.current().intent, 500U);
        EXPECT_EQ(r.current().instance, 0U);
        ASSERT_TRUE(r.reserve({2000, 600}).ok());
    }
    EXPECT_EQ(open(dir, false).current().intent, 600U);
    EXPECT_EQ(open(dir, false).current().instance, 0U) << "its terminals know it as that";
}

TEST(Reservation, RefusesWhenNothingValidIsLeft) {
    const TempDir dir;
    {
        (void)open(dir, true);
    }
    std::filesystem::resize_file(std::filesystem::path{dir.path()} / "reservation", 0);
    std::string message;
    EXPECT_EQ(Reservation::open(dir.path(), true, message).code(), Errc::BadChecksum);
    EXPECT_NE(message.find("reservation"), std::string::npos);
    const TempDir empty;
    EXPECT_EQ(Reservation::open(empty.path(), false, message).code(), Errc::NotFound);
}

}  // namespace
}  // namespace millrace::testing
