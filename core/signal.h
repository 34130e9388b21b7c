// Signal: what a source asks for, once, for a whole group of accounts.
#pragma once

#include "core/types.h"

#include <cstddef>

namespace millrace {

enum class Side : std::uint8_t { Buy = 0, Sell = 1 };
[[nodiscard]] constexpr Side opposite(Side s) noexcept {
    return s == Side::Buy ? Side::Sell : Side::Buy;
}

enum class SignalAction : std::uint8_t {
    Open = 1,    // market order or pending, by `price_kind`
    Close = 2,   // of `target`: all (volume 0) or the share volume / opening volume
    Modify = 3,  // of `target`: SL and TP of its positions; price too of its pendings
    Cancel = 4,  // of `target`'s pending orders
};

enum class PriceKind : std::uint8_t { Market = 0, Limit = 1, Stop = 2 };

/// Bits of Signal::flags; others are refused.
/// What meets a closed market (10018) waits for quotes of its symbol, until its time is over (R32).
inline constexpr std::uint8_t kHoldUntilOpen = 1;
inline constexpr std::uint8_t kSignalFlags = kHoldUntilOpen;

/// Default life of a signal from its send stamp (requirement R205).
inline constexpr std::uint32_t kDefaultTtlMs = 30'000;

/// One signal as it lies in a `signals` ring, in the journal and in a bridge frame.
///
///     0        16       32   36   40   44       48 .. 88            96       104  112
///     | id     | target | src| grp| sym| a s k f | vol px sl tp ref  | send    | ttl | reserved |
///
/// Producer: sources (through ingress or the client library), which fill everything but `source`
/// (stamped by the edge). All padding is zero.
struct Signal {
    SignalId id;      // chosen by the source, unique for ever; resending is safe
    SignalId target;  // Close, Modify, Cancel: the opening signal's id
    SourceId source{kNoId};
    GroupId group{kNoId};
    SymbolId symbol{kNoId};
    SignalAction action{};
    Side side{};
    PriceKind price_kind{};
    std::uint8_t flags = 0;    // kHoldUntilOpen
    Lots volume;               // > 0 for Open; Close: share of the opening volume, 0 = all
    Price price;               // Limit, Stop; Modify of a pending
    Price stop_loss;           // 0 = none
    Price take_profit;         // 0 = none
    Price reference_price;     // what the source saw; 0 = the price at acceptance
    Nanos send_time;           // source's send stamp; 0 = receipt at the edge
    std::uint32_t ttl_ms = 0;  // 0 = kDefaultTtlMs; 1..86'400'000
    std::uint32_t reserved = 0;
    Nanos edge_time;  // receipt at the edge, stamped by ingress or the client library
};
static_assert(std::is_trivially_copyable_v<Signal>);
static_assert(sizeof(Signal) == 112);
static_assert(offsetof(Signal, source) == 32 && offsetof(Signal, volume) == 48);
static_assert(offsetof(Signal, send_time) == 88 && offsetof(Signal, ttl_ms) == 96);

enum class ResultKind : std::uint8_t {
    Accepted = 1,      // in the ledger; holds at level `process` on arrival, `disk` once durable
    Refused = 2,       // nothing will be done; see reason
    Duplicate = 3,     // known id; `seq` is the original's, whose level the ack waits for
    OrderDone = 4,     // one account's order reached a final state
    OrderInDoubt = 5,  // one account's order went IN_DOUBT; an OrderDone follows for certain
    SignalDone = 6,    // every order of the signal is final; see accounts, filled, rejected
    OrderWorking = 7,  // one account's pending order works at the broker
};

/// One result as it lies in a `results` ring: what became of a signal.
struct SignalResult {
    Sequence seq;         // journal record that caused it
    std::uint32_t k = 0;  // which output of that record; (seq, k) never repeats in a ring
    ResultKind kind{};
    std::uint8_t ord_status = 0;  // OrdStatus, for OrderDone and OrderInDoubt
    std::uint16_t reason = 0;     // Reason
    SignalId signal;
    SourceId source{kNoId};
    AccountId account{kNoId};
    Lots cum_volume;             // executed
    Price avg_price;             // volume-weighted
    std::uint32_t retcode = 0;   // MT5 trade server return code, 0 = none
    std::uint32_t accounts = 0;  // Accepted: accounts it goes to (close, modify, cancel: orders it
                                 // acts on); SignalDone, Duplicate: orders made
    std::uint32_t filled = 0;    // SignalDone
    std::uint32_t rejected = 0;  // SignalDone: rejected, cancelled or expired
    Sequence original;           // Duplicate: sequence at which the first one was accepted;
                                 // Refused: at which it was refused first, 0 = now
    Nanos time;
    std::uint64_t magic = 0;  // the order's id at the broker
    Nanos edge_time;          // receipt of the signal at the edge, for latency end to end
};
static_assert(std::is_trivially_copyable_v<SignalResult>);
static_assert(sizeof(SignalResult) == 104);

}  // namespace millrace
