#include "persist/redis_upkeep.h"

#include <algorithm>
#include <charconv>

namespace millrace {
namespace {

constexpr Nanos kMarkEvery = seconds(10);
constexpr std::size_t kMarksMax = 100'000;  // eleven days

std::uint64_t seq_of(std::string_view id) noexcept {
    std::uint64_t seq = 0;
    (void)std::from_chars(id.data(), id.data() + id.size(), seq);  // stops at the dash
    return seq;
}

/// The number behind `name` in what INFO says; 0 if it is not there.
std::uint64_t number_of(std::string_view info, std::string_view name) noexcept {
    const std::size_t at = info.find(name);
    std::uint64_t number = 0;
    if (at != std::string_view::npos) {
        const char* begin = info.data() + at + name.size();
        (void)std::from_chars(begin, info.data() + info.size(), number);
    }
    return number;
}

/// The first record that `group` may still ask for.
Result<std::uint64_t> needed_by(RedisLink& link, const std::string& key, const RedisView& group) {
    if (group.field("pending").integer() == 0) {
        // Its whole record stays: other results of it may be unread still.
        return seq_of(group.field("last-delivered-id").text());
    }
    const auto pending = link.call({"XPENDING", key, group.field("name").text()});
    if (!pending) {
        return pending.error();
    }
    return seq_of(pending.value()[1].text());
}

}  // namespace

void RedisUpkeep::mark(Nanos wall, Sequence seq) {
    if (marks_.empty() || wall - marks_.back().wall >= kMarkEvery) {
        marks_.push_back({wall, seq});
    }
    if (marks_.size() > kMarksMax) {
        marks_.pop_front();
    }
}

Status RedisUpkeep::run(RedisLink& link, const RedisStore& store, Nanos wall,
                        Sequence confirmed) noexcept {
    // What frees memory first: on a server that is full the rest is refused.
    if (auto trimmed = trim(link, store, wall, confirmed); !trimmed) {
        return trimmed;
    }
    if (auto dropped = drop_old(link, store, wall); !dropped) {
        return dropped;
    }
    return beat(link, store, wall);
}

Status RedisUpkeep::beat(RedisLink& link, const RedisStore& store, Nanos wall) noexcept {
    const auto set = link.call({"SET", store.shared("HEARTBEAT"),
                                std::to_string(wall.value / 1'000'000) + " " +
                                    std::to_string(store.cursor().epoch) + " " +
                                    std::to_string(store.cursor().seq.value),
                                "PX", std::to_string(options_.heartbeat_life.value / 1'000'000)});
    return set ? ok_status() : Status{set.error()};
}

Result<unsigned> RedisUpkeep::memory_percent(RedisLink& link) noexcept {
    const auto info = link.call({"INFO", "memory"});
    if (!info) {
        return info.error();
    }
    const std::uint64_t limit = number_of(info.value().text(), "\nmaxmemory:");
    const std::uint64_t used = number_of(info.value().text(), "\nused_memory:");
    return limit == 0 ? 0U : static_cast<unsigned>(used * 100 / limit);
}

Result<std::uint64_t> RedisUpkeep::trim_below(RedisLink& link, const RedisStore& store, Nanos wall,
                                              Sequence confirmed) noexcept {
    std::uint64_t below = 0;
    for (const Mark& m : marks_) {
        below = m.wall + options_.results_keep <= wall ? m.seq.value + 1 : below;
    }
    below = std::min(below, confirmed.value + 1);
    const std::string key = store.shared("RTRS");
    const auto length = link.call({"XLEN", key});
    if (!length || length.value().integer() == 0) {
        return length ? Result<std::uint64_t>{0} : Result<std::uint64_t>{length.error()};
    }
    if (static_cast<std::uint64_t>(length.value().integer()) > options_.results_max) {
        return confirmed.value + 1;
    }
    const auto groups = link.call({"XINFO", "GROUPS", key});
    for (std::size_t i = 0; groups && i < groups.value().size(); ++i) {
        const auto needed = needed_by(link, key, groups.value()[i]);
        if (!needed) {
            return needed;
        }
        below = std::min(below, needed.value());
    }
    return below;
}

Status RedisUpkeep::trim(RedisLink& link, const RedisStore& store, Nanos wall,
                         Sequence confirmed) noexcept {
    const auto below = trim_below(link, store, wall, confirmed);
    if (!below || below.value() == 0) {
        // RTRS is no stream: what is in it is another's, and batches warn of it.
        return below || below.code() == Errc::BadLayout ? ok_status() : Status{below.error()};
    }
    const auto trimmed =
        link.call({"XTRIM", store.shared("RTRS"), "MINID", std::to_string(below.value()) + "-0"});
    while (!marks_.empty() && marks_.front().seq.value + 1 < below.value()) {
        marks_.pop_front();
    }
    return trimmed ? ok_status() : Status{trimmed.error()};
}

/// A few hundred keys each second: nobody waits for it.
Status RedisUpkeep::drop_old(RedisLink& link, const RedisStore& store, Nanos wall) noexcept {
    if (dropping_.empty()) {
        const std::string now_s = std::to_string(wall.value / 1'000'000'000);
        const auto due =
            link.call({"ZRANGEBYSCORE", store.shared("OLD"), "-inf", now_s, "LIMIT", "0", "1"});
        if (!due || due.value().size() == 0) {
            return due ? ok_status() : Status{due.error()};
        }
        dropping_ = due.value()[0].text();
        drop_cursor_ = "0";
    }
    const auto in_use = [&](std::uint64_t g) { return std::to_string(g) == dropping_; };
    const RedisGenerations& g = store.generations();
    if (!in_use(g.current) && !in_use(g.building)) {
        const std::string keys = store.options().prefix + "g" + dropping_ + ":*";
        const auto page = link.call({"SCAN", drop_cursor_, "MATCH", keys, "COUNT", "1000"});
        if (!page) {
            return page.error();
        }
        RespCommands unlink;
        for (std::size_t i = 0; i < page.value()[1].size(); ++i) {
            unlink.add({"UNLINK", page.value()[1][i].text()});
        }
        if (auto done = link.run(unlink); !done) {
            return done;
        }
        drop_cursor_ = page.value()[0].text();
        if (drop_cursor_ != "0") {
            return ok_status();
        }
    }
    const auto removed = link.call({"ZREM", store.shared("OLD"), dropping_});
    dropping_.clear();
    return removed ? ok_status() : Status{removed.error()};
}

}  // namespace millrace
