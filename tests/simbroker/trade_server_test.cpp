// Goal: the trade server does what an MT5 server does with each kind of order, and its books add up
// and bring it back. Method: quotes by hand, known prices; every test ends with an audit.
#include "tools/simbroker/trade_server.h"
#include "tools/market/text.h"
#include "tools/simbroker/audit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

namespace millrace::sim {
namespace {

constexpr std::uint64_t kHedging = 1;
constexpr std::uint64_t kNetting = 2;
constexpr std::int64_t kTenth = kScale / 10;

Price price(std::int64_t points) {
    return Price{points * 1'000};
}  // EURUSD points, 5 digits

class Server : public testing::Test {
protected:
    Server() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "trade_server_XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
        reopen();
        quote(110'000, 110'010);
    }
    ~Server() override {
        server_.reset();
        const auto audit = audit_books(path(), 0);
        EXPECT_TRUE(audit.ok());
        if (audit.ok()) {
            for (const std::string& what : audit.value().inconsistent) {
                ADD_FAILURE() << "books: " << what;
            }
        }
        std::filesystem::remove_all(dir_);
    }

    [[nodiscard]] std::string path() const { return (dir_ / "books").string(); }

    void reopen() {
        server_.reset();
        AccountConfig hedging;
        hedging.login = kHedging;
        hedging.balance = Money{100'000 * kScale};
        hedging.leverage = leverage_;
        AccountConfig netting = hedging;
        netting.login = kNetting;
        netting.margin_mode = MarginMode::Netting;
        TradeServer::Hooks hooks;
        hooks.now = [this] { return Nanos{++clock_}; };
        hooks.on_record = [this](const BookRecord& record) { last_ = record; };
        hooks.on_fatal = [](const Error& error) { ADD_FAILURE() << error.what; };
        auto server = TradeServer::open(path(), {market::infer_symbol("EURUSD", 0)},
                                        {hedging, netting}, hooks);
        ASSERT_TRUE(server.ok()) << (server.ok() ? "" : server.error().what);
        server_ = std::make_unique<TradeServer>(std::move(server).value());
    }

    void quote(std::int64_t bid, std::int64_t ask) {
        server_->on_quote(kSymbol, price(bid), price(ask));
    }

    TradeRequest request(Side side, std::int64_t volume = kTenth) {
        TradeRequest r;
        r.type = CommandType::Open;
        r.side = side;
        r.symbol = kSymbol;
        r.volume = Lots{volume};
        r.magic = Magic::make(7, ++intent_, 0);
        return r;
    }
    TradeRequest pending(Side side, PriceKind kind, std::int64_t at) {
        TradeRequest r = request(side);
        r.price_kind = kind;
        r.price = price(at);
        return r;
    }
    TradeRequest closing(std::uint64_t position, std::int64_t volume = 0) {
        TradeRequest r = request(Side::Sell, volume);
        r.type = CommandType::Close;
        r.position_ticket = position;
        return r;
    }
    TradeResult run(const TradeRequest& r, std::uint64_t login = kHedging) {
        return server_->execute(login, r);
    }
    std::size_t positions(std::uint64_t login = kHedging) const {
        return server_->state().find(login)->positions.size();
    }
    const Position& position(std::uint64_t login = kHedging) const {
        return server_->state().find(login)->positions.begin()->second;
    }

    const Text<16> kSymbol = market::to_text<16>("EURUSD");
    std::filesystem::path dir_;
    std::unique_ptr<TradeServer> server_;
    BookRecord last_;
    std::int64_t clock_ = 0;
    std::uint64_t intent_ = 0;
    std::uint32_t leverage_ = 100;
};

TEST_F(Server, BuysAtTheAskAndSellsAtTheBidAndBooksTheProfit) {
    const TradeResult opened = run(request(Side::Buy));
    EXPECT_EQ(opened.retcode, retcode::kDone);
    EXPECT_EQ(opened.price, price(110'010));
    quote(110'110, 110'120);
    const TradeResult closed = run(closing(opened.position));
    EXPECT_EQ(closed.retcode, retcode::kDone);
    EXPECT_EQ(closed.price, price(110'110));
    EXPECT_EQ(closed.side, Side::Sell);
    // 100 points x 0.1 lot x 100,000 = 10.00
    EXPECT_EQ(server_->state().find(kHedging)->balance.value, 100'010 * kScale);
    EXPECT_EQ(positions(), 0U);
}

TEST_F(Server, ClosesInPartsAndRefusesMoreThanIsOpen) {
    const TradeResult opened = run(request(Side::Sell));
    EXPECT_EQ(run(closing(opened.position, kTenth * 3 / 10)).retcode, retcode::kDone);
    EXPECT_EQ(position().volume, -kTenth * 7 / 10);
    EXPECT_EQ(run(closing(opened.position, kTenth)).retcode, retcode::kInvalidCloseVolume);
    EXPECT_EQ(run(closing(opened.position)).retcode, retcode::kDone);
    EXPECT_EQ(run(closing(opened.position)).retcode, retcode::kPositionClosed);
}

struct PendingCase {
    Side side;
    PriceKind kind;
    std::int64_t at;
    std::int64_t wrong;  // a price on the other side of the market
    std::int64_t bid;    // quote that triggers it
    std::int64_t filled;
};
class ServerPending : public Server, public testing::WithParamInterface<PendingCase> {};

TEST_P(ServerPending, WaitsForItsPriceAndFillsAtTheMarket) {
    const PendingCase& c = GetParam();
    EXPECT_EQ(run(pending(c.side, c.kind, c.wrong)).retcode, retcode::kInvalidPrice);
    const TradeResult placed = run(pending(c.side, c.kind, c.at));
    ASSERT_EQ(placed.retcode, retcode::kPlaced);
    EXPECT_EQ(placed.status, OrdStatus::New);
    quote(110'001, 110'011);
    EXPECT_EQ(positions(), 0U) << "not there yet";
    quote(c.bid, c.bid + 10);
    ASSERT_EQ(positions(), 1U);
    EXPECT_EQ(position().open_price, price(c.filled));
    EXPECT_EQ(last_.reason, ExecKind::PendingFilled);
    EXPECT_EQ(last_.order, placed.order);
    EXPECT_TRUE(server_->state().find(kHedging)->orders.empty());
}
INSTANTIATE_TEST_SUITE_P(
    EachKind, ServerPending,
    testing::Values(PendingCase{Side::Buy, PriceKind::Limit, 109'900, 110'100, 109'880, 109'890},
                    PendingCase{Side::Sell, PriceKind::Limit, 110'100, 109'900, 110'120, 110'120},
                    PendingCase{Side::Buy, PriceKind::Stop, 110'100, 109'900, 110'130, 110'140},
                    PendingCase{Side::Sell, PriceKind::Stop, 109'900, 110'100, 109'850, 109'850}));

TEST_F(Server, ClosesAtStopLossAndTakeProfitByItself) {
    for (const bool stop : {true, false}) {
        TradeRequest r = request(Side::Buy);
        r.stop_loss = price(109'900);
        r.take_profit = price(110'200);
        quote(110'000, 110'010);
        ASSERT_EQ(run(r).retcode, retcode::kDone);
        stop ? quote(109'880, 109'890) : quote(110'210, 110'220);
        EXPECT_EQ(positions(), 0U);
        EXPECT_EQ(last_.reason, stop ? ExecKind::ClosedByStopLoss : ExecKind::ClosedByTakeProfit);
        EXPECT_EQ(Price{last_.price}, stop ? price(109'880) : price(110'210));
        EXPECT_EQ(last_.magic, r.magic.value) << "the engine finds it by its own magic";
    }
}

TEST_F(Server, ShortPositionsAreClosedByTheAsk) {
    TradeRequest r = request(Side::Sell);
    r.stop_loss = price(110'100);
    ASSERT_EQ(run(r).retcode, retcode::kDone);
    quote(110'080, 110'099);
    EXPECT_EQ(positions(), 1U);
    quote(110'080, 110'100);
    EXPECT_EQ(positions(), 0U);
}

TEST_F(Server, NettingAddsReducesClosesAndReverses) {
    run(request(Side::Buy), kNetting);
    quote(110'100, 110'110);
    const TradeResult added = run(request(Side::Buy), kNetting);
    EXPECT_EQ(position(kNetting).volume, 2 * kTenth);
    EXPECT_EQ(position(kNetting).open_price, price(110'060)) << "volume-weighted";
    run(request(Side::Sell), kNetting);
    EXPECT_EQ(position(kNetting).volume, kTenth);
    const TradeResult reversed = run(request(Side::Sell, 3 * kTenth), kNetting);
    EXPECT_EQ(reversed.retcode, retcode::kDone);
    EXPECT_EQ(last_.entry, Entry::InOut);
    EXPECT_EQ(position(kNetting).volume, -2 * kTenth);
    EXPECT_EQ(position(kNetting).open_price, price(110'100));
    EXPECT_EQ(position(kNetting).id, added.position) << "the identifier never changes";
    EXPECT_EQ(position(kNetting).ticket, reversed.order) << "the ticket does";
    run(request(Side::Buy, 2 * kTenth), kNetting);
    EXPECT_EQ(positions(kNetting), 0U);
}

TEST_F(Server, NettingCloseIsADealToTheOtherSideWhateverThePositionBecame) {
    const TradeResult bought = run(request(Side::Buy));  // another account's: unchanged
    const TradeResult longs = run(request(Side::Buy), kNetting);
    run(request(Side::Sell, 3 * kTenth), kNetting);
    EXPECT_EQ(position(kNetting).volume, -2 * kTenth);
    const TradeResult closed = run(closing(longs.position, kTenth), kNetting);
    EXPECT_EQ(closed.retcode, retcode::kDone);
    EXPECT_EQ(closed.side, Side::Sell);
    EXPECT_EQ(position(kNetting).volume, -3 * kTenth) << "the close of a long share sells";
    TradeRequest other = closing(longs.position, 4 * kTenth);
    other.side = Side::Buy;
    EXPECT_EQ(run(other, kNetting).retcode, retcode::kDone);
    EXPECT_EQ(position(kNetting).volume, kTenth) << "more than there is goes to the other side";
    EXPECT_EQ(run(closing(bought.position, 2 * kTenth)).retcode, retcode::kInvalidCloseVolume)
        << "hedging: never more than the position";
}

TEST_F(Server, ModifyOfAFilledOrderMeansItsPosition) {
    const TradeResult opened = run(request(Side::Buy));
    TradeRequest modify = request(Side::Buy);
    modify.type = CommandType::Modify;
    modify.position_ticket = opened.position;
    modify.order_ticket = opened.order;
    modify.stop_loss = price(109'000);
    EXPECT_EQ(run(modify).retcode, retcode::kDone);
    EXPECT_EQ(position().stop_loss, price(109'000));
}

TEST_F(Server, NettingStopsAreReplacedByANewOrdersStops) {
    TradeRequest first = request(Side::Buy);
    first.stop_loss = price(109'000);
    run(first, kNetting);
    run(request(Side::Buy), kNetting);
    EXPECT_EQ(position(kNetting).stop_loss, price(109'000)) << "no stops: the old ones stay";
    TradeRequest third = request(Side::Buy);
    third.stop_loss = price(109'500);
    run(third, kNetting);
    EXPECT_EQ(position(kNetting).stop_loss, price(109'500));
}

TEST_F(Server, ModifiesPositionsAndPendingsAndSaysNoChangesTheSecondTime) {
    const TradeResult opened = run(request(Side::Buy));
    TradeRequest change = request(Side::Buy);
    change.type = CommandType::Modify;
    change.position_ticket = opened.position;
    change.stop_loss = price(109'000);
    EXPECT_EQ(run(change).retcode, retcode::kDone);
    EXPECT_EQ(last_.retcode, 0U);
    EXPECT_EQ(run(change).retcode, retcode::kNoChanges);
    EXPECT_EQ(last_.kind, BookKind::PositionModified) << "done as asked is in the books";
    EXPECT_EQ(last_.retcode, retcode::kNoChanges);
    change.stop_loss = price(110'500);
    EXPECT_EQ(run(change).retcode, retcode::kInvalidStops);
    const TradeResult placed = run(pending(Side::Buy, PriceKind::Limit, 109'900));
    change = request(Side::Buy);
    change.type = CommandType::Modify;
    change.order_ticket = placed.order;
    change.price = price(109'800);
    EXPECT_EQ(run(change).retcode, retcode::kDone);
    EXPECT_EQ(run(change).retcode, retcode::kNoChanges);
    EXPECT_EQ(last_.kind, BookKind::OrderModified);
    EXPECT_EQ(last_.retcode, retcode::kNoChanges);
    quote(109'880, 109'890);
    EXPECT_EQ(positions(), 1U) << "the old price must not trigger any more";
    TradeRequest cancel = request(Side::Buy);
    cancel.type = CommandType::Cancel;
    cancel.order_ticket = placed.order;
    EXPECT_EQ(run(cancel).retcode, retcode::kDone);
    EXPECT_EQ(run(cancel).retcode, retcode::kInvalid);
    quote(109'000, 109'010);
    EXPECT_EQ(positions(), 0U) << "the stop loss closed it, the cancelled order opened nothing";
}

TEST_F(Server, RefusesWithTheCodeOfEachRule) {
    EXPECT_EQ(run(request(Side::Buy, kScale / 1'000)).retcode, retcode::kInvalidVolume);
    EXPECT_EQ(run(request(Side::Buy, kScale / 100 + 1)).retcode, retcode::kInvalidVolume);
    EXPECT_EQ(run(request(Side::Buy, 100 * kScale)).retcode, retcode::kNoMoney);
    TradeRequest r = request(Side::Buy);
    r.stop_loss = price(110'005);
    EXPECT_EQ(run(r).retcode, retcode::kInvalidStops);
    r = request(Side::Buy);
    r.price = price(109'900);
    r.deviation_points = 5;
    EXPECT_EQ(run(r).retcode, retcode::kRequote);
    r = pending(Side::Buy, PriceKind::Limit, 109'900);
    r.price = Price{r.price.value + 1};
    EXPECT_EQ(run(r).retcode, retcode::kInvalidPrice) << "off the tick grid";
    r = request(Side::Buy);
    r.symbol = market::to_text<16>("NOSUCH");
    EXPECT_EQ(run(r).retcode, retcode::kInvalid);
    server_->set_market_open(kSymbol, false);
    EXPECT_EQ(run(request(Side::Buy)).retcode, retcode::kMarketClosed);
    server_->set_market_open(kSymbol, true);
    server_->set_trade_allowed(kHedging, false);
    EXPECT_EQ(run(request(Side::Buy)).retcode, retcode::kTradeDisabled);
    reopen();
    EXPECT_EQ(run(request(Side::Buy)).retcode, retcode::kPriceOff) << "no quote since the start";
    EXPECT_EQ(positions(), 0U);
}

TEST_F(Server, FillsTheAskedShareAndCancelsTheRest) {
    const TradeResult part = server_->execute(kHedging, request(Side::Buy), Ratio{kScale / 3});
    EXPECT_EQ(part.retcode, retcode::kDonePartial);
    EXPECT_EQ(part.volume, Lots{3 * kScale / 100}) << "rounded down to the step";
    EXPECT_EQ(part.status, OrdStatus::Canceled);
    EXPECT_EQ(position().volume, 3 * kScale / 100);
    EXPECT_EQ(server_->find_magic(kHedging, Magic::make(7, 1, 0))->status, OrdStatus::Canceled);
}

TEST_F(Server, StopsOutTheWorstPositionWhenTheMarginIsGone) {
    ASSERT_EQ(run(request(Side::Buy, 50 * kScale)).retcode, retcode::kDone);
    ASSERT_EQ(run(request(Side::Buy, kScale)).retcode, retcode::kDone);
    quote(108'400, 108'410);
    server_->revalue();
    EXPECT_EQ(last_.reason, ExecKind::ClosedByStopOut);
    EXPECT_EQ(positions(), 1U) << "the small one may stay";
}

TEST_F(Server, ComesBackFromItsBooksExactlyAsItWas) {
    TradeRequest r = request(Side::Buy);
    r.stop_loss = price(109'000);
    const TradeResult opened = run(r);
    const TradeResult placed = run(pending(Side::Sell, PriceKind::Limit, 110'500));
    run(request(Side::Buy), kNetting);
    const Money balance = server_->state().find(kHedging)->balance;
    reopen();
    ASSERT_EQ(positions(), 1U);
    EXPECT_EQ(position().id, opened.position);
    EXPECT_EQ(position().stop_loss, price(109'000));
    EXPECT_EQ(server_->state().find(kHedging)->orders.count(placed.order), 1U);
    EXPECT_EQ(server_->state().find(kHedging)->balance, balance);
    EXPECT_EQ(server_->find_magic(kHedging, r.magic)->status, OrdStatus::Filled);
    quote(108'990, 109'000);
    EXPECT_EQ(positions(), 0U) << "stops are armed again";
    quote(110'000, 110'010);
    const TradeResult next = run(request(Side::Buy));
    EXPECT_GT(next.order, placed.order) << "tickets are never handed out twice";
}

TEST_F(Server, CutsATornLastRecordAndRefusesDamageInside) {
    run(request(Side::Buy));
    server_.reset();
    const auto whole = std::filesystem::file_size(path());
    std::filesystem::resize_file(path(), whole - 10);
    const auto torn = audit_books(path(), 0);
    ASSERT_TRUE(torn.ok());
    reopen();
    EXPECT_EQ(positions(), 0U) << "the deal was the torn record";
    server_.reset();
    std::FILE* file = std::fopen(path().c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    std::fseek(file, 60, SEEK_SET);
    std::fputc(0x7F, file);
    std::fclose(file);
    EXPECT_EQ(audit_books(path(), 0).code(), Errc::BadChecksum);
    std::filesystem::remove(path());
    reopen();
}

TEST_F(Server, ExecutesARepeatAndTheAuditNamesTheDouble) {
    const TradeRequest r = request(Side::Buy);
    run(r);
    TradeRequest second_attempt = r;
    second_attempt.magic = Magic::make(7, r.magic.intent(), 1);
    run(second_attempt);
    run(request(Side::Buy));
    const auto audit = audit_books(path(), 7);
    ASSERT_TRUE(audit.ok());
    EXPECT_EQ(audit.value().doubled(), 1U);
    EXPECT_EQ(audit.value().intents.front().orders.size(), 2U);
    EXPECT_EQ(audit_books(path(), 8).value().intents.size(), 0U) << "another deployment's tag";
}

TEST_F(Server, TenThousandPositionsAreFlattenedInAMoment) {
    leverage_ = 10'000;
    reopen();
    quote(110'000, 110'010);
    for (int i = 0; i < 10'000; ++i) {
        ASSERT_EQ(run(request(i % 2 == 0 ? Side::Buy : Side::Sell, kScale / 100)).retcode,
                  retcode::kDone);
    }
    std::vector<std::uint64_t> ids;
    for (const auto& [id, open] : server_->state().find(kHedging)->positions) {
        ids.push_back(id);
    }
    for (const std::uint64_t id : ids) {
        ASSERT_GT(server_->close_by_server(kHedging, id, Lots{}, ExecKind::ClosedByKill).value, 0);
    }
    EXPECT_EQ(positions(), 0U);
}

TEST(Comment, IsBase32OfTheFirst80Bits) {
    EXPECT_EQ(market::view_of(comment_of({0, 0})), "aaaaaaaaaaaaaaaa");
    EXPECT_EQ(market::view_of(comment_of({0xFFFF'FFFF'FFFF'FFFFULL, 0xFFFF'0000'0000'0000ULL})),
              "7777777777777777");
    // "foobarbazq" in RFC 4648 base32
    EXPECT_EQ(market::view_of(comment_of({0x666F'6F62'6172'6261ULL, 0x7A71'0000'0000'0000ULL})),
              "mzxw6ytbojrgc6tr");
}

}  // namespace
}  // namespace millrace::sim
