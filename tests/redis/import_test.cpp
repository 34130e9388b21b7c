// Goal: what Redis says of the engine's state is what SQLite says of it, row by row; what it does
// not hold any more is named; what an open position needs stays. Method: one history in both
// stores, read by both readers; then damage of each kind.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "persist/redis_hold.h"
#include "persist/redis_words.h"
#include "persist/sqlite_catch_up.h"
#include "persist/sqlite_store.h"
#include "persist/stored_state.h"
#include "shm/clock.h"
#include "tests/redis/sink_fixture.h"
#include "tests/seed.h"
#include "tests/sqlite/random_history.h"

namespace millrace::redis_test {
namespace {

using sqlite_test::end_of;
using sqlite_test::random_history;

constexpr StoredLimits kAll{seconds(7 * 24 * 3600).value, 10'000};
constexpr const char* kKeys = "millrace:test:g1:";

class RedisImport : public RedisSinkFixture {
protected:
    void SetUp() override {
        RedisSinkFixture::SetUp();
        redis_ = server("one");
        link_ = redis_->link();
        options_.prefix = "millrace:test:";
        options_.instance = 77;
    }
    /// A generation with all of it, as from the log's beginning.
    void fill(const std::vector<Effect>& history) {
        RedisStore store{options_};
        ASSERT_TRUE(store.open(link_).ok()) << store.message();
        ASSERT_TRUE(store.begin_rebuild(false).ok()) << store.message();
        store.set_whole(true);
        ASSERT_TRUE(store.store(history, end_of(history)).ok()) << store.message();
        ASSERT_TRUE(store.finish_rebuild(Nanos{wall_ns()}).ok()) << store.message();
    }
    Result<StoredState> read() {
        RedisPlace place;
        place.servers = {redis_->at()};
        said_.clear();
        heard_ = {};
        StoredLimits limits = kAll;
        limits.heard = &heard_;
        return read_redis_state(place, options_, limits, said_);
    }
    Errc refused() {
        const auto state = read();
        return state ? Errc::Ok : state.code();
    }
    StoredState from_sqlite(const std::vector<Effect>& history) {
        const std::string path = dir_.path() + "/oracle.db";
        SqliteStore store;
        SqliteStoreOptions o;
        o.path = path;
        o.instance = 77;
        EXPECT_TRUE(store.open(o).ok()) << store.message();
        store.set_whole(true);
        EXPECT_TRUE(store.store(history, end_of(history), Nanos{}).ok()) << store.message();
        store.close();
        auto state = read_sqlite_state(path, kAll, said_);
        EXPECT_TRUE(state.ok()) << said_;
        return std::move(state).value();
    }
    std::string key(const std::string& pattern) {
        const auto found = link_.call({"KEYS", kKeys + pattern});
        EXPECT_TRUE(found.ok() && found.value().size() > 0) << pattern;
        return std::string{found.value()[0].text()};
    }
    /// The order that opened a position which is open.
    std::string key_of_opener() {
        const auto state = read();
        EXPECT_TRUE(state.ok()) << said_;
        for (const RestoredOrder& o : state.value().orders) {
            if (o.open_volume.value > 0 && is_final(o.row.status)) {
                return kKeys + ("RTS:" + std::to_string(o.row.account.value)) + ":" +
                       std::to_string(o.row.magic.intent());
            }
        }
        ADD_FAILURE() << "no position is open";
        return "";
    }

    std::unique_ptr<RedisProcess> redis_;
    RedisLink link_;
    RedisStoreOptions options_;
    std::string said_;
    sqlite_test::RowsHeard heard_;
};

TEST_F(RedisImport, GivesTheStateThatSqliteGives) {
    const std::uint64_t seed = test::first_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto history = random_history(seed, Nanos{wall_ns()});
    SignalRow refused;
    refused.id = {1, 2};
    refused.reason = static_cast<std::uint16_t>(Reason::StaleSignal);
    AlertRow kill;
    kill.code = AlertCode::Killed;
    for (Effect more :
         {Effect::make(EffectKind::Signal, refused), Effect::make(EffectKind::Alert, kill)}) {
        more.seq = Sequence{history.back().seq.value + 1};
        more.k = 1;
        more.time = history.back().time;
        history.push_back(more);
    }
    fill(history);
    const auto state = read();
    ASSERT_TRUE(state.ok()) << said_;
    EXPECT_TRUE(sqlite_test::same_state(state.value(), from_sqlite(history)));
    EXPECT_TRUE(heard_.rises);
    EXPECT_GT(heard_.count, state.value().orders.size() + state.value().signals.size());
    EXPECT_TRUE(state.value().kill_used);
    EXPECT_TRUE(state.value().gaps.empty()) << state.value().gaps.front();
    EXPECT_GT(state.value().orders.size(), 20U);
}

TEST_F(RedisImport, IsRefusedOfWhatIsDamagedOlderOrNotThere) {
    EXPECT_EQ(refused(), Errc::NotFound) << said_;
    fill(random_history(1, Nanos{wall_ns()}));
    ASSERT_EQ(refused(), Errc::Ok) << said_;

    const std::string position = key("RTP:*");
    const std::string volume = redis_->ask({"HGET", position, "volume"});
    (void)redis_->ask({"HSET", position, "volume", "99"});
    EXPECT_EQ(refused(), Errc::BadChecksum);
    EXPECT_NE(said_.find("RTP:"), std::string::npos) << said_;
    (void)redis_->ask({"HSET", position, "volume", volume});
    ASSERT_EQ(refused(), Errc::Ok) << said_;

    (void)redis_->ask({"HSET", std::string{kKeys} + "CURSOR", "seq", "5"});
    EXPECT_EQ(refused(), Errc::BadChecksum) << said_;
    redis_->kill();
    EXPECT_EQ(refused(), Errc::IoError) << said_;
}

TEST_F(RedisImport, NamesWhatItDoesNotHoldAnyMore) {
    fill(random_history(2, Nanos{wall_ns()}));
    const std::string order = key_of_opener();
    const std::string signal = redis_->ask({"HGET", order, "signal"});
    (void)redis_->ask({"DEL", kKeys + ("SIG:" + signal)});
    auto state = read();
    ASSERT_TRUE(state.ok()) << said_;
    ASSERT_FALSE(state.value().gaps.empty());
    EXPECT_NE(state.value().gaps[0].find("the signal of order"), std::string::npos);
    (void)redis_->ask({"DEL", order});
    state = read();
    ASSERT_TRUE(state.ok()) << said_;
    ASSERT_FALSE(state.value().gaps.empty());
    EXPECT_NE(state.value().gaps[0].find("the order of position"), std::string::npos);
}

TEST_F(RedisImport, IsNotWholeOfAGenerationFilledFromALogThatRetentionHadCut) {
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(options(*redis_)), 300));
    ASSERT_TRUE(read().ok()) << said_;
    EXPECT_TRUE(read().value().gaps.empty()) << read().value().gaps[0];
    EXPECT_EQ(read().value().cursor, sqlite_test::cursor_at(300));
    first_ = 150;
    salt_ = 9;  // another log, whose beginning is gone
    ASSERT_TRUE(run_to(*sink(options(*redis_)), 300));
    const auto state = read();
    ASSERT_TRUE(state.ok()) << said_;
    ASSERT_FALSE(state.value().gaps.empty());
    EXPECT_NE(state.value().gaps[0].find("retention"), std::string::npos);
}

TEST_F(RedisImport, IsPossibleAfterASchemaOfBeforeWasFilledAnew) {
    *last_ = 300;
    ASSERT_TRUE(run_to(*sink(options(*redis_)), 300));
    // As the build before has left it: no facts beside the cursor.
    const EffectCursor at = sqlite_test::cursor_at(300);
    forge_cursor(*redis_, {{"schema", "1"},
                           {"epoch", std::to_string(at.epoch)},
                           {"seq", std::to_string(at.seq.value)},
                           {"k", std::to_string(at.k)},
                           {"chain", std::to_string(at.chain)}});
    EXPECT_EQ(refused(), Errc::BadVersion) << said_;

    ASSERT_TRUE(run_to(*sink(options(*redis_)), 300));
    EXPECT_TRUE(errors_mention("older build")) << error_log();
    EXPECT_EQ(redis_->ask({"GET", "millrace:test:GENERATION"}), "2");
    ASSERT_TRUE(read().ok()) << said_;
    EXPECT_TRUE(read().value().gaps.empty());
}

TEST_F(RedisImport, BringsASqliteStoreOfTheSameLogToWhereItIs) {
    const auto history = random_history(4, Nanos{wall_ns()});
    fill(history);
    const std::vector<Effect> first{history.begin(), history.begin() + 300};
    SqliteCatchUp wish{dir_.path() + "/behind.db", 77, end_of(history), {}, {}};
    EXPECT_EQ(catch_up_sqlite(wish, {}, said_).code(), Errc::NotFound) << said_;
    SqliteStore store;
    SqliteStoreOptions o;
    o.path = wish.path;
    o.instance = 77;
    ASSERT_TRUE(store.open(o).ok()) << store.message();
    store.set_whole(true);
    ASSERT_TRUE(store.store(first, end_of(first), Nanos{}).ok()) << store.message();
    store.close();
    EXPECT_EQ(sqlite_cursor_at(wish.path), end_of(first));

    StoredLimits limits = kAll;
    limits.newer_than = end_of(first).seq;
    RedisPlace place;
    place.servers = {redis_->at()};
    const auto state = read_redis_state(place, options_, limits, said_);
    ASSERT_TRUE(state.ok()) << said_;
    EXPECT_EQ(state.value().newer.size(), history.size() - first.size());
    wish.instance = 78;
    EXPECT_EQ(catch_up_sqlite(wish, state.value().newer, said_).code(), Errc::NotOwner) << said_;
    wish.instance = 77;
    EXPECT_EQ(catch_up_sqlite(wish, {}, said_).code(), Errc::BadCursor)
        << "what it lacks was not collected: " << said_;
    wish.from = state.value().newer_than;
    wish.not_before = Nanos{1};  // it was written at 0
    EXPECT_EQ(catch_up_sqlite(wish, state.value().newer, said_).code(), Errc::Timeout) << said_;
    EXPECT_EQ(sqlite_cursor_at(wish.path), end_of(first)) << "a refusal changes nothing";
    wish.not_before = {};
    ASSERT_TRUE(catch_up_sqlite(wish, state.value().newer, said_).ok()) << said_;
    ASSERT_TRUE(catch_up_sqlite(wish, {}, said_).ok()) << "it is there: " << said_;
    const auto found = read_sqlite_state(wish.path, kAll, said_);
    ASSERT_TRUE(found.ok()) << said_;
    EXPECT_TRUE(sqlite_test::same_state(found.value(), from_sqlite(history)));
    wish.to = end_of(first);
    EXPECT_EQ(catch_up_sqlite(wish, {}, said_).code(), Errc::BadCursor) << said_;
    EXPECT_NE(said_.find("has come to record"), std::string::npos) << said_;
}

// ---- what stays ---------------------------------------------------------------------------------

class RedisHoldTest : public RedisImport {
protected:
    void SetUp() override {
        RedisImport::SetUp();
        history_ = random_history(3, Nanos{wall_ns()});
        fill(history_);
        auto found = read();
        ASSERT_TRUE(found.ok()) << said_;
        before_ = std::move(found).value();
        ASSERT_TRUE(std::any_of(before_.orders.begin(), before_.orders.end(), [](const auto& o) {
            return o.open_volume.value > 0 && o.close_shares.value > 0 && o.deals[0] != 0;
        }));
    }
    /// Keys like `pattern` that have an end, or that have none.
    std::vector<std::string> keys(const std::string& pattern, bool ending) {
        std::vector<std::string> found;
        const auto all = link_.call({"KEYS", kKeys + pattern});
        EXPECT_TRUE(all.ok()) << link_.message();
        for (std::size_t i = 0; i < all.value().size(); ++i) {
            const std::string name{all.value()[i].text()};
            if ((link_.call({"PTTL", name}).value().integer() >= 0) == ending) {
                found.push_back(name);
            }
        }
        return found;
    }
    bool is_live(const std::string& name) {
        OrdStatus status = OrdStatus::Filled;
        return name.find(":RTS:") != std::string::npos &&
               from_redis_word(redis_->ask({"HGET", name, "state"}), status) && !is_final(status);
    }
    void sweep() {
        RedisStore store{options_};
        ASSERT_TRUE(store.open(link_).ok()) << store.message();
        RedisHold hold{seconds(3600)};
        for (int slice = 0; slice < 40; ++slice) {
            ASSERT_TRUE(hold.step(link_, store, Nanos{wall_ns()}).ok()) << link_.message();
        }
    }
    /// As long after everything stopped as it takes for all to go that has an end.
    void let_days_pass() {
        for (const std::string& name : keys("*", true)) {
            (void)redis_->ask({"DEL", name});
        }
    }
    /// Whether all orders of before are there as they were.
    void expect_the_same(bool of_open_positions_only) {
        const auto after = read();
        ASSERT_TRUE(after.ok()) << said_;
        for (const RestoredOrder& o : before_.orders) {
            // Deals count for as long as more may come of their order, or of its position.
            const bool counts = o.open_volume.value > 0 || !is_final(o.row.status);
            const std::size_t bytes = counts ? sizeof o : offsetof(RestoredOrder, deals);
            const auto same = [&](const RestoredOrder& x) {
                return std::memcmp(&x, &o, bytes) == 0;
            };
            const auto& now = after.value().orders;
            EXPECT_TRUE((of_open_positions_only && o.open_volume.value == 0) ||
                        std::any_of(now.begin(), now.end(), same))
                << "order " << o.row.magic.intent();
        }
        EXPECT_TRUE(of_open_positions_only || after.value().gaps.empty())
            << after.value().gaps.front();
    }
    /// Stores `effects` as of the records that follow.
    void go_on_with(std::vector<Effect> effects) {
        RedisStore store{options_};
        ASSERT_TRUE(store.open(link_).ok()) << store.message();
        EffectCursor at = store.cursor();
        for (Effect& e : effects) {
            e.seq = Sequence{++at.seq.value};
        }
        ASSERT_TRUE(store.store(effects, at).ok()) << store.message();
    }

    std::vector<Effect> history_;
    StoredState before_;
};

TEST_F(RedisHoldTest, KeepsOpenPositionsWholeWhenAllStopsForDaysBeforeItHasSwept) {
    let_days_pass();
    expect_the_same(true);
}

TEST_F(RedisHoldTest, KeepsWhatOpenPositionsAndLiveOrdersNeedAndNothingElse) {
    // As a build before this one has left it.
    for (const char* kind : {"RTS:*", "RTX:*", "SIG:*"}) {
        for (const std::string& name : keys(kind, false)) {
            if (!is_live(name)) {
                (void)redis_->ask({"PEXPIRE", name, "3600000"});
            }
        }
    }
    const std::size_t all = keys("RTX:*", true).size();
    sweep();
    EXPECT_LT(keys("RTX:*", false).size(), all) << "deals of closed positions end";
    let_days_pass();
    expect_the_same(false);
}

TEST_F(RedisHoldTest, GivesAnEndToWhatNothingNeedsAnyMore) {
    sweep();
    EXPECT_FALSE(keys("RTX:*", false).empty());
    std::vector<Effect> closed;
    for (Effect e : history_) {
        if (e.kind == EffectKind::Position) {
            auto row = e.as<PositionRow>();
            row.volume = {};
            closed.push_back(Effect::make(EffectKind::Position, row));
        } else if (e.kind == EffectKind::Order && !is_final(e.as<OrderRow>().status)) {
            auto row = e.as<OrderRow>();
            row.status = OrdStatus::Filled;
            closed.push_back(Effect::make(EffectKind::Order, row));
        } else if (e.kind == EffectKind::Signal && e.as<SignalRow>().done == 0) {
            auto row = e.as<SignalRow>();
            row.done = 1;
            row.filled = 1;
            closed.push_back(Effect::make(EffectKind::Signal, row));
        }
    }
    go_on_with(closed);
    sweep();
    for (const char* kind : {"RTS:*", "RTX:*", "SIG:*", "RTP:*"}) {
        const auto standing = keys(kind, false);
        EXPECT_TRUE(standing.empty()) << standing.size() << " stand, such as " << standing.front();
    }
    EXPECT_GT(std::stoll(redis_->ask({"PTTL", keys("RTS:*", true).front()})), 80'000'000);
}

TEST_F(RedisHoldTest, LeavesAloneWhatIsWrittenWhileItSweeps) {
    RedisStore store{options_};
    ASSERT_TRUE(store.open(link_).ok()) << store.message();
    RedisHold hold{seconds(3600)};
    ASSERT_TRUE(hold.step(link_, store, Nanos{wall_ns()}).ok()) << link_.message();
    OrderRow order = before_.orders.front().row;  // its position may come with the next batch
    order.magic = Magic::make(0x4D52, 999'999, 0);
    order.type = 1;
    order.status = OrdStatus::Filled;
    order.cum_volume = order.volume;
    order.signal = {7, 7};
    go_on_with({Effect::make(EffectKind::Order, order)});
    for (int slice = 0; slice < 40; ++slice) {
        ASSERT_TRUE(hold.step(link_, store, Nanos{wall_ns()}).ok()) << link_.message();
    }
    const std::string fresh = key("RTS:*:999999");
    EXPECT_EQ(redis_->ask({"PTTL", fresh}), "-1");
    sweep();
    EXPECT_GT(std::stoll(redis_->ask({"PTTL", fresh})), 80'000'000);
}

}  // namespace
}  // namespace millrace::redis_test
