// Goal: one id, one answer: what the ledger keeps of accepted and of refused signals, and that
// rubbish cannot fill it.
// Method: signals by hand; what was in the way goes, and a copy comes.
#include "core/signal_bounds.h"
#include "tests/engine/rig.h"

#include <gtest/gtest.h>

#include <limits>

namespace millrace::test {
namespace {

TEST(Ledger, AcceptedNamesTheAccountsThatASignalGoesTo) {
    Rig rig;
    rig.world(3);
    MemberSpec off = Rig::member_spec(0, 1);
    off.enabled = 0;
    rig.admin(AdminOp::DefineMember, off);
    rig.signal(rig.open(1));
    ASSERT_EQ(rig.results[0].kind, ResultKind::Accepted);
    EXPECT_EQ(rig.results[0].accounts, 2U);
    ASSERT_EQ(rig.orders.size(), 2U);
    for (const OrderCommand& c : rig.take_orders()) {
        rig.fill(c);
    }
    off.enabled = 1;
    rig.admin(AdminOp::DefineMember, off);
    rig.results.clear();
    rig.signal(rig.open(2));
    EXPECT_EQ(rig.results[0].accounts, 3U);
    rig.results.clear();
    rig.signal(rig.change(3, SignalAction::Close, 1));
    EXPECT_EQ(rig.results[0].accounts, 2U) << "orders of the target that are left";
}

TEST(Ledger, RefusesACopyOfARefusedSignalAlthoughTheReasonHasPassed) {
    Rig rig;
    rig.world();
    rig.admin(AdminOp::DefineGroup, GroupSpec{GroupId{1}, 0, text<16>("empty")});
    Signal empty = rig.open(1);
    empty.group = GroupId{1};
    Signal unknown_symbol = rig.open(2);
    unknown_symbol.symbol = SymbolId{7};
    const Signal early = rig.change(3, SignalAction::Close, 10);
    for (const Signal& s : {empty, unknown_symbol, early}) {
        rig.signal(s);
    }
    const std::vector first{Reason::EmptyGroup, Reason::UnknownSymbol, Reason::UnknownTarget};
    ASSERT_EQ(rig.reasons(ResultKind::Refused), first);
    const Sequence refused_at = rig.results[0].seq;
    rig.admin(AdminOp::DefineMember, Rig::member_spec(1, 0));
    rig.admin(AdminOp::DefineSymbol, Rig::eurusd(7));
    rig.signal(rig.open(10));
    rig.fill(rig.only_order());
    rig.results.clear();
    for (const Signal& s : {empty, unknown_symbol, early}) {
        rig.signal(s);
    }
    EXPECT_EQ(rig.reasons(ResultKind::Refused), first);
    EXPECT_EQ(rig.results[0].original, refused_at);
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.engine.state_hash(), rig.replayed_hash());
}

TEST(Ledger, TakesNoCloseOfARefusedSignal) {
    Rig rig;
    rig.world();
    Signal open = rig.open(1);
    open.symbol = SymbolId{7};
    rig.signal(open);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    EXPECT_EQ(rig.reasons(ResultKind::Refused).back(), Reason::UnknownTarget);
}

TEST(Ledger, KeepsItsPlacesForSignalsWhateverASourceSends) {
    Rig rig;
    rig.world();
    for (std::uint64_t n = 0; n < 200; ++n) {
        Signal rubbish = rig.open(1000 + n);
        rubbish.group = GroupId{99};
        rubbish.source = SourceId{static_cast<std::uint32_t>(n % 50)};
        rig.signal(rubbish);
    }
    EXPECT_EQ(rig.engine.globals().refusals, Rig::kSmall.signals / 4);
    Signal flood = rig.open(5000);
    flood.group = GroupId{99};
    rig.results.clear();
    rig.signal(flood);  // beyond the share: refused all the same
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::UnknownGroup});
    rig.signal(rig.open(1));
    EXPECT_EQ(rig.count(ResultKind::Accepted), 1U);
}

/// A strategy in shared memory writes its ring itself: no edge has looked at these numbers.
TEST(Ledger, RefusesNumbersThatNoSumMayMeet) {
    constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
    Rig rig;
    rig.world();
    rig.signal(rig.open(1));
    rig.fill(rig.only_order());
    rig.results.clear();
    std::uint64_t n = 2;
    std::vector<Reason> expected;
    for (const std::int64_t value : {kHuge, kVolumeMax + 1, std::int64_t{-1}}) {
        Signal s = rig.open(n++);
        s.volume = Lots{value};
        rig.signal(s);
        rig.signal(rig.change(n++, SignalAction::Close, 1, Lots{value}));
        expected.insert(expected.end(), 2, Reason::BadVolume);
    }
    for (Price Signal::* field :
         {&Signal::price, &Signal::stop_loss, &Signal::take_profit, &Signal::reference_price}) {
        for (const std::int64_t value : {kHuge, kPriceMax + 1, std::int64_t{-1}}) {
            Signal s = rig.open(n++);
            s.*field = Price{value};
            rig.signal(s);
            expected.push_back(Reason::BadPrice);
        }
    }
    EXPECT_EQ(rig.reasons(ResultKind::Refused), expected);
    EXPECT_TRUE(rig.orders.empty());
    EXPECT_EQ(rig.open_volume(), centi(10)) << "what is there stays as it was";
}

TEST(Ledger, RefusesFlagsThatNobodyDefined) {
    Rig rig;
    rig.world();
    Signal s = rig.open(1);
    s.flags = kSignalFlags + 1;
    rig.signal(s);
    EXPECT_EQ(rig.reasons(ResultKind::Refused), std::vector{Reason::BadSignal});
    s = rig.open(2);
    s.flags = kHoldUntilOpen;
    rig.signal(s);
    EXPECT_EQ(rig.take_orders().size(), 1U);
}

TEST(Ledger, TakesNoPlaceForWhatStaysRefused) {
    Rig rig;
    rig.world();
    Signal bad_volume = rig.open(1);
    bad_volume.volume = Lots{0};
    Signal expired = rig.open(2);
    expired.send_time = rig.now - seconds(31);
    for (const Signal& s : {bad_volume, expired}) {
        rig.signal(s);
    }
    EXPECT_EQ(rig.reasons(ResultKind::Refused), (std::vector{Reason::BadVolume, Reason::Expired}));
    EXPECT_EQ(rig.engine.globals().refusals, 0U);
    expired.send_time = Nanos{};  // receipt counts, and a copy would have another
    expired.edge_time = rig.now - seconds(31);
    expired.id = id_of(3);
    rig.signal(expired);
    expired.edge_time = rig.now;
    rig.signal(expired);
    EXPECT_EQ(rig.reasons(ResultKind::Refused).back(), Reason::Expired);
    EXPECT_EQ(rig.count(ResultKind::Accepted), 0U);
}

TEST(Ledger, ForgetsRefusalsByAgeAndTheirPlacesAreFreeAgain) {
    Rig rig;
    rig.world();
    Signal refused = rig.open(1);
    refused.group = GroupId{99};
    rig.signal(refused);
    ASSERT_EQ(rig.engine.globals().refusals, 1U);
    rig.advance(seconds(7 * 86'400 + 1));
    rig.signal(rig.open(2));
    EXPECT_EQ(rig.engine.globals().refusals, 0U);
    EXPECT_EQ(rig.engine.source(SourceId{0}).refusals, 0U);
}

TEST(BrokerSymbol, IsPrefixNameAndSuffixCutToSixteen) {
    const struct {
        const char* prefix;
        const char* name;
        const char* suffix;
        const char* whole;
    } cases[] = {{"", "EURUSD", "", "EURUSD"},
                 {"m.", "EURUSD", "", "m.EURUSD"},
                 {"", "EURUSD", ".ecn", "EURUSD.ecn"},
                 {"m.", "EURUSD", "+", "m.EURUSD+"},
                 {"12345678", "EURUSD", "abcdefgh", "12345678EURUSDab"},
                 {"12345678", "EURUSD12", "x", "12345678EURUSD12"},
                 {"1234", "0123456789ABCDEF", "x", "12340123456789AB"}};
    for (const auto& c : cases) {
        Rig rig;
        rig.world();
        SymbolSpec symbol = Rig::eurusd(0);
        symbol.name = text<16>(c.name);
        rig.admin(AdminOp::DefineSymbol, symbol);
        AccountSpec account = Rig::account_spec(0);
        account.symbol_prefix = text<8>(c.prefix);
        account.symbol_suffix = text<8>(c.suffix);
        rig.admin(AdminOp::DefineAccount, account);
        rig.signal(rig.open(1));
        EXPECT_EQ(rig.only_order().symbol, text<16>(c.whole)) << c.whole;
    }
}

TEST(LinkCut, PutsWhatIsUnansweredInDoubtAtOnce) {
    Rig rig;
    rig.world(2);
    rig.signal(rig.open(1));
    const auto sent = rig.take_orders();
    ASSERT_EQ(sent.size(), 2U);
    rig.session_down(0);
    EXPECT_EQ(rig.find(sent[0].magic)->status, OrdStatus::InDoubt);
    EXPECT_EQ(rig.find(sent[1].magic)->status, OrdStatus::PendingNew) << "another link";
    EXPECT_EQ(rig.count(ResultKind::OrderInDoubt), 1U);
    EXPECT_TRUE(rig.orders.empty()) << "nobody is there to ask";
    rig.link_up(0);
    EXPECT_EQ(rig.only_order().type, CommandType::Query);
    rig.report(rig.query_answer(sent[0], ReportType::QueryFound, OrdStatus::Filled, centi(10)));
    EXPECT_EQ(rig.reasons(ResultKind::OrderDone), std::vector{Reason::None});
}

}  // namespace
}  // namespace millrace::test
