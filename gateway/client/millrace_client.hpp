// C++ face of millrace_client.h: the same calls on an object that closes itself. Header only;
// what the C header says about threads, order and crashes holds. Nothing here throws by itself.
#pragma once

#include "gateway/client/millrace_client.h"

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

namespace millrace::client {

using Id = mr_id;
using Signal = mr_signal;
using Result = mr_result;
using Quote = mr_quote;

/// A decimal literal as the integer in 1e-8 that signals carry, exactly and at compile time:
/// fixed("1.23456") is 123'456'000. Anything but digits with at most one point and 8 decimals
/// does not compile.
consteval std::int64_t fixed(const char* decimal) {
    std::int64_t value = 0;
    int decimals = -1;  // digits behind the point, -1 = no point yet
    for (; *decimal != '\0'; ++decimal) {
        if (*decimal == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*decimal < '0' || *decimal > '9' || decimals == 8) {
            throw "fixed(): digits, one point, at most 8 decimals";  // compile time only
        }
        value = value * 10 + (*decimal - '0');
        decimals += decimals < 0 ? 0 : 1;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 8; ++i) {
        value *= 10;
    }
    return value;
}

/// One strategy attached to a segment. Move-only.
class Strategy {
public:
    Strategy() = default;
    ~Strategy() { mr_close(client_); }
    Strategy(Strategy&& other) noexcept : client_{std::exchange(other.client_, nullptr)} {}
    Strategy& operator=(Strategy&& other) noexcept {
        std::swap(client_, other.client_);
        return *this;
    }

    /// @return MR_OK, or why not (error()). An open strategy is closed first.
    [[nodiscard]] int open(const std::string& segment_path, const std::string& name) noexcept {
        close();
        return mr_open(segment_path.c_str(), name.c_str(), &client_);
    }
    void close() noexcept { mr_close(std::exchange(client_, nullptr)); }
    [[nodiscard]] bool is_open() const noexcept { return client_ != nullptr; }

    [[nodiscard]] int group(const std::string& name, std::uint32_t& id) noexcept {
        return mr_lookup_group(client_, name.c_str(), &id);
    }
    [[nodiscard]] int symbol(const std::string& name, std::uint32_t& id) noexcept {
        return mr_lookup_symbol(client_, name.c_str(), &id);
    }

    /// @return MR_OK once the signal is published; any error: it is not.
    [[nodiscard]] int submit(const Signal& signal) noexcept { return mr_submit(client_, &signal); }

    /// Calls `handle(const Result&)` for at most `max` waiting results. The handler must not
    /// throw: there is a C frame between it and you, so an exception ends the process.
    /// @return how many, or an error (< 0).
    template <class Handler>
    int poll(Handler&& handle, int max = 256) noexcept {
        using Held = std::remove_reference_t<Handler>;
        return mr_poll_results(
            client_,
            [](const mr_result* r, void* user) noexcept { (*static_cast<Held*>(user))(*r); },
            const_cast<void*>(static_cast<const void*>(&handle)), max);
    }
    /// @return 1 if a result waits, 0 after `timeout_ms`, or an error (< 0).
    [[nodiscard]] int wait(int timeout_ms) noexcept { return mr_wait(client_, timeout_ms); }

    [[nodiscard]] int tick(std::uint32_t symbol_id, Quote& quote) noexcept {
        return mr_tick(client_, symbol_id, &quote);
    }
    [[nodiscard]] std::int64_t now() const noexcept { return mr_now(client_); }
    [[nodiscard]] int check() noexcept { return mr_check(client_); }

    /// The calling thread's last error, in a sentence.
    [[nodiscard]] static const char* error() noexcept { return mr_error_text(); }

private:
    mr_client* client_ = nullptr;
};

}  // namespace millrace::client
