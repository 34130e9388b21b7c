// Goal: `top` is usable in 80x24: fits, answers keys, resizes, follows a new segment, and gives the
// terminal back whatever ends it. Method: the real command line under a pseudo terminal, its screen
// kept by a small terminal of our own.
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>

#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"
#include "tests/inspect/pty.h"

namespace millrace::inspect {
namespace {

constexpr const char* kBack = "\x1b[?1049l";  // the other screen is left

class Top : public SegmentFixture {
protected:
    void SetUp() override {
        SegmentFixture::SetUp();
        for (std::uint32_t i = 0; i < kStages; ++i) {
            play_stage(static_cast<StageId>(i), StageState::Running);
        }
        for (std::uint32_t i = 0; i < 4; ++i) {
            segment_->session(AccountId{i}).login = 5000 + i;
        }
        for (std::uint32_t i = 0; i < kHops; ++i) {
            segment_->hop(static_cast<Hop>(i)).record(5'000'000);
        }
        segment_->report_error("broker", "login refused " + std::string(100, 'x'));
        publish("orders", OrderSlot{}, 7);
        publish("reports", ReportSlot{}, 3);
    }
    /// `top` as a child; `environment` is "NO_COLOR" or "".
    std::function<int()> top(bool no_color = false) {
        return [this, no_color] {
            no_color ? ::setenv("NO_COLOR", "1", 1) : ::unsetenv("NO_COLOR");
            const char* argv[] = {"inspect", "top", path_.c_str(), "--interval-ms", "50"};
            return inspect_main(5, argv);
        };
    }
};

TEST_F(Top, FitsEightyByTwentyFourWithAHelpLine) {
    Pty pty{top()};
    ASSERT_TRUE(pty.wait_for("q quit  h help")) << pty.screen.text();
    ASSERT_TRUE(pty.wait_for("/s")) << "no rates in the second picture";
    EXPECT_FALSE(pty.screen.overflowed()) << pty.screen.text();
    for (const char* part : {"engine", "running", "orders", "87%", "HOP", "P99", "login refused"}) {
        EXPECT_TRUE(pty.screen.has(part)) << part << "\n" << pty.screen.text();
    }
    EXPECT_FALSE(pty.terminal_is_normal());
    pty.type("q");
    EXPECT_EQ(pty.wait_end(), 0);
    EXPECT_TRUE(pty.terminal_is_normal());
    EXPECT_NE(pty.raw.find(kBack), std::string::npos);
}

TEST_F(Top, KeysSortChooseOpenAndGoBack) {
    Pty pty{top()};
    ASSERT_TRUE(pty.wait_for("s sort: fullest"));
    pty.type("s");
    ASSERT_TRUE(pty.wait_for("s sort: busiest"));
    pty.type("sss");
    ASSERT_TRUE(pty.wait_for("s sort: fullest"));
    pty.type("r");
    ASSERT_TRUE(pty.wait_for("Enter open")) << pty.screen.text();
    pty.type("\x1b[B\r");  // the second fullest
    ASSERT_TRUE(pty.wait_for("ring reports")) << pty.screen.text();
    EXPECT_TRUE(pty.wait_for("depth 3")) << pty.screen.text();
    EXPECT_TRUE(pty.wait_for("3 * type=")) << pty.screen.text();
    publish("reports", ReportSlot{}, 2);
    ASSERT_TRUE(pty.wait_for("depth 5")) << "the open ring is live";
    pty.type("\x1b");
    ASSERT_TRUE(pty.wait_for("Enter open"));
    pty.type("k\r");
    ASSERT_TRUE(pty.wait_for("ring orders"));
    pty.type("bb");
    ASSERT_TRUE(pty.wait_for("s sort: fullest"));
    pty.type("h");
    ASSERT_TRUE(pty.wait_for("red        needs somebody now"));
    pty.type("hQ");
    EXPECT_EQ(pty.wait_end(), 0);
}

TEST_F(Top, ShowsTheLatenciesOfTheLastSecondsAndSaysSo) {
    Pty pty{top()};
    ASSERT_TRUE(pty.wait_for("HOP  last ")) << pty.screen.text();
    EXPECT_TRUE(pty.wait_for("      0        -        -")) << pty.screen.text();
    segment_->hop(Hop::Gate).record(7'000'000);
    EXPECT_TRUE(pty.wait_for("gate                    1   7.00ms   7.00ms")) << pty.screen.text();
    pty.type("q");
    EXPECT_EQ(pty.wait_end(), 0);
}

TEST_F(Top, ResizesWithTheWindow) {
    Pty pty{top()};
    ASSERT_TRUE(pty.wait_for("q quit"));
    pty.resize(60, 10);
    const auto last_line_is_help = [](const Screen& s) {
        const std::string text = s.text();
        return text.find("q quit") > text.rfind('\n', text.size() - 2);
    };
    EXPECT_TRUE(pty.wait_for([&](const Screen& s) { return last_line_is_help(s); }))
        << pty.screen.text();
    EXPECT_FALSE(pty.screen.overflowed()) << pty.screen.text();
    pty.resize(132, 50);
    EXPECT_TRUE(pty.wait_for([&](const Screen& s) {
        return last_line_is_help(s) && s.has("5003") && s.has("signal_to_result");
    })) << pty.screen.text();
    pty.type("q");
    EXPECT_EQ(pty.wait_end(), 0);
}

TEST_F(Top, GivesTheTerminalBackWhateverSignalEndsIt) {
    for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT}) {
        Pty pty{top()};
        ASSERT_TRUE(pty.wait_for("q quit"));
        pty.send(signal);
        const int status = pty.wait_end();
        const bool crash = signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT;
        if (crash) {
            EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << signal;
        } else {
            EXPECT_EQ(status, 0) << signal;
        }
        EXPECT_TRUE(pty.terminal_is_normal()) << signal;
        EXPECT_NE(pty.raw.find(kBack), std::string::npos) << signal;
    }
}

TEST_F(Top, LendsTheTerminalToTheShellWhileStopped) {
    Pty pty{top()};
    ASSERT_TRUE(pty.wait_for("q quit"));
    pty.send(SIGTSTP);
    ASSERT_TRUE(pty.wait_stopped());
    EXPECT_TRUE(pty.terminal_is_normal());
    pty.screen.resize(80, 24);
    pty.raw.clear();
    pty.send(SIGCONT);
    EXPECT_TRUE(pty.wait_for([&](const Screen& s) {
        return pty.raw.find("\x1b[?1049h") != std::string::npos && s.has("q quit");
    }));
    EXPECT_FALSE(pty.terminal_is_normal());
    pty.type("q");
    EXPECT_EQ(pty.wait_end(), 0);
}

TEST_F(Top, FollowsWhenAnotherSegmentTakesThePlace) {
    segment_->core().orders_sent = 111;
    Pty pty{top()};
    ASSERT_TRUE(pty.wait_for("orders 111"));
    std::filesystem::remove(path_);
    ASSERT_TRUE(pty.wait_for("is gone")) << pty.screen.text();
    SegmentPlan plan;
    plan.path = path_;
    plan.sessions = 2;
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    auto fresh = Segment::create(plan, message);
    ASSERT_TRUE(fresh.ok()) << message;
    fresh.value().core().orders_sent = 222;
    EXPECT_TRUE(pty.wait_for("orders 222")) << pty.screen.text();
    EXPECT_FALSE(pty.screen.has("is gone"));
    pty.type("q");
    EXPECT_EQ(pty.wait_end(), 0);
}

TEST_F(Top, ColoursMeanSomethingAndNoColorSilencesThem) {
    segment_->stage(StageId::Broker).state = static_cast<std::uint32_t>(StageState::Halted);
    Pty loud{top()};
    ASSERT_TRUE(loud.wait_for("halted"));
    EXPECT_NE(loud.raw.find("\x1b[1;31mbroker"), std::string::npos);
    EXPECT_NE(loud.raw.find("\x1b[1;31morders"), std::string::npos) << "80 % full is red";
    Pty quiet{top(true)};
    ASSERT_TRUE(quiet.wait_for("halted"));
    quiet.type("r");
    ASSERT_TRUE(quiet.wait_for(">")) << "the chosen line is marked without colours";
    for (const char* color : {"\x1b[1", "\x1b[3", "\x1b[7m"}) {
        EXPECT_EQ(quiet.raw.find(color), std::string::npos);
    }
}

}  // namespace
}  // namespace millrace::inspect
