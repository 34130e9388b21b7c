// Goal: a disk that fills up under a backup of the store costs that backup and nothing else: it
// fails by name, the one before stays whole, the room is given back, and trading goes on.
// Method: real ENOSPC, of a small tmpfs in a mount namespace of this process that is filled to the
// last page at a chosen step of the backup; then under a whole pipeline. Needs root.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "persist/log_shipper.h"
#include "persist/sqlite_backup.h"
#include "persist/sqlite_files.h"
#include "persist/sqlite_store.h"
#include "tests/chaos/world.h"
#include "tests/shm/error_log.h"
#include "tests/shm/temp_dir.h"
#include "tests/sqlite/effects.h"

namespace millrace::isolation {
namespace {

namespace fs = std::filesystem;

/// Backups are made at the lowest priority, and rest for nine times as long as one took.
constexpr Nanos kSlowMachine = seconds(400);

/// A file system of a few MiB, of this process and its children alone.
class SmallDisk {
public:
    explicit SmallDisk(const std::string& mebibytes) {
        fs::create_directories(path());
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("none", path().c_str(), "tmpfs", 0, ("size=" + mebibytes + "m").c_str()) != 0) {
            why_ = std::strerror(errno);
        }
    }
    ~SmallDisk() { ::umount2(path().c_str(), MNT_DETACH); }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] const std::string& why_not() const { return why_; }
    [[nodiscard]] std::string path() const { return dir_.file("disk"); }
    /// To the last byte. @return whether the disk says so itself.
    bool fill() {
        const int fd = ::open((path() + "/ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        const std::string block(1 << 16, 'x');
        ssize_t put = 1;
        for (std::size_t bytes = block.size(); bytes > 0; bytes /= put > 0 ? 1 : 2) {
            put = ::write(fd, block.data(), bytes);
        }
        const bool full = put < 0 && errno == ENOSPC;
        ::close(fd);
        return full;
    }
    void empty() { fs::remove(path() + "/ballast"); }

private:
    test::TempDir dir_;
    std::string why_;
};

class FullDisk : public ::testing::Test {
protected:
    void SetUp() override {
        if (!disk_.why_not().empty()) {
            GTEST_SKIP() << "SKIPPED: no tmpfs of its own: " << disk_.why_not()
                         << "; needs root. NOT TESTED HERE: ENOSPC under a backup";
        }
    }
    [[nodiscard]] SqliteBackupOptions options() const {
        SqliteBackupOptions o;
        o.store = dir_.file("store.db");
        o.dir = backups();
        return o;
    }
    [[nodiscard]] std::string backups() const { return disk_.path() + "/backups"; }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator{backups()}, fs::directory_iterator{}));
    }
    /// Puts records up to `last` into the store.
    void store(std::uint64_t last) {
        SqliteStore store;
        ASSERT_TRUE(store.open({options().store, false, false, 250}).ok()) << store.message();
        std::vector<Effect> effects;
        for (std::uint64_t seq = store.cursor().seq.value + 1; seq <= last; ++seq) {
            const auto more = sqlite_test::effects_of(seq);
            effects.insert(effects.end(), more.begin(), more.end());
        }
        ASSERT_TRUE(store.store(effects, sqlite_test::cursor_at(last), Nanos{1}).ok());
        ASSERT_TRUE(store.checkpoint().ok());
    }
    /// The newest backup comes back whole. @return what it holds.
    std::uint64_t newest() {
        const auto all = list_sqlite_backups(backups());
        EXPECT_FALSE(all.empty());
        std::string message;
        const std::string to = dir_.file("restored.db");
        EXPECT_TRUE(sqlite_remove(to).ok());
        EXPECT_TRUE(!all.empty() &&
                    restore_sqlite_backup(all.back().path, to, options(), message).ok())
            << message;
        return all.empty() ? 0 : all.back().seq.value;
    }

    test::TempDir dir_;
    SmallDisk disk_{"48"};
};

TEST_F(FullDisk, AtAnyStepOfABackupFailsItByNameAndKeepsTheOneBefore) {
    constexpr std::uint64_t kBefore = 100'000;
    constexpr std::uint64_t kAfter = 110'000;
    store(kBefore);
    std::string message;
    ASSERT_TRUE(make_sqlite_backup(options(), message).ok()) << message;
    ASSERT_GT(fs::file_size(options().store), 3U << 20U) << "less than the steps' own chunks";
    store(kAfter);
    for (const std::string_view step : {"copy", "pack", "unpack"}) {
        SCOPED_TRACE(step);
        SqliteBackupOptions o = options();
        bool full = false;
        o.progress = [&](const char* what, std::uint64_t, std::uint64_t) {
            full = full || (what == step && disk_.fill());
            return true;
        };
        message.clear();
        const auto made = make_sqlite_backup(o, message);
        EXPECT_TRUE(full) << "the disk was not full";
        EXPECT_EQ(made.code(), Errc::NoSpace) << message;
        EXPECT_NE(message.find(backups()), std::string::npos) << message;
        EXPECT_TRUE(message.find("No space left") != std::string::npos ||
                    message.find("disk is full") != std::string::npos)
            << message;
        EXPECT_EQ(files(), 2U) << "one backup and the lock";
        EXPECT_EQ(newest(), kBefore);
        disk_.empty();
    }
    message.clear();
    EXPECT_TRUE(make_sqlite_backup(options(), message).ok()) << message;
    EXPECT_EQ(newest(), kAfter);
}

TEST_F(FullDisk, UnderThePipelinesBackupsAndWhatIsShippedIsAnAlertAndTradingGoesOn) {
    chaos::WorldOptions world_options;
    world_options.edits = {
        {"\"sqlite\": {", "\"sqlite\": {\"backup_s\": 1, \"backup_dir\": \"" + backups() + "\", "}};
    chaos::World world{world_options};
    ASSERT_EQ(world.start(), "") << world.log();
    const auto count = [this] {
        const auto all = list_sqlite_backups(backups());
        return all.empty() ? 0 : all.back().number;
    };
    const auto fills = [&world] {
        std::uint64_t sum = 0;
        for (const auto& [account, filled] : world.fills()) {
            sum += filled;
        }
        return sum;
    };
    const auto await = [&](const char* what, const std::function<bool()>& done) {
        EXPECT_TRUE(world.turn_until(done, kSlowMachine)) << what << "\n"
                                                          << test::error_log(world.segment());
    };
    await("a backup", [&] { return count() >= 1; });
    ASSERT_TRUE(disk_.fill());
    await("the alert", [&] {
        return test::error_log(world.segment())
                   .find("ALERT no backup of the store: " + backups()) != std::string::npos;
    });
    const auto told = [&world](const std::string& text) {
        return test::error_log(world.segment()).find(text) != std::string::npos;
    };
    const std::string folder = shipped_folder(backups());
    await("the alert of what is shipped",
          [&] { return told("ALERT nothing is shipped to " + folder); });
    const std::uint64_t last = count();
    const std::uint64_t filled = fills();
    await("executions", [&] { return fills() > filled + 40; });
    EXPECT_EQ(count(), last) << "a backup on a full disk";
    EXPECT_GT(newest(), 0U);
    disk_.empty();
    await("a backup once there is room", [&] { return count() > last; });
    await("shipping once there is room",
          [&] { return told("is shipped to " + folder + " again"); });
    const chaos::Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
}

}  // namespace
}  // namespace millrace::isolation
