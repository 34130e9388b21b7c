#include "persist/redis_owner.h"

#include <unistd.h>

#include <cstring>

namespace millrace {
namespace {

std::string host_name() {
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 && std::strlen(name) != 0 ? name : "unknown";
}

std::string ms(Nanos time) {
    return std::to_string(time.value / 1'000'000);
}

}  // namespace

Status RedisOwner::keep(RedisLink& link) noexcept {
    if (options_.instance == 0 && !options_.find) {
        return ok_status();
    }
    options_.instance = options_.instance != 0 ? options_.instance : options_.find();
    if (options_.instance == 0) {
        message_ = "the keys " + options_.prefix +
                   "* are left alone: which instance the journal directory is cannot be read yet";
        return {Errc::NotOwner, "redis: we do not know who we are"};
    }
    const std::string key = options_.prefix + "OWNER";
    auto found = link.call({"GET", key});
    if (found && found.value().is_nil()) {
        const auto taken =
            link.call({"SET", key, std::to_string(options_.instance) + " " + host_name(), "NX",
                       "PX", ms(options_.life)});
        if (!taken && taken.code() != Errc::NoSpace) {
            message_ = link.message();
            return taken.error();
        }
        if (!taken || !taken.value().is_nil()) {
            return ok_status();
        }
        found = link.call({"GET", key});  // somebody was faster
    }
    if (!found) {
        message_ = link.message();
        return found.error();
    }
    return judge(link, std::string{found.value().text()});
}

Status RedisOwner::judge(RedisLink& link, const std::string& value) noexcept {
    const std::string key = options_.prefix + "OWNER";
    const std::size_t space = value.find(' ');
    if (value.substr(0, space) == std::to_string(options_.instance)) {
        // Not SET: a server that is full would refuse that.
        const auto kept = link.call({"PEXPIRE", key, ms(options_.life)});
        message_ = kept ? "" : link.message();
        return kept ? ok_status() : Status{kept.error()};
    }
    // Short: the error log keeps 160 characters. REDIS.md has the rest.
    message_ = "another Millrace (" + (space == std::string::npos ? "?" : value.substr(space + 1)) +
               ", instance " + value.substr(0, space) + ") uses the keys " + options_.prefix +
               "*: give this one another \"name\", or stop that one";
    return {Errc::NotOwner, "redis: the keys are another one's"};
}

}  // namespace millrace
