// Goal: the reader gives exactly the valid log, and tells the end from damage. Method: logs made
// by the real stage over a memory disk, then damaged byte by byte.
#include "journal_fakes.h"

namespace millrace::testing {
namespace {

// `commits` group commits of `each` records, every one acknowledged before the next is written.
void write_commits(Rig& rig, int commits, std::uint64_t each) {
    for (int i = 0; i < commits; ++i) {
        rig.publish(each);
        rig.settle();
    }
    ASSERT_EQ(rig.durable(), rig.next_seq - 1);
}

TEST(JournalReader, FindsNothingInAnEmptyDirectory) {
    MemoryLog log;
    const auto s = scan(log);
    EXPECT_EQ(s.status, ReadStatus::End);
    EXPECT_EQ(s.count, 0U);
}

TEST(JournalReader, ReadsEveryRecordOverManyFiles) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 60, 40);
    EXPECT_GT(rig.log.files.size(), 5U);
    const auto s = scan(rig.log);
    EXPECT_EQ(s.status, ReadStatus::End) << s.place.what;
    EXPECT_EQ(s.count, 2400U);
    EXPECT_EQ(s.place.code, Errc::Ok);
}

TEST(JournalReader, StartsBehindAnyRecordWithTheSameChain) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 30, 23);
    std::string message;
    auto all = JournalReader::open(rig.log, Sequence{0}, {}, message);
    ASSERT_TRUE(all.ok());
    while (all.value().next() == ReadStatus::Record) {
        const LogCursor cursor = all.value().cursor();
        auto from = JournalReader::resume(rig.log, cursor, {}, message);
        ASSERT_TRUE(from.ok()) << cursor.seq.value << " " << message;
        if (cursor.seq.value < rig.durable()) {
            ASSERT_EQ(from.value().next(), ReadStatus::Record);
            ASSERT_EQ(from.value().record().seq.value, cursor.seq.value + 1);
        }
    }
}

TEST(JournalReader, RefusesCursorOfAnotherLog) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 3, 10);
    std::string message;
    const auto r = JournalReader::resume(rig.log, {1, Sequence{12}, 0xBAD}, {}, message);
    EXPECT_EQ(r.code(), Errc::BadChain);
    EXPECT_NE(message.find("record 12"), std::string::npos) << message;
    EXPECT_EQ(JournalReader::open(rig.log, Sequence{31}, {}, message).code(), Errc::NotFound);
}

TEST(JournalReader, SaysThatTheLogBeginsLaterWhenOldFilesAreGone) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 40, 40);
    rig.log.files.erase(rig.log.files.begin());
    std::string message;
    EXPECT_EQ(JournalReader::open(rig.log, Sequence{0}, {}, message).code(), Errc::NotFound);
    EXPECT_NE(message.find("does not reach back"), std::string::npos) << message;
}

TEST(JournalReader, FollowsAGrowingLogUpToTheWatermarkOnly) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    std::string message;
    auto reader = JournalReader::open(rig.log, Sequence{0}, {}, message);
    ASSERT_TRUE(reader.ok());
    std::uint64_t seen = 0;
    for (int i = 0; i < 120; ++i) {
        rig.publish(17);
        rig.settle();
        const Sequence up_to{rig.durable() - 5};
        while (reader.value().next(up_to, 1) == ReadStatus::Record) {
            ASSERT_EQ(reader.value().record().seq.value, ++seen);
        }
        ASSERT_EQ(seen, up_to.value) << reader.value().fault().what;
    }
    EXPECT_GT(rig.log.files.size(), 5U);
}

TEST(JournalReader, FollowerLeavesVoidedTailOfTheOldEpochForTheNewFile) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 2, 10);
    std::string message;
    auto reader = JournalReader::open(rig.log, Sequence{0}, {}, message);
    ASSERT_TRUE(reader.ok());
    for (int i = 0; i < 15; ++i) {
        ASSERT_EQ(reader.value().next(Sequence{15}, 1), ReadStatus::Record);
    }
    // Written, on disk, but the writer dies before it says so.
    rig.publish(10);
    (void)rig.stage->step(Nanos{1});
    DiskCompletion lost[4];
    ASSERT_EQ(rig.disk->poll(lost), 1U);
    ASSERT_EQ(rig.durable(), 20U);
    ASSERT_TRUE(rig.start(true)) << rig.message;
    rig.settle();
    ASSERT_EQ(rig.durable(), 30U);
    for (int i = 0; i < 15; ++i) {
        ASSERT_EQ(reader.value().next(Sequence{30}, 2), ReadStatus::Record);
    }
    EXPECT_EQ(reader.value().cursor().epoch, 2U);
    EXPECT_EQ(scan(rig.log).count, 30U);
}

TEST(JournalReader, NamesAcknowledgedRecordsThatTheLogDoesNotHold) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 2, 10);
    std::string message;
    auto reader = JournalReader::open(rig.log, Sequence{20}, {}, message);
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ(reader.value().next(Sequence{21}, 1), ReadStatus::Corrupt);
    EXPECT_NE(reader.value().fault().what.find("records up to 21 were acknowledged"),
              std::string::npos);
    EXPECT_EQ(reader.value().next(Sequence{21}, 1), ReadStatus::Corrupt) << "must stay corrupt";
}

// Everything but the last commit is proven by what follows it: any damage there must be named.
TEST(JournalReader, NamesDamageOfAnyAcknowledgedBlock) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 24, 40);
    ASSERT_GE(rig.log.files.size(), 4U);
    std::size_t damaged = 0;
    for (auto& [name, bytes] : rig.log.files) {
        std::size_t used = bytes.size();
        while (used > 0 && bytes[used - 1] == std::byte{0}) {
            --used;
        }
        for (std::size_t at = 0; at < used; at += 331) {
            if (at >= sizeof(JournalFileHeader) && at < kBlockBytes) {
                continue;  // fill of the header block
            }
            bytes[at] ^= std::byte{0xFF};
            const auto s = scan(rig.log);
            bytes[at] ^= std::byte{0xFF};
            if (s.status == ReadStatus::End) {
                // Only the very last commit has nothing behind it that proves it.
                EXPECT_GE(s.last, rig.durable() - 40) << name.text().data() << " at " << at;
                continue;
            }
            ASSERT_EQ(s.status, ReadStatus::Corrupt);
            EXPECT_NE(s.place.what.find(".mrj"), std::string::npos) << s.place.what;
            ++damaged;
        }
    }
    EXPECT_GT(damaged, 100U);
}

TEST(JournalReader, NamesAMissingFileInTheMiddle) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 40, 40);
    auto middle = rig.log.files.begin();
    ++middle;
    rig.log.files.erase(middle);
    const auto s = scan(rig.log);
    EXPECT_EQ(s.status, ReadStatus::Corrupt);
    EXPECT_NE(s.place.what.find("proves that every record before"), std::string::npos)
        << s.place.what;
}

TEST(JournalReader, RefusesAFileThatWasRenamed) {
    Rig rig;
    ASSERT_TRUE(rig.start(false));
    write_commits(rig, 4, 40);
    auto last = rig.log.files.begin()->second;
    rig.log.files[{9, 9}] = last;
    EXPECT_EQ(scan(rig.log).status, ReadStatus::Corrupt);
}

}  // namespace
}  // namespace millrace::testing
