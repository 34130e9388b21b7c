// How codes are spelt in Redis, both ways.
#pragma once

#include "core/order_command.h"
#include "core/order_status.h"
#include "core/signal.h"

#include <string_view>

namespace millrace {

[[nodiscard]] constexpr std::string_view redis_word(CommandType t) noexcept {
    switch (t) {
        case CommandType::Open: return "OPEN";
        case CommandType::Close: return "CLOSE";
        case CommandType::Modify: return "MODIFY";
        case CommandType::Cancel: return "CANCEL";
        case CommandType::Query: return "QUERY";
        case CommandType::Resolve: return "RESOLVE";
    }
    return "?";
}
[[nodiscard]] constexpr std::string_view redis_word(SignalAction a) noexcept {
    return redis_word(static_cast<CommandType>(a));  // the same words for the same codes
}
[[nodiscard]] constexpr std::string_view redis_word(Side s) noexcept {
    return s == Side::Buy ? "BUY" : s == Side::Sell ? "SELL" : "?";
}
[[nodiscard]] constexpr std::string_view redis_word(PriceKind k) noexcept {
    switch (k) {
        case PriceKind::Market: return "MARKET";
        case PriceKind::Limit: return "LIMIT";
        case PriceKind::Stop: return "STOP";
    }
    return "?";
}
[[nodiscard]] inline std::string_view redis_word(Reason r) noexcept {
    return to_string(r);
}
[[nodiscard]] inline std::string_view redis_word(OrdStatus s) noexcept {
    return to_string(s);
}
[[nodiscard]] inline std::string_view redis_word(AccountState s) noexcept {
    return to_string(s);
}
[[nodiscard]] inline std::string_view redis_word(LinkState s) noexcept {
    return to_string(s);
}

/// The code that `word` stands for. @return false if it is none.
template <class E>
[[nodiscard]] bool from_redis_word(std::string_view word, E& code) noexcept {
    for (unsigned v = 0; v < 256; ++v) {
        const auto candidate = static_cast<E>(v);
        if (redis_word(candidate) == word && word != "?") {
            code = candidate;
            return true;
        }
    }
    return false;
}

}  // namespace millrace
