// Goal: every verb says what is in the segment, in words and in JSON, and changes nothing; a file
// that is none is refused by name. Method: the real command line over segments made here.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"
#include "tools/inspect/decode.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;

class InspectCli : public SegmentFixture {
protected:
    static Ran run(std::vector<std::string> arguments) { return run_cli(std::move(arguments)); }
    /// Something in every part of the segment.
    void fill() {
        play_stage(StageId::Engine, StageState::Running);
        segment_->session(AccountId{1}).login = 5001;
        segment_->hop(Hop::SignalToSocket).record(1'500);
        segment_->hop(Hop::SignalToSocket).record(90'000);
        segment_->report_error("broker", "login refused by the terminal");
        segment_->report_error("redis", "the primary is gone");
        segment_->core().journal_seq = 42;
        segment_->core().redis_seq = 40;
        segment_->core().redis_batches = 3;
        segment_->core().redis_batch_rows = 17;
        segment_->core().redis_retries = 5;
        segment_->core().redis_state = static_cast<std::uint64_t>(RedisState::Following);
        segment_->core().clickhouse_seq = 39;
        segment_->core().clickhouse_state = static_cast<std::uint64_t>(ClickHouseState::Suspended);
        NameEntry& gold = segment_->names().symbols[3];
        gold.name = make_text<16>("XAUUSD");
        gold.ready = 1;
        publish("signals.alpha", SignalSlot{gold_signal(), {}}, 3);
        consume<SignalSlot>("signals.alpha", 1);
    }
    static Signal gold_signal() {
        Signal s;
        s.id = {0x0123456789ABCDEFULL, 0x0000000000000042ULL};
        s.symbol = SymbolId{3};
        s.group = GroupId{9};
        s.action = SignalAction::Open;
        s.side = Side::Sell;
        s.volume = Lots{kScale / 4};
        s.price = Price{123'450'000'000};
        s.ttl_ms = 30'000;
        return s;
    }
};

TEST_F(InspectCli, StatShowsEveryPartAsTextAndAsJson) {
    fill();
    const Ran text = run({"stat", path_});
    EXPECT_EQ(text.status, 0);
    for (const char* part :
         {"engine", "signals.alpha", "5001", "signal_to_socket", "login refused"}) {
        EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
    }
    const json j = run_json("stat", {"stat", path_});
    EXPECT_EQ(j["core"]["journal_seq"], 42);
    EXPECT_EQ(j["redis"]["seq"], 40);
    EXPECT_EQ(j["redis"]["lag"], 2);
    EXPECT_EQ(j["redis"]["state"], "following");
    EXPECT_EQ(j["clickhouse"]["lag"], 3);
    EXPECT_EQ(j["clickhouse"]["state"], "suspended");
    EXPECT_NE(text.out.find("sink clickhouse: suspended, stored to 39, 3 records"),
              std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("sink redis: following, stored to 40, 2 records"), std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("3 batches, last of 17 rows; errors 0 retries 5"), std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("last error"), std::string::npos) << text.out;
    EXPECT_NE(run({"top", path_, "--frames", "1"}).out.find("redis -2"), std::string::npos);
    EXPECT_EQ(j["stages"][0]["process"], "alive");
    EXPECT_EQ(j["stages"][0]["start_time"], process_start_time(::getpid()));
    EXPECT_EQ(j["segment"]["magic"], "MMLRACE1");
    EXPECT_EQ(j["sessions"][0]["login"], 5001);
    EXPECT_EQ(j["errors"][0]["text"], "login refused by the terminal");
    EXPECT_EQ(j["redis"]["last_error"], "the primary is gone");
}

TEST_F(InspectCli, StatTellsRatesAndTimesToFullInJsonToo) {
    fill();
    const json one = run_json("stat", {"stat", path_});
    EXPECT_TRUE(one["rates"].is_null());
    EXPECT_TRUE(one["rings"][0]["in_per_second"].is_null());
    const json j = run_json("stat", {"stat", path_, "--rate", "20ms"});
    EXPECT_GE(j["rates"]["seconds"], 0.02);
    EXPECT_EQ(j["rates"]["journal_per_second"], 0.0);
    for (const json& r : j["rings"]) {
        EXPECT_EQ(r["in_per_second"], 0.0) << r;
        EXPECT_EQ(r["out_per_second"], 0.0) << r;
        EXPECT_TRUE(r["full_in_ns"].is_null()) << r;
    }
}

TEST_F(InspectCli, StatNamesAccountsFromTheIdBook) {
    fill();
    std::filesystem::create_directory(dir_ / "journal");
    std::ofstream{dir_ / "journal" / "ids.json"}
        << R"({"version": 1, "accounts": {"gold-desk": 1, "odd": -1, "huge": 99999999999}})";
    EXPECT_EQ(run_json("stat", {"stat", path_})["sessions"][0]["name"], "gold-desk");
    std::ofstream{dir_ / "journal" / "ids.json"} << "{ torn";
    EXPECT_TRUE(run_json("stat", {"stat", path_})["sessions"][0]["name"].is_null());
}

TEST_F(InspectCli, RingDecodesFieldsNamesAndExactDecimals) {
    fill();
    const json j = run_json("ring", {"ring", "signals.alpha", path_, "--last", "2"});
    ASSERT_EQ(j["records"].size(), 2U);
    EXPECT_EQ(j["records"][0]["number"], 2);
    EXPECT_EQ(j["records"][0]["released"], false);
    const json& s = j["records"][1]["record"];
    EXPECT_EQ(s["id"], "01234567-89ab-cdef-0000-000000000042");
    EXPECT_EQ(s["symbol"], "XAUUSD");
    EXPECT_EQ(s["group"], 9) << "a group without a name keeps its number";
    EXPECT_EQ(s["side"], "SELL");
    EXPECT_EQ(s["volume"], "0.25");
    EXPECT_EQ(s["price"], "1234.5");
    const Ran text = run({"ring", "signals.alpha", path_});
    EXPECT_NE(text.out.find("         1   id="), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("         3 * id="), std::string::npos) << text.out;
}

TEST_F(InspectCli, RingDecodesEveryKindOfRingAndEveryInput) {
    OrderCommand order;
    order.magic = Magic::make(0x4D52, 99, 1);
    order.type = CommandType::Close;
    publish("orders", OrderSlot{order, {}});
    Report report;
    report.type = ReportType::QueryAbsent;
    publish("reports", ReportSlot{report, {}});
    SignalResult result;
    result.kind = ResultKind::Duplicate;
    publish("results.alpha", ResultSlot{result, {}});
    KillCommand kill;
    kill.scope = KillScope::Account;
    kill.actions = kKillStop | kKillFlatten;
    publish("admin.broker", KillSlot{kill, {}});
    for (std::uint8_t op = 0; op < 12; ++op) {
        AdminRecord a;
        a.op = static_cast<AdminOp>(op);
        publish("admin", AdminSlot{a, {}});
        consume<AdminSlot>("admin", 1);
    }
    for (std::uint8_t type = 0; type < 10; ++type) {
        JournalRecord r;
        r.type = static_cast<InputType>(type);
        publish("journal", r);
    }
    const auto last = [&](const char* ring) {
        const json j = run_json("ring", {"ring", ring, path_, "--last", "1"});
        return j["records"].at(0)["record"];
    };
    EXPECT_EQ(last("orders")["type"], "CLOSE");
    EXPECT_EQ(last("orders")["intent"], 99);
    EXPECT_EQ(last("reports")["type"], "QUERY_ABSENT");
    EXPECT_EQ(last("results.alpha")["kind"], "DUPLICATE");
    EXPECT_EQ(last("admin.broker")["scope"], "ACCOUNT");
    EXPECT_EQ(last("admin.broker")["flatten"], true);
    // 12 in 8 slots: the oldest one's slot is the next to be written.
    EXPECT_EQ(run_json("ring", {"ring", "admin", path_, "--last", "99"})["records"].size(), 7U);
    EXPECT_EQ(run_json("ring", {"ring", "journal", path_, "--last", "99"})["records"].size(), 10U);
    EXPECT_EQ(run_json("ring", {"ring", "session.0", path_})["records"].size(), 0U);
}

TEST_F(InspectCli, RefusesARingThatIsNotThereOrContradictsItself) {
    const Ran unknown = run({"ring", "singals", path_});
    EXPECT_EQ(unknown.status, 2);
    EXPECT_NE(unknown.err.find("no ring called singals"), std::string::npos);
    EXPECT_NE(unknown.err.find("There is: admin, admin.broker"), std::string::npos) << unknown.err;
    EXPECT_NE(run({"ring", "order", path_}).err.find("did you mean orders?"), std::string::npos);
    segment_->ring_control(segment_->find_ring("orders")).read_cursor = 3;
    const Ran broken = run({"ring", "orders", path_});
    EXPECT_EQ(broken.status, 1);
    EXPECT_NE(broken.err.find("slot at read cursor"), std::string::npos) << broken.err;
}

TEST_F(InspectCli, HistCountsEveryValueOnce) {
    fill();
    const json j = run_json("hist", {"hist", path_, "--hop", "signal_to_socket"});
    ASSERT_EQ(j["histograms"].size(), 1U);
    EXPECT_EQ(j["histograms"][0]["count"], 2);
    EXPECT_EQ(j["histograms"][0]["buckets"].size(), 2U);
    EXPECT_EQ(run_json("hist", {"hist", path_})["histograms"].size(), kHops);
    EXPECT_NE(run({"hist", path_}).out.find("signal_to_socket  2 values"), std::string::npos);
    EXPECT_EQ(run({"hist", path_, "--hop", "nowhere"}).status, 2);
}

TEST_F(InspectCli, ErrorsAndListAndTopFollowTheSchema) {
    fill();
    EXPECT_EQ(run_json("errors", {"errors", path_})["errors"][0]["stage"], "broker");
    std::ofstream{dir_ / "millrace-torn"} << "MMLRACE1 and no more";
    const json j = run_json("list", {"list", "--dir", dir_.string()});
    ASSERT_EQ(j["segments"].size(), 2U);
    EXPECT_EQ(j["segments"][0]["state"], "live");
    EXPECT_EQ(j["segments"][1]["state"], "unreadable");
    EXPECT_EQ(j["segments"][0]["stages_alive"], 1);
    EXPECT_NE(j["segments"][1]["fault"].get<std::string>().find("too few"), std::string::npos);
    EXPECT_TRUE(run_json("stat", {"top", path_, "--frames", "1"})["latency_recent"].is_null());
    const auto frames = run_lines("stat", {"top", path_, "--frames", "2", "--interval-ms", "20"});
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[1]["latency_recent"]["hops"].size(), kHops);
    run_json("stat", {"export", path_});
    const Ran text = run({"top", path_, "--frames", "2", "--interval-ms", "20"});
    EXPECT_EQ(text.status, 0);
    EXPECT_EQ(text.out.find('\x1b'), std::string::npos) << "escape codes into a pipe";
}

TEST_F(InspectCli, FindsTheOnlySegmentAndAsksWhenThereAreMore) {
    const std::string dir = dir_.string();
    EXPECT_EQ(run({"stat", "--dir", dir}).status, 0);
    EXPECT_EQ(run({"stat", "test", "--dir", dir}).status, 0);
    std::filesystem::copy(path_, dir + "/millrace-other");
    const Ran many = run({"stat", "--dir", dir});
    EXPECT_EQ(many.status, 3);
    EXPECT_NE(many.err.find("which segment? "), std::string::npos) << many.err;
    EXPECT_NE(run({"stat", "nosuch", "--dir", dir}).err.find("no segment called nosuch"),
              std::string::npos);
    EXPECT_NE(run({"stat", "--dir", dir + "/none"}).err.find("no segment in"), std::string::npos);
}

TEST_F(InspectCli, TakesABareNameForACopyInTheCurrentDirectoryWhereNoSegmentHasIt) {
    const auto before = std::filesystem::current_path();
    std::filesystem::create_directory(dir_ / "copies");
    std::filesystem::copy(path_, dir_ / "copies" / "segment.copy");
    std::filesystem::current_path(dir_ / "copies");
    EXPECT_EQ(run({"stat", "segment.copy", "--dir", dir_.string()}).status, 0);
    EXPECT_EQ(run({"stat", "segment.copies", "--dir", dir_.string()}).status, 3);
    std::filesystem::current_path(before);
}

TEST_F(InspectCli, AnswersAWrongCommandLineWithTwo) {
    EXPECT_EQ(run({}).status, 2);
    EXPECT_EQ(run({"frobnicate"}).status, 2);
    EXPECT_NE(run({"stta"}).err.find("did you mean stat?"), std::string::npos);
    EXPECT_NE(run({"frobnicate"}).err.find("There is: list stat"), std::string::npos);
    for (const char* verb : {"ring", "dump", "tail", "follow", "pid", "diff", "recover", "wait"}) {
        EXPECT_EQ(run({verb}).status, 2) << verb;
    }
    for (const char* verb : {"list", "stat", "top", "ring", "dump", "tail", "follow", "errors",
                             "hist", "verify", "diff", "recover", "pid", "wait", "export"}) {
        const Ran help = run({verb, "--help"});
        EXPECT_EQ(help.status, 0) << verb;
        EXPECT_NE(help.out.find("Examples:"), std::string::npos) << verb;
        EXPECT_NE(help.out.find("millrace inspect "), std::string::npos) << verb;
    }
    EXPECT_EQ(run({"--help"}).status, 0);
}

std::string bytes_of(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

TEST_F(InspectCli, ChangesNothingAndNeedsNoRightToWrite) {
    fill();
    segment_.reset();
    const std::string copy = (dir_ / "copy").string();
    std::filesystem::copy(path_, copy);
    ASSERT_EQ(::chmod(copy.c_str(), 0400), 0);
    const std::string before = bytes_of(copy);
    const auto mtime = std::filesystem::last_write_time(copy);
    for (const char* verb : {"stat", "hist", "errors", "verify", "export"}) {
        EXPECT_EQ(run({verb, copy}).status, 0) << verb;
    }
    EXPECT_EQ(run({"dump", "signals.alpha", copy}).status, 0);
    EXPECT_EQ(run({"diff", copy, "--every", "1ms"}).status, 0);
    EXPECT_EQ(run({"wait", copy, "--ring", "orders", "--depth-below", "1"}).status, 0);
    EXPECT_EQ(run({"ring", "signals.alpha", copy}).status, 0);
    EXPECT_EQ(run({"top", copy, "--frames", "2", "--interval-ms", "20"}).status, 0);
    EXPECT_EQ(std::filesystem::last_write_time(copy), mtime);
    EXPECT_TRUE(bytes_of(copy) == before);
}

TEST_F(InspectCli, MapsTheSegmentWithoutTheRightToWrite) {
    std::string message;
    auto attached = Segment::attach(path_, Segment::Mode::ReadOnly, message);
    ASSERT_TRUE(attached.ok()) << message;
    const auto address = reinterpret_cast<std::uintptr_t>(&attached.value().shared_header());
    std::ifstream maps{"/proc/self/maps"};
    std::string rights;
    for (std::string line; std::getline(maps, line);) {
        if (std::stoull(line, nullptr, 16) == address) {
            rights = line.substr(line.find(' ') + 1, 4);
        }
    }
    EXPECT_EQ(rights, "r--s");
}

TEST_F(InspectCli, RefusesCutCopiesByName) {
    const std::string copy = (dir_ / "cut").string();
    for (const std::uintmax_t size : {0U, 100U, 4096U, 40'000U}) {
        std::filesystem::copy_file(path_, copy, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(copy, size);
        const Ran r = run({"stat", copy});
        EXPECT_EQ(r.status, 3) << size;
        EXPECT_NE(r.err.find(copy), std::string::npos) << r.err;
        EXPECT_NE(r.err.find(std::to_string(size)), std::string::npos) << r.err;
    }
    EXPECT_EQ(run({"stat", (dir_ / "missing").string()}).status, 3);
    EXPECT_EQ(run({"stat", dir_.string() + "/"}).status, 3);
}

TEST_F(InspectCli, SurvivesAnyDamageBehindAValidHeader) {
    fill();
    const std::string good = bytes_of(path_);
    const std::string copy = (dir_ / "damaged").string();
    const unsigned seed = std::random_device{}();
    std::mt19937 random{seed};
    for (int round = 0; round < 60; ++round) {
        std::string bad = good;
        for (int i = 0; i < 200; ++i) {
            bad[sizeof(SegmentHeader) + random() % (bad.size() - sizeof(SegmentHeader))] =
                static_cast<char>(random());
        }
        std::ofstream{copy, std::ios::binary} << bad;
        SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
        const Ran r = run({"stat", copy, "--json"});
        if (r.status == 0) {
            EXPECT_FALSE(json::parse(r.out, nullptr, false).is_discarded());
        } else {
            EXPECT_NE(r.err.find(copy), std::string::npos);
        }
        for (const char* ring : {"signals.alpha", "journal", "orders"}) {
            run({"ring", ring, copy, "--last", "20"});
        }
        run({"hist", copy});
        run({"dump", "signals.alpha", copy, "--hex"});
        run({"ring", "orders", copy, "--slots"});
        run({"export", copy});
        const int verdict = run({"verify", copy}).status;
        EXPECT_TRUE(verdict == 0 || verdict == 1) << verdict;
    }
}

TEST(Decimal, IsExactAtEveryEdge) {
    EXPECT_EQ(decimal(0), "0");
    EXPECT_EQ(decimal(1), "0.00000001");
    EXPECT_EQ(decimal(-kScale / 2), "-0.5");
    EXPECT_EQ(decimal(123'456'000'000), "1234.56");
    EXPECT_EQ(decimal(INT64_MIN), "-92233720368.54775808");
}

}  // namespace
}  // namespace millrace::inspect
