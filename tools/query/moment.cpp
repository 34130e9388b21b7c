#include "tools/query/history.h"

#include <charconv>
#include <chrono>
#include <limits>

namespace millrace {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kYearMax = 2261;  // beyond it nanoseconds do not fit 64 bits

/// Reads exactly `digits` digits at the front of `text` and takes them away.
bool take_number(std::string_view& text, std::size_t digits, unsigned& out) {
    if (text.size() < digits) {
        return false;
    }
    const char* end = text.data() + digits;
    const auto parsed = std::from_chars(text.data(), end, out);
    const bool all = parsed.ec == std::errc{} && parsed.ptr == end;
    text.remove_prefix(digits);
    return all;
}
bool take(std::string_view& text, char c) {
    const bool there = !text.empty() && text.front() == c;
    text.remove_prefix(there ? 1 : 0);
    return there;
}

/// `.25` and the like, as nanoseconds; nothing if there are no digits or more than nine.
bool take_fraction(std::string_view& text, std::int64_t& ns) {
    std::int64_t unit = kSecond / 10;
    std::size_t digits = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9' && unit > 0) {
        ns += unit * (text.front() - '0');
        unit /= 10;
        ++digits;
        text.remove_prefix(1);
    }
    return digits > 0;
}

/// `T09:30[:05[.25]]`
bool take_time(std::string_view& text, std::int64_t& ns) {
    unsigned hour = 0;
    unsigned minute = 0;
    unsigned second = 0;
    if (!take_number(text, 2, hour) || !take(text, ':') || !take_number(text, 2, minute)) {
        return false;
    }
    if (take(text, ':') && !take_number(text, 2, second)) {
        return false;
    }
    std::int64_t fraction = 0;
    if (take(text, '.') && !take_fraction(text, fraction)) {
        return false;
    }
    ns = (std::int64_t{hour} * 3600 + minute * 60 + second) * kSecond + fraction;
    return hour < 24 && minute < 60 && second < 60;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
    unsigned year = 0;
    unsigned month = 0;
    unsigned day = 0;
    if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) ||
        !take(text, '-') || !take_number(text, 2, day)) {
        return {};
    }
    const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)},
                                           std::chrono::month{month}, std::chrono::day{day}};
    std::int64_t time = 0;
    if ((take(text, 'T') || take(text, ' ')) && !take_time(text, time)) {
        return {};
    }
    (void)take(text, 'Z');
    if (!text.empty() || !date.ok() || year < 1970 || year > kYearMax) {
        return {};
    }
    const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
    return std::int64_t{days} * 86'400 * kSecond + time;
}

std::optional<std::int64_t> parse_back(std::string_view text, std::int64_t now) {
    std::int64_t count = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
    if (parsed.ec != std::errc{} || parsed.ptr + 1 != text.data() + text.size() || count < 0) {
        return {};
    }
    std::int64_t unit = 0;
    switch (*parsed.ptr) {
        case 's': unit = kSecond; break;
        case 'm': unit = 60 * kSecond; break;
        case 'h': unit = 3600 * kSecond; break;
        case 'd': unit = 86'400 * kSecond; break;
        default: return {};
    }
    if (count > std::numeric_limits<std::int64_t>::max() / unit) {
        return {};
    }
    return now - count * unit;
}

}  // namespace

std::optional<std::int64_t> parse_moment(const std::string& text, std::int64_t now) {
    const auto back = parse_back(text, now);
    return back ? back : parse_date(text);
}

std::optional<std::string> parse_uuid(const std::string& text) {
    std::string bytes;
    std::size_t digits = 0;
    unsigned value = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '-' && text.size() == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            continue;
        }
        unsigned digit = 0;
        const auto parsed = std::from_chars(&text[i], &text[i] + 1, digit, 16);
        if (parsed.ec != std::errc{}) {
            return {};
        }
        value = value * 16 + digit;
        if (++digits % 2 == 0) {
            bytes += static_cast<char>(value);
            value = 0;
        }
    }
    return digits == 32 ? std::optional{bytes} : std::nullopt;
}

}  // namespace millrace
