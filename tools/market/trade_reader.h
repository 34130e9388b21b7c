// Recorded trades as a time-ordered list of signals: what a source would have asked for.
#pragma once

#include "core/result.h"
#include "core/signal.h"
#include "core/types.h"

#include <map>
#include <string>
#include <vector>

namespace millrace::market {

enum class TradeAction : std::uint8_t {
    Open = 1,      // at the market
    PlacePending,  // limit or stop, by `price_kind`
    Modify,        // SL and TP, price too of a pending
    ClosePart,     // `volume` lots of what `key` opened
    CloseAll,
    CancelPending,
};
[[nodiscard]] std::string_view to_string(TradeAction action) noexcept;

struct TradeEvent {
    Nanos time;  // as recorded; the source's own clock where it does not state UTC
    TradeAction action{};
    Side side{};  // of the position or pending, also on closes
    PriceKind price_kind{};
    std::uint64_t key = 0;  // of the opening event, 1-based; the opening event's own number
    Text<16> symbol;
    Text<16> account;
    Lots volume;      // Open, PlacePending: asked for; ClosePart: to close; CloseAll: all of it
    Price price;      // Open: what the source got; PlacePending, Modify: the order's price
    Price stop_loss;  // 0 = none
    Price take_profit;
    std::uint64_t line = 0;  // in the file
};

struct TradeReport {
    std::map<std::string, std::uint64_t> rows;       // by the source's event name
    std::map<std::string, std::uint64_t> events;     // by TradeAction
    std::map<std::string, std::uint64_t> symbols;    // events by symbol
    std::map<std::string, std::uint64_t> left_out;   // why -> rows
    std::map<std::string, std::uint64_t> by_broker;  // server's doing in the source: no signals
    std::vector<std::string> examples;               // "file:line: why", the first few left out
    std::uint64_t malformed = 0;
    Nanos first_time;
    Nanos last_time;
};

struct TradeFile {
    std::vector<TradeEvent> events;  // by time, file order among equals
    TradeReport report;
};

/// Reads a file with the header `time_ms,account,symbol,side,volume,price,sl,tp,comment,event,...`
/// (plain or gzip): MT4 statements, MT4 tester reports, MT5 reports, multi-account logs.
///
/// A pending that filled in the source is placed here, and what the source closed later is closed
/// by its key. Closes that the source's server made at a stop loss or take profit that the event
/// carries are no signals: the broker will do them; where the level had been moved by changes that
/// the source does not show, the close is kept as a signal. Stops on the wrong side of the price
/// (a statement holds the last ones) are left out.
/// @return Errc::IoError with errno; Errc::BadInput if the header is another.
[[nodiscard]] Result<TradeFile> read_trades(const std::string& path);

/// The report in a few lines for a human.
[[nodiscard]] std::string describe(const TradeReport& report);

}  // namespace millrace::market
