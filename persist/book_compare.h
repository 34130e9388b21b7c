// What a broker has and our books have not, or the other way round: one account's list of what it
// holds against the engine's positions and working orders. Pure.
#pragma once

#include "core/engine.h"
#include "shm/holding.h"

#include <bitset>
#include <span>
#include <string>
#include <vector>

namespace millrace {

enum class DifferenceKind : std::uint8_t {
    NotInBooks = 1,   // ours by its magic
    NotAtBroker = 2,  // the books have it open
    Volume = 3,       // or side
    Stops = 4,        // stop loss, take profit, an order's price
    Foreign = 5,      // not ours: no fault, named once
};

struct Difference {
    DifferenceKind kind{};
    bool is_order = false;  // works at the broker; else a position
    bool nets = false;      // a position of a netting account: ours and others' together
    AccountId account{kNoId};
    SymbolId symbol{kNoId};
    Text<16> name;               // of the symbol: ours, or the broker's if we have none
    std::uint64_t ticket = 0;    // the broker's; 0 = the books do not know it
    std::int64_t at_broker = 0;  // 1e-8 lots, short below 0
    std::int64_t in_books = 0;
    Price stops[2];  // stop loss and take profit at the broker, then in the books
    Price book_stops[2];
    Price prices[2];  // of an order: at the broker, in the books

    friend bool operator==(const Difference&, const Difference&) = default;
};

/// True if `a` and `b` are one thing to see to. What others deal moves a netting position: as long
/// as it differs, it is the same one whatever the volumes.
[[nodiscard]] bool is_same(const Difference& a, const Difference& b) noexcept;

struct Comparison {
    std::vector<Difference> found;
    /// Symbols with something on its way, by id: they were not compared.
    std::bitset<kSymbolsMax> busy;
};

/// @param list rows of positions and orders, all that the account had when the last event that
/// `engine` has applied was told. On hedging accounts position by position; on netting ones by
/// symbol, and without stops. Prices are held to differ from
/// one tick of the symbol on: executors round to it.
[[nodiscard]] Comparison compare(const Engine& engine, AccountId account,
                                 std::span<const Holding> list);

/// For a person, who has to mend it: account, symbol, both sides, what to do. Fits into the error
/// log. One that is foreign is no alert.
[[nodiscard]] std::string text_of(const Difference& d);

}  // namespace millrace
