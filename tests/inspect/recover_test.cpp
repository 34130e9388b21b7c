// Goal: recover --dry-run says what a start does with each segment that it may find, above all with
// one that looks well until its cursors are checked. Method: one fault at a time; what the start's
// own attaching says stands beside it.
#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"
#include "tests/inspect/owner.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;

class DryRun : public SegmentFixture {
protected:
    void SetUp() override {
        SegmentFixture::SetUp();
        std::filesystem::create_directory(journal_dir());
        auto journal =
            RingProducer<JournalRecord>::attach(segment_->ring<JournalRecord>("journal"));
        ASSERT_TRUE(journal.ok());
        for (std::uint64_t seq = 1; seq <= 5; ++seq) {
            JournalRecord r{};
            r.seq = Sequence{seq};
            r.type = InputType::Continue;
            ASSERT_TRUE(journal.value().try_publish(r).ok());
        }
        segment_->core().completed = segment_->core().journal_seq = 5;
    }
    [[nodiscard]] std::string journal_dir() const { return (dir_ / "journal").string(); }
    void damage(const std::string& ring) {
        segment_->ring_control(segment_->find_ring(ring)).read_cursor = 100'000;
    }
    /// What a start's attaching answers.
    [[nodiscard]] Errc attaching() const {
        std::string message;
        return Segment::attach(path_, Segment::Mode::ReadWrite, message).code();
    }
    [[nodiscard]] json plan(int status) const {
        return run_json("recover", {"recover", "--dry-run", path_, "--journal", journal_dir()},
                        status);
    }
    static bool says(const json& steps, const std::string& words) {
        return steps.dump().find(words) != std::string::npos;
    }
};

TEST_F(DryRun, GoesOnInASegmentWhoseRingsAreSound) {
    EXPECT_EQ(attaching(), Errc::Ok);
    const json p = plan(0);
    EXPECT_EQ(p["rungs"][0]["taken"], true);
    EXPECT_TRUE(p["set_aside"].is_null());
    EXPECT_TRUE(p["lost_from"].is_null());
}

TEST_F(DryRun, PutsASegmentAsideForARingThatContradictsItselfAndNamesWhatIsLostWithIt) {
    for (const char* ring : {"orders", "journal", "admin", "reports"}) {
        const auto& control = segment_->ring_control(segment_->find_ring(ring));
        const std::uint64_t before = control.read_cursor.load();
        damage(ring);
        EXPECT_EQ(attaching(), Errc::BadCursor) << ring;
        const json p = plan(1);
        EXPECT_EQ(p["rungs"][0]["taken"], false) << ring;
        EXPECT_NE(p["rungs"][0]["why"].get<std::string>().find(ring), std::string::npos);
        EXPECT_EQ(p["set_aside"], path_ + ".unusable") << ring;
        EXPECT_EQ(p["lost_from"], 1) << ring;
        EXPECT_EQ(p["lost_to"], 5) << ring;
        EXPECT_TRUE(p["refusal"].is_null()) << ring;
        EXPECT_TRUE(says(p["steps"], "make a new segment")) << ring;
        segment_->ring_control(segment_->find_ring(ring)).read_cursor = before;
    }
    EXPECT_EQ(attaching(), Errc::Ok);
}

TEST_F(DryRun, CountsWhatIsLostByTheFurthestOfRingAndCells) {
    damage("journal");  // it says nothing then
    segment_->core().journal_seq = 8;
    EXPECT_EQ(plan(1)["lost_to"], 8);
    segment_->core().completed = 9;
    EXPECT_EQ(plan(1)["lost_to"], 9);
}

TEST_F(DryRun, SaysWhatAnHeirPublishesAndTheJournalWritesAgain) {
    segment_->core().completed = 4;
    segment_->core().durable = 3;
    const json p = plan(0);
    EXPECT_TRUE(says(p["steps"], "publish what 5 to 5 should have put out")) << p.dump(1);
    EXPECT_TRUE(says(p["steps"], "2 records are written again from the ring")) << p.dump(1);
    segment_->core().completed = segment_->core().durable = 5;
    const json done = plan(0);
    EXPECT_FALSE(says(done["steps"], "should have put out")) << done.dump(1);
    EXPECT_TRUE(says(done["steps"], "0 records are written again")) << done.dump(1);
}

TEST_F(DryRun, ReplaysFromARingThatIsFullOfRecordsThatNoFileHas) {
    auto journal = RingProducer<JournalRecord>::attach(segment_->ring<JournalRecord>("journal"));
    ASSERT_TRUE(journal.ok());
    std::uint64_t seq = 5;
    while (journal.value().free_slots() > 0) {
        JournalRecord r{};
        r.seq = Sequence{++seq};
        r.type = InputType::Continue;
        ASSERT_TRUE(journal.value().try_publish(r).ok());
    }
    segment_->core().completed = segment_->core().journal_seq = seq;
    const json p = plan(0);
    EXPECT_TRUE(p["refusal"].is_null()) << p.dump(1);
    EXPECT_TRUE(says(p["steps"], "replay 1 to 16 from the journal ring")) << p.dump(1);
}

TEST_F(DryRun, IsRefusedWhileStagesLiveBesideASegmentThatIsOfNoUse) {
    damage("orders");
    {
        const Owner broker{journal_dir(), "broker"};
        const json p = plan(1);
        EXPECT_EQ(p["alive"].size(), 1U);
        EXPECT_NE(p["refusal"].get<std::string>().find("alive"), std::string::npos) << p.dump(1);
    }
    EXPECT_TRUE(plan(1)["refusal"].is_null()) << "as soon as nobody lives";
}

TEST_F(DryRun, SeesEveryRoleThatAStartLooksFor) {
    for (const char* role : {"engine", "replica", "journal", "broker", "ingress", "sqlite", "redis",
                             "rtss", "clickhouse"}) {
        const Owner owner{journal_dir(), role};
        EXPECT_EQ(plan(0)["alive"].size(), 1U) << role;
    }
}

TEST_F(DryRun, GoesOnWithADamagedRingOfOneSourceOrAccountAndSaysWhoIsStopped) {
    for (const char* ring : {"signals.alpha", "session.2"}) {
        damage(ring);
        EXPECT_EQ(attaching(), Errc::Ok);
        const json p = plan(0);
        EXPECT_EQ(p["rungs"][0]["taken"], true);
        EXPECT_TRUE(says(p["steps"], std::string{"belongs to: ring "} + ring)) << p.dump(1);
    }
}

TEST_F(DryRun, IsRefusedByASegmentOfAnotherBuildOrOfAnotherJournal) {
    std::filesystem::create_directory(dir_ / "other");
    const std::string other = (dir_ / "other").string();
    const json foreign =
        run_json("recover", {"recover", "--dry-run", path_, "--journal", other}, 1);
    EXPECT_NE(foreign["refusal"].get<std::string>().find("belongs to"), std::string::npos);
    EXPECT_TRUE(foreign["steps"].empty()) << foreign.dump(1);
    segment_->shared_header().layout_version += 1;
    EXPECT_EQ(attaching(), Errc::BadVersion);
    const json newer = plan(1);
    EXPECT_NE(newer["refusal"].get<std::string>().find("layout version"), std::string::npos);
    EXPECT_TRUE(newer["set_aside"].is_null()) << "its rings may hold what no file has";
}

TEST_F(DryRun, TellsThatTheLossOfAnUnreadableSegmentCannotBeTold) {
    segment_->shared_header().magic = 1;
    EXPECT_EQ(attaching(), Errc::BadMagic);
    const json p = plan(0);
    EXPECT_EQ(p["set_aside"], path_ + ".unusable");
    EXPECT_TRUE(says(p["steps"], "cannot be read")) << p.dump(1);
}

}  // namespace

/// Segments in which nothing was journalled yet.
class DryRunOfANewSegment : public SegmentFixture {};

TEST_F(DryRunOfANewSegment, GoesOnInItAsInANewOneAlsoAfterALoneJump) {
    std::filesystem::create_directory(dir_ / "journal");
    const auto begins_anew = [&] {
        const json p = run_json("recover", {"recover", "--dry-run", path_});
        EXPECT_EQ(p["steps"][0], "go on in the segment, as in a new one") << p.dump(1);
        EXPECT_TRUE(p["set_aside"].is_null());
    };
    begins_anew();
    JournalRecord jump{};
    jump.seq = Sequence{70};
    jump.type = InputType::Jump;
    publish("journal", jump);
    begins_anew();
}

}  // namespace millrace::inspect
