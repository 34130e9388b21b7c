// Goal: recover --dry-run names the right file, and refuses exactly when a record is gone, where a
// record is the first or the last of a file, of the ring or of the log.
// Method: records 1 to 25 in three files, the last 15 in the ring too; snapshots and files are put
// and removed one step before, at and behind each boundary.
#include <algorithm>
#include <fstream>

#include "core/engine.h"
#include "persist/journal_reader.h"
#include "persist/journal_stage.h"
#include "persist/snapshot_file.h"
#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;

constexpr std::uint64_t kFirstOfSecond = 6;
constexpr std::uint64_t kFirstOfThird = 11;  // and the oldest that the ring holds
constexpr std::uint64_t kLast = 25;

class DryRunOverFiles : public SegmentFixture {
protected:
    void SetUp() override {
        SegmentFixture::SetUp();
        std::filesystem::create_directory(journal());
        write_file(1, kFirstOfSecond - 1);
        write_file(kFirstOfSecond, kFirstOfThird - 1);
        write_file(kFirstOfThird, kLast);
        DirectorySource source{journal()};
        const auto log = list_log(source);
        ASSERT_TRUE(log.ok());
        for (const LogFile& f : log.value()) {
            if (f.use == LogFileUse::Used) {
                files_.emplace_back(f.name.text().data());
            }
        }
        ASSERT_EQ(files_.size(), 3U);
    }
    [[nodiscard]] std::string journal() const { return (dir_ / "journal").string(); }

    /// One stage of the journal's life, each record a commit of its own.
    void write_file(std::uint64_t first, std::uint64_t last) {
        CoreCells& core = segment_->core();
        JournalStageOptions options;
        options.directory = journal();
        options.same_segment = first != 1;
        options.backend = JournalBackend::PwriteBuffered;
        std::string message;
        auto stage =
            JournalStage::open(options, segment_->ring<JournalRecord>("journal"), core, message);
        ASSERT_TRUE(stage.ok()) << message;
        for (std::uint64_t seq = first; seq <= last; ++seq) {
            JournalRecord r{};
            r.seq = Sequence{seq};
            r.type = InputType::Continue;
            publish("journal", r);
            core.completed = core.journal_seq = seq;
            while (core.durable != seq) {
                ASSERT_FALSE(stage.value()->poisoned());
                stage.value()->step(Nanos{1});
            }
        }
    }
    class NullPort final : public OutputPort {
        void order(const OrderCommand&) noexcept override {}
        void result(const SignalResult&) noexcept override {}
    };
    /// The only snapshot is now the one of record `seq`; 0 = none.
    void snapshot_at(std::uint64_t seq) {
        const auto snapshots = list_snapshots(journal());
        ASSERT_TRUE(snapshots.ok());
        for (const Sequence old : snapshots.value()) {
            std::filesystem::remove(journal() + "/" + snapshot_name(old));
        }
        if (seq == 0) {
            return;
        }
        Engine engine{{8, 16, 16, 16}};
        NullPort port;
        LogCursor at;
        DirectorySource source{journal()};
        std::string message;
        auto reader = JournalReader::open(source, {}, {}, message);
        ASSERT_TRUE(reader.ok()) << message;
        while (engine.seq().value < seq) {
            ASSERT_EQ(reader.value().next(), ReadStatus::Record);
            engine.apply(reader.value().record(), port);
        }
        at = reader.value().cursor();
        std::vector<std::byte> image;
        engine.save(image);
        ASSERT_TRUE(write_snapshot(journal(), at, image, message)) << message;
    }
    void remove(std::size_t file) { std::filesystem::remove(journal() + "/" + files_[file]); }
    /// What a start would do; with the segment, or as after its loss.
    [[nodiscard]] json plan(bool with_segment, int status = 0) const {
        const std::string name = with_segment ? path_ : path_ + "-lost";
        return run_json("recover", {"recover", "--dry-run", name, "--journal", journal()}, status);
    }
    static bool says(const json& p, const std::string& words) {
        return p["steps"].dump().find(words) != std::string::npos;
    }

    std::vector<std::string> files_;
};

TEST_F(DryRunOverFiles, NamesTheFileThatTheFirstRecordToReplayLiesIn) {
    const struct {
        std::uint64_t snapshot;
        std::size_t file;
    } cases[] = {{0, 0}, {kFirstOfSecond - 2, 0}, {kFirstOfSecond - 1, 1}, {kFirstOfThird - 2, 1}};
    for (const auto& c : cases) {
        snapshot_at(c.snapshot);
        const json p = plan(true);
        EXPECT_TRUE(says(p, "replay " + std::to_string(c.snapshot + 1) +
                                " to 10 from journal files, first " + files_[c.file]))
            << p.dump(1);
        EXPECT_TRUE(says(p, "replay 11 to 25 from the journal ring")) << p.dump(1);
        EXPECT_EQ(p["replay_file"], files_[c.file]);
    }
}

TEST_F(DryRunOverFiles, ReadsNoFileWhereTheRingHoldsAllThatIsBehindTheSnapshot) {
    snapshot_at(kFirstOfThird - 1);
    EXPECT_FALSE(says(plan(true), "from journal files")) << plan(true).dump(1);
    EXPECT_TRUE(says(plan(true), "replay 11 to 25 from the journal ring"));
    snapshot_at(kLast - 1);
    EXPECT_TRUE(says(plan(true), "replay 25 to 25 from the journal ring"));
    snapshot_at(kLast);
    EXPECT_TRUE(says(plan(true), "nothing to replay"));
}

TEST_F(DryRunOverFiles, IsRefusedOnlyIfARecordBehindTheSnapshotIsInNoFile) {
    snapshot_at(kFirstOfSecond - 1);
    remove(0);
    const json reaches = plan(true);
    EXPECT_TRUE(reaches["refusal"].is_null()) << reaches.dump(1);
    EXPECT_TRUE(plan(false)["refusal"].is_null()) << plan(false).dump(1);
}

TEST_F(DryRunOverFiles, IsRefusedIfTheRecordRightBehindTheSnapshotIsGone) {
    snapshot_at(kFirstOfSecond - 2);
    remove(0);
    const json p = plan(true, 1);
    EXPECT_EQ(p["refusal"], "records 5 to 10 are neither in a file nor in the ring");
    EXPECT_NE(plan(false, 1)["refusal"].dump().find("records 5 to 5 are gone"), std::string::npos)
        << plan(false, 1).dump(1);
}

TEST_F(DryRunOverFiles, MindsDamageOnlyInRecordsThatTheRingDoesNotHave) {
    snapshot_at(kFirstOfSecond - 1);
    const auto damage_first_record_of = [&](std::size_t file) {
        std::fstream f{journal() + "/" + files_[file],
                       std::ios::binary | std::ios::in | std::ios::out};
        f.seekp(4096 + 100);
        f.write("damaged!", 8);
        ASSERT_TRUE(f.good());
    };
    damage_first_record_of(2);  // what is left ends with 10, and the ring begins with 11
    EXPECT_TRUE(plan(true)["refusal"].is_null()) << plan(true).dump(1);
}

TEST_F(DryRunOverFiles, RefusesFilesThatEndBeforeWhatASnapshotIsOfAsTheStartDoes) {
    snapshot_at(kLast);
    remove(2);
    const json p = plan(false, 1);
    for (const std::string& words :
         {std::string{"ends at record 10"}, std::string{"record 25 is known to have been durable"},
          snapshot_name(Sequence{kLast}), std::string{"older copies"}}) {
        EXPECT_NE(p["refusal"].dump().find(words), std::string::npos) << p.dump(1);
    }
    EXPECT_EQ(p["rungs"][1]["taken"], false);
    for (std::size_t file = 0; file < 2; ++file) {
        remove(file);
    }
    EXPECT_NE(plan(false, 1)["refusal"].dump().find("ends at record 0"), std::string::npos)
        << plan(false, 1).dump(1);
}

TEST_F(DryRunOverFiles, SaysHowMuchTheyHoldAndOfANewOneWhereItBegins) {
    const auto holds = [&](const std::string& words) {
        const json p = plan(false);
        EXPECT_EQ(p["rungs"][1]["why"], journal() + " " + words) << p.dump(1);
    };
    holds("holds 1 to 25 in 3 files");
    snapshot_at(kFirstOfThird - 1);
    remove(0);
    remove(1);
    holds("holds 11 to 25 in 1 file");
    std::filesystem::resize_file(journal() + "/" + files_[2], 4096);  // its header
    holds("begins at record 11, none is in it yet");
}

TEST_F(DryRunOverFiles, SaysOfALostSegmentWhatIsReplayedUpToTheLogsEnd) {
    snapshot_at(kLast - 1);
    EXPECT_TRUE(says(plan(false), "replay 25 to 25 from journal files, first " + files_[2]))
        << plan(false).dump(1);
    snapshot_at(kLast);
    EXPECT_TRUE(says(plan(false), "nothing to replay")) << plan(false).dump(1);
    snapshot_at(kFirstOfThird - 1);
    EXPECT_EQ(plan(false)["replay_file"], files_[2]) << plan(false).dump(1);
}

}  // namespace
}  // namespace millrace::inspect
