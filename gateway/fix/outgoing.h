// Commands to a FIX venue as message bodies. Header and trailer are the session's.
#pragma once

#include "gateway/bridge_wire.h"
#include "gateway/fix/message.h"
#include "gateway/fix/profile.h"
#include "gateway/fix/values.h"

#include <array>
#include <string_view>

namespace millrace::fix {

/// What an account's configuration says about one symbol.
struct Instrument {
    std::string_view symbol;        // the account's name for it, as commands carry it
    std::string_view venue_symbol;  // what the venue wants in 55 or 48
    std::int64_t units_per_lot = 100'000 * kScale;  // venue's units in one lot, in 1e-8; > 0
    std::uint8_t digits = 5;                        // of a price; a point is 10^-digits
};

/// Fields of one message after its header, in the order they were added.
class Body {
public:
    static constexpr std::size_t kBytesMax = 512;

    /// Adds a field. One that does not fit, or that would break the message (empty, or with SOH in
    /// it), makes the body unusable.
    void add(int tag, std::string_view value) noexcept;
    void add(int tag, char value) noexcept { add(tag, std::string_view{&value, 1}); }
    void add(int tag, std::int64_t value) noexcept;
    void start(std::string_view msg_type) noexcept;

    [[nodiscard]] bool usable() const noexcept { return !broken_ && type_.view() != ""; }
    [[nodiscard]] std::string_view type() const noexcept { return type_.view(); }
    [[nodiscard]] std::string_view fields() const noexcept { return {bytes_.data(), used_}; }

private:
    std::array<char, kBytesMax> bytes_{};
    std::size_t used_ = 0;
    ShortText type_;
    bool broken_ = false;
};

/// What a message is made from besides the command.
struct Venue {
    const Profile& profile;
    const Instrument& instrument;
    std::string_view account;  // Account(1); empty = not sent
    Nanos now;                 // TransactTime(60), wall clock
};

/// The order a cancel, replace or status request is about.
struct Reference {
    Magic magic;  // its ClOrdID as the venue has it now: of the newest replace it confirmed
    std::string_view order_id;  // 37; empty = not known yet
    Side side{};
    PriceKind price_kind{};
    std::int64_t quantity = 0;  // venue's units, 1e-8
};

/// Quantity of `volume` (1e-8 lots) in venue's units (1e-8).
/// @return BadInput if it is not a whole number of 1e-8 units, or overflows.
[[nodiscard]] Result<std::int64_t> quantity_of(std::int64_t volume,
                                               const Instrument& instrument) noexcept;
/// Volume in 1e-8 lots of a quantity, rounded down; the largest there is if it overflows.
[[nodiscard]] Lots lots_of(std::int64_t quantity, const Instrument& instrument) noexcept;

/// NewOrderSingle for an open or a close. 0 if `body` is to be sent, else the TRADE_RETCODE that
/// refuses the command here because the venue cannot be told all of it: an entry with a stop loss
/// goes out with it or not at all (10016), a collar likewise (10035); 10014 is a volume, 10015 a
/// price, 10013 a symbol or text, that cannot be written.
[[nodiscard]] std::uint32_t new_order(const bridge::Command& command, const Venue& venue,
                                      Body& body) noexcept;
/// OrderCancelRequest of `order`, under the command's own ClOrdID.
[[nodiscard]] std::uint32_t cancel(const bridge::Command& command, const Reference& order,
                                   const Venue& venue, Body& body) noexcept;
/// OrderCancelReplaceRequest: a new price for a pending. As new_order() for stop losses.
[[nodiscard]] std::uint32_t replace(const bridge::Command& command, const Reference& order,
                                    const Venue& venue, Body& body) noexcept;
/// OrderStatusRequest for `order`.
[[nodiscard]] std::uint32_t status_request(const Reference& order, const Venue& venue,
                                           Body& body) noexcept;
/// OrderMassStatusRequest for all orders of the account. `id` comes back in 584.
[[nodiscard]] std::uint32_t mass_status_request(std::string_view id, Body& body) noexcept;

}  // namespace millrace::fix
