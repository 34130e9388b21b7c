// Goal: what an operator needs in a bad moment is there: the kill switch while another command
// waits, the truth about a journal that is gone, stages that come back while a file is edited, a
// supervisor on a full disk. Method: the real executable, with each of these arranged.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>

#include "shm/doorbell.h"
#include "shm/layout.h"
#include "shm/role.h"
#include "tests/ops/pipeline_fixture.h"
#include "tests/shm/children.h"
#include "tests/shm/error_log.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/kill_client.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

using test::eventually;
using test::Finished;
using test::pid_of;
using test::Pipeline;
using test::runs;
using test::TempDir;

namespace fs = std::filesystem;

bool says(const Finished& f, const char* text) {
    return f.output.find(text) != std::string::npos;
}

JournalState journal_of(const Segment& s) {
    return static_cast<JournalState>(s.core().journal_state.load(std::memory_order_acquire));
}

/// The role that a command holds which speaks to the engine.
RoleLock take_admin(const Pipeline& p, const char* role = "admin") {
    RoleLock taken;
    EXPECT_TRUE(eventually([&] {
        std::string holder;
        auto lock = RoleLock::try_acquire(p.journal_dir(), role, holder);
        if (lock) {
            taken = std::move(lock).value();
        }
        return lock.ok();
    }));
    return taken;
}

/// The broker stage has told the terminal of the first account this, in the end.
bool in_force(const Segment& s, unsigned actions) {
    return eventually(
        [&] { return s.session(AccountId{0}).killed.load(std::memory_order_acquire) == actions; });
}

TEST(KillSwitch, ReachesTheBrokerStageWhileAnotherCommandWaitsForTheEngine) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    // As a command does that waits for its answer. The supervisor's own come first.
    const RoleLock other = take_admin(p);
    const Finished killed = p.run({"kill", "--account", "a1"});
    EXPECT_NE(killed.status, 0);
    EXPECT_TRUE(says(killed, "broker stage told")) << killed.output;
    EXPECT_TRUE(says(killed, "the engine is not told yet")) << killed.output;
    EXPECT_TRUE(in_force(s, kKillStop));
    // Only the engine knows of sources: nothing was said to the broker stage, so nothing again.
    const Finished source = p.run({"kill", "--source", "src"});
    EXPECT_NE(source.status, 0);
    EXPECT_TRUE(says(source, "the engine is not told yet")) << source.output;
    EXPECT_FALSE(says(source, "told again")) << source.output;
}

TEST(KillSwitch, SaysSoWhereItCannotSeeWhetherItHasTheLastWord) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    Finished kill;
    // Tried again where the machine stood still for so long that the kill gave up waiting.
    for (int i = 0; i < 20 && !says(kill, "engine told"); ++i) {
        ASSERT_EQ(p.run({"unkill", "--all"}).status, 0);
        ASSERT_TRUE(in_force(s, 0));
        std::optional<RoleLock> engine{take_admin(p)};
        auto ends = std::async(std::launch::async, [&] { return p.run({"kill", "--all"}); });
        ASSERT_TRUE(in_force(s, kKillStop));
        // As a command does that was stopped while it spoke to the broker stage.
        const RoleLock broker = take_admin(p, "admin.broker");
        engine.reset();
        kill = ends.get();
    }
    EXPECT_TRUE(says(kill, "cannot see whether another command has spoken")) << kill.output;
    EXPECT_EQ(kill.status, 1) << kill.output;
}

TEST(KillSwitch, IsNotClearedAtTheBrokerStageAloneNorLeftInForceAtTheEngineAlone) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    ASSERT_EQ(p.run({"kill", "--all"}).status, 0);
    ASSERT_TRUE(in_force(s, kKillStop));
    {
        const RoleLock other = take_admin(p);
        const Finished unkill = p.run({"unkill", "--all"});
        EXPECT_NE(unkill.status, 0);
        EXPECT_TRUE(says(unkill, "nobody is told")) << unkill.output;
        EXPECT_FALSE(says(unkill, "broker stage told")) << unkill.output;
    }
    ASSERT_EQ(p.run({"unkill", "--all"}).status, 0);
    ASSERT_TRUE(in_force(s, 0));
    // A clear that comes between the two words of a kill; tried again where the machine stood still
    // for so long that the kill gave up waiting for its turn.
    Finished kill;
    for (int i = 0; i < 20 && kill.status != 0; ++i) {
        RoleLock other = take_admin(p);
        auto ends = std::async(std::launch::async, [&] { return p.run({"kill", "--all"}); });
        ASSERT_TRUE(in_force(s, kKillStop));
        std::string message;
        auto clear = KillClient::open(s, message);
        ASSERT_TRUE(clear) << message;
        KillCommand all;
        all.kill_id = 1;
        all.scope = KillScope::All;
        all.actions = 0;
        ASSERT_TRUE(clear.value().send(all, message)) << message;
        ASSERT_TRUE(in_force(s, 0));
        {
            const auto gone = std::move(clear);
        }
        {
            const RoleLock gone = std::move(other);
        }
        kill = ends.get();
    }
    ASSERT_EQ(kill.status, 0) << kill.output;
    EXPECT_TRUE(in_force(s, kKillStop)) << "as the engine has it";
}

TEST(KillSwitch, IsToldAgainWhereItWasClearedWhileTheEngineCouldNotBeTold) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    // As an unkill does that waits for a hung engine.
    const RoleLock other = take_admin(p);
    Finished kill;
    // Tried again where the machine stood still until the kill had given up.
    for (std::uint64_t i = 1; i <= 20 && !says(kill, "it is told again"); ++i) {
        auto ends = std::async(std::launch::async, [&] { return p.run({"kill", "--all"}); });
        ASSERT_TRUE(in_force(s, kKillStop));
        {
            std::string message;
            auto clear = KillClient::open(s, message);
            ASSERT_TRUE(clear) << message;
            KillCommand all;
            all.kill_id = i;
            all.scope = KillScope::All;
            all.actions = 0;
            ASSERT_TRUE(clear.value().send(all, message)) << message;
            ASSERT_TRUE(in_force(s, 0));
        }
        kill = ends.get();
        EXPECT_NE(kill.status, 0);
        EXPECT_TRUE(says(kill, "the engine is not told yet")) << kill.output;
    }
    EXPECT_TRUE(says(kill, "it is told again")) << kill.output;
    EXPECT_TRUE(in_force(s, kKillStop)) << kill.output;
}

TEST(KillSwitch, DoesNotPromiseToFlattenWhatASourceSent) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    for (const char* more : {"--flatten", "--cancel"}) {
        const Finished f = p.run({"kill", "--source", "src", more});
        EXPECT_NE(f.status, 0);
        EXPECT_TRUE(says(f, "--source stops new entries")) << f.output;
        EXPECT_FALSE(says(f, "told")) << f.output;
    }
}

TEST(KillSwitch, KeepsAFlattenWhenAStopFollows) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    ASSERT_EQ(p.run({"kill", "--account", "a1", "--flatten"}).status, 0);
    ASSERT_TRUE(in_force(s, kKillStop | kKillFlatten));
    ASSERT_EQ(p.run({"kill", "--all", "--cancel"}).status, 0);
    EXPECT_TRUE(in_force(s, kKillStop | kKillFlatten | kKillCancel));
    ASSERT_EQ(p.run({"unkill", "--account", "a1"}).status, 0);
    EXPECT_TRUE(in_force(s, 0));
}

TEST(KillSwitch, SaysJournalledOnlyWhenTheDiskHasIt) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    const auto on_disk = [&] { return s.core().durable.load() >= s.core().completed.load(); };
    // Again, where a disk took longer than the command waits.
    EXPECT_TRUE(eventually(
        [&] { return says(p.run({"kill", "--account", "a1"}), "engine told, journalled"); }));
    // A journal that cannot come back: the engine journals into the ring alone.
    fs::rename(p.journal_dir() + "/reservation", p.dir() / "aside");
    ::kill(pid_of(s, StageId::Journal), SIGKILL);
    ASSERT_TRUE(eventually([&] { return journal_of(s) == JournalState::Down; })) << p.log();
    const Finished waits = p.run({"kill", "--account", "a1", "--cancel"});
    EXPECT_EQ(waits.status, 0) << waits.output;
    EXPECT_FALSE(says(waits, "journalled")) << waits.output;
    EXPECT_TRUE(says(waits, "engine told, applied, not yet durable: the journal is down"))
        << waits.output;
    EXPECT_TRUE(eventually([&] {
        return s.session(AccountId{0}).killed.load() == (kKillStop | kKillCancel);
    })) << "it is in force";
    EXPECT_FALSE(on_disk());
    const Finished paused = p.run({"account", "pause", "a1"});
    EXPECT_TRUE(says(paused, "a1: paused")) << paused.output;
    EXPECT_TRUE(says(paused, "applied, not yet durable: the journal is down")) << paused.output;
    fs::rename(p.dir() / "aside", p.journal_dir() + "/reservation");
    ASSERT_TRUE(eventually([&] { return on_disk(); })) << p.log();
    EXPECT_TRUE(eventually([&] {
        const Finished resumed = p.run({"account", "resume", "a1"});
        return says(resumed, "a1: resumed") && !says(resumed, "durable");
    }));
}

TEST(Supervisor, SaysThatTheJournalIsDownWhenItCannotComeBack) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    ASSERT_EQ(journal_of(s), JournalState::Running);
    const std::string reservation = p.journal_dir() + "/reservation";
    for (int outage = 0; outage < 2; ++outage) {
        fs::rename(reservation, p.dir() / "aside");
        const int victim = pid_of(s, StageId::Journal);
        ::kill(victim, SIGKILL);
        ASSERT_TRUE(eventually([&] { return journal_of(s) == JournalState::Down; })) << p.log();
        EXPECT_TRUE(eventually(
            [&] { return p.log().find("ALERT the journal is down") != std::string::npos; }));
        fs::rename(p.dir() / "aside", reservation);
        ASSERT_TRUE(eventually([&] {
            return journal_of(s) == JournalState::Running && runs(s, StageId::Journal) &&
                   pid_of(s, StageId::Journal) != victim;
        })) << p.log();
    }
    // What differs each time would fill the 64 entries, and others' alerts would have no place.
    const auto told = [&](bool often) {
        int entries = 0;
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = s.error(i);
            const bool is_it = std::string_view{e.text}.starts_with("ALERT the journal");
            entries += is_it && (!often || e.count.load() > 1) ? 1 : 0;
        }
        return entries;
    };
    EXPECT_TRUE(eventually([&] { return told(true) == 1; })) << test::error_log(s);
    EXPECT_EQ(told(false), 1) << test::error_log(s);
}

TEST(Supervisor, LetsAJournalThatWritesSayOtherwise) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    // As a supervisor does that was put aside between its look and its store.
    s.core().journal_state.store(static_cast<std::uint32_t>(JournalState::Down));
    EXPECT_TRUE(eventually([&] {
        ring(s.doorbell(StageId::Journal));
        return journal_of(s) == JournalState::Running;
    }));
}

TEST(Supervisor, StartsStagesFromTheTextThatItCheckedWhileTheFileIsEdited) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    struct stat kept{};
    ASSERT_EQ(::stat((p.journal_dir() + "/config.checked.json").c_str(), &kept), 0);
    EXPECT_EQ(kept.st_mode & 0777U, 0600U) << "there may be keys in it";
    std::ofstream{p.config()} << "{\"name\": \"half a fi";
    const int victim = pid_of(s, StageId::Broker);
    ::kill(victim, SIGKILL);
    EXPECT_TRUE(eventually([&] {
        return runs(s, StageId::Broker) && pid_of(s, StageId::Broker) != victim;
    })) << p.log();
}

TEST(Supervisor, TakesAnEditedTagAndLoginWhereAFlatPipelineDiedWhole) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Segment s = p.attach();
    // They cannot be killed at one moment, and what a spare begins with that finds the journal
    // killed would be on no disk: it takes nothing over now.
    s.core().stop_requested.store(1);
    ASSERT_TRUE(eventually([&] { return s.core().durable.load() >= s.core().journal_seq.load(); }));
    p.kill_all();
    std::string text = p.config_text(R"(, "risk": {"magic_tag": 4711})");
    const std::string login = "\"login\": 1001";
    text.replace(text.find(login), login.size(), "\"login\": 1002");
    static_cast<void>(p.dir().write("c.json", text));
    // As if an order had been filled when it died.
    s.core().open_positions.store(1);
    const Finished open = p.run({"up"});
    EXPECT_EQ(open.status, 1) << open.output;
    EXPECT_TRUE(says(open, "Put it back, start")) << open.output;
    EXPECT_FALSE(says(open, "millrace down")) << "nobody is there to be stopped: " << open.output;
    s.core().open_positions.store(0);
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_TRUE(eventually([&] { return s.session(AccountId{0}).login.load() == 1002; }))
        << p.log("second.log");
}

TEST(JournalDirectory, IsRefusedWhenItHasTooLittleSpaceUnlessStagesMayLive) {
    const TempDir dir;
    JournalConfig journal;
    journal.dir = dir / "j";
    journal.file_mib = 1U << 30U;  // 3 x 1 PiB
    std::string message;
    EXPECT_EQ(prepare_journal_dir(journal, false, message).code(), Errc::NoSpace);
    EXPECT_NE(message.find(journal.dir), std::string::npos) << message;
    EXPECT_NE(message.find("lower \"journal.file_mib\""), std::string::npos) << message;
    EXPECT_TRUE(prepare_journal_dir(journal, true, message));
}

TEST(JournalDirectory, IsNamedWhenItsFileSystemIsReadOnly) {
    const TempDir dir;
    const pid_t child = test::run_child([&] {
        if (!test::mount_private(dir.path(), "tmpfs", "ro")) {
            return test::kSkipped;
        }
        JournalConfig journal;
        journal.dir = dir.path();
        std::string message;
        const Status s = prepare_journal_dir(journal, false, message);
        const bool named = message.find(dir.path() +
                                        " is on a read-only file system; mount it "
                                        "writable or choose") != std::string::npos;
        return s.code() == Errc::IoError && named ? 0 : 1;
    });
    const int status = test::end_of(child);
    if (status == test::kSkipped) {
        GTEST_SKIP() << "no mount namespace may be had here";
    }
    EXPECT_EQ(status, 0);
}

TEST(IdBook, IsNotBegunAnewBesideALog) {
    const TempDir dir;
    std::string message;
    EXPECT_TRUE(IdBook::load(dir.path(), message)) << message;
    static_cast<void>(dir.write("journal-0000000001-000000.mrj", ""));
    EXPECT_EQ(IdBook::load(dir.path(), message).code(), Errc::IoError);
    EXPECT_NE(message.find("put back a copy"), std::string::npos) << message;
}

}  // namespace
}  // namespace millrace
