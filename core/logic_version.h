// The version of the engine's decisions: two builds with the same number decide alike, for ever.
#pragma once

#include <cstdint>

namespace millrace {

/// Raised with every change of what apply() puts out or of the state's layout. A log continues only
/// under the number it was written with; `millrace upgrade` begins a new epoch under another.
/// 4: groups pause, accounts and groups are removed, working orders hold no result slot.
/// 5: tag and logins stay while orders or positions live that go by them.
/// 6: 10015 of a market order is tried once more, without quotes it waits between attempts, and
///    what cannot be an answer (10008 to a cancel, 10025 to an entry) leaves the order IN_DOUBT.
/// 7: a close waits for the end of those that have claimed all of its position; on a hedging
///    account a deal closes shares of its own position alone.
/// 8: entries leave an eighth of the table of orders to closes, modifies and cancels, of which 16
///    may act on one order at a time; limits of accounts and groups, halts after losses; the rate
///    learns.
/// 9: a close waits for those that have claimed any part of what it would close; numbers beyond
///    signal_bounds.h are refused whichever way they come; accounts' rows tell what they are once
///    their link is up.
/// 10: a part close waits for its own share alone, and any for as long as it may: in its last
///    second it takes what is free; one that waits for its next attempt keeps nothing from
///    others. What is sized to more than any symbol takes is refused by all; that a broker's
///    answer stops an account is told while the account is reconciled too. With a segment the
///    end of the log of accounts of gate level `process` may be lost: what waited there is
///    looked up, and never sent again. An entry that is filled too far from its reference stops
///    its account's entries; 10019 is alerted; a signal may ask to be held while its market is
///    closed. Entries leave the places that a close of the largest group takes. A repeated
///    order may be told in place of refused. Symbols have limits over all accounts.
/// 11: limits in money, with rates of currencies as inputs; net limits of groups; hours of accounts
///    and symbols, and the week's end; the free margin that a terminal tells; how often orders are
///    changed; collars in points and spreads. An account's share of equity is converted.
///    A second execution of one order is closed; groups refill or close what was done in part, an
///    account closes what slipped. 10017 of a symbol blocks that symbol alone. A broker out of its
///    executor's reach makes its account wait; one that its user stopped closes on.
/// 12: a close that is executed after it was over is booked; the engine's own closes go on until
///    the position is gone; entries of an account that is out may go to its standby; 10042 to 10044
///    block a side or a symbol; entries wait for a configuration only where it renames a currency.
/// The newest number is settled by the release that has it first: a directory that a build of
/// before that release wrote under it may replay to another state, and is not kept.
inline constexpr std::uint32_t kLogicVersion = 12;

/// The version of this program, stamped into Start records and snapshots. kLogicVersion; a test's
/// program that plays another build links a definition of its own before this library's.
[[nodiscard]] std::uint32_t logic_version() noexcept;

}  // namespace millrace
