#include "gateway/signal_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

namespace millrace {
namespace {

using signal_wire::Submit;

bool word_of(std::string_view text, std::initializer_list<std::string_view> words,
             std::uint8_t first, std::uint8_t& out) {
    std::uint8_t value = first;
    for (const std::string_view w : words) {
        const auto same = [](char a, char b) { return (a | 0x20) == b; };
        if (text.size() == w.size() && std::equal(text.begin(), text.end(), w.begin(), same)) {
            out = value;
            return true;
        }
        ++value;
    }
    return false;
}

template <class T>
bool integer_of(std::string_view text, T& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

/// A plain decimal, not negative, with at most 8 decimals, in 1e-8; exact or refused.
bool decimal_of(std::string_view text, std::int64_t& out) {
    const std::size_t dot = text.find('.');
    const std::string_view whole = text.substr(0, dot);
    std::string fraction{dot == std::string_view::npos ? "" : text.substr(dot + 1)};
    while (fraction.size() > 8 && fraction.back() == '0') {
        fraction.pop_back();
    }
    const bool digits = whole.find_first_not_of("0123456789") == std::string_view::npos &&
                        fraction.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || whole.empty() || whole.size() > 10 || fraction.size() > 8 ||
        (dot != std::string_view::npos && fraction.empty())) {
        return false;
    }
    fraction.resize(8, '0');
    std::int64_t units = 0;
    std::int64_t parts = 0;
    return integer_of(whole, units) && integer_of(std::string_view{fraction}, parts) &&
           !__builtin_mul_overflow(units, kScale, &out) &&
           !__builtin_add_overflow(out, parts, &out);
}

bool uuid_of(std::string_view text, std::uint64_t& hi, std::uint64_t& lo) {
    if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
        text[23] != '-') {
        return false;
    }
    std::string hex;
    std::copy_if(text.begin(), text.end(), std::back_inserter(hex),
                 [](char c) { return c != '-'; });
    const auto half = [&](std::size_t at, std::uint64_t& out) {
        const char* begin = hex.data() + at;
        const auto [end, error] = std::from_chars(begin, begin + 16, out, 16);
        return error == std::errc{} && end == begin + 16;
    };
    return hex.size() == 32 && half(0, hi) && half(16, lo);
}

template <std::size_t N>
bool name_of(std::string_view text, char (&out)[N]) {
    if (text.empty() || text.size() > N) {
        return false;
    }
    std::memset(out, 0, N);
    std::memcpy(out, text.data(), text.size());
    return true;
}

bool time_of(std::string_view text, std::int64_t& ns) {
    std::int64_t ms = 0;
    return integer_of(text, ms) && ms >= 0 && !__builtin_mul_overflow(ms, 1'000'000, &ns);
}

struct Reader {
    const char* name;
    bool required;
    const char* form;
    bool (*read)(std::string_view, Submit&);
};
constexpr const char* kDecimal = "a decimal such as 1.08123, at most 8 decimals";
constexpr const char* kUuid = "a UUID such as 01234567-89ab-cdef-fedc-ba9876543210";
constexpr const char* kName = "a name of 1 to 16 bytes";

constexpr Reader kReaders[] = {
    {"id", true, kUuid, [](std::string_view t, Submit& s) { return uuid_of(t, s.id_hi, s.id_lo); }},
    {"target", false, kUuid,
     [](std::string_view t, Submit& s) { return uuid_of(t, s.target_hi, s.target_lo); }},
    {"group", true, kName, [](std::string_view t, Submit& s) { return name_of(t, s.group); }},
    {"symbol", true, kName, [](std::string_view t, Submit& s) { return name_of(t, s.symbol); }},
    {"action", true, "open, close, modify or cancel",
     [](std::string_view t, Submit& s) {
         return word_of(t, {"open", "close", "modify", "cancel"}, 1, s.action);
     }},
    {"side", false, "buy or sell",
     [](std::string_view t, Submit& s) { return word_of(t, {"buy", "sell"}, 0, s.side); }},
    {"kind", false, "market, limit or stop",
     [](std::string_view t, Submit& s) {
         return word_of(t, {"market", "limit", "stop"}, 0, s.price_kind);
     }},
    {"volume", false, kDecimal,
     [](std::string_view t, Submit& s) { return decimal_of(t, s.volume); }},
    {"price", false, kDecimal,
     [](std::string_view t, Submit& s) { return decimal_of(t, s.price); }},
    {"stop_loss", false, kDecimal,
     [](std::string_view t, Submit& s) { return decimal_of(t, s.stop_loss); }},
    {"take_profit", false, kDecimal,
     [](std::string_view t, Submit& s) { return decimal_of(t, s.take_profit); }},
    {"reference_price", false, kDecimal,
     [](std::string_view t, Submit& s) { return decimal_of(t, s.reference_price); }},
    {"hold_until_open", false, "no or yes",
     [](std::string_view t, Submit& s) { return word_of(t, {"no", "yes"}, 0, s.flags); }},
    {"ttl_ms", false, "milliseconds",
     [](std::string_view t, Submit& s) { return integer_of(t, s.ttl_ms); }},
    {"time_ms", false, "milliseconds since 1970-01-01 UTC",
     [](std::string_view t, Submit& s) { return time_of(t, s.send_time_ns); }},
};

bool refused(Refusal& why, const char* format, const char* field, const char* form,
             std::string_view value) {
    refuse(why, Reason::BadSignal, false, format, field, form, static_cast<int>(value.size()),
           value.data());
    return false;
}

}  // namespace

bool parse_signal(std::span<const TextField> fields, std::int64_t stamp_ns, Submit& out,
                  Refusal& why) {
    out = Submit{};
    out.send_time_ns = stamp_ns;
    bool given[std::size(kReaders)] = {};
    for (const auto& [name, value] : fields) {
        const auto reader = std::find_if(std::begin(kReaders), std::end(kReaders),
                                         [&n = name](const Reader& r) { return n == r.name; });
        if (reader == std::end(kReaders)) {
            return refused(why, "field \"%s\" is unknown%s%.*s", name.c_str(), "", "");
        }
        bool& before = given[reader - std::begin(kReaders)];
        if (before) {
            return refused(why, "field \"%s\" is given twice%s%.*s", reader->name, "", "");
        }
        before = true;
        if (!reader->read(value, out)) {
            return refused(why, "%s: wanted %s, not \"%.*s\"", reader->name, reader->form, value);
        }
    }
    for (std::size_t i = 0; i < std::size(kReaders); ++i) {
        if (kReaders[i].required && !given[i]) {
            return refused(why, "field \"%s\" is missing: %s%.*s", kReaders[i].name,
                           kReaders[i].form, "");
        }
    }
    const auto side = std::find_if(std::begin(kReaders), std::end(kReaders), [](const Reader& r) {
        return std::string_view{r.name} == "side";
    });
    if (out.action == static_cast<std::uint8_t>(SignalAction::Open) &&
        !given[side - std::begin(kReaders)]) {
        return refused(why, "field \"%s\" is missing: %s%.*s", "side", side->form, "");
    }
    return true;
}

}  // namespace millrace
