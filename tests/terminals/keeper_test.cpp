// Goal: terminals run, whatever dies: they themselves, what they are made of, and who keeps them;
// and end when they are to end. Method: millrace-terminals itself, shell scripts for terminals,
// their sessions in a segment that the test writes.
#include "tests/terminals/keeper_world.h"

#include "persist/journal_writer.h"
#include "persist/pwrite_disk.h"
#include "shm/role.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace millrace::terminals::test {
namespace {

using Names = std::vector<std::string>;

class TerminalKeeper : public KeeperWorld {
protected:
    /// A hold on it that cannot meet another process.
    static ProcessWatch hold(ProcessId id) {
        auto watch = ProcessWatch::open(id);
        EXPECT_TRUE(watch.ok()) << id.pid;
        return watch ? std::move(watch).value() : ProcessWatch{};
    }
    bool logged(const std::string& what) const {
        return eventually([&] { return text("log").find(what) != std::string::npos; });
    }
    /// A process that has nothing to do with us.
    static ProcessId stranger() {
        const int pid = ::fork();
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::pause();
            ::_exit(0);
        }
        return {pid, process_start_time(pid)};
    }
    static void end_stranger(ProcessId id) {
        ::kill(id.pid, SIGKILL);
        ::waitpid(id.pid, nullptr, 0);
    }
    static bool ends(const ProcessWatch& watch) {
        return watch.empty() || watch.wait_dead(seconds(180));
    }
};

TEST_F(TerminalKeeper, StartsAccountsWithOrdersInDoubtFirstAndOneAfterAnother) {
    const Script never_blamed{"exec sleep 100000", R"(, "ready_s": 3600)"};
    configure({never_blamed, never_blamed, never_blamed}, R"(, "terminals": {"starting_max": 1})");
    live_orders(1, 2);
    start_keeper();
    const std::uint32_t order[] = {1, 0, 2};
    Names expected;
    for (const std::uint32_t account : order) {
        expected.push_back("a" + std::to_string(account));
        ASSERT_TRUE(eventually([&] { return starts().size() == expected.size(); }));
        EXPECT_EQ(starts(), expected);
        ASSERT_TRUE(wait_state(expected.back(), "STARTING"));
        EXPECT_EQ(starts(), expected) << "another one although the first is not ready";
        session(account, true);
    }
    EXPECT_TRUE(wait_state("a2", "READY"));
}

TEST_F(TerminalKeeper, StartsOneThatDiedAgainWhenNothingOfTheOldOneIsLeft) {
    // A terminal made of two processes; the test kills the one that stands for a wrapper.
    configure({{R"(sh -c 'echo $$ >)" + dir / "inner" + R"(.next; mv )" + dir / "inner" + ".next " +
                dir / "inner" + R"(; exec sleep 100000'; true)"}});
    session(0, true);
    start_keeper();
    const ProcessId outer = wait_process("a0");
    int pid = 0;
    ASSERT_TRUE(eventually([&] { return !!(std::istringstream{text("inner")} >> pid); }));
    const ProcessWatch inner = hold({pid, process_start_time(pid)});
    ::unlink((dir / "inner").c_str());
    hold(outer).send(SIGKILL);
    const ProcessId next = wait_process("a0", outer);
    EXPECT_TRUE(inner.dead()) << "a second terminal beside the first";
    ASSERT_TRUE(eventually([&] { return !!(std::istringstream{text("inner")} >> pid); }));
    EXPECT_TRUE(wait_state("a0", "READY"));
    EXPECT_EQ(listed("a0").value("pid", 0), next.pid);
    EXPECT_EQ(listed("a0").value("restarts", 0), 1);
    EXPECT_NE(listed("a0").value("last_end", "").find("killed by signal 9"), std::string::npos);
}

TEST_F(TerminalKeeper, KillsAndReplacesOneThatLivesButHasNoSession) {
    // Longer than a machine stands still: the next ones get their session by our hand.
    configure({{"exec sleep 100000", R"(, "ready_s": 4, "retry_s": 1)"}});
    session(0, true);
    start_keeper();
    const ProcessId first = wait_process("a0");
    ASSERT_TRUE(wait_state("a0", "READY"));
    const ProcessWatch stopped = hold(first);
    stopped.send(SIGSTOP);
    session(0, false);  // as the broker stage does when no heartbeat comes
    ASSERT_TRUE(ends(stopped));
    session(0, true);
    wait_process("a0", first);
    EXPECT_TRUE(wait_state("a0", "READY"));
}

TEST_F(TerminalKeeper, LeavesThemAloneWhileTheBrokerStageDoesNotWork) {
    configure({{"exec sleep 100000", R"(, "ready_s": 1)"}});
    session(0, true);
    start_keeper();
    const ProcessId first = wait_process("a0");
    ASSERT_TRUE(wait_state("a0", "READY"));
    segment->stage(StageId::Broker).state = static_cast<std::uint32_t>(StageState::Dead);
    session(0, false);
    const int before = listed("a0").value("for_s", 0);
    ASSERT_TRUE(eventually([&] { return listed("a0").value("for_s", 0) >= before + 3; }));
    EXPECT_EQ(process("a0"), first);
    EXPECT_EQ(listed("a0").value("state", ""), "READY");
}

TEST_F(TerminalKeeper, GivesUpAfterThreeRestartsWithAnAlertUntilAnOperatorSaysStart) {
    configure({{"exit 3"}, {"exec sleep 100000", R"(, "ready_s": 1)"}});
    start_keeper();
    ASSERT_TRUE(wait_state("a0", "FAILED"));
    EXPECT_EQ(listed("a0").value("last_end", ""), "exit status 3");
    ASSERT_TRUE(wait_state("a1", "FAILED"));
    EXPECT_EQ(listed("a1").value("restarts", 0), 3);
    const auto times = [this] {
        const Names all = starts();
        return std::count(all.begin(), all.end(), "a0");
    };
    EXPECT_EQ(times(), 4);
    for (const char* who : {"terminal a0", "terminal a1"}) {
        EXPECT_NE(error_of(who).find("does not stay up"), std::string::npos) << who;
        EXPECT_TRUE(logged("ALERT " + std::string{who}));
    }
    command("start a0");
    ASSERT_TRUE(eventually([&] { return times() == 8; }));
    EXPECT_TRUE(wait_state("a0", "FAILED"));
    EXPECT_TRUE(logged("AUDIT terminal a0: start by uid " + std::to_string(::getuid())));
}

TEST_F(TerminalKeeper, OutlivesTheDeathOfWhoKeepsThemAndIsAdoptedByTheNext) {
    configure({{}});
    session(0, true);
    start_keeper();
    const ProcessId first = wait_process("a0");
    ASSERT_TRUE(wait_state("a0", "READY"));
    ASSERT_TRUE(eventually([&] { return starts().size() == 1; }));
    kill_keeper();
    EXPECT_EQ(process("a0"), first);
    EXPECT_NE(command("list", 1).find("nobody keeps terminals"), std::string::npos);
    start_keeper();
    ASSERT_TRUE(logged("adopted pid " + std::to_string(first.pid)));
    EXPECT_TRUE(wait_state("a0", "READY"));
    EXPECT_EQ(starts().size(), 1U);
    hold(first).send(SIGKILL);
    wait_process("a0", first);
    EXPECT_TRUE(wait_state("a0", "READY"));
}

TEST_F(TerminalKeeper, StartsNothingWhileSomebodyElseIsStartingIt) {
    configure({{}, {}});
    session(0, true);
    session(1, true);
    std::filesystem::create_directories(folder("a0"));
    const int lock =
        ::open((folder("a0") + "/launch.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::flock(lock, LOCK_EX), 0);
    start_keeper();
    ASSERT_TRUE(wait_state("a1", "READY"));
    EXPECT_EQ(listed("a0").value("state", ""), "QUEUED");
    ASSERT_TRUE(eventually([&] { return !starts().empty(); }));
    EXPECT_EQ(starts(), Names{"a1"});
    ::close(lock);
    EXPECT_TRUE(wait_state("a0", "READY"));
}

TEST_F(TerminalKeeper, KeepsOneStoppedThatAnOperatorStoppedOverItsOwnDeath) {
    configure({{}, {}});
    session(0, true);
    session(1, true);
    start_keeper();
    const ProcessId first = wait_process("a0");
    ASSERT_TRUE(wait_state("a0", "READY"));
    command("stop a0");
    ASSERT_TRUE(wait_state("a0", "STOPPED"));
    EXPECT_FALSE(first.alive());
    EXPECT_NE(command("restart a0 nobody", 1).find("\"nobody\" has no terminal"),
              std::string::npos);
    kill_keeper();
    start_keeper();
    ASSERT_TRUE(wait_state("a1", "READY"));
    EXPECT_EQ(listed("a0").value("state", ""), "STOPPED");
    command("start a0");
    const ProcessId second = wait_process("a0", first);
    ASSERT_TRUE(wait_state("a0", "READY"));
    command("restart a0");
    wait_process("a0", second);
    ASSERT_TRUE(wait_state("a0", "READY"));
    EXPECT_EQ(listed("a0").value("restarts", -1), 0);
}

TEST_F(TerminalKeeper, EndsThemInOrderWhenItIsStopped) {
    const auto waits = [this](const std::string& trap, const std::string& name) {
        return "trap " + trap + " TERM; echo armed >" + dir / name + "; while :; do sleep 1; done";
    };
    configure({{waits("'echo asked >" + dir / "asked" + "; exit 0'", "a"), R"(, "stop_s": 60)"},
               {waits("''", "b"), R"(, "stop_s": 0)"},
               {"echo armed >" + dir / "c" + "; exec sleep 100000", R"(, "at_down": "keep")"}});
    for (const std::uint32_t account : {0U, 1U, 2U}) {
        session(account, true);
    }
    start_keeper();
    const ProcessId asked = wait_process("a0");
    const ProcessId deaf = wait_process("a1");
    const ProcessId kept = wait_process("a2");
    for (const char* name : {"a", "b", "c"}) {
        ASSERT_TRUE(eventually([&] { return !text(name).empty(); }));
    }
    EXPECT_EQ(stop_keeper(), 0);
    EXPECT_EQ(text("asked"), "asked\n");
    EXPECT_FALSE(asked.alive());
    EXPECT_FALSE(deaf.alive());
    EXPECT_TRUE(kept.alive());
    EXPECT_EQ(starts().size(), 3U);
}

TEST_F(TerminalKeeper, RemembersWhoWasGivenUpOverItsOwnDeathButNotOverADown) {
    configure({{"exit 3"}});
    start_keeper();
    ASSERT_TRUE(wait_state("a0", "FAILED"));
    kill_keeper();
    start_keeper();
    ASSERT_TRUE(wait_state("a0", "FAILED"));
    EXPECT_EQ(starts().size(), 4U) << "it began to try anew";
    EXPECT_EQ(stop_keeper(), 0);
    start_keeper();
    EXPECT_TRUE(eventually([&] { return starts().size() == 8; }));
}

TEST_F(TerminalKeeper, GivesNobodyUpWhoseFolderTakesNoFileAndStartsItWhenItDoes) {
    configure({{}});
    session(0, true);
    const std::string in_the_way = folder("a0") + "/pid.next";  // as a full disk is
    std::filesystem::create_directories(in_the_way);
    start_keeper();
    ASSERT_TRUE(eventually([&] { return !error_of("terminal a0").empty(); }));
    EXPECT_NE(error_of("terminal a0").find("cannot start: " + folder("a0") + "/pid: "),
              std::string::npos)
        << error_of("terminal a0");
    EXPECT_EQ(listed("a0").value("restarts", -1), 0);
    EXPECT_TRUE(starts().empty());
    std::filesystem::remove(in_the_way);
    EXPECT_TRUE(wait_state("a0", "READY"));
    EXPECT_EQ(starts(), Names{"a0"});
}

TEST_F(TerminalKeeper, TakesNoStrangerForItsTerminalAfterAReboot) {
    configure({{}, {}});
    session(0, true);
    session(1, true);
    std::vector<ProcessId> strangers;
    for (const char* name : {"a0", "a1"}) {
        strangers.push_back(stranger());
        std::filesystem::create_directories(folder(name));
        std::ofstream{folder(name) + "/pid"} << strangers.back().pid << ' '
                                             << strangers.back().start_time
                                             << (strangers.size() == 1 ? " another-boot\n" : "\n");
    }
    start_keeper();
    wait_process("a0", strangers[0]);
    ASSERT_TRUE(wait_state("a0", "READY"));
    ASSERT_TRUE(wait_state("a1", "READY"));
    EXPECT_EQ(starts(), Names{"a0"}) << "an older build left no boot id: that one is believed";
    EXPECT_TRUE(strangers[0].alive());
    end_stranger(strangers[0]);
    end_stranger(strangers[1]);
}

TEST_F(TerminalKeeper, StartsTerminalsOverALogAtWhichAnEngineHalts) {
    configure({{}, {}});
    session(0, true);
    session(1, true);
    auto disk = open_pwrite_disk(dir / "j", false);
    ASSERT_TRUE(disk.ok());
    JournalWriter writer{*disk.value()};
    ASSERT_TRUE(writer.open({1, 1, kChainSeed, 1U << 20, 1U << 20}).ok());
    for (std::uint64_t seq = 1; seq <= 2; ++seq) {
        JournalRecord record;
        record.seq = Sequence{seq};
        record.time = Nanos{seconds(2).value / static_cast<std::int64_t>(seq)};  // goes back
        record.type = InputType::Continue;
        ASSERT_TRUE(writer.append(record, seq));
    }
    writer.submit();
    while (writer.acked().seq < 2) {
        ASSERT_FALSE(writer.poisoned()) << writer.error().what;
        writer.pump(seconds(3));
    }
    start_keeper();
    EXPECT_TRUE(logged("who has positions is not known: who reads the log for it: killed by"));
    EXPECT_TRUE(wait_state("a0", "READY"));
    EXPECT_TRUE(wait_state("a1", "READY"));
}

}  // namespace
}  // namespace millrace::terminals::test
