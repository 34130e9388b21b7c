// How a hash becomes an effect again: the inverse of redis_row(), for `millrace recover`.
#pragma once

#include "core/effect.h"
#include "persist/redis_link.h"

#include <string_view>

namespace millrace {

/// @param key without the generation's prefix. @param fields names and values in turn.
/// @return false if it is no row of ours, or a field of it is missing or unreadable.
[[nodiscard]] bool redis_effect(std::string_view key, const RedisView& fields,
                                Effect& effect) noexcept;

/// A UUID as rows have it. @return false if it is none.
[[nodiscard]] bool parse_uuid(std::string_view text, SignalId& id) noexcept;

}  // namespace millrace
