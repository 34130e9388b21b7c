// Goal: the executor's order file gives back what was saved, forgets what is over when there is too
// much of it, and keeps what works however old. Method: the file alone, against a fresh book.
#include "tools/fix/order_file.h"
#include "tests/fix/fix_rig.h"
#include "tests/fix/venue.h"

#include <fcntl.h>
#include <unistd.h>

namespace millrace::fix::test {
namespace {

class FixOrderFile : public testing::Test {
protected:
    OrderFile open() {
        auto opened = OrderFile::open(folder / "orders");
        EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().what);
        return std::move(opened).value();
    }
    static OrderState state(std::uint64_t intent, bool over, std::int64_t booked = 0) {
        OrderState made;
        made.command = FixRig::command(CommandType::Open, intent);
        made.over = over ? 1 : 0;
        made.booked = booked;
        return made;
    }
    static OrderBook book() { return {40'000, kTag, kInstruments, *find_profile("generic")}; }

    Folder folder;
};

TEST_F(FixOrderFile, ForgetsOldOrdersThatAreOverAndNoneThatWorks) {
    {
        OrderFile file = open();
        for (std::uint64_t intent = 1; intent <= 32'818; ++intent) {
            ASSERT_TRUE(file.save(state(intent, intent != 1)).ok());
        }
    }
    OrderBook restored = book();
    EXPECT_EQ(open().restore(restored), 0U);
    const auto known = [&](std::uint64_t intent) {
        return restored.state(magic(intent)).has_value();
    };
    EXPECT_TRUE(known(1)) << "it works";
    EXPECT_FALSE(known(2));
    EXPECT_FALSE(known(51));
    EXPECT_TRUE(known(52));
    EXPECT_TRUE(known(32'818));
}

TEST_F(FixOrderFile, KeepsThePositionThatForgottenOrdersMade) {
    {
        OrderFile file = open();
        for (std::uint64_t intent = 1; intent <= 32'818; ++intent) {
            ASSERT_TRUE(file.save(state(intent, true, 2)).ok());
        }
    }
    const OrderFile file = open();
    ASSERT_EQ(file.positions().size(), 1U);
    EXPECT_EQ(file.positions().begin()->second, 2 * 32'818);
}

TEST_F(FixOrderFile, CountsNothingTwiceOfAnOrderThatWorkedWhileAllOthersWentBy) {
    {
        OrderFile file = open();
        ASSERT_TRUE(file.save(state(1, false)).ok());
        for (std::uint64_t intent = 2; intent <= 32'818; ++intent) {
            ASSERT_TRUE(file.save(state(intent, true)).ok());
        }
        ASSERT_TRUE(file.save(state(1, true, 2)).ok());
        ASSERT_TRUE(file.save(state(32'819, true)).ok());
    }
    OrderFile file = open();
    OrderState late = state(1, true, 2);
    late.asked = 1;  // a report that comes late changes something else
    ASSERT_TRUE(file.save(late).ok());
    ASSERT_EQ(file.positions().size(), 1U);
    EXPECT_EQ(file.positions().begin()->second, 2);
}

TEST_F(FixOrderFile, CutsATornEndAndRefusesDamageInside) {
    {
        OrderFile file = open();
        ASSERT_TRUE(file.save(state(1, false)).ok());
        ASSERT_TRUE(file.save(state(2, false)).ok());
    }
    const std::string path = folder / "orders";
    ASSERT_EQ(::truncate(path.c_str(), 2 * 304 - 1), 0);
    EXPECT_EQ(open().highest_intent(), 1U);
    for (std::uint64_t intent = 2; intent <= 4; ++intent) {
        ASSERT_TRUE(open().save(state(intent, false)).ok());
    }
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(fd, "x", 1, 304 + 100), 1);
    ::close(fd);
    EXPECT_EQ(OrderFile::open(path).code(), Errc::BadChecksum);
}

}  // namespace
}  // namespace millrace::fix::test
