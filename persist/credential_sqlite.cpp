// Credentials in a SQLite file of their own: the store that needs no server.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "persist/credential_store.h"
#include "persist/sqlite_db.h"

namespace millrace {
namespace {

constexpr int kBusyMs = 5000;
constexpr std::int64_t kApplicationId = 0x4D524352;  // "MRCR"

// secure_delete: what is erased is overwritten. No write-ahead log: it would keep it for a while.
constexpr const char* kSettings =
    "PRAGMA secure_delete = ON; PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;";
constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS credentials (account TEXT PRIMARY KEY, login TEXT NOT NULL, "
    "state INTEGER NOT NULL, version INTEGER NOT NULL, sealed_version INTEGER NOT NULL, "
    "sealed BLOB, reason TEXT NOT NULL, created_ns INTEGER NOT NULL, "
    "changed_ns INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS credential_events (at_ns INTEGER NOT NULL, "
    "account TEXT NOT NULL, version INTEGER NOT NULL, event TEXT NOT NULL);"
    "PRAGMA application_id = 1297236818;";
static_assert(kApplicationId == 1297236818);
constexpr const char* kSelect =
    "SELECT account, login, state, version, sealed_version, sealed, reason, created_ns, "
    "changed_ns FROM credentials";

CredentialRow row_of(const SqliteStatement& s) {
    CredentialRow r;
    r.account = s.column_text(0);
    r.login = s.column_text(1);
    r.state = static_cast<CredentialState>(s.column(2));
    r.version = static_cast<std::uint64_t>(s.column(3));
    r.sealed_version = static_cast<std::uint64_t>(s.column(4));
    const auto sealed = s.column_blob(5);
    r.sealed.assign(sealed.begin(), sealed.end());
    r.reason = s.column_text(6);
    r.created_ns = s.column(7);
    r.changed_ns = s.column(8);
    return r;
}

class SqliteCredentials final : public CredentialStore {
public:
    explicit SqliteCredentials(std::string path) : path_{std::move(path)} {}

    Status open(CredentialOpen how) override {
        const bool create = how == CredentialOpen::Create;
        // Made by us first: SQLite would ask the umask who may read it.
        const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
        const int fd = ::open(path_.c_str(), flags, 0600);
        if (fd < 0) {
            const int e = errno;
            message_ = path_ + ": " + std::strerror(e);
            return {e == ENOENT && !create ? Errc::NotFound : Errc::IoError, "credentials", e};
        }
        ::close(fd);
        db_.close();
        Status done = db_.open(path_, kBusyMs, SqliteOpen::Existing);
        const auto id = done ? db_.number("PRAGMA application_id") : Result<std::int64_t>{0};
        const auto tables =
            done ? db_.number("SELECT count(*) FROM sqlite_master") : Result<std::int64_t>{0};
        if (done && (!id || !tables)) {
            done = id ? Status{tables.error()} : Status{id.error()};
        }
        if (done && id.value() != kApplicationId && tables.value() != 0) {
            message_ = path_ + ": a database of another program";
            return {Errc::BadMagic, "credentials"};
        }
        done = done ? db_.exec(kSettings) : done;
        return done && !create ? found() : judged(done ? db_.exec(kSchema) : done);
    }

    Result<std::optional<CredentialRow>> find(const std::string& account) override {
        auto query = db_.prepare(std::string{kSelect} + " WHERE account = ?");
        if (!query) {
            return judged(query.error()).error();
        }
        const auto row = query.value().bind_text(account).row();
        if (!row) {
            return judged(row.error()).error();
        }
        return row.value() ? std::optional{row_of(query.value())} : std::nullopt;
    }

    Result<std::vector<CredentialRow>> all() override {
        auto query = db_.prepare(std::string{kSelect} + " ORDER BY account");
        if (!query) {
            return judged(query.error()).error();
        }
        std::vector<CredentialRow> rows;
        while (true) {
            const auto row = query.value().row();
            if (!row) {
                return judged(row.error()).error();
            }
            if (!row.value()) {
                return rows;
            }
            rows.push_back(row_of(query.value()));
        }
    }

    Status put(const CredentialRow& row, std::uint64_t expected,
               const std::string& event) override {
        Status done = db_.exec("BEGIN IMMEDIATE");
        if (done) {
            done = write(row, expected, event);
        }
        if (done) {
            done = db_.exec("COMMIT");
        }
        const Status result = judged(done);
        if (!done && db_.in_transaction()) {
            (void)db_.exec("ROLLBACK");  // if even this fails, the close drops it
        }
        return result;
    }

    Status scrub() override { return judged(db_.exec("VACUUM")); }
    [[nodiscard]] const std::string& message() const override { return message_; }

private:
    /// A file without our table is as good as none: cut to nothing, or made by a copy that failed.
    Status found() {
        const auto ours =
            db_.number("SELECT count(*) FROM sqlite_master WHERE name = 'credentials'");
        if (!ours) {
            return judged(ours.error());
        }
        if (ours.value() == 0) {
            message_ = path_ + ": holds no table of credentials";
            return {Errc::NotFound, "credentials"};
        }
        return ok_status();
    }

    Status write(const CredentialRow& r, std::uint64_t expected, const std::string& event) {
        auto put = db_.prepare(
            "INSERT INTO credentials SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9 WHERE ?10 = 0 OR EXISTS "
            "(SELECT 1 FROM credentials WHERE account = ?1) ON CONFLICT (account) DO "
            "UPDATE SET login = ?2, state = ?3, version = ?4, sealed_version = ?5, sealed = ?6, "
            "reason = ?7, changed_ns = ?9 WHERE version = ?10 RETURNING version");
        if (!put) {
            return put.error();
        }
        const auto wrote = put.value()
                               .bind_text(r.account)
                               .bind_text(r.login)
                               .bind(static_cast<std::int64_t>(r.state))
                               .bind(static_cast<std::int64_t>(r.version))
                               .bind(static_cast<std::int64_t>(r.sealed_version))
                               .bind_blob(r.sealed)
                               .bind_text(r.reason)
                               .bind(r.created_ns)
                               .bind(r.changed_ns)
                               .bind(static_cast<std::int64_t>(expected))
                               .row();
        if (!wrote) {
            return wrote.error();
        }
        // Not written over another version; or there was no row, where one was expected.
        if (!wrote.value()) {
            return {Errc::Busy, "it was changed by somebody else meanwhile"};
        }
        put = SqliteStatement{};
        auto note = db_.prepare("INSERT INTO credential_events VALUES (?,?,?,?)");
        return note ? note.value()
                          .bind(r.changed_ns)
                          .bind_text(r.account)
                          .bind(static_cast<std::int64_t>(r.version))
                          .bind_text(event)
                          .run()
                    : Status{note.error()};
    }

    Status judged(const Status& status) {
        if (!status) {
            message_ = path_ + ": " + status.error().what;
        }
        return status;
    }

    std::string path_;
    SqliteDb db_;
    std::string message_;
};

}  // namespace

std::string_view to_string(CredentialState state) noexcept {
    switch (state) {
        case CredentialState::Active: return "ACTIVE";
        case CredentialState::Locked: return "LOCKED";
        case CredentialState::Erased: return "ERASED";
    }
    return "?";
}

std::unique_ptr<CredentialStore> make_sqlite_credentials(std::string path) {
    return std::make_unique<SqliteCredentials>(std::move(path));
}

}  // namespace millrace
