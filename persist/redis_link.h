// RedisLink: one connection to one Redis server or Sentinel, with bounded waits (hiredis, RESP2).
#pragma once

#include "core/result.h"
#include "core/types.h"
#include "persist/redis_resp.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct redisContext;  // NOLINT(readability-identifier-naming): hiredis names it so
struct redisReply;    // NOLINT(readability-identifier-naming): the same

namespace millrace {

struct RedisEndpoint {
    std::string host;
    std::uint16_t port = 0;
    friend bool operator==(const RedisEndpoint&, const RedisEndpoint&) = default;
    [[nodiscard]] std::string text() const { return host + ":" + std::to_string(port); }
};

struct RedisLogin {
    std::string user;      // empty: the default user
    std::string password;  // empty: none is asked for
};

struct RedisTimeouts {
    Nanos connect = millis(500);
    Nanos answer = seconds(2);  // for each reply, and for each write to make progress
};

/// Part of a reply, as long as the reply lives.
class RedisView {
public:
    RedisView() = default;
    explicit RedisView(const redisReply* reply) noexcept : reply_{reply} {}

    [[nodiscard]] bool is_error() const noexcept;
    [[nodiscard]] bool is_nil() const noexcept;
    [[nodiscard]] bool is_array() const noexcept;
    /// Text of a string, status or error; empty for others.
    [[nodiscard]] std::string_view text() const noexcept;
    /// The integer, or the text read as one; 0 if it is neither.
    [[nodiscard]] std::int64_t integer() const noexcept;
    /// Elements of an array; 0 for others.
    [[nodiscard]] std::size_t size() const noexcept;
    /// An element; a view of nothing (nil) if there is none.
    [[nodiscard]] RedisView operator[](std::size_t i) const noexcept;
    /// In an array of names and values in turn: the value after `name`.
    [[nodiscard]] RedisView field(std::string_view name) const noexcept;

private:
    const redisReply* reply_ = nullptr;
};

struct RedisReplyFree {
    void operator()(redisReply* reply) const noexcept;
};
using RedisReplyPtr = std::unique_ptr<redisReply, RedisReplyFree>;

/// A reply that is owned.
class RedisReply : public RedisView {
public:
    RedisReply() = default;
    explicit RedisReply(RedisReplyPtr reply) noexcept
        : RedisView{reply.get()}, owned_{std::move(reply)} {}

private:
    RedisReplyPtr owned_;
};

/// What an error that the server answered with means to us. NotOwner: READONLY, it is no primary;
/// Busy: LOADING, NOREPLICAS, MASTERDOWN, BUSY, TRYAGAIN: later; NoSpace: OOM; IoError: MISCONF
/// (its disk fails); BadAuth; NotFound: NOGROUP, NOSCRIPT; BadLayout: WRONGTYPE; Unsupported:
/// unknown command; else BadInput.
[[nodiscard]] Errc redis_errc(std::string_view error) noexcept;

/// Threads: one at a time. After a failure of the connection (IoError, Timeout, BadFrame) it is
/// closed, since nobody can tell which reply would come next; what was sent may have been done.
class RedisLink {
public:
    RedisLink() noexcept;
    ~RedisLink();
    RedisLink(RedisLink&&) noexcept;
    RedisLink& operator=(RedisLink&&) noexcept;

    /// Connects and logs in.
    /// @return Timeout, IoError, BadAuth, Busy (it is loading its data).
    [[nodiscard]] Status connect(const RedisEndpoint& to, const RedisLogin& login,
                                 const RedisTimeouts& timeouts) noexcept;
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return context_ != nullptr; }
    [[nodiscard]] const RedisEndpoint& endpoint() const noexcept { return endpoint_; }

    /// Sends commands; as many replies are then due.
    [[nodiscard]] Status send(std::string_view commands) noexcept;
    /// The next reply that is due. An error that the server answered is a reply here.
    [[nodiscard]] Result<RedisReply> reply() noexcept;
    /// One command and its reply; an error that the server answered is a failure here.
    [[nodiscard]] Result<RedisReply> call(std::initializer_list<std::string_view> words) noexcept;
    /// Sends all and reads every reply.
    /// @return the first failure, else success; each reply goes to `on_reply(index, view)`.
    template <class F>
    [[nodiscard]] Status run(const RespCommands& commands, F on_reply) noexcept {
        if (auto sent = send(commands.bytes()); !sent) {
            return sent;
        }
        Status first = ok_status();
        for (std::size_t i = 0; i < commands.count(); ++i) {
            auto got = reply();
            if (!got) {
                return got.error();
            }
            if (got.value().is_error() && first) {
                first = refused(got.value().text());
            }
            on_reply(i, static_cast<const RedisView&>(got.value()));
        }
        return first;
    }
    [[nodiscard]] Status run(const RespCommands& commands) noexcept {
        return run(commands, [](std::size_t, const RedisView&) {});
    }
    /// Keeps `error`, which the server answered, as message(). @return what it means to us.
    Status refused(std::string_view error) noexcept;

    /// The last failure in words, with the server's address.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    struct ContextFree {
        void operator()(redisContext* c) const noexcept;
    };
    Status broken(Errc code, const std::string& text) noexcept;
    Status log_in(const RedisLogin& login) noexcept;

    std::unique_ptr<redisContext, ContextFree> context_;
    RedisEndpoint endpoint_;
    std::string message_;
};

}  // namespace millrace
