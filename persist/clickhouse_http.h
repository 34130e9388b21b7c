// ClickHouseHttp: one ClickHouse server over HTTP, with bounded waits (libcurl).
//
// A connection that is lost after a request was sent leaves it open whether the server did it; who
// calls insert() must be able to ask (ClickHouseStore reads its cursor back) or to repeat it.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace millrace {

struct ClickHouseServer {
    std::string url;  // http://HOST:PORT or https://HOST:PORT
    std::string user;
    std::string password;  // travels in a header, never in the URL; in no message
    std::string ca_file;   // for https; empty: the system's
    Nanos connect = seconds(2);
    Nanos answer = seconds(10);  // for a whole request
    bool compress = true;        // gzip, both ways
};

class ClickHouseHttp {
public:
    explicit ClickHouseHttp(ClickHouseServer server);
    ~ClickHouseHttp();
    ClickHouseHttp(const ClickHouseHttp&) = delete;
    ClickHouseHttp& operator=(const ClickHouseHttp&) = delete;

    /// Runs a query that returns something, or a statement of schema.
    /// @return its answer as the server wrote it (TabSeparated unless the query says otherwise, at
    /// most 64 MiB); IoError: no connection, or it was lost; Timeout; BadAuth; NotFound: no such
    /// database or table; NoSpace; Busy: overloaded, or too many parts; BadInput: refused.
    [[nodiscard]] Result<std::string> query(const std::string& sql) noexcept;

    /// Sends `rows` as the data of `sql`, an INSERT with its FORMAT.
    /// @param token names this batch: a server that knows such tokens stores it once. Empty: none.
    /// @return as query(). After IoError and Timeout it may be stored or not, or be stored later.
    [[nodiscard]] Status insert(const std::string& sql, std::span<const std::byte> rows,
                                const std::string& token) noexcept;

    /// The last failure in the words of the server or of libcurl.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    /// ClickHouse's number of the last failure, 0 if it gave none.
    [[nodiscard]] int exception() const noexcept { return exception_; }
    [[nodiscard]] const ClickHouseServer& server() const noexcept { return server_; }

private:
    struct Request {
        std::string url;
        std::span<const std::byte> body;
        bool gzip = false;
        bool once = false;  // must not be sent twice unknown to us
    };
    struct Curl;

    [[nodiscard]] Result<std::string> send(const Request& request) noexcept;
    [[nodiscard]] Error judge(long status, const std::string& body) noexcept;
    [[nodiscard]] std::string escaped(const std::string& text) const;

    ClickHouseServer server_;
    std::unique_ptr<Curl> curl_;
    std::string message_;
    int exception_ = 0;
};

}  // namespace millrace
