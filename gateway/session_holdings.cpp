// Session, the part that hands on what an account holds: to the replica, which has the books.
#include "core/crc32c.h"
#include "gateway/session.h"

#include <cstdio>
#include <cstring>

namespace millrace {
namespace {

const char* defect_of(const bridge::Holding& h) noexcept {
    const auto kind = static_cast<HoldingKind>(h.kind);
    if (kind != HoldingKind::Position && kind != HoldingKind::Order) {
        return "HOLDING: kind is neither position nor order";
    }
    if (h.side > static_cast<std::uint8_t>(Side::Sell) ||
        h.price_kind > static_cast<std::uint8_t>(PriceKind::Stop)) {
        return "HOLDING: side or price_kind is none that there is";
    }
    return h.volume > 0 ? nullptr : "HOLDING: the volume is not above 0";
}

}  // namespace

/// A list that began anew takes the place of one that never came to its end.
Status Session::on_holding(const wire::Frame& frame, Nanos now) noexcept {
    const auto row = frame.as<bridge::Holding>();
    if (!row) {
        return row.error();
    }
    const bridge::Holding& h = row.value();
    if (h.index == 0) {
        holdings_ = {0, kCrc32cInit, false};
    }
    if (const char* defect = defect_of(h); defect != nullptr) {
        drop_list(defect);
        return ok_status();
    }
    Holding out;
    out.time = now;
    out.account = account_;
    out.index = h.index;
    out.ticket = h.ticket;
    out.magic = Magic{h.magic};
    out.volume = Lots{h.volume};
    out.price = Price{h.price};
    out.stop_loss = Price{h.stop_loss};
    out.take_profit = Price{h.take_profit};
    out.kind = static_cast<HoldingKind>(h.kind);
    out.side = static_cast<Side>(h.side);
    out.price_kind = static_cast<PriceKind>(h.price_kind);
    out.generation = generation_;
    std::memcpy(out.name.bytes, h.symbol, sizeof out.name.bytes);
    out.symbol = symbols_.find(context_->segment.names(), out.name);
    const bool follows = h.index == holdings_.rows;
    ++holdings_.rows;
    holdings_.crc = crc32c_more(holdings_.crc, std::as_bytes(std::span{&h, 1}));
    holdings_.lost = holdings_.lost || !follows || !context_->holdings.publish(out);
    return ok_status();
}

/// A list is for people alone: one that is nonsense must not take its account off the market.
void Session::drop_list(const char* defect) noexcept {
    holdings_.lost = true;
    if (holdings_defect_told_) {
        return;
    }
    holdings_defect_told_ = true;
    char text[sizeof ErrorEntry::text];
    std::snprintf(text, sizeof text, "account %u: %s: its list is not compared with our books",
                  account_.value, defect);
    context_->segment.report_error("broker", text);
}

/// Only a whole list is told to be one: of anything else the end is missing, and what its rows say
/// is forgotten with the next list. It has to be as old as the last event, no older and no younger.
Status Session::on_holdings_end(const wire::Frame& frame, Nanos now) noexcept {
    const auto told = frame.as<bridge::HoldingsEnd>();
    if (!told) {
        return told.error();
    }
    const bridge::HoldingsEnd& end = told.value();
    if (end.count == 0) {
        holdings_ = {0, kCrc32cInit, false};  // there was no row to begin it
    }
    const bool whole = !holdings_.lost && holdings_.rows == end.count &&
                       ~holdings_.crc == end.crc32c && end.event_seq == last_event_;
    Holding out;
    out.time = now;
    out.account = account_;
    out.index = end.count;
    out.kind = HoldingKind::End;
    out.journal_id = journal_id_;
    out.event_seq = end.event_seq;
    out.generation = generation_;
    const bool handed_on = whole && context_->holdings.publish(out);
    tells_holdings_ = true;
    if (handed_on) {
        listed_ = now;
        no_list_told_ = false;
    }
    ++(handed_on ? context_->stats.holdings : context_->stats.holdings_lost);
    holdings_ = {};
    holdings_.lost = true;  // until the next list begins
    return ok_status();
}

}  // namespace millrace
