// Goal: a configuration that describes a symbol in another way than the broker does is noticed
// before somebody finds out by the size of a trade; one that agrees, or asks for less, is left in
// peace. Method: terminals that tell what the test says.
#include "broker_world.h"

#include <gtest/gtest.h>

#include <cstring>

namespace millrace::test {
namespace {

bool configured(const Text<16>& name, SymbolSpec& found) {
    found.name = name;
    found.digits = 5;
    found.tick_size = Price{1000};
    found.volume_min = Lots{kScale / 100};
    found.volume_max = Lots{50 * kScale};
    found.volume_step = Lots{kScale / 100};
    found.contract_size = 100'000 * kScale;
    return name == make_text<16>("EURUSD") || name == make_text<16>("GBPUSD") ||
           name.bytes[0] == 'S';
}

/// As configured, of an account whose names end in "m".
bridge::Symbol agreeing(const char* name = "EURUSDm") {
    bridge::Symbol s{};
    std::memcpy(s.symbol, name, std::strlen(name));
    s.contract_size = 100'000 * kScale;
    s.volume_min = kScale / 100;
    s.volume_max = 50 * kScale;
    s.volume_step = kScale / 100;
    s.tick_size = 1000;
    s.digits = 5;
    s.trade_mode = 4;
    return s;
}

class BrokerSymbol : public testing::Test {
protected:
    void SetUp() override {
        world.define_symbol(3, "EURUSD");
        world.define_symbol(4, "GBPUSD");
        world.define_symbol(5, "XAUUSD");
        terminal = &world.connect(kFirstLogin);
    }
    void tell(const bridge::Symbol& symbol) {
        const std::uint64_t before = world.stage->stats().symbols;
        terminal->send(bridge::FrameType::Symbol, 0, symbol);
        ASSERT_TRUE(world.until([&] { return world.stage->stats().symbols == before + 1; }));
    }

    World world{{.suffix = "m", .find_symbol = configured}};
    Terminal* terminal = nullptr;
};

TEST_F(BrokerSymbol, NamesWhatTheBrokerSaysOtherwiseAndBothNumbers) {
    bridge::Symbol micro = agreeing();
    micro.contract_size = 1000 * kScale;
    tell(micro);
    EXPECT_EQ(
        world.errors("ALERT EURUSD, account 0: the broker's contract size is 1000, configured "
                     "100000: sizes or prices are wrong until both agree"),
        1U);
    bridge::Symbol other = agreeing("GBPUSDm");
    other.digits = 3;
    tell(other);
    EXPECT_EQ(world.errors("ALERT GBPUSD, account 0: the broker's digits is 3, configured 5"), 1U);
    EXPECT_TRUE(terminal->connected());
}

TEST_F(BrokerSymbol, SaysEachDifferenceThatMattersAndNoOther) {
    const auto with = [](auto change) {
        bridge::Symbol s = agreeing();
        change(s);
        return s;
    };
    struct Case {
        bridge::Symbol told;
        const char* said;  // empty = nothing
    };
    const Case cases[] = {
        {agreeing(), ""},
        {with([](auto& s) { s.volume_max = 500 * kScale; }), ""},
        {with([](auto& s) { s.volume_min = kScale / 1000; }), ""},
        {with([](auto& s) { s.volume_step = kScale / 1000; }), ""},
        {with([](auto& s) { s.tick_size = 500; }), "tick size is 5e-06, configured 1e-05"},
        {with([](auto& s) { s.volume_min = kScale / 10; }),
         "smallest volume is 0.1, configured 0.01"},
        {with([](auto& s) { s.volume_step = kScale / 10; }), "volume step is 0.1, configured 0.01"},
        {with([](auto& s) { s.volume_step = 0; }), "volume step is 0, configured 0.01"},
        {with([](auto& s) { s.volume_step = 3 * kScale / 1000; }),
         "volume step is 0.003, configured 0.01"},
        {with([](auto& s) { s.volume_max = 5 * kScale; }), "largest volume is 5, configured 50"},
        {with([](auto& s) {
             s.digits = 6;
             s.volume_max = 1;
         }),
         "digits is 6, configured 5"},
        {with([](auto& s) {
             s.contract_size = kScale;
             s.volume_step = kScale;
         }),
         "contract size is 1, configured 100000"},
        {with([](auto& s) { s.trade_mode = 200; }), ""},
    };
    for (const Case& c : cases) {
        const std::uint64_t before = world.errors("ALERT");
        tell(agreeing());  // or the next one would be no news
        tell(c.told);
        EXPECT_EQ(world.errors("ALERT") - before, *c.said == 0 ? 0U : 1U) << c.said;
        EXPECT_TRUE(*c.said == 0 || world.error_logged(c.said)) << c.said;
    }
}

TEST_F(BrokerSymbol, SaysItOnceUntilTheyHaveAgreedInBetween) {
    bridge::Symbol micro = agreeing();
    micro.contract_size = 1000 * kScale;
    for (int i = 0; i < 3; ++i) {
        tell(micro);
    }
    EXPECT_EQ(world.errors("contract size"), 1U);
    tell(agreeing());
    tell(micro);
    EXPECT_EQ(world.errors("contract size"), 2U);
}

TEST_F(BrokerSymbol, NotesASymbolThatMayNotBeTradedFreely) {
    const char* const words[] = {"not at all", "long only", "short only", "to close only"};
    for (std::uint8_t mode = 0; mode < std::size(words); ++mode) {
        bridge::Symbol one_way = agreeing();
        one_way.trade_mode = mode;
        tell(one_way);
        tell(one_way);
        EXPECT_EQ(
            world.errors(std::string{"account 0: the broker lets EURUSD be traded "} + words[mode]),
            1U);
        tell(agreeing());
    }
    EXPECT_EQ(world.errors("ALERT"), 0U);
}

TEST_F(BrokerSymbol, LetsNoRestrictionHideADifference) {
    bridge::Symbol closing = agreeing();
    closing.trade_mode = 3;
    tell(closing);
    bridge::Symbol micro = closing;
    micro.contract_size = 1000 * kScale;
    tell(micro);
    EXPECT_EQ(world.errors("contract size"), 1U);
    tell(closing);
    EXPECT_EQ(world.errors("to close only"), 1U) << "it was so all the time";
    bridge::Symbol both = agreeing("GBPUSDm");
    both.trade_mode = 0;
    both.digits = 3;
    tell(both);
    both.digits = 5;
    tell(both);
    EXPECT_EQ(world.errors("digits"), 1U);
    EXPECT_EQ(world.errors("GBPUSD be traded not at all"), 1U) << "when that is all there is";
}

TEST_F(BrokerSymbol, NamesEightOfThemAndSaysOfTheOthersThatThereAreMore) {
    for (std::uint32_t i = 0; i < 10; ++i) {
        const std::string name = "S" + std::to_string(i);
        world.define_symbol(10 + i, name);
        bridge::Symbol other = agreeing((name + "m").c_str());
        other.digits = 2;
        tell(other);
    }
    EXPECT_EQ(world.errors("the broker's digits is 2"), 8U);
    EXPECT_EQ(world.errors("ALERT further symbols"), 2U);
}

// A hundred accounts at a broker whose contract expires would leave the log no place for others.
TEST_F(BrokerSymbol, NotesEightThatMayNotBeTradedFreelyAndSaysOfTheOthersThatThereAreMore) {
    for (std::uint32_t i = 0; i < 10; ++i) {
        const std::string name = "S" + std::to_string(i);
        world.define_symbol(10 + i, name);
        bridge::Symbol closing = agreeing((name + "m").c_str());
        closing.trade_mode = 3;
        tell(closing);
        tell(closing);
    }
    EXPECT_EQ(world.errors("account 0: the broker lets S"), 8U);
    EXPECT_EQ(world.errors("further accounts' brokers"), 2U);
    bridge::Symbol other = agreeing();
    other.digits = 2;
    tell(other);
    EXPECT_EQ(world.errors("the broker's digits is 2"), 1U) << "differences are named apart";
}

TEST_F(BrokerSymbol, LeavesAloneWhatIsNotConfigured) {
    for (const char* name : {"XAUUSDm", "NOSUCH", "SNEWm", ""}) {
        bridge::Symbol s = agreeing(name);
        s.contract_size = 1;
        tell(s);
    }
    EXPECT_EQ(world.errors("ALERT"), 0U);
}

TEST_F(BrokerSymbol, EndsTheSessionOverAFrameOfAnotherSize) {
    terminal->send(bridge::FrameType::Symbol, 0, bridge::Heartbeat{});
    EXPECT_TRUE(world.until([&] { return !terminal->connected(); }));
}

}  // namespace
}  // namespace millrace::test
