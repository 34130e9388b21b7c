#include "persist/redis_fold.h"

#include <tuple>

namespace millrace {

void RedisFold::apply(const Effect& effect) {
    if (!redis_row(effect, row_)) {
        return;
    }
    Mark& mark = marks_[redis_key_hash(row_.key())];
    // The same effect again counts: a row that SQLite gave is believed until the log has its word.
    if (std::tie(mark.seq, mark.k) > std::tie(effect.seq.value, effect.k)) {
        return;
    }
    mark.sum = row_.sum;
    mark.seq = effect.seq.value;
    mark.k = effect.k;
    mark.forget = redis_until(row_, keep_);
}

RedisFold::Mark* RedisFold::find(std::uint64_t key) noexcept {
    const auto it = marks_.find(key);
    return it == marks_.end() ? nullptr : &it->second;
}

void RedisScan::begin(std::string prefix) {
    prefix_ = std::move(prefix);
    cursor_ = "0";
}

Result<bool> RedisScan::step(RedisLink& link, const OnRow& on_row) noexcept {
    const auto page = link.call({"SCAN", cursor_, "MATCH", prefix_ + "*", "COUNT", "300"});
    if (!page) {
        return page.error();
    }
    keys_.clear();
    for (std::size_t i = 0; i < page.value()[1].size(); ++i) {
        std::string key{page.value()[1][i].text().substr(prefix_.size())};
        if (key != "CURSOR" && key != "NAMES") {
            keys_.push_back(std::move(key));
        }
    }
    if (auto done = read(link, on_row); !done) {
        return done.error();
    }
    cursor_ = page.value()[0].text();
    return cursor_ == "0";
}

Status RedisScan::read(RedisLink& link, const OnRow& on_row) noexcept {
    commands_.clear();
    for (const std::string& key : keys_) {
        commands_.begin(2);
        commands_.arg("HGETALL");
        commands_.arg(prefix_, key);
    }
    const Status done = link.run(commands_, [&](std::size_t i, const RedisView& fields) {
        if (fields.size() == 0 && !fields.is_error()) {
            return;  // expired between the two commands
        }
        RedisSum sum{keys_[i]};
        for (std::size_t f = 0; f + 1 < fields.size(); f += 2) {
            if (fields[f].text() != "sum") {
                sum.add(fields[f].text(), fields[f + 1].text());
            }
        }
        const bool whole = sum.value() == redis_parse_sum(fields.field("sum").text());
        on_row({keys_[i], sum.value(), whole}, fields);
    });
    // Something that is no hash under a hash's name: a row that is not whole, not a failure.
    return done.code() == Errc::BadLayout ? ok_status() : done;
}

}  // namespace millrace
