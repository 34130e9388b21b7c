// Result<T>: what the world does wrong is a value, never an exception.
//
// C++20 on gcc 12 has no std::expected; this is the part of it we need.
#pragma once

#include "core/assert.h"

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

namespace millrace {

/// Every way an operation of ours can be refused or fail. Stable: persisted in alerts and logs.
enum class Errc : std::uint8_t {
    Ok = 0,
    RingFull,     // no free slot; nothing changed
    RingEmpty,    // nothing published beyond the cursor
    BadMagic,     // not our file
    BadVersion,   // our file, another layout
    BadLayout,    // sizes or offsets contradict each other
    BadCursor,    // read <= write <= read + capacity is violated
    BadChecksum,  // bytes changed since they were written
    BadChain,     // record does not follow its predecessor
    TornTail,     // incomplete last write beyond the durable mark
    NotOwner,     // role is held by somebody else
    NoSpace,      // disk, /dev/shm or a fixed-capacity table is full
    IoError,      // the system refused; see the accompanying errno
    Poisoned,     // a write or flush failed earlier; final for this writer
    BadFrame,     // malformed bytes on a wire
    BadAuth,      // wrong key or wrong MAC
    Unsupported,  // the kernel or container does not offer it
    Timeout,      // no answer in time; the outcome is unknown
    NotFound,
    Busy,
    BadInput,
    OtherBoot,  // a segment that was made before the host's last start
};

/// The enumerator's name, for logs and messages.
[[nodiscard]] std::string_view to_string(Errc code) noexcept;

/// Why something failed: the code, the system's errno where there is one, and a static text
/// that names the thing. Trivially copyable; never allocates.
struct Error {
    Errc code = Errc::Ok;
    int sys_errno = 0;
    const char* what = "";
};

/// A value or an Error. Reading the wrong side is a bug of ours and ASSERTs.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) noexcept : held_{std::in_place_index<0>, std::move(value)} {}
    Result(Error error) noexcept : held_{std::in_place_index<1>, error} {}
    Result(Errc code, const char* what = "", int sys_errno = 0) noexcept
        : held_{std::in_place_index<1>, Error{code, sys_errno, what}} {}

    [[nodiscard]] bool ok() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    [[nodiscard]] T& value() & noexcept {
        ASSERT(ok());
        return *std::get_if<0>(&held_);
    }
    [[nodiscard]] const T& value() const& noexcept {
        ASSERT(ok());
        return *std::get_if<0>(&held_);
    }
    [[nodiscard]] T&& value() && noexcept {
        ASSERT(ok());
        return std::move(*std::get_if<0>(&held_));
    }
    [[nodiscard]] const Error& error() const noexcept {
        ASSERT(!ok());
        return *std::get_if<1>(&held_);
    }
    [[nodiscard]] Errc code() const noexcept { return ok() ? Errc::Ok : error().code; }

private:
    std::variant<T, Error> held_;
};

/// For operations that give nothing back but success.
struct Unit {};
using Status = Result<Unit>;
[[nodiscard]] inline Status ok_status() noexcept {
    return Unit{};
}

}  // namespace millrace
