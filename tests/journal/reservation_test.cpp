// Goal: no number is handed out twice, whichever of the two blocks a crash tears. Method: real
// file, every byte of either block damaged.
#include "persist/reservation.h"
#include "journal_fakes.h"

#include <fstream>

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
    {
        auto r = open(dir, true);
        ASSERT_TRUE(r.reserve({1000, 500}).ok());
        ASSERT_TRUE(r.reserve({900, 600}).ok());
    }
    const auto r = open(dir, false);
    EXPECT_EQ(r.current().seq, 1000U);
    EXPECT_EQ(r.current().intent, 600U);
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
    for (std::streamoff at = 0; at < 40; ++at) {
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
