// Goal: a journal that is made of what a store knows trades on no account whose entries somebody,
// or something, had stopped; what no store says is taken as the worse, and named. Method: account
// rows by hand, as engines of this build and of one before write them; the engine that begins from
// the new directory.
#include "tools/millrace/recover_build.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "persist/engine_recovery.h"
#include "tests/ops/temp_dir.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/start_check.h"

namespace millrace {
namespace {

constexpr std::uint8_t kPermitted = 1;

/// As Engine::account_row() tells what an account is once its link is up.
constexpr std::uint8_t told(AccountState state) {
    return static_cast<std::uint8_t>(kPermitted | static_cast<unsigned>(state) << 1U | 0x80U);
}

class RecoverBuild : public ::testing::Test {
protected:
    void SetUp() override {
        config_.name = "build-" + std::to_string(::getpid());
        config_.journal.dir = dir_ / "journal";
        stored_.where = "a store";
        stored_.instance = 7;
        stored_.cursor = {1, Sequence{50}, 1, 99};
        stored_.latest = seconds(1'000);
    }
    void add(const std::string& name, AccountState shown, LinkState link,
             std::uint8_t permissions) {
        const AccountId id{static_cast<std::uint32_t>(config_.accounts.size())};
        AccountConfig account;
        account.name = name;
        account.login = id.value + 1;
        config_.accounts.push_back(account);
        DefinitionRow definition;
        definition.kind = 'A';
        definition.id = id.value;
        std::copy(name.begin(), name.end(), definition.name.bytes);
        stored_.definitions.push_back(definition);
        AccountRow row;
        row.account = id;
        row.state = shown;
        row.link = link;
        row.permissions = permissions;
        stored_.accounts.push_back(row);
    }
    /// An account of one position a symbol, with one open in it.
    void add_netting(const std::string& name, AccountState shown, LinkState link,
                     std::uint8_t permissions) {
        add(name, shown, link, permissions);
        AccountConfig& account = config_.accounts.back();
        account.margin_mode = MarginMode::Netting;
        if (config_.symbols.empty()) {
            SymbolConfig symbol;
            symbol.name = "EURUSD";
            config_.symbols.push_back(symbol);
        }
        const std::uint64_t n = config_.accounts.size();
        SignalRow signal;
        signal.id = SignalId{0, n};
        signal.source = SourceId{0};
        stored_.signals.push_back(signal);
        RestoredOrder order;
        order.row.account = stored_.accounts.back().account;
        order.row.symbol = SymbolId{0};
        order.row.signal = signal.id;
        order.row.type = static_cast<std::uint8_t>(CommandType::Open);
        order.row.magic = Magic::make(config_.risk.magic_tag, n, 0);
        order.row.status = OrdStatus::Filled;
        order.row.volume = order.row.cum_volume = order.open_volume = Lots{2 * kScale};
        stored_.orders.push_back(order);
        stored_.intent = n;
    }
    RecoveredJournal build() {
        std::string message;
        const auto made = build_journal(config_, stored_, false, message);
        EXPECT_TRUE(made.ok()) << message;
        return made ? made.value() : RecoveredJournal{};
    }
    /// Of each account, by the new directory's engine.
    std::vector<AccountState> wanted() {
        Engine engine{capacity_of(config_, config_.accounts_max)};
        std::string message;
        EXPECT_TRUE(load_state(config_.journal.dir, Sequence{UINT64_MAX}, engine, message).ok())
            << message;
        std::vector<AccountState> states;
        for (std::uint32_t i = 0; i < config_.accounts.size(); ++i) {
            states.push_back(engine.account(AccountId{i}).wanted);
        }
        return states;
    }

    test::TempDir dir_;
    Config config_;
    StoredState stored_;
};

using Names = std::vector<std::string>;
using States = std::vector<AccountState>;

TEST_F(RecoverBuild, TradesOnNoAccountThatMayHaveBeenHaltedWhenItsLinkWasDown) {
    // What Reconciling hides: a build before did not say it.
    add("lost", AccountState::Reconciling, LinkState::Down, kPermitted);
    add("syncing", AccountState::Reconciling, LinkState::Syncing, kPermitted);
    add("trading", AccountState::Trading, LinkState::Up, kPermitted);
    add("halted", AccountState::ReduceOnly, LinkState::Up, kPermitted);
    EXPECT_EQ(build().unsure, (Names{"lost", "syncing"}));
    EXPECT_EQ(wanted(), (States{AccountState::ReduceOnly, AccountState::ReduceOnly,
                                AccountState::Trading, AccountState::ReduceOnly}));
}

TEST_F(RecoverBuild, TakesWhatTheRowSaysAnAccountIsOnceItsLinkIsUp) {
    add("trading", AccountState::Reconciling, LinkState::Down, told(AccountState::Trading));
    add("halted", AccountState::Reconciling, LinkState::Down, told(AccountState::ReduceOnly));
    add("disabled", AccountState::Disabled, LinkState::Down, told(AccountState::Disabled));
    // The terminal's own refusal is told anew by each session.
    add("refused", AccountState::Suspended, LinkState::Up,
        static_cast<std::uint8_t>(told(AccountState::Trading) & ~kPermitted));
    EXPECT_EQ(build().unsure, Names{});
    EXPECT_EQ(wanted(), (States{AccountState::Trading, AccountState::ReduceOnly,
                                AccountState::Disabled, AccountState::Trading}));
}

TEST_F(RecoverBuild, LetsNoCloseIntoANettingPositionThatNobodyHasComparedYet) {
    add_netting("trading", AccountState::Trading, LinkState::Up, told(AccountState::Trading));
    add_netting("halted", AccountState::ReduceOnly, LinkState::Up, told(AccountState::ReduceOnly));
    // What its link hides, but not the row; and what the row hides too.
    add_netting("lost", AccountState::Reconciling, LinkState::Down, told(AccountState::ReduceOnly));
    add_netting("unsure", AccountState::Reconciling, LinkState::Down, kPermitted);
    add_netting("disabled", AccountState::Disabled, LinkState::Up, told(AccountState::Disabled));
    const RecoveredJournal made = build();
    EXPECT_EQ(made.open_positions, 5U);
    EXPECT_EQ(wanted(),
              (States{AccountState::Inactive, AccountState::Inactive, AccountState::Inactive,
                      AccountState::Inactive, AccountState::Disabled}));
    Names paused;
    std::vector<bool> stopped;
    for (const PausedAccount& account : made.paused) {
        paused.push_back(account.name);
        stopped.push_back(account.entries_stopped);
    }
    EXPECT_EQ(paused, (Names{"trading", "halted", "lost", "unsure"}));
    EXPECT_EQ(stopped, (std::vector<bool>{false, true, true, true}));
    EXPECT_EQ(made.unsure, Names{}) << "it is paused, not reduce-only";
}

TEST_F(RecoverBuild, TakesANameThatWasRemovedForGoodForANewAccountAsAnyStartDoes) {
    add("gone", AccountState::Removed, LinkState::Down, told(AccountState::Removed));
    add("other", AccountState::ReduceOnly, LinkState::Up, told(AccountState::ReduceOnly));
    stored_.definitions[0].state = static_cast<std::uint8_t>(GroupState::Removed);
    (void)build();
    std::string message;
    const auto ids = IdBook::load(config_.journal.dir, message);
    ASSERT_TRUE(ids.ok()) << message;
    EXPECT_EQ(ids.value().find(NameKind::Account, "gone"), 2U) << "another id";
    EXPECT_EQ(ids.value().find(NameKind::Account, "other"), 1U);
    EXPECT_EQ(wanted()[1], AccountState::ReduceOnly);
}

TEST_F(RecoverBuild, SaysThatLossesAreMeasuredAnewIfAnyAccountHasALimitOfThem) {
    add("a", AccountState::Trading, LinkState::Up, kPermitted);
    std::string message;
    const auto without = build_journal(config_, stored_, true, message);
    ASSERT_TRUE(without.ok()) << message;
    EXPECT_FALSE(without.value().watches_losses);
    config_.accounts[0].limits.max_drawdown = Money{500 * kScale};
    EXPECT_TRUE(build().watches_losses);
}

}  // namespace
}  // namespace millrace
