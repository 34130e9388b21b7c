#include "persist/credential_secret.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace millrace {
namespace {

constexpr std::uint8_t kSealVersion = 1;
constexpr std::size_t kIdBytes = 8;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kHeadBytes = 1 + kIdBytes + kNonceBytes;
constexpr std::size_t kHexBytes = 2 * CredentialKey::kKeyBytes;

void need_sodium() {
    static const int ready = sodium_init();
    ASSERT(ready >= 0);
}

const unsigned char* raw(const std::byte* bytes) noexcept {
    return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* raw(std::byte* bytes) noexcept {
    return reinterpret_cast<unsigned char*>(bytes);
}

Error fail(std::string& message, Errc code, const std::string& path, const std::string& what) {
    message = path + ": " + what;
    return {code, errno, "credential key"};
}

/// Length-prefixed, so that two fields cannot pass for one another.
std::string binding(const SealedFor& owner) {
    return "millrace credential 1:" + std::to_string(owner.account.size()) + ":" +
           std::string{owner.account} + std::to_string(owner.login.size()) + ":" +
           std::string{owner.login} + ":" + std::to_string(owner.version);
}

std::array<unsigned char, kIdBytes> id_of(const Secret& key) {
    std::array<unsigned char, crypto_generichash_BYTES_MIN> hash{};
    static constexpr unsigned char kContext[] = "millrace key id";
    // Keyed by the key: one way, and not the hash that anybody else would make of it.
    crypto_generichash(hash.data(), hash.size(), kContext, sizeof kContext, raw(key.bytes().data()),
                       key.bytes().size());
    std::array<unsigned char, kIdBytes> id{};
    std::copy_n(hash.begin(), kIdBytes, id.begin());
    return id;
}

/// By an access list, which shows its mask where a mode has the group's bits: systemd gives a
/// credential to a unit's user like that.
/// @return false also if there is none.
bool is_given_to_us_alone(int fd) {
    struct Entry {
        std::uint16_t tag;
        std::uint16_t permissions;
        std::uint32_t id;
    };
    static constexpr std::uint32_t kVersion = 2;
    enum Tag : std::uint16_t { kOwner = 1, kUser = 2, kMask = 16 };
    std::array<unsigned char, 1024> list{};
    const ssize_t n = ::fgetxattr(fd, "system.posix_acl_access", list.data(), list.size());
    std::uint32_t version = 0;
    if (n < static_cast<ssize_t>(sizeof version)) {
        return false;
    }
    std::memcpy(&version, list.data(), sizeof version);
    bool ours = version == kVersion;
    for (std::size_t at = sizeof version; at + sizeof(Entry) <= static_cast<std::size_t>(n);
         at += sizeof(Entry)) {
        Entry e{};
        std::memcpy(&e, list.data() + at, sizeof e);
        const bool us = e.tag == kUser && (e.id == ::geteuid() || e.id == 0);
        ours = ours && (e.permissions == 0 || e.tag == kOwner || e.tag == kMask || us);
    }
    return ours;
}

}  // namespace

Secret::Secret(std::size_t bytes) : bytes_{bytes} {
    need_sodium();
    data_.reset(static_cast<std::byte*>(sodium_malloc(std::max<std::size_t>(bytes, 1))));
    ASSERT(data_ != nullptr);
    sodium_memzero(data_.get(), bytes);
}

void Secret::Wipe::operator()(std::byte* data) const noexcept {
    sodium_free(data);  // wipes first
}

Secret Secret::taken_from(std::string& text) {
    Secret secret{text.size()};
    std::memcpy(secret.data_.get(), text.data(), text.size());
    sodium_memzero(text.data(), text.size());
    text.clear();
    return secret;
}

bool Secret::equals(std::span<const std::byte> other) const noexcept {
    return other.size() == bytes_ && sodium_memcmp(data_.get(), other.data(), bytes_) == 0;
}

// ---- the key -----------------------------------------------------------------------------------

Result<CredentialKey> CredentialKey::load(const std::string& path, std::string& message) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return fail(message, errno == ENOENT ? Errc::NotFound : Errc::IoError, path,
                    std::string{"cannot open the key: "} + std::strerror(errno));
    }
    struct stat st{};
    const bool known = ::fstat(fd, &st) == 0;
    const bool ours = st.st_uid == ::geteuid() || st.st_uid == 0;
    const bool alone =
        (st.st_mode & 077U) == 0 || ((st.st_mode & 07U) == 0 && is_given_to_us_alone(fd));
    if (!known || !S_ISREG(st.st_mode) || !alone || !ours) {
        ::close(fd);
        return fail(message, Errc::BadAuth, path,
                    "the key must be a file of yours that nobody else may read (chmod 600)");
    }
    Secret hex{kHexBytes + 1};
    const ssize_t n = ::read(fd, hex.bytes().data(), hex.bytes().size());
    ::close(fd);
    CredentialKey key;
    std::size_t made = 0;
    const bool parsed = n >= static_cast<ssize_t>(kHexBytes) &&
                        sodium_hex2bin(raw(key.key_.bytes().data()), kKeyBytes,
                                       reinterpret_cast<const char*>(hex.bytes().data()), kHexBytes,
                                       nullptr, &made, nullptr) == 0;
    if (!parsed || made != kKeyBytes) {
        return fail(message, Errc::BadInput, path, "a key is 64 hex digits");
    }
    return key;
}

Result<CredentialKey> CredentialKey::create(const std::string& path, std::string& message) {
    CredentialKey key;
    randombytes_buf(key.key_.bytes().data(), kKeyBytes);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(message, errno == EEXIST ? Errc::Busy : Errc::IoError, path,
                    std::string{"cannot make the key: "} + std::strerror(errno));
    }
    Secret hex{kHexBytes + 1};
    auto* const text = reinterpret_cast<char*>(hex.bytes().data());
    sodium_bin2hex(text, kHexBytes + 1, raw(key.key_.bytes().data()), kKeyBytes);
    text[kHexBytes] = '\n';
    const bool written =
        ::write(fd, text, kHexBytes + 1) == static_cast<ssize_t>(kHexBytes + 1) && ::fsync(fd) == 0;
    ::close(fd);
    if (!written) {
        ::unlink(path.c_str());
        return fail(message, Errc::IoError, path, "cannot write the key");
    }
    return key;
}

std::string CredentialKey::id() const {
    const auto id = id_of(key_);
    std::string text(2 * kIdBytes + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), id.data(), id.size());
    text.pop_back();
    return text;
}

Secret CredentialKey::derived(const char (&purpose)[9]) const {
    static_assert(sizeof purpose == crypto_kdf_CONTEXTBYTES + 1);
    static_assert(kKeyBytes == crypto_kdf_KEYBYTES);
    Secret made{kKeyBytes};
    crypto_kdf_derive_from_key(raw(made.bytes().data()), kKeyBytes, 1, purpose,
                               raw(key_.bytes().data()));
    return made;
}

// ---- sealing: version | key id | nonce | ciphertext and tag ------------------------------------

std::vector<std::byte> CredentialKey::seal(const Secret& secret, const SealedFor& owner) const {
    ASSERT(!secret.empty());
    ASSERT(secret.bytes().size() <= kSecretBytesMax);
    std::vector<std::byte> out(kHeadBytes + secret.bytes().size() + kTagBytes);
    out[0] = std::byte{kSealVersion};
    const auto id = id_of(key_);
    std::memcpy(&out[1], id.data(), kIdBytes);
    randombytes_buf(&out[1 + kIdBytes], kNonceBytes);  // 192 bits: may be drawn by lot
    const std::string bound = binding(owner);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        raw(&out[kHeadBytes]), nullptr, raw(secret.bytes().data()), secret.bytes().size(),
        reinterpret_cast<const unsigned char*>(bound.data()), bound.size(), nullptr,
        raw(&out[1 + kIdBytes]), raw(key_.bytes().data()));
    return out;
}

Result<Secret> CredentialKey::open(std::span<const std::byte> sealed,
                                   const SealedFor& owner) const {
    if (sealed.size() <= kHeadBytes + kTagBytes ||
        sealed.size() > kHeadBytes + kSecretBytesMax + kTagBytes) {
        return {Errc::BadAuth, "what is stored is no sealed secret"};
    }
    const auto id = id_of(key_);
    if (sealed[0] != std::byte{kSealVersion} || std::memcmp(&sealed[1], id.data(), kIdBytes) != 0) {
        return {Errc::BadVersion, "it was sealed by another key"};
    }
    Secret secret{sealed.size() - kHeadBytes - kTagBytes};
    const std::string bound = binding(owner);
    const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
        raw(secret.bytes().data()), nullptr, nullptr, raw(&sealed[kHeadBytes]),
        sealed.size() - kHeadBytes, reinterpret_cast<const unsigned char*>(bound.data()),
        bound.size(), raw(&sealed[1 + kIdBytes]), raw(key_.bytes().data()));
    if (opened != 0) {
        return {Errc::BadAuth, "it was changed, or belongs to another account or version"};
    }
    return secret;
}

}  // namespace millrace
