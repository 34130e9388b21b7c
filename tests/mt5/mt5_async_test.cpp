// Goal: whatever way the terminal and the broker are late, silent or out of order, each order is
// executed at most once and what is told in the end is what the books hold. Method: the
// asynchronies of the reference as knobs of the stand-in terminal, alone and together, with both
// ways of sending.
#include "tests/mt5/mt5_world.h"

#include <algorithm>

namespace millrace::mt5::test {
namespace {

struct Weather {
    const char* name;
    std::vector<std::string> inputs;
    std::vector<std::string> knobs;
};
class Asynchrony : public World, public testing::WithParamInterface<Weather> {};

TEST_P(Asynchrony, EndsWithEveryOrderKnownAsTheBooksHaveIt) {
    begin({.inputs = GetParam().inputs, .knobs = GetParam().knobs, .settle_ms = "2000"});
    std::vector<std::uint64_t> magics;
    for (std::uint64_t intent = 1; intent <= 8; ++intent) {
        if (intent == 4) {
            host->fault(R"("kind":"partial_fill","share":0.5)");
        }
        magics.push_back(desk.submit(open(intent, 0.2)));
    }
    for (std::size_t i = 0; i < magics.size(); ++i) {
        ASSERT_TRUE(desk.until_answered(magics[i])) << "intent " << i + 1;
        if (desk.told[magics[i]].is_open()) {
            desk.resolve(magics[i]);
        }
        const Booked truth = booked(dir, i + 1);
        EXPECT_FALSE(truth.doubled);
        EXPECT_EQ(truth.volume, desk.told[magics[i]].volume()) << "intent " << i + 1;
    }
    // Nothing of ours was taken for somebody else's.
    EXPECT_TRUE(desk.execs.empty());
    EXPECT_EQ(desk.gaps, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Terminal, Asynchrony,
    testing::Values(
        Weather{"sync", {}, {}}, Weather{"sync_done_without_deal", {}, {"result_form=1"}},
        Weather{"sync_placed_history_late", {}, {"result_form=2", "history_delay_ms=400"}},
        Weather{"async", {"InpAsync=true"}, {"async_ms=5"}},
        Weather{"async_events_shuffled", {"InpAsync=true"}, {"async_ms=5", "shuffle=1"}},
        Weather{"async_every_event_lost", {"InpAsync=true"}, {"lose_events_ppm=1000000"}},
        Weather{"async_half_lost_history_late",
                {"InpAsync=true"},
                {"async_ms=20", "lose_events_ppm=500000", "history_delay_ms=300", "shuffle=1"}},
        Weather{"async_answers_later_than_waited_for",
                {"InpAsync=true", "InpAnswerMs=50"},
                {"async_ms=200", "lose_events_ppm=1000000"}}),
    [](const auto& weather) { return std::string{weather.param.name}; });

class LateTruth : public World {};

TEST_F(LateTruth, ATimeoutWithAFillIsToldByItselfOnceTheAccountShowsIt) {
    begin();
    host->fault(R"("kind":"retcode","code":10012,"executed":true)");
    const std::uint64_t magic = desk.submit(open(1));
    ASSERT_TRUE(desk.until([&] { return desk.told[magic].outcomes.size() == 2; }));
    EXPECT_EQ(desk.told[magic].outcomes.front().retcode, 10012U);
    EXPECT_EQ(desk.told[magic].outcomes.front().deal_ticket, 0U);
    EXPECT_EQ(desk.told[magic].outcomes.back().retcode, kDone);
    EXPECT_EQ(desk.told[magic].outcomes.back().volume, kScale / 10);
    const bridge::Event found = desk.resolve(magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(found.volume, kScale / 10);
}

TEST_F(LateTruth, ARequestThatExecutesAfterItsTimeoutIsNeverCalledAbsentBefore) {
    begin({.settle_ms = "1500"});
    host->knob("late_ms", 500);
    const bridge::Event& outcome = answer_to(open(1));
    EXPECT_EQ(outcome.retcode, 10012U);
    const bridge::Event found = desk.resolve(open(1).magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(LateTruth, ARequestThatExecutesAfterTheTerminalsDeathIsFoundByTheNextOne) {
    begin({.settle_ms = "2000"});
    host->knob("late_ms", 700);
    EXPECT_EQ(answer_to(open(1)).retcode, 10012U);
    host->kill9();
    host->start();
    const bridge::Event found = desk.resolve(open(1).magic);
    EXPECT_TRUE(is(found, ReportType::QueryFound));
    EXPECT_EQ(booked(dir, 1).executions, 1U);
}

TEST_F(LateTruth, OfTwoExecutionsEachIsToldOnceAlthoughBothWereThereBeforeTheAnswer) {
    begin({.knobs = {"result_form=1"}});  // whose answer names no deal: it is looked up
    host->knob("twice", 1);
    const std::uint64_t magic = desk.submit(open(1));
    const auto& told = desk.told[magic].outcomes;
    ASSERT_TRUE(desk.until([&] { return told.size() == 2; }));
    EXPECT_NE(told.front().deal_ticket, told.back().deal_ticket);
    EXPECT_NE(told.front().order_ticket, told.back().order_ticket);
    EXPECT_EQ(told.front().volume, kScale / 10);
    EXPECT_EQ(told.back().volume, kScale / 10);
    let_it_run(1'200);  // two scans more
    EXPECT_EQ(told.size(), 2U) << "told again and again";
    EXPECT_EQ(booked(dir, 1).executions, 2U);
}

TEST_F(LateTruth, DealsThatDoNotNameTheirPositionYetAreToldToo) {
    begin({.knobs = {"late_position=1"}});
    host->fault(R"("kind":"retcode","code":10012,"executed":true)");
    const std::uint64_t magic = desk.submit(open(1));
    const auto& told = desk.told[magic].outcomes;
    ASSERT_TRUE(desk.until([&] { return told.size() == 2; }));
    EXPECT_EQ(told.back().volume, kScale / 10);
    let_it_run(1'200);
    EXPECT_EQ(told.size(), 2U);
    ASSERT_NE(told.back().position_id, 0U) << "nobody could close it";
    EXPECT_EQ(answer_to(close_of(2, told.back().position_id)).retcode, kDone);
}

// The stops that the server drops are those of a position that its deal does not name.
TEST_F(LateTruth, APendingsFillThatDoesNotNameItsPositionYetIsToldWithIt) {
    begin({.knobs = {"late_position=1", "drop_stops=1"}});
    bridge::Command waiting = pending(1, PriceKind::Limit, 1.09);
    waiting.stop_loss = 105 * kScale / 100;
    EXPECT_EQ(answer_to(waiting).retcode, 10008U);
    host->quote("1.08980", "1.08990");
    const bridge::Event* filled = exec_of(ExecKind::PendingFilled);
    ASSERT_NE(filled, nullptr);
    EXPECT_NE(filled->position_id, 0U);
    EXPECT_TRUE(desk.until([&] { return number("stop_losses") == 1; }));
}

// A position may show later than its deal.
TEST_F(LateTruth, ADealWithoutAPositionWaitsUntilThereIsOneOrCanBeNone) {
    begin({.inputs = {"InpAnswerMs=100"}, .knobs = {"late_position=1"}});
    host->knob("hidden_list", 1);
    const std::uint64_t magic = desk.submit(open(1));
    ASSERT_TRUE(desk.until_answered(magic));
    const auto& told = desk.told[magic].outcomes;
    EXPECT_TRUE(has_status(told.back(), OrdStatus::InDoubt));
    let_it_run(700);
    EXPECT_EQ(told.size(), 1U) << "nobody could close what is told without its position";
    host->knob("hidden_list", 0);
    ASSERT_TRUE(desk.until([&] { return told.size() == 2; }));
    EXPECT_NE(told.back().position_id, 0U);
    host->knob("hidden_list", 1);
    const std::uint64_t other = desk.submit(open(2));
    ASSERT_TRUE(desk.until_answered(other));
    host->knob("server_ahead_s", 120);
    ASSERT_TRUE(desk.until([&] { return desk.told[other].outcomes.size() == 2; }));
    EXPECT_EQ(desk.told[other].outcomes.back().volume, kScale / 10) << "told all the same";
}

/// A death that leaves of the last flush what a file may keep: its first records.
class TornFlush : public World {
protected:
    std::vector<JournalRecord> records() const { return records_of(journal_file(dir, ".a")); }
    /// The event that answers `magic` for good.
    static auto answer_in(const std::vector<JournalRecord>& records, std::uint64_t magic) {
        return std::find_if(records.begin(), records.end(), [magic](const JournalRecord& record) {
            return record.kind == JournalRecord::kEvent && record.second == magic;
        });
    }
    /// Comes back with the journal up to `end`, and looks at the account.
    void start_with_journal_up_to(std::uintmax_t end) {
        std::filesystem::resize_file(journal_file(dir, ".a"), end);
        desk.expects_rollback = true;  // of what was told behind it
        desk.synced = false;
        desk.info = {};
        host->start();
        ASSERT_TRUE(desk.until(
            [&] { return desk.synced && desk.info.permissions == bridge::kInfoMayTrade; }));
        let_it_run(300);
    }
};

class TornFlushOf : public TornFlush, public testing::WithParamInterface<int> {};

// More deals than the record of an answer lists: by the sum that it told.
INSTANTIATE_TEST_SUITE_P(Deals, TornFlushOf, testing::Values(2, 60),
                         testing::PrintToStringParamName());

TEST_P(TornFlushOf, SeveralDealsNoneIsToldAsASecondExecution) {
    begin({.margin_mode = "netting", .knobs = {"deals_each=" + std::to_string(GetParam())}});
    const bridge::Event told = answer_to(open(1));
    EXPECT_EQ(told.volume, kScale / 10);
    host->kill9();
    const std::vector<JournalRecord> all = records();
    const auto answer = answer_in(all, open(1).magic);
    ASSERT_NE(answer, all.end());
    ASSERT_NO_FATAL_FAILURE(start_with_journal_up_to(answer->end));
    for (const bridge::Event& outcome : desk.told[open(1).magic].outcomes) {
        EXPECT_EQ(outcome.deal_ticket, told.deal_ticket);
        EXPECT_EQ(outcome.volume, kScale / 10);
    }
    EXPECT_TRUE(desk.execs.empty());
}

class TornFlushBehind : public TornFlush, public testing::WithParamInterface<int> {};

// So many records before the first that is of a deal alone.
INSTANTIATE_TEST_SUITE_P(Records, TornFlushBehind, testing::Values(0, 1),
                         testing::PrintToStringParamName());

TEST_P(TornFlushBehind, OfAnAnswerToALookUpNoPartIsTold) {
    // Asked about before the account is gone through.
    begin({.inputs = {"InpReadyMs=600"}, .knobs = {"deals_each=2"}});
    host->fault(R"("kind":"retcode","code":10012,"executed":true)");
    EXPECT_EQ(answer_to(open(1)).retcode, 10012U);
    EXPECT_EQ(desk.resolve(open(1).magic).volume, kScale / 10);
    host->kill9();
    const std::vector<JournalRecord> all = records();
    const auto deal = std::find_if(
        answer_in(all, open(1).magic), all.end(),
        [](const JournalRecord& record) { return record.kind == JournalRecord::kDeal; });
    ASSERT_NE(deal, all.end());
    ASSERT_NO_FATAL_FAILURE(start_with_journal_up_to(std::prev(deal, GetParam())->end));
    for (const bridge::Event& outcome : desk.told[open(1).magic].outcomes) {
        EXPECT_TRUE(outcome.volume == 0 || outcome.volume == kScale / 10) << outcome.volume;
    }
}

TEST_F(TornFlush, HalfOfARolloverIsNotRememberedWithoutTheOther) {
    begin();
    answer_to(open(1));
    host->control(R"("cmd":"rollover")");
    const auto deals = [&] {
        const std::vector<JournalRecord> all = records();
        return std::count_if(all.begin(), all.end(), [](const JournalRecord& record) {
            return record.kind == JournalRecord::kDeal;
        });
    };
    ASSERT_TRUE(desk.until([&] { return deals() >= 2; }));
    host->kill9();
    const std::vector<JournalRecord> all = records();
    const auto last = std::find_if(all.rbegin(), all.rend(), [](const JournalRecord& record) {
        return record.kind == JournalRecord::kDeal;
    });
    host->at_start("server_ahead_s=120");  // no second half is waited for any more
    ASSERT_NO_FATAL_FAILURE(start_with_journal_up_to(std::next(last)->end));
    host->control(R"("cmd":"rollover")");  // the host has forgotten it: the same deals again
    let_it_run(300);
    EXPECT_TRUE(desk.execs.empty());
}

TEST_F(LateTruth, AnIncompleteHistoryAfterAReconnectProvesNothing) {
    begin({.settle_ms = "300"});
    host->fault(R"("kind":"retcode","code":10012,"executed":true)");
    host->knob("history_delay_ms", 600);
    EXPECT_EQ(answer_to(open(1)).retcode, 10012U);
    host->knob("disconnected", 1);
    host->knob("incomplete_ms", 100);
    ASSERT_TRUE(desk.until([&] { return (desk.info.permissions & bridge::kInfoMayTrade) == 0; }));
    desk.query(open(1).magic);
    ASSERT_TRUE(desk.until([&] { return desk.told[open(1).magic].query.has_value(); }));
    EXPECT_TRUE(is(*desk.told[open(1).magic].query, ReportType::QueryUnknown))
        << "nothing is known without a connection";
    host->control(R"("cmd":"reconnect")");
    host->knob("no_history", 1);
    desk.query(open(1).magic);
    ASSERT_TRUE(desk.until([&] { return desk.told[open(1).magic].query.has_value(); }));
    EXPECT_TRUE(is(*desk.told[open(1).magic].query, ReportType::QueryUnknown))
        << "a failed read says nothing";
    host->knob("no_history", 0);
}

TEST_F(LateTruth, AProvenAbsentOrderWasNotExecuted) {
    begin({.settle_ms = "200"});
    host->fault(R"("kind":"retcode","code":10012)");
    EXPECT_EQ(answer_to(open(1)).retcode, 10012U);
    // Its refusal is in the books, not in the account's history: only the time proves it.
    EXPECT_TRUE(is(desk.resolve(open(1).magic), ReportType::QueryAbsent));
    EXPECT_EQ(booked(dir, 1).executions, 0U);
}

}  // namespace
}  // namespace millrace::mt5::test
