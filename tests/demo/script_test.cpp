// Goal: the generated script speaks sense: it closes only what was accepted, repeats only what was
// answered, and every wrong signal is marked as such. Method: a source that accepts everything.
#include <gtest/gtest.h>

#include <map>

#include "tools/demo_run/script.h"

namespace millrace::demo {
namespace {

GeneratedOptions options(std::uint64_t seed) {
    GeneratedOptions o;
    o.seed = seed;
    o.rate = 100;
    o.groups = {"all", "single"};
    o.symbols = {market::infer_symbol("EURUSD", 0), market::infer_symbol("XAUUSD", 0)};
    return o;
}

std::optional<QuoteNow> quote(std::string_view symbol) {
    const auto info = market::infer_symbol(symbol, 0);
    return QuoteNow{info.typical_price,
                    Price{info.typical_price.value + info.typical_spread.value}};
}

/// Plays `seconds` of a script; answers each signal at once.
std::vector<Planned> play(GeneratedScript& script, Lives& lives, int seconds_long) {
    std::vector<Planned> all;
    for (Nanos t; t < seconds(seconds_long); t = t + millis(1)) {
        while (auto planned = script.next(t)) {
            all.push_back(*planned);
            if (planned->is_repeat) {
                continue;
            }
            lives.sent(planned->request, planned->purpose, t);
            if (planned->purpose == Purpose::Trade) {
                lives.accepted(planned->request.id, t);
            } else {
                lives.refused(planned->request.id, Reason::BadSignal, "", t);
            }
        }
    }
    return all;
}

TEST(GeneratedScript, KeepsTheRateAndMixesAllKinds) {
    Lives lives;
    GeneratedScript script{options(7), lives, quote};
    const auto all = play(script, lives, 30);
    EXPECT_NEAR(static_cast<double>(all.size()), 3000.0, 300.0);
    std::map<SignalAction, int> actions;
    int repeats = 0;
    int wrong = 0;
    int pendings = 0;
    for (const Planned& p : all) {
        ++actions[p.request.action];
        repeats += p.is_repeat ? 1 : 0;
        wrong += p.purpose == Purpose::RefusedOnPurpose ? 1 : 0;
        pendings += p.request.price_kind != PriceKind::Market ? 1 : 0;
    }
    EXPECT_EQ(actions.size(), 4U);
    EXPECT_GT(repeats, 10);
    EXPECT_GT(wrong, 5);
    EXPECT_GT(pendings, 20);
    EXPECT_GT(actions[SignalAction::Close], 300);
}

TEST(GeneratedScript, RefersOnlyToSignalsThatWereSentBefore) {
    Lives lives;
    GeneratedScript script{options(3), lives, quote};
    for (const Planned& p : play(script, lives, 20)) {
        if (p.purpose == Purpose::Trade && p.request.action != SignalAction::Open) {
            EXPECT_NE(lives.find(p.request.target), nullptr);
        }
    }
}

TEST(GeneratedScript, RepeatsWordForWord) {
    Lives lives;
    GeneratedScript script{options(5), lives, quote};
    int repeats = 0;
    for (const Planned& p : play(script, lives, 20)) {
        if (p.is_repeat) {
            ++repeats;
            const Life* life = lives.find(p.request.id);
            ASSERT_NE(life, nullptr);
            EXPECT_EQ(p.request.volume.value, life->request.volume.value);
            EXPECT_EQ(p.request.symbol, life->request.symbol);
        }
    }
    EXPECT_GT(repeats, 0);
}

TEST(GeneratedScript, IsTheSameForOneSeedAndAnotherForAnother) {
    const auto ids = [](std::uint64_t seed) {
        Lives lives;
        GeneratedScript script{options(seed), lives, quote};
        std::vector<SignalId> list;
        for (const Planned& p : play(script, lives, 5)) {
            list.push_back(p.request.id);
        }
        return list;
    };
    EXPECT_EQ(ids(1), ids(1));
    EXPECT_NE(ids(1), ids(2));
}

TEST(GeneratedScript, CancelsAtTheEndWhatStillWorks) {
    Lives lives;
    GeneratedScript script{options(9), lives, quote};
    play(script, lives, 10);
    const auto cancels = script.tidy_up();
    EXPECT_FALSE(cancels.empty());
    for (const Planned& p : cancels) {
        EXPECT_EQ(p.request.action, SignalAction::Cancel);
    }
    EXPECT_TRUE(script.tidy_up().empty());
}

TEST(GeneratedScript, SaysNothingValidBeforeThereIsAQuote) {
    Lives lives;
    GeneratedScript script{options(1), lives,
                           [](std::string_view) { return std::optional<QuoteNow>{}; }};
    for (const Planned& p : play(script, lives, 2)) {
        EXPECT_EQ(p.purpose, Purpose::RefusedOnPurpose);
    }
}

}  // namespace
}  // namespace millrace::demo
