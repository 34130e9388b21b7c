// Goal: a backup and what was shipped behind it make the store as it was at the last record that
// was shipped, whatever is cut off, damaged, full or of another log; what cannot be read is named.
// Method: a real effects log of a known history; the store compared row by row with one written in
// one go.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "persist/effects_files.h"
#include "persist/log_shipper.h"
#include "persist/shipped_records.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_files.h"
#include "tests/sqlite/effects.h"
#include "tests/sqlite/failing_flush.h"

namespace millrace::sqlite_test {
namespace {

namespace fs = std::filesystem;

class Shipping : public SqliteFixture {
protected:
    void SetUp() override {
        SqliteFixture::SetUp();
        fs::create_directory(log());
    }
    [[nodiscard]] std::string log() const { return dir_ + "/journal"; }
    [[nodiscard]] std::string backups() const { return dir_ + "/backups"; }
    [[nodiscard]] std::string folder() const { return shipped_folder(backups()); }
    [[nodiscard]] LogShipperOptions shipper() const {
        LogShipperOptions o;
        o.log = log();
        o.backups = backups();
        o.file_bytes = 32 << 10;  // many files
        o.behind_grace = seconds(2);
        return o;
    }

    /// Records up to `last` in the effects log; both numbers of a record with effects.
    void write_log(std::uint64_t last, std::uint64_t salt = 0) {
        std::string message;
        auto opened = EffectsWriter::open(log(), {16 << 10}, message);
        ASSERT_TRUE(opened.ok()) << message;
        EffectsWriter& writer = opened.value();
        for (std::uint64_t seq = writer.last_mark().seq.value + 1; seq <= last; ++seq) {
            for (const Effect& effect : effects_of(seq, salt)) {
                ASSERT_TRUE(writer.append(effect).ok());
            }
            ASSERT_TRUE(writer.end_of_record({1, Sequence{seq}, chain_at(seq, salt)}).ok());
        }
        ASSERT_TRUE(writer.flush().ok());
    }
    /// A backup of a store that has come to `last`.
    void back_up(std::uint64_t last, std::uint64_t salt = 0) {
        SqliteBackupOptions o;
        o.store = dir_ + "/store-" + std::to_string(last) + ".db";
        o.dir = backups();
        SqliteStore store;
        ASSERT_TRUE(store.open({o.store, false, false, 250}).ok()) << store.message();
        std::vector<Effect> all;
        for (std::uint64_t seq = 1; seq <= last; ++seq) {
            const auto effects = effects_of(seq, salt);
            all.insert(all.end(), effects.begin(), effects.end());
        }
        ASSERT_TRUE(store.store(all, cursor_at(last, salt), Nanos{1}).ok()) << store.message();
        store.close();
        std::string message;
        ASSERT_TRUE(make_sqlite_backup(o, message).ok()) << message;
    }
    /// Turns until nothing more is to be done at once.
    void ship(LogShipping& shipping) {
        do {
            now_ = now_ + millis(250);
        } while (shipping.turn(now_));
    }
    void ship() {
        LogShipping shipping{*segment_, shipper()};
        ship(shipping);
    }
    /// The newest backup with what was shipped behind it.
    ShippedRecords restore() {
        const std::string to = dir_ + "/restored.db";
        EXPECT_TRUE(sqlite_remove(to).ok());
        std::string message;
        const auto all = list_sqlite_backups(backups());
        EXPECT_FALSE(all.empty());
        EXPECT_TRUE(restore_sqlite_backup(all.back().path, to, {}, message).ok()) << message;
        const auto added = add_shipped_records(folder(), to, message);
        EXPECT_TRUE(added.ok()) << message;
        return added.ok() ? added.value() : ShippedRecords{};
    }
    /// That the store that restore() made is as that history was at its own cursor.
    void expect_sound(const ShippedRecords& made, std::uint64_t salt = 0) {
        EXPECT_TRUE(holds(dir_ + "/restored.db", expected_dump(dir_, made.upto.seq.value, salt)));
        EXPECT_EQ(made.upto, cursor_at(made.upto.seq.value, salt));
    }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> paths;
        const auto numbers = effects::list(folder());
        for (std::size_t i = 0; numbers.ok() && i < numbers.value().size(); ++i) {
            paths.push_back(effects::path_of(folder(), numbers.value()[i]));
        }
        return paths;
    }
    static void flip(const std::string& path, std::uint64_t at) {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(static_cast<std::streamoff>(at));
        const char was = static_cast<char>(file.get());
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(was ^ 0x10));
    }
};

TEST_F(Shipping, MakesOfABackupTheStoreAsItWasAtTheLastRecordShipped) {
    write_log(306);
    back_up(306);
    LogShipping shipping{*segment_, shipper()};
    ship(shipping);
    EXPECT_EQ(restore().upto.seq.value, 306U) << "there is nothing newer";
    write_log(1'200);
    ship(shipping);
    EXPECT_EQ(shipping.shipped().value, 1'200U);
    EXPECT_EQ(shipped_upto(folder()).value, 1'200U);
    EXPECT_GT(files().size(), 2U);
    const ShippedRecords made = restore();
    EXPECT_EQ(made.upto, cursor_at(1'200)) << made.end;
    EXPECT_EQ(made.end, "");
    expect_sound(made);
    EXPECT_EQ(error_log(), "");
    const std::uint64_t next = effects::list(folder()).value().back() + 1;
    std::ofstream{effects::path_of(folder(), next)} << std::string(96, '\0');
    EXPECT_EQ(shipped_upto(folder()).value, 1'200U) << "power was cut while a file was begun";
}

TEST_F(Shipping, BeginsWithTheLogsFirstRecordWhereThereIsNoBackupYet) {
    LogShipping shipping{*segment_, shipper()};
    ship(shipping);
    write_log(600);
    ship(shipping);
    back_up(306);
    EXPECT_EQ(restore().upto, cursor_at(600));
    EXPECT_EQ(error_log(), "");
}

TEST_F(Shipping, GoesOnWhereItWasAfterACutAtAnyPlace) {
    write_log(306);
    back_up(306);
    write_log(600);
    ship();
    const std::string last = files().back();
    for (std::uint64_t cut = 1; cut < fs::file_size(last); cut += 2503) {
        fs::resize_file(last, fs::file_size(last) - cut);
        const ShippedRecords torn = restore();
        EXPECT_GE(torn.upto.seq.value, 306U);
        EXPECT_EQ(torn.end.find("DAMAGED"), std::string::npos) << torn.end;
        expect_sound(torn);
        ship();
        EXPECT_EQ(restore().upto, cursor_at(600)) << cut << " bytes had been cut off";
    }
    EXPECT_EQ(error_log(), "");
}

TEST_F(Shipping, NamesDamageAndTakesWhatIsBeforeIt) {
    write_log(306);
    back_up(306);
    write_log(1'200);
    ship();
    ASSERT_GT(files().size(), 3U);
    for (const std::size_t file : {std::size_t{1}, files().size() - 1}) {
        const std::string path = files()[file];
        for (const std::uint64_t at : {std::uint64_t{20}, fs::file_size(path) / 2}) {
            flip(path, at);
            const ShippedRecords made = restore();
            EXPECT_LT(made.upto.seq.value, 1'200U) << path << " at " << at;
            EXPECT_NE(made.end.find(at < sizeof(EffectsHeader) ? "" : "DAMAGED"), std::string::npos)
                << made.end;
            EXPECT_NE(made.end.find(at < sizeof(EffectsHeader) ? folder() : path),
                      std::string::npos)
                << made.end;
            expect_sound(made);
            flip(path, at);
        }
    }
    EXPECT_EQ(restore().upto, cursor_at(1'200));
}

TEST_F(Shipping, SetsAsideWhatIsOfAnotherLogAndNeverAddsItToABackup) {
    write_log(600, 7);
    ship();
    fs::remove_all(log());
    fs::create_directory(log());
    write_log(1'200);
    back_up(306);
    EXPECT_EQ(restore().upto.seq.value, 306U) << "of the other log";
    back_up(906);
    LogShipping shipping{*segment_, shipper()};
    ship(shipping);
    ship(shipping);
    EXPECT_TRUE(errors_mention("set aside as " + folder() + ".stale: it is of another log"))
        << error_log();
    EXPECT_EQ(shipped_upto(folder() + ".stale").value, 600U);
    EXPECT_EQ(restore().upto, cursor_at(1'200));
}

TEST_F(Shipping, WaitsForALogThatThePowerCutAndSetsAsideWhatItNeverComesTo) {
    write_log(600);
    ship();
    fs::remove_all(log());
    fs::create_directory(log());
    write_log(306);
    LogShipping shipping{*segment_, shipper()};
    for (int i = 0; i < 40; ++i) {
        ship(shipping);
    }
    EXPECT_EQ(error_log(), "") << "the replica has not come there yet";
    write_log(612);
    ship(shipping);
    EXPECT_EQ(shipping.shipped().value, 612U);
    fs::remove_all(log());
    fs::create_directory(log());
    write_log(306);
    replica_is_at(306);
    LogShipping shorter{*segment_, shipper()};
    for (int i = 0; i < 40 && !fs::exists(folder() + ".stale"); ++i) {
        ship(shorter);
    }
    EXPECT_TRUE(errors_mention("it is ahead of the effects log")) << error_log();
}

TEST_F(Shipping, LeavesWhatNoBackupGoesOnFromAndBeginsAnewWhereRetentionWasFaster) {
    write_log(306);
    back_up(306);
    write_log(1'200);
    LogShipping shipping{*segment_, shipper()};
    ship(shipping);
    const std::size_t before = files().size();
    back_up(906);
    fs::remove(list_sqlite_backups(backups()).front().path);
    now_ = now_ + seconds(10);
    ship(shipping);
    EXPECT_LT(files().size(), before);
    EXPECT_EQ(restore().upto, cursor_at(1'200));
    write_log(2'406);
    std::string message;
    auto writer = EffectsWriter::open(log(), {16 << 10}, message);
    ASSERT_TRUE(writer.ok()) << message;
    ASSERT_TRUE(writer.value().retain(Sequence{1'806}, UINT64_MAX).ok());
    ship(shipping);
    LogShipping later{*segment_, shipper()};
    ship(later);
    ship(later);
    EXPECT_EQ(later.shipped().value, 2'406U) << error_log();
    const ShippedRecords gap = restore();
    EXPECT_EQ(gap.upto, cursor_at(1'200)) << "what lies behind the gap is not for this backup";
    EXPECT_NE(gap.end.find("are lost"), std::string::npos) << gap.end;
    back_up(2'106);
    EXPECT_EQ(restore().upto, cursor_at(2'406));
}

TEST_F(Shipping, ToADiskThatIsFullIsAnAlertAndGoesOnWhenThereIsRoom) {
    write_log(306);
    back_up(306);
    LogShipperOptions o = shipper();
    o.file_bytes = 8 << 20;
    LogShipping shipping{*segment_, o};
    ship(shipping);
    write_log(1'200);
    {
        const FileSizeLimit full{fs::file_size(files().back()) + 10'000};
        for (int i = 0; i < 10; ++i) {
            ship(shipping);
        }
    }
    EXPECT_TRUE(errors_mention("ALERT nothing is shipped to " + folder())) << error_log();
    EXPECT_TRUE(errors_mention("File too large")) << error_log();
    const ShippedRecords until_then = restore();
    EXPECT_LT(until_then.upto.seq.value, 1'200U);
    expect_sound(until_then);
    for (int i = 0; i < 30; ++i) {
        ship(shipping);
    }
    EXPECT_EQ(restore().upto, cursor_at(1'200));
    EXPECT_TRUE(errors_mention("shipped to " + folder() + " again")) << error_log();
}

TEST_F(Shipping, LeavesTheLogsOwnDiskItsRoom) {
    write_log(306);
    back_up(306);
    LogShipperOptions o = shipper();
    o.free_floor_bytes = UINT64_MAX / 2;
    LogShipping none{*segment_, o};
    ship(none);
    EXPECT_TRUE(errors_mention("ALERT nothing is shipped to " + folder() + ": too little room"))
        << error_log();
    EXPECT_TRUE(files().empty());
    o.free_floor_bytes = 1;
    LogShipping shipping{*segment_, o};
    write_log(600);
    ship(shipping);
    EXPECT_EQ(restore().upto, cursor_at(600));
}

TEST_F(Shipping, RemovesWhatNoBackupGoesOnFromWhereThereIsTooLittleRoom) {
    write_log(306);
    back_up(306);
    write_log(1'200);
    ship();
    const std::size_t before = files().size();
    back_up(906);
    fs::remove(list_sqlite_backups(backups()).front().path);
    LogShipperOptions o = shipper();
    o.free_floor_bytes = UINT64_MAX / 2;
    LogShipping none{*segment_, o};
    ship(none);
    EXPECT_TRUE(errors_mention("too little room")) << error_log();
    EXPECT_LT(files().size(), before) << "it may be all that is in the way";
    EXPECT_EQ(restore().upto, cursor_at(1'200));
}

TEST_F(Shipping, RemovesWhatIsBehindEveryBackupOfItsOwnLogWhereThereIsTooLittleRoom) {
    write_log(306);
    back_up(306);
    write_log(1'200);
    ship();
    const std::size_t before = files().size();
    ASSERT_GT(before, 2U);
    fs::remove(list_sqlite_backups(backups()).front().path);
    LogShipperOptions o = shipper();
    o.free_floor_bytes = UINT64_MAX / 2;
    LogShipping none{*segment_, o};
    back_up(1'506, 7);  // of another log
    now_ = now_ + seconds(10);
    ship(none);
    EXPECT_EQ(files().size(), before) << "a backup of a store that is behind may still come";
    write_log(1'500);
    back_up(1'500);
    now_ = now_ + seconds(10);
    ship(none);
    EXPECT_LT(files().size(), before) << "it may be all that is in the way";
    write_log(1'800);
    ship();
    EXPECT_EQ(restore().upto, cursor_at(1'800)) << "what comes is shipped behind the rest";
}

TEST_F(Shipping, NamesTheBackupThatItKeepsEverythingFor) {
    write_log(306);
    back_up(306);
    write_log(1'200);
    LogShipping shipping{*segment_, shipper()};
    ship(shipping);
    const std::string odd = backups() + "/store-0000000000-00000000000000000306.mrb";
    fs::create_symlink(odd, odd);  // cannot be read, and is not gone
    back_up(906);
    fs::remove(list_sqlite_backups(backups())[1].path);
    const std::size_t before = files().size();
    for (int i = 0; i < 3; ++i) {
        now_ = now_ + seconds(10);
        ship(shipping);
    }
    EXPECT_EQ(files().size(), before);
    EXPECT_TRUE(errors_mention("1 x " + folder() + " keeps all that it has: whether " + odd))
        << error_log();
    fs::remove(odd);
    now_ = now_ + seconds(10);
    ship(shipping);
    EXPECT_LT(files().size(), before);
    EXPECT_EQ(restore().upto, cursor_at(1'200));
}

TEST_F(Shipping, WritesAnewTheLastFileWhereTheFirstFlushAfterAStartFails) {
    write_log(306);
    back_up(306);
    write_log(1'200);
    ship();
    const auto before = files();
    ASSERT_GT(before.size(), 2U);
    FailingFlush disk{folder()};
    const auto start = [&] {
        disk.fail_after(0);
        LogShipping shipping{*segment_, shipper()};
        for (int i = 0; i < 10; ++i) {
            ship(shipping);
        }
        EXPECT_TRUE(disk.failed());
    };
    start();
    EXPECT_EQ(disk.written_from(), 0) << "what a writer before left may not be on the disk";
    EXPECT_EQ(files(), before);
    EXPECT_EQ(restore().upto, cursor_at(1'200));
    fs::remove_all(log());
    fs::create_directory(log());
    write_log(1'800, 3);
    start();
    EXPECT_EQ(shipped_upto(folder() + ".stale").value, 1'200U)
        << "of a log that is lost, nothing is removed: " << error_log();
}

TEST_F(Shipping, WritesAnewWhatAFlushThatFailedMayNotHavePutOnTheDisk) {
    write_log(306);
    back_up(306);
    LogShipperOptions o = shipper();
    o.file_bytes = 8 << 20;  // all in one
    LogShipping shipping{*segment_, o};
    ship(shipping);
    write_log(366);
    FailingFlush disk{folder()};
    ship(shipping);
    ASSERT_GT(disk.flushed(), 0);
    write_log(600);
    disk.fail_after(0);
    ship(shipping);
    ASSERT_TRUE(disk.failed());
    EXPECT_EQ(shipping.shipped().value, 366U);
    EXPECT_TRUE(errors_mention("a flush failed: Input/output error")) << error_log();
    for (int i = 0; i < 10; ++i) {
        ship(shipping);
    }
    EXPECT_EQ(shipping.shipped().value, 600U);
    EXPECT_EQ(disk.written_from(), disk.flushed()) << "nothing that a reader sees is trusted";
    EXPECT_EQ(restore().upto, cursor_at(600));
}

TEST_F(Shipping, GoesOnWhicheverFlushFails) {
    write_log(306);
    back_up(306);
    bool failed = true;
    for (int good = 0; failed; ++good) {
        fs::remove_all(folder());
        FailingFlush disk{folder()};
        LogShipping shipping{*segment_, shipper()};
        disk.fail_after(good);
        for (const std::uint64_t last : {306U, 606U, 1'206U}) {
            write_log(last);
            for (int i = 0; i < 10; ++i) {
                ship(shipping);
            }
        }
        failed = disk.failed();
        EXPECT_EQ(shipping.shipped().value, 1'206U) << good;
        const ShippedRecords made = restore();
        EXPECT_EQ(made.upto, cursor_at(1'206)) << good << ": " << made.end;
        EXPECT_GT(good, failed ? -1 : 5) << "files that end are flushed, too";
    }
    EXPECT_FALSE(fs::exists(folder() + ".stale"));
}

TEST_F(Shipping, KeepsWhatItsOwnBackupsGoOnFromWhateverBackupsOfAnotherLogThereAre) {
    back_up(1'806, 7);  // of a log before, whose numbers are higher
    back_up(6, 7);      // and, of one more, lower
    write_log(306);
    LogShipping shipping{*segment_, shipper()};
    ship(shipping);
    back_up(306);
    write_log(1'200);
    now_ = now_ + seconds(10);
    ship(shipping);
    now_ = now_ + seconds(10);
    ship(shipping);
    EXPECT_EQ(restore().upto, cursor_at(1'200));
    const std::size_t before = files().size();
    back_up(906);
    fs::remove(list_sqlite_backups(backups())[2].path);
    now_ = now_ + seconds(10);
    ship(shipping);
    EXPECT_LT(files().size(), before) << "none of this log's goes on from there";
    EXPECT_EQ(restore().upto, cursor_at(1'200));
    EXPECT_EQ(error_log(), "");
}

TEST_F(Shipping, IsDoneByAThreadOfTheSinksWhateverBecomesOfTheStore) {
    write_log(306);
    back_up(306);
    write_log(600);
    SqliteSinkOptions o = options();
    o.store.path = dir_ + "/nowhere/store.db";  // which cannot be opened
    o.shipper = shipper();
    o.shipper.every = millis(2);
    {
        SqliteSink sink{*segment_, std::make_unique<MemoryLog>(600), o};
        do {
            now_ = now_ + millis(1);
            sink.step(now_);
            ::usleep(1'000);
        } while (now_ < seconds(1'060) && shipped_upto(folder()).value < 600);
        EXPECT_EQ(shipped_upto(folder()).value, 600U);
        EXPECT_TRUE(sink.failing());
    }
    write_log(1'200);
    o.shipper.every = seconds(7'200);
    {
        const SqliteSink ends{*segment_, std::make_unique<MemoryLog>(600), o};
    }
    EXPECT_EQ(restore().upto, cursor_at(1'200)) << "what was there when it ended";
}

}  // namespace
}  // namespace millrace::sqlite_test
