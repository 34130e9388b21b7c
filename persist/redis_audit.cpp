#include "persist/redis_audit.h"

#include <utility>

#include "core/assert.h"

namespace millrace {
namespace {

constexpr int kRecordsPerSlice = 2'000;
/// Redis and we need not agree to the second when an ended row is forgotten.
constexpr Nanos kForgetMargin = seconds(120);

bool may_be_gone(const RedisFold::Mark& mark, Nanos wall) noexcept {
    return mark.forget.value != 0 && mark.forget < wall + kForgetMargin;
}

}  // namespace

void RedisAudit::begin(std::unique_ptr<EffectSource> source) {
    stop();
    source_ = std::move(source);
    phase_ = Phase::Fold;
}

void RedisAudit::begin_noting() {
    stop();
    phase_ = Phase::Note;
}

void RedisAudit::stop() noexcept {
    phase_ = Phase::Off;
    source_.reset();
    fold_.clear();
    bad_.clear();
    at_ = {};
}

void RedisAudit::scan_now(const RedisStore& store) {
    ASSERT(phase_ != Phase::Off);
    for (auto& [key, mark] : fold_.marks()) {
        mark.seen = false;
    }
    bad_.clear();
    found_ = {};
    scan_from_ = store.cursor().seq.value;
    scan_.begin(store.keys());
    phase_ = Phase::Scan;
}

void RedisAudit::note(const std::vector<Effect>& effects) {
    if (phase_ == Phase::Note || phase_ == Phase::Scan || phase_ == Phase::Done) {
        for (const Effect& e : effects) {
            fold_.apply(e);
        }
    }
}

Result<bool> RedisAudit::step(RedisLink& link, RedisStore& store, Nanos wall) noexcept {
    if (phase_ == Phase::Fold || phase_ == Phase::Collect) {
        const auto there = follow(store);
        if (!there || !there.value()) {
            return there ? Result<bool>{true} : there;
        }
        if (phase_ == Phase::Fold) {
            scan_now(store);
            return true;
        }
        if (auto mended = mend(store); !mended) {
            return mended.error();
        }
        return true;
    }
    if (phase_ == Phase::Scan) {
        if (auto scanned = scan(link, wall); !scanned) {
            return scanned.error();
        }
        return true;
    }
    return false;
}

/// Reads the log up to exactly where the store is. @return true when it is there.
Result<bool> RedisAudit::follow(RedisStore& store) noexcept {
    if (at_ == EffectCursor{}) {
        if (auto found = source_->seek({}); !found) {
            return found.error();
        }
    }
    for (int i = 0; i < kRecordsPerSlice && at_.seq < store.cursor().seq; ++i) {
        record_.clear();
        const auto next = source_->next(record_);
        if (!next) {
            return next.error();
        }
        const std::optional<EffectCursor>& after = next.value();
        if (!after) {
            return false;
        }
        at_ = *after;
        for (const Effect& e : record_) {
            if (phase_ == Phase::Fold) {
                fold_.apply(e);
            } else if (redis_row(e, row_)) {
                const auto it = bad_.find(redis_key_hash(row_.key()));
                if (it != bad_.end()) {
                    it->second = e;
                }
            }
        }
    }
    return at_.seq >= store.cursor().seq;
}

Status RedisAudit::scan(RedisLink& link, Nanos wall) noexcept {
    const auto all =
        scan_.step(link, [&](const RedisScan::Row& row, const RedisView&) { compare(row, wall); });
    if (!all) {
        return all.error();
    }
    if (!all.value()) {
        return ok_status();
    }
    find_missing(wall);
    phase_ = bad_.empty() || wants_rebuild() || source_ == nullptr ? Phase::Done : Phase::Collect;
    at_ = {};
    return ok_status();
}

void RedisAudit::compare(const RedisScan::Row& row, Nanos wall) {
    ++found_.rows;
    const std::uint64_t key = redis_key_hash(row.key);
    RedisFold::Mark* const mark = fold_.find(key);
    if (mark == nullptr) {
        // Whole, but from before the oldest effect that retention has left: nothing speaks
        // against it. Not whole: nothing can mend it.
        found_.unknown += row.whole ? 0 : 1;
        if (!row.whole) {
            remember(row.key + " is damaged and older than the effects log");
        }
        return;
    }
    mark->seen = true;
    if (row.whole && row.sum == mark->sum) {
        return;
    }
    if (!may_be_gone(*mark, wall)) {
        ++found_.changed;
        remember(row.key + (row.whole ? " is not what the log says" : " was changed"));
        bad_.try_emplace(key);
    }
}

void RedisAudit::find_missing(Nanos wall) {
    for (const auto& [key, mark] : fold_.marks()) {
        if (!mark.seen && mark.seq <= scan_from_ && !may_be_gone(mark, wall)) {
            ++found_.missing;
            remember("a row of record " + std::to_string(mark.seq) + " is missing");
            bad_.try_emplace(key);
        }
    }
}

void RedisAudit::remember(const std::string& what) {
    found_.first = found_.first.empty() ? what : found_.first;
}

Status RedisAudit::mend(RedisStore& store) noexcept {
    std::vector<Effect> rows;
    for (const auto& [key, effect] : bad_) {
        if (effect.seq.value != 0) {
            rows.push_back(effect);
        }
    }
    if (auto written = store.mend(rows); !written) {
        return written;
    }
    found_.mended = rows.size();
    bad_.clear();
    phase_ = Phase::Done;
    return ok_status();
}

}  // namespace millrace
