// Goal: attaching trusts nothing, changes nothing and says what is wrong.
// Method: a good segment and cut copies of its file. (tests/attach_fuzz damages every field.)
#include "shm/segment.h"

#include "tests/shm/temp_dir.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <vector>

namespace millrace {
namespace {

using test::TempDir;

SegmentPlan small_plan(const TempDir& dir) {
    SegmentPlan plan;
    plan.path = dir.file("segment");
    plan.journal_dir = dir.str();
    plan.sessions = 2;
    plan.session_slots = 4;
    plan.journal_slots = 16;
    plan.orders_slots = plan.reports_slots = plan.signals_slots = 8;
    plan.results_slots = plan.admin_slots = plan.holdings_slots = 8;
    plan.strategies = {{"alpha", SourceId{3}}};
    plan.memory.lock = MemoryWish::Off;
    return plan;
}

std::vector<char> bytes_of(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}
void write_bytes(const std::string& path, const std::vector<char>& bytes) {
    std::ofstream{path, std::ios::binary}.write(bytes.data(),
                                                static_cast<std::streamsize>(bytes.size()));
}

TEST(Segment, WithADamagedRingOfOneSourceOrAccountIsAttachedToAndTheDamageNamedToWhoUsesIt) {
    const TempDir dir;
    std::string message;
    auto made = Segment::create(small_plan(dir), message);
    ASSERT_TRUE(made.ok()) << message;
    const Segment& s = made.value();
    const auto attach = [&] {
        return Segment::attach(dir.file("segment"), Segment::Mode::ReadWrite, message).code();
    };
    for (const char* ring : {"signals.alpha", "results.alpha", "session.1"}) {
        const std::uint32_t index = s.find_ring(ring);
        s.ring_control(index).read_cursor.store(~std::uint64_t{0});
        EXPECT_EQ(attach(), Errc::Ok) << message;
        EXPECT_EQ(s.check_ring(index, message).code(), Errc::BadCursor);
        EXPECT_NE(message.find(ring), std::string::npos) << message;
    }
    // A ring that stages share stops them all: what is in it is everybody's.
    for (const char* ring : {"orders", "signals.ingress", "reports"}) {
        auto& cursor = s.ring_control(s.find_ring(ring)).read_cursor;
        cursor.store(~std::uint64_t{0});
        EXPECT_EQ(attach(), Errc::BadCursor) << ring;
        EXPECT_NE(message.find(ring), std::string::npos) << message;
        cursor.store(0);
    }
}

TEST(Segment, CreatedAndAttachedShowsTheSameRingsAndClock) {
    const TempDir dir;
    std::string message;
    auto made = Segment::create(small_plan(dir), message);
    ASSERT_TRUE(made.ok()) << message;
    auto seen = Segment::attach(dir.file("segment"), Segment::Mode::ReadOnly, message);
    ASSERT_TRUE(seen.ok()) << message;
    EXPECT_EQ(seen.value().uuid_low(), made.value().uuid_low());
    EXPECT_EQ(seen.value().ring_count(), made.value().ring_count());
    EXPECT_NE(seen.value().find_ring("signals.alpha"), kNoId);
    EXPECT_EQ(seen.value().find_ring("signals.beta"), kNoId);
    EXPECT_TRUE(seen.value().same_boot());
    EXPECT_NEAR(static_cast<double>(seen.value().clock().now().value),
                static_cast<double>(wall_ns()), 1e9);
}

TEST(Segment, SecondCreatorIsRefusedAndTheFirstUntouched) {
    const TempDir dir;
    std::string message;
    auto made = Segment::create(small_plan(dir), message);
    ASSERT_TRUE(made.ok());
    const auto before = bytes_of(dir.file("segment"));
    EXPECT_EQ(Segment::create(small_plan(dir), message).code(), Errc::Busy);
    EXPECT_EQ(bytes_of(dir.file("segment")), before);
}

TEST(Segment, TooLittleSpaceIsAnErrorWithTheMendAndLeavesNoFile) {
    const TempDir dir;
    SegmentPlan plan = small_plan(dir);
    plan.journal_slots = 1U << 31;  // 512 GiB
    std::string message;
    EXPECT_EQ(Segment::create(plan, message).code(), Errc::NoSpace);
    EXPECT_NE(message.find("available"), std::string::npos) << message;
    EXPECT_FALSE(std::filesystem::exists(plan.path));
}

TEST(Segment, MissingFileNamesItAndTheCommandThatMakesIt) {
    std::string message;
    EXPECT_EQ(Segment::attach("/nonexistent/segment", Segment::Mode::ReadOnly, message).code(),
              Errc::NotFound);
    EXPECT_NE(message.find("millrace up"), std::string::npos);
}

TEST(Segment, TruncatedAtAnyPlaceIsRefused) {
    const TempDir dir;
    std::string message;
    {
        ASSERT_TRUE(Segment::create(small_plan(dir), message).ok()) << message;
    }
    auto bytes = bytes_of(dir.file("segment"));
    const std::string copy = dir.file("copy");
    for (const std::size_t keep : {std::size_t{0}, std::size_t{100}, std::size_t{4096},
                                   bytes.size() / 2, bytes.size() - 1}) {
        auto cut = bytes;
        cut.resize(keep);
        write_bytes(copy, cut);
        EXPECT_FALSE(Segment::attach(copy, Segment::Mode::ReadOnly, message).ok()) << keep;
    }
}

}  // namespace
}  // namespace millrace
