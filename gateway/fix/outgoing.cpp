#include "gateway/fix/outgoing.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace millrace::fix {
namespace {

constexpr std::uint32_t kInvalid = 10013;
constexpr std::uint32_t kInvalidVolume = 10014;
constexpr std::uint32_t kInvalidPrice = 10015;
constexpr std::uint32_t kInvalidStops = 10016;
constexpr std::uint32_t kInvalidOrder = 10035;
constexpr char kExchangeSymbol = '8';  // SecurityIDSource(22)
constexpr char kImmediateOrCancel = '3';

char side_of(std::uint8_t side) noexcept {
    return static_cast<Side>(side) == Side::Buy ? '1' : '2';
}

char ord_type_of(PriceKind kind) noexcept {
    switch (kind) {
        case PriceKind::Market: return '1';
        case PriceKind::Limit: return '2';
        case PriceKind::Stop: return '3';
    }
    return '\0';
}

void add_instrument(const Venue& venue, Body& body) noexcept {
    if (venue.profile.symbol == SymbolTag::SecurityId) {
        body.add(tag::kSecurityId, venue.instrument.venue_symbol);
        body.add(tag::kSecurityIdSource, kExchangeSymbol);
    } else {
        body.add(tag::kSymbol, venue.instrument.venue_symbol);
    }
}

void add_account(const Venue& venue, Body& body) noexcept {
    if (venue.profile.sends_account && !venue.account.empty()) {
        body.add(tag::kAccount, venue.account);
    }
}

void add_price(PriceKind kind, std::int64_t price, Body& body) noexcept {
    if (kind != PriceKind::Market) {
        body.add(kind == PriceKind::Limit ? tag::kPrice : tag::kStopPx, decimal_text(price).view());
    }
}

/// The price that a market order must not be worse than; 0 if it overflows or is none.
std::int64_t worst_price(const bridge::Command& c, const Instrument& instrument) noexcept {
    std::int64_t point = kScale;
    for (int i = 0; i < instrument.digits; ++i) {
        point /= 10;
    }
    std::int64_t slip = 0;
    std::int64_t worst = 0;
    const bool buy = static_cast<Side>(c.side) == Side::Buy;
    const bool overflow =
        __builtin_mul_overflow(point, static_cast<std::int64_t>(c.deviation_points), &slip) ||
        (buy ? __builtin_add_overflow(c.price, slip, &worst)
             : __builtin_sub_overflow(c.price, slip, &worst));
    return overflow || point == 0 ? 0 : worst;
}

/// Type, price and time in force of a market order. Where the signal named no price there is none
/// to slip from: the engine's own price check is then all there is.
std::uint32_t add_market(const bridge::Command& c, const Venue& venue, Body& body) noexcept {
    if (c.deviation_points == 0 || c.price == 0) {
        body.add(tag::kOrdType, '1');
        if (venue.profile.market_tif != '\0') {
            body.add(tag::kTimeInForce, venue.profile.market_tif);
        }
        return 0;
    }
    const std::int64_t worst = worst_price(c, venue.instrument);
    if (worst <= 0) {
        return kInvalidPrice;
    }
    switch (venue.profile.collar) {
        case CollarBy::None: return kInvalidOrder;
        case CollarBy::LimitIoc:
            body.add(tag::kOrdType, '2');
            body.add(tag::kPrice, decimal_text(worst).view());
            break;
        case CollarBy::StopLimit:
            body.add(tag::kOrdType, '4');
            body.add(tag::kStopPx, decimal_text(worst).view());
            break;
    }
    body.add(tag::kTimeInForce, kImmediateOrCancel);
    return 0;
}

std::uint32_t add_pending(const bridge::Command& c, const Venue& venue, Body& body) noexcept {
    const auto kind = static_cast<PriceKind>(c.price_kind);
    const char type = ord_type_of(kind);
    if (type == '\0') {
        return kInvalidOrder;
    }
    if (c.price <= 0) {
        return kInvalidPrice;
    }
    body.add(tag::kOrdType, type);
    add_price(kind, c.price, body);
    if (venue.profile.pending_tif != '\0') {
        body.add(tag::kTimeInForce, venue.profile.pending_tif);
    }
    return 0;
}

/// Names the position that a close is about, where the venue has positions.
void add_position(const bridge::Command& c, const Venue& venue, Body& body) noexcept {
    const auto ticket = static_cast<std::int64_t>(c.position_ticket);
    switch (venue.profile.close) {
        case CloseBy::Netting: break;
        case CloseBy::PosMaintRptId: body.add(tag::kPosMaintRptId, ticket); break;
        case CloseBy::FxcmPosId: body.add(tag::kFxcmPosId, ticket); break;
    }
}

/// What cancel, replace and status request begin with.
void add_reference(const Reference& order, const Venue& venue, Body& body) noexcept {
    if (venue.profile.orig_order_id && !order.order_id.empty()) {
        body.add(tag::kOrderId, order.order_id);
    }
    add_instrument(venue, body);
    body.add(tag::kSide, order.side == Side::Buy ? '1' : '2');
}

std::uint32_t finish(const Body& body) noexcept {
    return body.usable() ? 0 : kInvalid;
}

}  // namespace

void Body::start(std::string_view msg_type) noexcept {
    type_.length = static_cast<std::uint8_t>(std::min(msg_type.size(), sizeof(type_.bytes)));
    std::memcpy(type_.bytes, msg_type.data(), type_.length);
    used_ = 0;
    broken_ = false;
}

void Body::add(int tag, std::string_view value) noexcept {
    constexpr std::size_t kTagBytesMax = 8;  // five digits, '=', SOH
    if (value.empty() || value.find(kSoh) != std::string_view::npos ||
        value.size() + kTagBytesMax > kBytesMax - used_) {
        broken_ = true;
        return;
    }
    char* at = bytes_.data() + used_;
    at = std::to_chars(at, bytes_.data() + kBytesMax, tag).ptr;
    *at++ = '=';
    std::memcpy(at, value.data(), value.size());
    at += value.size();
    *at++ = kSoh;
    used_ = static_cast<std::size_t>(at - bytes_.data());
}

void Body::add(int tag, std::int64_t value) noexcept {
    char text[24];
    const auto end = std::to_chars(std::begin(text), std::end(text), value);
    add(tag, std::string_view{text, static_cast<std::size_t>(end.ptr - text)});
}

Result<std::int64_t> quantity_of(std::int64_t volume, const Instrument& instrument) noexcept {
    const auto product = static_cast<__int128>(volume) * instrument.units_per_lot;
    const __int128 quantity = product / kScale;
    if (volume <= 0 || product % kScale != 0 || quantity > INT64_MAX) {
        return {Errc::BadInput, "volume is no quantity of the venue's units"};
    }
    return static_cast<std::int64_t>(quantity);
}

Lots lots_of(std::int64_t quantity, const Instrument& instrument) noexcept {
    const __int128 lots = static_cast<__int128>(quantity) * kScale / instrument.units_per_lot;
    return Lots{lots > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(lots)};
}

std::uint32_t new_order(const bridge::Command& command, const Venue& venue, Body& body) noexcept {
    const bool close = static_cast<CommandType>(command.type) == CommandType::Close;
    if (!close && (command.stop_loss != 0 || command.take_profit != 0)) {
        return kInvalidStops;  // NewOrderSingle of FIX 4.4 has no place for them
    }
    const bool names_position = is_own_number(command.position_ticket);
    if (close && venue.profile.close != CloseBy::Netting && !names_position) {
        return kInvalid;  // without its name the venue would open an opposite position
    }
    const auto quantity = quantity_of(command.volume, venue.instrument);
    if (!quantity) {
        return kInvalidVolume;
    }
    body.start("D");
    body.add(tag::kClOrdId, cl_ord_id(Magic{command.magic}).view());
    add_account(venue, body);
    if (venue.profile.sends_handl_inst) {
        body.add(tag::kHandlInst, '1');
    }
    add_instrument(venue, body);
    body.add(tag::kSide, side_of(command.side));
    body.add(tag::kTransactTime, utc_text(venue.now).view());
    body.add(tag::kOrderQty, decimal_text(quantity.value()).view());
    const bool market = close || static_cast<PriceKind>(command.price_kind) == PriceKind::Market;
    const std::uint32_t refusal =
        market ? add_market(command, venue, body) : add_pending(command, venue, body);
    if (refusal != 0) {
        return refusal;
    }
    if (close) {
        add_position(command, venue, body);
    }
    return finish(body);
}

std::uint32_t cancel(const bridge::Command& command, const Reference& order, const Venue& venue,
                     Body& body) noexcept {
    body.start("F");
    body.add(tag::kOrigClOrdId, cl_ord_id(order.magic).view());
    body.add(tag::kClOrdId, cl_ord_id(Magic{command.magic}).view());
    add_account(venue, body);
    add_reference(order, venue, body);
    body.add(tag::kTransactTime, utc_text(venue.now).view());
    body.add(tag::kOrderQty, decimal_text(order.quantity).view());
    return finish(body);
}

std::uint32_t replace(const bridge::Command& command, const Reference& order, const Venue& venue,
                      Body& body) noexcept {
    if (command.stop_loss != 0 || command.take_profit != 0) {
        return kInvalidStops;
    }
    if (order.price_kind == PriceKind::Market) {
        return kInvalidOrder;  // positions have nothing to modify over FIX 4.4
    }
    if (command.price <= 0) {
        return kInvalidPrice;
    }
    body.start("G");
    body.add(tag::kOrigClOrdId, cl_ord_id(order.magic).view());
    body.add(tag::kClOrdId, cl_ord_id(Magic{command.magic}).view());
    add_account(venue, body);
    if (venue.profile.sends_handl_inst) {
        body.add(tag::kHandlInst, '1');
    }
    add_reference(order, venue, body);
    body.add(tag::kTransactTime, utc_text(venue.now).view());
    body.add(tag::kOrderQty, decimal_text(order.quantity).view());
    body.add(tag::kOrdType, ord_type_of(order.price_kind));
    add_price(order.price_kind, command.price, body);
    if (venue.profile.pending_tif != '\0') {
        body.add(tag::kTimeInForce, venue.profile.pending_tif);
    }
    return finish(body);
}

std::uint32_t status_request(const Reference& order, const Venue& venue, Body& body) noexcept {
    body.start("H");
    body.add(tag::kClOrdId, cl_ord_id(order.magic).view());
    add_account(venue, body);
    add_reference(order, venue, body);
    return finish(body);
}

std::uint32_t mass_status_request(std::string_view id, Body& body) noexcept {
    body.start("AF");
    body.add(tag::kMassStatusReqId, id);
    body.add(tag::kMassStatusReqType, '7');  // status of all orders
    return finish(body);
}

}  // namespace millrace::fix
