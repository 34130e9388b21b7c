// Goal: while its segment lives, a log is read without a second directory that nobody uses, and
// never if that one may hold some of it. Method: files with headers alone, two directories that are
// one log, and the second one taken away.
#include <array>
#include <fstream>

#include "journal_fakes.h"
#include "persist/reservation.h"
#include "persist/second_directory.h"

namespace millrace::testing {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<JournalFileName>;

class SecondGone : public ::testing::Test {
protected:
    void SetUp() override {
        std::string message;
        ASSERT_TRUE(Reservation::succeed(first_.path(), {1, 1, 7}, message).ok()) << message;
        ASSERT_TRUE(pair_directories(first_.path(), second_.path(), message).ok()) << message;
    }
    void TearDown() override { fs::remove_all(away()); }
    [[nodiscard]] std::string away() const { return second_.path() + ".away"; }
    void take_second_away() { fs::rename(second_.path(), away()); }
    /// @param used false: prepared, without a header.
    void put(const JournalFileName& name, bool used = true) const {
        JournalFileHeader header;
        header.epoch = name.epoch;
        header.index = name.index;
        header.first_seq = name.epoch * 100 + name.index;
        header.segment_bytes = 2 * kBlockBytes;
        std::array<std::byte, 2 * kBlockBytes> bytes{};
        if (used) {
            encode_header(header, std::span{bytes}.first(kBlockBytes));
        }
        std::ofstream out{first_.path() + "/" + name.text().data(), std::ios::binary};
        out.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    /// What is listed for a segment whose newest epoch is `epoch`; nothing if it is refused.
    [[nodiscard]] Names listed(std::uint64_t epoch) {
        cells_.epoch = epoch;
        DirectorySource log{first_.path(), DirectorySource::Places::Both, &cells_};
        const auto names = log.list();
        EXPECT_TRUE(names || names.code() == Errc::NotFound) << to_string(names.code());
        return names ? names.value() : Names{};
    }

    TempDir first_;
    TempDir second_;
    CoreCells cells_{};
};

TEST_F(SecondGone, IsDoneWithoutIfTheFirstLacksNoEpochUpToTheSegmentsNewest) {
    const Names all{{1, 0}, {2, 0}, {3, 0}, {3, 1}};
    for (const JournalFileName& name : all) {
        put(name);
    }
    EXPECT_EQ(listed(3), all);
    take_second_away();
    EXPECT_EQ(listed(3), all);
    EXPECT_EQ(listed(4), Names{}) << "its newest epoch is not here";
    EXPECT_EQ(listed(0), Names{}) << "a segment without a journal yet knows nothing";
    DirectorySource nobody_knows{first_.path()};
    EXPECT_EQ(nobody_knows.list().code(), Errc::NotFound);
    fs::create_directories(second_.path());
    EXPECT_EQ(listed(3), all) << "not mounted";
}

TEST_F(SecondGone, LeavesOutWhatAnEpochThatIsNotHereMayHaveVoided) {
    for (const JournalFileName& name : Names{{1, 0}, {2, 0}, {4, 0}, {5, 0}}) {
        put(name);
    }
    put({3, 0}, false);  // prepared here, and then begun in the other one
    take_second_away();
    EXPECT_EQ(listed(5), (Names{{4, 0}, {5, 0}}));
    put({6, 0}, false);
    EXPECT_EQ(listed(5), (Names{{4, 0}, {5, 0}, {6, 0}}));
    EXPECT_EQ(listed(6), Names{}) << "prepared is not begun";
}

TEST_F(SecondGone, IsRefusedIfAnotherLogsDirectoryIsInItsPlace) {
    put({1, 0});
    take_second_away();
    fs::create_directories(second_.path());
    std::string message;
    ASSERT_TRUE(Reservation::succeed(second_.path(), {1, 1, 8}, message).ok()) << message;
    cells_.epoch = 1;
    DirectorySource log{first_.path(), DirectorySource::Places::Both, &cells_};
    EXPECT_EQ(log.list().code(), Errc::BadLayout);
}

}  // namespace
}  // namespace millrace::testing
