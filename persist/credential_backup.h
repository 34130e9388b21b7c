// Encrypted copies of the credential store, each restored and compared before it counts.
//
//     credentials-<UTC time>-<n>.mrcb: | "MRCB0001" | header bytes, u32 | header | nonce, 12 |
//                                      | AES-256-GCM of the dump | tag, 16 |
//
// The header is text, in clear and authenticated: what it was made from, when, by which key it
// opens, and whose credentials it holds, so that an erasure can name the copies that still do; and
// whose were erased by then, so that those do not count as lost.
#pragma once

#include "persist/credential_secret.h"
#include "persist/credential_store.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace millrace {

class HeldBackupFolder;

struct CredentialSource {
    std::string sqlite_path;  // or, if empty:
    PostgresPlace postgres;   // dumped with pg_dump -Fc, restored with pg_restore
};
[[nodiscard]] std::unique_ptr<CredentialStore> make_credentials(const CredentialSource& source);

struct CredentialBackupOptions {
    CredentialSource source;
    std::string dir;          // made with mode 0700
    std::size_t keep = 30;    // older ones are removed once a newer one counts
    int tool_timeout_s = 60;  // for pg_dump and pg_restore
    int wait_s = 120;         // for another that writes into `dir`
    std::function<void(const std::string&)> step = {};  // what is being done now; may be empty
};

/// Account -> the newest backup that holds credentials of it; without those erased since.
using HeldCredentials = std::map<std::string, std::string>;
/// Those of `held` that are no row of `rows`, of a store or a backup. Rows never leave a store,
/// erased ones neither: such an account was lost with a store that was begun anew, or set back.
[[nodiscard]] HeldCredentials lacking(HeldCredentials held, const std::vector<CredentialRow>& rows);

/// Whether there is any backup in `dir`, be it damaged.
[[nodiscard]] bool any_credential_backup(const std::string& dir);
/// When the newest backup in `dir` was made, wall clock; 0: there is none, or it cannot be read.
[[nodiscard]] std::int64_t newest_credential_backup_ns(const std::string& dir);

class CredentialBackups {
public:
    /// @param key opens the backups too (a key derived from it encrypts them); outlives this.
    CredentialBackups(CredentialBackupOptions options, const CredentialKey& key);

    /// Dumps, encrypts, writes and flushes a new backup; restores it into a scratch store, compares
    /// that row by row with the source, and only then removes what is too old: nothing that is the
    /// last to hold an account which the source lacks, see missing().
    /// @return its path; NotFound: the source is not there or holds no account, nothing was made;
    /// Busy: another is being made all the time; BadChecksum: it did not restore to the same, and
    /// was removed; IoError, NoSpace, Timeout, Unsupported (no pg_dump), NotOwner (no right to make
    /// a scratch database). Crash: a file that was not finished has another name; it and scratch
    /// copies are removed by the next run, a scratch database of PostgreSQL by one an hour later.
    [[nodiscard]] Result<std::string> make();
    /// What the source of the last make() lacked.
    [[nodiscard]] const HeldCredentials& missing() const noexcept { return missing_; }

    /// Restores `path` into a scratch store. @return the rows in it; BadAuth: changed, or another
    /// key; Unsupported: of PostgreSQL, where the source is none; as make().
    [[nodiscard]] Result<std::vector<CredentialRow>> restore_test(const std::string& path);
    /// The dump in `path`, decrypted: what pg_restore or sqlite3 takes.
    [[nodiscard]] Result<std::vector<std::byte>> decrypted(const std::string& path);
    /// Writes that into the new file `to`, mode 0600. Secrets in it are sealed still.
    /// @return Busy: `to` is there; as decrypted(); IoError, NoSpace.
    [[nodiscard]] Status extract(const std::string& path, const std::string& to);

    /// Oldest first.
    [[nodiscard]] std::vector<std::string> list() const;
    /// Those that hold credentials of `account`.
    [[nodiscard]] std::vector<std::string> holding(const std::string& account) const;
    /// By the headers of those that open by our key and were not changed.
    [[nodiscard]] HeldCredentials held() const;
    /// newest_credential_backup_ns() of its folder.
    [[nodiscard]] std::int64_t newest_ns() const;

    [[nodiscard]] const CredentialBackupOptions& options() const noexcept { return options_; }
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    [[nodiscard]] Status take(HeldBackupFolder& folder);
    [[nodiscard]] Result<std::string> make_held();
    [[nodiscard]] Result<std::vector<CredentialRow>> restored(const std::string& path);
    [[nodiscard]] Result<std::vector<std::byte>> dump();
    [[nodiscard]] Result<std::vector<std::byte>> dump_sqlite();
    [[nodiscard]] Result<std::vector<CredentialRow>> rows_of(const CredentialSource& source);
    [[nodiscard]] Result<std::vector<CredentialRow>> restored_sqlite(
        std::span<const std::byte> dump);
    [[nodiscard]] Result<std::vector<CredentialRow>> restored_postgres(
        std::span<const std::byte> dump);
    [[nodiscard]] Result<std::string> write(const std::vector<CredentialRow>& rows,
                                            std::span<const std::byte> dump);
    /// Removes what is too old.
    void prune() const;
    [[nodiscard]] Error failed(Errc code, const std::string& what);
    void tell(const std::string& step) const;

    CredentialBackupOptions options_;
    const CredentialKey& key_;
    HeldCredentials missing_;
    std::string message_;
};

}  // namespace millrace
