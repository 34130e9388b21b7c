#include "persist/redis_primary.h"

#include <algorithm>

namespace millrace {

bool RedisPrimary::ask(const RedisEndpoint& sentinel, Named& best) noexcept {
    RedisLink link;
    RedisTimeouts quick = place_.timeouts;
    quick.answer = std::min(quick.answer, quick.connect);
    if (!link.connect(sentinel, place_.sentinel_login, quick)) {
        message_ = "sentinel " + link.message();
        return false;
    }
    const auto answer = link.call({"SENTINEL", "MASTER", place_.primary_name});
    if (!answer) {
        message_ = "sentinel " + link.message();
        return false;
    }
    const RedisView& about = answer.value();
    const auto epoch = static_cast<std::uint64_t>(about.field("config-epoch").integer());
    const std::string host{about.field("ip").text()};
    const auto port = static_cast<std::uint16_t>(about.field("port").integer());
    if (!best.known || epoch > best.epoch) {
        best = {{host, port}, epoch, true};
    }
    return true;
}

RedisPrimary::Named RedisPrimary::ask_sentinels() noexcept {
    Named best;
    for (const RedisEndpoint& s : place_.sentinels) {
        (void)ask(s, best);  // silence of one is the others' business; message_ has it
    }
    if (best.known && best.epoch < epoch_seen_) {
        message_ = "the sentinels that answer name " + best.at.text() +
                   " under an older epoch than was seen before: they are cut off";
        best.known = false;
    }
    epoch_seen_ = std::max(epoch_seen_, best.epoch);
    return best;
}

Status RedisPrimary::try_server(RedisLink& link, const RedisEndpoint& at) noexcept {
    if (auto connected = link.connect(at, place_.login, place_.timeouts); !connected) {
        message_ = link.message();
        return connected;
    }
    const auto role = link.call({"ROLE"});
    if (!role) {
        message_ = link.message();
        const Error why = role.error();
        link.close();
        return why;
    }
    if (role.value()[0].text() != "master") {
        message_ =
            at.text() + " is no primary (ROLE says " + std::string{role.value()[0].text()} + ")";
        link.close();
        return {Errc::NotFound, "redis primary"};
    }
    return ok_status();
}

Status RedisPrimary::connect(RedisLink& link) noexcept {
    link.close();
    if (place_.sentinels.empty()) {
        Status last{Errc::NotFound, "redis: no server is configured"};
        for (const RedisEndpoint& at : place_.servers) {
            last = try_server(link, at);
            if (last) {
                break;
            }
        }
        return last;
    }
    const Named named = ask_sentinels();
    if (!named.known) {
        message_ = message_.empty() ? "no sentinel is configured" : message_;
        return {Errc::NotFound, "redis sentinels"};
    }
    return try_server(link, named.at);
}

bool RedisPrimary::moved_from(const RedisEndpoint& in_use) noexcept {
    if (place_.sentinels.empty()) {
        return false;
    }
    const Named named = ask_sentinels();
    if (!named.known || named.at == in_use) {
        return false;
    }
    message_ = "the sentinels name " + named.at.text() + " in place of " + in_use.text();
    return true;
}

}  // namespace millrace
