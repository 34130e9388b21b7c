#include "gateway/ingress_check.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace millrace {
namespace {

/// Copies a wire name up to its first zero, so that bytes behind it cannot make it another name.
Text<16> wire_name(const char (&name)[16]) noexcept {
    Text<16> text;
    std::memcpy(text.bytes, name, ::strnlen(name, sizeof name));
    return text;
}

bool refused(Refusal& why, const char* field, std::int64_t value, const char* allowed) noexcept {
    refuse(why, Reason::BadSignal, false, "%s %" PRId64 ": allowed %s", field, value, allowed);
    return false;
}

bool check_kinds(const Signal& s, Refusal& why) noexcept {
    const auto action = static_cast<unsigned>(s.action);
    if (action < 1 || action > 4) {
        return refused(why, "action", action, "1 open, 2 close, 3 modify, 4 cancel");
    }
    if (static_cast<unsigned>(s.side) > 1) {
        return refused(why, "side", static_cast<unsigned>(s.side), "0 buy, 1 sell");
    }
    if (static_cast<unsigned>(s.price_kind) > 2) {
        return refused(why, "price_kind", static_cast<unsigned>(s.price_kind),
                       "0 market, 1 limit, 2 stop");
    }
    if ((s.flags & ~kSignalFlags) != 0) {
        return refused(why, "flags", s.flags, "0, or 1 to be held while the market is closed");
    }
    return true;
}

bool check_ids(const Signal& s, Refusal& why) noexcept {
    if (s.id.is_none()) {
        refuse(why, Reason::BadSignal, false, "id 0: allowed any UUID but zero, one per signal");
        return false;
    }
    if (s.action != SignalAction::Open && s.target.is_none()) {
        refuse(why, Reason::UnknownTarget, false,
               "target 0: close, modify and cancel need the opening signal's id");
        return false;
    }
    return true;
}

bool check_volume(const Signal& s, Refusal& why) noexcept {
    const std::int64_t least = s.action == SignalAction::Open ? 1 : 0;
    if (s.volume.value < least || s.volume.value > kVolumeMax) {
        refuse(why, Reason::BadVolume, false,
               "volume %" PRId64 ": allowed %" PRId64 "..1e14 (unit 1e-8 lots, max 1e6 lots)",
               s.volume.value, least);
        return false;
    }
    return true;
}

bool check_prices(const Signal& s, Refusal& why) noexcept {
    const struct {
        const char* field;
        Price value;
    } prices[] = {{"price", s.price},
                  {"stop_loss", s.stop_loss},
                  {"take_profit", s.take_profit},
                  {"reference_price", s.reference_price}};
    for (const auto& p : prices) {
        if (p.value.value < 0 || p.value.value > kPriceMax) {
            refuse(why, Reason::BadPrice, false,
                   "%s %" PRId64 ": allowed 0..1e17 (unit 1e-8, 0 = none)", p.field, p.value.value);
            return false;
        }
    }
    const bool pending = s.action == SignalAction::Open && s.price_kind != PriceKind::Market;
    if (pending && s.price.value == 0) {
        refuse(why, Reason::BadPrice, false, "price 0: a limit or stop order needs its price");
        return false;
    }
    return true;
}

bool check_times(const Signal& s, Nanos now, Refusal& why) noexcept {
    if (s.ttl_ms > kTtlMsMax) {
        return refused(why, "ttl_ms", s.ttl_ms, "0..86400000 (0 = 30000)");
    }
    if (s.send_time.value == 0) {
        return true;
    }
    if (s.send_time.value < 0 || s.send_time < now - kSendTimeAgeMax) {
        refuse(why, Reason::StaleSignal, false,
               "send_time %" PRId64 ": over 7 days old; ns since 1970 UTC, or 0 = receipt",
               s.send_time.value);
        return false;
    }
    if (s.send_time > now + kSendTimeAgeMax) {
        refuse(why, Reason::BadSignal, false,
               "send_time %" PRId64 ": over 7 days ahead; ns since 1970 UTC, or 0 = receipt",
               s.send_time.value);
        return false;
    }
    return true;
}

void copy_fields(const signal_wire::Submit& from, Signal& to) noexcept {
    to.id = {from.id_hi, from.id_lo};
    to.target = {from.target_hi, from.target_lo};
    to.action = static_cast<SignalAction>(from.action);
    to.side = static_cast<Side>(from.side);
    to.price_kind = static_cast<PriceKind>(from.price_kind);
    to.flags = from.flags;
    to.volume = Lots{from.volume};
    to.price = Price{from.price};
    to.stop_loss = Price{from.stop_loss};
    to.take_profit = Price{from.take_profit};
    to.reference_price = Price{from.reference_price};
    to.send_time = Nanos{from.send_time_ns};
    to.ttl_ms = from.ttl_ms;
}

bool resolve_names(const signal_wire::Submit& submit, const NameTables& names, Signal& out,
                   Refusal& why) noexcept {
    out.group = GroupId{find_name(names.groups, wire_name(submit.group))};
    if (out.group.value == kNoId) {
        refuse(
            why, Reason::UnknownGroup, false,
            "group \"%.16s\": not among \"groups\" of the configuration; add it or mend the name",
            submit.group);
        return false;
    }
    out.symbol = SymbolId{find_name(names.symbols, wire_name(submit.symbol))};
    if (out.symbol.value == kNoId) {
        refuse(why, Reason::UnknownSymbol, false,
               "symbol \"%.16s\": not among \"symbols\" of the configuration; no pre-/suffix here",
               submit.symbol);
        return false;
    }
    return true;
}

}  // namespace

void refuse(Refusal& why, Reason reason, bool retry, const char* format, ...) noexcept {
    why.reason = reason;
    why.retry = retry;
    std::va_list args;
    va_start(args, format);
    std::vsnprintf(why.text, sizeof why.text, format, args);
    va_end(args);
    // A peer's name may hold control bytes; they must not reach a terminal or break a log line.
    for (char* c = why.text; *c != '\0'; ++c) {
        if (static_cast<unsigned char>(*c) < 0x20 || static_cast<unsigned char>(*c) > 0x7E) {
            *c = '?';
        }
    }
}

bool check_signal(const Signal& signal, Nanos now, Refusal& why) noexcept {
    return check_kinds(signal, why) && check_ids(signal, why) && check_volume(signal, why) &&
           check_prices(signal, why) && check_times(signal, now, why);
}

bool clamp_send_time(Signal& signal, Nanos now) noexcept {
    if (signal.send_time <= now + kSendTimeAheadMax) {
        return false;
    }
    signal.send_time = Nanos{0};
    return true;
}

std::uint32_t find_name(const NameEntry (&table)[kNamesPerKind], const Text<16>& name) noexcept {
    if (name == Text<16>{}) {
        return kNoId;
    }
    for (std::uint32_t i = 0; i < kNamesPerKind; ++i) {
        // Acquire: pairs with the engine's release of `ready`, after it wrote the name.
        if (table[i].ready.load(std::memory_order_acquire) != 0 && table[i].name == name) {
            return i;
        }
    }
    return kNoId;
}

bool resolve_signal(const signal_wire::Submit& submit, const NameTables& names, Nanos now,
                    Signal& out, Refusal& why) noexcept {
    out = Signal{};
    copy_fields(submit, out);
    if (!check_signal(out, now, why) || !resolve_names(submit, names, out, why)) {
        return false;
    }
    out.edge_time = now;
    return true;
}

}  // namespace millrace
