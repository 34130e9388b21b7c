// Goal: rule 2. Killed at any step, the engine sends each order at most once and ends each signal
// exactly once; also where the segment is lost while all of it rests on disk. (Lost right at a
// crash point: tests/chaos/lost_segment_test.cpp.)
// Method: fork journal and core over a real segment, arm one crash point, let the kernel kill the
// process there, start another (or let the hot spare take over), and count outside.
#include "tests/recovery/pipeline.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

namespace millrace::test {
namespace {

constexpr int kSignals = 40;

std::string name_of(const testing::TestParamInfo<std::string>& param) {
    std::string name = param.param;
    for (char& c : name) {
        c = c == '.' || c == ':' ? '_' : c;
    }
    return name;
}

class EngineCrash : public testing::TestWithParam<std::string> {
protected:
    void check_every_order_once(const Pipeline& p) {
        EXPECT_EQ(p.executed.size(), p.signals_sent * kAccounts);
        for (const auto& [magic, times] : p.executed) {
            EXPECT_EQ(times, 1) << "magic " << magic << " executed twice";
        }
        for (std::size_t i = 1; i < p.order_keys.size(); ++i) {
            EXPECT_LT(p.order_keys[i - 1], p.order_keys[i]) << "orders ring repeats (seq, k)";
        }
        for (std::uint64_t s = 1; s <= p.signals_sent; ++s) {
            const auto it = p.done_results.find(s);
            EXPECT_EQ(it == p.done_results.end() ? 0 : it->second, 1) << "signal " << s;
        }
    }
    static bool all_done(const Pipeline& p) { return p.done_results.size() == p.signals_sent; }
};

TEST_P(EngineCrash, RestartInTheSameSegmentLosesAndDoublesNothing) {
    Pipeline p;
    p.create_segment();
    p.fork_journal(nullptr);
    const std::string point = GetParam();
    const pid_t victim = p.fork_core(point.c_str());
    p.send_config();
    p.connect_accounts(1);
    p.send_signals(kSignals);
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(victim)); }))
        << "crash point " << point << " was never reached";
    p.fork_core(nullptr);
    p.send_signals(kSignals);
    EXPECT_TRUE(p.play_until([&] { return all_done(p); }));
    check_every_order_once(p);
}

TEST_P(EngineCrash, HotSpareTakesOverAndLosesAndDoublesNothing) {
    Pipeline p;
    p.create_segment();
    p.fork_journal(nullptr);
    const std::string point = GetParam();
    const pid_t victim = p.fork_core(point.c_str());
    p.send_config();
    p.connect_accounts(1);
    // The victim must be the engine: it has applied the configuration before the spare starts.
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().admin_applied.load() >= 4; }));
    p.fork_core(nullptr);
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().replica_applied.load() > 4; }));
    p.send_signals(kSignals);
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(victim)); }));
    p.send_signals(kSignals);
    EXPECT_TRUE(p.play_until([&] { return all_done(p); }));
    EXPECT_EQ(p.segment().core().replica_hash_mismatch.load(), 0U);
    check_every_order_once(p);
}

INSTANTIATE_TEST_SUITE_P(Rule2, EngineCrash,
                         testing::Values("engine.before_journal:60", "engine.after_journal:60",
                                         "engine.before_order:60", "engine.after_order:60",
                                         "engine.before_result:60", "engine.after_result:60",
                                         "engine.after_apply:60", "engine.after_completed:60",
                                         "engine.before_signal_release:20",
                                         "engine.before_release:60"),
                         name_of);

class JournalCrash : public testing::TestWithParam<std::string> {};

TEST_P(JournalCrash, NewEpochGoesOnFromTheRingAndTheEngineNotices) {
    Pipeline p;
    p.create_segment();
    const std::string point = GetParam();
    const pid_t victim = p.fork_journal(point.c_str());
    p.fork_core(nullptr);
    p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] {
        killed = killed || Pipeline::was_killed(victim);
        // One by one, so that there are several group commits.
        p.send_signals(!killed && p.done_results.size() == p.signals_sent ? 1 : 0);
        return killed;
    })) << "crash point "
        << point << " was never reached";
    const std::uint64_t epoch = p.segment().core().epoch.load();
    p.fork_journal(nullptr);
    p.send_signals(kSignals);
    const CoreCells& core = p.segment().core();
    EXPECT_TRUE(p.play_until([&] {
        return p.done_results.size() == p.signals_sent &&
               core.durable.load() >= core.completed.load() &&
               core.replica_applied.load() >= core.completed.load();
    })) << "durable "
        << core.durable.load() << " completed " << core.completed.load() << " replica "
        << core.replica_applied.load();
    EXPECT_GT(core.epoch.load(), epoch);
    EXPECT_EQ(core.replica_hash_mismatch.load(), 0U);
    for (const auto& [magic, times] : p.executed) {
        EXPECT_EQ(times, 1) << "magic " << magic;
    }
}

INSTANTIATE_TEST_SUITE_P(WritePath, JournalCrash,
                         testing::Values("journal.before_submit:2", "journal.after_submit:2",
                                         "journal.before_durable:2", "journal.before_release:2"),
                         name_of);

TEST(EngineRecovery, DiesAgainWhileRecoveringAndStillLosesNothing) {
    for (const char* point : {"engine.recover.replayed", "engine.recover.released"}) {
        Pipeline p;
        p.create_segment();
        p.fork_journal(nullptr);
        const pid_t first = p.fork_core("engine.after_order:60");
        p.send_config();
        p.connect_accounts(1);
        p.send_signals(kSignals);
        bool killed = false;
        ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(first)); }));
        const pid_t second = p.fork_core(point);
        killed = false;
        ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(second)); }))
            << point;
        p.fork_core(nullptr);
        EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; })) << point;
        for (const auto& [magic, times] : p.executed) {
            EXPECT_EQ(times, 1) << point << " magic " << magic;
        }
    }
}

TEST(EngineRecovery, DiesBetweenTheFirstTwoRecordsOfANewSegment) {
    Pipeline p;
    p.create_segment();
    p.fork_journal(nullptr);
    const pid_t first = p.fork_core("engine.begin.jumped");
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(first)); }));
    p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    p.send_signals(kSignals);
    EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    EXPECT_EQ(p.executed.size(), p.signals_sent * kAccounts);
}

TEST(EngineRecovery, HeirDiesInsideTheTakeOverAndTheNextHeirLosesNothing) {
    for (const char* point : {"takeover.locked", "takeover.attached", "takeover.running"}) {
        Pipeline p;
        p.create_segment();
        p.fork_journal(nullptr);
        const pid_t engine = p.fork_core(nullptr);
        p.send_config();
        p.connect_accounts(1);
        ASSERT_TRUE(p.play_until([&] { return p.segment().core().admin_applied.load() >= 4; }));
        const pid_t heir = p.fork_core(point);
        ASSERT_TRUE(p.play_until([&] { return p.segment().core().replica_applied.load() > 4; }));
        p.send_signals(kSignals);
        ASSERT_TRUE(p.play_until([&] { return p.executed.size() > kSignals; }));
        Pipeline::kill_and_reap(engine);
        bool killed = false;
        ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(heir)); }))
            << point;
        p.fork_core(nullptr);
        p.send_signals(kSignals);
        EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; })) << point;
        EXPECT_EQ(p.executed.size(), p.signals_sent * kAccounts) << point;
        for (const auto& [magic, times] : p.executed) {
            EXPECT_EQ(times, 1) << point << " magic " << magic;
        }
    }
}

TEST(EngineRecovery, AfterTheLossOfTheSegmentNoIdIsUsedTwiceAndNothingIsSentUnasked) {
    Pipeline p;
    p.create_segment();
    const pid_t journal = p.fork_journal(nullptr);
    const pid_t core = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    p.answering = false;  // executed at the broker, and nobody tells
    p.send_signals(kSignals);
    ASSERT_TRUE(p.play_until([&] { return p.executed.size() == kSignals * kAccounts; }));
    ASSERT_TRUE(p.play_until([&] {
        const CoreCells& c = p.segment().core();
        return c.durable.load() == c.journal_seq.load();
    }));
    Pipeline::kill_and_reap(core);
    Pipeline::kill_and_reap(journal);
    const auto before = p.intents;
    const auto executed_before = p.executed;

    p.create_segment();  // reboot: /dev/shm is empty
    p.answering = true;
    p.order_keys.clear();
    p.fork_journal(nullptr);
    p.fork_core(nullptr);
    ASSERT_TRUE(p.play_until([&] {
        return p.segment().core().in_doubt.load() == kSignals * kAccounts;
    })) << "every order without a final report must be IN_DOUBT";
    EXPECT_EQ(p.executed, executed_before) << "something was sent without being asked for";
    p.segment()
        .tick(SymbolId{0})
        .store({Price{110'000'000}, Price{110'001'000}, p.segment().clock().now()});
    p.connect_accounts(1U << 20);
    EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    EXPECT_TRUE(p.play_until([&] { return p.segment().core().in_doubt.load() == 0; }));
    EXPECT_EQ(p.executed, executed_before) << "found at the broker, so never sent again";
    p.send_signals(5);
    EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    for (const std::uint64_t intent : p.intents) {
        EXPECT_TRUE(before.count(intent) == 1 || intent > *before.rbegin());
    }
    EXPECT_EQ(p.intents.size(), before.size() + 5 * kAccounts);
}

/// The segment is lost, and the engine of the new one dies before a snapshot of it is there: its
/// heir needs the records before the loss too, which are in the files only.
struct SecondDeath {
    const char* name;
    bool old_snapshot;  // one of the lost segment is there
    bool spare;         // the heir is a hot spare, not a process that starts then
    const char* point;  // where the engine of the new segment dies; null: when it runs
    friend void PrintTo(const SecondDeath& d, std::ostream* out) { *out << d.name; }
};
class DeathAfterTheLoss : public testing::TestWithParam<SecondDeath> {};

TEST_P(DeathAfterTheLoss, KeepsEverythingFromBeforeIt) {
    Pipeline p;
    if (!GetParam().old_snapshot) {
        p.snapshot_every = seconds(3600);
    }
    p.create_segment();
    const pid_t journal = p.fork_journal(nullptr);
    const pid_t core = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().admin_applied.load() >= 4; }));
    const pid_t replica = p.fork_core(nullptr);
    p.send_signals(kSignals);
    ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    ASSERT_TRUE(p.play_until(
        [&] { return !GetParam().old_snapshot || p.segment().core().snapshot_seq.load() > 0; }));
    p.send_signals(3);  // behind the snapshot
    ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    ASSERT_TRUE(p.play_until([&] {
        return p.segment().core().durable.load() == p.segment().core().journal_seq.load();
    }));
    for (const pid_t pid : {replica, core, journal}) {
        Pipeline::kill_and_reap(pid);
    }
    const auto executed = p.executed;
    const std::uint64_t first_segment = p.segment().core().journal_seq.load();

    p.snapshot_every = seconds(3600);
    p.create_segment();
    p.fork_journal(nullptr);
    const pid_t second = p.fork_core(GetParam().point);
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] {
        killed = killed || (GetParam().point != nullptr && Pipeline::was_killed(second));
        return killed || p.segment().core().completed.load() > first_segment;
    }));
    if (GetParam().spare) {
        p.fork_core(nullptr);
        ASSERT_TRUE(p.play_until(
            [&] { return p.segment().core().replica_applied.load() > first_segment; }));
    }
    if (!killed) {
        Pipeline::kill_and_reap(second);
    }
    if (!GetParam().spare) {
        p.fork_core(nullptr);
    }
    p.segment()
        .tick(SymbolId{0})
        .store({Price{110'000'000}, Price{110'001'000}, p.segment().clock().now()});
    p.connect_accounts(1U << 20);
    p.resend_signals();
    ASSERT_TRUE(p.play_until([&] { return p.duplicates == p.signals_sent; }))
        << p.duplicates << " of " << p.signals_sent << " are known";
    EXPECT_EQ(p.executed, executed) << "a known signal was executed again";
    p.send_signals(5);
    EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }))
        << "configuration and accounts are known";
    EXPECT_EQ(p.executed.size(), p.signals_sent * kAccounts);
}

INSTANTIATE_TEST_SUITE_P(Recovery, DeathAfterTheLoss,
                         testing::Values(SecondDeath{"Restart", false, false, nullptr},
                                         SecondDeath{"RestartOldSnapshot", true, false, nullptr},
                                         SecondDeath{"RestartAtTheJump", true, false,
                                                     "engine.begin.jumped"},
                                         SecondDeath{"Spare", false, true, nullptr},
                                         SecondDeath{"SpareOldSnapshot", true, true, nullptr}),
                         [](const auto& tested) { return std::string{tested.param.name}; });

/// What a terminal says of its journal is judged by the one that served the account last.
TEST(EngineRecovery, ANewSegmentLetsNoTerminalInBeforeItTellsWhichJournalServedItLast) {
    Pipeline p;
    p.create_segment();
    const pid_t journal = p.fork_journal(nullptr);
    const pid_t core = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    p.send_signals(1);
    ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    const std::uint64_t served = p.segment().session(AccountId{0}).applied_journal.load();
    const std::uint64_t event = p.segment().session(AccountId{0}).applied_event.load();
    ASSERT_NE(served, 0U);
    ASSERT_NE(event, 0U);
    ASSERT_TRUE(p.play_until([&] {
        return p.segment().core().durable.load() == p.segment().core().journal_seq.load();
    }));
    Pipeline::kill_and_reap(core);
    Pipeline::kill_and_reap(journal);
    p.create_segment();
    p.fork_journal(nullptr);
    const pid_t victim = p.fork_core("engine.before_journal:2");  // the Start behind the Jump
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(victim)); }));
    ASSERT_NE(p.segment().session(AccountId{0}).login.load(), 0U) << "terminals may log in";
    EXPECT_EQ(p.segment().session(AccountId{0}).applied_journal.load(), served);
    EXPECT_EQ(p.segment().session(AccountId{0}).applied_event.load(), event);
}

TEST(EngineRecovery, AnHeirBeginsThoughTheJumpOfTheNewSegmentIsOnNoDiskYet) {
    Pipeline p;
    p.create_segment();
    const pid_t first_journal = p.fork_journal(nullptr);
    const pid_t first = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    p.send_signals(1);
    ASSERT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    const auto seq = [&] { return p.segment().core().journal_seq.load(); };
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().durable.load() == seq(); }));
    const std::uint64_t before = seq();
    Pipeline::kill_and_reap(first);
    Pipeline::kill_and_reap(first_journal);
    p.create_segment();
    const pid_t journal = p.fork_journal(nullptr);
    ASSERT_TRUE(p.play_until([&] {
        return p.segment().core().journal_state.load() ==
               static_cast<std::uint32_t>(JournalState::Running);
    }));
    ASSERT_EQ(::kill(journal, SIGSTOP), 0);  // its disk is slow
    ASSERT_EQ(::waitpid(journal, nullptr, WUNTRACED), journal);
    const pid_t victim = p.fork_core(nullptr);
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().completed.load() > before + 1; }));
    const std::uint64_t begun = seq();
    Pipeline::kill_and_reap(victim);
    ASSERT_LE(p.segment().core().durable.load(), before);
    p.fork_core(nullptr);
    EXPECT_TRUE(p.play_until([&] { return seq() > begun; })) << "it has journalled its Start";
    ASSERT_EQ(::kill(journal, SIGCONT), 0);
    EXPECT_TRUE(p.play_until([&] { return p.segment().core().durable.load() == seq(); }));
}

/// A journal ring that has been round several times: the record that the victim was writing lies in
/// the slot of the oldest one that the ring would still hold.
class LappedRing : public EngineCrash {};

TEST_P(LappedRing, TakesNoRecordThatWasNeverCommittedForOneThatWas) {
    Pipeline p;
    p.create_segment(64);
    p.fork_journal(nullptr);
    const pid_t victim = p.fork_core(GetParam().c_str());
    p.send_config();
    p.connect_accounts(1);
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().admin_applied.load() >= 4; }));
    p.fork_core(nullptr);
    bool killed = false;
    const CoreCells& core = p.segment().core();
    while (!killed && p.signals_sent < 200) {
        p.send_signals(1);
        // One at a time, and the spare up to date before the next.
        ASSERT_TRUE(p.play_until([&] {
            killed = killed || Pipeline::was_killed(victim);
            return killed ||
                   (all_done(p) && core.replica_applied.load() == core.journal_seq.load());
        }));
    }
    ASSERT_TRUE(killed) << "the crash point was never reached";
    EXPECT_GT(core.journal_seq.load(), 3 * 64U);
    p.send_signals(3);
    EXPECT_TRUE(p.play_until([&] { return all_done(p); }));
    EXPECT_EQ(core.journal_state.load(), static_cast<std::uint32_t>(JournalState::Running));
    check_every_order_once(p);
}

INSTANTIATE_TEST_SUITE_P(Records, LappedRing,
                         testing::Values("engine.before_journal:400", "engine.before_journal:401",
                                         "engine.before_journal:403", "engine.before_journal:406"),
                         name_of);

TEST(EngineRecovery, GoesOnWhereARingNoLongerHoldsWhatWasJournalledFromIt) {
    Pipeline p;
    p.create_segment();
    p.fork_journal(nullptr);
    const pid_t victim = p.fork_core("engine.before_signal_release:1");
    p.send_config();
    p.connect_accounts(1);
    p.send_signals(1);
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(victim)); }));
    // Emptied: attaching cannot tell it from a ring that nobody has written to. To release the
    // record nevertheless would put the cursor beyond the last one, and no heir of either end would
    // have it.
    const auto ring = p.segment().ring<SignalSlot>("signals.ingress");
    ring.slot(1).sequence.store(0);
    p.fork_core(nullptr);
    EXPECT_TRUE(p.play_until([&] {
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = p.segment().error(i);
            // Acquire: pairs with the release in report_error(); odd: it is all there.
            if ((e.hash.load(std::memory_order_acquire) & 1U) != 0 &&
                std::string_view{e.text}.find("signals.ingress lacks") != std::string_view::npos) {
                return true;
            }
        }
        return false;
    })) << "nobody was told";
    EXPECT_EQ(ring.control->read_cursor.load(), 0U);
    const std::uint64_t applied = p.segment().core().admin_applied.load();
    p.send_admin(AdminRecord::make(AdminOp::RemoveAccount, AccountRemoval{AccountId{1}, 0}));
    EXPECT_TRUE(p.play_until([&] { return p.segment().core().admin_applied.load() > applied; }))
        << "the rest does not go on";
}

TEST(EngineRecovery, AnEngineThatBeginsWhileTheJournalStandsAndItsRingIsFullWaits) {
    constexpr std::uint32_t kJournalSlots = 64;
    Pipeline p;
    p.create_segment(kJournalSlots);
    const pid_t journal = p.fork_journal(nullptr);
    const pid_t core = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    ASSERT_TRUE(p.play_until([&] { return p.segment().core().admin_applied.load() >= 4; }));
    ::kill(journal, SIGSTOP);
    p.send_refused_signals(kJournalSlots + 20);
    const auto& stalls = p.segment().ring_control(p.segment().find_ring("journal")).full_stalls;
    ASSERT_TRUE(p.play_until([&] { return stalls.load() > 0; })) << "the ring is full";
    Pipeline::kill_and_reap(core);
    auto& taken_over = p.segment().core().entries_refused;
    taken_over.store(UINT64_MAX);
    p.fork_core(nullptr);
    EXPECT_TRUE(p.play_until([&] { return taken_over.load() != UINT64_MAX; }))
        << "it died of having no room for its first record";
    ::kill(journal, SIGCONT);
    EXPECT_TRUE(p.play_until([&] { return p.refused == p.signals_sent; }));
}

}  // namespace
}  // namespace millrace::test
