#include "persist/redis_store.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"
#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::size_t kArmCommands = 4;  // of put_arm()
// So much of a batch is sent while the rest is still being written: the server reads and queues
// meanwhile on its own core. Smaller: more system calls for no more overlap.
constexpr std::size_t kAheadBytes = 32 * 1024;

std::string_view name_of(const DefinitionRow& r) noexcept {
    std::size_t n = 0;
    while (n < sizeof r.name.bytes && r.name.bytes[n] != '\0') {
        ++n;
    }
    return {r.name.bytes, n};
}

void cursor_fields(RedisFields& f, const EffectCursor& c, const RedisFacts& facts,
                   std::string_view key) noexcept {
    f.clear();
    f.number("schema", kRedisSchema);
    f.number("epoch", c.epoch);
    f.number("seq", c.seq.value);
    f.number("k", c.k);
    f.number("chain", c.chain);
    f.number("instance", facts.instance);
    f.number("intent", facts.intent);
    f.number("time_ns", static_cast<std::uint64_t>(facts.latest.value));
    f.number("killed", facts.killed ? 1 : 0);
    f.number("whole", facts.whole ? 1 : 0);
    RedisSum sum{key};
    for (std::size_t i = 0; i < f.size(); ++i) {
        sum.add(f.name(i), f.value(i));
    }
    f.checksum("sum", sum.value());
}

/// The integer as a whole 64-bit number; a chain hash uses all bits.
std::uint64_t number_in(const RedisView& v) noexcept {
    std::uint64_t value = 0;
    const std::string_view t = v.text();
    (void)std::from_chars(t.data(), t.data() + t.size(), value);
    return value;
}

void put_delete(RespCommands& c, std::string_view prefix, std::string_view key) {
    c.begin(2);
    c.arg("DEL");
    c.arg(prefix, key);
}

void put_hash(RespCommands& c, std::string_view prefix, std::string_view key,
              const RedisFields& fields) {
    c.begin(2 + 2 * fields.size());
    c.arg("HSET");
    c.arg(prefix, key);
    for (std::size_t i = 0; i < fields.size(); ++i) {
        c.arg(fields.name(i));
        c.arg(fields.value(i));
    }
}

/// One command where put_delete(), put_hash() and PEXPIREAT are three, and a third of the server's
/// time (2.0 us beside 5.6, redis 7.0): it copies the hash instead of building it.
void put_dump(RespCommands& c, std::string_view prefix, std::string_view key, std::int64_t until_ms,
              std::string_view dump) {
    c.begin(6);
    c.arg("RESTORE");
    c.arg(prefix, key);
    c.arg(until_ms);
    c.arg(dump);
    c.arg("REPLACE");
    c.arg("ABSTTL");
}

}  // namespace

std::string RedisStore::shared(std::string_view name) const {
    return options_.prefix + std::string{name};
}
std::string RedisStore::keys_of(std::uint64_t generation) const {
    return options_.prefix + "g" + std::to_string(generation) + ":";
}

Status RedisStore::failed(const Status& status, const char* doing) noexcept {
    message_ = std::string{doing} + ": " + link_->message();
    return status;
}

// ---- opening -----------------------------------------------------------------------------------

Status RedisStore::open(RedisLink& link) noexcept {
    link_ = &link;
    dumps_ = Dumps::NotAsked;
    generations_ = {};
    results_key_ = shared("RTRS");
    const auto pointer = link.call({"GET", shared("GENERATION")});
    if (!pointer) {
        return failed(pointer.error(), "reading the generation");
    }
    generation_ = number_in(pointer.value());
    prefix_ = keys();
    return arm();
}

/// Watches everything that a batch depends on and reads it.
void RedisStore::put_arm(RespCommands& c) const {
    c.begin(4);
    c.arg("WATCH");
    c.arg(prefix_, "CURSOR");
    c.arg(options_.prefix, "GENERATION");
    c.arg(options_.prefix, "BUILDING");
    c.begin(2);
    c.arg("GET");
    c.arg(options_.prefix, "GENERATION");
    c.begin(2);
    c.arg("GET");
    c.arg(options_.prefix, "BUILDING");
    c.begin(2);
    c.arg("HGETALL");
    c.arg(prefix_, "CURSOR");
}

Status RedisStore::read_armed(std::size_t index, const RedisView& reply) noexcept {
    switch (index) {
        case 1: generations_.current = number_in(reply); break;
        case 2: generations_.building = number_in(reply); break;
        case 3: return check_cursor(reply);
        default: break;
    }
    return ok_status();
}

Status RedisStore::check_cursor(const RedisView& fields) noexcept {
    cursor_ = {};
    facts_ = {};
    if (fields.is_error()) {
        message_ = prefix_ + "CURSOR: " + std::string{fields.text()};
        return {Errc::BadChecksum, "redis cursor"};
    }
    if (fields.size() == 0 && generation_ == generations_.current && generation_ != 0) {
        message_ = prefix_ + "CURSOR is gone";
        return {Errc::BadChecksum, "redis cursor"};
    }
    if (fields.size() == 0) {
        return ok_status();  // of a generation that has only begun
    }
    RedisSum sum{"CURSOR"};
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        if (fields[i].text() != "sum") {
            sum.add(fields[i].text(), fields[i + 1].text());
        }
    }
    if (sum.value() != redis_parse_sum(fields.field("sum").text())) {
        message_ = prefix_ + "CURSOR: its checksum does not fit its fields";
        return {Errc::BadChecksum, "redis cursor"};
    }
    if (number_in(fields.field("schema")) > kRedisSchema) {
        message_ = prefix_ + "CURSOR: schema " + std::string{fields.field("schema").text()} +
                   " was written by a newer build; this one knows " + std::to_string(kRedisSchema);
        return {Errc::BadVersion, "redis schema"};
    }
    facts_.schema = number_in(fields.field("schema"));
    facts_.instance = static_cast<std::uint32_t>(number_in(fields.field("instance")));
    facts_.intent = number_in(fields.field("intent"));
    facts_.latest = Nanos{static_cast<std::int64_t>(number_in(fields.field("time_ns")))};
    facts_.killed = number_in(fields.field("killed")) != 0;
    facts_.whole = number_in(fields.field("whole")) != 0;
    cursor_.epoch = number_in(fields.field("epoch"));
    cursor_.seq = Sequence{number_in(fields.field("seq"))};
    cursor_.k = static_cast<std::uint32_t>(number_in(fields.field("k")));
    cursor_.chain = number_in(fields.field("chain"));
    return ok_status();
}

Status RedisStore::arm() noexcept {
    commands_.clear();
    put_arm(commands_);
    Status read = ok_status();
    const Status done = link_->run(commands_, [&](std::size_t i, const RedisView& reply) {
        if (const Status one = read_armed(i, reply); !one) {
            read = one;
        }
    });
    // A cursor that is no hash answers with an error, which is damage and not a refusal.
    if (!done && done.code() != Errc::BadLayout) {
        return failed(done, "reading the cursor");
    }
    return read;
}

// ---- generations -------------------------------------------------------------------------------

Status RedisStore::begin_rebuild(bool other_history) noexcept {
    ASSERT(link_ != nullptr);
    const auto next = link_->call({"INCR", shared("GENERATIONS")});
    if (!next) {
        return failed(next.error(), "taking a generation's number");
    }
    const std::string number = std::to_string(next.value().integer());
    commands_.clear();
    commands_.add({"MULTI"});
    if (generations_.building != 0) {
        commands_.add({"ZADD", shared("OLD"), "0", std::to_string(generations_.building)});
    }
    commands_.add({"SET", shared("BUILDING"), number});
    commands_.add({"EXEC"});
    if (const Status done = link_->run(commands_); !done) {
        return failed(done, "beginning a generation");
    }
    if (other_history) {
        set_results_aside(number);
    }
    // Ids only grow and a kill is not forgotten, though the log may not reach back to them.
    floor_.intent = other_history ? 0 : std::max(floor_.intent, facts_.intent);
    floor_.killed = !other_history && (floor_.killed || facts_.killed);
    generation_ = static_cast<std::uint64_t>(next.value().integer());
    prefix_ = keys();
    const Status armed = arm();
    return !armed || is_ours() ? armed : moved();
}

/// Whether the generation that we write to is still one that is in use or being filled.
bool RedisStore::is_ours() const noexcept {
    return generation_ == generations_.current || generation_ == generations_.building;
}

Status RedisStore::moved() noexcept {
    message_ = link_->endpoint().text() + ": another writer moved " + prefix_ +
               "CURSOR or the generation; is a second Millrace set to the same prefix?";
    return {Errc::BadCursor, "redis cursor"};
}

/// Fails if there are none, which is no loss.
void RedisStore::set_results_aside(const std::string& number) noexcept {
    const std::string aside = results_key_ + ":" + number;
    const std::int64_t keep_ms = options_.keep_old.value / 1'000'000;
    if (link_->call({"RENAME", results_key_, aside}).ok()) {
        (void)link_->call({"PEXPIRE", aside, std::to_string(keep_ms)});
    }
}

Status RedisStore::resume_rebuild() noexcept {
    generation_ = generations_.building;
    prefix_ = keys();
    return arm();
}

Status RedisStore::finish_rebuild(Nanos wall) noexcept {
    if (generation_ != generations_.building) {
        return moved();
    }
    const std::string number = std::to_string(generation_);
    const std::int64_t until_s = (wall + options_.keep_old).value / 1'000'000'000;
    commands_.clear();
    commands_.add({"MULTI"});
    commands_.add({"SET", shared("GENERATION"), number});
    commands_.add({"DEL", shared("BUILDING")});
    if (generations_.current != 0) {
        commands_.add(
            {"ZADD", shared("OLD"), std::to_string(until_s), std::to_string(generations_.current)});
    }
    put_cursor(cursor_);  // stands from now on, even if no effect has come yet
    return commit(cursor_);
}

// ---- batches -----------------------------------------------------------------------------------

Status RedisStore::store(std::span<const Effect> effects, const EffectCursor& cursor) noexcept {
    ASSERT(link_ != nullptr);
    ASSERT(cursor_ == EffectCursor{} || cursor.seq >= cursor_.seq);
    note_facts(effects);
    begin_batch();
    put_rows(effects, Rows::New);
    put_cursor(cursor);
    return commit(cursor);
}

void RedisStore::note_facts(std::span<const Effect> effects) noexcept {
    facts_.instance = options_.instance != 0 ? options_.instance : facts_.instance;
    facts_.intent = std::max(facts_.intent, floor_.intent);
    facts_.killed = facts_.killed || floor_.killed;
    for (const Effect& e : effects) {
        facts_.latest = std::max(facts_.latest, e.time);
        if (e.kind == EffectKind::Order) {
            facts_.intent = std::max(facts_.intent, e.as<OrderRow>().magic.intent());
        } else if (e.kind == EffectKind::Alert) {
            facts_.killed = facts_.killed || e.as<AlertRow>().code == AlertCode::Killed;
        }
    }
}

Status RedisStore::mend(std::span<const Effect> effects) noexcept {
    note_facts(effects);  // of a generation that is being filled from elsewhere
    begin_batch();
    put_rows(effects, Rows::Mended);
    put_cursor(cursor_);
    return commit(cursor_);
}

void RedisStore::begin_batch() noexcept {
    if (dumps_ == Dumps::NotAsked) {
        dumps_ = takes_dumps() ? Dumps::Taken : Dumps::Refused;
    }
    commands_.clear();
    commands_.add({"MULTI"});
}

/// Redis before 7.0 does not know our format, and RESTORE may be denied to this user, or renamed: a
/// row is written field by field then. Tried, since no answer of a server says all of that.
bool RedisStore::takes_dumps() noexcept {
    const std::string key = shared("PROBE");
    entry_.clear();
    entry_.number("schema", kRedisSchema);
    RespCommands probe;
    probe.add({"RESTORE", key, "1000", dump_.of(entry_), "REPLACE"});
    probe.add({"DEL", key});
    return link_->run(probe).ok();  // a broken connection shows when the batch is sent
}

/// A connection that breaks in the middle leaves a MULTI without its EXEC: nothing is done.
void RedisStore::send_ahead() noexcept {
    if (sent_ahead_ && commands_.bytes().size() >= kAheadBytes) {
        sent_ahead_ = link_->send(commands_.bytes());
        commands_.sent();
    }
}

void RedisStore::put_rows(std::span<const Effect> effects, Rows rows) noexcept {
    last_.look_at(effects);
    const Nanos wall{wall_ns()};
    for (std::size_t i = 0; i < effects.size(); ++i) {
        const Effect& e = effects[i];
        if (last_[i]) {
            put_row(e, wall);
        }
        if (e.kind == EffectKind::Definition) {
            const auto r = e.as<DefinitionRow>();
            const std::string field = std::string{r.kind} + ":" + std::to_string(r.id);
            commands_.begin(4);
            commands_.arg("HSET");
            commands_.arg(prefix_, "NAMES");
            commands_.arg(field);
            commands_.arg(name_of(r));
        } else if (rows == Rows::New) {
            put_entry(e);
        }
        send_ahead();
    }
}

/// Replaces the whole key: what anybody else put into it goes, so does the end of an earlier state.
void RedisStore::put_row(const Effect& effect, Nanos wall) noexcept {
    if (!redis_row(effect, row_)) {
        return;
    }
    ++rows_;
    const bool ends = row_.stay == RedisStay::Ended || row_.stay == RedisStay::Signal;
    Nanos until;  // none: what has traded gets one from RedisHold when nothing needs it any more
    if (ends) {
        until = redis_until(row_, options_.keep);
    }
    if (row_.stay == RedisStay::Signal) {
        until = std::max(until, wall + options_.keep.ended);  // an order of it may end later
    }
    // 0 would be no end: what was to end before the year 1970's second millisecond ends then.
    const std::int64_t until_ms = ends ? std::max<std::int64_t>(until.value / 1'000'000, 1) : 0;
    if (dumps_ == Dumps::Taken) {
        put_dump(commands_, prefix_, row_.key(), until_ms, dump_.of(row_.fields));
        return;
    }
    // Deleted first: writing 24 fields anew takes a third of the time of replacing them (measured,
    // redis 7.0).
    put_delete(commands_, prefix_, row_.key());
    put_hash(commands_, prefix_, row_.key(), row_.fields);
    if (ends) {
        commands_.begin(3);
        commands_.arg("PEXPIREAT");
        commands_.arg(prefix_, row_.key());
        commands_.arg(until_ms);
    }
}

void RedisStore::put_entry(const Effect& effect) noexcept {
    if (!redis_result(effect, entry_)) {
        return;
    }
    RedisFields id;
    id.version("id", effect.seq, effect.k);
    commands_.begin(3 + 2 * entry_.size());
    commands_.arg("XADD");
    commands_.arg(results_key_);
    commands_.arg(id.value(0));
    for (std::size_t i = 0; i < entry_.size(); ++i) {
        commands_.arg(entry_.name(i));
        commands_.arg(entry_.value(i));
    }
}

void RedisStore::put_cursor(const EffectCursor& cursor) noexcept {
    cursor_fields(entry_, cursor, facts_, "CURSOR");
    put_delete(commands_, prefix_, "CURSOR");
    put_hash(commands_, prefix_, "CURSOR", entry_);
}

Status RedisStore::commit(EffectCursor expected) noexcept {
    commands_.add({"EXEC"});
    const std::size_t exec = commands_.count() - 1;
    put_arm(commands_);  // for the next batch, in the same flight
    ASSERT(commands_.count() == exec + 1 + kArmCommands);
    if (const Status ahead = std::exchange(sent_ahead_, ok_status()); !ahead) {
        return failed(ahead, "writing a batch");
    }
    bool conflict = false;
    Status read = ok_status();
    const Status done = link_->run(commands_, [&](std::size_t i, const RedisView& reply) {
        if (i == exec) {
            conflict = reply.is_nil();
            look_at_exec(reply);
        } else if (i > exec) {
            if (const Status one = read_armed(i - exec - 1, reply); !one) {
                read = one;
            }
        }
    });
    if (!done) {
        return failed(done, "writing a batch");
    }
    if (!read) {
        return read;
    }
    return conflict || cursor_ != expected || !is_ours() ? moved() : ok_status();
}

void RedisStore::look_at_exec(const RedisView& replies) noexcept {
    for (std::size_t i = 0; i < replies.size(); ++i) {
        const std::string_view text = replies[i].text();
        // A result that is in the stream already: it came again after a failover or a rebuild.
        if (replies[i].is_error() && text.find("equal or smaller") == std::string_view::npos) {
            warning_ =
                link_->endpoint().text() + ": part of a batch was refused: " + std::string{text};
        }
    }
}

}  // namespace millrace
