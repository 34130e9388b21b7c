// Goal: limits and halts hold where scenarios do not look (tests/scenarios/risk_*.scn): commands
// that are wrong, another login, a rate that finds what the broker takes, images of the format
// before. Method: an engine in the rig, which holds every count against the table after every
// record.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <deque>

namespace millrace::test {
namespace {

AdminAnswer answer(const Rig& rig) {
    return rig.engine.globals().admin_answer;
}

LimitSpec daily_loss(std::int64_t units) {
    LimitSpec l;
    l.max_daily_loss = Money{units * kScale};
    return l;
}

TEST(Risk, LimitsOfWhatIsNotThereAndWrongOnesAreRefusedAndChangeNothing) {
    Rig rig;
    rig.world();
    rig.limit(daily_loss(500));
    rig.limit({}, 5);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownAccount);
    rig.limit({}, kNoId);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownAccount);
    rig.limit({}, 9, LimitScope::Group);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownGroup);
    rig.limit({}, kNoId, LimitScope::Group);
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownGroup);
    rig.limit({}, 0, static_cast<LimitScope>(7));
    EXPECT_EQ(answer(rig), AdminAnswer::UnknownScope);
    LimitSpec late;
    late.day_start_s = 86'400;
    rig.limit(late);
    EXPECT_EQ(answer(rig), AdminAnswer::BadState);
    rig.admin(AdminOp::RemoveGroup, GroupRemoval{GroupId{0}, 0});
    rig.limit({}, 0, LimitScope::Group);
    EXPECT_EQ(answer(rig), AdminAnswer::GroupRemoved);
    EXPECT_EQ(rig.engine.account_risk(AccountId{0}).limits.max_daily_loss, Money{500 * kScale});
    rig.admin(AdminOp::RemoveAccount, AccountRemoval{AccountId{0}, 0});
    rig.limit({});
    EXPECT_EQ(answer(rig), AdminAnswer::AccountRemoved);
}

TEST(Risk, AFillWithoutAPriceOrAReferenceSlipsNowhere) {
    Rig rig;
    rig.world();
    LimitSpec l;
    l.max_slippage = 1;
    rig.limit(l);
    l.on_slippage = static_cast<SlippageAction>(4);
    rig.limit(l);
    EXPECT_EQ(answer(rig), AdminAnswer::BadState);
    rig.signal(rig.open(1, Side::Sell));
    const OrderCommand entry = rig.only_order();
    Report r = rig.outcome(entry, retcode::kDone, entry.volume);
    r.price = Price{};
    rig.report(r);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Trading);
    rig.signal(rig.open(2));
    Report far = rig.outcome(rig.only_order(), retcode::kDone, centi(10));
    far.price = Price{INT64_MAX};
    rig.report(far);
    EXPECT_EQ(rig.alerts(AlertCode::Slippage), 1U);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::ReduceOnly);
    AccountSpec spec = Rig::account_spec(0);
    spec.login = 4711;
    rig.admin(AdminOp::DefineAccount, spec);
    EXPECT_EQ(answer(rig), AdminAnswer::LoginInUse);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::ReduceOnly);
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Risk, AnotherLoginIsMeasuredFromItsOwnEquity) {
    Rig rig;
    rig.world();
    rig.limit(daily_loss(500));
    for (const std::int64_t equity : {10'000, 10'000, 10'000, 9'000, 9'000, 9'000}) {
        rig.equity(equity);
    }
    ASSERT_EQ(rig.engine.account(AccountId{0}).state, AccountState::ReduceOnly);
    AccountSpec spec = Rig::account_spec(0);
    spec.login = 4711;
    rig.admin(AdminOp::DefineAccount, spec);
    ASSERT_EQ(answer(rig), AdminAnswer::Ok);
    for (const std::int64_t equity : {2'000, 2'000, 2'000}) {
        rig.equity(equity);
    }
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Trading);
    rig.equity(1'500);
    rig.equity(1'500);
    rig.equity(1'500);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::ReduceOnly)
        << "the limits are the account's, whatever its login";
    EXPECT_EQ(rig.replayed_hash(), rig.engine.state_hash());
}

TEST(Risk, OfAnOperatorsWordTheStricterHolds) {
    Rig rig;
    rig.world();
    LimitSpec l = daily_loss(500);
    rig.limit(l);
    for (const std::int64_t equity : {10'000, 10'000, 10'000, 9'000, 9'000, 9'000}) {
        rig.equity(equity);
    }
    AccountCommand stop{AccountId{0}, AccountState::Suspended, {}};
    rig.admin(AdminOp::SetAccount, stop);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Suspended);
    rig.advance(seconds(86'400));
    rig.equity(9'000);  // another day: the halt is over, the operator's word is not
    EXPECT_EQ(rig.engine.account_risk(AccountId{0}).halt, Halt::None);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Suspended);
}

TEST(Risk, SilenceOfBothNumbersIsNoReading) {
    Rig rig;
    rig.world();
    rig.limit(daily_loss(500));
    Report r = rig.from(0, ReportType::AccountInfo);
    r.permissions = 1;
    for (int n = 0; n < 3; ++n) {
        rig.report(r);
    }
    EXPECT_EQ(rig.engine.account_risk(AccountId{0}).known, 0U);
    EXPECT_EQ(rig.engine.account(AccountId{0}).state, AccountState::Trading);
}

/// A broker that takes `limit` requests in any second, and 10024 to the rest.
class Throttle {
public:
    explicit Throttle(std::size_t limit) : limit_{limit} {}
    bool takes(Nanos now) {
        while (!taken_.empty() && now - taken_.front() >= seconds(1)) {
            taken_.pop_front();
        }
        if (taken_.size() >= limit_) {
            return false;
        }
        taken_.push_back(now);
        return true;
    }

private:
    std::size_t limit_;
    std::deque<Nanos> taken_;
};

struct Pace {
    std::uint32_t taken = 0;
    std::uint32_t refused = 0;
    std::size_t pauses = 0;
    bool trading = false;
};

/// Entries every 100 ms for a while that nobody counts, then for five minutes.
Pace pace(std::size_t limit, std::uint32_t configured) {
    Rig rig{Capacity{1, 4, 4096, 16'384}};
    rig.world();
    AccountSpec spec = Rig::account_spec(0);
    spec.rate_per_second = configured;
    spec.rate_burst = 1;
    rig.admin(AdminOp::DefineAccount, spec);
    Throttle broker{limit};
    Pace seen;
    constexpr std::uint64_t kLearning = 3000;
    constexpr std::uint64_t kCounted = 3000;
    for (std::uint64_t n = 1; n <= kLearning + kCounted; ++n) {
        rig.signal(rig.open(n));
        for (const OrderCommand& c : rig.take_orders()) {
            const bool takes = broker.takes(rig.now);
            // Refused by the dealer: the request counted, and nothing stays open.
            rig.report(rig.outcome(c, takes ? retcode::kReject : retcode::kTooManyRequests));
            if (n > kLearning) {
                ++(takes ? seen.taken : seen.refused);
            }
        }
        rig.take_results();
        rig.advance(millis(100));
        rig.log.clear();
    }
    seen.pauses = rig.alerts(AlertCode::RatePaused);
    seen.trading = rig.engine.account(AccountId{0}).state == AccountState::Trading;
    return seen;
}

TEST(Rate, FindsWhatTheBrokerTakesWithoutBeingToldAndStaysNearIt) {
    const Pace p = pace(2, 10);
    EXPECT_TRUE(p.trading);
    EXPECT_EQ(p.pauses, 0U);
    EXPECT_GE(p.taken, 2 * 300 * 8 / 10) << "within a fifth of 2 a second";
    EXPECT_LE(p.refused * 20, p.taken) << "one answer in twenty is 10024 at most";
}

TEST(Rate, OfABrokerThatTakesItAllStaysAsConfigured) {
    const Pace p = pace(100, 5);
    EXPECT_TRUE(p.trading);
    EXPECT_EQ(p.refused, 0U);
    EXPECT_GE(p.taken, 5U * 300 - 5);
}

}  // namespace
}  // namespace millrace::test
