// Goal: what an order and a signal may become, and what never happens to them.
// Method: records in, orders and results out; the rig checks counters and reservations throughout.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <set>

namespace millrace::test {
namespace {

TEST(FanOut, ReachesAThousandAccountsOnceEachThroughContinuations) {
    const Capacity big{1024, 1024, 4096, 64};
    Rig rig{big};
    rig.number_events = false;
    rig.want_effects = false;
    rig.world(1000);
    rig.budget = 100;
    rig.signal(rig.open(1));
    std::set<std::uint32_t> accounts;
    std::set<std::uint64_t> magics;
    for (const OrderCommand& c : rig.take_orders()) {
        accounts.insert(c.account.value);
        magics.insert(c.magic.value);
    }
    EXPECT_EQ(accounts.size(), 1000U);
    EXPECT_EQ(magics.size(), 1000U);
    EXPECT_EQ(rig.replayed_hash(big), rig.engine.state_hash());
}

TEST(Ledger, DropsARepeatAndTellsItTheOriginal) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const Sequence original = rig.results.front().seq;
    rig.take_orders();
    rig.take_results();
    rig.signal(rig.open(1));
    EXPECT_TRUE(rig.orders.empty());
    ASSERT_EQ(rig.count(ResultKind::Duplicate), 1U);
    EXPECT_EQ(rig.results.front().original, original);
}

TEST(Ledger, ForgetsByAgeOnlyAndThenCallsTheSignalStale) {
    Rig rig;
    rig.world();
    Signal old = rig.open(1);
    rig.signal(old);
    rig.report(rig.outcome(rig.only_order(), retcode::kReject));
    rig.advance(seconds(8 * 86'400));
    rig.signal(rig.open(2));
    rig.take_results();
    rig.signal(old);
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::StaleSignal});
}

TEST(Ledger, RefusesWhenFullInsteadOfForgetting) {
    Rig rig{Capacity{8, 32, 64, 2}};
    rig.world();
    rig.signal(rig.open(1));
    rig.signal(rig.open(2));
    rig.signal(rig.open(3));
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::LedgerFull});
}

TEST(Signal, OlderThanItsLifeIsRefused) {
    Rig rig;
    rig.world();
    Signal s = rig.open(1);
    s.send_time = rig.now - seconds(30);
    rig.signal(s);
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::Expired});
}

/// One account whose membership `change` alters.
template <class Change>
void member_of(Rig& rig, Change&& change) {
    rig.world();
    MemberSpec m = Rig::member_spec(0, 0);
    change(m);
    rig.admin(AdminOp::DefineMember, m);
    rig.signal(rig.open(1));
}

TEST(Sizing, FixedSendsItsOwnLotsInWholeStepsWhateverTheSignalSays) {
    for (const std::int64_t lots : {7, 70, 700}) {
        Rig rig;
        member_of(rig, [&](MemberSpec& m) {
            m.sizing = SizingMode::Fixed;
            m.value = centi(lots).value + kScale / 1000;  // a tenth of a step too much
        });
        EXPECT_EQ(rig.only_order().volume, centi(lots));
    }
}

TEST(Filter, RejectsASymbolThatTheMembershipDoesNotTakeAndNoOther) {
    for (const std::uint64_t taken : {0b10, 0b01}) {  // the signal is for symbol 0
        Rig rig;
        member_of(rig, [&](MemberSpec& m) { m.symbols[0] = taken; });
        EXPECT_EQ(rig.orders.size(), taken & 1);
        const auto rejected = rig.reasons(ResultKind::OrderDone);
        EXPECT_EQ(rejected,
                  taken == 1 ? std::vector<Reason>{} : std::vector{Reason::SymbolFiltered});
    }
}

TEST(Collar, LetsThroughExactlyItsLimitAndNotAPointMore) {
    for (const auto& [moved, passes] : {std::pair{110, true}, std::pair{111, false}}) {
        Rig rig;
        rig.world();
        Signal s = rig.open(1);
        s.reference_price = points(110'000);
        rig.ask = points(110'000 + moved);  // 0.10 % of 1.10000 is 110 points
        rig.signal(s);
        EXPECT_EQ(rig.orders.size(), passes ? 1U : 0U);
    }
}

TEST(Price, MissingRefusesEntriesAndLetsClosesGo) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    rig.bid = rig.ask = Price{0};
    rig.signal(rig.open(2));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone).back(), Reason::NoPrice);
    rig.signal(rig.change(3, SignalAction::Close, 1));
    EXPECT_EQ(rig.only_order().type, CommandType::Close);
}

TEST(Sizing, RoundsDownToTheStepAndRefusesBelowTheMinimum) {
    Rig rig;
    rig.world();
    MemberSpec m = Rig::member_spec(0, 0);
    m.value = kScale / 3;
    rig.admin(AdminOp::DefineMember, m);
    rig.signal(rig.open(1, Side::Buy, centi(10)));
    EXPECT_EQ(rig.only_order().volume, centi(3));
    rig.signal(rig.open(2, Side::Buy, centi(2)));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::VolumeBelowMin});
}

TEST(Sizing, TakesAShareOfTheEquity) {
    Rig rig;
    rig.world();
    Report info = rig.from(0, ReportType::AccountInfo);
    info.permissions = 1;
    info.equity = Money{100'000 * kScale};
    rig.report(info);
    MemberSpec m = Rig::member_spec(0, 0);
    m.sizing = SizingMode::EquityShare;
    m.value = kScale;  // one times the equity: 100,000 / (1.1 x 100,000) lots
    rig.admin(AdminOp::DefineMember, m);
    rig.signal(rig.open(1));
    EXPECT_EQ(rig.only_order().volume, centi(90));
}

TEST(Rate, RefusesWhatTheBucketDoesNotHold) {
    Rig rig;
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.rate_per_second = 1;
    spec.rate_burst = 2;
    rig.admin(AdminOp::DefineAccount, spec);
    for (std::uint64_t n = 1; n <= 3; ++n) {
        rig.signal(rig.open(n));
    }
    EXPECT_EQ(rig.take_orders().size(), 2U);
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::RateLimit});
}

TEST(InDoubt, IsNeverLeftByTimeAlone) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(3 * 86'400));
    ASSERT_NE(rig.find(entry.magic), nullptr);
    EXPECT_EQ(rig.find(entry.magic)->status, OrdStatus::InDoubt);
    for (const OrderCommand& c : rig.take_orders()) {
        EXPECT_EQ(c.type, CommandType::Query) << "time is not evidence";
    }
    EXPECT_EQ(rig.count(ResultKind::OrderInDoubt), 1U);
}

TEST(InDoubt, ProvenAbsentIsSentOnceMoreUnderANewMagic) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.advance(seconds(6));
    const OrderCommand query = rig.only_order();
    rig.report(rig.query_answer(query, ReportType::QueryAbsent));
    const OrderCommand again = rig.only_order();
    EXPECT_EQ(again.magic.intent(), entry.magic.intent());
    EXPECT_EQ(again.magic.attempt(), entry.magic.attempt() + 1);
    rig.report(rig.query_answer(query, ReportType::QueryAbsent));  // about the first attempt
    EXPECT_TRUE(rig.orders.empty());
}

TEST(InDoubt, BlocksEntriesOfItsSymbolOnItsAccountOnly) {
    Rig rig;
    rig.world(2);
    rig.signal(rig.open(1));
    const auto entries = rig.take_orders();
    rig.fill(entries[1]);
    rig.advance(seconds(6));
    rig.take_orders();
    rig.signal(rig.open(2));
    EXPECT_EQ(rig.only_order().account, AccountId{1});
    Signal other = rig.open(3);
    other.symbol = SymbolId{1};
    rig.signal(other);
    EXPECT_EQ(rig.take_orders().size(), 2U);
}

TEST(Attempts, AreAtMostEightAndEachHasItsMagic) {
    Rig rig;
    rig.world();
    Signal s = rig.open(1);
    s.ttl_ms = 600'000;
    rig.signal(s);
    std::set<std::uint64_t> magics;
    while (!rig.orders.empty()) {
        const OrderCommand c = rig.only_order();
        EXPECT_TRUE(magics.insert(c.magic.value).second);
        Report stale = rig.from(0, ReportType::Unsent);
        stale.magic = c.magic;
        rig.report(stale);
        ASSERT_LE(magics.size(), 8U);
    }
    EXPECT_EQ(magics.size(), 8U);
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::RetriesExhausted});
}

TEST(Close, LeavesNoRestBelowTheMinimum) {
    Rig rig;
    rig.world();
    SymbolSpec spec = Rig::eurusd();
    spec.volume_min = centi(3);
    rig.admin(AdminOp::DefineSymbol, spec);
    rig.signal(rig.open(1, Side::Buy, centi(5)));
    rig.fill(rig.only_order());
    rig.signal(rig.change(2, SignalAction::Close, 1, centi(3)));
    EXPECT_EQ(rig.only_order().volume, centi(5));
}

TEST(Close, ThirdsOfAnOddVolumeLeaveNothing) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1, Side::Buy, centi(10)));
    rig.fill(rig.only_order());
    Lots closed;
    for (std::uint64_t n = 0; n < 3; ++n) {
        rig.signal(rig.change(2 + n, SignalAction::Close, 1, Lots{centi(10).value / 3 + 1}));
        const OrderCommand c = rig.only_order();
        closed = closed + c.volume;
        rig.fill(c);
    }
    EXPECT_EQ(closed, centi(10));
    EXPECT_EQ(rig.engine.orders().live(), 0U);
}

TEST(Kill, OfEachScopeStopsEntriesAndLetsClosesGo) {
    for (const auto& [scope, id] :
         {std::pair{KillScope::All, kNoId}, std::pair{KillScope::Group, 0U},
          std::pair{KillScope::Account, 0U}, std::pair{KillScope::Symbol, 0U},
          std::pair{KillScope::Source, 0U}}) {
        Rig rig;
        rig.world();
        rig.signal(rig.open(1));
        rig.fill(rig.only_order());
        KillCommand kill;
        kill.scope = scope;
        kill.scope_id = id;
        rig.admin(AdminOp::Kill, kill);
        rig.signal(rig.open(2));
        EXPECT_EQ(rig.reasons(ResultKind::OrderDone).back(), Reason::Killed);
        rig.signal(rig.change(3, SignalAction::Close, 1));
        EXPECT_EQ(rig.take_orders().size(), 1U);
        rig.admin(AdminOp::ClearKill, kill);
        rig.signal(rig.open(4));
        EXPECT_EQ(rig.take_orders().size(), 1U);
    }
}

TEST(Segment, LossPutsEveryUnansweredOrderInDoubtAndJumpsPastItsIds) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand entry = rig.only_order();
    rig.input(InputType::Jump, JumpInput{5000});
    StartInput start;
    start.new_segment = 1;
    rig.input(InputType::Start, start);
    EXPECT_EQ(rig.find(entry.magic)->status, OrdStatus::InDoubt);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Reconciling);
    rig.session_up(0);
    EXPECT_EQ(rig.only_order().type, CommandType::Query);
    rig.report(rig.query_answer(entry, ReportType::QueryFound, OrdStatus::Filled, centi(10)));
    EXPECT_EQ(rig.open_volume(), centi(10));
    rig.signal(rig.open(2));
    EXPECT_GE(rig.only_order().magic.intent(), 5000U);
}

TEST(Reports, ThatComeAgainAfterAReconnectCountOnce) {
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    Report done = rig.outcome(rig.only_order(), retcode::kDone, centi(10));
    done.event_seq = 1;
    rig.input(InputType::Report, done);
    rig.input(InputType::Report, done);
    EXPECT_EQ(rig.open_volume(), centi(10));
    EXPECT_EQ(rig.engine.globals().duplicate_executions, 0U);
    done.event_seq = 2;
    done.deal_ticket += 1;  // a second execution of the same order
    rig.input(InputType::Report, done);
    EXPECT_EQ(rig.engine.globals().duplicate_executions, 1U);
    EXPECT_EQ(rig.alerts(AlertCode::DuplicateExecution), 1U);
}

TEST(Replay, FromASnapshotAtAnyRecordGivesTheSameState) {
    Rig rig;
    rig.world(3);
    std::vector<std::vector<std::byte>> images;
    std::vector<std::size_t> at;
    for (std::uint64_t n = 1; n <= 30; ++n) {
        rig.signal(rig.open(n, n % 2 == 0 ? Side::Buy : Side::Sell));
        for (const OrderCommand& c : rig.take_orders()) {
            const std::uint32_t codes[] = {retcode::kDone, retcode::kRequote, retcode::kTimeout};
            const std::uint32_t code = codes[(n + c.account.value) % 3];
            rig.report(rig.outcome(c, code, code == retcode::kDone ? c.volume : Lots{}));
        }
        rig.advance(millis(700));
        images.emplace_back();
        at.push_back(rig.log.size());
        rig.engine.save(images.back());
    }
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
    for (std::size_t n = 0; n < images.size(); ++n) {
        Rig other;
        ASSERT_TRUE(other.engine.load(images[n].data(), images[n].size()).ok());
        for (std::size_t i = at[n]; i < rig.log.size(); ++i) {
            other.engine.apply(rig.log[i], other);
        }
        ASSERT_EQ(other.engine.state_hash(), rig.engine.state_hash()) << "snapshot " << n;
    }
}

/// What the account is once its link is up, as its latest row says (Engine::account_row).
AccountState told(const Rig& rig) {
    const auto row = std::find_if(rig.effects.rbegin(), rig.effects.rend(),
                                  [](const Effect& e) { return e.kind == EffectKind::Account; });
    return static_cast<AccountState>(row->as<AccountRow>().permissions >> 1U & 7U);
}

TEST(AccountRows, TellThatABrokersAnswerStoppedItWhileItIsReconciled) {
    for (const std::uint32_t code : {retcode::kNoMoney, 10026U}) {
        Rig rig;
        rig.world();
        rig.signal(rig.open(1));
        const OrderCommand entry = rig.only_order();
        rig.session_down(0);
        rig.link_up(0);
        rig.take_orders();
        ASSERT_EQ(told(rig), AccountState::Trading);
        rig.report(rig.outcome(entry, code));  // told again by its terminal
        EXPECT_FALSE(rig.engine.account(AccountId{0}).ready);
        EXPECT_EQ(told(rig),
                  code == retcode::kNoMoney ? AccountState::ReduceOnly : AccountState::Suspended);
    }
}

}  // namespace
}  // namespace millrace::test
