#include "persist/clickhouse_http.h"

#include <curl/curl.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace millrace {
namespace {

constexpr std::size_t kAnswerBytesMax = 64U << 20U;
constexpr std::size_t kMessageBytesMax = 300;
constexpr std::size_t kGzipFrom = 512;  // below that it costs more than it saves

void init_once() {
    static std::once_flag once;
    std::call_once(once, [] { ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

std::size_t take(const char* data, std::size_t size, std::size_t n, void* to) {
    auto& text = *static_cast<std::string*>(to);
    if (text.size() + size * n > kAnswerBytesMax) {
        return 0;  // libcurl gives the transfer up
    }
    text.append(data, size * n);
    return size * n;
}

/// Gives what is left of a body, and nothing twice.
std::size_t give(char* to, std::size_t size, std::size_t n, void* from) {
    auto& left = *static_cast<std::span<const std::byte>*>(from);
    const std::size_t bytes = std::min(size * n, left.size());
    std::copy_n(reinterpret_cast<const char*>(left.data()), bytes, to);
    left = left.subspan(bytes);
    return bytes;
}

/// `bytes` as one gzip member; empty if it could not be made.
std::vector<std::byte> gzipped(std::span<const std::byte> bytes) {
    z_stream z{};
    constexpr int kGzip = 15 + 16;
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return {};
    }
    std::vector<std::byte> out(deflateBound(&z, bytes.size()));
    // zlib's interface is not const-correct; it only reads.
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const int done = deflate(&z, Z_FINISH);
    out.resize(done == Z_STREAM_END ? z.total_out : 0);
    deflateEnd(&z);
    return out;
}

/// The number in "Code: 60, e.displayText() = ..." (18.16 has it nowhere else), or 0.
int exception_in(const std::string& body) {
    const std::size_t at = body.find("Code: ");
    int code = 0;
    if (at != std::string::npos) {
        std::from_chars(body.data() + at + 6, body.data() + body.size(), code);
    }
    return code;
}

Errc errc_of(int exception, long status) noexcept {
    switch (exception) {
        case 60:  // no such table
        case 81:  // no such database
            return Errc::NotFound;
        case 192:  // no such user
        case 193:  // wrong password
        case 194:  // a password is needed
        case 291:  // no access to the database
        case 497:  // no such grant
        case 516:  // authentication failed
            return Errc::BadAuth;
        case 243:  // not enough space
            return Errc::NoSpace;
        case 159:  // timeout exceeded
        case 209:  // socket timeout
            return Errc::Timeout;
        case 202:  // too many queries
        case 241:  // memory limit
        case 252:  // too many parts
            return Errc::Busy;
        default: break;
    }
    if (status == 401 || status == 403) {
        return Errc::BadAuth;
    }
    return status >= 400 && status < 500 ? Errc::BadInput : Errc::IoError;
}

}  // namespace

struct ClickHouseHttp::Curl {
    CURL* easy = nullptr;
    curl_slist* plain = nullptr;
    curl_slist* gzip = nullptr;
    char error[CURL_ERROR_SIZE] = {};

    explicit Curl(const ClickHouseServer& server) {
        init_once();
        easy = curl_easy_init();
        ASSERT(easy != nullptr);
        for (curl_slist** list : {&plain, &gzip}) {
            // Without "Expect" a batch is one trip and not two.
            *list = curl_slist_append(*list, "Expect:");
            *list = curl_slist_append(*list, "Content-Type: application/octet-stream");
            if (!server.user.empty()) {
                *list = curl_slist_append(*list, ("X-ClickHouse-User: " + server.user).c_str());
            }
            if (!server.password.empty()) {
                *list = curl_slist_append(*list, ("X-ClickHouse-Key: " + server.password).c_str());
            }
        }
        gzip = curl_slist_append(gzip, "Content-Encoding: gzip");
    }
    ~Curl() {
        curl_slist_free_all(plain);
        curl_slist_free_all(gzip);
        curl_easy_cleanup(easy);
    }
    Curl(const Curl&) = delete;
    Curl& operator=(const Curl&) = delete;
};

ClickHouseHttp::ClickHouseHttp(ClickHouseServer server)
    : server_{std::move(server)}, curl_{std::make_unique<Curl>(server_)} {}

ClickHouseHttp::~ClickHouseHttp() = default;

std::string ClickHouseHttp::escaped(const std::string& text) const {
    char* const made = curl_easy_escape(curl_->easy, text.data(), static_cast<int>(text.size()));
    ASSERT(made != nullptr);
    std::string out{made};
    curl_free(made);
    return out;
}

Result<std::string> ClickHouseHttp::query(const std::string& sql) noexcept {
    // wait_end_of_query: an error in the middle becomes a status, not the end of the answer.
    Request request{server_.url + "/?wait_end_of_query=1", std::as_bytes(std::span{sql}), false,
                    false};
    request.url += server_.compress ? "&enable_http_compression=1" : "";
    return send(request);
}

Status ClickHouseHttp::insert(const std::string& sql, std::span<const std::byte> rows,
                              const std::string& token) noexcept {
    Request request{server_.url + "/?query=" + escaped(sql), rows, false, true};
    if (!token.empty()) {
        request.url += "&insert_deduplication_token=" + escaped(token);
    }
    std::vector<std::byte> packed;
    if (server_.compress && rows.size() >= kGzipFrom) {
        packed = gzipped(rows);
        request.gzip = !packed.empty();
        request.body = request.gzip ? packed : rows;
    }
    const auto answer = send(request);
    return answer ? ok_status() : Status{answer.error()};
}

Result<std::string> ClickHouseHttp::send(const Request& request) noexcept {
    CURL* const c = curl_->easy;
    std::string answer;
    exception_ = 0;
    curl_easy_reset(c);  // keeps the connection
    curl_easy_setopt(c, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, request.gzip ? curl_->gzip : curl_->plain);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    std::span<const std::byte> left = request.body;
    if (request.once) {
        // A body that libcurl cannot rewind: else it would send the INSERT again by itself when a
        // kept connection ends without an answer, and the rows would lie there twice.
        curl_easy_setopt(c, CURLOPT_READFUNCTION, &give);
        curl_easy_setopt(c, CURLOPT_READDATA, &left);
    } else {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, request.body.data());
    }
    // Servers close idle connections after 3 s or more; do not race them.
    curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, 2L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &take);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, curl_->error);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(server_.connect.value / 1'000'000));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(server_.answer.value / 1'000'000));
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);  // other threads live in this process
    curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");  // the configuration says where, not http_proxy
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    if (server_.compress) {
        curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    if (!server_.ca_file.empty()) {
        curl_easy_setopt(c, CURLOPT_CAINFO, server_.ca_file.c_str());
    }
    curl_->error[0] = '\0';
    const CURLcode done = curl_easy_perform(c);
    if (done != CURLE_OK) {
        message_ = server_.url + ": " +
                   (curl_->error[0] != '\0' ? curl_->error : curl_easy_strerror(done));
        return {done == CURLE_OPERATION_TIMEDOUT ? Errc::Timeout : Errc::IoError, "clickhouse"};
    }
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return judge(status, answer);
    }
    return answer;
}

Error ClickHouseHttp::judge(long status, const std::string& body) noexcept {
    exception_ = exception_in(body);
    const std::string line = body.substr(0, std::min(body.find('\n'), kMessageBytesMax));
    message_ = server_.url + ": HTTP " + std::to_string(status) + ": " + line;
    return {errc_of(exception_, status), 0, "clickhouse"};
}

}  // namespace millrace
