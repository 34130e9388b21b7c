// What a venue means when it refuses a logon. FIX 4.4 has no field for the reason, so it goes by
// the words of Text(58). C++14: quickfix_session.cpp has it too.
#pragma once

#include <cstddef>
#include <string>

namespace millrace {
namespace fix {

/// @param lower in lower case.
template <std::size_t N>
bool has_any_of(const std::string& lower, const char* const (&words)[N]) {
    for (const char* word : words) {
        if (lower.find(word) != std::string::npos) {
            return true;
        }
    }
    return false;
}

/// True if the reason is who we say we are: trying again and again may lock the account. What is
/// over by itself (maintenance, a weekend) is none, nor is a text that says neither: a venue whose
/// words are others is asked for ever.
/// @param text any bytes, as the venue sent them.
inline bool speaks_of_credentials(const std::string& text) {
    std::string lower;
    for (const char c : text) {
        lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    static const char* const kIdentity[] = {"passw",           "credential",   "username",
                                            "user name",       "unknown user", "invalid user",
                                            "unknown account", "compid",       "comp id"};
    static const char* const kPassing[] = {"until", "maintenance", "unavailable", "weekend"};
    static const char* const kDenial[] = {"locked", "disabled", "permission", "authoris",
                                          "authoriz"};
    static const char* const kWho[] = {"user", "account", "login", "client"};
    if (has_any_of(lower, kIdentity)) {
        return true;
    }
    if (has_any_of(lower, kPassing)) {
        return false;
    }
    return lower.find("authen") != std::string::npos ||
           (has_any_of(lower, kDenial) && has_any_of(lower, kWho));
}

}  // namespace fix
}  // namespace millrace
