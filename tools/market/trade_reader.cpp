#include "tools/market/trade_reader.h"

#include "core/assert.h"
#include "tools/market/decimal.h"
#include "tools/market/line_reader.h"
#include "tools/market/text.h"
#include "tools/market/trade_book.h"

#include <algorithm>
#include <tuple>

namespace millrace::market {
namespace {

constexpr std::string_view kHeader =
    "time_ms,account,symbol,side,volume,price,sl,tp,comment,event,ticket,position";
constexpr std::size_t kColumns = 19;
constexpr std::size_t kExamplesMax = 5;

// One row's numbers; empty means 0.
bool parse_or_zero(std::string_view text, std::int64_t& value) {
    if (text.empty()) {
        value = 0;
        return true;
    }
    const auto parsed = parse_decimal(text);
    value = parsed.ok() ? parsed.value() : 0;
    return parsed.ok();
}

bool parse_ticket(std::string_view text, std::uint64_t& value) {
    if (text.empty()) {
        value = 0;
        return true;
    }
    const auto parsed = parse_scaled(text, 0, Excess::Refuse);
    value = parsed.ok() ? static_cast<std::uint64_t>(parsed.value()) : 0;
    return parsed.ok() && parsed.value() >= 0;
}

const char* parse_row(std::string_view line, TradeRow& row) {
    std::string_view f[kColumns];
    if (split(line, ',', f, kColumns) < 12) {
        return "too few columns";
    }
    const auto time = parse_millis_ns(f[0]);
    if (!time) {
        return "time_ms is not a number";
    }
    row.time = Nanos{time.value()};
    row.account = f[1];
    row.symbol = f[2];
    row.comment = f[8];
    row.event = f[9];
    std::string_view side = f[3];
    row.side = side.starts_with("buy")    ? std::optional{Side::Buy}
               : side.starts_with("sell") ? std::optional{Side::Sell}
                                          : std::nullopt;
    row.price_kind = side.ends_with(" limit")  ? PriceKind::Limit
                     : side.ends_with(" stop") ? PriceKind::Stop
                                               : PriceKind::Market;
    const bool numbers =
        parse_or_zero(f[4], row.volume.value) && parse_or_zero(f[5], row.price.value) &&
        parse_or_zero(f[6], row.stop_loss.value) && parse_or_zero(f[7], row.take_profit.value);
    if (!numbers) {
        return "volume, price, sl or tp is not a decimal number";
    }
    if (!parse_ticket(f[10], row.ticket) || !parse_ticket(f[11], row.position)) {
        return "ticket or position is not a number";
    }
    row.has_profit = !f[12].empty() && parse_or_zero(f[12], row.profit);
    return nullptr;
}

// Level in "sl 4353.90" or "tp 4366.86" of an MT5 comment; 0 = none.
Price level_in(std::string_view comment) {
    if (comment.size() > 3 && (comment.starts_with("sl ") || comment.starts_with("tp "))) {
        const auto price = parse_decimal(comment.substr(3));
        return Price{price.ok() ? price.value() : 0};
    }
    return Price{};
}

class Reader {
public:
    explicit Reader(std::string path) : path_{std::move(path)} {}

    void take(const TradeRow& row) {
        ++file_.report.rows[std::string{row.event}];
        if (row.event == "balance") {
            return leave_out(row, "balance row");
        }
        if (row.symbol.empty() || row.symbol.size() > 16) {
            return leave_out(row, "no symbol");
        }
        if (!row.side) {
            return leave_out(row, "neither buy nor sell");
        }
        if (row.event == "open" || row.event == "open_at_report") {
            return open_mt4(row);
        }
        if (row.event == "place" || row.event == "working_at_report" ||
            row.event == "order_place") {
            return place(row);
        }
        if (row.event == "deal_in") {
            return deal_in(row);
        }
        if (row.event == "deal_out") {
            return deal_out(row);
        }
        if (row.event == "modify") {
            return modify(row);
        }
        if (row.event == "cancel" || row.event == "delete" || row.event == "order_canceled") {
            return cancel(row);
        }
        if (row.event.starts_with("close")) {
            return close_mt4(row);
        }
        if (row.event == "order_filled") {
            return;  // its deal says more
        }
        leave_out(row, "event of a kind that is no signal: " + std::string{row.event});
    }

    void malformed(std::uint64_t line, const char* what) {
        ++file_.report.malformed;
        example(line, what);
    }

    TradeFile finish() {
        TradeReport& report = file_.report;
        std::sort(file_.events.begin(), file_.events.end(),
                  [](const TradeEvent& a, const TradeEvent& b) {
                      return std::tie(a.time, a.line) < std::tie(b.time, b.line);
                  });
        for (const TradeEvent& event : file_.events) {
            ++report.events[std::string{to_string(event.action)}];
            ++report.symbols[std::string{view_of(event.symbol)}];
        }
        if (!file_.events.empty()) {
            report.first_time = file_.events.front().time;
            report.last_time = file_.events.back().time;
        }
        return std::move(file_);
    }

private:
    using Id = TradeBook::Id;

    static Id id_of(const TradeRow& row) {
        return {std::string{row.account}, row.position != 0 ? row.position : row.ticket};
    }

    void example(std::uint64_t line, const std::string& why) {
        if (file_.report.examples.size() < kExamplesMax) {
            file_.report.examples.push_back(path_ + ":" + std::to_string(line) + ": " + why);
        }
    }

    void leave_out(const TradeRow& row, const std::string& why) {
        ++file_.report.left_out[why];
        if (why != "balance row") {
            example(row.line, why);
        }
    }

    TradeEvent& emit(const TradeRow& row, TradeAction action, const OpenTrade& trade) {
        TradeEvent event;
        event.time = row.time;
        event.action = action;
        event.side = trade.side;
        event.price_kind = trade.price_kind;
        event.key = trade.key;
        event.symbol = trade.symbol;
        event.account = trade.account;
        event.volume = row.volume;
        event.price = row.price;
        event.stop_loss = row.stop_loss;
        event.take_profit = row.take_profit;
        event.line = row.line;
        file_.events.push_back(event);
        return file_.events.back();
    }

    // A new opening: market trade or pending. Stops that the price makes impossible are dropped.
    void begin(const TradeRow& row, const Id& id, TradeAction action) {
        ASSERT(row.side.has_value());  // rows without one are left out before
        TradeRow clean = row;
        file_.report.left_out["stop on the wrong side of the price (stop only)"] +=
            drop_impossible_stops(*row.side, row.price, clean.stop_loss, clean.take_profit);
        OpenTrade trade;
        trade.key = ++last_key_;
        trade.side = *row.side;
        trade.price_kind = row.price_kind;
        trade.pending = action == TradeAction::PlacePending;
        trade.volume = row.volume;
        trade.price = row.price;
        trade.stop_loss = clean.stop_loss;
        trade.take_profit = clean.take_profit;
        trade.symbol = to_text<16>(row.symbol);
        trade.account = to_text<16>(row.account);
        emit(clean, action, book_.add(id, trade));
    }

    void filled(const TradeRow& row, OpenTrade& trade) {
        ++file_.report.by_broker["pending filled"];
        trade.pending = false;
        trade.price = row.price;
        trade.volume = row.volume;
    }

    void open_mt4(const TradeRow& row) {
        const Id id = id_of(row);
        if (OpenTrade* trade = book_.find(id)) {
            if (trade->pending) {
                return filled(row, *trade);
            }
            return leave_out(row, "open of a trade that is open already");
        }
        if (rest_due_ && row.time == rest_time_) {
            if (const auto rest = book_.match_rest(row)) {
                rest_due_ = false;
                ++file_.report.by_broker["rest of a partial close under a new number"];
                return book_.rename(*rest, id);
            }
        }
        if (row.volume.value <= 0) {
            return leave_out(row, "volume is not above 0");
        }
        begin(row, id, TradeAction::Open);
    }

    void place(const TradeRow& row) {
        if (row.price_kind == PriceKind::Market) {
            // MT5 market order: its deal is the event, but only this row has the stops.
            stops_[id_of(row)] = {row.stop_loss, row.take_profit};
            return;
        }
        if (book_.find(id_of(row)) != nullptr) {
            return leave_out(row, "pending placed twice");
        }
        if (row.volume.value <= 0 || row.price.value <= 0) {
            return leave_out(row, "pending without volume or price");
        }
        begin(row, id_of(row), TradeAction::PlacePending);
    }

    void deal_in(const TradeRow& row) {
        const Id id = id_of(row);
        if (OpenTrade* trade = book_.find(id)) {
            return filled(row, *trade);
        }
        if (row.volume.value <= 0) {
            return leave_out(row, "volume is not above 0");
        }
        TradeRow full = row;
        if (const auto stops = stops_.find(id); stops != stops_.end()) {
            std::tie(full.stop_loss, full.take_profit) = stops->second;
        }
        begin(full, id, TradeAction::Open);
    }

    void deal_out(const TradeRow& row) {
        const auto id = book_.match_close(row);
        if (!id) {
            return leave_out(row, "close without an open");
        }
        const Price level = level_in(row.comment);
        const OpenTrade& trade = *book_.find(*id);
        const bool by_server =
            level.value != 0 && (level == trade.stop_loss || level == trade.take_profit);
        close(row, *id, by_server, level.value != 0);
    }

    void close_mt4(const TradeRow& row) {
        const Id id = id_of(row);
        const OpenTrade* trade = book_.find(id);
        if (trade == nullptr) {
            return leave_out(row, "close without an open");
        }
        const bool at_sl = row.event == "close_sl" || row.comment.ends_with("[sl]");
        const bool at_tp = row.event == "close_tp" || row.comment.ends_with("[tp]");
        const bool by_server =
            (at_sl && trade->stop_loss.value != 0) || (at_tp && trade->take_profit.value != 0);
        close(row, id, by_server, at_sl || at_tp);
    }

    void close(const TradeRow& row, const Id& id, bool by_server, bool at_stop) {
        OpenTrade& trade = *book_.find(id);
        if (by_server) {
            ++file_.report.by_broker["closed at stop loss or take profit"];
            return book_.remove(id);
        }
        if (at_stop) {
            ++file_.report.by_broker["closed at a stop that was moved unseen (kept as a close)"];
        }
        TradeRow clean = row;
        clean.stop_loss = clean.take_profit = Price{0};
        const bool part = row.volume.value > 0 && row.volume < trade.volume;
        emit(clean, part ? TradeAction::ClosePart : TradeAction::CloseAll, trade);
        if (!part) {
            return book_.remove(id);
        }
        trade.volume = trade.volume - row.volume;
        rest_due_ = true;
        rest_time_ = row.time;
    }

    void modify(const TradeRow& row) {
        OpenTrade* trade = book_.find(id_of(row));
        if (trade == nullptr) {
            return leave_out(row, "change of a trade that is not open");
        }
        trade->stop_loss = row.stop_loss;
        trade->take_profit = row.take_profit;
        trade->price = trade->pending && row.price.value > 0 ? row.price : trade->price;
        emit(row, TradeAction::Modify, *trade);
    }

    void cancel(const TradeRow& row) {
        const Id id = id_of(row);
        OpenTrade* trade = book_.find(id);
        if (trade == nullptr || !trade->pending) {
            return leave_out(row, "cancel of an order that is not working");
        }
        TradeRow clean = row;
        clean.volume = trade->volume;
        emit(clean, TradeAction::CancelPending, *trade);
        book_.remove(id);
    }

    std::string path_;
    TradeFile file_;
    TradeBook book_;
    std::map<Id, std::pair<Price, Price>> stops_;  // MT5 market orders: SL, TP
    std::uint64_t last_key_ = 0;
    bool rest_due_ = false;
    Nanos rest_time_;
};

void append_counts(std::string& out, const char* title,
                   const std::map<std::string, std::uint64_t>& counts) {
    out += std::string{title} + ":";
    const char* separator = " ";
    for (const auto& [name, count] : counts) {
        if (count > 0) {
            out += separator + name + " " + std::to_string(count);
            separator = ", ";
        }
    }
    out += "\n";
}

}  // namespace

std::string_view to_string(TradeAction action) noexcept {
    switch (action) {
        case TradeAction::Open: return "open";
        case TradeAction::PlacePending: return "place pending";
        case TradeAction::Modify: return "modify";
        case TradeAction::ClosePart: return "close part";
        case TradeAction::CloseAll: return "close all";
        case TradeAction::CancelPending: return "cancel pending";
    }
    return "unknown";
}

Result<TradeFile> read_trades(const std::string& path) {
    auto lines = LineReader::open(path);
    if (!lines) {
        return lines.error();
    }
    std::string_view line;
    if (!lines.value().next(line) || !line.starts_with(kHeader)) {
        return {Errc::BadInput,
                "no trade file: the first line must be time_ms,account,symbol,side,volume,price,"
                "sl,tp,comment,event,ticket,position,..."};
    }
    Reader reader{path};
    while (lines.value().next(line)) {
        if (line.empty()) {
            continue;
        }
        TradeRow row;
        row.line = lines.value().line_number();
        if (const char* what = parse_row(line, row); what != nullptr) {
            reader.malformed(row.line, what);
        } else {
            reader.take(row);
        }
    }
    if (!lines.value().damage().empty()) {
        reader.malformed(lines.value().line_number(), "the file is damaged from here on");
    }
    return reader.finish();
}

std::string describe(const TradeReport& report) {
    std::string out;
    append_counts(out, "signals", report.events);
    append_counts(out, "symbols", report.symbols);
    append_counts(out, "left to the broker", report.by_broker);
    append_counts(out, "left out", report.left_out);
    out += "malformed rows: " + std::to_string(report.malformed) + "\n";
    for (const std::string& example : report.examples) {
        out += "  " + example + "\n";
    }
    return out;
}

}  // namespace millrace::market
