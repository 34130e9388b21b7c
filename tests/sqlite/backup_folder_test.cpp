// Goal: backups, and what is shipped beside them, go to the folder that they went to before and to
// no other of its name; a file there opens without us; a store whose tables stay another's gets
// backups all the same. Method: the folder taken away as a disk is that is not mounted: what lies
// below it is empty.
#include <lz4frame.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "persist/backup_place.h"
#include "persist/log_shipper.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_restore.h"
#include "tests/sqlite/effects.h"

namespace millrace::sqlite_test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

class BackupFolder : public SqliteFixture {
protected:
    [[nodiscard]] std::string folder() const { return dir_ + "/mnt/backups"; }
    [[nodiscard]] std::string note() const { return backup_note(path_, folder()); }
    [[nodiscard]] SqliteBackupOptions backup_options() const {
        SqliteBackupOptions o;
        o.store = path_;
        o.dir = folder();
        o.note = note();
        return o;
    }
    /// @return what a refusal says; "" if it was made.
    std::string back_up() {
        std::string message;
        return make_sqlite_backup(backup_options(), message).ok() ? "" : message;
    }
    /// The disk at mnt/ is there or is not.
    void unmount() {
        fs::rename(dir_ + "/mnt", dir_ + "/disk");
        fs::create_directory(dir_ + "/mnt");
    }
    void mount() {
        fs::remove_all(dir_ + "/mnt");
        fs::rename(dir_ + "/disk", dir_ + "/mnt");
    }
    [[nodiscard]] bool is_bare() const { return fs::is_empty(dir_ + "/mnt"); }
    void store(std::uint64_t last) { ASSERT_TRUE(run_to(*sink(last), last)) << error_log(); }
    /// Steps `s` until `done`. Its keeper works in a thread of its own, as fast as it may.
    template <class Done>
    bool step_until(SqliteSink& s, Done done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{240};
        while (!done() && std::chrono::steady_clock::now() < deadline) {
            now_ = now_ + millis(5);
            s.step(now_);
            std::this_thread::yield();
        }
        return done();
    }
    [[nodiscard]] SqliteSinkOptions kept() const {
        SqliteSinkOptions o = options();
        o.keeper.dir = folder();
        o.keeper.note = note();
        o.keeper.look_every = Nanos{1};
        o.keeper.every = Nanos{1};
        o.keeper.nice = 0;
        return o;
    }
};

TEST_F(BackupFolder, IsNotedAtItsFirstUseAndRefusedWhereItsDiskIsNotMounted) {
    store(40);
    EXPECT_EQ(back_up(), "");
    ASSERT_TRUE(fs::exists(note()));
    unmount();
    store(60);
    const std::string said = back_up();
    EXPECT_NE(said.find(folder() + " is not the folder that backups went to"), std::string::npos)
        << said;
    EXPECT_NE(said.find("remove " + note()), std::string::npos) << "how to mend it: " << said;
    EXPECT_TRUE(is_bare()) << "something was written below the mount point";
    fs::create_directories(folder());
    EXPECT_NE(back_up(), "") << "an empty folder of that name is not it, either";
    EXPECT_TRUE(fs::is_empty(folder()));
    mount();
    EXPECT_EQ(back_up(), "");
    EXPECT_EQ(list_sqlite_backups(folder()).size(), 2U);
}

TEST_F(BackupFolder, OfAnotherPathOrWithoutANoteIsNotedAnewAndKeepsItsName) {
    store(40);
    EXPECT_EQ(back_up(), "");
    const std::string name = text_of(folder() + "/place");
    const std::string noted = text_of(note());
    EXPECT_EQ(noted, name + folder() + "\n");
    // The host of the note is lost: another one takes the disk as it is.
    fs::remove(note());
    EXPECT_EQ(back_up(), "");
    EXPECT_EQ(text_of(folder() + "/place"), name);
    EXPECT_EQ(text_of(note()), noted);
    std::string message;
    const std::string other = dir_ + "/mnt/other";
    EXPECT_TRUE(claim_backup_place(other, note(), message).ok()) << message;
    EXPECT_NE(text_of(other + "/place"), name);
    EXPECT_TRUE(check_backup_place(other, note(), message).ok()) << message;
    std::ofstream{other + "/place"} << name;
    EXPECT_EQ(check_backup_place(other, note(), message).code(), Errc::IoError)
        << "another one's disk at its place";
    std::ofstream{note()} << "no note\n";
    EXPECT_EQ(claim_backup_place(other, note(), message).code(), Errc::IoError);
    EXPECT_NE(message.find(note()), std::string::npos) << message;
    EXPECT_EQ(backup_note(path_, path_ + ".backups"), "") << "beside the store: on its disk anyway";
}

TEST_F(BackupFolder, GetsNothingShippedBelowItsMountPointAndAllOfItAfterwards) {
    fs::create_directory(dir_ + "/journal");
    LogShipperOptions o;
    o.log = dir_ + "/journal";
    o.backups = folder();
    o.note = note();
    LogShipping shipping{*segment_, o};
    std::string message;
    auto writer = EffectsWriter::open(o.log, {1U << 20U}, message);
    ASSERT_TRUE(writer.ok()) << message;
    std::uint64_t seq = 0;
    const auto grow = [&] {
        for (const std::uint64_t until = seq + 20; seq < until;) {
            ++seq;
            for (const Effect& e : effects_of(seq)) {
                ASSERT_TRUE(writer.value().append(e).ok());
            }
            ASSERT_TRUE(writer.value().end_of_record({1, Sequence{seq}, chain_at(seq)}).ok());
        }
        ASSERT_TRUE(writer.value().flush().ok());
        for (int i = 0; i < 40; ++i) {
            now_ = now_ + millis(250);
            (void)shipping.turn(now_);
        }
    };
    const auto last_with_effects = [&] {
        std::uint64_t last = seq;
        while (effects_of(last).empty()) {
            --last;
        }
        return Sequence{last};
    };
    grow();
    const Sequence before = last_with_effects();
    ASSERT_EQ(shipping.shipped(), before) << error_log();
    unmount();
    grow();
    EXPECT_TRUE(is_bare());
    EXPECT_EQ(shipping.shipped(), before) << "into a file that nobody finds any more";
    EXPECT_TRUE(errors_mention("ALERT nothing is shipped to " + shipped_folder(folder()) + ": " +
                               folder() + " is not the folder"))
        << error_log();
    mount();
    grow();
    EXPECT_EQ(shipping.shipped(), last_with_effects()) << error_log();
}

TEST_F(BackupFolder, ThatIsNotThereIsWaitedForByAStoreThatIsGone) {
    store(100);
    EXPECT_EQ(back_up(), "");
    unmount();
    ASSERT_TRUE(sqlite_remove(path_).ok());
    SqliteSink s{*segment_, std::make_unique<MemoryLog>(160), kept()};
    EXPECT_TRUE(step_until(s, [&] { return errors_mention("is not the folder that backups"); }))
        << error_log();
    EXPECT_FALSE(sqlite_file_exists(path_)) << "begun anew beside its backups";
    EXPECT_TRUE(is_bare());
    mount();
    EXPECT_TRUE(step_until(s, [&] { return s.stored().seq.value == 160 && s.drained(); }))
        << error_log();
    EXPECT_TRUE(errors_mention("ALERT restored from " + folder())) << error_log();
    EXPECT_TRUE(holds(path_, expected_dump(dir_, 160)));
}

// ---- what lies there ---------------------------------------------------------------------------

TEST_F(BackupFolder, HoldsFilesThatTheLibraryOfTheirFormatUnpacksWithoutUs) {
    store(200);
    EXPECT_EQ(back_up(), "");
    const std::string packed = text_of(list_sqlite_backups(folder()).back().path);
    LZ4F_dctx* context = nullptr;
    ASSERT_EQ(LZ4F_createDecompressionContext(&context, LZ4F_VERSION), 0U);
    std::string unpacked;
    std::vector<char> room(1U << 16U);
    for (std::size_t at = 0; at < packed.size();) {
        std::size_t out = room.size();
        std::size_t in = packed.size() - at;
        const std::size_t hint =
            LZ4F_decompress(context, room.data(), &out, packed.data() + at, &in, nullptr);
        ASSERT_EQ(LZ4F_isError(hint), 0U) << LZ4F_getErrorName(hint) << " at byte " << at;
        ASSERT_GT(in + out, 0U);
        unpacked.append(room.data(), out);
        at += in;
    }
    LZ4F_freeDecompressionContext(context);
    const std::string plain = dir_ + "/plain.db";
    std::ofstream{plain, std::ios::binary} << unpacked;
    EXPECT_TRUE(holds(plain, expected_dump(dir_, 200)));
}

/// An operator's own column in a store of an older build stays in it when it is migrated.
class BackupLayout : public BackupFolder {
protected:
    static void add_column(const std::string& path) {
        SqliteDb db;
        ASSERT_TRUE(db.open(path, 1'000).ok());
        ASSERT_TRUE(db.exec("ALTER TABLE failed_syncs ADD COLUMN mine TEXT").ok()) << db.message();
    }
};

TEST_F(BackupLayout, OfAStoreThatStaysAnothersIsBackedUpAllTheSame) {
    store(100);
    to_schema(path_, 5);
    add_column(path_);
    EXPECT_EQ(back_up(), "") << "of an older schema: nobody compares its tables";
    auto followed = std::make_unique<MemoryLog>(160);
    MemoryLog& grows = *followed;
    SqliteSink s{*segment_, std::move(followed), kept()};
    const auto is_newest = [this](std::uint64_t seq) {
        std::string ignored;
        const auto all = list_sqlite_backups(folder());
        const auto header = read_sqlite_backup(all.back().path, ignored);
        return header.ok() && header.value().schema > 5 && header.value().seq == seq;
    };
    EXPECT_TRUE(step_until(s, [&] { return is_newest(160); })) << error_log();
    EXPECT_TRUE(errors_mention("in the new file too")) << "it is not another's: " << error_log();
    EXPECT_FALSE(errors_mention("ALERT no backup of the store")) << error_log();
    // And it is one that a lost store is made of.
    MemoryLog log{160};
    std::vector<std::string> passed_over;
    const auto made = restore_newest_backup(backup_options(), dir_ + "/again.db", log, passed_over);
    ASSERT_TRUE(made.ok()) << passed_over.front();
    EXPECT_EQ(made.value().from.number, list_sqlite_backups(folder()).back().number);
    // Once its tables are ours again, in the same file, nothing is excused and nothing refused.
    {
        SqliteDb db;
        ASSERT_TRUE(db.open(path_, 1'000).ok());
        ASSERT_TRUE(db.exec("ALTER TABLE failed_syncs DROP COLUMN mine").ok()) << db.message();
    }
    grows.set_last(200);
    EXPECT_TRUE(step_until(s, [&] { return is_newest(200); })) << error_log();
}

TEST_F(BackupLayout, ThatNobodyHasAcceptedIsNotBackedUp) {
    store(100);
    EXPECT_EQ(back_up(), "");
    add_column(path_);
    const std::string said = back_up();
    EXPECT_NE(said.find("table failed_syncs is not as it was made"), std::string::npos) << said;
    EXPECT_EQ(list_sqlite_backups(folder()).size(), 1U);
}

}  // namespace
}  // namespace millrace::sqlite_test
