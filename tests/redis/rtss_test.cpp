// Goal: each entry of RTSS reaches the engine, is acknowledged only when its ack level holds, and
// is never lost over restarts. Method: a real server, the real rings, and the test in the engine's
// place.
#include "tests/redis/server.h"
#include "tests/shm/error_log.h"
#include "tools/millrace/redis_wiring.h"

namespace millrace::redis_test {
namespace {

constexpr const char* kId = "01234567-89ab-cdef-0000-00000000000";

class Rtss : public ::testing::Test {
protected:
    void SetUp() override {
        SegmentPlan plan;
        plan.path = dir_.path() + "/segment";
        plan.sessions = 1;
        plan.session_slots = plan.journal_slots = plan.orders_slots = plan.reports_slots = 2;
        plan.signals_slots = 8;
        plan.results_slots = 64;
        plan.strategies = {{"bus", SourceId{7}}};
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        ASSERT_TRUE(made.ok()) << message;
        segment_ = std::make_unique<Segment>(std::move(made).value());
        name(segment_->names().groups[2], "gold");
        name(segment_->names().symbols[3], "XAUUSD");
        segment_->core().config_hash = 1;
        segment_->core().journal_state = static_cast<std::uint32_t>(JournalState::Running);
        signals_ =
            RingConsumer<SignalSlot>::attach(segment_->ring<SignalSlot>("signals.bus")).value();
        results_ =
            RingProducer<ResultSlot>::attach(segment_->ring<ResultSlot>("results.bus")).value();
        redis_ = std::make_unique<RedisProcess>(
            RedisProcess::Options{dir_.path() + "/one", free_port(), false, "appendonly yes"});
        redis_->start();
        source_ = source("one");
    }
    static void name(NameEntry& entry, std::string_view text) {
        entry.name = make_text<16>(text);
        entry.ready = 1;
    }
    std::unique_ptr<RedisSource> source(const std::string& consumer) {
        RedisStreamOptions stream;
        stream.place.servers = {redis_->at()};
        stream.stream = "RTSS";
        stream.refused = "RTSS:REFUSED";
        stream.consumer = consumer;
        stream.position_file = dir_.path() + "/position";
        stream.owner = owner_;
        RedisSourceOptions options;
        options.source = "bus";
        options.id = SourceId{7};
        options.retry_min = options.retry_max = millis(20);
        options.upkeep_every = millis(20);
        std::string message;
        auto made = RedisSource::create(*segment_, make_signal_stream(stream), options, message);
        EXPECT_TRUE(made.ok()) << message;
        return std::move(made).value();
    }
    void add(int n) {
        const std::string id = kId + std::to_string(n);
        add({"XADD", "RTSS", "*", "id", id, "group", "gold", "symbol", "XAUUSD", "action", "open",
             "side", "buy", "volume", "0.1"});
    }
    void close(int n, int target) {
        const std::string id = kId + std::to_string(n);
        const std::string opening = kId + std::to_string(target);
        add({"XADD", "RTSS", "*", "id", id, "target", opening, "group", "gold", "symbol", "XAUUSD",
             "action", "close"});
    }
    /// Again while the server refuses: one that was just started answers LOADING for a while.
    void add(std::initializer_list<std::string_view> words) {
        EXPECT_TRUE(eventually([&] {
            const std::string id = redis_->ask(words);
            return !id.empty() && id[0] >= '1' && id[0] <= '9';
        }));
    }
    void journal(JournalState state) {
        segment_->core().journal_state = static_cast<std::uint32_t>(state);
    }
    void steps(int n) {
        for (int i = 0; i < n; ++i) {
            step();
        }
    }
    void step() {
        if (source_->step(Nanos{wall_ns()}) == 0) {
            ::usleep(500);
        }
    }
    /// The next signal in the engine's ring, waited for.
    Signal next_signal() {
        Signal s;
        EXPECT_TRUE(eventually([&] {
            step();
            const SignalSlot* slot = signals_.peek();
            if (slot == nullptr) {
                return false;
            }
            s = slot->value;
            signals_.advance();
            signals_.release();
            return true;
        }));
        return s;
    }
    void answer(const SignalId& id, ResultKind kind, std::uint64_t seq,
                std::uint64_t original = 0) {
        SignalResult r;
        r.kind = kind;
        r.signal = id;
        r.seq = Sequence{seq};
        r.original = Sequence{original};
        EXPECT_TRUE(results_.try_publish(ResultSlot{r}).ok());
    }
    std::int64_t pending() {
        RedisLink link = redis_->link();
        return link.call({"XPENDING", "RTSS", "millrace"}).value()[0].integer();
    }
    /// As if `consumer` had had the one that is pending for so long.
    void age_pending(std::string_view consumer, Nanos age) {
        RedisLink link = redis_->link();
        const auto pending = link.call({"XPENDING", "RTSS", "millrace"});
        ASSERT_TRUE(pending.ok()) << link.message();
        EXPECT_TRUE(
            link.call({"XCLAIM", "RTSS", "millrace", consumer, "0", pending.value()[1].text(),
                       "IDLE", std::to_string(age.value / 1'000'000), "JUSTID"})
                .ok())
            << link.message();
    }
    /// How long ago it was given to its consumer.
    [[nodiscard]] Nanos pending_for() {
        RedisLink link = redis_->link();
        const auto pending = link.call({"XPENDING", "RTSS", "millrace", "-", "+", "1"});
        EXPECT_TRUE(pending.ok()) << link.message();
        return millis(pending.ok() ? pending.value()[0][2].integer() : 0);
    }
    [[nodiscard]] bool pending_becomes(std::int64_t n) {
        return eventually([&] {
            step();
            return pending() == n;
        });
    }

    TempDir dir_;
    RedisOwnerOptions owner_;  // nobody's
    std::unique_ptr<Segment> segment_;
    RingConsumer<SignalSlot> signals_;
    RingProducer<ResultSlot> results_;
    std::unique_ptr<RedisProcess> redis_;
    std::unique_ptr<RedisSource> source_;
};

TEST_F(Rtss, HandsASignalOverAndAcknowledgesItOnlyWhenItIsOnDisk) {
    add(1);
    const Signal s = next_signal();
    EXPECT_EQ(s.id.lo, 1U);
    EXPECT_EQ(s.source, SourceId{7});
    EXPECT_EQ(s.group, GroupId{2});
    EXPECT_EQ(s.symbol, SymbolId{3});
    EXPECT_EQ(s.volume, Lots{kScale / 10});
    EXPECT_LT(wall_ns() - s.send_time.value, seconds(600).value) << "stamped from the entry's id";
    answer(s.id, ResultKind::Accepted, 5);
    steps(50);
    EXPECT_EQ(pending(), 1) << "acknowledged before it was durable";
    segment_->core().durable = 5;
    EXPECT_TRUE(pending_becomes(0));
    EXPECT_EQ(segment_->core().rtss_acked.load(), 1U);
}

TEST_F(Rtss, ReadsAgainWhatItHadNotAcknowledgedWhenItDied) {
    segment_->core().durable = 100;
    add(1);
    add(2);
    const Signal first = next_signal();
    (void)next_signal();
    answer(first.id, ResultKind::Accepted, 5);
    EXPECT_TRUE(pending_becomes(1));
    source_ = source("one");  // the old one is gone with what it knew
    const Signal again = next_signal();
    EXPECT_EQ(again.id.lo, 2U);
    answer(again.id, ResultKind::Duplicate, 9, 6);
    EXPECT_TRUE(pending_becomes(0));
}

TEST_F(Rtss, TakesOverWhatADeadConsumerLeft) {
    segment_->core().durable = 100;
    add(1);
    (void)next_signal();
    source_ = source("another");
    // Of an age at which a signal that says none still lives for long.
    age_pending("one", millis(kDefaultTtlMs / 4));
    const Signal taken = next_signal();
    EXPECT_EQ(taken.id.lo, 1U);
    EXPECT_EQ(taken.ttl_ms, 0U) << "the default";
    answer(taken.id, ResultKind::Duplicate, 9, 6);
    EXPECT_TRUE(pending_becomes(0));
}

TEST_F(Rtss, DoesNotHandOverAgainWhatItWaitsForItself) {
    add(1);
    const Signal s = next_signal();
    const auto is_taken_over = [&](Nanos later) {
        age_pending("one", seconds(20));
        return eventually([&] {
            (void)source_->step(Nanos{wall_ns()} + later);
            return pending_for() < seconds(20);
        });
    };
    ASSERT_TRUE(is_taken_over({}));
    steps(2);
    EXPECT_EQ(signals_.peek(), nullptr) << "each outage of the engine would fill its ring";
    ASSERT_TRUE(is_taken_over(seconds(31)));
    EXPECT_EQ(next_signal().id, s.id) << "one whose answer was lost is never acknowledged";
}

TEST_F(Rtss, SetsAnEntryThatIsNoSignalAsideWithTheReason) {
    (void)redis_->ask({"XADD", "RTSS", "*", "id", kId + std::string{"1"}, "group", "gold", "symbol",
                       "XAUUSD", "action", "open", "side", "buy", "volume", "ten"});
    (void)redis_->ask({"XADD", "RTSS", "*", "id", kId + std::string{"2"}, "group", "silver",
                       "symbol", "XAUUSD", "action", "open", "side", "buy", "volume", "1"});
    (void)redis_->ask({"XADD", "RTSS", "*", "recipe", "pie"});
    add(3);
    EXPECT_EQ(next_signal().id.lo, 3U) << "the others do not stop it";
    EXPECT_EQ(redis_->ask({"XLEN", "RTSS:REFUSED"}), "3");
    EXPECT_EQ(pending(), 1);
    RedisLink link = redis_->link();
    const auto refused = link.call({"XRANGE", "RTSS:REFUSED", "-", "+"});
    EXPECT_NE(refused.value()[0][1].field("why").text().find("volume: wanted a decimal"),
              std::string::npos);
    EXPECT_NE(refused.value()[1][1].field("why").text().find("group \"silver\""),
              std::string::npos);
    EXPECT_NE(refused.value()[2][1].field("why").text().find("\"recipe\" is unknown"),
              std::string::npos);
}

TEST_F(Rtss, WaitsForRoomInTheRingAndLosesNothing) {
    for (int n = 0; n < 10; ++n) {
        add(n);
    }
    for (int i = 0; i < 200; ++i) {
        step();  // the ring has 8 slots, nobody reads it
    }
    for (std::uint64_t n = 0; n < 10; ++n) {
        EXPECT_EQ(next_signal().id.lo, n);
    }
}

TEST_F(Rtss, ReadsNothingWhileNothingIsNamedYet) {
    segment_->core().config_hash = 0;  // a new segment, as after a reboot
    segment_->names().groups[2].ready = 0;
    add(1);
    steps(100);
    EXPECT_EQ(pending(), 0) << "refused for good, and it may be in the ledger";
    segment_->names().groups[2].ready = 1;
    segment_->core().config_hash = 1;
    EXPECT_EQ(next_signal().id.lo, 1U);
}

TEST_F(Rtss, HandsClosesOverPastTheEntriesThatWaitForTheJournal) {
    journal(JournalState::Full);
    add(1);
    close(2, 1);  // of an entry that waits itself: the engine would refuse it for good
    close(3, 9);
    EXPECT_EQ(next_signal().id.lo, 3U);
    steps(100);
    EXPECT_EQ(signals_.peek(), nullptr) << "an entry, or a close before its opening";
    EXPECT_EQ(source_->held(), 2U);
    EXPECT_EQ(pending(), 3) << "none of them is acknowledged";
    journal(JournalState::Running);
    EXPECT_EQ(next_signal().id.lo, 1U);
    EXPECT_EQ(next_signal().id.lo, 2U);
    EXPECT_EQ(source_->held(), 0U);
}

TEST_F(Rtss, AcknowledgesSuchACloseOnlyWhenItIsOnDiskAndHandsItOverOnce) {
    journal(JournalState::Poisoned);
    close(3, 9);
    const Signal s = next_signal();
    answer(s.id, ResultKind::Accepted, 5);
    close(3, 9);  // its producer is impatient
    steps(100);
    EXPECT_EQ(signals_.peek(), nullptr) << "each repeat would take a slot that nobody frees";
    (void)redis_->ask({"CONFIG", "SET", "appendfsync", "always"});
    redis_->kill();
    EXPECT_TRUE(eventually([&] {
        step();
        return segment_->core().rtss_errors.load() > 0;
    }));
    redis_->start();
    close(4, 9);
    EXPECT_EQ(next_signal().id.lo, 4U) << "read again from a server that was away";
    EXPECT_EQ(pending(), 3) << "acknowledged before it was durable";
    segment_->core().durable = 5;
    journal(JournalState::Running);
    EXPECT_TRUE(pending_becomes(1)) << "both copies with the first; the other has no answer yet";
}

TEST_F(Rtss, MakesALostGroupAnewBehindWhatIsDone) {
    segment_->core().durable = 100;
    add(1);
    answer(next_signal().id, ResultKind::Accepted, 5);
    EXPECT_TRUE(pending_becomes(0));
    EXPECT_TRUE(eventually([&] {
        step();
        return redis_->ask({"XLEN", "RTSS"}) == "0";
    }));
    (void)redis_->ask({"XGROUP", "DESTROY", "RTSS", "millrace"});
    add(2);
    EXPECT_EQ(next_signal().id.lo, 2U);
    EXPECT_EQ(pending(), 1) << "what was done did not come again";
}

TEST_F(Rtss, ReadsAStreamThatBeganAgainFromItsStart) {
    segment_->core().durable = 100;
    for (const bool over_a_restart : {false, true}) {
        add(1);
        answer(next_signal().id, ResultKind::Accepted, 5);
        EXPECT_TRUE(eventually([&] {
            step();
            return redis_->ask({"XLEN", "RTSS"}) == "0";
        }));
        if (over_a_restart) {
            source_.reset();
        }
        (void)redis_->ask({"FLUSHALL"});
        // Ids of its own, far below those that were done.
        const std::string id = kId + std::string{"2"};
        const std::string now = std::to_string(wall_ns() / 1'000'000);
        add({"XADD", "RTSS", "5-1", "id", id, "group", "gold", "symbol", "XAUUSD", "action", "open",
             "side", "buy", "volume", "0.1", "time_ms", now});
        if (over_a_restart) {
            source_ = source("one");
        }
        const Signal again = next_signal();
        EXPECT_EQ(again.id.lo, 2U) << test::error_log(*segment_);
        answer(again.id, ResultKind::Accepted, 6);
        EXPECT_TRUE(pending_becomes(0));
    }
    EXPECT_NE(test::error_log(*segment_).find("is read from its start"), std::string::npos);
}

TEST_F(Rtss, AsksAfterAPauseWhoseTheStreamIsBeforeItReads) {
    owner_ = {"millrace:test:", 11, kRedisOwnerLife, {}};
    source_ = source("one");
    add(1);
    EXPECT_EQ(next_signal().id.lo, 1U);
    // It stood still, the key ran out, and another host took the keys.
    (void)redis_->ask({"SET", "millrace:test:OWNER", "22 elsewhere"});
    add(2);
    const Nanos later{wall_ns() + seconds(60).value};
    for (int i = 0; i < 5; ++i) {
        (void)source_->step(later + seconds(i));
    }
    EXPECT_EQ(signals_.peek(), nullptr);
    EXPECT_EQ(pending(), 1) << "it was read: the other host never sees it";
    EXPECT_NE(test::error_log(*segment_).find("another Millrace (elsewhere"), std::string::npos);
}

TEST_F(Rtss, GoesOnAfterRedisWasKilled) {
    segment_->core().durable = 100;
    (void)redis_->ask({"CONFIG", "SET", "appendfsync", "always"});
    add(1);
    const Signal s = next_signal();
    redis_->kill();
    answer(s.id, ResultKind::Accepted, 5);
    steps(100);
    redis_->start();
    add(2);
    // Entry 1 was never acknowledged: it comes again, and is a repeat.
    EXPECT_EQ(next_signal().id.lo, 1U);
    answer(s.id, ResultKind::Duplicate, 6, 5);
    const Signal second = next_signal();
    EXPECT_EQ(second.id.lo, 2U);
    answer(second.id, ResultKind::Accepted, 7);
    EXPECT_TRUE(pending_becomes(0));
    EXPECT_GT(segment_->core().rtss_errors.load(), 0U);
}

}  // namespace
}  // namespace millrace::redis_test
