// Records filled so that each field shows, and their bytes as text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>

namespace millrace {

// One number a field, so that two fields that change places show.
template <class T>
void set(T& field, std::uint8_t& next) {
    std::memset(static_cast<void*>(&field), next++, sizeof field);
}
template <class T, std::size_t N>
void fill(T (&field)[N], std::uint8_t& next) {
    std::memset(field, next++, sizeof field);
}

/// A record of these members only, set in this order.
template <class T, class... Members>
T all_set(Members T::*... members) {
    T r{};
    std::uint8_t next = 1;
    (set(r.*members, next), ...);
    return r;
}

/// Runs of equal bytes as "length x value": an offset or a size that moves is easy to see.
template <class T>
std::string hex(const T& record) {
    static_assert(std::is_trivially_copyable_v<T>);
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &record, sizeof(T));
    std::string out;
    for (std::size_t i = 0; i < sizeof(T);) {
        std::size_t run = 1;
        while (i + run < sizeof(T) && bytes[i + run] == bytes[i]) {
            ++run;
        }
        char part[40];
        std::snprintf(part, sizeof part, "%zux%02x ", run, static_cast<unsigned>(bytes[i]));
        out += part;
        i += run;
    }
    return out;
}

}  // namespace millrace
