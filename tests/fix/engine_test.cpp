// Goal: what the order book tells is what the engine understands: states, volumes and positions
// come out as at the venue, whatever the venue's reports look like.
// Method: a real engine; its commands go into a book, its reports are the book's events.
#include "core/retcode.h"
#include "tests/engine/rig.h"
#include "tests/fix/fix_rig.h"

#include <vector>

namespace millrace::fix::test {
namespace {

using millrace::test::centi;
using millrace::test::points;
using millrace::test::Rig;
using millrace::test::text;

class FixEngine : public testing::Test {
protected:
    FixEngine() { engine.world(1, MarginMode::Netting); }

    /// The engine's next command, on its way to the venue.
    OrderCommand sent() {
        const OrderCommand c = engine.only_order();
        bridge::Command wire{};
        wire.magic = c.magic.value;
        wire.type = static_cast<std::uint8_t>(c.type);
        wire.side = static_cast<std::uint8_t>(c.side);
        wire.price_kind = static_cast<std::uint8_t>(c.price_kind);
        wire.volume = c.volume.value;
        wire.price = c.price.value;
        wire.order_ticket = c.order_ticket;
        std::memcpy(wire.symbol, c.symbol.bytes, sizeof(wire.symbol));
        if (c.type != CommandType::Query) {
            venue.add(wire);
        }
        return c;
    }
    /// A report of the venue about `c`, all the way into the engine.
    void report(const OrderCommand& c, char exec_type, char ord_status, std::int64_t cum,
                const std::string& more = "") {
        const std::string ids = more.starts_with("11=") ? "" : "11=" + id(c.magic) + "|";
        venue.take("35=8|37=V1|17=E" + std::to_string(++exec_ids_) + "|" + ids +
                   "150=" + exec_type + "|39=" + ord_status +
                   "|55=EUR/USD|54=1|38=10000|14=" + std::to_string(cum) + "|6=1.1|" + more);
        deliver(c.account);
    }
    void fill(const OrderCommand& c) { report(c, 'F', '2', 10'000, "32=10000|31=1.1|"); }
    void deliver(AccountId account) {
        for (std::size_t i = 0; i < venue.last.count; ++i) {
            const bridge::Event& e = venue.last.events[i];
            Report r;  // as the broker stage makes it
            r.account = account;
            r.type = static_cast<ReportType>(e.type);
            r.exec_kind = static_cast<ExecKind>(e.exec_kind);
            r.reason = e.reason;
            r.magic = Magic{e.magic};
            r.retcode = e.retcode;
            r.ord_status = e.ord_status;
            r.side = static_cast<Side>(e.side);
            r.order_ticket = e.order_ticket;
            r.deal_ticket = e.deal_ticket;
            r.position_id = e.position_id;
            r.volume = Lots{e.volume};
            r.requested = Lots{e.requested};
            r.price = Price{e.price};
            r.symbol = SymbolId{std::string_view{e.symbol} == "EURUSD" ? 0U : 1U};
            engine.report(r);
        }
    }
    /// State of the order; Filled, Canceled ... orders that have left the table are over.
    OrdStatus status(const OrderCommand& c) {
        for (auto e = engine.effects.rbegin(); e != engine.effects.rend(); ++e) {
            if (e->kind == EffectKind::Order &&
                e->as<OrderRow>().magic.intent() == c.magic.intent()) {
                return e->as<OrderRow>().status;
            }
        }
        return OrdStatus::Held;
    }
    void expect_no_alert() {
        for (const AlertCode code : {AlertCode::DuplicateExecution, AlertCode::UnknownReport,
                                     AlertCode::ForeignTrade, AlertCode::OrderInDoubt}) {
            EXPECT_EQ(engine.alerts(code), 0U) << static_cast<int>(code);
        }
    }

    Rig engine;
    FixRig venue;

private:
    int exec_ids_ = 0;
};

TEST_F(FixEngine, FillsAMarketOrderThatComesInParts) {
    engine.signal(engine.open(1));
    const OrderCommand c = sent();
    report(c, '0', '0', 0);
    report(c, 'F', '1', 4'000, "32=4000|31=1.1|");
    EXPECT_EQ(status(c), OrdStatus::PendingNew) << "not before it is over";
    report(c, 'F', '2', 10'000, "32=6000|31=1.1|");
    EXPECT_EQ(status(c), OrdStatus::Filled);
    EXPECT_EQ(engine.open_volume(), centi(10));
    expect_no_alert();
}

TEST_F(FixEngine, KeepsThePartOfAnImmediateOrCancel) {
    engine.signal(engine.open(1));
    const OrderCommand c = sent();
    report(c, 'F', '1', 4'000, "32=4000|31=1.1|");
    report(c, '4', '4', 4'000);
    EXPECT_EQ(status(c), OrdStatus::Canceled);
    EXPECT_EQ(engine.open_volume(), centi(4));
    expect_no_alert();
}

TEST_F(FixEngine, EndsAnOrderThatTheVenueRefused) {
    engine.signal(engine.open(1));
    const OrderCommand c = sent();
    report(c, '8', '8', 0, "103=3|");
    EXPECT_EQ(status(c), OrdStatus::Rejected);
    EXPECT_EQ(engine.open_volume(), Lots{});
    EXPECT_TRUE(engine.take_orders().empty()) << "and does not try again";
    expect_no_alert();
}

TEST_F(FixEngine, FollowsAPendingOrderThroughItsFills) {
    engine.signal(engine.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand c = sent();
    report(c, 'A', 'A', 0);
    EXPECT_EQ(status(c), OrdStatus::PendingNew);
    report(c, '0', '0', 0);
    EXPECT_EQ(status(c), OrdStatus::New);
    report(c, 'F', '1', 3'000, "32=3000|31=1.09|");
    EXPECT_EQ(status(c), OrdStatus::PartiallyFilled);
    EXPECT_EQ(engine.open_volume(), centi(3));
    report(c, 'F', '2', 10'000, "32=7000|31=1.09|");
    EXPECT_EQ(status(c), OrdStatus::Filled);
    EXPECT_EQ(engine.open_volume(), centi(10));
    expect_no_alert();
}

TEST_F(FixEngine, CancelsThePendingOrderThatItMeans) {
    engine.signal(engine.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand c = sent();
    report(c, '0', '0', 0);
    engine.signal(engine.change(2, SignalAction::Cancel, 1));
    const OrderCommand cancel = sent();
    EXPECT_EQ(cancel.type, CommandType::Cancel);
    EXPECT_EQ(cancel.order_ticket, c.magic.value) << "the ticket is the order's ClOrdID";
    const std::string ids = "11=" + id(cancel.magic) + "|41=" + id(c.magic) + "|";
    report(c, '6', '6', 0, ids);
    report(c, '4', '4', 0, ids);
    EXPECT_EQ(status(c), OrdStatus::Canceled);
    EXPECT_EQ(status(cancel), OrdStatus::Filled);
    expect_no_alert();
}

TEST_F(FixEngine, LetsTheFillWinAgainstItsCancel) {
    engine.signal(engine.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand c = sent();
    report(c, '0', '0', 0);
    engine.signal(engine.change(2, SignalAction::Cancel, 1));
    const OrderCommand cancel = sent();
    fill(c);
    EXPECT_EQ(status(c), OrdStatus::Filled);
    EXPECT_EQ(engine.open_volume(), centi(10));
    EXPECT_TRUE(is_final(status(cancel)));
    expect_no_alert();
}

TEST_F(FixEngine, ClosesANettingPositionByAnOppositeDeal) {
    engine.signal(engine.open(1));
    fill(sent());
    ASSERT_EQ(engine.open_volume(), centi(10));
    engine.signal(engine.change(2, SignalAction::Close, 1));
    const OrderCommand close = sent();
    EXPECT_EQ(close.type, CommandType::Close);
    EXPECT_EQ(close.side, Side::Sell);
    EXPECT_NE(close.position_ticket, 0U);
    fill(close);
    EXPECT_EQ(engine.open_volume(), Lots{});
    expect_no_alert();
}

TEST_F(FixEngine, FindsOutWhatBecameOfAnUnansweredOrder) {
    engine.signal(engine.open(1));
    const OrderCommand c = sent();
    engine.advance(seconds(60));
    EXPECT_EQ(status(c), OrdStatus::InDoubt);
    const std::size_t queries = engine.take_orders().size();
    EXPECT_GE(queries, 1U);
    report(c, 'I', '1', 4'000);
    EXPECT_EQ(status(c), OrdStatus::InDoubt) << "on its way says nothing yet";
    report(c, 'I', '2', 10'000);
    EXPECT_EQ(status(c), OrdStatus::Filled);
    EXPECT_EQ(engine.open_volume(), centi(10));
    fill(c);  // the lost report comes after all
    EXPECT_EQ(engine.open_volume(), centi(10));
    EXPECT_EQ(engine.alerts(AlertCode::DuplicateExecution), 0U);
}

TEST_F(FixEngine, CountsNothingTwiceWhenTheVenueSendsEverythingAgain) {
    engine.signal(engine.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand c = sent();
    for (int i = 0; i < 3; ++i) {
        // New ExecIDs each time: a venue that numbers its resends anew.
        report(c, '0', '0', 0);
        report(c, 'F', '1', 3'000, "32=3000|31=1.09|");
        report(c, 'F', '2', 10'000, "32=7000|31=1.09|");
    }
    EXPECT_EQ(engine.open_volume(), centi(10));
    EXPECT_EQ(status(c), OrdStatus::Filled);
    expect_no_alert();
}

TEST_F(FixEngine, HearsOfDealsThatAreNotOurs) {
    engine.signal(engine.open(1));
    const OrderCommand c = sent();
    report(c, 'F', '2', 5'000, "11=THEIRS|32=5000|31=1.1|");
    EXPECT_EQ(engine.alerts(AlertCode::ForeignTrade), 1U);
    EXPECT_EQ(engine.open_volume(), Lots{});
    EXPECT_EQ(status(c), OrdStatus::PendingNew);
}

}  // namespace
}  // namespace millrace::fix::test
