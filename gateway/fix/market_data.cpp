#include "gateway/fix/market_data.h"

namespace millrace::fix {
namespace {

constexpr int kMdReqId = 262;
constexpr int kSubscriptionRequestType = 263;
constexpr int kMarketDepth = 264;
constexpr int kMdUpdateType = 265;
constexpr int kNoMdEntryTypes = 267;
constexpr int kMdEntryType = 269;
constexpr int kMdEntryPx = 270;
constexpr int kMdUpdateAction = 279;
constexpr int kNoRelatedSym = 146;

constexpr char kBid = '0';
constexpr char kOffer = '1';
constexpr char kDelete = '2';

/// One entry of the group, as far as it has been read.
struct Entry {
    char type = '\0';
    char action = '\0';
    bool has_price = false;
    std::int64_t price = 0;
    std::string_view symbol;
};

}  // namespace

std::uint32_t market_data_request(std::string_view id, const Venue& venue, Body& body) noexcept {
    body.start("V");
    body.add(kMdReqId, id);
    body.add(kSubscriptionRequestType, '1');  // snapshot and updates
    body.add(kMarketDepth, '1');              // best prices alone
    body.add(kMdUpdateType, '0');             // full refresh
    body.add(kNoMdEntryTypes, '2');
    body.add(kMdEntryType, kBid);
    body.add(kMdEntryType, kOffer);
    body.add(kNoRelatedSym, '1');
    const bool by_id = venue.profile.symbol == SymbolTag::SecurityId;
    body.add(by_id ? tag::kSecurityId : tag::kSymbol, venue.instrument.venue_symbol);
    return body.usable() ? 0 : 10013;
}

bool take_quotes(
    const Message& message,
    const std::function<Quote*(std::string_view id, std::string_view symbol)>& quote_of) {
    const bool snapshot = message.type() == "W";
    if (!snapshot && message.type() != "X") {
        return false;
    }
    const std::string_view id = message.text(kMdReqId);
    Entry entry;
    const auto finish = [&] {
        const bool priced = entry.has_price || entry.action == kDelete;
        Quote* quote = priced && (entry.type == kBid || entry.type == kOffer)
                           ? quote_of(id, entry.symbol)
                           : nullptr;
        if (quote != nullptr) {
            const bool known = entry.action != kDelete && entry.price > 0;
            (entry.type == kBid ? quote->bid : quote->ask) = known ? entry.price : 0;
        }
    };
    // A snapshot's entries begin with their type, an update's with its action.
    const int first = snapshot ? kMdEntryType : kMdUpdateAction;
    for (std::size_t i = 0; i < message.fields(); ++i) {
        const auto [tag, value] = message.field(i);
        if (tag == first) {
            finish();
            entry = {.symbol = entry.symbol};
        }
        if (tag == kMdEntryType || tag == kMdUpdateAction) {
            (tag == kMdEntryType ? entry.type : entry.action) = value.front();
        } else if (tag == kMdEntryPx) {
            entry.has_price = true;
            entry.price = parse_decimal(value).value_or(0);
        } else if (tag == tag::kSymbol || tag == tag::kSecurityId) {
            entry.symbol = value;
        }
    }
    finish();
    return true;
}

}  // namespace millrace::fix
