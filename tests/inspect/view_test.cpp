// Goal: the inspector shows what is in the segment, and says so when it makes no sense.
// Method: a segment filled by hand, its picture compared field by field and as text.
#include "tools/inspect/view.h"

#include <algorithm>

#include "tests/inspect/fixture.h"

namespace millrace::inspect {
namespace {

using View = SegmentFixture;

const RingStat& ring_of(const PipelineView& v, std::string_view name) {
    return *std::find_if(v.rings.begin(), v.rings.end(),
                         [&](const RingStat& r) { return r.name == name; });
}

std::size_t lines_of(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(View, FindsWriteCursorAndDepthInTheSlots) {
    publish("orders", OrderSlot{}, 5);
    consume<OrderSlot>("orders", 2);
    segment_->ring_control(segment_->find_ring("orders")).full_stalls = 7;
    const RingStat r = ring_of(read_view(*segment_), "orders");
    EXPECT_EQ(r.capacity, 8U);
    EXPECT_EQ(r.read, 2U);
    EXPECT_EQ(r.written, 5U);
    EXPECT_EQ(r.depth(), 3U);
    EXPECT_EQ(r.high_water, 5U);
    EXPECT_EQ(r.full_stalls, 7U);
    EXPECT_EQ(r.fault, "");
}

TEST_F(View, SaysWhichRingContradictsItselfInsteadOfGuessing) {
    segment_->ring_control(segment_->find_ring("reports")).read_cursor = 5;
    const PipelineView v = read_view(*segment_);
    EXPECT_NE(ring_of(v, "reports").fault, "");
    EXPECT_EQ(ring_of(v, "orders").fault, "");
    EXPECT_NE(render_stat(v, nullptr, Nanos{}, {}).find("FAULT at read cursor 5"),
              std::string::npos);
}

TEST_F(View, TellsALivingStageFromADeadOne) {
    play_stage(StageId::Engine, StageState::Running);
    play_stage(StageId::Broker, StageState::Running);
    // Another start time: the pid is in use again, by somebody else.
    segment_->stage(StageId::Broker).start_time += 1;
    const PipelineView v = read_view(*segment_);
    EXPECT_EQ(v.stages[0].liveness, Liveness::Alive);
    EXPECT_EQ(v.stages[1].liveness, Liveness::Gone);
    EXPECT_EQ(v.stages[2].liveness, Liveness::None);
    EXPECT_EQ(v.stages[0].recovery_ns, 12'000'000);
    EXPECT_EQ(v.stages[0].first_work_ns, 13'000'000);
    EXPECT_GE(v.stages[0].heartbeat_age_ns, 0);
}

TEST_F(View, TrustsNoPidOfAnotherBoot) {
    play_stage(StageId::Engine, StageState::Running);
    for (const std::uint64_t copy : {std::uint64_t{0}, kHeaderCopyOffset}) {
        auto* header = reinterpret_cast<char*>(&segment_->shared_header()) + copy;
        header[offsetof(SegmentHeader, boot_id)] ^= 1;
    }
    std::string message;
    const auto seen = Segment::attach(path_, Segment::Mode::ReadOnly, message);
    ASSERT_TRUE(seen.ok()) << message;
    const PipelineView v = read_view(seen.value());
    EXPECT_EQ(v.stages[0].liveness, Liveness::Foreign);
    EXPECT_EQ(v.stages[0].heartbeat_age_ns, -1);
    EXPECT_NE(render_stat(v, nullptr, Nanos{}, {}).find("ANOTHER BOOT"), std::string::npos);
}

TEST_F(View, ShowsConfiguredAccountsOnly) {
    SessionEntry& s = segment_->session(AccountId{2});
    s.login = 5012;
    s.link = static_cast<std::uint32_t>(LinkState::Up);
    s.account_state = static_cast<std::uint32_t>(AccountState::Trading);
    s.claimed = 9;
    s.done = 8;
    s.acked = 6;
    s.fills = 4;
    const PipelineView v = read_view(*segment_);
    ASSERT_EQ(v.sessions.size(), 1U);
    EXPECT_EQ(v.sessions[0].account, 2U);
    EXPECT_EQ(v.sessions[0].claimed, 9U);
    RenderOptions named;
    named.account_names = {"", "", "gold-desk"};
    EXPECT_NE(render_stat(v, nullptr, Nanos{}, named).find("gold-desk    UP            TRADING"),
              std::string::npos);
    EXPECT_NE(render_stat(v, nullptr, Nanos{}, {}).find("5012         UP"), std::string::npos);
    EXPECT_TRUE(ring_of(v, "session.1").unused);
    EXPECT_FALSE(ring_of(v, "session.2").unused);
}

TEST_F(View, ReadsLatenciesWithinABucketAndNeverAboveTheMaximum) {
    for (int i = 1; i <= 1000; ++i) {
        segment_->hop(Hop::SignalToSocket).record(i * 1000);
    }
    const HopStat h = read_view(*segment_).hops[static_cast<std::size_t>(Hop::SignalToSocket)];
    EXPECT_EQ(h.count, 1000U);
    EXPECT_EQ(h.max, 1'000'000U);
    EXPECT_NEAR(static_cast<double>(h.p50), 500e3, 500e3 / 16);
    EXPECT_NEAR(static_cast<double>(h.p99), 990e3, 990e3 / 16);
    EXPECT_LE(h.p999, h.max);
}

TEST_F(View, CountsDistinctErrorsMostFrequentFirst) {
    segment_->report_error("sqlite", "disk is full");
    segment_->report_error("broker", "login refused");
    segment_->report_error("broker", "login refused");
    const PipelineView v = read_view(*segment_);
    ASSERT_EQ(v.errors.size(), 2U);
    EXPECT_EQ(v.errors[0].text, "login refused");
    EXPECT_EQ(v.errors[0].count, 2U);
    EXPECT_EQ(v.errors[1].stage, "sqlite");
}

TEST_F(View, ComputesRatesAndTimeToFullBetweenTwoPictures) {
    publish("orders", OrderSlot{}, 2);
    segment_->core().signals_accepted = 100;
    const PipelineView before = read_view(*segment_);
    publish("orders", OrderSlot{}, 2);
    segment_->core().signals_accepted = 350;
    const PipelineView now = read_view(*segment_);
    const std::string text = render_stat(now, &before, seconds(2), {});
    EXPECT_NE(text.find("signals 350 (125/s)"), std::string::npos) << text;
    // 4 of 8 slots are free and 1 a second goes in.
    EXPECT_NE(text.find("1/s     0/s   4.00s"), std::string::npos) << text;
    EXPECT_EQ(render_stat(now, nullptr, seconds(2), {}).find("125/s"), std::string::npos);
    publish("orders", OrderSlot{}, 4);
    EXPECT_NE(render_stat(read_view(*segment_), nullptr, Nanos{}, {}).find("   FULL"),
              std::string::npos);
}

TEST_F(View, KeepsTheTimeToFullOnANarrowScreenHoweverLargeTheCounts) {
    auto ring = segment_->ring<OrderSlot>("orders");
    // As after 4 * 10^12 records: the cursors far on, and all slots of the lap before.
    constexpr std::uint64_t kFar = 4'000'000'000'000;
    for (std::uint64_t n = kFar - 7; n <= kFar; ++n) {
        ring.slot(n).sequence = n;
    }
    RingControl<>& control = segment_->ring_control(segment_->find_ring("orders"));
    control.read_cursor = kFar;
    control.full_stalls = 1'000'000'000;
    const PipelineView before = read_view(*segment_);
    publish("orders", OrderSlot{}, 4);
    const PipelineView now = read_view(*segment_);
    RenderOptions o;
    o.height = 40;
    for (const std::string& text :
         {render_top(now, &before, seconds(2), o), render_rings(now, &before, seconds(2), o, 0)}) {
        EXPECT_NE(text.find("2.00s\n"), std::string::npos) << text;
        EXPECT_NE(text.find("FULL IN\n"), std::string::npos) << text;
        EXPECT_NE(text.find(" 1.00G "), std::string::npos) << text;
    }
}

TEST_F(View, TakesNoRatesFromAnotherSegment) {
    PipelineView before = read_view(*segment_);
    before.header.uuid = "other";
    segment_->core().signals_accepted = 10;
    const std::string text = render_stat(read_view(*segment_), &before, seconds(1), {});
    EXPECT_EQ(text.find("10/s"), std::string::npos);
}

TEST_F(View, SaysWhatNeedsALook) {
    CoreCells& core = segment_->core();
    core.journal_state = static_cast<std::uint32_t>(JournalState::Poisoned);
    core.replica_hash_mismatch = 77;
    core.in_doubt = 3;
    core.sqlite_errors = 4;
    core.journal_seq = 900;
    core.sqlite_seq = 850;
    const std::string text = render_stat(read_view(*segment_), nullptr, Nanos{}, {});
    for (const char* part :
         {"journal poisoned", "HASH DIFFERS AT 77", "in doubt 3", "sqlite -50  ERRORS 4"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
}

TEST_F(View, ShowsWhoIsKilledAndWhoIsBusyAndWhenItWasHeardOnEightyColumns) {
    constexpr std::uint64_t kFirstOfEpoch = 1ULL << 20;
    PipelineView v = read_view(*segment_);
    for (std::uint32_t link = 0; link <= static_cast<std::uint32_t>(LinkState::AuthRejected);
         ++link) {
        SessionStat s;
        s.account = link;
        s.login = 10'000'000'000'000ULL;
        s.link = link;
        s.state = static_cast<std::uint32_t>(AccountState::Reconciling);
        s.killed = 1;
        s.busy = true;
        s.claimed = UINT64_MAX;
        s.done = 4'000'000'000'000;
        s.acked = 8;
        s.generation = 200 * kFirstOfEpoch + 31;
        s.fills = 1'234'567;
        s.heard_age_ns = 1'290'000'000;
        v.sessions.push_back(s);
    }
    RenderOptions o;
    o.height = 60;
    const std::string text = render_top(v, nullptr, Nanos{}, o);
    const auto count = [&](const std::string& words) {
        std::size_t n = 0;
        for (std::size_t at = text.find(words); at != std::string::npos;
             at = text.find(words, at + 1)) {
            ++n;
        }
        return n;
    };
    EXPECT_EQ(count(" KILL BUSY"), v.sessions.size()) << text;
    EXPECT_EQ(count(" 200.31 "), v.sessions.size()) << text;
    EXPECT_EQ(count(" 1.29s\n"), v.sessions.size()) << text;
    EXPECT_EQ(count("  HEARD\n"), 1U) << text;
    o.width = 120;
    EXPECT_NE(render_top(v, nullptr, Nanos{}, o).find("KILL BUSY RECONCILING"), std::string::npos);
}

TEST_F(View, FitsTheScreenHoweverMuchThereIsToShow) {
    for (std::uint32_t i = 0; i < kStages; ++i) {
        play_stage(static_cast<StageId>(i), StageState::Running);
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
        segment_->session(AccountId{i}).login = 10'000'000'000'000ULL + i;
    }
    for (std::uint32_t i = 0; i < kHops; ++i) {
        segment_->hop(static_cast<Hop>(i)).record(5'000'000);
    }
    for (int i = 0; i < 30; ++i) {
        segment_->report_error("broker",
                               "error number " + std::to_string(i) + std::string(90, 'x'));
    }
    segment_->core().journal_seq = 18'000'000'000'000'000'000ULL;
    const PipelineView v = read_view(*segment_);
    for (const unsigned height : {24U, 10U, 60U}) {
        RenderOptions o;
        o.height = height;
        const std::string text = render_top(v, &v, seconds(1), o);
        EXPECT_LE(lines_of(text), height);
        std::size_t from = 0;
        for (std::size_t end = text.find('\n'); end != std::string::npos;
             from = end + 1, end = text.find('\n', from)) {
            EXPECT_LE(end - from, 80U) << text.substr(from, end - from);
        }
    }
}

TEST(HumanWords, StayShortAndExactAtEveryEdge) {
    EXPECT_EQ(human_ns(-1), "-");
    EXPECT_EQ(human_ns(999), "999ns");
    EXPECT_EQ(human_ns(1'000), "1.00us");
    EXPECT_EQ(human_ns(999'499), "999us");
    EXPECT_EQ(human_ns(999'500), "1.00ms");
    EXPECT_EQ(human_ns(12'345'678), "12.3ms");
    EXPECT_EQ(human_ns(59'000'000'000), "59.0s");
    EXPECT_EQ(human_ns(185'000'000'000), "3m05s");
    EXPECT_EQ(human_ns(8'040'000'000'000), "2h14m");
    EXPECT_EQ(human_count(999), "999");
    EXPECT_EQ(human_count(12'345), "12.3k");
    EXPECT_EQ(human_count(999'500), "1.00M");
}

}  // namespace
}  // namespace millrace::inspect
