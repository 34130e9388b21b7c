#include "persist/redis_hold.h"

#include "persist/redis_words.h"

namespace millrace {
namespace {

constexpr const char* kPageKeys = "1000";

/// The account and the intent in RTP:<account>:<position>:<intent>, as "<account>:<intent>".
std::string order_of_position(const std::string& key) {
    const std::size_t account = key.find(':') + 1;
    const std::size_t position = key.find(':', account);
    const std::size_t intent = key.rfind(':');
    return key.substr(account, position - account) + key.substr(intent);
}

/// The same of RTX:<account>:<intent>:<deal>.
std::string order_of_deal(const std::string& key) {
    const std::size_t account = key.find(':') + 1;
    return key.substr(account, key.rfind(':') - account);
}

}  // namespace

void RedisHold::begin(Phase phase) noexcept {
    phase_ = phase;
    cursor_ = "0";
}

Status RedisHold::step(RedisLink& link, const RedisStore& store, Nanos wall) noexcept {
    if (phase_ == Phase::Rest && wall < next_) {
        return ok_status();
    }
    if (phase_ == Phase::Rest || prefix_ != store.keys()) {
        prefix_ = store.keys();
        open_.clear();
        begin(Phase::Positions);
    }
    keep_.clear();
    const bool positions = phase_ == Phase::Positions;
    Status done = scan(link, positions ? "RT[PS]:" : "RTX:");
    if (positions) {
        done = done ? find_needed(link) : done;
    } else {
        find_deals();
    }
    done = done ? extend(link, store.options().keep.ended, wall) : done;
    if (!done) {
        begin(Phase::Rest);
        next_ = {};
        return done;
    }
    if (cursor_ != "0") {
        return ok_status();
    }
    next_ = positions ? Nanos{} : wall + every_;
    begin(positions ? Phase::Deals : Phase::Rest);
    return ok_status();
}

Status RedisHold::scan(RedisLink& link, const char* kind) noexcept {
    found_.clear();
    const auto page =
        link.call({"SCAN", cursor_, "MATCH", prefix_ + kind + "*", "COUNT", kPageKeys});
    if (!page) {
        return page.error();
    }
    cursor_ = page.value()[0].text();
    for (std::size_t i = 0; i < page.value()[1].size(); ++i) {
        found_.emplace_back(page.value()[1][i].text().substr(prefix_.size()));
    }
    return ok_status();
}

Status RedisHold::find_needed(RedisLink& link) noexcept {
    RespCommands commands;
    for (const std::string& key : found_) {
        commands.begin(4);
        commands.arg("HMGET");
        commands.arg(prefix_, key);
        commands.arg("state");
        commands.arg("signal");
    }
    return link.run(commands, [&](std::size_t i, const RedisView& fields) {
        const std::string& key = found_[i];
        const bool position = key.starts_with("RTP:");
        OrdStatus status = OrdStatus::Filled;
        const bool live =
            !position && from_redis_word(fields[0].text(), status) && !is_final(status);
        if (live || (position && fields[0].text() == "OPEN")) {
            keep_.push_back("SIG:" + std::string{fields[1].text()});
        }
        if (position && fields[0].text() == "OPEN") {
            keep_.push_back("RTS:" + order_of_position(key));
            open_.insert(order_of_position(key));
        }
    });
}

void RedisHold::find_deals() {
    for (const std::string& key : found_) {
        if (open_.contains(order_of_deal(key))) {
            keep_.push_back(key);
        }
    }
}

/// Only what has an end as it stands: an order that still works must not get one.
Status RedisHold::extend(RedisLink& link, Nanos keep, Nanos wall) noexcept {
    RespCommands commands;
    for (const std::string& key : keep_) {
        commands.begin(2);
        commands.arg("PTTL");
        commands.arg(prefix_, key);
    }
    const std::int64_t keep_ms = keep.value / 1'000'000;
    RespCommands later;
    const Status asked = link.run(commands, [&](std::size_t i, const RedisView& left) {
        if (left.integer() >= 0 && left.integer() < keep_ms) {
            later.begin(3);
            later.arg("PEXPIREAT");
            later.arg(prefix_, keep_[i]);
            later.arg(wall.value / 1'000'000 + keep_ms);
        }
    });
    return asked && later.count() != 0 ? link.run(later) : asked;
}

}  // namespace millrace
