#include "persist/credential_scratch.h"

#include <postgresql/libpq-fe.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>

#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::string_view kPrefix = "millrace_restore_";  // then pid and time
constexpr Nanos kLeftoverAge = seconds(3600);

/// `value` as libpq's connection strings want it.
std::string quoted(const std::string& value) {
    std::string out = "'";
    for (const char c : value) {
        out += c == '\'' || c == '\\' ? "\\" : "";
        out += c;
    }
    return out + "'";
}

/// The same server and user as `url` says, another database; without a password.
std::string with_database(const std::string& url, const std::string& name) {
    char* error = nullptr;
    PQconninfoOption* const options = PQconninfoParse(url.c_str(), &error);
    PQfreemem(error);
    if (options == nullptr) {
        return {};
    }
    std::string text = "dbname=" + quoted(name);
    for (const PQconninfoOption* o = options; o->keyword != nullptr; ++o) {
        const std::string key = o->keyword;
        if (o->val != nullptr && key != "dbname" && key != "password") {
            text += " " + key + "=" + quoted(o->val);
        }
    }
    PQconninfoFree(options);
    return text;
}

}  // namespace

ScratchFolder::ScratchFolder(const std::string& parent)
    : path_{parent + "/" + std::string{kScratchFolder} + "XXXXXX"} {
    ASSERT(::mkdtemp(path_.data()) != nullptr);
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Status ScratchDatabase::run(const std::string& sql, std::vector<std::string>* first_column) {
    const char* const keys[] = {"dbname", "password", "connect_timeout", nullptr};
    const char* const values[] = {server_.url.c_str(), server_.password.c_str(), "5", nullptr};
    const std::unique_ptr<PGconn, decltype(&PQfinish)> c{PQconnectdbParams(keys, values, 1),
                                                         &PQfinish};
    const std::unique_ptr<PGresult, decltype(&PQclear)> done{PQexec(c.get(), sql.c_str()),
                                                             &PQclear};
    const ExecStatusType status = PQresultStatus(done.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        for (int i = 0; first_column != nullptr && i < PQntuples(done.get()); ++i) {
            first_column->emplace_back(PQgetvalue(done.get(), i, 0));
        }
        return ok_status();
    }
    message_ = PQerrorMessage(c.get());
    const char* const state = PQresultErrorField(done.get(), PG_DIAG_SQLSTATE);
    const bool refused = state != nullptr && std::string_view{state} == "42501";
    return {refused ? Errc::NotOwner : Errc::IoError, "scratch database"};
}

/// By their age, as their makers may be on any host. Were one alive for all that, its backup fails
/// and is made again: nothing is lost with such a database.
void ScratchDatabase::drop_leftovers() {
    std::vector<std::string> names;
    if (!run("SELECT datname FROM pg_catalog.pg_database", &names)) {
        return;
    }
    for (const std::string& name : names) {
        const std::size_t made_at = name.find_last_of('_') + 1;
        const bool ours = name.starts_with(kPrefix) && made_at < name.size() &&
                          name.find_first_not_of("0123456789_", kPrefix.size()) == name.npos;
        const std::int64_t age =
            ours ? wall_ns() - std::strtoll(name.c_str() + made_at, nullptr, 10) : 0;
        if (age > kLeftoverAge.value || age < -kLeftoverAge.value) {
            (void)run("DROP DATABASE IF EXISTS \"" + name + "\"", nullptr);  // another role's stays
        }
    }
}

Status ScratchDatabase::make(const PostgresPlace& server) {
    server_ = server;
    drop_leftovers();
    const std::string name =
        std::string{kPrefix} + std::to_string(::getpid()) + "_" + std::to_string(wall_ns());
    if (auto made = run("CREATE DATABASE \"" + name + "\" TEMPLATE template0", nullptr); !made) {
        return made;
    }
    name_ = name;
    place_ = {with_database(server.url, name), server.password};
    return ok_status();
}

ScratchDatabase::~ScratchDatabase() {
    if (!name_.empty()) {
        // A database that is left over holds sealed bytes only; its name says what it was.
        (void)run("DROP DATABASE \"" + name_ + "\" WITH (FORCE)", nullptr);
    }
}

}  // namespace millrace
