// Credentials in PostgreSQL (libpq): parameters are always bound, never spelled into statements.
#include <poll.h>
#include <postgresql/libpq-fe.h>

#include <array>
#include <span>

#include "persist/credential_store.h"
#include "shm/clock.h"

namespace millrace {
namespace {

constexpr const char* kSettings[] = {
    "SET client_min_messages = warning", "SET statement_timeout = '10s'", "SET lock_timeout = '5s'",
    // Whatever the server's setting: a change that was told is on its disk.
    "SET synchronous_commit = on"};
constexpr const char* kSchema[] = {
    "CREATE SCHEMA IF NOT EXISTS millrace",
    ("CREATE TABLE IF NOT EXISTS millrace.credentials (account text PRIMARY KEY, login text NOT "
     "NULL, state int8 NOT NULL, version int8 NOT NULL, sealed_version int8 NOT NULL, sealed "
     "bytea, reason text NOT NULL, created_ns int8 NOT NULL, changed_ns int8 NOT NULL)"),
    ("CREATE TABLE IF NOT EXISTS millrace.credential_events (at_ns int8 NOT NULL, account text "
     "NOT NULL, version int8 NOT NULL, event text NOT NULL)")};
constexpr const char* kCountTables =
    "SELECT count(*)::int8 FROM pg_catalog.pg_tables WHERE schemaname = 'millrace' AND tablename = "
    "'credentials'";
constexpr const char* kSelect =
    "SELECT account, login, state, version, sealed_version, sealed, reason, created_ns, changed_ns "
    "FROM millrace.credentials";
// One statement, so one transaction and one trip: the row, if it has the version expected, and
// the event. The count of events tells which it was.
constexpr const char* kPut =
    "WITH stored AS (INSERT INTO millrace.credentials SELECT $1::text, $2::text, $3::int8, "
    "$4::int8, $5::int8, $6::bytea, $7::text, $8::int8, $9::int8 WHERE $10::int8 = 0 OR EXISTS "
    "(SELECT 1 FROM millrace.credentials WHERE account = $1::text) ON CONFLICT (account) DO UPDATE "
    "SET login = EXCLUDED.login, state = EXCLUDED.state, version = EXCLUDED.version, "
    "sealed_version = EXCLUDED.sealed_version, sealed = EXCLUDED.sealed, "
    "reason = EXCLUDED.reason, changed_ns = EXCLUDED.changed_ns "
    "WHERE credentials.version = $10::int8 RETURNING account, version, changed_ns) "
    "INSERT INTO millrace.credential_events SELECT changed_ns, account, version, $11::text "
    "FROM stored";

constexpr int kAnswerSeconds = 15;  // longer than the server's own limit below

struct Free {
    void operator()(PGconn* c) const noexcept { PQfinish(c); }
    void operator()(PGresult* r) const noexcept { PQclear(r); }
};
using Connection = std::unique_ptr<PGconn, Free>;
using Answer = std::unique_ptr<PGresult, Free>;

/// The answer to what was sent; nothing if it does not come in time: the server or the way to it
/// stands still, which no setting of the server's can notice.
Answer answer_of(PGconn* connection) {
    const std::int64_t end = monotonic_ns() + seconds(kAnswerSeconds).value;
    Answer last;
    while (true) {
        while (PQisBusy(connection) != 0) {
            pollfd p{PQsocket(connection), POLLIN, 0};
            const std::int64_t left_ms = (end - monotonic_ns()) / 1'000'000;
            if (left_ms <= 0 || ::poll(&p, 1, static_cast<int>(left_ms)) < 0 ||
                PQconsumeInput(connection) == 0) {
                return nullptr;
            }
        }
        Answer next{PQgetResult(connection)};
        if (!next) {
            return last;
        }
        last = std::move(next);
    }
}

/// Parameters of one statement in the binary format.
class Parameters {
public:
    static constexpr int kMax = 11;
    Parameters& add(const std::string& text) { return add(text.data(), text.size(), false); }
    Parameters& add(std::uint64_t value) {
        std::array<char, 8>& big_endian = numbers_[static_cast<std::size_t>(count_)];
        for (unsigned i = 0; i < 8; ++i) {
            big_endian[i] = static_cast<char>(value >> (56U - 8U * i));
        }
        return add(big_endian.data(), big_endian.size(), false);
    }
    Parameters& add(const std::vector<std::byte>& bytes) {
        return add(reinterpret_cast<const char*>(bytes.data()), bytes.size(), bytes.empty());
    }
    [[nodiscard]] Answer run(PGconn* connection, const char* sql) const {
        const int sent = PQsendQueryParams(connection, sql, count_, nullptr, values_.data(),
                                           lengths_.data(), formats_.data(), 1);
        return sent == 1 ? answer_of(connection) : nullptr;
    }

private:
    Parameters& add(const char* data, std::size_t bytes, bool null) {
        ASSERT(count_ < kMax);
        const auto at = static_cast<std::size_t>(count_++);
        values_[at] = null ? nullptr : data != nullptr ? data : "";
        lengths_[at] = static_cast<int>(bytes);
        formats_[at] = 1;
        return *this;
    }
    std::array<const char*, kMax> values_{};
    std::array<int, kMax> lengths_{};
    std::array<int, kMax> formats_{};
    std::array<std::array<char, 8>, kMax> numbers_{};
    int count_ = 0;
};

std::string text_at(const Answer& a, int row, int column) {
    return {PQgetvalue(a.get(), row, column),
            static_cast<std::size_t>(PQgetlength(a.get(), row, column))};
}
std::uint64_t number_at(const Answer& a, int row, int column) {
    std::uint64_t value = 0;
    for (const char byte : text_at(a, row, column)) {
        value = value << 8U | static_cast<unsigned char>(byte);
    }
    return value;
}

CredentialRow row_of(const Answer& a, int row) {
    CredentialRow r;
    r.account = text_at(a, row, 0);
    r.login = text_at(a, row, 1);
    r.state = static_cast<CredentialState>(number_at(a, row, 2));
    r.version = number_at(a, row, 3);
    r.sealed_version = number_at(a, row, 4);
    const std::string sealed = text_at(a, row, 5);
    const auto bytes = std::as_bytes(std::span{sealed});
    r.sealed.assign(bytes.begin(), bytes.end());
    r.reason = text_at(a, row, 6);
    r.created_ns = static_cast<std::int64_t>(number_at(a, row, 7));
    r.changed_ns = static_cast<std::int64_t>(number_at(a, row, 8));
    return r;
}

class PostgresCredentials final : public CredentialStore {
public:
    explicit PostgresCredentials(PostgresPlace place) : place_{std::move(place)} {}

    Status open(CredentialOpen how) override {
        // The later keyword wins over the URL's; a URL is taken for dbname if it is first.
        const char* const keys[] = {"dbname",           "password",        "connect_timeout",
                                    "application_name", "client_encoding", nullptr};
        const char* const values[] = {
            place_.url.c_str(), place_.password.c_str(), "5", "millrace", "UTF8", nullptr};
        connection_.reset(PQconnectdbParams(keys, values, 1));
        if (PQstatus(connection_.get()) != CONNECTION_OK) {
            const bool asked = PQconnectionNeedsPassword(connection_.get()) != 0 ||
                               PQconnectionUsedPassword(connection_.get()) != 0;
            return failed(asked ? Errc::BadAuth : Errc::IoError);
        }
        const Status set = run(kSettings);
        return !set ? set : how == CredentialOpen::Create ? run(kSchema) : found();
    }

    Result<std::optional<CredentialRow>> find(const std::string& account) override {
        const Answer got = Parameters{}.add(account).run(
            connection_.get(), (std::string{kSelect} + " WHERE account = $1").c_str());
        if (PQresultStatus(got.get()) != PGRES_TUPLES_OK) {
            return failed(code_of(got)).error();
        }
        return PQntuples(got.get()) == 1 ? std::optional{row_of(got, 0)} : std::nullopt;
    }

    Result<std::vector<CredentialRow>> all() override {
        const Answer got = Parameters{}.run(connection_.get(),
                                            (std::string{kSelect} + " ORDER BY account").c_str());
        if (PQresultStatus(got.get()) != PGRES_TUPLES_OK) {
            return failed(code_of(got)).error();
        }
        std::vector<CredentialRow> rows;
        for (int i = 0; i < PQntuples(got.get()); ++i) {
            rows.push_back(row_of(got, i));
        }
        return rows;
    }

    Status put(const CredentialRow& r, std::uint64_t expected, const std::string& event) override {
        Parameters p;
        p.add(r.account)
            .add(r.login)
            .add(static_cast<std::uint64_t>(r.state))
            .add(r.version)
            .add(r.sealed_version)
            .add(r.sealed)
            .add(r.reason)
            .add(static_cast<std::uint64_t>(r.created_ns))
            .add(static_cast<std::uint64_t>(r.changed_ns))
            .add(expected)
            .add(event);
        const Answer done = p.run(connection_.get(), kPut);
        if (PQresultStatus(done.get()) != PGRES_COMMAND_OK) {
            return failed(code_of(done));
        }
        if (std::string_view{PQcmdTuples(done.get())} != "1") {
            message_ = "it was changed by somebody else meanwhile";
            return {Errc::Busy, "credentials"};
        }
        return ok_status();
    }

    Status scrub() override {
        // Dead rows hold what was replaced until their space is given back.
        const Answer done = Parameters{}.run(connection_.get(), "VACUUM FULL millrace.credentials");
        return PQresultStatus(done.get()) == PGRES_COMMAND_OK ? ok_status() : failed(code_of(done));
    }

    [[nodiscard]] const std::string& message() const override { return message_; }

private:
    [[nodiscard]] Status run(std::span<const char* const> statements) {
        for (const char* sql : statements) {
            const Answer done = Parameters{}.run(connection_.get(), sql);
            if (PQresultStatus(done.get()) != PGRES_COMMAND_OK) {
                return failed(code_of(done));
            }
        }
        return ok_status();
    }
    [[nodiscard]] Status found() {
        const Answer got = Parameters{}.run(connection_.get(), kCountTables);
        if (PQresultStatus(got.get()) != PGRES_TUPLES_OK) {
            return failed(code_of(got));
        }
        if (number_at(got, 0, 0) == 0) {
            message_ = "the database has no table millrace.credentials";
            return {Errc::NotFound, "credentials"};
        }
        return ok_status();
    }
    [[nodiscard]] Errc code_of(const Answer& answer) const {
        if (!answer && PQstatus(connection_.get()) == CONNECTION_OK) {
            return Errc::Timeout;  // the same; the next open() begins with a new connection
        }
        if (PQstatus(connection_.get()) != CONNECTION_OK) {
            return Errc::IoError;  // whether a change was made is for find() to say
        }
        const char* const state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
        const std::string_view code = state == nullptr ? "" : state;
        return code == "57014" || code == "55P03" ? Errc::Timeout
               : code == "42501"                  ? Errc::BadAuth
               : code.starts_with("42")           ? Errc::BadMagic
               : code.starts_with("53")           ? Errc::NoSpace
                                                  : Errc::IoError;
    }
    /// libpq's words; they name host, user and statement, never a password or a parameter.
    Status failed(Errc code) {
        message_ = PQerrorMessage(connection_.get());
        if (message_.empty()) {
            message_ = "PostgreSQL does not answer";
        }
        while (!message_.empty() && message_.back() == '\n') {
            message_.pop_back();
        }
        return {code, "credentials"};
    }

    PostgresPlace place_;
    Connection connection_;
    std::string message_;
};

}  // namespace

std::unique_ptr<CredentialStore> make_postgres_credentials(PostgresPlace place) {
    return std::make_unique<PostgresCredentials>(std::move(place));
}

}  // namespace millrace
