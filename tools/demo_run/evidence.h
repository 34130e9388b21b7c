// Evidence: the simulated broker's own books, arranged by what the verdict asks: which intents were
// executed, by how many orders, for which signal.
#pragma once

#include "tools/simbroker/books.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace millrace::demo {

/// An order of ours at the broker: all attempts of one intent on one account together.
struct Execution {
    CommandType command{};
    std::string comment;             // base32 of the signal's id
    std::set<std::uint64_t> orders;  // tickets of the broker's orders that have a deal
    std::int64_t volume = 0;         // of their deals, 1e-8 lots
};

/// First 80 bits of a signal's id in base32, as it stands in an order's comment (the engine writes
/// it there; this is written apart from it, so that neither proves itself).
[[nodiscard]] std::string comment_of(const SignalId& id);

/// A command that the broker's terminal had already: sent to it more than once, under one magic.
struct Repeat {
    std::uint64_t login = 0;
    std::uint64_t intent = 0;
    CommandType command{};
    std::uint64_t seq = 0;  // the number under which it came again
    std::string comment;    // base32 of the signal's id
};

/// What a Modify or Cancel of ours did at the broker.
struct Change {
    CommandType command{};
    bool of_position = false;  // Modify: its stops; else a pending order's price and stops
    std::int64_t price = 0;    // pending: the trigger price after it
    std::int64_t stop_loss = 0;
    std::int64_t take_profit = 0;
};

/// One deal on a position, whoever asked for it.
struct BookedDeal {
    Nanos time;  // the broker's, wall clock
    std::uint64_t login = 0;
    std::uint64_t position = 0;
    std::int64_t volume = 0;  // 1e-8 lots
    std::int64_t left = 0;    // signed volume of the position after it
    bool is_in = false;       // opens the position or adds to it; else takes from it or turns it
    bool is_turn = false;     // beyond nothing, to the other side
    bool is_ours = false;     // asked for by a command of ours
    CommandType command{};    // ours: of that command
    std::string comment;      // ours: base32 of the command's signal
};

class Evidence {
public:
    using Key = std::pair<std::uint64_t, std::uint64_t>;  // login, intent
    /// By login and comment: tickets.
    using Tickets = std::map<std::pair<std::uint64_t, std::string>, std::set<std::uint64_t>>;

    /// @param magic_tag orders with another one are foreign and only counted.
    explicit Evidence(std::uint64_t magic_tag) : tag_{magic_tag} {}

    /// Takes the records in their order.
    void add(const sim::BookRecord& record);

    /// What was executed for one intent, nullptr if nothing.
    [[nodiscard]] const Execution* find(std::uint64_t login, std::uint64_t intent) const;
    /// What a Modify or Cancel changed, nullptr if nothing. One that asked for what was so already
    /// counts as done.
    [[nodiscard]] const Change* changed(std::uint64_t login, std::uint64_t intent) const;
    /// True if a pending order of this intent still works: neither filled nor cancelled.
    [[nodiscard]] bool works(std::uint64_t login, std::uint64_t intent) const;
    /// Pending orders that were placed, filled or not.
    [[nodiscard]] const Tickets& placed() const noexcept { return placed_by_signal_; }
    /// True if a pending order of this opening, which nobody filled or cancelled, worked on this
    /// account all the time from `from` to `to` (wall clock).
    [[nodiscard]] bool worked(std::uint64_t login, const std::string& comment, Nanos from,
                              Nanos to) const;
    /// Logins on which an Open with this comment was executed, each with the tickets that did it.
    [[nodiscard]] const std::map<std::uint64_t, std::set<std::uint64_t>>& opened(
        const std::string& comment) const;

    /// Intents by which closes with this comment were executed on one account.
    [[nodiscard]] std::size_t closing_intents(std::uint64_t login,
                                              const std::string& comment) const;
    /// True if any order with this comment was executed on this account.
    [[nodiscard]] bool executed_on(std::uint64_t login, const std::string& comment) const;
    /// All of them, in their order.
    [[nodiscard]] const std::vector<BookedDeal>& all_deals() const noexcept { return all_deals_; }
    /// Logins on which any order with this comment was executed.
    [[nodiscard]] std::size_t executed_accounts(const std::string& comment) const;
    [[nodiscard]] const std::map<Key, Execution>& executions() const noexcept { return by_intent_; }
    /// What was sent twice and not executed twice, because the terminal's own journal knew it. That
    /// is the terminal's merit: one that has lost its journal executes such a thing again.
    [[nodiscard]] const std::vector<Repeat>& repeats() const noexcept { return repeats_; }
    [[nodiscard]] std::uint64_t deals() const noexcept { return deals_; }
    [[nodiscard]] std::uint64_t own_deals() const noexcept { return own_deals_; }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

private:
    void add_order(const sim::BookRecord& record);
    void add_deal(const sim::BookRecord& record);
    void add_change(const sim::BookRecord& record);
    struct Placed {
        CommandType command{};
        std::uint64_t magic = 0;
        std::string comment;
        Nanos from;
        Nanos over;  // first deal, or cancelled; 0 = neither
    };

    std::uint64_t tag_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, Placed> placed_;  // login, order ticket
    std::map<Key, Execution> by_intent_;
    std::map<std::string, std::map<std::uint64_t, std::set<std::uint64_t>>> opened_;
    std::map<std::string, std::set<std::uint64_t>> executed_on_;
    std::map<Key, Change> changed_;
    std::map<Key, std::set<std::uint64_t>> working_;  // tickets
    Tickets placed_by_signal_;
    /// By login and comment: intents.
    std::map<std::pair<std::uint64_t, std::string>, std::set<std::uint64_t>> closed_by_;
    std::vector<BookedDeal> all_deals_;
    std::vector<Repeat> repeats_;
    std::uint64_t deals_ = 0;
    std::uint64_t own_deals_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace millrace::demo
