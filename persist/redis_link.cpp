#include "persist/redis_link.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

namespace millrace {
namespace {

timeval to_timeval(Nanos t) noexcept {
    return {static_cast<time_t>(t.value / 1'000'000'000),
            static_cast<suseconds_t>(t.value % 1'000'000'000 / 1'000)};
}

bool timed_out(int error) noexcept {
    return error == EAGAIN || error == EWOULDBLOCK || error == ETIMEDOUT || error == EINPROGRESS;
}

/// A peer that is gone without a word is noticed by the kernel too, not only by our timeouts.
void tune_socket(int fd, const RedisTimeouts& timeouts) noexcept {
    const int on = 1;
    const auto gone_ms = static_cast<unsigned>(2 * timeouts.answer.value / 1'000'000);
    // Best effort: without these the timeouts of each call still hold.
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms);
}

}  // namespace

Errc redis_errc(std::string_view error) noexcept {
    struct Word {
        std::string_view prefix;
        Errc code;
    };
    static constexpr Word kWords[] = {
        {"READONLY", Errc::NotOwner},
        {"LOADING", Errc::Busy},
        {"NOREPLICAS", Errc::Busy},
        {"MASTERDOWN", Errc::Busy},
        {"BUSY ", Errc::Busy},
        {"TRYAGAIN", Errc::Busy},
        {"OOM", Errc::NoSpace},
        {"MISCONF", Errc::IoError},
        {"NOAUTH", Errc::BadAuth},
        {"WRONGPASS", Errc::BadAuth},
        {"NOPERM", Errc::BadAuth},
        {"NOGROUP", Errc::NotFound},
        {"NOSCRIPT", Errc::NotFound},
        {"WRONGTYPE", Errc::BadLayout},
        {"ERR unknown", Errc::Unsupported},
    };
    for (const Word& w : kWords) {
        if (error.starts_with(w.prefix)) {
            return w.code;
        }
    }
    return Errc::BadInput;
}

// ---- replies -----------------------------------------------------------------------------------

void RedisReplyFree::operator()(redisReply* reply) const noexcept {
    ::freeReplyObject(reply);
}

bool RedisView::is_error() const noexcept {
    return reply_ != nullptr && reply_->type == REDIS_REPLY_ERROR;
}
bool RedisView::is_nil() const noexcept {
    return reply_ == nullptr || reply_->type == REDIS_REPLY_NIL;
}
bool RedisView::is_array() const noexcept {
    return reply_ != nullptr && reply_->type == REDIS_REPLY_ARRAY;
}
std::string_view RedisView::text() const noexcept {
    if (reply_ == nullptr || reply_->str == nullptr || is_array() || is_nil()) {
        return {};
    }
    return {reply_->str, reply_->len};
}
std::int64_t RedisView::integer() const noexcept {
    if (reply_ != nullptr && reply_->type == REDIS_REPLY_INTEGER) {
        return reply_->integer;
    }
    std::int64_t value = 0;
    const std::string_view t = text();
    (void)std::from_chars(t.data(), t.data() + t.size(), value);
    return value;
}
std::size_t RedisView::size() const noexcept {
    return is_array() ? reply_->elements : 0;
}
RedisView RedisView::operator[](std::size_t i) const noexcept {
    return i < size() ? RedisView{reply_->element[i]} : RedisView{};
}
RedisView RedisView::field(std::string_view name) const noexcept {
    for (std::size_t i = 0; i + 1 < size(); i += 2) {
        if ((*this)[i].text() == name) {
            return (*this)[i + 1];
        }
    }
    return {};
}

// ---- the connection ----------------------------------------------------------------------------

void RedisLink::ContextFree::operator()(redisContext* c) const noexcept {
    ::redisFree(c);
}
RedisLink::RedisLink() noexcept = default;
RedisLink::~RedisLink() = default;
RedisLink::RedisLink(RedisLink&&) noexcept = default;
RedisLink& RedisLink::operator=(RedisLink&&) noexcept = default;

void RedisLink::close() noexcept {
    context_.reset();
}

Status RedisLink::broken(Errc code, const std::string& text) noexcept {
    message_ = endpoint_.text() + ": " + text;
    close();
    return {code, "redis"};
}

Status RedisLink::refused(std::string_view error) noexcept {
    message_ = endpoint_.text() + ": " + std::string{error};
    return {redis_errc(error), "redis"};
}

Status RedisLink::connect(const RedisEndpoint& to, const RedisLogin& login,
                          const RedisTimeouts& timeouts) noexcept {
    endpoint_ = to;
    context_.reset(
        ::redisConnectWithTimeout(to.host.c_str(), to.port, to_timeval(timeouts.connect)));
    if (context_ == nullptr) {
        return broken(Errc::NoSpace, "no memory for a connection");
    }
    if (context_->err != 0) {
        const bool late = context_->err == REDIS_ERR_IO && timed_out(errno);
        return broken(late ? Errc::Timeout : Errc::IoError,
                      std::string{"cannot connect: "} + context_->errstr);
    }
    if (::redisSetTimeout(context_.get(), to_timeval(timeouts.answer)) != REDIS_OK) {
        return broken(Errc::IoError, "cannot set its time limit");
    }
    tune_socket(context_->fd, timeouts);
    return log_in(login);
}

Status RedisLink::log_in(const RedisLogin& login) noexcept {
    if (login.password.empty()) {
        return ok_status();
    }
    const auto answer = login.user.empty() ? call({"AUTH", login.password})
                                           : call({"AUTH", login.user, login.password});
    if (!answer) {
        const Error why = answer.error();
        close();
        return why;
    }
    return ok_status();
}

Status RedisLink::send(std::string_view commands) noexcept {
    if (context_ == nullptr) {
        return {Errc::IoError, "redis: not connected"};
    }
    // Not through hiredis' own buffer: a batch is a megabyte and is bytes already.
    while (!commands.empty()) {
        const ssize_t n = ::send(context_->fd, commands.data(), commands.size(), MSG_NOSIGNAL);
        if (n > 0) {
            commands.remove_prefix(static_cast<std::size_t>(n));
        } else if (n < 0 && errno != EINTR) {
            const int error = errno;
            return broken(timed_out(error) ? Errc::Timeout : Errc::IoError,
                          std::string{"cannot send: "} + std::strerror(error));
        }
    }
    return ok_status();
}

Result<RedisReply> RedisLink::reply() noexcept {
    if (context_ == nullptr) {
        return {Errc::IoError, "redis: not connected"};
    }
    void* raw = nullptr;
    if (::redisGetReply(context_.get(), &raw) != REDIS_OK) {
        const int error = errno;
        const bool io = context_->err == REDIS_ERR_IO;
        if (io && timed_out(error)) {
            return broken(Errc::Timeout, "no answer in time").error();
        }
        const bool frame = context_->err == REDIS_ERR_PROTOCOL;
        return broken(frame ? Errc::BadFrame : Errc::IoError, context_->errstr).error();
    }
    return RedisReply{RedisReplyPtr{static_cast<redisReply*>(raw)}};
}

Result<RedisReply> RedisLink::call(std::initializer_list<std::string_view> words) noexcept {
    RespCommands command;
    command.add(words);
    if (auto sent = send(command.bytes()); !sent) {
        return sent.error();
    }
    auto got = reply();
    if (got && got.value().is_error()) {
        return refused(got.value().text()).error();
    }
    return got;
}

}  // namespace millrace
