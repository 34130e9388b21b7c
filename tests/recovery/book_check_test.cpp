// Goal: only what two whole lists have shown, with nothing on its way, is told to differ; torn and
// old lists say nothing; the same position is compared as hedging and netting accounts have it.
// Method: lists by hand through the ring, an engine with records by hand.
#include "persist/book_check.h"
#include "tests/engine/rig.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace millrace::test {
namespace {

constexpr std::uint64_t kJournal = 77;

class BookCheckTest : public testing::Test {
protected:
    BookCheckTest() {
        std::filesystem::create_directories(dir);
        SegmentPlan plan;
        plan.path = dir + "/segment";
        plan.sessions = 2;
        plan.session_slots = 16;
        plan.journal_slots = plan.orders_slots = plan.reports_slots = 64;
        plan.signals_slots = plan.results_slots = plan.admin_slots = 64;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        if (!made) {
            std::fprintf(stderr, "%s\n", message.c_str());
            std::abort();
        }
        segment = std::move(made).value();
        ring = RingProducer<Holding>::attach(segment.ring<Holding>(std::string_view{kHoldingsRing}))
                   .value();
        check.emplace(segment, dir, seconds(5));
    }
    ~BookCheckTest() override { std::filesystem::remove_all(dir); }

    /// A position of signal `n` and the row that the broker has of it.
    Holding opened(std::uint64_t n, Side side = Side::Buy) {
        rig.signal(rig.open(n, side));
        const OrderCommand c = rig.only_order();
        rig.fill(c);
        return row_of(c, rig.outcome(c, retcode::kDone, c.volume).position_id);
    }
    static Holding row_of(const OrderCommand& c, std::uint64_t ticket) {
        Holding h;
        h.account = c.account;
        h.ticket = ticket;
        h.magic = c.magic;
        h.volume = c.volume;
        h.side = c.side;
        h.kind = HoldingKind::Position;
        h.symbol = SymbolId{0};
        h.name = text<16>("EURUSD");
        h.stop_loss = c.stop_loss;
        h.take_profit = c.take_profit;
        return h;
    }
    void publish(const Holding& h) { ASSERT_TRUE(ring.try_publish(h).ok()); }
    void end(std::uint32_t rows, std::uint64_t event_seq, std::uint64_t journal = kJournal) {
        Holding h;
        h.time = rig.now;
        h.account = AccountId{0};
        h.index = rows;
        h.kind = HoldingKind::End;
        h.event_seq = event_seq;
        h.journal_id = journal;
        publish(h);
    }
    /// A whole list, as of the last event, and the next six seconds later.
    void list(std::vector<Holding> rows) {
        for (std::uint32_t i = 0; i < rows.size(); ++i) {
            rows[i].index = i;
            publish(rows[i]);
        }
        end(static_cast<std::uint32_t>(rows.size()), rig.engine.account(AccountId{0}).last_event);
        check->collect(rig.engine);
        rig.now = rig.now + seconds(6);
    }
    void lists(const std::vector<Holding>& rows) {
        list(rows);
        list(rows);
    }
    [[nodiscard]] std::uint64_t errors(std::string_view part) const {
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < kErrors; ++i) {
            const ErrorEntry& e = segment.error(i);
            const bool found = std::string_view{e.text}.find(part) != std::string_view::npos;
            sum += found ? e.count.load(std::memory_order_relaxed) : 0;
        }
        return sum;
    }

    const std::string dir = "/tmp/millrace_books_" + std::to_string(::getpid());
    Segment segment;
    RingProducer<Holding> ring;
    std::optional<BookCheck> check;
    Rig rig;
};

TEST_F(BookCheckTest, TellsOnlyWhatTwoListsShowThatAreApart) {
    rig.world();
    Holding h = opened(1);
    lists({h});
    EXPECT_EQ(check->standing(), 0U) << "they agree";
    h.volume = centi(20);
    list({h});
    EXPECT_EQ(check->standing(), 0U) << "seen once";
    rig.now = rig.now - seconds(5);
    list({h});
    EXPECT_EQ(check->standing(), 0U) << "a second later";
    list({h});
    EXPECT_EQ(check->standing(), 1U);
    EXPECT_EQ(errors("ALERT account 0: EURUSD position"), 1U);
    EXPECT_EQ(errors("the broker has BUY 0.2, the books BUY 0.1"), 1U);
    list({h});
    EXPECT_EQ(errors("the broker has BUY 0.2"), 1U) << "once";
    h.volume = centi(10);
    list({h});
    EXPECT_EQ(check->standing(), 0U);
    EXPECT_EQ(errors("is over"), 1U);
}

TEST_F(BookCheckTest, WhatListsThatHaveStoppedShowedLastIsMarkedAsOld) {
    rig.world();
    opened(1);
    lists({});
    const auto is_marked = [this] {
        const auto file = read_differences(dir);
        return file.size() == 1 && file[0].text.find("as of the last list") != std::string::npos;
    };
    check->mark_old(rig.now + seconds(60));
    EXPECT_FALSE(is_marked());
    rig.now = rig.now + BookCheck::kOld;
    check->mark_old(rig.now);
    EXPECT_TRUE(is_marked());
    EXPECT_EQ(check->standing(), 1U) << "nobody has seen it mended";
    list({});
    EXPECT_EQ(read_differences(dir).size(), 1U);
    EXPECT_FALSE(is_marked());
}

TEST_F(BookCheckTest, ADifferenceThatOneListDoesNotShowBeginsAnew) {
    rig.world();
    const Holding h = opened(1);
    list({});
    list({h});
    list({});
    EXPECT_EQ(check->standing(), 0U);
    list({});
    EXPECT_EQ(check->standing(), 1U);
}

TEST_F(BookCheckTest, ATornListSaysNothing) {
    rig.world();
    Holding h = opened(1);
    const std::uint64_t event = rig.engine.account(AccountId{0}).last_event;
    const auto torn = [&](std::uint32_t index, std::uint64_t ticket) {
        for (int i = 0; i < 3; ++i) {
            h.index = index;
            h.ticket = ticket;
            publish(h);
            end(2, event);
            check->collect(rig.engine);
            rig.now = rig.now + seconds(6);
        }
        EXPECT_EQ(check->standing(), 0U);
    };
    torn(1, h.ticket);      // its first row is missing
    torn(0, h.ticket + 1);  // its end says that there is more
    lists({});
    EXPECT_EQ(check->standing(), 1U) << "a whole one says that there is nothing";
}

TEST_F(BookCheckTest, AListIsComparedWithTheBooksOfItsOwnMoment) {
    rig.world();
    rig.signal(rig.open(1));
    const OrderCommand c = rig.only_order();
    const Holding h = row_of(c, rig.outcome(c, retcode::kDone, c.volume).position_id);
    const std::uint64_t before = rig.engine.account(AccountId{0}).last_event;
    for (int i = 0; i < 2; ++i) {
        publish(h);
        end(1, before + 1);  // the books have not come so far
        check->collect(rig.engine);
        rig.now = rig.now + seconds(6);
    }
    rig.fill(c);
    check->on_record(rig.engine);
    EXPECT_EQ(check->standing(), 0U) << "by then they had";
    for (int i = 0; i < 3; ++i) {
        end(0, before);  // of before the fill
        check->collect(rig.engine);
        end(0, before + 1, kJournal + 1);  // counted by another journal
        check->collect(rig.engine);
        rig.now = rig.now + seconds(6);
    }
    EXPECT_EQ(check->standing(), 0U);
}

TEST_F(BookCheckTest, WhatIsOnItsWayIsNotCompared) {
    rig.world();
    const Holding h = opened(1);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    const OrderCommand close = rig.only_order();
    lists({});
    EXPECT_EQ(check->standing(), 0U) << "the close may have been done";
    rig.report(rig.outcome(close, retcode::kMarketClosed));
    lists({h});
    EXPECT_EQ(check->standing(), 0U);
    rig.signal(rig.open(3));
    const OrderCommand next = rig.only_order();
    rig.report(rig.outcome(next, 10012));  // in doubt: it may be there
    lists({h, row_of(next, 5)});
    EXPECT_EQ(check->standing(), 0U);
}

TEST_F(BookCheckTest, StopsAreHeldToDifferFromOneTickOn) {
    rig.world();
    Signal s = rig.open(1);
    s.stop_loss = Price{points(109'000).value + 400};  // executors round it
    rig.signal(s);
    const OrderCommand c = rig.only_order();
    rig.fill(c);
    Holding h = row_of(c, rig.outcome(c, retcode::kDone, c.volume).position_id);
    h.stop_loss = points(109'000);
    lists({h});
    EXPECT_EQ(check->standing(), 0U);
    h.stop_loss = points(108'990);
    h.take_profit = points(112'000);
    lists({h});
    EXPECT_EQ(check->standing(), 1U);
    EXPECT_EQ(errors("SL/TP 1.0899/1.12 at the broker, 1.090004/0 in the books"), 1U);
}

TEST_F(BookCheckTest, APendingOrderIsComparedByWhatIsLeftOfIt) {
    rig.world();
    rig.signal(rig.pending(1, PriceKind::Limit, points(109'000)));
    const OrderCommand c = rig.only_order();
    rig.report(rig.outcome(c, retcode::kPlaced));
    Holding h = row_of(c, rig.outcome(c, retcode::kPlaced).order_ticket);
    h.kind = HoldingKind::Order;
    h.price_kind = PriceKind::Limit;
    h.price = points(109'000);
    lists({h});
    EXPECT_EQ(check->standing(), 0U);
    lists({});
    EXPECT_EQ(errors("EURUSD order 1000001: the books have BUY 0.1, the broker nothing"), 1U);
    h.price = points(108'000);
    lists({h});
    EXPECT_EQ(errors("price/SL/TP 1.08/0/0 at the broker, 1.09/0/0 in the books"), 1U);
    EXPECT_EQ(check->standing(), 1U);
}

TEST_F(BookCheckTest, ANettingAccountIsComparedBySymbol) {
    rig.world(1, MarginMode::Netting);
    Holding h = opened(1);
    opened(2);
    opened(3, Side::Sell);
    h.volume = centi(10);  // 0.1 + 0.1 - 0.1
    lists({h});
    EXPECT_EQ(check->standing(), 0U);
    h.side = Side::Sell;
    lists({h});
    EXPECT_EQ(errors("the broker has SELL 0.1, the books BUY 0.1"), 1U);
    EXPECT_EQ(check->standing(), 1U);
}

TEST_F(BookCheckTest, ANettingPositionThatOthersShareIsToldOnceAndNobodyIsToDealIt) {
    rig.world(1, MarginMode::Netting);
    Holding h = opened(1);
    h.volume = centi(40);
    lists({h});
    EXPECT_EQ(errors("the broker has BUY 0.4, the books BUY 0.1. Is the rest others'?"), 1U);
    h.volume = centi(50);  // somebody deals on
    lists({h});
    EXPECT_EQ(errors("ALERT"), 1U);
    ASSERT_EQ(read_differences(dir).size(), 1U);
    EXPECT_NE(read_differences(dir)[0].text.find("BUY 0.5"), std::string::npos);
    rig.signal(rig.change(2, SignalAction::Close, 1));
    rig.fill(rig.only_order());
    h.volume = centi(30);
    lists({h});
    EXPECT_EQ(errors("was ours: the broker has BUY 0.3, the books nothing. All of it others'?"),
              1U);
    EXPECT_EQ(errors("by hand"), 0U);
}

TEST_F(BookCheckTest, NamesSomeAndSaysThatThereAreMore) {
    rig.world();
    std::vector<Holding> rows;
    for (std::uint64_t i = 0; i < BookCheck::kNamedMax + 3; ++i) {
        Holding h;
        h.account = AccountId{0};
        h.ticket = ~std::uint64_t{0} - i;
        h.magic = Magic::make(rig.engine.globals().risk.magic_tag, 1000 + i, 0);
        h.volume = Lots{1'234'567 * kScale + 12'345'678};
        h.kind = HoldingKind::Position;
        h.name = text<16>("SIXTEEN_LONG_NAM");
        rows.push_back(h);
    }
    rows.back().magic = Magic{5};
    lists(rows);
    EXPECT_EQ(check->standing(), BookCheck::kNamedMax + 2U);
    EXPECT_EQ(errors("is ours: the broker has"), BookCheck::kNamedMax);
    EXPECT_EQ(errors("Close it by hand"), BookCheck::kNamedMax) << "the longest names fit";
    EXPECT_EQ(errors("ALERT further differences"), 2U);
    EXPECT_EQ(errors("is not ours: it is left alone"), 1U);
    const auto file = read_differences(dir);
    EXPECT_EQ(file.size(), BookCheck::kNamedMax + 3U);
    EXPECT_EQ(segment.core().book_differences.load(), check->standing());
    // A new replica has to find it all again.
    check.reset();
    check.emplace(segment, dir);
    EXPECT_TRUE(read_differences(dir).empty());
    EXPECT_EQ(segment.core().book_differences.load(), 0U);
}

TEST_F(BookCheckTest, AFileOfSomethingElseIsNotRead) {
    std::ofstream{differences_path(dir)} << "something\n0 0 0 else\n";
    EXPECT_TRUE(read_differences(dir).empty());
    EXPECT_TRUE(read_differences(dir + "/nowhere").empty());
}

}  // namespace
}  // namespace millrace::test
