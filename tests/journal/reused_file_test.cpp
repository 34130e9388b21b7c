// Goal: nothing that an older life left in a re-used journal file is ever taken for the new one's,
// and damage to what was acknowledged is named there as well. Method: the last file of a log is
// made over each of the older ones in turn; the end is torn at every sector, and every group commit
// of all older files is put where the next one would be. Then the pool itself, on a real disk.
#include "journal_fakes.h"
#include "persist/pwrite_disk.h"
#include "persist/spare_files.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <unistd.h>

namespace millrace::testing {
namespace {

constexpr std::uint64_t kFileBytes = 64 * 1024;
constexpr std::size_t kSectorBytes = 512;

// Six files of commits of many sizes; the last one begun over the bytes of older file `from`.
void write_over(Rig& rig, std::size_t from) {
    ASSERT_TRUE(rig.start(false, {}, kFileBytes));
    bool told = false;
    rig.disk->older_life = [&rig, from, &told](std::vector<std::byte>& content) {
        if (rig.log.files.size() < 6) {
            return false;
        }
        auto older = rig.log.files.begin();
        std::advance(older, static_cast<std::ptrdiff_t>(from));
        content = older->second;
        std::fill_n(content.begin(), kBlockBytes, std::byte{0});
        told = true;
        return true;
    };
    for (std::uint64_t i = 0; rig.log.files.size() < 7; ++i) {
        rig.publish(3 + (i * 7 + from) % 61);
        rig.settle();
    }
    rig.disk->older_life = nullptr;
    ASSERT_TRUE(told);
    // The seventh was prepared when the sixth was begun: fill that up and go a little further.
    const JournalFileName seventh = std::prev(rig.log.files.end())->first;
    while (rig.disk->events.back().file != seventh) {
        rig.publish(29);
        rig.settle();
    }
    rig.publish(12);
    rig.settle();
}

struct Commit {
    std::size_t at;
    std::vector<std::byte> bytes;
};
std::vector<Commit> commits_of(const std::vector<std::byte>& file) {
    std::vector<Commit> found;
    for (std::size_t at = kBlockBytes; at < file.size(); at += kBlockBytes) {
        const auto head = parse_commit(std::span{file}.subspan(at));
        if (head.ok()) {
            const auto bytes = std::span{file}.subspan(at, head.value().bytes);
            found.push_back({at, {bytes.begin(), bytes.end()}});
        }
    }
    return found;
}

class OverEachOlderFile : public ::testing::TestWithParam<std::size_t> {
protected:
    void SetUp() override {
        write_over(rig_, GetParam());
        ASSERT_FALSE(HasFatalFailure());
        live_ = std::prev(rig_.log.files.end())->first;
        if (live_ != rig_.disk->events.back().file) {  // the next one is prepared already
            rig_.log.files.erase(live_);
            live_ = std::prev(rig_.log.files.end())->first;
        }
        const auto header = decode_header(file());
        ASSERT_TRUE(header.ok());
        ASSERT_TRUE(reused(header.value()));
    }
    std::vector<std::byte>& file() { return rig_.log.files.at(live_); }
    // Where the next commit would begin.
    std::size_t end() {
        std::size_t at = kBlockBytes;
        for (const Commit& c : commits_of(file())) {
            const auto head = parse_commit(c.bytes).value();
            at =
                head.epoch == live_.epoch && head.index == live_.index ? c.at + c.bytes.size() : at;
        }
        return at;
    }
    Rig rig_;
    JournalFileName live_;
};

TEST_P(OverEachOlderFile, EndsBehindItsOwnLastCommitWithoutCallingItTorn) {
    const Scan s = scan(rig_.log);
    EXPECT_EQ(s.status, ReadStatus::End) << s.place.what;
    EXPECT_EQ(s.last, rig_.durable());
    EXPECT_EQ(s.place.code, Errc::Ok) << s.place.what;
}

TEST_P(OverEachOlderFile, TakesNoOlderCommitAtTheEndForItsOwn) {
    const std::size_t at = end();
    const std::vector<std::byte> was = file();
    std::size_t tried = 0;
    for (const auto& [name, older] : rig_.log.files) {
        for (const Commit& c : commits_of(older)) {
            if (name == live_ || at + c.bytes.size() > was.size()) {
                continue;
            }
            std::copy(c.bytes.begin(), c.bytes.end(),
                      file().begin() + static_cast<std::ptrdiff_t>(at));
            const Scan s = scan(rig_.log);
            ASSERT_EQ(s.status, ReadStatus::End) << s.place.what;
            ASSERT_EQ(s.last, rig_.durable());
            file() = was;
            ++tried;
        }
    }
    EXPECT_GT(tried, 40U);
}

// Sectors that were dropped show the older life; or, worse, a part of any older commit.
TEST_P(OverEachOlderFile, RecoversFromAWriteTornAtEverySector) {
    const std::uint64_t durable = rig_.durable();
    const std::vector<std::byte> before = file();
    rig_.disk->hold = true;
    rig_.publish(30);
    (void)rig_.stage->step(Nanos{1});
    const DiskEvent write = rig_.disk->events.back();
    ASSERT_EQ(write.kind, DiskEvent::Kind::Submit);
    if (write.file != live_ || write.bytes.size() > 2 * kBlockBytes) {
        GTEST_SKIP() << "this layout ended at the end of the file";
    }
    const std::size_t sectors = write.bytes.size() / kSectorBytes;
    std::vector<std::vector<std::byte>> olds{
        {before.begin() + static_cast<std::ptrdiff_t>(write.offset), before.end()}};
    for (const auto& [name, older] : rig_.log.files) {
        for (const Commit& c : commits_of(older)) {
            if (name != live_ && c.bytes.size() >= write.bytes.size() && olds.size() < 12) {
                olds.push_back(c.bytes);
            }
        }
    }
    for (const auto& old : olds) {
        const std::size_t masks = std::min<std::size_t>(std::size_t{1} << sectors, 512);
        for (std::size_t mask = 0; mask < masks && old.size() >= write.bytes.size(); ++mask) {
            for (std::size_t i = 0; i < sectors; ++i) {
                const auto& from = (mask >> i & 1U) != 0 ? write.bytes : old;
                std::memcpy(file().data() + write.offset + i * kSectorBytes,
                            from.data() + i * kSectorBytes, kSectorBytes);
            }
            const Scan s = scan(rig_.log, durable - 5);
            ASSERT_EQ(s.status, ReadStatus::End) << mask << " " << s.place.what;
            ASSERT_GE(s.last, durable);
            ASSERT_LE(s.last, durable + 30);
        }
    }
}

TEST_P(OverEachOlderFile, NamesDamageOfWhatWasAcknowledged) {
    const auto commits = commits_of(file());
    for (const Commit& c : commits) {
        const auto head = parse_commit(c.bytes).value();
        if (head.epoch != live_.epoch || head.index != live_.index ||
            head.first_seq + 12 > rig_.durable()) {
            continue;  // older, or the last one: nothing behind it proves it
        }
        for (std::size_t at = c.at; at < c.at + c.bytes.size(); at += 97) {
            file()[at] ^= std::byte{0xFF};
            const Scan s = scan(rig_.log);
            file()[at] ^= std::byte{0xFF};
            if (s.status == ReadStatus::End) {  // the fill: only the last commit is lost by it,
                ASSERT_GE(s.last + 12, rig_.durable()) << at;  // which nothing behind it proves
                continue;
            }
            ASSERT_NE(s.place.what.find(".mrj"), std::string::npos) << s.place.what;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(ReusedFile, OverEachOlderFile, ::testing::Range<std::size_t>(0, 6));

// A follower's window may hold what was there before the write; it must look again.
TEST(ReusedFile, FollowerReadsTheNewCommitAlthoughItHadReadTheOldOneAhead) {
    Rig rig;
    write_over(rig, 2);
    std::string message;
    auto reader = JournalReader::open(rig.log, Sequence{rig.durable() - 3}, {}, message);
    ASSERT_TRUE(reader.ok()) << message;
    std::uint64_t seen = rig.durable() - 3;
    for (int i = 0; i < 60; ++i) {
        while (reader.value().next(Sequence{rig.durable()}, 1) == ReadStatus::Record) {
            ASSERT_EQ(reader.value().record().seq.value, ++seen);
        }
        ASSERT_EQ(seen, rig.durable()) << reader.value().fault().what;
        rig.publish(4);
        rig.settle();
    }
}

TEST(ReusedFile, SaysThatAFileWentToRetentionUnderASlowReader) {
    Rig rig;
    ASSERT_TRUE(rig.start(false, {}, kFileBytes));
    for (int i = 0; i < 60; ++i) {
        rig.publish(31);
        rig.settle();
    }
    std::string message;
    auto reader = JournalReader::open(rig.log, Sequence{0}, {8192}, message);
    ASSERT_TRUE(reader.ok());
    ASSERT_EQ(reader.value().next(), ReadStatus::Record);
    rig.log.files.erase(rig.log.files.begin());
    while (reader.value().next() == ReadStatus::Record) {
    }
    EXPECT_EQ(reader.value().next(), ReadStatus::Corrupt);
    EXPECT_NE(reader.value().fault().what.find("removed"), std::string::npos)
        << reader.value().fault().what;
}

}  // namespace
}  // namespace millrace::testing
