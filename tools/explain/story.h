// Story: what the logs hold about one signal, order or account, in the order in which it happened,
// each change with the record that made it and what decided it.
#pragma once

#include "core/effect.h"
#include "core/journal_record.h"
#include "tools/explain/logs.h"
#include "tools/explain/where.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::explain {

/// Entries of one kind that are kept of one order or account: the first and the latest ones.
inline constexpr std::size_t kKept = 64;

/// What is asked about.
struct Subject {
    enum class What : std::uint8_t { Signal, Order, Account } what{};
    SignalId signal;           // Signal; of an Order once it is found
    std::uint64_t intent = 0;  // Order
    AccountId account{kNoId};  // Account
    std::string text;          // as it was asked
};

/// What stands before a row of an order.
enum class RowBefore : std::uint8_t {
    None,       // it is the order's first
    Neighbour,  // the row of the step before it
    LeftOut,    // one that is not kept
};

/// One change of one order: the row that the replica wrote, and the input that made it.
struct Step {
    Effect row;  // an OrderRow
    RowBefore before = RowBefore::None;
    std::optional<JournalRecord> cause;  // nothing: the journal has it no more
    std::vector<std::string> why;        // sentences, with the numbers that decided
};

struct OrderStory {
    std::uint64_t intent = 0;
    AccountId account{kNoId};
    std::vector<Step> steps;
    std::vector<Effect> deals;           // ExecutionRows and AlertRows about it
    std::vector<JournalRecord> reports;  // about it; those that changed it are causes too
    std::uint64_t left_out = 0;          // entries beyond kKept
    std::string sized;                   // by which rule; empty: not known, or no entry
    [[nodiscard]] OrderRow last() const { return steps.back().row.as<OrderRow>(); }
};

struct SignalStory {
    std::vector<JournalRecord> sent;  // the first is the one that counts
    std::vector<Effect> rows;         // SignalRows
    std::vector<std::string> why;     // it was refused as a whole: the numbers that decided
    std::vector<std::string> absent;  // members of its group that got no order, and why
};

/// Something that happened to an account, its link or its settings.
struct AccountEvent {
    bool is_effect = false;
    Effect effect;         // AccountRow, AlertRow
    JournalRecord record;  // SessionUp, SessionDown, SetAccount, kills, definitions
};
struct AccountStory {
    std::vector<AccountEvent> events;
    std::uint64_t left_out = 0;
    std::vector<std::string> limits;
    std::vector<std::string> kills;  // in force
    std::optional<AccountRow> last;
    std::map<std::uint64_t, std::string> remedies;  // intent of an order in doubt: what ends it
};

struct Story {
    Subject subject;
    SignalStory signal;
    std::map<std::uint64_t, OrderStory> orders;  // by intent
    AccountStory account;
    LogRange journal;
    LogRange effects;
    bool effects_cut = false;  // retention has removed the log's beginning
    std::vector<std::string> notices;
    [[nodiscard]] bool found() const noexcept {
        return !orders.empty() || !signal.rows.empty() || !signal.sent.empty() ||
               !account.events.empty() || account.last.has_value();
    }
};

/// Reads both logs once, one after the other, and tells the story.
/// Nothing is written; the pipeline may run or not.
[[nodiscard]] Story tell_story(const Subject& subject, const Where& where);

}  // namespace millrace::explain
