// Goal: a strategy killed at any step loses nothing, doubles nothing, and leaves its role free.
// Method: strategies as processes of their own, killed by SIGKILL at the client's crash points.
#include "core/crash_point.h"
#include "gateway/client/millrace_client.hpp"
#include "shm/clock.h"
#include "shm/doorbell.h"
#include "tests/ingress/fixture.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <functional>

namespace millrace::ingress_test {
namespace {

using client::Strategy;

/// A strategy as a process; its stdin stays open until the object ends it.
class Child {
public:
    /// client_child.
    Child(const std::string& segment, std::uint64_t first, std::uint64_t count,
          const std::string& crash_point = "")
        : Child{{CLIENT_CHILD, segment, "scalper", std::to_string(first), std::to_string(count)},
                crash_point} {}
    /// @param words program and arguments.
    explicit Child(std::array<std::string, 5> words, const std::string& crash_point = "") {
        int in[2];
        int out[2];
        EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        char* argv[] = {words[0].data(), words[1].data(), words[2].data(),
                        words[3].data(), words[4].data(), nullptr};
        std::string crash = "MILLRACE_CRASH_POINT=" + crash_point;
        char* armed[] = {crash.data(), nullptr};
        char* calm[] = {nullptr};
        EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv,
                                crash_point.empty() ? calm : armed),
                  0);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(in[0]);
        ::close(out[1]);
        stdin_ = net::Fd{in[1]};
        stdout_ = net::Fd{out[0]};
    }
    ~Child() {
        if (pid_ > 0) {
            kill_now();
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Its first line of output; empty if it died without one.
    std::string line() {
        std::string text;
        for (char c = 0; ::read(stdout_.get(), &c, 1) == 1 && c != '\n';) {
            text += c;
        }
        return text;
    }
    int wait_status() {
        int status = 0;
        EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
        pid_ = -1;
        return status;
    }
    int kill_now() {
        ::kill(pid_, SIGKILL);
        return wait_status();
    }
    int pid() const { return pid_; }

private:
    pid_t pid_ = -1;
    net::Fd stdin_;
    net::Fd stdout_;
};

struct ClientCrash : ::testing::Test {
    ClientCrash()
        : segment{make_segment(dir, 64, 64, {{"scalper", SourceId{7}}})},
          engine{segment, "scalper"} {}
    std::string path() const { return dir.file("segment"); }
    bool killed(int status) const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

    TempDir dir;
    Segment segment;
    EngineStandIn engine;
};

TEST_F(ClientCrash, LeavesNoHalfSignalWhenKilledBetweenClaimAndCommit) {
    Child victim{path(), 1, 10, "client.before_commit:4"};
    EXPECT_EQ(victim.line(), "");
    ASSERT_TRUE(killed(victim.wait_status()));
    engine.step();
    EXPECT_EQ(engine.accepted.size(), 3U) << "the fourth was never published";
    Child next{path(), 1, 10};  // it does not know how far it came: sends all of them again
    ASSERT_EQ(next.line(), "done");
    engine.step();
    ASSERT_EQ(engine.accepted.size(), 10U);
    for (std::uint64_t n = 1; n <= 10; ++n) {
        EXPECT_EQ(engine.accepted[n - 1].id.lo, n);
    }
}

TEST_F(ClientCrash, HasPublishedTheSignalWhenKilledRightAfterCommit) {
    Child victim{path(), 1, 10, "client.after_commit:4"};
    ASSERT_TRUE(killed(victim.wait_status()));
    engine.step();
    EXPECT_EQ(engine.accepted.size(), 4U);
    Child next{path(), 4, 7};
    ASSERT_EQ(next.line(), "done");
    engine.step();
    EXPECT_EQ(engine.accepted.size(), 10U) << "signal 4 was repeated and done once";
}

/// Has three results delivered to a child that dies by SIGKILL while it polls.
/// @param in_handler called in the child with the number of each result, from 1 on.
/// @return what the strategy's next owner is delivered.
std::vector<std::uint64_t> delivered_after_death(ClientCrash& world,
                                                 const std::function<void(int)>& in_handler) {
    Strategy s;
    EXPECT_EQ(s.open(world.path(), "scalper"), MR_OK) << Strategy::error();
    client::Signal signal{};
    signal.action = MR_OPEN;
    signal.volume = MR_SCALE;
    for (std::uint64_t n = 1; n <= 3; ++n) {
        signal.id = {1, n};
        EXPECT_EQ(s.submit(signal), MR_OK);
    }
    world.engine.step();
    s.close();
    const pid_t child = ::fork();
    if (child == 0) {
        Strategy victim;
        if (victim.open(world.path(), "scalper") != MR_OK) {
            ::_exit(1);
        }
        int seen = 0;
        victim.poll([&](const client::Result&) { in_handler(++seen); });
        ::_exit(2);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(world.killed(status));
    EXPECT_EQ(s.open(world.path(), "scalper"), MR_OK) << Strategy::error();
    std::vector<std::uint64_t> again;
    s.poll([&](const client::Result& r) { again.push_back(r.signal.lo); });
    return again;
}

TEST_F(ClientCrash, DeliversAResultAgainWhoseHandlerHadNotReturned) {
    const auto again = delivered_after_death(*this, [](int seen) {
        if (seen == 2) {
            ::raise(SIGKILL);
        }
    });
    EXPECT_EQ(again, (std::vector<std::uint64_t>{2, 3}));
}

TEST_F(ClientCrash, DeliversAResultAgainWhoseSlotWasNotReleased) {
    const auto again = delivered_after_death(*this, [](int seen) {
        if (seen == 1) {
            arm_crash_point("client.before_release:2");
        }
    });
    EXPECT_EQ(again, (std::vector<std::uint64_t>{2, 3}));
}

/// The fixture's segment is lost with the strategy, as by a reboot; what the engine knows is not.
struct Reboot {
    explicit Reboot(ClientCrash& before)
        : lost{::unlink(before.path().c_str())},
          segment{make_segment(before.dir, 64, 64, {{"scalper", SourceId{7}}})},
          engine{segment, "scalper"} {
        engine.ledger = before.engine.ledger;
        engine.accepted = before.engine.accepted;
    }
    int lost;
    Segment segment;
    EngineStandIn engine;
};

class ClientReboot : public ClientCrash, public ::testing::WithParamInterface<const char*> {};

TEST_P(ClientReboot, RepeatsIntoTheNewSegmentAndEachSignalIsTakenOnce) {
    Child victim{path(), 1, 10, GetParam()};
    ASSERT_TRUE(killed(victim.wait_status()));
    engine.step();
    const std::size_t before = engine.accepted.size();
    EXPECT_LT(before, 10U);
    Reboot after{*this};
    ASSERT_EQ(after.lost, 0);
    Child next{path(), 1, 10};  // it does not know what came through: sends all of them again
    ASSERT_EQ(next.line(), "done");
    after.engine.step();
    ASSERT_EQ(after.engine.accepted.size(), 10U);
    for (std::uint64_t n = 1; n <= 10; ++n) {
        EXPECT_EQ(after.engine.accepted[n - 1].id.lo, n);
    }
}

INSTANTIATE_TEST_SUITE_P(Points, ClientReboot,
                         ::testing::Values("client.before_commit:4", "client.after_commit:4"),
                         [](const auto& point) {
                             return std::string{point.index == 0 ? "before_commit"
                                                                 : "after_commit"};
                         });

TEST_F(ClientCrash, IsToldAgainByTheNewSegmentWhatItHadNotReleasedInTheLostOne) {
    const auto submit_all = [](Strategy& s) {
        client::Signal signal{};
        signal.action = MR_OPEN;
        signal.volume = MR_SCALE;
        for (std::uint64_t n = 1; n <= 3; ++n) {
            signal.id = {1, n};
            EXPECT_EQ(s.submit(signal), MR_OK);
        }
    };
    const auto again = delivered_after_death(*this, [](int seen) {
        if (seen == 1) {
            arm_crash_point("client.before_release:2");
        }
    });
    ASSERT_EQ(again.size(), 2U);
    Reboot after{*this};
    ASSERT_EQ(after.lost, 0);
    Strategy s;
    ASSERT_EQ(s.open(path(), "scalper"), MR_OK) << Strategy::error();
    submit_all(s);
    after.engine.step();
    EXPECT_EQ(after.engine.accepted.size(), 3U) << "each was taken before, none twice";
    std::vector<std::uint64_t> told;
    s.poll([&](const client::Result& r) {
        EXPECT_EQ(r.kind, MR_DUPLICATE);
        told.push_back(r.signal.lo);
    });
    EXPECT_EQ(told, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(ClientCrash, RefusesASecondProcessByNameAndPidUntilTheFirstIsDead) {
    Child holder{path(), 1, 1};
    ASSERT_EQ(holder.line(), "done");
    Child second{path(), 2, 1};
    const std::string why = second.line();
    EXPECT_NE(why.find("\"scalper\""), std::string::npos) << why;
    EXPECT_NE(why.find("pid " + std::to_string(holder.pid())), std::string::npos) << why;
    EXPECT_EQ(WEXITSTATUS(second.wait_status()), 1);
    ASSERT_TRUE(killed(holder.kill_now()));
    Child third{path(), 3, 1};
    EXPECT_EQ(third.line(), "done");
    engine.step();
    EXPECT_EQ(engine.accepted.size(), 2U);
}

/// What README and the header send a newcomer to: it has to work as it is printed.
struct ClientExample : ClientCrash {};

TEST_F(ClientExample, OpensThenClosesAndPrintsWhatBecameOfBoth) {
    Child example{{CLIENT_EXAMPLE, path(), "scalper", "main", "EURUSD"}};
    const std::int64_t until = monotonic_ns() + seconds(60).value;
    std::size_t ended = 0;
    Doorbell& bell =
        segment.doorbell(segment.ring_entry(segment.find_ring("results.scalper")).doorbell);
    while (ended < 2 && monotonic_ns() < until) {
        engine.step();
        if (engine.accepted.size() > ended) {
            engine.publish(ResultKind::SignalDone, engine.accepted[ended++]);
        }
        ring(bell);
    }
    ASSERT_EQ(engine.accepted.size(), 2U);
    for (int signal = 0; signal < 2; ++signal) {
        EXPECT_EQ(example.line().substr(0, 7), "kind " + std::to_string(MR_ACCEPTED) + " ");
        EXPECT_EQ(example.line().substr(0, 7), "kind " + std::to_string(MR_SIGNAL_DONE) + " ");
    }
    EXPECT_EQ(example.wait_status(), 0);
    EXPECT_EQ(engine.accepted[0].action, SignalAction::Open);
    EXPECT_EQ(engine.accepted[0].volume, Lots{kScale / 10});
    EXPECT_EQ(engine.accepted[1].action, SignalAction::Close);
    EXPECT_EQ(engine.accepted[1].target, engine.accepted[0].id);
}

TEST_F(ClientCrash, RecordsEachOwnerInTheRingsGenerations) {
    RingControl<>& control = segment.ring_control(segment.find_ring("signals.scalper"));
    for (std::uint64_t n = 1; n <= 3; ++n) {
        Child child{path(), n, 1};
        ASSERT_EQ(child.line(), "done");
        EXPECT_EQ(control.producer_generation.load(), n);
    }
}

}  // namespace
}  // namespace millrace::ingress_test
