// Goal: every number is the number of the thing that it stands beside. Method: values that differ
// from all others in the segment, asked for through the command line. Each test was written for a
// deliberate mistake that no other test had noticed.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"
#include "tools/inspect/describe.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;

class InspectNumbers : public SegmentFixture {
protected:
    static json named(const json& list, const std::string& name) {
        const auto at = std::find_if(list.begin(), list.end(),
                                     [&](const json& item) { return item["name"] == name; });
        return at == list.end() ? json{} : *at;
    }
    /// The exported buckets of `hop`: count by bound.
    std::map<std::string, std::string> bucket_counts(const std::string& hop) {
        std::istringstream lines{run_cli({"export", path_}).out};
        std::map<std::string, std::string> counts;
        for (std::string line; std::getline(lines, line);) {
            const auto at = line.find("le=\"") + 4;
            if (line.rfind("millrace_hop_latency_seconds_bucket", 0) == 0 &&
                line.find("hop=\"" + hop + "\"") != std::string::npos) {
                counts[line.substr(at, line.find('"', at) - at)] = line.substr(line.rfind(' ') + 1);
            }
        }
        return counts;
    }
};

TEST_F(InspectNumbers, EmptyPollsOfARingAreTheIdleCyclesOfItsConsumer) {
    const StageId stages[] = {StageId::Engine, StageId::Broker, StageId::Journal};
    for (std::uint32_t i = 0; i < 3; ++i) {
        segment_->stage(stages[i]).idle_cycles = 70 + i;
        segment_->stage(stages[i]).duty_cycles = 900 + i;
    }
    const json rings = run_json("stat", {"stat", path_, "--all"})["rings"];
    EXPECT_EQ(named(rings, "signals.alpha")["polls_empty"], 70);
    EXPECT_EQ(named(rings, "reports")["polls_empty"], 70);
    EXPECT_EQ(named(rings, "orders")["polls_empty"], 71);
    EXPECT_EQ(named(rings, "journal")["polls_empty"], 72);
    EXPECT_TRUE(named(rings, "results.alpha")["polls_empty"].is_null()) << "read by no stage";
}

TEST_F(InspectNumbers, ErrorsOfOneStageAreOfThatStageOnly) {
    segment_->report_error("broker", "login refused");
    segment_->report_error("sqlite", "disk full");
    const json j = run_json("errors", {"errors", path_, "--stage", "sqlite"});
    ASSERT_EQ(j["errors"].size(), 1U);
    EXPECT_EQ(j["errors"][0]["text"], "disk full");
    const Ran text = run_cli({"errors", path_, "--stage", "sqlite"});
    EXPECT_EQ(text.out.find("login refused"), std::string::npos) << text.out;
    EXPECT_EQ(run_cli({"errors", path_, "--stage", "ingress"}).out, "no errors\n");
}

TEST_F(InspectNumbers, AHistogramsBucketEndsWithTheLargestValueThatItHolds) {
    const auto largest = static_cast<std::int64_t>(Histogram::upper_of(200));
    segment_->hop(Hop::Gate).record(largest);
    segment_->hop(Hop::Gate).record(largest + 1);
    const json j = run_json("hist", {"hist", path_, "--hop", "gate"});
    const json& buckets = j["histograms"][0]["buckets"];
    ASSERT_EQ(buckets.size(), 2U);
    EXPECT_EQ(buckets[0]["upper_ns"], largest);
    EXPECT_EQ(buckets[1]["upper_ns"], Histogram::upper_of(201));
}

TEST_F(InspectNumbers, ASegmentWhoseOwnersAreGoneIsDeadHoweverManyThereWere) {
    const auto state = [&] {
        return run_json("list", {"list", "--dir", dir_.string()})["segments"][0]["state"];
    };
    play_stage(StageId::Engine, StageState::Running);
    play_stage(StageId::Broker, StageState::Running);
    EXPECT_EQ(state(), "live");
    segment_->stage(StageId::Engine).start_time += 1;  // the pid is somebody else's
    EXPECT_EQ(state(), "live") << "one is enough";
    segment_->stage(StageId::Broker).start_time += 1;
    EXPECT_EQ(state(), "dead");
}

TEST_F(InspectNumbers, DiffNamesEveryRingThatMovedAndWhatIsThereInOneOfTheTwoOnly) {
    const std::string copy = (dir_ / "copy").string();
    std::filesystem::copy_file(path_, copy);
    publish("orders", OrderSlot{});
    publish("reports", ReportSlot{});
    publish("journal", JournalRecord{});
    publish("signals.alpha", SignalSlot{});
    publish("results.alpha", ResultSlot{});
    EXPECT_NE(run_cli({"diff", copy, path_}).out.find("rings[orders].written: 0 -> 1  (+1)"),
              std::string::npos);
    EXPECT_NE(run_cli({"diff", path_, copy}).out.find("rings[orders].written: 1 -> 0  (-1)"),
              std::string::npos);
    segment_->session(AccountId{2}).login = 5002;  // accounts without a login are not listed
    const auto changed = [&](const std::string& a, const std::string& b) {
        std::set<std::string> out;
        const json j = run_json("diff", {"diff", a, b}, 1);
        for (const json& change : j["changes"]) {
            out.insert(change["path"].get<std::string>());
        }
        return out;
    };
    for (const auto& found : {changed(copy, path_), changed(path_, copy)}) {
        for (const char* ring :
             {"orders", "reports", "journal", "signals.alpha", "results.alpha"}) {
            EXPECT_EQ(found.count(std::string{"rings["} + ring + "].written"), 1U) << ring;
        }
        EXPECT_EQ(found.count("rings[admin].written"), 0U);
        EXPECT_EQ(found.count("sessions[2].login"), 1U) << "in one of the two only";
    }
}

TEST_F(InspectNumbers, WaitHoldsEachConditionToItsVeryBoundAndAllOfThemAtOnce) {
    publish("orders", OrderSlot{}, 3);
    segment_->core().durable = 40;
    segment_->core().journal_seq = 42;
    const auto waits = [&](std::vector<std::string> conditions) {
        conditions.insert(conditions.begin(), {"wait", path_, "--timeout", "0"});
        return run_cli(conditions).status;
    };
    EXPECT_EQ(waits({"--ring", "orders", "--depth-below", "4"}), 0);
    EXPECT_EQ(waits({"--ring", "orders", "--depth-below", "3"}), 1);
    EXPECT_EQ(waits({"--ring", "orders", "--depth-above", "2"}), 0);
    EXPECT_EQ(waits({"--ring", "orders", "--depth-above", "3"}), 1);
    EXPECT_EQ(waits({"--durable", "40"}), 0);
    EXPECT_EQ(waits({"--durable", "41"}), 1);
    EXPECT_EQ(waits({"--sink", "journal", "--lag-below", "3"}), 0);
    EXPECT_EQ(waits({"--sink", "journal", "--lag-below", "2"}), 1);
    EXPECT_EQ(waits({"--sink", "replica", "--lag-below", "42"}), 1) << "its own lag, not another's";
    EXPECT_EQ(waits({"--durable", "40", "--ring", "orders", "--depth-below", "4"}), 0);
    EXPECT_EQ(waits({"--durable", "40", "--ring", "orders", "--depth-below", "3"}), 1);
    EXPECT_EQ(waits({"--durable", "41", "--ring", "orders", "--depth-below", "4"}), 1);
}

TEST_F(InspectNumbers, WaitTakesEachSinksLagFromItsOwnCursor) {
    CoreCells& core = segment_->core();
    core.journal_seq = 50;
    core.durable = 49;
    core.replica_applied = 47;
    core.sqlite_seq = 44;
    core.redis_seq = 40;
    core.clickhouse_seq = 35;
    const std::pair<const char*, int> lags[] = {
        {"journal", 1}, {"replica", 3}, {"sqlite", 6}, {"redis", 10}, {"clickhouse", 15}};
    for (const auto& [sink, lag] : lags) {
        const auto below = [&](int bound) {
            return run_cli({"wait", path_, "--timeout", "0", "--sink", sink, "--lag-below",
                            std::to_string(bound)})
                .status;
        };
        EXPECT_EQ(below(lag), 1) << sink;
        EXPECT_EQ(below(lag + 1), 0) << sink;
    }
}

TEST_F(InspectNumbers, AReplicaThatStartsHasNoLagUntilItHasSaidWhereItStands) {
    CoreCells& core = segment_->core();
    const auto waits = [&](const char* bound) {
        return run_cli({"wait", path_, "--timeout", "0", "--sink", "replica", "--lag-below", bound})
            .status;
    };
    EXPECT_EQ(run_json("stat", {"stat", path_})["replica"]["lag"], 0) << "there is nothing yet";
    core.journal_seq = 900;
    const json starting = run_json("stat", {"stat", path_})["replica"];
    EXPECT_TRUE(starting["lag"].is_null()) << starting;
    EXPECT_TRUE(starting["lag_ns"].is_null()) << starting;
    EXPECT_NE(run_cli({"stat", path_}).out.find("replica -?  "), std::string::npos);
    EXPECT_EQ(waits("1000000"), 1);
    EXPECT_EQ(run_cli({"export", path_}).out.find("replica_applied"), std::string::npos);
    core.replica_applied = 850;
    EXPECT_EQ(run_json("stat", {"stat", path_})["replica"]["lag"], 50);
    EXPECT_NE(run_cli({"stat", path_}).out.find("replica -50  "), std::string::npos);
    EXPECT_EQ(waits("51"), 0);
    EXPECT_NE(run_cli({"export", path_}).out.find("replica_applied"), std::string::npos);
}

TEST_F(InspectNumbers, EachKindOfResultHasAWordOfItsOwn) {
    std::set<std::string> words;
    for (auto kind = static_cast<unsigned>(ResultKind::Accepted);
         kind <= static_cast<unsigned>(ResultKind::OrderWorking); ++kind) {
        SignalResult r;
        r.kind = static_cast<ResultKind>(kind);
        words.insert(describe(r, Names{}).at("kind").get<std::string>());
    }
    EXPECT_EQ(words.size(), 7U);
    EXPECT_EQ(words.count("?"), 0U);
    EXPECT_EQ(words.count("ORDER_WORKING"), 1U);
}

TEST_F(InspectNumbers, WhatADeadProcessClaimedToBeDoingIsNotShownAsDone) {
    for (const StageId id : {StageId::Engine, StageId::Broker, StageId::Journal, StageId::Redis}) {
        play_stage(id, StageState::Running);
    }
    segment_->core().journal_state = static_cast<std::uint32_t>(JournalState::Running);
    segment_->core().redis_errors = 1;  // there is such a sink
    segment_->core().redis_state = static_cast<std::uint64_t>(RedisState::Following);
    const LinkState links[] = {LinkState::Up, LinkState::AuthRejected, LinkState::Syncing};
    for (std::uint32_t i = 0; i < 3; ++i) {
        segment_->session(AccountId{i}).login = 5000 + i;
        segment_->session(AccountId{i}).link = static_cast<std::uint32_t>(links[i]);
    }
    const auto shown = [&] {
        const json j = run_json("stat", {"stat", path_});
        std::string all =
            j["journal"]["state"].get<std::string>() + " " + j["redis"]["state"].get<std::string>();
        for (const json& s : j["sessions"]) {
            all += " " + s["link"].get<std::string>();
        }
        std::istringstream lines{run_cli({"export", path_}).out};
        for (std::string line; std::getline(lines, line);) {
            if (line.rfind("millrace_journal_running{", 0) == 0 ||
                (line.rfind("millrace_account_link_up{", 0) == 0 &&
                 line.find("5000") != std::string::npos)) {
                all += line.substr(line.rfind(' '));
            }
        }
        return all;
    };
    const auto dies = [&](StageId id) { segment_->stage(id).start_time += 1; };
    EXPECT_EQ(shown(), "running following UP AUTH_REJECTED SYNCING 1 1");
    dies(StageId::Engine);
    EXPECT_EQ(shown(), "running following UP AUTH_REJECTED SYNCING 1 1") << "it claims none of it";
    dies(StageId::Broker);
    EXPECT_EQ(shown(), "running following DOWN AUTH_REJECTED DOWN 1 0");
    dies(StageId::Journal);
    EXPECT_EQ(shown(), "down following DOWN AUTH_REJECTED DOWN 0 0");
    dies(StageId::Redis);
    EXPECT_EQ(shown(), "down down DOWN AUTH_REJECTED DOWN 0 0");
    segment_->core().journal_state = static_cast<std::uint32_t>(JournalState::Poisoned);
    EXPECT_EQ(shown(), "poisoned down DOWN AUTH_REJECTED DOWN 0 0") << "what it died of stays";
}

TEST_F(InspectNumbers, AnExportSaysThatAReplicaStartsAndNotHowFarItIsBehindThen) {
    segment_->core().journal_seq = segment_->core().durable = 9;
    const auto exported = [&] {
        std::istringstream lines{run_cli({"export", path_}).out};
        std::string values;
        for (std::string line; std::getline(lines, line);) {
            for (const char* name : {"follows", "applied_sequence", "lag_records"}) {
                if (line.rfind("millrace_replica_" + std::string{name} + "{", 0) == 0) {
                    values += name + line.substr(line.rfind(' ')) + ", ";
                }
            }
        }
        return values;
    };
    segment_->core().replica_applied = 0;  // it reads the log
    EXPECT_EQ(exported(), "follows 0, ");
    segment_->core().replica_applied = 7;
    EXPECT_EQ(exported(), "follows 1, applied_sequence 7, lag_records 2, ");
}

TEST_F(InspectNumbers, WaitBelievesNoCellWhoseOnlyWriterIsGone) {
    for (const StageId id : {StageId::Engine, StageId::Broker, StageId::Journal, StageId::Sqlite}) {
        play_stage(id, StageState::Running);
    }
    segment_->session(AccountId{1}).login = 5001;
    segment_->session(AccountId{1}).link = static_cast<std::uint32_t>(LinkState::Up);
    segment_->core().journal_seq = segment_->core().durable = segment_->core().sqlite_seq = 9;
    const std::pair<StageId, std::vector<std::string>> claims[] = {
        {StageId::Journal, {"--sink", "journal", "--lag-below", "1"}},
        {StageId::Sqlite, {"--sink", "sqlite", "--lag-below", "1"}},
        {StageId::Engine, {"--in-doubt-below", "1"}},
        {StageId::Broker, {"--links-up", "1"}},
    };
    const auto wait_for = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"wait", path_, "--timeout", "0"});
        return run_cli(arguments);
    };
    for (const auto& [writer, claim] : claims) {
        EXPECT_EQ(wait_for(claim).status, 0) << stage_name(writer);
        StageEntry& entry = segment_->stage(writer);
        entry.start_time += 1;
        const Ran r = wait_for(claim);
        EXPECT_EQ(r.status, 1) << r.out;
        EXPECT_NE(r.out.find(std::string{", but "} + stage_name(writer) + " is gone"),
                  std::string::npos)
            << r.out;
        for (const auto& [other, others] : claims) {
            EXPECT_EQ(wait_for(others).status, other == writer ? 1 : 0) << stage_name(other);
        }
        if (writer != StageId::Broker) {
            entry.state = static_cast<std::uint32_t>(StageState::Stopped);
            EXPECT_EQ(wait_for(claim).status, 0) << "ended in order: its last word holds";
        }
        entry.state = static_cast<std::uint32_t>(StageState::Running);
        entry.start_time -= 1;
    }
    segment_->stage(StageId::Journal).start_time += 1;
    EXPECT_EQ(wait_for({"--durable", "9"}).status, 0) << "what is on disk stays there";
    EXPECT_EQ(wait_for({"--journal-seq", "9"}).status, 0);
    segment_->stage(StageId::Journal).start_time -= 1;
    for (const std::uint64_t copy : {std::uint64_t{0}, kHeaderCopyOffset}) {
        char& digit = reinterpret_cast<char*>(
            &segment_->shared_header())[copy + offsetof(SegmentHeader, boot_id)];
        digit = digit == '0' ? '1' : '0';
    }
    EXPECT_EQ(wait_for({"--sink", "journal", "--lag-below", "1"}).status, 1) << "of another boot";
}

TEST_F(InspectNumbers, ADifferenceIsOneWhateverTheLastOfSeveralPicturesShows) {
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(out[1], STDOUT_FILENO);
        const char* argv[] = {"inspect", "diff", path_.c_str(), "--every", "1ms", "--count", "0"};
        ::_exit(inspect_main(7, argv));
    }
    ::close(out[1]);
    std::FILE* lines = ::fdopen(out[0], "r");
    const auto await = [&](const char* words) {
        char line[400];
        while (std::fgets(line, sizeof line, lines) != nullptr) {
            if (std::strstr(line, words) != nullptr) {
                return true;
            }
        }
        return false;
    };
    EXPECT_TRUE(await("no difference"));
    publish("orders", OrderSlot{});
    EXPECT_TRUE(await("rings[orders].written: 0 -> 1"));
    EXPECT_TRUE(await("no difference"));
    ::kill(child, SIGINT);
    while (await("no")) {  // until it closes the pipe, or it would wait for us
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 1);
    std::fclose(lines);
}

TEST_F(InspectNumbers, WaitTakesNoStateForThatOfADeadProcess) {
    const auto waits = [&](const char* state) {
        return run_cli({"wait", path_, "--timeout", "0", "--stage", "engine", "--state", state})
            .status;
    };
    play_stage(StageId::Engine, StageState::Running);
    EXPECT_EQ(waits("running"), 0);
    EXPECT_EQ(waits("alive"), 0);
    EXPECT_EQ(waits("standby"), 1);
    EXPECT_EQ(waits("gone"), 1);
    segment_->stage(StageId::Engine).start_time = 1;  // another process has had this pid
    EXPECT_EQ(waits("running"), 1);
    EXPECT_EQ(waits("alive"), 1);
    EXPECT_EQ(waits("gone"), 0);
}

TEST_F(InspectNumbers, ExportedBucketsCountAllThatIsBelowThem) {
    for (const std::int64_t ns : {1'000, 1'000'000, 1'000'000, 1'000'000'000}) {
        segment_->hop(Hop::Gate).record(ns);
    }
    segment_->hop(Hop::Gate).record(std::int64_t{1} << 40);  // 18 minutes: above all bounds
    const auto gate = bucket_counts("gate");
    EXPECT_EQ(gate.at("5.12e-07"), "0");
    EXPECT_EQ(gate.at("1.024e-06"), "1");
    EXPECT_EQ(gate.at("0.000524288"), "1");
    EXPECT_EQ(gate.at("0.001048576"), "3");
    EXPECT_EQ(gate.at("1.073741824"), "4");
    EXPECT_EQ(gate.at("68.719476736"), "4");
    EXPECT_EQ(gate.at("+Inf"), "5");
}

TEST_F(InspectNumbers, ExportedBucketsAreThereBeforeTheFirstValueOfATail) {
    const auto before = bucket_counts("gate");
    EXPECT_EQ(before.size(), 32U) << "2^6 to 2^36 ns and +Inf";
    segment_->hop(Hop::Gate).record(3'000'000);
    segment_->hop(Hop::Gate).record(3);
    const auto after = bucket_counts("gate");
    ASSERT_EQ(after.size(), before.size());
    for (const auto& [bound, count] : before) {
        EXPECT_EQ(count, "0") << bound;
        EXPECT_EQ(after.count(bound), 1U) << bound;
    }
    EXPECT_EQ(after.at("6.4e-08"), "1");
}

TEST_F(InspectNumbers, HashesAreStringsThatNoReaderRounds) {
    segment_->core().config_hash = 0xFEDCBA9876543211;
    const json j = run_json("stat", {"stat", path_});
    EXPECT_EQ(j["core"]["config_hash"], "fedcba9876543211");
    EXPECT_EQ(j["segment"]["schema_hash"], hex_hash(segment_->header().schema_hash));
}

TEST_F(InspectNumbers, TheOneLiveSegmentIsMeantWhereLeftoversLieBesideIt) {
    std::filesystem::copy_file(path_, dir_ / "millrace-old");
    std::ofstream{dir_ / "millrace-broken"} << "not a segment";
    const auto stat = [&] { return run_cli({"stat", "--dir", dir_.string()}); };
    EXPECT_EQ(stat().status, 3) << "none lives: which?";
    play_stage(StageId::Engine, StageState::Running);
    const Ran r = stat();
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.out.find(path_), std::string::npos) << r.out;
    std::filesystem::copy_file(path_, dir_ / "millrace-twin");  // its table names this process too
    EXPECT_NE(stat().err.find("which segment?"), std::string::npos);
}

TEST_F(InspectNumbers, RecoverCountsWhatIsBetweenClaimedAndDoneOfEachAccount) {
    std::filesystem::create_directory(dir_ / "journal");
    JournalRecord first;
    first.seq = Sequence{1};
    publish("journal", first);
    using State = SlotState;
    const auto claim = [&](std::uint32_t account, std::uint64_t done, std::uint64_t claimed,
                           std::vector<State> states) {
        for (const State state : states) {
            SessionSlot slot;
            slot.state = static_cast<std::uint32_t>(state);
            publish("session." + std::to_string(account), slot);
        }
        segment_->session(AccountId{account}).done = done;
        segment_->session(AccountId{account}).claimed = claimed;
    };
    const State sent = State::Claimed;
    claim(0, 4, 4, {sent, sent, sent, sent});
    claim(1, 1, 3, {sent, sent, sent, State::Queued});
    claim(2, 3, 4, {sent, sent, sent, static_cast<State>(99)});  // damaged: nobody knows
    // A stage that was killed as it settled a login: nothing of this is at the executor.
    claim(3, 1, 4, {State::Settled, State::Answered, State::Queued, State::Settled});
    const json plan = run_json("recover", {"recover", "--dry-run", path_});
    EXPECT_EQ(plan["in_doubt_orders"], 3) << plan.dump(1);
    ASSERT_EQ(plan["in_doubt"].size(), 3U);
    EXPECT_EQ(plan["in_doubt"][0]["account"], 1);
    EXPECT_EQ(plan["in_doubt"][2]["account"], 2);
}

}  // namespace
}  // namespace millrace::inspect
