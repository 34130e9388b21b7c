// Goal: damage in one account's queue stops that account alone: it is named, its terminal is told,
// the engine hears that the link is down and gets an answer to whatever it still sends there; every
// other account trades on. Method: words of the queue in the segment are overwritten, before a new
// stage takes over or under a running one.
#include "broker_world.h"

#include <gtest/gtest.h>

#include <functional>

namespace millrace::test {
namespace {

RingView<SessionSlot> queue_of(World& w, std::uint32_t account) {
    return w.segment.ring<SessionSlot>(w.entry(account).queue_ring);
}

struct Damage {
    const char* name;
    const char* told;  // part of the error
    void (*damage)(RingView<SessionSlot> queue);
};

/// The queue holds commands 3, 4 and 5; 1 and 2 are over.
constexpr std::uint64_t kFirst = 3;
constexpr std::uint64_t kLast = 5;

const Damage kDamages[] = {
    {"ReadCursor", "read cursor 18446744073709551615",
     [](RingView<SessionSlot> q) { q.control->read_cursor.store(~std::uint64_t{0}); }},
    {"NumberInSlot", "holds number 57005",
     [](RingView<SessionSlot> q) { q.slot(kFirst + 1).sequence.store(57005); }},
    {"State", "the state of a command is none that there is",
     [](RingView<SessionSlot> q) { q.slot(kFirst + 1).payload.state = 77; }},
    {"Account", "a command is another account's",
     [](RingView<SessionSlot> q) { q.slot(kFirst).payload.command.account = AccountId{1}; }},
    {"Order", "not in the engine's order",
     [](RingView<SessionSlot> q) { q.slot(kFirst).payload.command.seq = Sequence{1000}; }},
    {"NewestAccount", "a command is another account's",
     [](RingView<SessionSlot> q) { q.slot(kLast).payload.command.account = AccountId{7}; }},
};

class BrokerDamage : public ::testing::TestWithParam<Damage> {
protected:
    BrokerDamage() {
        Terminal& t = w.connect(kFirstLogin);
        w.order(0);
        w.order(0);
        EXPECT_TRUE(w.until([&] { return w.entry(0).acked.load() == 2; }));
        t.disconnect();
        EXPECT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 1; }));
        for (int i = 0; i < 3; ++i) {
            w.order(0);
        }
        w.steps(5);
    }
    World w{{.accounts = 3, .session_slots = 16}};
};

TEST_P(BrokerDamage, StopsThatAccountAloneWhenANewStageFindsIt) {
    w.stop_stage();
    GetParam().damage(queue_of(w, 0));
    std::string message;
    const auto again =
        Segment::attach((w.dir.path() / "segment").string(), Segment::Mode::ReadWrite, message);
    ASSERT_TRUE(again.ok()) << "every stage has to be able to attach: " << message;
    w.start_stage();
    EXPECT_TRUE(w.error_logged("ALERT account 0 (login 1000) is stopped until a clean stop: "));
    EXPECT_TRUE(w.error_logged(GetParam().told));
    EXPECT_FALSE(w.error_logged("ALERT account 1"));

    Terminal& other = w.connect(kFirstLogin + 1);
    const Magic theirs = w.order(1);
    ASSERT_TRUE(w.until([&] { return other.commands.size() == 1; }));
    EXPECT_EQ(other.commands[0].command.magic, theirs.value);

    const Magic late = w.order(0);
    const Magic look_up = w.order(0, CommandType::Query);
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::QueryUnknown, 0) == 1; }));
    ASSERT_NE(w.unsent(late), nullptr);
    EXPECT_EQ(w.unsent(late)->reason, static_cast<std::uint16_t>(Reason::AccountNotTrading));
    EXPECT_EQ(w.reports.back().magic, look_up);
    EXPECT_EQ(w.count(ReportType::Unsent), 1U) << "what the queue held is not known: in doubt";

    Terminal back{kFirstLogin};
    back.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] {
        back.poll();
        return !back.denied.empty();
    }));
    EXPECT_NE(back.denied.find("the account is stopped"), std::string::npos) << back.denied;
    EXPECT_TRUE(back.commands.empty());
    EXPECT_EQ(w.count(ReportType::SessionUp, 0), 1U) << "only the one before the damage";
    w.kill(KillCommand{1, KillScope::All, kKillStop, {}, 0, {}});
    EXPECT_TRUE(w.until([&] { return w.count(ReportType::KillApplied) == 3; }));
    EXPECT_TRUE(w.stage->drained());
}

INSTANTIATE_TEST_SUITE_P(Words, BrokerDamage, ::testing::ValuesIn(kDamages),
                         [](const auto& param) { return std::string{param.param.name}; });

TEST(BrokerDamageFound, TellsTheEngineThatTheLinkOfAStoppedAccountIsDown) {
    World w;
    w.connect(kFirstLogin);
    w.connect(kFirstLogin + 1);
    w.order(0);
    w.steps(5);
    w.stop_stage();
    queue_of(w, 0).control->read_cursor.store(1'000'000);
    w.start_stage();
    ASSERT_TRUE(w.until([&] { return w.count(ReportType::SessionDown) == 2; }));
    EXPECT_FALSE(w.is_up(0));
}

/// Two terminals are up, and account 0 has commands that wait for the journal's disk.
struct Running {
    World w{{.accounts = 2, .session_slots = 16, .gate = GateLevel::Disk}};
    Terminal& t = w.connect(kFirstLogin);
    Terminal& other = w.connect(kFirstLogin + 1);

    Running() {
        w.order(0);
        w.order(0);
        w.order(1);
        w.steps(5);
    }
    void expect_only_the_first_stopped(const char* told) {
        w.durable_upto(100);
        EXPECT_TRUE(w.until([&] {
            return other.commands.size() == 1 && w.count(ReportType::SessionDown, 0) == 1;
        }));
        EXPECT_TRUE(w.until([&] { return !t.denied.empty(); }));
        EXPECT_NE(t.denied.find("the account is stopped"), std::string::npos) << t.denied;
        EXPECT_TRUE(t.commands.empty());
        EXPECT_TRUE(w.error_logged(told));
        EXPECT_EQ(w.count(ReportType::SessionDown, 1), 0U);
        const Magic late = w.order(0);
        EXPECT_TRUE(w.until([&] { return w.unsent(late) != nullptr; }));
    }
};

TEST(BrokerDamageFound, StopsAnAccountWhoseWaitingCommandIsMarkedAsSent) {
    Running r;
    queue_of(r.w, 0).slot(1).payload.state = static_cast<std::uint32_t>(SlotState::Claimed);
    r.expect_only_the_first_stopped("a command that waits is marked as sent");
}

TEST(BrokerDamageFound, StopsAnAccountWhoseWaitingCommandHasNoState) {
    Running r;
    queue_of(r.w, 0).slot(1).payload.state = 99;
    r.expect_only_the_first_stopped("the state of a command is none that there is");
}

TEST(BrokerDamageFound, StopsAnAccountWhoseCursorWasChanged) {
    Running r;
    queue_of(r.w, 0).control->read_cursor.store(2);
    r.expect_only_the_first_stopped("its read cursor was changed");
}

TEST(BrokerDamageFound, StopsAnAccountWhoseCapacityWasChangedWhateverItSaysNow) {
    for (const std::uint32_t capacity : {0U, 1U, 8U, 32U, 0x8000'0000U, ~0U}) {
        SCOPED_TRACE(capacity);
        Running r;
        queue_of(r.w, 0).control->capacity = capacity;
        r.expect_only_the_first_stopped("queue: its capacity was changed");
        EXPECT_EQ(queue_of(r.w, 0).capacity(), 16U) << "no stage could be started again";
        r.w.restart_stage();  // what the queue held was sound
        Terminal back{kFirstLogin, 78};
        back.connect(r.w.stage->port());
        EXPECT_TRUE(r.w.until([&] {
            back.poll();
            return back.commands.size() == 2;
        }));
    }
}

TEST(BrokerDamageFound, StopsAnAccountThatHasNothingToDo) {
    World w;
    Terminal& idle = w.connect(kFirstLogin);
    Terminal& other = w.connect(kFirstLogin + 1);
    w.steps(5);
    queue_of(w, 0).control->capacity = 4096;
    EXPECT_TRUE(w.until([&] { return idle.denied == Session::kStoppedText; }));
    EXPECT_TRUE(
        w.error_logged("ALERT account 0 (login 1000) is stopped until a clean stop: queue: "
                       "its capacity was changed"));
    EXPECT_TRUE(other.connected());
}

TEST(BrokerDamageFound, EndsAlsoTheSessionThatStoodWhenAConnectionAnewFindsTheDamage) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    Terminal& other = w.connect(kFirstLogin + 1);
    t.acks = false;
    for (int i = 0; i < 3; ++i) {
        w.order(0);
    }
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 3; }));
    w.steps(5);
    queue_of(w, 0).slot(2).payload.state = 99;
    w.steps(5);
    EXPECT_TRUE(t.denied.empty()) << "all has been sent: nobody looks at it";
    Terminal again{kFirstLogin};  // the same journal
    again.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] {
        again.poll();
        return !again.denied.empty();
    }));
    EXPECT_TRUE(again.welcomes.empty());
    EXPECT_TRUE(w.until([&] { return t.denied == Session::kStoppedText; })) << t.denied;
    EXPECT_TRUE(w.until([&] { return w.count(ReportType::SessionDown, 0) == 1; }));
    EXPECT_TRUE(other.connected());
    EXPECT_EQ(w.count(ReportType::SessionDown, 1), 0U);
}

TEST(BrokerDamageFound, SendsNoCommandOfAnotherAccountAlsoIfItIsNotTheNext) {
    Running r;
    queue_of(r.w, 0).slot(2).payload.command.account = AccountId{1};
    r.w.durable_upto(100);
    EXPECT_TRUE(r.w.until([&] { return !r.t.denied.empty(); }));
    EXPECT_EQ(r.t.commands.size(), 1U) << "the sound one before it";
    EXPECT_TRUE(r.w.until([&] { return r.other.commands.size() == 1; }));
}

TEST(BrokerDamageFound, StopsAnAccountWhoseSentCommandLosesItsState) {
    World w;
    Terminal& t = w.connect(kFirstLogin);
    t.acks = false;
    w.order(0);
    ASSERT_TRUE(w.until([&] { return t.commands.size() == 1; }));
    queue_of(w, 0).slot(1).payload.state = 99;
    w.order(0);
    EXPECT_TRUE(w.until([&] { return !t.denied.empty(); }));
    EXPECT_TRUE(w.error_logged("the state of a command is none that there is"));
}

TEST(BrokerDamageFound, LetsNoTerminalInIfAnySlotIsDamaged) {
    World w;
    w.order(0);
    w.order(0);
    w.order(0);
    w.steps(3);
    queue_of(w, 0).slot(2).sequence.store(99);
    Terminal t{kFirstLogin};
    t.connect(w.stage->port());
    ASSERT_TRUE(w.until([&] {
        t.poll();
        return !t.denied.empty();
    }));
    EXPECT_TRUE(t.welcomes.empty());
    EXPECT_TRUE(t.commands.empty());
}

TEST(BrokerDamageFound, TakesNoCommandForAnAccountThatSeemsToHaveALaterOne) {
    World w;
    w.order(0);
    w.steps(3);
    w.stop_stage();
    queue_of(w, 0).slot(1).payload.command.seq = Sequence{1'000'000};
    w.start_stage();
    const Magic lost = w.order(0);
    ASSERT_TRUE(w.until([&] { return w.unsent(lost) != nullptr; }))
        << "taken for a repeat, it would be answered by nobody";
    EXPECT_TRUE(w.error_logged("queue: holds later commands than are to come"));
}

}  // namespace
}  // namespace millrace::test
