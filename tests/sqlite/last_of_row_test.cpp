#include "persist/last_of_row.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

/// A batch is numbered as a record's effects are.
std::vector<Effect> numbered(std::vector<Effect> effects) {
    for (std::size_t i = 0; i < effects.size(); ++i) {
        effects[i].seq = Sequence{7};
        effects[i].k = static_cast<std::uint32_t>(i);
    }
    return effects;
}

std::vector<bool> last_words(const std::vector<Effect>& effects) {
    LastOfRow last;
    last.look_at(effects);
    std::vector<bool> words;
    for (std::size_t i = 0; i < effects.size(); ++i) {
        words.push_back(last[i]);
    }
    return words;
}

Effect signal(std::uint64_t id, Reason reason) {
    SignalRow r;
    r.id = {1, id};
    r.reason = static_cast<std::uint16_t>(reason);
    return Effect::make(EffectKind::Signal, r);
}

Effect order(std::uint64_t intent, unsigned attempt) {
    OrderRow r;
    r.magic = Magic::make(0x4D52, intent, attempt);
    return Effect::make(EffectKind::Order, r);
}

TEST(LastOfRow, IsTheLastOfEachRowWhateverTheAttempt) {
    EXPECT_EQ(last_words(numbered({order(1, 0), order(2, 0), order(1, 1)})),
              (std::vector<bool>{false, true, true}));
}

TEST(LastOfRow, ARefusedRepeatIsNoWordOnTheAcceptedSignal) {
    EXPECT_EQ(last_words(numbered({signal(1, Reason::None), signal(1, Reason::Expired)})),
              (std::vector<bool>{true, true}))
        << "Redis writes no refused ones: it would lose the accepted one";
    EXPECT_EQ(last_words(numbered({signal(1, Reason::None), signal(1, Reason::None)})),
              (std::vector<bool>{false, true}));
}

TEST(LastOfRow, KeepsEveryDealAndEveryAlert) {
    const Effect deal = Effect::make(EffectKind::Execution, ExecutionRow{});
    const Effect alert = Effect::make(EffectKind::Alert, AlertRow{});
    EXPECT_EQ(last_words(numbered({deal, alert, deal, alert})),
              (std::vector<bool>{true, true, true, true}));
}

TEST(LastOfRow, TellsPositionsOfOneOrderApart) {
    PositionRow a;
    a.position_id = 1;
    PositionRow b;
    b.position_id = 2;
    EXPECT_EQ(last_words(numbered(
                  {Effect::make(EffectKind::Position, a), Effect::make(EffectKind::Position, b)})),
              (std::vector<bool>{true, true}));
}

}  // namespace
}  // namespace millrace
