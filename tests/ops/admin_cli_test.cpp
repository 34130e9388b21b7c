// Goal: accounts and groups are paused and removed from the command line while the pipeline runs,
// and another logic version takes a log over only by `millrace upgrade`.
// Method: the real executable as child processes; "the next build" is the same program with another
// logic version linked in.
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/logic_version.h"
#include "gateway/signal_client.h"
#include "persist/log_version.h"
#include "tests/ops/pipeline_fixture.h"
#include "tools/millrace/actor.h"
#include "tools/millrace/table_sizes.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

#define EXPECT_SAYS(finished, text) \
    EXPECT_NE((finished).output.find(text), std::string::npos) << (finished).output

constexpr const char* kLate =
    R"({"name": "late", "login": 9, "key": "00112233445566778899aabbccddeeff"})";

nlohmann::json ids_of(const Pipeline& p) {
    return nlohmann::json::parse(std::ifstream{p.journal_dir() + "/ids.json"});
}

void stop(Pipeline& p) {
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
}

TEST(Administration, RemovesAnAccountAndGivesItsNameAnotherId) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const std::string file = p.dir().write("late.json", kLate);
    ASSERT_EQ(p.run({"account", "add", file}).status, 0);
    ASSERT_EQ(p.run({"group", "member", "g", "late"}).status, 0);
    EXPECT_EQ(ids_of(p)["accounts"]["late"], 1);

    const Finished configured = p.run({"account", "remove", "a1"});
    EXPECT_EQ(configured.status, 1);
    EXPECT_SAYS(configured, "stands in \"accounts\" of " + p.config());
    const Finished unknown = p.run({"account", "remove", "lat"});
    EXPECT_EQ(unknown.status, 1);
    EXPECT_SAYS(unknown, "known: a1 late");

    const Finished removed = p.run({"account", "remove", "late"});
    EXPECT_EQ(removed.status, 0) << removed.output;
    EXPECT_EQ(p.run({"account", "list"}).output.find("late"), std::string::npos);
    EXPECT_FALSE(fs::exists(p.journal_dir() + "/accounts.d/late.json"));
    EXPECT_EQ(p.run({"config", "check", p.config()}, false).status, 0);

    ASSERT_EQ(p.run({"account", "add", file}).status, 0);
    EXPECT_EQ(ids_of(p)["accounts"]["late"], 2) << "an id is never used again";
    stop(p);
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_EQ(p.log("second.log").find("not taken"), std::string::npos) << p.log("second.log");
}

TEST(Administration, EndsARemovalThatWasCutShortAfterTheEngineHadDoneIt) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    ASSERT_EQ(p.run({"account", "add", p.dir().write("late.json", kLate)}).status, 0);
    const std::string added = p.journal_dir() + "/accounts.d/late.json";
    fs::copy_file(added, p.dir() / "kept.json");
    fs::copy_file(p.journal_dir() + "/ids.json", p.dir() / "ids.json");
    ASSERT_EQ(p.run({"account", "remove", "late"}).status, 0);
    fs::copy_file(p.dir() / "kept.json", added);  // as if it had died there
    fs::copy_file(p.dir() / "ids.json", p.journal_dir() + "/ids.json",
                  fs::copy_options::overwrite_existing);
    stop(p);
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_TRUE(eventually([&] {
        return p.log("second.log").find("`millrace account remove`") != std::string::npos;
    })) << p.log("second.log");
    const Finished other = p.run({"group", "add", "more"});
    EXPECT_EQ(other.status, 0) << "the rest of the configuration is taken: " << other.output;
    EXPECT_EQ(p.run({"account", "remove", "late"}).status, 0);
    EXPECT_EQ(ids_of(p)["accounts"].contains("late"), false);
    EXPECT_FALSE(fs::exists(added));
}

TEST(Administration, DoesNotBringBackANameThatWasTakenOutOfTheFileAndRemoved) {
    Pipeline p;
    std::string text = p.config_text();
    text.insert(text.find("\"accounts\": [") + 13,
                R"({"name": "b2", "login": 77, "key": "00112233445566778899aabbccddeeff"}, )");
    p.dir().write("c.json", text);
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    p.write_config();
    const Finished removed = p.run({"account", "remove", "b2"});
    ASSERT_EQ(removed.status, 0) << removed.output;
    const Finished added = p.run({"group", "add", "more"});
    EXPECT_EQ(added.status, 0) << added.output;
    EXPECT_SAYS(added, "edited since the start");
    EXPECT_FALSE(ids_of(p)["accounts"].contains("b2")) << "it stands in the text of the start";
}

TEST(Administration, PausesAGroupAcrossARestartAndRemovesOne) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const Finished pause = p.run({"group", "pause", "g"});
    EXPECT_EQ(pause.status, 0) << pause.output;
    EXPECT_SAYS(p.run({"group", "list"}), "PAUSED");
    ASSERT_EQ(p.run({"group", "add", "extra"}).status, 0);
    EXPECT_EQ(p.run({"group", "remove", "extra"}).status, 0);
    EXPECT_EQ(p.run({"group", "list"}).output.find("extra"), std::string::npos);
    EXPECT_SAYS(p.run({"group", "remove", "g"}), "stands in \"groups\"");
    stop(p);
    const Finished log = p.run({"inspect", "dump", "log", "--journal", p.journal_dir()}, false);
    const Actor us = this_actor(true);
    EXPECT_SAYS(log, "SET_GROUP");
    EXPECT_SAYS(log, std::string{view(us.user)});
    EXPECT_SAYS(log, std::string{view(us.host)});
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_SAYS(p.run({"group", "list"}), "PAUSED");
    EXPECT_EQ(p.run({"group", "resume", "g"}).status, 0);
    EXPECT_SAYS(p.run({"group", "list"}), "ACTIVE");
}

/// What a command could change, as text: who is there and how it stands, files, processes, the log.
std::string all_of(Pipeline& p) {
    const Segment segment = p.attach();
    std::string text = p.run({"account", "list"}).output + p.run({"group", "list"}).output;
    for (const auto& entry : fs::recursive_directory_iterator{p.journal_dir()}) {
        text += entry.path().string() + "\n";
    }
    for (std::uint32_t i = 0; i < kStages; ++i) {
        text += std::to_string(pid_of(segment, static_cast<StageId>(i))) + " ";
    }
    std::ifstream ids{p.journal_dir() + "/ids.json"};
    text.append(std::istreambuf_iterator<char>{ids}, {});
    return text + std::to_string(segment.core().completed.load());
}

TEST(Administration, SaysInADryRunWhatItWouldDoAndToWhomAndChangesNothing) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    const std::string late = p.dir().write("late.json", kLate);
    ASSERT_EQ(p.run({"account", "add", p.dir().write("more.json", R"({"name": "more", "login": 8,
        "key": "00112233445566778899aabbccddeeff"})")})
                  .status,
              0);
    ASSERT_EQ(p.run({"group", "add", "extra"}).status, 0);
    const std::string before = all_of(p);
    const struct {
        std::vector<std::string> command;
        const char* says;
    } asked[] = {
        {{"account", "pause", "a1"}, "a1: would be paused (now RECONCILING, link DOWN, 0 live"},
        {{"account", "resume", "a1"}, "a1: would be resumed"},
        {{"account", "reduce-only", "a1"}, "a1: would be reduce-only"},
        {{"account", "disable", "a1"}, "a1: would be disabled"},
        {{"account", "add", late}, "account late would be added, and the engine told"},
        {{"account", "remove", "more"}, "account more: would be removed for good (now"},
        {{"group", "pause", "g"}, "g: would be paused"},
        {{"group", "resume", "g"}, "g: would be resumed"},
        {{"group", "add", "third"}, "group third would be added"},
        {{"group", "member", "g", "more"}, "group g: its member more would be changed"},
        {{"group", "remove", "extra"}, "group extra: would be removed for good"},
        {{"kill", "--all", "--cancel", "--flatten"}, "cancel our pending orders, close our positi"},
        {{"kill", "--group", "g"}, "\n  a1 "},
        {{"kill", "--account", "more"}, "\n  more "},
        {{"unkill", "--all"}, "would let trade again"},
        {{"resolve", "12345", "--filled", "0.1@1.08"}, "order 12345: would end as filled 0.1@1.08"},
        {{"down"}, "would ask supervisor (pid "},
    };
    for (const auto& [command, says] : asked) {
        std::vector<std::string> dry = command;
        dry.push_back("--dry-run");
        const Finished said = p.run(dry);
        EXPECT_EQ(said.status, 0) << said.output;
        EXPECT_SAYS(said, says);
    }
    EXPECT_EQ(p.run({"kill", "--group", "g", "--dry-run"}).output.find("more"), std::string::npos)
        << "no member of it";
    EXPECT_EQ(all_of(p), before);

    const Finished twice = p.run({"account", "add", p.dir().write("a.json", R"({"name": "z",
        "login": 8, "key": "00112233445566778899aabbccddeeff"})"),
                                  "--dry-run"});
    EXPECT_NE(twice.status, 0) << "the whole configuration is checked with it: " << twice.output;
    EXPECT_NE(p.run({"group", "member", "g", "nobody", "--dry-run"}).status, 0);
    EXPECT_NE(p.run({"account", "pause", "nobody", "--dry-run"}).status, 0);
    EXPECT_EQ(p.run({"recover", "--skip", "7", "--dry-run"}).status, 1) << "nothing is halted";
    EXPECT_EQ(all_of(p), before);
    EXPECT_EQ(p.run({"kill", "--all", "--dry-run", "--segment", p.segment_path()}, false).status,
              0);
}

TEST(Administration, SaysThatOnlyARunningEngineKnows) {
    Pipeline p;
    const Finished none = p.run({"account", "remove", "a1"});
    EXPECT_EQ(none.status, 1);
    EXPECT_SAYS(none, "only a running engine knows");
}

// -- what the journal's state does not allow -----------------------------------------------------

/// An order that lives for an hour: no terminal is there to take it.
void leave_an_order(const Pipeline& p) {
    const auto config = nlohmann::json::parse(std::ifstream{p.config()});
    const auto address = config["listen"]["signals"].get<std::string>();
    SignalClientOptions options;
    options.port = static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1)));
    options.source = "src";
    for (int i = 0; i < 16; ++i) {
        options.key.push_back(static_cast<std::byte>(i * 0x11));  // as in the configuration
    }
    bool accepted = false;
    SignalCallbacks callbacks;
    callbacks.on_ack = [&](const SignalAnswer&) { accepted = true; };
    std::string message;
    auto client = SignalClient::create(options, callbacks, message);
    ASSERT_TRUE(client.ok()) << message;
    SignalRequest signal;
    signal.id = {1, 2};
    signal.group = "g";
    signal.symbol = "EURUSD";
    signal.action = SignalAction::Open;
    signal.price_kind = PriceKind::Limit;
    signal.price = Price{kScale};
    signal.volume = Lots{kScale / 10};
    signal.ttl_ms = 3'600'000;
    ASSERT_TRUE(client.value()->submit(signal).ok());
    ASSERT_TRUE(eventually([&] { return client.value()->poll(10) >= 0 && accepted; }));
}

/// `up` with `now` in place of `was` in the configuration: refused, and no segment is left behind.
void expect_refused(Pipeline& p, const std::string& was, const std::string& now,
                    const std::string& why) {
    std::string text = p.config_text();
    text.replace(text.find(was), was.size(), now);
    const bool had_segment = fs::exists(p.segment_path());
    p.dir().write("c.json", text);
    const Finished refused = p.run({"up"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_SAYS(refused, why);
    EXPECT_EQ(fs::exists(p.segment_path()), had_segment);
    p.write_config();
}

TEST(Start, RefusesATagAndALoginThatLiveOrdersDoNotGoByAndOtherSizesOfTables) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    ASSERT_NO_FATAL_FAILURE(leave_an_order(p));
    stop(p);
    const std::string tag = "\"risk\": {\"magic_tag\": 4711}, \"groups\"";
    expect_refused(p, "\"groups\"", tag, "RiskLimits: 1 orders, 0 positions: ");
    expect_refused(p, "\"login\": 1001", "\"login\": 1002", "DefineAccount a1: 1 orders, ");
    expect_refused(p, "\"orders\": 1024", "\"orders\": 2048", "\"capacity.orders\" 1024, not 2048");
    expect_refused(p, "\"accounts_max\": 8", "\"accounts_max\": 16", "\"accounts_max\" 8, not 16");
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    ::kill(p.supervisor(), SIGKILL);
    p.wait_supervisor();
    expect_refused(p, "\"groups\"", tag, "\"risk.magic_tag\"");  // the stages live on
    expect_refused(p, "\"ledger\": 4096", "\"ledger\": 8192", "\"capacity.ledger\" 4096, not 8192");
    p.up("third.log");
    // The stages have run all the time: what counts is that the new supervisor takes signals.
    ASSERT_TRUE(eventually(
        [&] { return p.log("third.log").find("attached to segment") != std::string::npos; }));
    stop(p);
}

TEST(Start, RefusesOtherSizesOfTablesFromTheFirstRecordOn) {
    Pipeline p;
    // However slow the machine: no snapshot tells the sizes.
    std::string text = p.config_text();
    const std::string files = "\"file_mib\": 1";
    text.replace(text.find(files), files.size(), files + ", \"snapshot_s\": 3600");
    p.dir().write("c.json", text);
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    ASSERT_EQ(p.run({"account", "pause", "a1"}).status, 0);
    p.kill_all();
    for (const auto& file : fs::directory_iterator{p.journal_dir()}) {
        ASSERT_FALSE(file.path().filename().string().starts_with("snapshot-")) << file.path();
    }
    const std::string why = "\"capacity.orders\" 1024, not 2048";
    expect_refused(p, "\"orders\": 1024", "\"orders\": 2048", why);
    fs::remove(p.segment_path());
    expect_refused(p, "\"orders\": 1024", "\"orders\": 2048", why);
    p.dir().write("j/sizes.json", "{");
    expect_refused(p, "\"orders\": 1024", "\"orders\": 1024", "sizes.json is damaged");
    fs::remove(p.journal_dir() + "/sizes.json");  // as an older build left it
    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_FALSE(fs::exists(p.journal_dir() + "/sizes.json")) << "nobody knows that they are right";
    stop(p);
}

TEST(Start, TakesOtherSizesOfTablesWhereNothingWasJournalledYet) {
    Pipeline p;
    p.dir().write("j/sizes.json",
                  R"({"version": 1, "accounts_max": 1, "capacity": {"members": 1, "orders": 1,
                     "ledger": 1}})");
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    stop(p);
    std::string message;
    const auto sizes = load_table_sizes(p.journal_dir(), message);
    ASSERT_TRUE(sizes.ok()) << message;
    EXPECT_EQ(sizes.value().accounts, 8U);
    EXPECT_EQ(sizes.value().orders, 1024U);
}

TEST(Start, ReadsSnapshotAndLogOnce) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    stop(p);  // it takes a snapshot
    const int notify = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ASSERT_GE(::inotify_add_watch(notify, p.journal_dir().c_str(), IN_OPEN), 0);
    expect_refused(p, "\"orders\": 1024", "\"orders\": 2048", "\"capacity.orders\"");
    alignas(inotify_event) char events[65536];
    const ssize_t bytes = ::read(notify, events, sizeof events);
    ::close(notify);
    int opened = 0;
    for (ssize_t at = 0; at < bytes;) {
        const auto* e = reinterpret_cast<const inotify_event*>(events + at);
        opened += e->len != 0 && std::string_view{e->name}.starts_with("snapshot-") ? 1 : 0;
        at += static_cast<ssize_t>(sizeof *e + e->len);
    }
    EXPECT_EQ(opened, 1);
}

// -- another logic version ------------------------------------------------------------------------

const std::string kNow = "logic version " + std::to_string(kLogicVersion);
const std::string kNext = "logic version " + std::to_string(kLogicVersion + 1);

/// A log with something in it, stopped clean.
void make_log(Pipeline& p) {
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    ASSERT_EQ(p.run({"account", "pause", "a1"}).status, 0);
    stop(p);
}

TEST(Upgrade, IsNeededBeforeAnotherVersionStarts) {
    Pipeline p;
    make_log(p);
    p.use(MILLRACE_NEXT_EXECUTABLE);
    const Finished refused = p.run({"up"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_SAYS(refused,
                "was made by " + kNow + ", this build has " + std::to_string(kLogicVersion + 1));
    EXPECT_SAYS(refused, p.journal_dir() + "/snapshot-");
    EXPECT_SAYS(refused, "millrace upgrade");
    EXPECT_FALSE(fs::exists(p.segment_path()));
    const Finished plan =
        p.run({"inspect", "recover", "--dry-run", "--journal", p.journal_dir()}, false);
    EXPECT_EQ(plan.status, 1) << plan.output;
    EXPECT_SAYS(plan, "was made by " + kNow);

    const Finished dry = p.run({"upgrade", "--dry-run"});
    EXPECT_EQ(dry.status, 0) << dry.output;
    EXPECT_SAYS(dry, "nothing was changed");
    EXPECT_EQ(p.run({"up"}).status, 1) << "a dry run is none";

    const Finished upgrade = p.run({"upgrade"});
    EXPECT_EQ(upgrade.status, 0) << upgrade.output;
    EXPECT_SAYS(upgrade, "a new epoch of " + kNext);
    const Finished again = p.run({"upgrade"});
    EXPECT_EQ(again.status, 0);
    EXPECT_SAYS(again, "nothing to do");

    p.up("second.log");
    ASSERT_TRUE(p.wait_running()) << p.log("second.log");
    EXPECT_TRUE(eventually([&] {
        return p.run({"account", "list"}).output.find("INACTIVE") != std::string::npos;
    })) << "the state came along";
    stop(p);

    p.use(MILLRACE_EXECUTABLE);  // and never back
    const Finished back = p.run({"up"});
    EXPECT_EQ(back.status, 1);
    EXPECT_SAYS(back, "was made by " + kNext);
    EXPECT_SAYS(back, "Use the build of version " + std::to_string(kLogicVersion + 1));
    EXPECT_SAYS(p.run({"upgrade"}), "this build is older");
}

TEST(Upgrade, SaysHowToBeginAnewAfterABuildWhoseLogsCannotBeUpgraded) {
    Pipeline p;
    p.use(MILLRACE_FIRST_EXECUTABLE);
    make_log(p);
    p.use(MILLRACE_EXECUTABLE);
    const std::string made = "logic version " + std::to_string(kFirstUpgradableLogic - 1);
    for (const char* command : {"up", "upgrade"}) {
        const Finished refused = p.run({command});
        EXPECT_EQ(refused.status, 1) << command;
        EXPECT_SAYS(refused, "was made by " + made);
        EXPECT_SAYS(refused, "another \"risk.magic_tag\"");
        EXPECT_SAYS(refused, "intent journals moved away");
        EXPECT_EQ(refused.output.find("then run `millrace upgrade"), std::string::npos)
            << "advice that does not help: " << refused.output;
    }
    const Finished dump = p.run({"inspect", "dump", "log", "--journal", p.journal_dir()}, false);
    EXPECT_EQ(dump.status, 0) << dump.output;
    EXPECT_SAYS(dump, "op=SET_ACCOUNT");
}

TEST(Upgrade, RefusesALogThatTheOldBuildDidNotStopClean) {
    Pipeline p;
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    p.use(MILLRACE_NEXT_EXECUTABLE);
    const Finished running = p.run({"upgrade"});
    EXPECT_NE(running.status, 0);
    EXPECT_SAYS(running, "keeps this journal");
    p.kill_all();
    const Finished killed = p.run({"upgrade"});
    EXPECT_EQ(killed.status, 1);
    EXPECT_SAYS(killed, "was not stopped clean");
    // Nor does it go on in the segment that is there, and the plan says so.
    const Finished started = p.run({"up"});
    EXPECT_EQ(started.status, 1) << started.output;
    EXPECT_SAYS(started, "was made by " + kNow);
    EXPECT_TRUE(fs::exists(p.segment_path())) << "the old build can";
    const Finished plan = p.run({"inspect", "recover", "--dry-run", p.segment_path()}, false);
    EXPECT_EQ(plan.status, 1) << plan.output;
    EXPECT_SAYS(plan, "was made by " + kNow);
    fs::remove(p.segment_path());
    const Finished lost = p.run({"upgrade"});
    EXPECT_EQ(lost.status, 1);
    EXPECT_SAYS(lost, "millrace down");
}

class UpgradeKilled : public testing::TestWithParam<bool> {};

TEST_P(UpgradeKilled, AtAnyStepCanBeRunAgain) {
    const bool removed = GetParam();
    for (const char* point :
         {"upgrade.segment", "engine.begin.jumped", "upgrade.journalled", "snapshot.before_rename",
          "snapshot.after_rename", "upgrade.written"}) {
        Pipeline p;
        make_log(p);
        p.use(MILLRACE_NEXT_EXECUTABLE);
        ::setenv("MILLRACE_CRASH_POINT", point, 1);
        const Finished killed = p.run({"upgrade"});
        ::unsetenv("MILLRACE_CRASH_POINT");
        EXPECT_EQ(killed.status, 128 + SIGKILL) << point << " was never reached";
        if (removed) {
            fs::remove(p.segment_path() + ".upgrade");
        }
        const Finished again = p.run({"upgrade"});
        EXPECT_EQ(again.status, 0) << point << ": " << again.output;
        EXPECT_FALSE(fs::exists(p.segment_path() + ".upgrade")) << point;
        p.up("second.log");
        ASSERT_TRUE(p.wait_running()) << point << p.log("second.log");
        EXPECT_TRUE(eventually([&] {
            return p.run({"account", "list"}).output.find("INACTIVE") != std::string::npos;
        })) << point;
        stop(p);
    }
}

INSTANTIATE_TEST_SUITE_P(Segment, UpgradeKilled, testing::Bool(), [](const auto& run) {
    return std::string{run.param ? "SegmentRemoved" : "SameSegment"};
});

}  // namespace
}  // namespace millrace::test
