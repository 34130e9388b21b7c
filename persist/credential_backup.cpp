#include "persist/credential_backup.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "persist/credential_cipher.h"
#include "persist/credential_folder.h"
#include "persist/credential_scratch.h"
#include "persist/run_tool.h"
#include "persist/sqlite_db.h"
#include "shm/clock.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "MRCB0001";
constexpr const char* kSuffix = ".mrcb";
constexpr std::size_t kHeaderBytesMax = 1U << 20U;
constexpr char kPurpose[9] = "mrbackup";
constexpr int kSnapshotTries = 3;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span{text});
}

/// Everything that a row is, as text: what two stores are compared by.
std::string spelled(const std::vector<CredentialRow>& rows) {
    std::ostringstream text;
    for (const CredentialRow& r : rows) {
        std::string sealed(r.sealed.size() * 2 + 1, '\0');
        sodium_bin2hex(sealed.data(), sealed.size(),
                       reinterpret_cast<const unsigned char*>(r.sealed.data()), r.sealed.size());
        text << r.account << '\0' << r.login << '\0' << static_cast<int>(r.state) << '\0'
             << r.version << '\0' << r.sealed_version << '\0' << sealed.c_str() << '\0' << r.reason
             << '\0' << r.created_ns << '\0' << r.changed_ns << '\n';
    }
    return text.str();
}

/// One backup as it lies on disk.
struct Parts {
    std::string head;  // magic, length and header: what is authenticated
    std::vector<std::string> lines;
    std::span<const std::byte> nonce;
    std::span<const std::byte> sealed;
};

/// @return false if it is no backup of ours.
bool split(const std::string& file, Parts& parts) {
    std::uint32_t length = 0;
    const std::size_t fixed = kMagic.size() + sizeof length;
    if (file.size() < fixed || !file.starts_with(kMagic)) {
        return false;
    }
    std::memcpy(&length, file.data() + kMagic.size(), sizeof length);
    if (length > kHeaderBytesMax || file.size() < fixed + length + kGcmNonceBytes) {
        return false;
    }
    parts.head = file.substr(0, fixed + length);
    std::istringstream in{file.substr(fixed, length)};
    for (std::string line; std::getline(in, line);) {
        parts.lines.push_back(line);
    }
    const auto rest = bytes_of(file).subspan(fixed + length);
    parts.nonce = rest.first(kGcmNonceBytes);
    parts.sealed = rest.subspan(kGcmNonceBytes);
    return true;
}

std::string read_file(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Written, flushed and renamed into place, with its folder.
bool write_durably(const std::string& path, const std::string& content) {
    const std::string unfinished = path + std::string{kUnfinishedBackup};
    const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    std::string_view left = content;
    while (!left.empty()) {
        const ssize_t n = ::write(fd, left.data(), left.size());
        if (n <= 0) {
            break;
        }
        left.remove_prefix(static_cast<std::size_t>(n));
    }
    const bool flushed = left.empty() && ::fsync(fd) == 0;
    ::close(fd);
    if (!flushed || ::rename(unfinished.c_str(), path.c_str()) != 0) {
        ::unlink(unfinished.c_str());
        return false;
    }
    const int folder = ::open(fs::path{path}.parent_path().c_str(), O_RDONLY | O_CLOEXEC);
    const bool kept = ::fsync(folder) == 0;
    ::close(folder);
    return kept;
}

/// The parts of a name sort as the times do.
std::string name_at(std::int64_t ns) {
    const std::time_t s = ns / 1'000'000'000;
    std::tm tm{};
    ::gmtime_r(&s, &tm);
    char text[64];
    std::strftime(text, sizeof text, "credentials-%Y%m%dT%H%M%SZ-", &tm);
    char fraction[16];
    std::snprintf(fraction, sizeof fraction, "%09lld", static_cast<long long>(ns % 1'000'000'000));
    return std::string{text} + fraction + kSuffix;
}

/// Oldest first.
std::vector<std::string> backups_in(const std::string& dir) {
    std::vector<std::string> all;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{dir, error}) {
        if (entry.path().extension() == kSuffix) {
            all.push_back(entry.path().string());
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

std::unique_ptr<CredentialStore> make_credentials(const CredentialSource& source) {
    return source.sqlite_path.empty() ? make_postgres_credentials(source.postgres)
                                      : make_sqlite_credentials(source.sqlite_path);
}

HeldCredentials lacking(HeldCredentials held, const std::vector<CredentialRow>& rows) {
    for (const CredentialRow& row : rows) {
        held.erase(row.account);
    }
    return held;
}

CredentialBackups::CredentialBackups(CredentialBackupOptions options, const CredentialKey& key)
    : options_{std::move(options)}, key_{key} {
    ASSERT(options_.keep > 0);
}

Error CredentialBackups::failed(Errc code, const std::string& what) {
    message_ = what;
    return {code, 0, "credential backup"};
}

void CredentialBackups::tell(const std::string& step) const {
    if (options_.step) {
        options_.step(step);
    }
}

Result<std::vector<CredentialRow>> CredentialBackups::rows_of(const CredentialSource& source) {
    const auto store = make_credentials(source);
    const Status opened = store->open(CredentialOpen::Existing);
    if (!opened) {
        return failed(opened.code(), store->message());
    }
    auto rows = store->all();
    return rows ? std::move(rows)
                : Result<std::vector<CredentialRow>>{failed(rows.code(), store->message())};
}

// ---- making ------------------------------------------------------------------------------------

Status CredentialBackups::take(HeldBackupFolder& folder) {
    const Status taken = folder.take(options_.dir, options_.wait_s);
    return taken ? taken : Status{failed(taken.code(), folder.message())};
}

Result<std::string> CredentialBackups::make() {
    HeldBackupFolder folder;
    const Status taken = take(folder);
    return taken ? make_held() : Result<std::string>{taken.error()};
}

Result<std::string> CredentialBackups::make_held() {
    for (int i = 0; i < kSnapshotTries; ++i) {
        tell("dumping the store");
        const auto before = rows_of(options_.source);
        if (before && before.value().empty()) {
            return failed(Errc::NotFound, "the store holds no account");
        }
        auto made = before ? dump() : Result<std::vector<std::byte>>{before.error()};
        const auto after = made ? rows_of(options_.source) : before;
        if (!made || !after) {
            return made ? after.error() : made.error();
        }
        if (spelled(before.value()) != spelled(after.value())) {
            continue;  // somebody changed it meanwhile: what the dump holds is not known
        }
        auto path = write(before.value(), made.value());
        if (!path) {
            return path;
        }
        const auto back = restored(path.value());
        tell("comparing");
        if (!back || spelled(back.value()) != spelled(before.value())) {
            ::unlink(path.value().c_str());
            return back ? failed(Errc::BadChecksum, "the backup restores to something else")
                        : failed(back.code(), "the backup does not restore: " + message_);
        }
        missing_ = lacking(held(), before.value());
        prune();
        return path;
    }
    return failed(Errc::Busy, "the credentials change too fast to be copied");
}

void CredentialBackups::prune() const {
    const std::vector<std::string> all = list();
    for (std::size_t old = 0; old + options_.keep < all.size(); ++old) {
        // The last one that holds an account which the store lost stays, however old.
        const bool needed = std::any_of(missing_.begin(), missing_.end(),
                                        [&](const auto& m) { return m.second == all[old]; });
        if (!needed) {
            ::unlink(all[old].c_str());
        }
    }
}

Result<std::string> CredentialBackups::write(const std::vector<CredentialRow>& rows,
                                             std::span<const std::byte> dump) {
    const std::int64_t now = std::max(wall_ns(), newest_ns() + 1);
    std::string header =
        "kind=" + std::string{options_.source.sqlite_path.empty() ? "postgres" : "sqlite"} +
        "\ncreated_ns=" + std::to_string(now) + "\nkey=" + key_.id() + "\n";
    for (const CredentialRow& row : rows) {
        header += (row.sealed.empty() ? "erased=" : "account=") + row.account + "\n";
    }
    const auto length = static_cast<std::uint32_t>(header.size());
    std::string file{kMagic};
    file.append(reinterpret_cast<const char*>(&length), sizeof length);
    file += header;
    std::string nonce(kGcmNonceBytes, '\0');
    randombytes_buf(nonce.data(), nonce.size());
    const Secret key = key_.derived(kPurpose);
    const auto sealed = gcm_seal(key.bytes(), bytes_of(nonce), bytes_of(file), dump);
    file += nonce;
    file.append(reinterpret_cast<const char*>(sealed.data()), sealed.size());
    const std::string path = options_.dir + "/" + name_at(now);
    if (!write_durably(path, file)) {
        return failed(errno == ENOSPC ? Errc::NoSpace : Errc::IoError,
                      path + ": " + std::strerror(errno));
    }
    return path;
}

Result<std::vector<std::byte>> CredentialBackups::dump() {
    if (!options_.source.sqlite_path.empty()) {
        return dump_sqlite();
    }
    const PostgresPlace& at = options_.source.postgres;
    std::string complaint;
    auto dumped = run_tool({{"pg_dump", "-Fc", "--schema=millrace", "--no-owner", "-d", at.url},
                            {{"PGPASSWORD", at.password}},
                            {},
                            options_.tool_timeout_s},
                           complaint);
    return dumped ? std::move(dumped)
                  : Result<std::vector<std::byte>>{failed(dumped.code(), "pg_dump: " + complaint)};
}

Result<std::vector<std::byte>> CredentialBackups::dump_sqlite() {
    const ScratchFolder folder{options_.dir};
    const std::string copy = folder.path() + "/copy.db";
    SqliteDb db;
    Status done = db.open(options_.source.sqlite_path, 5000, SqliteOpen::Existing);
    done = done ? db.exec("VACUUM INTO '" + copy + "'") : done;
    if (!done) {
        return failed(done.code(), options_.source.sqlite_path + ": " + done.error().what);
    }
    const std::string content = read_file(copy);
    const auto bytes = bytes_of(content);
    return std::vector<std::byte>{bytes.begin(), bytes.end()};
}

// ---- restoring ---------------------------------------------------------------------------------

Result<std::vector<std::byte>> CredentialBackups::decrypted(const std::string& path) {
    const std::string file = read_file(path);
    Parts parts;
    if (!split(file, parts)) {
        return failed(Errc::BadMagic, path + ": no backup of credentials, or cut short");
    }
    const Secret key = key_.derived(kPurpose);
    auto dump = gcm_open(key.bytes(), parts.nonce, bytes_of(parts.head), parts.sealed);
    return dump ? std::move(dump)
                : Result<std::vector<std::byte>>{
                      failed(dump.code(), path + ": " + dump.error().what)};
}

Result<std::vector<CredentialRow>> CredentialBackups::restore_test(const std::string& path) {
    HeldBackupFolder folder;
    const Status taken = take(folder);
    return taken ? restored(path) : Result<std::vector<CredentialRow>>{taken.error()};
}

Result<std::vector<CredentialRow>> CredentialBackups::restored(const std::string& path) {
    tell("restoring " + fs::path{path}.filename().string() + " into a scratch store");
    const auto dump = decrypted(path);
    if (!dump) {
        return dump.error();
    }
    const std::string file = read_file(path);
    Parts parts;
    const bool sqlite =
        split(file, parts) && !parts.lines.empty() && parts.lines[0] == "kind=sqlite";
    if (!sqlite && !options_.source.sqlite_path.empty()) {
        return failed(Errc::Unsupported,
                      path + ": made of PostgreSQL, which restores it; \"store\" is sqlite");
    }
    return sqlite ? restored_sqlite(dump.value()) : restored_postgres(dump.value());
}

Status CredentialBackups::extract(const std::string& path, const std::string& to) {
    if (fs::exists(to)) {
        return failed(Errc::Busy, to + ": is there already");
    }
    const auto dump = decrypted(path);
    if (!dump) {
        return dump.error();
    }
    const std::string content{reinterpret_cast<const char*>(dump.value().data()),
                              dump.value().size()};
    if (!write_durably(fs::absolute(to).string(), content)) {
        return failed(errno == ENOSPC ? Errc::NoSpace : Errc::IoError,
                      to + ": " + std::strerror(errno));
    }
    return ok_status();
}

Result<std::vector<CredentialRow>> CredentialBackups::restored_sqlite(
    std::span<const std::byte> dump) {
    const ScratchFolder folder{options_.dir};
    const std::string copy = folder.path() + "/copy.db";
    const std::string content{reinterpret_cast<const char*>(dump.data()), dump.size()};
    if (!write_durably(copy, content)) {
        return failed(Errc::IoError, copy + ": " + std::strerror(errno));
    }
    SqliteDb db;
    const Status opened = db.open(copy, 1000, SqliteOpen::ReadOnly);
    const auto sound =
        opened ? db.text("PRAGMA integrity_check") : Result<std::string>{opened.error()};
    if (!sound || sound.value() != "ok") {
        return failed(Errc::BadChecksum, "the copy is damaged");
    }
    return rows_of({copy, {}});
}

Result<std::vector<CredentialRow>> CredentialBackups::restored_postgres(
    std::span<const std::byte> dump) {
    ScratchDatabase scratch;
    const PostgresPlace& at = options_.source.postgres;
    if (auto made = scratch.make(at); !made) {
        return failed(made.code(), "a scratch database to restore into: " + scratch.message());
    }
    std::string complaint;
    const auto restored = run_tool({{"pg_restore", "--exit-on-error", "--no-owner",
                                     "--no-privileges", "-d", scratch.place().url},
                                    {{"PGPASSWORD", at.password}},
                                    dump,
                                    options_.tool_timeout_s},
                                   complaint);
    if (!restored) {
        return failed(restored.code(), "pg_restore: " + complaint);
    }
    return rows_of({"", scratch.place()});
}

// ---- the folder --------------------------------------------------------------------------------

std::vector<std::string> CredentialBackups::list() const {
    return backups_in(options_.dir);
}

std::vector<std::string> CredentialBackups::holding(const std::string& account) const {
    std::vector<std::string> found;
    for (const std::string& path : list()) {
        const std::string file = read_file(path);
        Parts parts;
        // One that cannot be read may hold it: named too, rather than passed over.
        if (!split(file, parts) || std::find(parts.lines.begin(), parts.lines.end(),
                                             "account=" + account) != parts.lines.end()) {
            found.push_back(path);
        }
    }
    return found;
}

HeldCredentials CredentialBackups::held() const {
    const Secret key = key_.derived(kPurpose);
    HeldCredentials held;
    for (const std::string& path : list()) {  // oldest first: the newest one's word stays
        const std::string file = read_file(path);
        Parts parts;
        if (!split(file, parts) ||
            !gcm_open(key.bytes(), parts.nonce, bytes_of(parts.head), parts.sealed)) {
            continue;
        }
        for (const std::string& line : parts.lines) {
            const std::size_t equals = line.find('=');
            if (line.starts_with("account=")) {
                held[line.substr(equals + 1)] = path;
            } else if (line.starts_with("erased=")) {
                held.erase(line.substr(equals + 1));  // whatever an older one still holds
            }
        }
    }
    return held;
}

bool any_credential_backup(const std::string& dir) {
    return !backups_in(dir).empty();
}

std::int64_t CredentialBackups::newest_ns() const {
    return newest_credential_backup_ns(options_.dir);
}

std::int64_t newest_credential_backup_ns(const std::string& dir) {
    const std::vector<std::string> all = backups_in(dir);
    Parts parts;
    const std::string file = all.empty() ? "" : read_file(all.back());
    if (split(file, parts)) {
        for (const std::string& line : parts.lines) {
            if (line.starts_with("created_ns=")) {
                return std::strtoll(line.c_str() + 11, nullptr, 10);
            }
        }
    }
    return 0;
}

}  // namespace millrace
