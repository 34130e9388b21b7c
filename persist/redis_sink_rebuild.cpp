// RedisSink's rebuild: a new generation beside the one in use, from SQLite where the log has lost
// its beginning, then from the log.
#include "persist/redis_sink.h"

#include <algorithm>

#include "core/assert.h"
#include "persist/sign_of_life.h"

namespace millrace {
namespace {

constexpr Nanos kFeedMax = seconds(300);  // for SQLite to find the next rows

}  // namespace

/// Begins to fill a generation from the start of the log.
bool RedisSink::rebuild(const char* why, bool other_history) noexcept {
    if (why_ != why) {
        why_ = why;
        report("state is filled into a new generation: " + why_);
    }
    other_history_ = other_history;
    auto fed = source_->begins_whole() ? nullptr : open_feed();
    if (refilling_ && (fed == nullptr || !fed->whole())) {
        return give_up_refill("the SQLite store cannot give it now");
    }
    if (auto begun = store_.begin_rebuild(other_history); !begun) {
        return fail(begun.code(), store_.message());
    }
    building_ = store_.generation();
    filled_from_ = filled_quarters_ = 0;
    feed_ = std::move(fed);
    fed_to_ = feed_ ? feed_->cursor() : EffectCursor{};
    fed_whole_ = feed_ && feed_->whole();
    if (auto found = source_->seek({}); !found) {
        return fail_log(found.error());
    }
    audit_.begin_noting();
    follow(Phase::Rebuild);
    return true;
}

/// The server we come back to may be behind the one we left; the log is read on from its cursor.
/// What was noted beyond it comes again and changes nothing.
bool RedisSink::resume_rebuild() noexcept {
    const Status resumed = store_.resume_rebuild();
    if (!resumed) {
        building_ = 0;  // the next try takes a new number
        return fail(resumed.code(), store_.message());
    }
    if (store_.cursor() == EffectCursor{} && fed_to_ != EffectCursor{}) {
        return rebuild(why_.c_str(), other_history_);  // what it was fed may not all be there
    }
    if (auto found = source_->seek(store_.cursor()); !found) {
        building_ = 0;
        return fail_log(found.error());
    }
    follow(Phase::Rebuild);
    return true;
}

/// The SQLite store, if it has followed this log. @return nullptr if not.
std::unique_ptr<SqliteFeed> RedisSink::open_feed() noexcept {
    if (options_.sqlite_path.empty()) {
        return nullptr;
    }
    const Nanos wall{wall_ns()};
    const RedisKeep& keep = options_.store.keep;
    feed_stop_.store(false, std::memory_order_relaxed);  // before its reader begins
    auto feed = std::make_unique<SqliteFeed>(SqliteFeedOptions{
        options_.sqlite_path, wall - keep.ended, wall - keep.signals, &feed_stop_});
    const Status opened = feed->open();
    if (opened.code() == Errc::NotFound) {
        return nullptr;  // as on the first day
    }
    const Status usable = opened ? source_->seek(feed->cursor()) : opened;
    if (usable) {
        return feed;
    }
    report("the SQLite store cannot give now what retention has taken from the effects log: " +
           std::string{usable.error().what});
    return nullptr;
}

/// Takes the next rows of the SQLite store. What the log still has of them comes again behind it:
/// its results, and its own word on each. @return rows and 1; 0 after a failure.
int RedisSink::feed() noexcept {
    const auto more = next_of_feed();
    if (!more && refilling_) {
        (void)give_up_refill("the SQLite store cannot be read to its end");
        return 0;
    }
    if (!more) {
        report(std::string{"the SQLite store cannot be read on: "} + more.error().what);
        fed_whole_ = false;
    }
    if (auto written = store_.mend(batch_); !written) {
        return fail(written.code(), store_.message()) ? 1 : 0;
    }
    audit_.note(batch_);
    const int rows = static_cast<int>(batch_.size());
    batch_.clear();
    if (!more || !more.value()) {
        feed_.reset();
    }
    return keep_up() ? rows + 1 : 0;
}

/// The first row of a kind takes as long to find as the store is large, and a stage must show life
/// meanwhile; beyond kFeedMax the log alone has to do.
Result<bool> RedisSink::next_of_feed() noexcept {
    const std::int64_t began = monotonic_ns();
    const SignOfLife alive{
        [this, began] {
            StageEntry& self = segment_.stage(StageId::Redis);
            // Its runner's cells, and this is in its place: one writer.
            self.duty_cycles.store(self.duty_cycles.load(std::memory_order_relaxed) + 1,
                                   std::memory_order_relaxed);
            self.heartbeat_ns.store(segment_.clock().now().value, std::memory_order_relaxed);
            // Relaxed: a wish, nothing is published by it.
            feed_stop_.store(monotonic_ns() - began > kFeedMax.value, std::memory_order_relaxed);
            return true;
        },
        kFeedMax + seconds(10)};
    return feed_->next(batch_, options_.batch_rows);
}

/// The generation in use, which has more than the log alone, stays in use. @return false.
bool RedisSink::give_up_refill(const char* reason) noexcept {
    refilling_ = false;
    why_.clear();
    building_ = 0;
    refill_at_ = now_ + options_.refill_later;
    return fail(Errc::NotFound,
                "the generation in use still lacks what retention had taken from the log: " +
                    std::string{reason});
}

/// A generation that was filled from a log without its beginning is filled anew once the SQLite
/// store can give what it lacks.
void RedisSink::make_whole() noexcept {
    if (store_.facts().whole || options_.sqlite_path.empty() || now_ < refill_at_) {
        return;
    }
    refill_at_ = now_ + options_.refill_every;
    const auto found = make_source_();
    SqliteFeed sqlite{SqliteFeedOptions{options_.sqlite_path, {}, {}, nullptr}};
    if (sqlite.open() && sqlite.whole() && found->seek(sqlite.cursor())) {
        refilling_ = true;
        (void)rebuild("it lacked what retention had taken from the effects log", false);
    }
}

}  // namespace millrace
