// Text<N> and std::string, both ways.
#pragma once

#include "core/types.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace millrace::market {

template <std::size_t N>
[[nodiscard]] Text<N> to_text(std::string_view s) noexcept {
    Text<N> text;
    std::memcpy(text.bytes, s.data(), std::min(N, s.size()));
    return text;
}

/// View of a zero-padded field up to its first zero.
template <std::size_t N>
[[nodiscard]] std::string_view view_of(const char (&bytes)[N]) noexcept {
    return {bytes, static_cast<std::size_t>(std::find(bytes, bytes + N, '\0') - bytes)};
}
template <std::size_t N>
[[nodiscard]] std::string_view view_of(const Text<N>& text) noexcept {
    return view_of(text.bytes);
}

}  // namespace millrace::market
