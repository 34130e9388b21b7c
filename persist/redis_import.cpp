// The engine's state out of Redis: every hash of the generation in use, by its checksum.
#include <unordered_set>
#include <utility>
#include <vector>

#include "persist/redis_fold.h"
#include "persist/redis_parse.h"
#include "persist/redis_primary.h"
#include "persist/redis_store.h"
#include "persist/stored_fold.h"
#include "persist/stored_state.h"

namespace millrace {
namespace {

class Reader {
public:
    Reader(RedisLink& link, RedisStore& store, std::string& message)
        : link_{link}, store_{store}, message_{message} {}

    [[nodiscard]] Result<StoredState> read(const StoredLimits& limits) {
        heard_ = limits.heard;
        if (Status opened = open(); !opened) {
            return opened.error();
        }
        StoredState state;
        state.where = link_.endpoint().text() + ", " + store_.keys() + "*";
        state.cursor = store_.cursor();
        const RedisFacts& facts = store_.facts();
        state.instance = facts.instance;
        state.intent = facts.intent;
        state.latest = facts.latest;
        state.kill_used = facts.killed;
        if (!facts.whole) {
            state.gaps.push_back(
                "what stood before it was filled: it was filled from an effects log of which "
                "retention had taken the beginning");
        }
        newer_than_ = limits.newer_than;
        if (Status done = read_rows(); !done) {
            return done.error();
        }
        state.newer = std::move(newer_);
        state.newer_than = newer_than_;
        // Its sink is dead when this is used; if it is not, the rows are of no one moment.
        if (!store_.open(link_) || store_.cursor() != state.cursor) {
            return fail(Errc::Busy, "somebody writes to it: stop the pipeline that follows it");
        }
        fold_.finish(limits, state);
        return state;
    }

private:
    Error fail(Errc code, const std::string& text) {
        message_ = link_.endpoint().text() + ": " + text;
        return {code, 0, "redis"};
    }

    Status open() {
        if (Status opened = store_.open(link_); !opened) {
            message_ = store_.message();
            return opened;
        }
        const bool there = store_.generations().current != 0;
        if (!there || store_.cursor() == EffectCursor{}) {
            return fail(Errc::NotFound, "nothing is there under " + store_.shared("*"));
        }
        if (store_.facts().schema < kRedisSchema) {
            return fail(Errc::BadVersion,
                        "it was written by an older build, which did not keep signals and deals");
        }
        return ok_status();
    }

    Status read_rows() {
        scan_.begin(store_.keys());
        Status status = ok_status();
        for (bool all = false; !all && status;) {
            const auto step =
                scan_.step(link_, [&](const RedisScan::Row& row, const RedisView& fields) {
                    if (status) {
                        status = take(row, fields);
                    }
                });
            if (!step) {
                message_ = link_.message();
                return step.error();
            }
            all = step.value();
        }
        return status;
    }

    Status take(const RedisScan::Row& row, const RedisView& fields) {
        if (!row.whole) {
            return fail(Errc::BadChecksum, row.key + " does not fit its checksum");
        }
        if (!seen_.insert(redis_key_hash(row.key)).second) {
            return ok_status();  // a scan may come by twice
        }
        Effect effect;
        if (!redis_effect(row.key, fields, effect)) {
            return fail(Errc::BadChecksum, row.key + " is no row of ours");
        }
        fold_.add(effect);
        if (heard_ != nullptr) {
            heard_->rows(seen_.size());
        }
        if (effect.seq > newer_than_) {
            newer_.push_back(effect);
        }
        return ok_status();
    }

    RedisLink& link_;
    RedisStore& store_;
    std::string& message_;
    RedisScan scan_;
    std::unordered_set<std::uint64_t> seen_;
    StoredFold fold_;
    ReadingHeard* heard_ = nullptr;
    Sequence newer_than_;
    std::vector<Effect> newer_;
};

}  // namespace

Result<StoredState> read_redis_state(const RedisPlace& place, const RedisStoreOptions& options,
                                     const StoredLimits& limits, std::string& message) {
    RedisPrimary primary{place};
    RedisLink link;
    if (auto connected = primary.connect(link); !connected) {
        message = primary.message();
        // Sentinels that name nobody, a replica only: a primary that is not to be reached.
        return connected.code() == Errc::NotFound ? Error{Errc::IoError, 0, "redis primary"}
                                                  : connected.error();
    }
    RedisStore store{options};
    return Reader{link, store, message}.read(limits);
}

}  // namespace millrace
