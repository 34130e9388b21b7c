#include "persist/redis_hold.h"

#include <algorithm>
#include <charconv>

#include "persist/redis_words.h"

namespace millrace {
namespace {

constexpr const char* kPageKeys = "1000";
constexpr const char* kStanding = "RT[PS]:";     // positions and orders
constexpr const char* kRows = "[RS][TI][SXG]:";  // orders, deals and signals
constexpr std::string_view kNoSignal = "00000000-0000-0000-0000-000000000000";

/// The account in RTS:<account>:..., RTP:<account>:... and RTX:<account>:...
std::string_view account_in(std::string_view key) {
    const std::size_t account = key.find(':') + 1;
    return key.substr(account, key.find(':', account) - account);
}

/// The account and the intent in RTP:<account>:<position>:<intent>, as "<account>:<intent>".
std::string order_of_position(const std::string& key) {
    return std::string{account_in(key)} + key.substr(key.rfind(':'));
}

/// The same of RTX:<account>:<intent>:<deal>.
std::string order_of_deal(const std::string& key) {
    const std::size_t account = key.find(':') + 1;
    return key.substr(account, key.rfind(':') - account);
}

std::string share_of(std::string_view account, std::string_view signal) {
    return std::string{account} + ":" + std::string{signal};
}

/// What is no hash under a hash's name is damage, and the audit's business.
Status but_for_damage(const Status& asked) noexcept {
    return asked.code() == Errc::BadLayout ? ok_status() : asked;
}

/// The number that `text` begins with: a record of "seq-k"; 0 if with none.
std::int64_t number_in(std::string_view text) noexcept {
    std::int64_t value = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void ask_target(RespCommands& commands, std::string_view prefix, std::string_view signal) {
    commands.begin(3);
    commands.arg("HGET");
    commands.arg(prefix, "SIG:" + std::string{signal});
    commands.arg("target");
}

// Of look_at().
constexpr const char* kFields[] = {"version", "state",  "signal",     "type",
                                   "filled",  "target", "accepted_ns"};

}  // namespace

void RedisHold::begin(Phase phase, const RedisStore& store) noexcept {
    if (phase == Phase::Positions) {
        prefix_ = store.keys();
        began_seq_ = store.cursor().seq;
        opened_.clear();
        shares_.clear();
        signals_.clear();
    }
    phase_ = phase;
    cursor_ = "0";
}

Status RedisHold::step(RedisLink& link, const RedisStore& store, Nanos wall) noexcept {
    if (phase_ == Phase::Rest && wall < next_) {
        return ok_status();
    }
    if (phase_ == Phase::Rest || prefix_ != store.keys()) {
        begin(Phase::Positions, store);
    }
    const bool positions = phase_ == Phase::Positions;
    Status done = scan(link, positions ? kStanding : kRows);
    if (done) {
        done = positions ? find_needed(link) : settle(link, store.options().keep, wall);
    }
    if (!done) {
        begin(Phase::Rest, store);
        next_ = {};
        return done;
    }
    if (cursor_ != "0") {
        return ok_status();
    }
    next_ = positions ? Nanos{} : wall + every_;
    begin(positions ? Phase::Rows : Phase::Rest, store);
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
        const std::string_view key = page.value()[1][i].text().substr(prefix_.size());
        if (!key.starts_with("RIS:")) {  // kRows cannot tell it from the others
            found_.emplace_back(key);
        }
    }
    return ok_status();
}

// ---- what is needed ----------------------------------------------------------------------------

void RedisHold::needs(std::string_view account, std::string_view signal) {
    if (!signal.empty() && signal != kNoSignal) {
        shares_.insert(share_of(account, signal));
        signals_.emplace(signal);
    }
}

Status RedisHold::find_needed(RedisLink& link) noexcept {
    RespCommands commands;
    for (const std::string& key : found_) {
        commands.begin(5);
        commands.arg("HMGET");
        commands.arg(prefix_, key);
        commands.arg("state");
        commands.arg("signal");
        commands.arg("type");
    }
    std::vector<std::string> accounts;  // of live orders that act on another one's position
    RespCommands targets;
    const Status asked =
        but_for_damage(link.run(commands, [&](std::size_t i, const RedisView& fields) {
            const std::string& key = found_[i];
            const bool position = key.starts_with("RTP:");
            OrdStatus status = OrdStatus::Filled;
            const bool live =
                !position && from_redis_word(fields[0].text(), status) && !is_final(status);
            if (!live && fields[0].text() != "OPEN") {
                return;
            }
            needs(account_in(key), fields[1].text());
            if (position) {
                opened_.insert(order_of_position(key));
                return;
            }
            opened_.insert(key.substr(4));  // what follows RTS:
            if (fields[2].text() != redis_word(CommandType::Open)) {
                accounts.emplace_back(account_in(key));
                ask_target(targets, prefix_, fields[1].text());
            }
        }));
    if (!asked || accounts.empty()) {
        return asked;
    }
    return but_for_damage(link.run(targets, [&](std::size_t i, const RedisView& target) {
        needs(accounts[i], target.text());
    }));
}

// ---- what becomes of each ----------------------------------------------------------------------

RedisHold::Row RedisHold::look_at(const std::string& key, const RedisView& fields,
                                  const RedisKeep& keep) const {
    Row row;
    row.key = key;
    const auto seq = static_cast<std::uint64_t>(number_in(fields[0].text()));
    row.stays = seq == 0 || seq > began_seq_.value;
    const std::string_view state = fields[1].text();
    const std::string_view signal = fields[2].text();
    if (key.starts_with("RTX:")) {
        row.needed = opened_.contains(order_of_deal(key));
    } else if (key.starts_with("SIG:")) {
        row.needed = state != "DONE" || signals_.contains(key.substr(4)) ||
                     signals_.contains(std::string{fields[5].text()});
        row.until = Nanos{number_in(fields[6].text())} + keep.signals;
    } else {
        OrdStatus status = OrdStatus::New;
        const bool ended = from_redis_word(state, status) && is_final(status);
        row.stays = row.stays || !ended;
        row.needed = shares_.contains(share_of(account_in(key), signal));
        if (fields[3].text() == redis_word(CommandType::Close) && fields[4].text() != "0") {
            row.share = signal;
        }
    }
    return row;
}

/// A close is needed for as long as what it acted on is open.
Status RedisHold::look_at_closes(RedisLink& link, std::vector<Row>& rows) const {
    RespCommands targets;
    std::vector<Row*> closes;
    for (Row& row : rows) {
        if (!row.share.empty() && !row.stays) {
            closes.push_back(&row);
            ask_target(targets, prefix_, row.share);
        }
    }
    if (closes.empty()) {
        return ok_status();
    }
    return but_for_damage(link.run(targets, [&](std::size_t i, const RedisView& target) {
        const std::string share = share_of(account_in(closes[i]->key), target.text());
        closes[i]->needed = closes[i]->needed || shares_.contains(share);
    }));
}

Status RedisHold::settle(RedisLink& link, const RedisKeep& keep, Nanos wall) noexcept {
    std::vector<Row> rows;
    RespCommands commands;
    for (const std::string& key : found_) {
        commands.begin(2 + std::size(kFields));
        commands.arg("HMGET");
        commands.arg(prefix_, key);
        for (const char* field : kFields) {
            commands.arg(field);
        }
        commands.begin(2);
        commands.arg("PTTL");
        commands.arg(prefix_, key);
    }
    Status done = but_for_damage(link.run(commands, [&](std::size_t i, const RedisView& reply) {
        if (i % 2 == 0) {
            rows.push_back(look_at(found_[i / 2], reply, keep));
        } else {
            rows.back().left_ms = reply.integer();
        }
    }));
    done = done ? look_at_closes(link, rows) : done;
    if (!done) {
        return done;
    }
    RespCommands changes;
    for (const Row& row : rows) {
        if (row.needed && row.left_ms >= 0) {
            changes.begin(2);
            changes.arg("PERSIST");
            changes.arg(prefix_, row.key);
        } else if (!row.needed && !row.stays && row.left_ms == -1) {
            const Nanos until = std::max(row.until, wall + keep.ended);
            changes.begin(3);
            changes.arg("PEXPIREAT");
            changes.arg(prefix_, row.key);
            changes.arg(until.value / 1'000'000);
        }
    }
    return changes.count() != 0 ? link.run(changes) : done;
}

}  // namespace millrace
