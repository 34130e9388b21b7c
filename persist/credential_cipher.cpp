#include "persist/credential_cipher.h"

#include <openssl/evp.h>

#include <memory>

namespace millrace {
namespace {

struct Free {
    void operator()(EVP_CIPHER_CTX* c) const noexcept { EVP_CIPHER_CTX_free(c); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

const unsigned char* raw(std::span<const std::byte> bytes) noexcept {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

constexpr std::size_t kKeyBytes = 32;

}  // namespace

std::vector<std::byte> gcm_seal(std::span<const std::byte> key, std::span<const std::byte> nonce,
                                std::span<const std::byte> header,
                                std::span<const std::byte> plain) {
    ASSERT(key.size() == kKeyBytes);
    ASSERT(nonce.size() == kGcmNonceBytes);
    std::vector<std::byte> out(plain.size() + kGcmTagBytes);
    auto* const to = reinterpret_cast<unsigned char*>(out.data());
    const Context c{EVP_CIPHER_CTX_new()};
    int n = 0;
    int rest = 0;
    // None of these fails for lack of anything but memory.
    ASSERT(EVP_EncryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1);
    ASSERT(EVP_EncryptUpdate(c.get(), nullptr, &n, raw(header), static_cast<int>(header.size())) ==
           1);
    ASSERT(EVP_EncryptUpdate(c.get(), to, &n, raw(plain), static_cast<int>(plain.size())) == 1);
    ASSERT(EVP_EncryptFinal_ex(c.get(), to + n, &rest) == 1);
    ASSERT(static_cast<std::size_t>(n + rest) == plain.size());
    ASSERT(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, kGcmTagBytes, to + plain.size()) ==
           1);
    return out;
}

Result<std::vector<std::byte>> gcm_open(std::span<const std::byte> key,
                                        std::span<const std::byte> nonce,
                                        std::span<const std::byte> header,
                                        std::span<const std::byte> sealed) {
    ASSERT(key.size() == kKeyBytes);
    if (nonce.size() != kGcmNonceBytes || sealed.size() < kGcmTagBytes) {
        return {Errc::BadAuth, "too short for a backup"};
    }
    const auto text = sealed.first(sealed.size() - kGcmTagBytes);
    std::vector<std::byte> tag{sealed.end() - kGcmTagBytes, sealed.end()};
    std::vector<std::byte> out(text.size());
    auto* const to = reinterpret_cast<unsigned char*>(out.data());
    const Context c{EVP_CIPHER_CTX_new()};
    int n = 0;
    int rest = 0;
    ASSERT(EVP_DecryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1);
    ASSERT(EVP_DecryptUpdate(c.get(), nullptr, &n, raw(header), static_cast<int>(header.size())) ==
           1);
    ASSERT(EVP_DecryptUpdate(c.get(), to, &n, raw(text), static_cast<int>(text.size())) == 1);
    ASSERT(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, kGcmTagBytes, tag.data()) == 1);
    if (EVP_DecryptFinal_ex(c.get(), to + n, &rest) != 1) {
        return {Errc::BadAuth, "it was changed, or is of another key"};
    }
    return out;
}

}  // namespace millrace
