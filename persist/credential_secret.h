// Secret: bytes that are wiped when they are no longer needed, and the key that seals them.
//
// Secrets lie in locked, guarded pages (libsodium), are never copied, and have no way to be
// printed. A sealed secret is XChaCha20-Poly1305, bound to its account, login and version: moved to
// another row, or put back from an older one, it does not open.
#pragma once

#include "core/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

inline constexpr std::size_t kSecretBytesMax = 4096;

class Secret {
public:
    Secret() = default;
    /// Locked memory for `bytes`, zero. ASSERTs if there is none: nothing may be kept elsewhere.
    explicit Secret(std::size_t bytes);
    /// Takes the text over and wipes it where it was.
    static Secret taken_from(std::string& text);

    [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_.get(), bytes_}; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return {data_.get(), bytes_};
    }
    [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
    /// Equal, compared in a time that tells nothing.
    [[nodiscard]] bool equals(std::span<const std::byte> other) const noexcept;

private:
    struct Wipe {
        void operator()(std::byte* data) const noexcept;
    };
    std::unique_ptr<std::byte, Wipe> data_;
    std::size_t bytes_ = 0;
};

/// What a sealed secret is bound to.
struct SealedFor {
    std::string_view account;
    std::string_view login;
    std::uint64_t version = 0;
};

/// The key outside the database. Its id, a hash, may be told: it says which key is needed.
class CredentialKey {
public:
    static constexpr std::size_t kKeyBytes = 32;

    /// Reads 64 hex digits from `path`: a regular file that only its owner may read, who is this
    /// user or root (a systemd credential is such a file).
    /// @return NotFound, BadAuth: others may read it; BadInput: no key; message says which.
    [[nodiscard]] static Result<CredentialKey> load(const std::string& path, std::string& message);
    /// Makes a new key in `path`, mode 0600, flushed. @return Busy: there is a file already.
    [[nodiscard]] static Result<CredentialKey> create(const std::string& path,
                                                      std::string& message);

    [[nodiscard]] std::vector<std::byte> seal(const Secret& secret, const SealedFor& owner) const;
    /// @return BadVersion: sealed by another key or build; BadAuth: changed, or of another row.
    [[nodiscard]] Result<Secret> open(std::span<const std::byte> sealed,
                                      const SealedFor& owner) const;
    /// A key for `purpose`, which tells nothing of this one.
    [[nodiscard]] Secret derived(const char (&purpose)[9]) const;
    [[nodiscard]] std::string id() const;

private:
    CredentialKey() : key_{kKeyBytes} {}
    Secret key_;
};

}  // namespace millrace
