// Goal: a broker stage killed at any step loses nothing, doubles nothing, and never sends what was
// answered. Method: the stage runs in a process that kills itself at a crash point; the test is
// engine and terminal around it, and goes on with a new stage on the same segment.
#include "broker_world.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <unistd.h>
#include <csignal>
#include <map>

namespace millrace::test {
namespace {

class Victim {
public:
    Victim(const World& w, const std::string& crash_point) {
        int out[2];
        EXPECT_EQ(::pipe(out), 0);
        const std::string segment = (w.dir.path() / "segment").string();
        const std::string accounts = std::to_string(w.options.accounts);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(out[1], STDOUT_FILENO);
            ::close(out[0]);
            ::setenv("MILLRACE_CRASH_POINT", crash_point.c_str(), 1);
            ::execl(BROKER_VICTIM, BROKER_VICTIM, segment.c_str(), accounts.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(out[1]);
        char text[16] = {};
        const ssize_t n = ::read(out[0], text, sizeof text - 1);
        ::close(out[0]);
        port_ = n > 0 ? static_cast<std::uint16_t>(std::atoi(text)) : std::uint16_t{0};
    }
    ~Victim() {
        if (!dead_) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, &status_, 0);
        }
    }
    Victim(const Victim&) = delete;
    Victim& operator=(const Victim&) = delete;

    [[nodiscard]] bool is_dead() {
        dead_ = dead_ || ::waitpid(pid_, &status_, WNOHANG) == pid_;
        return dead_;
    }
    [[nodiscard]] bool died_by_kill() const {
        return WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL;
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }

private:
    pid_t pid_ = -1;
    int status_ = 0;
    bool dead_ = false;
    std::uint16_t port_ = 0;
};

struct Scene {
    static constexpr std::uint64_t kOrders = 8;
    static constexpr std::uint64_t kOverflowing = 20;  // into a queue of 16

    World w{{.accounts = 2, .session_slots = 16, .starts = false}};
    Terminal& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
    std::size_t answered = 0;
    std::vector<Magic> expired;

    /// Everything for both accounts, before a stage is there.
    void publish() {
        for (std::uint64_t i = 0; i < kOrders; ++i) {
            w.order(0);
        }
        expired.push_back(w.order(0, CommandType::Open, Nanos{-1}));
        for (std::uint64_t i = 0; i < kOverflowing; ++i) {
            w.order(1);
        }
    }
    /// The terminal executes each new command once and tells.
    void execute() {
        for (; answered < t.commands.size(); ++answered) {
            t.send_event(filled(Magic{t.commands[answered].command.magic}));
        }
    }
    void step() {
        w.step();
        execute();
        if (w.count(ReportType::Outcome) >= 2 && !killed) {
            killed = true;
            w.kill(KillCommand{1, KillScope::Account, kKillStop, {}, 1, {}});
        }
    }
    bool killed = false;
    [[nodiscard]] bool is_complete() const {
        return distinct_outcomes() == kOrders && w.count(ReportType::KillApplied, 1) >= 1 &&
               w.count(ReportType::Unsent, 1) >= kOverflowing &&
               w.count(ReportType::Unsent, 0) >= 1;
    }
    [[nodiscard]] std::size_t distinct_outcomes() const {
        std::map<std::uint64_t, int> seen;
        for (const Report& r : w.reports) {
            seen[r.magic.value] += r.type == ReportType::Outcome ? 1 : 0;
        }
        std::size_t n = 0;
        for (const auto& [magic, count] : seen) {
            n += count > 0 ? 1U : 0U;
        }
        return n;
    }
};

void expect_every_command_decided_once(Scene& s) {
    std::map<std::uint64_t, int> sent;
    std::map<std::uint64_t, int> unsent;
    for (const Terminal::Received& r : s.t.commands) {
        ++sent[r.command.magic];
    }
    for (const Report& r : s.w.reports) {
        unsent[r.magic.value] += r.type == ReportType::Unsent ? 1 : 0;
    }
    for (std::uint64_t seq = 1; seq <= s.w.last_seq; ++seq) {
        const std::uint64_t magic = Magic::make(kTag, seq, 0).value;
        EXPECT_EQ(sent[magic] + unsent[magic], 1)
            << "order " << seq << ": sent " << sent[magic] << ", answered " << unsent[magic];
    }
    EXPECT_EQ(unsent[s.expired[0].value], 1);
    std::uint64_t last = 0;
    for (const Terminal::Received& r : s.t.commands) {
        EXPECT_GT(r.seq, last) << "command numbers only grow";
        last = r.seq;
    }
}

class BrokerRestart : public ::testing::TestWithParam<const char*> {};

TEST_P(BrokerRestart, LosesAndDoublesNothingWhenKilledThere) {
    for (const int passage : {1, 2, 5}) {
        SCOPED_TRACE(::testing::Message() << GetParam() << ":" << passage);
        Scene s;
        s.publish();
        {
            Victim victim{s.w, std::string{GetParam()} + ":" + std::to_string(passage)};
            if (victim.port() != 0 && !victim.is_dead()) {
                s.t.connect_if_possible(victim.port());
            }
            ASSERT_TRUE(s.w.until([&] {
                s.step();
                return victim.is_dead() || s.is_complete();
            }));
            if (passage == 1) {
                EXPECT_TRUE(s.w.until([&] { return victim.is_dead(); })) << "never came there";
                EXPECT_TRUE(victim.died_by_kill());
            }
        }
        s.t.disconnect();
        s.w.start_stage();
        s.t.connect(s.w.stage->port());
        ASSERT_TRUE(s.w.until([&] {
            s.step();
            return s.is_complete();
        }));
        for (int i = 0; i < 20; ++i) {
            s.step();
        }
        expect_every_command_decided_once(s);
        EXPECT_EQ(s.w.stage->stats().in_doubt, 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(
    CrashPoints, BrokerRestart,
    ::testing::Values("broker.after_drain", "broker.after_orders_release", "broker.before_claim",
                      "broker.after_claim", "broker.after_write", "broker.after_done",
                      "broker.before_report", "broker.after_report", "broker.after_answered",
                      "broker.after_ack", "broker.after_release", "broker.after_settle",
                      "broker.after_welcome", "broker.after_kill_noted", "broker.after_kill_sent"),
    [](const auto& param) {
        std::string name = param.param;
        name.replace(name.find('.'), 1, "_");
        return name;
    });

/// A login settles all numbers below the next one to send, which may be further than any command
/// was ever claimed: what was answered here has a number too.
TEST(BrokerRestartInSettling, LeavesNoCellBeyondClaimed) {
    World w{{.starts = false}};
    w.order(0, CommandType::Open, Nanos{-1});  // has expired
    Terminal& t = *w.terminals.emplace_back(std::make_unique<Terminal>(kFirstLogin));
    Victim victim{w, "broker.after_settle"};
    ASSERT_NE(victim.port(), 0);
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::Unsent, 0) == 1; }));
    EXPECT_EQ(w.entry(0).claimed.load(), 0U);
    t.connect_if_possible(victim.port());
    ASSERT_TRUE(w.until([&] { return victim.is_dead(); }));
    EXPECT_TRUE(victim.died_by_kill());
    EXPECT_EQ(w.entry(0).claimed.load(), 1U);
    EXPECT_LE(w.entry(0).done.load(), w.entry(0).claimed.load());
    EXPECT_LE(w.entry(0).acked.load(), w.entry(0).claimed.load());
}

TEST(BrokerRestartInProcess, TellsTheEngineThatTheOldStagesLinksAreDown) {
    World w;
    w.connect(kFirstLogin);
    w.restart_stage();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown, 0) == 1; }));
    EXPECT_EQ(w.count(ReportType::SessionDown, 1), 0U) << "that one was never up";
    EXPECT_FALSE(w.is_up(0));
}

}  // namespace
}  // namespace millrace::test
