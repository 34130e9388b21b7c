// Goal: what `top` shows as the latencies of the last seconds is what was counted in them, however
// much was counted before. Method: looks at times that the test chooses.
#include "tools/inspect/recent.h"

#include "tests/inspect/fixture.h"

namespace millrace::inspect {
namespace {

class Recent : public SegmentFixture {
protected:
    PipelineView look(Nanos at) {
        PipelineView v = read_view(*segment_);
        latencies_.look(*segment_, at, v);
        return v;
    }
    void record(std::int64_t ns, int times) {
        for (int i = 0; i < times; ++i) {
            segment_->hop(Hop::Gate).record(ns);
        }
    }
    static const HopStat& gate(const PipelineView& v) {
        return v.recent->hops[static_cast<std::size_t>(Hop::Gate)];
    }
    RecentLatencies latencies_;
};

TEST_F(Recent, ShowsAStallThatALongLifeHides) {
    record(1000, 100'000);
    EXPECT_FALSE(look(seconds(100)).recent) << "nothing to compare with";
    record(5'000'000, 90);
    record(9'000'000, 10);
    const PipelineView v = look(seconds(105));
    ASSERT_TRUE(v.recent);
    EXPECT_EQ(v.recent->window, seconds(5));
    EXPECT_STREQ(gate(v).name, "gate");
    EXPECT_EQ(gate(v).count, 100U);
    EXPECT_EQ(gate(v).mean, 5'400'000U);
    EXPECT_NEAR(static_cast<double>(gate(v).p50), 5e6, 5e6 / 16);
    EXPECT_NEAR(static_cast<double>(gate(v).p90), 5e6, 5e6 / 16);
    EXPECT_EQ(gate(v).p99, 9'000'000U) << "no more than the largest that ever was";
    EXPECT_EQ(gate(v).max, 9'000'000U);
    EXPECT_LT(v.hops[static_cast<std::size_t>(Hop::Gate)].p99, 2000U) << "of its whole life";
    EXPECT_EQ(v.recent->hops[static_cast<std::size_t>(Hop::DurableAck)].count, 0U);
    const std::string top = render_top(v, nullptr, Nanos{}, {});
    EXPECT_NE(top.find("HOP  last 5.00s "), std::string::npos) << top;
    EXPECT_NE(top.find("gate                  100 "), std::string::npos) << top;
    EXPECT_NE(render_stat(v, nullptr, Nanos{}, {}).find("HOP  since start "), std::string::npos);
}

TEST_F(Recent, ForgetsWhatIsOlderThanItsWindow) {
    look(seconds(0));
    record(3'000'000, 1);
    for (int s = 1; s <= 10; ++s) {
        const PipelineView v = look(seconds(s));
        EXPECT_EQ(v.recent->window, seconds(s));
        EXPECT_EQ(gate(v).count, 1U) << s;
    }
    const PipelineView v = look(seconds(11));
    EXPECT_EQ(v.recent->window, seconds(10));
    EXPECT_EQ(gate(v).count, 0U);
    EXPECT_EQ(gate(v).max, 0U);
    const std::string top = render_top(v, nullptr, Nanos{}, {});
    EXPECT_NE(top.find("gate                    0        -        -"), std::string::npos) << top;
}

TEST_F(Recent, ReachesBackTenSecondsHoweverOftenItLooks) {
    for (std::int64_t ms = 0; ms <= 60'000; ms += 200) {
        const PipelineView v = look(Nanos{ms * 1'000'000});
        if (ms >= 10'000) {
            ASSERT_GE(v.recent->window, seconds(10)) << ms;
            ASSERT_LE(v.recent->window, seconds(11)) << ms;
        }
    }
    EXPECT_EQ(look(seconds(120)).recent->window, seconds(60)) << "to the last look at least";
}

TEST_F(Recent, BeginsAnewWithAnotherSegmentAndBelievesNoCounterThatGoesBack) {
    record(1000, 10);
    look(seconds(0));
    segment_->hop(Hop::Gate).buckets[Histogram::index_of(1000)] = 4;
    record(2000, 3);
    EXPECT_EQ(gate(look(seconds(2))).count, 3U);
    PipelineView other = read_view(*segment_);
    other.header.uuid = "another";
    latencies_.look(*segment_, seconds(3), other);
    EXPECT_FALSE(other.recent);
}

}  // namespace
}  // namespace millrace::inspect
