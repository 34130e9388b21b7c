// Goal: after the loss of the log nothing happens twice: what a store knows is not done again, what
// it does not know is refused, and what was in flight is looked up until its fate is known.
// Method: an engine's effects, folded as a store folds them, are all that the next engine gets.
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace millrace::test {
namespace {

constexpr Nanos kGone = seconds(60);  // between the loss and the recovery

/// What a store holds of effects, as read_sqlite_state() gives it.
class Store {
public:
    explicit Store(const Rig& rig) {
        for (const Effect& e : rig.effects) {
            take(e);
        }
        seq_ = rig.engine.seq();
    }
    /// The heir of the lost log, with the same definitions, `kGone` later.
    [[nodiscard]] std::uint32_t restore_into(Rig& heir, Nanos lost_at, std::uint32_t accounts,
                                             MarginMode mode = MarginMode::Hedging) {
        heir.now = lost_at + kGone;
        heir.admin(AdminOp::DefineSymbol, Rig::eurusd(0));
        heir.admin(AdminOp::DefineSource, SourceSpec{SourceId{0}, 0, text<16>("src")});
        heir.admin(AdminOp::DefineGroup, GroupSpec{GroupId{0}, 0, text<16>("grp")});
        for (std::uint32_t a = 0; a < accounts; ++a) {
            AccountSpec spec = Rig::account_spec(a);
            spec.margin_mode = mode;
            heir.admin(AdminOp::DefineAccount, spec);
            heir.admin(AdminOp::DefineMember, Rig::member_spec(0, a));
        }
        Restored from;
        from.at = Sequence{seq_.value + 1'000};
        from.from_s = static_cast<std::uint32_t>(heir.now.value / 1'000'000'000);
        from.next_intent = 1'000'000;
        from.signals = signals_;
        std::vector<RestoredOrder> orders;
        for (const auto& [intent, order] : orders_) {
            orders.push_back(order);
        }
        from.orders = orders;
        const auto left_out = heir.engine.restore(from, heir);
        EXPECT_TRUE(left_out.ok());
        heir.continue_from_state();
        heir.input(InputType::Start, StartInput{2, kLogicVersion, 1});
        heir.settle();
        return left_out.value();
    }

private:
    void take(const Effect& e) {
        if (e.kind == EffectKind::Order) {
            const auto row = e.as<OrderRow>();
            orders_[row.magic.intent()].row = row;
        } else if (e.kind == EffectKind::Position) {
            const auto row = e.as<PositionRow>();
            orders_[row.magic.intent()].open_volume = row.volume;
        } else if (e.kind == EffectKind::Execution) {
            const auto row = e.as<ExecutionRow>();
            auto& deals = orders_[row.magic.intent()].deals;
            std::rotate(std::begin(deals), std::end(deals) - 1, std::end(deals));
            deals[0] = row.deal_ticket;
        } else if (e.kind == EffectKind::Signal && e.as<SignalRow>().reason == 0) {
            const auto row = e.as<SignalRow>();
            const auto at = std::find_if(signals_.begin(), signals_.end(),
                                         [&](const auto& s) { return s.id == row.id; });
            if (at == signals_.end()) {
                signals_.push_back(row);
            } else {
                *at = row;
            }
        }
    }

    std::map<std::uint64_t, RestoredOrder> orders_;
    std::vector<SignalRow> signals_;
    Sequence seq_;
};

class Restore : public ::testing::Test {
protected:
    /// A world in which signal 1 was sent to the broker, and nobody has answered.
    void send_one() {
        old_.world();
        old_.signal(old_.open(1));
        sent_ = old_.only_order();
    }
    void recover(MarginMode mode = MarginMode::Hedging) {
        EXPECT_EQ(Store{old_}.restore_into(heir_, old_.now, 1, mode), 0U);
        heir_.number_events = false;
    }

    Rig old_;
    Rig heir_;
    OrderCommand sent_;
};

TEST_F(Restore, CountsTheOrdersOfASignalThatWasUnderWay) {
    old_.world(2);
    old_.signal(old_.open(1));
    auto sent = old_.take_orders();
    old_.fill(sent.front());
    EXPECT_EQ(Store{old_}.restore_into(heir_, old_.now, 2), 0U);
    heir_.number_events = false;
    heir_.session_up(1);
    heir_.report(heir_.query_answer(sent.back(), ReportType::QueryFound, OrdStatus::Filled,
                                    sent.back().volume));
    const auto results = heir_.take_results();
    const auto over = std::find_if(results.begin(), results.end(), [](const SignalResult& r) {
        return r.kind == ResultKind::SignalDone;
    });
    ASSERT_NE(over, results.end());
    EXPECT_EQ(over->accounts, 2U);
    EXPECT_EQ(over->filled, 2U);
    EXPECT_EQ(over->rejected, 0U);
}

TEST_F(Restore, LooksUpEveryAttemptOfWhatWasInFlightAndSendsNone) {
    send_one();
    recover();
    EXPECT_EQ(heir_.engine.globals().in_doubt, 1U);
    EXPECT_TRUE(heir_.take_orders().empty()) << "nobody to ask yet";
    heir_.session_up(0);
    for (unsigned attempt = 0; attempt < 8; ++attempt) {
        const OrderCommand asked = heir_.only_order();
        EXPECT_EQ(asked.type, CommandType::Query);
        EXPECT_EQ(asked.magic.value, sent_.magic.value + attempt);
        EXPECT_EQ(heir_.engine.globals().live_orders, 1U) << "its fate is open until the last";
        heir_.report(heir_.query_answer(asked, ReportType::QueryAbsent));
    }
    EXPECT_TRUE(heir_.take_orders().empty());
    EXPECT_EQ(heir_.engine.globals().live_orders, 0U);
    EXPECT_EQ(heir_.engine.orders().live(), 0U);
    EXPECT_EQ(heir_.count(ResultKind::SignalDone), 1U);
    EXPECT_EQ(heir_.engine.account(AccountId{0}).state, AccountState::Trading);
}

TEST_F(Restore, FindsTheAttemptThatTheLostLogWentOnTo) {
    send_one();
    recover();
    heir_.session_up(0);
    heir_.report(heir_.query_answer(heir_.only_order(), ReportType::QueryAbsent));
    const OrderCommand second = heir_.only_order();
    heir_.report(
        heir_.query_answer(second, ReportType::QueryFound, OrdStatus::Filled, sent_.volume));
    EXPECT_EQ(heir_.open_volume(), sent_.volume);
    EXPECT_EQ(heir_.engine.globals().live_orders, 0U);
    heir_.signal(heir_.change(2, SignalAction::Close, 1));
    EXPECT_EQ(heir_.only_order().type, CommandType::Close);
}

TEST_F(Restore, TellsAKnownSignalsRepeatFromOneThatOnlyTheLostLogHad) {
    send_one();
    old_.fill(sent_);
    const Signal known = old_.open(1);
    Signal unknown = old_.open(2);
    recover();
    heir_.session_up(0);
    heir_.signal(known);
    EXPECT_EQ(heir_.count(ResultKind::Duplicate), 1U);
    heir_.signal(unknown);
    unknown.id = id_of(3);
    unknown.send_time = Nanos{0};  // nothing tells when it was sent first
    unknown.edge_time = heir_.now;
    heir_.signal(unknown);
    const std::vector stale(2, Reason::StaleSignal);
    EXPECT_EQ(heir_.reasons(ResultKind::Refused), stale);
    EXPECT_TRUE(heir_.take_orders().empty());
    heir_.signal(heir_.open(4));
    heir_.fill(heir_.only_order());
    heir_.now = heir_.now + Nanos{RiskSpec{}.ledger_window_ns};
    unknown.id = id_of(5);
    unknown.edge_time = heir_.now;
    heir_.signal(unknown);
    EXPECT_EQ(heir_.only_order().type, CommandType::Open) << "the ledger reaches back again";
}

TEST_F(Restore, BelievesAStampOfAClockThatIsAhead) {
    old_.world();
    Signal unknown = old_.open(1);
    unknown.send_time = old_.now + kGone - Nanos{1};
    recover();
    heir_.session_up(0);
    heir_.now = old_.now;  // still before the stamp: it does not count as sent just now
    heir_.signal(unknown);
    EXPECT_EQ(heir_.reasons(ResultKind::Refused), std::vector{Reason::StaleSignal});
}

TEST_F(Restore, ClosesAPositionOnce) {
    send_one();
    old_.fill(sent_);
    old_.signal(old_.change(2, SignalAction::Close, 1));
    const OrderCommand close = old_.only_order();
    recover();
    EXPECT_EQ(heir_.open_volume(), sent_.volume);
    heir_.session_up(0);
    EXPECT_EQ(heir_.only_order().magic, close.magic);
    heir_.signal(heir_.change(3, SignalAction::Close, 1));
    EXPECT_TRUE(heir_.take_orders().empty()) << "the close in doubt has claimed it all";
    heir_.report(
        heir_.query_answer(close, ReportType::QueryFound, OrdStatus::Filled, close.volume));
    EXPECT_EQ(heir_.open_volume(), Lots{});
    EXPECT_EQ(heir_.engine.orders().live(), 0U);
}

TEST_F(Restore, CountsADealOnceThatItsTerminalTellsAgain) {
    send_one();
    old_.fill(sent_);
    recover();
    heir_.session_up(0);
    heir_.fill(sent_);
    EXPECT_EQ(heir_.open_volume(), sent_.volume);
    EXPECT_EQ(heir_.engine.globals().duplicate_executions, 0U);
}

TEST_F(Restore, CountsAPartialCloseOnceThatItsTerminalTellsAgain) {
    send_one();
    old_.fill(sent_);
    const Report cut = old_.exec(sent_, ExecKind::ClosedManually, centi(4), 777);
    old_.report(cut);
    recover();
    heir_.session_up(0);
    heir_.report(cut);
    EXPECT_EQ(heir_.open_volume(), centi(6));
    heir_.report(heir_.exec(sent_, ExecKind::ClosedManually, centi(1), 778));
    EXPECT_EQ(heir_.open_volume(), centi(5)) << "another one";
}

TEST_F(Restore, CountsManyPartialClosesOnceThatTheirTerminalTellsAgain) {
    send_one();
    old_.fill(sent_);
    std::vector<Report> cuts;
    for (std::uint64_t deal = 771; deal <= 776; ++deal) {
        cuts.push_back(old_.exec(sent_, ExecKind::ClosedManually, centi(1), deal));
        old_.report(cuts.back());
    }
    recover();
    heir_.session_up(0);
    for (const Report& cut : cuts) {
        heir_.report(cut);
    }
    EXPECT_EQ(heir_.open_volume(), centi(4));
}

TEST_F(Restore, ForgetsAPositionThatACloseFindsGone) {
    send_one();
    old_.fill(sent_);
    recover();  // what closed it was told to the lost log alone
    heir_.session_up(0);
    heir_.signal(heir_.change(2, SignalAction::Close, 1));
    heir_.report(heir_.outcome(heir_.only_order(), retcode::kPositionClosed));
    EXPECT_EQ(heir_.open_volume(), Lots{});
    EXPECT_EQ(heir_.engine.orders().live(), 0U);
}

TEST_F(Restore, LetsTheEndOfAPositionThatOnlyTheLostLogOpenedCloseNoOther) {
    send_one();
    old_.fill(sent_);
    recover();
    old_.signal(old_.open(9));  // behind what the store has come to
    heir_.session_up(0);
    heir_.report(heir_.exec(old_.only_order(), ExecKind::ClosedByStopLoss, sent_.volume));
    EXPECT_EQ(heir_.open_volume(), sent_.volume);
    EXPECT_EQ(heir_.alerts(AlertCode::UnknownReport), 1U);
}

TEST_F(Restore, NamesTheExecutionOfAnOrderThatOnlyTheLostLogHad) {
    old_.world();
    recover();
    old_.signal(old_.open(9));  // behind what the store has come to
    heir_.session_up(0);
    Report late = heir_.outcome(old_.only_order(), retcode::kDone, centi(10));
    late.broker_time = old_.now;
    heir_.report(late);
    EXPECT_EQ(heir_.alerts(AlertCode::UnknownReport), 1U);
    EXPECT_EQ(heir_.alerts(AlertCode::DuplicateExecution), 0U);
}

TEST_F(Restore, KeepsAWorkingOrderAndItsEnd) {
    old_.world();
    old_.signal(old_.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand pending = old_.only_order();
    old_.report(old_.outcome(pending, retcode::kPlaced));
    recover();
    heir_.session_up(0);
    heir_.report(heir_.query_answer(heir_.only_order(), ReportType::QueryFound, OrdStatus::New));
    EXPECT_EQ(heir_.engine.globals().in_doubt, 0U);
    heir_.signal(heir_.change(2, SignalAction::Cancel, 1));
    const OrderCommand cancel = heir_.only_order();
    EXPECT_EQ(cancel.type, CommandType::Cancel);
    heir_.report(heir_.outcome(cancel, retcode::kDone));
    EXPECT_EQ(heir_.engine.orders().live(), 0U);
    EXPECT_EQ(heir_.engine.results_reserved_total(), 0U);
}

TEST_F(Restore, LooksUpACloseOfTheEnginesOwnAndTellsNobody) {
    send_one();
    old_.fill(sent_);
    Report twice = old_.outcome(sent_, retcode::kDone, sent_.volume);
    twice.deal_ticket = 4711;
    twice.position_id = 4712;
    old_.report(twice);
    const OrderCommand close = old_.only_order();
    ASSERT_EQ(close.position_ticket, 4712U);
    recover();
    EXPECT_EQ(heir_.open_volume(), sent_.volume + sent_.volume);
    heir_.session_up(0);
    const OrderCommand asked = heir_.only_order();
    EXPECT_EQ(asked.magic.value, close.magic.value);
    heir_.take_results();
    Report found =
        heir_.query_answer(close, ReportType::QueryFound, OrdStatus::Filled, close.volume);
    found.deal_ticket = 4713;
    heir_.report(found);
    EXPECT_EQ(heir_.open_volume(), sent_.volume) << "of the second position, not of the first";
    EXPECT_EQ(heir_.engine.globals().live_orders, 0U);
    EXPECT_TRUE(heir_.take_results().empty());
    EXPECT_EQ(heir_.engine.results_reserved_total(), 0U);
}

TEST_F(Restore, HangsEachCloseOnTheEntryWhosePositionItNames) {
    old_.world();
    GroupSpec refills{GroupId{0}, 0, text<16>("grp")};
    refills.on_partial = static_cast<std::uint32_t>(PartialAction::Refill);
    old_.admin(AdminOp::DefineGroup, refills);
    old_.signal(old_.open(1));
    old_.report(old_.outcome(old_.only_order(), retcode::kDonePartial, centi(4)));
    old_.fill(old_.only_order());
    old_.signal(old_.change(2, SignalAction::Close, 1));
    const std::vector<OrderCommand> closes = old_.take_orders();
    ASSERT_EQ(closes.size(), 2U);
    recover();
    EXPECT_EQ(heir_.open_volume(), centi(10));
    heir_.session_up(0);
    EXPECT_EQ(heir_.take_orders().size(), 2U);
    const auto found = [&](const OrderCommand& close) {
        heir_.report(
            heir_.query_answer(close, ReportType::QueryFound, OrdStatus::Filled, close.volume));
    };
    found(closes.back());
    EXPECT_EQ(heir_.open_volume(), centi(4)) << "the rest is closed, not the first part";
    found(closes.front());
    EXPECT_EQ(heir_.open_volume(), Lots{});
}

TEST_F(Restore, IsTheSameStateFromItsSnapshot) {
    send_one();
    recover();
    std::vector<std::byte> image;
    heir_.engine.save(image);
    Engine other{Rig::kSmall};
    ASSERT_TRUE(other.load(image.data(), image.size()).ok());
    EXPECT_EQ(other.state_hash(), heir_.engine.state_hash());
}

TEST_F(Restore, RefusesMoreThanTheTablesHold) {
    const std::vector<SignalRow> rows(Rig::kSmall.signals + 1);
    Restored from;
    from.at = Sequence{1};
    from.signals = rows;
    EXPECT_EQ(heir_.engine.restore(from, heir_).code(), Errc::NoSpace);
}

}  // namespace
}  // namespace millrace::test
