// Goal: an administrative command takes effect once and is answered, and the end of an order that
// rested at the broker reaches its source once, wherever the engine is killed.
// Method: as engine_crash_test.cpp. The command line is the test: it publishes and waits for the
// cells that a command line waits for.
#include <gtest/gtest.h>

#include <string>

#include "tests/recovery/pipeline.h"
#include "tests/recovery/replayed_state.h"

namespace millrace::test {
namespace {

/// Records before the command: Jump, Start, and what send_config() sends.
constexpr int kConfigRecords = 3 + 1 + 2 * static_cast<int>(kAccounts);
constexpr int kRecordsBefore = 2 + kConfigRecords;

AdminAnswer answer(const Segment& s) {
    return static_cast<AdminAnswer>(s.core().admin_last_status.load() & 0xFFU);
}

class AdminCrash : public testing::TestWithParam<std::string> {};

TEST_P(AdminCrash, CommandTakesEffectOnceAndIsAnsweredByTheNextEngine) {
    for (const bool spare : {false, true}) {
        Pipeline p;
        p.create_segment();
        p.fork_journal(nullptr);
        const std::string point = GetParam() + ":" + std::to_string(kRecordsBefore + 1);
        const pid_t victim = p.fork_core(point.c_str());
        p.send_config();
        const CoreCells& core = p.segment().core();
        ASSERT_TRUE(p.play_until([&] { return core.admin_applied.load() == kConfigRecords; }));
        if (spare) {
            p.fork_core(nullptr);
            ASSERT_TRUE(
                p.play_until([&] { return core.replica_applied.load() == kRecordsBefore; }));
        }
        p.send_admin(AdminRecord::make(AdminOp::RemoveAccount, AccountRemoval{AccountId{1}, 0}));
        bool killed = false;
        ASSERT_TRUE(p.play_until([&] { return (killed = killed || Pipeline::was_killed(victim)); }))
            << point << " was never reached";
        if (!spare) {
            p.fork_core(nullptr);
        }
        ASSERT_TRUE(p.play_until([&] { return core.admin_applied.load() == kConfigRecords + 1; }))
            << "the command line waits for ever";
        EXPECT_EQ(core.admin_last_status.load() >> 8, std::uint64_t{kConfigRecords} + 1);
        EXPECT_EQ(answer(p.segment()), AdminAnswer::Ok);

        p.send_admin(AdminRecord::make(AdminOp::SetAccount,
                                       AccountCommand{AccountId{1}, AccountState::Trading, {}}));
        ASSERT_TRUE(p.play_until([&] { return core.admin_applied.load() == kConfigRecords + 2; }));
        EXPECT_EQ(answer(p.segment()), AdminAnswer::AccountRemoved);
        p.connect_accounts(1);
        p.send_signals(3);
        EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
        EXPECT_EQ(p.executed.size(), 3 * (kAccounts - 1)) << "not on the account that is gone";
        EXPECT_EQ(core.replica_hash_mismatch.load(), 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(Rule2, AdminCrash,
                         testing::Values("engine.before_journal", "engine.after_journal",
                                         "engine.after_apply", "engine.after_completed"),
                         [](const auto& point) { return point.param.substr(7); });

class RestingCrash : public testing::TestWithParam<std::string> {};

TEST_P(RestingCrash, MoreOrdersRestThanTheResultsRingHasSlotsAndEveryEndIsToldOnce) {
    constexpr std::uint32_t kSlots = 64;
    constexpr int kSignals = 100;  // on each of four accounts: six times the ring
    Pipeline p;
    p.create_segment(1024, kSlots);
    p.fork_journal(nullptr);
    const pid_t victim = p.fork_core(GetParam().c_str());
    p.send_config();
    p.connect_accounts(1);
    p.resting = true;
    for (int i = 0; i < kSignals; i += 10) {
        p.send_signals(10);
        ASSERT_TRUE(p.play_until([&] { return p.working == p.signals_sent * kAccounts; }));
    }
    p.reading = false;  // the source sleeps while its orders end
    p.cancel_resting(kSlots);
    bool killed = false;
    ASSERT_TRUE(p.play_until([&] {
        killed = killed || Pipeline::was_killed(victim);
        p.reading = killed || p.segment().core().live_orders.load() <
                                  static_cast<std::uint64_t>(kSignals) * kAccounts - kSlots + 1;
        return killed;
    })) << GetParam()
        << " was never reached";
    p.fork_core(nullptr);
    p.cancel_resting(kSignals * kAccounts);
    EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    EXPECT_EQ(p.order_ends, p.signals_sent * kAccounts) << "one end an order";
    for (const auto& [signal, times] : p.done_results) {
        EXPECT_EQ(times, 1) << "signal " << signal;
    }
    for (const auto& [magic, times] : p.executed) {
        EXPECT_EQ(times, 1) << "magic " << magic;
    }
}

/// EUR is told by EURUSD, and account 0 has a limit in EUR.
void limit_in_euros(Pipeline& p) {
    CurrencySpec currency;
    currency.index = 0;
    p.send_admin(AdminRecord::make(AdminOp::DefineCurrency, currency));
    currency.index = 1;
    currency.cross = SymbolId{0};
    currency.age_max_ms = 0;
    p.send_admin(AdminRecord::make(AdminOp::DefineCurrency, currency));
    SymbolGuardSpec symbol;
    symbol.id = SymbolId{0};
    symbol.currency = 1;
    p.send_admin(AdminRecord::make(AdminOp::DefineSymbolGuard, symbol));
    MoneyLimitSpec limit;
    limit.id = 0;
    limit.currency = 2;
    limit.max_notional = Money{10'000'000'000 * kScale};
    p.send_admin(AdminRecord::make(AdminOp::DefineMoneyLimits, limit));
    ConfigCommit commit;
    commit.config_hash = 7;
    p.send_admin(AdminRecord::make(AdminOp::ConfigCommit, commit));  // before it there is no rate
}

TEST(RateInputs, AreInTheLogAndAnEngineThatTakesOverGoesByThem) {
    Pipeline p;
    p.create_segment();
    p.fork_journal(nullptr);
    const pid_t engine = p.fork_core(nullptr);
    p.send_config();
    limit_in_euros(p);
    p.connect_accounts(1);
    const auto trade = [&p] {
        p.send_signals(10);
        EXPECT_TRUE(p.play_until([&] { return p.done_results.size() == p.signals_sent; }));
    };
    trade();
    p.fork_core(nullptr);  // the spare
    Pipeline::kill_and_reap(engine);
    trade();
    p.fork_core(nullptr);  // the next replica: it knows the log alone
    const CoreCells& core = p.segment().core();
    std::vector<std::string> bad;
    Sequence seen;
    EXPECT_TRUE(p.play_until([&] {
        const auto newest = load_snapshot(p.journal_dir(), Sequence{UINT64_MAX}, bad);
        seen = newest ? newest.value().at.seq : Sequence{};
        return seen.value >= core.completed.load();
    }));
    EXPECT_EQ(state_differs_from_replay(p.journal_dir()), "");
    const auto newest = load_snapshot(p.journal_dir(), seen, bad);
    ASSERT_TRUE(newest.ok());
    const auto& image = newest.value().image;
    Engine state{image_capacity(image.data(), image.size())};
    ASSERT_TRUE(state.load(image.data(), image.size()).ok());
    EXPECT_GT(state.currency(1).bid.value, 0) << "a quote came by the log";
    EXPECT_GT(state.account_guard(AccountId{0}).notional, 0);
    EXPECT_EQ(state.account_guard(AccountId{0}).unvalued, 0U);
}

// Accepted and OrderWorking come first: 100 signals on four accounts make 500 results.
INSTANTIATE_TEST_SUITE_P(Rule2, RestingCrash,
                         testing::Values("engine.before_result:501", "engine.after_result:501",
                                         "engine.before_result:520", "engine.after_result:540",
                                         "engine.after_result:560"),
                         [](const auto& point) {
                             std::string name = point.param.substr(7);
                             name.replace(name.find(':'), 1, "_");
                             return name;
                         });

}  // namespace
}  // namespace millrace::test
