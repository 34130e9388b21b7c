// Goal: a strategy in shared memory gets its signals in, its results back, and every mistake named.
// Method: a segment in a temporary directory and an engine stand-in on the strategy's rings.
#include "gateway/client/millrace_client.hpp"
#include "shm/doorbell.h"
#include "tests/ingress/fixture.h"

#include <sys/wait.h>

#include <thread>

extern "C" int c11_submit_one(mr_client* client, uint64_t id_lo);
extern "C" int c11_count_accepted(mr_client* client);

namespace millrace::ingress_test {
namespace {

using client::Strategy;

struct ClientTest : ::testing::Test {
    ClientTest()
        : segment{make_segment(dir, 8, 64, {{"scalper", SourceId{7}}, {"other", SourceId{8}}})},
          engine{segment, "scalper"} {}

    Strategy open(const std::string& name = "scalper") {
        Strategy s;
        EXPECT_EQ(s.open(path(), name), MR_OK) << Strategy::error();
        return s;
    }
    std::string path() const { return dir.file("segment"); }
    static client::Signal signal(std::uint64_t n) {
        client::Signal s{};
        s.id = {0xAB, n};
        s.action = MR_OPEN;
        s.volume = client::fixed("0.10");
        return s;
    }
    /// Expects `code` for `s`, and each of `words` in the error text.
    void expect_error(Strategy& s, const client::Signal& signal, int code,
                      std::initializer_list<const char*> words) {
        EXPECT_EQ(s.submit(signal), code) << Strategy::error();
        for (const char* word : words) {
            EXPECT_NE(std::string{Strategy::error()}.find(word), std::string::npos)
                << "\"" << word << "\" is missing in: " << Strategy::error();
        }
    }

    TempDir dir;
    Segment segment;
    EngineStandIn engine;
};

static_assert(client::fixed("1.23456") == 123'456'000);
static_assert(client::fixed("0.00000001") == 1);
static_assert(client::fixed("1000000") == 1'000'000 * kScale);

TEST_F(ClientTest, StampsSourceAndTimesAndGetsItsAnswer) {
    Strategy s = open();
    const std::int64_t before = s.now();
    ASSERT_EQ(s.submit(signal(1)), MR_OK) << Strategy::error();
    engine.step();
    ASSERT_EQ(engine.accepted.size(), 1U);
    EXPECT_EQ(engine.accepted[0].source, SourceId{7});
    EXPECT_EQ(engine.accepted[0].volume, Lots{kScale / 10});
    EXPECT_GE(engine.accepted[0].edge_time.value, before);
    EXPECT_EQ(engine.accepted[0].send_time, engine.accepted[0].edge_time);
    int accepted = 0;
    EXPECT_EQ(s.poll([&](const client::Result& r) {
        accepted += r.kind == MR_ACCEPTED && r.signal.lo == 1 && r.source == 7 ? 1 : 0;
    }),
              1);
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(s.poll([](const client::Result&) {}), 0) << "a result came twice";
}

TEST_F(ClientTest, WaitSaysWhetherAResultWaitsAndNeverTakesIt) {
    EXPECT_LT(mr_wait(nullptr, 0), 0);
    Strategy s = open();
    EXPECT_EQ(s.wait(0), 0);
    EXPECT_EQ(s.wait(-1), 0) << "cut to 0";
    EXPECT_EQ(s.wait(1), 0) << "nothing comes: it ends by itself";
    ASSERT_EQ(s.submit(signal(1)), MR_OK);
    engine.step();
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(s.wait(60'000), 1) << "what waits already is no reason to sleep";
    }
    EXPECT_EQ(s.poll([](const client::Result&) {}), 1);
    EXPECT_EQ(s.wait(0), 0);
}

TEST_F(ClientTest, WaitIsWokenByTheResultThatItSleepsFor) {
    Strategy s = open();
    ASSERT_EQ(s.submit(signal(1)), MR_OK);
    const std::uint32_t results = segment.find_ring("results.scalper");
    Doorbell& bell = segment.doorbell(segment.ring_entry(results).doorbell);
    const std::int64_t began = monotonic_ns();
    int woken = 0;
    std::thread sleeper{[&] { woken = s.wait(60'000); }};
    while (bell.armed.load() == 0) {  // until it sleeps, or is about to
        std::this_thread::yield();
    }
    ring(bell);  // for nothing: it looks, and sleeps again
    while (bell.armed.load() == 0) {
        std::this_thread::yield();
    }
    engine.step();
    ring(bell);
    sleeper.join();
    EXPECT_EQ(woken, 1);
    EXPECT_LT(monotonic_ns() - began, 60'000'000'000) << "it slept to its end: a lost wake";
}

TEST_F(ClientTest, WorksFromC) {
    mr_client* c = nullptr;
    ASSERT_EQ(mr_open(path().c_str(), "scalper", &c), MR_OK) << mr_error_text();
    EXPECT_EQ(c11_submit_one(c, 5), MR_OK) << mr_error_text();
    engine.step();
    ASSERT_EQ(engine.accepted.size(), 1U);
    EXPECT_EQ(engine.accepted[0].side, Side::Sell);
    EXPECT_EQ(c11_count_accepted(c), 1);
    mr_close(c);
}

TEST_F(ClientTest, RefusesWhatIngressWouldRefuseWithTheSameWords) {
    Strategy s = open();
    client::Signal bad = signal(1);
    bad.volume = 0;
    expect_error(s, bad, MR_BAD_SIGNAL, {"volume 0", "1e14"});
    bad = signal(1);
    bad.price_kind = MR_STOP;
    expect_error(s, bad, MR_BAD_SIGNAL, {"price 0"});
    bad = signal(1);
    bad.group = 9;
    expect_error(s, bad, MR_UNKNOWN, {"group id 9", "mr_lookup_group"});
    bad = signal(1);
    bad.symbol = 4'000'000;
    expect_error(s, bad, MR_UNKNOWN, {"symbol id 4000000"});
    bad = signal(1);
    bad.send_time_ns = 1;
    expect_error(s, bad, MR_BAD_SIGNAL, {"7 days old"});
    engine.step();
    EXPECT_TRUE(engine.accepted.empty());
    client::Signal asked = signal(1);
    asked.send_time_ns = s.now() - INT64_C(8) * 86'400 * 1'000'000'000;
    EXPECT_EQ(s.submit(asked), MR_OK) << "the engine may know it and tell how it stands";
    std::uint32_t id = 0;
    EXPECT_EQ(s.symbol("NOPE", id), MR_UNKNOWN);
    EXPECT_NE(std::string{Strategy::error()}.find("NOPE"), std::string::npos);
    EXPECT_EQ(s.symbol("a name that is far too long", id), MR_UNKNOWN);
    EXPECT_EQ(s.symbol("XAUUSD", id), MR_OK);
    EXPECT_EQ(id, 1U);
}

TEST_F(ClientTest, SaysFullInsteadOfLosingASignalAndGoesOnLater) {
    Strategy s = open();
    for (std::uint64_t n = 1; n <= 8; ++n) {
        ASSERT_EQ(s.submit(signal(n)), MR_OK);
    }
    expect_error(s, signal(9), MR_FULL, {"full", "again"});
    engine.step();
    EXPECT_EQ(s.submit(signal(9)), MR_OK);
    engine.step();
    EXPECT_EQ(engine.accepted.size(), 9U);
}

TEST_F(ClientTest, TakesClosesAndNoEntriesWhileTheJournalDoesNotWriteAndNothingAtAStop) {
    Strategy s = open();
    client::Signal close = signal(2);
    close.action = MR_CLOSE;
    close.target = signal(1).id;
    const std::pair<JournalState, const char*> states[] = {{JournalState::Down, "is down"},
                                                           {JournalState::Poisoned, "write error"},
                                                           {JournalState::Full, "is full"}};
    for (const auto& [state, word] : states) {
        segment.core().journal_state.store(static_cast<std::uint32_t>(state));
        expect_error(s, signal(1), MR_JOURNAL, {"only closes", word, "later"});
        client::Signal modify = close;
        modify.action = MR_MODIFY;
        expect_error(s, modify, MR_JOURNAL, {"only closes"});
        ++close.id.lo;
        EXPECT_EQ(s.submit(close), MR_OK) << word << ": " << Strategy::error();
    }
    engine.step();
    EXPECT_EQ(engine.accepted.size(), std::size(states));
    segment.core().journal_state.store(static_cast<std::uint32_t>(JournalState::Running));
    segment.core().stop_requested.store(1);
    expect_error(s, signal(1), MR_JOURNAL, {"stopping"});
    expect_error(s, close, MR_JOURNAL, {"stopping"});
}

TEST_F(ClientTest, ContinuesBehindItsLastSignalAfterClosing) {
    {
        Strategy s = open();
        ASSERT_EQ(s.submit(signal(1)), MR_OK);
    }
    Strategy s = open();
    ASSERT_EQ(s.submit(signal(2)), MR_OK);
    engine.step();
    ASSERT_EQ(engine.accepted.size(), 2U);
    EXPECT_EQ(engine.accepted[1].id.lo, 2U);
    std::vector<std::uint64_t> answered;
    s.poll([&](const client::Result& r) { answered.push_back(r.signal.lo); });
    EXPECT_EQ(answered, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(ClientTest, IsRefusedTwiceInOneProcessButNotUnderAnotherName) {
    Strategy first = open();
    Strategy second;
    EXPECT_EQ(second.open(path(), "scalper"), MR_BUSY);
    const std::string why = Strategy::error();
    EXPECT_NE(why.find("scalper"), std::string::npos) << why;
    EXPECT_NE(why.find(std::to_string(::getpid())), std::string::npos) << why;
    Strategy other = open("other");
    first.close();
    EXPECT_EQ(second.open(path(), "scalper"), MR_OK) << Strategy::error();
}

TEST_F(ClientTest, NamesTheConfiguredStrategiesWhenAskedForAnother) {
    Strategy s;
    EXPECT_EQ(s.open(path(), "nobody"), MR_UNKNOWN);
    const std::string why = Strategy::error();
    EXPECT_NE(why.find("nobody"), std::string::npos);
    EXPECT_NE(why.find("scalper, other"), std::string::npos) << why;
    EXPECT_EQ(s.open(path(), "ingress"), MR_UNKNOWN) << "ingress's rings are no strategy's";
    EXPECT_EQ(s.open(dir.file("nothing"), "scalper"), MR_UNKNOWN);
    EXPECT_FALSE(s.is_open());
}

TEST_F(ClientTest, SaysGoneWhenItsSegmentWasReplaced) {
    Strategy s = open();
    EXPECT_EQ(s.check(), MR_OK);
    std::filesystem::remove(path());
    EXPECT_EQ(s.check(), MR_GONE);
    EXPECT_EQ(s.wait(0), MR_GONE);
    segment.core().stop_requested.store(1);
    EXPECT_EQ(s.submit(signal(1)), MR_GONE);
    EXPECT_NE(std::string{Strategy::error()}.find("open again"), std::string::npos);
}

TEST_F(ClientTest, RefusesAFileThatIsNoSegment) {
    std::FILE* f = std::fopen(dir.file("junk").c_str(), "w");
    ASSERT_NE(f, nullptr);
    for (int i = 0; i < 10'000; ++i) {
        std::fputc('x', f);
    }
    std::fclose(f);
    Strategy s;
    EXPECT_EQ(s.open(dir.file("junk"), "scalper"), MR_BAD_SEGMENT);
    EXPECT_NE(std::string{Strategy::error()}.find("junk"), std::string::npos);
}

TEST_F(ClientTest, ReadsTheLatestTickAndSaysWhenThereIsNone) {
    Strategy s = open();
    client::Quote q{};
    EXPECT_EQ(s.tick(0, q), MR_NO_PRICE);
    segment.tick(SymbolId{0}).store({Price{110}, Price{112}, Nanos{5}});
    ASSERT_EQ(s.tick(0, q), MR_OK);
    EXPECT_EQ(q.bid, 110);
    EXPECT_EQ(q.ask, 112);
    EXPECT_EQ(q.time_ns, 5);
    EXPECT_EQ(s.tick(999, q), MR_UNKNOWN);
}

TEST_F(ClientTest, SleepsUntilAResultArrives) {
    Strategy s = open();
    EXPECT_EQ(s.wait(1), 0);
    ASSERT_EQ(s.submit(signal(1)), MR_OK);
    Doorbell& bell =
        segment.doorbell(segment.ring_entry(segment.find_ring("results.scalper")).doorbell);
    std::thread late{[&] {
        // Once the strategy sleeps, or is about to (bounded by the test's own deadline).
        while (bell.armed.load() == 0) {
            std::this_thread::yield();
        }
        engine.step();
        ring(bell);
    }};
    EXPECT_EQ(s.wait(20'000), 1);
    late.join();
}

TEST_F(ClientTest, IsUselessInAForkedChild) {
    Strategy s = open();
    const pid_t child = ::fork();
    if (child == 0) {
        const bool told = s.submit(signal(1)) == MR_FORKED && s.check() == MR_FORKED;
        ::_exit(told ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_EQ(s.submit(signal(1)), MR_OK) << "the parent goes on";
}

TEST_F(ClientTest, AnswersNullPointersWithAnError) {
    EXPECT_EQ(mr_open(nullptr, "x", nullptr), MR_BAD_CALL);
    EXPECT_EQ(mr_submit(nullptr, nullptr), MR_BAD_CALL);
    EXPECT_EQ(mr_poll_results(nullptr, nullptr, nullptr, 1), MR_BAD_CALL);
    EXPECT_EQ(mr_now(nullptr), 0);
    mr_close(nullptr);
    Strategy s = open();
    std::uint32_t id = 0;
    EXPECT_EQ(Strategy{}.group("main", id), MR_BAD_CALL);
    EXPECT_STREQ(mr_reason_text(static_cast<std::uint16_t>(Reason::PriceCollar)), "PRICE_COLLAR");
    EXPECT_STREQ(mr_reason_text(9999), "?");
    EXPECT_STREQ(mr_reason_mend(0), "");
    EXPECT_STREQ(mr_reason_mend(9999), "");
}

}  // namespace
}  // namespace millrace::ingress_test
