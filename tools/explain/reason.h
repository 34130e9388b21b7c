// Why an order came to be as it is: the engine's reason in words, with the numbers that decided.
#pragma once

#include "core/effect.h"
#include "core/engine.h"
#include "tools/explain/book.h"
#include "tools/explain/standing.h"

#include <optional>
#include <string>
#include <vector>

namespace millrace::explain {

/// One change of an order, and all that may have decided it.
struct Decision {
    OrderRow row;
    std::optional<OrderRow> before;      // as it stood; nothing: it was made here
    Nanos before_time;                   // since when
    std::optional<JournalRecord> cause;  // the record that made the change
    std::optional<Signal> signal;
    Price reference;  // what the price was compared with; 0 = not known
    const Standing* standing = nullptr;
    const Engine* engine = nullptr;  // the state before that record; nullptr: not known
    const Book* book = nullptr;
};

/// Sentences: the reason first, then the numbers. Empty for a change that needs none.
[[nodiscard]] std::vector<std::string> why(const Decision& decision);

/// What decided that a signal was refused as a whole; empty where the reason says it all.
/// @param record of the journal, with the signal.
[[nodiscard]] std::vector<std::string> why_refused(Reason reason, const JournalRecord& record,
                                                   const Standing& standing, const Book& book);

/// By which rule the volume came about: `0.5 = signal 1 x 0.5, in steps of 0.01`; empty: not known.
[[nodiscard]] std::string sized_by(const Decision& decision);

/// What would end the doubt about an order.
[[nodiscard]] std::string remedy(const OrderRow& row, bool link_up, const std::string& account);

/// A record of the journal as a cause, in a few words:
/// `report OUTCOME 10009 DONE (done), deal 5: 0.1 at 1.085`.
/// @param about the order that it is about, if it is known: some codes mean another thing to
/// another command.
[[nodiscard]] std::string cause_text(const JournalRecord& record, const Book& book,
                                     const OrderRow* about = nullptr);

/// What the broker's code means to this order's command.
[[nodiscard]] inline RetcodeClass class_of(std::uint32_t code, const OrderRow& row) noexcept {
    return classify(code, static_cast<CommandType>(row.type), row.price_kind);
}

/// `SET_ACCOUNT INACTIVE by alice (uid 0) on host1`
[[nodiscard]] std::string admin_text(const AdminRecord& record, const Book& book);

/// Records that a configuration is made of.
[[nodiscard]] bool is_definition(AdminOp op) noexcept;

/// ` by alice (uid 0) on host1, record 17, 2026-11-22T...`; or ` (as configured now)`.
[[nodiscard]] std::string said_by(const Note& note);

}  // namespace millrace::explain
