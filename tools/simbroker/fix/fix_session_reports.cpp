// What a FIX client is told: execution reports from the books' records, rejects, quotes.
#include "gateway/fix/values.h"
#include "tools/market/text.h"
#include "tools/simbroker/fix/fix_session.h"

#include <vector>

namespace millrace::sim {
namespace {

constexpr int kMdReqId = 262;
constexpr int kSubscriptionRequestType = 263;
constexpr int kMdUpdateType = 265;

/// Fields one after the other, each ended by SOH.
class Fields {
public:
    Fields& add(int tag, std::string_view value) {
        text_ += std::to_string(tag) + "=";
        text_ += value;
        text_ += fix::kSoh;
        return *this;
    }
    Fields& add(int tag, char value) { return add(tag, std::string_view{&value, 1}); }
    Fields& number(int tag, std::uint64_t value) { return add(tag, std::to_string(value)); }
    Fields& price(int tag, Price value) { return add(tag, fix::decimal_text(value.value).view()); }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::string text_;
};

/// ExecType of what the record did to the order.
char exec_type_of(const FixOrder& order, const BookRecord& record) {
    switch (record.kind) {
        case BookKind::Deal: return 'F';
        case BookKind::OrderModified: return '5';
        default: return static_cast<char>(order.status);
    }
}

std::string id_of(Magic name) {
    return std::string{fix::cl_ord_id(name).view()};
}

std::string time_of(std::int64_t ns) {
    return std::string{fix::utc_text(Nanos{ns}).view()};
}

}  // namespace

/// In units, as the client counts.
std::string FixSession::quantity(Lots lots, const Text<16>& symbol) const {
    const auto instrument = options_.instruments.find(symbol);
    if (instrument == options_.instruments.end() || lots.value == 0) {
        return "0";
    }
    const auto units = fix::quantity_of(lots.value, instrument->second);
    return std::string{fix::decimal_text(units ? units.value() : 0).view()};
}

/// The fields that every report of an order has.
std::string FixSession::state_of(const FixOrder& order) const {
    const Lots rest = is_final(order.status) ? Lots{} : order.requested - order.executed;
    return Fields{}
        .add(37, order.ticket == 0 ? "NONE" : std::to_string(order.ticket))
        .add(39, static_cast<char>(order.status))
        .add(55, market::view_of(order.symbol))
        .add(54, order.side == Side::Buy ? '1' : '2')
        .add(38, quantity(order.requested, order.symbol))
        .add(151, quantity(rest, order.symbol))
        .add(14, quantity(order.executed, order.symbol))
        .price(6, order.average)
        .take();
}

FixSession::Said FixSession::report(const FixOrder& order, const BookRecord& record) const {
    const bool deal = record.kind == BookKind::Deal;
    Fields fields;
    // A cancel is reported under its own name, with the order's in 41; so is a replace, whose name
    // is the order's from now on.
    const bool by_request =
        record.kind == BookKind::OrderModified ||
        (record.kind == BookKind::OrderCanceled && record.command == CommandType::Cancel);
    fields.add(11, by_request ? id_of(Magic{record.magic}) : id_of(order.name));
    if (by_request) {
        fields.add(41, id_of(replaced_.value != 0 ? replaced_ : order.name));
    }
    fields.add(17, (deal ? "E" : "B") + std::to_string(deal ? record.deal : record.number));
    fields.add(150, exec_type_of(order, record));
    if (deal) {
        fields.add(32, quantity(Lots{record.volume}, record.symbol)).price(31, Price{record.price});
    }
    if (order.status == OrdStatus::Rejected) {
        fields.number(103, static_cast<std::uint64_t>(ord_rej_reason(order.retcode)))
            .add(58, refusal_text(order.retcode));
    }
    return {"8", state_of(order) + fields.add(60, time_of(record.time_ns)).take()};
}

FixSession::Said FixSession::status_of(const FixOrder& order, const std::string& more) const {
    return {"8", Fields{}.add(11, id_of(order.name)).add(17, "0").add(150, 'I').take() +
                     state_of(order) + more};
}

FixSession::Said FixSession::refusal(const Asked& asked, int reason,
                                     const std::string& text) const {
    Fields fields;
    fields.add(37, "NONE").add(11, asked.name);
    if (asked.type != 'D') {
        const auto of = fix::magic_of(asked.of);
        const FixOrder* order = of ? orders_.find(*of) : nullptr;
        return {"9", fields.add(41, asked.of)
                         .add(39, order == nullptr ? '8' : static_cast<char>(order->status))
                         .number(434, asked.type == 'F' ? 1 : 2)
                         .number(102, static_cast<std::uint64_t>(reason))
                         .add(58, text)
                         .take()};
    }
    return {"8", fields.add(17, "0")
                     .add(150, '8')
                     .add(39, '8')
                     .add(55, asked.symbol)
                     .add(54, asked.request.side == Side::Buy ? '1' : '2')
                     .add(151, "0")
                     .add(14, "0")
                     .add(6, "0")
                     .number(103, static_cast<std::uint64_t>(reason))
                     .add(58, text)
                     .take()};
}

/// A deal that is no order's of this session: a person's, or the server's.
FixSession::Said FixSession::stranger(const BookRecord& record) const {
    return {"8", Fields{}
                     .number(37, record.order)
                     .add(17, "E" + std::to_string(record.deal))
                     .add(150, 'F')
                     .add(39, '2')
                     .add(55, market::view_of(record.symbol))
                     .add(54, record.side == Side::Buy ? '1' : '2')
                     .add(38, quantity(Lots{record.volume}, record.symbol))
                     .add(151, "0")
                     .add(14, quantity(Lots{record.volume}, record.symbol))
                     .price(6, Price{record.price})
                     .add(32, quantity(Lots{record.volume}, record.symbol))
                     .price(31, Price{record.price})
                     .add(60, time_of(record.time_ns))
                     .take()};
}

void FixSession::on_record(const BookRecord& record) {
    const FixOrder* before = orders_.by_ticket(record.order);
    replaced_ = before == nullptr ? Magic{} : before->name;
    const FixOrder* order = orders_.apply(record);
    const bool deal = record.kind == BookKind::Deal;
    if (order == nullptr && !deal) {
        return;
    }
    const Said said = order == nullptr ? stranger(record) : report(*order, record);
    if (holding_) {
        held_.push_back(said);
    } else {
        say(said);
    }
}

void FixSession::reject(const fix::Message& message, int tag) {
    ++counters_.bad_frames;
    say("3", Fields{}
                 .add(45, message.text(fix::tag::kMsgSeqNum))
                 .number(371, static_cast<std::uint64_t>(tag))
                 .add(372, message.type())
                 .number(373, 1)
                 .add(58, "required tag missing")
                 .take());
}

void FixSession::reject_business(const fix::Message& message, int reason, const std::string& text) {
    ++counters_.bad_frames;
    say("j", Fields{}
                 .add(45, message.text(fix::tag::kMsgSeqNum))
                 .add(372, message.type())
                 .number(380, static_cast<std::uint64_t>(reason))
                 .add(58, text)
                 .take());
}

void FixSession::on_market_data(const fix::Message& message) {
    if (!requires_tags(message, {kMdReqId, kSubscriptionRequestType, fix::tag::kSymbol})) {
        return;
    }
    const std::string id{message.text(kMdReqId)};
    const char what = message.character(kSubscriptionRequestType);
    if (what == '2') {
        std::erase_if(subscriptions_, [&](const auto& one) { return one.second.id == id; });
        return;
    }
    for (std::size_t i = 0; i < message.fields(); ++i) {
        const auto [tag, value] = message.field(i);
        if (tag != fix::tag::kSymbol) {
            continue;
        }
        const auto symbol = market::to_text<16>(value);
        if (!options_.instruments.contains(symbol)) {
            say("Y", Fields{}.add(kMdReqId, id).add(281, '0').add(58, "no such Symbol(55)").take());
            continue;
        }
        if (what == '1') {
            subscriptions_[symbol] = {id, message.character(kMdUpdateType) != '1'};
        }
        snapshot(id, symbol);
    }
}

void FixSession::snapshot(const std::string& id, const Text<16>& symbol) {
    const auto [bid, ask] = server_.quote(symbol);
    if (bid.value > 0) {
        say("W", Fields{}
                     .add(kMdReqId, id)
                     .add(55, market::view_of(symbol))
                     .number(268, 2)
                     .add(269, '0')
                     .price(270, bid)
                     .add(269, '1')
                     .price(270, ask)
                     .take());
    }
}

void FixSession::send_tick(const Text<16>& symbol, Price bid, Price ask, Nanos) {
    const auto wanted = subscriptions_.find(symbol);
    constexpr std::size_t kBehind = 64 * 1024;
    if (wanted == subscriptions_.end() || !is_up() || connection_->unsent() > kBehind) {
        return;
    }
    if (wanted->second.full) {
        return snapshot(wanted->second.id, symbol);
    }
    const auto entry = [&](Fields& fields, char type, Price price) {
        fields.add(279, '1').add(269, type).add(55, market::view_of(symbol)).price(270, price);
    };
    Fields fields;
    fields.add(kMdReqId, wanted->second.id).number(268, 2);
    entry(fields, '0', bid);
    entry(fields, '1', ask);
    say("X", fields.take());
}

}  // namespace millrace::sim
